/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disks as files: each has an inode whose mapping is the disk's page cache, which file systems read
 * their metadata through and /dev/vda shows. Reads and writes of pages go to the driver as one
 * request for each run of pages, and are finished from its interrupt.
 */
#include <linux/fs.h>
#include "drivers/block.h"
#include "fs/blockdev.h"
#include "fs/internal.h"

#define DIRECT_BUFFER (256u << 10)

static struct super disk_super;
static const struct fs_type disk_type = {.name = "bdev", .nodev = true};

/* One transfer of consecutive pages. Ended ones go from the interrupt to `ended` and are used
 * again. */
struct page_io {
	struct block_request r;
	struct page_io *next;
	unsigned n;
	struct page *page[64];
	struct block_segment seg[64];
};

static _Atomic(struct page_io *) ended;
static struct page_io *spare; /* under spare_lock */
static struct mutex spare_lock;

/* Any context. */
static void page_io_end(struct page_io *io)
{
	io->next = atomic_load(&ended);
	while (!atomic_compare_exchange_weak(&ended, &io->next, io))
		;
}

static struct page_io *page_io_get(void)
{
	mutex_lock(&spare_lock);
	if (!spare)
		spare = atomic_exchange(&ended, NULL);
	struct page_io *io = spare;
	if (io)
		spare = io->next;
	mutex_unlock(&spare_lock);
	return io ? io : kmalloc(sizeof(*io));
}

static void read_done(struct block_request *r, int err)
{
	struct page_io *io = r->private;
	for (unsigned i = 0; i < io->n; i++) {
		if (!err)
			atomic_fetch_or(&io->page[i]->flags, PG_UPTODATE);
		page_unlock(io->page[i]);
	}
	page_io_end(io);
}

static void write_done(struct block_request *r, int err)
{
	struct page_io *io = r->private;
	for (unsigned i = 0; i < io->n; i++)
		page_end_writeback(io->page[i], err);
	page_io_end(io);
}

/* Pages (consecutive in the file) to or from sectors from `sector` on; the last may be cut by the
 * disk's end. */
static struct page_io *page_io_new(
    struct block_device *d, enum block_op op, struct page **pages, unsigned n, uint64_t sector)
{
	struct page_io *io = page_io_get();
	if (!io)
		return NULL;
	io->r = (struct block_request){.dev = d,
	    .op = op,
	    .sector = sector,
	    .seg = io->seg,
	    .nseg = n,
	    .done = op == BLOCK_READ ? read_done : write_done,
	    .private = io};
	io->n = n;
	uint64_t left = (d->sectors - sector) * SECTOR_SIZE;
	for (unsigned i = 0; i < n; i++) {
		uint64_t len = left < PAGE_SIZE ? left : PAGE_SIZE;
		io->page[i] = pages[i];
		io->seg[i] = (struct block_segment){page_phys(pages[i]), (uint32_t)len};
		left -= len;
		if (len < PAGE_SIZE && op == BLOCK_READ)
			memset((char *)page_virt(pages[i]) + len, 0, PAGE_SIZE - len);
	}
	return io;
}

int disk_read_pages(struct block_device *d, uint64_t sector, struct page **pages, unsigned n)
{
	struct list requests = LIST_INIT(requests);
	unsigned most = MIN(MAX(d->max_segments, 1u), 64u);
	int err = 0;
	while (n) {
		unsigned part = MIN(n, most);
		struct page_io *io = NULL;
		if (sector < d->sectors)
			io = page_io_new(d, BLOCK_READ, pages, part, sector);
		if (!io) { /* nothing will finish these */
			err = sector < d->sectors ? -ENOMEM : -EIO;
			for (unsigned i = 0; i < n; i++)
				page_unlock(pages[i]);
			break;
		}
		list_append(&requests, &io->r.link);
		pages += part;
		n -= part;
		sector += part * (PAGE_SIZE / SECTOR_SIZE);
	}
	if (!list_empty(&requests))
		d->submit(d, &requests);
	return err;
}

static int disk_write_pages(
    struct block_device *d, uint64_t sector, struct page **pages, unsigned n)
{
	struct list requests = LIST_INIT(requests);
	unsigned most = MIN(MAX(d->max_segments, 1u), 64u);
	int err = 0;
	while (n) {
		unsigned part = MIN(n, most);
		struct page_io *io = page_io_new(d, BLOCK_WRITE, pages, part, sector);
		if (!io) {
			err = -ENOMEM;
			for (unsigned i = 0; i < n; i++) {
				page_mark_dirty(pages[i]); /* still to be written */
				page_end_writeback(pages[i], 0);
			}
			break;
		}
		list_append(&requests, &io->r.link);
		pages += part;
		n -= part;
		sector += part * (PAGE_SIZE / SECTOR_SIZE);
	}
	if (!list_empty(&requests))
		d->submit(d, &requests);
	return err;
}

static uint64_t sector_of(const struct page *p)
{
	return p->index * (PAGE_SIZE / SECTOR_SIZE);
}

static int map_read(struct mapping *m, struct page **pages, unsigned n)
{
	return disk_read_pages(m->inode->object, sector_of(pages[0]), pages, n);
}

static int map_write(struct mapping *m, struct page **pages, unsigned n)
{
	return disk_write_pages(m->inode->object, sector_of(pages[0]), pages, n);
}

static const struct mapping_ops disk_mapping_ops = {
    .read_pages = map_read, .write_pages = map_write};

static int disk_fsync(struct file *f, int64_t first, int64_t last, bool data_only)
{
	struct block_device *d = f->inode->object;
	(void)data_only;
	int err = mapping_sync(
	    &f->inode->map, (uint64_t)first >> PAGE_SHIFT, (uint64_t)last >> PAGE_SHIFT);
	int e = block_flush(d);
	return err ? err : e;
}

static long disk_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct block_device *d = f->inode->object;
	void __user *out = (void __user *)arg;
	switch (cmd) {
	case BLKGETSIZE64:
		return put_user((uint64_t)(d->sectors * SECTOR_SIZE), (uint64_t __user *)out);
	case BLKGETSIZE:
		return put_user((unsigned long)d->sectors, (unsigned long __user *)out);
	case BLKSSZGET:
		return put_user((int)d->logical_size, (int __user *)out);
	case BLKPBSZGET:
		return put_user((unsigned)d->physical_size, (unsigned __user *)out);
	case BLKBSZGET:
		return put_user((int)PAGE_SIZE, (int __user *)out);
	case BLKROGET:
		return put_user((int)d->read_only, (int __user *)out);
	case BLKFLSBUF:
		return disk_fsync(f, 0, INT64_MAX, false);
	}
	return -ENOTTY;
}

/*
 * O_DIRECT: the disk itself, not the cache. What the cache holds of the range is written first and,
 * before and after a write, dropped. Data goes through a buffer, so any memory of the application
 * will do; position and length must be multiples of the disk's block.
 */
static long disk_direct(struct file *f, struct iter *it, int64_t *pos, bool write)
{
	struct block_device *d = f->inode->object;
	struct mapping *m = &f->inode->map;
	uint64_t at = (uint64_t)*pos, size = d->sectors * SECTOR_SIZE;
	if ((at | it->count) % MAX(d->logical_size, (uint32_t)SECTOR_SIZE))
		return -EINVAL;
	if (at >= size || !it->count)
		return write && it->count ? -ENOSPC : 0;
	size_t left = MIN(it->count, size - at);
	uint64_t first = at >> PAGE_SHIFT, last = (at + left - 1) >> PAGE_SHIFT;
	size_t room = MIN(ALIGN_UP(left, PAGE_SIZE), (size_t)DIRECT_BUFFER);
	long done = 0, err = mapping_sync(m, first, last);
	void *buf = err ? NULL : kmalloc(room);
	while (!err && !buf && room > PAGE_SIZE) { /* memory may be in small pieces only */
		room = ALIGN_UP(room / 2, PAGE_SIZE);
		buf = kmalloc(room);
	}
	if (!err && !buf)
		err = -ENOMEM;
	while (!err && left) {
		size_t n = MIN(left, room), moved = write ? iter_from(it, buf, n) : 0;
		if (write && moved < n) {
			err = -EFAULT;
			break;
		}
		if (write)
			err = block_write(d, at / SECTOR_SIZE, buf, (unsigned)(n / SECTOR_SIZE));
		else
			err = block_read(d, at / SECTOR_SIZE, buf, (unsigned)(n / SECTOR_SIZE));
		if (!err && !write && (moved = iter_to(it, buf, n)) < n)
			err = -EFAULT;
		if (err)
			break;
		at += n;
		left -= n;
		done += (long)n;
	}
	kfree(buf);
	if (write && atomic_load(&m->npages))
		mapping_truncate(m, first, last);
	*pos += done;
	return done ? done : err;
}

static long disk_read(struct file *f, struct iter *it, int64_t *pos)
{
	return f->flags & O_DIRECT ? disk_direct(f, it, pos, false) : file_cached_read(f, it, pos);
}

static long disk_write(struct file *f, struct iter *it, int64_t *pos)
{
	return f->flags & O_DIRECT ? disk_direct(f, it, pos, true) : file_cached_write(f, it, pos);
}

static const struct file_ops disk_fops = {
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
    .ioctl = disk_ioctl,
};

static const struct inode_ops disk_inode_ops; /* attributes in memory */

struct inode *disk_inode(struct block_device *d)
{
	static struct mutex lock;
	mutex_lock(&lock);
	if (!d->inode) {
		if (!disk_super.type)
			disk_super.type = &disk_type;
		struct inode *i = inode_new(&disk_super, S_IFBLK | 0660);
		if (i) {
			i->rdev = d->rdev;
			i->size = d->sectors * SECTOR_SIZE;
			i->ops = &disk_inode_ops;
			i->fops = &disk_fops;
			i->object = d;
			i->map.ops = &disk_mapping_ops;
			d->inode = i;
		}
	}
	mutex_unlock(&lock);
	return d->inode;
}

struct by_rdev {
	uint64_t rdev;
	struct block_device *found;
};

static void match(void *ctx, struct block_device *d)
{
	struct by_rdev *b = ctx;
	if (d->rdev == b->rdev)
		b->found = d;
}

/* The file stands for the disk: its inode is the disk's, whatever node it was opened by. */
int blkdev_open(struct inode *i, struct file *f)
{
	struct by_rdev b = {.rdev = i->rdev};
	block_for_each(match, &b);
	if (!b.found)
		return -ENXIO;
	if (b.found->read_only && (f->mode & FMODE_WRITE))
		return -EROFS;
	struct inode *disk = disk_inode(b.found);
	if (!disk)
		return -ENOMEM;
	inode_get(disk);
	inode_put(f->inode);
	f->inode = disk;
	f->ops = &disk_fops;
	return 0;
}
