/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and creating files, and what changes an inode's attributes. */
#include <linux/capability.h>
#include <linux/inotify.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <linux/resource.h>
#include <asm/signal.h>
#include "fs/internal.h"

#define O_LARGEFILE_ALWAYS 0100000 /* what F_GETFL shows on 64-bit machines */
#define OPEN_FLAGS                                                                             \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | \
	    O_SYNC | FASYNC | O_DIRECT | O_LARGEFILE_ALWAYS | O_DIRECTORY | O_NOFOLLOW |       \
	    O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

static uint32_t masked(uint32_t mode)
{
	const struct program *p = current_program();
	return mode & ~(p ? p->umask : 022) & 07777;
}

/* read 4, write 2, by O_ACCMODE; 3 means both checks and neither use. */
static unsigned access_of(int flags)
{
	static const unsigned char rwx[] = {4, 2, 6, 6};
	unsigned a = rwx[flags & O_ACCMODE];
	return flags & O_TRUNC ? a | 2 : a;
}

static int open_special(struct inode *i, struct file *f)
{
	switch (i->mode & S_IFMT) {
	case S_IFIFO:
		return fifo_open(i, f);
	case S_IFCHR:
		return chrdev_open(i, f);
	case S_IFBLK:
		return blkdev_open(i, f);
	case S_IFSOCK:
		return -ENXIO;
	}
	return 0;
}

/* Makes the file of inode d->inode; permissions are checked. */
static struct file *finish_open(struct dentry *d, int flags)
{
	struct inode *i = d->inode;
	/* O_NOCTTY is for who opens a terminal; nobody sees it afterwards. */
	int kept = flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
	struct file *f = file_new(i, d, i->fops, kept | O_LARGEFILE_ALWAYS);
	if (!f)
		return err_ptr(-ENOMEM);
	if (flags & O_PATH) {
		f->flags &= ~O_NOCTTY;
		f->ops = NULL;
		return f;
	}
	int err = 0;
	const struct file_ops *before = f->ops;
	if (i->ops && i->ops->open)
		err = i->ops->open(i, f);
	if (!err && f->ops == before && !f->private)
		err = open_special(i, f);
	if (!err && (f->flags & O_DIRECT) && !IS_TYPE(i, S_IFREG) && !IS_TYPE(i, S_IFBLK))
		err = IS_TYPE(i, S_IFIFO) ? 0 : -EINVAL;
	if (err) {
		f->ops = NULL; /* nothing to release */
		file_put(f);
		return err_ptr(err);
	}
	f->flags &= ~O_NOCTTY;
	notify(i, d, IN_OPEN);
	return f;
}

static int may_open(struct inode *i, int flags)
{
	if (IS_TYPE(i, S_IFLNK))
		return -ELOOP;
	if (IS_TYPE(i, S_IFDIR) && (access_of(flags) & 2))
		return -EISDIR;
	if (IS_TYPE(i, S_IFDIR) && (flags & O_CREAT))
		return -EISDIR;
	int err = vfs_may(i, access_of(flags));
	if (err)
		return err;
	struct program *p = current_program();
	if ((flags & O_NOATIME) && p && p->cred.fsuid != i->uid &&
	    !(p->cred.cap_effective & 1ull << CAP_FOWNER))
		return -EPERM;
	if ((flags & O_TRUNC) && IS_TYPE(i, S_IFREG))
		return vfs_truncate(i, 0);
	return 0;
}

struct file *open_dentry(struct dentry *d, int flags, uint32_t acc_extra)
{
	struct inode *i = d->inode;
	(void)acc_extra;
	if (!(flags & O_PATH)) {
		int err = may_open(i, flags);
		if (err)
			return err_ptr(err);
	}
	return finish_open(d, flags);
}

/* Creates the missing last component of w and opens it; -EAGAIN if somebody else just did. */
static struct file *create_open(struct walk *w, int flags, uint32_t mode)
{
	struct dentry *dir = w->d;
	struct inode *di = dir->inode;
	if (w->last_dir)
		return err_ptr(-EISDIR);
	if (inode_read_only(di))
		return err_ptr(-EROFS);
	int err = vfs_may(di, 3);
	if (err)
		return err_ptr(err);
	rw_write_lock(&di->lock);
	struct dentry *d = dcache_lookup(dir, w->last, w->last_len);
	struct inode *i = NULL;
	if (is_err(d))
		err = (int)ptr_err(d);
	else if (d->inode)
		err = flags & O_EXCL ? -EEXIST : -EAGAIN;
	else if (!di->nlink)
		err = -ENOENT;
	else if (!di->ops->create)
		err = -EACCES;
	else {
		i = di->ops->create(di, w->last, w->last_len, S_IFREG | masked(mode), 0);
		if (is_err(i))
			err = (int)ptr_err(i);
		else {
			dcache_instantiate(d, i);
			inode_touch(di, ATTR_MTIME | ATTR_CTIME);
		}
	}
	rw_write_unlock(&di->lock);
	if (is_err(d))
		return err_ptr(err);
	struct file *f = err_ptr(err);
	if (!err) {
		notify(i, d, IN_CREATE);
		f = finish_open(d, flags);
	}
	dentry_put(d);
	return f;
}

static struct file *open_tmpfile(struct dentry *d, int flags, uint32_t mode)
{
	struct inode *di = d->inode;
	int err = (flags & O_ACCMODE) == O_RDONLY ? -EINVAL : vfs_may(di, 3);
	if (!err && inode_read_only(di))
		err = -EROFS;
	if (!err && !di->ops->create)
		err = -EOPNOTSUPP;
	if (err)
		return err_ptr(err);
	rw_write_lock(&di->lock);
	struct inode *i = di->ops->create(di, "", 0, S_IFREG | masked(mode), 0);
	rw_write_unlock(&di->lock);
	if (is_err(i))
		return (void *)i;
	char name[32];
	snprintf(name, sizeof name, "#%lu", (unsigned long)i->ino);
	struct dentry *t = dentry_anonymous(name, i);
	if (!t)
		return err_ptr(-ENOMEM);
	struct file *f = finish_open(t, flags & ~O_DIRECTORY);
	dentry_put(t);
	return f;
}

struct file *vfs_open_resolve(
    int dirfd, const char *path, int flags, uint32_t mode, uint64_t resolve)
{
	struct walk w = {.resolve = resolve};
	struct file *f;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	bool tmp = (flags & O_TMPFILE) == O_TMPFILE;
	if (flags & O_NOFOLLOW || ((flags & O_CREAT) && (flags & O_EXCL)))
		w.flags |= WALK_NOFOLLOW;
	if ((flags & O_DIRECTORY) && !tmp)
		w.flags |= WALK_DIRECTORY;
	if ((flags & O_CREAT) && !tmp) {
		if (flags & O_DIRECTORY)
			return err_ptr(-EINVAL);
		w.flags |= WALK_CREATE;
	}
	do {
		int err = walk_path(&w, dirfd, path);
		if (err)
			return err_ptr(err);
		if (tmp)
			f = IS_TYPE(w.d->inode, S_IFDIR) ? open_tmpfile(w.d, flags, mode)
							 : err_ptr(-ENOTDIR);
		else if (w.last)
			f = create_open(&w, flags, mode);
		else if ((flags & O_CREAT) && (flags & O_EXCL))
			f = err_ptr(-EEXIST);
		else
			f = open_dentry(w.d, flags, 0);
		walk_end(&w);
		dentry_put(w.d);
	} while (is_err(f) && ptr_err(f) == -EAGAIN && w.last);
	return f;
}

struct file *vfs_open(int dirfd, const char *path, int flags, uint32_t mode)
{
	return vfs_open_resolve(dirfd, path, flags, mode, 0);
}

static long open_user(
    int dirfd, const char __user *path, int flags, uint32_t mode, uint64_t resolve)
{
	struct pathbuf p;
	int err = pathbuf_get(&p, path);
	if (err)
		return err;
	struct file *f = vfs_open_resolve(dirfd, p.s, flags, mode, resolve);
	pathbuf_free(&p);
	if (is_err(f))
		return ptr_err(f);
	int fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

SYSCALL(openat, int dirfd, const char __user *path, int flags, uint32_t mode)
{
	return open_user(dirfd, path, flags & OPEN_FLAGS, mode, 0);
}

SYSCALL(open, const char __user *path, int flags, uint32_t mode)
{
	return open_user(AT_FDCWD, path, flags & OPEN_FLAGS, mode, 0);
}

SYSCALL(creat, const char __user *path, uint32_t mode)
{
	return open_user(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, 0);
}

SYSCALL(
    openat2, int dirfd, const char __user *path, const struct open_how __user *uhow, size_t size)
{
	struct open_how how;
	if (size < sizeof how)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&how, uhow, sizeof how))
		return -EFAULT;
	for (size_t at = sizeof how; at < size; at++) {
		char c;
		if (copy_from_user(&c, (const char __user *)uhow + at, 1))
			return -EFAULT;
		if (c)
			return -E2BIG;
	}
	const uint64_t known = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
			       RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	if ((how.flags & ~(uint64_t)OPEN_FLAGS) || (how.resolve & ~known) || (how.mode & ~07777ull))
		return -EINVAL;
	if (how.mode && !(how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))))
		return -EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN; /* "try again without" is always a right answer */
	return open_user(dirfd, path, (int)how.flags, (uint32_t)how.mode, how.resolve);
}

/* ---- Attributes ---- */

int vfs_truncate(struct inode *i, uint64_t size)
{
	if (IS_TYPE(i, S_IFDIR))
		return -EISDIR;
	if (!IS_TYPE(i, S_IFREG) || !i->ops || !i->ops->setattr)
		return -EINVAL;
	if (size > INT64_MAX)
		return -EINVAL;
	struct program *p = current_program();
	if (p && size > i->size && size > p->limits[RLIMIT_FSIZE].cur) {
		signal_send_thread(current_thread(), SIGXFSZ, NULL);
		return -EFBIG;
	}
	int err = 0;
	rw_write_lock(&i->lock);
	if ((size < i->size && (i->seals & F_SEAL_SHRINK)) ||
	    (size > i->size && (i->seals & F_SEAL_GROW)))
		err = -EPERM;
	if (!err) {
		struct attr a = {.valid = ATTR_SIZE, .size = size};
		err = i->ops->setattr(i, &a);
	}
	if (!err) {
		inode_drop_suid(i);
		inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	}
	rw_write_unlock(&i->lock);
	return err;
}

int vfs_setattr(struct dentry *d, struct attr *a)
{
	struct inode *i = d->inode;
	int err = 0;
	if (inode_read_only(i))
		return -EROFS;
	rw_write_lock(&i->lock);
	if (i->ops && i->ops->setattr)
		err = i->ops->setattr(i, a);
	if (!err) {
		if (a->valid & ATTR_MODE)
			i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
		if (a->valid & ATTR_UID)
			i->uid = a->uid;
		if (a->valid & ATTR_GID)
			i->gid = a->gid;
		if (a->valid & ATTR_ATIME)
			i->atime = a->atime;
		if (a->valid & ATTR_MTIME)
			i->mtime = a->mtime;
		inode_touch(i, ATTR_CTIME);
	}
	rw_write_unlock(&i->lock);
	if (!err)
		notify(i, d, IN_ATTRIB);
	return err;
}

SYSCALL(truncate, const char __user *path, int64_t size)
{
	if (size < 0)
		return -EINVAL;
	struct dentry *d = lookup_user(AT_FDCWD, path, 0);
	if (is_err(d))
		return ptr_err(d);
	int err = IS_TYPE(d->inode, S_IFDIR) ? -EISDIR : vfs_may(d->inode, 2);
	/* An open for writing is what makes a file of a layered file system ready for changes. */
	struct file *f = err ? err_ptr(err) : open_dentry(d, O_WRONLY | O_NONBLOCK, 0);
	err = is_err(f) ? (int)ptr_err(f) : vfs_truncate(d->inode, (uint64_t)size);
	if (!err)
		notify(d->inode, d, IN_MODIFY);
	if (!is_err(f))
		file_put(f);
	dentry_put(d);
	return err;
}

SYSCALL(ftruncate, int fd, int64_t size)
{
	if (size < 0)
		return -EINVAL;
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	int err = -EINVAL;
	if ((f->mode & FMODE_WRITE) && f->inode)
		err = vfs_truncate(f->inode, (uint64_t)size);
	if (!err && f->dentry)
		notify(f->inode, f->dentry, IN_MODIFY);
	file_put(f);
	return err;
}
