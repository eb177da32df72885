/* SPDX-License-Identifier: BSD-3-Clause */
/* Package archives into trees, and such trees into EROFS images. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../capstan/lib/erofs.h"
#include "../../../capstan/lib/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Makes a tar archive with right checksums out of the input, so that the names, types, links and
 * sizes behind them are reached: for each entry type, sizes of name, link and data, then those.
 */
static size_t make_tar(const uint8_t *in, size_t size, uint8_t *out, size_t room)
{
	static const char types[] = "0125367LKx";
	size_t at = 0, used = 0;
	while (at + 4 <= size && used + 2048 <= room) {
		uint8_t type = in[at], name = in[at + 1] % 100, link = in[at + 2] % 100,
			len = in[at + 3];
		at += 4;
		if (at + name + link + len > size)
			break;
		uint8_t *h = out + used;
		memset(h, 0, 512);
		memcpy(h, in + at, name);
		memcpy(h + 100,
		    "0000755\0"
		    "0000000\0"
		    "0000000\0",
		    24);
		snprintf((char *)h + 124, 12, "%011o", len);
		memcpy(h + 136, "00000000000\0        ", 20);
		h[156] = types[type % (sizeof(types) - 1)];
		memcpy(h + 157, in + at + name, link);
		memcpy(h + 257,
		    "ustar\0"
		    "00",
		    8);
		unsigned sum = 0;
		for (int i = 0; i < 512; i++)
			sum += h[i];
		snprintf((char *)h + 148, 8, "%06o", sum);
		memset(h + 512, 0, 512);
		memcpy(h + 512, in + at + name + link, len);
		used += len ? 1024 : 512;
		at += name + link + len;
	}
	memset(out + used, 0, 1024);
	return used + 1024;
}

static void read_archive(const uint8_t *data, size_t size)
{
	struct cap c = {0};
	struct cap_tree tree;
	uint64_t bytes;
	int archive = memfd_create("archive", 0), contents = memfd_create("contents", 0);
	cap_tree_init(&tree);
	if (write(archive, data, size) == (ssize_t)size && !lseek(archive, 0, SEEK_SET) &&
	    !cap_archive_read_fd(&c, "fuzz", archive, contents, &tree) &&
	    !cap_erofs_plan(&c, &tree, &bytes) && bytes < (16u << 20)) {
		void *image = calloc(1, bytes);
		if (image && cap_erofs_write(&c, &tree, image, bytes))
			abort();
		free(image);
	}
	cap_tree_free(&tree);
	close(archive);
	close(contents);
	free(c.last_error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t tar[1 << 20];
	read_archive(data, size);
	read_archive(tar, make_tar(data, size, tar, sizeof(tar) - 4096));
	return 0;
}
