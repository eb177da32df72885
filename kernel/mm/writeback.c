/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty pages: marking, writing back, keeping their share of memory bounded; and the reclaimer,
 * which takes clean pages of files back.
 *
 * The reclaimer is a clock (Corbató 1968) over all of physical memory: pages have no lists to be
 * kept in, so the paths that read pages touch no shared state but the page itself.
 *
 * A page under write-back is not writable in any page table and stays in the tree until the write
 * is done.
 */
#include <asm/errno.h>
#include "core/log.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/cache_internal.h"
#include "mm/mm.h"
#include "mm/radix.h"
#include "sched/thread.h"

#define BATCH 64u
#define FLUSH_INTERVAL (5 * NSEC_PER_SEC)
#define DIRTY_BACKGROUND 10 /* percent of memory where write-back starts */
#define DIRTY_LIMIT 20	    /* percent of memory where writers wait */
#define RECLAIM_AT_ONCE 512 /* pages: a grace period each time is too dear for less */

static struct mutex dirty_lock;
static struct list dirty_mappings = LIST_INIT(dirty_mappings);
static struct waitq flusher_wait, throttled;
static bool flush_now;
static struct thread *flusher_thread;

static bool has_store(const struct mapping *m)
{
	return m->ops && m->ops->write_pages;
}

static uint64_t dirty_pages(void)
{
	return (uint64_t)(atomic_load(&memstats.dirty) + atomic_load(&memstats.writeback));
}

static bool dirty_above(unsigned percent)
{
	return dirty_pages() > memstats.total * percent / 100;
}

static void wake_flusher(void)
{
	mutex_lock(&dirty_lock);
	flush_now = true;
	waitq_wake_all(&flusher_wait);
	mutex_unlock(&dirty_lock);
}

int page_mark_dirty(struct page *p)
{
	struct mapping *m = p->mapping;
	if (!m || !has_store(m) || (atomic_load(&p->flags) & PG_DIRTY))
		return 0;
	if (m->ops->prepare_dirty) {
		int err = m->ops->prepare_dirty(m, p->index);
		if (err)
			return err;
	}
	bool first = false;
	mutex_lock(&m->lock);
	if (p->mapping == m && !(atomic_fetch_or(&p->flags, PG_DIRTY) & PG_DIRTY)) {
		radix_set_dirty(m, p->index, true);
		first = atomic_fetch_add(&m->ndirty, 1) == 0;
		atomic_fetch_add(&memstats.dirty, 1);
	}
	mutex_unlock(&m->lock);
	if (first) {
		mutex_lock(&dirty_lock);
		bool sleeping = list_empty(&dirty_mappings);
		if (list_empty(&m->dirty_link))
			list_append(&dirty_mappings, &m->dirty_link);
		if (sleeping)
			waitq_wake_all(&flusher_wait);
		mutex_unlock(&dirty_lock);
	}
	return 0;
}

/* m->lock held. */
static void clear_dirty(struct mapping *m, struct page *p)
{
	if (atomic_fetch_and(&p->flags, ~(uint32_t)PG_DIRTY) & PG_DIRTY) {
		radix_set_dirty(m, p->index, false);
		atomic_fetch_sub(&m->ndirty, 1);
		atomic_fetch_sub(&memstats.dirty, 1);
	}
}

void page_forget_dirty(struct mapping *m, struct page *p)
{
	if (atomic_fetch_and(&p->flags, ~(uint32_t)PG_DIRTY) & PG_DIRTY) {
		atomic_fetch_sub(&m->ndirty, 1);
		atomic_fetch_sub(&memstats.dirty, 1);
	}
}

void mapping_forget(struct mapping *m)
{
	if (!has_store(m))
		return;
	mutex_lock(&dirty_lock);
	list_remove(&m->dirty_link);
	mutex_unlock(&dirty_lock);
}

void page_end_writeback(struct page *p, int err)
{
	if (err) {
		struct mapping *m = p->mapping;
		int old = atomic_load(&m->write_error), new;
		do /* a new number for each failure, so that every open file can see it once */
			new = (int)(((unsigned)(old >> 12) + 1) % 0x7ffff) << 12 | -err;
		while (!atomic_compare_exchange_weak(&m->write_error, &old, new));
		atomic_fetch_or(&p->flags, PG_ERROR);
	}
	atomic_fetch_sub(&memstats.writeback, 1);
	page_writeback_done(p);
}

/* The next dirty pages with consecutive indices from *at on, referenced; *at moves behind them. */
static unsigned next_run(struct mapping *m, uint64_t *at, uint64_t last, struct page **page)
{
	unsigned n = 0;
	mutex_lock(&m->lock);
	while (n < BATCH) {
		uint64_t index = *at;
		struct page *p = radix_next(m, &index, n ? *at : last, true);
		if (!p)
			break;
		page_get(p);
		page[n++] = p;
		*at = index + 1;
		if (index == last || !*at)
			break;
	}
	mutex_unlock(&m->lock);
	return n;
}

/* Turns the dirty one of the pages, locked in turn, into pages under write-back; compacts the
 * array. */
static unsigned begin_writeback(struct mapping *m, struct page **page, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct page *p = page[i];
		page_lock(p);
		page_wait_bit(p, PG_WRITEBACK);
		bool write = false;
		mutex_lock(&m->lock);
		if (p->mapping == m && (atomic_load(&p->flags) & PG_DIRTY)) {
			atomic_fetch_or(&p->flags, PG_WRITEBACK);
			atomic_fetch_add(&memstats.writeback, 1);
			clear_dirty(m, p);
			write = true;
		}
		mutex_unlock(&m->lock);
		if (write && !list_empty(&m->vmas)) {
			/* The next store of an application faults and marks it dirty again. */
			atomic_fetch_add(&m->zaps, 1);
			mm_zap_mapping(m, p->index, p->index);
		}
		page_unlock(p);
		if (write)
			page[kept++] = p;
		else
			page_put(p);
	}
	return kept;
}

/* Starts writing the dirty pages of a range. */
static int start_writes(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page *page[BATCH];
	uint64_t at = first;
	unsigned n;
	int err = 0;

	while ((n = next_run(m, &at, last, page))) {
		n = begin_writeback(m, page, n);
		for (unsigned from = 0, to; from < n; from = to) {
			for (to = from + 1; to < n && page[to]->index == page[to - 1]->index + 1;)
				to++;
			int e = m->ops->write_pages(m, page + from, to - from);
			err = err ? err : e;
		}
		while (n)
			page_put(page[--n]);
		if (!at || at > last)
			break;
	}
	return err;
}

static void wait_writes(struct mapping *m, uint64_t first, uint64_t last)
{
	for (uint64_t at = first;; at++) {
		mutex_lock(&m->lock);
		struct page *p;
		while ((p = radix_next(m, &at, last, false)) &&
		       !(atomic_load(&p->flags) & PG_WRITEBACK) && at < last)
			at++;
		if (p)
			page_get(p);
		mutex_unlock(&m->lock);
		if (!p)
			return;
		page_wait_bit(p, PG_WRITEBACK);
		page_put(p);
		if (at == last)
			return;
	}
}

int mapping_sync(struct mapping *m, uint64_t first, uint64_t last)
{
	if (!has_store(m))
		return 0;
	int before = atomic_load(&m->write_error);
	int err = start_writes(m, first, last);
	wait_writes(m, first, last);
	int after = atomic_load(&m->write_error);
	return err ? err : after != before ? -(after & 0xfff) : 0;
}

void dirty_throttle(void)
{
	if (likely(!dirty_above(DIRTY_BACKGROUND)))
		return;
	wake_flusher();
	mutex_lock(&dirty_lock);
	while (dirty_above(DIRTY_LIMIT) && !kill_pending()) {
		flush_now = true;
		waitq_wake_all(&flusher_wait);
		waitq_wait(&throttled, &dirty_lock, time_now() + NSEC_PER_SEC / 10, WAIT_KILLABLE);
	}
	mutex_unlock(&dirty_lock);
}

static bool inode_try_get(struct inode *i)
{
	int n = atomic_load(&i->refs);
	while (n > 0)
		if (atomic_compare_exchange_weak(&i->refs, &n, n + 1))
			return true;
	return false;
}

/* Writes back each dirty mapping once. dirty_lock held on entry and exit. */
static void flush_all(void)
{
	struct list turn = LIST_INIT(turn);
	list_splice(&turn, &dirty_mappings);
	while (!list_empty(&turn)) {
		struct mapping *m = list_first(&turn, struct mapping, dirty_link);
		list_remove(&m->dirty_link);
		if (!inode_try_get(m->inode))
			continue; /* its end drops the pages */
		mutex_unlock(&dirty_lock);
		start_writes(m, 0, UINT64_MAX);
		mutex_lock(&dirty_lock);
		if (atomic_load(&m->ndirty) && list_empty(&m->dirty_link))
			list_append(&dirty_mappings, &m->dirty_link);
		mutex_unlock(&dirty_lock);
		inode_put(m->inode);
		mutex_lock(&dirty_lock);
		waitq_wake_all(&throttled);
	}
}

static void flusher(void *arg)
{
	(void)arg;
	mutex_lock(&dirty_lock);
	for (;;) {
		bool any = !list_empty(&dirty_mappings);
		if (!flush_now) {
			/* The first dirty page wakes us; then it gets some time to be changed
			 * again. */
			int64_t until = any ? time_now() + FLUSH_INTERVAL : NO_DEADLINE;
			if (waitq_wait(&flusher_wait, &dirty_lock, until, 0) != -ETIMEDOUT)
				continue;
		}
		flush_now = false;
		flush_all();
		waitq_wake_all(&throttled);
	}
}

int vfs_flush_all(void)
{
	mutex_lock(&dirty_lock);
	flush_all();
	mutex_unlock(&dirty_lock);
	return 0;
}

/* ---- Reclaim ---- */

static uint64_t clock_hand;

/* Whether p is a page of a file that can be read again, and was not used lately. RCU. */
static bool reclaimable(struct page *p)
{
	uint32_t f = atomic_load_explicit(&p->flags, memory_order_relaxed);
	if (!(f & PG_CACHE) || (f & (PG_LOCKED | PG_DIRTY | PG_WRITEBACK)) || !(f & PG_UPTODATE))
		return false;
	if (f & PG_ACTIVE) {
		atomic_fetch_and_explicit(&p->flags, ~(uint32_t)PG_ACTIVE, memory_order_relaxed);
		return false;
	}
	return true;
}

/* Tries to take one page out of its file. */
static bool evict(struct page *p, struct page_batch *batch)
{
	bool freed = false;
	/* PG_CACHE was seen in this RCU section, so the tree's reference is not given back yet. */
	page_get(p);
	if (!page_trylock(p)) {
		page_put(p);
		return false;
	}
	struct mapping *m = p->mapping;
	if (m && m->ops && m->ops->read_pages) {
		if (atomic_load(&p->mapcount) && !list_empty(&m->vmas)) {
			atomic_fetch_add(&m->zaps, 1);
			mm_zap_mapping(m, p->index, p->index);
		}
		/* Whoever wants memory may be changing this very tree. */
		if (mutex_trylock(&m->lock)) {
			int two = 2; /* the tree's and ours: freeze it, and no lookup can get it any
					more */
			uint32_t busy = atomic_load(&p->flags) & (PG_DIRTY | PG_WRITEBACK);
			if (!busy && atomic_compare_exchange_strong(&p->refs, &two, 0)) {
				page_detach(m, p);
				freed = true;
			}
			mutex_unlock(&m->lock);
		}
	}
	page_unlock(p);
	if (freed)
		page_batch_add(batch, p);
	else
		page_put(p);
	return freed;
}

/* The clock goes round, twice at most: the first time it takes the marks of use away. */
static size_t scan(size_t n)
{
	struct page_batch batch = {0};
	size_t freed = 0;

	for (uint64_t looked = 0; looked < 2 * page_count && freed < n; looked++) {
		uint64_t at = __atomic_fetch_add(&clock_hand, 1, __ATOMIC_RELAXED) % page_count;
		struct page *p = &page_array[at];
		rcu_read_lock();
		if (reclaimable(p) && evict(p, &batch))
			freed++;
		rcu_read_unlock();
		if (!(looked & 4095))
			preempt_point();
	}
	TRACE(access_scanner, "wanted=%lu freed=%lu", n, freed);
	page_batch_flush(&batch);
	if (freed)
		rcu_synchronize();
	return freed;
}

static size_t cache_reclaim(size_t n)
{
	size_t freed = 0;

	if (n < RECLAIM_AT_ONCE)
		n = RECLAIM_AT_ONCE;
	for (int tries = 0; tries < 10 && !freed && atomic_load(&memstats.cached); tries++) {
		freed = scan(n);
		if (freed || !dirty_pages() || current_thread() == flusher_thread)
			break;
		/* All of it dirty: nothing to gain before some is written. */
		mutex_lock(&dirty_lock);
		flush_now = true;
		waitq_wake_all(&flusher_wait);
		waitq_wait(&throttled, &dirty_lock, time_now() + 50 * NSEC_PER_MSEC, 0);
		mutex_unlock(&dirty_lock);
	}
	if (freed < n && atomic_load(&memstats.dirty) && current_thread() != flusher_thread)
		wake_flusher();
	return freed;
}

static struct reclaimer cache_reclaimer = {.reclaim = cache_reclaim};

void pagecache_init(void)
{
	waitq_init(&flusher_wait);
	waitq_init(&throttled);
	reclaimer_register(&cache_reclaimer);
}

void writeback_start(void)
{
	flusher_thread = kthread_create("writeback", flusher, NULL);
	if (!flusher_thread)
		panic("no memory for the write-back thread");
}
