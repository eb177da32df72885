/* SPDX-License-Identifier: BSD-3-Clause */
/* Malformed LZ4 blocks: decoding stays within both buffers (the sanitizer watches) and gives no
 * more than fits. */
#include <stdlib.h>
#include <string.h>
#include "lib/lz4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	size_t room = data[0] | (size_t)(data[1] & 0x3f) << 8;
	int partial = data[1] >> 7;
	uint8_t *src = malloc(n - 2), *dst = malloc(room ? room : 1);
	memcpy(src, data + 2, n - 2);
	long got = lz4_decompress(src, n - 2, dst, room, partial);
	if (got < -1 || got > (long)room)
		abort();
	free(src);
	free(dst);
	return 0;
}
