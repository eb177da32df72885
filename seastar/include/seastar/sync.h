/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Synchronisation between the fibers and continuations of one shard: semaphores with units,
 * gates, reader-writer locks, condition variables.
 *
 * All of these may be zero- or statically initialised, belong to the shard that uses them and
 * must not move while somebody waits.
 */
#ifndef SEASTAR_SYNC_H
#define SEASTAR_SYNC_H

#include <seastar/abort.h>
#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ss_waitn;

/** First-in, first-out list of those who wait. */
typedef struct ss_waitq {
	struct ss_waitn *head; /**< Waits longest. */
	struct ss_waitn *tail; /**< Came last. */
} ss_waitq;

/** Limits of a wait. NULL in place of a pointer to it means: wait as long as it takes. */
typedef struct ss_wait_opts {
	uint64_t timeout_ns; /**< Give up with -ETIMEDOUT after this; 0 for never. */
	ss_abort *abort;     /**< Give up when this is aborted; may be NULL. */
} ss_wait_opts;

/** Counting semaphore. */
typedef struct ss_sem {
	int64_t count;	/**< Units free; may be negative after ss_sem_consume(). */
	ss_waitq queue; /**< Who waits for units. */
	int broken;	/**< 0, or the error of every wait from now on. */
} ss_sem;

/** Initialiser with @p n units. */
#define SS_SEM_INIT(n)       \
	{                    \
		.count = (n) \
	}

/** Take @p n units, waiting in line for them. Fails with -ENOMEM or the error of ss_sem_break(). */
SS_MUST_USE ss_future ss_sem_wait(ss_sem *s, int64_t n);

/** ss_sem_wait() with limits. */
SS_MUST_USE ss_future ss_sem_wait_opts(ss_sem *s, int64_t n, const ss_wait_opts *opts);

/** Take @p n units if they are free and nobody waits. */
bool ss_sem_try_wait(ss_sem *s, int64_t n);

/** Take @p n units at once, even below zero. */
void ss_sem_consume(ss_sem *s, int64_t n);

/** Give back @p n units. */
void ss_sem_signal(ss_sem *s, int64_t n);

/** Fail all waits, now and later, with @p err (negative errno). */
void ss_sem_break(ss_sem *s, int err);

/** Units free. */
static inline int64_t ss_sem_available(const ss_sem *s)
{
	return s->count;
}

/** How many waits there are. */
size_t ss_sem_waiters(const ss_sem *s);

/** Units held; released by ss_units_release() or at the end of a scope with #ss_auto_units. */
typedef struct ss_units {
	ss_sem *sem; /**< Whose they are; NULL when none are held. */
	int64_t n;   /**< How many. */
} ss_units;

/** Take @p n units into @p out, which must live until the future is ready. */
SS_MUST_USE ss_future ss_get_units(ss_sem *s, int64_t n, ss_units *out);

/** Give back the units of @p u, if any. */
void ss_units_release(ss_units *u);

/** Move the units of @p u to the returned object. */
static inline ss_units ss_units_move(ss_units *u)
{
	ss_units m = *u;

	u->sem = NULL;
	return m;
}

/** Declare `ss_auto_units u = {0};` to release the units when the scope ends. */
#define ss_auto_units __attribute__((cleanup(ss_units_release), unused)) ss_units

/** Take @p n units of @p s, run @p name, and give them back when its future is ready. */
#define ss_with_semaphore(s, n, name, ...) \
	ss_with_semaphore_((s), (n), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_with_semaphore(). */
SS_MUST_USE ss_future ss_with_semaphore_(
    ss_sem *s, int64_t n, ss_cont_fn fn, const void *cap, size_t size);

/** Counts operations in progress and waits for their end. */
typedef struct ss_gate {
	uint64_t count;	    /**< Operations inside. */
	bool closed;	    /**< No more may enter. */
	ss_promise closing; /**< Resolved when the last one left. */
} ss_gate;

/** Text of the error of a closed gate. */
extern const char ss_gate_closed_text[];

/** Enter: 0, or -ESHUTDOWN if the gate is closed. */
int ss_gate_enter(ss_gate *g);

/** Leave; once for each successful ss_gate_enter(). */
void ss_gate_leave(ss_gate *g);

/** 0, or -ESHUTDOWN if the gate is closed: for long operations inside to stop early. */
static inline int ss_gate_check(const ss_gate *g)
{
	return g->closed ? -ESHUTDOWN : 0;
}

/** The failed future of a closed gate. */
static inline ss_future ss_gate_closed(void)
{
	return ss_fail_msg(-ESHUTDOWN, ss_gate_closed_text);
}

/** Let nobody enter any more; ready when all have left. Once per gate. */
SS_MUST_USE ss_future ss_gate_close(ss_gate *g);

/** Enter @p g, run @p name, leave when its future is ready. Fails if the gate is closed. */
#define ss_with_gate(g, name, ...) ss_with_gate_((g), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_with_gate(). */
SS_MUST_USE ss_future ss_with_gate_(ss_gate *g, ss_cont_fn fn, const void *cap, size_t size);

/** Reader-writer lock, fair: first come, first served. */
typedef struct ss_rwlock {
	ss_waitq queue;	 /**< Who waits. */
	int64_t holders; /**< Readers inside, or -1 with a writer. */
} ss_rwlock;

/** Enter as a reader. */
SS_MUST_USE ss_future ss_rwlock_read(ss_rwlock *l);

/** Enter as the writer. */
SS_MUST_USE ss_future ss_rwlock_write(ss_rwlock *l);

/** A reader leaves. */
void ss_rwlock_read_unlock(ss_rwlock *l);

/** The writer leaves. */
void ss_rwlock_write_unlock(ss_rwlock *l);

/** Condition variable. */
typedef struct ss_condvar {
	ss_waitq queue; /**< Who waits. */
	int broken;	/**< 0, or the error of every wait from now on. */
} ss_condvar;

/** Wait for a signal. */
SS_MUST_USE ss_future ss_condvar_wait(ss_condvar *cv, const ss_wait_opts *opts);

/** Wait until @p pred(@p arg) is true, looking again after each signal. */
SS_MUST_USE ss_future ss_condvar_wait_until(ss_condvar *cv, bool (*pred)(void *), void *arg);

/** Wake who waits longest. Returns false if nobody waits. */
bool ss_condvar_signal(ss_condvar *cv);

/** Wake all. */
void ss_condvar_broadcast(ss_condvar *cv);

/** Fail all waits, now and later, with @p err. */
void ss_condvar_break(ss_condvar *cv, int err);

#ifdef __cplusplus
}
#endif
#endif
