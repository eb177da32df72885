/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Futures and chains of continuations.
 *
 * A chain is one state. Attaching a continuation to a pending future appends it to that state and
 * hands back the same state as the new future. When the operation is done the state's task runs the
 * continuations one after another until one of them returns a pending future; then the state waits
 * for that. If the state has nothing left to do but pass on the result, it is spliced out: its
 * waiter waits for the inner state directly, so a loop written as a tail call does not grow.
 */
#include "shard.h"

/* A result no continuation may see: stands for a step that found no memory. */
static const ss_result out_of_memory = {.msg = NULL, .err = -ENOMEM};

void ss_state_init(ss_state *s, size_t object_size)
{
	size_t cells = (object_size + SS_CELL - 1) / SS_CELL;

	s->r = (ss_result){.s = NULL, .err = SS_PENDING};
	ss_task_init(&s->w.task, ss_state_run);
	s->w.task.cells = (uint8_t)(cells < 256 ? cells : 0);
	s->w.in = NULL;
	s->waiter = NULL;
	s->tail = NULL;
}

void ss_state_report(ss_result r)
{
	const char *name = strerrorname_np(-r.err);

	ss_self->ignored_failures++;
	ss_log(SS_LOG_WARN, "exceptional future ignored of type '%s': %s", name ? name : "?",
	    r.msg ? r.msg : strerror(-r.err));
}

uint64_t ss_ignored_failures(void)
{
	return ss_self->ignored_failures;
}

/* The chain has ended with r. */
static void state_finish(ss_state *s, ss_result r)
{
	if (ss_unlikely(s->w.task.flags & SS_STATE_OOM) && !r.err)
		r = out_of_memory;
	if (s->waiter) {
		struct ss_waiter *w = s->waiter;

		s->r = r;
		s->waiter = NULL;
		ss_schedule(&w->task);
	} else if (s->w.task.flags & SS_STATE_DETACHED) {
		if (r.err && !(s->w.task.flags & SS_STATE_SILENT))
			ss_state_report(r);
		ss_state_free(s);
	} else {
		s->r = r;
	}
}

void ss_state_set(ss_state *s, ss_result r)
{
	if (!s->tail) {
		state_finish(s, r);
		return;
	}
	s->r = r;
	ss_schedule(&s->w.task);
}

/* A continuation of a finally() decides only whether the chain fails. */
SS_CONT(restore, ss_result before;)
{
	return ss_ready(r.err && !self->before.err ? r : self->before);
}

ss_future ss_finally_end_(ss_future f, ss_result before)
{
	ss_result r;

	if (ss_take_inline(f, &r))
		return ss_ready(r.err && !before.err ? r : before);
	return ss_then_wrapped(f, restore, .before = before);
}

static inline bool skipped(enum ss_cont_kind kind, ss_result r)
{
	return (kind == SS_KIND_THEN && r.err) || (kind == SS_KIND_ERROR && !r.err);
}

static inline ss_future call(
    struct ss_shard *sh, ss_cont_fn fn, void *cap, ss_result r, enum ss_cont_kind kind)
{
	ss_future f;

	sh->turn.depth++;
	f = fn(cap, r);
	sh->turn.depth--;
	if (kind == SS_KIND_FINALLY)
		f = ss_finally_end_(f, r);
	return f;
}

/* Nothing is left to do for s but wait for inner: let whoever waits for s wait for inner. */
static bool splice(ss_state *s, ss_state *inner)
{
	uint8_t flags = s->w.task.flags;

	if (s->tail || (flags & SS_STATE_OOM))
		return false;
	if (s->waiter) {
		inner->waiter = s->waiter;
		inner->waiter->in = inner;
	} else if (flags & SS_STATE_DETACHED) {
		inner->w.task.flags |= flags & (SS_STATE_DETACHED | SS_STATE_SILENT);
	} else {
		return false;
	}
	ss_state_free(s);
	return true;
}

static struct ss_cont *pop(ss_state *s)
{
	struct ss_cont *first = s->tail->next;

	if (first == s->tail)
		s->tail = NULL;
	else
		s->tail->next = first->next;
	return first;
}

static inline void cont_free(struct ss_cont *c)
{
	ss_cell_free(c, sizeof(*c) + c->size);
}

void ss_state_run(ss_task *t)
{
	struct ss_shard *sh = ss_self;
	ss_state *s = ss_container_of(t, ss_state, w.task);
	ss_result r = s->w.in ? ss_waiter_take(&s->w) : ss_load(&s->r);

	s->r.err = SS_PENDING;
	while (s->tail) {
		struct ss_cont *c;
		ss_future f;

		if (ss_unlikely(s->w.task.flags & SS_STATE_OOM)) {
			s->w.task.flags &= (uint8_t)~SS_STATE_OOM;
			if (!r.err)
				r = out_of_memory;
		}
		c = pop(s);
		if (c->oom_after)
			s->w.task.flags |= SS_STATE_OOM;
		if (skipped(c->kind, r)) {
			cont_free(c);
			continue;
		}
		f = call(sh, c->fn, c->cap, r, c->kind);
		cont_free(c);
		if (!ss_take_inline(f, &r)) {
			if (!splice(s, f.r.s)) {
				s->w.in = f.r.s;
				f.r.s->waiter = &s->w;
			}
			return;
		}
		if (s->tail && ss_preempt(sh)) {
			s->r = r;
			ss_schedule(&s->w.task);
			return;
		}
	}
	state_finish(s, r);
}

static bool append(ss_state *s, ss_cont_fn fn, const void *cap, size_t size, enum ss_cont_kind kind)
{
	struct ss_cont *c = kind == SS_KIND_THEN ? ss_cell_alloc(sizeof(*c) + size)
						 : ss_cell_alloc_sure(sizeof(*c) + size);

	if (ss_unlikely(!c))
		return false;
	c->fn = fn;
	c->size = (uint32_t)size;
	c->kind = (uint8_t)kind;
	c->oom_after = 0;
	memcpy(c->cap, cap, size);
	if (s->tail) {
		c->next = s->tail->next;
		s->tail->next = c;
	} else {
		c->next = c;
	}
	s->tail = c;
	return true;
}

/* Let a continuation of a ready result have its turn later. */
static ss_future defer(
    ss_result r, ss_cont_fn fn, const void *cap, size_t size, enum ss_cont_kind kind)
{
	ss_state *s;
	ss_future f = ss_pending(&s);

	if (!s || !append(s, fn, cap, size, kind)) {
		if (s)
			ss_state_free(s);
		return call(ss_self, fn, (void *)(uintptr_t)cap, r, kind);
	}
	s->r = r;
	ss_schedule(&s->w.task);
	return f;
}

ss_future ss_chain(ss_future f, ss_cont_fn fn, const void *cap, size_t size, enum ss_cont_kind kind)
{
	struct ss_shard *sh = ss_self;
	ss_result r;

	if (ss_likely(ss_take_inline(f, &r))) {
		if (skipped(kind, r))
			return ss_ready(r);
		if (ss_likely(!ss_preempt(sh) && sh->turn.depth < SS_MAX_DEPTH_))
			return call(sh, fn, (void *)(uintptr_t)cap, r, kind);
		return defer(r, fn, cap, size, kind);
	}
	if (ss_unlikely(!append(f.r.s, fn, cap, size, kind))) {
		if (f.r.s->tail)
			f.r.s->tail->oom_after = 1;
		else
			f.r.s->w.task.flags |= SS_STATE_OOM;
	}
	return f;
}

bool ss_available(ss_future f)
{
	return f.r.err != SS_PENDING || (f.r.s->r.err != SS_PENDING && !f.r.s->tail);
}

bool ss_take(ss_future f, ss_result *out)
{
	return ss_take_inline(f, out);
}

static void drop(ss_future f, uint8_t flags)
{
	ss_result r;

	if (!ss_take_inline(f, &r))
		f.r.s->w.task.flags |= flags;
	else if (r.err && !(flags & SS_STATE_SILENT))
		ss_state_report(r);
}

void ss_detach_(ss_future f)
{
	drop(f, SS_STATE_DETACHED);
}

void ss_ignore(ss_future f)
{
	drop(f, SS_STATE_DETACHED | SS_STATE_SILENT);
}

bool ss_need_preempt(void)
{
	return ss_preempt(ss_self);
}

static void yield_run(ss_task *t)
{
	ss_state *s = ss_container_of(t, ss_state, w.task);
	struct ss_waiter *w = s->waiter;

	/* From here on it is an ordinary chain whose first step just ended. */
	t->run = ss_state_run;
	s->r = (ss_result){.i = 0, .err = 0};
	if (s->tail) {
		ss_state_run(t);
	} else if (w && w->task.group == t->group) {
		/* This task's turn is all the waiter waited for: no need to queue it again. */
		s->waiter = NULL;
		w->task.run(&w->task);
	} else {
		state_finish(s, s->r);
	}
}

ss_future ss_yield(void)
{
	ss_state *s;
	ss_future f = ss_pending(&s);

	if (ss_likely(s != NULL)) {
		s->w.task.run = yield_run;
		ss_schedule(&s->w.task);
	}
	return f;
}

ss_future ss_promise_get_future(ss_promise *p)
{
	if (p->set)
		return ss_ready(p->r);
	return ss_pending(&p->s);
}

void ss_promise_set_result(ss_promise *p, ss_result r)
{
	ss_state *s = p->s;

	if (p->set)
		return;
	p->set = true;
	p->s = NULL;
	p->r = r;
	if (s)
		ss_state_set(s, r);
}

void ss_promise_set(ss_promise *p, int64_t i)
{
	ss_promise_set_result(p, (ss_result){.i = i, .err = 0});
}

void ss_promise_set_ptr(ss_promise *p, void *ptr)
{
	ss_promise_set_result(p, (ss_result){.p = ptr, .err = 0});
}

void ss_promise_fail(ss_promise *p, int err, const char *msg)
{
	ss_promise_set_result(p, (ss_result){.msg = msg, .err = err});
}

void ss_promise_drop(ss_promise *p)
{
	if (p->s)
		ss_promise_fail(p, -ECANCELED, "broken promise");
}
