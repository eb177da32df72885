/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path walk.
 *
 * The walk goes from cached dentry to cached dentry under RCU: no lock, no reference, until the end
 * or until something must sleep (a name that is not cached, a symbolic link to be read). Then the
 * dentry reached is referenced (`anchor`), the sleeping work done, and the walk goes on from there.
 * A dentry that died in between, or a rename during a stretch under RCU, makes the walk start
 * again.
 *
 * Symbolic links are put in front of the rest of the path, in one buffer that fills from its end.
 */
#include <linux/openat2.h>
#include "fs/internal.h"

#define AGAIN 1 /* internal result: look at the same component again */
#define RESTART 2

static const struct credentials *current_cred(void)
{
	struct program *p = current_program();
	return p ? &p->cred : NULL;
}

int pathbuf_get(struct pathbuf *p, const char __user *path)
{
	p->s = p->small;
	long n = strncpy_from_user(p->small, path, sizeof p->small);
	if (n >= 0)
		return 0;
	if (n != -ENAMETOOLONG)
		return (int)n;
	p->s = kmalloc(PATH_LIMIT);
	if (!p->s)
		return -ENOMEM;
	n = strncpy_from_user(p->s, path, PATH_LIMIT);
	if (n < 0)
		kfree(p->s);
	return n < 0 ? (int)n : 0;
}

/* Makes the place reached safe to sleep at. RESTART if it died or a rename came between. */
static int hold(struct walk *w)
{
	if (w->d == w->anchor)
		return 0;
	if (!dentry_try_get(w->d))
		return RESTART;
	struct dentry *old = w->anchor;
	w->anchor = w->d;
	if (old)
		dentry_put(old);
	return atomic_load(&rename_seq) == w->seq ? 0 : RESTART;
}

/* Where relative paths start. Referenced. */
static int start_at(struct walk *w, int dirfd, const char *path)
{
	struct program *p = current_program();
	bool kernel = (w->flags & WALK_KERNEL) || !p;

	w->root = !kernel && p->root ? p->root : root_dentry;
	if (w->resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) {
		if (*path == '/' && (w->resolve & RESOLVE_BENEATH))
			return -EXDEV;
	} else if (*path == '/') {
		w->start = mount_top(w->root);
		dentry_get(w->start);
		return 0;
	}
	if (dirfd == AT_FDCWD) {
		if (!kernel && p->cwd) {
			mutex_lock(&p->lock);
			w->start = p->cwd;
			dentry_get(w->start);
			mutex_unlock(&p->lock);
		} else {
			w->start = mount_top(w->root);
			dentry_get(w->start);
		}
	} else {
		struct file *f = fd_get_any(dirfd);
		if (is_err(f))
			return (int)ptr_err(f);
		if (!f->dentry || (*path && !IS_TYPE(f->dentry->inode, S_IFDIR))) {
			file_put(f);
			return -ENOTDIR;
		}
		w->start = f->dentry;
		dentry_get(w->start);
		file_put(f);
	}
	if (w->resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH))
		w->root = w->start;
	return 0;
}

/* The parent of where we are, not above the root. */
static int step_up(struct walk *w)
{
	struct dentry *d = w->d;
	if (d == w->root || (w->root == root_dentry && d == mount_top(root_dentry))) {
		return w->resolve & RESOLVE_BENEATH ? -EXDEV : 0;
	}
	struct dentry *low = mount_bottom(d);
	if (low != d && (w->resolve & RESOLVE_NO_XDEV))
		return -EXDEV;
	if (low == w->root)
		return 0;
	w->d = mount_top(rcu_dereference(low->parent));
	return 0;
}

/* Puts the target of a link, `len` bytes, in front of the rest of the path. */
static int prepend_link(struct walk *w, const char *target, size_t len)
{
	size_t rest = strlen(w->rest);
	if (!len)
		return -ENOENT;
	if (len + rest + 2 > PATH_LIMIT)
		return -ENAMETOOLONG;
	char *end = w->buf + PATH_LIMIT;
	char *at = end - rest - 1;
	if (w->rest < w->buf || w->rest >= end) /* the rest is still in the original path */
		memcpy(at, w->rest, rest + 1);
	if (rest && *at != '/')
		*--at = '/';
	at -= len;
	memcpy(at, target, len);
	w->rest = at;
	if (*at != '/')
		return 0;
	if (w->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	w->d = mount_top(w->root);
	return 0;
}

/* Reads the target of link `l` (referenced) into the inode, once for all. */
static int read_link(struct dentry *l)
{
	struct inode *i = l->inode;
	char *buf = kmalloc(PATH_LIMIT);
	if (!buf)
		return -ENOMEM;
	long n = i->ops->readlink ? i->ops->readlink(i, buf, PATH_LIMIT - 1) : -EINVAL;
	if (n >= 0) {
		buf[n] = 0;
		const char *copy = kstrdup(buf), *none = NULL;
		if (!copy)
			n = -ENOMEM;
		else if (!atomic_compare_exchange_strong(&i->link, &none, copy))
			kfree((void *)copy);
	}
	kfree(buf);
	return n < 0 ? (int)n : 0;
}

/* Follows a magic link: the file system knows where it leads. */
static int follow_magic(struct walk *w, struct dentry *l)
{
	struct dentry *to;
	if (w->resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -ELOOP;
	if (!dentry_try_get(l))
		return RESTART;
	int err = hold(w);
	if (!err)
		err = l->inode->ops->follow(l->inode, &to);
	dentry_put(l);
	if (err)
		return err;
	dentry_put(w->anchor);
	w->anchor = w->d = to;
	w->seq = atomic_load(&rename_seq);
	return 0;
}

/* Goes where link `l`, a child of w->d, leads; w->rest is behind it already. */
static int follow_link(struct walk *w, struct dentry *l)
{
	struct inode *i = l->inode;
	if (++w->links > LINK_DEPTH || (w->resolve & RESOLVE_NO_SYMLINKS))
		return -ELOOP;
	if (i->ops->follow)
		return follow_magic(w, l);
	bool transient = i->super->volatile_names; /* /proc/self changes with the reader */
	const char *target =
	    transient ? NULL : atomic_load_explicit(&i->link, memory_order_acquire);
	if (!w->buf || !target) {
		if (!dentry_try_get(l))
			return RESTART;
		int err = hold(w);
		if (!err && !w->buf && !(w->buf = kmalloc(PATH_LIMIT)))
			err = -ENOMEM;
		if (!err && transient) {
			char *text = kmalloc(PATH_LIMIT);
			long n = text ? i->ops->readlink(i, text, PATH_LIMIT - 1) : -ENOMEM;
			err = n < 0 ? (int)n : 0;
			if (!err) {
				w->seq = atomic_load(&rename_seq);
				err = prepend_link(w, text, (size_t)n);
			}
			kfree(text);
			dentry_put(l);
			return err;
		}
		if (!err && !target)
			err = read_link(l);
		if (!err) {
			w->seq = atomic_load(&rename_seq);
			target = atomic_load_explicit(&i->link, memory_order_acquire);
			err = prepend_link(w, target, strlen(target));
		}
		/* The walk stands on its anchor or on the root here, so sleeping is fine. */
		dentry_put(l);
		return err;
	}
	return prepend_link(w, target, strlen(target));
}

/* The child called name of w->d, not referenced, RCU. Sleeps if it must; then w->d is held. *put is
 * a reference to give back when done with it, or NULL. */
static int find_child(
    struct walk *w, const char *name, size_t len, struct dentry **child, struct dentry **put)
{
	struct dentry *dir = w->d;
	*put = NULL;
	if (len > NAME_LIMIT)
		return -ENAMETOOLONG;
	if (likely(!dir->super->volatile_names)) {
		*child = dcache_find(dir, name, len, dcache_hash(dir, name, len));
		if (likely(*child))
			return 0;
	}
	int err = hold(w);
	if (err)
		return err;
	if (!IS_TYPE(dir->inode, S_IFDIR))
		return -ENOTDIR;
	rw_read_lock(&dir->inode->lock);
	*child = dcache_lookup(dir, name, len);
	rw_read_unlock(&dir->inode->lock);
	if (is_err(*child))
		return (int)ptr_err(*child);
	*put = *child;
	w->seq = atomic_load(&rename_seq);
	return 0;
}

static int may_search(struct walk *w)
{
	struct inode *i = w->d->inode;
	if (!IS_TYPE(i, S_IFDIR))
		return -ENOTDIR;
	if (!w->cred || ((i->mode & 0111) == 0111))
		return 0;
	return vfs_may(i, 1);
}

/* One component. *done when it was the last. */
static int step(struct walk *w, bool *done)
{
	while (*w->rest == '/')
		w->rest++;
	const char *name = w->rest;
	if (!*name) {
		*done = true;
		return 0;
	}
	size_t len = 0;
	while (name[len] && name[len] != '/')
		len++;
	const char *after = name + len;
	while (*after == '/')
		after++;
	bool final = !*after, slash = after > name + len;

	int err = may_search(w);
	if (err)
		return err;
	if (final && (w->flags & WALK_PARENT)) {
		w->last = name;
		w->last_len = len;
		w->last_dir = slash;
		*done = true;
		return 0;
	}
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))) {
		w->rest = after;
		w->last_dir = final;
		if (len == 2)
			err = step_up(w);
		*done = final;
		return err;
	}
	struct dentry *child, *put;
	err = find_child(w, name, len, &child, &put);
	if (err)
		return err;
	struct inode *i = rcu_dereference(child->inode);
	if (!i) {
		err = -ENOENT;
		if (final && (w->flags & WALK_CREATE)) {
			w->last = name;
			w->last_len = len;
			w->last_dir = slash;
			*done = true;
			err = 0;
		}
	} else if (IS_TYPE(i, S_IFLNK) && (!final || slash || !(w->flags & WALK_NOFOLLOW))) {
		w->rest = after;
		w->last_dir = final && slash; /* a magic link ends the walk without another component */
		if (slash && final)
			w->rest = after - 1; /* the slash demands a directory */
		err = follow_link(w, child);
	} else {
		w->rest = after;
		w->last_dir = slash;
		struct dentry *top = mount_top(child);
		if (top != child && (w->resolve & RESOLVE_NO_XDEV))
			err = -EXDEV;
		w->d = top;
		if (put && !err)
			err = hold(w);
		*done = final;
	}
	if (put)
		dentry_put(put);
	return err;
}

static int walk_once(struct walk *w, const char *path)
{
	bool done = false;
	int err = 0;

	w->seq = atomic_load(&rename_seq);
	w->rest = path;
	w->last = NULL;
	w->last_len = 0;
	w->last_dir = false;
	w->links = 0;
	w->d = w->anchor = w->start;
	dentry_get(w->anchor);
	if (*path == '/' && (w->resolve & RESOLVE_IN_ROOT))
		w->d = w->root;
	while (!done && !err)
		err = step(w, &done);
	if (!err)
		err = hold(w);
	if (err) {
		dentry_put(w->anchor);
		return err;
	}
	if (w->last)
		return 0;
	if (w->flags & WALK_PARENT) /* "/", ".": there is no last component */
		return 0;
	if ((w->last_dir || (w->flags & WALK_DIRECTORY)) && !IS_TYPE(w->d->inode, S_IFDIR)) {
		bool link = IS_TYPE(w->d->inode, S_IFLNK);
		dentry_put(w->anchor);
		return link && !w->last_dir && !(w->flags & WALK_DIRECTORY) ? -ELOOP : -ENOTDIR;
	}
	return 0;
}

int walk_path(struct walk *w, int dirfd, const char *path)
{
	if (!*path && !(w->flags & WALK_EMPTY))
		return -ENOENT;
	w->buf = NULL;
	w->cred = w->flags & WALK_KERNEL ? NULL : current_cred();
	int err = start_at(w, dirfd, path);
	if (err)
		return err;
	do
		err = walk_once(w, path);
	while (err == RESTART);
	dentry_put(w->start);
	if (err) {
		kfree(w->buf);
		w->buf = NULL;
	}
	return err;
}

void walk_end(struct walk *w)
{
	kfree(w->buf);
	w->buf = NULL;
}

struct dentry *path_lookup(int dirfd, const char *path, unsigned flags)
{
	struct walk w = {.flags = flags};
	int err = walk_path(&w, dirfd, path);
	if (err)
		return err_ptr(err);
	walk_end(&w);
	return w.d;
}

struct dentry *lookup_user(int dirfd, const char __user *path, unsigned flags)
{
	struct pathbuf p;
	int err = pathbuf_get(&p, path);
	if (err)
		return err_ptr(err);
	struct dentry *d = path_lookup(dirfd, p.s, flags);
	pathbuf_free(&p);
	return d;
}

struct dentry *path_parent(int dirfd, const char *path, const char **last, size_t *len)
{
	struct walk w = {.flags = WALK_PARENT};
	int err = walk_path(&w, dirfd, path);
	if (err)
		return err_ptr(err);
	/* The last component is never inside a link's text with WALK_PARENT unless the path had one
	 * in the middle, and then its text is the end of the caller's path. */
	if (w.buf && w.last)
		w.last = path + strlen(path) - strlen(w.last);
	walk_end(&w);
	if (!w.last) {
		dentry_put(w.d);
		return err_ptr(-EEXIST);
	}
	*last = w.last;
	*len = w.last_len;
	return w.d;
}
