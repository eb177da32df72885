/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing text, and the pieces of JSON. */
#ifndef HTTPSERVER_TEXT_H
#define HTTPSERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *p; /* terminated once something was added; NULL while empty */
	size_t n, room;
	bool failed; /* no memory, or more than TEXT_MAX bytes: what came later is missing */
};

#define TEXT_MAX (8u << 20)

void text_free(struct text *t);
void text_add(struct text *t, const void *p, size_t n);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. */
void json_string(struct text *t, const char *s);
void json_string_n(struct text *t, const char *s, size_t n);
/* A comma, unless a list or an object has just begun. */
void json_next(struct text *t);
/* Members of an object, with the comma before them where one is needed. */
void json_member(struct text *t, const char *name);
void json_member_string(struct text *t, const char *name, const char *value);
void json_member_int(struct text *t, const char *name, int64_t value);
void json_member_bool(struct text *t, const char *name, bool value);

#endif
