/* SPDX-License-Identifier: BSD-3-Clause */
/* TIME_WAIT records, and the sweep that ends them. */
#include "net/inet/time_wait.h"
#include "core/log.h"
#include "mm/kmalloc.h"

#define TIME_WAIT_TIME (60 * NSEC_PER_SEC) /* the engine's */
#define SWEEP_NS NSEC_PER_SEC

struct time_wait {
	struct ns_tcp_tw tw;
	struct flow_entry entry;
	struct mutex lock;
	atomic_int refs; /* the list, and packets being processed */
	bool gone;	 /* out of the table */
	struct list link;
	struct rcu_head rcu;
};

static struct mutex list_lock;
static struct list records = LIST_INIT(records);
static unsigned count;
static struct thread *sweeper;
#define MAX_RECORDS 65536

static void free_record(struct rcu_head *h)
{
	kfree(container_of(h, struct time_wait, rcu));
}

static void put(struct time_wait *t)
{
	if (atomic_fetch_sub(&t->refs, 1) == 1)
		rcu_defer(&t->rcu, free_record);
}

const struct ns_tcp_tw *time_wait_state(const struct flow_entry *e)
{
	return &container_of(e, struct time_wait, entry)->tw;
}

unsigned time_wait_count(void)
{
	return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

bool time_wait_take_over(struct conn *c)
{
	struct time_wait *t = count < MAX_RECORDS ? kzalloc(sizeof *t) : NULL;

	if (!t)
		return false;
	ns_tcp_tw_from(&t->tw, &c->tcp);
	t->entry.flow = &t->tw.flow;
	t->entry.time_wait = true;
	atomic_init(&t->refs, 1);
	mutex_lock(&t->lock); /* whoever finds it in the table waits until it is in the list */
	flows_replace(&c->entry, &t->entry);
	mutex_lock(&list_lock);
	list_append(&records, &t->link);
	count++;
	mutex_unlock(&list_lock);
	mutex_unlock(&t->lock);
	return true;
}

/* Out of the table and the list; t->lock held. */
static void end_record(struct time_wait *t)
{
	if (t->gone)
		return;
	t->gone = true;
	flows_remove(&t->entry);
	mutex_lock(&list_lock);
	list_remove(&t->link);
	count--;
	mutex_unlock(&list_lock);
	put(t);
}

struct time_wait *time_wait_get(struct flow_entry *e)
{
	struct time_wait *t = container_of(e, struct time_wait, entry);
	int refs = atomic_load(&t->refs);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&t->refs, &refs, refs + 1))
			return t;
	return NULL;
}

bool time_wait_reusable(const struct flow_entry *e)
{
	const struct ns_tcp_tw *tw = time_wait_state(e);

	return tw->ts_ok && (int64_t)tw->expires_ns - TIME_WAIT_TIME + NSEC_PER_SEC < time_now();
}

void time_wait_displace(const struct ns_flow *flow)
{
	struct time_wait *t = NULL;

	rcu_read_lock();
	struct flow_entry *e = flows_find(flow);
	if (e && e->time_wait && time_wait_reusable(e))
		t = time_wait_get(e);
	rcu_read_unlock();
	if (!t)
		return;
	mutex_lock(&t->lock);
	end_record(t);
	mutex_unlock(&t->lock);
	put(t);
}

void time_wait_input(struct time_wait *t, struct ns_pkt *pkt)
{
	mutex_lock(&t->lock);
	enum ns_tcp_verdict v = ns_tcp_tw_input(&t->tw, pkt);
	if (v == NS_TCP_REUSE)
		end_record(t);
	mutex_unlock(&t->lock);
	put(t);
	if (v == NS_TCP_REUSE) /* finds no connection now, so the listener */
		receive_packet(pkt);
}

/* Records end in the order they came, but for those that a late segment extended. */
static void sweep(void *arg)
{
	(void)arg;
	for (;;) {
		thread_sleep(SWEEP_NS);
		for (;;) {
			mutex_lock(&list_lock);
			struct time_wait *t = NULL;
			if (!list_empty(&records)) {
				t = list_first(&records, struct time_wait, link);
				if (t->tw.expires_ns > (uint64_t)time_now())
					t = NULL;
				else
					atomic_fetch_add(&t->refs, 1);
			}
			mutex_unlock(&list_lock);
			if (!t)
				break;
			mutex_lock(&t->lock);
			end_record(t);
			mutex_unlock(&t->lock);
			put(t);
			preempt_point();
		}
	}
}

void time_wait_init(void)
{
	sweeper = kthread_create("time-wait", sweep, NULL);
	if (!sweeper)
		panic("no memory for the TIME_WAIT sweeper");
}
