/* SPDX-License-Identifier: BSD-3-Clause */
/* Image files that somebody hands to `capstan run`, `info` and `import`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "../../../capstan/lib/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes the checksum right half of the time, so that the fields behind it are reached. */
static void fix_checksum(uint8_t *data, size_t size)
{
	if (size < 1024 || !(data[0] & 1))
		return;
	uint8_t sector[512];
	memcpy(data + 512, CARRARA_IMAGE_MAGIC, 8);
	memcpy(sector, data + 512, sizeof(sector));
	memset(sector + 12, 0, 4);
	uint32_t crc = crc32(0, sector, sizeof(sector));
	memcpy(data + 512 + 12, &crc, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap c = {0};
	struct cap_image img;
	char path[64];
	uint8_t *copy = malloc(size + 1);
	memcpy(copy, data, size);
	fix_checksum(copy, size);
	int fd = memfd_create("image", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, copy, size) == (ssize_t)size && !cap_image_open(&c, path, &img))
		cap_image_close(&img);
	close(fd);
	free(copy);
	free(c.last_error);
	return 0;
}
