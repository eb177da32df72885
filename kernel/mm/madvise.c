/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * madvise(). Giving pages back (MADV_DONTNEED) needs only the read lock, because entries vanish
 * atomically; unless a 2 MiB page must be split.
 */
#include <linux/falloc.h>
#include <linux/mman.h>
#include "arch/x86/pagetable.h"
#include "fs/vfs.h"
#include "mm/fault.h"
#include "mm/filemap.h"
#include "mm/ops.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "sys/syscall.h"

static bool cuts_huge(struct mm *m, uint64_t addr)
{
	pte_t *e = addr % HUGE_SIZE ? pt_entry(m, addr, PT_LEVEL_HUGE, false) : NULL;
	return e && (atomic_load(e) & PTE_PS);
}

/* Drops the pages of [start, end) under whichever lock is held. 0, -EINVAL, -ENOMEM (a hole). */
static int drop_locked(struct mm *m, uint64_t start, uint64_t end, bool anonymous_only)
{
	struct pt_gather g;
	int err = 0;
	pt_gather_init(&g, m);
	for (uint64_t a = start; a < end;) {
		struct vma *v = mm_find_next(m, a);
		if (!v || v->start >= end) {
			err = -ENOMEM;
			break;
		}
		if (v->start > a)
			err = -ENOMEM;
		if (v->flags & (MAP_LOCKED | VMA_SPECIAL) ||
		    (anonymous_only && (!vma_anonymous(v) || (v->flags & MAP_SHARED)))) {
			err = -EINVAL;
			break;
		}
		pt_unmap(&g, MAX(a, v->start), MIN(end, v->end), false);
		a = v->end;
	}
	pt_gather_finish(&g);
	return err;
}

static int drop(struct mm *m, uint64_t start, uint64_t end, bool anonymous_only)
{
	int err = 0;
	rw_read_lock(&m->lock);
	if (!cuts_huge(m, start) && !cuts_huge(m, end)) {
		err = drop_locked(m, start, end, anonymous_only);
		rw_read_unlock(&m->lock);
		return err;
	}
	rw_read_unlock(&m->lock);
	rw_write_lock(&m->lock);
	err = pt_split_at(m, start);
	if (!err)
		err = pt_split_at(m, end);
	if (!err)
		err = drop_locked(m, start, end, anonymous_only);
	rw_write_unlock(&m->lock);
	return err;
}

/* Sets and clears area flags. */
static int change_flags(struct mm *m, uint64_t start, uint64_t end, unsigned set, unsigned clear)
{
	struct list dead = LIST_INIT(dead);
	rw_write_lock(&m->lock);
	int err = m->area_count < MAX_AREAS - 2 ? vma_isolate(m, start, end) : -ENOMEM;
	for (uint64_t a = start; !err && a < end;) {
		struct vma *v = mm_find(m, a);
		if (!v) {
			err = -ENOMEM;
			break;
		}
		if ((set & VMA_WIPEONFORK) && (!vma_anonymous(v) || (v->flags & MAP_SHARED))) {
			err = -EINVAL;
			break;
		}
		a = v->end;
		v->flags = (v->flags | set) & ~clear;
		vma_merge(v, &dead);
	}
	rw_write_unlock(&m->lock);
	mm_free_dead(&dead);
	return err;
}

/* MADV_WILLNEED reads file pages into the cache; MADV_REMOVE punches a hole. Area by area, without
 * the lock. */
static int for_files(struct mm *m, uint64_t start, uint64_t end, bool remove)
{
	int err = 0;
	for (uint64_t a = start; a < end;) {
		rw_read_lock(&m->lock);
		struct vma *v = mm_find(m, a);
		struct file *f = v ? v->file : NULL;
		uint64_t stop = v ? MIN(end, v->end) : end;
		uint64_t off = v ? (v->pgoff << PAGE_SHIFT) + (a - v->start) : 0;
		bool ok =
		    v && (!remove || (f && (v->flags & MAP_SHARED) && (f->mode & FMODE_WRITE)));
		bool cached = v && v->ops == &file_vma_ops;
		if (f)
			file_get(f);
		rw_read_unlock(&m->lock);
		if (!v)
			err = -ENOMEM;
		else if (!ok)
			err = -EINVAL;
		else if (remove && f->ops && f->ops->fallocate)
			err = f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (int64_t)off, (int64_t)(stop - a));
		else if (remove)
			err = -EOPNOTSUPP;
		else if (cached && off < f->inode->size) {
			struct page *p = mapping_get(&f->inode->map, off >> PAGE_SHIFT,
			    (unsigned)MIN((stop - a) >> PAGE_SHIFT, 256ul));
			if (!is_err(p))
				page_put(p);
		}
		if (f)
			file_put(f);
		if (err)
			break;
		a = stop;
	}
	return err;
}

static int populate(struct mm *m, uint64_t start, uint64_t end, bool write)
{
	rw_read_lock(&m->lock);
	bool hole = false;
	for (uint64_t a = start; a < end && !hole;) {
		struct vma *v = mm_find(m, a);
		hole = !v;
		a = v ? v->end : end;
	}
	rw_read_unlock(&m->lock);
	return hole ? -ENOMEM : mm_populate(m, start, end - start, write);
}

static int advise(struct mm *m, uint64_t start, uint64_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		return drop(m, start, end, false);
	case MADV_FREE: /* "at any time" is now */
		return drop(m, start, end, true);
	case MADV_WILLNEED:
		return for_files(m, start, end, false);
	case MADV_REMOVE:
		return for_files(m, start, end, true);
	case MADV_DONTFORK:
		return change_flags(m, start, end, VMA_DONTFORK, 0);
	case MADV_DOFORK:
		return change_flags(m, start, end, 0, VMA_DONTFORK);
	case MADV_WIPEONFORK:
		return change_flags(m, start, end, VMA_WIPEONFORK, 0);
	case MADV_KEEPONFORK:
		return change_flags(m, start, end, 0, VMA_WIPEONFORK);
	case MADV_HUGEPAGE:
		return change_flags(m, start, end, 0, VMA_NOHUGE);
	case MADV_NOHUGEPAGE:
		return change_flags(m, start, end, VMA_NOHUGE, 0);
	case MADV_POPULATE_READ:
		return populate(m, start, end, false);
	case MADV_POPULATE_WRITE:
		return populate(m, start, end, true);
	default: /* hints that nothing here depends on */
		return change_flags(m, start, end, 0, 0);
	}
}

static bool known(int advice)
{
	return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
	       (advice >= MADV_FREE && advice <= MADV_DOFORK) ||
	       (advice >= MADV_HUGEPAGE && advice <= MADV_POPULATE_WRITE);
}

SYSCALL(madvise, uint64_t addr, uint64_t len, int advice)
{
	uint64_t end = addr + ALIGN_UP(len, PAGE_SIZE);
	if (addr % PAGE_SIZE || !known(advice) || end < addr)
		return -EINVAL;
	if (end > USER_END)
		return -ENOMEM;
	return len ? advise(current_program()->mm, addr, end, advice) : 0;
}

SYSCALL(
    process_madvise, int pidfd, const void __user *vec, unsigned long n, int advice, unsigned flags)
{
	(void)vec;
	(void)n;
	(void)advice;
	struct file *f = fd_get(pidfd);
	if (is_err(f))
		return ptr_err(f);
	file_put(f);
	return flags ? -EINVAL : -EPERM; /* programs do not advise each other */
}
