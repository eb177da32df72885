/* SPDX-License-Identifier: BSD-3-Clause */
/* The basic log: one write() per line to standard error. */
#include <seastar/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const labels[] = {"ERROR", "WARNING", "INFO", "DEBUG", "TRACE"};
static _Atomic int current = SS_LOG_INFO;

void ss_log_set_level(enum ss_log_level level)
{
	atomic_store(&current, (int)level);
}

enum ss_log_level ss_log_level(void)
{
	return (enum ss_log_level)atomic_load(&current);
}

int ss_log_parse_level(const char *name, enum ss_log_level *out)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum ss_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool drops(enum ss_log_level level)
{
	return (int)level > atomic_load_explicit(&current, memory_order_relaxed);
}

static void write_line(enum ss_log_level level, unsigned dropped, const char *fmt, va_list ap)
{
	char line[1024];
	const size_t last = sizeof(line) - 1;
	size_t n = (size_t)snprintf(line, sizeof(line), "%s: ", labels[level]);
	int m = vsnprintf(line + n, last - n, fmt, ap);

	if (m < 0)
		return;
	n = n + (size_t)m < last ? n + (size_t)m : last - 1;
	if (dropped && n < last - 40)
		n += (size_t)snprintf(line + n, last - n, " (%u like it were dropped)", dropped);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void ss_log(enum ss_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (drops(level))
		return;
	va_start(ap, fmt);
	write_line(level, 0, fmt, ap);
	va_end(ap);
}

/* Takes a line of the interval; begins a new interval when the old one is over. Two threads that
 * do so at once may let a line too many through. */
static bool admit(ss_log_limit *l)
{
	unsigned burst = l->burst ? l->burst : 10;
	unsigned long now, until = __atomic_load_n(&l->until, __ATOMIC_RELAXED);
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (unsigned long)ts.tv_sec * 1000000000ul + (unsigned long)ts.tv_nsec;
	if (now >= until && __atomic_compare_exchange_n(&l->until, &until,
				now + (l->interval_ns ? l->interval_ns : 1000000000ul), false,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		__atomic_store_n(&l->used, 0, __ATOMIC_RELAXED);
	return __atomic_fetch_add(&l->used, 1, __ATOMIC_RELAXED) < burst;
}

bool ss_log_rate(ss_log_limit *limit, enum ss_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (drops(level))
		return false;
	if (!admit(limit)) {
		__atomic_fetch_add(&limit->dropped, 1, __ATOMIC_RELAXED);
		return false;
	}
	va_start(ap, fmt);
	write_line(level, __atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED), fmt, ap);
	va_end(ap);
	return true;
}
