/* SPDX-License-Identifier: BSD-3-Clause */
/* The library's context: configuration and events. */
#include "cap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"
#include "yamldoc.h"

#define DEFAULT_REPO_URL "https://mikelangelo-capstan.s3.amazonaws.com"
#define CONFIG_MAX 65536

static void emit(struct cap *c, enum cap_event_type type, int error, const char *fmt, va_list ap)
{
	char *message = NULL;
	if (vasprintf(&message, fmt, ap) < 0)
		return;
	if (error) {
		char *longer = xasprintf("%s: %s", message, strerror(error));
		free(message);
		message = longer;
	}
	struct cap_event ev = {.type = type, .message = message};
	if (c->on_event && !(type == CAP_EV_ERROR && c->quiet_errors))
		c->on_event(c->event_arg, &ev);
	if (type == CAP_EV_ERROR) {
		free(c->last_error);
		c->last_error = message;
	} else {
		free(message);
	}
}

#define EMIT(type, error)                      \
	do {                                   \
		va_list ap;                    \
		va_start(ap, fmt);             \
		emit(c, type, error, fmt, ap); \
		va_end(ap);                    \
	} while (0)

int cap_fail(struct cap *c, int err, const char *fmt, ...)
{
	EMIT(CAP_EV_ERROR, 0);
	return -err;
}

int cap_fail_errno(struct cap *c, const char *fmt, ...)
{
	int error = errno;
	EMIT(CAP_EV_ERROR, error);
	return -error;
}

void cap_warn(struct cap *c, const char *fmt, ...)
{
	EMIT(CAP_EV_WARNING, 0);
}

void cap_info(struct cap *c, const char *fmt, ...)
{
	EMIT(CAP_EV_INFO, 0);
}

void cap_detail(struct cap *c, const char *fmt, ...)
{
	EMIT(CAP_EV_DETAIL, 0);
}

void cap_progress(struct cap *c, const char *task, uint64_t done, uint64_t total)
{
	struct cap_event ev = {.type = CAP_EV_PROGRESS, .task = task, .done = done, .total = total};
	if (c->on_event)
		c->on_event(c->event_arg, &ev);
}

int cap_exit_status(int result)
{
	switch (result) {
	case 0:
		return 0;
	case -EINVAL:
		return 64;
	case -EBADMSG:
		return 65;
	default:
		return 1;
	}
}

static void set(struct cap_setting *s, const char *value, const char *origin)
{
	free(s->value);
	s->value = value ? xstrdup(value) : NULL;
	s->origin = origin;
}

static int bad_config(
    struct cap *c, const char *path, const struct cap_yaml_node *n, const char *what)
{
	return cap_fail(c, EBADMSG, "%s:%d:%d: %s", path, n->line, n->column, what);
}

static int read_config(struct cap *c, const char *path)
{
	static const char *const keys[] = {
	    "repo_url", "disable_kvm", "qemu_aio_type", "hub_token", "hub_key", NULL};
	struct buf text = {0};
	int result = file_read(path, CONFIG_MAX, &text);
	if (result == -ENOENT || result == -ENOTDIR) {
		buf_free(&text);
		return 0;
	}
	if (result) {
		buf_free(&text);
		return cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	}
	struct cap_yaml_node *doc;
	result = cap_yaml_parse(c, path, text.data, text.len, &doc);
	buf_free(&text);
	if (result || !doc)
		return result;
	if (doc->type != CAP_YAML_MAP)
		result = bad_config(c, path, doc, "expected \"key: value\" lines");
	else
		cap_yaml_check_keys(c, path, doc, keys);
	for (size_t i = 0; !result && i < doc->count; i++) {
		const char *key = doc->keys[i]->text;
		const struct cap_yaml_node *v = doc->items[i];
		if (v->type != CAP_YAML_SCALAR)
			result = bad_config(c, path, v, "expected a plain value");
		else if (!strcmp(key, "repo_url"))
			set(&c->repo_url, v->text, "config.yaml");
		else if (!strcmp(key, "qemu_aio_type"))
			set(&c->aio, v->text, "config.yaml");
		else if (!strcmp(key, "hub_token"))
			set(&c->hub_token, v->text, "config.yaml");
		else if (!strcmp(key, "hub_key"))
			set(&c->hub_key, v->text, "config.yaml");
		else if (!strcmp(key, "disable_kvm")) {
			bool yes = !strcasecmp(v->text, "true"), no = !strcasecmp(v->text, "false");
			if (!yes && !no)
				result = bad_config(c, path, v, "disable_kvm is true or false");
			set(&c->kvm, yes ? "false" : "true", "config.yaml");
		}
	}
	cap_yaml_free(doc);
	return result;
}

int cap_open(
    struct cap *c, const char *root, const char *repo_url, cap_event_fn *on_event, void *event_arg)
{
	*c = (struct cap){.on_event = on_event, .event_arg = event_arg};
	if (!root || !*root)
		root = getenv("CAPSTAN_ROOT");
	if (root && *root) {
		c->root = path_absolute(root);
	} else {
		const char *home = getenv("HOME");
		char *path = path_join(home && *home ? home : "/root", ".capstan");
		c->root = path_absolute(path);
		free(path);
	}
	const char *env = getenv("CAPSTAN_REPO_URL");
	set(&c->repo_url, DEFAULT_REPO_URL, "default");
	set(&c->kvm, "true", "default");
	set(&c->aio, "threads", "default");
	set(&c->hub_token, NULL, "default");
	set(&c->hub_key, NULL, "default");
	if (env && *env)
		set(&c->repo_url, env, "CAPSTAN_REPO_URL");
	if ((env = getenv("CAPSTAN_HUB_TOKEN")) && *env)
		set(&c->hub_token, env, "CAPSTAN_HUB_TOKEN");
	if ((env = getenv("CAPSTAN_HUB_KEY")) && *env)
		set(&c->hub_key, env, "CAPSTAN_HUB_KEY");
	char *config = path_join(c->root, "config.yaml");
	int result = read_config(c, config);
	free(config);
	if (repo_url)
		set(&c->repo_url, repo_url, "command line");
	for (char *url = c->repo_url.value; *url && has_suffix(url, "/");)
		url[strlen(url) - 1] = 0;
	return result;
}

void cap_close(struct cap *c)
{
	free(c->root);
	free(c->repo_url.value);
	free(c->kvm.value);
	free(c->aio.value);
	free(c->hub_token.value);
	free(c->hub_key.value);
	free(c->last_error);
	*c = (struct cap){0};
}
