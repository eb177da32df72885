/* SPDX-License-Identifier: BSD-3-Clause */
/* The LZ4 decompressor against liblz4's compressor, and against damaged input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <lz4.h>
#include "lib/lz4.h"

/* Text that repeats at distances from 1 to many, with incompressible stretches. */
static void fill(uint8_t *p, size_t n, unsigned seed)
{
	size_t i = 0;
	srand(seed);
	while (i < n) {
		size_t run = (size_t)(rand() % 300 + 1), distance = i ? (size_t)rand() % i + 1 : 0;
		for (; run-- && i < n; i++)
			p[i] = rand() % 2 && distance ? p[i - distance]
			       : distance % 3	      ? p[i - distance]
						      : (uint8_t)rand();
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 60; seed++) {
		size_t n = seed < 20 ? seed : seed * 997;
		uint8_t *raw = malloc(n), *packed = malloc(LZ4_compressBound((int)n)),
			*out = malloc(n);
		fill(raw, n, seed);
		int m = LZ4_compress_default(
		    (char *)raw, (char *)packed, (int)n, LZ4_compressBound((int)n));
		packed = realloc(packed, (size_t)m); /* ASan sees reads beyond */
		assert_int_equal(lz4_decompress(packed, (size_t)m, out, n, 0), n);
		assert_memory_equal(raw, out, n);
		/* One byte less room is an error, or a shorter result if asked for. */
		assert_int_equal(lz4_decompress(packed, (size_t)m, out, n - 1, 0), -1);
		size_t part = n / 2;
		uint8_t *half = malloc(part ? part : 1);
		assert_int_equal(lz4_decompress(packed, (size_t)m, half, part, 1), part);
		assert_memory_equal(raw, half, part);
		/* Cut off anywhere: an error, or whole sequences. */
		for (int cut = 0; cut < m && cut < 200; cut++) {
			uint8_t *c = malloc(cut ? (size_t)cut : 1);
			memcpy(c, packed, (size_t)cut);
			long got = lz4_decompress(c, (size_t)cut, out, n, 0);
			assert_true(got >= -1 && got <= (long)n);
			free(c);
		}
		free(half);
		free(raw);
		free(packed);
		free(out);
	}
}

static void test_damage(void **state)
{
	(void)state;
	uint8_t out[64];
	const uint8_t before_start[] = {0x10, 'a', 2, 0, 0x00};
	const uint8_t zero_distance[] = {0x10, 'a', 0, 0, 0x00};
	const uint8_t endless[] = {0xf0, 255, 255, 255};
	assert_int_equal(lz4_decompress(before_start, sizeof before_start, out, sizeof out, 0), -1);
	assert_int_equal(
	    lz4_decompress(zero_distance, sizeof zero_distance, out, sizeof out, 0), -1);
	assert_int_equal(lz4_decompress(endless, sizeof endless, out, sizeof out, 0), -1);
	assert_int_equal(lz4_decompress(endless, 0, out, sizeof out, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
