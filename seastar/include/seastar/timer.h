/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Time: clock, timers, sleeping. All times are nanoseconds of the monotonic clock.
 */
#ifndef SEASTAR_TIMER_H
#define SEASTAR_TIMER_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SS_USEC UINT64_C(1000)	    /**< Nanoseconds in a microsecond. */
#define SS_MSEC UINT64_C(1000000)   /**< Nanoseconds in a millisecond. */
#define SS_SEC UINT64_C(1000000000) /**< Nanoseconds in a second. */

/** A timer of the shard that arms it. Owned by the caller; must not move or go while armed. */
typedef struct ss_timer {
	uint64_t deadline; /**< When it fires. */
	uint64_t period;   /**< Fires again after this; 0 for once. */
	void (*fn)(
	    struct ss_timer *t); /**< Called in the reactor's loop; may arm or free the timer. */
	struct ss_timer *child;	 /**< Heap link. */
	struct ss_timer *next;	 /**< Heap link. */
	struct ss_timer *prev;	 /**< Heap link. */
	uint64_t seq;		 /**< Order of timers with one deadline. */
	bool armed;		 /**< In the heap. */
} ss_timer;

/** The monotonic clock, in nanoseconds. */
uint64_t ss_now(void);

/** The monotonic clock as the reactor read it last; cheaper than ss_now(), a loop turn old. */
uint64_t ss_now_coarse(void);

/** Prepare a timer that calls @p fn. */
void ss_timer_init(ss_timer *t, void (*fn)(ss_timer *t));

/** Fire once in @p ns from now; re-arms a timer that is armed. */
void ss_timer_arm(ss_timer *t, uint64_t ns);

/** Fire once at @p deadline (ss_now() scale). */
void ss_timer_arm_at(ss_timer *t, uint64_t deadline);

/** Fire every @p period nanoseconds, the first time after one period. */
void ss_timer_arm_periodic(ss_timer *t, uint64_t period);

/** Stop a timer. Returns true if it was armed. */
bool ss_timer_cancel(ss_timer *t);

/** True while @p t waits to fire. */
static inline bool ss_timer_armed(const ss_timer *t)
{
	return t->armed;
}

/** Ready after @p ns nanoseconds. */
SS_MUST_USE ss_future ss_sleep(uint64_t ns);

struct ss_abort;
/** As ss_sleep(), or fails as soon as @p as is aborted. */
SS_MUST_USE ss_future ss_sleep_abortable(uint64_t ns, struct ss_abort *as);

#ifdef __cplusplus
}
#endif
#endif
