/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meta/opts: settings of a package that become switches of `capstan run`. Each is an environment
 * variable that boot commands can use as ${VARIABLE}:
 *
 *   PORT:
 *     name: port
 *     short: P
 *     description: port to listen on
 *     default: 8080
 */
#include "compose.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "yamldoc.h"

static bool variable_valid(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

static char *default_name(const char *variable)
{
	char *name = xstrdup(variable);
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
	return name;
}

static int parse_option(struct cap *c, const char *where, const struct cap_yaml_node *key,
    const struct cap_yaml_node *map, struct cap_option *o)
{
	static const char *const keys[] = {"name", "long", "short", "description", "default", NULL};
	*o = (struct cap_option){.variable = xstrdup(key->text)};
	if (!variable_valid(key->text))
		return cap_fail(c, EBADMSG,
		    "%s:%d:%d: \"%s\" is no name for an environment variable", where, key->line,
		    key->column, key->text);
	if (map->type != CAP_YAML_MAP)
		return cap_fail(c, EBADMSG, "%s:%d:%d: expected name, description, default", where,
		    map->line, map->column);
	cap_yaml_check_keys(c, where, map, keys);
	int result =
	    cap_yaml_string(c, where, map, cap_yaml_get(map, "long") ? "long" : "name", &o->name);
	if (!result)
		result = cap_yaml_string(c, where, map, "short", &o->letter);
	if (!result)
		result = cap_yaml_string(c, where, map, "description", &o->description);
	if (!result)
		result = cap_yaml_string(c, where, map, "default", &o->fallback);
	if (!result && !o->name)
		o->name = default_name(o->variable);
	if (!result && o->letter && strlen(o->letter) != 1)
		result = cap_fail(
		    c, EBADMSG, "%s:%d:%d: \"short\" is one letter", where, map->line, map->column);
	return result;
}

int cap_options_from_yaml(struct cap *c, const char *where, const struct cap_yaml_node *map,
    struct cap_option **list, size_t *count)
{
	int result = 0;
	*list = NULL;
	*count = 0;
	if (map->type != CAP_YAML_MAP)
		result = cap_fail(c, EBADMSG, "%s: expected VARIABLE: with settings below", where);
	for (size_t i = 0; !result && i < map->count; i++) {
		*list = xrealloc(*list, (*count + 1) * sizeof(**list));
		result = parse_option(c, where, map->keys[i], map->items[i], &(*list)[(*count)++]);
	}
	if (result) {
		cap_options_free(*list, *count);
		*list = NULL;
		*count = 0;
	}
	return result;
}

int cap_options_parse(struct cap *c, const char *where, const char *text, size_t len,
    struct cap_option **list, size_t *count)
{
	struct cap_yaml_node *doc;
	*list = NULL;
	*count = 0;
	int result = cap_yaml_parse(c, where, text, len, &doc);
	if (!result && doc)
		result = cap_options_from_yaml(c, where, doc, list, count);
	cap_yaml_free(doc);
	return result;
}

void cap_options_free(struct cap_option *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].variable);
		free(list[i].name);
		free(list[i].letter);
		free(list[i].description);
		free(list[i].fallback);
	}
	free(list);
}
