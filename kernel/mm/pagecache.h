/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one page cache: the pages of one inode, by page offset. read/write, mmap and sendfile all use these
 * pages. A page under I/O is PG_LOCKED; who needs it sleeps until it is not. Dirty pages are written back
 * by a kernel thread, by fsync and by the reclaimer.
 */
#pragma once

#include "mm/page.h"
#include "sched/sync.h"

struct inode;
struct mapping;

struct mapping_ops {
	/* Fills n locked pages of consecutive offsets (starting at pages[0]->index), marks each PG_UPTODATE
	 * and unlocks it with page_unlock(), now or from a completion. 0 or -errno (then all are unlocked and
	 * not up to date). NULL: pages start as zeroes (ramfs). */
	int (*read_pages)(struct mapping *m, struct page **pages, unsigned n);
	/* Writes n dirty pages marked PG_WRITEBACK; calls page_end_writeback(page, err) for each. NULL: the cache is
	 * the only copy; pages are never reclaimed. */
	int (*write_pages)(struct mapping *m, struct page **pages, unsigned n);
	/* Reserves what a page needs before it may become dirty; 0 or -ENOSPC and friends. May be NULL. */
	int (*prepare_dirty)(struct mapping *m, uint64_t index);
};

struct mapping {
	struct inode *inode;
	const struct mapping_ops *ops;
	void *root; /* radix tree */
	unsigned height;
	struct mutex lock; /* the tree */
	_Atomic uint64_t npages, ndirty;
	struct list dirty_link;
	struct list vmas;	/* areas that map it (kept by mm/) */
	struct mutex vmas_lock;
	_Atomic int write_error; /* sequence and -errno of failed write-backs, for fsync */
};

void mapping_init(struct mapping *m, struct inode *inode, const struct mapping_ops *ops);
/* Referenced and up to date page, reading it (and some ahead, if ra says how many may be wanted) when
 * missing; err_ptr(-EIO, -ENOMEM). May sleep for I/O; hold no locks that I/O needs. */
struct page *mapping_get(struct mapping *m, uint64_t index, unsigned readahead);
/* Referenced page if cached and up to date, else NULL. Never sleeps for I/O. */
struct page *mapping_peek(struct mapping *m, uint64_t index);
/* For a write that covers the whole page: no need to read it first. Returned locked and referenced. */
struct page *mapping_grab(struct mapping *m, uint64_t index);
void page_lock(struct page *p);
void page_unlock(struct page *p);
void page_wait(struct page *p); /* until not PG_LOCKED */
int page_mark_dirty(struct page *p); /* 0 or -errno of prepare_dirty */
void page_end_writeback(struct page *p, int err);
/* Writes back dirty pages in [first, last] and waits; 0 or the first error. */
int mapping_sync(struct mapping *m, uint64_t first, uint64_t last);
/* Drops pages in [first, last] (after zapping them from page tables). */
void mapping_truncate(struct mapping *m, uint64_t first, uint64_t last);
void mapping_destroy(struct mapping *m); /* inode goes: all pages dropped, dirty or not */
void pagecache_init(void);
