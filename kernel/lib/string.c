/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * String functions. memcpy and memset have two bodies: string instructions, fast where the CPU has
 * fast short rep movs, and unrolled 64-bit moves, fast under emulation. memory_select() measures
 * both once at boot and the better one serves from then on.
 */
#include "lib/string.h"

extern bool memory_use_rep; /* uaccess.S too */
bool memory_use_rep = true;

/* Eight bytes at any address. */
typedef uint64_t __attribute__((aligned(1), may_alias)) word;

static void copy_words(void *d, const void *s, size_t n)
{
	word *dw = d;
	const word *sw = s;

	for (; n >= 64; n -= 64, dw += 8, sw += 8) {
		uint64_t a = sw[0], b = sw[1], c = sw[2], e = sw[3];
		dw[0] = a;
		dw[1] = b;
		dw[2] = c;
		dw[3] = e;
		a = sw[4], b = sw[5], c = sw[6], e = sw[7];
		dw[4] = a;
		dw[5] = b;
		dw[6] = c;
		dw[7] = e;
	}
	for (; n >= 8; n -= 8)
		*dw++ = *sw++;
	char *dc = (char *)dw;
	const char *sc = (const char *)sw;
	while (n--)
		*dc++ = *sc++;
}

void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
	if (!memory_use_rep || n < 64) {
		copy_words(d, s, n);
		return d;
	}
	void *dst = d;
	asm volatile("rep movsb" : "+D"(dst), "+S"(s), "+c"(n) : : "memory");
	return d;
}

void *memmove(void *d, const void *s, size_t n)
{
	char *dc = d;
	const char *sc = s;

	if ((uintptr_t)s - (uintptr_t)d >= n && (uintptr_t)d - (uintptr_t)s >= n)
		return memcpy(d, s, n);
	if (dc < sc) { /* memcpy() may store ahead of what it has still to load */
		for (; n >= 8; n -= 8, dc += 8, sc += 8) {
			*(word *)dc = *(const word *)sc;
			asm volatile("" ::: "memory");
		}
		while (n--) {
			*dc++ = *sc++;
			asm volatile("" ::: "memory");
		}
		return d;
	}
	while (n >= 8) {
		n -= 8;
		*(word *)(dc + n) = *(const word *)(sc + n);
	}
	while (n--)
		dc[n] = sc[n];
	return d;
}

void *memset(void *d, int c, size_t n)
{
	if (memory_use_rep && n >= 64) {
		void *dst = d;
		asm volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
		return d;
	}
	uint64_t v = 0x0101010101010101ull * (uint8_t)c;
	word *w = d;
	for (; n >= 64; n -= 64, w += 8) {
		w[0] = v;
		w[1] = v;
		w[2] = v;
		w[3] = v;
		w[4] = v;
		w[5] = v;
		w[6] = v;
		w[7] = v;
	}
	for (; n >= 8; n -= 8)
		*w++ = v;
	char *b = (char *)w;
	while (n--) {
		asm volatile("" ::: "memory"); /* keeps gcc from calling memset here */
		*b++ = (char)c;
	}
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;

	for (; n; n--, p++)
		if (*p == (uint8_t)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; a++, b++, n--)
		;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

char *strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	for (; strlen(s) >= n; s++)
		if (!memcmp(s, needle, n))
			return (char *)s;
	return NULL;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size) {
		size_t k = n < size - 1 ? n : size - 1;
		memcpy(dst, src, k);
		dst[k] = 0;
	}
	return n;
}

const char *parse_u64(const char *s, unsigned base, uint64_t *out)
{
	uint64_t v = 0;

	if (base == 0) {
		base = 10;
		if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
			base = 16;
			s += 2;
		} else if (s[0] == '0') {
			base = 8;
		}
	}
	for (;; s++) {
		unsigned d;
		if (*s >= '0' && *s <= '9')
			d = (unsigned)(*s - '0');
		else if ((*s | 32) >= 'a' && (*s | 32) <= 'f')
			d = (unsigned)((*s | 32) - 'a' + 10);
		else
			break;
		if (d >= base)
			break;
		v = v * base + d;
	}
	*out = v;
	return s;
}

#ifndef CARRARA_HOST
#include "arch/x86/cpu.h"
#include "core/init.h"

/* Times both bodies on 16 KiB and keeps the faster one. The buffers are the caller's. */
void memory_select(void *a, void *b, size_t n)
{
	uint64_t best[2] = {~0ull, ~0ull};

	for (int round = 0; round < 6; round++) {
		memory_use_rep = round & 1;
		uint64_t t = rdtsc();
		memcpy(a, b, n);
		t = rdtsc() - t;
		if (t < best[round & 1])
			best[round & 1] = t;
	}
	memory_use_rep = best[1] <= best[0];
}
#endif
