/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading JSON (RFC 8259) into a tree; for the commands of a batch. */
#ifndef HTTPSERVER_JSON_H
#define HTTPSERVER_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	char *name;	    /* of a member of an object, else NULL */
	char *text;	    /* a string's value, a number as written; terminated */
	struct json *first; /* elements or members, in order */
	struct json *next;
};

/* A tree, or NULL with *error set. Numbers keep their text; at most 32 levels and 10000 values. */
struct json *json_parse(const char *p, size_t n, const char **error);
void json_free(struct json *j);
/* The member of an object, or NULL. */
const struct json *json_get(const struct json *j, const char *name);
/* Its value as text (strings, numbers, true and false), or NULL. */
const char *json_get_text(const struct json *j, const char *name);
const char *json_text(const struct json *j);

#endif
