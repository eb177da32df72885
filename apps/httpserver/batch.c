/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POST /api/batch: a list of {method, path, parameters, body}, carried out one after the other. The
 * path may have a query; parameters are an object, or a list of {name, value}. `relative_url` is
 * taken for path.
 */
#include "calls.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include <seastar/http.h>

#define MAX_COMMANDS 100
#define MAX_ARGS 64

struct command {
	struct api_request q;
	struct api_arg args[MAX_ARGS];
	char *copy; /* of the path, decoded in place */
};

static bool add_arg(struct command *c, const char *name, const char *value)
{
	if (c->q.nargs == MAX_ARGS || !name || !value)
		return false;
	c->args[c->q.nargs++] = (struct api_arg){name, value};
	return true;
}

static bool decode(char *s, bool plus)
{
	return ss_http_decode(s, (ss_str){s, strlen(s)}, plus) >= 0;
}

static bool add_query(struct command *c, char *query)
{
	char *pair;

	while ((pair = strsep(&query, "&"))) {
		if (!*pair)
			continue;
		char *value = strchr(pair, '=');
		if (value)
			*value++ = 0;
		if (!decode(pair, true) || (value && !decode(value, true)) ||
		    !add_arg(c, pair, value ? value : ""))
			return false;
	}
	return true;
}

static bool add_parameters(struct command *c, const struct json *p)
{
	bool ok = true;

	for (const struct json *e = p ? p->first : NULL; e && ok; e = e->next)
		ok = e->name ? add_arg(c, e->name, json_text(e))
			     : add_arg(c, json_get_text(e, "name"), json_get_text(e, "value"));
	return ok;
}

/* NULL, or what is wrong with it. */
static const char *make_command(struct command *c, const struct json *j)
{
	const char *path = json_get_text(j, "path"), *body = json_get_text(j, "body");

	if (!path)
		path = json_get_text(j, "relative_url");
	c->q.method = json_get_text(j, "method");
	if (!c->q.method)
		c->q.method = "GET";
	if (!path || *path != '/')
		return "a command has no path that begins with a slash";
	c->copy = strdup(path);
	if (!c->copy)
		return "no memory";
	char *query = strchr(c->copy, '?');
	if (query)
		*query++ = 0;
	if (!decode(c->copy, false) || (query && !add_query(c, query)))
		return "a bad encoding, or too many parameters";
	if (!add_parameters(c, json_get(j, "parameters")))
		return "bad parameters";
	c->q.path = c->copy;
	c->q.args = c->args;
	c->q.body = body;
	c->q.body_len = body ? strlen(body) : 0;
	c->q.in_batch = true;
	return NULL;
}

static void run(const struct json *j, struct api_reply *r)
{
	struct command c = {0};
	struct api_reply sub;

	api_reply_init(&sub);
	const char *why = make_command(&c, j);
	if (why)
		api_fail(&sub, 400, "%s", why);
	else if (!api_find(&c.q, &sub))
		; /* the reply says so */
	else if (c.q.call->fn == call_batch)
		api_fail(&sub, 400, "a batch in a batch");
	else
		api_run(&c.q, &sub);
	json_next(&r->body);
	text_puts(&r->body, "{");
	json_member_int(&r->body, "code", sub.status);
	json_member(&r->body, "body");
	if (!sub.body.n)
		text_puts(&r->body, "null");
	else if (!strcmp(sub.type, TYPE_JSON))
		text_add(&r->body, sub.body.p, sub.body.n);
	else
		json_string_n(&r->body, sub.body.p, sub.body.n);
	text_puts(&r->body, "}");
	if (sub.after)
		r->after = sub.after;
	api_reply_free(&sub);
	free(c.copy);
}

void call_batch(struct api_request *q, struct api_reply *r)
{
	const char *text = api_arg(q, "batch"), *error;
	unsigned n = 0;

	if (!text && q->body)
		text = q->body;
	if (!text) {
		api_fail(r, 400, "parameter batch is missing");
		return;
	}
	struct json *j = json_parse(text, text == q->body ? q->body_len : strlen(text), &error);
	if (!j || j->type != JSON_ARRAY) {
		api_fail(r, 400, "batch is no list in JSON: %s", j ? "another type" : error);
		json_free(j);
		return;
	}
	for (const struct json *c = j->first; c; c = c->next)
		n++;
	if (n > MAX_COMMANDS) {
		api_fail(r, 413, "a batch has at most %d commands", MAX_COMMANDS);
	} else {
		text_puts(&r->body, "[");
		for (const struct json *c = j->first; c; c = c->next)
			run(c, r);
		text_puts(&r->body, "]");
	}
	json_free(j);
}
