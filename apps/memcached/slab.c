/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages and slots of the items; see slab.h. */
#include "slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_FROM (UINT64_C(32) << 20) /* a smaller arena would grow in too large steps */

static void add_class(struct mc_slab *s, uint32_t size)
{
	struct mc_class *c = &s->classes[++s->n_classes];

	*c = (struct mc_class){.size = size, .per_page = MC_PAGE / size, .partial = MC_NO_PAGE};
}

/* Sizes grow by the factor; large ones are what divides a page without rest. */
static void make_classes(struct mc_slab *s, double factor, uint32_t smallest)
{
	uint32_t size = (smallest + 7) & ~7u;

	while (size < MC_SLOT_MAX && s->n_classes < MC_CLASSES - 1) {
		uint32_t fit = (MC_PAGE / (MC_PAGE / size)) & ~7u, grown;

		add_class(s, fit);
		grown = ((uint32_t)(fit * factor) + 7) & ~7u;
		size = grown > fit ? grown : fit + 8;
	}
	add_class(s, MC_SLOT_MAX);
}

int mc_slab_init(struct mc_slab *s, uint64_t bytes, double factor, uint32_t smallest)
{
	uint64_t most = (uint64_t)UINT32_MAX * 8 / MC_PAGE - 1;
	uint64_t n = bytes / MC_PAGE;

	memset(s, 0, sizeof(*s));
	if (n < 4)
		n = 4;
	if (n > most)
		n = most;
	make_classes(s, factor, smallest);
	s->n_pages = s->limit = (uint32_t)n;
	s->bytes = n * MC_PAGE;
	s->free_pages = MC_NO_PAGE;
	s->pages = calloc(n, sizeof(*s->pages));
	s->base = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->base == MAP_FAILED)
		s->base = NULL;
	/* Random access to many small items: large pages save the walk of the page table. */
	if (s->base && s->bytes >= HUGE_FROM)
		madvise(s->base, s->bytes, MADV_HUGEPAGE);
	if (!s->pages || !s->base) {
		mc_slab_fini(s);
		return -ENOMEM;
	}
	return 0;
}

void mc_slab_fini(struct mc_slab *s)
{
	if (s->base)
		munmap(s->base, s->bytes);
	free(s->pages);
	memset(s, 0, sizeof(*s));
}

unsigned mc_slab_class(const struct mc_slab *s, size_t n)
{
	unsigned lo = 1, hi = s->n_classes;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (s->classes[mid].size >= n)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void partial_add(struct mc_slab *s, struct mc_class *c, uint32_t p)
{
	struct mc_page *pg = &s->pages[p];

	pg->partial = true;
	pg->prev = MC_NO_PAGE;
	pg->next = c->partial;
	if (c->partial != MC_NO_PAGE)
		s->pages[c->partial].prev = p;
	c->partial = p;
}

static void partial_del(struct mc_slab *s, struct mc_class *c, uint32_t p)
{
	struct mc_page *pg = &s->pages[p];

	pg->partial = false;
	if (pg->prev == MC_NO_PAGE)
		c->partial = pg->next;
	else
		s->pages[pg->prev].next = pg->next;
	if (pg->next != MC_NO_PAGE)
		s->pages[pg->next].prev = pg->prev;
}

static bool take_page(struct mc_slab *s, unsigned cls)
{
	struct mc_class *c = &s->classes[cls];
	uint32_t p = s->free_pages;

	if (s->in_use >= s->limit)
		return false;
	if (p != MC_NO_PAGE) {
		s->free_pages = s->pages[p].next;
		s->n_free--;
	} else if (s->fresh < s->n_pages) {
		p = s->fresh++;
	} else {
		return false;
	}
	s->in_use++;
	c->pages++;
	s->pages[p] = (struct mc_page){.cls = (uint8_t)cls};
	partial_add(s, c, p);
	return true;
}

/* The first page of the arena lacks its first bytes, so it may hold one slot less. */
static uint32_t capacity(const struct mc_class *c, uint32_t p)
{
	return p ? c->per_page : (MC_PAGE - 8) / c->size;
}

mc_ref mc_slab_alloc(struct mc_slab *s, unsigned cls)
{
	struct mc_class *c = &s->classes[cls];
	struct mc_page *pg;
	uint32_t p;
	mc_ref r;

	if (c->partial == MC_NO_PAGE && !take_page(s, cls))
		return 0;
	p = c->partial;
	pg = &s->pages[p];
	r = pg->free;
	if (r)
		memcpy(&pg->free, mc_slab_at(s, r), sizeof(pg->free));
	else
		r = mc_slab_slot(s, p, pg->cut++);
	pg->used++;
	c->used++;
	if (!pg->free && pg->cut == capacity(c, p))
		partial_del(s, c, p);
	return r;
}

static void give_page(struct mc_slab *s, struct mc_class *c, uint32_t p)
{
	struct mc_page *pg = &s->pages[p];

	if (pg->partial)
		partial_del(s, c, p);
	c->pages--;
	s->in_use--;
	*pg = (struct mc_page){.next = s->free_pages};
	s->free_pages = p;
	s->n_free++;
}

void mc_slab_free(struct mc_slab *s, mc_ref r)
{
	uint32_t p = mc_slab_page(r);
	struct mc_page *pg = &s->pages[p];
	struct mc_class *c = &s->classes[pg->cls];

	memcpy(mc_slab_at(s, r), &pg->free, sizeof(pg->free));
	pg->free = r;
	pg->used--;
	c->used--;
	if (!pg->used && (c->partial != p || pg->next != MC_NO_PAGE || s->in_use >= s->limit))
		give_page(s, c, p);
	else if (!pg->partial)
		partial_add(s, c, p);
}

void mc_slab_set_limit(struct mc_slab *s, uint64_t bytes)
{
	uint64_t n = bytes / MC_PAGE;

	s->limit = n < 4 ? 4 : n > s->n_pages ? s->n_pages : (uint32_t)n;
}
