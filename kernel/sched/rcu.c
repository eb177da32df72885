/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RCU grace periods. Each CPU counts its passes through points without readers (cpu->quiescent).
 * The RCU thread takes the waiting callbacks, notes every CPU's count, asks the CPUs to pass such a
 * point (an interrupt: idle and application code count at once, kernel code on its way out) and
 * runs the callbacks when every count has moved. A CPU that halts says so in cpu->rcu_idle, and is
 * not asked: what removed the data was ordered before the look at rcu_idle, and the interrupt that
 * ends the halt orders its store before anything it reads.
 */
#include "sched/rcu.h"
#include "arch/x86/apic.h"
#include "arch/x86/percpu.h"
#include "core/init.h"
#include "core/log.h"
#include "sched/sched_internal.h"
#include "sched/sync.h"

static _Atomic(struct rcu_head *) waiting;
static struct thread *rcu_thread;

void rcu_note_quiescent(void)
{
	struct cpu *c = this_cpu();

	/* A full barrier: with a plain store the next reader's loads could come before the count is
	 * seen, find what is being removed, and the late count would say that they did not. */
	atomic_store(&c->quiescent, atomic_load_explicit(&c->quiescent, memory_order_relaxed) + 1);
	c->work &= ~(uint32_t)CPU_RCU;
}

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	struct rcu_head *old = atomic_load_explicit(&waiting, memory_order_relaxed);

	head->fn = fn;
	do
		head->next = old;
	while (!atomic_compare_exchange_weak(&waiting, &old, head));
	if (!old && rcu_thread)
		thread_wake(rcu_thread);
}

/* Waits until every CPU has passed a quiescent point. */
static void grace_period(void)
{
	uint64_t seen[MAX_CPUS];
	unsigned n = ncpus;

	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < n; i++)
		seen[i] = atomic_load(&cpus[i]->quiescent);
	rcu_note_quiescent(); /* this thread holds nothing */
	for (unsigned i = 0; i < n; i++) {
		for (int64_t pause = 100000; atomic_load(&cpus[i]->quiescent) == seen[i] &&
					     !atomic_load(&cpus[i]->rcu_idle);
		     pause *= 2) {
			apic_ipi(cpus[i]->apic_id, VEC_RESCHED);
			thread_sleep(MIN(pause, 10 * NSEC_PER_MSEC));
		}
	}
}

static void rcu_main(void *arg)
{
	(void)arg;
	for (;;) {
		thread_prepare_wait();
		if (!atomic_load(&waiting)) {
			schedule();
			thread_end_wait();
			continue;
		}
		thread_end_wait();
		thread_sleep(NSEC_PER_MSEC); /* gathers more for the same grace period */
		struct rcu_head *list = atomic_exchange(&waiting, NULL);
		grace_period();
		while (list) {
			struct rcu_head *next = list->next;
			list->fn(list);
			list = next;
			preempt_point();
		}
	}
}

struct synchronize {
	struct rcu_head head;
	struct completion done;
};

static void synchronized(struct rcu_head *h)
{
	completion_signal(&container_of(h, struct synchronize, head)->done);
}

void rcu_synchronize(void)
{
	struct synchronize s;

	completion_init(&s.done);
	rcu_defer(&s.head, synchronized);
	completion_wait(&s.done);
}

void rcu_init(void)
{
	rcu_thread = kthread_create("rcu", rcu_main, NULL);
	if (!rcu_thread)
		panic("no memory for the RCU thread");
}
