/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel log: a ring of text. Writers reserve room with one atomic add, so any context may log at
 * any time; a reader that was overtaken skips to the oldest byte kept. Each line starts with its level
 * and time: "<3>[    1.234567] text".
 */
#include "core/log.h"
#include <stdatomic.h>
#include "drivers/console.h"
#include "lib/string.h"
#include "sched/timer.h"

#define LOG_SIZE (64 * 1024)
#define LINE_MAX 512

int log_console_level = LOG_ERR;
static char ring[LOG_SIZE];
static _Atomic uint64_t written;
bool log_clock_ready; /* set when time_now() works */
extern bool log_clock_ready;

static void append(const char *s, size_t n)
{
	uint64_t at = atomic_fetch_add(&written, n);

	for (size_t i = 0; i < n; i++)
		ring[(at + i) % LOG_SIZE] = s[i];
}

void klog(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX];
	int64_t us = log_clock_ready ? time_now() / 1000 : 0;
	int head = snprintf(line, sizeof line, "<%d>[%5ld.%06ld] ", (int)level, us / 1000000, us % 1000000);
	va_list ap;

	va_start(ap, fmt);
	int n = head + vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	append(line, (size_t)n);
	if ((int)level <= log_console_level) {
		/* The console's other end may be a terminal that takes bytes as they are. */
		line[n - 1] = '\r';
		line[n++] = '\n';
		console_write("carrara: ", 9);
		console_write(line + head, (size_t)(n - head));
	}
}

size_t log_read(uint64_t *pos, char *buf, size_t n)
{
	uint64_t end = atomic_load(&written);
	size_t done = 0;

	if (end > LOG_SIZE && *pos < end - LOG_SIZE)
		*pos = end - LOG_SIZE;
	while (done < n && *pos < end)
		buf[done++] = ring[(*pos)++ % LOG_SIZE];
	return done;
}
