/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks for guest programs: ordinary Linux programs that must pass on the host and in a Carrara
 * VM. A failed CHECK says where and goes on; check_report() prints the totals and gives the exit
 * status.
 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_int check_passed, check_failed;

static inline int check_result(int ok, const char *file, int line, const char *text)
{
	int saved = errno;
	if (ok) {
		atomic_fetch_add(&check_passed, 1);
	} else {
		atomic_fetch_add(&check_failed, 1);
		printf(
		    "%s:%d: failed: %s (errno %d: %s)\n", file, line, text, saved, strerror(saved));
	}
	errno = saved;
	return ok;
}

/* True if cond holds; usable from any thread. */
#define CHECK(cond) check_result(!!(cond), __FILE__, __LINE__, #cond)
/* The call fails with the given error. */
#define CHECK_ERR(call, error)                         \
	do {                                             \
		errno = 0;                               \
		CHECK((call) == -1 && errno == (error)); \
	} while (0)

/* Prints "N passed, M failed"; returns the exit status of main(). */
static inline int check_report(void)
{
	printf("%d passed, %d failed\n", atomic_load(&check_passed), atomic_load(&check_failed));
	fflush(stdout);
	return atomic_load(&check_failed) || !atomic_load(&check_passed);
}

/* Monotonic seconds, for checks of durations. */
static inline double check_seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
