/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID/maps, smaps and their relatives: a program's address space as text. */
#include <asm/errno.h>
#include <linux/mman.h>
#include "fs/proc/proc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "proc/program.h"

#define PATH_SIZE 4096
#define NAME_COLUMN 73

static const char *special_name(const struct mm *m, struct vma *v)
{
	const char *name = v->ops && v->ops->name ? v->ops->name(v) : NULL;
	if (name)
		return name;
	if (v->flags & VMA_HEAP)
		return "[heap]";
	if (v->flags & VMA_STACK)
		return "[stack]";
	if (m->vdso && v->start <= m->vdso && m->vdso < v->end)
		return "[vdso]";
	return NULL;
}

static void put_area(struct seqbuf *s, const struct mm *m, struct vma *v, char *path)
{
	const struct inode *i = v->file ? v->file->inode : NULL;
	uint64_t dev = i && i->super ? i->super->dev : 0;
	size_t begin = s->len;
	seq_printf(s, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu", v->start, v->end,
	    v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
	    v->prot & PROT_EXEC ? 'x' : '-', v->flags & MAP_SHARED ? 's' : 'p',
	    i ? v->pgoff << PAGE_SHIFT : 0ul, (unsigned)(dev >> 8), (unsigned)(dev & 255),
	    i ? i->ino : 0ul);
	const char *name = special_name(m, v);
	if (!name && v->file && v->file->dentry &&
	    dentry_path(v->file->dentry, path, PATH_SIZE) >= 0)
		name = path;
	if (name) {
		do
			seq_putc(s, ' ');
		while (!s->failed && s->len - begin < NAME_COLUMN);
		if (name == path)
			seq_path(s, name);
		else
			seq_puts(s, name);
	}
	seq_putc(s, '\n');
}

/* Page counts of one area, or of many. */
struct area_stats {
	uint64_t size, rss, dirty, anon, shared;
};

static void count_pages(struct mm *m, const struct vma *v, struct area_stats *st)
{
	st->size += (v->end - v->start) >> PAGE_SHIFT;
	for (uint64_t a = v->start; a < v->end; a += PAGE_SIZE) {
		uint64_t t = mm_translate(m, a);
		if (!t)
			continue;
		struct page *p = phys_page(t & PAGE_MASK);
		bool cached = p < page_array + page_count && atomic_load(&p->flags) & PG_CACHE;
		st->rss++;
		st->anon += !cached;
		st->dirty += !cached || atomic_load(&p->flags) & PG_DIRTY;
		st->shared += p < page_array + page_count && atomic_load(&p->mapcount) > 1;
	}
}

static void put_stats(struct seqbuf *s, const struct area_stats *st, bool with_size)
{
	uint64_t clean = st->rss - st->dirty;
	if (with_size)
		seq_printf(s,
		    "Size:           %8lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           "
		    "4 kB\n",
		    st->size * 4);
	seq_printf(s,
	    "Rss:            %8lu kB\nPss:            %8lu kB\nShared_Clean:   %8lu kB\n"
	    "Shared_Dirty:   %8lu kB\nPrivate_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n"
	    "Referenced:     %8lu kB\nAnonymous:      %8lu kB\nLazyFree:              0 kB\n"
	    "AnonHugePages:         0 kB\nShmemPmdMapped:        0 kB\nShared_Hugetlb:        0 "
	    "kB\n"
	    "Private_Hugetlb:       0 kB\nSwap:                  0 kB\nSwapPss:               0 "
	    "kB\n"
	    "Locked:                0 kB\n",
	    st->rss * 4, st->rss * 4, MIN(st->shared, clean) * 4,
	    (st->shared > clean ? st->shared - clean : 0) * 4,
	    (clean > st->shared ? clean - st->shared : 0) * 4,
	    (st->shared > clean ? st->rss - st->shared : st->dirty) * 4, st->rss * 4, st->anon * 4);
}

enum style { MAPS, SMAPS, ROLLUP, NUMA };

static void put_flags(struct seqbuf *s, const struct vma *v)
{
	seq_printf(s, "THPeligible:    %d\nVmFlags:%s%s%s%s mr mw me%s%s\n",
	    !v->file && !(v->flags & VMA_NOHUGE), v->prot & PROT_READ ? " rd" : "",
	    v->prot & PROT_WRITE ? " wr" : "", v->prot & PROT_EXEC ? " ex" : "",
	    v->flags & MAP_SHARED ? " sh" : "", v->flags & VMA_STACK ? " gd" : "",
	    v->flags & MAP_LOCKED ? " lo" : "");
}

static void put_numa(struct seqbuf *s, struct mm *m, struct vma *v, char *path)
{
	struct area_stats st = {0};
	count_pages(m, v, &st);
	seq_printf(s, "%08lx default", v->start);
	if (v->file && v->file->dentry && dentry_path(v->file->dentry, path, PATH_SIZE) >= 0) {
		seq_puts(s, " file=");
		seq_path(s, path);
	} else if (v->flags & VMA_HEAP) {
		seq_puts(s, " heap");
	} else if (v->flags & VMA_STACK) {
		seq_puts(s, " stack");
	}
	if (st.anon)
		seq_printf(s, " anon=%lu", st.anon);
	if (st.rss)
		seq_printf(s, " N0=%lu", st.rss);
	seq_puts(s, " kernelpagesize_kB=4\n");
}

static int walk_areas(struct seqbuf *s, struct mm *m, enum style style)
{
	char *path = kmalloc(PATH_SIZE);
	if (!path)
		return -ENOMEM;
	struct area_stats sum = {0};
	uint64_t first = 0, last = 0;
	rw_read_lock(&m->lock);
	for (struct vma *v = mm_find_next(m, 0); v; v = mm_find_next(m, v->end)) {
		first = first ? first : v->start;
		last = v->end;
		if (style == MAPS || style == SMAPS)
			put_area(s, m, v, path);
		if (style == SMAPS) {
			struct area_stats st = {0};
			count_pages(m, v, &st);
			put_stats(s, &st, true);
			put_flags(s, v);
		} else if (style == ROLLUP) {
			count_pages(m, v, &sum);
		} else if (style == NUMA) {
			put_numa(s, m, v, path);
		}
	}
	rw_read_unlock(&m->lock);
	if (style == ROLLUP) {
		seq_printf(
		    s, "%08lx-%08lx ---p 00000000 00:00 0 %*s[rollup]\n", first, last, 20, "");
		put_stats(s, &sum, false);
	}
	kfree(path);
	return 0;
}

static int show(struct seqbuf *s, const struct pseudo_key *k, enum style style)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	int err = 0;
	if (m) {
		err = walk_areas(s, m, style);
		mm_put(m);
	}
	program_put(p);
	return err;
}

int proc_show_maps(struct seqbuf *s, const struct pseudo_key *k)
{
	return show(s, k, MAPS);
}

int proc_show_smaps(struct seqbuf *s, const struct pseudo_key *k)
{
	return show(s, k, SMAPS);
}

int proc_show_smaps_rollup(struct seqbuf *s, const struct pseudo_key *k)
{
	return show(s, k, ROLLUP);
}

int proc_show_numa_maps(struct seqbuf *s, const struct pseudo_key *k)
{
	return show(s, k, NUMA);
}
