/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan trace: records of a guest's tracepoints, fetched and shown. */
#include "commands.h"
#include "watch_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/tracefile.h"

static int switch_all(struct cmd *cmd, struct cap_guest *g, bool on)
{
	struct buf form = {0}, answer = {0};
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		form.len = 0;
		buf_puts(&form, "");
		cap_form_add(&form, "match", cmd->args.items[i]);
		cap_form_add(&form, "enabled", on ? "true" : "false");
		cap_form_add(&form, "backtrace", cmd_flag(cmd, "backtrace") ? "true" : "false");
		result = cap_guest_call(cmd->cap, g, "POST", "/trace/status", form.data, &answer);
	}
	const char *freq = cmd_value(cmd, "sample");
	if (!result && freq) {
		form.len = 0;
		buf_puts(&form, "");
		cap_form_add(&form, "freq", on ? freq : "0");
		result = cap_guest_call(cmd->cap, g, "POST", "/trace/sampler", form.data, &answer);
	}
	buf_free(&form);
	buf_free(&answer);
	return result;
}

/* One guest's records go to PATH, those of several to PATH.NAME. */
static int fetch(struct cmd *cmd, struct cap_guest *g, bool many)
{
	struct buf answer = {0};
	const char *output = cmd_value(cmd, "output");
	char *path = many ? xasprintf("%s.%s", output, g->name) : xstrdup(output);
	for (char *p = path + strlen(output); *p; p++)
		if (*p == '/' || *p == ':')
			*p = '-';
	int result = cap_guest_call(cmd->cap, g, "GET", "/trace/buffers", NULL, &answer);
	if (!result && (result = file_write_atomic(path, answer.data, answer.len, 0644)))
		cap_fail(cmd->cap, -result, "cannot write %s: %s", path, strerror(-result));
	struct cap_trace t;
	if (!result && !(result = cap_trace_parse(cmd->cap, path, &answer, &t))) {
		cap_info(cmd->cap, "%s: %zu records in %s%s", g->name, t.nrecords, path,
		    t.lost ? " (older ones were overwritten)" : "");
		cap_trace_free(&t);
	}
	buf_free(&answer);
	free(path);
	return result;
}

int cmd_trace_record(struct cmd *cmd)
{
	struct watch w;
	struct buf answer = {0};
	char *end;
	const char *duration = cmd_value(cmd, "duration");
	double seconds = strtod(duration, &end);
	if (*end || end == duration || !(seconds >= 0 && seconds <= 3600))
		return cap_fail(
		    cmd->cap, EINVAL, "--duration \"%s\" is not 0 to 3600 seconds", duration);
	if (!cmd->args.count && !cmd_value(cmd, "sample"))
		return cap_fail(
		    cmd->cap, EINVAL, "what to record? patterns of tracepoints, or --sample HZ");
	int result = watch_open(cmd, NULL, &w);
	if (result)
		return result;
	for (size_t i = 0; !result && i < w.count; i++) {
		result = cap_guest_call(
		    cmd->cap, &w.guests[i], "DELETE", "/trace/buffers", NULL, &answer);
		if (!result)
			result = switch_all(cmd, &w.guests[i], true);
	}
	if (!result)
		usleep((useconds_t)(seconds * 1e6));
	for (size_t i = 0; i < w.count; i++) {
		int off = switch_all(cmd, &w.guests[i], false);
		result = result ? result : off;
	}
	for (size_t i = 0; !result && i < w.count; i++)
		result = fetch(cmd, &w.guests[i], w.count > 1);
	buf_free(&answer);
	watch_close(&w);
	return result;
}

/* Reads the file of the first argument and prints what `make` makes of it. */
static int print(
    struct cmd *cmd, void (*make)(struct cmd *, const struct cap_trace *, struct buf *))
{
	struct cap_trace t;
	struct buf out = {0};
	const char *file = cmd_arg(cmd, 0) ? cmd_arg(cmd, 0) : "carrara.trace";
	int result = cap_trace_read(cmd->cap, file, &t);
	if (result)
		return result;
	make(cmd, &t, &out);
	if (out.len)
		fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	cap_trace_free(&t);
	return 0;
}

static void put_record(struct buf *out, const struct cap_trace *t, const struct trace_record *r)
{
	struct buf arguments = {0};
	json_t *stack = json_array();
	cap_trace_arguments(t, r, &arguments);
	for (unsigned i = 0; i < r->nframes; i++) {
		const char *name = cap_trace_symbol_name(t, trace_record_frames(r)[i]);
		json_array_append_new(stack, name ? json_string(name) : json_null());
	}
	json_t *j = json_pack("{s:I,s:i,s:i,s:s,s:s?,s:o}", "time_ns", (json_int_t)r->time, "cpu",
	    r->cpu, "tid", r->tid, "name", cap_trace_event_name(t, r), "arguments", arguments.data,
	    "stack", stack);
	char *line = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (line)
		buf_printf(out, "%s\n", line);
	free(line);
	json_decref(j);
	buf_free(&arguments);
}

static void show_text(struct cmd *cmd, const struct cap_trace *t, struct buf *out)
{
	if (!cmd->json) {
		cap_trace_text(t, out);
		return;
	}
	for (size_t i = 0; i < t->nrecords; i++)
		put_record(out, t, t->records[i]);
}

static void show_folded(struct cmd *cmd, const struct cap_trace *t, struct buf *out)
{
	cap_trace_folded(t, cmd_value(cmd, "event"), out);
}

static void show_chrome(struct cmd *cmd, const struct cap_trace *t, struct buf *out)
{
	(void)cmd;
	cap_trace_chrome(t, out);
}

int cmd_trace_show(struct cmd *cmd)
{
	return print(cmd, show_text);
}

int cmd_trace_flame(struct cmd *cmd)
{
	return print(cmd, show_folded);
}

int cmd_trace_chrome(struct cmd *cmd)
{
	return print(cmd, show_chrome);
}
