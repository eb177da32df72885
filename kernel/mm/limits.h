/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program may have of memory: mm/'s internal interface. */
#pragma once

#include <asm/resource.h>
#include "mm/mm.h"

/* The current program's soft limit RLIMIT_x; unlimited for kernel threads. */
uint64_t mm_limit(int resource);
/* Whether m may have `pages` more of address space (RLIMIT_AS). */
bool mm_may_grow(struct mm *m, uint64_t pages);
/* Whether the current program may lock `pages` more (RLIMIT_MEMLOCK, CAP_IPC_LOCK). */
bool mm_may_lock(struct mm *m, uint64_t pages);
/* Heuristic overcommit, as Linux's default: private writable memory larger than the machine is
 * refused. */
bool mm_overcommit_ok(uint64_t pages, unsigned prot, unsigned flags);
