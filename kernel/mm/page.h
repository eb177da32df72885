/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical pages: a buddy allocator with per-CPU caches of single pages, and one struct page for
 * each 4 KiB of RAM. All RAM is mapped at DIRECT_MAP (2 MiB pages), so a page's kernel address is
 * arithmetic.
 */
#pragma once

#include <stdatomic.h>
#include "lib/list.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define HUGE_SIZE (2ul << 20)
#define MAX_ORDER 10 /* 4 MiB blocks */

#define DIRECT_MAP 0xffff888000000000ul
#define KERNEL_BASE 0xffffffff80000000ul
#define VMAP_BASE 0xffffc90000000000ul /* kernel stacks with guard pages, MMIO */
#define USER_END 0x00007ffffffff000ul  /* first address no application may map */

enum page_flags {
	PG_BUDDY = 1, /* free, head of a block */
	PG_SLAB = 2,
	PG_CACHE = 4, /* belongs to a mapping */
	PG_UPTODATE = 8,
	PG_DIRTY = 16,
	PG_WRITEBACK = 32,
	PG_LOCKED = 64,	   /* being read or truncated; see mm/pagecache.h */
	PG_RESERVED = 128, /* never given out: kernel image, firmware */
	PG_ACTIVE = 256,   /* referenced since the reclaimer last looked */
	PG_LARGE = 512,	   /* kmalloc() of whole pages: order in ->order */
	PG_ERROR = 1024,   /* the last write-back failed */
	PG_HUGE = 2048,	   /* head of a 2 MiB application page */
	PG_WAITERS = 4096, /* somebody may wait for PG_LOCKED or PG_WRITEBACK to end */
};

struct page {
	_Atomic uint32_t flags;
	_Atomic int refs;
	union {
		struct list link; /* buddy free list, slab list, LRU */
		struct {
			struct page *next_free;
			void *owner;
		};
	};
	struct mapping *mapping; /* PG_CACHE */
	uint64_t index;		 /* PG_CACHE: page offset in the file */
	_Atomic int mapcount;	 /* application page-table entries that point here */
	uint8_t order;
	uint8_t pad[3];
	uint64_t private;
};

enum alloc_flags {
	PAGE_ZERO = 1,
	PAGE_NOWAIT = 2,   /* fail rather than reclaim or sleep */
	PAGE_OPTIONAL = 8, /* fail rather than reclaim; may sleep for the allocator's lock */
	PAGE_RESERVE = 4,  /* may use the reserve: the reclaim path itself */
};

extern struct page *page_array; /* indexed by page frame number */
extern uint64_t page_count;	/* length of page_array */

static inline uint64_t page_pfn(const struct page *p)
{
	return (uint64_t)(p - page_array);
}
static inline uint64_t page_phys(const struct page *p)
{
	return page_pfn(p) << PAGE_SHIFT;
}
static inline void *phys_virt(uint64_t phys)
{
	return (void *)(DIRECT_MAP + phys);
}
static inline void *page_virt(const struct page *p)
{
	return phys_virt(page_phys(p));
}
/* For addresses in the direct map only. */
static inline uint64_t virt_phys(const void *v)
{
	return (uint64_t)v - DIRECT_MAP;
}
static inline struct page *virt_page(const void *v)
{
	return page_array + (virt_phys(v) >> PAGE_SHIFT);
}
static inline struct page *phys_page(uint64_t phys)
{
	return page_array + (phys >> PAGE_SHIFT);
}

/* 2^order contiguous pages with one reference on the first, or NULL. Thread context (with
 * PAGE_NOWAIT also interrupt context, order 0, from this CPU's cache). */
struct page *page_alloc(unsigned order, unsigned flags);
/* Gives back a block whose reference count the caller owns entirely. */
void page_free(struct page *p, unsigned order);
static inline void page_get(struct page *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}
/* Drops one reference; the last frees (block of p->order). */
void page_put(struct page *p);

struct memory_stats {
	uint64_t total, free, reserved; /* pages */
	_Atomic int64_t cached, anon, slab, kstack, pagetables, dirty, writeback, shmem, mapped;
};
extern struct memory_stats memstats;
uint64_t pages_free(void);

/* Registers a function that frees memory when it runs short: asked for n pages, returns how many it
 * freed. Called in thread context without locks. */
struct reclaimer {
	struct list link;
	size_t (*reclaim)(size_t n);
};
void reclaimer_register(struct reclaimer *r);

/* Maps device memory uncached; never fails at boot, panics when address space is exhausted. */
volatile void *mmio_map(uint64_t phys, size_t size);

void page_init(void);
