/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of areas against a model with one entry for each page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/vfs.h"
#include "mm/kmalloc.h"
#include "mm/vma.h"

#define BASE 0x100000000ul
#define PAGES 512
#define ADDR(page) (BASE + (uint64_t)(page)*PAGE_SIZE)

/* What vma.c needs of the kernel. */
void *kmalloc(size_t size)
{
	return malloc(size);
}
void kfree(void *p)
{
	free(p);
}
void file_get(struct file *f)
{
	(void)f;
}
void file_put(struct file *f)
{
	(void)f;
}
void mutex_lock(struct mutex *m)
{
	(void)m;
}
void mutex_unlock(struct mutex *m)
{
	(void)m;
}

static unsigned model[PAGES]; /* protection + 1, 0 unmapped */

static void drop(struct list *dead)
{
	while (!list_empty(dead)) {
		struct vma *v = list_first(dead, struct vma, mapping_link);
		list_remove(&v->mapping_link);
		vma_free(v);
	}
}

static void clear(struct mm *m, unsigned from, unsigned to)
{
	struct list dead = LIST_INIT(dead);
	assert_int_equal(vma_isolate(m, ADDR(from), ADDR(to)), 0);
	for (struct vma *v = mm_find_next(m, ADDR(from)), *n; v && v->start < ADDR(to); v = n) {
		n = vma_next(v);
		assert_true(v->start >= ADDR(from) && v->end <= ADDR(to));
		vma_remove(m, v);
		list_append(&dead, &v->mapping_link);
	}
	drop(&dead);
	vma_gap_freed(m, ADDR(from), ADDR(to));
	for (unsigned i = from; i < to; i++)
		model[i] = 0;
}

static void set(struct mm *m, unsigned from, unsigned to, unsigned prot)
{
	struct list dead = LIST_INIT(dead);
	struct vma like = {.prot = prot, .flags = MAP_PRIVATE};
	clear(m, from, to);
	struct vma *v = vma_new(m, ADDR(from), ADDR(to), &like);
	vma_insert(m, v);
	v = vma_merge(v, &dead);
	assert_true(v->start <= ADDR(from) && v->end >= ADDR(to));
	drop(&dead);
	for (unsigned i = from; i < to; i++)
		model[i] = prot + 1;
}

/* Every page as in the model; equal neighbours are one area; areas ascend. */
static void check(struct mm *m)
{
	unsigned n = 0;
	uint64_t last = 0;
	for (unsigned i = 0; i < PAGES; i++) {
		struct vma *v = mm_find(m, ADDR(i) + 123);
		assert_int_equal(v ? v->prot + 1 : 0, model[i]);
	}
	for (struct vma *v = vma_first(m); v; v = vma_next(v), n++) {
		assert_true(v->start >= last && v->start < v->end);
		struct vma *next = vma_next(v);
		if (next)
			assert_true(next->start > v->end || next->prot != v->prot);
		last = v->end;
	}
	assert_int_equal(n, m->area_count);
}

static void random_operations(void **state)
{
	struct mm m = {.mmap_base = ADDR(PAGES)};
	(void)state;
	srand(42);
	memset(model, 0, sizeof model);
	for (int round = 0; round < 5000; round++) {
		unsigned from = (unsigned)rand() % PAGES, to = from + 1 + (unsigned)rand() % 20;
		to = to > PAGES ? PAGES : to;
		if (rand() % 3)
			set(&m, from, to, (unsigned)rand() % 3);
		else
			clear(&m, from, to);
		if (round % 50 == 0)
			check(&m);
	}
	check(&m);
	clear(&m, 0, PAGES);
	assert_null(vma_first(&m));
}

static void gaps(void **state)
{
	struct mm m = {.mmap_base = ADDR(PAGES)};
	struct list dead = LIST_INIT(dead);
	(void)state;
	memset(model, 0, sizeof model);
	srand(7);
	for (int i = 0; i < 400; i++) {
		unsigned len = 1 + (unsigned)rand() % 4;
		uint64_t align = rand() % 4 ? PAGE_SIZE : 8 * PAGE_SIZE;
		long at = vma_find_gap(&m, len * PAGE_SIZE, align);
		assert_true(at > 0 && (uint64_t)at % align == 0);
		assert_true((uint64_t)at + len * PAGE_SIZE <= m.mmap_base);
		struct vma *v = mm_find_next(&m, (uint64_t)at);
		assert_true(!v || v->start >= (uint64_t)at + len * PAGE_SIZE);
		struct vma like = {.prot = (unsigned)i % 2, .flags = MAP_PRIVATE};
		vma_insert(&m, vma_new(&m, (uint64_t)at, (uint64_t)at + len * PAGE_SIZE, &like));
		if (i % 3 == 0) { /* a freed place is found again */
			v = mm_find(&m, (uint64_t)at);
			vma_remove(&m, v);
			vma_gap_freed(&m, v->start, v->end);
			assert_int_equal(vma_find_gap(&m, len * PAGE_SIZE, align), at);
			vma_free(v);
		}
	}
	for (struct vma *v; (v = vma_first(&m));) {
		vma_remove(&m, v);
		list_append(&dead, &v->mapping_link);
	}
	drop(&dead);
	assert_int_equal(vma_find_gap(&m, 1ul << 47, PAGE_SIZE), -12);
}

static void stacks_keep_their_distance(void **state)
{
	struct mm m = {.mmap_base = ADDR(PAGES) + STACK_GUARD_GAP * 4};
	struct vma like = {.prot = 3, .flags = MAP_PRIVATE | MAP_GROWSDOWN};
	uint64_t at = m.mmap_base - 16 * PAGE_SIZE;
	(void)state;
	struct vma *v = vma_new(&m, at, m.mmap_base, &like);
	vma_insert(&m, v);
	long gap = vma_find_gap(&m, PAGE_SIZE, PAGE_SIZE);
	assert_true((uint64_t)gap + PAGE_SIZE + STACK_GUARD_GAP <= at);
	vma_remove(&m, v);
	vma_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_operations),
	    cmocka_unit_test(gaps),
	    cmocka_unit_test(stacks_keep_their_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
