/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Package archives (.mpm: a tar, plain or compressed by gzip or zstd) as parts of trees.
 *
 * An archive is read once, its entries checked, and its files' contents kept uncompressed as one
 * flat file in the cache, beside a list of what they are. Later uses map names to ranges of that
 * file; nothing from an archive is ever created by its own name on this host.
 */
#ifndef CAPSTAN_PACK_H
#define CAPSTAN_PACK_H

#include "manifest.h"
#include "tree.h"

struct cap_pack {
	int fd; /* contents */
	struct cap_tree tree;
};

/*
 * Opens an archive through the cache (made on first use). Refuses absolute paths, "..", links out
 * of order, device nodes in odd places, and bombs with -EBADMSG.
 */
int cap_pack_open(struct cap *c, const char *path, struct cap_pack *p);
/* Nodes taken from the pack into other trees must not be used afterwards. */
void cap_pack_close(struct cap_pack *p);

/* Reads an archive into a tree; contents go to fd. For cap_pack_open, imports and tests. */
int cap_archive_read_fd(
    struct cap *c, const char *name, int archive_fd, int contents_fd, struct cap_tree *t);

/* Copies nodes of a tree into another; skip may be NULL. Data sources are shared, not copied. */
int cap_tree_merge(
    struct cap *c, struct cap_tree *into, struct cap_tree *from, cap_skip_fn *skip, void *arg);

enum cap_compression { CAP_COMPRESS_NONE, CAP_COMPRESS_GZIP, CAP_COMPRESS_ZSTD };
/* Writes a tree as a tar archive, sorted, owners by number, atomically. */
int cap_archive_write(
    struct cap *c, struct cap_tree *t, const char *path, enum cap_compression compression);

/* Creates a tree's content below a host directory, which must be empty or new. */
int cap_tree_export(struct cap *c, struct cap_tree *t, const char *dir);

#endif
