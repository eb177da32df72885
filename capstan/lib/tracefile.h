/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading dumps of trace records (include/carrara/trace.h), which come from a guest and are not
 * trusted. */
#ifndef CAPSTAN_TRACEFILE_H
#define CAPSTAN_TRACEFILE_H

#include <carrara/trace.h>

#include "cap.h"
#include "util.h"

struct cap_trace_event {
	const char *name, *format;
};
struct cap_trace_symbol {
	uint64_t address;
	const char *name;
};
struct cap_trace_thread {
	int32_t tid, pid;
	const char *name;
};

struct cap_trace {
	struct buf data; /* the whole file; everything else points into it */
	int64_t now, wall;
	unsigned cpus;
	struct cap_trace_event *events; /* by id; name NULL: unknown */
	size_t nevents;
	struct cap_trace_symbol *symbols; /* by address */
	size_t nsymbols;
	struct cap_trace_thread *threads; /* by tid */
	size_t nthreads;
	const struct trace_record **records; /* in order of time */
	size_t nrecords;
	uint64_t lost;
};

/* Parses a dump; takes the data over, whatever the result. -EBADMSG with a message that names
 * `where`. */
int cap_trace_parse(struct cap *c, const char *where, struct buf *data, struct cap_trace *t);
int cap_trace_read(struct cap *c, const char *path, struct cap_trace *t);
void cap_trace_free(struct cap_trace *t);

const char *cap_trace_event_name(const struct cap_trace *t, const struct trace_record *r);
/* "function+0x12", or NULL. */
const char *cap_trace_symbol_name(const struct cap_trace *t, uint64_t address);
const struct cap_trace_thread *cap_trace_thread_of(const struct cap_trace *t, int32_t tid);
/* The arguments of a record as its event's format has them. */
void cap_trace_arguments(const struct cap_trace *t, const struct trace_record *r, struct buf *out);

/* Outputs. */
void cap_trace_text(const struct cap_trace *t, struct buf *out);
/* "thread;outermost;…;innermost COUNT" for each call chain of an event (NULL: all with chains). */
void cap_trace_folded(const struct cap_trace *t, const char *event, struct buf *out);
/* Trace Event Format of Chrome and Perfetto: running threads of each CPU, and all records. */
void cap_trace_chrome(const struct cap_trace *t, struct buf *out);

#endif
