/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mounts: a super block is mounted at most at one place, so a dentry alone says where it is. The
 * mount point's dentry points at the mount, the mount at the super block; path walk follows both
 * under RCU.
 */
#include <linux/mount.h>
#include <linux/capability.h>
#include "fs/internal.h"

struct dentry *root_dentry;
struct mutex mounts_lock;
static struct list mounts = LIST_INIT(mounts);
static struct list types = LIST_INIT(types);
static _Atomic uint64_t next_dev = 1;

void fs_register(struct fs_type *t)
{
	mutex_lock(&mounts_lock);
	list_append(&types, &t->link);
	mutex_unlock(&mounts_lock);
}

struct fs_type *fs_find(const char *name)
{
	struct fs_type *t, *found = NULL;
	mutex_lock(&mounts_lock);
	list_for_each_entry (t, &types, link)
		if (!strcmp(t->name, name))
			found = t;
	mutex_unlock(&mounts_lock);
	return found;
}

void fs_for_each(void (*show)(void *ctx, const struct fs_type *t), void *ctx)
{
	struct fs_type *t;
	mutex_lock(&mounts_lock);
	list_for_each_entry (t, &types, link)
		show(ctx, t);
	mutex_unlock(&mounts_lock);
}

void mount_for_each(
    void (*show)(void *ctx, const char *source, const char *target, const char *fstype,
	unsigned flags, const char *options, const struct super *s),
    void *ctx)
{
	char *path = kmalloc(PATH_LIMIT);
	struct mount *m;
	if (!path)
		return;
	mutex_lock(&mounts_lock);
	list_for_each_entry (m, &mounts, link)
		if (dentry_path(m->super->root, path, PATH_LIMIT) == 0)
			show(ctx, m->source, path, m->super->type->name, m->super->flags,
			    m->options, m->super);
	mutex_unlock(&mounts_lock);
	kfree(path);
}

struct super *super_new(const struct fs_type *type, unsigned flags)
{
	struct super *s = kzalloc(sizeof(*s));
	if (!s)
		return NULL;
	s->type = type;
	s->flags = flags;
	s->dev = atomic_fetch_add(&next_dev, 1); /* major 0: no device behind it */
	atomic_init(&s->next_ino, 1);
	return s;
}

int super_set_root(struct super *s, struct inode *i)
{
	s->root = dentry_new_root(s, i);
	if (!s->root) {
		inode_put(i);
		return -ENOMEM;
	}
	return 0;
}

static void mount_free_rcu(struct rcu_head *h)
{
	struct mount *m = container_of(h, struct mount, rcu);
	kfree(m->source);
	kfree(m->options);
	kfree(m);
}

static struct mount *mount_new(struct super *s, const char *source, const char *options)
{
	struct mount *m = kzalloc(sizeof(*m));
	if (!m)
		return NULL;
	m->super = s;
	m->source = kstrdup(source && *source ? source : "none");
	m->options = kstrdup(options ? options : "");
	if (!m->source || !m->options) {
		mount_free_rcu(&m->rcu);
		return NULL;
	}
	return m;
}

/* Frees a super block that nobody uses (the root dentry has one reference). */
static void super_destroy(struct super *s)
{
	dcache_shrink_super(s);
	if (s->sync)
		s->sync(s);
	if (s->root)
		dentry_put(s->root);
	rcu_synchronize(); /* inodes of s are gone when unmount() frees what they lived on */
	if (s->unmount)
		s->unmount(s);
	kfree(s);
}

/* Puts s on top of point (reference taken over on success). */
static int attach(struct super *s, struct dentry *point, const char *source, const char *options)
{
	struct mount *m = mount_new(s, source, options);
	if (!m)
		return -ENOMEM;
	mutex_lock(&mounts_lock);
	int err = point->mounted || s->mount ? -EBUSY : 0;
	if (!err) {
		m->point = point;
		s->mount = m;
		list_append(&mounts, &m->link);
		rcu_assign(point->mounted, m);
	}
	mutex_unlock(&mounts_lock);
	if (err)
		mount_free_rcu(&m->rcu);
	return err;
}

int vfs_mount(
    const char *source, const char *target, const char *fstype, unsigned flags, const char *options)
{
	struct fs_type *t = fs_find(fstype);
	if (!t)
		return -ENODEV;
	struct dentry *d = path_lookup(AT_FDCWD, target, WALK_DIRECTORY);
	if (is_err(d))
		return (int)ptr_err(d);
	struct super *s = t->mount(source, flags, options);
	if (is_err(s)) {
		dentry_put(d);
		return (int)ptr_err(s);
	}
	int err = attach(s, d, source, options);
	if (err) {
		super_destroy(s);
		dentry_put(d);
	}
	return err;
}

int vfs_mount_root(struct super *s)
{
	struct mount *m = mount_new(s, s->type->name, "");
	if (!m)
		return -ENOMEM;
	mutex_lock(&mounts_lock);
	struct mount *old = root_dentry ? root_dentry->super->mount : NULL;
	s->mount = m;
	list_push(&mounts, &m->link);
	rcu_assign(root_dentry, s->root);
	if (old) {
		old->super->mount = NULL;
		list_remove(&old->link);
	}
	mutex_unlock(&mounts_lock);
	if (old) {
		struct super *os = old->super;
		rcu_defer(&old->rcu, mount_free_rcu);
		if (dcache_shrink_super(os))
			super_destroy(os);
	}
	return 0;
}

/* Takes over the reference of d. */
static int unmount(struct dentry *d, bool lazy)
{
	struct super *s = d->super;
	struct mount *m = s ? s->mount : NULL, *o;
	if (!m || d != s->root || !m->point) {
		dentry_put(d);
		return m && d == s->root ? -EBUSY : -EINVAL;
	}
	dcache_shrink_super(s);
	mutex_lock(&mounts_lock);
	bool busy = atomic_load(&s->root->refs) > 2; /* the super block's and ours */
	list_for_each_entry (o, &mounts, link)
		if (o->point && o->point->super == s)
			busy = true;
	if (busy && !lazy) {
		mutex_unlock(&mounts_lock);
		dentry_put(d);
		return -EBUSY;
	}
	rcu_assign(m->point->mounted, (struct mount *)NULL);
	list_remove(&m->link);
	s->mount = NULL;
	mutex_unlock(&mounts_lock);
	rcu_synchronize();
	dentry_put(m->point);
	rcu_defer(&m->rcu, mount_free_rcu);
	dentry_put(d);
	/* A busy one that was detached lazily lives on for those who use it; its memory stays
	 * theirs. */
	if (!busy && dcache_shrink_super(s))
		super_destroy(s);
	return 0;
}

static bool may_mount(void)
{
	struct program *p = current_program();
	return !p || (p->cred.cap_effective & 1ull << CAP_SYS_ADMIN);
}

static unsigned super_flags(unsigned long f)
{
	unsigned r = 0;
	if (f & MS_RDONLY)
		r |= ST_RDONLY;
	if (f & MS_NOSUID)
		r |= ST_NOSUID;
	if (f & MS_NODEV)
		r |= ST_NODEV;
	if (f & MS_NOEXEC)
		r |= ST_NOEXEC;
	if (f & MS_NOATIME)
		r |= ST_NOATIME;
	return r;
}

static int remount(const char *target, unsigned flags)
{
	struct dentry *d = path_lookup(AT_FDCWD, target, 0);
	if (is_err(d))
		return (int)ptr_err(d);
	int err = -EINVAL;
	if (d == d->super->root) {
		bool fixed = d->super->flags & ST_RDONLY && !strcmp(d->super->type->name, "erofs");
		err = fixed && !(flags & ST_RDONLY) ? -EROFS : 0;
		if (!err)
			d->super->flags = flags;
	}
	dentry_put(d);
	return err;
}

/* A string argument of mount(), which may be NULL. */
static int optional_path(struct pathbuf *p, const char __user *s)
{
	if (s)
		return pathbuf_get(p, s);
	p->s = p->small;
	p->small[0] = 0;
	return 0;
}

SYSCALL(mount, const char __user *source, const char __user *target, const char __user *fstype,
    unsigned long flags, const void __user *data)
{
	struct pathbuf src, dst, type, opt;
	if (!may_mount())
		return -EPERM;
	if (flags & (MS_BIND | MS_MOVE))
		return -EINVAL; /* one place for each file system */
	int err = optional_path(&src, source);
	if (err)
		return err;
	if ((err = pathbuf_get(&dst, target)))
		goto out_src;
	if ((err = optional_path(&type, fstype)))
		goto out_dst;
	if ((err = optional_path(&opt, data)))
		goto out_type;
	if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) {
		struct dentry *d = path_lookup(AT_FDCWD, dst.s, 0);
		err = is_err(d) ? (int)ptr_err(d) : 0; /* there are no peers to tell */
		if (!err)
			dentry_put(d);
	} else if (flags & MS_REMOUNT)
		err = remount(dst.s, super_flags(flags));
	else
		err = vfs_mount(src.s, dst.s, type.s, super_flags(flags), opt.s);
	pathbuf_free(&opt);
out_type:
	pathbuf_free(&type);
out_dst:
	pathbuf_free(&dst);
out_src:
	pathbuf_free(&src);
	return err;
}

enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

SYSCALL(umount2, const char __user *target, int flags)
{
	if (flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!may_mount())
		return -EPERM;
	struct dentry *d =
	    lookup_user(AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? WALK_NOFOLLOW : 0);
	if (is_err(d))
		return ptr_err(d);
	return unmount(d, flags & MNT_DETACH);
}
