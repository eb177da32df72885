/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's half of the page tables. Shared by all address spaces: its top-level entries never
 * change after boot. */
#pragma once

#include "lib/util.h"

enum { KMAP_WRITE = 1, KMAP_EXEC = 2, KMAP_UNCACHED = 4 };

extern uint64_t kernel_pml4[512];

/* Maps one 4 KiB page at va (never mapped before); panics without memory for tables (boot) or
 * returns false. */
bool kmap_page(uint64_t va, uint64_t phys, unsigned flags);
/* Reserves n bytes of address space in the VMAP area; never given back. */
uint64_t kmap_reserve(size_t n);
