/* SPDX-License-Identifier: BSD-3-Clause */
/* The contents of an image while it is being put together. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40
#define NAME_BYTES_MAX 255
#define PATH_BYTES_MAX 4096

static size_t hash_name(const struct cap_node *parent, const char *name, size_t len)
{
	uint64_t h = (uintptr_t)parent * 0x9e3779b97f4a7c15ull;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

void cap_tree_init(struct cap_tree *t)
{
	*t = (struct cap_tree){.hash_size = 1024};
	t->hash = xcalloc(t->hash_size, sizeof(*t->hash));
	t->root.mode = S_IFDIR | 0755;
	t->root.name = xstrdup("");
	t->root.parent = &t->root;
}

static void node_free(struct cap_node *n)
{
	free(n->name);
	free(n->path);
	free(n->data);
}

void cap_tree_free(struct cap_tree *t)
{
	for (size_t i = 0; i < t->hash_size; i++)
		for (struct cap_node *n = t->hash[i], *next; n; n = next) {
			next = n->hash_next;
			node_free(n);
			free(n);
		}
	node_free(&t->root);
	free(t->hash);
	strv_free(&t->log);
	*t = (struct cap_tree){0};
}

static struct cap_node *child(
    struct cap_tree *t, const struct cap_node *parent, const char *name, size_t len)
{
	struct cap_node *n = t->hash[hash_name(parent, name, len) & (t->hash_size - 1)];
	while (n && !(n->parent == parent && !strncmp(n->name, name, len) && !n->name[len]))
		n = n->hash_next;
	return n;
}

static void hash_grow(struct cap_tree *t)
{
	size_t size = t->hash_size * 4;
	struct cap_node **table = xcalloc(size, sizeof(*table));
	for (size_t i = 0; i < t->hash_size; i++)
		for (struct cap_node *n = t->hash[i], *next; n; n = next) {
			size_t h = hash_name(n->parent, n->name, strlen(n->name)) & (size - 1);
			next = n->hash_next;
			n->hash_next = table[h];
			table[h] = n;
		}
	free(t->hash);
	t->hash = table;
	t->hash_size = size;
}

static struct cap_node *child_new(
    struct cap_tree *t, struct cap_node *parent, const char *name, size_t len)
{
	if (t->count >= t->hash_size)
		hash_grow(t);
	struct cap_node *n = xcalloc(1, sizeof(*n));
	n->name = xstrndup(name, len);
	n->parent = parent;
	n->fd = -1;
	n->next = parent->children;
	parent->children = n;
	size_t h = hash_name(parent, name, len) & (t->hash_size - 1);
	n->hash_next = t->hash[h];
	t->hash[h] = n;
	t->count++;
	return n;
}

/*
 * Walks path from `at`. With create, missing directories appear. Stops before the last component
 * when last is given and stores it there; follows every link on the way. Returns the node or NULL
 * with *error set.
 */
static struct cap_node *walk(struct cap_tree *t, struct cap_node *at, const char *path, bool create,
    const char **last, int *links, int *error)
{
	if (path[0] == '/')
		at = &t->root;
	while (*(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");
		const char *rest = path + n + strspn(path + n, "/");
		if (last && !*rest) {
			*last = path;
			return at;
		}
		if (!S_ISDIR(at->mode)) {
			*error = -ENOTDIR;
			return NULL;
		}
		if (n > NAME_BYTES_MAX) {
			*error = -ENAMETOOLONG;
			return NULL;
		}
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			at = at->parent;
		} else if (!(n == 1 && path[0] == '.')) {
			struct cap_node *next = child(t, at, path, n);
			if (!next && create) {
				next = child_new(t, at, path, n);
				next->mode = S_IFDIR | 0755;
			}
			if (next && S_ISLNK(next->mode)) {
				if (++*links > MAX_LINKS) {
					*error = -ELOOP;
					return NULL;
				}
				char *target = xstrdup(next->data);
				next = walk(t, at, target, create, NULL, links, error);
				free(target);
				if (!next)
					return NULL;
			}
			if (!next) {
				*error = -ENOENT;
				return NULL;
			}
			at = next;
		}
		path = rest;
	}
	return at;
}

struct cap_node *cap_tree_lookup(struct cap_tree *t, const char *path)
{
	const char *last = NULL;
	int links = 0, error = 0;
	struct cap_node *dir = walk(t, &t->root, path, false, &last, &links, &error);
	return dir && last ? child(t, dir, last, strcspn(last, "/")) : dir;
}

struct cap_node *cap_tree_resolve(struct cap_tree *t, const char *path)
{
	int links = 0, error = 0;
	return walk(t, &t->root, path, false, NULL, &links, &error);
}

char *cap_node_path(const struct cap_node *n)
{
	if (n->parent == n)
		return xstrdup("/");
	char *dir = cap_node_path(n->parent), *path = path_join(dir, n->name);
	free(dir);
	return path;
}

void cap_tree_remove(struct cap_tree *t, struct cap_node *n)
{
	while (n->children)
		cap_tree_remove(t, n->children);
	struct cap_node **link = &n->parent->children;
	while (*link != n)
		link = &(*link)->next;
	*link = n->next;
	link = &t->hash[hash_name(n->parent, n->name, strlen(n->name)) & (t->hash_size - 1)];
	while (*link != n)
		link = &(*link)->hash_next;
	*link = n->hash_next;
	t->count--;
	node_free(n);
	free(n);
}

int cap_tree_add(struct cap *c, struct cap_tree *t, const char *path, const struct stat *attr,
    struct cap_node **out)
{
	const char *last = NULL;
	int links = 0, error = 0;
	if (strlen(path) >= PATH_BYTES_MAX)
		return cap_fail(c, ENAMETOOLONG, "a path of %zu bytes is too long", strlen(path));
	struct cap_node *dir = walk(t, &t->root, path, true, &last, &links, &error), *n;
	if (dir && !S_ISDIR(dir->mode))
		error = -ENOTDIR;
	size_t len = last ? strcspn(last, "/") : 0;
	if (len > NAME_BYTES_MAX)
		error = -ENAMETOOLONG;
	if (len == 2 && !strncmp(last, "..", 2))
		error = -EINVAL;
	if (error)
		return cap_fail(
		    c, -error, "cannot put %s into the image: %s", path, strerror(-error));
	if (!last || (len == 1 && last[0] == '.')) {
		n = dir; /* the root directory itself */
	} else {
		n = child(t, dir, last, len);
		/* A directory over a link to a directory merges into what the link names. */
		if (n && S_ISLNK(n->mode) && S_ISDIR(attr->st_mode)) {
			struct cap_node *target = cap_tree_resolve(t, path);
			if (target && S_ISDIR(target->mode))
				n = target;
		}
		if (n && !(S_ISDIR(n->mode) && S_ISDIR(attr->st_mode))) {
			if (!S_ISLNK(n->mode) || !S_ISLNK(attr->st_mode))
				strv_add(&t->log, path);
			if (S_ISDIR(n->mode) != S_ISDIR(attr->st_mode))
				cap_warn(c,
				    "%s is a directory in one place and a file in another; "
				    "the later one is used",
				    path);
			cap_tree_remove(t, n);
			n = NULL;
		}
		if (!n)
			n = child_new(t, dir, last, len);
	}
	if (S_ISDIR(n->mode) && !S_ISDIR(attr->st_mode))
		return cap_fail(c, EISDIR, "cannot put a file at %s: it is a directory", path);
	n->mode = attr->st_mode;
	n->uid = attr->st_uid;
	n->gid = attr->st_gid;
	n->mtime = attr->st_mtime;
	n->rdev = attr->st_rdev;
	n->size = S_ISREG(attr->st_mode) ? attr->st_size : 0;
	n->source = CAP_SRC_NONE;
	if (out)
		*out = n;
	return 0;
}

int cap_tree_mkdir(struct cap *c, struct cap_tree *t, const char *path, uint32_t mode)
{
	struct cap_node *n = cap_tree_resolve(t, path);
	if (n && S_ISDIR(n->mode))
		return 0;
	return cap_tree_add(c, t, path, &(struct stat){.st_mode = S_IFDIR | mode}, NULL);
}

int cap_tree_add_mem(struct cap *c, struct cap_tree *t, const char *path, uint32_t mode,
    const void *data, size_t len)
{
	struct stat st = {.st_mode = S_IFREG | mode, .st_size = len};
	struct cap_node *n;
	int result = cap_tree_add(c, t, path, &st, &n);
	if (result)
		return result;
	n->source = CAP_SRC_MEM;
	n->data = xstrndup(data, len);
	return 0;
}

int cap_tree_add_link(struct cap *c, struct cap_tree *t, const char *path, const char *target)
{
	struct cap_node *n;
	int result = cap_tree_add(c, t, path, &(struct stat){.st_mode = S_IFLNK | 0777}, &n);
	if (result)
		return result;
	free(n->data);
	n->data = xstrdup(target);
	n->size = strlen(target);
	return 0;
}

static char *read_link(struct cap *c, const char *host)
{
	char target[4096];
	ssize_t n = readlink(host, target, sizeof(target) - 1);
	if (n < 0) {
		cap_fail_errno(c, "cannot read the link %s", host);
		return NULL;
	}
	return xstrndup(target, n);
}

static int add_host_stat(
    struct cap *c, struct cap_tree *t, const char *host, const char *path, const struct stat *st)
{
	struct cap_node *n;
	if (S_ISSOCK(st->st_mode)) {
		cap_detail(c, "left out the socket %s", host);
		return 0;
	}
	if (S_ISLNK(st->st_mode)) {
		char *target = read_link(c, host);
		if (!target)
			return -EIO;
		int result = cap_tree_add_link(c, t, path, target);
		if (!result && (n = cap_tree_lookup(t, path))) {
			n->uid = st->st_uid;
			n->gid = st->st_gid;
			n->mtime = st->st_mtime;
		}
		free(target);
		return result;
	}
	int result = cap_tree_add(c, t, path, st, &n);
	if (result || !S_ISREG(st->st_mode) || !st->st_size)
		return result;
	n->source = CAP_SRC_FILE;
	n->path = xstrdup(host);
	n->ino = st->st_ino;
	n->dev = st->st_dev;
	n->mtime_ns = st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec;
	n->ctime_ns = st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec;
	return 0;
}

int cap_tree_add_host(struct cap *c, struct cap_tree *t, const char *host, const char *path)
{
	struct stat st;
	if (lstat(host, &st))
		return cap_fail_errno(c, "cannot read %s", host);
	return add_host_stat(c, t, host, path, &st);
}

struct dir_walk {
	cap_skip_fn *skip;
	void *arg;
};

static int add_entries(struct cap *c, struct cap_tree *t, const char *host, const char *path,
    const char *relative, const struct dir_walk *w)
{
	DIR *d = opendir(host);
	if (!d)
		return cap_fail_errno(c, "cannot read the directory %s", host);
	int result = 0;
	for (struct dirent *e; !result && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		char *h = path_join(host, e->d_name), *p = path_join(path, e->d_name);
		char *r = path_join(relative, e->d_name);
		struct stat st;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			result = cap_fail_errno(c, "cannot read %s", h);
		else if (!w->skip || !w->skip(w->arg, r, S_ISDIR(st.st_mode))) {
			result = add_host_stat(c, t, h, p, &st);
			if (!result && S_ISDIR(st.st_mode))
				result = add_entries(c, t, h, p, r, w);
		}
		free(h);
		free(p);
		free(r);
	}
	closedir(d);
	return result;
}

int cap_tree_add_host_dir(struct cap *c, struct cap_tree *t, const char *host, const char *path,
    cap_skip_fn *skip, void *arg)
{
	struct stat st;
	if (stat(host, &st))
		return cap_fail_errno(c, "cannot read the directory %s", host);
	if (!S_ISDIR(st.st_mode))
		return cap_fail(c, ENOTDIR, "%s is not a directory", host);
	int result = strcmp(path, "/") ? add_host_stat(c, t, host, path, &st) : 0;
	if (result)
		return result;
	return add_entries(c, t, host, path, "", &(struct dir_walk){skip, arg});
}

static int compare_nodes(const void *a, const void *b)
{
	const struct cap_node *x = *(struct cap_node *const *)a, *y = *(struct cap_node *const *)b;
	return strcmp(x->name, y->name);
}

static void sort_children(struct cap_node *dir)
{
	size_t count = 0, i = 0;
	for (struct cap_node *n = dir->children; n; n = n->next)
		count++;
	if (!count)
		return;
	struct cap_node **list = xcalloc(count, sizeof(*list));
	for (struct cap_node *n = dir->children; n; n = n->next)
		list[i++] = n;
	qsort(list, count, sizeof(*list), compare_nodes);
	for (i = 0; i < count; i++)
		list[i]->next = i + 1 < count ? list[i + 1] : NULL;
	dir->children = list[0];
	free(list);
	for (struct cap_node *n = dir->children; n; n = n->next)
		if (S_ISDIR(n->mode))
			sort_children(n);
}

void cap_tree_sort(struct cap_tree *t)
{
	sort_children(&t->root);
}

static int walk_children(struct cap_node *dir, int (*fn)(struct cap_node *n, void *arg), void *arg)
{
	int result = 0;
	for (struct cap_node *n = dir->children; n && !result; n = n->next) {
		result = fn(n, arg);
		if (!result && S_ISDIR(n->mode))
			result = walk_children(n, fn, arg);
	}
	return result;
}

int cap_tree_walk(struct cap_tree *t, int (*fn)(struct cap_node *n, void *arg), void *arg)
{
	int result = fn(&t->root, arg);
	return result ? result : walk_children(&t->root, fn, arg);
}

static int copy_from_fd(struct cap *c, const struct cap_node *n, int fd, uint64_t offset, char *dst)
{
	uint64_t done = 0;
	while (done < n->size) {
		ssize_t got = pread(fd, dst + done, n->size - done, offset + done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cap_fail_errno(c, "cannot read %s", n->path ? n->path : n->name);
		if (!got)
			return cap_fail(c, EIO, "%s became shorter while it was being read",
			    n->path ? n->path : n->name);
		done += got;
	}
	return 0;
}

int cap_node_copy(struct cap *c, const struct cap_node *n, void *dst)
{
	if (n->source == CAP_SRC_MEM)
		memcpy(dst, n->data, n->size);
	if (n->source == CAP_SRC_RANGE)
		return copy_from_fd(c, n, n->fd, n->offset, dst);
	if (n->source != CAP_SRC_FILE)
		return 0;
	int fd = open(n->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cap_fail_errno(c, "cannot read %s", n->path);
	int result = copy_from_fd(c, n, fd, 0, dst);
	close(fd);
	return result;
}

int cap_node_read(struct cap *c, const struct cap_node *n, size_t max, struct buf *out)
{
	if (!S_ISREG(n->mode))
		return cap_fail(c, EBADMSG, "%s is not a regular file", n->name);
	if (n->size > max)
		return cap_fail(c, EBADMSG, "%s is too large (%llu bytes)", n->name,
		    (unsigned long long)n->size);
	out->data = xmalloc(n->size + 1);
	out->len = n->size;
	out->size = n->size + 1;
	out->data[n->size] = 0;
	return cap_node_copy(c, n, out->data);
}
