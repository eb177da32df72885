/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data between two files without the application: sendfile, copy_file_range, splice, vmsplice, tee.
 * Pages of the cache are handed to the writer where they are; other sources go through a buffer.
 */
#include <linux/fs.h>
#include "fs/internal.h"

#define BUFFER (64u << 10)
#define SPLICE_F_NONBLOCK 2u

/* The two ends of a copy. A position of NULL means the file's own. */
struct copy {
	struct file *in, *out;
	int64_t *in_pos, *out_pos;
};

/* Writes all of buf; bytes written, or the error if nothing was. */
static long write_out(struct copy *c, const void *buf, size_t n)
{
	size_t done = 0;
	while (done < n) {
		struct iter it;
		iter_kernel(&it, (char *)buf + done, n - done);
		long r = vfs_write(c->out, &it, c->out_pos);
		if (r <= 0)
			return done ? (long)done : r;
		done += (size_t)r;
	}
	return (long)done;
}

/* One page, or less, straight from the page cache. 0: end of file. */
static long copy_cached(struct copy *c, size_t n)
{
	struct inode *i = c->in->inode;
	uint64_t at = (uint64_t)*c->in_pos, size = i->size;
	if (at >= size)
		return 0;
	size_t off = at & (PAGE_SIZE - 1);
	n = MIN(n, PAGE_SIZE - off);
	n = MIN(n, size - at);
	struct page *p = mapping_get(&i->map, at >> PAGE_SHIFT, 31);
	if (is_err(p))
		return ptr_err(p);
	long r = write_out(c, (char *)page_virt(p) + off, n);
	page_put(p);
	if (r > 0)
		*c->in_pos += r;
	return r;
}

#define PAGES 16 /* handed over at once */

/* Up to 64 KiB from the page cache by reference. -EOPNOTSUPP: not possible with this writer. */
static long send_cached(struct copy *c, size_t n)
{
	struct inode *i = c->in->inode;
	struct page *pages[PAGES];
	uint64_t at = (uint64_t)*c->in_pos, size = i->size;
	unsigned count = 0;
	long r = 0;

	if (at >= size)
		return 0;
	size_t off = at & (PAGE_SIZE - 1), len = MIN(n, size - at);
	bool more = len > PAGES * PAGE_SIZE - off;
	if (more)
		len = PAGES * PAGE_SIZE - off;
	while (count * PAGE_SIZE < off + len) {
		struct page *p = mapping_get(&i->map, (at >> PAGE_SHIFT) + count, 31);
		if (is_err(p)) {
			r = ptr_err(p);
			break;
		}
		pages[count++] = p;
	}
	if (count && r) { /* what there is, and the error next time */
		len = count * PAGE_SIZE - off;
		r = 0;
	}
	if (!r)
		r = c->out->ops->send_pages(c->out, pages, count, off, len, more);
	while (count)
		page_put(pages[--count]);
	if (r > 0)
		*c->in_pos += r;
	return r;
}

/* A piece through a buffer. What was read and could not be written is lost for sources without a
 * position, so a writer that fails half-way is retried by write_out() first. */
static long copy_buffered(struct copy *c, void *buf, size_t n)
{
	struct iter it;
	iter_kernel(&it, buf, MIN(n, (size_t)BUFFER));
	int64_t from = c->in_pos ? *c->in_pos : 0;
	long got = vfs_read(c->in, &it, c->in_pos);
	if (got <= 0)
		return got;
	long r = write_out(c, buf, (size_t)got);
	if (c->in_pos && !(c->in->mode & FMODE_STREAM))
		*c->in_pos = from + (r > 0 ? r : 0);
	return r;
}

static long run(struct copy *c, size_t n)
{
	bool cached =
	    c->in->ops && c->in->ops->read == file_cached_read && !(c->in->mode & FMODE_STREAM);
	bool stream = c->in->mode & FMODE_STREAM, direct = cached && c->out->ops->send_pages;
	void *buf = cached ? NULL : kmalloc(BUFFER);
	size_t done = 0;
	long r = cached || buf ? 0 : -ENOMEM;

	if (n > IO_LIMIT)
		n = IO_LIMIT;
	while (!r && done < n) {
		if (done && stream)
			break; /* a pipe: what was there */
		r = direct   ? send_cached(c, n - done)
		    : cached ? copy_cached(c, n - done)
			     : copy_buffered(c, buf, n - done);
		if (r == -EOPNOTSUPP && direct) {
			direct = false;
			r = 0;
			continue;
		}
		if (r <= 0)
			break;
		done += (size_t)r;
		r = 0;
		if (signal_pending())
			break;
		preempt_point();
	}
	kfree(buf);
	return done ? (long)done : r;
}

/* Both files of a call; readable and writable, or -EBADF. */
static int get_two(int in, int out, struct copy *c)
{
	c->in = fd_get(in);
	if (is_err(c->in))
		return (int)ptr_err(c->in);
	c->out = fd_get(out);
	if (is_err(c->out)) {
		file_put(c->in);
		return (int)ptr_err(c->out);
	}
	if ((c->in->mode & FMODE_READ) && (c->out->mode & FMODE_WRITE))
		return 0;
	file_put(c->in);
	file_put(c->out);
	return -EBADF;
}

static void put_two(struct copy *c)
{
	file_put(c->in);
	file_put(c->out);
}

/* The position an offset argument stands for: *pos filled from the application, or the file's own.
 */
static int position(struct file *f, const int64_t __user *arg, int64_t *pos, int64_t **use)
{
	*use = &f->pos;
	if (!arg)
		return 0;
	if (get_user(*pos, arg))
		return -EFAULT;
	if (*pos < 0)
		return -EINVAL;
	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	*use = pos;
	return 0;
}

SYSCALL(sendfile, int out, int in, int64_t __user *off, size_t n)
{
	struct copy c;
	int64_t pos;
	int err = get_two(in, out, &c);
	if (err)
		return err;
	long r = position(c.in, off, &pos, &c.in_pos);
	c.out_pos = &c.out->pos;
	if (!r && (c.out->flags & O_APPEND || c.in->mode & FMODE_STREAM))
		r = -EINVAL; /* from a pipe or socket data could be lost: splice() does that */
	if (!r && IS_TYPE(c.in->inode, S_IFDIR))
		r = -EINVAL;
	if (!r) {
		r = run(&c, n);
		if (off && put_user(pos, off))
			r = -EFAULT;
	}
	put_two(&c);
	return r;
}

SYSCALL(copy_file_range, int in, int64_t __user *in_off, int out, int64_t __user *out_off, size_t n,
    unsigned flags)
{
	struct copy c;
	int64_t ipos, opos;
	if (flags)
		return -EINVAL;
	int err = get_two(in, out, &c);
	if (err)
		return err;
	long r = position(c.in, in_off, &ipos, &c.in_pos);
	if (!r)
		r = position(c.out, out_off, &opos, &c.out_pos);
	struct inode *i = c.in->inode, *o = c.out->inode;
	if (!r && (IS_TYPE(i, S_IFDIR) || IS_TYPE(o, S_IFDIR)))
		r = -EISDIR;
	if (!r && (!IS_TYPE(i, S_IFREG) || !IS_TYPE(o, S_IFREG)))
		r = -EINVAL;
	if (!r && (c.out->flags & O_APPEND))
		r = -EBADF;
	if (!r && i == o && *c.in_pos < *c.out_pos + (int64_t)n &&
	    *c.out_pos < *c.in_pos + (int64_t)n)
		r = -EINVAL;
	if (!r) {
		r = run(&c, n);
		if ((in_off && put_user(ipos, in_off)) || (out_off && put_user(opos, out_off)))
			r = -EFAULT;
	}
	put_two(&c);
	return r;
}

SYSCALL(splice, int in, int64_t __user *in_off, int out, int64_t __user *out_off, size_t n,
    unsigned flags)
{
	struct copy c;
	int64_t ipos, opos;
	if (flags & ~15u)
		return -EINVAL;
	int err = get_two(in, out, &c);
	if (err)
		return err;
	long r = file_is_pipe(c.in) || file_is_pipe(c.out) ? 0 : -EINVAL;
	if (!r)
		r = position(c.in, in_off, &ipos, &c.in_pos);
	if (!r)
		r = position(c.out, out_off, &opos, &c.out_pos);
	if (!r && (c.out->flags & O_APPEND))
		r = -EINVAL;
	if (!r && c.in->inode == c.out->inode)
		r = -EINVAL;
	if (!r && n) {
		if (file_is_pipe(c.out) && n > BUFFER)
			n = BUFFER; /* what a pipe holds: more would block with the reader waiting
				       for us */
		r = run(&c, n);
		if ((in_off && put_user(ipos, in_off)) || (out_off && put_user(opos, out_off)))
			r = -EFAULT;
	}
	put_two(&c);
	return r;
}

SYSCALL(vmsplice, int fd, const void __user *uvec, unsigned long n, unsigned flags)
{
	struct kvec fast[8], *vec;
	struct iter it;
	if (flags & ~15u)
		return -EINVAL;
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = file_is_pipe(f) ? iter_import_user(&it, uvec, n, fast, &vec) : -EBADF;
	if (r >= 0) {
		if (r)
			r = f->mode & FMODE_WRITE ? vfs_write(f, &it, NULL)
						  : vfs_read(f, &it, NULL);
		if (vec != fast)
			kfree(vec);
	}
	file_put(f);
	return r;
}

SYSCALL(tee, int in, int out, size_t n, unsigned flags)
{
	struct copy c;
	if (flags & ~15u)
		return -EINVAL;
	if (!n)
		return 0;
	int err = get_two(in, out, &c);
	if (err)
		return err;
	bool nonblock = (flags & SPLICE_F_NONBLOCK) || ((c.in->flags | c.out->flags) & O_NONBLOCK);
	long r = file_is_pipe(c.in) && file_is_pipe(c.out) ? pipe_tee(c.in, c.out, n, nonblock)
							   : -EINVAL;
	put_two(&c);
	return r;
}
