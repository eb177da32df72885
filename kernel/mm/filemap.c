/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory-mapped files, and shared anonymous memory, which is a file without a name.
 *
 * Removals against faults: whoever takes pages out of page tables (truncation, write-back, copying
 * out of a layer below) increments mapping->zaps first. A fault reads the count before it looks the
 * page up and after its entry is in place; if it changed, the entry goes out again (mm/fault.c).
 */
#include "mm/filemap.h"

#include <asm/errno.h>
#include "arch/x86/pagetable.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "mm/kmalloc.h"
#include "mm/vma.h"

#define FAULT_READAHEAD 32 /* pages */

static struct page *file_fault(struct vma *v, uint64_t pgoff, bool write)
{
	struct inode *i = v->file->inode;
	if (pgoff >= (atomic_load(&i->size) + PAGE_SIZE - 1) >> PAGE_SHIFT)
		return err_ptr(-EFAULT);
	return write ? mapping_get_dirty(&i->map, pgoff)
		     : mapping_get(&i->map, pgoff, FAULT_READAHEAD);
}

const struct vma_ops file_vma_ops = {
    .fault = file_fault,
};

/* Shared anonymous memory: a mapping whose pages have no other home. */
struct shared_anonymous {
	atomic_int refs;
	uint64_t pages;
	struct mapping map;
};

static const struct mapping_ops shared_anonymous_mapping_ops;

static void shared_open(struct vma *v)
{
	struct shared_anonymous *s = v->private;
	atomic_fetch_add(&s->refs, 1);
}

static void shared_close(struct vma *v)
{
	struct shared_anonymous *s = v->private;
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	mapping_destroy(&s->map);
	kfree(s);
}

static struct page *shared_fault(struct vma *v, uint64_t pgoff, bool write)
{
	struct shared_anonymous *s = v->private;
	(void)write;
	return pgoff < s->pages ? mapping_get(&s->map, pgoff, 0) : err_ptr(-EFAULT);
}

static const char *shared_name(struct vma *v)
{
	(void)v;
	return "/dev/zero (deleted)";
}

static const struct vma_ops shared_vma_ops = {
    .open = shared_open,
    .close = shared_close,
    .fault = shared_fault,
    .name = shared_name,
};

int shared_anonymous_new(uint64_t pages, const struct vma_ops **ops, void **private)
{
	struct shared_anonymous *s = kzalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	atomic_init(&s->refs, 0); /* the first area's open() counts */
	s->pages = pages;
	mapping_init(&s->map, NULL, &shared_anonymous_mapping_ops);
	*ops = &shared_vma_ops;
	*private = s;
	return 0;
}

struct mapping *vma_cache(const struct vma *v)
{
	if (v->ops == &shared_vma_ops)
		return &((struct shared_anonymous *)v->private)->map;
	return v->file && v->file->inode && v->ops && v->ops->fault ? &v->file->inode->map : NULL;
}

/* Calls fn for the part of each area of map that shows pages [first, last]. vmas_lock held. */
static void for_each_part(struct mapping *map, uint64_t first, uint64_t last,
    void (*fn)(struct mm *m, uint64_t start, uint64_t end))
{
	struct vma *v;
	list_for_each_entry (v, &map->vmas, mapping_link) {
		uint64_t pages = vma_len(v) >> PAGE_SHIFT;
		if (v->pgoff > last || v->pgoff + pages <= first)
			continue;
		uint64_t from = first > v->pgoff ? first - v->pgoff : 0;
		uint64_t to = last - v->pgoff < pages ? last - v->pgoff + 1 : pages;
		fn(v->mm, v->start + (from << PAGE_SHIFT), v->start + (to << PAGE_SHIFT));
	}
}

static bool never_mapped(struct mapping *map)
{
	return !map->vmas.next || list_empty(&map->vmas);
}

static void zap(struct mm *m, uint64_t start, uint64_t end)
{
	struct pt_gather g;
	TRACE(remove_mapping, "addr=%#lx end=%#lx", start, end);
	pt_gather_init(&g, m);
	pt_unmap(&g, start, end, true);
	pt_gather_finish(&g);
}

void mm_zap_mapping(struct mapping *map, uint64_t first_page, uint64_t last_page)
{
	if (never_mapped(map))
		return;
	mutex_lock(&map->vmas_lock);
	for_each_part(map, first_page, last_page, zap);
	mutex_unlock(&map->vmas_lock);
}

void mm_wrprotect_mapping(struct mapping *map, uint64_t first_page, uint64_t last_page)
{
	if (never_mapped(map))
		return;
	mutex_lock(&map->vmas_lock);
	for_each_part(map, first_page, last_page, pt_wrprotect);
	mutex_unlock(&map->vmas_lock);
}
