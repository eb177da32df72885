/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Restartable sequences. The scheduler asks for signal_deliver() when a thread with a registered
 * structure gets a CPU again; that calls rseq_resume(), which writes the CPU number and, if the
 * thread stood inside a critical section, sends it to the abort handler. The handler must be
 * preceded by the registered signature.
 */
#include "proc/rseq.h"

#include <linux/signal.h>
#include <linux/rseq.h>

#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/signal_send.h"
#include "sys/syscall.h"

#define RSEQ_SIZE 32

static int write_cpu(struct thread *t, uint32_t cpu, uint32_t id)
{
	struct rseq __user *r = t->rseq;
	uint32_t pair[2] = {cpu, id};
	return copy_to_user(r, pair, sizeof pair);
}

/* 0, or -EFAULT/-EINVAL for a structure that cannot be right. */
static int abort_section(struct trapframe *f, struct thread *t)
{
	struct rseq __user *r = t->rseq;
	struct rseq_cs cs;
	uint64_t ptr, none = 0;
	uint32_t signature;
	if (copy_from_user(&ptr, (char __user *)r + offsetof(struct rseq, rseq_cs), sizeof ptr))
		return -EFAULT;
	if (!ptr)
		return 0;
	if (copy_from_user(&cs, (void __user *)ptr, sizeof cs))
		return -EFAULT;
	bool inside = f->rip - cs.start_ip < cs.post_commit_offset;
	if (!inside)
		return copy_to_user(
		    (char __user *)r + offsetof(struct rseq, rseq_cs), &none, sizeof none);
	if (cs.version || cs.abort_ip >= USER_END ||
	    cs.abort_ip - cs.start_ip < cs.post_commit_offset)
		return -EINVAL;
	if (copy_from_user(&signature, (void __user *)(cs.abort_ip - 4), 4))
		return -EFAULT;
	if (signature != t->rseq_sig)
		return -EINVAL;
	if (copy_to_user((char __user *)r + offsetof(struct rseq, rseq_cs), &none, sizeof none))
		return -EFAULT;
	f->rip = cs.abort_ip;
	return 0;
}

static void update(struct trapframe *f, struct thread *t)
{
	unsigned cpu = this_cpu()->id;
	if (abort_section(f, t) || write_cpu(t, cpu, cpu))
		signal_force(SIGSEGV);
}

void rseq_resume(struct trapframe *f)
{
	struct thread *t = current_thread();
	if (t->rseq_event) {
		t->rseq_event = false;
		if (t->rseq) /* unregistered since, or gone with execve() */
			update(f, t);
	}
}

void rseq_signal(struct trapframe *f)
{
	if (current_thread()->rseq)
		update(f, current_thread());
}

static long unregister(struct thread *t, const void __user *area, uint32_t len, uint32_t signature)
{
	if (!t->rseq || t->rseq != area || t->rseq_len != len)
		return -EINVAL;
	if (t->rseq_sig != signature)
		return -EPERM;
	if (write_cpu(t, 0, RSEQ_CPU_ID_UNINITIALIZED))
		return -EFAULT;
	t->rseq = NULL;
	t->rseq_len = t->rseq_sig = 0;
	return 0;
}

SYSCALL(rseq, void __user *area, uint32_t len, int flags, uint32_t signature)
{
	struct thread *t = current_thread();
	if (flags & ~RSEQ_FLAG_UNREGISTER)
		return -EINVAL;
	if (flags)
		return unregister(t, area, len, signature);
	if (t->rseq) {
		if (t->rseq != area || t->rseq_len != len)
			return -EINVAL;
		return t->rseq_sig == signature ? -EBUSY : -EPERM;
	}
	if (len != RSEQ_SIZE || (uint64_t)area % RSEQ_SIZE)
		return -EINVAL;
	if (!user_range_ok(area, len))
		return -EFAULT;
	t->rseq = area;
	t->rseq_len = len;
	t->rseq_sig = signature;
	unsigned cpu = this_cpu()->id;
	if (write_cpu(t, cpu, cpu)) {
		t->rseq = NULL;
		return -EFAULT;
	}
	return 0;
}
