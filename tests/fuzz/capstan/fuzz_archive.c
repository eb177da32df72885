/* SPDX-License-Identifier: BSD-3-Clause */
/* Package archives into trees, and such trees into EROFS images. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../capstan/lib/erofs.h"
#include "../../../capstan/lib/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
	return 0;
}
