/* SPDX-License-Identifier: BSD-3-Clause */
/* The text buffer behind /proc and /sys, and the key stream behind random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/chacha.h"
#include "lib/seqbuf.h"
#include "mm/kmalloc.h"

static int allocations_left = -1; /* -1: no limit */

void *krealloc(void *p, size_t n)
{
	if (!allocations_left)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return realloc(p, n);
}

void kfree(void *p)
{
	free(p);
}

static void expect(struct seqbuf *s, const char *want)
{
	assert_false(s->failed);
	assert_int_equal(s->len, strlen(want));
	assert_memory_equal(s->data, want, s->len);
	seqbuf_free(s);
}

static void test_print(void **state)
{
	(void)state;
	struct seqbuf s;
	seqbuf_init(&s);
	seq_puts(&s, "a ");
	seq_printf(&s, "%d-%s", 42, "b");
	seq_putc(&s, '\n');
	expect(&s, "a 42-b\n");
	/* Longer than what is reserved on the off chance. */
	char big[3000];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	seq_printf(&s, "%s", big);
	expect(&s, big);
}

static void test_cpus(void **state)
{
	(void)state;
	struct seqbuf s;
	seqbuf_init(&s);
	seq_cpulist(&s, 0);
	assert_int_equal(s.len, 0);
	seq_cpulist(&s, 1);
	expect(&s, "0");
	seq_cpulist(&s, 0x800000000000002f);
	expect(&s, "0-3,5,63");
	seq_cpulist(&s, UINT64_MAX);
	expect(&s, "0-63");
	seq_cpumask(&s, 0x5, 4);
	expect(&s, "5");
	seq_cpumask(&s, 0x100000003, 34);
	expect(&s, "1,00000003");
}

static void test_path(void **state)
{
	(void)state;
	struct seqbuf s;
	seqbuf_init(&s);
	seq_path(&s, "/a b\t\\\n");
	expect(&s, "/a\\040b\\011\\134\\012");
}

static void test_no_memory(void **state)
{
	(void)state;
	struct seqbuf s;
	char block[400] = {0};
	seqbuf_init(&s);
	allocations_left = 1;
	seq_write(&s, block, sizeof block);
	assert_false(s.failed);
	seq_write(&s, block, sizeof block);
	assert_true(s.failed);
	assert_int_equal(s.len, sizeof block);
	seq_puts(&s, "dropped");
	assert_int_equal(s.len, sizeof block);
	allocations_left = -1;
	seqbuf_free(&s);
}

/* RFC 8439, section 2.3.2. */
static void test_chacha(void **state)
{
	(void)state;
	static const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
	static const uint8_t want[CHACHA_BLOCK] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
	    0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0,
	    0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46,
	    0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12,
	    0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
	uint8_t key[CHACHA_KEY], out[CHACHA_BLOCK];
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	chacha20_block(key, 1, nonce, out);
	assert_memory_equal(out, want, sizeof want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_print),
	    cmocka_unit_test(test_cpus), cmocka_unit_test(test_path),
	    cmocka_unit_test(test_no_memory), cmocka_unit_test(test_chacha)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
