/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's formatting and its balanced tree, against the C library and a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/rbtree.h"

int kernel_snprintf(char *buf, size_t size, const char *fmt, ...);
const char *kernel_parse_u64(const char *s, unsigned base, uint64_t *out);

static const char *const int_formats[] = {"%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%x", "%#x", "%08x", "%X",
    "%o", "%u", "%.3d", "%8.3d", "%-8.3d|", "%hd", "%hhu"};
static const char *const long_formats[] = {"%ld", "%20ld", "%-20ld|", "%020ld", "%lx", "%#lx", "%lu", "%zu", "%llX"};
static const char *const string_formats[] = {"%s", "%10s", "%-10s|", "%.2s", "%10.2s"};

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static void formats_like_libc(void **state)
{
	static const long values[] = {0, 1, -1, 42, 127, 128, -32768, 65535, 2147483647, -2147483647L - 1};
	static const char *const strings[] = {"", "a", "carrara", "a longer string than the field"};
	char a[128], b[128];

	(void)state;
	for (size_t f = 0; f < sizeof int_formats / sizeof *int_formats; f++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			assert_int_equal(kernel_snprintf(a, sizeof a, int_formats[f], (int)values[v]),
			    snprintf(b, sizeof b, int_formats[f], (int)values[v]));
			assert_string_equal(a, b);
		}
	for (size_t f = 0; f < sizeof long_formats / sizeof *long_formats; f++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			kernel_snprintf(a, sizeof a, long_formats[f], values[v] * 4000000007L);
			snprintf(b, sizeof b, long_formats[f], values[v] * 4000000007L);
			assert_string_equal(a, b);
		}
	for (size_t f = 0; f < sizeof string_formats / sizeof *string_formats; f++)
		for (size_t v = 0; v < sizeof strings / sizeof *strings; v++) {
			kernel_snprintf(a, sizeof a, string_formats[f], strings[v]);
			snprintf(b, sizeof b, string_formats[f], strings[v]);
			assert_string_equal(a, b);
		}
}

static void format_is_bounded(void **state)
{
	char a[8];

	(void)state;
	assert_int_equal(kernel_snprintf(a, sizeof a, "%s", "0123456789"), 10);
	assert_string_equal(a, "0123456");
	assert_int_equal(kernel_snprintf(NULL, 0, "%d", 1234), 4);
}

static void numbers_parse(void **state)
{
	uint64_t v;

	(void)state;
	assert_string_equal(kernel_parse_u64("0x1fz", 0, &v), "z");
	assert_int_equal(v, 31);
	assert_string_equal(kernel_parse_u64("017 ", 0, &v), " ");
	assert_int_equal(v, 15);
	assert_string_equal(kernel_parse_u64("99", 10, &v), "");
	assert_int_equal(v, 99);
}

struct item {
	struct rb_node node;
	int key;
	int in;
};

static void insert(struct rb_tree *t, struct item *it)
{
	struct rb_node **p = &t->root, *parent = NULL;

	while (*p) {
		parent = *p;
		p = it->key < rb_entry(parent, struct item, node)->key ? &parent->left : &parent->right;
	}
	rb_insert(t, &it->node, parent, p);
}

/* Returns the black height; fails on a red node with a red child or a wrong parent. */
static int check(const struct rb_node *n, const struct rb_node *parent)
{
	if (!n)
		return 1;
	assert_ptr_equal(n->parent, parent);
	assert_false(n->red && parent && parent->red);
	int left = check(n->left, n), right = check(n->right, n);
	assert_int_equal(left, right);
	return left + !n->red;
}

static void tree_stays_balanced(void **state)
{
	enum { N = 500 };
	static struct item items[N];
	struct rb_tree t = {0};

	(void)state;
	srand(1);
	for (int i = 0; i < N; i++)
		items[i].key = rand() % 300;
	for (int round = 0; round < 20000; round++) {
		struct item *it = &items[rand() % N];
		if (it->in)
			rb_remove(&t, &it->node);
		else
			insert(&t, it);
		it->in = !it->in;
		if (round % 64)
			continue;
		assert_false(t.root && t.root->red);
		check(t.root, NULL);
		int count = 0, in = 0, last = -1;
		for (struct rb_node *n = rb_first(&t); n; n = rb_next(n), count++) {
			assert_true(rb_entry(n, struct item, node)->key >= last);
			last = rb_entry(n, struct item, node)->key;
		}
		for (int i = 0; i < N; i++)
			in += items[i].in;
		assert_int_equal(count, in);
		for (struct rb_node *n = rb_last(&t); n; n = rb_prev(n))
			count--;
		assert_int_equal(count, 0);
	}
}

void *kernel_memmove(void *d, const void *s, size_t n);
void *kernel_memcpy(void *restrict d, const void *restrict s, size_t n);
extern bool memory_use_rep;

/* Every overlap, distance and size up to some vector units, with both bodies. */
static void moves_what_overlaps(void **state)
{
	enum { ROOM = 400 };
	uint8_t got[ROOM], want[ROOM], copy[ROOM];

	(void)state;
	for (int rep = 0; rep < 2; rep++) {
		memory_use_rep = rep;
		for (int n = 0; n <= 200; n++) {
			for (int to = 0; to <= 100; to++) {
				for (int i = 0; i < ROOM; i++)
					got[i] = want[i] = (uint8_t)(i * 7 + n);
				memcpy(copy, want + 50, (size_t)n);
				memcpy(want + to, copy, (size_t)n);
				assert_ptr_equal(
				    kernel_memmove(got + to, got + 50, (size_t)n), got + to);
				assert_memory_equal(got, want, ROOM);
			}
			kernel_memcpy(copy, want, (size_t)n);
			assert_memory_equal(copy, want, (size_t)n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_like_libc),
	    cmocka_unit_test(format_is_bounded),
	    cmocka_unit_test(numbers_parse),
	    cmocka_unit_test(moves_what_overlaps),
	    cmocka_unit_test(tree_stays_balanced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
