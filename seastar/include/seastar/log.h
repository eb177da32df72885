/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Messages to the operator, on standard error. May be called from any thread.
 */
#ifndef SEASTAR_LOG_H
#define SEASTAR_LOG_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a message matters. */
enum ss_log_level {
	SS_LOG_ERROR, /**< Something failed for good. */
	SS_LOG_WARN,  /**< Something the operator should know. */
	SS_LOG_INFO,  /**< Progress. */
	SS_LOG_DEBUG, /**< For developers. */
	SS_LOG_TRACE, /**< Everything. */
};

/** Write one line: level, text in printf style. A newline is added. */
void ss_log(enum ss_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * How often a place may write to the log: @p burst lines in each interval. Static, one per place;
 * shared by all threads.
 */
typedef struct ss_log_limit {
	unsigned long interval_ns;    /**< Length of an interval; 0 for one second. */
	unsigned burst;		      /**< Lines in it; 0 for 10. */
	volatile unsigned long until; /**< End of the interval (monotonic clock). */
	volatile unsigned used;	      /**< Lines written in it. */
	volatile unsigned dropped;    /**< Lines not written since the last one that was. */
} ss_log_limit;

/**
 * ss_log() for what may happen very often. The first line after some were dropped says how many.
 * @return true if the line was written.
 */
bool ss_log_rate(ss_log_limit *limit, enum ss_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Drop messages that matter less than @p level (SS_LOG_INFO at start). */
void ss_log_set_level(enum ss_log_level level);

/** The level set last. */
enum ss_log_level ss_log_level(void);

/** Parse "error", "warn", "info", "debug" or "trace"; -EINVAL for anything else. */
int ss_log_parse_level(const char *name, enum ss_log_level *out);

#ifdef __cplusplus
}
#endif
#endif
