/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories and inodes of files in memory; see ramfs.h. */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include "fs/ramfs.h"

static struct super *unnamed_super;

/* ---- Names of a directory ---- */

static uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

static int compare(const struct ram_entry *e, uint32_t hash, const char *name, size_t len)
{
	if (e->hash != hash)
		return hash < e->hash ? -1 : 1;
	if (e->len != len)
		return len < e->len ? -1 : 1;
	return memcmp(name, e->name, len);
}

struct ram_entry *ram_find(const struct ram_node *n, const char *name, size_t len)
{
	uint32_t hash = name_hash(name, len);
	struct rb_node *p = n->names.root;
	while (p) {
		struct ram_entry *e = rb_entry(p, struct ram_entry, by_name);
		int c = compare(e, hash, name, len);
		if (!c)
			return e;
		p = c < 0 ? p->left : p->right;
	}
	return NULL;
}

/* Adds a name (there is none yet); inode referenced by the entry from now on, NULL a whiteout. */
static struct ram_entry *entry_add(
    struct ram_node *n, const char *name, size_t len, struct inode *i)
{
	struct ram_entry *e = kmalloc(sizeof(*e) + len);
	if (!e)
		return NULL;
	e->hash = name_hash(name, len);
	e->len = (uint16_t)len;
	e->seq = n->next_seq++;
	e->inode = i;
	memcpy(e->name, name, len);

	struct rb_node **p = &n->names.root, *parent = NULL;
	while (*p) {
		parent = *p;
		int c = compare(rb_entry(parent, struct ram_entry, by_name), e->hash, name, len);
		p = c < 0 ? &parent->left : &parent->right;
	}
	rb_insert(&n->names, &e->by_name, parent, p);
	/* The newest has the highest number: it goes to the far right. */
	for (p = &n->order.root, parent = NULL; *p; p = &parent->right)
		parent = *p;
	rb_insert(&n->order, &e->by_seq, parent, p);
	if (i) {
		inode_get(i);
		n->live++;
	}
	return e;
}

static void entry_remove(struct ram_node *n, struct ram_entry *e)
{
	rb_remove(&n->names, &e->by_name);
	rb_remove(&n->order, &e->by_seq);
	if (e->inode) {
		n->live--;
		inode_put(e->inode);
	}
	kfree(e);
}

/* Lets name mean i (NULL: nothing). 0 or -ENOMEM, with nothing changed then. */
static int entry_set(struct inode *dir, const char *name, size_t len, struct inode *i)
{
	struct ram_node *n = ram_node(dir);
	struct ram_entry *old = ram_find(n, name, len);
	if (i || overlay_has_lower(dir, name, len)) {
		if (!entry_add(n, name, len, i))
			return -ENOMEM;
		ram_pin(dir);
	}
	if (old)
		entry_remove(n, old);
	return 0;
}

/* The first entry with seq >= pos. */
static struct ram_entry *entry_from(const struct ram_node *n, uint64_t pos)
{
	struct ram_entry *best = NULL;
	for (struct rb_node *p = n->order.root; p;) {
		struct ram_entry *e = rb_entry(p, struct ram_entry, by_seq);
		if (e->seq >= pos) {
			best = e;
			p = p->left;
		} else
			p = p->right;
	}
	return best;
}

/* ---- Inodes ---- */

void ram_pin(struct inode *i)
{
	struct ram_node *n = ram_node(i);
	struct ram_super *rs = i->super->private;
	if (likely(n->pinned || !n->lower))
		return;
	mutex_lock(&rs->pin_lock);
	if (!n->pinned) {
		n->pinned = true;
		inode_get(i);
		list_append(&rs->pinned, &n->pin_link);
	}
	mutex_unlock(&rs->pin_lock);
}

void ram_unpin(struct inode *i)
{
	struct ram_node *n = ram_node(i);
	struct ram_super *rs = i->super->private;
	mutex_lock(&rs->pin_lock);
	bool was = n->pinned;
	if (was) {
		n->pinned = false;
		list_remove(&n->pin_link);
	}
	mutex_unlock(&rs->pin_lock);
	if (was)
		inode_put(i);
}

struct inode *ram_inode_new(struct super *s, uint32_t mode)
{
	struct inode *i = inode_new(s, mode);
	struct ram_node *n = kzalloc(sizeof(*n));
	if (!i || !n) {
		kfree(n);
		if (i)
			inode_put(i);
		return NULL;
	}
	n->self = i;
	n->next_seq = 2; /* 0 and 1 are "." and ".." */
	list_init(&n->xattrs);
	list_init(&n->pin_link);
	i->private = n;
	i->map.ops = &ram_mapping_ops;
	switch (mode & S_IFMT) {
	case S_IFDIR:
		i->ops = &ram_dir_ops;
		i->fops = &ram_dir_fops;
		atomic_store(&i->nlink, 2);
		break;
	case S_IFREG:
		i->ops = &ram_file_ops;
		i->fops = &ram_file_fops;
		break;
	case S_IFLNK:
		i->ops = &ram_link_ops;
		break;
	default:
		i->ops = &ram_special_ops;
	}
	return i;
}

static struct inode *dir_lookup(struct inode *dir, const char *name, size_t len)
{
	struct ram_entry *e = ram_find(ram_node(dir), name, len);
	if (e) {
		if (e->inode)
			inode_get(e->inode);
		return e->inode;
	}
	return overlay_lookup(dir, name, len);
}

static struct inode *dir_create(
    struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev)
{
	struct inode *i = ram_inode_new(dir->super, mode);
	if (!i)
		return err_ptr(-ENOSPC);
	i->rdev = rdev;
	inode_own(i, dir);
	if (!len) {
		atomic_store(&i->nlink, 0);
		return i;
	}
	if (entry_set(dir, name, len, i)) {
		inode_put(i);
		return err_ptr(-ENOSPC);
	}
	if (IS_TYPE(i, S_IFDIR))
		atomic_fetch_add(&dir->nlink, 1);
	return i;
}

static struct inode *dir_symlink(
    struct inode *dir, const char *name, size_t len, const char *target)
{
	const char *copy = kstrdup(target);
	struct inode *i = copy ? dir_create(dir, name, len, S_IFLNK | 0777, 0) : err_ptr(-ENOSPC);
	if (is_err(i)) {
		kfree((void *)copy);
		return i;
	}
	i->link = copy;
	i->size = strlen(copy);
	return i;
}

static int dir_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	ram_pin(target);
	if (entry_set(dir, name, len, target))
		return -ENOSPC;
	atomic_fetch_add(&target->nlink, 1);
	return 0;
}

static int dir_empty(struct inode *dir)
{
	return ram_node(dir)->live ? -ENOTEMPTY : overlay_empty(dir);
}

/* The last name of victim in dir is gone. */
static void lost_name(struct inode *dir, struct inode *victim)
{
	if (IS_TYPE(victim, S_IFDIR)) {
		atomic_store(&victim->nlink, 0);
		atomic_fetch_sub(&dir->nlink, 1);
	} else
		atomic_fetch_sub(&victim->nlink, 1);
	if (!victim->nlink)
		ram_unpin(victim);
}

static int dir_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	int err = IS_TYPE(victim, S_IFDIR) ? dir_empty(victim) : 0;
	if (!err)
		err = entry_set(dir, name, len, NULL);
	if (!err) {
		ram_pin(victim); /* its link count is news; it goes again with the last name */
		lost_name(dir, victim);
	}
	return err;
}

static int dir_exchange(struct inode *odir, const char *oname, size_t olen, struct inode *moved,
    struct inode *ndir, const char *nname, size_t nlen, struct inode *other)
{
	ram_pin(moved);
	ram_pin(other);
	int err = entry_set(ndir, nname, nlen, moved);
	if (err)
		return err;
	err = entry_set(odir, oname, olen, other);
	if (err) {
		/* Cannot fail for memory: the entry that is replaced was just freed. */
		entry_set(ndir, nname, nlen, other);
		return err;
	}
	int delta = (int)IS_TYPE(moved, S_IFDIR) - (int)IS_TYPE(other, S_IFDIR);
	atomic_fetch_add(&ndir->nlink, (uint32_t)delta);
	atomic_fetch_sub(&odir->nlink, (uint32_t)delta);
	return 0;
}

static int dir_rename(struct inode *odir, const char *oname, size_t olen, struct inode *moved,
    struct inode *ndir, const char *nname, size_t nlen, struct inode *victim, unsigned flags)
{
	if (flags & RENAME_WHITEOUT)
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return dir_exchange(odir, oname, olen, moved, ndir, nname, nlen, victim);
	int err = victim && IS_TYPE(victim, S_IFDIR) ? dir_empty(victim) : 0;
	if (err)
		return err;
	ram_pin(moved);
	err = entry_set(ndir, nname, nlen, moved);
	if (err)
		return err;
	if (victim) {
		ram_pin(victim);
		lost_name(ndir, victim);
	}
	err = entry_set(odir, oname, olen, NULL);
	if (IS_TYPE(moved, S_IFDIR)) {
		atomic_fetch_sub(&odir->nlink, 1);
		atomic_fetch_add(&ndir->nlink, 1);
	}
	return err;
}

static int dir_readdir(struct file *f, struct dir_context *c)
{
	struct inode *i = f->inode;
	struct dentry *up = f->dentry ? mount_bottom(f->dentry)->parent : NULL;
	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, i->ino, DT_DIR, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		if (!c->emit(c, "..", 2, up ? up->inode->ino : i->ino, DT_DIR, 2))
			return 0;
		c->pos = 2;
	}
	if (c->pos < OVERLAY_POS) {
		struct ram_entry *e = entry_from(ram_node(i), (uint64_t)c->pos);
		while (e) {
			if (e->inode && !c->emit(c, e->name, e->len, e->inode->ino,
					    (e->inode->mode & S_IFMT) >> 12, (int64_t)e->seq + 1))
				return 0;
			c->pos = (int64_t)e->seq + 1;
			struct rb_node *next = rb_next(&e->by_seq);
			e = next ? rb_entry(next, struct ram_entry, by_seq) : NULL;
		}
		if (ram_node(i)->lower)
			c->pos = OVERLAY_POS;
	}
	return ram_node(i)->lower ? overlay_readdir(i, c) : 0;
}

static long link_readlink(struct inode *i, char *buf, size_t n)
{
	const char *s = i->link;
	size_t len = strlen(s);
	if (len > n)
		len = n;
	memcpy(buf, s, len);
	return (long)len;
}

static int ram_setattr(struct inode *i, const struct attr *a)
{
	ram_pin(i);
	return a->valid & ATTR_SIZE ? inode_set_size(i, a->size) : 0;
}

static int ram_open(struct inode *i, struct file *f)
{
	if (f->mode & FMODE_WRITE)
		ram_pin(i);
	return 0;
}

/* Frees a directory's entries, and those of directories that go with it, without recursion. */
static void free_entries(struct ram_node *n)
{
	struct rb_tree todo = n->order;
	struct rb_node *p;
	n->names.root = n->order.root = NULL;
	struct ram_entry *stack = NULL; /* linked through inode-less by_name.parent */
	for (;;) {
		while ((p = rb_first(&todo))) {
			struct ram_entry *e = rb_entry(p, struct ram_entry, by_seq);
			rb_remove(&todo, p);
			e->by_name.parent = (struct rb_node *)stack;
			stack = e;
		}
		if (!stack)
			return;
		struct ram_entry *e = stack;
		stack = (struct ram_entry *)e->by_name.parent;
		struct inode *i = e->inode;
		kfree(e);
		if (!i)
			continue;
		if (IS_TYPE(i, S_IFDIR) && atomic_load(&i->refs) == 1) {
			todo = ram_node(i)->order;
			ram_node(i)->names.root = ram_node(i)->order.root = NULL;
		}
		inode_put(i);
	}
}

static void ram_evict(struct inode *i)
{
	struct ram_node *n = ram_node(i);
	if (!n)
		return;
	free_entries(n);
	ram_free_xattrs(n);
	if (n->lower)
		inode_put(n->lower);
	kfree(n);
}

/* ---- Regular files ---- */

static bool charge(struct mapping *m)
{
	struct ram_super *rs = m->inode->super->private;
	/* Beside the own limit: memory files live of the memory everybody else needs too. */
	if (atomic_load(&memstats.shmem) > (int64_t)(memstats.total / 4 * 3))
		return false;
	if (atomic_fetch_add(&rs->pages, 1) < rs->max_pages)
		return true;
	atomic_fetch_sub(&rs->pages, 1);
	return false;
}

static void uncharge(struct mapping *m)
{
	struct ram_super *rs = m->inode->super->private;
	atomic_fetch_sub(&rs->pages, 1);
}

/* Zeroes [from, to) of a file: whole pages are dropped unless something below would show. */
static int zero_range(struct inode *i, uint64_t from, uint64_t to)
{
	struct mapping *m = &i->map;
	while (from < to) {
		uint64_t index = from >> PAGE_SHIFT, end = MIN((index + 1) << PAGE_SHIFT, to);
		bool below = m->backing && index < m->backing_pages;
		if (!below && !(from & (PAGE_SIZE - 1)) && to - from >= PAGE_SIZE) {
			uint64_t last = (to >> PAGE_SHIFT) - 1;
			mapping_truncate(m, index, last);
			from = (last + 1) << PAGE_SHIFT;
			continue;
		}
		struct page *p = below ? NULL : mapping_peek(m, index);
		if (p)
			page_put(p);
		if (p || below) {
			p = mapping_get_dirty(m, index);
			if (is_err(p))
				return (int)ptr_err(p);
			memset((char *)page_virt(p) + (from & (PAGE_SIZE - 1)), 0, end - from);
			page_put(p);
		}
		from = end;
	}
	return 0;
}

static int ram_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct inode *i = f->inode;
	uint64_t from = (uint64_t)off, to = from + (uint64_t)len, size = i->size;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	int err = 0;
	rw_write_lock(&i->lock);
	bool grow = !(mode & FALLOC_FL_KEEP_SIZE) && to > size;
	if (((mode & FALLOC_FL_PUNCH_HOLE) && (i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) ||
	    (grow && (i->seals & F_SEAL_GROW)))
		err = -EPERM;
	else if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		err = zero_range(i, from, MIN(to, size));
	if (!err && !(mode & FALLOC_FL_PUNCH_HOLE)) {
		/* The space is promised, so the pages are made now. */
		for (uint64_t p = from >> PAGE_SHIFT;
		     p < (to + PAGE_SIZE - 1) >> PAGE_SHIFT && !err; p++) {
			struct page *page = mapping_get(&i->map, p, 0);
			err = is_err(page) ? -ENOSPC : kill_pending() ? -EINTR : 0;
			if (!is_err(page))
				page_put(page);
		}
		if (!err && grow)
			i->size = to;
	}
	if (!err)
		inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	rw_write_unlock(&i->lock);
	return err;
}

const struct mapping_ops ram_mapping_ops = {.charge = charge, .uncharge = uncharge};

const struct file_ops ram_dir_fops = {.readdir = dir_readdir};
const struct file_ops ram_file_fops = {
    .read = file_cached_read,
    .write = file_cached_write,
    .fallocate = ram_fallocate,
};

#define RAM_COMMON                                                                              \
	.setattr = ram_setattr, .open = ram_open, .evict = ram_evict, .getxattr = ram_getxattr, \
	.setxattr = ram_setxattr, .removexattr = ram_removexattr, .listxattr = ram_listxattr

const struct inode_ops ram_dir_ops = {
    .lookup = dir_lookup,
    .create = dir_create,
    .symlink = dir_symlink,
    .link = dir_link,
    .unlink = dir_unlink,
    .rename = dir_rename,
    RAM_COMMON,
};
const struct inode_ops ram_file_ops = {RAM_COMMON};
const struct inode_ops ram_special_ops = {RAM_COMMON};
const struct inode_ops ram_link_ops = {.readlink = link_readlink, RAM_COMMON};

/* ---- Super blocks ---- */

static int ram_statfs(struct super *s, struct kstatfs *st)
{
	struct ram_super *rs = s->private;
	uint64_t used = atomic_load(&rs->pages);
	uint64_t left = used < rs->max_pages ? rs->max_pages - used : 0;
	uint64_t blocks = rs->max_pages;
	if (rs->lower && rs->lower->statfs) {
		struct kstatfs low = {0};
		rs->lower->statfs(rs->lower, &low);
		blocks += low.blocks * (low.bsize ? low.bsize : PAGE_SIZE) / PAGE_SIZE;
	}
	uint64_t files = rs->max_pages * 4; /* an inode takes about a quarter of a page */
	uint64_t made = s->next_ino - (rs->lower ? OVERLAY_FIRST_INO : 0);
	*st = (struct kstatfs){
	    .type = rs->lower ? 0x794c7630 : 0x01021994,
	    .bsize = PAGE_SIZE,
	    .blocks = blocks,
	    .bfree = left,
	    .bavail = left,
	    .files = files,
	    .ffree = files - MIN(files, made),
	    .fsid = s->dev,
	    .namelen = NAME_LIMIT,
	};
	return 0;
}

static void ram_unmount(struct super *s)
{
	struct ram_super *rs = s->private;
	while (!list_empty(&rs->pinned))
		ram_unpin(list_first(&rs->pinned, struct ram_node, pin_link)->self);
	kfree(rs);
}

struct super *ram_super_alloc(const struct fs_type *t, unsigned flags, uint64_t max_pages)
{
	struct super *s = super_new(t, flags);
	struct ram_super *rs = kzalloc(sizeof(*rs));
	if (!s || !rs) {
		kfree(s);
		kfree(rs);
		return NULL;
	}
	list_init(&rs->pinned);
	rs->max_pages = max_pages;
	s->private = rs;
	s->statfs = ram_statfs;
	s->unmount = ram_unmount;
	return s;
}

static struct super *tmpfs_new(const struct fs_type *t, unsigned flags, uint32_t mode, uint64_t max)
{
	struct super *s = ram_super_alloc(t, flags, max);
	if (!s)
		return NULL;
	struct inode *root = ram_inode_new(s, S_IFDIR | mode);
	if (!root || super_set_root(s, root)) {
		ram_unmount(s);
		kfree(s);
		return NULL;
	}
	return s;
}

/* A number with k, m, g or % (of memory) behind it, in pages. */
static bool parse_pages(const char *v, uint64_t *pages)
{
	uint64_t n;
	const char *end = parse_u64(v, 10, &n);
	if (end == v)
		return false;
	switch (*end) {
	case '%':
		*pages = memstats.total / 100 * n;
		return end[1] == 0 || end[1] == ',';
	case 'g':
	case 'G':
		n <<= 10; /* fallthrough */
	case 'm':
	case 'M':
		n <<= 10; /* fallthrough */
	case 'k':
	case 'K':
		n <<= 10;
		end++;
	}
	*pages = n >> PAGE_SHIFT;
	return *end == 0 || *end == ',';
}

static struct super *tmpfs_mount(const char *source, unsigned flags, const char *options)
{
	uint64_t max = memstats.total / 2, v = 0;
	uint32_t mode = 01777, uid = 0, gid = 0;
	(void)source;
	for (const char *o = options; o && *o;) {
		if (!strncmp(o, "size=", 5)) {
			if (!parse_pages(o + 5, &max)) {
				pr_err("tmpfs: %s: not a size", o);
				return err_ptr(-EINVAL);
			}
		} else if (!strncmp(o, "mode=", 5)) {
			parse_u64(o + 5, 8, &v);
			mode = (uint32_t)v & 07777;
		} else if (!strncmp(o, "uid=", 4)) {
			parse_u64(o + 4, 10, &v);
			uid = (uint32_t)v;
		} else if (!strncmp(o, "gid=", 4)) {
			parse_u64(o + 4, 10, &v);
			gid = (uint32_t)v;
		} else if (strncmp(o, "nr_inodes=", 10)) {
			pr_err("tmpfs: %s: option not known", o);
			return err_ptr(-EINVAL);
		}
		o = strchr(o, ',');
		if (o)
			o++;
	}
	if (!max)
		max = memstats.total / 2;
	struct super *s = tmpfs_new(&tmpfs_type, flags, mode, max);
	if (!s)
		return err_ptr(-ENOMEM);
	s->root->inode->uid = uid;
	s->root->inode->gid = gid;
	return s;
}

struct fs_type tmpfs_type = {.name = "tmpfs", .nodev = true, .mount = tmpfs_mount};

struct super *ramfs_super_new(void)
{
	struct super *s = tmpfs_new(&tmpfs_type, 0, 0755, memstats.total / 2);
	return s ? s : err_ptr(-ENOMEM);
}

struct inode *ramfs_unnamed(uint32_t mode)
{
	if (!unnamed_super) {
		struct super *s = tmpfs_new(&tmpfs_type, 0, 0700, UINT64_MAX / 2), *none = NULL;
		if (!s)
			return err_ptr(-ENOMEM);
		if (!__atomic_compare_exchange_n(
			&unnamed_super, &none, s, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			dentry_put(s->root);
			ram_unmount(s);
			kfree(s);
		}
	}
	struct inode *i = ram_inode_new(unnamed_super, S_IFREG | (mode & 07777));
	if (!i)
		return err_ptr(-ENOMEM);
	inode_own(i, NULL);
	atomic_store(&i->nlink, 0);
	return i;
}
