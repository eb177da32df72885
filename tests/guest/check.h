/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For test programs that must pass on the host and in a Carrara machine. CHECK counts; a program's
 * main() ends with `return check_report();`, which prints "N passed, M failed" and gives 1 if
 * anything failed.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int check_passed, check_failed;

static inline void check_note(int ok, const char *file, int line, const char *what, int err)
{
	if (ok) {
		check_passed++;
		return;
	}
	check_failed++;
	printf("%s:%d: FAILED: %s (errno %d, %s)\n", file, line, what, err, strerror(err));
	fflush(stdout);
}

#define CHECK(cond)                                                \
	do {                                                       \
		errno = 0;                                         \
		int ok_ = !!(cond);                                \
		check_note(ok_, __FILE__, __LINE__, #cond, errno); \
	} while (0)

/* The call fails (returns -1) with this error. */
#define CHECK_ERR(expr, error)                                            \
	do {                                                              \
		errno = 0;                                                \
		long r_ = (long)(expr);                                   \
		int e_ = errno;                                           \
		check_note(r_ == -1 && e_ == (error), __FILE__, __LINE__, \
		    #expr " fails with " #error, e_);                     \
	} while (0)

static inline int check_report(void)
{
	printf("%d passed, %d failed\n", check_passed, check_failed);
	return check_failed != 0;
}
