/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache of unpacked packages: cache/HASH.data holds contents, cache/HASH.list what they are.
 * HASH comes from the archive's path; the list's first line identifies the archive it was made
 * from, so a replaced archive is noticed. The list is renamed into place last.
 */
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repo.h"

#define LIST_MAX (1u << 30)
#define LIST_VERSION "capstan-pack-1"

static char *identity(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		return NULL;
	return xasprintf(LIST_VERSION " %llu %llu %lld.%09ld\n", (unsigned long long)st.st_ino,
	    (unsigned long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int list_node(struct cap_node *n, void *arg)
{
	struct buf *out = arg;
	if (n->parent == n)
		return 0;
	char *path = cap_node_path(n);
	const char *target = S_ISLNK(n->mode) ? n->data : "";
	buf_printf(out, "%o %u %u %" PRId64 " %" PRIu64 " %" PRIu64 " %zu %zu\n", n->mode, n->uid,
	    n->gid, n->mtime, n->size, n->offset, strlen(path), strlen(target));
	buf_printf(out, "%s%s\n", path, target);
	free(path);
	return 0;
}

static int read_list(struct cap *c, struct buf *text, size_t at, struct cap_pack *p)
{
	while (at < text->len) {
		struct stat st = {0};
		uint64_t size, offset;
		int64_t mtime;
		size_t path_len, target_len;
		int used = 0;
		if (sscanf(text->data + at,
			"%o %u %u %" SCNd64 " %" SCNu64 " %" SCNu64 " %zu %zu\n%n", &st.st_mode,
			&st.st_uid, &st.st_gid, &mtime, &size, &offset, &path_len, &target_len,
			&used) != 8 ||
		    !used)
			return -EBADMSG;
		at += used;
		if (path_len > text->len - at || target_len >= text->len - at - path_len)
			return -EBADMSG;
		char *path = xstrndup(text->data + at, path_len);
		char *target = xstrndup(text->data + at + path_len, target_len);
		at += path_len + target_len + 1;
		st.st_mtime = mtime;
		st.st_size = size;
		struct cap_node *n;
		int result = S_ISLNK(st.st_mode) ? cap_tree_add_link(c, &p->tree, path, target)
						 : cap_tree_add(c, &p->tree, path, &st, &n);
		if (!result && S_ISREG(st.st_mode) && size) {
			n->source = CAP_SRC_RANGE;
			n->fd = p->fd;
			n->offset = offset;
		}
		free(path);
		free(target);
		if (result)
			return result;
	}
	return 0;
}

/* Opens what the cache has; false when it has nothing (usable). */
static bool open_cached(struct cap *c, const char *base, const char *id, struct cap_pack *p)
{
	char *list = xasprintf("%s.list", base), *data = xasprintf("%s.data", base);
	struct buf text = {0};
	bool ok = !file_read(list, LIST_MAX, &text) && has_prefix(text.data, id);
	if (ok && (p->fd = open(data, O_RDONLY | O_CLOEXEC)) < 0)
		ok = false;
	if (ok && read_list(c, &text, strlen(id), p)) {
		close(p->fd);
		cap_tree_free(&p->tree);
		cap_tree_init(&p->tree);
		ok = false;
	}
	buf_free(&text);
	free(list);
	free(data);
	return ok;
}

static int unpack(
    struct cap *c, const char *path, const char *base, const char *id, struct cap_pack *p)
{
	char *list = xasprintf("%s.list", base), *data = xasprintf("%s.data", base);
	char *tmp = xasprintf("%s.%d.tmp", base, (int)getpid());
	int result = 0, archive = open(path, O_RDONLY | O_CLOEXEC);
	p->fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (archive < 0)
		result = cap_fail_errno(c, "cannot open %s", path);
	else if (p->fd < 0)
		result = cap_fail_errno(c, "cannot create %s", tmp);
	else
		result = cap_archive_read_fd(c, path_base(path), archive, p->fd, &p->tree);
	if (!result) {
		struct buf text = {0};
		buf_puts(&text, id);
		cap_tree_sort(&p->tree);
		cap_tree_walk(&p->tree, list_node, &text);
		unlink(list);
		if (rename(tmp, data) ||
		    (result = file_write_atomic(list, text.data, text.len, 0644)))
			result = cap_fail(c, EIO, "cannot keep %s in the cache", path);
		buf_free(&text);
	}
	if (result)
		unlink(tmp);
	if (archive >= 0)
		close(archive);
	free(tmp);
	free(list);
	free(data);
	return result;
}

int cap_pack_open(struct cap *c, const char *path, struct cap_pack *p)
{
	char hash[65], *id = identity(path);
	*p = (struct cap_pack){.fd = -1};
	if (!id)
		return cap_fail_errno(c, "cannot open %s", path);
	cap_tree_init(&p->tree);
	int result = cap_repo_dir(c, "cache");
	sha256_hex(path, strlen(path), hash);
	char *name = xasprintf("cache/%.24s", hash), *base = cap_repo_path(c, name);
	if (!result && !open_cached(c, base, id, p)) {
		int lock = cap_repo_lock(c, path_base(name));
		if (lock < 0)
			result = lock;
		else if (!open_cached(c, base, id, p))
			result = unpack(c, path, base, id, p);
		if (lock >= 0)
			close(lock);
	}
	free(name);
	free(base);
	free(id);
	if (result)
		cap_pack_close(p);
	return result;
}

void cap_pack_close(struct cap_pack *p)
{
	cap_tree_free(&p->tree);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct cap_pack){.fd = -1};
}

struct merge {
	struct cap *c;
	struct cap_tree *into;
	cap_skip_fn *skip;
	void *arg;
};

static int merge_children(struct merge *m, struct cap_node *dir)
{
	int result = 0;
	for (struct cap_node *n = dir->children; n && !result; n = n->next) {
		char *path = cap_node_path(n);
		if (!m->skip || !m->skip(m->arg, path + 1, S_ISDIR(n->mode))) {
			struct stat st = {.st_mode = n->mode,
			    .st_uid = n->uid,
			    .st_gid = n->gid,
			    .st_mtime = n->mtime,
			    .st_size = n->size,
			    .st_rdev = n->rdev};
			struct cap_node *copy;
			result = cap_tree_add(m->c, m->into, path, &st, &copy);
			if (!result && !S_ISDIR(n->mode)) {
				copy->source = n->source;
				copy->size = n->size;
				copy->fd = n->fd;
				copy->offset = n->offset;
				copy->path = n->path ? xstrdup(n->path) : NULL;
				if (n->data)
					copy->data = xstrndup(n->data, n->size);
			}
			if (!result && S_ISDIR(n->mode))
				result = merge_children(m, n);
		}
		free(path);
	}
	return result;
}

int cap_tree_merge(
    struct cap *c, struct cap_tree *into, struct cap_tree *from, cap_skip_fn *skip, void *arg)
{
	struct merge m = {c, into, skip, arg};
	return merge_children(&m, &from->root);
}
