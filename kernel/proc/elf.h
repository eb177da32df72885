/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and checking ELF executables. Pure: works on bytes in memory, no allocation. Everything
 * in the file is untrusted; what a function here accepted can be mapped without further checks.
 */
#pragma once

#include "lib/util.h"

#define ELF_MAX_SEGMENTS 64
#define ELF_MAX_PHDRS 256
#define ELF_HEADER_SIZE 64
#define ELF_PHDR_SIZE 56
#define ELF_MAX_INTERP 4096

struct elf_segment {
	uint64_t vaddr, memsz; /* bytes; memsz > 0 */
	uint64_t offset, filesz;
	unsigned prot; /* PROT_* */
};

struct elf_image {
	bool dynamic; /* position independent: addresses are relative to a base */
	uint64_t entry;
	uint64_t phoff;
	unsigned phnum;
	uint64_t phdr_vaddr; /* where the program headers lie in memory, 0 if nowhere */
	unsigned nsegments;
	struct elf_segment segment[ELF_MAX_SEGMENTS]; /* ascending, not overlapping */
	uint64_t low, high;			      /* span of all segments, page aligned */
	uint64_t align;				      /* of the base: a power of two >= 4096 */
	uint64_t interp_offset, interp_size;	      /* PT_INTERP in the file; size 0: none */
	bool exec_stack;
};

/* Checks the file header (n bytes of it, at least ELF_HEADER_SIZE to succeed). NULL, or why not: a
 * phrase that goes after "cannot run FILE: ". */
const char *elf_parse_header(
    const void *header, size_t n, uint64_t file_size, struct elf_image *out);
/* Checks the program headers (out->phnum entries of ELF_PHDR_SIZE bytes) and fills the rest of
 * *out. */
const char *elf_parse_segments(const void *phdrs, uint64_t file_size, struct elf_image *out);
/* Whether a string of n bytes read from PT_INTERP is a usable path (terminated, absolute or not
 * empty). */
const char *elf_check_interp(const char *path, size_t n);
