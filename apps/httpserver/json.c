/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading JSON (RFC 8259) into a tree. */
#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32
#define MAX_VALUES 10000

struct reader {
	const char *p, *end;
	const char *error;
	unsigned values;
};

static struct json *value(struct reader *r, unsigned depth);

static void blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool fail(struct reader *r, const char *why)
{
	if (!r->error)
		r->error = why;
	return false;
}

static bool expect(struct reader *r, char c)
{
	blanks(r);
	if (r->p == r->end || *r->p != c)
		return fail(r, "not the character expected");
	r->p++;
	return true;
}

static int hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 63));
		*to++ = (char)(0x80 | (c & 63));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 63));
		*to++ = (char)(0x80 | (c >> 6 & 63));
		*to++ = (char)(0x80 | (c & 63));
	}
	return to;
}

/* Behind "\u": a code point, possibly of two halves; -1 if it is none that text may hold. */
static int32_t code_point(struct reader *r)
{
	int32_t c = r->end - r->p >= 4 ? hex4(r->p) : -1;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return -1;
	r->p += 4;
	if (c < 0xd800 || c > 0xdbff)
		return c;
	int32_t low = r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	r->p += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Text is never longer than its JSON form. */
static char *string(struct reader *r)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";

	if (!expect(r, '"'))
		return NULL;
	const char *quote = r->p;
	while (quote < r->end && *quote != '"')
		quote += *quote == '\\' ? 2 : 1;
	if (quote >= r->end) {
		fail(r, "a string does not end");
		return NULL;
	}
	char *text = malloc((size_t)(quote - r->p) + 1), *to = text;
	if (!text) {
		fail(r, "no memory");
		return NULL;
	}
	while (r->p && r->p < quote) {
		unsigned char c = (unsigned char)*r->p++;
		if (c < 0x20) {
			r->p = NULL;
			break;
		}
		if (c != '\\') {
			*to++ = (char)c;
			continue;
		}
		char escape = *r->p++;
		const char *known = escape ? strchr(names, escape) : NULL;
		if (known) {
			*to++ = meanings[known - names];
			continue;
		}
		int32_t point = escape == 'u' ? code_point(r) : -1;
		if (point < 0) {
			r->p = NULL;
			break;
		}
		to = put_utf8(to, (uint32_t)point);
	}
	if (r->p != quote) {
		r->p = r->end;
		free(text);
		fail(r, "a bad character in a string");
		return NULL;
	}
	r->p++;
	*to = 0;
	return text;
}

static bool number(struct reader *r, struct json *j)
{
	const char *start = r->p;

	while (
	    r->p < r->end && (strchr("+-.eE", *r->p) ? *r->p != 0 : *r->p >= '0' && *r->p <= '9'))
		r->p++;
	j->type = JSON_NUMBER;
	j->text = strndup(start, (size_t)(r->p - start));
	if (!j->text)
		return fail(r, "no memory");
	char *end;
	strtod(j->text, &end);
	if (end == j->text || *end || *start == '+' || *start == '.')
		return fail(r, "a bad number");
	return true;
}

static bool word(struct reader *r, struct json *j)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = {{"null", JSON_NULL}, {"true", JSON_TRUE}, {"false", JSON_FALSE}};

	for (unsigned i = 0; i < 3; i++) {
		size_t n = strlen(words[i].word);
		if ((size_t)(r->end - r->p) < n || memcmp(r->p, words[i].word, n))
			continue;
		r->p += n;
		j->type = words[i].type;
		return true;
	}
	return fail(r, "no value");
}

/* Behind '[' or '{', up to the closing bracket. */
static bool elements(struct reader *r, struct json *j, char close, unsigned depth)
{
	struct json **last = &j->first;

	blanks(r);
	if (r->p < r->end && *r->p == close) {
		r->p++;
		return true;
	}
	for (;;) {
		char *name = NULL;
		if (close == '}' && (!(name = string(r)) || !expect(r, ':'))) {
			free(name);
			return false;
		}
		struct json *e = value(r, depth + 1);
		if (!e) {
			free(name);
			return false;
		}
		e->name = name;
		*last = e;
		last = &e->next;
		blanks(r);
		if (r->p < r->end && *r->p == ',') {
			r->p++;
			continue;
		}
		return expect(r, close);
	}
}

static struct json *value(struct reader *r, unsigned depth)
{
	struct json *j;
	bool ok;

	if (depth > MAX_DEPTH || ++r->values > MAX_VALUES) {
		fail(r, "too many values");
		return NULL;
	}
	blanks(r);
	j = r->p < r->end ? calloc(1, sizeof *j) : NULL;
	if (!j) {
		fail(r, r->p < r->end ? "no memory" : "no value");
		return NULL;
	}
	switch (*r->p) {
	case '[':
	case '{':
		j->type = *r->p == '[' ? JSON_ARRAY : JSON_OBJECT;
		r->p++;
		ok = elements(r, j, j->type == JSON_ARRAY ? ']' : '}', depth);
		break;
	case '"':
		j->type = JSON_STRING;
		ok = (j->text = string(r)) != NULL;
		break;
	case '-':
	case '0' ... '9':
		ok = number(r, j);
		break;
	default:
		ok = word(r, j);
	}
	if (ok)
		return j;
	json_free(j);
	return NULL;
}

struct json *json_parse(const char *p, size_t n, const char **error)
{
	struct reader r = {.p = p, .end = p + n};
	struct json *j = value(&r, 0);

	if (j) {
		blanks(&r);
		if (r.p != r.end) {
			json_free(j);
			j = NULL;
			fail(&r, "something behind the value");
		}
	}
	*error = r.error;
	return j;
}

void json_free(struct json *j)
{
	while (j) {
		struct json *next = j->next;
		json_free(j->first);
		free(j->name);
		free(j->text);
		free(j);
		j = next;
	}
}

const struct json *json_get(const struct json *j, const char *name)
{
	for (const struct json *m = j && j->type == JSON_OBJECT ? j->first : NULL; m; m = m->next)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

const char *json_text(const struct json *j)
{
	if (!j)
		return NULL;
	return j->type == JSON_TRUE ? "true" : j->type == JSON_FALSE ? "false" : j->text;
}

const char *json_get_text(const struct json *j, const char *name)
{
	return json_text(json_get(j, name));
}
