/* SPDX-License-Identifier: BSD-3-Clause */
/* The sites of an address space that were considered, and the patching of a site. */
#include "proc/rewrite/rewrite.h"

#include "mm/mm.h"

int rewrite_fork(struct mm *to, struct mm *from)
{
	(void)to;
	(void)from;
	return 0;
}

void rewrite_unmapped(struct mm *m, uint64_t start, uint64_t end)
{
	(void)m;
	(void)start;
	(void)end;
}

void rewrite_free(struct mm *m)
{
	(void)m;
}
