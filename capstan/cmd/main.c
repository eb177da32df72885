/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan: the command line in front of the library. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define BAR_AFTER_US 400000 /* quick tasks show no bar */
#define BAR_STEP_US 50000

/* How events appear. */
struct view {
	struct cmd *cmd;
	const char *task; /* the one a bar is shown for */
	uint64_t started_us, shown_us;
	bool bar;
};

static void clear_bar(struct view *v)
{
	if (v->bar)
		fputs("\r\033[K", stderr);
	v->bar = false;
}

static void show_bar(struct view *v, const struct cap_event *ev)
{
	uint64_t now = monotonic_us();
	if (!v->task || strcmp(v->task, ev->task)) {
		v->task = ev->task;
		v->started_us = now;
		v->shown_us = 0;
	}
	if (now - v->started_us < BAR_AFTER_US || !ev->total)
		return;
	if (ev->done < ev->total && now - v->shown_us < BAR_STEP_US)
		return;
	v->shown_us = now;
	int full = ev->done * BAR_WIDTH / ev->total;
	char bar[BAR_WIDTH + 1];
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '=' : ' ';
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "\r%s %llu / %llu [%s] %.0f %% %.1fs\033[K", ev->task,
	    (unsigned long long)ev->done, (unsigned long long)ev->total, bar,
	    100.0 * ev->done / ev->total, (now - v->started_us) / 1e6);
	v->bar = true;
	if (ev->done >= ev->total) {
		fputc('\n', stderr);
		v->bar = false;
		v->task = NULL;
	}
}

static void json_event(const struct cap_event *ev)
{
	static const char *const names[] = {"error", "warning", "info", "detail", "progress"};
	json_t *o = ev->type == CAP_EV_PROGRESS
			? json_pack("{s:s,s:s,s:I,s:I}", "event", names[ev->type], "task", ev->task,
			      "done", (json_int_t)ev->done, "total", (json_int_t)ev->total)
			: json_pack("{s:s,s:s}", "event", names[ev->type], "message", ev->message);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text)
		fprintf(stderr, "%s\n", text);
	free(text);
	json_decref(o);
}

static void on_event(void *arg, const struct cap_event *ev)
{
	struct view *v = arg;
	if (ev->type == CAP_EV_DETAIL && !v->cmd->verbose)
		return;
	if (v->cmd->json) {
		if (ev->type != CAP_EV_PROGRESS)
			json_event(ev);
		return;
	}
	if (ev->type == CAP_EV_PROGRESS) {
		if (v->cmd->progress)
			show_bar(v, ev);
		return;
	}
	clear_bar(v);
	/* What a machine prints is the output of `run`; capstan's own words go beside it. */
	bool beside = v->cmd->spec && !strcmp(v->cmd->spec->path, "run");
	if (ev->type == CAP_EV_INFO && !beside) {
		printf("%s\n", ev->message);
		fflush(stdout);
		return;
	}
	fprintf(stderr, "%s%s\n",
	    ev->type == CAP_EV_ERROR	 ? "capstan: "
	    : ev->type == CAP_EV_WARNING ? "capstan: warning: "
					 : "",
	    ev->message);
}

static void print_help(const char *path)
{
	struct buf out = {0};
	cmd_help(&out, path);
	fputs(out.data ? out.data : "", stdout);
	buf_free(&out);
}

static int unknown_command(struct cap *c, char *const *argv, int argc, int used)
{
	struct buf path = {0};
	buf_add(&path, "", 0);
	for (int i = 0; i < used; i++)
		buf_printf(&path, "%s%s", i ? " " : "", argv[i]);
	if (used == argc) {
		print_help(path.data);
		buf_free(&path);
		return -EINVAL;
	}
	const char *names[64];
	size_t n = 0;
	for (const struct cmd_spec *s = cmd_table; s->path && n < 63; s++)
		if (has_prefix(s->path, path.data))
			names[n++] = s->path + path.len + (used ? 1 : 0);
	names[n] = NULL;
	const char *near = nearest_word(argv[used], names);
	int result = cap_fail(c, EINVAL, "no command \"%s%s%s\"%s%s%s", path.data, used ? " " : "",
	    argv[used], near ? "; did you mean \"" : " (see capstan --help)", near ? near : "",
	    near ? "\"?" : "");
	buf_free(&path);
	return result;
}

static bool asks_help(char *const *argv, int argc, const struct cmd_spec *spec)
{
	bool program_follows = false;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--"))
			return false;
		if (spec && spec->flags & CMD_STOP_AT_ARGS && !strcmp(argv[i], "--host"))
			program_follows = true;
		else if (program_follows && argv[i][0] != '-')
			return false;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	}
	return false;
}

static bool has_opt(const struct cmd_spec *spec, const char *name)
{
	for (const struct cmd_opt *o = spec->opts; o && o->names; o++)
		if (has_prefix(o->names, name) && strchr(", ", o->names[strlen(name)]))
			return true;
	return false;
}

static int dispatch(struct cmd *cmd, char *const *argv, int argc)
{
	int used;
	const struct cmd_spec *spec = cmd_find(argv, argc, &used);
	if (asks_help(argv + used, argc - used, spec)) {
		print_help(spec ? spec->path : "");
		return 0;
	}
	if (!spec || !spec->fn)
		return unknown_command(cmd->cap, argv, argc, used);
	cmd->spec = spec;
	int result = cmd_parse(cmd, argv + used, argc - used);
	if (result)
		return result;
	if (has_opt(spec, "verbose"))
		cmd->verbose |= cmd_flag(cmd, "verbose");
	return spec->fn(cmd);
}

/* Takes the values of the global options out of the shared array. */
static bool global_flag(const struct cmd *cmd, size_t i)
{
	return cmd->values[i].count;
}

static const char *global_value(const struct cmd *cmd, size_t i)
{
	return cmd->values[i].count ? cmd->values[i].items[cmd->values[i].count - 1] : NULL;
}

/* A closed standard descriptor would become some file that is opened later. */
static void open_missing_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	enum { URL, ROOT, VERBOSE, JSON, NO_PROGRESS, HELP, VERSION };
	struct cap cap = {0};
	struct cmd cmd = {.cap = &cap};
	struct view view = {.cmd = &cmd};
	open_missing_descriptors();
	signal(SIGPIPE, SIG_IGN);
	cap.on_event = on_event;
	cap.event_arg = &view;
	int result = cmd_parse_global(&cmd, argv + 1, argc - 1), used = result;
	if (result < 0)
		return cap_exit_status(result);
	cmd.verbose = global_flag(&cmd, VERBOSE);
	cmd.json = global_flag(&cmd, JSON);
	cmd.progress = !cmd.json && !global_flag(&cmd, NO_PROGRESS) && isatty(STDERR_FILENO);
	bool help = global_flag(&cmd, HELP), version = global_flag(&cmd, VERSION);
	char *url = global_value(&cmd, URL) ? xstrdup(global_value(&cmd, URL)) : NULL;
	char *root = global_value(&cmd, ROOT) ? xstrdup(global_value(&cmd, ROOT)) : NULL;
	for (size_t i = 0; i < CMD_OPTS_MAX; i++)
		strv_free(&cmd.values[i]);
	result = cap_open(&cap, root, url, on_event, &view);
	if (version)
		printf("capstan %s\n", CAPSTAN_VERSION);
	else if (help)
		print_help("");
	else if (!result)
		result = dispatch(&cmd, argv + 1 + used, argc - 1 - used);
	clear_bar(&view);
	for (size_t i = 0; i < CMD_OPTS_MAX; i++)
		strv_free(&cmd.values[i]);
	strv_free(&cmd.args);
	strv_free(&cmd.unknown);
	cap_close(&cap);
	free(url);
	free(root);
	if (fflush(stdout) && !result)
		result = -EIO;
	return result ? cap_exit_status(result) : cmd.status;
}
