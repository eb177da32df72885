/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time and one-shot timers. All times are int64_t nanoseconds. Timers live in a heap of the CPU
 * they were armed on; expiry runs in interrupt context there with interrupts off, so the function
 * may only wake threads, queue work (sched/work.h) or touch its own data.
 */
#pragma once

#include <stdatomic.h>
#include "lib/rbtree.h"

#define NSEC_PER_SEC 1000000000ll
#define NSEC_PER_MSEC 1000000ll

struct timer {
	struct rb_node node;
	int64_t deadline;
	void (*fn)(struct timer *t);
	_Atomic int cpu; /* where armed, -1 if not */
};

static inline void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
	atomic_init(&t->cpu, -1);
}
/* Arms (or re-arms) on this CPU for an absolute monotonic time. Thread context, or interrupt
 * context on the CPU where it is armed or not armed at all. */
void timer_arm(struct timer *t, int64_t deadline);
/* Disarms; its function does not begin any more, but if it has begun on another CPU it may still
 * run (with interrupts off, so what RCU protects stays while it does). Returns whether it was
 * armed. Thread context, or interrupt context on the CPU where it is armed. */
bool timer_cancel(struct timer *t);
/* The same, and waits for the function if it runs: for timers in memory that is freed next. Thread
 * context. */
bool timer_cancel_wait(struct timer *t);

/* Monotonic time since boot; never goes backwards on any CPU. Any context. */
int64_t time_now(void);
/* Wall clock, ns since 1970. */
int64_t time_wall(void);
/* Sets the wall clock (clock_settime, NTP). */
void time_set_wall(int64_t ns);
/* Adds to monotonic to give wall time. */
int64_t time_wall_offset(void);
