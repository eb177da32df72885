/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sampling profiler: a timer on each CPU that passes tracepoint sampler_tick with the call
 * chain of what the timer interrupted. Idle CPUs tick too but record nothing. `generation` ends the
 * timers: one armed for an older generation does not arm itself again.
 */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/trace.h"
#include "core/tracebuf.h"
#include "lib/string.h"
#include "sched/sync.h"
#include "sched/timer.h"

#define MAX_HZ 10000

static struct timer timers[MAX_CPUS];
static struct mutex lock;
static _Atomic int64_t period; /* ns, 0: off */
static unsigned frequency;

static void tick(struct timer *t)
{
	struct cpu *c = this_cpu();
	int64_t ns = atomic_load(&period);

	if (!ns)
		return;
	bool idle = !c->current->program && !strncmp(c->current->name, "idle/", 5);
	if (c->irq_frame && !idle) {
		c->sampled = c->irq_frame;
		TRACE(sampler_tick, "rip=%#lx", c->irq_frame->rip);
		c->sampled = NULL;
	}
	timer_arm(t, MAX(t->deadline + ns, time_now() + ns / 2));
}

static void arm_here(void *arg)
{
	struct timer *t = &timers[this_cpu()->id];

	(void)arg;
	if (!t->fn)
		timer_init(t, tick);
	if (atomic_load(&period))
		timer_arm(t, time_now() + atomic_load(&period));
	else if (atomic_load(&t->cpu) == (int)this_cpu()->id)
		timer_cancel(t);
}

int sampler_set(unsigned hz)
{
	int err;

	if (hz > MAX_HZ)
		return -EINVAL;
	mutex_lock(&lock);
	err = trace_change(
	    "sampler_tick", TRACE_MODES, hz ? TRACE_COUNT | TRACE_RECORD | TRACE_BACKTRACE : 0);
	if (err >= 0) {
		atomic_store(&period, hz ? NSEC_PER_SEC / hz : 0);
		frequency = hz;
		cpu_call_all(arm_here, NULL);
		err = 0;
	}
	mutex_unlock(&lock);
	return err;
}

unsigned sampler_frequency(void)
{
	return frequency;
}
