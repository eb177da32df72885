/* SPDX-License-Identifier: BSD-3-Clause */
/* Making, removing and renaming names: mkdir, mknod, symlink, link, unlink, rmdir, rename; and
 * readlink. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include "fs/internal.h"

static struct mutex
    rename_lock; /* one rename between directories at a time keeps the tree a tree */

static uint32_t masked(uint32_t mode)
{
	const struct program *p = current_program();
	return mode & ~(p ? p->umask : 022) & 07777;
}

/* Removing or renaming d, which is in dir: write permission, and the sticky bit's rule. */
static int may_delete(struct inode *dir, struct inode *victim)
{
	if (inode_read_only(dir))
		return -EROFS;
	int err = vfs_may(dir, 3);
	if (err)
		return err;
	const struct program *p = current_program();
	if (p && (dir->mode & S_ISVTX) && p->cred.fsuid != victim->uid &&
	    p->cred.fsuid != dir->uid && !(p->cred.cap_effective & 1ull << CAP_FOWNER))
		return -EPERM;
	return 0;
}

/* The place for a new name: its parent, locked for writing, and its negative dentry. */
struct place {
	struct walk w;
	struct dentry *d;
};

static void place_end(struct place *p)
{
	rw_write_unlock(&p->w.d->inode->lock);
	dentry_put(p->d);
	dentry_put(p->w.d);
	walk_end(&p->w);
}

static int place_begin(struct place *p, int dirfd, const char *path, bool directory)
{
	p->w = (struct walk){.flags = WALK_CREATE | WALK_NOFOLLOW};
	int err = walk_path(&p->w, dirfd, path);
	if (err)
		return err;
	struct dentry *dir = p->w.d;
	if (!p->w.last)
		err = -EEXIST;
	else if (p->w.last_dir && !directory)
		err = -ENOENT;
	else if (inode_read_only(dir->inode))
		err = -EROFS;
	else
		err = vfs_may(dir->inode, 3);
	if (err)
		goto fail;
	rw_write_lock(&dir->inode->lock);
	p->d = dcache_lookup(dir, p->w.last, p->w.last_len);
	if (is_err(p->d))
		err = (int)ptr_err(p->d);
	else if (p->d->inode)
		err = -EEXIST;
	else if (!dir->inode->nlink)
		err = -ENOENT;
	if (!err)
		return 0;
	rw_write_unlock(&dir->inode->lock);
	if (!is_err(p->d))
		dentry_put(p->d);
fail:
	walk_end(&p->w);
	dentry_put(dir);
	return err;
}

/* The file system made i (or failed) for the name of p. */
static int place_fill(struct place *p, struct inode *i)
{
	if (is_err(i))
		return (int)ptr_err(i);
	struct inode *dir = p->w.d->inode;
	dcache_instantiate(p->d, i);
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	notify(i, p->d, IN_CREATE | (IS_TYPE(i, S_IFDIR) ? IN_ISDIR : 0));
	return 0;
}

static int make(int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	struct place p;
	int err = place_begin(&p, dirfd, path, (mode & S_IFMT) == S_IFDIR);
	if (err)
		return err;
	struct inode *dir = p.w.d->inode;
	err = dir->ops->create
		  ? place_fill(&p, dir->ops->create(dir, p.w.last, p.w.last_len, mode, rdev))
		  : -EPERM;
	place_end(&p);
	return err;
}

int vfs_mkdir(int dirfd, const char *path, uint32_t mode)
{
	return make(dirfd, path, S_IFDIR | (masked(mode) & 01777), 0);
}

int vfs_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	const struct program *p = current_program();
	uint32_t type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
	bool device = type == S_IFCHR || type == S_IFBLK;
	if (!device && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return type == S_IFDIR ? -EPERM : -EINVAL;
	if (device && p && !(p->cred.cap_effective & 1ull << CAP_MKNOD))
		return -EPERM;
	return make(dirfd, path, type | masked(mode), device ? rdev : 0);
}

int vfs_symlink(const char *target, int dirfd, const char *path)
{
	struct place p;
	if (!*target)
		return -ENOENT;
	int err = place_begin(&p, dirfd, path, false);
	if (err)
		return err;
	struct inode *dir = p.w.d->inode;
	err = dir->ops->symlink
		  ? place_fill(&p, dir->ops->symlink(dir, p.w.last, p.w.last_len, target))
		  : -EPERM;
	place_end(&p);
	return err;
}

static int vfs_link(struct dentry *old, int dirfd, const char *path)
{
	struct place p;
	struct inode *i = old->inode;
	if (IS_TYPE(i, S_IFDIR))
		return -EPERM;
	int err = place_begin(&p, dirfd, path, false);
	if (err)
		return err;
	struct inode *dir = p.w.d->inode;
	if (i->super != dir->super)
		err = -EXDEV;
	else if (!dir->ops->link)
		err = -EPERM;
	else
		err = dir->ops->link(dir, p.w.last, p.w.last_len, i);
	if (!err) {
		inode_get(i);
		inode_touch(i, ATTR_CTIME);
		err = place_fill(&p, i);
	}
	place_end(&p);
	return err;
}

static int remove_name(int dirfd, const char *path, bool directory)
{
	struct walk w = {.flags = WALK_PARENT};
	int err = walk_path(&w, dirfd, path);
	if (err)
		return err;
	struct dentry *dir = w.d, *d = NULL;
	struct inode *di = dir->inode;
	if (!w.last)
		err = directory ? -EBUSY : -EISDIR;
	else if (name_is(w.last, w.last_len, "."))
		err = directory ? -EINVAL : -EISDIR;
	else if (name_is(w.last, w.last_len, ".."))
		err = directory ? -ENOTEMPTY : -EISDIR;
	if (err)
		goto out;
	rw_write_lock(&di->lock);
	d = dcache_lookup(dir, w.last, w.last_len);
	if (is_err(d)) {
		err = (int)ptr_err(d);
		d = NULL;
	} else if (!d->inode)
		err = -ENOENT;
	else {
		bool isdir = IS_TYPE(d->inode, S_IFDIR);
		err = may_delete(di, d->inode);
		if (err)
			;
		else if (isdir != directory)
			err = isdir ? -EISDIR : -ENOTDIR;
		else if (w.last_dir && !isdir)
			err = -ENOTDIR;
		else if (d->mounted)
			err = -EBUSY;
		else if (!di->ops->unlink)
			err = -EPERM;
		else {
			if (isdir)
				rw_write_lock(&d->inode->lock);
			err = di->ops->unlink(di, w.last, w.last_len, d->inode);
			if (isdir)
				rw_write_unlock(&d->inode->lock);
		}
		if (!err) {
			dcache_drop(d);
			inode_touch(di, ATTR_MTIME | ATTR_CTIME);
			inode_touch(d->inode, ATTR_CTIME);
		}
	}
	rw_write_unlock(&di->lock);
	if (!err) {
		notify(d->inode, d, IN_DELETE | (directory ? IN_ISDIR : 0));
		if (d->inode->watches)
			vfs_notify(
			    d->inode, NULL, d->inode->nlink ? IN_ATTRIB : IN_DELETE_SELF, 0, NULL);
	}
out:
	if (d)
		dentry_put(d);
	dentry_put(dir);
	walk_end(&w);
	return err;
}

/* ---- Rename ---- */

struct move {
	struct walk from, to;
	struct dentry *old, *new;
	unsigned flags;
};

/* Two directories in a fixed order; the same one once. */
static void lock_two(struct inode *a, struct inode *b)
{
	if (a == b) {
		rw_write_lock(&a->lock);
		return;
	}
	rw_write_lock(a < b ? &a->lock : &b->lock);
	rw_write_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct inode *a, struct inode *b)
{
	rw_write_unlock(&a->lock);
	if (a != b)
		rw_write_unlock(&b->lock);
}

/* All that forbids the move; both parents locked, both dentries looked up. */
static int may_move(const struct move *m)
{
	struct dentry *old = m->old, *new = m->new, *od = m->from.d, *nd = m->to.d;
	struct inode *oi = old->inode, *ni = new->inode;
	bool exchange = m->flags & RENAME_EXCHANGE;

	if (!oi)
		return -ENOENT;
	if (ni && (m->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!ni && exchange)
		return -ENOENT;
	bool odir = IS_TYPE(oi, S_IFDIR), ndir = ni && IS_TYPE(ni, S_IFDIR);
	if ((m->from.last_dir && !odir) || (m->to.last_dir && !odir && !exchange))
		return -ENOTDIR;
	int err = may_delete(od->inode, oi);
	if (!err)
		err = ni ? may_delete(nd->inode, ni) : vfs_may(nd->inode, 3);
	if (err)
		return err;
	if (!nd->inode->nlink)
		return -ENOENT;
	if (odir && dentry_below(nd, old))
		return -EINVAL;
	if (exchange && ndir && dentry_below(od, new))
		return -EINVAL;
	if (!exchange && ni) {
		if (ndir && !odir)
			return -EISDIR;
		if (!ndir && odir)
			return -ENOTDIR;
		if (ndir && dentry_below(od, new))
			return -ENOTEMPTY;
	}
	if (old->mounted || new->mounted)
		return -EBUSY;
	if (odir && nd != od && (err = vfs_may(oi, 2)))
		return err;
	return od->inode->ops->rename ? 0 : -EPERM;
}

static int do_move(struct move *m)
{
	struct inode *odir = m->from.d->inode, *ndir = m->to.d->inode;
	struct inode *oi = m->old->inode, *ni = m->new->inode;
	bool lock_victim = ni && IS_TYPE(ni, S_IFDIR) && !(m->flags & RENAME_EXCHANGE);

	if (oi == ni)
		return 0; /* two names of the same file: nothing happens */
	if (lock_victim)
		rw_write_lock(&ni->lock);
	int err = odir->ops->rename(odir, m->from.last, m->from.last_len, oi, ndir, m->to.last,
	    m->to.last_len, ni, m->flags);
	if (lock_victim)
		rw_write_unlock(&ni->lock);
	if (err)
		return err;
	if (m->flags & RENAME_EXCHANGE)
		err = dcache_exchange(m->old, m->new);
	else {
		dcache_drop(m->new);
		err = dcache_move(m->old, m->to.d, m->to.last, m->to.last_len);
	}
	if (err) { /* no memory for the names: forget them, the file system knows */
		dcache_drop(m->old);
		dcache_drop(m->new);
	}
	inode_touch(odir, ATTR_MTIME | ATTR_CTIME);
	inode_touch(ndir, ATTR_MTIME | ATTR_CTIME);
	inode_touch(oi, ATTR_CTIME);
	return 0;
}

static void notify_move(const struct move *m, const char *oname)
{
	static _Atomic unsigned cookies;
	struct inode *i = m->old->inode, *od = m->from.d->inode, *nd = m->to.d->inode;
	if (!od->watches && !nd->watches && !i->watches)
		return;
	unsigned cookie = atomic_fetch_add(&cookies, 1) + 1;
	unsigned dir = IS_TYPE(i, S_IFDIR) ? IN_ISDIR : 0;
	if (od->watches)
		vfs_notify(od, NULL, IN_MOVED_FROM | dir, cookie, oname);
	if (nd->watches)
		vfs_notify(nd, NULL, IN_MOVED_TO | dir, cookie, m->old->name);
	if (i->watches)
		vfs_notify(i, NULL, IN_MOVE_SELF, 0, NULL);
}

static int rename_walked(struct move *m)
{
	struct dentry *od = m->from.d, *nd = m->to.d;
	char oname[NAME_LIMIT + 1];
	int err = 0;

	if (od->super != nd->super)
		return -EXDEV;
	if (!m->from.last || !m->to.last)
		return -EBUSY;
	if (m->from.last_len > NAME_LIMIT || m->to.last_len > NAME_LIMIT)
		return -ENAMETOOLONG;
	const struct walk *dots[] = {&m->from, &m->to};
	for (int i = 0; i < 2; i++)
		if (name_is(dots[i]->last, dots[i]->last_len, ".") ||
		    name_is(dots[i]->last, dots[i]->last_len, ".."))
			return m->flags & RENAME_NOREPLACE && i ? -EEXIST : -EBUSY;
	memcpy(oname, m->from.last, m->from.last_len);
	oname[m->from.last_len] = 0;

	if (od != nd)
		mutex_lock(&rename_lock);
	lock_two(od->inode, nd->inode);
	m->old = dcache_lookup(od, m->from.last, m->from.last_len);
	m->new = dcache_lookup(nd, m->to.last, m->to.last_len);
	if (is_err(m->old))
		err = (int)ptr_err(m->old);
	else if (is_err(m->new))
		err = (int)ptr_err(m->new);
	if (!err)
		err = may_move(m);
	bool same = !err && m->old->inode == m->new->inode;
	if (!err)
		err = do_move(m);
	unlock_two(od->inode, nd->inode);
	if (od != nd)
		mutex_unlock(&rename_lock);
	if (!err && !same)
		notify_move(m, oname);
	if (!is_err(m->old))
		dentry_put(m->old);
	if (!is_err(m->new))
		dentry_put(m->new);
	return err;
}

static int vfs_rename(int odirfd, const char *opath, int ndirfd, const char *npath, unsigned flags)
{
	struct move m = {.from.flags = WALK_PARENT, .to.flags = WALK_PARENT, .flags = flags};
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	int err = walk_path(&m.from, odirfd, opath);
	if (err)
		return err;
	err = walk_path(&m.to, ndirfd, npath);
	if (!err) {
		err = rename_walked(&m);
		dentry_put(m.to.d);
		walk_end(&m.to);
	}
	dentry_put(m.from.d);
	walk_end(&m.from);
	return err;
}

/* ---- System calls ---- */

SYSCALL(mkdirat, int dirfd, const char __user *path, uint32_t mode)
{
	struct pathbuf p;
	int err = pathbuf_get(&p, path);
	if (err)
		return err;
	err = vfs_mkdir(dirfd, p.s, mode);
	pathbuf_free(&p);
	return err;
}

SYSCALL(mkdir, const char __user *path, uint32_t mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

/* The device number as the application encodes it is what stat gives back. */
SYSCALL(mknodat, int dirfd, const char __user *path, uint32_t mode, unsigned dev)
{
	struct pathbuf p;
	int err = pathbuf_get(&p, path);
	if (err)
		return err;
	err = vfs_mknod(dirfd, p.s, mode, dev);
	pathbuf_free(&p);
	return err;
}

SYSCALL(mknod, const char __user *path, uint32_t mode, unsigned dev)
{
	return sys_mknodat(AT_FDCWD, path, mode, dev);
}

SYSCALL(symlinkat, const char __user *target, int dirfd, const char __user *path)
{
	struct pathbuf t, p;
	int err = pathbuf_get(&t, target);
	if (err)
		return err;
	err = pathbuf_get(&p, path);
	if (!err) {
		err = vfs_symlink(t.s, dirfd, p.s);
		pathbuf_free(&p);
	}
	pathbuf_free(&t);
	return err;
}

SYSCALL(symlink, const char __user *target, const char __user *path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

SYSCALL(
    linkat, int odirfd, const char __user *opath, int ndirfd, const char __user *npath, int flags)
{
	struct pathbuf p;
	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	unsigned walk = flags & AT_SYMLINK_FOLLOW ? 0 : WALK_NOFOLLOW;
	struct dentry *old =
	    lookup_user(odirfd, opath, walk | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0));
	if (is_err(old))
		return ptr_err(old);
	int err = pathbuf_get(&p, npath);
	if (!err) {
		err = vfs_link(old, ndirfd, p.s);
		pathbuf_free(&p);
	}
	dentry_put(old);
	return err;
}

SYSCALL(link, const char __user *opath, const char __user *npath)
{
	return sys_linkat(AT_FDCWD, opath, AT_FDCWD, npath, 0);
}

SYSCALL(unlinkat, int dirfd, const char __user *path, int flags)
{
	struct pathbuf p;
	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	int err = pathbuf_get(&p, path);
	if (err)
		return err;
	err = remove_name(dirfd, p.s, flags & AT_REMOVEDIR);
	pathbuf_free(&p);
	return err;
}

SYSCALL(unlink, const char __user *path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

SYSCALL(rmdir, const char __user *path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

SYSCALL(renameat2, int odirfd, const char __user *opath, int ndirfd, const char __user *npath,
    unsigned flags)
{
	struct pathbuf o, n;
	int err = pathbuf_get(&o, opath);
	if (err)
		return err;
	err = pathbuf_get(&n, npath);
	if (!err) {
		err = vfs_rename(odirfd, o.s, ndirfd, n.s, flags);
		pathbuf_free(&n);
	}
	pathbuf_free(&o);
	return err;
}

SYSCALL(renameat, int odirfd, const char __user *opath, int ndirfd, const char __user *npath)
{
	return sys_renameat2(odirfd, opath, ndirfd, npath, 0);
}

SYSCALL(rename, const char __user *opath, const char __user *npath)
{
	return sys_renameat2(AT_FDCWD, opath, AT_FDCWD, npath, 0);
}

/* What a magic link shows is the path of where it leads, unless the file system says otherwise. */
static long link_text(struct dentry *d, char *buf)
{
	struct inode *i = d->inode;
	if (i->ops->readlink)
		return i->ops->readlink(i, buf, PATH_LIMIT);
	struct dentry *to;
	if (!i->ops->follow)
		return -EINVAL;
	int err = i->ops->follow(i, &to);
	if (err)
		return err;
	err = dentry_path(to, buf, PATH_LIMIT);
	dentry_put(to);
	return err ? err : (long)strlen(buf);
}

SYSCALL(readlinkat, int dirfd, const char __user *path, char __user *buf, int size)
{
	if (size <= 0)
		return -EINVAL;
	struct dentry *d = lookup_user(dirfd, path, WALK_NOFOLLOW | WALK_EMPTY);
	if (is_err(d))
		return ptr_err(d);
	long n = -EINVAL;
	if (IS_TYPE(d->inode, S_IFLNK)) {
		char *text = kmalloc(PATH_LIMIT);
		n = text ? link_text(d, text) : -ENOMEM;
		if (n > size)
			n = size;
		if (n >= 0 && copy_to_user(buf, text, (size_t)n))
			n = -EFAULT;
		kfree(text);
	}
	dentry_put(d);
	return n;
}

SYSCALL(readlink, const char __user *path, char __user *buf, int size)
{
	return sys_readlinkat(AT_FDCWD, path, buf, size);
}
