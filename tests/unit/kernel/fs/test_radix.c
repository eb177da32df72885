/* SPDX-License-Identifier: BSD-3-Clause */
/* The page cache's tree against a plain array: random insertions, removals and dirty marks, near
 * and far indices. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <asm/errno.h>
#include <stdlib.h>
#include "mm/pagecache.h"
#include "mm/radix.h"

#define N 600

static struct page pages[N];

/* Index number k: dense at first, then further and further apart, up to the very last. */
static uint64_t index_of(unsigned k)
{
	if (k < 300)
		return k;
	if (k < 500)
		return 1000 + (uint64_t)(k - 300) * 977;
	if (k == N - 1)
		return UINT64_MAX;
	return (uint64_t)(k - 499) << 56 | k;
}

struct model {
	struct page *page[N];
	bool dirty[N];
};

/* What the tree says about everything, in order, must be what the model says. */
static void compare(struct mapping *m, const struct model *want)
{
	uint64_t at = 0, dirty_at = 0;
	for (unsigned k = 0; k < N; k++) {
		assert_ptr_equal(radix_find(m, index_of(k)), want->page[k]);
		if (want->page[k]) {
			assert_ptr_equal(radix_next(m, &at, UINT64_MAX, false), want->page[k]);
			assert_true(at == index_of(k));
			at++;
		}
		if (want->dirty[k]) {
			assert_ptr_equal(radix_next(m, &dirty_at, UINT64_MAX, true), want->page[k]);
			assert_true(dirty_at == index_of(k));
			dirty_at++;
		}
	}
	if (at)
		assert_null(radix_next(m, &at, UINT64_MAX, false));
	if (dirty_at)
		assert_null(radix_next(m, &dirty_at, UINT64_MAX, true));
}

static void random_changes(void **state)
{
	static struct model want;
	static struct mapping m;
	(void)state;
	srand(1);
	for (int round = 0; round < 60000; round++) {
		unsigned k = (unsigned)rand() % N;
		radix_stock_up();
		switch (rand() % 4) {
		case 0:
		case 1:
			assert_int_equal(
			    radix_insert(&m, index_of(k), &pages[k]), want.page[k] ? -EEXIST : 0);
			want.page[k] = &pages[k];
			break;
		case 2:
			assert_ptr_equal(radix_remove(&m, index_of(k)), want.page[k]);
			want.page[k] = NULL;
			want.dirty[k] = false;
			break;
		case 3:
			if (want.page[k]) {
				want.dirty[k] = rand() & 1;
				radix_set_dirty(&m, index_of(k), want.dirty[k]);
			}
		}
		if (round % 500 == 0)
			compare(&m, &want);
	}
	for (unsigned k = 0; k < N; k++)
		radix_remove(&m, index_of(k));
	assert_null(m.root);
}

static void limits(void **state)
{
	struct mapping m = {0};
	uint64_t at = 0;
	(void)state;
	radix_stock_up();
	assert_null(radix_find(&m, 0));
	assert_null(radix_remove(&m, 5));
	assert_int_equal(radix_insert(&m, 70, &pages[1]), 0);
	assert_null(radix_next(&m, &at, 69, false));
	assert_ptr_equal(radix_next(&m, &at, 70, false), &pages[1]);
	assert_null(radix_find(&m, UINT64_MAX));
	assert_null(radix_find(&m, 70 + 64 * 64));
	assert_ptr_equal(radix_remove(&m, 70), &pages[1]);
	assert_null(m.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_changes), cmocka_unit_test(limits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
