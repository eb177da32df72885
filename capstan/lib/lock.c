/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing meta/lock.yaml. */
#include "lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manifest.h"
#include "yamldoc.h"

#define LOCK_MAX (4u << 20)

static void free_entry(struct cap_lock_entry *e)
{
	free(e->name);
	free(e->version);
	free(e->sha256);
}

void cap_lock_free(struct cap_lock *lock)
{
	for (size_t i = 0; i < lock->count; i++)
		free_entry(&lock->list[i]);
	free(lock->list);
	*lock = (struct cap_lock){0};
}

void cap_lock_add(struct cap_lock *lock, const char *name, const char *version, const char *sha256)
{
	lock->list = xrealloc(lock->list, (lock->count + 1) * sizeof(*lock->list));
	lock->list[lock->count++] = (struct cap_lock_entry){.name = xstrdup(name),
	    .version = version ? xstrdup(version) : NULL,
	    .sha256 = sha256 ? xstrdup(sha256) : NULL};
}

const struct cap_lock_entry *cap_lock_find(const struct cap_lock *lock, const char *name)
{
	for (size_t i = 0; i < lock->count; i++)
		if (!strcmp(lock->list[i].name, name))
			return &lock->list[i];
	return NULL;
}

void cap_lock_remove(struct cap_lock *lock, const char *name)
{
	for (size_t i = 0; i < lock->count; i++)
		if (!strcmp(lock->list[i].name, name)) {
			free_entry(&lock->list[i]);
			lock->list[i] = lock->list[--lock->count];
			return;
		}
}

static bool digest_valid(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int parse_entry(struct cap *c, const char *where, const struct cap_yaml_node *key,
    const struct cap_yaml_node *map, struct cap_lock *lock)
{
	static const char *const known[] = {"version", "sha256", NULL};
	char *version = NULL, *sha256 = NULL;
	int result = 0;
	if (!cap_name_valid(key->text))
		return cap_fail(c, EBADMSG, "%s:%d:%d: \"%s\" is not a package name", where,
		    key->line, key->column, key->text);
	if (map->type != CAP_YAML_MAP && !cap_yaml_is_null(map))
		return cap_fail(c, EBADMSG, "%s:%d:%d: %s needs version and sha256", where,
		    map->line, map->column, key->text);
	if (map->type == CAP_YAML_MAP) {
		cap_yaml_check_keys(c, where, map, known);
		result = cap_yaml_string(c, where, map, "version", &version);
		if (!result)
			result = cap_yaml_string(c, where, map, "sha256", &sha256);
	}
	if (!result && sha256 && !digest_valid(sha256))
		result = cap_fail(c, EBADMSG, "%s:%d:%d: the sha256 of %s is not a digest", where,
		    map->line, map->column, key->text);
	if (!result)
		cap_lock_add(lock, key->text, version, sha256);
	free(version);
	free(sha256);
	return result;
}

int cap_lock_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_lock *lock)
{
	struct cap_yaml_node *doc = NULL;
	*lock = (struct cap_lock){0};
	int result = cap_yaml_parse(c, where, text, len, &doc);
	const struct cap_yaml_node *map = cap_yaml_get(doc, "packages");
	if (!result && doc && (!map || map->type != CAP_YAML_MAP))
		result = cap_fail(c, EBADMSG, "%s: there is no map named packages", where);
	for (size_t i = 0; !result && map && i < map->count; i++)
		result = parse_entry(c, where, map->keys[i], map->items[i], lock);
	if (result)
		cap_lock_free(lock);
	cap_yaml_free(doc);
	return result;
}

static char *lock_path(const char *dir)
{
	return path_join(dir, "meta/lock.yaml");
}

int cap_lock_read(struct cap *c, const char *dir, struct cap_lock *lock)
{
	char *path = lock_path(dir);
	struct buf text = {0};
	*lock = (struct cap_lock){0};
	int result = file_read(path, LOCK_MAX, &text);
	if (!result)
		result = cap_lock_parse(c, path, text.data, text.len, lock);
	else if (result == -ENOENT)
		result = 0;
	else
		cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	buf_free(&text);
	free(path);
	return result;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(
	    ((const struct cap_lock_entry *)a)->name, ((const struct cap_lock_entry *)b)->name);
}

int cap_lock_write(struct cap *c, const char *dir, const struct cap_lock *lock)
{
	char *path = lock_path(dir);
	struct buf out = {0};
	int result = 0;
	buf_puts(&out, "# Versions chosen for this package. Keep this file with it; "
		       "`capstan package update` chooses anew.\npackages:\n");
	if (lock->count)
		qsort(lock->list, lock->count, sizeof(*lock->list), compare_entries);
	for (size_t i = 0; i < lock->count; i++) {
		const struct cap_lock_entry *e = &lock->list[i];
		buf_printf(&out, "  %s:\n", e->name);
		if (e->version) {
			buf_puts(&out, "    version: ");
			cap_yaml_quote(&out, e->version);
			buf_putc(&out, '\n');
		}
		if (e->sha256)
			buf_printf(&out, "    sha256: %s\n", e->sha256);
	}
	if (lock->count)
		result = file_write_atomic(path, out.data, out.len, 0644);
	else if (unlink(path) && errno != ENOENT)
		result = -errno;
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	buf_free(&out);
	free(path);
	return result;
}
