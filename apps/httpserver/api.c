/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the call of a request, checking its arguments, replies. */
#include "api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct api_config api_config = {.file_root = "/"};

void api_reply_init(struct api_reply *r)
{
	*r = (struct api_reply){.status = 200, .type = TYPE_JSON, .fd = -1, .length = -1};
}

void api_reply_free(struct api_reply *r)
{
	text_free(&r->body);
}

void api_fail(struct api_reply *r, int status, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text_free(&r->body);
	r->status = status;
	r->type = TYPE_JSON;
	text_puts(&r->body, "{");
	json_member_string(&r->body, "message", text);
	json_member_int(&r->body, "code", status);
	text_puts(&r->body, "}");
}

void api_fail_errno(struct api_reply *r, int err, const char *what)
{
	static const struct {
		int err, status;
	} map[] = {{ENOENT, 404}, {ENOTDIR, 404}, {EACCES, 403}, {EPERM, 403}, {EROFS, 403},
	    {EEXIST, 409}, {ENOTEMPTY, 409}, {EISDIR, 409}, {EBUSY, 409}, {ETXTBSY, 409},
	    {EXDEV, 409}, {ENOSPC, 507}, {EDQUOT, 507}, {ENOMEM, 507}, {ENAMETOOLONG, 400},
	    {EINVAL, 400}, {ELOOP, 400}, {ENOEXEC, 400}, {EOPNOTSUPP, 501}, {ENOSYS, 501}};
	int status = 500;

	for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
		if (map[i].err == -err)
			status = map[i].status;
	api_fail(r, status, "%.200s: %s", what, strerror(-err));
}

void api_string(struct api_reply *r, const char *value)
{
	json_string(&r->body, value);
}

void api_int(struct api_reply *r, int64_t value)
{
	text_printf(&r->body, "%lld", (long long)value);
}

int64_t api_time_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

const char *api_arg(const struct api_request *q, const char *name)
{
	for (unsigned i = 0; i < q->nargs; i++)
		if (!strcmp(q->args[i].name, name))
			return q->args[i].value;
	return NULL;
}

/* 1, 0, or -1 for something else. */
static int flag_value(const char *s)
{
	static const char *const on[] = {"1", "true", "yes", "on"}, *const off[] = {"0", "false",
									"no", "off", ""};

	for (size_t i = 0; i < sizeof on / sizeof on[0]; i++)
		if (!strcasecmp(s, on[i]))
			return 1;
	for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
		if (!strcasecmp(s, off[i]))
			return 0;
	return -1;
}

bool api_arg_flag(const struct api_request *q, const char *name, bool otherwise)
{
	const char *v = api_arg(q, name);

	return v ? flag_value(v) == 1 : otherwise;
}

int64_t api_arg_int(const struct api_request *q, const char *name, int64_t otherwise)
{
	const char *v = api_arg(q, name);

	return v ? strtoll(v, NULL, 10) : otherwise;
}

static bool is_integer(const char *s)
{
	char *end;

	errno = 0;
	strtoll(s, &end, 10);
	return *s && !*end && !errno && !strchr(" \t\n\r\v\f+", *s);
}

static bool is_choice(const char *choices, const char *s)
{
	size_t n = strlen(s);

	for (const char *p = choices; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (!strncasecmp(p, s, n) && (p[n] == '|' || !p[n]))
			return true;
	}
	return false;
}

static bool check_arguments(const struct api_request *q, struct api_reply *r)
{
	for (const struct api_param *p = q->call->params; p && p->name; p++) {
		const char *v = api_arg(q, p->name);
		if (!v) {
			if (!p->required)
				continue;
			api_fail(r, 400, "parameter %s is missing", p->name);
			return false;
		}
		bool ok = !strcmp(p->type, "integer")	? is_integer(v)
			  : !strcmp(p->type, "boolean") ? flag_value(v) >= 0
							: true;
		if (ok && p->choices)
			ok = is_choice(p->choices, v);
		if (!ok) {
			api_fail(r, 400, "parameter %s: \"%.60s\" is not %s%s", p->name, v,
			    p->choices ? "one of " : "of type ", p->choices ? p->choices : p->type);
			return false;
		}
	}
	return true;
}

/* Does the path fit the pattern? *rest is what the parameter at its end stands for. */
static bool fits(const char *pattern, const char *path, const char **rest)
{
	const char *brace = strchr(pattern, '{');
	size_t fixed = brace ? (size_t)(brace - pattern) : strlen(pattern), n = strlen(path);

	*rest = "";
	if (!brace) { /* a slash at the end makes no difference */
		while (fixed > 1 && pattern[fixed - 1] == '/')
			fixed--;
		while (n > 1 && path[n - 1] == '/')
			n--;
		return n == fixed && !memcmp(pattern, path, n);
	}
	bool all = strstr(brace, "...}");
	if (all && n + 1 == fixed && !memcmp(pattern, path, n))
		return true; /* "/file" is "/file/" */
	if (n < fixed || memcmp(pattern, path, fixed))
		return false;
	*rest = path + fixed;
	return all || (**rest && !strchr(*rest, '/'));
}

bool api_find(struct api_request *q, struct api_reply *r)
{
	static __thread char allow[64];
	const char *method = strcmp(q->method, "HEAD") ? q->method : "GET", *rest;

	*allow = 0;
	for (unsigned i = 0; i < api_ncalls; i++) {
		const struct api_call *c = &api_calls[i];
		if (!fits(c->path, q->path, &rest))
			continue;
		if (!strcmp(c->method, method)) {
			q->call = c;
			q->rest = rest;
			return true;
		}
		if (!strstr(allow, c->method))
			snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s",
			    *allow ? ", " : "", c->method);
	}
	if (*allow) {
		api_fail(r, 405, "%.20s is not a method of %.100s; there is %s", q->method, q->path,
		    allow);
		r->allow = allow;
	} else {
		api_fail(r, 404, "there is no %.100s", q->path);
	}
	return false;
}

void api_run(struct api_request *q, struct api_reply *r)
{
	if (api_config.read_only && strcmp(q->call->method, "GET")) {
		api_fail(r, 403, "this service only reads");
		return;
	}
	if (!check_arguments(q, r))
		return;
	q->call->fn(q, r);
	if (r->body.failed)
		api_fail(r, 507, "the reply does not fit into memory");
}

void api_handle(struct api_request *q, struct api_reply *r)
{
	if (api_find(q, r))
		api_run(q, r);
}
