/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas: red-black tree by start address.
 *
 * Free space is searched downwards from gap_top, below which nothing was allocated since the last
 * search from the top; gap_skipped is the largest hole passed over above it. A request that could
 * fit such a hole starts from the top again. Runs of mmap() therefore take constant time, however
 * many areas there are.
 */
#include "mm/vma.h"

#include <asm/errno.h>
#include <linux/mman.h>
#include "fs/vfs.h"
#include "mm/kmalloc.h"

static struct mapping *vma_mapping(const struct vma *v)
{
	return v->file && v->file->inode ? &v->file->inode->map : NULL;
}

static void link_mapping(struct vma *v)
{
	struct mapping *map = vma_mapping(v);
	if (!map || !map->vmas.next)
		return;
	mutex_lock(&map->vmas_lock);
	list_append(&map->vmas, &v->mapping_link);
	mutex_unlock(&map->vmas_lock);
}

static void unlink_mapping(struct vma *v)
{
	struct mapping *map = vma_mapping(v);
	if (!map || list_empty(&v->mapping_link))
		return;
	mutex_lock(&map->vmas_lock);
	list_remove(&v->mapping_link);
	mutex_unlock(&map->vmas_lock);
}

struct vma *vma_new(struct mm *m, uint64_t start, uint64_t end, const struct vma *like)
{
	struct vma *v = kmalloc(sizeof *v);
	if (!v)
		return NULL;
	*v = *like;
	v->mm = m;
	v->start = start;
	v->end = end;
	list_init(&v->mapping_link);
	if (v->file)
		file_get(v->file);
	if (v->ops && v->ops->open)
		v->ops->open(v);
	return v;
}

void vma_free(struct vma *v)
{
	if (v->ops && v->ops->close)
		v->ops->close(v);
	if (v->file)
		file_put(v->file);
	kfree(v);
}

void vma_insert(struct mm *m, struct vma *v)
{
	struct rb_node **link = &m->areas.root, *parent = NULL;
	while (*link) {
		parent = *link;
		link = v->start < rb_entry(parent, struct vma, node)->start ? &parent->left
									    : &parent->right;
	}
	rb_insert(&m->areas, &v->node, parent, link);
	m->area_count++;
	link_mapping(v);
}

void vma_remove(struct mm *m, struct vma *v)
{
	unlink_mapping(v);
	rb_remove(&m->areas, &v->node);
	m->area_count--;
}

struct vma *mm_find_next(struct mm *m, uint64_t addr)
{
	struct vma *best = NULL;
	for (struct rb_node *n = m->areas.root; n;) {
		struct vma *v = rb_entry(n, struct vma, node);
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct vma *mm_find(struct mm *m, uint64_t addr)
{
	struct vma *v = mm_find_next(m, addr);
	return v && v->start <= addr ? v : NULL;
}

static struct vma *from_node(struct rb_node *n)
{
	return n ? rb_entry(n, struct vma, node) : NULL;
}

struct vma *vma_first(struct mm *m)
{
	return from_node(rb_first(&m->areas));
}

struct vma *vma_next(const struct vma *v)
{
	return from_node(rb_next(&v->node));
}

struct vma *vma_prev(const struct vma *v)
{
	return from_node(rb_prev(&v->node));
}

void vma_resize(struct vma *v, uint64_t start, uint64_t end)
{
	struct mapping *map = list_empty(&v->mapping_link) ? NULL : vma_mapping(v);
	if (map)
		mutex_lock(&map->vmas_lock);
	v->pgoff += (int64_t)(start - v->start) >> PAGE_SHIFT;
	v->start = start;
	v->end = end;
	if (map)
		mutex_unlock(&map->vmas_lock);
}

struct vma *vma_split(struct vma *v, uint64_t addr)
{
	struct vma *upper = vma_new(v->mm, addr, v->end, v);
	if (!upper)
		return NULL;
	upper->pgoff = v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
	vma_resize(v, v->start, addr);
	vma_insert(v->mm, upper);
	return upper;
}

bool vma_mergeable(const struct vma *a, const struct vma *b)
{
	return a->prot == b->prot && a->flags == b->flags && a->file == b->file &&
	       a->ops == b->ops && a->private == b->private &&
	       !(a->flags & (VMA_SPECIAL | VMA_STACK | VMA_HEAP)) &&
	       (vma_anonymous(a) || b->pgoff == a->pgoff + (vma_len(a) >> PAGE_SHIFT));
}

static void absorb(struct vma *low, struct vma *high, struct list *dead)
{
	uint64_t end = high->end;
	vma_remove(low->mm, high);
	vma_resize(low, low->start, end);
	list_append(dead, &high->mapping_link);
}

struct vma *vma_merge(struct vma *v, struct list *dead)
{
	struct vma *prev = vma_prev(v), *next = vma_next(v);
	if (next && next->start == v->end && vma_mergeable(v, next))
		absorb(v, next, dead);
	if (prev && prev->end == v->start && vma_mergeable(prev, v)) {
		absorb(prev, v, dead);
		v = prev;
	}
	return v;
}

int vma_isolate(struct mm *m, uint64_t start, uint64_t end)
{
	struct vma *v = mm_find(m, start);
	if (v && v->start < start && !vma_split(v, start))
		return -ENOMEM;
	v = mm_find(m, end - 1);
	if (v && v->end > end && !vma_split(v, end))
		return -ENOMEM;
	return 0;
}

/* The lowest address that may be used below area v: growing stacks keep their distance. */
static uint64_t keep_clear(const struct vma *v)
{
	uint64_t gap = v->flags & MAP_GROWSDOWN ? STACK_GUARD_GAP : 0;
	return v->start > gap ? v->start - gap : 0;
}

/* The highest fit below top, or 0; *skipped grows to the largest hole passed over. */
static uint64_t search_down(
    struct mm *m, uint64_t top, uint64_t len, uint64_t align, uint64_t *skipped)
{
	struct vma *above = mm_find_next(m, top - 1), *v;
	if (above && keep_clear(above) < top)
		top = keep_clear(above);
	v = above ? vma_prev(above) : from_node(rb_last(&m->areas));
	for (;;) {
		uint64_t floor = v ? v->end : MIN_ADDR;
		if (floor < top) {
			uint64_t at = top >= len ? ALIGN_DOWN(top - len, align) : 0;
			if (at >= floor && at >= MIN_ADDR) {
				*skipped = MAX(*skipped, top - (at + len));
				return at;
			}
			*skipped = MAX(*skipped, top - floor);
		}
		if (!v)
			return 0;
		top = MIN(top, keep_clear(v));
		v = vma_prev(v);
	}
}

long vma_find_gap(struct mm *m, uint64_t len, uint64_t align)
{
	uint64_t top = m->mmap_base;
	if (m->gap_top && m->gap_top < top && len > m->gap_skipped)
		top = m->gap_top;
	else
		m->gap_skipped = 0;
	uint64_t at = search_down(m, top, len, align, &m->gap_skipped);
	if (!at && top != m->mmap_base) {
		m->gap_skipped = 0;
		at = search_down(m, m->mmap_base, len, align, &m->gap_skipped);
	}
	if (!at) { /* the space above the usual base, between it and the stack */
		uint64_t ignored = 0;
		m->gap_top = m->gap_skipped = 0;
		at = search_down(m, USER_END, len, align, &ignored);
		return at ? (long)at : -ENOMEM;
	}
	m->gap_top = at;
	return (long)at;
}

long vma_find_gap_below(struct mm *m, uint64_t len, uint64_t top)
{
	uint64_t ignored = 0, at = search_down(m, top, len, PAGE_SIZE, &ignored);
	return at ? (long)at : -ENOMEM;
}

void vma_gap_freed(struct mm *m, uint64_t start, uint64_t end)
{
	if (end <= m->gap_top || start >= m->mmap_base)
		return;
	struct vma *above = mm_find_next(m, end - 1);
	m->gap_top = above ? MIN(above->start, m->mmap_base) : m->mmap_base;
}
