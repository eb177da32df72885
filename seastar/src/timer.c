/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of a shard: a pairing heap whose links are in the timers, so arming never needs memory.
 * The tree is kept as first-child / next-sibling; prev is the left sibling, or the parent for a
 * first child.
 */
#include "shard.h"

#include <time.h>

uint64_t ss_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SS_SEC + (uint64_t)t.tv_nsec;
}

uint64_t ss_now_coarse(void)
{
	return ss_self->now;
}

static inline bool before(const ss_timer *a, const ss_timer *b)
{
	return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

/* Join two roots; either may be NULL. */
static ss_timer *meld(ss_timer *a, ss_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		ss_timer *t = a;

		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	a->next = a->prev = NULL;
	return a;
}

/* Join the children of a removed node: pairs from the left, then all from the right. */
static ss_timer *merge_pairs(ss_timer *first)
{
	ss_timer *pairs = NULL, *root = NULL;

	while (first) {
		ss_timer *a = first, *b = a->next, *m;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		m = meld(a, b);
		m->next = pairs;
		pairs = m;
	}
	while (pairs) {
		ss_timer *m = pairs;

		pairs = m->next;
		m->next = NULL;
		root = meld(root, m);
	}
	return root;
}

static void heap_remove(struct ss_shard *sh, ss_timer *t)
{
	ss_timer *rest = merge_pairs(t->child);

	if (t == sh->timers) {
		sh->timers = rest;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		sh->timers = meld(sh->timers, rest);
	}
	t->child = t->next = t->prev = NULL;
	t->armed = false;
}

static void heap_insert(struct ss_shard *sh, ss_timer *t)
{
	t->child = t->next = t->prev = NULL;
	t->seq = sh->timer_seq++;
	t->armed = true;
	sh->timers = meld(sh->timers, t);
}

void ss_timer_init(ss_timer *t, void (*fn)(ss_timer *))
{
	*t = (ss_timer){.fn = fn};
}

void ss_timer_arm_at(ss_timer *t, uint64_t deadline)
{
	struct ss_shard *sh = ss_self;

	if (t->armed)
		heap_remove(sh, t);
	t->deadline = deadline;
	t->period = 0;
	heap_insert(sh, t);
}

void ss_timer_arm(ss_timer *t, uint64_t ns)
{
	uint64_t now = ss_now();

	ss_timer_arm_at(t, ns < UINT64_MAX - now ? now + ns : UINT64_MAX);
}

void ss_timer_arm_periodic(ss_timer *t, uint64_t period)
{
	ss_timer_arm(t, period);
	t->period = period;
}

bool ss_timer_cancel(ss_timer *t)
{
	if (!t->armed)
		return false;
	heap_remove(ss_self, t);
	return true;
}

uint64_t ss_timers_next(struct ss_shard *sh)
{
	return sh->timers ? sh->timers->deadline : UINT64_MAX;
}

bool ss_timers_run(struct ss_shard *sh)
{
	bool any = false;

	/* A timer that fires and re-arms itself for at once waits for the next turn. */
	uint64_t limit = sh->timer_seq;

	while (sh->timers && sh->timers->deadline <= sh->now && sh->timers->seq < limit) {
		ss_timer *t = sh->timers;

		heap_remove(sh, t);
		if (t->period) {
			t->deadline += t->period;
			if (t->deadline <= sh->now)
				t->deadline = sh->now + t->period;
			heap_insert(sh, t);
		}
		t->fn(t);
		any = true;
	}
	return any;
}

/* The state of the future and its timer in one object, which goes with the state. */
struct sleep {
	ss_state out;
	ss_timer timer;
};

static void sleep_over(ss_timer *t)
{
	ss_state_set(&ss_container_of(t, struct sleep, timer)->out, (ss_result){.i = 0, .err = 0});
}

ss_future ss_sleep(uint64_t ns)
{
	struct sleep *sl = ss_cell_alloc(sizeof(*sl));

	if (!sl)
		return ss_fail(-ENOMEM);
	ss_state_init(&sl->out, sizeof(*sl));
	ss_timer_init(&sl->timer, sleep_over);
	ss_timer_arm(&sl->timer, ns);
	return ss_state_future(&sl->out);
}

struct waitq_holder {
	ss_waitq q;
};

SS_CONT(slept, struct waitq_holder *h;)
{
	ss_cell_free(self->h, sizeof(*self->h));
	return r.err == -ETIMEDOUT ? ss_ok(0) : ss_ready(r);
}

ss_future ss_sleep_abortable(uint64_t ns, ss_abort *as)
{
	ss_wait_opts opts = {.timeout_ns = ns ? ns : 1, .abort = as};
	struct waitq_holder *h = ss_cell_alloc(sizeof(*h));

	if (!h)
		return ss_fail(-ENOMEM);
	h->q = (ss_waitq){NULL, NULL};
	return ss_then_wrapped(ss_waitq_wait(&h->q, 0, NULL, &opts, NULL), slept, h);
}
