/* SPDX-License-Identifier: BSD-3-Clause */
/* stat, statx, access and statfs in all their forms. */
#include <linux/stat.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include "fs/internal.h"

#define AT_STAT_KNOWN (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

/* Device numbers as user space knows them: 12 bits major, 20 bits minor. */
static unsigned dev_major(uint64_t d)
{
	return d >> 8 & 0xfff;
}
static unsigned dev_minor(uint64_t d)
{
	return (d & 0xff) | (d >> 12 & 0xfff00);
}

static int put_stat(struct inode *i, struct stat __user *out)
{
	struct kstat k;
	inode_stat(i, &k);
	struct stat st = {
	    .st_dev = k.dev,
	    .st_ino = k.ino,
	    .st_nlink = k.nlink,
	    .st_mode = k.mode,
	    .st_uid = k.uid,
	    .st_gid = k.gid,
	    .st_rdev = k.rdev,
	    .st_size = (long)k.size,
	    .st_blksize = (long)k.blksize,
	    .st_blocks = (long)k.blocks,
	    .st_atime = (unsigned long)k.atime.sec,
	    .st_atime_nsec = k.atime.nsec,
	    .st_mtime = (unsigned long)k.mtime.sec,
	    .st_mtime_nsec = k.mtime.nsec,
	    .st_ctime = (unsigned long)k.ctime.sec,
	    .st_ctime_nsec = k.ctime.nsec,
	};
	return copy_to_user(out, &st, sizeof st);
}

/* The dentry that (dirfd, path, AT_*) names; with AT_EMPTY_PATH a NULL path is an empty one. */
static struct dentry *at_lookup(int dirfd, const char __user *path, int flags)
{
	unsigned walk = flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0;
	if (!(flags & AT_EMPTY_PATH))
		return lookup_user(dirfd, path, walk);
	return path ? lookup_user(dirfd, path, walk | WALK_EMPTY)
		    : path_lookup(dirfd, "", walk | WALK_EMPTY);
}

static long stat_fd(int fd, struct stat __user *out)
{
	struct file *f = fd_get_any(fd);
	if (is_err(f))
		return ptr_err(f);
	int err = put_stat(f->inode, out);
	file_put(f);
	return err;
}

SYSCALL(newfstatat, int dirfd, const char __user *path, struct stat __user *out, int flags)
{
	if (flags & ~AT_STAT_KNOWN)
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && dirfd >= 0) { /* fstat() as glibc calls it: no walk */
		char c = 0;
		if (path && copy_from_user(&c, path, 1))
			return -EFAULT;
		if (!c)
			return stat_fd(dirfd, out);
	}
	struct dentry *d = at_lookup(dirfd, path, flags);
	if (is_err(d))
		return ptr_err(d);
	int err = put_stat(d->inode, out);
	dentry_put(d);
	return err;
}

SYSCALL(stat, const char __user *path, struct stat __user *out)
{
	return sys_newfstatat(AT_FDCWD, path, out, 0);
}

SYSCALL(lstat, const char __user *path, struct stat __user *out)
{
	return sys_newfstatat(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}

SYSCALL(fstat, int fd, struct stat __user *out)
{
	return stat_fd(fd, out);
}

static struct statx_timestamp statx_time(struct ktime t)
{
	return (struct statx_timestamp){.tv_sec = t.sec, .tv_nsec = t.nsec};
}

SYSCALL(
    statx, int dirfd, const char __user *path, int flags, unsigned mask, struct statx __user *out)
{
	if ((flags & ~(AT_STAT_KNOWN | AT_STATX_SYNC_TYPE)) || (mask & STATX__RESERVED) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	struct dentry *d = at_lookup(dirfd, path, flags);
	if (is_err(d))
		return ptr_err(d);
	struct kstat k;
	inode_stat(d->inode, &k);
	bool mount_root = d->super && d == d->super->root;
	struct statx st = {
	    .stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
	    .stx_blksize = (uint32_t)k.blksize,
	    .stx_attributes = mount_root ? STATX_ATTR_MOUNT_ROOT : 0,
	    .stx_attributes_mask = STATX_ATTR_MOUNT_ROOT,
	    .stx_nlink = (uint32_t)k.nlink,
	    .stx_uid = k.uid,
	    .stx_gid = k.gid,
	    .stx_mode = (uint16_t)k.mode,
	    .stx_ino = k.ino,
	    .stx_size = k.size,
	    .stx_blocks = k.blocks,
	    .stx_atime = statx_time(k.atime),
	    .stx_mtime = statx_time(k.mtime),
	    .stx_ctime = statx_time(k.ctime),
	    .stx_btime = statx_time(k.btime),
	    .stx_rdev_major = dev_major(k.rdev),
	    .stx_rdev_minor = dev_minor(k.rdev),
	    .stx_dev_major = dev_major(k.dev),
	    .stx_dev_minor = dev_minor(k.dev),
	    .stx_mnt_id = k.dev,
	};
	dentry_put(d);
	return copy_to_user(out, &st, sizeof st);
}

/* ---- access ---- */

static long do_access(int dirfd, const char __user *path, int rwx, int flags)
{
	if ((rwx & ~7) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	struct dentry *d = at_lookup(dirfd, path, flags);
	if (is_err(d))
		return ptr_err(d);
	struct program *p = current_program();
	struct credentials *c = &p->cred;
	uint32_t uid = c->fsuid, gid = c->fsgid;
	uint64_t caps = c->cap_effective;
	bool real = !(flags & AT_EACCESS) && (c->uid != uid || c->gid != gid);
	if (real) { /* asked for the real ids, which the program has not in force now */
		mutex_lock(&p->lock);
		c->fsuid = c->uid;
		c->fsgid = c->gid;
		c->cap_effective = c->uid ? 0 : c->cap_permitted;
	}
	int err = rwx ? vfs_may(d->inode, (unsigned)rwx) : 0;
	if (real) {
		c->fsuid = uid;
		c->fsgid = gid;
		c->cap_effective = caps;
		mutex_unlock(&p->lock);
	}
	dentry_put(d);
	return err;
}

SYSCALL(access, const char __user *path, int rwx)
{
	return do_access(AT_FDCWD, path, rwx, 0);
}

SYSCALL(faccessat, int dirfd, const char __user *path, int rwx)
{
	return do_access(dirfd, path, rwx, 0);
}

SYSCALL(faccessat2, int dirfd, const char __user *path, int rwx, int flags)
{
	return do_access(dirfd, path, rwx, flags);
}

/* ---- statfs ---- */

static long put_statfs(struct super *s, struct statfs __user *out)
{
	struct kstatfs k = {.bsize = PAGE_SIZE, .namelen = NAME_LIMIT, .fsid = s ? s->dev : 0};
	int err = s && s->statfs ? s->statfs(s, &k) : 0;
	if (err)
		return err;
	struct statfs st = {
	    .f_type = (long)k.type,
	    .f_bsize = (long)k.bsize,
	    .f_blocks = (long)k.blocks,
	    .f_bfree = (long)k.bfree,
	    .f_bavail = (long)k.bavail,
	    .f_files = (long)k.files,
	    .f_ffree = (long)k.ffree,
	    .f_fsid.val = {(int)k.fsid, (int)(k.fsid >> 32)},
	    .f_namelen = (long)k.namelen,
	    .f_frsize = (long)k.bsize,
	    .f_flags = (long)((s ? s->flags : 0) | 0x20 /* ST_VALID */),
	};
	return copy_to_user(out, &st, sizeof st);
}

SYSCALL(statfs, const char __user *path, struct statfs __user *out)
{
	struct dentry *d = lookup_user(AT_FDCWD, path, 0);
	if (is_err(d))
		return ptr_err(d);
	long r = put_statfs(d->super, out);
	dentry_put(d);
	return r;
}

SYSCALL(fstatfs, int fd, struct statfs __user *out)
{
	struct file *f = fd_get_any(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = put_statfs(f->inode->super, out);
	file_put(f);
	return r;
}
