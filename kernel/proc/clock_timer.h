/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers on any clock, CPU-time clocks included: what POSIX timers, interval timers and RLIMIT_CPU
 * are made of. Each belongs to a program, whose timer_lock protects it. Expiry goes from the timer
 * interrupt to a work item; the owner's fire() runs there with timer_lock held.
 *
 * A timer on a CPU-time clock has no interrupt of its own: it is looked at when it could have
 * expired at the earliest, given how many of the program's threads can run at once.
 */
#pragma once

#include "proc/program.h"
#include "sched/work.h"

enum clock_kind {
	CLOCK_KIND_MONOTONIC,
	CLOCK_KIND_REALTIME,
	CLOCK_KIND_PROGRAM_CPU,
	CLOCK_KIND_PROGRAM_USER,
	CLOCK_KIND_THREAD_CPU,
};

struct clock_timer {
	enum clock_kind kind;
	struct program *program; /* referenced */
	struct thread *thread;	 /* referenced; CLOCK_KIND_THREAD_CPU, else NULL */
	bool armed;
	int64_t expiry; /* on its clock; REALTIME: monotonic */
	int64_t interval;
	struct timer timer;
	struct work work;
	atomic_int refs;
	/* It expired, `missed` intervals late. timer_lock held. May arm it again if interval is 0.
	 */
	void (*fire)(struct clock_timer *c, uint64_t missed);
	void (*free)(struct clock_timer *c); /* of the structure it is part of */
};

/* Takes references to p (and t). One reference for the caller. */
void clock_timer_init(
    struct clock_timer *c, enum clock_kind kind, struct program *p, struct thread *t);
/* Arms for an absolute or relative time on its clock, with an interval (0: once); value 0 disarms.
 * timer_lock held. */
void clock_timer_set(struct clock_timer *c, int64_t value, bool absolute, int64_t interval);
/* Time left (at least 1 ns while armed, 0 disarmed). timer_lock held. */
int64_t clock_timer_left(struct clock_timer *c);
/* Disarms and drops the caller's reference. Without timer_lock. */
void clock_timer_delete(struct clock_timer *c);
/* The clock's time now. */
int64_t clock_kind_now(enum clock_kind kind, struct program *p, struct thread *t);
