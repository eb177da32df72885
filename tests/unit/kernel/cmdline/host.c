/* SPDX-License-Identifier: BSD-3-Clause */
/* What core/cmdline.c needs from the kernel, by the host's C library: allocation and two string
 * functions. */
#include <stdlib.h>
#include "lib/string.h"
#include "mm/kmalloc.h"

void *kmalloc(size_t n)
{
	return malloc(n);
}

void *krealloc(void *p, size_t n)
{
	return realloc(p, n);
}

void kfree(void *p)
{
	free(p);
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);
	if (size) {
		size_t c = n < size ? n : size - 1;
		memcpy(dst, src, c);
		dst[c] = 0;
	}
	return n;
}

const char *parse_u64(const char *s, unsigned base, uint64_t *out)
{
	char *end;
	*out = strtoull(s, &end, (int)base);
	return end;
}
