/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contents of an image while it is being put together: a tree of files in memory whose data
 * stays where it is (a host file, a range of an open file, a string) until the image is written.
 * Nothing is unpacked or copied on the way, so hostile archives have no host path to attack, and
 * owners and modes need no root.
 *
 * Merging rule: what is added later wins; a directory added over a directory merges. Paths are
 * guest paths; a symbolic link to a directory inside the tree is followed for the parents of a
 * path, as it would be in the guest.
 */
#ifndef CAPSTAN_TREE_H
#define CAPSTAN_TREE_H

#include <stdint.h>
#include <sys/stat.h>

#include "cap.h"
#include "util.h"

enum cap_source {
	CAP_SRC_NONE,  /* directory, link, device or empty file */
	CAP_SRC_FILE,  /* host file `path` */
	CAP_SRC_MEM,   /* `data`, owned by the node */
	CAP_SRC_RANGE, /* `size` bytes at `offset` of `fd`, which belongs to someone else */
};

struct cap_node {
	char *name;
	struct cap_node *parent, *children, *next; /* children are unsorted until cap_tree_sort */
	struct cap_node *hash_next;
	uint32_t mode; /* with the type, as st_mode */
	uint32_t uid, gid;
	int64_t mtime; /* seconds */
	uint64_t size;
	uint64_t rdev; /* devices only */
	enum cap_source source;
	char *path; /* CAP_SRC_FILE */
	char *data; /* CAP_SRC_MEM, and the target of a symbolic link */
	int fd;	    /* CAP_SRC_RANGE */
	uint64_t offset;
	uint64_t layout[2]; /* for the image writer */
	uint64_t ino, dev;  /* CAP_SRC_FILE: identity and times, to see later whether it changed */
	int64_t mtime_ns, ctime_ns;
};

struct cap_tree {
	struct cap_node root;
	struct cap_node **hash;
	size_t hash_size;
	size_t count;	 /* nodes without the root */
	struct strv log; /* replaced files, "PATH", in order */
};

void cap_tree_init(struct cap_tree *t);
void cap_tree_free(struct cap_tree *t);

/* The node at a path, last component not followed; NULL when there is none. */
struct cap_node *cap_tree_lookup(struct cap_tree *t, const char *path);
/* The same with links followed to the end. */
struct cap_node *cap_tree_resolve(struct cap_tree *t, const char *path);
/* Full guest path of a node; the caller frees it. */
char *cap_node_path(const struct cap_node *n);

/*
 * Adds (or replaces) a node; parents appear with mode 0755. attr gives mode with type, owner,
 * mtime and size. Fails with -ENOTDIR when a parent is a file, -ELOOP, -ENAMETOOLONG.
 * The caller then sets the source.
 */
int cap_tree_add(struct cap *c, struct cap_tree *t, const char *path, const struct stat *attr,
    struct cap_node **out);
int cap_tree_mkdir(struct cap *c, struct cap_tree *t, const char *path, uint32_t mode);
int cap_tree_add_mem(struct cap *c, struct cap_tree *t, const char *path, uint32_t mode,
    const void *data, size_t len);
int cap_tree_add_link(struct cap *c, struct cap_tree *t, const char *path, const char *target);
/* Adds one host file, link, or empty directory under a guest path. */
int cap_tree_add_host(struct cap *c, struct cap_tree *t, const char *host, const char *path);
void cap_tree_remove(struct cap_tree *t, struct cap_node *n);

/* Answers whether a host path (relative to the directory being added) is left out. */
typedef bool cap_skip_fn(void *arg, const char *relative, bool is_dir);
/* Adds a host directory and everything below it; skip may be NULL. */
int cap_tree_add_host_dir(struct cap *c, struct cap_tree *t, const char *host, const char *path,
    cap_skip_fn *skip, void *arg);

/* Sorts every directory's children by name, byte-wise. */
void cap_tree_sort(struct cap_tree *t);
/* Calls fn for every node, parents first, in the current order. Stops at a non-zero result. */
int cap_tree_walk(struct cap_tree *t, int (*fn)(struct cap_node *n, void *arg), void *arg);

/* Reads a regular file's whole content of at most max bytes. */
int cap_node_read(struct cap *c, const struct cap_node *n, size_t max, struct buf *out);
/* Copies a regular file's data into dst (n->size bytes); an error when the file changed. */
int cap_node_copy(struct cap *c, const struct cap_node *n, void *dst);

#endif
