/* SPDX-License-Identifier: BSD-3-Clause */
/* sync, syncfs, fallocate, fadvise, readahead: calls about a file's pages rather than its bytes. */
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include "drivers/block.h"
#include "fs/blockdev.h"
#include "fs/internal.h"

static void sync_disk(void *ctx, struct block_device *d)
{
	(void)ctx;
	if (!d->inode || d->read_only)
		return;
	mapping_sync(&d->inode->map, 0, UINT64_MAX);
	block_flush(d);
}

static void sync_super(void *ctx, const char *source, const char *target, const char *fstype,
    unsigned flags, const char *options, const struct super *s)
{
	(void)ctx, (void)source, (void)target, (void)fstype, (void)flags, (void)options;
	if (s->sync)
		s->sync((struct super *)s);
}

long sys_sync(void);
long sys_sync(void)
{
	vfs_flush_all();
	mount_for_each(sync_super, NULL);
	block_for_each(sync_disk, NULL);
	return 0;
}

SYSCALL(syncfs, int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	struct super *s = f->inode->super;
	int err = s && s->sync ? s->sync(s) : 0;
	file_put(f);
	return err;
}

SYSCALL(fallocate, int fd, int mode, int64_t off, int64_t len)
{
	if (off < 0 || len <= 0)
		return -EINVAL;
	if (off + len < 0)
		return -EFBIG;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r;
	if (!(f->mode & FMODE_WRITE))
		r = -EBADF;
	else if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else if (!IS_TYPE(f->inode, S_IFREG))
		r = IS_TYPE(f->inode, S_IFDIR) ? -EISDIR : -ENODEV;
	else
		r = f->ops && f->ops->fallocate ? f->ops->fallocate(f, mode, off, len)
						: -EOPNOTSUPP;
	file_put(f);
	return r;
}

SYSCALL(fadvise64, int fd, int64_t off, int64_t len, int advice)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = 0;
	struct mapping *m = &f->inode->map;
	uint64_t first = (uint64_t)off >> PAGE_SHIFT;
	if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else if (off < 0 || len < 0)
		r = -EINVAL;
	else
		switch (advice) {
		case POSIX_FADV_NORMAL:
		case POSIX_FADV_SEQUENTIAL:
			f->mode &= ~(unsigned)FMODE_RANDOM;
			break;
		case POSIX_FADV_RANDOM:
			f->mode |= FMODE_RANDOM;
			break;
		case POSIX_FADV_WILLNEED: {
			uint64_t end = len ? (uint64_t)(off + len) : f->inode->size;
			uint64_t n = end > (uint64_t)off
					 ? (end - (uint64_t)off + PAGE_SIZE - 1) >> PAGE_SHIFT
					 : 0;
			mapping_readahead(m, first, (unsigned)MIN(n, 4096ul));
			break;
		}
		case POSIX_FADV_DONTNEED:
			if (!mapping_in_memory(m))
				mapping_sync(m, first,
				    len ? (uint64_t)(off + len - 1) >> PAGE_SHIFT
					: UINT64_MAX >> PAGE_SHIFT);
			break;
		case POSIX_FADV_NOREUSE:
			break;
		default:
			r = -EINVAL;
		}
	file_put(f);
	return r;
}

SYSCALL(readahead, int fd, int64_t off, size_t n)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = -EINVAL;
	if (!(f->mode & FMODE_READ))
		r = -EBADF;
	else if (IS_TYPE(f->inode, S_IFREG) && off >= 0) {
		mapping_readahead(&f->inode->map, (uint64_t)off >> PAGE_SHIFT,
		    (unsigned)MIN((n + PAGE_SIZE - 1) >> PAGE_SHIFT, 4096ul));
		r = 0;
	}
	file_put(f);
	return r;
}
