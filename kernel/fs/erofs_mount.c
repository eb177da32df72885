/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS in the kernel: the library reads metadata through the disk's page cache; data that is not
 * compressed goes straight from the disk into the pages of the file, compressed data is decoded
 * into them.
 */
#include <linux/magic.h>
#include "carrara/image.h"
#include "fs/erofs/erofs.h"
#include "fs/erofs_mount.h"
#include "fs/internal.h"
#include "fs/ramfs.h"

#define META_READAHEAD 15u
#define DATA_READAHEAD 31u

struct erofs_super {
	struct erofs fs;
	struct inode *disk;
	struct block_device *dev;
	uint64_t start;
};

static const struct inode_ops erofs_dir_ops, erofs_file_ops, erofs_link_ops;
static const struct file_ops erofs_dir_fops, erofs_file_fops;
static const struct mapping_ops erofs_mapping_ops;

static int read_image(void *ctx, uint64_t off, void *buf, size_t n)
{
	struct erofs_super *es = ctx;
	uint64_t at = es->start + off;
	unsigned ahead = n > PAGE_SIZE ? DATA_READAHEAD : META_READAHEAD;
	while (n) {
		struct page *p = mapping_get(&es->disk->map, at >> PAGE_SHIFT, ahead);
		if (is_err(p))
			return (int)ptr_err(p);
		size_t skip = at & (PAGE_SIZE - 1), part = MIN(PAGE_SIZE - skip, n);
		memcpy(buf, (char *)page_virt(p) + skip, part);
		page_put(p);
		buf = (char *)buf + part;
		at += part;
		n -= part;
	}
	return 0;
}

static const struct erofs_inode *on_disk(const struct inode *i)
{
	return i->private;
}
static const struct erofs *fs_of(const struct inode *i)
{
	return &((struct erofs_super *)i->super->private)->fs;
}

/* The inode of a number, referenced. */
static struct inode *get_inode(struct super *s, uint64_t nid)
{
	struct inode *i = inode_cache_find(s, nid);
	if (i)
		return i;
	struct erofs_super *es = s->private;
	struct erofs_inode *e = kmalloc(sizeof(*e));
	if (!e)
		return err_ptr(-ENOMEM);
	int err = erofs_get_inode(&es->fs, nid, e);
	if (!err && !(i = inode_new(s, e->mode)))
		err = -ENOMEM;
	if (err) {
		kfree(e);
		return err_ptr(err);
	}
	i->ino = nid;
	i->private = e;
	i->uid = e->uid;
	i->gid = e->gid;
	i->rdev = e->rdev;
	i->blocks = (e->size + 511) / 512;
	atomic_store(&i->nlink, e->nlink);
	atomic_store(&i->size, e->size);
	i->mtime = i->ctime = i->atime = i->btime = (struct ktime){e->mtime, e->mtime_nsec};
	i->ops = &erofs_file_ops;
	if (IS_TYPE(i, S_IFDIR)) {
		i->ops = &erofs_dir_ops;
		i->fops = &erofs_dir_fops;
	} else if (IS_TYPE(i, S_IFREG)) {
		i->fops = &erofs_file_fops;
		i->map.ops = &erofs_mapping_ops;
	} else if (IS_TYPE(i, S_IFLNK))
		i->ops = &erofs_link_ops;
	return inode_cache_insert(i);
}

static void complain(const struct inode *i, int err)
{
	pr_warn("erofs: inode %lu cannot be read: %s", (unsigned long)i->ino,
	    err == -EIO ? "damaged image" : "unsupported or failed");
}

static struct inode *dir_lookup(struct inode *dir, const char *name, size_t len)
{
	uint64_t nid;
	int err = erofs_lookup(fs_of(dir), on_disk(dir), name, len, &nid);
	if (err == -ENOENT)
		return NULL;
	if (err) {
		complain(dir, err);
		return err_ptr(err);
	}
	struct inode *i = get_inode(dir->super, nid);
	if (is_err(i))
		complain(dir, (int)ptr_err(i));
	return i;
}

static bool emit_entry(
    void *ctx, const char *name, size_t len, uint64_t nid, unsigned type, uint64_t next)
{
	static const uint8_t dtype[] = {0, 8, 4, 2, 6, 1, 12, 10};
	struct dir_context *c = ctx;
	return c->emit(
	    c, name, len, nid, type < sizeof dtype ? dtype[type] : DT_UNKNOWN, (int64_t)next);
}

static int dir_readdir(struct file *f, struct dir_context *c)
{
	uint64_t pos = (uint64_t)c->pos;
	int err = erofs_readdir(fs_of(f->inode), on_disk(f->inode), &pos, emit_entry, c);
	c->pos = (int64_t)pos;
	if (err)
		complain(f->inode, err);
	return err;
}

static long link_readlink(struct inode *i, char *buf, size_t n)
{
	size_t len = MIN(i->size, n);
	int err = erofs_read(fs_of(i), on_disk(i), 0, buf, len);
	return err ? err : (long)len;
}

static long get_xattr(struct inode *i, const char *name, void *buf, size_t n)
{
	return erofs_getxattr(fs_of(i), on_disk(i), name, buf, n);
}

static long list_xattr(struct inode *i, char *buf, size_t n)
{
	return erofs_listxattr(fs_of(i), on_disk(i), buf, n);
}

static void evict(struct inode *i)
{
	kfree(i->private);
}

static int refuse(struct inode *i, const struct attr *a)
{
	(void)i;
	(void)a;
	return -EROFS;
}

/* ---- Data ---- */

static void fail_pages(struct page **pages, unsigned n)
{
	while (n)
		page_unlock(pages[--n]);
}

static void page_ready(struct page *p)
{
	atomic_fetch_or(&p->flags, PG_UPTODATE);
	page_unlock(p);
}

/* Fills pages[0, n) with file contents through the library; one after the other when memory is
 * short. */
static int decode_pages(struct inode *i, struct page **pages, unsigned n)
{
	uint64_t off = pages[0]->index << PAGE_SHIFT, size = i->size;
	size_t want = off >= size ? 0 : MIN(size - off, n * PAGE_SIZE);
	char *buf = n > 1 ? kmalloc(n * PAGE_SIZE) : page_virt(pages[0]);
	if (!buf) {
		for (unsigned k = 0; k < n; k++) {
			int err = decode_pages(i, pages + k, 1);
			if (err) {
				fail_pages(pages + k + 1, n - k - 1);
				return err;
			}
		}
		return 0;
	}
	int err = erofs_read(fs_of(i), on_disk(i), off, buf, want);
	if (err)
		fail_pages(pages, n);
	else {
		memset(buf + want, 0, n * PAGE_SIZE - want);
		for (unsigned k = 0; k < n; k++) {
			if (n > 1)
				memcpy(page_virt(pages[k]), buf + k * PAGE_SIZE, PAGE_SIZE);
			page_ready(pages[k]);
		}
	}
	if (n > 1)
		kfree(buf);
	return err;
}

/* How many of n pages from byte off on lie one after the other on the disk, and where. */
static unsigned raw_run(struct inode *i, uint64_t off, unsigned n, uint64_t *at)
{
	const struct erofs *fs = fs_of(i);
	const struct erofs_super *es = i->super->private;
	struct erofs_extent e;
	if (off >= i->size || erofs_map(fs, on_disk(i), off, &e) || e.kind != EROFS_RAW)
		return 0;
	uint64_t left = e.llen - (off - e.la);
	*at = e.pa + (off - e.la);
	if (fs->blkbits == PAGE_SHIFT && !(e.pa & (PAGE_SIZE - 1)))
		left = ALIGN_UP(left, PAGE_SIZE); /* the last block is there in full */
	if (*at > fs->io.size || left > fs->io.size - *at)
		return 0;
	if ((es->start + *at) % SECTOR_SIZE)
		return 0;
	*at += es->start;
	return (unsigned)MIN(left >> PAGE_SHIFT, (uint64_t)n);
}

static int read_pages(struct mapping *m, struct page **pages, unsigned n)
{
	struct inode *i = m->inode;
	const struct erofs_super *es = i->super->private;
	bool compressed =
	    on_disk(i)->layout == EROFS_Z_FULL || on_disk(i)->layout == EROFS_Z_COMPACT;
	int err = 0;

	if (compressed) {
		err = decode_pages(i, pages, n);
		if (err)
			complain(i, err);
		return err;
	}
	while (n) {
		uint64_t at;
		unsigned run = raw_run(i, pages[0]->index << PAGE_SHIFT, n, &at);
		if (run)
			err = disk_read_pages(es->dev, at / SECTOR_SIZE, pages, run);
		else {
			run = 1;
			err = decode_pages(i, pages, 1);
		}
		pages += run;
		n -= run;
		if (err) {
			fail_pages(pages, n);
			complain(i, err);
			return err;
		}
	}
	return 0;
}

static const struct mapping_ops erofs_mapping_ops = {.read_pages = read_pages};
static const struct file_ops erofs_dir_fops = {.readdir = dir_readdir};
static const struct file_ops erofs_file_fops = {.read = file_cached_read};

#define EROFS_COMMON \
	.getxattr = get_xattr, .listxattr = list_xattr, .evict = evict, .setattr = refuse
static const struct inode_ops erofs_dir_ops = {.lookup = dir_lookup, EROFS_COMMON};
static const struct inode_ops erofs_file_ops = {EROFS_COMMON};
static const struct inode_ops erofs_link_ops = {.readlink = link_readlink, EROFS_COMMON};

/* ---- Mounting ---- */

static int erofs_statfs(struct super *s, struct kstatfs *st)
{
	struct erofs_super *es = s->private;
	*st = (struct kstatfs){
	    .type = EROFS_SUPER_MAGIC_V1,
	    .bsize = 1ul << es->fs.blkbits,
	    .blocks = es->fs.blocks,
	    .files = es->fs.inodes,
	    .fsid = s->dev,
	    .namelen = NAME_LIMIT,
	};
	return 0;
}

static void erofs_unmount(struct super *s)
{
	struct erofs_super *es = s->private;
	inode_put(es->disk);
	kfree(es);
}

struct super *erofs_mount_at(struct block_device *d, uint64_t start, uint64_t size, unsigned flags)
{
	struct inode *disk = disk_inode(d);
	struct erofs_super *es = kzalloc(sizeof(*es));
	struct super *s = es && disk ? super_new(&erofs_type, flags | ST_RDONLY) : NULL;
	if (!s) {
		kfree(es);
		return err_ptr(-ENOMEM);
	}
	inode_get(disk);
	es->disk = disk;
	es->dev = d;
	es->start = start;
	s->private = es;
	s->statfs = erofs_statfs;
	s->unmount = erofs_unmount;
	struct erofs_io io = {
	    .read = read_image, .alloc = kmalloc, .free = kfree, .ctx = es, .size = size};
	int err = erofs_open(&es->fs, &io);
	if (!err) {
		struct inode *root = get_inode(s, es->fs.root_nid);
		if (is_err(root))
			err = (int)ptr_err(root);
		else if (!IS_TYPE(root, S_IFDIR)) {
			inode_put(root);
			err = -EIO;
		} else
			err = super_set_root(s, root);
	}
	if (err) {
		erofs_unmount(s);
		kfree(s);
		return err_ptr(err);
	}
	return s;
}

/* Where the root file system is on d. */
static int find_image(struct block_device *d, uint64_t *start, uint64_t *size)
{
	struct carrara_image_header h;
	char *sector = kmalloc(PAGE_SIZE);
	if (!sector)
		return -ENOMEM;
	*start = 0;
	*size = d->sectors * SECTOR_SIZE;
	int err = d->sectors > 1 ? block_read(d, CARRARA_IMAGE_HEADER_LBA, sector, 1) : -EIO;
	memcpy(&h, sector, sizeof h);
	kfree(sector);
	if (err || memcmp(h.magic, CARRARA_IMAGE_MAGIC, sizeof h.magic))
		return err; /* a bare file system */
	if (h.version != CARRARA_IMAGE_VERSION) {
		pr_err("%s: image header of version %u, not %u", d->name, h.version,
		    CARRARA_IMAGE_VERSION);
		return -EINVAL;
	}
	if (strncmp(h.root_fstype, "erofs", sizeof h.root_fstype)) {
		pr_err("%s: root file system of type %.15s is not known", d->name, h.root_fstype);
		return -EINVAL;
	}
	if (h.root_lba >= d->sectors || h.root_bytes > (d->sectors - h.root_lba) * SECTOR_SIZE) {
		pr_err("%s: the image header puts the root file system behind the disk's end",
		    d->name);
		return -EINVAL;
	}
	*start = h.root_lba * SECTOR_SIZE;
	*size = h.root_bytes;
	return 0;
}

static struct super *erofs_mount(const char *source, unsigned flags, const char *options)
{
	uint64_t start, size;
	const char *slash = strrchr(source, '/');
	(void)options;
	struct block_device *d = block_find(slash ? slash + 1 : source);
	if (!d)
		return err_ptr(-ENODEV);
	int err = find_image(d, &start, &size);
	return err ? err_ptr(err) : erofs_mount_at(d, start, size, flags);
}

struct fs_type erofs_type = {.name = "erofs", .mount = erofs_mount};

int vfs_mount_boot_root(const char *name)
{
	if (!block_find(name))
		return -ENODEV;
	struct super *s = erofs_mount(name, 0, "");
	if (is_err(s)) {
		pr_err("%s: %s", name,
		    ptr_err(s) == -EINVAL
			? "neither an image header nor an EROFS file system"
			: "the EROFS file system is damaged or needs what is not supported");
		return (int)ptr_err(s);
	}
	struct super *o = overlay_over(s, 0);
	return is_err(o) ? (int)ptr_err(o) : vfs_mount_root(o);
}
