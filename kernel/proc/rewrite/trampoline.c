/* SPDX-License-Identifier: BSD-3-Clause */
/* Address space for trampolines: 64 KiB at a time, within reach of a 32-bit displacement of the
 * code. */
#include <linux/mman.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vma.h"
#include "proc/rewrite/state.h"

#define AREA_SIZE (TRAMPOLINE_PAGES * PAGE_SIZE)
#define REACH (0x7ff00000ul - AREA_SIZE)
#define SLOT_SIZE 16 /* the pointer to the kernel's entry comes first */

extern const char syscall_jump_entry[];

static void area_open(struct vma *v)
{
	struct trampoline_area *a = v->private;
	atomic_fetch_add(&a->refs, 1);
}

static void area_close(struct vma *v)
{
	trampoline_area_put(v->private);
}

static struct page *area_fault(struct vma *v, uint64_t pgoff, bool write)
{
	struct trampoline_area *a = v->private;
	(void)write;
	struct page *p =
	    pgoff < TRAMPOLINE_PAGES ? __atomic_load_n(&a->page[pgoff], __ATOMIC_ACQUIRE) : NULL;
	if (!p)
		return err_ptr(-14); /* beyond the last trampoline */
	page_get(p);
	return p;
}

static const char *area_name(struct vma *v)
{
	(void)v;
	return "[syscalls]";
}

static const struct vma_ops area_ops = {
    .open = area_open, .close = area_close, .fault = area_fault, .name = area_name};

void trampoline_area_put(struct trampoline_area *a)
{
	if (atomic_fetch_sub(&a->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < TRAMPOLINE_PAGES; i++)
		if (a->page[i])
			page_put(a->page[i]);
	kfree(a);
}

static bool in_reach(const struct trampoline_area *a, uint64_t near)
{
	return (a->addr > near ? a->addr - near : near - a->addr) < REACH;
}

/* A page's kernel address, made when first needed. */
static char *area_page(struct trampoline_area *a, unsigned i)
{
	if (!a->page[i]) {
		struct page *p = page_alloc(0, 0);
		if (!p)
			return NULL;
		memset(page_virt(p), 0xcc, PAGE_SIZE); /* int3 */
		__atomic_store_n(&a->page[i], p, __ATOMIC_RELEASE);
	}
	return page_virt(a->page[i]);
}

static struct trampoline_area *area_new(struct mm *m, struct rewrite_state *s, uint64_t near)
{
	if (s->nareas == MAX_AREAS_PER_MM)
		return NULL;
	struct trampoline_area *a = kzalloc(sizeof *a);
	if (!a)
		return NULL;
	atomic_init(&a->refs, 1);
	char *first = area_page(a, 0);
	long at = -1;
	if (first) {
		const void *entry = syscall_jump_entry;
		memcpy(first, &entry, sizeof entry);
		a->used = SLOT_SIZE;
		rw_read_lock(&m->lock);
		struct vma *v = mm_find(m, near);
		at = v ? vma_find_gap_below(m, AREA_SIZE, v->start) : -1;
		rw_read_unlock(&m->lock);
	}
	a->addr = (uint64_t)at;
	if (at > 0 && in_reach(a, near))
		at = mm_map_ops(m, a->addr, AREA_SIZE, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_FIXED_NOREPLACE | VMA_SPECIAL, &area_ops, a, 0);
	else
		at = -1;
	if (at < 0) {
		trampoline_area_put(a);
		return NULL;
	}
	s->area[s->nareas] = a;
	__atomic_store_n(&s->nareas, s->nareas + 1, __ATOMIC_RELEASE);
	return a;
}

/* Takes a->lock if there is room. */
static bool area_room(struct trampoline_area *a, size_t n, uint64_t *addr, void **where)
{
	mutex_lock(&a->lock);
	unsigned at = a->used;
	if (at % PAGE_SIZE + n > PAGE_SIZE)
		at = ALIGN_UP(at, (unsigned)PAGE_SIZE);
	char *page = at + n <= AREA_SIZE ? area_page(a, at >> PAGE_SHIFT) : NULL;
	if (!page) {
		mutex_unlock(&a->lock);
		return false;
	}
	*addr = a->addr + at;
	*where = page + at % PAGE_SIZE;
	return true;
}

struct trampoline_area *trampoline_room(struct mm *m, struct rewrite_state *s, uint64_t near,
    size_t n, uint64_t *addr, void **where, uint64_t *slot)
{
	struct trampoline_area *a;
	for (unsigned i = 0; i < s->nareas; i++) {
		a = s->area[i];
		if (in_reach(a, near) && area_room(a, n, addr, where))
			goto found;
	}
	a = area_new(m, s, near);
	if (!a || !area_room(a, n, addr, where))
		return NULL;
found:
	*slot = a->addr;
	return a;
}

void trampoline_commit(struct trampoline_area *a, uint64_t end)
{
	a->used = MAX(a->used, (unsigned)ALIGN_UP(end - a->addr, 16));
	mutex_unlock(&a->lock);
}
