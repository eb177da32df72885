/* SPDX-License-Identifier: BSD-3-Clause */
/* Executables from outside: what the parser accepts can be mapped without further checks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct elf_image img;
	if (elf_parse_header(data, n, n, &img))
		return 0;
	if (elf_parse_segments(data + img.phoff, n, &img))
		return 0;
	uint64_t last = 0;
	if (!img.nsegments || img.low % 4096 || img.high % 4096 || img.low >= img.high)
		abort();
	for (unsigned i = 0; i < img.nsegments; i++) {
		const struct elf_segment *s = &img.segment[i];
		if (s->vaddr < last || s->offset + s->filesz > n || s->filesz > s->memsz ||
		    s->vaddr % 4096 != s->offset % 4096)
			abort();
		last = s->vaddr + s->memsz;
	}
	if (last > img.high || img.interp_offset + img.interp_size > n)
		abort();
	return 0;
}
