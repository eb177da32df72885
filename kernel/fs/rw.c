/* SPDX-License-Identifier: BSD-3-Clause */
/* The read and write calls, seeking, and synchronisation of files to disk. */
#include <linux/fs.h>
#include "fs/internal.h"

/* The position of a shared file is one caller's at a time. */
static inline bool pos_begin(struct file *f, bool counted)
{
	if (!(f->mode & FMODE_POSLOCK) ||
	    (!counted && atomic_load_explicit(&f->refs, memory_order_relaxed) == 1))
		return false;
	mutex_lock(&f->pos_lock);
	return true;
}

static inline long do_read(struct file *f, struct iter *it, int64_t *pos)
{
	if (unlikely(!(f->mode & FMODE_READ)))
		return -EBADF;
	if (unlikely(!f->ops || !f->ops->read))
		return f->inode && IS_TYPE(f->inode, S_IFDIR) ? -EISDIR : -EINVAL;
	if (unlikely(it->count > IO_LIMIT))
		it->count = IO_LIMIT;
	return f->ops->read(f, it, pos);
}

static long do_write(struct file *f, struct iter *it, int64_t *pos)
{
	if (unlikely(!(f->mode & FMODE_WRITE)))
		return -EBADF;
	if (unlikely(!f->ops || !f->ops->write))
		return -EINVAL;
	if (unlikely(it->count > IO_LIMIT))
		it->count = IO_LIMIT;
	int64_t from = pos ? *pos : 0;
	long r = f->ops->write(f, it, pos);
	if (unlikely((f->flags & (O_DSYNC | O_SYNC)) && r > 0 && pos)) {
		int err = vfs_fsync(f, from, from + r - 1, !(f->flags & O_SYNC & ~O_DSYNC));
		if (err)
			return err;
	}
	return r;
}

long vfs_read(struct file *f, struct iter *it, int64_t *pos)
{
	return do_read(f, it, f->mode & FMODE_STREAM ? NULL : pos);
}

long vfs_write(struct file *f, struct iter *it, int64_t *pos)
{
	return do_write(f, it, f->mode & FMODE_STREAM ? NULL : pos);
}

/* read() or write() of the file's own position. */
static inline long transfer(int fd, struct iter *it, bool write)
{
	bool counted;
	struct file *f = fd_borrow(fd, &counted);
	if (unlikely(is_err(f)))
		return ptr_err(f);
	int64_t *pos = f->mode & FMODE_STREAM ? NULL : &f->pos;
	bool locked = pos_begin(f, counted);
	long r = write ? do_write(f, it, pos) : do_read(f, it, pos);
	if (locked)
		mutex_unlock(&f->pos_lock);
	fd_unborrow(f, counted);
	return r;
}

SYSCALL(read, int fd, void __user *buf, size_t n)
{
	struct iter it;
	if (unlikely(!user_range_ok(buf, n)))
		return -EFAULT;
	iter_user(&it, buf, n);
	return transfer(fd, &it, false);
}

SYSCALL(write, int fd, const void __user *buf, size_t n)
{
	struct iter it;
	if (unlikely(!user_range_ok(buf, n)))
		return -EFAULT;
	iter_user(&it, (void __user *)buf, n);
	return transfer(fd, &it, true);
}

/* The same at a position given. */
static long transfer_at(int fd, struct iter *it, int64_t pos, bool write, int rwf)
{
	bool counted;
	if (pos < 0)
		return -EINVAL;
	if (rwf & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND))
		return -EOPNOTSUPP;
	struct file *f = fd_borrow(fd, &counted);
	if (is_err(f))
		return ptr_err(f);
	long r;
	if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else if (!write)
		r = do_read(f, it, &pos);
	else {
		if (rwf & RWF_APPEND)
			pos = (int64_t)f->inode->size;
		int64_t from = pos;
		r = do_write(f, it, &pos);
		if (r > 0 && (rwf & (RWF_DSYNC | RWF_SYNC))) {
			int err = vfs_fsync(f, from, from + r - 1, !(rwf & RWF_SYNC));
			r = err ? err : r;
		}
	}
	fd_unborrow(f, counted);
	return r;
}

SYSCALL(pread64, int fd, void __user *buf, size_t n, int64_t pos)
{
	struct iter it;
	if (!user_range_ok(buf, n))
		return -EFAULT;
	iter_user(&it, buf, n);
	return transfer_at(fd, &it, pos, false, 0);
}

SYSCALL(pwrite64, int fd, const void __user *buf, size_t n, int64_t pos)
{
	struct iter it;
	if (!user_range_ok(buf, n))
		return -EFAULT;
	iter_user(&it, (void __user *)buf, n);
	return transfer_at(fd, &it, pos, true, 0);
}

/* What all vector calls share; own: at the file's own position. */
static long vector(
    int fd, const void __user *uvec, unsigned long n, int64_t pos, bool own, bool write, int rwf)
{
	struct kvec fast[8], *vec;
	struct iter it;
	long r = iter_import_user(&it, uvec, n, fast, &vec);
	if (r < 0)
		return r;
	if (own && !rwf)
		r = transfer(fd, &it, write);
	else if (own) {
		bool counted;
		struct file *f = fd_borrow(fd, &counted);
		if (is_err(f))
			r = ptr_err(f);
		else {
			bool locked = pos_begin(f, true);
			r = transfer_at(fd, &it, f->pos, write, rwf);
			if (r > 0)
				f->pos = rwf & RWF_APPEND ? (int64_t)f->inode->size : f->pos + r;
			if (locked)
				mutex_unlock(&f->pos_lock);
			fd_unborrow(f, counted);
		}
	} else
		r = transfer_at(fd, &it, pos, write, rwf);
	if (vec != fast)
		kfree(vec);
	return r;
}

SYSCALL(readv, int fd, const void __user *vec, unsigned long n)
{
	return vector(fd, vec, n, 0, true, false, 0);
}

SYSCALL(writev, int fd, const void __user *vec, unsigned long n)
{
	return vector(fd, vec, n, 0, true, true, 0);
}

SYSCALL(preadv, int fd, const void __user *vec, unsigned long n, int64_t pos)
{
	return vector(fd, vec, n, pos, false, false, 0);
}

SYSCALL(pwritev, int fd, const void __user *vec, unsigned long n, int64_t pos)
{
	return vector(fd, vec, n, pos, false, true, 0);
}

SYSCALL(preadv2, int fd, const void __user *vec, unsigned long n, int64_t pos, long high, int rwf)
{
	(void)high; /* the upper half of the position on 32-bit machines */
	return vector(fd, vec, n, pos, pos == -1, false, rwf);
}

SYSCALL(pwritev2, int fd, const void __user *vec, unsigned long n, int64_t pos, long high, int rwf)
{
	(void)high;
	return vector(fd, vec, n, pos, pos == -1, true, rwf);
}

static int64_t seek_data_or_hole(struct inode *i, int64_t off, int whence)
{
	int64_t size = (int64_t)i->size;
	if (off < 0 || off >= size)
		return -ENXIO;
	if (!mapping_in_memory(&i->map)) /* of a disk: all of it counts as data */
		return whence == SEEK_DATA ? off : size;
	uint64_t first = (uint64_t)off >> PAGE_SHIFT,
		 end = ((uint64_t)size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	uint64_t at = whence == SEEK_DATA ? mapping_next_data(&i->map, first, end)
					  : mapping_next_hole(&i->map, first, end);
	if (at >= end)
		return whence == SEEK_DATA ? -ENXIO : size;
	return at == first ? off : (int64_t)(at << PAGE_SHIFT);
}

int64_t vfs_seek(struct file *f, int64_t off, int whence)
{
	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (f->ops && f->ops->seek)
		return f->ops->seek(f, off, whence);
	int64_t base = 0;
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		base = (int64_t)f->inode->size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		off = seek_data_or_hole(f->inode, off, whence);
		if (off < 0)
			return off;
		break;
	default:
		return -EINVAL;
	}
	int64_t to;
	if (__builtin_add_overflow(base, off, &to))
		return -EOVERFLOW;
	if (to < 0)
		return -EINVAL;
	f->pos = to;
	return to;
}

SYSCALL(lseek, int fd, int64_t off, int whence)
{
	bool counted;
	struct file *f = fd_borrow(fd, &counted);
	if (is_err(f))
		return ptr_err(f);
	bool locked = pos_begin(f, counted);
	int64_t r = vfs_seek(f, off, whence);
	if (locked)
		mutex_unlock(&f->pos_lock);
	fd_unborrow(f, counted);
	return r;
}

/* The error of a write-back since this file last heard of one. */
static int write_error(struct file *f)
{
	int now = atomic_load(&f->inode->map.write_error);
	if (now == f->write_error_seen)
		return 0;
	f->write_error_seen = now;
	return -(now & 0xfff);
}

int vfs_fsync(struct file *f, int64_t first, int64_t last, bool data_only)
{
	int err;
	if (f->ops && f->ops->fsync)
		err = f->ops->fsync(f, first, last, data_only);
	else
		err = mapping_sync(
		    &f->inode->map, (uint64_t)first >> PAGE_SHIFT, (uint64_t)last >> PAGE_SHIFT);
	int seen = write_error(f);
	return err ? err : seen;
}

static long sync_fd(int fd, bool data_only)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	uint32_t t = f->inode->mode & S_IFMT;
	long r = -EINVAL;
	if (t == S_IFREG || t == S_IFDIR || t == S_IFBLK)
		r = vfs_fsync(f, 0, INT64_MAX, data_only);
	file_put(f);
	return r;
}

SYSCALL(fsync, int fd)
{
	return sync_fd(fd, false);
}

SYSCALL(fdatasync, int fd)
{
	return sync_fd(fd, true);
}

SYSCALL(sync_file_range, int fd, int64_t off, int64_t n, unsigned flags)
{
	if (off < 0 || n < 0 || off + n < off || flags > 7)
		return -EINVAL;
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = 0;
	if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else {
		uint64_t last =
		    n ? (uint64_t)(off + n - 1) >> PAGE_SHIFT : UINT64_MAX >> PAGE_SHIFT;
		r = mapping_sync(&f->inode->map, (uint64_t)off >> PAGE_SHIFT, last);
	}
	file_put(f);
	return r;
}
