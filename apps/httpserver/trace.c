/* SPDX-License-Identifier: BSD-3-Clause */
/* /trace: tracepoints are switched, counted, recorded and read. */
#include "trace.h"
#include "calls.h"
#include "source.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACING "/sys/kernel/tracing/"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

int trace_walk(void (*fn)(void *arg, const struct trace_event *e), void *arg)
{
	char *text = source_read(TRACING "events", NULL), *rest = text, *line;

	if (!text) /* Linux has a directory there */
		return -ENOSYS;
	while ((line = source_line(&rest))) { /* ID NAME MODES COUNT FORMAT */
		char *id = source_word(&line), *name = source_word(&line),
		     *modes = source_word(&line), *count = source_word(&line);
		if (!id || !name || !modes || !count)
			continue;
		fn(arg, &(struct trace_event){.name = name,
			    .count = strtoull(count, NULL, 10),
			    .counted = strstr(modes, "count"),
			    .recorded = strstr(modes, "record"),
			    .printed = strstr(modes, "print"),
			    .backtrace = strstr(modes, "backtrace")});
	}
	free(text);
	return 0;
}

/* What is written for the tracepoints whose names match. */
struct listing {
	struct text *body;
	const char *match;
	bool counts, one;
	unsigned found;
};

static void put_event(void *arg, const struct trace_event *e)
{
	struct listing *l = arg;
	struct text *b = l->body;

	if (l->match ? fnmatch(l->match, e->name, 0) != 0 : l->counts && !e->counted)
		return;
	if (l->one && l->found)
		return;
	l->found++;
	json_next(b);
	text_puts(b, "{");
	json_member_string(b, "name", e->name);
	if (l->counts) {
		json_member_int(b, "count", (int64_t)e->count);
		text_puts(b, "}");
		return;
	}
	json_member_string(b, "id", e->name);
	json_member_bool(b, "enabled", e->recorded);
	json_member_bool(b, "backtrace", e->backtrace);
	json_member_bool(b, "counted", e->counted);
	json_member_bool(b, "printed", e->printed);
	text_puts(b, "}");
}

static bool list(struct api_reply *r, struct listing *l)
{
	int err = trace_walk(put_event, l);

	if (err)
		api_fail(r, 501, "this system has no tracepoints");
	else if (l->match && !l->found)
		api_fail(r, 404, "no tracepoint matches %.60s", l->match);
	else
		return true;
	return false;
}

/* Names go into commands for the kernel: nothing but their characters may stand in one. */
static bool name_ok(struct api_reply *r, const char *name, bool pattern)
{
	size_t n = strlen(name);

	if (n && n <= 64 && strspn(name, pattern ? NAME_CHARS "*?" : NAME_CHARS) == n)
		return true;
	api_fail(r, pattern ? 400 : 404, "\"%.60s\" is no %s of tracepoints", name,
	    pattern ? "pattern" : "name");
	return false;
}

/* "PATTERN CHANGES" to the kernel. */
static bool command(struct api_reply *r, const char *pattern, const char *changes)
{
	char text[160];

	snprintf(text, sizeof text, "%s %s", pattern, changes);
	int err = source_write(TRACING "set_event", text);
	if (err == -ENOENT)
		api_fail(r, source_exists(TRACING "set_event") ? 404 : 501,
		    "no tracepoint matches %.60s", pattern);
	else if (err)
		api_fail_errno(r, err, pattern);
	return !err;
}

static bool switch_recording(struct api_request *q, struct api_reply *r, const char *pattern)
{
	if (!api_arg_flag(q, "enabled", true))
		return command(r, pattern, "-record");
	return command(
	    r, pattern, api_arg_flag(q, "backtrace", false) ? "+backtrace" : "-backtrace +record");
}

void call_trace_status(struct api_request *q, struct api_reply *r)
{
	struct listing l = {.body = &r->body, .match = api_arg(q, "match")};

	text_puts(&r->body, "[");
	if (list(r, &l))
		text_puts(&r->body, "]");
}

void call_trace_status_set(struct api_request *q, struct api_reply *r)
{
	const char *match = api_arg(q, "match");

	if (name_ok(r, match, true) && switch_recording(q, r, match))
		call_trace_status(q, r);
}

void call_trace_event(struct api_request *q, struct api_reply *r)
{
	struct listing l = {.body = &r->body, .match = q->rest, .one = true};

	if (name_ok(r, q->rest, false))
		list(r, &l);
}

void call_trace_event_set(struct api_request *q, struct api_reply *r)
{
	if (name_ok(r, q->rest, false) && switch_recording(q, r, q->rest))
		call_trace_event(q, r);
}

void call_trace_count(struct api_request *q, struct api_reply *r)
{
	struct listing l = {.body = &r->body, .counts = true};

	(void)q;
	text_puts(&r->body, "{\"list\":[");
	if (!list(r, &l))
		return;
	text_puts(&r->body, "]");
	json_member_int(&r->body, "time_ms", api_time_ms());
	text_puts(&r->body, "}");
}

void call_trace_count_clear(struct api_request *q, struct api_reply *r)
{
	if (!command(r, "*", "-count"))
		return;
	source_write(TRACING "counts", "0");
	call_trace_count(q, r);
}

void call_trace_count_set(struct api_request *q, struct api_reply *r)
{
	struct listing l = {.body = &r->body, .match = q->rest, .counts = true, .one = true};

	if (name_ok(r, q->rest, false) &&
	    command(r, q->rest, api_arg_flag(q, "enabled", true) ? "+count" : "-count"))
		list(r, &l);
}

void call_trace_sampler(struct api_request *q, struct api_reply *r)
{
	char *text = source_read(TRACING "sampler", NULL);

	(void)q;
	if (!text) {
		api_fail(r, 501, "this system has no sampler");
		return;
	}
	text_puts(&r->body, "{");
	json_member_int(&r->body, "freq", strtoll(text, NULL, 10));
	text_puts(&r->body, "}");
	free(text);
}

void call_trace_sampler_set(struct api_request *q, struct api_reply *r)
{
	char text[32];
	int64_t freq = api_arg_int(q, "freq", 0);

	if (freq < 0 || freq > 10000) {
		api_fail(r, 400, "freq is samples a second, 0 (off) to 10000");
		return;
	}
	snprintf(text, sizeof text, "%d", (int)freq);
	int err = source_write(TRACING "sampler", text);
	if (err == -ENOENT)
		api_fail(r, 501, "this system has no sampler");
	else if (err)
		api_fail_errno(r, err, "the sampler");
	else
		call_trace_sampler(q, r);
}

static void whole_file(struct api_reply *r, const char *path, const char *type)
{
	size_t n;
	char *p = source_read(path, &n);

	if (!p) {
		api_fail(r, errno == ENOMEM ? 507 : 501, "%s: %s", path, strerror(errno));
		return;
	}
	r->type = type;
	text_add(&r->body, p, n);
	free(p);
}

void call_trace_buffers(struct api_request *q, struct api_reply *r)
{
	(void)q;
	whole_file(r, TRACING "trace_raw", TYPE_BINARY);
}

void call_trace_log(struct api_request *q, struct api_reply *r)
{
	(void)q;
	whole_file(r, TRACING "trace", TYPE_TEXT);
}

void call_trace_buffers_clear(struct api_request *q, struct api_reply *r)
{
	int err = source_write(TRACING "trace", "0");

	(void)q;
	if (err)
		api_fail_errno(r, err, "the trace buffers");
	else
		text_puts(&r->body, "\"OK\"");
}
