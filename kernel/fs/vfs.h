/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual file system: inodes, directory entries (cached names, looked up under RCU), mounts, open
 * files. File systems supply inode_ops and file_ops; everything else is common.
 */
#pragma once

#include <stdatomic.h>
#include "fs/poll.h"
#include "lib/iter.h"
#include "lib/list.h"
#include "mm/pagecache.h"
#include "sched/rcu.h"
#include "sched/sync.h"

struct dentry;
struct file;
struct file_lock_list;
struct inode;
struct kstat;
struct mount;
struct super;
struct vma;
struct watch_list;

struct ktime {
	int64_t sec;
	uint32_t nsec;
};

struct kstat {
	uint64_t dev, ino, nlink, size, blocks, blksize, rdev;
	uint32_t mode, uid, gid;
	struct ktime atime, mtime, ctime, btime;
};

/* What setattr changes: bits of valid. */
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32 };
struct attr {
	unsigned valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct ktime atime, mtime;
};

struct kstatfs {
	uint64_t type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen;
};

struct inode_ops {
	/* Directories; dir->lock is held for writing in the changing ones, for reading in lookup. Names are
	 * not terminated; len <= 255. A lookup that finds nothing returns NULL, errors err_ptr(). The inode comes back
	 * referenced. */
	struct inode *(*lookup)(struct inode *dir, const char *name, size_t len);
	struct inode *(*create)(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev);
	struct inode *(*symlink)(struct inode *dir, const char *name, size_t len, const char *target);
	int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *victim); /* and rmdir */
	int (*rename)(struct inode *odir, const char *oname, size_t olen, struct inode *ndir,
	    const char *nname, size_t nlen, unsigned flags);
	/* Symbolic links: fills buf (not terminated), returns the length or -errno. */
	long (*readlink)(struct inode *i, char *buf, size_t n);
	/* Magic links (/proc/self/exe, fd/N): puts the referenced target in *out, returns 0. */
	int (*follow)(struct inode *i, struct dentry **out);
	int (*getattr)(struct inode *i, struct kstat *st); /* NULL: from the inode's fields */
	int (*setattr)(struct inode *i, const struct attr *a); /* NULL: fields only, ATTR_SIZE → EINVAL */
	long (*getxattr)(struct inode *i, const char *name, void *buf, size_t n);
	int (*setxattr)(struct inode *i, const char *name, const void *buf, size_t n, int flags);
	int (*removexattr)(struct inode *i, const char *name);
	long (*listxattr)(struct inode *i, char *buf, size_t n);
	/* Preparation of an open; may replace f->ops and set f->private. 0 or -errno. */
	int (*open)(struct inode *i, struct file *f);
	void (*evict)(struct inode *i); /* last reference gone: free private data */
};

/* A directory listing hands each entry to emit(); false stops it there (buffer full). */
struct dir_context {
	bool (*emit)(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned dtype,
	    int64_t next_pos);
	int64_t pos; /* opaque position; 0 the start */
};

struct file_ops {
	/* pos is NULL for objects without a position (pipes, sockets). Bytes or -errno. */
	long (*read)(struct file *f, struct iter *to, int64_t *pos);
	long (*write)(struct file *f, struct iter *from, int64_t *pos);
	int64_t (*seek)(struct file *f, int64_t off, int whence); /* NULL: regular rules by inode size */
	int (*readdir)(struct file *f, struct dir_context *c);
	/* Events ready now (EPOLL*); head() tells where to wait for more. Both NULL: always ready. */
	unsigned (*poll)(struct file *f);
	struct poll_head *(*poll_head)(struct file *f);
	long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg); /* -ENOTTY unknown */
	int (*mmap)(struct file *f, struct vma *v); /* NULL: page cache of the inode, or -ENODEV without one */
	int (*fsync)(struct file *f, int64_t first, int64_t last, bool data_only);
	int (*fallocate)(struct file *f, int mode, int64_t off, int64_t len);
	int (*flush)(struct file *f);	  /* each close() of a descriptor */
	void (*release)(struct file *f);  /* last reference gone */
	void (*show_fdinfo)(struct file *f, char *buf, size_t n);
};

struct inode {
	atomic_int refs;
	uint32_t mode; /* S_IF* and permissions */
	uint32_t uid, gid;
	uint64_t ino, rdev;
	_Atomic uint32_t nlink;
	_Atomic uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	uint32_t blkbits;
	struct ktime atime, mtime, ctime, btime;
	struct super *super;
	const struct inode_ops *ops;
	const struct file_ops *fops; /* what open() gives the file */
	struct rwlock lock;	     /* directory contents; writes and truncation of a file */
	struct mapping map;
	struct file_lock_list *locks;
	struct watch_list *watches; /* inotify */
	_Atomic uint32_t seals; /* F_SEAL_*: checked by write, truncate, fallocate and shared mmap */
	void *object; /* FIFO, socket, device… behind a special inode */
	void *private;
	struct rcu_head rcu;
};

/* A cached name. Negative ones have no inode. Children hold a reference on their parent. */
struct dentry {
	atomic_int refs;
	struct dentry *parent;
	struct inode *inode;
	struct super *super;
	struct dentry *hash_next;
	uint32_t hash;
	uint16_t len;
	bool hashed;
	struct mount *mounted; /* something is mounted here */
	struct list children, child_link, lru;
	struct rcu_head rcu;
	char name[]; /* terminated */
};

struct super {
	const struct fs_type *type;
	struct dentry *root;
	uint64_t dev;
	unsigned flags; /* ST_RDONLY… */
	/* Names come and go by themselves (/proc, /dev/pts): the dentry cache asks lookup() every time and
	 * keeps no negative entries. */
	bool volatile_names;
	void *private;
	int (*statfs)(struct super *s, struct kstatfs *out);
	int (*sync)(struct super *s);
	void (*unmount)(struct super *s);
};

struct fs_type {
	const char *name;
	bool nodev; /* no block device needed, for /proc/filesystems */
	/* Mounts source (a device path or a tag) with options; err_ptr() on failure. */
	struct super *(*mount)(const char *source, unsigned flags, const char *options);
	struct list link;
};
void fs_register(struct fs_type *t);

struct file {
	atomic_int refs;
	_Atomic unsigned flags; /* O_* */
	unsigned mode;		/* FMODE_* below */
	int64_t pos;
	struct mutex pos_lock;
	const struct file_ops *ops;
	struct inode *inode;
	struct dentry *dentry; /* NULL for anonymous objects */
	void *private;
	uint64_t readahead_next; /* page after the last one read, for read-ahead */
	unsigned readahead_size;
	struct list epoll_links; /* epoll items that watch it */
	struct mutex epoll_lock;
	int owner_pid, owner_sig; /* F_SETOWN, F_SETSIG */
	int write_error_seen;
};
enum { FMODE_READ = 1, FMODE_WRITE = 2, FMODE_STREAM = 4 /* no position */, FMODE_PATH = 8 };

/* Inodes. inode_new gives one reference and nlink 1. */
struct inode *inode_new(struct super *s, uint32_t mode);
void inode_get(struct inode *i);
void inode_put(struct inode *i);
void inode_touch(struct inode *i, unsigned which); /* ATTR_ATIME | ATTR_MTIME | 64 (ctime) to now */
void inode_stat(struct inode *i, struct kstat *st);

void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* A dentry outside every directory, for pipes and the like; takes over the inode reference. */
struct dentry *dentry_anonymous(const char *name, struct inode *i);
/* Path of d as the current program sees it, into buf; -ENAMETOOLONG. "(deleted)" is appended if so. */
int dentry_path(struct dentry *d, char *buf, size_t n);

/* Path walk. dirfd as in openat(). Flags: */
enum { WALK_NOFOLLOW = 1, WALK_DIRECTORY = 2, WALK_EMPTY = 4 /* AT_EMPTY_PATH */, WALK_KERNEL = 8 };
/* Referenced dentry with an inode, or err_ptr(). */
struct dentry *path_lookup(int dirfd, const char *path, unsigned flags);
/* The parent of the last component; *last points into path. For creating and removing. */
struct dentry *path_parent(int dirfd, const char *path, const char **last, size_t *len);
/* Opens as openat() does. Referenced file or err_ptr(). */
struct file *vfs_open(int dirfd, const char *path, int flags, uint32_t mode);
int vfs_mkdir(int dirfd, const char *path, uint32_t mode);
int vfs_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev);
int vfs_symlink(const char *target, int dirfd, const char *path);
int vfs_mount(const char *source, const char *target, const char *fstype, unsigned flags,
    const char *options);
int vfs_may(struct inode *i, unsigned rwx); /* 4 read, 2 write, 1 execute: 0 or -EACCES */
/* Directory `d`'s root for the first mount (boot). */
int vfs_mount_root(struct super *s);

/* Open files. */
struct file *file_new(struct inode *i, struct dentry *d, const struct file_ops *ops, int flags);
/* Anonymous object (pipe end, eventfd, epoll…): inode of mode `mode` from the anonymous super. In /proc/self/fd
 * it reads as "NAME:[INO]" for S_IFIFO and S_IFSOCK ("pipe", "socket"), else "anon_inode:NAME" ("[eventpoll]"). */
struct file *file_anonymous(const char *name, const struct file_ops *ops, void *private, int flags,
    uint32_t mode);
void file_get(struct file *f);
void file_put(struct file *f);
long file_read(struct file *f, void *buf, size_t n, int64_t *pos);  /* kernel buffer */
long file_write(struct file *f, const void *buf, size_t n, int64_t *pos);
/* Reads of page-cached inodes: usable as file_ops.read/write of any file system with a mapping. */
long file_cached_read(struct file *f, struct iter *to, int64_t *pos);
long file_cached_write(struct file *f, struct iter *from, int64_t *pos);

/* Descriptor tables; shared by the threads of a program. */
struct fd_table;
struct fd_table *fd_table_new(void);
struct fd_table *fd_table_copy(struct fd_table *t); /* fork */
void fd_table_get(struct fd_table *t);
void fd_table_put(struct fd_table *t);
/* Referenced file of a descriptor of the current program or err_ptr(-EBADF). */
struct file *fd_get(int fd);
/* Lowest free descriptor >= min for f (its reference is taken over on success). -EMFILE. */
int fd_install(struct file *f, int min, bool cloexec);
int fd_close(int fd);
void fd_close_on_exec(struct fd_table *t);
/* Walks for /proc/self/fd: the first used descriptor >= fd (its file referenced) or -1. */
int fd_next(struct fd_table *t, int fd, struct file **f);

/* Character devices: /dev entries are made by devfs for each. */
struct char_device {
	const char *name; /* below /dev */
	uint64_t rdev;
	uint32_t mode;
	const struct file_ops *ops;
	int (*open)(struct inode *i, struct file *f); /* may be NULL */
	void *private;
	struct list link;
};
void char_device_register(struct char_device *d);
/* Tells inotify watchers: mask IN_*, name may be NULL. */
void vfs_notify(struct inode *i, struct dentry *d, unsigned mask, unsigned cookie, const char *name);
void vfs_init(void);
