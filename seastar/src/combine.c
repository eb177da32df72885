/* SPDX-License-Identifier: BSD-3-Clause */
/* Combinators: all of several futures, any of them, one with a limit, one shared by many. */
#include "shard.h"

struct all_item {
	struct ss_waiter w;
	struct all *all;
};

struct all {
	ss_state out;
	size_t n, pending;
	ss_result *results;
	ss_result first_error;
	struct all_item items[];
};

static void all_note(struct all *a, size_t i, ss_result r)
{
	if (a->results)
		a->results[i] = r;
	else if (r.err && !a->first_error.err)
		a->first_error = r;
}

static void all_item_run(ss_task *t)
{
	struct all_item *it = ss_container_of(t, struct all_item, w.task);
	struct all *a = it->all;

	all_note(a, (size_t)(it - a->items), ss_waiter_take(&it->w));
	if (--a->pending == 0)
		ss_state_set(&a->out, a->first_error);
}

/* No memory to wait with: the futures go on without anybody waiting for them. */
static ss_future detach_all(const ss_future *fs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ss_detach(fs[i]);
	return ss_fail(-ENOMEM);
}

static ss_future all_ready(const ss_future *fs, size_t n, ss_result *results)
{
	ss_result first = {.i = 0, .err = 0};

	for (size_t i = 0; i < n; i++) {
		ss_result r = {.i = 0, .err = 0};

		ss_take_inline(fs[i], &r);
		if (results)
			results[i] = r;
		else if (r.err && !first.err)
			first = r;
	}
	return ss_ready(first);
}

ss_future ss_when_all(const ss_future *fs, size_t n, ss_result *results)
{
	size_t size = sizeof(struct all) + n * sizeof(struct all_item), done = 0;
	struct all *a;

	while (done < n && ss_available(fs[done]))
		done++;
	if (done == n)
		return all_ready(fs, n, results);
	a = ss_cell_alloc(size);
	if (!a)
		return detach_all(fs, n);
	ss_state_init(&a->out, size);
	a->n = n;
	a->pending = 0;
	a->results = results;
	a->first_error = (ss_result){.i = 0, .err = 0};
	for (size_t i = 0; i < n; i++) {
		ss_result r;

		a->items[i].all = a;
		ss_task_init(&a->items[i].w.task, all_item_run);
		if (ss_wait_on(&a->items[i].w, fs[i], &r))
			all_note(a, i, r);
		else
			a->pending++;
	}
	return ss_state_future(&a->out);
}

struct any_item {
	struct ss_waiter w;
	struct any *any;
};

struct any {
	ss_state *out;
	ss_future *fs;
	size_t n, scheduled; /* items whose task is on its way */
	struct any_item items[];
};

/* The first is done: hand the futures back, with the states they have by now. */
static void any_done(struct any *a, size_t winner)
{
	a->scheduled = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct ss_waiter *w = &a->items[i].w;

		if (!w->in)
			continue;
		a->fs[i].r.s = w->in;
		if (w->in->waiter == w)
			w->in->waiter = NULL;
		else if (i != winner)
			a->scheduled++;
	}
	ss_state_set(a->out, (ss_result){.i = (int64_t)winner, .err = 0});
	a->out = NULL;
}

static void any_item_run(ss_task *t)
{
	struct any_item *it = ss_container_of(t, struct any_item, w.task);
	struct any *a = it->any;

	if (a->out)
		any_done(a, (size_t)(it - a->items));
	else
		a->scheduled--;
	if (!a->scheduled)
		ss_cell_free(a, sizeof(*a) + a->n * sizeof(struct any_item));
}

ss_future ss_when_any(ss_future *fs, size_t n)
{
	size_t size = sizeof(struct any) + n * sizeof(struct any_item);
	struct any *a;
	ss_future f;
	ss_state *s;

	for (size_t i = 0; i < n; i++)
		if (ss_available(fs[i]))
			return ss_ok((int64_t)i);
	f = ss_pending(&s);
	if (!s)
		return f;
	a = ss_cell_alloc(size);
	if (!a) {
		ss_state_free(s);
		return ss_fail(-ENOMEM);
	}
	a->out = s;
	a->fs = fs;
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		a->items[i].any = a;
		ss_task_init(&a->items[i].w.task, any_item_run);
		a->items[i].w.in = fs[i].r.s;
		fs[i].r.s->waiter = &a->items[i].w;
	}
	return f;
}

/* A wait that ends early: the late result finds `out` empty and is dropped. */
struct limit {
	struct ss_waiter w;
	ss_state *out;
	ss_timer timer;
	ss_abort_sub sub;
};

static void limit_end(struct limit *l, ss_result r)
{
	ss_state *out = l->out;

	l->out = NULL;
	ss_timer_cancel(&l->timer);
	ss_abort_unsubscribe(&l->sub);
	ss_state_set(out, r);
}

static void limit_ready(ss_task *t)
{
	struct limit *l = ss_container_of(t, struct limit, w.task);
	ss_result r = ss_waiter_take(&l->w);

	if (l->out)
		limit_end(l, r);
	ss_cell_free(l, sizeof(*l));
}

static void limit_timeout(ss_timer *t)
{
	limit_end(
	    ss_container_of(t, struct limit, timer), (ss_result){.msg = NULL, .err = -ETIMEDOUT});
}

static void limit_abort(ss_abort_sub *sub)
{
	limit_end(ss_container_of(sub, struct limit, sub),
	    (ss_result){.msg = NULL, .err = ss_abort_check(sub->source)});
}

static ss_future limited(ss_future f, uint64_t ns, ss_abort *as)
{
	struct limit *l;
	ss_future out;
	ss_result r;

	if (ss_available(f))
		return f;
	l = ss_cell_alloc(sizeof(*l));
	if (!l) {
		ss_detach(f);
		return ss_fail(-ENOMEM);
	}
	memset(l, 0, sizeof(*l));
	out = ss_pending(&l->out);
	if (!l->out) {
		ss_cell_free(l, sizeof(*l));
		ss_detach(f);
		return out;
	}
	ss_task_init(&l->w.task, limit_ready);
	ss_timer_init(&l->timer, limit_timeout);
	ss_wait_on(&l->w, f, &r);
	if (as)
		ss_abort_subscribe(as, &l->sub, limit_abort);
	else
		ss_timer_arm(&l->timer, ns);
	return out;
}

ss_future ss_with_timeout(ss_future f, uint64_t ns)
{
	return limited(f, ns, NULL);
}

ss_future ss_with_abort(ss_future f, ss_abort *as)
{
	if (ss_abort_check(as) && !ss_available(f)) {
		ss_ignore(f);
		return ss_fail(ss_abort_check(as));
	}
	return limited(f, 0, as);
}

struct shared_watch {
	struct ss_waiter w;
	ss_shared *sh;
};

static void shared_ready(ss_task *t)
{
	struct shared_watch *w = ss_container_of(t, struct shared_watch, w.task);
	ss_result r = ss_waiter_take(&w->w);
	ss_shared *sh = w->sh;

	ss_cell_free(w, sizeof(*w));
	sh->watch = NULL;
	ss_shared_resolve(sh, r);
}

void ss_shared_init_promise(ss_shared *sh)
{
	*sh = (ss_shared){.r = {.s = NULL, .err = SS_PENDING}};
}

int ss_shared_init(ss_shared *sh, ss_future f)
{
	struct shared_watch *w;

	ss_shared_init_promise(sh);
	if (ss_take_inline(f, &sh->r))
		return 0;
	w = ss_cell_alloc(sizeof(*w));
	if (!w) {
		ss_detach(f);
		return -ENOMEM;
	}
	ss_task_init(&w->w.task, shared_ready);
	w->sh = sh;
	sh->watch = w;
	ss_wait_on(&w->w, f, &sh->r);
	return 0;
}

void ss_shared_resolve(ss_shared *sh, ss_result r)
{
	ss_waitq q = {sh->head, sh->tail};
	struct ss_waitn *n;

	if (sh->r.err != SS_PENDING)
		return;
	sh->r = r;
	sh->head = sh->tail = NULL;
	for (n = q.head; n; n = n->next)
		n->q = &q;
	ss_waitq_wake_all(&q, r);
}

ss_future ss_shared_get(ss_shared *sh)
{
	ss_waitq q = {sh->head, sh->tail};
	ss_future f;

	if (sh->r.err != SS_PENDING)
		return ss_ready(sh->r);
	f = ss_waitq_wait(&q, 0, NULL, NULL, NULL);
	sh->head = q.head;
	sh->tail = q.tail;
	return f;
}
