/* SPDX-License-Identifier: BSD-3-Clause */
/* /env: the environment that the machine was booted with and that programs started here get. */
#include "calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static bool name_ok(struct api_reply *r, const char *name)
{
	if (*name && !strchr(name, '=') && strlen(name) <= 255)
		return true;
	api_fail(r, 400, "\"%.60s\" is no name of a variable", name);
	return false;
}

void call_env_list(struct api_request *q, struct api_reply *r)
{
	(void)q;
	text_puts(&r->body, "[");
	for (char **e = environ; e && *e; e++) {
		json_next(&r->body);
		json_string(&r->body, *e);
	}
	text_puts(&r->body, "]");
}

void call_env_get(struct api_request *q, struct api_reply *r)
{
	const char *value = name_ok(r, q->rest) ? getenv(q->rest) : NULL;

	if (value)
		api_string(r, value);
	else if (r->status == 200)
		api_fail(r, 404, "the environment has no %.100s", q->rest);
}

void call_env_set(struct api_request *q, struct api_reply *r)
{
	const char *value = api_arg(q, "val");

	if (!name_ok(r, q->rest))
		return;
	if (strlen(value) > 32768)
		api_fail(r, 413, "a variable has at most 32768 bytes");
	else if (setenv(q->rest, value, 1))
		api_fail_errno(r, -errno, q->rest);
	else
		api_string(r, value);
}

void call_env_delete(struct api_request *q, struct api_reply *r)
{
	if (!name_ok(r, q->rest))
		return;
	if (!getenv(q->rest)) {
		api_fail(r, 404, "the environment has no %.100s", q->rest);
		return;
	}
	unsetenv(q->rest);
	text_puts(&r->body, "\"OK\"");
}
