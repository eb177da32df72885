/* SPDX-License-Identifier: BSD-3-Clause */
/* An EROFS image in memory for the library under test. */
#pragma once

#include "fs/erofs/erofs.h"

struct image {
	const unsigned char *data;
	size_t size;
};

/* The library's view of an image; keep `m` alive. */
struct erofs_io image_io(struct image *m);
