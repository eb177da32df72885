/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's tracepoints through /sys/kernel/tracing. */
#ifndef HTTPSERVER_TRACE_H
#define HTTPSERVER_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct trace_event {
	const char *name;
	uint64_t count;
	bool counted, recorded, printed, backtrace;
};

/* Calls fn for each tracepoint, by name. 0, or -ENOSYS on systems without. */
int trace_walk(void (*fn)(void *arg, const struct trace_event *e), void *arg);

#endif
