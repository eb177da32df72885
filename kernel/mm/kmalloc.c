/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmalloc: slab pages of one size class each, a per-CPU magazine of free objects before them. The
 * kernel is not preempted and interrupt handlers do not allocate, so a magazine needs no protection
 * at all. A page whose objects are all back in the page goes back to the page allocator.
 */
#include "mm/kmalloc.h"
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/sync.h"

static const uint16_t class_size[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048};
#define CLASSES ARRAY_SIZE(class_size)
#define MAGAZINE 64
#define LARGEST 2048

struct object {
	struct object *next;
};

struct magazine {
	struct object *first;
	unsigned n;
};

/* A slab page keeps: mapping = its free objects, private = objects out, index = class, link =
 * partial list. */
struct size_class {
	struct mutex lock;
	struct list partial; /* pages with free objects */
	unsigned empty;	     /* pages on it with no object out */
};

static struct magazine magazines[MAX_CPUS][CLASSES] __attribute__((aligned(CACHE_LINE)));
static struct size_class classes[CLASSES];
static uint8_t class_of_16[LARGEST / 16 + 1]; /* by size in units of 16 */

void kmalloc_init(void)
{
	unsigned c = 0;

	for (unsigned i = 0; i <= LARGEST / 16; i++) {
		while (class_size[c] < i * 16)
			c++;
		class_of_16[i] = (uint8_t)c;
	}
	for (c = 0; c < CLASSES; c++)
		list_init(&classes[c].partial);
}

static unsigned class_for(size_t size)
{
	return class_of_16[(size + 15) / 16];
}

static struct page *slab_new(unsigned c)
{
	struct page *p = page_alloc(0, 0);

	if (!p)
		return NULL;
	atomic_store(&p->flags, PG_SLAB);
	p->index = c;
	p->private = 0;
	char *base = page_virt(p);
	struct object *list = NULL;
	for (size_t off = PAGE_SIZE / class_size[c] * class_size[c]; off >= class_size[c];) {
		off -= class_size[c];
		struct object *o = (struct object *)(base + off);
		o->next = list;
		list = o;
	}
	p->mapping = (void *)list;
	atomic_fetch_add(&memstats.slab, 1);
	return p;
}

/* Fills a magazine by half from the class's pages. */
static bool refill(struct magazine *m, unsigned c)
{
	struct size_class *sc = &classes[c];
	unsigned want = class_size[c] > 512 ? 8 : MAGAZINE / 2;
	struct object *got = NULL;
	unsigned n = 0;

	mutex_lock(&sc->lock);
	TRACE(pool_alloc, "class=%u", c);
	if (list_empty(&sc->partial)) {
		/* Without the lock: an allocation that runs short waits for others to free. */
		mutex_unlock(&sc->lock);
		struct page *fresh = slab_new(c);
		mutex_lock(&sc->lock);
		if (fresh) {
			list_push(&sc->partial, &fresh->link);
			sc->empty++;
		}
	}
	while (n < want && !list_empty(&sc->partial)) {
		struct page *p = list_first(&sc->partial, struct page, link);
		struct object *o = (struct object *)p->mapping;
		if (p->private == 0)
			sc->empty--;
		p->mapping = (void *)o->next;
		p->private ++;
		if (!p->mapping)
			list_remove(&p->link);
		o->next = got;
		got = o;
		n++;
	}
	mutex_unlock(&sc->lock);
	while (got) { /* onto whatever CPU this is now */
		struct object *next = got->next;
		m = &magazines[this_cpu()->id][c];
		got->next = m->first;
		m->first = got;
		m->n++;
		got = next;
	}
	return n != 0;
}

static void give_back(struct object *list, unsigned c)
{
	struct size_class *sc = &classes[c];
	struct list done;

	list_init(&done);
	TRACE(pool_free, "class=%u", c);
	mutex_lock(&sc->lock);
	while (list) {
		struct object *next = list->next;
		struct page *p = virt_page(list);
		if (!p->mapping)
			list_push(&sc->partial, &p->link);
		list->next = (struct object *)p->mapping;
		p->mapping = (void *)list;
		if (--p->private == 0 && ++sc->empty > 4) {
			list_remove(&p->link);
			list_push(&done, &p->link);
			sc->empty--;
		}
		list = next;
	}
	mutex_unlock(&sc->lock);
	while (!list_empty(&done)) {
		struct page *p = list_first(&done, struct page, link);
		list_remove(&p->link);
		atomic_fetch_sub(&memstats.slab, 1);
		p->mapping = NULL;
		page_free(p, 0);
	}
}

static void *alloc_large(size_t size)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < size)
		if (++order > MAX_ORDER)
			return NULL;
	if (order)
		TRACE(memory_malloc_large, "size=%lu order=%u", size, order);
	else
		TRACE(memory_malloc_page, "size=%lu", size);
	struct page *p = page_alloc(order, 0);
	if (!p)
		return NULL;
	atomic_store(&p->flags, PG_LARGE);
	atomic_fetch_add(&memstats.slab, 1 << order);
	return page_virt(p);
}

void *kmalloc(size_t size)
{
	TRACE(memory_malloc, "size=%lu", size);
	if (unlikely(size > LARGEST))
		return alloc_large(size);
	unsigned c = class_for(size);
	TRACE(memory_malloc_mempool, "size=%lu class=%u", size, c);
	struct magazine *m = &magazines[this_cpu()->id][c];
	while (unlikely(!m->first)) {
		if (!refill(m, c))
			return NULL;
		m = &magazines[this_cpu()->id][c];
	}
	struct object *o = m->first;
	m->first = o->next;
	m->n--;
	return o;
}

void kfree(void *ptr)
{
	if (!ptr)
		return;
	TRACE(memory_free, "%p", ptr);
	struct page *p = virt_page(ptr);
	uint32_t flags = atomic_load_explicit(&p->flags, memory_order_relaxed);
	if (unlikely(flags & PG_LARGE)) {
		atomic_fetch_sub(&memstats.slab, 1 << p->order);
		page_free(p, p->order);
		return;
	}
	ASSERT(flags & PG_SLAB);
	unsigned c = (unsigned)p->index;
	struct magazine *m = &magazines[this_cpu()->id][c];
	struct object *o = ptr;
	o->next = m->first;
	m->first = o;
	if (likely(++m->n <= MAGAZINE))
		return;
	struct object *half = m->first, *last = half;
	for (unsigned i = 1; i < MAGAZINE / 2; i++)
		last = last->next;
	m->first = last->next;
	m->n -= MAGAZINE / 2;
	last->next = NULL;
	give_back(half, c);
}

size_t kmalloc_usable(const void *ptr)
{
	const struct page *p = virt_page(ptr);

	if (atomic_load_explicit(&p->flags, memory_order_relaxed) & PG_LARGE)
		return PAGE_SIZE << p->order;
	return class_size[p->index];
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void *krealloc(void *old, size_t size)
{
	TRACE(memory_realloc, "%p size=%lu", old, size);
	if (old && kmalloc_usable(old) >= size)
		return old;
	void *p = kmalloc(size);
	if (p && old) {
		memcpy(p, old, kmalloc_usable(old));
		kfree(old);
	}
	return p;
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = kmalloc(n);

	return p ? memcpy(p, s, n) : NULL;
}
