/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor tables. Lookups read the array of files under RCU; changes are made with the table's
 * lock. The array grows by being copied; the old one is freed after a grace period. A file's memory
 * is freed after a grace period as well, so a reader that finds one whose count is 0 just sees that
 * it is closed.
 *
 * Most calls need no reference at all: while a program has one thread and its table one owner,
 * nobody else can close the descriptor during the call (fd_borrow()).
 */
#include <linux/close_range.h>
#include <linux/resource.h>
#include "fs/internal.h"

#define FIRST_FDS 64u
#define FD_CEILING (1u << 20)

struct fd_array {
	unsigned max;
	uint64_t *used, *cloexec; /* bitmaps of max bits, changed under the table's lock */
	struct rcu_head rcu;
	struct file *file[];
};

struct fd_table {
	atomic_int refs;
	unsigned lowest; /* no free descriptor below */
	struct fd_array *array;
	struct mutex lock;
};

static struct fd_array *array_new(unsigned max)
{
	size_t words = max / 64;
	struct fd_array *a = kzalloc(sizeof(*a) + max * sizeof(a->file[0]) + 2 * words * 8);
	if (!a)
		return NULL;
	a->max = max;
	a->used = (uint64_t *)&a->file[max];
	a->cloexec = a->used + words;
	return a;
}

static void array_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct fd_array, rcu));
}

static void array_copy(struct fd_array *to, const struct fd_array *from)
{
	memcpy(to->file, from->file, from->max * sizeof(from->file[0]));
	memcpy(to->used, from->used, from->max / 8);
	memcpy(to->cloexec, from->cloexec, from->max / 8);
}

static inline bool bit(const uint64_t *map, unsigned i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static inline void bit_put(uint64_t *map, unsigned i, bool on)
{
	map[i / 64] = (map[i / 64] & ~(1ull << (i % 64))) | (uint64_t)on << (i % 64);
}

struct fd_table *fd_table_new(void)
{
	struct fd_table *t = kzalloc(sizeof(*t));
	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	t->array = array_new(FIRST_FDS);
	if (!t->array) {
		kfree(t);
		return NULL;
	}
	return t;
}

struct fd_table *fd_table_copy(struct fd_table *t)
{
	struct fd_table *n = kzalloc(sizeof(*n));
	if (!n)
		return NULL;
	atomic_init(&n->refs, 1);
	mutex_lock(&t->lock);
	struct fd_array *a = t->array;
	n->array = array_new(a->max);
	if (n->array) {
		array_copy(n->array, a);
		n->lowest = t->lowest;
		for (unsigned i = 0; i < a->max; i++) {
			if (a->file[i])
				file_get(a->file[i]);
			else
				bit_put(
				    n->array->used, i, false); /* reserved by somebody just now */
		}
	}
	mutex_unlock(&t->lock);
	if (!n->array) {
		kfree(n);
		return NULL;
	}
	return n;
}

void fd_table_get(struct fd_table *t)
{
	atomic_fetch_add(&t->refs, 1);
}

void fd_table_put(struct fd_table *t)
{
	if (atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	struct fd_array *a = t->array;
	for (unsigned i = 0; i < a->max; i++) {
		struct file *f = a->file[i];
		if (!f)
			continue;
		rcu_assign(a->file[i], (struct file *)NULL);
		if (f->inode && f->inode->locks)
			locks_fd_closed(f);
		if (f->ops && f->ops->flush && !(f->mode & FMODE_PATH))
			f->ops->flush(f);
		file_put(f);
	}
	rcu_defer(&a->rcu, array_free_rcu);
	kfree(t);
}

/* Makes room for descriptor `want`. t->lock held. */
static int grow(struct fd_table *t, unsigned want)
{
	unsigned max = t->array->max;
	while (max <= want)
		max *= 2;
	struct fd_array *a = array_new(max), *old = t->array;
	if (!a)
		return -ENOMEM;
	array_copy(a, old);
	rcu_assign(t->array, a);
	rcu_defer(&old->rcu, array_free_rcu);
	return 0;
}

int fd_limit(void)
{
	const struct program *p = current_program();
	uint64_t n = p ? p->limits[RLIMIT_NOFILE].cur : 1024;
	return n > FD_CEILING ? (int)FD_CEILING : (int)n;
}

static inline struct file *slot(struct fd_table *t, int fd)
{
	struct fd_array *a = rcu_dereference(t->array);
	if (unlikely((unsigned)fd >= a->max))
		return NULL;
	return rcu_dereference(a->file[fd]);
}

static struct file *get_from(struct fd_table *t, int fd)
{
	for (;;) {
		struct file *f = slot(t, fd);
		if (!f)
			return NULL;
		int n = atomic_load_explicit(&f->refs, memory_order_relaxed);
		while (n > 0)
			if (atomic_compare_exchange_weak_explicit(
				&f->refs, &n, n + 1, memory_order_acquire, memory_order_relaxed))
				return f;
		/* Closed by its last owner between the two reads: the slot has changed. */
	}
}

struct file *fd_get_any(int fd)
{
	struct program *p = current_program();
	struct file *f = p ? get_from(p->fds, fd) : NULL;
	return f ? f : err_ptr(-EBADF);
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_any(fd);
	if (!is_err(f) && unlikely(f->mode & FMODE_PATH)) {
		file_put(f);
		return err_ptr(-EBADF);
	}
	return f;
}

struct file *fd_borrow(int fd, bool *counted)
{
	struct program *p = current_program();
	if (likely(p->nthreads == 1 &&
		   atomic_load_explicit(&p->fds->refs, memory_order_relaxed) == 1)) {
		struct file *f = slot(p->fds, fd);
		*counted = false;
		if (likely(f && !(f->mode & FMODE_PATH)))
			return f;
		return err_ptr(-EBADF);
	}
	*counted = true;
	return fd_get(fd);
}

/* The lowest free descriptor in [min, limit), marked used. t->lock held. */
static int reserve(struct fd_table *t, unsigned min, unsigned limit)
{
	unsigned from = min > t->lowest ? min : t->lowest;
	for (;;) {
		struct fd_array *a = t->array;
		unsigned fd = from;
		for (unsigned w = from / 64; fd < a->max; fd = ++w * 64) {
			uint64_t free = ~a->used[w];
			if (w == from / 64)
				free &= ~0ull << (from % 64);
			if (free) {
				fd = w * 64 + (unsigned)__builtin_ctzll(free);
				break;
			}
		}
		if (fd >= limit)
			return -EMFILE;
		if (fd < a->max) {
			bit_put(a->used, fd, true);
			if (from == t->lowest)
				t->lowest = fd + 1;
			return (int)fd;
		}
		int err = grow(t, fd);
		if (err)
			return err;
	}
}

int fd_install(struct file *f, int min, bool cloexec)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	int fd = reserve(t, (unsigned)min, (unsigned)fd_limit());
	if (fd >= 0) {
		bit_put(t->array->cloexec, (unsigned)fd, cloexec);
		rcu_assign(t->array->file[fd], f);
	}
	mutex_unlock(&t->lock);
	return fd;
}

int fd_reserve(bool cloexec)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	int fd = reserve(t, 0, (unsigned)fd_limit());
	if (fd >= 0)
		bit_put(t->array->cloexec, (unsigned)fd, cloexec);
	mutex_unlock(&t->lock);
	return fd;
}

void fd_fill(int fd, struct file *f)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	if (f) {
		rcu_assign(t->array->file[fd], f);
	} else {
		bit_put(t->array->used, (unsigned)fd, false);
		bit_put(t->array->cloexec, (unsigned)fd, false);
		t->lowest = MIN(t->lowest, (unsigned)fd);
	}
	mutex_unlock(&t->lock);
}

/* Takes fd's file out of the table; NULL if there is none. t->lock held. */
static struct file *take(struct fd_table *t, unsigned fd)
{
	struct fd_array *a = t->array;
	struct file *f = fd < a->max ? a->file[fd] : NULL;
	if (!f)
		return NULL;
	rcu_assign(a->file[fd], (struct file *)NULL);
	bit_put(a->used, fd, false);
	bit_put(a->cloexec, fd, false);
	if (fd < t->lowest)
		t->lowest = fd;
	return f;
}

/* What closing a descriptor does to the file besides the reference. */
static int closed(struct file *f)
{
	int err = 0;
	if (f->inode && f->inode->locks)
		locks_fd_closed(f);
	if (f->ops && f->ops->flush && !(f->mode & FMODE_PATH))
		err = f->ops->flush(f);
	file_put(f);
	return err;
}

int fd_close(int fd)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	struct file *f = take(t, (unsigned)fd);
	mutex_unlock(&t->lock);
	return f ? closed(f) : -EBADF;
}

int fd_replace(int fd, struct file *f, bool cloexec)
{
	struct fd_table *t = current_program()->fds;
	if (fd < 0 || fd >= fd_limit())
		return -EBADF;
	mutex_lock(&t->lock);
	int err = (unsigned)fd >= t->array->max ? grow(t, (unsigned)fd) : 0;
	struct file *old = NULL;
	if (!err) {
		old = t->array->file[fd];
		if (!old && bit(t->array->used, (unsigned)fd))
			err = -EBUSY;
	}
	if (!err) {
		bit_put(t->array->used, (unsigned)fd, true);
		bit_put(t->array->cloexec, (unsigned)fd, cloexec);
		rcu_assign(t->array->file[fd], f);
	}
	mutex_unlock(&t->lock);
	if (err)
		return err;
	if (old)
		closed(old);
	return fd;
}

int fd_get_cloexec(int fd)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	bool there = (unsigned)fd < t->array->max && t->array->file[fd];
	int r = there ? bit(t->array->cloexec, (unsigned)fd) : -EBADF;
	mutex_unlock(&t->lock);
	return r;
}

int fd_set_cloexec(int fd, bool on)
{
	struct fd_table *t = current_program()->fds;
	mutex_lock(&t->lock);
	bool there = (unsigned)fd < t->array->max && t->array->file[fd];
	if (there)
		bit_put(t->array->cloexec, (unsigned)fd, on);
	mutex_unlock(&t->lock);
	return there ? 0 : -EBADF;
}

/* Closes, or marks close-on-exec, what pick() says of [first, last]. */
static void each_in_range(
    struct fd_table *t, unsigned first, unsigned last, bool only_cloexec, bool mark)
{
	for (unsigned fd = first; fd <= last; fd++) {
		struct file *f = NULL;
		mutex_lock(&t->lock);
		if (fd >= t->array->max) {
			mutex_unlock(&t->lock);
			return;
		}
		if (!mark && (!only_cloexec || bit(t->array->cloexec, fd)))
			f = take(t, fd);
		else if (mark && t->array->file[fd])
			bit_put(t->array->cloexec, fd, true);
		mutex_unlock(&t->lock);
		if (f)
			closed(f);
		if (fd == UINT32_MAX)
			return;
	}
}

void fd_close_on_exec(struct fd_table *t)
{
	each_in_range(t, 0, FD_CEILING, true, false);
}

int fd_unshare(void)
{
	struct program *p = current_program();
	if (atomic_load(&p->fds->refs) == 1)
		return 0;
	struct fd_table *n = fd_table_copy(p->fds), *old = p->fds;
	if (!n)
		return -ENOMEM;
	mutex_lock(&p->lock);
	p->fds = n;
	mutex_unlock(&p->lock);
	fd_table_put(old);
	return 0;
}

int fd_close_range(unsigned first, unsigned last, bool cloexec)
{
	each_in_range(current_program()->fds, first, last, false, cloexec);
	return 0;
}

int fd_next(struct fd_table *t, int fd, struct file **f)
{
	for (; fd >= 0; fd++) {
		rcu_read_lock();
		bool beyond = (unsigned)fd >= rcu_dereference(t->array)->max;
		*f = beyond ? NULL : get_from(t, fd);
		rcu_read_unlock();
		if (beyond)
			return -1;
		if (*f)
			return fd;
	}
	return -1;
}

SYSCALL(close, int fd)
{
	int err = fd_close(fd);
	return err == -EINTR || err == -ERESTARTSYS ? -EINTR : err;
}

SYSCALL(close_range, unsigned first, unsigned last, unsigned flags)
{
	if (first > last || (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		int err = fd_unshare();
		if (err)
			return err;
	}
	return fd_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
}

SYSCALL(dup, int fd)
{
	struct file *f = fd_get_any(fd);
	if (is_err(f))
		return ptr_err(f);
	int r = fd_install(f, 0, false);
	if (r < 0)
		file_put(f);
	return r;
}

static long dup_to(int from, int to, bool cloexec)
{
	struct file *f = fd_get_any(from);
	if (is_err(f))
		return ptr_err(f);
	int r = fd_replace(to, f, cloexec);
	if (r < 0)
		file_put(f);
	return r;
}

SYSCALL(dup2, int from, int to)
{
	if (from != to)
		return dup_to(from, to, false);
	struct file *f = fd_get_any(from);
	if (is_err(f))
		return ptr_err(f);
	file_put(f);
	return to;
}

SYSCALL(dup3, int from, int to, int flags)
{
	if (from == to || (flags & ~O_CLOEXEC))
		return -EINVAL;
	return dup_to(from, to, flags & O_CLOEXEC);
}
