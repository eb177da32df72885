/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables: see pagetable.h for who may change what under which lock. */
#include "arch/x86/pagetable.h"

#include <asm/errno.h>
#include <linux/mman.h>
#include "arch/x86/cpu.h"
#include "core/trace.h"
#include "lib/string.h"

#define TABLE_ENTRIES 512
#define LEVEL_SHIFT(l) (12 + 9 * ((l)-1)) /* level 1: 4 KiB … level 4: 512 GiB */
#define LEVEL_SPAN(l) (1ull << LEVEL_SHIFT(l))

static unsigned table_index(uint64_t addr, unsigned level)
{
	return addr >> LEVEL_SHIFT(level) & (TABLE_ENTRIES - 1);
}

static pte_t *table_of(uint64_t entry)
{
	return phys_virt(entry & PTE_PHYS);
}

static bool is_table(uint64_t entry)
{
	return (entry & (PTE_P | PTE_PS)) == PTE_P;
}

uint64_t pte_make(uint64_t phys, unsigned prot, bool writable)
{
	uint64_t e = phys | PTE_A;
	if (!(prot & PROT_EXEC))
		e |= PTE_NX;
	if (writable && (prot & PROT_WRITE))
		e |= PTE_W | PTE_D;
	return e | (prot & (PROT_READ | PROT_WRITE | PROT_EXEC) ? PTE_P : PTE_NONE);
}

struct page *pte_page(uint64_t entry)
{
	uint64_t pfn = (entry & PTE_PHYS) >> PAGE_SHIFT;
	if (pfn >= page_count)
		return NULL;
	struct page *p = page_array + pfn;
	return atomic_load_explicit(&p->flags, memory_order_relaxed) & PG_RESERVED ? NULL : p;
}

/* The table an entry points to, made if wanted. NULL: absent, no memory, or a large page. */
static pte_t *table_below(pte_t *e, bool alloc)
{
	uint64_t v = atomic_load_explicit(e, memory_order_acquire);
	if (v == 0 && alloc) {
		struct page *p = page_alloc(0, PAGE_ZERO);
		if (!p)
			return NULL;
		if (atomic_compare_exchange_strong(e, &v, page_phys(p) | PTE_P | PTE_W | PTE_A)) {
			atomic_fetch_add_explicit(&memstats.pagetables, 1, memory_order_relaxed);
			return page_virt(p);
		}
		page_free(p, 0);
	}
	return is_table(v) ? table_of(v) : NULL;
}

pte_t *pt_entry(struct mm *m, uint64_t addr, unsigned level, bool alloc)
{
	pte_t *t = (pte_t *)m->pml4;
	for (unsigned l = 4; l > level; l--) {
		t = table_below(t + table_index(addr, l), alloc);
		if (!t)
			return NULL;
	}
	return t + table_index(addr, level);
}

pte_t *pt_leaf(struct mm *m, uint64_t addr, unsigned *level)
{
	pte_t *e = pt_entry(m, addr, PT_LEVEL_HUGE, false);
	if (!e)
		return NULL;
	uint64_t v = atomic_load_explicit(e, memory_order_acquire);
	if (v == 0)
		return NULL;
	*level = PT_LEVEL_HUGE;
	if (!is_table(v))
		return e;
	*level = PT_LEVEL_PAGE;
	e = table_of(v) + table_index(addr, 1);
	return atomic_load_explicit(e, memory_order_relaxed) ? e : NULL;
}

void pt_for_each(struct mm *m, uint64_t start, uint64_t end,
    void (*fn)(pte_t *e, uint64_t addr, unsigned level, void *ctx), void *ctx)
{
	uint64_t addr = start;
	while (addr < end) {
		pte_t *t = (pte_t *)m->pml4;
		unsigned l = 4;
		uint64_t v = 0;
		for (; l > 1; l--) {
			v = atomic_load_explicit(t + table_index(addr, l), memory_order_acquire);
			if (!is_table(v))
				break;
			t = table_of(v);
		}
		if (l > 1) {
			if (v && l == PT_LEVEL_HUGE)
				fn(t + table_index(addr, l), ALIGN_DOWN(addr, HUGE_SIZE), l, ctx);
			addr = ALIGN_DOWN(addr, LEVEL_SPAN(l)) + LEVEL_SPAN(l);
			continue;
		}
		uint64_t stop = MIN(end, ALIGN_DOWN(addr, HUGE_SIZE) + HUGE_SIZE);
		for (pte_t *e = t + table_index(addr, 1); addr < stop; addr += PAGE_SIZE, e++)
			if (atomic_load_explicit(e, memory_order_relaxed))
				fn(e, addr, 1, ctx);
	}
}

void pt_gather_init(struct pt_gather *g, struct mm *m)
{
	g->mm = m;
	g->start = UINT64_MAX;
	g->end = 0;
	g->tables = g->dying = false;
	g->n = 0;
	g->anon = g->file = 0;
}

static void gather_flush(struct pt_gather *g)
{
	if (!g->dying && g->tables)
		tlb_flush_tables(g->mm);
	else if (!g->dying && g->end)
		tlb_flush_range(g->mm, g->start, g->end);
	for (unsigned i = 0; i < g->n; i++)
		page_put(g->page[i]);
	g->n = 0;
	g->start = UINT64_MAX;
	g->end = 0;
	g->tables = false;
}

static void gather_page(struct pt_gather *g, struct page *p)
{
	if (g->n == ARRAY_SIZE(g->page))
		gather_flush(g);
	g->page[g->n++] = p;
}

static void gather_range(struct pt_gather *g, uint64_t addr, uint64_t len)
{
	g->start = MIN(g->start, addr);
	g->end = MAX(g->end, addr + len);
}

void pt_gather_finish(struct pt_gather *g)
{
	gather_flush(g);
	if (g->anon) {
		atomic_fetch_sub_explicit(&g->mm->rss_anon, g->anon, memory_order_relaxed);
		atomic_fetch_sub_explicit(&memstats.anon, g->anon, memory_order_relaxed);
	}
	if (g->file) {
		atomic_fetch_sub_explicit(&g->mm->rss_file, g->file, memory_order_relaxed);
		atomic_fetch_sub_explicit(&memstats.mapped, g->file, memory_order_relaxed);
	}
	g->anon = g->file = 0;
}

struct unmap_context {
	struct pt_gather *g;
	bool cache_only;
};

static void unmap_one(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	struct unmap_context *u = ctx;
	uint64_t v = atomic_load_explicit(e, memory_order_relaxed);
	do {
		if (!v || (u->cache_only && !(v & PTE_FILE)))
			return;
	} while (!atomic_compare_exchange_weak(e, &v, 0));
	TRACE(clear_pte, "addr=%#lx entry=%#lx", addr, v);
	gather_range(u->g, addr, level == PT_LEVEL_HUGE ? HUGE_SIZE : PAGE_SIZE);
	struct page *p = pte_page(v);
	if (!p)
		return;
	if (v & PTE_FILE) {
		atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_relaxed);
		u->g->file++;
	} else {
		u->g->anon += level == PT_LEVEL_HUGE ? TABLE_ENTRIES : 1;
	}
	gather_page(u->g, p);
}

void pt_unmap(struct pt_gather *g, uint64_t start, uint64_t end, bool cache_only)
{
	struct unmap_context u = {g, cache_only};
	pt_for_each(g->mm, start, end, unmap_one, &u);
}

/* Frees the tables below table t of level `level`, which spans from base. */
static void free_tables_below(
    struct pt_gather *g, pte_t *t, unsigned level, uint64_t base, uint64_t floor, uint64_t ceiling)
{
	uint64_t span = LEVEL_SPAN(level);
	uint64_t first = floor > base ? (floor - base) >> LEVEL_SHIFT(level) : 0;
	for (uint64_t i = first; i < TABLE_ENTRIES && base + i * span < ceiling; i++) {
		uint64_t at = base + i * span, v = atomic_load(t + i);
		if (!is_table(v))
			continue;
		if (level > 2)
			free_tables_below(g, table_of(v), level - 1, at, floor, ceiling);
		if (at < floor || at + span > ceiling)
			continue;
		atomic_store(t + i, 0);
		g->tables = true;
		gather_page(g, phys_page(v & PTE_PHYS));
		/* gather_page() may have flushed before this table was cleared from the list. */
		g->tables = true;
		atomic_fetch_sub_explicit(&memstats.pagetables, 1, memory_order_relaxed);
	}
}

void pt_free_tables(struct pt_gather *g, uint64_t floor, uint64_t ceiling)
{
	if (ALIGN_UP(floor, HUGE_SIZE) < ALIGN_DOWN(ceiling, HUGE_SIZE))
		free_tables_below(g, (pte_t *)g->mm->pml4, 4, 0, floor, MIN(ceiling, 1ull << 47));
}

static int split_huge(struct mm *m, pte_t *e, uint64_t addr)
{
	uint64_t v = atomic_load(e);
	struct page *table = page_alloc(0, 0);
	if (!table)
		return -ENOMEM;
	pte_t *t = page_virt(table);
	struct page *p = phys_page(v & PTE_PHYS);
	atomic_fetch_and(&p->flags, ~(uint32_t)PG_HUGE);
	p->order = 0;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		if (i) {
			p[i].order = 0;
			atomic_store_explicit(&p[i].refs, 1, memory_order_relaxed);
			atomic_store_explicit(&p[i].flags, 0, memory_order_relaxed);
		}
		atomic_store_explicit(t + i, (v & ~PTE_PS) + i * PAGE_SIZE, memory_order_relaxed);
	}
	atomic_store(e, page_phys(table) | PTE_P | PTE_W | PTE_A);
	atomic_fetch_add_explicit(&memstats.pagetables, 1, memory_order_relaxed);
	addr = ALIGN_DOWN(addr, HUGE_SIZE);
	tlb_flush_range(m, addr, addr + HUGE_SIZE);
	return 0;
}

int pt_split_at(struct mm *m, uint64_t addr)
{
	if (addr % HUGE_SIZE == 0)
		return 0;
	pte_t *e = pt_entry(m, addr, PT_LEVEL_HUGE, false);
	if (!e || !(atomic_load(e) & PTE_PS))
		return 0;
	return split_huge(m, e, addr);
}

struct split_context {
	struct mm *mm;
	int err;
};

static void split_one(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	struct split_context *s = ctx;
	if (level == PT_LEVEL_HUGE && s->err == 0)
		s->err = split_huge(s->mm, e, addr);
}

int pt_split_range(struct mm *m, uint64_t start, uint64_t end)
{
	struct split_context s = {m, 0};
	pt_for_each(m, start, end, split_one, &s);
	return s.err;
}

struct protect_context {
	unsigned prot;
	bool private;
	bool lost; /* some access was taken away: TLBs must forget */
};

static void protect_one(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	struct protect_context *c = ctx;
	(void)addr;
	uint64_t v = atomic_load(e), n;
	do {
		if (!v)
			return;
		struct page *p = pte_page(v);
		bool own = c->private && p && !(v & PTE_FILE) &&
			   atomic_load_explicit(&p->refs, memory_order_relaxed) == 1;
		bool shared_writable = !c->private && (v & PTE_W);
		n = pte_make(v & PTE_PHYS, c->prot, own || shared_writable);
		n |= v & PTE_FILE;
		if (level == PT_LEVEL_HUGE)
			n |= PTE_PS;
	} while (!atomic_compare_exchange_weak(e, &v, n));
	if ((v & ~n & (PTE_P | PTE_W)) || (n & ~v & PTE_NX))
		c->lost = true;
}

void pt_protect(struct mm *m, uint64_t start, uint64_t end, unsigned prot, bool private)
{
	struct protect_context c = {prot, private, false};
	pt_for_each(m, start, end, protect_one, &c);
	if (c.lost)
		tlb_flush_range(m, start, end);
}

static void wrprotect_one(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	bool *lost = ctx;
	(void)addr;
	(void)level;
	uint64_t v = atomic_load_explicit(e, memory_order_relaxed);
	if ((v & PTE_FILE) && (atomic_fetch_and(e, ~PTE_W) & PTE_W))
		*lost = true;
}

void pt_wrprotect(struct mm *m, uint64_t start, uint64_t end)
{
	bool lost = false;
	pt_for_each(m, start, end, wrprotect_one, &lost);
	if (lost)
		tlb_flush_range(m, start, end);
}

struct copy_context {
	struct mm *dst;
	bool private;
	int64_t anon, file;
	int err;
};

static void copy_one(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	struct copy_context *c = ctx;
	(void)level;
	if (c->err)
		return;
	pte_t *d = pt_entry(c->dst, addr, PT_LEVEL_PAGE, true);
	if (!d) {
		c->err = -ENOMEM;
		return;
	}
	uint64_t v = c->private ? atomic_fetch_and(e, ~PTE_W) & ~PTE_W : atomic_load(e);
	if (!v)
		return;
	struct page *p = pte_page(v);
	if (p) {
		page_get(p);
		if (v & PTE_FILE) {
			atomic_fetch_add_explicit(&p->mapcount, 1, memory_order_relaxed);
			c->file++;
		} else {
			c->anon++;
		}
	}
	atomic_store(d, v);
}

int pt_copy(struct mm *dst, struct mm *src, uint64_t start, uint64_t end, bool private)
{
	struct copy_context c = {dst, private, 0, 0, 0};
	pt_for_each(src, start, end, copy_one, &c);
	atomic_fetch_add(&dst->rss_anon, c.anon);
	atomic_fetch_add(&memstats.anon, c.anon);
	atomic_fetch_add(&dst->rss_file, c.file);
	atomic_fetch_add(&memstats.mapped, c.file);
	return c.err;
}

/* Moves one 2 MiB page or table entry when both sides are aligned; false if it must go page by
 * page. */
static bool move_huge(struct mm *m, uint64_t from, uint64_t to)
{
	pte_t *s = pt_entry(m, from, PT_LEVEL_HUGE, false);
	if (!s || !(atomic_load(s) & PTE_PS))
		return false;
	pte_t *d = pt_entry(m, to, PT_LEVEL_HUGE, true);
	uint64_t none = 0, v = atomic_load(s);
	if (!d || !atomic_compare_exchange_strong(d, &none, v))
		return false;
	atomic_store(s, 0);
	return true;
}

int pt_move(struct mm *m, uint64_t from, uint64_t to, uint64_t len, uint64_t *moved)
{
	uint64_t done = 0;
	int err = 0;
	while (done < len) {
		uint64_t f = from + done, t = to + done;
		pte_t *s = pt_entry(m, f, PT_LEVEL_HUGE, false);
		uint64_t v = s ? atomic_load(s) : 0;
		if (!v) { /* nothing in these 2 MiB */
			done += MIN(len - done, HUGE_SIZE - f % HUGE_SIZE);
			continue;
		}
		if (v & PTE_PS) {
			if (f % HUGE_SIZE == 0 && t % HUGE_SIZE == 0 && len - done >= HUGE_SIZE &&
			    move_huge(m, f, t)) {
				done += HUGE_SIZE;
				continue;
			}
			err = split_huge(m, s, f);
			if (err)
				break;
			v = atomic_load(s);
		}
		s = table_of(v) + table_index(f, 1);
		v = atomic_load(s);
		if (v) {
			pte_t *d = pt_entry(m, t, PT_LEVEL_PAGE, true);
			if (!d) {
				err = -ENOMEM;
				break;
			}
			atomic_store(d, atomic_exchange(s, 0));
		}
		done += PAGE_SIZE;
	}
	*moved = done;
	tlb_flush_range(m, from, from + len);
	return err;
}

uint64_t *pt_new_top(void)
{
	struct page *p = page_alloc(0, PAGE_ZERO);
	if (!p)
		return NULL;
	uint64_t *top = page_virt(p);
	memcpy(top + 256, kernel_mm.pml4 + 256, 256 * sizeof *top);
	atomic_fetch_add_explicit(&memstats.pagetables, 1, memory_order_relaxed);
	return top;
}

void pt_free_top(uint64_t *top)
{
	atomic_fetch_sub_explicit(&memstats.pagetables, 1, memory_order_relaxed);
	page_free(virt_page(top), 0);
}
