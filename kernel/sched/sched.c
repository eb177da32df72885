/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler.
 *
 * Each CPU has a run queue that only the CPU itself touches, with interrupts off. Other CPUs hand
 *it threads through `incoming`, a lock-free stack: push with compare-and-exchange, take all with
 *one exchange; whoever pushes onto an empty stack sends an interrupt.
 *
 * States of a thread and who may change them:
 *
 *	RUNNING -> WAITING	the thread itself (thread_prepare_wait)
 *	WAITING -> READY	one waker, by compare-and-exchange; it then owns the thread and must
 *put it on exactly one queue WAITING -> RUNNING	the thread itself, by compare-and-exchange
 *(thread_end_wait): no waker came RUNNING -> READY	its CPU, when another thread is due READY -> RUNNING	its CPU, when it takes the thread from the queue
 *
 * A thread that was made READY before it gave up the CPU simply calls schedule(): the waker's queue
 *entry brings it back. `on_cpu` stays true until the registers are saved; a waker that sees it true
 *leaves the thread on its CPU, otherwise it may choose another one.
 *
 * Fairness: threads of the normal class run in the order of virtual run time (run time divided by
 *the weight of the nice level); who slept re-enters at most a slice behind the others, so run time
 *older than that is forgotten, which is what the report's decaying average amounts to. Real-time
 *threads come first, by priority.
 */
#include <linux/sched.h>
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/percpu.h"
#include "arch/x86/tlb.h"
#include "arch/x86/trapframe.h"
#include "core/init.h"
#include "core/log.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/kstack.h"
#include "proc/program.h"
#include "sched/cputime.h"
#include "sched/sched_internal.h"
#include "sched/sync.h"

#define SLICE (4 * NSEC_PER_MSEC)
#define RR_SLICE (100 * NSEC_PER_MSEC)
#define WAKE_BONUS (2 * NSEC_PER_MSEC)

struct runqueue {
	struct rb_tree fair;
	struct list realtime; /* by priority, highest first */
	unsigned nr;	      /* queued threads */
	int64_t min_vruntime;
	struct thread *idle;
	struct thread *previous; /* who gave up the CPU last: finished by who got it */
	bool send_away;		 /* it may not stay here and is in no queue */
	int64_t slice_end;
	struct timer slice_timer;
	_Atomic(struct thread *) incoming __attribute__((aligned(CACHE_LINE)));
};

struct list all_threads = LIST_INIT(all_threads);
struct mutex threads_lock;
static _Atomic uint64_t idle_mask; /* CPUs that wait in the idle loop */

/* Weight of nice -20 … 19: each step is a factor of 1.25; 1024 at nice 0. */
static const uint32_t nice_weight[40] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705,
    14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526,
    423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15};

void thread_switch(uint64_t *save_rsp, uint64_t load_rsp);
extern const char thread_start_user[], thread_start_kernel[];
void sched_thread_started(void);

static bool is_realtime(const struct thread *t)
{
	return t->policy == SCHED_FIFO || t->policy == SCHED_RR;
}

/* --- the run queue: own CPU, interrupts off --- */

static void enqueue_fair(struct runqueue *rq, struct thread *t)
{
	struct rb_node **link = &rq->fair.root, *parent = NULL;

	while (*link) {
		parent = *link;
		struct thread *o = rb_entry(parent, struct thread, run_node);
		link = t->vruntime < o->vruntime ? &parent->left : &parent->right;
	}
	rb_insert(&rq->fair, &t->run_node, parent, link);
}

static void enqueue_realtime(struct runqueue *rq, struct thread *t, bool front)
{
	struct list *p = rq->realtime.next;

	while (p != &rq->realtime) {
		struct thread *o = list_entry(p, struct thread, run_link);
		if (o->rt_priority < t->rt_priority || (front && o->rt_priority == t->rt_priority))
			break;
		p = p->next;
	}
	list_insert_(&t->run_link, p->prev, p);
}

static void enqueue(struct runqueue *rq, struct thread *t, bool preempted)
{
	bool realtime = is_realtime(t);

	atomic_store_explicit(
	    &t->queued, realtime ? QUEUED_REALTIME : QUEUED_FAIR, memory_order_release);
	if (realtime) {
		enqueue_realtime(rq, t, preempted);
	} else {
		if (t->vruntime < rq->min_vruntime - WAKE_BONUS)
			t->vruntime = rq->min_vruntime - WAKE_BONUS;
		enqueue_fair(rq, t);
	}
	rq->nr++;
}

static struct thread *peek(struct runqueue *rq)
{
	if (!list_empty(&rq->realtime))
		return list_first(&rq->realtime, struct thread, run_link);
	struct rb_node *n = rb_first(&rq->fair);
	return n ? rb_entry(n, struct thread, run_node) : NULL;
}

static void dequeue(struct runqueue *rq, struct thread *t)
{
	/* Not is_realtime(): the policy may have changed since on another CPU. */
	if (atomic_load_explicit(&t->queued, memory_order_relaxed) == QUEUED_REALTIME)
		list_remove(&t->run_link);
	else
		rb_remove(&rq->fair, &t->run_node);
	atomic_store_explicit(&t->queued, NOT_QUEUED, memory_order_relaxed);
	rq->nr--;
}

/* Should a take the CPU from b, which runs? */
static bool preempts(const struct runqueue *rq, const struct thread *a, const struct thread *b)
{
	if (b == rq->idle)
		return true;
	if (is_realtime(a))
		return !is_realtime(b) || a->rt_priority > b->rt_priority;
	return !is_realtime(b) && a->vruntime + WAKE_BONUS / 2 < b->vruntime;
}

/* Charges the running thread for the time since it was last looked at. */
static void account(struct runqueue *rq, struct thread *t, int64_t now)
{
	int64_t ran = now - t->run_start;

	t->run_start = now;
	t->run_ns += ran;
	if (t == rq->idle) {
		this_cpu()->idle_ns += (uint64_t)ran;
		return;
	}
	t->vruntime += ran * 1024 / nice_weight[t->nice + 20];
	if (!is_realtime(t) && t->vruntime > rq->min_vruntime) {
		struct rb_node *n = rb_first(&rq->fair);
		int64_t least = t->vruntime;
		if (n && rb_entry(n, struct thread, run_node)->vruntime < least)
			least = rb_entry(n, struct thread, run_node)->vruntime;
		if (least > rq->min_vruntime)
			rq->min_vruntime = least;
	}
}

/* --- handing threads to CPUs --- */

static void push_incoming(struct cpu *c, struct thread *t)
{
	struct thread *head = atomic_load_explicit(&c->rq->incoming, memory_order_relaxed);

	do
		t->wake_next = head;
	while (!atomic_compare_exchange_weak(&c->rq->incoming, &head, t));
	if (!head) {
		TRACE(sched_ipi, "cpu=%u", c->id);
		apic_ipi(c->apic_id, VEC_RESCHED);
	}
}

/* A thread came to this CPU's queue: does the running one have to go? */
static void check_preempt(struct cpu *c, struct thread *t)
{
	struct runqueue *rq = c->rq;

	if (preempts(rq, t, c->current)) {
		c->work |= CPU_RESCHED;
	} else if (atomic_load_explicit(&rq->slice_timer.cpu, memory_order_relaxed) < 0) {
		rq->slice_end = time_now() + SLICE;
		timer_arm(&rq->slice_timer, rq->slice_end);
	}
}

static void take_local(struct cpu *c, struct thread *t)
{
	timer_cancel(&t->sleep_timer);
	if (t->cpu != c->id) {
		/* vruntimes of different CPUs are comparable only relative to their queues */
		t->vruntime += c->rq->min_vruntime - cpus[t->cpu]->rq->min_vruntime;
		TRACE(sched_migrate, "tid=%d cpu=%u from=%u", t->tid, c->id, t->cpu);
		t->cpu = c->id;
		t->migrations++;
		t->rseq_event = t->rseq != NULL;
	}
	TRACE(sched_queue, "tid=%d vruntime=%ld", t->tid, t->vruntime);
	enqueue(c->rq, t, false);
	TRACE(sched_load, "threads=%u", c->rq->nr);
	if (t != c->current)
		check_preempt(c, t);
}

/* Moves what others handed over to the queue, oldest first. Interrupts off. */
static void drain_incoming(struct cpu *c)
{
	if (!atomic_load_explicit(&c->rq->incoming, memory_order_relaxed))
		return;
	struct thread *t = atomic_exchange(&c->rq->incoming, NULL), *in_order = NULL;

	while (t) {
		struct thread *next = t->wake_next;
		t->wake_next = in_order;
		in_order = t;
		t = next;
	}
	while (in_order) {
		t = in_order;
		in_order = t->wake_next;
		take_local(c, t);
	}
}

static bool allowed(const struct thread *t, unsigned cpu)
{
	return t->affinity >> cpu & 1;
}

/* Where a woken thread that is on no CPU should go: its own CPU if idle, else an idle one, else its
 * own. */
static struct cpu *choose_cpu(struct thread *t)
{
	uint64_t idle = atomic_load_explicit(&idle_mask, memory_order_relaxed) & t->affinity;

	if (allowed(t, t->cpu) && (!idle || idle >> t->cpu & 1))
		return cpus[t->cpu];
	if (idle)
		return cpus[__builtin_ctzll(idle)];
	if (allowed(t, t->cpu))
		return cpus[t->cpu];
	return cpus[__builtin_ctzll(t->affinity)];
}

/* Puts a READY thread that this context owns on a queue. Its sleep timer, if armed, is on t->cpu,
 * so a thread with one goes home to have it cancelled there. */
static void make_runnable(struct thread *t)
{
	uint64_t flags = irq_save();
	struct cpu *self = this_cpu();
	bool at_home = atomic_load_explicit(&t->on_cpu, memory_order_acquire) ||
		       atomic_load_explicit(&t->sleep_timer.cpu, memory_order_relaxed) >= 0;
	struct cpu *c = at_home ? cpus[t->cpu] : choose_cpu(t);

	if (c == self)
		take_local(self, t);
	else
		push_incoming(c, t);
	irq_restore(flags);
}

bool thread_wake(struct thread *t)
{
	uint32_t expect = THREAD_WAITING;

	if (!atomic_compare_exchange_strong(&t->state, &expect, THREAD_READY))
		return false;
	TRACE(sched_wake, "tid=%d", t->tid);
	make_runnable(t);
	return true;
}

void thread_prepare_wait(void)
{
	TRACE(sched_wait, "");
	atomic_store(&current_thread()->state, THREAD_WAITING);
}

void thread_end_wait(void)
{
	struct thread *t = current_thread();
	uint32_t expect = THREAD_WAITING;

	TRACE(sched_wait_ret, "");
	if (atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_RUNNING)
		return;
	if (!atomic_compare_exchange_strong(&t->state, &expect, THREAD_RUNNING))
		schedule(); /* a waker owns us: its queue entry brings us back */
}

/* --- switching --- */

/* Runs in the thread that got the CPU, for the one that gave it up. Interrupts off. */
static void finish_switch(void)
{
	struct runqueue *rq = this_cpu()->rq;
	struct thread *p = rq->previous;

	rq->previous = NULL;
	if (!p)
		return;
	bool dead = atomic_load_explicit(&p->state, memory_order_relaxed) == THREAD_DEAD;
	bool move = rq->send_away;
	rq->send_away = false;
	atomic_store_explicit(&p->on_cpu, false, memory_order_release);
	if (move) /* its affinity changed: it was kept off the queue for us to send away */
		push_incoming(cpus[__builtin_ctzll(p->affinity)], p);
	if (dead)
		thread_put(p);
}

void sched_thread_started(void)
{
	finish_switch();
	irq_enable();
}

static bool has_fsgsbase;

static void load_fs_base(uint64_t v)
{
	if (has_fsgsbase)
		asm volatile("wrfsbase %0" : : "r"(v));
	else
		wrmsr(MSR_FS_BASE, v);
}

void thread_set_fs_base(struct thread *t, uint64_t base)
{
	t->fs_base = base;
	if (t == current_thread())
		load_fs_base(base);
}

static void leave_application(struct thread *t)
{
	if (!t->fpu)
		return;
	fpu_save(t->fpu);
	if (has_fsgsbase)
		asm volatile("rdfsbase %0" : "=r"(t->fs_base));
}

static void enter_application(struct cpu *c, struct thread *t)
{
	if (!t->fpu)
		return;
	if (c->fpu_owner != t || t->migrations != t->switches_seen) {
		fpu_restore(t->fpu);
		load_fs_base(t->fs_base);
		c->fpu_owner = t;
		t->switches_seen = t->migrations;
	}
	if (t->program && t->program->mm != c->mm)
		mm_activate(t->program->mm);
	c->work &= ~(uint32_t)CPU_SIGNAL;
	if (t->rseq_event ||
	    (t->signals && atomic_load_explicit(&t->signals->wake, memory_order_relaxed)))
		c->work |= CPU_SIGNAL;
}

bool cpu_is_idle(const struct cpu *c)
{
	return c->current == c->rq->idle;
}

static void switch_to(struct cpu *c, struct thread *prev, struct thread *next)
{
	TRACE(sched_switch, "to=%d from=%d", next->tid, prev->tid);
	c->switches++;
	next->switches++;
	c->rq->previous = prev;
	leave_application(prev);
	c->current = next;
	c->kstack_top = next->kstack_top;
	/* A full barrier: thread_kick() sets signals->wake and looks at on_cpu, this CPU sets
	 * on_cpu and looks at signals->wake in enter_application(). One of the two must see the
	 * other, or a thread that makes no system call would not hear of its signal. */
	atomic_store(&next->on_cpu, true);
	if (prev == c->rq->idle)
		tlb_leave_lazy(c);
	if (next->program && !prev->program)
		cputime_start(c);
	enter_application(c, next);
	if (next == c->rq->idle)
		tlb_enter_lazy(c);
	thread_switch(&prev->kernel_rsp, next->kernel_rsp);
	finish_switch();
}

/* Puts the thread that gives up the CPU where it belongs. */
static void put_previous(struct cpu *c, struct thread *prev)
{
	uint32_t expect = THREAD_RUNNING;

	if (prev == c->rq->idle) {
		/* Who has nobody to give the CPU to cannot sleep: it would go on while its waker is
		 * about to put it in a queue, and the next waker would put it there twice. */
		ASSERT(atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_RUNNING);
		return;
	}
	if (atomic_load_explicit(&prev->state, memory_order_relaxed) != THREAD_RUNNING) {
		prev->voluntary++;
		return;
	}
	atomic_compare_exchange_strong(&prev->state, &expect, THREAD_READY);
	if (!allowed(prev, c->id)) {
		prev->yielded = false;
		c->rq->send_away = true; /* by finish_switch() */
		return;
	}
	prev->preemptions++;
	TRACE(sched_preempt, "tid=%d", prev->tid);
	if (!prev->in_yield)
		prev->rseq_event = prev->rseq != NULL;
	enqueue(c->rq, prev, !prev->yielded);
	prev->yielded = false;
}

/* The thread that is due; sends away those whose affinity changed while they were queued. */
static struct thread *take_next(struct cpu *c)
{
	struct thread *t;

	while ((t = peek(c->rq))) {
		dequeue(c->rq, t);
		if (likely(allowed(t, c->id)))
			return t;
		push_incoming(cpus[__builtin_ctzll(t->affinity)], t);
	}
	return c->rq->idle;
}

/* The usual case of sched_yield(): one other thread of the same kind. The two change places in the
 * tree of one node. The other one, or NULL if it is not that simple. */
static struct thread *change_places(struct cpu *c, struct thread *prev)
{
	struct runqueue *rq = c->rq;

	if (rq->nr != 1 || !rq->fair.root || is_realtime(prev) || !allowed(prev, c->id))
		return NULL;
	struct thread *next = rb_entry(rq->fair.root, struct thread, run_node);
	if (!allowed(next, c->id))
		return NULL;
	atomic_store_explicit(&next->queued, NOT_QUEUED, memory_order_relaxed);
	atomic_store_explicit(&prev->queued, QUEUED_FAIR, memory_order_relaxed);
	prev->run_node = (struct rb_node){0};
	rq->fair.root = &prev->run_node;
	atomic_store_explicit(&prev->state, THREAD_READY, memory_order_relaxed);
	prev->yielded = false;
	prev->preemptions++;
	TRACE(sched_preempt, "tid=%d", prev->tid);
	return next;
}

/* Interrupts off, incoming threads taken. */
static void switch_to_next(struct cpu *c)
{
	struct runqueue *rq = c->rq;
	struct thread *prev = c->current;
	int64_t now = time_now();

	TRACE(sched_sched, "tid=%d", prev->tid);
	c->work &= ~(uint32_t)CPU_RESCHED;
	account(rq, prev, now);
	rcu_note_quiescent();
	struct thread *next = prev->in_yield ? change_places(c, prev) : NULL;
	if (!next) {
		put_previous(c, prev);
		next = take_next(c);
	}
	atomic_store_explicit(&next->state, THREAD_RUNNING, memory_order_relaxed);
	next->run_start = now;
	if (rq->nr && atomic_load_explicit(&rq->slice_timer.cpu, memory_order_relaxed) < 0) {
		rq->slice_end = now + (next->policy == SCHED_RR ? RR_SLICE : SLICE);
		timer_arm(&rq->slice_timer, rq->slice_end);
	}
	if (next != prev)
		switch_to(c, prev, next);
}

void schedule(void)
{
	ASSERT(!in_interrupt());
	uint64_t flags = irq_save();
	struct cpu *c = this_cpu();

	drain_incoming(c);
	switch_to_next(c);
	irq_restore(flags);
}

static void slice_over(struct timer *timer)
{
	struct cpu *c = this_cpu();
	struct runqueue *rq = container_of(timer, struct runqueue, slice_timer);

	if (!rq->nr)
		return;
	account(rq, c->current, time_now());
	if (c->current->policy == SCHED_FIFO) {
		if (preempts(rq, peek(rq), c->current))
			c->work |= CPU_RESCHED;
		return;
	}
	if (c->current->policy == SCHED_RR)
		c->current->yielded = true;
	c->work |= CPU_RESCHED;
}

void sched_interrupt(bool from_app)
{
	struct cpu *c = this_cpu();

	drain_incoming(c);
	struct thread *t = c->current;
	if (t->signals && atomic_load(&t->signals->wake))
		c->work |= CPU_SIGNAL;
	if (from_app || t == c->rq->idle)
		rcu_note_quiescent();
	else
		c->work |= CPU_RCU;
	if (!allowed(t, c->id))
		c->work |= CPU_RESCHED;
}

void sched_clear_signal_work(void)
{
	uint64_t flags = irq_save();

	this_cpu()->work &= ~(uint32_t)CPU_SIGNAL;
	irq_restore(flags);
}

void thread_kick(struct thread *t)
{
	if (t == current_thread()) {
		uint64_t flags = irq_save();
		this_cpu()->work |= CPU_SIGNAL;
		irq_restore(flags);
		return;
	}
	if (thread_wake(t))
		return;
	if (atomic_load(&t->on_cpu) && t->cpu != this_cpu()->id)
		apic_ipi(cpus[t->cpu]->apic_id, VEC_RESCHED);
}

void sched_fpu_flush(void)
{
	uint64_t flags = irq_save();

	fpu_save(current_thread()->fpu);
	irq_restore(flags);
}

void sched_fpu_reload(void)
{
	uint64_t flags = irq_save();

	fpu_restore(current_thread()->fpu);
	irq_restore(flags);
}

void thread_yield(void)
{
	uint64_t flags = irq_save();
	struct cpu *c = this_cpu();
	struct thread *t = c->current;

	TRACE(sched_yield, "tid=%d", t->tid);
	drain_incoming(c);
	if (c->rq->nr) {
		TRACE(sched_yield_switch, "tid=%d", t->tid);
		t->yielded = true;
		struct rb_node *last = rb_last(&c->rq->fair);
		if (!is_realtime(t) && last) {
			int64_t behind = rb_entry(last, struct thread, run_node)->vruntime;
			if (t->vruntime <= behind)
				t->vruntime = behind + 1;
		}
		t->in_yield = true;
		switch_to_next(c);
		t->in_yield = false;
	}
	irq_restore(flags);
}

void preempt_point(void)
{
	if (unlikely(this_cpu()->work & CPU_RESCHED) && !in_interrupt() && irq_enabled())
		schedule();
}

/* --- sleeping for a time --- */

static void sleep_over(struct timer *timer)
{
	struct thread *t = container_of(timer, struct thread, sleep_timer);

	t->timed_out = true;
	thread_wake(t);
}

bool schedule_until(int64_t deadline)
{
	if (deadline == NO_DEADLINE) {
		schedule();
		return false;
	}
	/* The timer is armed and the CPU given up without an interrupt between, so both happen on
	 * one CPU. */
	uint64_t flags = irq_save();
	struct thread *t = current_thread();
	t->timed_out = false;
	if (atomic_load(&t->state) == THREAD_WAITING)
		timer_arm(&t->sleep_timer, deadline);
	schedule();
	timer_cancel(&t->sleep_timer);
	irq_restore(flags);
	return t->timed_out;
}

void thread_sleep(int64_t ns)
{
	int64_t end = time_now() + ns;

	while (time_now() < end) {
		thread_prepare_wait();
		schedule_until(end);
		thread_end_wait();
	}
}

/* --- life and death --- */

static struct thread *thread_new(const char *name)
{
	struct thread *t = kzalloc(sizeof *t);

	if (!t)
		return NULL;
	t->kstack = kstack_alloc();
	if (!t->kstack) {
		kfree(t);
		return NULL;
	}
	t->kstack_top = (uint64_t)t->kstack + KSTACK_SIZE;
	strlcpy(t->name, name, sizeof t->name);
	t->affinity = ~0ull;
	t->syscall_nr = -1;
	atomic_init(&t->state, THREAD_WAITING);
	atomic_init(&t->refs, 1);
	timer_init(&t->sleep_timer, sleep_over);
	t->cpu = this_cpu()->id;
	if (t->cpu < ncpus && cpus[t->cpu]->rq)
		t->vruntime = cpus[t->cpu]->rq->min_vruntime;
	list_init(&t->run_link);
	return t;
}

static void add_to_all(struct thread *t)
{
	static int last_tid; /* kernel threads count down from -1 */

	mutex_lock(&threads_lock);
	if (!t->tid && !t->program)
		t->tid = --last_tid;
	list_append(&all_threads, &t->all_link);
	TRACE(thread_create, "tid=%d name=%s", t->tid, t->name);
	mutex_unlock(&threads_lock);
}

static void free_thread(struct thread *t)
{
	kstack_free(t->kstack);
	kfree(t->fpu_block);
	kfree(t);
}

void thread_get(struct thread *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

static void free_later(struct rcu_head *h)
{
	struct thread *t = container_of(h, struct thread, rcu);

	mutex_lock(&threads_lock);
	list_remove(&t->all_link);
	mutex_unlock(&threads_lock);
	free_thread(t);
}

void thread_put(struct thread *t)
{
	if (atomic_fetch_sub(&t->refs, 1) == 1) {
		/* The CPU it last ran on may remember it as owner of the vector registers: a new
		 * thread at the same address starts with its migration count unseen, so that is
		 * harmless. */
		rcu_defer(&t->rcu, free_later);
	}
}

static bool get_unless_dead(struct thread *t)
{
	int refs = atomic_load(&t->refs);

	if (atomic_load(&t->state) == THREAD_DEAD)
		return false;
	while (refs > 0)
		if (atomic_compare_exchange_weak(&t->refs, &refs, refs + 1))
			return true;
	return false;
}

struct thread *thread_find(int tid)
{
	struct thread *t, *found = NULL;

	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link) {
		if (t->tid == tid && t->program && get_unless_dead(t)) {
			found = t;
			break;
		}
	}
	mutex_unlock(&threads_lock);
	return found;
}

struct start_frame { /* what thread_switch() pops */
	uint64_t r15, r14, r13, r12, rbp, rbx, rip;
};

static struct thread *kthread_new(const char *name, void (*fn)(void *), void *arg)
{
	struct thread *t = thread_new(name);

	if (!t)
		return NULL;
	struct start_frame *f = (struct start_frame *)(t->kstack_top - 16) - 1;
	*f = (struct start_frame){
	    .r12 = (uint64_t)fn, .r13 = (uint64_t)arg, .rip = (uint64_t)thread_start_kernel};
	t->kernel_rsp = (uint64_t)f;
	add_to_all(t);
	return t;
}

struct thread *kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	struct thread *t = kthread_new(name, fn, arg);

	if (t)
		thread_wake(t);
	return t;
}

struct thread *kthread_create_on(unsigned cpu, const char *name, void (*fn)(void *), void *arg)
{
	struct thread *t = kthread_new(name, fn, arg);

	if (t) {
		t->affinity = 1ull << cpu;
		thread_wake(t);
	}
	return t;
}

struct thread *thread_create_user(struct program *p, const struct trapframe *frame)
{
	struct thread *t = thread_new("");

	if (!t)
		return NULL;
	t->fpu_block = kmalloc(fpu_area_size + 64);
	if (!t->fpu_block) {
		free_thread(t);
		return NULL;
	}
	t->fpu = (void *)ALIGN_UP((uint64_t)t->fpu_block, 64);
	fpu_init_area(t->fpu);
	struct trapframe *top = thread_frame(t);
	*top = *frame;
	struct start_frame *f = (struct start_frame *)top - 1;
	*f = (struct start_frame){.rip = (uint64_t)thread_start_user};
	t->kernel_rsp = (uint64_t)f;
	t->program = p;
	t->switches_seen = ~0ull;
	add_to_all(t);
	return t;
}

void thread_start(struct thread *t)
{
	thread_wake(t);
}

NORETURN void thread_exit(void)
{
	struct thread *t = current_thread();

	irq_disable();
	if (this_cpu()->fpu_owner == t)
		this_cpu()->fpu_owner = NULL;
	atomic_store(&t->state, THREAD_DEAD);
	schedule();
	panic("a dead thread runs");
}

int thread_set_affinity(struct thread *t, uint64_t mask)
{
	uint64_t online = ncpus == 64 ? ~0ull : (1ull << ncpus) - 1;

	if (!(mask & online))
		return -22; /* EINVAL */
	t->affinity = mask & online;
	if (t == current_thread()) {
		if (!allowed(t, this_cpu()->id))
			schedule();
	} else if (atomic_load(&t->on_cpu) && !allowed(t, t->cpu)) {
		apic_ipi(cpus[t->cpu]->apic_id, VEC_RESCHED);
	}
	return 0;
}

struct policy_change {
	struct thread *t;
	int policy, rt_priority, nice;
	bool moved;
};

/* The thread may be in this CPU's queue, here as the running one, asleep, or on its way to another
 * CPU, whose business its place in the queue then is. */
static void apply_policy(void *arg)
{
	struct policy_change *p = arg;
	struct thread *t = p->t;
	struct cpu *c = this_cpu();

	drain_incoming(c);
	/* In this order: who queues it elsewhere writes `cpu` first. */
	bool queued = atomic_load_explicit(&t->queued, memory_order_acquire) != NOT_QUEUED;
	p->moved = t->cpu != c->id;
	if (p->moved)
		return;
	if (queued)
		dequeue(c->rq, t);
	t->policy = p->policy;
	t->rt_priority = p->rt_priority;
	t->nice = p->nice;
	if (queued) {
		enqueue(c->rq, t, false);
		check_preempt(c, t);
	}
	if (t == c->current && c->rq->nr && preempts(c->rq, peek(c->rq), t))
		c->work |= CPU_RESCHED;
}

void thread_set_policy(struct thread *t, int policy, int rt_priority, int nice)
{
	struct policy_change p = {t, policy, rt_priority, nice, false};

	do
		cpu_call(t->cpu, apply_policy, &p);
	while (p.moved);
	preempt_point();
}

/* --- the idle thread --- */

static void idle_loop(void *arg)
{
	struct cpu *c = this_cpu();
	uint64_t bit = 1ull << c->id;

	(void)arg;
	for (;;) {
		irq_disable();
		atomic_fetch_or(&idle_mask, bit);
		if (atomic_load(&c->rq->incoming) || c->rq->nr || (c->work & CPU_RESCHED)) {
			atomic_fetch_and(&idle_mask, ~bit);
			irq_enable();
			schedule();
			continue;
		}
		rcu_note_quiescent();
		TRACE(sched_idle, "");
		atomic_store(&c->rcu_idle, true); /* the next interrupt takes it back */
		cpu_halt_enabled();
		TRACE(sched_idle_ret, "");
		atomic_fetch_and(&idle_mask, ~bit);
	}
}

static struct runqueue *runqueue_new(void)
{
	struct runqueue *rq = kzalloc(sizeof *rq);

	if (rq) {
		list_init(&rq->realtime);
		timer_init(&rq->slice_timer, slice_over);
	}
	return rq;
}

/* Makes t the thread that CPU c is in the middle of. */
static void set_running(struct cpu *c, struct thread *t)
{
	t->cpu = c->id;
	atomic_store(&t->state, THREAD_RUNNING);
	atomic_store(&t->on_cpu, true);
	t->run_start = time_now();
	c->current = t;
	c->kstack_top = t->kstack_top;
}

void sched_init(void)
{
	extern char boot_stack[], boot_stack_top[];
	struct cpu *c = this_cpu();
	struct thread *boot = thread_new("boot");
	uint32_t r[4];

	cpuid(7, 0, r);
	has_fsgsbase = r[1] & 1;
	c->rq = runqueue_new();
	if (!c->rq || !boot)
		panic("no memory for the first thread");
	boot->kstack = boot_stack; /* the linker's, not kstack_alloc()'s: this thread never ends */
	boot->kstack_top = (uint64_t)boot_stack_top;
	set_running(c, boot);
	add_to_all(boot);
	c->rq->idle = kthread_new("idle/0", idle_loop, NULL);
	if (!c->rq->idle)
		panic("no memory for the idle thread");
}

struct thread *sched_prepare_cpu(struct cpu *c)
{
	char name[16];

	snprintf(name, sizeof name, "idle/%u", c->id);
	struct thread *idle = thread_new(name);
	c->rq = runqueue_new();
	if (!idle || !c->rq)
		return NULL;
	idle->affinity = 1ull << c->id;
	set_running(c, idle);
	c->rq->idle = idle;
	add_to_all(idle);
	return idle;
}

/* An application processor, on the stack of its idle thread, becomes that thread. */
NORETURN void smp_cpu_main(void)
{
	irq_enable();
	idle_loop(NULL);
	__builtin_unreachable();
}
