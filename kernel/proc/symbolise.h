/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of a program as text. */
#pragma once

#include "mm/mm.h"

/* Writes "function+0x12 (libc.so.6+0x2345)" or as much of it as is known. Reads the mapped file's
 * symbol table; thread context, may sleep. */
void symbolise(struct mm *m, uint64_t addr, char *buf, size_t size);
