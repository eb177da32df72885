/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading of ELF files for the tests. */
#include "object.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	uint8_t *p = malloc(*n);
	if (fread(p, 1, *n, f) != *n) {
		free(p);
		p = NULL;
	}
	fclose(f);
	return p;
}

bool object_load(const char *path, struct object *o)
{
	size_t n;
	uint8_t *file = slurp(path, &n);
	memset(o, 0, sizeof *o);
	if (!file || n < sizeof(Elf64_Ehdr) || memcmp(file, ELFMAG "\2", 5) != 0) {
		free(file);
		return false;
	}
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(file + h->e_phoff);
	uint64_t low = UINT64_MAX, high = 0;
	for (int i = 0; i < h->e_phnum; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		low = p[i].p_vaddr < low ? p[i].p_vaddr : low;
		high = p[i].p_vaddr + p[i].p_memsz > high ? p[i].p_vaddr + p[i].p_memsz : high;
	}
	o->base = low;
	o->size = high - low;
	o->image = calloc(1, o->size);
	for (int i = 0; i < h->e_phnum; i++) {
		if (p[i].p_type == PT_LOAD)
			memcpy(
			    o->image + (p[i].p_vaddr - low), file + p[i].p_offset, p[i].p_filesz);
		if (p[i].p_type == PT_GNU_EH_FRAME) {
			o->eh_frame_hdr = p[i].p_vaddr;
			o->eh_frame_hdr_size = p[i].p_memsz;
		}
	}
	free(file);
	return true;
}

void object_free(struct object *o)
{
	free(o->image);
}

const uint8_t *object_at(const struct object *o, uint64_t addr, size_t n)
{
	if (addr < o->base || addr - o->base > o->size || n > o->size - (addr - o->base))
		return NULL;
	return o->image + (addr - o->base);
}
