/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made of a trace: text, folded call chains for flame graphs, JSON for Chrome and Perfetto.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracefile.h"

static const char *thread_name(const struct cap_trace *t, int32_t tid)
{
	const struct cap_trace_thread *thread = cap_trace_thread_of(t, tid);
	return thread && *thread->name ? thread->name : "?";
}

void cap_trace_text(const struct cap_trace *t, struct buf *out)
{
	for (size_t i = 0; i < t->nrecords; i++) {
		const struct trace_record *r = t->records[i];
		buf_printf(out, "[%03u] %-15s %5d %6" PRId64 ".%09" PRId64 " %-22s ", r->cpu,
		    thread_name(t, r->tid), r->tid, r->time / 1000000000, r->time % 1000000000,
		    cap_trace_event_name(t, r));
		cap_trace_arguments(t, r, out);
		buf_putc(out, '\n');
		for (unsigned k = 0; k < r->nframes; k++) {
			uint64_t address = trace_record_frames(r)[k];
			const char *name = cap_trace_symbol_name(t, address);
			if (name)
				buf_printf(out, "\t%s\n", name);
			else
				buf_printf(out, "\t0x%" PRIx64 "\n", address);
		}
	}
	if (t->lost)
		buf_printf(out, "(%" PRIu64 " older records were overwritten)\n", t->lost);
}

/* The function's name without the offset, and without what would end a frame or a line. */
static void put_frame(struct buf *out, const struct cap_trace *t, uint64_t address)
{
	const char *name = cap_trace_symbol_name(t, address);
	if (!name) {
		buf_printf(out, ";0x%" PRIx64, address);
		return;
	}
	buf_putc(out, ';');
	for (size_t n = *name == '(' ? strlen(name) : strcspn(name, "+"); n--; name++)
		buf_putc(out, *name == ';' || *name == '\n' ? '_' : *name);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void cap_trace_folded(const struct cap_trace *t, const char *event, struct buf *out)
{
	struct strv stacks = {0};
	for (size_t i = 0; i < t->nrecords; i++) {
		const struct trace_record *r = t->records[i];
		struct buf line = {0};
		if (!r->nframes || (event && strcmp(event, cap_trace_event_name(t, r))))
			continue;
		buf_puts(&line, thread_name(t, r->tid));
		for (unsigned k = r->nframes; k-- > 0;)
			put_frame(&line, t, trace_record_frames(r)[k]);
		strv_take(&stacks, buf_take(&line));
	}
	if (stacks.count)
		qsort(stacks.items, stacks.count, sizeof(*stacks.items), compare);
	for (size_t i = 0, n; i < stacks.count; i += n) {
		for (n = 1; i + n < stacks.count && !strcmp(stacks.items[i], stacks.items[i + n]);
		     n++)
			;
		buf_printf(out, "%s %zu\n", stacks.items[i], n);
	}
	strv_free(&stacks);
}

static void put_json(struct buf *out, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	if (out->len && out->data[out->len - 1] != '[')
		buf_puts(out, ",\n");
	buf_puts(out, text ? text : "{}");
	free(text);
	json_decref(j);
}

/* Bytes of a name that are not text would make no JSON. */
static json_t *string(const char *s)
{
	json_t *j = json_string(s);
	return j ? j : json_string("?");
}

/* sched_switch "to=%d from=%d": the time from one to the next is a slice of the thread that ran. */
static void put_slice(struct buf *out, const struct cap_trace *t, const struct trace_record *from,
    const struct trace_record *to)
{
	int32_t tid = (int32_t)trace_record_args(from)[0];
	const char *name = thread_name(t, tid);
	if (has_prefix(name, "idle/"))
		return;
	put_json(
	    out, json_pack("{s:o,s:s,s:s,s:i,s:i,s:f,s:f,s:{s:i}}", "name", string(name), "cat",
		     "cpu", "ph", "X", "pid", 0, "tid", from->cpu, "ts", (double)from->time / 1000,
		     "dur", (double)(to->time - from->time) / 1000, "args", "tid", tid));
}

void cap_trace_chrome(const struct cap_trace *t, struct buf *out)
{
	const struct trace_record *switched[256] = {0};
	buf_puts(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
	put_json(out, json_pack("{s:s,s:s,s:i,s:{s:s}}", "name", "process_name", "ph", "M", "pid",
			  0, "args", "name", "CPUs"));
	for (size_t i = 0; i < t->nthreads; i++)
		put_json(out, json_pack("{s:s,s:s,s:i,s:i,s:{s:o}}", "name", "thread_name", "ph",
				  "M", "pid", t->threads[i].pid ? t->threads[i].pid : 1, "tid",
				  t->threads[i].tid, "args", "name", string(t->threads[i].name)));
	for (size_t i = 0; i < t->nrecords; i++) {
		const struct trace_record *r = t->records[i];
		const struct cap_trace_thread *thread = cap_trace_thread_of(t, r->tid);
		const char *name = cap_trace_event_name(t, r);
		struct buf arguments = {0};
		if (!strcmp(name, "sched_switch") && r->nargs) {
			if (switched[r->cpu])
				put_slice(out, t, switched[r->cpu], r);
			switched[r->cpu] = r;
			continue;
		}
		cap_trace_arguments(t, r, &arguments);
		put_json(out, json_pack("{s:o,s:s,s:s,s:s,s:i,s:i,s:f,s:{s:o,s:i}}", "name",
				  string(name), "cat", "tracepoint", "ph", "i", "s", "t", "pid",
				  thread && thread->pid ? thread->pid : 1, "tid", r->tid, "ts",
				  (double)r->time / 1000, "args", "arguments",
				  string(arguments.data ? arguments.data : ""), "cpu", r->cpu));
		buf_free(&arguments);
	}
	buf_puts(out, "]}\n");
}
