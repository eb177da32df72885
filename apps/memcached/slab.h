/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the items of one shard: an arena of pages, each cut into slots of one size class. A
 * slot is named by a reference, its offset in the arena in units of 8 bytes, which is half the size
 * of a pointer. A page that becomes empty may serve another class.
 */
#ifndef MC_SLAB_H
#define MC_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MC_PAGE 65536u	   /* bytes of a page */
#define MC_SLOT_MAX 16384u /* largest slot; bigger items are chains of slots */
#define MC_CLASSES 96

typedef uint32_t mc_ref; /* 0 is none: the first unit of the arena is never handed out */

struct mc_page {
	mc_ref free;	     /* list of free slots */
	uint32_t next, prev; /* pages of the class with room */
	uint16_t used;	     /* slots handed out */
	uint16_t cut;	     /* slots cut so far */
	uint8_t cls;	     /* 0: the page is free */
	bool partial;	     /* in the list */
};

struct mc_class {
	uint32_t size, per_page;
	uint32_t partial; /* first page with room, or MC_NO_PAGE */
	uint32_t pages;
	uint64_t used; /* slots handed out */
};

#define MC_NO_PAGE UINT32_MAX

struct mc_slab {
	char *base;
	size_t bytes;
	struct mc_page *pages;
	uint32_t n_pages, fresh; /* pages before `fresh` have been used */
	uint32_t free_pages;	 /* list of pages given back */
	uint32_t n_free;
	uint32_t limit; /* most pages in use */
	uint32_t in_use;
	unsigned n_classes; /* classes are 1 .. n_classes */
	struct mc_class classes[MC_CLASSES + 1];
};

/* Reserve addresses for `bytes` of items. smallest: least size of a slot. Returns 0 or -ENOMEM. */
int mc_slab_init(struct mc_slab *s, uint64_t bytes, double factor, uint32_t smallest);
void mc_slab_fini(struct mc_slab *s);

/* The class for n bytes (n <= MC_SLOT_MAX). */
unsigned mc_slab_class(const struct mc_slab *s, size_t n);

/* A slot of class cls, or 0 if its pages are full and there is no free page. */
mc_ref mc_slab_alloc(struct mc_slab *s, unsigned cls);
void mc_slab_free(struct mc_slab *s, mc_ref r);

/* Change the limit; pages in use stay in use until they are given back. */
void mc_slab_set_limit(struct mc_slab *s, uint64_t bytes);

static inline void *mc_slab_at(const struct mc_slab *s, mc_ref r)
{
	return s->base + (size_t)r * 8;
}

static inline mc_ref mc_slab_ref(const struct mc_slab *s, const void *p)
{
	return (mc_ref)((size_t)((const char *)p - s->base) / 8);
}

static inline uint32_t mc_slab_page(mc_ref r)
{
	return r / (MC_PAGE / 8);
}

/* Slot i of page p. */
static inline mc_ref mc_slab_slot(const struct mc_slab *s, uint32_t p, uint32_t i)
{
	uint32_t first = p ? 0 : 8; /* the first slot of the arena starts late */

	return p * (MC_PAGE / 8) + (first + i * s->classes[s->pages[p].cls].size) / 8;
}

#endif
