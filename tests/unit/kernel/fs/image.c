/* SPDX-License-Identifier: BSD-3-Clause */
/* See image.h. */
#include "image.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int image_read(void *ctx, uint64_t off, void *buf, size_t n)
{
	struct image *m = ctx;
	if (off > m->size || n > m->size - off)
		abort(); /* the library promises to stay within the image */
	memcpy(buf, m->data + off, n);
	return 0;
}

static void *limited_alloc(size_t n)
{
	return n > 64u << 20 ? NULL : malloc(n ? n : 1);
}

struct erofs_io image_io(struct image *m)
{
	return (struct erofs_io){image_read, limited_alloc, free, m, m->size};
}
