/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Updating an image: which files stayed the same since it was made, and where they lie in it.
 *
 * The cache has a line for each node: its place in the image, and for host files what identifies
 * their content (device, inode, size, and both times to the nanosecond; a change of content or of
 * anything else about a file moves its change time). Files that match are read from the old image
 * in one sequential run instead of being opened one by one; everything is laid out anew, so an
 * updated image has the bytes a new one would have.
 */
#include "compose.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "erofs.h"

#define CACHE_VERSION "capstan-files-2\n"
#define CACHE_MAX (1u << 30)

struct entry {
	uint64_t offset, size, ino, dev;
	int64_t mtime, ctime;
	unsigned mode, uid, gid;
	const char *path, *target;
	bool seen;
};

static int write_line(struct cap_node *n, void *arg)
{
	struct buf *out = arg;
	char *path = cap_node_path(n);
	const char *target = S_ISLNK(n->mode) ? n->data : "";
	bool file = n->ino; /* came from a host file, wherever it is read from now */
	buf_printf(out,
	    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64
	    " %o %u %u %zu %zu\n",
	    cap_erofs_data_offset(n), n->size, file ? n->ino : 0, file ? n->dev : 0,
	    file ? n->mtime_ns : 0, file ? n->ctime_ns : 0, n->mode, n->uid, n->gid, strlen(path),
	    strlen(target));
	buf_add(out, path, strlen(path) + 1);
	buf_add(out, target, strlen(target) + 1);
	free(path);
	return 0;
}

int cap_update_write(struct cap *c, struct cap_tree *t, const char *path)
{
	struct buf out = {0};
	buf_puts(&out, CACHE_VERSION);
	cap_tree_walk(t, write_line, &out);
	int result = file_write_atomic(path, out.data, out.len, 0644);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	buf_free(&out);
	return result;
}

static bool read_entry(const struct buf *text, size_t *at, struct entry *e)
{
	size_t path_len, target_len;
	int used = 0;
	*e = (struct entry){0};
	if (sscanf(text->data + *at,
		"%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64
		" %o %u %u %zu %zu%n",
		&e->offset, &e->size, &e->ino, &e->dev, &e->mtime, &e->ctime, &e->mode, &e->uid,
		&e->gid, &path_len, &target_len, &used) != 11)
		return false;
	*at += used + 1;
	if (*at > text->len || path_len >= text->len - *at ||
	    target_len >= text->len - *at - path_len - 1)
		return false;
	e->path = text->data + *at;
	e->target = e->path + path_len + 1;
	*at += path_len + target_len + 2;
	return strlen(e->path) == path_len && strlen(e->target) == target_len;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

struct update {
	struct entry *entries;
	size_t count;
	struct cap_update_counts *counts;
	int fd;
	uint64_t base; /* of the root file system in the image's file */
};

static bool same_content(const struct cap_node *n, const struct entry *e)
{
	return n->source == CAP_SRC_FILE && e->ino == n->ino && e->dev == n->dev &&
	       e->mtime == n->mtime_ns && e->ctime == n->ctime_ns && e->size == n->size;
}

static int update_node(struct cap_node *n, void *arg)
{
	struct update *u = arg;
	char *path = cap_node_path(n);
	struct entry key = {.path = path};
	struct entry *e = bsearch(&key, u->entries, u->count, sizeof(key), compare_entries);
	free(path);
	if (!e) {
		u->counts->added++;
		return 0;
	}
	e->seen = true;
	bool same = e->mode == n->mode && e->uid == n->uid && e->gid == n->gid &&
		    !strcmp(e->target, S_ISLNK(n->mode) ? n->data : "");
	if (S_ISREG(n->mode) && e->size != n->size)
		same = false;
	if (n->source == CAP_SRC_FILE && S_ISREG(e->mode)) {
		if (same_content(n, e)) {
			n->source = CAP_SRC_RANGE;
			n->fd = u->fd;
			n->offset = u->base + e->offset;
		} else {
			same = false;
		}
	}
	if (same)
		u->counts->same++;
	else
		u->counts->changed++;
	return 0;
}

static int load_cache(const char *path, struct buf *text, struct entry **list, size_t *count)
{
	int result = file_read(path, CACHE_MAX, text);
	size_t at = strlen(CACHE_VERSION), room = 0;
	if (result)
		return result;
	if (!has_prefix(text->data, CACHE_VERSION))
		return -EBADMSG;
	while (at < text->len) {
		if (*count == room) {
			room = cap_max(room * 2, (size_t)1024);
			*list = xrealloc(*list, room * sizeof(**list));
		}
		if (!read_entry(text, &at, &(*list)[*count]))
			return -EBADMSG;
		++*count;
	}
	if (*count)
		qsort(*list, *count, sizeof(**list), compare_entries);
	return 0;
}

int cap_update_apply(struct cap *c, struct cap_tree *t, const char *cache, const char *image,
    struct cap_update_counts *counts)
{
	struct buf text = {0};
	struct cap_image img;
	struct update u = {.counts = counts};
	*counts = (struct cap_update_counts){0};
	int result = load_cache(cache, &text, &u.entries, &u.count);
	if (result)
		cap_fail(
		    c, ENOENT, "%s cannot be updated: it has no usable record of its files", image);
	else
		result = cap_image_open(c, image, &img);
	if (!result) {
		u.fd = img.fd;
		u.base = img.data_offset + img.header.root_lba * CARRARA_SECTOR;
		cap_tree_walk(t, update_node, &u);
		for (size_t i = 0; i < u.count; i++)
			counts->removed += !u.entries[i].seen;
		img.fd = -1; /* the tree reads from it until the new image is written */
		cap_image_close(&img);
		result = u.fd;
	}
	free(u.entries);
	buf_free(&text);
	return result;
}
