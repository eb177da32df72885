/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical memory. At boot: find RAM, map all of it at DIRECT_MAP, put the page array behind the
 * kernel, free the rest into the buddy lists. Afterwards: blocks of 2^order pages from the lists
 * under a mutex, single pages from a per-CPU cache with interrupts off (so interrupt handlers may
 * take from it).
 */
#include "mm/page.h"
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "sched/sync.h"

#define CACHE_BATCH 32
#define CACHE_MAX 128

struct page *page_array;
uint64_t page_count;
struct memory_stats memstats;

static struct list free_lists[MAX_ORDER + 1];
static uint64_t free_pages; /* in the lists */
static uint64_t reserve_pages;
static struct mutex buddy_lock;
static struct list reclaimers = LIST_INIT(reclaimers);

struct page_cache {
	struct page *first;
	unsigned n;
} __attribute__((aligned(CACHE_LINE)));
static struct page_cache caches[MAX_CPUS];

extern char kernel_end[];
static uint64_t early_next, early_end; /* physical, for tables before the buddy allocator is up */

/* --- boot --- */

static void *early_page(void)
{
	if (early_next + PAGE_SIZE > early_end)
		panic("too little memory: %lu KiB of RAM are not enough to start", early_end >> 10);
	void *p = phys_virt(early_next);
	early_next += PAGE_SIZE;
	memset(p, 0, PAGE_SIZE);
	return p;
}

/* Table pages for kmap.c: early ones before the allocator runs. */
void *kmap_table_page(void);
void *kmap_table_page(void)
{
	if (!page_array)
		return early_page();
	struct page *p = page_alloc(0, PAGE_ZERO | PAGE_RESERVE);
	if (!p)
		return NULL;
	atomic_fetch_add(&memstats.pagetables, 1);
	return page_virt(p);
}

static uint64_t kernel_end_phys(void)
{
	return (uint64_t)kernel_end - KERNEL_BASE;
}

/* The RAM range that holds the kernel gives the early pages. */
static void find_early_range(void)
{
	uint64_t end = ALIGN_UP(kernel_end_phys(), PAGE_SIZE);

	for (unsigned i = 0; i < bootinfo.nranges; i++) {
		struct boot_range *r = &bootinfo.range[i];
		if (r->type == BOOT_RAM && r->start < end && r->start + r->size > end) {
			early_next = end;
			early_end = MIN(r->start + r->size, 1ull << 30) & PAGE_MASK;
			return;
		}
	}
	panic("the memory map has no RAM where the kernel was loaded");
}

/* The direct map: 2 MiB pages over everything up to the last byte of RAM, not executable. */
static void map_direct(uint64_t top)
{
	const uint64_t flags = 0x83 | 0x100 | 1ull << 63;

	for (uint64_t a = 0; a < top; a += 1ull << 30) {
		uint64_t va = DIRECT_MAP + a;
		uint64_t *l4 = &kernel_pml4[va >> 39 & 511];
		if (!(*l4 & 1) || a == 0) { /* the boot tables share theirs with the identity map */
			uint64_t *fresh = early_page();
			if (a == 0) /* keep what is mapped until the first GiB is in place */
				fresh[0] = *(uint64_t *)phys_virt(*l4 & 0xffffffffff000);
			*l4 = virt_phys(fresh) | 3;
		}
		uint64_t *pdpt = phys_virt(*l4 & 0xffffffffff000);
		uint64_t *pd = early_page();
		for (unsigned i = 0; i < 512; i++)
			pd[i] = (a + i * HUGE_SIZE) | flags;
		pdpt[va >> 30 & 511] = virt_phys(pd) | 3;
	}
	write_cr3(read_cr3());
}

static uint64_t ram_top(void)
{
	uint64_t top = 0;

	for (unsigned i = 0; i < bootinfo.nranges; i++) {
		struct boot_range *r = &bootinfo.range[i];
		if (r->type == BOOT_RAM && r->start + r->size > top)
			top = r->start + r->size;
	}
	return top & PAGE_MASK;
}

/* Room for the page array: behind the early pages, or in any range that has it. */
static uint64_t place_array(uint64_t bytes)
{
	if (early_end - early_next >= bytes) {
		uint64_t at = early_next;
		early_next += ALIGN_UP(bytes, PAGE_SIZE);
		return at;
	}
	for (unsigned i = 0; i < bootinfo.nranges; i++) {
		struct boot_range *r = &bootinfo.range[i];
		uint64_t at = ALIGN_UP(r->start, PAGE_SIZE);
		if (r->type == BOOT_RAM && at >= 1ull << 30 && r->start + r->size >= at + bytes)
			return at;
	}
	panic("too little memory: no room for %lu KiB of page descriptors", bytes >> 10);
}

static void put_block(struct page *p, unsigned order);

/* Frees [start, end) in the largest aligned blocks. */
static void free_range(uint64_t start, uint64_t end)
{
	uint64_t pfn = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	while (pfn < last) {
		unsigned order = MAX_ORDER;
		while (order && ((pfn & ((1ull << order) - 1)) || pfn + (1ull << order) > last))
			order--;
		for (uint64_t i = 0; i < 1ull << order; i++)
			atomic_store_explicit(&page_array[pfn + i].flags, 0, memory_order_relaxed);
		memstats.total += 1ull << order;
		put_block(&page_array[pfn], order);
		pfn += 1ull << order;
	}
}

/* Frees a RAM range less the parts already used (sorted by address). */
static void free_around(uint64_t start, uint64_t end, const uint64_t used[][2], unsigned n)
{
	for (unsigned i = 0; i < n && start < end; i++) {
		if (used[i][1] <= start || used[i][0] >= end)
			continue;
		if (used[i][0] > start)
			free_range(start, used[i][0]);
		start = used[i][1];
	}
	if (start < end)
		free_range(start, end);
}

void page_init(void)
{
	uint64_t top = ram_top();

	find_early_range();
	uint64_t early_start = early_next;
	map_direct(top);
	page_count = top >> PAGE_SHIFT;
	uint64_t bytes = page_count * sizeof(struct page);
	uint64_t at = place_array(bytes);
	uint64_t array_end = ALIGN_UP(at + bytes, PAGE_SIZE);
	struct page *array = phys_virt(at);
	memset(array, 0, bytes);
	for (uint64_t i = 0; i < page_count; i++)
		atomic_store_explicit(&array[i].flags, PG_RESERVED, memory_order_relaxed);
	for (unsigned i = 0; i <= MAX_ORDER; i++)
		list_init(&free_lists[i]);
	page_array = array;

	/* Below 1 MiB live firmware data, the start info and the processors' trampoline. */
	const uint64_t used[3][2] = {{0, 0x100000}, {0x100000, early_next}, {at, array_end}};
	bool inside = at >= early_start && at < early_next;
	for (unsigned i = 0; i < bootinfo.nranges; i++) {
		struct boot_range *r = &bootinfo.range[i];
		if (r->type == BOOT_RAM)
			free_around(r->start, r->start + r->size, used, inside ? 2 : 3);
	}
	uint64_t reserve = free_pages / 64;
	reserve_pages = reserve < 32 ? 32 : reserve > 4096 ? 4096 : reserve;
	memstats.reserved = reserve_pages;
}

/* --- the buddy lists; buddy_lock held (or boot) --- */

static void put_block(struct page *p, unsigned order)
{
	uint64_t pfn = page_pfn(p);

	free_pages += 1ull << order;
	while (order < MAX_ORDER) {
		uint64_t other = pfn ^ 1ull << order;
		if (other >= page_count)
			break;
		struct page *b = &page_array[other];
		if (!(atomic_load_explicit(&b->flags, memory_order_relaxed) & PG_BUDDY) ||
		    b->order != order)
			break;
		list_remove(&b->link);
		atomic_store_explicit(&b->flags, 0, memory_order_relaxed);
		pfn &= ~(1ull << order);
		order++;
	}
	p = &page_array[pfn];
	p->order = (uint8_t)order;
	atomic_store_explicit(&p->flags, PG_BUDDY, memory_order_relaxed);
	list_push(&free_lists[order], &p->link);
}

static struct page *get_block(unsigned order)
{
	unsigned o = order;

	while (o <= MAX_ORDER && list_empty(&free_lists[o]))
		o++;
	if (o > MAX_ORDER)
		return NULL;
	struct page *p = list_first(&free_lists[o], struct page, link);
	list_remove(&p->link);
	atomic_store_explicit(&p->flags, 0, memory_order_relaxed);
	while (o > order) { /* the upper half goes back */
		o--;
		struct page *half = p + (1ull << o);
		half->order = (uint8_t)o;
		atomic_store_explicit(&half->flags, PG_BUDDY, memory_order_relaxed);
		list_push(&free_lists[o], &half->link);
	}
	free_pages -= 1ull << order;
	return p;
}

/* --- per-CPU caches --- */

static void refill(void)
{
	struct page *batch[CACHE_BATCH];
	unsigned n = 0;

	mutex_lock(&buddy_lock);
	while (n < CACHE_BATCH && free_pages > reserve_pages) {
		struct page *p = get_block(0);
		if (!p)
			break;
		batch[n++] = p;
	}
	mutex_unlock(&buddy_lock);
	uint64_t flags = irq_save();
	struct page_cache *c = &caches[this_cpu()->id];
	while (n) {
		struct page *p = batch[--n];
		p->next_free = c->first;
		c->first = p;
		c->n++;
	}
	irq_restore(flags);
}

static struct page *take_cached(void)
{
	uint64_t flags = irq_save();
	struct page_cache *c = &caches[this_cpu()->id];
	struct page *p = c->first;

	if (p) {
		c->first = p->next_free;
		c->n--;
	}
	irq_restore(flags);
	return p;
}

/* Returns how many pages this CPU's cache holds now. */
static unsigned put_cached(struct page *p)
{
	uint64_t flags = irq_save();
	struct page_cache *c = &caches[this_cpu()->id];

	p->next_free = c->first;
	c->first = p;
	unsigned n = ++c->n;
	irq_restore(flags);
	return n;
}

static void drain(unsigned n)
{
	struct page *list = NULL;

	while (n--) {
		struct page *p = take_cached();
		if (!p)
			break;
		p->next_free = list;
		list = p;
	}
	mutex_lock(&buddy_lock);
	while (list) {
		struct page *next = list->next_free;
		put_block(list, 0);
		list = next;
	}
	mutex_unlock(&buddy_lock);
}

/* --- allocation --- */

static size_t reclaim(size_t n)
{
	struct reclaimer *r;
	size_t got = 0;

	list_for_each_entry (r, &reclaimers, link) {
		got += r->reclaim(n - got);
		if (got >= n)
			break;
	}
	return got;
}

static struct page *alloc_block(unsigned order, unsigned flags)
{
	struct page *p = NULL;

	if (flags & PAGE_NOWAIT)
		return NULL;
	mutex_lock(&buddy_lock);
	if ((flags & PAGE_RESERVE) || free_pages > reserve_pages + (1ull << order))
		p = get_block(order);
	mutex_unlock(&buddy_lock);
	return p;
}

static struct page *alloc_any(unsigned order, unsigned flags)
{
	struct page *p;

	if (order == 0) {
		if ((p = take_cached()))
			return p;
		if (!(flags & PAGE_NOWAIT)) {
			refill();
			if ((p = take_cached()))
				return p;
		}
	}
	return alloc_block(order, flags);
}

struct page *page_alloc(unsigned order, unsigned flags)
{
	struct page *p = alloc_any(order, flags);

	for (int tries = 0;
	     unlikely(!p) && tries < 8 && !(flags & (PAGE_NOWAIT | PAGE_RESERVE | PAGE_OPTIONAL));
	     tries++) {
		TRACE(memory_wait, "order=%u", order);
		size_t freed = reclaim(MAX(64ul, 2ul << order));
		TRACE(memory_reclaim, "order=%u freed=%lu", order, freed);
		p = alloc_any(order, flags);
		if (!freed)
			break;
	}
	if (unlikely(!p))
		return NULL;
	atomic_store_explicit(&p->flags, 0, memory_order_relaxed);
	atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&p->mapcount, 0, memory_order_relaxed);
	p->mapping = NULL;
	p->private = 0;
	p->order = (uint8_t)order;
	list_init(&p->link);
	if (flags & PAGE_ZERO)
		memset(page_virt(p), 0, PAGE_SIZE << order);
	TRACE(memory_page_alloc, "page=%#lx order=%u", page_phys(p), order);
	return p;
}

void page_free(struct page *p, unsigned order)
{
	TRACE(memory_page_free, "page=%#lx order=%u", page_phys(p), order);
	atomic_store_explicit(&p->flags, 0, memory_order_relaxed);
	if (order == 0) {
		if (put_cached(p) > CACHE_MAX && !in_interrupt())
			drain(CACHE_MAX / 2);
		return;
	}
	mutex_lock(&buddy_lock);
	put_block(p, order);
	mutex_unlock(&buddy_lock);
}

void page_put(struct page *p)
{
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		page_free(p, p->order);
}

uint64_t pages_free(void)
{
	uint64_t n = free_pages;

	for (unsigned i = 0; i < ncpus; i++)
		n += caches[i].n;
	return n;
}

void reclaimer_register(struct reclaimer *r)
{
	list_append(&reclaimers, &r->link);
}
