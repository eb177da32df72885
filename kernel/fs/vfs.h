/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual file system: inodes, directory entries (cached names, looked up under RCU), mounts,
 * open files. File systems supply inode_ops and file_ops; everything else is common.
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
	/* Directories; dir->lock is held for writing in the changing ones, for reading in lookup.
	 * Names are not terminated; len <= 255. A lookup that finds nothing returns NULL, errors
	 * err_ptr(). The inode comes back referenced. */
	struct inode *(*lookup)(struct inode *dir, const char *name, size_t len);
	/* Files, directories and special files; with len 0 an unnamed file (O_TMPFILE, nlink 0).
	 * What it returns has mode's permissions and the owner inode_own() gives. The common code
	 * has checked permissions and that the name is free, and keeps the directory entry cache
	 * and times right. */
	struct inode *(*create)(
	    struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev);
	struct inode *(*symlink)(
	    struct inode *dir, const char *name, size_t len, const char *target);
	int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
	int (*unlink)(
	    struct inode *dir, const char *name, size_t len, struct inode *victim); /* and rmdir */
	/* moved is what stands at oname, victim (or NULL) what nname names: replaced, or exchanged
	 * with RENAME_EXCHANGE. Emptiness of a victim directory is the file system's to check. */
	int (*rename)(struct inode *odir, const char *oname, size_t olen, struct inode *moved,
	    struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
	    unsigned flags);
	/* Symbolic links: fills buf (not terminated), returns the length or -errno. */
	long (*readlink)(struct inode *i, char *buf, size_t n);
	/* Magic links (/proc/self/exe, fd/N): puts the referenced target in *out, returns 0. */
	int (*follow)(struct inode *i, struct dentry **out);
	int (*getattr)(struct inode *i, struct kstat *st); /* NULL: from the inode's fields */
	int (*setattr)(
	    struct inode *i, const struct attr *a); /* NULL: fields only, ATTR_SIZE → EINVAL */
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
	bool (*emit)(struct dir_context *c, const char *name, size_t len, uint64_t ino,
	    unsigned dtype, int64_t next_pos);
	int64_t pos; /* opaque position; 0 the start */
};

struct file_ops {
	/* pos is NULL for objects without a position (pipes, sockets). Bytes or -errno. */
	long (*read)(struct file *f, struct iter *to, int64_t *pos);
	long (*write)(struct file *f, struct iter *from, int64_t *pos);
	/* Writes len bytes that begin `off` bytes into the first of these page-cache pages, without
	 * copying: takes references of its own on the pages. more: the caller has more to come.
	 * -EOPNOTSUPP: write() it instead. NULL the same. */
	long (*send_pages)(
	    struct file *f, struct page **pages, unsigned n, size_t off, size_t len, bool more);
	int64_t (*seek)(
	    struct file *f, int64_t off, int whence); /* NULL: regular rules by inode size */
	int (*readdir)(struct file *f, struct dir_context *c);
	/* Events ready now (EPOLL*); head() tells where to wait for more. Both NULL: always ready.
	 */
	unsigned (*poll)(struct file *f);
	struct poll_head *(*poll_head)(struct file *f);
	long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg); /* -ENOTTY unknown */
	int (*mmap)(struct file *f,
	    struct vma *v); /* NULL: page cache of the inode, or -ENODEV without one */
	int (*fsync)(struct file *f, int64_t first, int64_t last, bool data_only);
	int (*fallocate)(struct file *f, int mode, int64_t off, int64_t len);
	int (*flush)(struct file *f);	 /* each close() of a descriptor */
	void (*release)(struct file *f); /* last reference gone */
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
	_Atomic uint32_t
	    seals;    /* F_SEAL_*: checked by write, truncate, fallocate and shared mmap */
	void *object; /* FIFO, socket, device… behind a special inode */
	void *private;
	const char *_Atomic link; /* target of a symbolic link once read (kfree'd with the inode) */
	struct inode *icache_next; /* see inode_cache_find() */
	bool icached;
	struct rcu_head rcu;
};

/*
 * A cached name. Negative ones have no inode. Children hold a reference on their parent. Looked up
 * under RCU; the memory and the inode's stay valid for readers that do not sleep. refs 0 is cached
 * and unused, below 0 is dead. Rename replaces name, len and hash.
 */
struct dentry {
	atomic_int refs;
	uint32_t hash;
	struct dentry *parent; /* itself at the root of a file system */
	struct inode *inode;
	struct super *super;
	const char *name; /* terminated */
	struct dentry *hash_next;
	struct mount *mounted; /* something is mounted here */
	uint16_t len;
	bool hashed;
	bool used;	/* looked up since the reclaimer last came by */
	bool anonymous; /* outside every directory: the name is the whole path */
	struct rcu_head rcu;
	char inline_name[];
};

struct super {
	const struct fs_type *type;
	struct dentry *root;
	uint64_t dev;
	unsigned flags; /* ST_RDONLY… */
	/* Names come and go by themselves (/proc, /dev/pts): the dentry cache asks lookup() every
	 * time and keeps no negative entries. */
	bool volatile_names;
	void *private;
	struct mount *mount; /* where it is mounted, NULL if nowhere */
	_Atomic uint64_t next_ino;
	int (*statfs)(struct super *s, struct kstatfs *out);
	int (*sync)(struct super *s);
	void (*unmount)(struct super *s); /* root is gone already; frees private data */
};
/* A super with a new device number, next_ino 1 and no root yet; NULL without memory. */
struct super *super_new(const struct fs_type *type, unsigned flags);
/* Makes i (its reference is taken over) the root directory. 0 or -ENOMEM. */
int super_set_root(struct super *s, struct inode *i);

struct fs_type {
	const char *name;
	bool nodev; /* no block device needed, for /proc/filesystems */
	/* Mounts source (a device path or a tag) with options; err_ptr() on failure. */
	struct super *(*mount)(const char *source, unsigned flags, const char *options);
	struct list link;
};
void fs_register(struct fs_type *t);
struct fs_type *fs_find(const char *name);
/* Calls show() for each registered type and each mount (in order of mounting), for procfs. */
void fs_for_each(void (*show)(void *ctx, const struct fs_type *t), void *ctx);
void mount_for_each(
    void (*show)(void *ctx, const char *source, const char *target, const char *fstype,
	unsigned flags, const char *options, const struct super *s),
    void *ctx);

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
	uint64_t readahead_end;	 /* first page not yet asked for */
	struct list epoll_links; /* epoll items that watch it */
	struct mutex epoll_lock;
	int owner_pid, owner_sig; /* F_SETOWN, F_SETSIG */
	int write_error_seen;
	struct rcu_head rcu;
};
enum {
	FMODE_READ = 1,
	FMODE_WRITE = 2,
	FMODE_STREAM = 4, /* no position */
	FMODE_PATH = 8,
	FMODE_POSLOCK =
	    16, /* reads and writes at the file's position exclude each other (set by file_new) */
	FMODE_RANDOM = 32, /* no read-ahead */
};

/* Inodes. inode_new gives one reference and nlink 1. */
struct inode *inode_new(struct super *s, uint32_t mode);
void inode_get(struct inode *i);
void inode_put(struct inode *i);
/* Owner and group of a new inode in dir, and set-group-id inheritance, by the current program. */
void inode_own(struct inode *i, const struct inode *dir);
/* One inode object for each number of a super: for file systems with numbers on a disk. find
 * returns it referenced or NULL; insert (i->super and i->ino set) returns i, or the one that was
 * faster (referenced; i was put). */
struct inode *inode_cache_find(struct super *s, uint64_t ino);
struct inode *inode_cache_insert(struct inode *i);
void inode_touch(struct inode *i, unsigned which); /* ATTR_ATIME | ATTR_MTIME | 64 (ctime) to now */
void inode_stat(struct inode *i, struct kstat *st);

void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* A dentry outside every directory, for pipes and the like; takes over the inode reference. */
struct dentry *dentry_anonymous(const char *name, struct inode *i);
/* Path of d as the current program sees it, into buf; -ENAMETOOLONG. "(deleted)" is appended if so.
 */
int dentry_path(struct dentry *d, char *buf, size_t n);

/* Path walk. dirfd as in openat(). Flags: */
enum {
	WALK_NOFOLLOW = 1,
	WALK_DIRECTORY = 2,
	WALK_EMPTY = 4 /* AT_EMPTY_PATH */,
	WALK_KERNEL = 8 /* from the machine's root, no permission checks */
};
/* path is in kernel memory. Referenced dentry with an inode, or err_ptr(). */
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
/* Boot: mounts the root file system found on block device `name` ("vda": behind an image header at
 * LBA 1, or a bare EROFS), read-only below a layer of memory, as /. -ENODEV without such a device.
 */
int vfs_mount_boot_root(const char *name);

/* Open files. file_new takes its own references to i and d (d may be NULL); mode follows from the
 * O_ACCMODE bits of flags. NULL without memory. */
struct file *file_new(struct inode *i, struct dentry *d, const struct file_ops *ops, int flags);
/* Anonymous object (pipe end, eventfd, epoll…): inode of mode `mode` from the anonymous super. It
 * shows itself in /proc/self/fd as "NAME:[INO]" for pipes and sockets, as "anon_inode:NAME"
 * otherwise. NULL without memory (private stays the caller's). */
struct file *file_anonymous(
    const char *name, const struct file_ops *ops, void *private, int flags, uint32_t mode);
void file_get(struct file *f);
void file_put(struct file *f);
long file_read(struct file *f, void *buf, size_t n, int64_t *pos); /* kernel buffer */
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
/* Referenced file of a descriptor of the current program or err_ptr(-EBADF). Files opened with
 * O_PATH are refused; fd_get_any() takes those too. */
struct file *fd_get(int fd);
struct file *fd_get_any(int fd);
/* The same for the length of one system call: no reference is counted while only this thread can
 * close the descriptor. Give back with fd_unborrow(f, *counted). */
struct file *fd_borrow(int fd, bool *counted);
static inline void fd_unborrow(struct file *f, bool counted);
/* Lowest free descriptor >= min for f (its reference is taken over on success). -EMFILE. */
int fd_install(struct file *f, int min, bool cloexec);
/* In two steps, for what must not happen without a descriptor: reserve one (or -EMFILE), then fill it
 * with f (its reference is taken over) or, with NULL, give it back. Meanwhile it is no file. */
int fd_reserve(bool cloexec);
void fd_fill(int fd, struct file *f);
int fd_close(int fd);
void fd_close_on_exec(struct fd_table *t);
/* Walks for /proc/self/fd: the first used descriptor >= fd (its file referenced) or -1. */
int fd_next(struct fd_table *t, int fd, struct file **f);

/* Character devices: /dev entries are made by devfs for each. */
struct char_device {
	const char *name; /* below /dev; NULL makes no entry there */
	uint64_t rdev;
	unsigned count; /* of minors from rdev on; 0 means one */
	uint32_t mode;
	const struct file_ops *ops;
	int (*open)(struct inode *i, struct file *f); /* may be NULL */
	void *private;
	struct list link;
};
void char_device_register(struct char_device *d);
/* Tells inotify watchers: mask IN_*, name may be NULL. */
void vfs_notify(
    struct inode *i, struct dentry *d, unsigned mask, unsigned cookie, const char *name);
void vfs_init(void);

static inline void fd_unborrow(struct file *f, bool counted)
{
	if (counted)
		file_put(f);
}
