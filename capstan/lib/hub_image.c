/* SPDX-License-Identifier: BSD-3-Clause */
/* Images from and to a hub: NAME.qemu.gz beside an entry of the signed index. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "http.h"
#include "hub.h"
#include "hub_bucket.h"
#include "hub_index.h"
#include "manifest.h"
#include "repo.h"

#define IMAGE_UNPACKED_MAX (1ull << 40)
#define CHUNK (1 << 18)

/* Unpacks NAME.qemu.gz; a damaged or endless one leaves nothing. */
static int gunzip(struct cap *c, const char *from, const char *to)
{
	gzFile in = gzopen(from, "rbe");
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), n = 0, result = 0;
	char *chunk = xmalloc(CHUNK);
	uint64_t total = 0;
	if (!in || out < 0)
		result = cap_fail_errno(c, "cannot unpack %s", from);
	while (!result && (n = gzread(in, chunk, CHUNK)) > 0)
		if ((total += n) > IMAGE_UNPACKED_MAX || write_all(out, chunk, n))
			result = cap_fail(c, EIO, "cannot unpack %s: no space", from);
	if (!result && n < 0)
		result = cap_fail(c, EBADMSG, "%s is damaged", path_base(from));
	if (in && gzclose(in) != Z_OK && !result)
		result = cap_fail(c, EBADMSG, "%s is damaged", path_base(from));
	if (out >= 0)
		close(out);
	free(chunk);
	return result;
}

static int gzip(struct cap *c, const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), result = 0;
	gzFile out = gzopen(to, "wbe");
	char *chunk = xmalloc(CHUNK);
	ssize_t n = 0;
	if (in < 0 || !out)
		result = cap_fail_errno(c, "cannot compress %s", from);
	while (!result && (n = read(in, chunk, CHUNK)) > 0)
		if (gzwrite(out, chunk, n) != n)
			result = cap_fail(c, ENOSPC, "cannot compress %s to %s", from, to);
	if (!result && n < 0)
		result = cap_fail_errno(c, "cannot read %s", from);
	if (out && gzclose(out) != Z_OK && !result)
		result = cap_fail(c, ENOSPC, "cannot compress %s to %s", from, to);
	if (in >= 0)
		close(in);
	free(chunk);
	return result;
}

/* Scratch files of one transfer; the lock keeps two of them apart. */
struct transfer {
	char *packed, *unpacked;
	int lock;
};

static int transfer_begin(struct cap *c, struct transfer *t)
{
	*t = (struct transfer){.packed = cap_repo_path(c, "cache/image.gz"),
	    .unpacked = cap_repo_path(c, "cache/image"),
	    .lock = -1};
	int result = cap_repo_dir(c, "cache");
	if (!result && (t->lock = cap_repo_lock(c, "image-transfer")) < 0)
		result = t->lock;
	return result;
}

static void transfer_end(struct transfer *t)
{
	unlink(t->packed);
	unlink(t->unpacked);
	if (t->lock >= 0)
		close(t->lock);
	free(t->packed);
	free(t->unpacked);
}

static int no_image(struct cap *c, const struct hub_index *index, const char *name)
{
	struct strv names = {0};
	for (size_t i = 0; i < index->image_count; i++)
		strv_add(&names, index->images[i].name);
	const char *near =
	    names.count ? nearest_word(name, (const char *const *)names.items) : NULL;
	int result = cap_fail(c, ENOENT, "%s has no image %s%s%s%s", c->repo_url.value, name,
	    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	strv_free(&names);
	return result;
}

/* Fetches the file, checks it against its entry (NULL of a bucket) and imports it. */
static int fetch(struct cap *c, const char *name, const char *path, const struct hub_package *entry)
{
	struct transfer t;
	char *url = cap_hub_url(c, path);
	cap_info(c, "Pulling image %s...", name);
	int result = transfer_begin(c, &t);
	if (!result)
		result = cap_http_download(c, url, t.packed, "Pulling");
	if (!result && entry)
		result = cap_hub_check_download(c, t.packed, entry);
	if (!result)
		result = gunzip(c, t.packed, t.unpacked);
	if (!result)
		result = cap_repo_import_image(c, name, t.unpacked, entry ? entry->title : NULL,
		    entry ? entry->version : NULL);
	transfer_end(&t);
	free(url);
	return result;
}

int cap_hub_pull_image(struct cap *c, const char *name)
{
	struct hub_index index;
	if (!cap_image_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not an image name", name);
	int result = cap_hub_load_index(c, &index);
	if (result == -ENOENT) {
		char *path = xasprintf("%s/%s.qemu.gz", name, path_base(name));
		result = fetch(c, name, path, NULL);
		free(path);
		return result;
	}
	if (result)
		return result;
	const struct hub_package *entry = hub_index_find_image(&index, name);
	result = entry ? fetch(c, name, entry->file, entry) : no_image(c, &index, name);
	hub_index_free(&index);
	return result;
}

/* The image as the repository knows it; the caller frees the list. */
static const struct cap_image_info *find_image(
    struct cap *c, const char *name, struct cap_image_info **list, size_t *count)
{
	cap_repo_images(c, list, count);
	for (size_t i = 0; i < *count; i++)
		if (!strcmp((*list)[i].name, name))
			return &(*list)[i];
	cap_fail(c, ENOENT, "no image \"%s\"; `capstan images` lists them", name);
	return NULL;
}

static void add_query(struct buf *url, char separator, const char *key, const char *value)
{
	buf_printf(url, "%c%s=", separator, key);
	cap_url_encode(url, value ? value : "");
}

int cap_hub_push_image(struct cap *c, const char *name)
{
	struct cap_image_info *list;
	struct transfer t;
	struct buf answer = {0};
	size_t count;
	if (!c->hub_token.value)
		return cap_fail(c, EINVAL,
		    "pushing needs the hub's token: set hub_token in config.yaml or "
		    "$CAPSTAN_HUB_TOKEN");
	const struct cap_image_info *info = find_image(c, name, &list, &count);
	if (!info) {
		cap_image_info_free(list, count);
		return -ENOENT;
	}
	char *path = xasprintf("%s/%s.qemu.gz", name, path_base(name));
	struct buf url = {.data = cap_hub_url(c, path)};
	url.len = strlen(url.data);
	url.size = url.len + 1;
	add_query(&url, '?', "version", info->version);
	add_query(&url, '&', "description", info->description);
	add_query(&url, '&', "created", info->created);
	int result = transfer_begin(c, &t);
	if (!result)
		cap_info(c, "Compressing %s...", name);
	if (!result)
		result = gzip(c, info->path, t.packed);
	if (!result)
		result =
		    cap_http_upload(c, url.data, t.packed, c->hub_token.value, "Pushing", &answer);
	if (!result)
		cap_info(c, "%s", answer.data);
	transfer_end(&t);
	cap_image_info_free(list, count);
	buf_free(&answer);
	buf_free(&url);
	free(path);
	return result;
}
