/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The application half of the page tables (four levels, 4 KiB and 2 MiB pages).
 *
 * Who may do what: entries go from empty to filled by compare-and-exchange with mm->lock held for
 * reading (faults), and change or vanish by atomic operations either with mm->lock held for writing
 * or, for file areas, with mapping->vmas_lock held (truncation, write-back). A table page is freed
 * only with mm->lock held for writing and only where no area is left, so a walker that holds either
 * lock inside an area is safe.
 *
 * A page whose area is PROT_NONE keeps its entry: not present, PTE_NONE set. The vDSO, the zero
 * page and device memory are not reference-counted (PG_RESERVED, or no struct page at all).
 */
#pragma once

#include <stdatomic.h>
#include "mm/mm.h"

typedef _Atomic uint64_t pte_t;

#define PTE_P 0x1ull
#define PTE_W 0x2ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_PS 0x80ull
#define PTE_NONE 0x200ull /* software: holds a page although nobody may access it */
#define PTE_FILE                                                                                   \
	0x400ull /* software: the page belongs to an object (file, shared memory), not to the area \
		  */
#define PTE_NX (1ull << 63)
#define PTE_PHYS 0x000ffffffffff000ull

enum { PT_LEVEL_PAGE = 1, PT_LEVEL_HUGE = 2 };

/* Builds an entry for a page with the area's PROT_* bits; writable: the W bit may be set if prot
 * allows. */
uint64_t pte_make(uint64_t phys, unsigned prot, bool writable);
/* The struct page of an entry if the page is reference-counted, else NULL. */
struct page *pte_page(uint64_t entry);

/* The entry for addr in the table of 4 KiB pages (PT_LEVEL_PAGE) or of 2 MiB pages (PT_LEVEL_HUGE).
 * Missing tables are made if alloc. NULL: a table is missing (or no memory), or a 2 MiB page is in
 * the way. */
pte_t *pt_entry(struct mm *m, uint64_t addr, unsigned level, bool alloc);
/* The filled leaf entry of either size that translates addr, or NULL; *level says which. */
pte_t *pt_leaf(struct mm *m, uint64_t addr, unsigned *level);

/* Pages on their way out: collected, freed after every CPU forgot their translations. */
struct pt_gather {
	struct mm *mm;
	uint64_t start, end; /* to be flushed; empty if end == 0 */
	bool tables, dying;  /* table pages among them; nobody has the tables loaded */
	unsigned n;
	int64_t anon, file; /* pages that left, for the resident-set counters */
	struct page *page[64];
};
void pt_gather_init(struct pt_gather *g, struct mm *m);
/* Flushes TLBs and frees what was collected. */
void pt_gather_finish(struct pt_gather *g);
/* Removes all pages in [start, end); 2 MiB pages lie inside entirely (see pt_split_at). cache_only:
 * leave private copies alone. */
void pt_unmap(struct pt_gather *g, uint64_t start, uint64_t end, bool cache_only);
/* Frees the tables whose whole span lies in [floor, ceiling), where no page is mapped. */
void pt_free_tables(struct pt_gather *g, uint64_t floor, uint64_t ceiling);

/* If a 2 MiB page crosses addr, replaces it by 512 small ones. mm->lock for writing. 0 or -ENOMEM.
 */
int pt_split_at(struct mm *m, uint64_t addr);
/* Splits every 2 MiB page in [start, end). */
int pt_split_range(struct mm *m, uint64_t start, uint64_t end);
/* Applies new PROT_* bits to [start, end) and flushes. Write permission comes back by faulting,
 * except for pages that private areas own alone. */
void pt_protect(struct mm *m, uint64_t start, uint64_t end, unsigned prot, bool private);
/* Takes write permission from page-cache pages in [start, end) and flushes. */
void pt_wrprotect(struct mm *m, uint64_t start, uint64_t end);
/* fork(): gives dst the pages of src in [start, end); private ones become read-only in both. 2 MiB
 * pages must have been split. The caller flushes src. 0 or -ENOMEM. */
int pt_copy(struct mm *dst, struct mm *src, uint64_t start, uint64_t end, bool private);
/* mremap(): moves the entries of [from, from+len) to `to`; to's range is empty. 0 or -ENOMEM
 * (nothing lost: what was not moved stays). *moved: bytes moved. */
int pt_move(struct mm *m, uint64_t from, uint64_t to, uint64_t len, uint64_t *moved);
/* Calls fn for each filled leaf in [start, end). */
void pt_for_each(struct mm *m, uint64_t start, uint64_t end,
    void (*fn)(pte_t *e, uint64_t addr, unsigned level, void *ctx), void *ctx);

/* A top table that shares the kernel half; NULL without memory. */
uint64_t *pt_new_top(void);
void pt_free_top(uint64_t *top);
