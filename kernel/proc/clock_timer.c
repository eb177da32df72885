/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers on any clock. */
#include "proc/clock_timer.h"

#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "proc/lifecycle.h"
#include "proc/timespec.h"

#define CPU_CLOCK_GRAIN NSEC_PER_MSEC	     /* how often a CPU-time timer is looked at, at most */
#define SHORTEST_PERIOD (NSEC_PER_MSEC / 10) /* shorter intervals are delivered in bunches */

int64_t clock_kind_now(enum clock_kind kind, struct program *p, struct thread *t)
{
	int64_t user, kernel;
	switch (kind) {
	case CLOCK_KIND_PROGRAM_CPU:
		return program_cpu_ns(p);
	case CLOCK_KIND_PROGRAM_USER:
		program_cpu_split(p, &user, &kernel);
		return user;
	case CLOCK_KIND_THREAD_CPU:
		return thread_cpu_ns(t);
	default:
		return time_now();
	}
}

static bool is_cpu_clock(enum clock_kind kind)
{
	return kind != CLOCK_KIND_MONOTONIC && kind != CLOCK_KIND_REALTIME;
}

/* Sets the hardware-near timer for when c expires or should be looked at. */
static void arm(struct clock_timer *c)
{
	if (!is_cpu_clock(c->kind)) {
		timer_arm(&c->timer, c->expiry);
		return;
	}
	int64_t left = c->expiry - clock_kind_now(c->kind, c->program, c->thread);
	unsigned parallel = c->thread ? 1 : MAX(MIN(c->program->nthreads, ncpus), 1u);
	timer_arm(&c->timer, time_add(time_now(), MAX(left / parallel, (int64_t)CPU_CLOCK_GRAIN)));
}

static void put(struct clock_timer *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	struct program *p = c->program;
	if (c->thread)
		thread_put(c->thread);
	c->free(c);
	program_put(p);
}

/* Interrupt context: the rest is done by a thread. The work item owns a reference. */
static void timer_expired(struct timer *t)
{
	struct clock_timer *c = container_of(t, struct clock_timer, timer);
	atomic_fetch_add(&c->refs, 1);
	if (!work_queue(&c->work))
		atomic_fetch_sub(&c->refs, 1); /* not the last: the queued item has one */
}

/* Moves the expiry of a periodic timer beyond now; returns how many periods were missed. */
static uint64_t advance(struct clock_timer *c, int64_t now)
{
	int64_t late = now - c->expiry, periods = 0;
	if (late >= c->interval)
		periods = late / c->interval;
	int64_t next = c->expiry + (periods + 1) * c->interval;
	if (next - now < SHORTEST_PERIOD && c->interval < SHORTEST_PERIOD) {
		int64_t more = (SHORTEST_PERIOD - (next - now)) / c->interval + 1;
		periods += more;
		next += more * c->interval;
	}
	c->expiry = next;
	return (uint64_t)periods;
}

static void expired(struct work *w)
{
	struct clock_timer *c = container_of(w, struct clock_timer, work);
	mutex_lock(&c->program->timer_lock);
	int64_t now = clock_kind_now(c->kind, c->program, c->thread);
	if (c->armed && now >= c->expiry) {
		uint64_t missed = 0;
		if (c->interval)
			missed = advance(c, now);
		else
			c->armed = false;
		TRACE(timer_fire, "%p missed %lu", c, missed);
		c->fire(c, missed);
	}
	if (c->armed)
		arm(c);
	mutex_unlock(&c->program->timer_lock);
	put(c);
}

void clock_timer_init(
    struct clock_timer *c, enum clock_kind kind, struct program *p, struct thread *t)
{
	c->kind = kind;
	c->program = p;
	program_get(p);
	c->thread = t;
	if (t)
		thread_get(t);
	c->armed = false;
	c->interval = 0;
	timer_init(&c->timer, timer_expired);
	work_init(&c->work, expired);
	atomic_init(&c->refs, 1);
}

void clock_timer_set(struct clock_timer *c, int64_t value, bool absolute, int64_t interval)
{
	timer_cancel(&c->timer);
	c->armed = value != 0;
	c->interval = interval;
	if (!value)
		return;
	if (!absolute)
		c->expiry = time_add(clock_kind_now(c->kind, c->program, c->thread), value);
	else if (c->kind == CLOCK_KIND_REALTIME)
		c->expiry = MAX(value - time_wall_offset(), (int64_t)0);
	else
		c->expiry = value;
	arm(c);
}

int64_t clock_timer_left(struct clock_timer *c)
{
	if (!c->armed)
		return 0;
	int64_t left = c->expiry - clock_kind_now(c->kind, c->program, c->thread);
	return MAX(left, (int64_t)1);
}

void clock_timer_delete(struct clock_timer *c)
{
	struct program *p = c->program;
	mutex_lock(&p->timer_lock);
	c->armed = false;
	timer_cancel_wait(&c->timer);
	mutex_unlock(&p->timer_lock);
	put(c);
}
