/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page cache: finding, filling and dropping pages. Write-back and reclaim are in writeback.c.
 *
 * Who may do what with a page:
 *  - A page found in the tree under RCU may be referenced if its count is not 0: the tree owns a
 * reference that is given back only after a grace period (release_later()), and the reclaimer
 * freezes a count at 0 only with the tree locked, as a promise to remove the page.
 *  - PG_LOCKED: the contents are being read, or the page is being taken out of the tree. p->mapping
 * changes to NULL only under it, so p->mapping cannot go away while somebody holds a page of it
 * locked.
 *  - Waiting is for bits of page->flags. A waiter pushes a record from its stack on a list chosen
 * by the page's address, sets PG_WAITERS and looks at the bit again; whoever clears the bit and
 * finds PG_WAITERS takes the whole list and signals everybody in it. So unlocking works from
 * interrupts, without any lock.
 */
#include <asm/errno.h>
#include "mm/pagecache.h"
#include "core/log.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/cache_internal.h"
#include "mm/mm.h"
#include "mm/radix.h"

#define WAIT_BUCKETS 256u
#define BATCH 64u

struct page_waiter {
	struct page_waiter *next;
	struct completion woken;
};
static _Atomic(struct page_waiter *) waiters[WAIT_BUCKETS];

static _Atomic(struct page_waiter *) *wait_bucket(const struct page *p)
{
	return &waiters[(uintptr_t)p / sizeof(*p) % WAIT_BUCKETS];
}

static void wake_bucket(_Atomic(struct page_waiter *) *b)
{
	struct page_waiter *w = atomic_exchange(b, NULL);
	while (w) {
		struct page_waiter *next = w->next; /* w is its thread's again once signalled */
		completion_signal(&w->woken);
		w = next;
	}
}

void page_wait_bit(struct page *p, uint32_t bit)
{
	_Atomic(struct page_waiter *) *b = wait_bucket(p);
	while (atomic_load(&p->flags) & bit) {
		struct page_waiter w;
		completion_init(&w.woken);
		w.next = atomic_load(b);
		while (!atomic_compare_exchange_weak(b, &w.next, &w))
			;
		/* On the list first, then the flag: set while the bit is, it makes the one who
		 * clears the bit look at the list. */
		if (!(atomic_fetch_or(&p->flags, PG_WAITERS) & bit))
			wake_bucket(b);
		completion_wait(&w.woken);
	}
}

/* Clears a bit somebody may wait for. */
static void end_bit(struct page *p, uint32_t bit)
{
	_Atomic(struct page_waiter *) *b = wait_bucket(p);
	uint32_t old = atomic_fetch_and(&p->flags, ~(bit | PG_WAITERS));
	if (old & PG_WAITERS)
		wake_bucket(b);
}

bool page_trylock(struct page *p)
{
	return !(atomic_fetch_or(&p->flags, PG_LOCKED) & PG_LOCKED);
}

void page_lock(struct page *p)
{
	while (!page_trylock(p))
		page_wait_bit(p, PG_LOCKED);
}

void page_unlock(struct page *p)
{
	end_bit(p, PG_LOCKED);
}

void page_wait(struct page *p)
{
	page_wait_bit(p, PG_LOCKED);
}

void page_writeback_done(struct page *p)
{
	end_bit(p, PG_WRITEBACK);
}

void mapping_init(struct mapping *m, struct inode *inode, const struct mapping_ops *ops)
{
	memset(m, 0, sizeof(*m));
	m->inode = inode;
	m->ops = ops;
	list_init(&m->dirty_link);
	list_init(&m->vmas);
}

/* ---- Giving pages back after a grace period, many with one callback ---- */

static void release_chain(struct rcu_head *h)
{
	struct page *p = container_of((struct list *)h, struct page, link);
	while (p) {
		struct page *next = (struct page *)p->private;
		p->private = 0;
		if (atomic_load_explicit(&p->refs, memory_order_relaxed) == 0)
			atomic_store(&p->refs, 1); /* was frozen by the reclaimer */
		page_put(p);
		p = next;
	}
}

void page_batch_add(struct page_batch *b, struct page *p)
{
	p->private = (uint64_t)b->first;
	b->first = p;
	if (++b->n >= 512)
		page_batch_flush(b);
}

void page_batch_flush(struct page_batch *b)
{
	_Static_assert(
	    sizeof(struct rcu_head) <= sizeof(struct list), "callback fits the list link");
	if (b->first)
		rcu_defer((struct rcu_head *)&b->first->link, release_chain);
	b->first = NULL;
	b->n = 0;
}

/* ---- Lookup ---- */

/* Any page of the tree, referenced, whatever its state. */
static struct page *find_get(struct mapping *m, uint64_t index)
{
	struct page *p = radix_find(m, index);
	if (!p)
		return NULL;
	int n = atomic_load_explicit(&p->refs, memory_order_relaxed);
	while (n > 0)
		if (atomic_compare_exchange_weak_explicit(
			&p->refs, &n, n + 1, memory_order_acquire, memory_order_relaxed))
			return p;
	return NULL; /* frozen: on its way out */
}

static inline void mark_active(struct page *p)
{
	if (unlikely(!(atomic_load_explicit(&p->flags, memory_order_relaxed) & PG_ACTIVE)))
		atomic_fetch_or_explicit(&p->flags, PG_ACTIVE, memory_order_relaxed);
}

static inline bool up_to_date(const struct page *p)
{
	return atomic_load_explicit(&p->flags, memory_order_acquire) & PG_UPTODATE;
}

static inline struct mapping *backing_of(struct mapping *m, uint64_t index)
{
	return m->backing && index < atomic_load(&m->backing_pages) ? m->backing : NULL;
}

struct page *mapping_peek(struct mapping *m, uint64_t index)
{
	struct page *p = find_get(m, index);
	if (!p) {
		struct mapping *b = backing_of(m, index);
		return b ? mapping_peek(b, index) : NULL;
	}
	if (up_to_date(p)) {
		mark_active(p);
		return p;
	}
	page_put(p);
	return NULL;
}

/* ---- Filling ---- */

static void account(struct mapping *m, int64_t n)
{
	atomic_fetch_add(&m->npages, (uint64_t)n);
	_Atomic int64_t *what = mapping_in_memory(m) ? &memstats.shmem : &memstats.cached;
	atomic_fetch_add_explicit(what, n, memory_order_relaxed);
}

/* m->lock held; p has its flags. */
static int insert_locked(struct mapping *m, uint64_t index, struct page *p)
{
	bool limited = m->ops && m->ops->charge;
	if (limited && !m->ops->charge(m))
		return radix_find(m, index) ? -EEXIST : -ENOSPC;
	TRACE(cache_page_add, "mapping=%p index=%lu", m, index);
	p->mapping = m;
	p->index = index;
	int err = radix_insert(m, index, p);
	if (err) {
		p->mapping = NULL;
		if (limited)
			m->ops->uncharge(m);
	} else
		account(m, 1);
	return err;
}

/* A new page the tree shall own; not yet in it. */
static struct page *cache_page(unsigned flags)
{
	struct page *p = page_alloc(0, flags);
	if (p)
		p->private = 0;
	return p;
}

/* Starts reading missing pages from index on, at most n, stopping at the first that is there. 0 or
 * -errno if not even the first could be started. */
static int start_read(struct mapping *m, uint64_t index, unsigned n)
{
	struct page *page[BATCH];
	unsigned have = 0, in = 0;
	uint64_t end = (atomic_load(&m->inode->size) + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (n > BATCH)
		n = BATCH;
	if (index + n > end)
		n = end > index ? (unsigned)(end - index) : 1;
	while (have < n) {
		struct page *p = cache_page(have ? PAGE_NOWAIT : 0);
		if (!p)
			break;
		atomic_fetch_or(&p->flags, PG_CACHE | PG_LOCKED);
		page[have++] = p;
	}
	if (!have)
		return -ENOMEM;
	int err = 0;
	radix_stock_up();
	mutex_lock(&m->lock);
	while (in < have && !(err = insert_locked(m, index + in, page[in])))
		in++;
	mutex_unlock(&m->lock);
	while (have > in) {
		atomic_fetch_and(&page[--have]->flags, ~(uint32_t)(PG_CACHE | PG_LOCKED));
		page_put(page[have]);
	}
	if (!in)
		return err == -EEXIST ? 0 : err;
	return m->ops->read_pages(m, page, in);
}

void mapping_readahead(struct mapping *m, uint64_t index, unsigned n)
{
	while (n && !mapping_in_memory(m)) {
		unsigned there = 0;
		rcu_read_lock();
		while (there < n && radix_find(m, index + there))
			there++;
		rcu_read_unlock();
		index += there;
		n -= there;
		if (!n || index << PAGE_SHIFT >= atomic_load(&m->inode->size))
			return;
		unsigned now = n < BATCH ? n : BATCH;
		if (start_read(m, index, now))
			return;
		index += now;
		n -= now;
	}
	struct mapping *b = backing_of(m, index);
	if (n && b)
		mapping_readahead(b, index, n);
}

/* A referenced page of m that was not up to date: waits, and tries to read it once more if need be.
 * Takes over the reference. NULL: it left the tree meanwhile. */
static struct page *wait_filled(struct mapping *m, struct page *p)
{
	page_wait(p);
	if (up_to_date(p))
		return p;
	page_lock(p);
	if (p->mapping != m) {
		page_unlock(p);
		page_put(p);
		return NULL;
	}
	int err = 0;
	if (up_to_date(p))
		page_unlock(p);
	else if (mapping_in_memory(m)) {
		page_unlock(p);
		err = -EIO;
	} else {
		err = m->ops->read_pages(m, &p, 1);
		page_wait(p);
	}
	if (!err && up_to_date(p))
		return p;
	page_put(p);
	return err_ptr(err ? err : -EIO);
}

static struct page *add_zero_page(struct mapping *m, uint64_t index)
{
	struct page *p = cache_page(PAGE_ZERO);
	if (!p)
		return err_ptr(-ENOMEM);
	struct page *q = mapping_add(m, index, p, false);
	page_put(p);
	return q;
}

struct page *mapping_get(struct mapping *m, uint64_t index, unsigned readahead)
{
	for (;;) {
		struct page *p = find_get(m, index);
		if (likely(p)) {
			if (unlikely(!up_to_date(p)))
				p = wait_filled(m, p);
			if (!p)
				continue;
			if (!is_err(p))
				mark_active(p);
			return p;
		}
		struct mapping *b = backing_of(m, index);
		if (b)
			return mapping_get(b, index, readahead);
		if (mapping_in_memory(m))
			return add_zero_page(m, index);
		int err = start_read(m, index, 1 + readahead);
		if (err) {
			/* Reading ahead may have run into the bad spot: only our page counts. */
			p = find_get(m, index);
			if (!p)
				return err_ptr(err);
			if (!up_to_date(p))
				p = wait_filled(m, p);
			if (p)
				return p;
		}
	}
}

struct page *mapping_add(struct mapping *m, uint64_t index, struct page *p, bool dirty)
{
	page_get(p); /* the tree's */
	page_get(p); /* the caller's new one */
	atomic_fetch_or(&p->flags, PG_CACHE | PG_UPTODATE | PG_ACTIVE);
	struct page *there = NULL;
	int err;
	do {
		radix_stock_up();
		mutex_lock(&m->lock);
		err = insert_locked(m, index, p);
		if (err == -EEXIST)
			there = find_get(m, index);
		mutex_unlock(&m->lock);
	} while (err == -EEXIST && !there);
	if (err) {
		atomic_fetch_and(&p->flags, ~(uint32_t)(PG_CACHE | PG_UPTODATE | PG_ACTIVE));
		page_put(p);
		page_put(p);
		if (err != -EEXIST)
			return err_ptr(err);
		if (!up_to_date(there))
			there = wait_filled(m, there);
		if (!there)
			return mapping_add(m, index, p, dirty);
		return there;
	}
	if (dirty && (err = page_mark_dirty(p))) {
		page_put(p);
		mapping_truncate(m, index, index);
		return err_ptr(err);
	}
	return p;
}

/* Gives m its own copy of a page of its backing. */
static struct page *unshare(struct mapping *m, struct mapping *b, uint64_t index)
{
	struct page *old = mapping_get(b, index, 0);
	if (is_err(old))
		return old;
	struct page *p = cache_page(0);
	if (!p) {
		page_put(old);
		return err_ptr(-ENOMEM);
	}
	memcpy(page_virt(p), page_virt(old), PAGE_SIZE);
	struct page *q = mapping_add(m, index, p, true);
	page_put(p);
	page_put(old);
	if (is_err(q))
		return q;
	atomic_fetch_add(&m->zaps, 1);
	if (!list_empty(&m->vmas))
		mm_zap_mapping(m, index, index);
	return q;
}

struct page *mapping_get_dirty(struct mapping *m, uint64_t index)
{
	struct mapping *b = backing_of(m, index);
	if (b && !radix_find(m, index)) {
		struct page *p = unshare(m, b, index);
		if (is_err(p))
			return p;
		int err = page_mark_dirty(p);
		if (!err)
			return p;
		page_put(p);
		return err_ptr(err);
	}
	struct page *p = mapping_get(m, index, 0);
	if (is_err(p))
		return p;
	int err = page_mark_dirty(p);
	if (err) {
		page_put(p);
		return err_ptr(err);
	}
	return p;
}

/* ---- Holes ---- */

uint64_t mapping_next_data(struct mapping *m, uint64_t index, uint64_t limit)
{
	if (backing_of(m, index) || index >= limit)
		return index < limit ? index : limit;
	uint64_t at = index;
	mutex_lock(&m->lock);
	bool found = radix_next(m, &at, limit - 1, false);
	mutex_unlock(&m->lock);
	return found ? at : limit;
}

uint64_t mapping_next_hole(struct mapping *m, uint64_t index, uint64_t limit)
{
	uint64_t b = m->backing ? atomic_load(&m->backing_pages) : 0;
	if (index < b)
		index = b;
	mutex_lock(&m->lock);
	while (index < limit && radix_find(m, index))
		index++;
	mutex_unlock(&m->lock);
	return index < limit ? index : limit;
}

/* ---- Dropping ---- */

/* Takes locked page p out of its tree. m->lock held. The tree's reference is the caller's now. */
void page_detach(struct mapping *m, struct page *p)
{
	if (atomic_load(&p->flags) & PG_DIRTY)
		TRACE(drop_write_cached_page, "mapping=%p index=%lu", m, p->index);
	else
		TRACE(drop_read_cached_page, "mapping=%p index=%lu", m, p->index);
	radix_remove(m, p->index);
	account(m, -1);
	if (m->ops && m->ops->uncharge)
		m->ops->uncharge(m);
	if (atomic_load(&p->flags) & PG_DIRTY)
		page_forget_dirty(m, p);
	atomic_fetch_and(&p->flags, ~(uint32_t)PG_CACHE);
	p->mapping = NULL;
}

void mapping_truncate(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page_batch batch = {0};
	uint64_t at = first;

	if (last == UINT64_MAX && m->backing && first < atomic_load(&m->backing_pages))
		atomic_store(&m->backing_pages, first);
	for (;;) {
		mutex_lock(&m->lock);
		struct page *p = radix_next(m, &at, last, false);
		if (p)
			page_get(p); /* not frozen: that happens with the lock held only */
		mutex_unlock(&m->lock);
		if (!p)
			break;
		page_lock(p);
		page_wait_bit(p, PG_WRITEBACK);
		bool ours = false;
		mutex_lock(&m->lock);
		if (p->mapping == m) {
			page_detach(m, p);
			ours = true;
		}
		mutex_unlock(&m->lock);
		page_unlock(p);
		page_put(p);
		if (ours)
			page_batch_add(&batch, p);
		if (at == last)
			break;
		at++;
	}
	atomic_fetch_add(&m->zaps, 1);
	if (!list_empty(&m->vmas))
		mm_zap_mapping(m, first, last);
	page_batch_flush(&batch);
}

void mapping_destroy(struct mapping *m)
{
	if (atomic_load(&m->npages))
		mapping_truncate(m, 0, UINT64_MAX);
	mapping_forget(m);
}
