/* SPDX-License-Identifier: BSD-3-Clause */
/* meta/package.yaml. */
#include "manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "yamldoc.h"

bool cap_name_valid(const char *name)
{
	if (!isalnum((unsigned char)*name) || strlen(name) > 200)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._+-", *name))
			return false;
	return true;
}

bool cap_image_name_valid(const char *name)
{
	const char *slash = strchr(name, '/');
	if (!slash)
		return cap_name_valid(name);
	char *space = xstrndup(name, slash - name);
	bool ok = cap_name_valid(space) && cap_name_valid(slash + 1);
	free(space);
	return ok;
}

int cap_require_split(struct cap *c, const char *require, char **name, char **range)
{
	size_t n = strcspn(require, " \t<>=~^@!");
	const char *rest = require + n + strspn(require + n, " \t@");
	*name = xstrndup(require, n);
	*range = xstrdup(rest);
	if (cap_name_valid(*name))
		return 0;
	free(*name);
	free(*range);
	*name = *range = NULL;
	return cap_fail(
	    c, EBADMSG, "requirement \"%s\" does not start with a package name", require);
}

static int required(struct cap *c, const char *where, const char *key, const char *value)
{
	if (value && *value)
		return 0;
	return cap_fail(c, EBADMSG, "%s: the required field \"%s\" is missing", where, key);
}

static int parse_binaries(
    struct cap *c, const char *where, const struct cap_yaml_node *doc, struct cap_package *p)
{
	const struct cap_yaml_node *map = cap_yaml_get(doc, "binary");
	if (!map || cap_yaml_is_null(map))
		return 0;
	if (map->type != CAP_YAML_MAP)
		return cap_fail(c, EBADMSG, "%s:%d:%d: \"binary\" takes names with paths", where,
		    map->line, map->column);
	for (size_t i = 0; i < map->count; i++) {
		if (map->items[i]->type != CAP_YAML_SCALAR)
			return cap_fail(c, EBADMSG, "%s:%d:%d: expected a path", where,
			    map->items[i]->line, map->items[i]->column);
		strv_addf(&p->binaries, "%s=%s", map->keys[i]->text, map->items[i]->text);
	}
	return 0;
}

static int check(struct cap *c, const char *where, const struct cap_package *p)
{
	int result = required(c, where, "name", p->name);
	if (!result)
		result = required(c, where, "title", p->title);
	if (!result)
		result = required(c, where, "author", p->author);
	if (!result && !cap_name_valid(p->name))
		result = cap_fail(c, EBADMSG,
		    "%s: \"%s\" is not a package name (letters, digits, \".\", \"-\", \"_\", "
		    "\"+\")",
		    where, p->name);
	for (size_t i = 0; !result && i < p->require.count; i++) {
		char *name, *range;
		result = cap_require_split(c, p->require.items[i], &name, &range);
		if (!result && !strcmp(name, p->name))
			result = cap_fail(c, EBADMSG, "%s: the package requires itself", where);
		free(name);
		free(range);
	}
	return result;
}

int cap_package_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_package *p)
{
	static const char *const keys[] = {"name", "title", "author", "version", "packaging",
	    "created", "platform", "require", "binary", NULL};
	struct {
		const char *key;
		char **value;
	} strings[] = {{"name", &p->name}, {"title", &p->title}, {"author", &p->author},
	    {"version", &p->version}, {"packaging", &p->packaging}, {"created", &p->created},
	    {"platform", &p->platform}};
	struct cap_yaml_node *doc;
	*p = (struct cap_package){0};
	int result = cap_yaml_parse(c, where, text, len, &doc);
	if (result)
		return result;
	if (!doc || doc->type != CAP_YAML_MAP) {
		cap_yaml_free(doc);
		return cap_fail(c, EBADMSG, "%s: expected \"key: value\" lines", where);
	}
	cap_yaml_check_keys(c, where, doc, keys);
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(strings); i++)
		result = cap_yaml_string(c, where, doc, strings[i].key, strings[i].value);
	if (!result)
		result = cap_yaml_strings(c, where, doc, "require", &p->require);
	if (!result)
		result = parse_binaries(c, where, doc, p);
	if (!result)
		result = check(c, where, p);
	cap_yaml_free(doc);
	if (result)
		cap_package_free(p);
	return result;
}

int cap_package_read(struct cap *c, const char *dir, struct cap_package *p)
{
	char *path = path_join(dir, "meta/package.yaml");
	struct buf text = {0};
	*p = (struct cap_package){0};
	int result = file_read(path, CAP_MANIFEST_MAX, &text);
	if (result == -ENOENT)
		result = cap_fail(
		    c, EBADMSG, "%s does not exist; create it with `capstan package init`", path);
	else if (result)
		result = cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	else
		result = cap_package_parse(c, path, text.data, text.len, p);
	buf_free(&text);
	free(path);
	return result;
}

void cap_package_free(struct cap_package *p)
{
	free(p->name);
	free(p->title);
	free(p->author);
	free(p->version);
	free(p->packaging);
	free(p->created);
	free(p->platform);
	strv_free(&p->require);
	strv_free(&p->binaries);
	*p = (struct cap_package){0};
}

static void line(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s: ", key);
	cap_yaml_quote(out, value);
	buf_putc(out, '\n');
}

void cap_package_format(const struct cap_package *p, struct buf *out)
{
	line(out, "name", p->name);
	line(out, "title", p->title);
	line(out, "author", p->author);
	line(out, "version", p->version);
	line(out, "packaging", p->packaging);
	line(out, "created", p->created);
	line(out, "platform", p->platform);
	for (size_t i = 0; i < p->require.count; i++) {
		buf_puts(out, i ? "  - " : "require:\n  - ");
		cap_yaml_quote(out, p->require.items[i]);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < p->binaries.count; i++) {
		char *name = xstrndup(p->binaries.items[i], strcspn(p->binaries.items[i], "="));
		buf_puts(out, i ? "  " : "binary:\n  ");
		line(out, name, p->binaries.items[i] + strlen(name) + 1);
		free(name);
	}
}
