/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of areas of one address space: mm/'s internal interface. mm->lock as each function says.
 */
#pragma once

#include "mm/mm.h"

#define MAX_AREAS 65530
enum { VMA_DONTFORK = 1u << 27, VMA_WIPEONFORK = 1u << 26 }; /* madvise() */

#define MIN_ADDR 0x10000ul /* below it nothing is mapped: null pointers fault */
#define STACK_GUARD_GAP (256 * PAGE_SIZE)

/* A new area that is nowhere yet; takes its own file reference and calls ops->open. NULL without
 * memory. */
struct vma *vma_new(struct mm *m, uint64_t start, uint64_t end, const struct vma *like);
/* Drops an area that is in no tree any more: ops->close, file reference. mm->lock not held (may do
 * I/O). */
void vma_free(struct vma *v);
/* Links v, which overlaps nothing; unlinks it. Lock held for writing. */
void vma_insert(struct mm *m, struct vma *v);
void vma_remove(struct mm *m, struct vma *v);
struct vma *vma_first(struct mm *m);
struct vma *vma_next(const struct vma *v);
struct vma *vma_prev(const struct vma *v);
/* Cuts v at addr, strictly inside; returns the new upper part or NULL without memory. Lock for
 * writing. */
struct vma *vma_split(struct vma *v, uint64_t addr);
/* Joins v with equal neighbours; an absorbed area is appended to dead, to be vma_free()d without
 * the lock. Returns the area that holds what v held. Lock for writing. */
struct vma *vma_merge(struct vma *v, struct list *dead);
/* Moves a border of v (growth, shrinking); keeps tree order and file lists right. Lock for writing.
 */
void vma_resize(struct vma *v, uint64_t start, uint64_t end);
/* Whether a and b could be one area if b started at a's end. */
bool vma_mergeable(const struct vma *a, const struct vma *b);
/* Highest free range of len bytes (aligned, a power of two) below m->mmap_base; or -ENOMEM. Lock
 * held. */
long vma_find_gap(struct mm *m, uint64_t len, uint64_t align);
/* The same below an address of the caller's choice (MAP_32BIT). */
long vma_find_gap_below(struct mm *m, uint64_t len, uint64_t top);
/* Note that [start, end) became free. */
void vma_gap_freed(struct mm *m, uint64_t start, uint64_t end);
/* Splits areas at start and end so that no area crosses either. 0 or -ENOMEM. Lock for writing. */
int vma_isolate(struct mm *m, uint64_t start, uint64_t end);

static inline uint64_t vma_len(const struct vma *v)
{
	return v->end - v->start;
}
static inline bool vma_anonymous(const struct vma *v)
{
	return !v->ops || !v->ops->fault;
}
