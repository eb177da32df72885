/* SPDX-License-Identifier: BSD-3-Clause */
/* Semaphores, gates, reader-writer locks and condition variables. */
#include "shard.h"

#include <seastar/loop.h>

static const ss_result done = {.i = 0, .err = 0};

/* Semaphores: strictly first come, first served, so a big request is not starved by small ones. */

static void sem_serve(ss_sem *s)
{
	while (s->queue.head && s->queue.head->arg <= s->count) {
		s->count -= s->queue.head->arg;
		ss_waitq_wake(&s->queue, done);
	}
}

/* Who gave up may have stood before others that can be served. */
static void sem_gone(ss_waitq *q)
{
	sem_serve(ss_container_of(q, ss_sem, queue));
}

bool ss_sem_try_wait(ss_sem *s, int64_t n)
{
	if (s->broken || s->queue.head || s->count < n)
		return false;
	s->count -= n;
	return true;
}

ss_future ss_sem_wait_opts(ss_sem *s, int64_t n, const ss_wait_opts *opts)
{
	if (s->broken)
		return ss_fail(s->broken);
	if (ss_sem_try_wait(s, n))
		return ss_ok(0);
	return ss_waitq_wait(&s->queue, n, NULL, opts, sem_gone);
}

ss_future ss_sem_wait(ss_sem *s, int64_t n)
{
	return ss_sem_wait_opts(s, n, NULL);
}

void ss_sem_consume(ss_sem *s, int64_t n)
{
	s->count -= n;
}

void ss_sem_signal(ss_sem *s, int64_t n)
{
	s->count += n;
	sem_serve(s);
}

void ss_sem_break(ss_sem *s, int err)
{
	s->broken = err;
	ss_waitq_wake_all(&s->queue, (ss_result){.msg = "semaphore broken", .err = err});
}

size_t ss_sem_waiters(const ss_sem *s)
{
	return ss_waitq_length(&s->queue);
}

SS_CONT(units_taken, ss_sem *s; int64_t n; ss_units * out;)
{
	if (r.err)
		return ss_ready(r);
	*self->out = (ss_units){.sem = self->s, .n = self->n};
	return ss_ok(0);
}

ss_future ss_get_units(ss_sem *s, int64_t n, ss_units *out)
{
	out->sem = NULL;
	if (ss_sem_try_wait(s, n)) {
		*out = (ss_units){.sem = s, .n = n};
		return ss_ok(0);
	}
	/* Wrapped, not then: once the units are taken, noting them must not fail. */
	return ss_then_wrapped(ss_sem_wait(s, n), units_taken, s, n, out);
}

void ss_units_release(ss_units *u)
{
	ss_sem *s = u->sem;

	u->sem = NULL;
	if (s)
		ss_sem_signal(s, u->n);
}

/* The header of a call whose captures follow it. */
struct guarded {
	void *object;
	int64_t n;
	ss_cont_fn fn;
	size_t size;
	_Alignas(16) char cap[];
};

static struct guarded *guarded_new(
    void *object, int64_t n, ss_cont_fn fn, const void *cap, size_t size)
{
	struct guarded *g = ss_cell_alloc(sizeof(*g) + size);

	if (!g)
		return NULL;
	g->object = object;
	g->n = n;
	g->fn = fn;
	g->size = size;
	memcpy(g->cap, cap, size);
	return g;
}

static void guarded_free(struct guarded *g)
{
	ss_cell_free(g, sizeof(*g) + g->size);
}

SS_CONT(sem_after, struct guarded *g;)
{
	ss_sem_signal(self->g->object, self->g->n);
	guarded_free(self->g);
	return ss_ok(0);
}

SS_CONT(sem_got, struct guarded *g;)
{
	struct guarded *g = self->g;

	if (r.err) {
		guarded_free(g);
		return ss_ready(r);
	}
	return ss_finally(g->fn(g->cap, r), sem_after, g);
}

ss_future ss_with_semaphore_(ss_sem *s, int64_t n, ss_cont_fn fn, const void *cap, size_t size)
{
	struct guarded *g = guarded_new(s, n, fn, cap, size);

	if (!g)
		return ss_fail(-ENOMEM);
	return ss_then_wrapped(ss_sem_wait(s, n), sem_got, g);
}

/* Gates */

const char ss_gate_closed_text[] = "gate closed";

int ss_gate_enter(ss_gate *g)
{
	if (g->closed)
		return -ESHUTDOWN;
	g->count++;
	return 0;
}

void ss_gate_leave(ss_gate *g)
{
	if (--g->count == 0 && g->closed)
		ss_promise_set(&g->closing, 0);
}

ss_future ss_gate_close(ss_gate *g)
{
	g->closed = true;
	if (!g->count)
		return ss_ok(0);
	return ss_promise_get_future(&g->closing);
}

SS_CONT(gate_after, ss_gate *g;)
{
	ss_gate_leave(self->g);
	return ss_ok(0);
}

ss_future ss_with_gate_(ss_gate *g, ss_cont_fn fn, const void *cap, size_t size)
{
	ss_future f;

	if (ss_gate_enter(g))
		return ss_gate_closed();
	f = ss_chain(ss_ok(0), fn, cap, size, SS_KIND_THEN);
	return ss_finally(f, gate_after, g);
}

/* Reader-writer lock. arg of a waiter: 1 for the writer, 0 for a reader. */

static void rwlock_serve(ss_rwlock *l)
{
	while (l->queue.head) {
		bool writer = l->queue.head->arg;

		if (writer ? l->holders != 0 : l->holders < 0)
			break;
		l->holders = writer ? -1 : l->holders + 1;
		ss_waitq_wake(&l->queue, done);
	}
}

ss_future ss_rwlock_read(ss_rwlock *l)
{
	if (l->queue.head || l->holders < 0)
		return ss_waitq_wait(&l->queue, 0, NULL, NULL, NULL);
	l->holders++;
	return ss_ok(0);
}

ss_future ss_rwlock_write(ss_rwlock *l)
{
	if (l->queue.head || l->holders)
		return ss_waitq_wait(&l->queue, 1, NULL, NULL, NULL);
	l->holders = -1;
	return ss_ok(0);
}

void ss_rwlock_read_unlock(ss_rwlock *l)
{
	l->holders--;
	rwlock_serve(l);
}

void ss_rwlock_write_unlock(ss_rwlock *l)
{
	l->holders = 0;
	rwlock_serve(l);
}

/* Condition variables */

ss_future ss_condvar_wait(ss_condvar *cv, const ss_wait_opts *opts)
{
	if (cv->broken)
		return ss_fail(cv->broken);
	return ss_waitq_wait(&cv->queue, 0, NULL, opts, NULL);
}

SS_CONT(until_step, ss_condvar *cv; bool (*pred)(void *); void *arg;)
{
	if (self->pred(self->arg))
		return SS_STOP;
	return ss_condvar_wait(self->cv, NULL);
}

ss_future ss_condvar_wait_until(ss_condvar *cv, bool (*pred)(void *), void *arg)
{
	if (pred(arg))
		return ss_ok(0);
	return ss_repeat(until_step, cv, pred, arg);
}

bool ss_condvar_signal(ss_condvar *cv)
{
	if (!cv->queue.head)
		return false;
	ss_waitq_wake(&cv->queue, done);
	return true;
}

void ss_condvar_broadcast(ss_condvar *cv)
{
	ss_waitq_wake_all(&cv->queue, done);
}

void ss_condvar_break(ss_condvar *cv, int err)
{
	cv->broken = err;
	ss_waitq_wake_all(&cv->queue, (ss_result){.msg = "condition variable broken", .err = err});
}
