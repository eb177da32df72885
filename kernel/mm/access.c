/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reaching into an address space through the direct map, page by page. The lock is held for writing
 * during the copy: madvise() gives pages back under the read lock.
 */
#include "mm/access.h"

#include <asm/errno.h>
#include <linux/mman.h>
#include "arch/x86/pagetable.h"
#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/fault.h"
#include "mm/vma.h"

/* The kernel address of addr if an entry permits the access; lock held. */
static void *reachable(struct mm *m, uint64_t addr, bool write, bool force)
{
	unsigned level;
	pte_t *e = pt_leaf(m, addr, &level);
	uint64_t v = e ? atomic_load(e) : 0;
	if (!v || (!force && !(v & PTE_P)))
		return NULL;
	if (write && !(v & PTE_W) && !(force && page_owned(v)))
		return NULL;
	uint64_t size = level == PT_LEVEL_HUGE ? HUGE_SIZE : PAGE_SIZE;
	return phys_virt((v & PTE_PHYS) + addr % size);
}

static bool permitted(const struct vma *v, bool write, bool force)
{
	if (v->flags & VMA_SPECIAL && write)
		return false;
	if (force)
		return !write || !(v->flags & MAP_SHARED) || (v->prot & PROT_WRITE);
	return v->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* Makes the page of addr reachable: its kernel address with m->lock held for WRITING, or NULL
 * without it. */
static void *reach(struct mm *m, uint64_t addr, bool write, bool force)
{
	for (;;) {
		rw_write_lock(&m->lock);
		void *p = reachable(m, addr, write, force);
		if (p)
			return p;
		rw_write_unlock(&m->lock);
		rw_read_lock(&m->lock);
		struct vma *v = mm_find(m, addr);
		if (!v) {
			rw_read_unlock(&m->lock);
			if (!stack_grow(m, addr))
				return NULL;
			continue;
		}
		if (!permitted(v, write, force)) {
			rw_read_unlock(&m->lock);
			return NULL;
		}
		if (fault_in(m, v, addr, write, force))
			return NULL;
	}
}

long mm_access_checked(struct mm *m, uint64_t addr, void *buf, size_t n, bool write, bool force)
{
	size_t done = 0;
	while (done < n) {
		uint64_t a = addr + done;
		size_t part = MIN(n - done, PAGE_SIZE - a % PAGE_SIZE);
		void *p = a < USER_END ? reach(m, a, write, force) : NULL;
		if (!p)
			break;
		if (write)
			memcpy(p, (char *)buf + done, part);
		else
			memcpy((char *)buf + done, p, part);
		rw_write_unlock(&m->lock);
		done += part;
	}
	return done || n == 0 ? (long)done : -EFAULT;
}

long mm_access(struct mm *m, uint64_t addr, void *buf, size_t n, bool write)
{
	return mm_access_checked(m, addr, buf, n, write, true);
}

struct patch {
	struct mm *mm;
	pte_t *entry;
	uint64_t old;
	unsigned prot;
	struct page *copy, *gone;
	bool (*change)(void *page, void *arg);
	void *arg;
	bool done;
};

static void run_patch(void *arg)
{
	struct patch *p = arg;
	p->done = p->change(page_virt(p->copy), p->arg) &&
		  replace_page(p->mm, p->entry, p->old, p->copy, p->prot, &p->gone);
}

/*
 * Code is never changed in place: another page with the changed code takes the place of the old
 * one, by one store to the page-table entry. A CPU executes either the old code or the new one,
 * whichever its TLB gives it. The old page goes when all CPUs have forgotten it.
 */
int mm_patch_page(
    struct mm *m, uint64_t addr, bool (*change)(void *page, void *arg), void *arg, bool stop)
{
	struct patch p = {.mm = m, .copy = page_alloc(0, 0), .change = change, .arg = arg};
	unsigned level;
	if (!p.copy)
		return -ENOMEM;
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	const void *now = reach(m, page, false, true);
	if (!now) {
		page_put(p.copy);
		return -EFAULT;
	}
	p.entry = pt_leaf(m, page, &level);
	p.old = atomic_load(p.entry);
	const struct vma *v = mm_find(m, page);
	if (v && !(v->flags & MAP_SHARED) && level == PT_LEVEL_PAGE) {
		p.prot = v->prot;
		memcpy(page_virt(p.copy), now, PAGE_SIZE);
		if (stop)
			cpu_stop_applications(run_patch, &p);
		else
			run_patch(&p);
	}
	if (p.done)
		tlb_flush_range(m, page, page + PAGE_SIZE);
	rw_write_unlock(&m->lock);
	if (!p.done)
		page_put(p.copy);
	else if (p.gone)
		page_put(p.gone);
	return p.done ? 0 : -EAGAIN;
}
