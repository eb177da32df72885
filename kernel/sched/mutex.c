/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lock-free sleeping mutex with hand-off, after Gidenstam and Papatriantafilou, "LFthreads: a
 * lock-free thread library" (2007), in the form described in the OSv paper (USENIX ATC 2014).
 *
 * `count` is the holder plus those who want the lock. Whoever raises it from 0 holds the lock.
 * Others push a waiter record (on their stack) and sleep until it is granted. Who unlocks and
 * leaves count above zero must pass the lock on: it pops the oldest waiter and grants it.
 *
 * The difficult moment: count says that somebody wants the lock, but the record is not pushed yet.
 * The unlocker does not spin. It publishes a token in `handoff` — "whoever pushes next may take
 * over my duty" — and looks at the queue once more. Either it finds the record now and takes the
 * token back (by compare-and-exchange; if that fails somebody else took the duty), or the locker
 * finds the token after its push and takes it (again by compare-and-exchange). Exactly one of them
 * wins, and the winner pops and grants.
 *
 * The queue has many pushers and, at a time, one popper: the one who has the duty to pass the lock
 * on. `push` is a stack, newest first; the popper moves it, reversed, to `pop`.
 */
#include "sched/sync.h"
#include "core/trace.h"

struct mutex_waiter {
	struct mutex_waiter *next;
	struct thread *thread;
	_Atomic bool granted;
};

static void push_waiter(struct mutex *m, struct mutex_waiter *w)
{
	struct mutex_waiter *head = atomic_load_explicit(&m->push, memory_order_relaxed);

	do
		w->next = head;
	while (!atomic_compare_exchange_weak(&m->push, &head, w));
}

static struct mutex_waiter *pop_waiter(struct mutex *m)
{
	struct mutex_waiter *w = atomic_load_explicit(&m->pop, memory_order_relaxed);

	if (!w) {
		struct mutex_waiter *newest = atomic_exchange(&m->push, NULL);
		while (newest) {
			struct mutex_waiter *next = newest->next;
			newest->next = w;
			w = newest;
			newest = next;
		}
		if (!w)
			return NULL;
	}
	atomic_store_explicit(&m->pop, w->next, memory_order_release);
	return w;
}

static bool queue_empty(struct mutex *m)
{
	return !atomic_load(&m->pop) && !atomic_load(&m->push);
}

/* After granted is set the record may be gone; the thread itself lives until a grace period has
 * passed. */
static void grant(struct mutex *m, struct mutex_waiter *w)
{
	struct thread *t = w->thread;

	m->owner = t;
	atomic_store_explicit(&w->granted, true, memory_order_release);
	thread_wake(t);
}

static void wait_granted(struct mutex_waiter *w)
{
	for (;;) {
		thread_prepare_wait();
		if (atomic_load(&w->granted))
			break;
		schedule();
	}
	thread_end_wait();
}

static void lock_contended(struct mutex *m)
{
	struct mutex_waiter me = {.thread = current_thread()};

	TRACE(mutex_lock_wait, "%p", m);
	push_waiter(m, &me);
	unsigned token = atomic_load(&m->handoff);
	if (token && !queue_empty(m) && atomic_compare_exchange_strong(&m->handoff, &token, 0)) {
		struct mutex_waiter *w = pop_waiter(m); /* not NULL: we pushed and have the duty */
		if (w == &me) {
			m->owner = me.thread;
			return;
		}
		grant(m, w);
	}
	wait_granted(&me);
	TRACE(mutex_lock_wake, "%p", m);
}

void mutex_lock(struct mutex *m)
{
	TRACE(mutex_lock, "%p", m);
	if (likely(atomic_fetch_add_explicit(&m->count, 1, memory_order_acquire) == 0)) {
		m->owner = current_thread();
		return;
	}
	lock_contended(m);
}

bool mutex_trylock(struct mutex *m)
{
	int zero = 0;

	TRACE(mutex_try_lock, "%p", m);
	if (atomic_compare_exchange_strong_explicit(
		&m->count, &zero, 1, memory_order_acquire, memory_order_relaxed)) {
		m->owner = current_thread();
		return true;
	}
	return false;
}

void mutex_unlock(struct mutex *m)
{
	TRACE(mutex_unlock, "%p", m);
	m->owner = NULL;
	if (likely(atomic_fetch_sub_explicit(&m->count, 1, memory_order_release) == 1))
		return;
	for (;;) {
		struct mutex_waiter *w = pop_waiter(m);
		if (w) {
			grant(m, w);
			return;
		}
		if (++m->token == 0)
			m->token = 1;
		unsigned token = m->token;
		atomic_store(&m->handoff, token);
		if (queue_empty(m))
			return; /* the locker will find the token */
		if (!atomic_compare_exchange_strong(&m->handoff, &token, 0))
			return; /* it has */
	}
}
