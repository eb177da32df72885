/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer below of a file system in memory: finding, listing and covering what is there; see
 * ramfs.h. */
#include "fs/ramfs.h"

struct inode *overlay_inode(struct super *s, struct inode *lower)
{
	struct inode *i = inode_cache_find(s, lower->ino);
	if (i) {
		inode_put(lower);
		return i;
	}
	i = ram_inode_new(s, lower->mode);
	if (!i) {
		inode_put(lower);
		return err_ptr(-ENOMEM);
	}
	i->ino = lower->ino;
	i->uid = lower->uid;
	i->gid = lower->gid;
	i->rdev = lower->rdev;
	i->blocks = lower->blocks;
	i->atime = lower->atime;
	i->mtime = lower->mtime;
	i->ctime = lower->ctime;
	i->btime = lower->btime;
	atomic_store(&i->nlink, lower->nlink);
	atomic_store(&i->size, lower->size);
	ram_node(i)->lower = lower;
	if (IS_TYPE(i, S_IFREG)) {
		i->map.backing = &lower->map;
		i->map.backing_pages = (lower->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	} else if (IS_TYPE(i, S_IFLNK)) {
		char *buf = kmalloc(PATH_LIMIT);
		long n = buf ? lower->ops->readlink(lower, buf, PATH_LIMIT - 1) : -ENOMEM;
		if (n >= 0) {
			buf[n] = 0;
			i->link = kstrdup(buf);
			if (!i->link)
				n = -ENOMEM;
		}
		kfree(buf);
		if (n < 0) {
			inode_put(i);
			return err_ptr(n);
		}
	}
	return inode_cache_insert(i);
}

struct inode *overlay_lookup(struct inode *dir, const char *name, size_t len)
{
	struct inode *lower = ram_node(dir)->lower;
	if (!lower)
		return NULL;
	struct inode *found = lower->ops->lookup(lower, name, len);
	if (!found || is_err(found))
		return found;
	return overlay_inode(dir->super, found);
}

bool overlay_has_lower(struct inode *dir, const char *name, size_t len)
{
	struct inode *lower = ram_node(dir)->lower;
	if (!lower)
		return false;
	struct inode *found = lower->ops->lookup(lower, name, len);
	if (is_err(found))
		return true; /* unreadable: better hidden */
	if (found)
		inode_put(found);
	return found;
}

/* Hands on what the layer above says nothing about. */
struct filter {
	struct dir_context c;
	struct dir_context *out;
	const struct ram_node *above;
	bool any;
};

static bool hand_on(
    struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned dtype, int64_t next)
{
	struct filter *f = container_of(c, struct filter, c);
	if (name_is(name, len, ".") || name_is(name, len, "..") || ram_find(f->above, name, len))
		return true;
	f->any = true;
	if (!f->out)
		return false; /* only asked whether there is one */
	if (!f->out->emit(f->out, name, len, ino, dtype, OVERLAY_POS | next))
		return false;
	return true;
}

static int list_below(struct inode *dir, struct filter *f)
{
	struct inode *lower = ram_node(dir)->lower;
	struct file file = {.inode = lower}; /* all that listing looks at */
	f->c.emit = hand_on;
	f->above = ram_node(dir);
	return lower->fops->readdir(&file, &f->c);
}

int overlay_readdir(struct inode *dir, struct dir_context *c)
{
	struct filter f = {.out = c, .c.pos = c->pos & ~OVERLAY_POS};
	int err = list_below(dir, &f);
	c->pos = f.c.pos | OVERLAY_POS;
	return err;
}

int overlay_empty(struct inode *dir)
{
	if (!ram_node(dir)->lower)
		return 0;
	struct filter f = {.any = false};
	int err = list_below(dir, &f);
	return err ? err : f.any ? -ENOTEMPTY : 0;
}

static void overlay_unmount(struct super *s)
{
	struct ram_super *rs = s->private;
	struct super *lower = rs->lower;
	while (!list_empty(&rs->pinned))
		ram_unpin(list_first(&rs->pinned, struct ram_node, pin_link)->self);
	rcu_synchronize();
	dentry_put(lower->root);
	if (lower->unmount)
		lower->unmount(lower);
	kfree(lower);
	kfree(rs);
}

static struct fs_type overlay_type = {.name = "overlay", .nodev = true};

struct super *overlay_over(struct super *lower, unsigned flags)
{
	struct super *s = ram_super_alloc(&overlay_type, flags, memstats.total / 4 * 3);
	if (!s)
		return err_ptr(-ENOMEM);
	struct ram_super *rs = s->private;
	rs->lower = lower;
	s->unmount = overlay_unmount;
	atomic_store(&s->next_ino, OVERLAY_FIRST_INO);
	inode_get(lower->root->inode);
	struct inode *root = overlay_inode(s, lower->root->inode);
	int err = is_err(root) ? (int)ptr_err(root) : super_set_root(s, root);
	if (err) {
		kfree(rs);
		kfree(s);
		return err_ptr(err);
	}
	return s;
}
