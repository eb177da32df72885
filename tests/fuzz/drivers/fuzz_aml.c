/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI byte code of a firmware that is wrong in any way: nothing is read outside it. */
#include <stdlib.h>
#include <string.h>
#include "arch/x86/aml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct aml_facts facts = {0};
	uint8_t *copy = malloc(n ? n : 1); /* exactly as long as it is, for ASan */
	memcpy(copy, data, n);
	aml_scan(copy, n, &facts);
	if (facts.nvirtio_mmio > AML_MAX_DEVICES || facts.slp_typ5 > 7)
		abort();
	free(copy);
	return 0;
}
