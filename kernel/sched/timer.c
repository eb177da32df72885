/* SPDX-License-Identifier: BSD-3-Clause */
/* One-shot timers: a tree by deadline on each CPU, one hardware deadline for the earliest. */
#include "sched/timer.h"
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/init.h"
#include "core/log.h"
#include "core/trace.h"
#include "sched/sched_internal.h"

struct timer_queue {
	struct rb_tree tree;
	struct timer *first;
	int64_t programmed;		/* deadline the hardware has, INT64_MAX none */
	_Atomic(struct timer *) firing; /* whose function runs; set before it counts as not armed */
} __attribute__((aligned(CACHE_LINE)));

static struct timer_queue queues[MAX_CPUS];

static void program(struct timer_queue *q)
{
	int64_t want = q->first ? q->first->deadline : INT64_MAX;

	if (want >=
	    q->programmed) /* an early interrupt costs less than moving the deadline each time */
		return;
	q->programmed = want;
	apic_timer_set(clock_tsc_at(want));
}

static void insert(struct timer_queue *q, struct timer *t)
{
	struct rb_node **link = &q->tree.root, *parent = NULL;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (t->deadline < rb_entry(parent, struct timer, node)->deadline) {
			link = &parent->left;
		} else {
			link = &parent->right;
			leftmost = false;
		}
	}
	rb_insert(&q->tree, &t->node, parent, link);
	if (leftmost)
		q->first = t;
}

static void take_out(struct timer_queue *q, struct timer *t)
{
	if (q->first == t) {
		struct rb_node *n = rb_next(&t->node);
		q->first = n ? rb_entry(n, struct timer, node) : NULL;
	}
	rb_remove(&q->tree, &t->node);
	atomic_store_explicit(&t->cpu, -1, memory_order_release);
}

struct cancel {
	struct timer *t;
	bool was_armed;
};

static void cancel_here(void *arg)
{
	struct cancel *c = arg;
	unsigned self = this_cpu()->id;

	if (atomic_load(&c->t->cpu) == (int)self) {
		take_out(&queues[self], c->t);
		c->was_armed = true;
	}
}

bool timer_cancel(struct timer *t)
{
	struct cancel c = {t, false};

	for (;;) {
		int cpu = atomic_load_explicit(&t->cpu, memory_order_acquire);
		if (cpu < 0)
			return c.was_armed;
		TRACE(timer_cancel, "%p", t);
		uint64_t flags = irq_save();
		if (cpu == (int)this_cpu()->id) {
			cancel_here(&c);
			irq_restore(flags);
			return c.was_armed;
		}
		irq_restore(flags);
		cpu_call((unsigned)cpu, cancel_here, &c);
	}
}

bool timer_cancel_wait(struct timer *t)
{
	bool was_armed = false, fired;

	do { /* its function may have armed it again */
		was_armed |= timer_cancel(t);
		fired = false;
		for (unsigned i = 0; i < ncpus; i++)
			while (atomic_load_explicit(&queues[i].firing, memory_order_acquire) == t) {
				fired = true;
				cpu_relax();
			}
	} while (fired);
	return was_armed;
}

void timer_arm(struct timer *t, int64_t deadline)
{
	if (atomic_load_explicit(&t->cpu, memory_order_relaxed) >= 0)
		TRACE(timer_reset, "%p deadline=%ld", t, deadline);
	timer_cancel(t);
	TRACE(timer_set, "%p deadline=%ld", t, deadline);
	uint64_t flags = irq_save();
	struct timer_queue *q = &queues[this_cpu()->id];
	t->deadline = deadline;
	atomic_store_explicit(&t->cpu, (int)this_cpu()->id, memory_order_relaxed);
	insert(q, t);
	if (q->first == t)
		program(q);
	irq_restore(flags);
}

void timer_interrupt(bool from_app)
{
	struct timer_queue *q = &queues[this_cpu()->id];

	if (from_app)
		rcu_note_quiescent();
	q->programmed = INT64_MAX;
	int64_t now = time_now();
	while (q->first && q->first->deadline <= now) {
		struct timer *t = q->first;
		atomic_store_explicit(&q->firing, t, memory_order_relaxed);
		take_out(q, t);
		TRACE(timer_fired, "%p", t);
		t->fn(t); /* may arm again, may free t's owner */
		atomic_store_explicit(&q->firing, NULL, memory_order_release);
	}
	program(q);
}

void timer_init_cpu(void)
{
	queues[this_cpu()->id].programmed = INT64_MAX;
}
