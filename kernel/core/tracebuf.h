/* SPDX-License-Identifier: BSD-3-Clause */
/* The rings that recorded tracepoints go to, one for each CPU; carrara/trace.h describes a record.
 */
#pragma once

#include "carrara/trace.h"
#include "core/trace.h"

/* Makes the rings if they do not exist. 0 or -ENOMEM. Thread context. */
int tracebuf_prepare(void);
/* Room of one CPU's ring in KiB; the new size (64 … 65536) holds from the next tracebuf_prepare()
 * on and drops what is recorded. 0, -EINVAL, -EBUSY while tracepoints record. Thread context. */
unsigned tracebuf_size(void);
int tracebuf_resize(unsigned kib);
/* Writes one record on this CPU. Interrupts off. */
void tracebuf_add(const struct tracepoint *tp, unsigned n, const uint64_t *args,
    const uint64_t *frames, unsigned nframes);

/* Where a reader is in one CPU's ring; zero-initialised is the oldest record kept. */
struct tracebuf_reader {
	uint64_t chunk;
	uint32_t offset;
	uint32_t lost; /* chunks that were overwritten before they were read */
};
/* Copies whole records, oldest first, to buf of at least TRACEBUF_CHUNK bytes; returns the bytes, 0
 * at the end. */
size_t tracebuf_read(unsigned cpu, struct tracebuf_reader *r, void *buf);
/* Forgets what is recorded. */
void tracebuf_clear(void);
/* Records written on a CPU since the last tracebuf_clear(), and those already overwritten. */
void tracebuf_stats(unsigned cpu, uint64_t *written, uint64_t *overwritten);

#define TRACEBUF_CHUNK 4096

unsigned trace_names(void);
struct tracepoint *trace_by_id(unsigned id);
void trace_reset_counts(void);
/* Has any tracepoint one of these modes? */
bool trace_any(uint32_t modes);
/* Is any tracepoint whose name matches switched on? */
bool trace_on(const char *pattern);
/* The arguments of a record by its format. */
void trace_format(char *buf, size_t size, const struct trace_record *r);

/* Samples of what the CPUs do, as tracepoint sampler_tick with its call chain, hz times a second on
 * each CPU that is not idle; 0 stops. 0, -EINVAL beyond 10000, -ENOMEM. Thread context. */
int sampler_set(unsigned hz);
unsigned sampler_frequency(void);
