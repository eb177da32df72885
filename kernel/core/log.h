/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's one logging path: a ring in memory (/proc/kmsg, dmesg) and, for messages at or below
 * the console level (--loglevel=), the console. Callable from every context, also before memory is
 * set up.
 */
#pragma once

#include "lib/util.h"

enum log_level {
	LOG_EMERG,
	LOG_ALERT,
	LOG_CRIT,
	LOG_ERR,
	LOG_WARN,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG
};

extern int log_console_level; /* messages of a level <= this reach the console; default LOG_ERR */

/* Logs one line (no newline needed). */
void klog(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Copies up to n bytes of the log from position *pos (0 the oldest kept) and advances it. */
size_t log_read(uint64_t *pos, char *buf, size_t n);

#define pr_err(...) klog(LOG_ERR, __VA_ARGS__)
#define pr_warn(...) klog(LOG_WARN, __VA_ARGS__)
#define pr_info(...) klog(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) klog(LOG_DEBUG, __VA_ARGS__)

/* Logs only the first time this line is reached. */
#define pr_warn_once(...)                                                 \
	do {                                                              \
		static bool said_;                                        \
		if (!__atomic_exchange_n(&said_, true, __ATOMIC_RELAXED)) \
			pr_warn(__VA_ARGS__);                             \
	} while (0)

/* Stops the machine: message, registers, backtrace, threads, memory; exit status 70 for the host.
 */
NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* An invariant of the kernel itself; never for input from outside. */
#define ASSERT(cond)                                                                     \
	do {                                                                             \
		if (unlikely(!(cond)))                                                   \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond); \
	} while (0)
