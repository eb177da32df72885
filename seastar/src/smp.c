/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between shards.
 *
 * For each ordered pair of shards there are two rings with one producer and one consumer: requests
 * and, in the other direction, the same messages coming back with their results. A message is made
 * and freed by the shard that sends it; in between it belongs to the receiver.
 *
 * Ring protocol. `tail` is written only by the producer, `head` only by the consumer, each on a
 * cache line of its own next to the owner's private copy of the other index. The producer fills
 * slots and publishes them with a release store of tail; the consumer reads tail with acquire,
 * takes the items and gives the slots back with a release store of head, which the producer reads
 * with acquire before it writes a slot again.
 *
 * What does not fit waits in a list of the producer, in order. Messages leave in batches: when
 * BATCH of them have gathered, or at the end of the loop's turn. After publishing, the producer
 * looks whether the receiver sleeps (see reactor.c for that protocol).
 */
#include "reactor.h"

#include <stdlib.h>

#define RING 128
#define BATCH 16

struct ring {
	_Alignas(64) _Atomic unsigned tail; /* producer's line */
	unsigned head_seen;
	_Alignas(64) _Atomic unsigned head; /* consumer's line */
	unsigned tail_seen;
	_Alignas(64) struct msg *slot[RING];
};

struct msg {
	struct msg *next;
	struct ss_waiter w; /* on the receiver: the call, then the wait for its future */
	ss_state *out;	    /* on the sender */
	ss_result r;
	ss_cont_fn fn;
	uint32_t from, to;
	uint32_t size;
	_Alignas(16) char cap[];
};

struct outbox {
	struct ring *ring;
	struct msg *head, **tail;
	unsigned n;
};

struct ss_links {
	unsigned n;
	struct outbox *requests, *responses;	   /* by receiving shard */
	struct ring **in_requests, **in_responses; /* by sending shard */
};

static void outbox_init(struct outbox *o, struct ring *r)
{
	o->ring = r;
	o->head = NULL;
	o->tail = &o->head;
	o->n = 0;
}

/* Move what fits into the ring and let the receiver know. */
static bool outbox_flush(struct outbox *o, unsigned to)
{
	struct ring *r = o->ring;
	unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed), start = tail;

	while (o->head) {
		if (tail - r->head_seen == RING) {
			r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
			if (tail - r->head_seen == RING)
				break;
		}
		/* The item is the receiver's from the release below on: its link is read first. */
		r->slot[tail++ % RING] = o->head;
		o->head = o->head->next;
		o->n--;
	}
	if (!o->head)
		o->tail = &o->head;
	if (tail == start)
		return false;
	atomic_store_explicit(&r->tail, tail, memory_order_release);
	ss_fence();
	if (atomic_load_explicit(&ss_rt->reactor[to]->sleeping, memory_order_relaxed) &&
	    atomic_exchange(&ss_rt->reactor[to]->sleeping, 0))
		ss_reactor_wake(ss_rt->reactor[to]);
	return true;
}

static void outbox_put(struct outbox *o, struct msg *m, unsigned to)
{
	m->next = NULL;
	*o->tail = m;
	o->tail = &m->next;
	if (++o->n >= BATCH)
		outbox_flush(o, to);
}

static struct msg *ring_take(struct ring *r)
{
	unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct msg *m;

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			return NULL;
	}
	m = r->slot[head % RING];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return m;
}

static bool ring_empty(struct ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_relaxed) ==
	       atomic_load_explicit(&r->tail, memory_order_acquire);
}

static void respond(struct msg *m, ss_result r)
{
	m->r = r;
	outbox_put(&ss_re()->links->responses[m->from], m, m->from);
}

static void msg_ready(ss_task *t)
{
	struct msg *m = ss_container_of(t, struct msg, w.task);

	respond(m, ss_waiter_take(&m->w));
}

static void msg_run(ss_task *t)
{
	struct msg *m = ss_container_of(t, struct msg, w.task);
	ss_result r;

	t->run = msg_ready;
	if (ss_wait_on(&m->w, m->fn(m->cap, (ss_result){.i = 0, .err = 0}), &r))
		respond(m, r);
}

static bool receive(struct ss_links *l, unsigned from)
{
	struct msg *m;
	bool any = false;

	while ((m = ring_take(l->in_requests[from]))) {
		/* The group is the sender's choice: it rides in the task. */
		m->w.task.run = msg_run;
		ss_schedule(&m->w.task);
		any = true;
	}
	while ((m = ring_take(l->in_responses[from]))) {
		ss_state *out = m->out;
		ss_result r = m->r;

		ss_cell_free(m, sizeof(*m) + m->size);
		ss_state_set(out, r);
		any = true;
	}
	return any;
}

bool ss_links_poll(struct ss_reactor *re)
{
	struct ss_links *l = re->links;
	bool any = false;

	for (unsigned i = 0; i < l->n; i++) {
		if (i == re->shard.id)
			continue;
		any |= receive(l, i);
		if (l->requests[i].head)
			any |= outbox_flush(&l->requests[i], i);
		if (l->responses[i].head)
			any |= outbox_flush(&l->responses[i], i);
	}
	return any;
}

bool ss_links_pending(struct ss_reactor *re)
{
	struct ss_links *l = re->links;

	if (!l)
		return false;
	for (unsigned i = 0; i < l->n; i++) {
		if (i == re->shard.id)
			continue;
		if (!ring_empty(l->in_requests[i]) || !ring_empty(l->in_responses[i]))
			return true;
		/* A full ring empties without a word: do not sleep on a backlog. */
		if (l->requests[i].head || l->responses[i].head)
			return true;
	}
	return false;
}

ss_future ss_smp_submit_(unsigned shard, ss_cont_fn fn, const void *cap, size_t size)
{
	struct ss_shard *sh = ss_self;
	struct msg *m;
	ss_future f;

	if (shard >= ss_rt->n)
		return ss_fail_msg(-EINVAL, "no such shard");
	if (shard == sh->id)
		return ss_chain(ss_ok(0), fn, cap, size, SS_KIND_THEN);
	m = ss_cell_alloc(sizeof(*m) + size);
	if (!m)
		return ss_fail(-ENOMEM);
	f = ss_pending(&m->out);
	if (!m->out) {
		ss_cell_free(m, sizeof(*m) + size);
		return f;
	}
	ss_task_init(&m->w.task, msg_run);
	m->w.in = NULL;
	m->fn = fn;
	m->from = sh->id;
	m->to = shard;
	m->size = (uint32_t)size;
	memcpy(m->cap, cap, size);
	sh->smp_sent++;
	outbox_put(&ss_re()->links->requests[shard], m, shard);
	return f;
}

ss_future ss_smp_invoke_all_(ss_cont_fn fn, const void *cap, size_t size)
{
	ss_future fs[SS_MAX_SHARDS];
	unsigned n = ss_rt->n;

	for (unsigned i = 0; i < n; i++)
		fs[i] = ss_smp_submit_(i, fn, cap, size);
	return ss_when_all(fs, n, NULL);
}

static void *lines(size_t n, size_t size)
{
	void *p = aligned_alloc(64, (n * size + 63) / 64 * 64);

	if (p)
		memset(p, 0, n * size);
	return p;
}

static int links_init_one(struct ss_runtime *rt, struct ss_links *l)
{
	unsigned n = rt->n;

	l->n = n;
	l->requests = lines(n, sizeof(struct outbox));
	l->responses = lines(n, sizeof(struct outbox));
	l->in_requests = lines(n, sizeof(struct ring *));
	l->in_responses = lines(n, sizeof(struct ring *));
	if (!l->requests || !l->responses || !l->in_requests || !l->in_responses)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct ring *rq = lines(1, sizeof(*rq)), *rs = lines(1, sizeof(*rs));

		outbox_init(&l->requests[i], rq);
		outbox_init(&l->responses[i], rs);
		if (!rq || !rs)
			return -ENOMEM;
	}
	return 0;
}

int ss_links_init(struct ss_runtime *rt)
{
	for (unsigned i = 0; i < rt->n; i++) {
		struct ss_links *l = lines(1, sizeof(*l));

		rt->reactor[i]->links = l;
		if (!l || links_init_one(rt, l))
			return -ENOMEM;
	}
	for (unsigned i = 0; i < rt->n; i++)
		for (unsigned j = 0; j < rt->n; j++) {
			struct ss_links *from = rt->reactor[i]->links, *to = rt->reactor[j]->links;

			to->in_requests[i] = from->requests[j].ring;
			to->in_responses[i] = from->responses[j].ring;
		}
	return 0;
}

static void links_free(struct ss_links *l)
{
	for (unsigned i = 0; l->requests && i < l->n; i++)
		free(l->requests[i].ring);
	for (unsigned i = 0; l->responses && i < l->n; i++)
		free(l->responses[i].ring);
	free(l->requests);
	free(l->responses);
	free(l->in_requests);
	free(l->in_responses);
	free(l);
}

void ss_links_fini(struct ss_runtime *rt)
{
	for (unsigned i = 0; i < rt->n; i++) {
		if (!rt->reactor[i])
			continue;
		if (rt->reactor[i]->links)
			links_free(rt->reactor[i]->links);
		rt->reactor[i]->links = NULL;
	}
}
