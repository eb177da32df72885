/* SPDX-License-Identifier: BSD-3-Clause */
/* GET /openapi.json: the table of calls as an OpenAPI 3.0 document. */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_parameter(struct text *b, const char *where, const char *name, const char *type,
    const char *help, const char *choices, bool required)
{
	json_next(b);
	text_puts(b, "{");
	json_member_string(b, "name", name);
	json_member_string(b, "in", where);
	if (help)
		json_member_string(b, "description", help);
	json_member_bool(b, "required", required);
	json_member(b, "schema");
	text_puts(b, "{");
	json_member_string(b, "type", type);
	if (choices) {
		json_member(b, "enum");
		text_puts(b, "[");
		for (const char *p = choices; p; p = strchr(p, '|')) {
			p += *p == '|';
			json_next(b);
			json_string_n(b, p, strcspn(p, "|"));
		}
		text_puts(b, "]");
	}
	text_puts(b, "}}");
}

/* The name in the braces of a path, without its dots. */
static void path_parameter(struct text *b, const char *path)
{
	const char *brace = strchr(path, '{');
	char name[32];

	if (!brace)
		return;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(brace + 1, ".}"), brace + 1);
	put_parameter(b, "path", name, "string", NULL, NULL, true);
}

static void put_responses(struct text *b, const char *returns)
{
	static const char error[] =
	    ",\"default\":{\"description\":\"what went wrong\",\"content\":{"
	    "\"application/json\":{\"schema\":{\"$ref\":"
	    "\"#/components/schemas/Error\"}}}}}";
	bool json = !strchr(returns, '/');

	text_puts(b, "{\"200\":{\"description\":\"OK\",\"content\":{");
	json_string(b, json ? TYPE_JSON : returns);
	text_puts(b, ":{\"schema\":{\"type\":");
	json_string(b, json ? returns : "string");
	if (!strcmp(returns, "array"))
		text_puts(b, ",\"items\":{}");
	text_puts(b, "}}}}");
	text_puts(b, error);
}

static void lower(char *to, const char *from)
{
	for (; *from; from++)
		*to++ = *from >= 'A' && *from <= 'Z' ? (char)(*from + 32) : *from;
	*to = 0;
}

static void put_call(struct text *b, const struct api_call *c)
{
	char method[16], group[32];

	lower(method, c->method);
	snprintf(group, sizeof group, "%.*s", (int)strcspn(c->path + 1, "/"), c->path + 1);
	json_member(b, method);
	text_puts(b, "{");
	json_member(b, "tags");
	text_puts(b, "[");
	json_string(b, group);
	text_puts(b, "]");
	json_member_string(b, "summary", c->summary);
	json_member(b, "parameters");
	text_puts(b, "[");
	path_parameter(b, c->path);
	for (const struct api_param *p = c->params; p && p->name; p++)
		put_parameter(b, "query", p->name, p->type, p->help, p->choices, p->required);
	text_puts(b, "]");
	if (c->flags & (API_BODY | API_UPLOAD))
		text_puts(b, ",\"requestBody\":{\"content\":{\"application/"
			     "octet-stream\":{\"schema\":{\"type\":"
			     "\"string\",\"format\":\"binary\"}}}}");
	json_member(b, "responses");
	put_responses(b, c->returns);
	text_puts(b, "}");
}

/* "/file/{path...}" is "/file/{path}" there. */
static void put_path(struct text *b, const char *path)
{
	char name[80];
	const char *dots = strstr(path, "...");

	snprintf(name, sizeof name, "%.*s%s", dots ? (int)(dots - path) : (int)strlen(path), path,
	    dots ? dots + 3 : "");
	json_member(b, name);
}

static bool seen_before(unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(api_calls[k].path, api_calls[i].path))
			return true;
	return false;
}

void call_openapi(struct api_request *q, struct api_reply *r)
{
	struct text *b = &r->body;

	(void)q;
	text_puts(b,
	    "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"Carrara\",\"version\":\"1\","
	    "\"description\":"
	    "\"Watching and steering a Carrara machine\"},\"components\":{\"schemas\":{\"Error\":{"
	    "\"type\":\"object\",\"properties\":{\"message\":{\"type\":\"string\"},\"code\":{"
	    "\"type\":"
	    "\"integer\"}}}},\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":"
	    "\"bearer\"}}},"
	    "\"paths\":{");
	for (unsigned i = 0; i < api_ncalls; i++) {
		if (seen_before(i))
			continue;
		put_path(b, api_calls[i].path);
		text_puts(b, "{");
		for (unsigned k = i; k < api_ncalls; k++)
			if (!strcmp(api_calls[k].path, api_calls[i].path))
				put_call(b, &api_calls[k]);
		text_puts(b, "}");
	}
	text_puts(b, "}}");
}
