/* SPDX-License-Identifier: BSD-3-Clause */
/* The original tool's repository in an S3 bucket. */
#include "hub_bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"
#include "manifest.h"
#include "repo.h"
#include "version.h"

#define PAGE_MAX (16u << 20)
#define PAGES_MAX 1000

static int check_range(
    struct cap *c, const struct cap_package *p, const char *name, const char *range)
{
	if (strcmp(p->name, name))
		return cap_fail(c, EBADMSG, "%s: the hub's manifest of %s names %s",
		    c->repo_url.value, name, p->name);
	if (*range && (!p->version || cap_version_matches(p->version, range) <= 0))
		return cap_fail(c, EBADMSG, "%s has %s in version %s, not %s", c->repo_url.value,
		    name, p->version ? p->version : "(none)", range);
	return 0;
}

static int fetch_manifest(struct cap *c, const char *name, struct cap_package *p)
{
	struct buf text = {0};
	char *path = xasprintf("packages/%s.yaml", name), *url = cap_hub_url(c, path);
	int result = cap_http_get(c, url, CAP_MANIFEST_MAX, &text);
	if (!result)
		result = cap_package_parse(c, url, text.data, text.len, p);
	buf_free(&text);
	free(path);
	free(url);
	return result;
}

int cap_bucket_pull(struct cap *c, const char *name, const char *range)
{
	struct cap_package p = {0}, imported = {0};
	bool quiet = c->quiet_errors;
	c->quiet_errors = true;
	int result = fetch_manifest(c, name, &p);
	c->quiet_errors = quiet;
	if (result == -ENOENT || result == -EACCES)
		return cap_fail(c, ENOENT, "%s has no package %s", c->repo_url.value, name);
	if (result)
		return cap_fail(c, -result, "%s", c->last_error);
	char *path = xasprintf("packages/%s.mpm", name), *url = cap_hub_url(c, path);
	char *part = xasprintf("cache/bucket-%s.mpm", name), *file = cap_repo_path(c, part);
	result = check_range(c, &p, name, range);
	if (!result)
		result = cap_repo_dir(c, "cache");
	if (!result) {
		cap_info(c, "Pulling %s %s...", name, p.version ? p.version : "");
		result = cap_http_download(c, url, file, "Pulling");
	}
	if (!result)
		result = cap_repo_import(c, file, &imported);
	unlink(file);
	cap_package_free(&p);
	cap_package_free(&imported);
	free(path);
	free(url);
	free(part);
	free(file);
	return result;
}

static void add_unescaped(struct buf *out, const char *text, size_t len)
{
	static const struct {
		const char *name;
		char ch;
	} entities[] = {
	    {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	buf_add(out, "", 0);
	while (len) {
		size_t e = 0;
		while (e < CAP_ARRAY_SIZE(entities) &&
		       (strlen(entities[e].name) > len ||
			   strncmp(text, entities[e].name, strlen(entities[e].name))))
			e++;
		size_t n = e < CAP_ARRAY_SIZE(entities) ? strlen(entities[e].name) : 1;
		buf_putc(out, n > 1 ? entities[e].ch : *text);
		text += n;
		len -= n;
	}
}

/* Content of the next <name>…</name> at or after *at; NULL when there is none. */
static char *next_element(const char **at, const char *name)
{
	char *open = xasprintf("<%s>", name), *close = xasprintf("</%s>", name);
	const char *start = strstr(*at, open), *end = start ? strstr(start, close) : NULL;
	struct buf out = {0};
	if (end) {
		start += strlen(open);
		add_unescaped(&out, start, end - start);
		*at = end + strlen(close);
	}
	free(open);
	free(close);
	return end ? buf_take(&out) : NULL;
}

int cap_bucket_parse(
    struct cap *c, const char *where, const char *xml, struct strv *keys, char **marker)
{
	const char *at = strstr(xml, "<ListBucketResult"), *from;
	*marker = NULL;
	if (!at)
		return cap_fail(
		    c, EBADMSG, "%s is neither a Carrara hub nor a bucket with packages", where);
	size_t before = keys->count;
	for (char *key; (from = at, key = next_element(&at, "Key"));)
		strv_take(keys, key);
	from = xml;
	char *truncated = next_element(&from, "IsTruncated");
	if (truncated && !strcmp(truncated, "true")) {
		from = xml;
		*marker = next_element(&from, "NextMarker");
		if (!*marker && keys->count > before)
			*marker = xstrdup(keys->items[keys->count - 1]);
	}
	free(truncated);
	return 0;
}

static int list_keys(struct cap *c, struct strv *keys)
{
	char *marker = xstrdup("");
	int result = 0;
	for (int page = 0; !result && marker && page < PAGES_MAX; page++) {
		struct buf url = {0}, text = {0};
		buf_printf(&url, "%s/?prefix=packages/&marker=", c->repo_url.value);
		cap_url_encode(&url, marker);
		free(marker);
		marker = NULL;
		result = cap_http_get(c, url.data, PAGE_MAX, &text);
		if (!result)
			result = cap_bucket_parse(c, c->repo_url.value, text.data, keys, &marker);
		buf_free(&url);
		buf_free(&text);
	}
	free(marker);
	return result;
}

int cap_bucket_search(struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count)
{
	struct strv keys = {0};
	int result = list_keys(c, &keys);
	strv_sort(&keys);
	for (size_t i = 0; !result && i < keys.count; i++) {
		const char *key = keys.items[i];
		if (!has_prefix(key, "packages/") || !has_suffix(key, ".yaml"))
			continue;
		char *name = xstrndup(key + 9, strlen(key) - 9 - 5);
		struct cap_package p;
		if (cap_name_valid(name) && (!part || strstr(name, part)) &&
		    !fetch_manifest(c, name, &p)) {
			*list = xrealloc(*list, (*count + 1) * sizeof(**list));
			(*list)[(*count)++] = (struct cap_hub_entry){.name = xstrdup(p.name),
			    .version = p.version ? xstrdup(p.version) : NULL,
			    .created = p.created ? xstrdup(p.created) : NULL,
			    .title = xstrdup(p.title)};
			cap_package_free(&p);
		}
		free(name);
	}
	strv_free(&keys);
	return result;
}
