/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping synchronisation. There are no spin locks. All of this is for thread context; interrupt
 * handlers use thread_wake() and work queues.
 */
#pragma once

#include <stdatomic.h>
#include "lib/list.h"
#include "arch/x86/percpu.h"
#include "sched/thread.h"

/*
 * Lock-free mutex with hand-off (protocol in mutex.c). Not recursive. Zero-initialised is unlocked.
 */
struct mutex_waiter;
struct mutex {
	_Atomic int count;		     /* holder plus waiters */
	struct thread *owner;		     /* for debugging and recursion checks */
	_Atomic(struct mutex_waiter *) push; /* newest first, filled by lockers */
	_Atomic(struct mutex_waiter *) pop;  /* oldest first, taken from by the holder only */
	_Atomic unsigned handoff;
	unsigned token;
};
#define MUTEX_INIT \
	{          \
		0  \
	}

void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
static inline bool mutex_held(const struct mutex *m)
{
	return m->owner == current_thread();
}

/*
 * A queue of waiting threads. It has no lock of its own: every operation is done with one mutex
 * held, the one that also protects the condition waited for. Zero-initialised is invalid: use
 * waitq_init().
 */
struct waitq {
	struct list waiters;
};

enum { WAIT_INTERRUPTIBLE = 1, WAIT_KILLABLE = 2 };

static inline void waitq_init(struct waitq *wq)
{
	list_init(&wq->waiters);
}
static inline bool waitq_empty(const struct waitq *wq)
{
	return list_empty(&wq->waiters);
}
/* Releases m, sleeps until woken, the deadline (absolute ns; NO_DEADLINE) or, with
 * WAIT_INTERRUPTIBLE, a signal to deliver; takes m again. 0, -ETIMEDOUT or -EINTR. Check the
 * condition in a loop. */
int waitq_wait(struct waitq *wq, struct mutex *m, int64_t deadline, unsigned flags);
/* Wakes the first n waiters (in order of arrival); returns how many. m must be held. */
unsigned waitq_wake(struct waitq *wq, unsigned n);
static inline unsigned waitq_wake_all(struct waitq *wq)
{
	return waitq_wake(wq, ~0u);
}

/* Reader-writer lock; writers are not starved. Zero-initialised is unlocked. */
struct rwlock {
	_Atomic int64_t state; /* readers, and a high bit while a writer holds or waits */
	struct mutex m;	       /* held by the writer */
	_Atomic(struct thread *) writer;
};
void rw_read_lock(struct rwlock *l);
void rw_read_unlock(struct rwlock *l);
void rw_write_lock(struct rwlock *l);
void rw_write_unlock(struct rwlock *l);
/* Turns a held write lock into a read lock without a gap. */
void rw_downgrade(struct rwlock *l);

/* One thread waits for one event that another context (interrupts included) signals. */
struct completion {
	_Atomic bool done;
	_Atomic(struct thread *) waiter;
};
static inline void completion_init(struct completion *c)
{
	atomic_init(&c->done, false);
	atomic_init(&c->waiter, NULL);
}
void completion_signal(
    struct completion *c); /* any context; c may vanish as soon as the waiter saw it */
void completion_wait(struct completion *c);

/* True if the current thread has a signal to deliver (so an interruptible wait must end). */
bool signal_pending(void);
/* True if the current thread's program is being killed. */
bool kill_pending(void);
