/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the VFS core share among themselves and nobody else needs. */
#pragma once

#include <linux/fcntl.h>
#include <linux/stat.h>
#include "core/log.h"
#include "fs/special.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define PATH_LIMIT 4096
#define NAME_LIMIT 255
#define LINK_DEPTH 40
#define IO_LIMIT 0x7ffff000ul /* the most one read or write moves, as on Linux */

#define S_IRWXUGO 0777u
#define IS_TYPE(i, t) (((i)->mode & S_IFMT) == (t))

/* ST_* of statfs and of super.flags. */
enum {
	ST_RDONLY = 1,
	ST_NOSUID = 2,
	ST_NODEV = 4,
	ST_NOEXEC = 8,
	ST_NOATIME = 1024,
	ST_RELATIME = 4096
};

enum { DT_UNKNOWN = 0, DT_DIR = 4, DT_REG = 8, DT_LNK = 10 };
enum { ATTR_CTIME = 64, ATTR_KEEP_SUID = 128 };

/* A path copied from the application. */
struct pathbuf {
	char *s;
	char small[232];
};
/* 0 or -errno; pathbuf_free() after success. */
int pathbuf_get(struct pathbuf *p, const char __user *path);
static inline void pathbuf_free(struct pathbuf *p)
{
	if (p->s != p->small)
		kfree(p->s);
}

/* ---- dcache.c ---- */
/* Cached child of dir under RCU (not referenced) or NULL. */
struct dentry *dcache_find(struct dentry *dir, const char *name, size_t len, uint32_t hash);
uint32_t dcache_hash(const struct dentry *dir, const char *name, size_t len);
/* One more reference unless d is dead. Any context without sleeping since d was found. */
bool dentry_try_get(struct dentry *d);
/* The child of dir called name: cached, or asked of the file system; negative if there is none.
 * Referenced or err_ptr(). dir->inode->lock is held (for reading at least). */
struct dentry *dcache_lookup(struct dentry *dir, const char *name, size_t len);
/* A negative dentry got an inode (its reference is taken over). dir's lock held for writing. */
void dcache_instantiate(struct dentry *d, struct inode *i);
/* d's name is gone (removed or replaced). dir's lock held for writing. */
void dcache_drop(struct dentry *d);
/* d becomes `name` in dir. Both directories locked. 0 or -ENOMEM. With swap, target takes d's old
 * place. */
int dcache_move(struct dentry *d, struct dentry *dir, const char *name, size_t len);
int dcache_exchange(struct dentry *a, struct dentry *b);
/* Drops every unused dentry of s. Returns whether none but the root is left. */
bool dcache_shrink_super(struct super *s);
/* Counts renames: a path walk that saw it change looks again. */
extern _Atomic uint64_t rename_seq;
struct dentry *dentry_new_root(struct super *s, struct inode *i);
void dcache_init(void);
void inode_cache_init(void);
/* Is d below (or the same as) top? */
bool dentry_below(struct dentry *d, struct dentry *top);

/* ---- mount.c ---- */
struct mount {
	struct super *super;
	struct dentry *point; /* NULL at the root */
	char *source, *options;
	struct list link;
	struct rcu_head rcu;
};
extern struct dentry *root_dentry;
extern struct mutex mounts_lock;
/* The outermost file system on top of d. RCU; not referenced. */
static inline struct dentry *mount_top(struct dentry *d)
{
	struct mount *m;
	while ((m = rcu_dereference(d->mounted)))
		d = m->super->root;
	return d;
}
static inline struct dentry *mount_bottom(struct dentry *d)
{
	while (d == d->parent && d->super && d->super->mount && d->super->mount->point)
		d = d->super->mount->point;
	return d;
}
static inline bool inode_read_only(const struct inode *i)
{
	return i->super && (i->super->flags & ST_RDONLY);
}

/* ---- walk.c ---- */
enum {
	WALK_CREATE = 256 /* last component may be missing */,
	WALK_PARENT = 512 /* stop before it */
};
struct walk {
	struct dentry
	    *d; /* the result, referenced; with WALK_PARENT, or when last is set, the parent */
	const char *last; /* the missing component, or with WALK_PARENT always */
	size_t last_len;
	bool last_dir;	  /* a slash followed it */
	unsigned flags;	  /* WALK_* */
	uint64_t resolve; /* RESOLVE_* of openat2() */
	/* private: */
	struct dentry *anchor, *root, *start;
	const char *rest;
	char *buf;
	unsigned links;
	uint64_t seq;
	const struct credentials *cred;
};
/* 0, or -errno with nothing to release. walk_end() after success; it leaves w->d to the caller. */
int walk_path(struct walk *w, int dirfd, const char *path);
void walk_end(struct walk *w);
/* The same with the application's path; err_ptr or referenced dentry. */
struct dentry *lookup_user(int dirfd, const char __user *path, unsigned flags);

/* ---- open.c ---- */
struct file *open_dentry(struct dentry *d, int flags, uint32_t acc_extra);
struct file *vfs_open_resolve(
    int dirfd, const char *path, int flags, uint32_t mode, uint64_t resolve);
int vfs_truncate(struct inode *i, uint64_t size);
int vfs_setattr(struct dentry *d, struct attr *a);
/* What a write by somebody without privileges takes away. */
void inode_drop_suid(struct inode *i);

/* ---- blockdev.c ---- */
int blkdev_open(
    struct inode *i, struct file *f); /* S_ISBLK: the disk of i->rdev, -ENXIO without one */

/* ---- cached.c ---- */
/* Sets the size of a page-cached inode: drops what is behind, zeroes the rest of the last page.
 * i->lock held for writing. 0 or -errno. */
int inode_set_size(struct inode *i, uint64_t size);

/* ---- file.c ---- */
/* The inode whose attributes an open file has. */
static inline struct inode *file_inode(const struct file *f)
{
	return f->inode;
}
extern struct super anonymous_super;

/* ---- fdtable.c ---- */
int fd_limit(void);
/* Puts f (reference taken over) at fd, closing what was there. fd or -errno. */
int fd_replace(int fd, struct file *f, bool cloexec);
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool on);
int fd_close_range(unsigned first, unsigned last, bool cloexec);
int fd_unshare(void);

/* ---- locks.c ---- */
void locks_file_closed(struct file *f); /* flock and OFD locks go with the file */
void locks_fd_closed(struct file *f);	/* POSIX locks go with any descriptor of the program */
long fcntl_lock(struct file *f, unsigned cmd, void __user *arg);
void locks_inode_free(struct inode *i);

/* ---- rw.c ---- */
/* vfs-level read and write with all checks; pos as in file_ops. */
long vfs_read(struct file *f, struct iter *it, int64_t *pos);
long vfs_write(struct file *f, struct iter *it, int64_t *pos);
int64_t vfs_seek(struct file *f, int64_t off, int whence);
int vfs_fsync(struct file *f, int64_t first, int64_t last, bool data_only);

static inline bool name_is(const char *name, size_t len, const char *what)
{
	return strlen(what) == len && !memcmp(name, what, len);
}

/* Tells inotify, when anybody watches i or the directory d is in. */
static inline void notify(struct inode *i, struct dentry *d, unsigned mask)
{
	if (unlikely(i->watches ||
		     (d && !d->anonymous && d->parent->inode && d->parent->inode->watches)))
		vfs_notify(i, d, mask, 0, NULL);
}
