/* SPDX-License-Identifier: BSD-3-Clause */
/* Wait queues, reader-writer locks, completions. */
#include <asm/errno.h>
#include "sched/sync.h"
#include "core/trace.h"
#include "proc/program.h"

struct waiter {
	struct list link;
	struct thread *thread;
	_Atomic bool woken;
};

bool signal_pending(void)
{
	struct thread *t = current_thread();

	if (!t->signals || !atomic_load_explicit(&t->signals->interrupt, memory_order_relaxed))
		return false;
	/* The caller will end its system call: the way out must pass signal_deliver(), even if the
	 * sender's interrupt is still on its way. */
	thread_kick(t);
	return true;
}

bool kill_pending(void)
{
	struct thread *t = current_thread();

	return t->program && program_ends_thread(t->program, t);
}

static bool must_stop(unsigned flags)
{
	return (flags & (WAIT_INTERRUPTIBLE | WAIT_KILLABLE) && kill_pending()) ||
	       (flags & WAIT_INTERRUPTIBLE && signal_pending());
}

int waitq_wait(struct waitq *wq, struct mutex *m, int64_t deadline, unsigned flags)
{
	struct waiter me = {.thread = current_thread()};
	int err = 0;

	TRACE(waitqueue_wait, "%p", wq);
	list_append(&wq->waiters, &me.link);
	mutex_unlock(m);
	for (;;) {
		thread_prepare_wait();
		if (atomic_load(&me.woken))
			break;
		if (must_stop(flags)) {
			err = -EINTR;
			break;
		}
		if (schedule_until(deadline) && time_now() >= deadline) {
			err = -ETIMEDOUT;
			break;
		}
	}
	thread_end_wait();
	mutex_lock(m);
	if (atomic_load(&me.woken))
		return 0;
	list_remove(&me.link);
	return err;
}

unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	unsigned woken = 0;

	if (n == ~0u)
		TRACE(waitqueue_wake_all, "%p", wq);
	else
		TRACE(waitqueue_wake_one, "%p", wq);
	while (woken < n && !list_empty(&wq->waiters)) {
		struct waiter *w = list_first(&wq->waiters, struct waiter, link);
		list_remove(&w->link);
		struct thread *t = w->thread;
		atomic_store(
		    &w->woken, true); /* the record stays: its owner needs the mutex to leave */
		thread_wake(t);
		woken++;
	}
	return woken;
}

/*
 * Reader-writer lock. A writer holds `m` for as long as it writes and sets WRITER in `state`, which
 * sends new readers the slow way: through `m`, so after it. The last reader to leave wakes the
 * writer.
 */
#define WRITER (1ll << 62)

static void reader_left(struct rwlock *l, int64_t before)
{
	if (unlikely(before == WRITER + 1)) {
		struct thread *t = atomic_load(&l->writer);
		if (t)
			thread_wake(t);
	}
}

void rw_read_lock(struct rwlock *l)
{
	if (likely(!(atomic_fetch_add_explicit(&l->state, 1, memory_order_acquire) & WRITER)))
		return;
	reader_left(l, atomic_fetch_sub(&l->state, 1));
	mutex_lock(&l->m);
	atomic_fetch_add_explicit(&l->state, 1, memory_order_acquire);
	mutex_unlock(&l->m);
}

void rw_read_unlock(struct rwlock *l)
{
	reader_left(l, atomic_fetch_sub(&l->state, 1));
}

void rw_write_lock(struct rwlock *l)
{
	mutex_lock(&l->m);
	if (likely(atomic_fetch_or(&l->state, WRITER) == 0))
		return;
	atomic_store(&l->writer, current_thread());
	for (;;) {
		thread_prepare_wait();
		if (atomic_load(&l->state) == WRITER)
			break;
		schedule();
	}
	thread_end_wait();
	atomic_store(&l->writer, NULL);
}

void rw_write_unlock(struct rwlock *l)
{
	atomic_fetch_and_explicit(&l->state, ~WRITER, memory_order_release);
	mutex_unlock(&l->m);
}

void rw_downgrade(struct rwlock *l)
{
	atomic_fetch_add(&l->state, 1);
	rw_write_unlock(l);
}

/*
 * Completion: `waiter` is published before `done` is looked at, `done` is set before `waiter` is
 * looked at, so one of the two sees the other. The signaller does not touch c after it has set
 * `done` unless it has read the waiter before: hence the order waiter, done, waiter.
 */
void completion_signal(struct completion *c)
{
	struct thread *t = atomic_load(&c->waiter);

	if (!t) {
		struct thread *none = NULL;
		/* A mark in `waiter` says: signalled before anybody waited. */
		if (atomic_compare_exchange_strong(&c->waiter, &none, (struct thread *)1)) {
			return;
		}
		t = none;
	}
	atomic_store(&c->done, true);
	thread_wake(t);
}

void completion_wait(struct completion *c)
{
	struct thread *none = NULL;

	if (!atomic_compare_exchange_strong(&c->waiter, &none, current_thread()))
		return; /* the mark is there */
	for (;;) {
		thread_prepare_wait();
		if (atomic_load(&c->done))
			break;
		schedule();
	}
	thread_end_wait();
}
