/* SPDX-License-Identifier: BSD-3-Clause */
/* mmap, munmap, mprotect, brk, msync, mincore. */
#include <linux/mman.h>
#include "arch/x86/pagetable.h"
#include "fs/vfs.h"
#include "mm/fault.h"
#include "mm/filemap.h"
#include "mm/limits.h"
#include "mm/ops.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define KNOWN_MAP_FLAGS                                                                          \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | \
	    MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | \
	    MAP_FIXED_NOREPLACE | MAP_32BIT | (0x3f << MAP_HUGE_SHIFT))

static struct mm *current_mm(void)
{
	return current_program()->mm;
}

SYSCALL(mmap, uint64_t addr, uint64_t len, unsigned long prot, unsigned long flags, int fd,
    uint64_t off)
{
	unsigned type = flags & MAP_TYPE;
	if (off % PAGE_SIZE)
		return -EINVAL;
	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE) {
		if (flags & ~(unsigned long)KNOWN_MAP_FLAGS)
			return -EOPNOTSUPP;
		flags = (flags & ~(unsigned long)MAP_TYPE) | MAP_SHARED;
	}
	if (len == 0)
		return -EINVAL;
	if (len > USER_END)
		return -ENOMEM;
	if (flags & MAP_HUGETLB) /* there is no pool of reserved huge pages, as nr_hugepages says */
		return -ENOMEM;
	if (flags & MAP_ANONYMOUS)
		return mm_map(current_mm(), addr, len, (unsigned)prot, (unsigned)flags, NULL, 0);
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r =
	    mm_map(current_mm(), addr, len, (unsigned)prot, (unsigned)flags, f, off >> PAGE_SHIFT);
	file_put(f);
	return r;
}

SYSCALL(munmap, uint64_t addr, uint64_t len)
{
	return mm_unmap(current_mm(), addr, len);
}

SYSCALL(mprotect, uint64_t addr, uint64_t len, unsigned long prot)
{
	struct mm *m = current_mm();
	if (prot & ~(unsigned long)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN |
				    PROT_GROWSUP))
		return -EINVAL;
	if (addr % PAGE_SIZE || (prot & PROT_GROWSUP))
		return -EINVAL;
	if (prot & PROT_GROWSDOWN) {
		rw_read_lock(&m->lock);
		struct vma *v = mm_find(m, addr);
		bool grows = v && (v->flags & MAP_GROWSDOWN);
		uint64_t start = v ? v->start : 0;
		rw_read_unlock(&m->lock);
		if (!grows)
			return -EINVAL;
		len += addr - start;
		addr = start;
	}
	return mm_protect(m, addr, len, prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

SYSCALL(pkey_mprotect, uint64_t addr, uint64_t len, unsigned long prot, int key)
{
	return key == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}

SYSCALL(pkey_alloc, unsigned long flags, unsigned long rights)
{
	return flags || rights & ~3ul ? -EINVAL : -ENOSPC; /* protection keys are not offered */
}

SYSCALL(pkey_free, int key)
{
	(void)key;
	return -EINVAL;
}

static uint64_t grow_heap(struct mm *m, uint64_t want)
{
	uint64_t old_end = ALIGN_UP(m->brk, PAGE_SIZE), end = ALIGN_UP(want, PAGE_SIZE);
	if (want - m->brk_start > mm_limit(RLIMIT_DATA))
		return m->brk;
	if (end > old_end) {
		struct vma like = {.prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE | VMA_HEAP};
		rw_write_lock(&m->lock);
		struct vma *heap = mm_find(m, old_end - 1), *next = mm_find_next(m, old_end);
		bool free_above = !next || next->start >= end + PAGE_SIZE;
		bool ok = free_above && mm_may_grow(m, (end - old_end) >> PAGE_SHIFT) &&
			  mm_overcommit_ok((end - old_end) >> PAGE_SHIFT, like.prot, like.flags);
		bool extend = ok && old_end > m->brk_start && heap && (heap->flags & VMA_HEAP) &&
			      heap->prot == like.prot;
		if (extend) {
			vma_resize(heap, heap->start, end);
			atomic_fetch_add(&m->total_pages, (int64_t)((end - old_end) >> PAGE_SHIFT));
			if (end - old_end <= 4 * PAGE_SIZE)
				anonymous_prefault(heap, old_end, end);
		}
		rw_write_unlock(&m->lock);
		if (!ok)
			return m->brk;
		if (!extend &&
		    mm_map_area(m, old_end, end - old_end, MAP_FIXED_NOREPLACE, &like) < 0)
			return m->brk;
	}
	return m->brk = want;
}

SYSCALL(brk, uint64_t want)
{
	struct mm *m = current_mm();
	if (want < m->brk_start || want >= USER_END)
		return (long)m->brk;
	if (want >= m->brk)
		return (long)grow_heap(m, want);
	uint64_t end = ALIGN_UP(want, PAGE_SIZE), old_end = ALIGN_UP(m->brk, PAGE_SIZE);
	if (end < old_end && mm_unmap(m, end, old_end - end))
		return (long)m->brk;
	m->brk = want;
	return (long)want;
}

SYSCALL(msync, uint64_t addr, uint64_t len, int flags)
{
	struct mm *m = current_mm();
	uint64_t end = addr + ALIGN_UP(len, PAGE_SIZE);
	int err = 0;
	if (addr % PAGE_SIZE || (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE)) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr)
		return -ENOMEM;
	while (addr < end) {
		rw_read_lock(&m->lock);
		struct vma *v = mm_find_next(m, addr);
		if (!v || v->start >= end) {
			rw_read_unlock(&m->lock);
			return -ENOMEM;
		}
		if (v->start > addr)
			err = -ENOMEM; /* a hole: reported, but the rest is still written */
		addr = MAX(addr, v->start);
		uint64_t stop = MIN(end, v->end);
		struct file *f = (v->flags & MAP_SHARED) && (flags & MS_SYNC) ? v->file : NULL;
		uint64_t first = (v->pgoff << PAGE_SHIFT) + (addr - v->start);
		bool busy = (flags & MS_INVALIDATE) && (v->flags & MAP_LOCKED);
		if (f)
			file_get(f);
		rw_read_unlock(&m->lock);
		if (f) {
			int e = 0;
			if (f->ops && f->ops->fsync)
				e = f->ops->fsync(
				    f, (int64_t)first, (int64_t)(first + (stop - addr) - 1), true);
			file_put(f);
			if (e)
				return e;
		}
		if (busy)
			return -EBUSY;
		addr = stop;
	}
	return err;
}

struct mincore_context {
	uint8_t *bits;
	uint64_t start, end;
};

static void note_resident(pte_t *e, uint64_t addr, unsigned level, void *ctx)
{
	struct mincore_context *c = ctx;
	uint64_t stop = addr + (level == PT_LEVEL_HUGE ? HUGE_SIZE : PAGE_SIZE);
	(void)e;
	for (uint64_t a = MAX(addr, c->start); a < MIN(stop, c->end); a += PAGE_SIZE)
		c->bits[(a - c->start) >> PAGE_SHIFT] = 1;
}

/* Residency of [addr, end), inside one area or unmapped: cached file pages count although not
 * mapped. */
static int residency(struct mm *m, uint64_t addr, uint64_t end, uint8_t *bits)
{
	struct mincore_context c = {bits, addr, end};
	int err = 0;
	rw_read_lock(&m->lock);
	for (uint64_t a = addr; a < end && !err;) {
		struct vma *v = mm_find(m, a);
		if (!v) {
			err = -ENOMEM;
			break;
		}
		uint64_t stop = MIN(end, v->end);
		struct mapping *map = vma_cache(v);
		for (; map && a < stop; a += PAGE_SIZE) {
			struct page *p =
			    mapping_peek(map, v->pgoff + ((a - v->start) >> PAGE_SHIFT));
			if (p) {
				bits[(a - addr) >> PAGE_SHIFT] = 1;
				page_put(p);
			}
		}
		a = stop;
	}
	if (!err)
		pt_for_each(m, addr, end, note_resident, &c);
	rw_read_unlock(&m->lock);
	return err;
}

SYSCALL(mincore, uint64_t addr, uint64_t len, uint8_t __user *vec)
{
	struct mm *m = current_mm();
	uint8_t bits[256];
	if (addr % PAGE_SIZE)
		return -EINVAL;
	if (addr > USER_END || len > USER_END - addr)
		return -ENOMEM;
	uint64_t end = addr + ALIGN_UP(len, PAGE_SIZE);
	while (addr < end) {
		uint64_t stop = MIN(end, addr + sizeof bits * PAGE_SIZE);
		size_t n = (stop - addr) >> PAGE_SHIFT;
		for (size_t i = 0; i < n; i++)
			bits[i] = 0;
		int err = residency(m, addr, stop, bits);
		if (!err)
			err = copy_to_user(vec, bits, n);
		if (err)
			return err;
		vec += n;
		addr = stop;
	}
	return 0;
}
