/* SPDX-License-Identifier: BSD-3-Clause */
/* struct timespec and struct timeval of the application, as nanoseconds. */
#pragma once

#include "lib/util.h"

/* Reads a struct timespec: 0 and *ns (saturated at INT64_MAX), -EFAULT, or -EINVAL for fields out
 * of range. */
int timespec_read(const void __user *ts, int64_t *ns);
int timeval_read(const void __user *tv, int64_t *ns);
/* Writes one. 0 or -EFAULT. */
int timespec_write(void __user *ts, int64_t ns);
int timeval_write(void __user *tv, int64_t ns);
/* A relative timeout as a monotonic deadline: 0 or the errors of timespec_read(). */
int timespec_deadline(const void __user *ts, int64_t *deadline);
/* a + b without overflow (both >= 0). */
static inline int64_t time_add(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}
