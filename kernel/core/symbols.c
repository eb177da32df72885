/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's own symbol table, put into the image by link.sh: count, (address, name offset) pairs, names. */
#include "core/crash.h"
#include "mm/page.h"

struct symbol {
	uint32_t low; /* of the address; the upper half is all ones */
	uint32_t name;
};
extern const struct {
	uint64_t count;
	struct symbol symbol[];
} kernel_symbols;
extern char kernel_start[], rodata_start[];

const char *symbol_find(uint64_t addr, uint64_t *offset)
{
	uint64_t lo = 0, hi = kernel_symbols.count;

	if (addr < (uint64_t)kernel_start || addr >= (uint64_t)rodata_start || !hi)
		return NULL;
	while (hi - lo > 1) {
		uint64_t mid = (lo + hi) / 2;
		if (kernel_symbols.symbol[mid].low <= (uint32_t)addr)
			lo = mid;
		else
			hi = mid;
	}
	const struct symbol *s = &kernel_symbols.symbol[lo];
	*offset = (uint32_t)addr - s->low;
	return (const char *)&kernel_symbols.symbol[kernel_symbols.count] + s->name;
}
