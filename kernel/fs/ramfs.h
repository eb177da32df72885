/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files in memory (tmpfs), optionally as the writable layer over a read-only file system (overlay).
 *
 * A directory keeps the names that were made here, and "whiteouts" that hide names of the layer
 * below; what it does not mention is looked for below. An inode for something below shares the
 * pages of the file there until they are written (mm/pagecache.h: backing). It is found again by
 * its number, and made to stay
 * ("pinned") by the first change, so that only what was changed costs memory.
 */
#pragma once

#include "fs/internal.h"
#include "lib/rbtree.h"

struct ram_entry {
	struct rb_node by_name, by_seq;
	uint64_t seq;	     /* position in listings, never used twice */
	struct inode *inode; /* referenced; NULL is a whiteout */
	uint32_t hash;
	uint16_t len;
	char name[];
};

struct ram_xattr {
	struct list link;
	char *name;
	size_t size;
	bool removed; /* hides one below */
	char value[];
};

/* inode.private of every inode here. */
struct ram_node {
	struct rb_tree names, order;
	uint64_t next_seq, live; /* live: entries that are no whiteouts */
	struct inode *lower;	 /* referenced; what this one is on top of */
	struct inode *self;
	bool pinned;
	struct list pin_link;
	struct list xattrs;
};

/* super.private */
struct ram_super {
	struct super *lower; /* NULL: tmpfs */
	uint64_t max_pages;
	_Atomic uint64_t pages;
	struct mutex pin_lock;
	struct list pinned;
};

static inline struct ram_node *ram_node(const struct inode *i)
{
	return i->private;
}

extern const struct inode_ops ram_dir_ops, ram_file_ops, ram_link_ops, ram_special_ops;
extern const struct file_ops ram_dir_fops, ram_file_fops;
extern const struct mapping_ops ram_mapping_ops;
extern struct fs_type tmpfs_type;

/* An inode with its node; ops by mode. NULL without memory. */
struct inode *ram_inode_new(struct super *s, uint32_t mode);
/* A super block with limit of pages, without a root. */
struct super *ram_super_alloc(const struct fs_type *t, unsigned flags, uint64_t max_pages);
struct ram_entry *ram_find(const struct ram_node *n, const char *name, size_t len);
/* The first change of something that lives below. */
void ram_pin(struct inode *i);
void ram_unpin(struct inode *i);

/* ---- xattr of memory inodes (ramfs_xattr.c) ---- */
long ram_getxattr(struct inode *i, const char *name, void *buf, size_t n);
int ram_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags);
int ram_removexattr(struct inode *i, const char *name);
long ram_listxattr(struct inode *i, char *buf, size_t n);
void ram_free_xattrs(struct ram_node *n);

/* ---- overlay.c ---- */
/* Numbers of inodes made in memory start here, above those of any image below. */
#define OVERLAY_FIRST_INO (1ull << 40)
/* The inode here for one of the layer below (reference taken over). err_ptr() on failure. */
struct inode *overlay_inode(struct super *s, struct inode *lower);
struct inode *overlay_lookup(struct inode *dir, const char *name, size_t len);
/* Whether dir's lower directory has the name. */
bool overlay_has_lower(struct inode *dir, const char *name, size_t len);
/* Lists what is only below; positions from OVERLAY_POS on. */
#define OVERLAY_POS (1ll << 62)
int overlay_readdir(struct inode *dir, struct dir_context *c);
/* 0 or -ENOTEMPTY by what is below and not hidden. */
int overlay_empty(struct inode *dir);
/* A writable layer of memory over s (whose root it takes over); err_ptr() on failure. */
struct super *overlay_over(struct super *s, unsigned flags);
