/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace records as the kernel keeps them and as a dump carries them (/sys/kernel/tracing/trace_raw,
 * GET /trace/buffers). All numbers are little-endian.
 *
 * A dump is struct trace_dump_header and then items: struct trace_item with its payload, padded to
 * 8 bytes. Items of unknown types are to be skipped.
 */
#pragma once

#include <stdint.h>

#define TRACE_MAX_ARGS 6
#define TRACE_MAX_FRAMES 24
#define TRACE_MAX_TEXT 96 /* of all strings of a record together, terminators included */

/* One hit of a tracepoint. Behind the header: uint64_t args[nargs] (for a %s of the format an
 * offset in the text), uint64_t frames[nframes] (return addresses, innermost first), ntext bytes of
 * text. */
struct trace_record {
	uint16_t size; /* bytes, all parts; a multiple of 8 */
	uint16_t id;   /* of the tracepoint's name */
	uint8_t cpu;
	uint8_t nargs;
	uint8_t nframes;
	uint8_t ntext;
	int32_t tid; /* below zero: a kernel thread */
	uint32_t reserved;
	int64_t time; /* ns, monotonic */
};

static inline const uint64_t *trace_record_args(const struct trace_record *r)
{
	return (const uint64_t *)(r + 1);
}
static inline const uint64_t *trace_record_frames(const struct trace_record *r)
{
	return trace_record_args(r) + r->nargs;
}
static inline const char *trace_record_text(const struct trace_record *r)
{
	return (const char *)(trace_record_frames(r) + r->nframes);
}

#define TRACE_DUMP_MAGIC "CTRACE1\n"

struct trace_dump_header {
	char magic[8];
	int64_t now;  /* ns, monotonic, when the dump was made */
	int64_t wall; /* to be added to monotonic times for ns since 1970 */
	uint32_t cpus;
	uint32_t reserved;
};

enum trace_item_type {
	TRACE_ITEM_EVENT = 1,	/* uint32_t id; name, 0, format, 0 */
	TRACE_ITEM_RECORDS = 2, /* of one CPU, oldest first */
	TRACE_ITEM_SYMBOL = 3,	/* uint64_t address; "function+0x12", 0 */
	TRACE_ITEM_THREAD = 4,	/* int32_t tid, pid; name, 0 */
	TRACE_ITEM_LOST = 5,	/* uint64_t cpu, records overwritten before they were read */
};

struct trace_item {
	uint32_t type;
	uint32_t size; /* of the payload without padding */
};
