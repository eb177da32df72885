/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LZ4 block decompression. A block is a row of sequences: a token (literal count and match length,
 * four bits each, 15 meaning that bytes follow which are added until one is not 255), the literals,
 * a 16-bit distance back, and the copy from there. The last sequence ends after its literals.
 */
#include "lib/lz4.h"

enum { MIN_MATCH = 4, TOKEN_MAX = 15 };

/* A length of which the token had 15: false if the input ends within it. */
static int long_length(const uint8_t **p, const uint8_t *end, size_t *length)
{
	uint8_t b;
	if (*length < TOKEN_MAX)
		return 1;
	do {
		if (*p == end)
			return 0;
		b = *(*p)++;
		*length += b;
	} while (b == 255);
	return 1;
}

static void copy8(uint8_t *d, const uint8_t *s)
{
	__builtin_memcpy(d, s, 8);
}

/* Copies n bytes within the output from `distance` back; the two may overlap (a repeated pattern).
 */
static void copy_match(uint8_t *d, size_t distance, size_t n)
{
	const uint8_t *s = d - distance;
	if (distance >= 8) {
		for (; n >= 8; n -= 8, d += 8, s += 8)
			copy8(d, s);
	}
	while (n--)
		*d++ = *s++;
}

static void copy_literals(uint8_t *d, const uint8_t *s, size_t n)
{
	for (; n >= 8; n -= 8, d += 8, s += 8)
		copy8(d, s);
	while (n--)
		*d++ = *s++;
}

long lz4_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t room, int partial)
{
	const uint8_t *p = src, *end = src + n;
	size_t out = 0;
	while (p < end) {
		uint8_t token = *p++;
		size_t literals = token >> 4, match = token & TOKEN_MAX;
		if (!long_length(&p, end, &literals) || literals > (size_t)(end - p))
			return -1;
		if (literals > room - out) {
			if (!partial)
				return -1;
			literals = room - out;
		}
		copy_literals(dst + out, p, literals);
		p += literals;
		out += literals;
		if (p == end || (partial && out == room))
			return (long)out;
		if (end - p < 2)
			return -1;
		size_t distance = p[0] | (size_t)p[1] << 8;
		p += 2;
		if (distance == 0 || distance > out || !long_length(&p, end, &match))
			return -1;
		match += MIN_MATCH;
		if (match > room - out) {
			if (!partial)
				return -1;
			match = room - out;
		}
		copy_match(dst + out, distance, match);
		out += match;
		if (partial && out == room)
			return (long)out;
	}
	return -1; /* a block ends with literals */
}
