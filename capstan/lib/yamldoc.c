/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML documents as a tree of nodes. */
#include "yamldoc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 64
#define NODES_MAX 200000

struct parse {
	struct cap *c;
	const char *name;
	yaml_parser_t parser;
	size_t nodes;
	int error;
};

static void fail_at(struct parse *p, const yaml_mark_t *mark, const char *what)
{
	if (!p->error)
		p->error = cap_fail(p->c, EBADMSG, "%s:%zu:%zu: %s", p->name, mark->line + 1,
		    mark->column + 1, what);
}

static bool next_event(struct parse *p, yaml_event_t *ev)
{
	if (yaml_parser_parse(&p->parser, ev))
		return true;
	const char *what = p->parser.problem ? p->parser.problem : "not valid YAML";
	yaml_mark_t mark = p->parser.problem_mark;
	if (p->parser.error == YAML_READER_ERROR)
		fail_at(p, &p->parser.mark, "not valid UTF-8 text");
	else
		fail_at(p, &mark, what);
	return false;
}

static void append(struct cap_yaml_node *n, struct cap_yaml_node *key, struct cap_yaml_node *item)
{
	n->items = xrealloc(n->items, (n->count + 1) * sizeof(*n->items));
	n->items[n->count] = item;
	if (n->type == CAP_YAML_MAP) {
		n->keys = xrealloc(n->keys, (n->count + 1) * sizeof(*n->keys));
		n->keys[n->count] = key;
	}
	n->count++;
}

static struct cap_yaml_node *parse_node(struct parse *p, yaml_event_t *ev, int depth);

static struct cap_yaml_node *parse_next(
    struct parse *p, int depth, yaml_event_type_t end, bool *ended)
{
	yaml_event_t ev;
	*ended = false;
	if (!next_event(p, &ev))
		return NULL;
	struct cap_yaml_node *n = NULL;
	if (ev.type == end)
		*ended = true;
	else
		n = parse_node(p, &ev, depth);
	yaml_event_delete(&ev);
	return n;
}

static void parse_items(struct parse *p, struct cap_yaml_node *n, int depth)
{
	yaml_event_type_t end =
	    n->type == CAP_YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	for (;;) {
		bool ended;
		struct cap_yaml_node *key = NULL, *item = parse_next(p, depth, end, &ended);
		if (!item)
			return;
		if (n->type == CAP_YAML_MAP) {
			yaml_mark_t mark = {0, item->line - 1, item->column - 1};
			key = item;
			item = NULL;
			if (key->type != CAP_YAML_SCALAR)
				fail_at(p, &mark, "a key must be a plain word");
			else if (cap_yaml_get(n, key->text))
				fail_at(p, &mark, "this key occurs twice");
			else
				item = parse_next(p, depth, YAML_NO_EVENT, &ended);
			if (!item) {
				cap_yaml_free(key);
				return;
			}
		}
		append(n, key, item);
	}
}

static struct cap_yaml_node *parse_node(struct parse *p, yaml_event_t *ev, int depth)
{
	const yaml_mark_t *mark = &ev->start_mark;
	if (depth > DEPTH_MAX || ++p->nodes > NODES_MAX) {
		fail_at(
		    p, mark, depth > DEPTH_MAX ? "nested too deeply" : "the document is too large");
		return NULL;
	}
	if (ev->type == YAML_ALIAS_EVENT) {
		fail_at(p, mark, "references (*name) are not supported");
		return NULL;
	}
	struct cap_yaml_node *n = xcalloc(1, sizeof(*n));
	n->line = mark->line + 1;
	n->column = mark->column + 1;
	if (ev->type == YAML_SCALAR_EVENT) {
		n->type = CAP_YAML_SCALAR;
		n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		if (memchr(ev->data.scalar.value, 0, ev->data.scalar.length))
			fail_at(p, mark, "a zero byte in a value");
		n->text = xstrndup((const char *)ev->data.scalar.value, ev->data.scalar.length);
	} else if (ev->type == YAML_SEQUENCE_START_EVENT || ev->type == YAML_MAPPING_START_EVENT) {
		n->type = ev->type == YAML_MAPPING_START_EVENT ? CAP_YAML_MAP : CAP_YAML_LIST;
		parse_items(p, n, depth + 1);
	} else {
		fail_at(p, mark, "unexpected content");
	}
	if (!p->error)
		return n;
	cap_yaml_free(n);
	return NULL;
}

int cap_yaml_parse(
    struct cap *c, const char *name, const char *text, size_t len, struct cap_yaml_node **out)
{
	struct parse p = {.c = c, .name = name};
	*out = NULL;
	if (!yaml_parser_initialize(&p.parser))
		return cap_fail(c, ENOMEM, "%s: out of memory", name);
	yaml_parser_set_input_string(&p.parser, (const unsigned char *)text, len);
	bool done = false;
	while (!done && !p.error) {
		yaml_event_t ev;
		if (!next_event(&p, &ev))
			break;
		if (ev.type == YAML_STREAM_END_EVENT)
			done = true;
		else if (ev.type == YAML_DOCUMENT_START_EVENT && *out)
			fail_at(&p, &ev.start_mark, "only one document is expected");
		else if (ev.type != YAML_STREAM_START_EVENT &&
			 ev.type != YAML_DOCUMENT_START_EVENT && ev.type != YAML_DOCUMENT_END_EVENT)
			*out = parse_node(&p, &ev, 0);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p.parser);
	if (p.error) {
		cap_yaml_free(*out);
		*out = NULL;
	} else if (*out && cap_yaml_is_null(*out)) {
		cap_yaml_free(*out);
		*out = NULL;
	}
	return p.error;
}

void cap_yaml_free(struct cap_yaml_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++) {
		if (n->type == CAP_YAML_MAP)
			cap_yaml_free(n->keys[i]);
		cap_yaml_free(n->items[i]);
	}
	free(n->keys);
	free(n->items);
	free(n->text);
	free(n);
}

struct cap_yaml_node *cap_yaml_get(const struct cap_yaml_node *n, const char *key)
{
	if (!n || n->type != CAP_YAML_MAP)
		return NULL;
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->keys[i]->text, key))
			return n->items[i];
	return NULL;
}

bool cap_yaml_is_null(const struct cap_yaml_node *n)
{
	return n->type == CAP_YAML_SCALAR && n->plain &&
	       (!*n->text || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

void cap_yaml_check_keys(
    struct cap *c, const char *name, const struct cap_yaml_node *map, const char *const *known)
{
	for (size_t i = 0; map->type == CAP_YAML_MAP && i < map->count; i++) {
		const struct cap_yaml_node *key = map->keys[i];
		bool found = false;
		for (const char *const *k = known; *k && !found; k++)
			found = !strcmp(*k, key->text);
		if (found)
			continue;
		const char *near = nearest_word(key->text, known);
		cap_warn(c, "%s:%d:%d: unknown key \"%s\"%s%s%s", name, key->line, key->column,
		    key->text, near ? ", did you mean \"" : "", near ? near : "",
		    near ? "\"?" : "");
	}
}

int cap_yaml_string(
    struct cap *c, const char *name, const struct cap_yaml_node *map, const char *key, char **out)
{
	const struct cap_yaml_node *n = cap_yaml_get(map, key);
	*out = NULL;
	if (!n || cap_yaml_is_null(n))
		return 0;
	if (n->type != CAP_YAML_SCALAR)
		return cap_fail(
		    c, EBADMSG, "%s:%d:%d: \"%s\" takes one value", name, n->line, n->column, key);
	*out = xstrdup(n->text);
	return 0;
}

int cap_yaml_strings(struct cap *c, const char *name, const struct cap_yaml_node *map,
    const char *key, struct strv *out)
{
	const struct cap_yaml_node *n = cap_yaml_get(map, key);
	if (!n || cap_yaml_is_null(n))
		return 0;
	if (n->type == CAP_YAML_SCALAR) {
		strv_add(out, n->text);
		return 0;
	}
	if (n->type != CAP_YAML_LIST)
		return cap_fail(
		    c, EBADMSG, "%s:%d:%d: \"%s\" takes a list", name, n->line, n->column, key);
	for (size_t i = 0; i < n->count; i++) {
		if (n->items[i]->type != CAP_YAML_SCALAR)
			return cap_fail(c, EBADMSG, "%s:%d:%d: \"%s\" takes a list of plain values",
			    name, n->items[i]->line, n->items[i]->column, key);
		strv_add(out, n->items[i]->text);
	}
	return 0;
}

void cap_yaml_quote(struct buf *out, const char *text)
{
	bool plain = *text && (isalnum((unsigned char)*text) || strchr("/._$", *text));
	size_t n = strlen(text);
	for (const char *s = text; *s && plain; s++)
		if (!isalnum((unsigned char)*s) && !strchr("/._-+()@$=,<> ~^", *s))
			plain = false;
	static const char *const words[] = {"true", "false", "yes", "no", "null", "on", "off"};
	for (size_t i = 0; plain && i < CAP_ARRAY_SIZE(words); i++)
		plain = strcasecmp(text, words[i]);
	if (n && text[n - 1] == ' ')
		plain = false;
	if (plain) {
		buf_puts(out, text);
		return;
	}
	buf_putc(out, '"');
	for (const char *s = text; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(out, "\\%c", *s);
		else if (*s == '\n')
			buf_puts(out, "\\n");
		else if ((unsigned char)*s < ' ' || *s == 127)
			buf_printf(out, "\\x%02x", *s);
		else
			buf_putc(out, *s);
	}
	buf_putc(out, '"');
}
