/* SPDX-License-Identifier: BSD-3-Clause */
/* Open file objects, and the file system of things that have no place in any directory. */
#include "fs/internal.h"

static const struct fs_type anonymous_type = {.name = "anon_inodefs", .nodev = true};
struct super anonymous_super = {.type = &anonymous_type, .next_ino = 1};

static unsigned mode_of_flags(int flags)
{
	if (flags & O_PATH)
		return FMODE_PATH;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return FMODE_READ;
	case O_WRONLY:
		return FMODE_WRITE;
	case O_RDWR:
		return FMODE_READ | FMODE_WRITE;
	}
	return 0; /* 3: for ioctl() only */
}

struct file *file_new(struct inode *i, struct dentry *d, const struct file_ops *ops, int flags)
{
	struct file *f = kzalloc(sizeof(*f));
	if (!f)
		return NULL;
	atomic_init(&f->refs, 1);
	atomic_init(&f->flags, (unsigned)flags);
	f->mode = mode_of_flags(flags);
	if (i && (IS_TYPE(i, S_IFREG) || IS_TYPE(i, S_IFDIR) || IS_TYPE(i, S_IFBLK)))
		f->mode |= FMODE_POSLOCK;
	f->ops = ops;
	f->inode = i;
	if (i)
		inode_get(i);
	f->dentry = d;
	if (d)
		dentry_get(d);
	list_init(&f->epoll_links);
	f->write_error_seen = i ? atomic_load(&i->map.write_error) : 0;
	return f;
}

struct file *file_anonymous(
    const char *name, const struct file_ops *ops, void *private, int flags, uint32_t mode)
{
	char text[64];
	struct inode *i = inode_new(&anonymous_super, mode);
	if (!i)
		return NULL;
	const struct program *p = current_program();
	if (p) {
		i->uid = p->cred.fsuid;
		i->gid = p->cred.fsgid;
	}
	if (IS_TYPE(i, S_IFIFO) || IS_TYPE(i, S_IFSOCK))
		snprintf(text, sizeof text, "%s:[%lu]", name, (unsigned long)i->ino);
	else
		snprintf(text, sizeof text, "anon_inode:%s", name);
	struct dentry *d = dentry_anonymous(text, i);
	if (!d)
		return NULL;
	struct file *f = file_new(i, d, ops, flags);
	dentry_put(d);
	if (!f)
		return NULL;
	f->private = private;
	f->mode |= FMODE_STREAM;
	return f;
}

void file_get(struct file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

static void file_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct file, rcu));
}

void file_put(struct file *f)
{
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (!list_empty(&f->epoll_links))
		epoll_file_gone(f);
	struct inode *i = f->inode;
	if (i && i->locks)
		locks_file_closed(f);
	if (f->dentry && !(f->mode & FMODE_PATH))
		notify(i, f->dentry, f->mode & FMODE_WRITE ? 8 /* IN_CLOSE_WRITE */ : 16);
	if (f->ops && f->ops->release && !(f->mode & FMODE_PATH))
		f->ops->release(f);
	if (f->dentry)
		dentry_put(f->dentry);
	if (i)
		inode_put(i);
	rcu_defer(&f->rcu, file_free_rcu);
}

long file_read(struct file *f, void *buf, size_t n, int64_t *pos)
{
	struct iter it;
	iter_kernel(&it, buf, n);
	return vfs_read(f, &it, pos ? pos : &f->pos);
}

long file_write(struct file *f, const void *buf, size_t n, int64_t *pos)
{
	struct iter it;
	iter_kernel(&it, (void *)buf, n);
	return vfs_write(f, &it, pos ? pos : &f->pos);
}
