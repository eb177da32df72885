/* SPDX-License-Identifier: BSD-3-Clause */
/* The basic log: one write() per line to standard error. */
#include <seastar/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
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

void ss_log(enum ss_log_level level, const char *fmt, ...)
{
	char line[1024];
	int n, m;
	va_list ap;

	if ((int)level > atomic_load_explicit(&current, memory_order_relaxed))
		return;
	n = snprintf(line, sizeof(line), "%s: ", labels[level]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
