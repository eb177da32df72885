/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of a thread's CPU time it spends in the kernel. The sum is exact (thread_cpu_ns());
 * reading the clock at each system call as well would cost more than most calls do. So a CPU that
 * runs something looks, a hundred times a second, where its thread is: from then on the thread's
 * time counts as that, until the next look. Neither of the two parts ever goes backwards.
 */
#include "sched/cputime.h"

#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "lib/util.h"
#include "proc/lifecycle.h"
#include "proc/program.h"
#include "sched/timer.h"

#define PERIOD (10 * NSEC_PER_MSEC)

static struct timer ticks[MAX_CPUS];

static void tick(struct timer *timer)
{
	struct cpu *c = this_cpu();
	struct thread *t = c->current;
	if (t->program) {
		/* From the application: the frame lies at the top of the kernel stack. */
		bool kernel = c->irq_frame != thread_frame(t);
		int64_t total = thread_cpu_ns(t);
		if (t->in_kernel)
			t->kernel_ns += total - t->cpu_mark;
		t->cpu_mark = total;
		t->in_kernel = kernel;
		if (kernel)
			c->kernel_ns += PERIOD;
	}
	if (!cpu_is_idle(c))
		timer_arm(timer, time_now() + PERIOD);
}

void cputime_start(struct cpu *c)
{
	struct timer *t = &ticks[c->id];
	if (!t->fn)
		timer_init(t, tick);
	if (atomic_load_explicit(&t->cpu, memory_order_relaxed) < 0)
		timer_arm(t, time_now() + PERIOD);
}
