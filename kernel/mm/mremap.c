/* SPDX-License-Identifier: BSD-3-Clause */
/* mremap(): areas grow, shrink and move with their pages; no byte is copied. */
#include <linux/mman.h>
#include "arch/x86/pagetable.h"
#include "mm/limits.h"
#include "mm/ops.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "sys/syscall.h"

struct move {
	struct mm *m;
	uint64_t old, old_len, to, len; /* bytes, page multiples */
	unsigned flags;
};

static void account(struct mm *m, const struct vma *v, int64_t pages)
{
	atomic_fetch_add(&m->total_pages, pages);
	if (v->flags & MAP_LOCKED)
		atomic_fetch_add(&m->locked_pages, pages);
}

/* Grows the area that ends at the range's end, if nothing is behind it. Lock for writing. */
static bool grow_in_place(const struct move *o, struct vma *v)
{
	struct vma *next = vma_next(v);
	uint64_t end = o->old + o->len;
	if (o->old + o->old_len != v->end || end > USER_END || end < o->old ||
	    (next && next->start < end))
		return false;
	account(o->m, v, (int64_t)((o->len - o->old_len) >> PAGE_SHIFT));
	vma_resize(v, v->start, end);
	return true;
}

static long choose_target(struct move *o, const struct vma *v, struct list *dead)
{
	if (!(o->flags & MREMAP_FIXED)) {
		long at = -ENOMEM;
		if (vma_anonymous(v) && o->len >= HUGE_SIZE)
			at = vma_find_gap(o->m, o->len, HUGE_SIZE);
		return at > 0 ? at : vma_find_gap(o->m, o->len, PAGE_SIZE);
	}
	int err = mm_unmap_locked(o->m, o->to, o->to + o->len, dead);
	return err ? err : (long)o->to;
}

/* Moves the pages of v, which is exactly the old range. Lock for writing. New address or -errno. */
static long move_area(struct move *o, struct vma *v, struct list *dead)
{
	uint64_t moved, back, keep = MIN(o->old_len, o->len);
	struct vma *n = vma_new(o->m, o->to, o->to + o->len, v);
	if (!n)
		return -ENOMEM;
	if (vma_anonymous(v))
		n->pgoff = n->start >> PAGE_SHIFT;
	vma_insert(o->m, n);
	int err = pt_move(o->m, o->old, o->to, keep, &moved);
	if (err) { /* the tables of the way back exist */
		pt_move(o->m, o->to, o->old, moved, &back);
		vma_remove(o->m, n);
		list_append(dead, &n->mapping_link);
		return err;
	}
	account(o->m, n, (int64_t)(o->len >> PAGE_SHIFT));
	if (o->flags & MREMAP_DONTUNMAP)
		return (long)o->to;
	account(o->m, v, -(int64_t)(o->old_len >> PAGE_SHIFT));
	vma_remove(o->m, v);
	list_append(dead, &v->mapping_link);
	vma_gap_freed(o->m, o->old, o->old + o->old_len);
	return (long)o->to;
}

static long remap_locked(struct move *o, struct list *dead)
{
	struct vma *v = mm_find(o->m, o->old);
	if (!v)
		return -EFAULT;
	if (o->old + o->old_len > v->end || v->flags & VMA_SPECIAL)
		return -EFAULT;
	if ((o->flags & MREMAP_DONTUNMAP) && !(vma_anonymous(v) && !(v->flags & MAP_SHARED)))
		return -EINVAL;
	if (o->len > o->old_len) {
		uint64_t more = (o->len - o->old_len) >> PAGE_SHIFT;
		if (!mm_may_grow(o->m, more) || !mm_overcommit_ok(more, v->prot, v->flags))
			return -ENOMEM;
		if ((v->flags & MAP_LOCKED) && !mm_may_lock(o->m, more))
			return -EAGAIN;
	}
	if (!(o->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		if (o->len == o->old_len)
			return (long)o->old;
		if (o->len < o->old_len) {
			int err = mm_unmap_locked(o->m, o->old + o->len, o->old + o->old_len, dead);
			return err ? err : (long)o->old;
		}
		if (grow_in_place(o, v))
			return (long)o->old;
	}
	if (!(o->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	if (o->m->area_count >= MAX_AREAS - 3)
		return -ENOMEM;
	long to = choose_target(o, v, dead);
	if (to < 0)
		return to;
	o->to = (uint64_t)to;
	int err = vma_isolate(o->m, o->old, o->old + o->old_len);
	v = mm_find(o->m, o->old);
	if (err || !v)
		return err ? err : -EFAULT;
	return move_area(o, v, dead);
}

SYSCALL(mremap, uint64_t old, uint64_t old_len, uint64_t len, unsigned long flags, uint64_t to)
{
	struct list dead = LIST_INIT(dead);
	struct move o = {current_program()->mm, old, ALIGN_UP(old_len, PAGE_SIZE), to,
	    ALIGN_UP(len, PAGE_SIZE), (unsigned)flags};
	if (flags & ~(unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (old % PAGE_SIZE || o.len == 0 || o.old_len == 0 || o.len > USER_END ||
	    o.old_len > USER_END || old > USER_END - o.old_len)
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && o.len != o.old_len)
		return -EINVAL;
	if (flags & MREMAP_FIXED) {
		if (to % PAGE_SIZE || to > USER_END - o.len || to < MIN_ADDR)
			return -EINVAL;
		if (to < old + o.old_len && old < to + o.len)
			return -EINVAL;
	}
	rw_write_lock(&o.m->lock);
	long r = remap_locked(&o, &dead);
	struct vma *v = r > 0 ? mm_find(o.m, (uint64_t)r) : NULL;
	bool populate = v && (v->flags & MAP_LOCKED);
	if (v)
		vma_merge(v, &dead);
	rw_write_unlock(&o.m->lock);
	mm_free_dead(&dead);
	if (populate)
		mm_populate(o.m, (uint64_t)r, o.len, true);
	return r;
}
