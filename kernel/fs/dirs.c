/* SPDX-License-Identifier: BSD-3-Clause */
/* Listing directories, and a program's place in the tree: getdents, chdir, getcwd, chroot, umask.
 */
#include <linux/capability.h>
#include "fs/internal.h"

#define LIST_BUFFER 32768u /* listed at a time, before it is copied to the application */

struct dirent64 { /* the ABI's struct linux_dirent64 */
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
} __attribute__((packed));

struct dirent_old { /* struct linux_dirent: the type is the record's last byte */
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	char name[];
} __attribute__((packed));

struct listing {
	struct dir_context c;
	char *buf;
	size_t size, used;
	bool old, too_small;
};

static bool emit(
    struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned dtype, int64_t next)
{
	struct listing *l = container_of(c, struct listing, c);
	size_t head = l->old ? offsetof(struct dirent_old, name) : offsetof(struct dirent64, name);
	size_t need = ALIGN_UP(head + len + 1 + l->old, 8);
	if (need > l->size - l->used) {
		l->too_small = !l->used;
		return false;
	}
	char *at = l->buf + l->used;
	memset(at, 0, need);
	struct dirent64 d = {ino, next, (uint16_t)need, (uint8_t)dtype};
	memcpy(at, &d, l->old ? offsetof(struct dirent64, type) : sizeof d);
	memcpy(at + head, name, len);
	if (l->old)
		at[need - 1] = (char)dtype;
	l->used += need;
	c->pos = next;
	return true;
}

static long getdents(int fd, void __user *out, unsigned size, bool old)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	struct listing l = {.c.emit = emit, .size = MIN(size, LIST_BUFFER), .old = old};
	long r = 0;
	if (!IS_TYPE(f->inode, S_IFDIR) || !f->ops || !f->ops->readdir)
		r = -ENOTDIR;
	else if (!(l.buf = kmalloc(l.size ? l.size : 1)))
		r = -ENOMEM;
	if (r)
		goto out;
	mutex_lock(&f->pos_lock);
	l.c.pos = f->pos;
	rw_read_lock(&f->inode->lock);
	if (!f->inode->nlink)
		r = -ENOENT;
	else
		r = f->ops->readdir(f, &l.c);
	rw_read_unlock(&f->inode->lock);
	if (!r && l.too_small)
		r = -EINVAL;
	if (!r && copy_to_user(out, l.buf, l.used))
		r = -EFAULT;
	if (!r) {
		f->pos = l.c.pos;
		r = (long)l.used;
	}
	mutex_unlock(&f->pos_lock);
out:
	kfree(l.buf);
	file_put(f);
	return r;
}

SYSCALL(getdents64, int fd, void __user *out, unsigned size)
{
	return getdents(fd, out, size, false);
}

SYSCALL(getdents, int fd, void __user *out, unsigned size)
{
	return getdents(fd, out, size, true);
}

/* ---- Where a program is ---- */

static int set_cwd(struct dentry *d) /* takes the reference over */
{
	struct program *p = current_program();
	int err = IS_TYPE(d->inode, S_IFDIR) ? vfs_may(d->inode, 1) : -ENOTDIR;
	if (!err) {
		mutex_lock(&p->lock);
		struct dentry *old = p->cwd;
		p->cwd = d;
		mutex_unlock(&p->lock);
		d = old;
	}
	if (d)
		dentry_put(d);
	return err;
}

SYSCALL(chdir, const char __user *path)
{
	struct dentry *d = lookup_user(AT_FDCWD, path, WALK_DIRECTORY);
	return is_err(d) ? ptr_err(d) : set_cwd(d);
}

SYSCALL(fchdir, int fd)
{
	struct file *f = fd_get_any(fd);
	if (is_err(f))
		return ptr_err(f);
	int err = -ENOTDIR;
	if (f->dentry) {
		dentry_get(f->dentry);
		err = set_cwd(f->dentry);
	}
	file_put(f);
	return err;
}

SYSCALL(chroot, const char __user *path)
{
	struct program *p = current_program();
	if (!(p->cred.cap_effective & 1ull << CAP_SYS_CHROOT))
		return -EPERM;
	struct dentry *d = lookup_user(AT_FDCWD, path, WALK_DIRECTORY);
	if (is_err(d))
		return ptr_err(d);
	mutex_lock(&p->lock);
	struct dentry *old = p->root;
	rcu_assign(p->root, d);
	mutex_unlock(&p->lock);
	if (old)
		dentry_put(old);
	return 0;
}

SYSCALL(getcwd, char __user *out, size_t size)
{
	struct program *p = current_program();
	char *buf = kmalloc(PATH_LIMIT);
	if (!buf)
		return -ENOMEM;
	mutex_lock(&p->lock);
	struct dentry *d = p->cwd ? p->cwd : root_dentry;
	dentry_get(d);
	mutex_unlock(&p->lock);
	long r = !d->hashed && d->parent != d ? -ENOENT : dentry_path(d, buf, PATH_LIMIT);
	dentry_put(d);
	if (!r) {
		size_t n = strlen(buf) + 1;
		r = n > size ? -ERANGE : copy_to_user(out, buf, n) ? -EFAULT : (long)n;
	}
	kfree(buf);
	return r;
}

SYSCALL(umask, uint32_t mask)
{
	struct program *p = current_program();
	return (long)__atomic_exchange_n(&p->umask, mask & 0777, __ATOMIC_RELAXED);
}
