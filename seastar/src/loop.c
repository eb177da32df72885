/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loops over futures. A loop is one object: the state its caller may wait for, the wait for the
 * body's future, and the captures. A loop that never has to wait never shows that state to anybody.
 */
#include "shard.h"

#include <seastar/loop.h>

struct repeat {
	ss_state out;
	struct ss_waiter w;
	ss_cont_fn fn;
	bool forever;
	_Alignas(16) char cap[];
};

/* One step gave r: true if the loop goes on. */
static inline bool repeat_again(const struct repeat *l, ss_result r)
{
	return !r.err && (l->forever || !r.i);
}

/* Run until the body has to wait (false) or the loop has ended with *r (true). */
static bool repeat_go(struct repeat *l, ss_result *r)
{
	struct ss_shard *sh = ss_self;

	for (;;) {
		ss_future f = l->fn(l->cap, (ss_result){.i = 0, .err = 0});

		if (ss_wait_on(&l->w, f, r) == false)
			return false;
		if (!repeat_again(l, *r))
			break;
		if (ss_unlikely(ss_preempt(sh))) {
			l->w.in = NULL;
			ss_schedule(&l->w.task);
			return false;
		}
	}
	if (!r->err)
		r->i = 0;
	return true;
}

static void repeat_run(ss_task *t)
{
	struct repeat *l = ss_container_of(t, struct repeat, w.task);
	ss_result r = {.i = 0, .err = 0};

	if (l->w.in) {
		r = ss_waiter_take(&l->w);
		if (!repeat_again(l, r)) {
			if (!r.err)
				r.i = 0;
			ss_state_set(&l->out, r);
			return;
		}
	}
	if (repeat_go(l, &r))
		ss_state_set(&l->out, r);
}

ss_future ss_repeat_(ss_cont_fn fn, const void *cap, size_t size, bool forever)
{
	struct repeat *l = ss_cell_alloc(sizeof(*l) + size);
	ss_result r;

	if (!l)
		return ss_fail(-ENOMEM);
	ss_state_init(&l->out, sizeof(*l) + size);
	ss_task_init(&l->w.task, repeat_run);
	l->fn = fn;
	l->forever = forever;
	memcpy(l->cap, cap, size);
	if (!repeat_go(l, &r))
		return ss_state_future(&l->out);
	ss_state_free(&l->out);
	return ss_ready(r);
}

/*
 * For-each loops. The loop starts bodies until the limit is reached; each body that waits has a
 * small item; the last one to end finishes the loop.
 */
struct each {
	ss_state out;
	ss_task task; /* to go on after giving way */
	int64_t next, end;
	uint64_t max, running;
	ss_result error;
	bool parked; /* task is scheduled */
	ss_cont_fn fn;
	_Alignas(16) char cap[];
};

struct each_item {
	struct ss_waiter w;
	struct each *loop;
};

static void each_item_run(ss_task *t);

static void each_note(struct each *l, ss_result r)
{
	if (r.err && !l->error.err)
		l->error = r;
}

/* Bodies run one at a time stop at the first error; unlimited ones all run. */
static inline bool each_more(const struct each *l)
{
	if (l->next >= l->end || (l->max && l->error.err))
		return false;
	return !l->max || l->running < l->max;
}

static inline bool each_over(const struct each *l)
{
	return !l->running && !l->parked && (l->next >= l->end || (l->max && l->error.err));
}

static void each_start_one(struct each *l, struct each_item *it)
{
	ss_result r = {.i = l->next++, .err = 0};
	ss_future f = l->fn(l->cap, r);

	if (ss_take_inline(f, &r)) {
		each_note(l, r);
		ss_cell_free(it, sizeof(*it));
		return;
	}
	ss_task_init(&it->w.task, each_item_run);
	it->loop = l;
	it->w.in = f.r.s;
	f.r.s->waiter = &it->w;
	l->running++;
}

static void each_go(struct each *l)
{
	struct ss_shard *sh = ss_self;

	while (each_more(l)) {
		struct each_item *it = ss_cell_alloc(sizeof(*it));

		if (!it) {
			each_note(l, (ss_result){.msg = NULL, .err = -ENOMEM});
			l->next = l->end;
			break;
		}
		each_start_one(l, it);
		if (ss_unlikely(ss_preempt(sh)) && each_more(l)) {
			l->parked = true;
			ss_schedule(&l->task);
			break;
		}
	}
}

static void each_finish(struct each *l)
{
	ss_state_set(&l->out, l->error);
}

static void each_task_run(ss_task *t)
{
	struct each *l = ss_container_of(t, struct each, task);

	l->parked = false;
	each_go(l);
	if (each_over(l))
		each_finish(l);
}

static void each_item_run(ss_task *t)
{
	struct each_item *it = ss_container_of(t, struct each_item, w.task);
	struct each *l = it->loop;

	each_note(l, ss_waiter_take(&it->w));
	ss_cell_free(it, sizeof(*it));
	l->running--;
	if (!l->parked && each_more(l))
		each_go(l);
	if (each_over(l))
		each_finish(l);
}

ss_future ss_for_each_(
    int64_t lo, int64_t hi, uint64_t max, ss_cont_fn fn, const void *cap, size_t size)
{
	struct each *l;
	ss_result r;

	if (lo >= hi)
		return ss_ok(0);
	l = ss_cell_alloc(sizeof(*l) + size);
	if (!l)
		return ss_fail(-ENOMEM);
	ss_state_init(&l->out, sizeof(*l) + size);
	ss_task_init(&l->task, each_task_run);
	l->next = lo;
	l->end = hi;
	l->max = max;
	l->running = 0;
	l->error = (ss_result){.i = 0, .err = 0};
	l->parked = false;
	l->fn = fn;
	memcpy(l->cap, cap, size);
	each_go(l);
	if (!each_over(l))
		return ss_state_future(&l->out);
	r = l->error;
	ss_state_free(&l->out);
	return ss_ready(r);
}

/* do_with: the object follows the header. */
struct owned {
	size_t size;
	void (*dtor)(void *);
	_Alignas(16) char object[];
};

SS_CONT(owned_end, struct owned *o;)
{
	if (self->o->dtor)
		self->o->dtor(self->o->object);
	ss_cell_free(self->o, sizeof(*self->o) + self->o->size);
	return ss_ok(0);
}

ss_future ss_do_with_(size_t object_size, const void *init, void (*dtor)(void *), ss_cont_fn fn,
    const void *cap, size_t size)
{
	struct owned *o = ss_cell_alloc(sizeof(*o) + object_size);
	ss_future f;

	if (!o)
		return ss_fail(-ENOMEM);
	o->size = object_size;
	o->dtor = dtor;
	memcpy(o->object, init, object_size);
	f = ss_chain(ss_okp(o->object), fn, cap, size, SS_KIND_THEN);
	return ss_finally(f, owned_end, o);
}
