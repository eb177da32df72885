/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan top and freq: tables that are drawn anew every few seconds. */
#include "commands.h"
#include "watch_common.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TOP_ROWS 20

int watch_open(struct cmd *cmd, const struct strv *more, struct watch *w)
{
	const struct cap_guest_access access = {
	    .token = cmd_value(cmd, "token"),
	    .ca = cmd_value(cmd, "ca"),
	    .cert = cmd_value(cmd, "cert"),
	    .key = cmd_value(cmd, "key"),
	    .insecure = cmd_flag(cmd, "insecure"),
	};
	struct strv names = {0};
	int result = 0;
	*w = (struct watch){0};
	strv_add_all(&names, cmd_list(cmd, "guest"));
	if (more)
		strv_add_all(&names, more);
	w->guests = xcalloc(cap_max(names.count, (size_t)1), sizeof(*w->guests));
	for (size_t i = 0; !result && i < cap_max(names.count, (size_t)1); i++) {
		result = cap_guest_open(
		    cmd->cap, names.count ? names.items[i] : NULL, &access, &w->guests[i]);
		w->count += !result;
	}
	strv_free(&names);
	if (result)
		watch_close(w);
	return result;
}

void watch_close(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		cap_guest_close(&w->guests[i]);
	free(w->guests);
	*w = (struct watch){0};
}

int watch_json(struct cap *c, struct cap_guest *g, const char *method, const char *path,
    const char *form, json_t **out)
{
	struct buf answer = {0};
	json_error_t error;
	int result = cap_guest_call(c, g, method, path, form, &answer);
	*out = NULL;
	if (!result) {
		*out =
		    json_loadb(answer.data ? answer.data : "", answer.len, JSON_DECODE_ANY, &error);
		if (!*out)
			result = cap_fail(c, EBADMSG, "%s answers %s with what is no JSON: %s",
			    g->name, path, error.text);
	}
	buf_free(&answer);
	return result;
}

/* ---- rounds ---- */

struct rounds {
	uint64_t interval_us, left; /* left: 0 for ever */
	bool terminal, first;
};

static int rounds_init(struct cmd *cmd, struct rounds *r)
{
	char *end;
	const char *interval = cmd_value(cmd, "interval"), *count = cmd_value(cmd, "count");
	double seconds = strtod(interval, &end);
	*r = (struct rounds){.first = true};
	if (*end || end == interval || !(seconds >= 0.1 && seconds <= 3600))
		return cap_fail(
		    cmd->cap, EINVAL, "--interval \"%s\" is not 0.1 to 3600 seconds", interval);
	if (count && !parse_uint(count, 1000000000, &r->left))
		return cap_fail(cmd->cap, EINVAL, "--count \"%s\" is no number", count);
	r->interval_us = (uint64_t)(seconds * 1e6);
	r->terminal = isatty(STDOUT_FILENO) && !cmd->json;
	return 0;
}

/* Waits for the next round; false at the end, or when the user presses q. */
static bool rounds_next(struct rounds *r)
{
	if (!r->first && r->left && --r->left == 0)
		return false;
	r->first = false;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	bool keys = r->terminal && isatty(STDIN_FILENO);
	if (poll(&in, keys, (int)(r->interval_us / 1000)) > 0) {
		char line[64] = "";
		if (read(STDIN_FILENO, line, sizeof(line) - 1) <= 0 || line[0] == 'q')
			return false;
	}
	return true;
}

static void screen_begin(const struct rounds *r)
{
	if (r->terminal)
		fputs("\033[H\033[2J", stdout);
}

static unsigned screen_rows(const struct rounds *r)
{
	struct winsize size;
	if (r->terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 8)
		return size.ws_row - 5u;
	return TOP_ROWS;
}

/* ---- top ---- */

struct row {
	const char *guest, *name, *status;
	json_int_t id, cpu, cpu_ms;
	double percent, switches, migrations, preemptions;
};

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static const json_t *find(const json_t *list, const char *key, const json_t *value)
{
	size_t i;
	json_t *e;
	json_array_foreach(list, i, e) if (json_equal(json_object_get(e, key), value)) return e;
	return NULL;
}

static int by_percent(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->percent != y->percent)
		return x->percent < y->percent ? 1 : -1;
	return x->cpu_ms < y->cpu_ms ? 1 : x->cpu_ms > y->cpu_ms ? -1 : 0;
}

/* The threads of one guest with what they did since the last look. */
static size_t add_rows(const char *guest, const json_t *before, const json_t *now, bool idle,
    struct row **rows, size_t n)
{
	const json_t *list = json_object_get(now, "list"),
		     *old_list = json_object_get(before, "list");
	double ms = (double)(number(now, "time_ms") - number(before, "time_ms"));
	size_t i;
	json_t *t;
	*rows = xrealloc(*rows, (n + json_array_size(list) + 1) * sizeof(**rows));
	json_array_foreach(list, i, t)
	{
		const json_t *old = find(old_list, "id", json_object_get(t, "id"));
		if (!idle && has_prefix(text(t, "name"), "idle/"))
			continue;
		struct row *r = &(*rows)[n++];
		*r = (struct row){.guest = guest,
		    .name = text(t, "name"),
		    .status = text(t, "status"),
		    .id = number(t, "id"),
		    .cpu = number(t, "cpu"),
		    .cpu_ms = number(t, "cpu_ms")};
		if (!old || ms <= 0)
			continue;
		r->percent = 100 * (double)(r->cpu_ms - number(old, "cpu_ms")) / ms;
		r->switches = 1000 * (double)(number(t, "switches") - number(old, "switches")) / ms;
		r->migrations =
		    1000 * (double)(number(t, "migrations") - number(old, "migrations")) / ms;
		r->preemptions =
		    1000 * (double)(number(t, "preemptions") - number(old, "preemptions")) / ms;
	}
	return n;
}

static void print_rows(const struct row *rows, size_t n, bool many)
{
	printf("%s%7s %-16s %3s %6s %10s %8s %8s %8s  %s\n", many ? "GUEST                 " : "",
	    "ID", "NAME", "CPU", "%CPU", "TIME", "SW/s", "MIGR/s", "PREE/s", "STATE");
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		if (many)
			printf("%-21.21s ", r->guest);
		printf("%7lld %-16.16s %3lld %6.1f %9.2fs %8.1f %8.1f %8.1f  %s\n",
		    (long long)r->id, r->name, (long long)r->cpu, r->percent,
		    (double)r->cpu_ms / 1000, r->switches, r->migrations, r->preemptions,
		    r->status);
	}
}

static void json_rows(const struct row *rows, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    list, json_pack("{s:s,s:I,s:s,s:I,s:f,s:I,s:f,s:f,s:f,s:s}", "guest",
			      rows[i].guest, "id", rows[i].id, "name", rows[i].name, "cpu",
			      rows[i].cpu, "percent", rows[i].percent, "cpu_ms", rows[i].cpu_ms,
			      "switches", rows[i].switches, "migrations", rows[i].migrations,
			      "preemptions", rows[i].preemptions, "status", rows[i].status));
	char *line = json_dumps(list, JSON_COMPACT);
	puts(line ? line : "[]");
	free(line);
	json_decref(list);
}

int cmd_top(struct cmd *cmd)
{
	struct watch w;
	struct rounds r;
	int result = rounds_init(cmd, &r);
	if (!result)
		result = watch_open(cmd, &cmd->args, &w);
	if (result)
		return result;
	json_t **last = xcalloc(w.count, sizeof(*last)), **now = xcalloc(w.count, sizeof(*now));
	bool idle = cmd_flag(cmd, "idle");
	for (size_t i = 0; !result && i < w.count; i++)
		result = watch_json(cmd->cap, &w.guests[i], "GET", "/os/threads", NULL, &last[i]);
	while (!result && rounds_next(&r)) {
		struct row *rows = NULL;
		size_t n = 0;
		for (size_t i = 0; !result && i < w.count; i++) {
			result =
			    watch_json(cmd->cap, &w.guests[i], "GET", "/os/threads", NULL, &now[i]);
			if (!result)
				n = add_rows(w.guests[i].name, last[i], now[i], idle, &rows, n);
		}
		if (n)
			qsort(rows, n, sizeof(*rows), by_percent);
		if (!result && cmd->json) {
			json_rows(rows, n);
		} else if (!result) {
			screen_begin(&r);
			print_rows(rows, cap_min(n, (size_t)screen_rows(&r)), w.count > 1);
			puts(r.terminal ? "(q and Enter: end)" : "");
		}
		fflush(stdout);
		free(rows);
		for (size_t i = 0; i < w.count; i++) {
			json_decref(last[i]);
			last[i] = now[i];
			now[i] = NULL;
		}
	}
	for (size_t i = 0; i < w.count; i++)
		json_decref(last[i]);
	free(last);
	free(now);
	watch_close(&w);
	return result;
}

/* ---- freq ---- */

/* Switches counting for all tracepoints a pattern matches. Their names go to *names. */
static int count_pattern(
    struct cap *c, struct cap_guest *g, const char *pattern, bool on, struct strv *names)
{
	struct buf path = {0}, form = {0}, answer = {0};
	json_t *list = NULL, *e;
	size_t i;
	buf_puts(&form, "");
	cap_form_add(&form, "match", pattern);
	buf_printf(&path, "/trace/status?%s", form.data + 1);
	int result = watch_json(c, g, "GET", path.data, NULL, &list);
	json_array_foreach(list, i, e)
	{
		if (result)
			break;
		path.len = 0;
		buf_printf(&path, "/trace/count/%s", text(e, "name"));
		result = cap_guest_call(
		    c, g, "POST", path.data, on ? "enabled=true" : "enabled=false", &answer);
		if (names && !strv_has(names, text(e, "name")))
			strv_add(names, text(e, "name"));
	}
	json_decref(list);
	buf_free(&path);
	buf_free(&form);
	buf_free(&answer);
	return result;
}

static void show_rates(
    struct cmd *cmd, const struct watch *w, json_t **last, json_t **now, const struct strv *names)
{
	json_t *all = json_array();
	if (!cmd->json)
		printf("%s%-32s %12s %14s\n", w->count > 1 ? "GUEST                 " : "",
		    "TRACEPOINT", "PER SECOND", "HITS");
	for (size_t g = 0; g < w->count; g++) {
		double s = (double)(number(now[g], "time_ms") - number(last[g], "time_ms")) / 1000;
		for (size_t i = 0; i < names->count; i++) {
			json_t *key = json_string(names->items[i]);
			const json_t *a = find(json_object_get(last[g], "list"), "name", key),
				     *b = find(json_object_get(now[g], "list"), "name", key);
			json_decref(key);
			if (!b)
				continue;
			double rate =
			    a && s > 0 ? (double)(number(b, "count") - number(a, "count")) / s : 0;
			if (cmd->json)
				json_array_append_new(
				    all, json_pack("{s:s,s:s,s:f,s:I}", "guest", w->guests[g].name,
					     "name", names->items[i], "per_second", rate, "count",
					     number(b, "count")));
			else if (w->count > 1)
				printf("%-21.21s %-32s %12.1f %14lld\n", w->guests[g].name,
				    names->items[i], rate, (long long)number(b, "count"));
			else
				printf("%-32s %12.1f %14lld\n", names->items[i], rate,
				    (long long)number(b, "count"));
		}
	}
	if (cmd->json) {
		char *line = json_dumps(all, JSON_COMPACT);
		puts(line ? line : "[]");
		free(line);
	}
	json_decref(all);
}

int cmd_freq(struct cmd *cmd)
{
	struct watch w;
	struct rounds r;
	struct strv names = {0};
	int result = rounds_init(cmd, &r);
	if (!result)
		result = watch_open(cmd, NULL, &w);
	if (result)
		return result;
	json_t **last = xcalloc(w.count, sizeof(*last)), **now = xcalloc(w.count, sizeof(*now));
	for (size_t g = 0; !result && g < w.count; g++) {
		for (size_t i = 0; !result && i < cmd->args.count; i++)
			result =
			    count_pattern(cmd->cap, &w.guests[g], cmd->args.items[i], true, &names);
		if (!result)
			result = watch_json(
			    cmd->cap, &w.guests[g], "GET", "/trace/count", NULL, &last[g]);
	}
	while (!result && rounds_next(&r)) {
		for (size_t g = 0; !result && g < w.count; g++)
			result = watch_json(
			    cmd->cap, &w.guests[g], "GET", "/trace/count", NULL, &now[g]);
		if (!result) {
			screen_begin(&r);
			show_rates(cmd, &w, last, now, &names);
			if (!cmd->json)
				puts(r.terminal ? "(q and Enter: end)" : "");
			fflush(stdout);
		}
		for (size_t g = 0; g < w.count; g++) {
			json_decref(last[g]);
			last[g] = now[g];
			now[g] = NULL;
		}
	}
	for (size_t g = 0; g < w.count; g++) {
		for (size_t i = 0; !result && !cmd_flag(cmd, "keep") && i < cmd->args.count; i++)
			result =
			    count_pattern(cmd->cap, &w.guests[g], cmd->args.items[i], false, NULL);
		json_decref(last[g]);
	}
	free(last);
	free(now);
	strv_free(&names);
	watch_close(&w);
	return result;
}
