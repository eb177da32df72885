/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF files from packages and the host. */
#include "../../../capstan/lib/elffile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap_elf elf;
	const char *why;
	if (cap_elf_parse(data, size, &elf, &why) == CAP_ELF_OK)
		cap_elf_free(&elf);
	return 0;
}
