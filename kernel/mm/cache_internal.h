/* SPDX-License-Identifier: BSD-3-Clause */
/* What pagecache.c and writeback.c share. */
#pragma once

#include "mm/pagecache.h"

/* Pages on their way back to the allocator, after a grace period. Chained by page->private. */
struct page_batch {
	struct page *first;
	unsigned n;
};
void page_batch_add(struct page_batch *b, struct page *p);
void page_batch_flush(struct page_batch *b);

/* Sleeps until `bit` of p's flags is clear. */
void page_wait_bit(struct page *p, uint32_t bit);
/* Ends PG_WRITEBACK and wakes. Any context. */
void page_writeback_done(struct page *p);
/* Takes a locked page out of its tree, m->lock held; the tree's reference goes to the caller. */
void page_detach(struct mapping *m, struct page *p);
/* A dirty page leaves the tree unwritten. m->lock held. */
void page_forget_dirty(struct mapping *m, struct page *p);
/* The mapping goes away: leaves the list of dirty ones. */
void mapping_forget(struct mapping *m);
