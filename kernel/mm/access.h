/* SPDX-License-Identifier: BSD-3-Clause */
/* Reaching into an address space that need not be the current one: mm/'s internal interface. */
#pragma once

#include "mm/mm.h"

/* mm_access() that respects the areas' protections unless force (a debugger's access). Bytes
 * copied, which is fewer than n where memory ends, or -EFAULT if none could be. */
long mm_access_checked(struct mm *m, uint64_t addr, void *buf, size_t n, bool write, bool force);
