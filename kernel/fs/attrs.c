/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing modes, owners and times. */
#include <linux/capability.h>
#include <linux/time.h>
#include "fs/internal.h"

#define UTIME_NOW ((1l << 30) - 1l)
#define UTIME_OMIT ((1l << 30) - 2l)

static bool has_cap(int cap)
{
	const struct program *p = current_program();
	return !p || (p->cred.cap_effective & 1ull << cap);
}

static bool owns(const struct inode *i)
{
	const struct program *p = current_program();
	return !p || p->cred.fsuid == i->uid || has_cap(CAP_FOWNER);
}

static bool member(uint32_t gid)
{
	const struct credentials *c = &current_program()->cred;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return c->fsgid == gid;
}

static int change_mode(struct dentry *d, uint32_t mode)
{
	if (IS_TYPE(d->inode, S_IFLNK))
		return -EOPNOTSUPP;
	if (!owns(d->inode))
		return -EPERM;
	struct attr a = {.valid = ATTR_MODE, .mode = mode & 07777};
	if (!member(d->inode->gid) && !has_cap(CAP_FSETID))
		a.mode &= ~(uint32_t)S_ISGID;
	return vfs_setattr(d, &a);
}

static int change_owner(struct dentry *d, uint32_t uid, uint32_t gid)
{
	struct inode *i = d->inode;
	struct attr a = {.uid = uid, .gid = gid, .mode = i->mode & 07777};
	const uint32_t keep = ~0u;
	if (uid != keep)
		a.valid |= ATTR_UID;
	if (gid != keep)
		a.valid |= ATTR_GID;
	bool mine = current_program()->cred.fsuid == i->uid;
	if (!has_cap(CAP_CHOWN) && ((uid != keep && (uid != i->uid || !mine)) ||
				       (gid != keep && gid != i->gid && (!mine || !member(gid)))))
		return -EPERM;
	if (a.valid && !IS_TYPE(i, S_IFDIR) && (i->mode & (S_ISUID | S_ISGID))) {
		a.valid |= ATTR_MODE;
		a.mode &= ~(uint32_t)S_ISUID;
		if (i->mode & 0010)
			a.mode &= ~(uint32_t)S_ISGID;
	}
	return vfs_setattr(d, &a);
}

/* times NULL: both to now. */
static int change_times(struct dentry *d, const struct __kernel_timespec *times)
{
	struct inode *i = d->inode;
	struct attr a = {.valid = 0};
	int64_t now = time_wall();
	struct ktime t = {now / NSEC_PER_SEC, (uint32_t)(now % NSEC_PER_SEC)};
	struct ktime *to[2] = {&a.atime, &a.mtime};
	static const unsigned bits[2] = {ATTR_ATIME, ATTR_MTIME};
	bool just_now = true;

	for (int k = 0; k < 2; k++) {
		*to[k] = t;
		if (times && times[k].tv_nsec == UTIME_OMIT) {
			just_now = false;
			continue;
		}
		a.valid |= bits[k];
		if (!times || times[k].tv_nsec == UTIME_NOW)
			continue;
		if (times[k].tv_nsec < 0 || times[k].tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		*to[k] = (struct ktime){times[k].tv_sec, (uint32_t)times[k].tv_nsec};
		just_now = false;
	}
	if (!a.valid)
		return 0;
	if (!owns(i)) {
		if (!just_now)
			return -EPERM;
		int err = vfs_may(i, 2);
		if (err)
			return err;
	}
	return vfs_setattr(d, &a);
}

/* The dentry of (dirfd, path, flags). */
static struct dentry *target(int dirfd, const char __user *path, int flags)
{
	unsigned walk = (flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0) |
			(flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
	return lookup_user(dirfd, path, walk);
}

static struct dentry *target_fd(int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return (void *)f;
	struct dentry *d = f->dentry;
	if (d)
		dentry_get(d);
	else
		d = err_ptr(-EINVAL);
	file_put(f);
	return d;
}

#define WITH(d, expr)                       \
	do {                                \
		struct dentry *d_ = (d);    \
		if (is_err(d_))             \
			return ptr_err(d_); \
		int err_ = (expr);          \
		dentry_put(d_);             \
		return err_;                \
	} while (0)

SYSCALL(fchmodat, int dirfd, const char __user *path, uint32_t mode)
{
	WITH(target(dirfd, path, 0), change_mode(d_, mode));
}

SYSCALL(fchmodat2, int dirfd, const char __user *path, uint32_t mode, int flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	WITH(target(dirfd, path, flags), change_mode(d_, mode));
}

SYSCALL(chmod, const char __user *path, uint32_t mode)
{
	WITH(target(AT_FDCWD, path, 0), change_mode(d_, mode));
}

SYSCALL(fchmod, int fd, uint32_t mode)
{
	WITH(target_fd(fd), change_mode(d_, mode));
}

SYSCALL(fchownat, int dirfd, const char __user *path, uint32_t uid, uint32_t gid, int flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	WITH(target(dirfd, path, flags), change_owner(d_, uid, gid));
}

SYSCALL(chown, const char __user *path, uint32_t uid, uint32_t gid)
{
	WITH(target(AT_FDCWD, path, 0), change_owner(d_, uid, gid));
}

SYSCALL(lchown, const char __user *path, uint32_t uid, uint32_t gid)
{
	WITH(target(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), change_owner(d_, uid, gid));
}

SYSCALL(fchown, int fd, uint32_t uid, uint32_t gid)
{
	WITH(target_fd(fd), change_owner(d_, uid, gid));
}

SYSCALL(utimensat, int dirfd, const char __user *path,
    const struct __kernel_timespec __user *utimes, int flags)
{
	struct __kernel_timespec t[2];
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (utimes && copy_from_user(t, utimes, sizeof t))
		return -EFAULT;
	WITH(path ? target(dirfd, path, flags) : target_fd(dirfd),
	    change_times(d_, utimes ? t : NULL));
}

struct old_timeval {
	long sec, usec;
};

static int from_timeval(struct __kernel_timespec *t, const struct old_timeval __user *u)
{
	struct old_timeval v[2];
	if (copy_from_user(v, u, sizeof v))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (v[i].usec < 0 || v[i].usec >= 1000000)
			return -EINVAL;
		t[i] = (struct __kernel_timespec){v[i].sec, v[i].usec * 1000};
	}
	return 0;
}

SYSCALL(futimesat, int dirfd, const char __user *path, const struct old_timeval __user *utimes)
{
	struct __kernel_timespec t[2];
	int err = utimes ? from_timeval(t, utimes) : 0;
	if (err)
		return err;
	WITH(path ? target(dirfd, path, 0) : target_fd(dirfd), change_times(d_, utimes ? t : NULL));
}

SYSCALL(utimes, const char __user *path, const struct old_timeval __user *utimes)
{
	return sys_futimesat(AT_FDCWD, path, utimes);
}

SYSCALL(utime, const char __user *path, const long __user *times)
{
	struct __kernel_timespec t[2] = {0};
	long v[2];
	if (times) {
		if (copy_from_user(v, times, sizeof v))
			return -EFAULT;
		t[0].tv_sec = v[0];
		t[1].tv_sec = v[1];
	}
	WITH(target(AT_FDCWD, path, 0), change_times(d_, times ? t : NULL));
}
