/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time from the TSC. One multiplication turns TSC ticks since boot into nanoseconds; the factor is
 * found once at boot and never changes, so reading needs no lock. The vDSO reads the same
 * structure.
 */
#pragma once

#include <stdatomic.h>
#include "lib/util.h"

struct timekeeper {
	uint64_t tsc_base;
	uint64_t mult;		     /* nanoseconds per tick, 32.32 */
	_Atomic int64_t wall_offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	uint64_t tsc_hz;
	uint64_t tsc_per_ns; /* ticks per nanosecond, 40.24 */
};
extern struct timekeeper timekeeper;

/* TSC value of a monotonic time (of an hour from now, if that comes first), for the deadline timer.
 */
uint64_t clock_tsc_at(int64_t ns);
const char *clock_source_name(void); /* "tsc", "kvm-clock": for sysfs */
