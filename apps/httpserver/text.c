/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing text, and the pieces of JSON. */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <seastar/http.h>

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){0};
}

/* Room for n more bytes and a terminator. */
static bool reserve(struct text *t, size_t n)
{
	if (t->failed || n > TEXT_MAX - t->n) {
		t->failed = true;
		return false;
	}
	if (t->n + n + 1 <= t->room)
		return true;
	size_t room = t->room ? t->room * 2 : 512;
	while (room < t->n + n + 1)
		room *= 2;
	char *p = realloc(t->p, room);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->room = room;
	return true;
}

void text_add(struct text *t, const void *p, size_t n)
{
	if (!reserve(t, n))
		return;
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = 0;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->n += (size_t)n;
}

void json_string_n(struct text *t, const char *s, size_t n)
{
	size_t need = ss_json_quote(NULL, 0, (ss_str){s, n});

	if (!reserve(t, need))
		return;
	ss_json_quote(t->p + t->n, need + 1, (ss_str){s, n});
	t->n += need;
}

void json_string(struct text *t, const char *s)
{
	json_string_n(t, s, strlen(s));
}

void json_next(struct text *t)
{
	if (t->n && t->p[t->n - 1] != '[' && t->p[t->n - 1] != '{' && t->p[t->n - 1] != ':')
		text_add(t, ",", 1);
}

void json_member(struct text *t, const char *name)
{
	json_next(t);
	json_string(t, name);
	text_add(t, ":", 1);
}

void json_member_string(struct text *t, const char *name, const char *value)
{
	json_member(t, name);
	json_string(t, value);
}

void json_member_int(struct text *t, const char *name, int64_t value)
{
	json_member(t, name);
	text_printf(t, "%" PRId64, value);
}

void json_member_bool(struct text *t, const char *name, bool value)
{
	json_member(t, name);
	text_puts(t, value ? "true" : "false");
}
