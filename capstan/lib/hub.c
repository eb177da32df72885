/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's side of remote repositories. */
#include "hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "hub_bucket.h"
#include "hub_index.h"
#include "manifest.h"
#include "repo.h"
#include "version.h"

char *cap_hub_url(struct cap *c, const char *path)
{
	struct buf url = {0};
	buf_printf(&url, "%s/", c->repo_url.value);
	cap_url_encode(&url, path);
	return buf_take(&url);
}

/* What is remembered about a hub: ROOT/hubs/HASH.{key,serial}. */
static char *memory_file(struct cap *c, const char *suffix)
{
	char hash[65];
	sha256_hex(c->repo_url.value, strlen(c->repo_url.value), hash);
	char *name = xasprintf("hubs/%.32s.%s", hash, suffix), *path = cap_repo_path(c, name);
	free(name);
	return path;
}

static char *recall(struct cap *c, const char *suffix)
{
	char *path = memory_file(c, suffix), *line = file_first_line(path);
	free(path);
	return line;
}

static int remember(struct cap *c, const char *suffix, const char *value)
{
	char *path = memory_file(c, suffix);
	int result = cap_repo_dir(c, "hubs");
	if (!result && (result = file_write_atomic(path, value, strlen(value), 0644)))
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	free(path);
	return result;
}

/* The configured key, else the one of the first contact, else (first contact) the hub's own word.
 */
static int trusted_key(struct cap *c, char **key)
{
	struct buf text = {0};
	if (c->hub_key.value) {
		*key = xstrdup(c->hub_key.value);
		return 0;
	}
	if ((*key = recall(c, "key")))
		return 0;
	char *url = cap_hub_url(c, "key.pub");
	int result = cap_http_get(c, url, 4096, &text);
	free(url);
	if (!result) {
		text.data[strcspn(text.data, "\r\n")] = 0;
		cap_info(c, "First contact with %s: trusting its key %s from now on",
		    c->repo_url.value, text.data);
		*key = xstrdup(text.data);
		result = remember(c, "key", *key);
	}
	buf_free(&text);
	return result;
}

/* An index older than one seen before would hide newer packages. */
static int check_serial(struct cap *c, const struct hub_index *index)
{
	char *last = recall(c, "serial");
	uint64_t seen = 0;
	int result = 0;
	if (last && parse_uint(last, UINT64_MAX, &seen) && index->serial < seen)
		result = cap_fail(c, EBADMSG,
		    "%s shows index %llu, but had %llu before; refused as a replay",
		    c->repo_url.value, (unsigned long long)index->serial, (unsigned long long)seen);
	free(last);
	if (!result && index->serial > seen) {
		char *text = xasprintf("%llu", (unsigned long long)index->serial);
		result = remember(c, "serial", text);
		free(text);
	}
	return result;
}

int cap_hub_load_index(struct cap *c, struct hub_index *index)
{
	struct buf text = {0};
	char *url = cap_hub_url(c, HUB_SIGNED_NAME), *known = recall(c, "key"), *key = NULL;
	bool may_be_bucket = !known && !c->hub_key.value, quiet = c->quiet_errors;
	c->quiet_errors = quiet || may_be_bucket;
	int result = cap_http_get(c, url, HUB_INDEX_MAX, &text);
	c->quiet_errors = quiet;
	/* Buckets answer 403 as well as 404 for what they do not have. */
	if (result == -EACCES && may_be_bucket)
		result = -ENOENT;
	else if (result && result != -ENOENT && may_be_bucket)
		cap_fail(c, -result, "%s", c->last_error);
	else if (result == -ENOENT && !may_be_bucket)
		result = -EIO; /* a hub does not turn into a bucket, whose files nobody signed */
	const char *json;
	if (!result)
		result = trusted_key(c, &key);
	if (!result)
		result = hub_index_verify(c, url, text.data, text.len, key, &json);
	if (!result)
		result = hub_index_parse(c, url, json, text.data + text.len - json, index);
	if (!result && (result = check_serial(c, index)))
		hub_index_free(index);
	buf_free(&text);
	free(known);
	free(key);
	free(url);
	return result;
}

int cap_hub_check_download(struct cap *c, const char *file, const struct hub_package *p)
{
	struct stat st;
	char digest[65];
	if (stat(file, &st) || (uint64_t)st.st_size != p->bytes)
		return cap_fail(c, EBADMSG, "%s: the download has the wrong size", p->name);
	int result = sha256_file(file, digest);
	if (result)
		return cap_fail(c, -result, "cannot read %s: %s", file, strerror(-result));
	return strcmp(digest, p->sha256)
		   ? cap_fail(c, EBADMSG,
			 "%s: the download's SHA-256 is %s, the signed index says %s", p->name,
			 digest, p->sha256)
		   : 0;
}

int cap_hub_pull_entry(struct cap *c, const struct hub_package *p)
{
	char *name = xasprintf("cache/%s.mpm", p->sha256), *file = cap_repo_path(c, name);
	char *url = cap_hub_url(c, p->file);
	struct cap_package imported = {0};
	cap_info(c, "Pulling %s %s...", p->name, p->version ? p->version : "");
	int result = cap_repo_dir(c, "cache");
	int lock = result ? result : cap_repo_lock(c, p->sha256);
	if (lock < 0)
		result = lock;
	if (!result)
		result = cap_http_download(c, url, file, "Pulling");
	if (!result)
		result = cap_hub_check_download(c, file, p);
	if (!result)
		result = cap_repo_import(c, file, &imported);
	if (!result && strcmp(imported.name, p->name))
		result =
		    cap_fail(c, EBADMSG, "the hub's %s is in truth %s", p->name, imported.name);
	unlink(file);
	if (lock >= 0)
		close(lock);
	cap_package_free(&imported);
	free(url);
	free(file);
	free(name);
	return result;
}

static int explain_missing(
    struct cap *c, const struct hub_index *index, const char *name, const char *range)
{
	struct strv versions = {0}, names = {0};
	for (size_t i = 0; i < index->count; i++) {
		if (!strcmp(index->list[i].name, name))
			strv_add(
			    &versions, index->list[i].version ? index->list[i].version : "(none)");
		strv_add(&names, index->list[i].name);
	}
	char *list = strv_join(&versions, ", ");
	const char *near =
	    names.count ? nearest_word(name, (const char *const *)names.items) : NULL;
	int result =
	    versions.count
		? cap_fail(c, EBADMSG, "%s has %s in the versions %s, none of which is %s",
		      c->repo_url.value, name, list, range)
		: cap_fail(c, ENOENT, "%s has no package %s%s%s%s", c->repo_url.value, name,
		      near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	free(list);
	strv_free(&versions);
	strv_free(&names);
	return result;
}

int cap_hub_pull_package(struct cap *c, const char *name, const char *range)
{
	struct hub_index index;
	if (!cap_name_valid(name))
		return cap_fail(c, EBADMSG, "\"%s\" is not a package name", name);
	int result = cap_hub_load_index(c, &index);
	if (result == -ENOENT)
		return cap_bucket_pull(c, name, range);
	if (result)
		return result;
	const struct hub_package *p = hub_index_find(&index, name, range);
	result = p ? cap_hub_pull_entry(c, p) : explain_missing(c, &index, name, range);
	hub_index_free(&index);
	return result;
}

static void matching(const struct hub_package *from, size_t n, const char *part,
    struct cap_hub_entry **list, size_t *count)
{
	for (size_t i = 0; i < n; i++) {
		const struct hub_package *p = &from[i];
		if (part && !strstr(p->name, part))
			continue;
		*list = xrealloc(*list, (*count + 1) * sizeof(**list));
		(*list)[(*count)++] = (struct cap_hub_entry){.name = xstrdup(p->name),
		    .version = p->version ? xstrdup(p->version) : NULL,
		    .created = p->created ? xstrdup(p->created) : NULL,
		    .title = p->title ? xstrdup(p->title) : NULL};
	}
}

int cap_hub_search(struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count)
{
	struct hub_index index;
	*list = NULL;
	*count = 0;
	int result = cap_hub_load_index(c, &index);
	if (result == -ENOENT)
		return cap_bucket_search(c, part, list, count);
	if (!result) {
		matching(index.list, index.count, part, list, count);
		hub_index_free(&index);
	}
	return result;
}

int cap_hub_search_images(
    struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count)
{
	struct hub_index index;
	*list = NULL;
	*count = 0;
	int result = cap_hub_load_index(c, &index);
	if (result)
		return result == -ENOENT ? 0 : result;
	matching(index.images, index.image_count, part, list, count);
	hub_index_free(&index);
	return 0;
}

void cap_hub_entries_free(struct cap_hub_entry *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].version);
		free(list[i].created);
		free(list[i].title);
	}
	free(list);
}

int cap_hub_push(struct cap *c, const char *mpm)
{
	struct buf answer = {0};
	if (!c->hub_token.value)
		return cap_fail(c, EINVAL,
		    "pushing needs the hub's token: set hub_token in config.yaml or "
		    "$CAPSTAN_HUB_TOKEN");
	char *url = cap_hub_url(c, "packages/"), *full = xasprintf("%s%s", url, path_base(mpm));
	int result = cap_http_upload(c, full, mpm, c->hub_token.value, "Pushing", &answer);
	if (!result)
		cap_info(c, "%s", answer.data);
	buf_free(&answer);
	free(url);
	free(full);
	return result;
}
