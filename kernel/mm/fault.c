/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page faults.
 *
 * Entries are filled by compare-and-exchange under the read lock; whoever loses gives its page back
 * and the access is simply tried again. Anonymous memory gets a 2 MiB page when the whole aligned 2
 * MiB lie in one area and memory is plentiful; else single pages, and twice as many each time while
 * the application walks upwards. File pages that are cached are mapped around the fault, without
 * I/O.
 */
#include "mm/fault.h"

#include <asm/errno.h>
#include <linux/mman.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include "arch/x86/cpu.h"
#include "arch/x86/pagetable.h"
#include "core/log.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/filemap.h"
#include "mm/limits.h"
#include "mm/vma.h"
#include "proc/program.h"

#define AHEAD_MAX 16   /* pages of anonymous memory in one fault */
#define FILE_AROUND 16 /* cached file pages mapped in one fault; a power of two */
#define HUGE_RESERVE 8 /* a 2 MiB page is taken while 1/8 of memory is free */

enum { FAULT_WRITE = 2, FAULT_FETCH = 16 };

struct page *zero_page;

static bool private_area(const struct vma *v)
{
	return !(v->flags & MAP_SHARED);
}

static void note_peak(struct mm *m)
{
	int64_t now = atomic_load_explicit(&m->rss_anon, memory_order_relaxed) +
		      atomic_load_explicit(&m->rss_file, memory_order_relaxed);
	if (now > atomic_load_explicit(&m->peak_rss, memory_order_relaxed))
		atomic_store_explicit(&m->peak_rss, now, memory_order_relaxed);
}

static void count_anon(struct mm *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->rss_anon, n, memory_order_relaxed);
	note_peak(m);
	atomic_fetch_add_explicit(&memstats.anon, n, memory_order_relaxed);
}

static void count_file(struct mm *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->rss_file, n, memory_order_relaxed);
	note_peak(m);
	atomic_fetch_add_explicit(&memstats.mapped, n, memory_order_relaxed);
}

static bool fill(pte_t *e, uint64_t entry)
{
	uint64_t none = 0;
	return atomic_compare_exchange_strong(e, &none, entry);
}

static bool huge_possible(const struct vma *v, uint64_t addr)
{
	uint64_t base = ALIGN_DOWN(addr, HUGE_SIZE);
	return base >= v->start && base + HUGE_SIZE <= v->end &&
	       !(v->flags & (VMA_NOHUGE | VMA_STACK | MAP_GROWSDOWN)) &&
	       pages_free() > memstats.total / HUGE_RESERVE;
}

/* True if the 2 MiB around addr are present now. */
static bool huge_fault(struct mm *m, struct vma *v, uint64_t addr)
{
	pte_t *e = pt_entry(m, addr, PT_LEVEL_HUGE, true);
	if (!e || atomic_load(e))
		return false;
	struct page *p = page_alloc(9, PAGE_ZERO | PAGE_OPTIONAL);
	if (!p) {
		TRACE(memory_huge_failure, "addr=%lx", addr);
		return false;
	}
	p->order = 9;
	atomic_fetch_or(&p->flags, PG_HUGE);
	if (!fill(e, pte_make(page_phys(p), v->prot, true) | PTE_PS)) {
		page_put(p);
		return false;
	}
	count_anon(m, HUGE_SIZE / PAGE_SIZE);
	TRACE(mm_huge_page, "addr=%lx", addr);
	return true;
}

/* How many filled entries lie directly below e in its table, at most max. */
static unsigned filled_below(pte_t *e, unsigned max)
{
	unsigned index = ((uint64_t)e & (PAGE_SIZE - 1)) / sizeof *e, n = 0;
	while (n < max && n < index && atomic_load_explicit(e - n - 1, memory_order_relaxed))
		n++;
	return n;
}

void anonymous_prefault(struct vma *v, uint64_t start, uint64_t end)
{
	int64_t filled = 0;
	for (uint64_t a = start; a < end; a += PAGE_SIZE) {
		pte_t *e = pt_entry(v->mm, a, PT_LEVEL_PAGE, true);
		struct page *p =
		    e && !atomic_load(e) ? page_alloc(0, PAGE_ZERO | PAGE_OPTIONAL) : NULL;
		if (!p)
			break;
		if (!fill(e, pte_make(page_phys(p), v->prot, true))) {
			page_put(p);
			break;
		}
		filled++;
	}
	if (filled)
		count_anon(v->mm, filled);
}

static int anonymous_fault(struct mm *m, struct vma *v, uint64_t addr, bool write)
{
	if (huge_possible(v, addr) && huge_fault(m, v, addr))
		return 0;
	pte_t *e = pt_entry(m, addr, PT_LEVEL_PAGE, true);
	if (!e) { /* somebody else put a 2 MiB page there, or no memory for a table */
		e = pt_entry(m, addr, PT_LEVEL_HUGE, false);
		return e && (atomic_load(e) & PTE_PS) ? 0 : -ENOMEM;
	}
	if (!write) {
		fill(e, pte_make(page_phys(zero_page), v->prot, false));
		return 0;
	}
	struct page *p = page_alloc(0, PAGE_ZERO);
	if (!p)
		return -ENOMEM;
	if (!fill(e, pte_make(page_phys(p), v->prot, true))) {
		page_put(p);
		return 0;
	}
	count_anon(m, 1);
	unsigned ahead = filled_below(e, AHEAD_MAX - 1);
	if (ahead) {
		uint64_t limit = MIN(v->end, ALIGN_DOWN(addr, HUGE_SIZE) + HUGE_SIZE);
		anonymous_prefault(v, addr + PAGE_SIZE, MIN(limit, addr + (1 + ahead) * PAGE_SIZE));
	}
	return 0;
}

bool replace_page(
    struct mm *m, pte_t *e, uint64_t old, struct page *copy, unsigned prot, struct page **gone)
{
	struct page *p = pte_page(old);
	*gone = NULL;
	if (!atomic_compare_exchange_strong(e, &old, pte_make(page_phys(copy), prot, true)))
		return false;
	if (!p || (old & PTE_FILE))
		count_anon(m, 1);
	if (p && (old & PTE_FILE)) {
		atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_relaxed);
		count_file(m, -1);
	}
	*gone = p;
	return true;
}

/* A write to a present page that the entry does not let through, in a private area: the page
 * becomes ours. */
static int break_cow(struct mm *m, struct vma *v, pte_t *e, uint64_t old, uint64_t addr)
{
	struct page *p = pte_page(old);
	if (page_owned(old)) {
		uint64_t n = pte_make(old & PTE_PHYS, v->prot, true) | (old & PTE_PS);
		if (v->prot & PROT_WRITE)
			atomic_compare_exchange_strong(e, &old, n);
		invlpg(addr);
		return 0;
	}
	struct page *copy = page_alloc(0, p ? 0 : PAGE_ZERO);
	if (!copy)
		return -ENOMEM;
	if (p)
		memcpy(page_virt(copy), page_virt(p), PAGE_SIZE);
	else if ((old & PTE_PHYS) != page_phys(zero_page))
		memcpy(page_virt(copy), phys_virt(old & PTE_PHYS), PAGE_SIZE);
	struct page *gone;
	if (!replace_page(m, e, old, copy, v->prot, &gone)) {
		page_put(copy);
		return 0;
	}
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	tlb_flush_range(m, page, page + PAGE_SIZE);
	if (gone)
		page_put(gone);
	return 0;
}

/* Takes file pages out of [start, end) again. */
static void zap_range(struct mm *m, uint64_t start, uint64_t end)
{
	struct pt_gather g;
	pt_gather_init(&g, m);
	pt_unmap(&g, start, end, true);
	pt_gather_finish(&g);
}

/* Maps cached neighbours of a file page read-only: no I/O, no allocation. Lock held. */
static void map_around(struct mm *m, struct vma *v, struct mapping *map, uint64_t addr)
{
	uint64_t window = FILE_AROUND * PAGE_SIZE;
	uint64_t start = MAX(v->start, ALIGN_DOWN(addr, window));
	uint64_t end = MIN(v->end, ALIGN_DOWN(addr, window) + window);
	uint64_t size = map->inode ? atomic_load(&map->inode->size) : 0;
	uint64_t zaps = atomic_load(&map->zaps);
	int64_t filled = 0;
	for (uint64_t a = start; a < end; a += PAGE_SIZE) {
		uint64_t pgoff = v->pgoff + ((a - v->start) >> PAGE_SHIFT);
		if (pgoff >= (size + PAGE_SIZE - 1) >> PAGE_SHIFT)
			break;
		pte_t *e = pt_entry(m, a, PT_LEVEL_PAGE, true);
		if (!e)
			break;
		if (atomic_load_explicit(e, memory_order_relaxed))
			continue;
		struct page *p = mapping_peek(map, pgoff);
		if (!p)
			continue;
		atomic_fetch_add_explicit(&p->mapcount, 1, memory_order_relaxed);
		if (fill(e, pte_make(page_phys(p), v->prot, false) | PTE_FILE)) {
			filled++;
		} else {
			atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_relaxed);
			page_put(p);
		}
	}
	if (filled)
		count_file(m, filled);
	if (atomic_load(&map->zaps) != zaps)
		zap_range(m, start, end);
}

/* Puts page p (one reference, taken over) at addr; v is valid and locked. zaps: the mapping's count
 * of removals from before p was looked up. */
static int install(
    struct mm *m, struct vma *v, uint64_t addr, struct page *p, bool write, uint64_t zaps)
{
	struct mapping *map = vma_cache(v);
	bool shared = !private_area(v), counted = pte_page(page_phys(p)) != NULL;
	pte_t *e = pt_entry(m, addr, PT_LEVEL_PAGE, true);
	if (!e) {
		if (counted)
			page_put(p);
		return -ENOMEM;
	}
	if (write && !shared) { /* a private copy at once */
		struct page *copy = page_alloc(0, 0);
		if (copy)
			memcpy(page_virt(copy), page_virt(p), PAGE_SIZE);
		if (counted)
			page_put(p);
		if (!copy)
			return -ENOMEM;
		if (fill(e, pte_make(page_phys(copy), v->prot, true)))
			count_anon(m, 1);
		else
			page_put(copy);
		return 0;
	}
	uint64_t entry = pte_make(page_phys(p), v->prot, write && shared) | PTE_FILE, old = 0;
	if (counted)
		atomic_fetch_add_explicit(&p->mapcount, 1, memory_order_relaxed);
	if (atomic_compare_exchange_strong(e, &old, entry)) {
		if (counted)
			count_file(m, 1);
		/* Removed from the file, or written back, meanwhile: take it out and look again. */
		if (map && atomic_load(&map->zaps) != zaps)
			zap_range(m, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
		return 0;
	}
	if (counted)
		atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_relaxed);
	/* The same page, present for reading: it may be written now. */
	if (write && (old & PTE_PHYS) == page_phys(p) &&
	    atomic_compare_exchange_strong(e, &old, entry)) {
		invlpg(addr);
		if (map && atomic_load(&map->zaps) != zaps)
			zap_range(m, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
	}
	if (counted)
		page_put(p);
	return 0;
}

/* Whether addr still shows page pgoff of the same object after the lock was dropped; the area, or
 * NULL. */
static struct vma *same_area(struct mm *m, uint64_t addr, const struct vma *copy)
{
	struct vma *v = mm_find(m, addr);
	if (!v || v->ops != copy->ops || v->file != copy->file || v->private != copy->private ||
	    v->flags != copy->flags || v->prot != copy->prot ||
	    v->pgoff - (v->start >> PAGE_SHIFT) != copy->pgoff - (copy->start >> PAGE_SHIFT))
		return NULL;
	return v;
}

/* The page of a file area, perhaps with I/O. Lock held on entry, released on return. */
static int file_fault_slow(struct mm *m, struct vma *v, uint64_t addr, bool write)
{
	struct vma copy = *v, *now = v;
	struct mapping *map = vma_cache(v);
	uint64_t pgoff = v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
	bool dirty = write && !private_area(v), has_file = v->file != NULL;
	if (has_file) {
		file_get(copy.file);
		rw_read_unlock(&m->lock);
	}
	uint64_t zaps = map ? atomic_load(&map->zaps) : 0;
	struct page *p = copy.ops->fault(&copy, pgoff, dirty);
	int err = is_err(p) ? (int)ptr_err(p) : 0;
	bool counted = !err && pte_page(page_phys(p));
	if (!err && dirty && copy.ops->make_writable)
		err = copy.ops->make_writable(&copy, p);
	if (has_file) {
		rw_read_lock(&m->lock);
		now = same_area(m, addr, &copy);
	}
	if (!err && now)
		err = install(m, now, addr, p, write, zaps);
	else if (counted)
		page_put(p);
	rw_read_unlock(&m->lock);
	if (has_file)
		file_put(copy.file);
	return err;
}

static int file_area_fault(struct mm *m, struct vma *v, uint64_t addr, bool write)
{
	struct mapping *map = v->ops == &file_vma_ops ? vma_cache(v) : NULL;
	if (map && !write) {
		map_around(m, v, map, addr);
		if (page_present(m, addr, false)) {
			rw_read_unlock(&m->lock);
			return 0;
		}
	}
	return file_fault_slow(m, v, addr, write);
}

bool page_present(struct mm *m, uint64_t addr, bool write)
{
	unsigned level;
	pte_t *e = pt_leaf(m, addr, &level);
	uint64_t v = e ? atomic_load(e) : 0;
	return (v & PTE_P) && (!write || (v & PTE_W));
}

bool page_owned(uint64_t entry)
{
	struct page *p = entry & PTE_FILE ? NULL : pte_page(entry);
	return p && atomic_load(&p->refs) == 1;
}

int fault_in(struct mm *m, struct vma *v, uint64_t addr, bool write, bool override)
{
	unsigned level;
	pte_t *e = pt_leaf(m, addr, &level);
	uint64_t old = e ? atomic_load(e) : 0;
	int err = 0;
	if (!old) {
		if (!vma_anonymous(v))
			return file_area_fault(m, v, addr, write);
		err = anonymous_fault(m, v, addr, write);
	} else if (!write || ((old & PTE_P) && (old & PTE_W))) {
		invlpg(addr); /* another CPU was faster, or this one remembered less than it may */
	} else if (private_area(v) || vma_anonymous(v)) {
		if (!override || !page_owned(old))
			err = break_cow(m, v, e, old, addr);
	} else {
		return file_fault_slow(m, v, addr, true);
	}
	rw_read_unlock(&m->lock);
	return err;
}

bool stack_grow(struct mm *m, uint64_t addr)
{
	bool ok = false;
	uint64_t start = ALIGN_DOWN(addr, PAGE_SIZE);
	rw_write_lock(&m->lock);
	struct vma *v = mm_find_next(m, addr), *below = v ? vma_prev(v) : NULL;
	if (!v || !(v->flags & MAP_GROWSDOWN))
		goto out;
	if (v->start <= addr) {
		ok = true;
		goto out;
	}
	uint64_t floor = below && (below->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
			     ? below->end + STACK_GUARD_GAP
			 : below ? below->end
				 : MIN_ADDR;
	if (start < floor || v->end - start > mm_limit(RLIMIT_STACK) ||
	    !mm_may_grow(m, (v->start - start) >> PAGE_SHIFT))
		goto out;
	atomic_fetch_add(&m->total_pages, (int64_t)((v->start - start) >> PAGE_SHIFT));
	vma_resize(v, start, v->end);
	ok = true;
out:
	rw_write_unlock(&m->lock);
	return ok;
}

static int fail(int sig, int code, int *si_code)
{
	*si_code = code;
	return sig;
}

static bool allowed(const struct vma *v, uint64_t error)
{
	unsigned need = error & FAULT_WRITE   ? PROT_WRITE
			: error & FAULT_FETCH ? PROT_EXEC
					      : PROT_READ | PROT_WRITE | PROT_EXEC;
	return v->prot & need;
}

int mm_fault(struct mm *m, uint64_t addr, uint64_t error, int *si_code)
{
	if (addr >= USER_END)
		return fail(SIGSEGV, SEGV_MAPERR, si_code);
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, addr);
	if (!v) {
		rw_read_unlock(&m->lock);
		if (!stack_grow(m, addr))
			return fail(SIGSEGV, SEGV_MAPERR, si_code);
		rw_read_lock(&m->lock);
		v = mm_find(m, addr);
	}
	if (!v || !allowed(v, error)) {
		rw_read_unlock(&m->lock);
		return fail(SIGSEGV, v ? SEGV_ACCERR : SEGV_MAPERR, si_code);
	}
	TRACE(mm_fault, "addr=%lx error=%lx", addr, error);
	struct program *p = current_program();
	if (p)
		atomic_fetch_add_explicit(&p->minor_faults, 1, memory_order_relaxed);
	int err = fault_in(m, v, addr, error & FAULT_WRITE, false);
	if (err == 0)
		return 0;
	if (err == -ENOMEM) {
		pr_err("out of memory: a page at %#lx is needed, %lu of %lu pages are free; "
		       "the program has %ld resident",
		    addr, pages_free(), memstats.total, (long)(m->rss_anon + m->rss_file));
		return fail(SIGKILL, SI_KERNEL, si_code);
	}
	return fail(SIGBUS, BUS_ADRERR, si_code);
}
