/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan exec and cp: programs and files of a running guest. */
#include "commands.h"
#include "../lib/http.h"
#include "watch_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#define POLL_US 100000
#define INPUT_PIECE 16384

/* ---- exec ---- */

/* A word of a command in the quotes that PUT /app/ understands. */
static void add_word(struct buf *line, const char *word)
{
	if (line->len)
		buf_putc(line, ' ');
	buf_putc(line, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_puts(line, "'\\'"); /* ends the quote, a literal one, begins again */
		buf_putc(line, *word);
	}
	buf_putc(line, '\'');
}

static int start(struct cmd *cmd, struct cap_guest *g, bool input, json_int_t *tid)
{
	struct buf line = {0}, form = {0};
	json_t *answer = NULL;
	for (size_t i = 0; i < cmd->args.count; i++)
		add_word(&line, cmd->args.items[i]);
	buf_puts(&form, "");
	cap_form_add(&form, "command", line.data);
	cap_form_add(&form, "input", input ? "true" : "false");
	if (cmd_value(cmd, "cwd"))
		cap_form_add(&form, "cwd", cmd_value(cmd, "cwd"));
	int result = watch_json(cmd->cap, g, "PUT", "/app/", form.data, &answer);
	*tid = json_integer_value(answer);
	json_decref(answer);
	buf_free(&line);
	buf_free(&form);
	return result;
}

/* Sends our standard input up to its end; the guest takes as much as its pipe holds at a time. */
static int send_input(struct cmd *cmd, struct cap_guest *g, json_int_t tid)
{
	char data[INPUT_PIECE];
	struct buf answer = {0};
	int result = 0;
	ssize_t n;
	do {
		n = read(STDIN_FILENO, data, sizeof(data));
		for (ssize_t done = 0; !result && (done < n || n <= 0);) {
			char *path = xasprintf(
			    "/app/input?tid=%lld&end=%s", (long long)tid, n > 0 ? "false" : "true");
			result = cap_guest_send(cmd->cap, g, path, data + done,
			    n > 0 ? (size_t)(n - done) : 0, &answer);
			long took = answer.len ? strtol(answer.data, NULL, 10) : 0;
			free(path);
			if (n <= 0)
				break;
			done += took;
			if (!took)
				usleep(POLL_US);
		}
	} while (!result && n > 0);
	buf_free(&answer);
	return result;
}

/* Writes output with the guest's name before each line if there are several. */
static void show(const char *prefix, const char *s, size_t n, bool *fresh)
{
	if (!prefix) {
		fwrite(s, 1, n, stdout);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (*fresh)
			printf("%s: ", prefix);
		*fresh = s[i] == '\n';
		putchar(s[i]);
	}
}

static int follow(
    struct cmd *cmd, struct cap_guest *g, json_int_t tid, const char *prefix, int *status)
{
	bool finished = false, fresh = true;
	json_int_t offset = 0;
	int result = 0;
	while (!result && !finished) {
		json_t *o = NULL;
		char *path = xasprintf(
		    "/app/output?tid=%lld&offset=%lld", (long long)tid, (long long)offset);
		result = watch_json(cmd->cap, g, "GET", path, NULL, &o);
		free(path);
		json_t *text = json_object_get(o, "text");
		size_t n = json_string_length(text);
		offset = json_integer_value(json_object_get(o, "offset"));
		finished = json_is_true(json_object_get(o, "finished"));
		if (text)
			show(prefix, json_string_value(text), n, &fresh);
		fflush(stdout);
		if (finished) {
			json_int_t signal = json_integer_value(json_object_get(o, "signal"));
			*status = signal ? 128 + (int)signal
					 : (int)json_integer_value(json_object_get(o, "exit_code"));
		}
		json_decref(o);
		if (!result && !finished && !n)
			usleep(POLL_US);
	}
	return result;
}

int cmd_exec(struct cmd *cmd)
{
	struct watch w;
	int result = watch_open(cmd, NULL, &w);
	bool input = cmd_flag(cmd, "input");
	for (size_t i = 0; !result && i < w.count; i++) {
		json_int_t tid;
		int status = 0;
		result = start(cmd, &w.guests[i], input, &tid);
		if (!result && cmd_flag(cmd, "detach")) {
			printf("%lld\n", (long long)tid);
			continue;
		}
		if (!result && input)
			result = send_input(cmd, &w.guests[i], tid);
		if (!result)
			result = follow(
			    cmd, &w.guests[i], tid, w.count > 1 ? w.guests[i].name : NULL, &status);
		if (status && !cmd->status)
			cmd->status = status;
	}
	watch_close(&w);
	return result;
}

/* ---- cp ---- */

/* "GUEST:/path" or ":/path" (the default guest) is a guest's; a URL has its colon before "//". */
static const char *guest_path(const char *arg, char **guest)
{
	const char *colon = strstr(arg, ":/");
	if (colon && has_prefix(colon, "://"))
		colon = strstr(colon + 3, ":/");
	if (!colon || (strchr(arg, '/') < colon && !strstr(arg, "://")))
		return NULL;
	*guest = colon == arg ? NULL : xstrndup(arg, colon - arg);
	return colon + 1;
}

static bool guest_is_directory(struct cap *c, struct cap_guest *g, const char *path)
{
	struct buf url = {0};
	json_t *o = NULL;
	bool quiet = c->quiet_errors;
	buf_puts(&url, "/file");
	cap_url_encode(&url, path);
	buf_puts(&url, "?op=GETFILESTATUS");
	c->quiet_errors = true;
	watch_json(c, g, "GET", url.data, NULL, &o);
	c->quiet_errors = quiet;
	const char *type =
	    json_string_value(json_object_get(json_object_get(o, "FileStatus"), "type"));
	bool is = type && !strcmp(type, "DIRECTORY");
	json_decref(o);
	buf_free(&url);
	return is;
}

static int upload_tree(struct cmd *cmd, struct cap_guest *g, const char *from, const char *to)
{
	struct stat st;
	if (stat(from, &st))
		return cap_fail_errno(cmd->cap, "cannot read %s", from);
	if (!S_ISDIR(st.st_mode))
		return cap_guest_upload(cmd->cap, g, from, to, st.st_mode);
	if (!cmd_flag(cmd, "recursive"))
		return cap_fail(cmd->cap, EISDIR, "%s is a directory; -r copies it", from);
	struct buf url = {0}, answer = {0};
	buf_puts(&url, "/file");
	cap_url_encode(&url, to);
	buf_puts(&url, "?op=MKDIRS");
	int result = cap_guest_call(cmd->cap, g, "PUT", url.data, "", &answer);
	DIR *d = result ? NULL : opendir(from);
	for (struct dirent *e; !result && d && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		char *a = path_join(from, e->d_name), *b = path_join(to, e->d_name);
		result = upload_tree(cmd, g, a, b);
		free(a);
		free(b);
	}
	if (d)
		closedir(d);
	buf_free(&url);
	buf_free(&answer);
	return result;
}

static int download_tree(struct cmd *cmd, struct cap_guest *g, const char *from, const char *to)
{
	if (!guest_is_directory(cmd->cap, g, from))
		return cap_guest_download(cmd->cap, g, from, to);
	if (!cmd_flag(cmd, "recursive"))
		return cap_fail(cmd->cap, EISDIR, "%s is a directory; -r copies it", from);
	struct buf url = {0};
	json_t *o = NULL, *e;
	size_t i;
	buf_puts(&url, "/file");
	cap_url_encode(&url, from);
	buf_puts(&url, "?op=LISTSTATUS");
	int result = watch_json(cmd->cap, g, "GET", url.data, NULL, &o);
	buf_free(&url);
	if (!result && (result = mkdir_all(to, 0777)))
		cap_fail(cmd->cap, -result, "cannot create %s: %s", to, strerror(-result));
	json_array_foreach(json_object_get(json_object_get(o, "FileStatuses"), "FileStatus"), i, e)
	{
		const char *name = json_string_value(json_object_get(e, "pathSuffix")),
			   *type = json_string_value(json_object_get(e, "type"));
		/* A name comes from the guest: it must stay inside the directory. */
		if (result || !name || !*name || strchr(name, '/') || !strcmp(name, "..") ||
		    !strcmp(name, "."))
			continue;
		if (type && !strcmp(type, "SYMLINK")) {
			cap_warn(cmd->cap, "%s/%s is a symbolic link and was left out", from, name);
			continue;
		}
		char *a = path_join(from, name), *b = path_join(to, name);
		result = download_tree(cmd, g, a, b);
		free(a);
		free(b);
	}
	json_decref(o);
	return result;
}

int cmd_cp(struct cmd *cmd)
{
	char *from_guest = NULL, *to_guest = NULL;
	const char *from = cmd_arg(cmd, 0), *to = cmd_arg(cmd, 1);
	const char *from_path = guest_path(from, &from_guest), *to_path = guest_path(to, &to_guest);
	struct watch w = {0};
	int result = 0;
	if (!from_path == !to_path)
		result = cap_fail(cmd->cap, EINVAL,
		    "one of the two is GUEST:/PATH (or :/PATH for the only guest), the other a "
		    "file of this host");
	struct strv name = {0};
	if (from_guest || to_guest)
		strv_add(&name, from_guest ? from_guest : to_guest);
	if (!result)
		result = watch_open(cmd, &name, &w);
	if (!result && to_path) {
		bool into =
		    has_suffix(to_path, "/") || guest_is_directory(cmd->cap, &w.guests[0], to_path);
		char *target = into ? path_join(to_path, path_base(from)) : xstrdup(to_path);
		result = upload_tree(cmd, &w.guests[0], from, target);
		free(target);
	} else if (!result) {
		char *target = path_is_dir(to) ? path_join(to, path_base(from_path)) : xstrdup(to);
		result = download_tree(cmd, &w.guests[0], from_path, target);
		free(target);
	}
	strv_free(&name);
	watch_close(&w);
	free(from_guest);
	free(to_guest);
	return result;
}
