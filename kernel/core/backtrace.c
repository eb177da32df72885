/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Following frame pointers. The chain inside the kernel stack is trusted as far as it stays in the
 * stack and goes up. The last frame of the kernel's chain holds the application's own frame
 * pointer, since entry.S leaves that register alone; from there on every word is read with a copy
 * that gives up at a page that is not there.
 */
#include "core/backtrace.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "mm/uaccess.h"
#include "sched/thread.h"

extern char kernel_start[], kernel_end[];

static bool on_stack(const struct thread *t, uint64_t p)
{
	if (p & 7)
		return false;
	if (t && p >= t->kstack_top - KSTACK_SIZE && p + 16 <= t->kstack_top)
		return true;
	return p >= (uint64_t)kernel_start && p + 16 <= (uint64_t)kernel_end; /* boot, IST stacks */
}

/* The page-fault handler resolves nothing while irq_depth is raised: the copy just ends. */
static unsigned walk_application(uint64_t rbp, uint64_t *out, unsigned n, unsigned max)
{
	struct cpu *c = this_cpu();
	uint64_t frame[2];

	c->irq_depth++;
	while (n < max && rbp && !(rbp & 7) &&
	       !copy_from_user(frame, (void __user *)rbp, sizeof frame)) {
		if (frame[1] < PAGE_SIZE || frame[1] >= USER_END)
			break;
		out[n++] = frame[1];
		if (frame[0] <= rbp || frame[0] - rbp > 1 << 20)
			break;
		rbp = frame[0];
	}
	c->irq_depth--;
	return n;
}

unsigned backtrace_collect(const struct trapframe *from, uint64_t *out, unsigned max)
{
	const struct thread *t = current_thread();
	uint64_t rbp = (uint64_t)__builtin_frame_address(0);
	unsigned n = 0;

	if (from) {
		rbp = from->rbp;
		if (n < max)
			out[n++] = from->rip;
		if (from->rip < USER_END)
			return walk_application(rbp, out, n, max);
	} else {
		rbp =
		    *(const uint64_t *)rbp; /* the caller's frame: its return address comes first */
	}
	while (n < max && on_stack(t, rbp)) {
		const uint64_t *frame = (const uint64_t *)rbp;
		if (frame[1] < (uint64_t)kernel_start) /* an application's, or none */
			break;
		out[n++] = frame[1];
		if (on_stack(t, frame[0]) && frame[0] <= rbp)
			return n;
		rbp = frame[0];
	}
	if (!t || !t->program || n >= max || on_stack(t, rbp))
		return n;
	uint64_t rip = thread_frame(t)->rip;
	if (rip >= PAGE_SIZE && rip < USER_END)
		out[n++] = rip;
	return walk_application(rbp, out, n, max);
}
