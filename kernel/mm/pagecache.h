/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one page cache: the pages of one inode, by page offset. read/write, mmap and sendfile all use
 * these pages. A page under I/O is PG_LOCKED; who needs it sleeps until it is not. Dirty pages are
 * written back by a kernel thread, by fsync and by the reclaimer.
 */
#pragma once

#include "mm/page.h"
#include "sched/sync.h"

struct inode;
struct mapping;

struct mapping_ops {
	/* Fills n locked pages of consecutive offsets (starting at pages[0]->index), marks each
	 * PG_UPTODATE and unlocks it with page_unlock(), now or from a completion. 0 or -errno
	 * (then all are unlocked and not up to date). NULL: pages start as zeroes (ramfs). */
	int (*read_pages)(struct mapping *m, struct page **pages, unsigned n);
	/* Writes n dirty pages marked PG_WRITEBACK; calls page_end_writeback(page, err) for each.
	 * NULL: the cache is the only copy; pages are never reclaimed. */
	int (*write_pages)(struct mapping *m, struct page **pages, unsigned n);
	/* Reserves what a page needs before it may become dirty; 0 or -ENOSPC and friends. May be
	 * NULL. */
	int (*prepare_dirty)(struct mapping *m, uint64_t index);
	/* Pages that exist in memory only count against a limit: charge says whether there is room
	 * for one more; uncharge gives one back. Both or neither. Called with the tree locked. */
	bool (*charge)(struct mapping *m);
	void (*uncharge)(struct mapping *m);
};

/*
 * Lookups walk the tree under RCU without a lock; the tree's own reference of a page is dropped a
 * grace period after the page left the tree, so a page found there can simply be referenced.
 *
 * A mapping may have a backing: the mapping of a file in a read-only layer below. Pages this
 * mapping does not have (below backing_pages) are the backing's own pages, shared until somebody
 * writes: the writer calls mapping_get_dirty(), which puts a copy into this mapping and removes the
 * shared page from page tables.
 */
struct mapping {
	struct inode *inode;
	const struct mapping_ops *ops;
	void *root; /* radix tree */
	unsigned height;
	struct mutex lock; /* changes of the tree */
	struct mapping *backing;
	_Atomic uint64_t backing_pages;
	/* Counts removals of pages from page tables. Who installs a page-table entry reads it
	 * before the lookup and again after: changed means take the entry back and look again. */
	_Atomic uint64_t zaps;
	_Atomic uint64_t npages, ndirty;
	struct list dirty_link;
	struct list vmas; /* areas that map it (kept by mm/) */
	struct mutex vmas_lock;
	_Atomic int write_error; /* sequence and -errno of failed write-backs, for fsync */
};

/* Whether the cache is the only place of the contents. */
static inline bool mapping_in_memory(const struct mapping *m)
{
	return !m->ops || !m->ops->read_pages;
}
void mapping_init(struct mapping *m, struct inode *inode, const struct mapping_ops *ops);
/* Referenced and up to date page, reading it (and some ahead, if ra says how many may be wanted)
 * when missing; err_ptr(-EIO, -ENOMEM). May sleep for I/O; hold no locks that I/O needs. */
struct page *mapping_get(struct mapping *m, uint64_t index, unsigned readahead);
/* For whoever is about to change the page, or map it writable and shared: unshared from a backing
 * and marked dirty. Referenced, up to date page or err_ptr(). */
struct page *mapping_get_dirty(struct mapping *m, uint64_t index);
/* Puts a page of the caller's, filled, at index, dirty if so wanted, unless there is one already.
 * Returns the page now there, referenced (the caller's own reference to `p` stays), or err_ptr().
 */
struct page *mapping_add(struct mapping *m, uint64_t index, struct page *p, bool dirty);
/* Starts reading up to n missing pages from index on; does not wait. */
void mapping_readahead(struct mapping *m, uint64_t index, unsigned n);
/* Referenced page if cached and up to date, else NULL. Never sleeps for I/O. */
struct page *mapping_peek(struct mapping *m, uint64_t index);
/* Index of the first page at or after `index` that the mapping holds (data), or of the first it
 * does not (hole), for SEEK_DATA and SEEK_HOLE of memory files; at most limit. */
uint64_t mapping_next_data(struct mapping *m, uint64_t index, uint64_t limit);
uint64_t mapping_next_hole(struct mapping *m, uint64_t index, uint64_t limit);
void page_lock(struct page *p);
bool page_trylock(struct page *p);
void page_unlock(struct page *p);		  /* any context */
void page_wait(struct page *p);			  /* until not PG_LOCKED */
int page_mark_dirty(struct page *p);		  /* 0 or -errno of prepare_dirty */
void page_end_writeback(struct page *p, int err); /* any context */
/* Blocks a writer that made too much of memory dirty until write-back caught up. */
void dirty_throttle(void);
/* Writes back dirty pages in [first, last] and waits; 0 or the first error. */
int mapping_sync(struct mapping *m, uint64_t first, uint64_t last);
/* Drops pages in [first, last] (after zapping them from page tables). */
void mapping_truncate(struct mapping *m, uint64_t first, uint64_t last);
void mapping_destroy(struct mapping *m); /* inode goes: all pages dropped, dirty or not */
/* Writes back whatever is dirty anywhere (sync()); does not wait for the writes. */
int vfs_flush_all(void);
void pagecache_init(void);
/* Starts the write-back thread; vfs_init() does. */
void writeback_start(void);
