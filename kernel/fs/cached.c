/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and writing files through the page cache, with read-ahead.
 *
 * Readers take no lock: the size is read first, and writers publish data before size. Writers of a
 * file exclude each other with the inode's lock. The application's memory is never touched with a
 * page locked, so a buffer that is a mapping of the same file is fine.
 */
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/resource.h>
#include <asm/signal.h>
#include "fs/internal.h"

#define RA_FIRST 4u /* pages */
#define RA_MAX 64u

static void touch_atime(struct file *f, struct inode *i)
{
	/* "relatime": once after each change is what readers of access times need. */
	if (likely(i->atime.sec > i->mtime.sec && i->atime.sec > i->ctime.sec))
		return;
	if ((f->flags & O_NOATIME) || (i->super->flags & (ST_RDONLY | ST_NOATIME)))
		return;
	inode_touch(i, ATTR_ATIME);
}

/* A read of pages [first, last] begins: sequential ones make the window grow. */
static unsigned readahead_window(struct file *f, uint64_t first, uint64_t last)
{
	if (f->mode & FMODE_RANDOM)
		return 0;
	if (first == f->readahead_next || first + 1 == f->readahead_next) {
		unsigned w = f->readahead_size;
		if (last >= f->readahead_next || !w)
			w = w ? w * 2 : RA_FIRST;
		f->readahead_size = w < RA_MAX ? w : RA_MAX;
	} else {
		f->readahead_size = 0;
		f->readahead_end = 0;
	}
	f->readahead_next = last + 1;
	return f->readahead_size;
}

/* The page is missing: asks for it and what is likely wanted next. */
static struct page *read_missing(
    struct file *f, struct mapping *m, uint64_t index, uint64_t last, unsigned window)
{
	uint64_t want = last - index + 1;
	if (want < window)
		want = window;
	if (want > 4 * RA_MAX)
		want = 4 * RA_MAX;
	if (want > 1)
		mapping_readahead(m, index, (unsigned)want);
	f->readahead_end = index + want;
	return mapping_get(m, index, 0);
}

long file_cached_read(struct file *f, struct iter *to, int64_t *pos)
{
	struct inode *i = f->inode;
	struct mapping *m = &i->map;
	uint64_t at = (uint64_t)*pos;
	size_t done = 0;
	long err = 0;

	uint64_t size = atomic_load_explicit(&i->size, memory_order_acquire);
	if (at >= size || !to->count)
		return 0;
	uint64_t want = to->count < size - at ? to->count : size - at;
	uint64_t last = (at + want - 1) >> PAGE_SHIFT;
	bool hole_is_zero = mapping_in_memory(m) && !m->backing;
	unsigned window = hole_is_zero ? 0 : readahead_window(f, at >> PAGE_SHIFT, last);

	while (done < want) {
		uint64_t index = at >> PAGE_SHIFT;
		size_t off = at & (PAGE_SIZE - 1);
		size_t n = PAGE_SIZE - off < want - done ? PAGE_SIZE - off : want - done;
		size_t got;

		struct page *p = mapping_peek(m, index);
		if (unlikely(!p)) {
			if (hole_is_zero) {
				got = iter_zero(to, n);
				goto copied;
			}
			p = read_missing(f, m, index, last, window);
			if (is_err(p)) {
				err = ptr_err(p);
				break;
			}
		} else if (window && index + window / 2 >= f->readahead_end &&
			   f->readahead_end > index) {
			mapping_readahead(m, f->readahead_end, window);
			f->readahead_end += window;
		}
		got = iter_to(to, (char *)page_virt(p) + off, n);
		page_put(p);
	copied:
		done += got;
		at += got;
		if (unlikely(got < n)) {
			err = -EFAULT;
			break;
		}
	}
	*pos = (int64_t)at;
	touch_atime(f, i);
	return done ? (long)done : err;
}

/* How much may be written at `at`, or -errno. i->lock held. */
static long write_room(struct file *f, struct inode *i, uint64_t at, size_t n)
{
	uint64_t size = i->size;
	if (i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (at + n > size && (i->seals & F_SEAL_GROW)) {
		if (at >= size)
			return -EPERM;
		n = size - at;
	}
	struct program *p = current_program();
	uint64_t limit = p ? p->limits[RLIMIT_FSIZE].cur : RLIM_INFINITY;
	if (limit != RLIM_INFINITY && at + n > limit && IS_TYPE(i, S_IFREG)) {
		if (at >= limit) {
			signal_send_thread(current_thread(), SIGXFSZ, NULL);
			return -EFBIG;
		}
		n = limit - at;
	}
	if (at > INT64_MAX - n)
		return -EFBIG;
	if (IS_TYPE(i, S_IFBLK)) {
		if (at >= size)
			return -ENOSPC;
		if (n > size - at)
			n = size - at;
	}
	(void)f;
	return (long)n;
}

/* Fills a new page with the caller's data, zeroes around it, and puts it into the file. */
static long write_new_page(
    struct mapping *m, struct iter *from, uint64_t index, size_t off, size_t n)
{
	struct page *p = page_alloc(0, 0);
	if (!p)
		return mapping_in_memory(m) ? -ENOSPC : -ENOMEM;
	char *data = page_virt(p);
	memset(data, 0, off);
	size_t got = iter_from(from, data + off, n);
	memset(data + off + got, 0, PAGE_SIZE - off - got);
	if (!got) {
		page_put(p);
		return -EFAULT;
	}
	struct page *q = mapping_add(m, index, p, true);
	if (is_err(q)) {
		page_put(p);
		return ptr_err(q);
	}
	if (q != p) { /* somebody was faster: his page, our data */
		page_mark_dirty(q);
		memcpy((char *)page_virt(q) + off, data + off, got);
	}
	page_put(q);
	page_put(p);
	return (long)got;
}

/* Writes within one page. Bytes (fewer: a fault) or -errno. */
static long write_page(struct inode *i, struct iter *from, uint64_t at, size_t n)
{
	struct mapping *m = &i->map;
	uint64_t index = at >> PAGE_SHIFT;
	size_t off = at & (PAGE_SIZE - 1);
	bool backed = m->backing && index < m->backing_pages;
	bool fresh =
	    n == PAGE_SIZE || (!backed && (mapping_in_memory(m) || index << PAGE_SHIFT >= i->size));

	if (fresh) {
		struct page *there = backed ? NULL : mapping_peek(m, index);
		if (!there && !backed)
			return write_new_page(m, from, index, off, n);
		if (there)
			page_put(there);
	}
	struct page *p = mapping_get_dirty(m, index);
	if (is_err(p))
		return ptr_err(p) == -ENOMEM && mapping_in_memory(m) ? -ENOSPC : ptr_err(p);
	size_t got = iter_from(from, (char *)page_virt(p) + off, n);
	page_put(p);
	return got ? (long)got : -EFAULT;
}

long file_cached_write(struct file *f, struct iter *from, int64_t *pos)
{
	struct inode *i = f->inode;
	size_t done = 0;

	if (!from->count)
		return 0;
	if (!mapping_in_memory(&i->map))
		dirty_throttle();
	rw_write_lock(&i->lock);
	uint64_t at = f->flags & O_APPEND ? i->size : (uint64_t)*pos;
	long r = write_room(f, i, at, from->count);
	size_t want = r < 0 ? 0 : (size_t)r;
	if (want) {
		inode_drop_suid(i);
		inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	}
	while (done < want) {
		size_t n = PAGE_SIZE - (at & (PAGE_SIZE - 1));
		if (n > want - done)
			n = want - done;
		r = write_page(i, from, at, n);
		if (r < 0)
			break;
		done += (size_t)r;
		at += (uint64_t)r;
		if (at > i->size)
			atomic_store_explicit(&i->size, at, memory_order_release);
		if ((size_t)r < n)
			break;
	}
	rw_write_unlock(&i->lock);
	*pos = (int64_t)at;
	if (done && f->dentry)
		notify(i, f->dentry, 2 /* IN_MODIFY */);
	return done ? (long)done : r;
}

int inode_set_size(struct inode *i, uint64_t size)
{
	struct mapping *m = &i->map;
	uint64_t old = i->size, index = size >> PAGE_SHIFT;
	size_t off = size & (PAGE_SIZE - 1);

	if (size >= old) {
		atomic_store(&i->size, size);
		return 0;
	}
	if (off) {
		bool there = m->backing && index < m->backing_pages;
		struct page *p = mapping_peek(m, index);
		if (p) {
			there = true;
			page_put(p);
		}
		if (there || !mapping_in_memory(m)) {
			p = mapping_get_dirty(m, index);
			if (is_err(p))
				return (int)ptr_err(p);
			atomic_store(&i->size, size);
			memset((char *)page_virt(p) + off, 0, PAGE_SIZE - off);
			page_put(p);
		}
	}
	atomic_store(&i->size, size);
	mapping_truncate(m, (size + PAGE_SIZE - 1) >> PAGE_SHIFT, UINT64_MAX);
	return 0;
}
