/* SPDX-License-Identifier: BSD-3-Clause */
/* LZ4 blocks that nobody compressed: the first byte gives the room. */
#include <stdlib.h>
#include <string.h>
#include "lib/lz4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	size_t room = (size_t)data[0] * 16;
	uint8_t *src = malloc(n), *dst = malloc(room ? room : 1);
	memcpy(src, data + 1, n - 1);
	for (int partial = 0; partial < 2; partial++) {
		long got = lz4_decompress(src, n - 1, dst, room, partial);
		if (got < -1 || got > (long)room)
			abort();
	}
	free(src);
	free(dst);
	return 0;
}
