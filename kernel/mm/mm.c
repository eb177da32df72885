/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces: creation, copying, mapping, unmapping, protection. */
#include "mm/mm.h"

#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>
#include "arch/x86/cpu.h"
#include "arch/x86/pagetable.h"
#include "core/log.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/fault.h"
#include "mm/filemap.h"
#include "mm/kmap.h"
#include "mm/kmalloc.h"
#include "mm/limits.h"
#include "mm/ops.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "proc/rewrite/rewrite.h"

#define PREFAULT_BYTES \
	(4 * PAGE_SIZE) /* fresh anonymous areas up to this size are filled at once */
#define CAP_IPC_LOCK_NR 14
#define AREA_FLAGS                                                                           \
	(MAP_SHARED | MAP_PRIVATE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_LOCKED | VMA_STACK | \
	    VMA_HEAP | VMA_SPECIAL | VMA_NOHUGE)

struct mm kernel_mm;

uint64_t mm_limit(int resource)
{
	struct program *p = current_program();
	return p ? p->limits[resource].cur : UINT64_MAX;
}

bool mm_may_grow(struct mm *m, uint64_t pages)
{
	uint64_t have = (uint64_t)atomic_load(&m->total_pages), limit = mm_limit(RLIMIT_AS);
	return (have + pages) <= limit >> PAGE_SHIFT;
}

bool mm_may_lock(struct mm *m, uint64_t pages)
{
	uint64_t have = (uint64_t)atomic_load(&m->locked_pages);
	return have + pages <= mm_limit(RLIMIT_MEMLOCK) >> PAGE_SHIFT || capable(CAP_IPC_LOCK_NR);
}

bool mm_overcommit_ok(uint64_t pages, unsigned prot, unsigned flags)
{
	if (!(prot & PROT_WRITE) || (flags & (MAP_SHARED | MAP_NORESERVE)))
		return true;
	return pages <= memstats.total;
}

void mm_init(void)
{
	kernel_mm.pml4 = kernel_pml4;
	kernel_mm.pml4_phys = read_cr3() & PTE_PHYS;
	atomic_init(&kernel_mm.refs, 1);
	zero_page = page_alloc(0, PAGE_ZERO);
	if (!zero_page)
		panic("no memory for the page of zeroes");
	atomic_fetch_or(&zero_page->flags, PG_RESERVED);
}

struct mm *mm_create(void)
{
	struct mm *m = kzalloc(sizeof *m);
	if (!m)
		return NULL;
	m->pml4 = pt_new_top();
	if (!m->pml4) {
		kfree(m);
		return NULL;
	}
	m->pml4_phys = virt_phys(m->pml4);
	atomic_init(&m->refs, 1);
	m->stack_top = USER_END;
	m->mmap_base = USER_END - (1ul << 32);
	return m;
}

void mm_get(struct mm *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void mm_free_dead(struct list *dead)
{
	while (!list_empty(dead)) {
		struct vma *v = list_first(dead, struct vma, mapping_link);
		list_remove(&v->mapping_link);
		vma_free(v);
	}
}

static void destroy(struct mm *m)
{
	struct list dead = LIST_INIT(dead);
	struct pt_gather g;
	mm_unload(m);
	pt_gather_init(&g, m);
	g.dying = true;
	for (struct vma *v; (v = vma_first(m));) {
		vma_remove(m, v);
		pt_unmap(&g, v->start, v->end, false);
		list_append(&dead, &v->mapping_link);
	}
	pt_free_tables(&g, 0, 1ull << 47);
	pt_gather_finish(&g);
	mm_free_dead(&dead);
	rewrite_free(m);
	if (m->exe)
		file_put(m->exe);
	pt_free_top(m->pml4);
	kfree(m);
}

void mm_put(struct mm *m)
{
	if (atomic_fetch_sub(&m->refs, 1) == 1)
		destroy(m);
}

static void copy_layout(struct mm *to, const struct mm *from)
{
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->stack_top = from->stack_top;
	to->mmap_base = from->mmap_base;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->vdso = from->vdso;
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->fixed_layout = from->fixed_layout;
	to->mempolicy = from->mempolicy;
	to->mempolicy_nodes = from->mempolicy_nodes;
}

static int copy_areas(struct mm *to, struct mm *from)
{
	for (struct vma *v = vma_first(from); v; v = vma_next(v)) {
		if (v->flags & VMA_DONTFORK)
			continue;
		int err = pt_split_range(from, v->start, v->end);
		struct vma *c = err ? NULL : vma_new(to, v->start, v->end, v);
		if (!c)
			return -ENOMEM;
		c->flags &= ~(unsigned)MAP_LOCKED; /* locks are not inherited */
		vma_insert(to, c);
		atomic_fetch_add(&to->total_pages, (int64_t)(vma_len(v) >> PAGE_SHIFT));
		if (v->flags & VMA_WIPEONFORK)
			continue;
		err = pt_copy(to, from, v->start, v->end, !(v->flags & MAP_SHARED));
		if (err)
			return err;
	}
	return 0;
}

struct mm *mm_copy(struct mm *m)
{
	struct mm *n = mm_create();
	if (!n)
		return NULL;
	rw_write_lock(&m->lock);
	copy_layout(n, m);
	if (m->exe) {
		file_get(m->exe);
		n->exe = m->exe;
	}
	int err = copy_areas(n, m);
	if (!err)
		err = rewrite_fork(n, m);
	tlb_flush_range(m, 0, USER_END);
	rw_write_unlock(&m->lock);
	if (err) {
		mm_put(n);
		return NULL;
	}
	return n;
}

int mm_unmap_locked(struct mm *m, uint64_t start, uint64_t end, struct list *dead)
{
	struct vma *v = mm_find_next(m, start);
	if (!v || v->start >= end)
		return 0;
	if (m->area_count >= MAX_AREAS && v->start < start && v->end > end)
		return -ENOMEM;
	int err = vma_isolate(m, start, end);
	if (!err)
		err = pt_split_at(m, start);
	if (!err)
		err = pt_split_at(m, end);
	if (err)
		return err;
	struct pt_gather g;
	pt_gather_init(&g, m);
	uint64_t floor = 0, pages = 0;
	v = mm_find_next(m, start);
	struct vma *prev = vma_prev(v);
	if (prev)
		floor = prev->end;
	while (v && v->start < end) {
		struct vma *next = vma_next(v);
		vma_remove(m, v);
		pt_unmap(&g, v->start, v->end, false);
		if (v->prot & PROT_EXEC)
			rewrite_unmapped(m, v->start, v->end);
		pages += vma_len(v) >> PAGE_SHIFT;
		if (v->flags & MAP_LOCKED)
			atomic_fetch_sub(&m->locked_pages, (int64_t)(vma_len(v) >> PAGE_SHIFT));
		list_append(dead, &v->mapping_link);
		v = next;
	}
	if (end - start >= HUGE_SIZE) /* small ones leave their table for the next */
		pt_free_tables(&g, MAX(floor, ALIGN_DOWN(start, 1ul << 30)),
		    v ? MIN(v->start, ALIGN_UP(end, 1ul << 30)) : ALIGN_UP(end, 1ul << 30));
	pt_gather_finish(&g);
	atomic_fetch_sub(&m->total_pages, (int64_t)pages);
	vma_gap_freed(m, start, end);
	return 0;
}

static bool range_bad(uint64_t addr, uint64_t len)
{
	return addr % PAGE_SIZE || len == 0 || len > USER_END || addr > USER_END - len;
}

int mm_unmap(struct mm *m, uint64_t addr, uint64_t len)
{
	struct list dead = LIST_INIT(dead);
	len = ALIGN_UP(len, PAGE_SIZE);
	if (range_bad(addr, len))
		return -EINVAL;
	rw_write_lock(&m->lock);
	int err = mm_unmap_locked(m, addr, addr + len, &dead);
	rw_write_unlock(&m->lock);
	mm_free_dead(&dead);
	TRACE(mm_unmap, "addr=%lx len=%lx", addr, len);
	return err;
}

/* Where a new area goes. Lock for writing. Address or -errno; a fixed range is emptied. */
static long place(
    struct mm *m, uint64_t addr, uint64_t len, unsigned flags, bool want_huge, struct list *dead)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (addr % PAGE_SIZE)
			return -EINVAL;
		if (addr > USER_END - len)
			return -ENOMEM;
		if (addr < MIN_ADDR)
			return -EPERM;
		if (flags & MAP_FIXED_NOREPLACE) {
			struct vma *v = mm_find_next(m, addr);
			return v && v->start < addr + len ? -EEXIST : (long)addr;
		}
		int err = mm_unmap_locked(m, addr, addr + len, dead);
		return err ? err : (long)addr;
	}
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	if (addr >= MIN_ADDR && addr <= USER_END - len) {
		struct vma *v = mm_find_next(m, addr);
		if (!v || addr + len <= v->start)
			return (long)addr;
	}
	if (flags & MAP_32BIT)
		return vma_find_gap_below(m, len, 1ul << 31);
	if (want_huge) {
		long at = vma_find_gap(m, len, HUGE_SIZE);
		if (at > 0)
			return at;
	}
	return vma_find_gap(m, len, PAGE_SIZE);
}

/* Grows the area directly below instead of making a new one, if it is of the same kind. */
static struct vma *extend_below(struct mm *m, const struct vma *like)
{
	struct vma *below = like->start ? mm_find(m, like->start - 1) : NULL;
	if (!below || like->file || like->private || !vma_mergeable(below, like))
		return NULL;
	vma_resize(below, below->start, like->end);
	return below;
}

static struct vma *extend_above(struct mm *m, const struct vma *like)
{
	struct vma *above = mm_find(m, like->end);
	if (!above || like->file || like->private || !vma_mergeable(like, above))
		return NULL;
	vma_resize(above, like->start, above->end);
	return above;
}

/* Frees page tables without pages that small unmaps left where a 2 MiB page could go. */
static void clear_huge_slots(struct mm *m, uint64_t start, uint64_t end)
{
	struct pt_gather g;
	pt_gather_init(&g, m);
	pt_free_tables(&g, start, end);
	pt_gather_finish(&g);
}

long mm_map_area(struct mm *m, uint64_t addr, uint64_t len, unsigned how, struct vma *like)
{
	struct list dead = LIST_INIT(dead);
	bool anonymous = vma_anonymous(like), populate = false;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (len == 0 || len > USER_END)
		return len ? -ENOMEM : -EINVAL;
	like->flags |= m->future_flags;
	rw_write_lock(&m->lock);
	long at = -ENOMEM;
	if (m->area_count >= MAX_AREAS || !mm_may_grow(m, len >> PAGE_SHIFT) ||
	    !mm_overcommit_ok(len >> PAGE_SHIFT, like->prot, like->flags))
		goto out;
	at = -EAGAIN;
	if ((like->flags & MAP_LOCKED) && !mm_may_lock(m, len >> PAGE_SHIFT))
		goto out;
	at = place(m, addr, len, how, anonymous && len >= HUGE_SIZE, &dead);
	if (at < 0)
		goto out;
	like->start = (uint64_t)at;
	like->end = like->start + len;
	if (anonymous)
		like->pgoff = like->start >> PAGE_SHIFT;
	if (len >= HUGE_SIZE)
		clear_huge_slots(m, like->start, like->end);
	struct vma *v = anonymous ? extend_below(m, like) : NULL;
	if (!v && anonymous)
		v = extend_above(m, like);
	if (!v) {
		v = vma_new(m, like->start, like->end, like);
		if (!v) {
			at = -ENOMEM;
			goto out;
		}
		vma_insert(m, v);
	}
	atomic_fetch_add(&m->total_pages, (int64_t)(len >> PAGE_SHIFT));
	if (like->flags & MAP_LOCKED)
		atomic_fetch_add(&m->locked_pages, (int64_t)(len >> PAGE_SHIFT));
	populate = (how & MAP_POPULATE) || (like->flags & MAP_LOCKED);
	if (anonymous && !(like->flags & MAP_SHARED) && len <= PREFAULT_BYTES &&
	    (like->prot & PROT_WRITE) && !(like->flags & MAP_NORESERVE))
		anonymous_prefault(v, like->start, like->end);
out:
	rw_write_unlock(&m->lock);
	mm_free_dead(&dead);
	if (at > 0 && populate)
		mm_populate(m, (uint64_t)at, len, like->prot & PROT_WRITE);
	TRACE(mm_map, "addr=%lx len=%lx prot=%x flags=%x", at, len, like->prot, how);
	return at;
}

/* Sets up *v for a file, whose reference v->file owns; the file's own mmap operation may put
 * another one there, or none (anonymous memory). 0 or -errno. */
static int prepare_file(struct vma *v, struct file *f)
{
	if (f->mode & FMODE_PATH)
		return -EBADF;
	if (!(f->mode & FMODE_READ))
		return -EACCES;
	if ((v->flags & MAP_SHARED) && (v->prot & PROT_WRITE) && !(f->mode & FMODE_WRITE))
		return -EACCES;
	if ((v->flags & MAP_SHARED) && (v->prot & PROT_WRITE) && f->inode &&
	    (f->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EPERM;
	if (f->ops && f->ops->mmap) {
		int err = f->ops->mmap(f, v);
		if (err)
			return err;
	} else {
		uint32_t type = f->inode ? f->inode->mode & S_IFMT : 0;
		if (type != S_IFREG && type != S_IFBLK)
			return -ENODEV;
	}
	if (v->file && !v->ops)
		v->ops = &file_vma_ops;
	return 0;
}

long mm_map(struct mm *m, uint64_t addr, uint64_t len, unsigned prot, unsigned flags,
    struct file *file, uint64_t pgoff)
{
	uint64_t bytes = ALIGN_UP(len, PAGE_SIZE);
	struct vma like = {.prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
	    .flags = flags & AREA_FLAGS,
	    .pgoff = pgoff,
	    .end = bytes,
	    .mm = m};
	int err = 0;
	if (len == 0)
		return -EINVAL;
	if (file) {
		if (pgoff + (bytes >> PAGE_SHIFT) < pgoff)
			return -EOVERFLOW;
		file_get(file);
		like.file = file;
		err = prepare_file(&like, file);
	} else if (flags & MAP_SHARED) {
		like.pgoff = 0;
		err = shared_anonymous_new(bytes >> PAGE_SHIFT, &like.ops, &like.private);
	}
	/* A shared object without a name would go with its last area: this is one until the real
	 * one exists. */
	bool hold = !err && !file && like.ops && like.ops->open;
	if (hold)
		like.ops->open(&like);
	struct vma held = like;
	long at = err ? err : mm_map_area(m, addr, len, flags, &like);
	if (hold)
		held.ops->close(&held);
	if (held.file)
		file_put(held.file);
	return at;
}

long mm_map_ops(struct mm *m, uint64_t addr, uint64_t len, unsigned prot, unsigned flags,
    const struct vma_ops *ops, void *private, uint64_t pgoff)
{
	struct vma like = {.prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
	    .flags = flags & AREA_FLAGS,
	    .pgoff = pgoff,
	    .ops = ops,
	    .private = private,
	    .mm = m};
	return mm_map_area(m, addr, len, flags, &like);
}

static bool may_protect(const struct vma *v, unsigned prot)
{
	return !(prot & PROT_WRITE) || !(v->flags & MAP_SHARED) || !v->file ||
	       ((v->file->mode & FMODE_WRITE) &&
		   !(v->file->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)));
}

static int protect_locked(
    struct mm *m, uint64_t addr, uint64_t end, unsigned prot, struct list *dead)
{
	struct vma *v = mm_find(m, addr);
	int err = v ? 0 : -ENOMEM;
	if (!err && m->area_count >= MAX_AREAS - 2)
		err = -ENOMEM;
	if (!err)
		err = vma_isolate(m, addr, end);
	if (!err)
		err = pt_split_at(m, addr);
	if (!err)
		err = pt_split_at(m, end);
	while (!err && addr < end) {
		v = mm_find(m, addr);
		if (!v)
			return -ENOMEM; /* what came before stays changed, as on Linux */
		if (!may_protect(v, prot))
			return -EACCES;
		uint64_t next = v->end;
		if (v->prot != prot) {
			v->prot = prot;
			pt_protect(m, v->start, v->end, prot, !(v->flags & MAP_SHARED));
		}
		vma_merge(v, dead);
		addr = next;
	}
	return err;
}

int mm_protect(struct mm *m, uint64_t addr, uint64_t len, unsigned prot)
{
	struct list dead = LIST_INIT(dead);
	len = ALIGN_UP(len, PAGE_SIZE);
	if (len == 0)
		return 0;
	if (range_bad(addr, len))
		return addr % PAGE_SIZE ? -EINVAL : -ENOMEM;
	rw_write_lock(&m->lock);
	int err = protect_locked(m, addr, addr + len, prot, &dead);
	rw_write_unlock(&m->lock);
	mm_free_dead(&dead);
	return err;
}

int mm_populate(struct mm *m, uint64_t addr, uint64_t len, bool write)
{
	uint64_t end = ALIGN_UP(addr + len, PAGE_SIZE);
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	while (addr < end) {
		rw_read_lock(&m->lock);
		if (page_present(m, addr, write)) {
			unsigned level;
			pt_leaf(m, addr, &level);
			rw_read_unlock(&m->lock);
			addr = level == PT_LEVEL_HUGE ? ALIGN_DOWN(addr, HUGE_SIZE) + HUGE_SIZE
						      : addr + PAGE_SIZE;
			continue;
		}
		struct vma *v = mm_find(m, addr);
		if (!v || !(v->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC))) {
			rw_read_unlock(&m->lock);
			return -EFAULT;
		}
		int err = fault_in(m, v, addr, write, false);
		if (err)
			return err;
		preempt_point();
	}
	return 0;
}

uint64_t mm_translate(struct mm *m, uint64_t addr)
{
	unsigned level;
	rw_read_lock(&m->lock);
	pte_t *e = pt_leaf(m, addr, &level);
	uint64_t v = e ? atomic_load(e) : 0;
	rw_read_unlock(&m->lock);
	if (!(v & PTE_P))
		return 0;
	uint64_t phys = v & PTE_PHYS;
	if (level == PT_LEVEL_HUGE)
		phys = ALIGN_DOWN(phys, HUGE_SIZE) + (addr % HUGE_SIZE & PAGE_MASK);
	return phys | (v & PTE_W ? 1 : 0);
}
