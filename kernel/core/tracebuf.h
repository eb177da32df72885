/* SPDX-License-Identifier: BSD-3-Clause */
/* The rings that recorded tracepoints go to, one for each CPU, and the table of tracepoint names. */
#pragma once

#include "core/trace.h"

struct trace_record {
	int64_t time; /* ns, monotonic */
	uint32_t id;  /* of the tracepoint's name */
	uint16_t cpu;
	uint16_t nargs;
	int32_t tid;
	uint32_t reserved;
	uint64_t args[6];
};

/* Makes the rings if they do not exist. Thread context. */
void tracebuf_prepare(void);
/* Writes one record on this CPU. Interrupts off. */
void tracebuf_add(const struct tracepoint *tp, unsigned n, const uint64_t *args);
/* Copies the records still in CPU cpu's ring from index *pos on; returns how many and advances *pos. */
unsigned tracebuf_read(unsigned cpu, uint64_t *pos, struct trace_record *out, unsigned max);

unsigned trace_names(void);
struct tracepoint *trace_by_id(unsigned id);
void trace_reset_counts(void);
