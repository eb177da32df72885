/* SPDX-License-Identifier: BSD-3-Clause */
/* What a loadable ELF file needs: its interpreter and shared libraries. Own, bounds-checked reader.
 */
#ifndef CAPSTAN_ELFFILE_H
#define CAPSTAN_ELFFILE_H

#include "cap.h"
#include "util.h"

struct cap_elf {
	bool is_shared;	 /* ET_DYN */
	bool is_dynamic; /* has a dynamic section */
	char *interpreter, *soname;
	char *rpath, *runpath; /* as in the file, NULL when absent */
	struct strv needed;
};

enum cap_elf_result {
	CAP_ELF_OK,
	CAP_ELF_NOT,	 /* no ELF magic */
	CAP_ELF_FOREIGN, /* not x86-64, not 64 bit, or not an executable or shared object */
	CAP_ELF_BROKEN,	 /* contradicts itself or is truncated */
};

/* Reads an ELF image in memory. *why (static text) explains CAP_ELF_FOREIGN and CAP_ELF_BROKEN. */
enum cap_elf_result cap_elf_parse(
    const void *data, size_t size, struct cap_elf *elf, const char **why);
/* The same for a host file; CAP_ELF_NOT also when it cannot be opened. */
enum cap_elf_result cap_elf_read(const char *path, struct cap_elf *elf, const char **why);
void cap_elf_free(struct cap_elf *elf);

#endif
