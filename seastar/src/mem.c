/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the shards.
 *
 * One range of addresses is reserved for the program and divided evenly, so the owner of an address
 * is known from the address. Each shard hands out its part by pages in a buddy system; objects up
 * to SMALL_MAX come from spans of pages cut into one size class each. Nothing here is locked: only
 * the owner touches its pages.
 *
 * Memory freed on another thread is pushed onto the owner's stack of remote frees
 * (compare-and-swap, the link is in the object) and taken all at once, with an exchange, by the
 * owner's loop, or when the owner runs out. A push publishes the object with release, the exchange
 * reads it with acquire.
 *
 * Under AddressSanitizer, and on threads that are no shard, malloc() is used, which finds misuse.
 */
#include "reactor.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096u
#define PAGE_SHIFT 12
#define ORDERS 40
#define SMALL_MAX 16384u
#define CLASSES 40
#define NONE UINT32_MAX

enum {
	PAGE_INSIDE, /* not the first of its block */
	PAGE_FREE,
	PAGE_LARGE,
	PAGE_SLAB
};

/* Of each page; meaningful for the first page of a block, `head` leads there in spans. */
struct page {
	uint32_t head;
	uint8_t state, order, cls;
	uint32_t used, carved; /* objects handed out, objects cut so far */
	uint32_t next, prev;
	struct object *free;
};

struct object {
	struct object *next;
};

struct span_class {
	uint32_t size, order, capacity;
	uint32_t partial; /* spans with room */
};

struct ss_mem {
	char *base;
	struct page *pages;
	uint32_t n_pages, first_page; /* the pages before hold this table */
	uint32_t free[ORDERS];
	struct span_class classes[CLASSES];
	uint8_t class_of[SMALL_MAX / 16 + 1];
	unsigned n_classes;
	struct ss_mem_stats stats;
	uint64_t free_pages;
	_Alignas(64) _Atomic(struct object *) remote;
};

static char *range;	   /* of all shards */
static size_t range_bytes; /* 0: no range */
static unsigned part_shift;
static unsigned n_parts;
static struct ss_mem *parts[SS_MAX_SHARDS];

#ifdef SS_ASAN
#define USE_MALLOC 1
#else
#define USE_MALLOC 0
#endif

int ss_mem_reserve(unsigned shards, uint64_t bytes)
{
	size_t part = 1;

	if (USE_MALLOC)
		return 0;
	for (part_shift = 0; part < bytes; part <<= 1)
		part_shift++;
	range_bytes = part * (shards + 1);
	range =
	    mmap(NULL, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED) {
		range_bytes = 0;
		return -ENOMEM;
	}
	n_parts = shards;
	return 0;
}

void ss_mem_release(void)
{
	if (range_bytes)
		munmap(range, range_bytes);
	range_bytes = 0;
	memset(parts, 0, sizeof(parts));
}

/* The parts are aligned to their size within the range. */
static char *first_part(void)
{
	uintptr_t size = (uintptr_t)1 << part_shift;

	return (char *)(((uintptr_t)range + size - 1) & ~(size - 1));
}

/* Free blocks */

static void list_add(struct ss_mem *m, uint32_t *list, uint32_t at)
{
	struct page *p = &m->pages[at];

	p->prev = NONE;
	p->next = *list;
	if (*list != NONE)
		m->pages[*list].prev = at;
	*list = at;
}

static void list_del(struct ss_mem *m, uint32_t *list, uint32_t at)
{
	struct page *p = &m->pages[at];

	if (p->prev == NONE)
		*list = p->next;
	else
		m->pages[p->prev].next = p->next;
	if (p->next != NONE)
		m->pages[p->next].prev = p->prev;
}

static void block_free(struct ss_mem *m, uint32_t at, unsigned order)
{
	m->free_pages += (uint64_t)1 << order;
	for (; order < ORDERS - 1; order++) {
		uint32_t buddy = at ^ (1u << order);

		if (buddy < m->first_page || (uint64_t)buddy + (1u << order) > m->n_pages ||
		    m->pages[buddy].state != PAGE_FREE || m->pages[buddy].order != order)
			break;
		list_del(m, &m->free[order], buddy);
		m->pages[buddy].state = PAGE_INSIDE;
		m->pages[at].state = PAGE_INSIDE;
		at &= ~(1u << order);
	}
	m->pages[at].state = PAGE_FREE;
	m->pages[at].order = (uint8_t)order;
	list_add(m, &m->free[order], at);
}

static uint32_t block_alloc(struct ss_mem *m, unsigned order)
{
	unsigned o = order;
	uint32_t at;

	while (o < ORDERS && m->free[o] == NONE)
		o++;
	if (o >= ORDERS)
		return NONE;
	at = m->free[o];
	list_del(m, &m->free[o], at);
	while (o > order) {
		uint32_t half = at + (1u << --o);

		m->pages[half].state = PAGE_FREE;
		m->pages[half].order = (uint8_t)o;
		list_add(m, &m->free[o], half);
	}
	m->free_pages -= (uint64_t)1 << order;
	m->pages[at].order = (uint8_t)order;
	return at;
}

/* Spans */

static void classes_init(struct ss_mem *m)
{
	uint32_t size = 16, step = 16, n = 0;

	/* Four steps to each doubling: at most a fifth of an object is lost. */
	while (size <= SMALL_MAX) {
		struct span_class *c = &m->classes[n++];
		uint32_t bytes = size <= 1024 ? 16384 : size <= 4096 ? 65536 : 131072;

		c->size = size;
		c->order = (uint32_t)__builtin_ctz(bytes / PAGE);
		c->capacity = bytes / size;
		c->partial = NONE;
		if (size >= 128 && (size & (size - 1)) == 0)
			step = size / 4;
		size += step;
	}
	m->n_classes = n;
	for (uint32_t i = 0, c = 0; i <= SMALL_MAX / 16; i++) {
		while (m->classes[c].size < i * 16)
			c++;
		m->class_of[i] = (uint8_t)c;
	}
}

static uint32_t span_new(struct ss_mem *m, unsigned cls)
{
	struct span_class *c = &m->classes[cls];
	uint32_t at = block_alloc(m, c->order);
	struct page *p;

	if (at == NONE)
		return NONE;
	for (uint32_t i = 0; i < 1u << c->order; i++)
		m->pages[at + i].head = at;
	p = &m->pages[at];
	p->state = PAGE_SLAB;
	p->cls = (uint8_t)cls;
	p->used = p->carved = 0;
	p->free = NULL;
	list_add(m, &c->partial, at);
	return at;
}

static void *small_alloc(struct ss_mem *m, unsigned cls)
{
	struct span_class *c = &m->classes[cls];
	uint32_t at = c->partial;
	struct page *p;
	void *obj;

	if (ss_unlikely(at == NONE)) {
		at = span_new(m, cls);
		if (at == NONE)
			return NULL;
	}
	p = &m->pages[at];
	if (p->free) {
		obj = p->free;
		p->free = p->free->next;
	} else {
		obj = m->base + ((size_t)at << PAGE_SHIFT) + (size_t)p->carved++ * c->size;
	}
	if (++p->used == c->capacity)
		list_del(m, &c->partial, at);
	m->stats.allocated += c->size;
	return obj;
}

static void small_free(struct ss_mem *m, uint32_t at, void *obj)
{
	struct page *p = &m->pages[at];
	struct span_class *c = &m->classes[p->cls];

	((struct object *)obj)->next = p->free;
	p->free = obj;
	m->stats.allocated -= c->size;
	if (p->used-- == c->capacity)
		list_add(m, &c->partial, at);
	/* One empty span stays, against going back and forth. */
	if (!p->used && (p->next != NONE || p->prev != NONE)) {
		list_del(m, &c->partial, at);
		block_free(m, at, c->order);
	}
}

static unsigned order_for(size_t n)
{
	size_t pages = (n + PAGE - 1) >> PAGE_SHIFT;

	return pages <= 1 ? 0 : 64 - (unsigned)__builtin_clzl(pages - 1);
}

static void *large_alloc(struct ss_mem *m, size_t n)
{
	unsigned order = order_for(n);
	uint32_t at = order < 32 ? block_alloc(m, order) : NONE;

	if (at == NONE)
		return NULL;
	m->pages[at].state = PAGE_LARGE;
	m->stats.allocated += (uint64_t)PAGE << order;
	return m->base + ((size_t)at << PAGE_SHIFT);
}

static void local_free(struct ss_mem *m, void *obj)
{
	uint32_t at = (uint32_t)((size_t)((char *)obj - m->base) >> PAGE_SHIFT);
	struct page *p = &m->pages[at];

	m->stats.frees++;
	if (p->state == PAGE_LARGE) {
		m->stats.allocated -= (uint64_t)PAGE << p->order;
		block_free(m, at, p->order);
	} else {
		small_free(m, p->head, obj);
	}
}

static bool drain_remote(struct ss_mem *m)
{
	struct object *o;

	if (!atomic_load_explicit(&m->remote, memory_order_relaxed))
		return false;
	o = atomic_exchange_explicit(&m->remote, NULL, memory_order_acquire);
	while (o) {
		struct object *next = o->next;

		m->stats.remote_frees++;
		local_free(m, o);
		o = next;
	}
	return true;
}

static void remote_free(struct ss_mem *m, struct object *o)
{
	o->next = atomic_load_explicit(&m->remote, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
	    &m->remote, &o->next, o, memory_order_release, memory_order_relaxed))
		;
}

static void *alloc(struct ss_mem *m, size_t n)
{
	void *p;

	for (int attempt = 0; attempt < 2; attempt++) {
		p = n <= SMALL_MAX ? small_alloc(m, m->class_of[(n + 15) / 16]) : large_alloc(m, n);
		if (ss_likely(p != NULL)) {
			m->stats.allocs++;
			return p;
		}
		if (!drain_remote(m))
			break;
	}
	m->stats.failed++;
	return NULL;
}

static struct ss_mem *owner(const void *p)
{
	size_t off = (size_t)((const char *)p - first_part());

	if (!range_bytes || (const char *)p < first_part() || off >> part_shift >= n_parts)
		return NULL;
	return parts[off >> part_shift];
}

/* The interface */

static inline struct ss_mem *mine(void)
{
	return ss_self ? ss_self->mem : NULL;
}

void *ss_alloc_uninjected(size_t n)
{
	struct ss_mem *m = mine();

	return m ? alloc(m, n ? n : 1) : malloc(n ? n : 1);
}

static inline bool injected(void)
{
	return ss_self && ss_unlikely(ss_self->inject) && ss_inject_hit(ss_self);
}

void *ss_alloc(size_t n)
{
	return injected() ? NULL : ss_alloc_uninjected(n);
}

void *ss_zalloc(size_t n)
{
	void *p = ss_alloc(n);

	if (p)
		memset(p, 0, n);
	return p;
}

void *ss_alloc_aligned(size_t align, size_t n)
{
	size_t size = align > 16 ? align : 16;

	if (!mine()) {
		if (injected())
			return NULL;
		return aligned_alloc(size, (n + size - 1) / size * size);
	}
	/* Blocks of a power of two are aligned to their size. */
	while (size < n)
		size <<= 1;
	return ss_alloc(align > 16 ? size : n);
}

void ss_free(void *p)
{
	struct ss_mem *m = p ? owner(p) : NULL;

	if (!m)
		free(p);
	else if (m == mine())
		local_free(m, p);
	else
		remote_free(m, p);
}

size_t ss_alloc_size(const void *p)
{
	struct ss_mem *m = owner(p);
	const struct page *pg;

	if (!m)
		return malloc_usable_size((void *)(uintptr_t)p);
	pg = &m->pages[(size_t)((const char *)p - m->base) >> PAGE_SHIFT];
	if (pg->state == PAGE_LARGE)
		return (size_t)PAGE << pg->order;
	return m->classes[m->pages[pg->head].cls].size;
}

void *ss_realloc(void *p, size_t n)
{
	size_t old = p ? ss_alloc_size(p) : 0;
	void *q;

	if (p && n <= old && n > old / 4)
		return p;
	q = ss_alloc(n);
	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, old < n ? old : n);
	ss_free(p);
	return q;
}

char *ss_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = ss_alloc(n);

	if (p)
		memcpy(p, s, n);
	return p;
}

int ss_mem_init(struct ss_shard *sh, uint64_t bytes, bool lock)
{
	char *base = first_part() + ((size_t)sh->id << part_shift);
	size_t table;
	struct ss_mem *m;

	if (!range_bytes)
		return 0;
	bytes &= ~(uint64_t)(PAGE - 1);
	if (bytes >> PAGE_SHIFT >= NONE)
		return -E2BIG;
	if (mprotect(base, bytes, PROT_READ | PROT_WRITE))
		return -errno;
	if (lock && mlock(base, bytes))
		return -errno;
	m = (struct ss_mem *)base;
	m->base = base;
	m->n_pages = (uint32_t)(bytes >> PAGE_SHIFT);
	m->pages = (struct page *)(base + ((sizeof(*m) + 63) & ~(size_t)63));
	table = (size_t)((char *)(m->pages + m->n_pages) - base);
	m->first_page = (uint32_t)((table + PAGE - 1) >> PAGE_SHIFT);
	for (int i = 0; i < ORDERS; i++)
		m->free[i] = NONE;
	classes_init(m);
	/* The largest aligned blocks that fit. */
	for (uint32_t at = m->first_page; at < m->n_pages;) {
		unsigned order = (unsigned)__builtin_ctz(at);

		while ((uint64_t)at + (1u << order) > m->n_pages)
			order--;
		block_free(m, at, order);
		at += 1u << order;
	}
	m->stats.total = bytes;
	sh->mem = parts[sh->id] = m;
	return 0;
}

void ss_mem_fini(struct ss_shard *sh)
{
	sh->mem = NULL;
}

bool ss_mem_poll(struct ss_shard *sh)
{
	return sh->mem && drain_remote(sh->mem);
}

void ss_mem_stats(struct ss_mem_stats *out)
{
	struct ss_mem *m = mine();

	*out = (struct ss_mem_stats){0};
	if (!m)
		return;
	*out = m->stats;
	out->free = m->free_pages << PAGE_SHIFT;
}

void ss_mem_report(void)
{
	struct ss_mem *m = mine();
	struct ss_mem_stats st;

	if (!m) {
		ss_log(SS_LOG_ERROR, "memory: from malloc()");
		return;
	}
	ss_mem_stats(&st);
	ss_log(SS_LOG_ERROR,
	    "memory of shard %u: total %llu, free pages %llu, allocated %llu, failed %llu times",
	    ss_shard_id(), (unsigned long long)st.total, (unsigned long long)st.free,
	    (unsigned long long)st.allocated, (unsigned long long)st.failed);
	for (unsigned i = 0; i < m->n_classes; i++) {
		unsigned spans = 0, objects = 0;

		for (uint32_t s = m->classes[i].partial; s != NONE; s = m->pages[s].next, spans++)
			objects += m->classes[i].capacity - m->pages[s].used;
		if (spans)
			ss_log(SS_LOG_ERROR, "  %5u bytes: %u objects free in %u spans",
			    m->classes[i].size, objects, spans);
	}
}
