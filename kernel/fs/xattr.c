/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attribute calls. */
#include <linux/capability.h>
#include <linux/inotify.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include "fs/internal.h"

static int get_name(char *name, const char __user *uname)
{
	long n = strncpy_from_user(name, uname, XATTR_NAME_MAX + 1);
	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* Who may see (4) or change (2) the attribute. */
static int may(struct inode *i, const char *name, unsigned rwx)
{
	const struct program *p = current_program();
	bool admin = p->cred.cap_effective & 1ull << CAP_SYS_ADMIN;
	if (rwx == 2 && inode_read_only(i))
		return -EROFS;
	if (has_prefix(name, "trusted."))
		return admin ? 0 : rwx == 2 ? -EPERM : -ENODATA;
	if (has_prefix(name, "security."))
		return rwx == 4 || admin ? 0 : -EPERM;
	if (has_prefix(name, "user.")) {
		if (!IS_TYPE(i, S_IFREG) && !IS_TYPE(i, S_IFDIR))
			return rwx == 2 ? -EPERM : -ENODATA;
		return vfs_may(i, rwx);
	}
	return -EOPNOTSUPP; /* access control lists ("system.") among them */
}

static long set_attr(
    struct dentry *d, const char __user *uname, const void __user *value, size_t n, int flags)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = d->inode;
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (n > XATTR_SIZE_MAX)
		return -E2BIG;
	int err = get_name(name, uname);
	if (!err)
		err = may(i, name, 2);
	if (!err && !(i->ops && i->ops->setxattr))
		err = -EOPNOTSUPP;
	if (err)
		return err;
	void *buf = kmalloc(n ? n : 1);
	if (!buf)
		return -ENOMEM;
	if (copy_from_user(buf, value, n))
		err = -EFAULT;
	if (!err) {
		rw_write_lock(&i->lock);
		err = i->ops->setxattr(i, name, buf, n, flags);
		if (!err)
			inode_touch(i, ATTR_CTIME);
		rw_write_unlock(&i->lock);
	}
	kfree(buf);
	if (!err)
		notify(i, d, IN_ATTRIB);
	return err;
}

static long get_attr(struct dentry *d, const char __user *uname, void __user *value, size_t n)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = d->inode;
	int err = get_name(name, uname);
	if (!err)
		err = may(i, name, 4);
	if (!err && !(i->ops && i->ops->getxattr))
		err = -EOPNOTSUPP;
	if (err)
		return err;
	if (n > XATTR_SIZE_MAX)
		n = XATTR_SIZE_MAX;
	void *buf = n ? kmalloc(n) : NULL;
	if (n && !buf)
		return -ENOMEM;
	rw_read_lock(&i->lock);
	long r = i->ops->getxattr(i, name, buf, n);
	rw_read_unlock(&i->lock);
	if (r > 0 && n && copy_to_user(value, buf, (size_t)r))
		r = -EFAULT;
	kfree(buf);
	return r;
}

static long list_attrs(struct dentry *d, char __user *out, size_t n)
{
	struct inode *i = d->inode;
	if (!i->ops || !i->ops->listxattr)
		return 0;
	if (n > XATTR_LIST_MAX)
		n = XATTR_LIST_MAX;
	char *buf = n ? kmalloc(n) : NULL;
	if (n && !buf)
		return -ENOMEM;
	rw_read_lock(&i->lock);
	long r = i->ops->listxattr(i, buf, n);
	rw_read_unlock(&i->lock);
	if (r > 0 && n && copy_to_user(out, buf, (size_t)r))
		r = -EFAULT;
	kfree(buf);
	return r;
}

static long remove_attr(struct dentry *d, const char __user *uname)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = d->inode;
	int err = get_name(name, uname);
	if (!err)
		err = may(i, name, 2);
	if (!err && !(i->ops && i->ops->removexattr))
		err = -EOPNOTSUPP;
	if (err)
		return err;
	rw_write_lock(&i->lock);
	err = i->ops->removexattr(i, name);
	if (!err)
		inode_touch(i, ATTR_CTIME);
	rw_write_unlock(&i->lock);
	if (!err)
		notify(i, d, IN_ATTRIB);
	return err;
}

static struct dentry *of_fd(int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return (void *)f;
	struct dentry *d = f->dentry;
	if (d)
		dentry_get(d);
	file_put(f);
	return d ? d : err_ptr(-EBADF);
}

#define ON(lookup, call)                     \
	do {                                 \
		struct dentry *d = (lookup); \
		if (is_err(d))               \
			return ptr_err(d);   \
		long r = (call);             \
		dentry_put(d);               \
		return r;                    \
	} while (0)
#define BY_PATH lookup_user(AT_FDCWD, path, 0)
#define BY_LINK lookup_user(AT_FDCWD, path, WALK_NOFOLLOW)

SYSCALL(setxattr, const char __user *path, const char __user *name, const void __user *v, size_t n,
    int flags)
{
	ON(BY_PATH, set_attr(d, name, v, n, flags));
}

SYSCALL(lsetxattr, const char __user *path, const char __user *name, const void __user *v, size_t n,
    int flags)
{
	ON(BY_LINK, set_attr(d, name, v, n, flags));
}

SYSCALL(fsetxattr, int fd, const char __user *name, const void __user *v, size_t n, int flags)
{
	ON(of_fd(fd), set_attr(d, name, v, n, flags));
}

SYSCALL(getxattr, const char __user *path, const char __user *name, void __user *v, size_t n)
{
	ON(BY_PATH, get_attr(d, name, v, n));
}

SYSCALL(lgetxattr, const char __user *path, const char __user *name, void __user *v, size_t n)
{
	ON(BY_LINK, get_attr(d, name, v, n));
}

SYSCALL(fgetxattr, int fd, const char __user *name, void __user *v, size_t n)
{
	ON(of_fd(fd), get_attr(d, name, v, n));
}

SYSCALL(listxattr, const char __user *path, char __user *out, size_t n)
{
	ON(BY_PATH, list_attrs(d, out, n));
}

SYSCALL(llistxattr, const char __user *path, char __user *out, size_t n)
{
	ON(BY_LINK, list_attrs(d, out, n));
}

SYSCALL(flistxattr, int fd, char __user *out, size_t n)
{
	ON(of_fd(fd), list_attrs(d, out, n));
}

SYSCALL(removexattr, const char __user *path, const char __user *name)
{
	ON(BY_PATH, remove_attr(d, name));
}

SYSCALL(lremovexattr, const char __user *path, const char __user *name)
{
	ON(BY_LINK, remove_attr(d, name));
}

SYSCALL(fremovexattr, int fd, const char __user *name)
{
	ON(of_fd(fd), remove_attr(d, name));
}
