/* SPDX-License-Identifier: BSD-3-Clause */
/* How the micro benchmarks measure: the best of a few rounds counts, because neighbours disturb. */
#ifndef SEASTAR_MICRO_H
#define SEASTAR_MICRO_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 5

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t cpu(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline uint64_t process_cpu(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline uint64_t wall(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline void show(const char *name, double best, const char *target)
{
	printf("%-48s %9.1f ns %s\n", name, best, target);
	fflush(stdout);
}

/* Run the statements ROUNDS times over n operations; the best round counts. */
#define MEASURE(name, n, clock, target, ...)                                \
	do {                                                                \
		double best_ = 1e18;                                        \
		for (int round_ = 0; round_ < ROUNDS; round_++) {           \
			uint64_t t0_ = clock();                             \
			__VA_ARGS__;                                        \
			double ns_ = (double)(clock() - t0_) / (double)(n); \
			if (ns_ < best_)                                    \
				best_ = ns_;                                \
		}                                                           \
		show(name, best_, target);                                  \
	} while (0)

/* seastar_micro_others.c: the same operations done with libuv (where it is installed) and pthreads,
 * on threads of their own. */
void others_steps(void);
void others_switch(void);
void others_spawn(void);
void others_timers(void);
void others_round_trip(void);

#endif
