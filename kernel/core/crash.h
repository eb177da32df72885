/* SPDX-License-Identifier: BSD-3-Clause */
/* When the kernel itself fails: the report, and the symbols it is made of. */
#pragma once

#include "lib/util.h"

struct trapframe;

NORETURN void crash_kernel(struct trapframe *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool crash_in_progress(void);

/* Name of the kernel function that holds addr, with the offset; NULL if none. */
const char *symbol_find(uint64_t addr, uint64_t *offset);
/* Prints (to the console, any level) the call chain that starts at a frame pointer. Stops at
 * anything that is not in the current kernel stack. */
void backtrace_kernel(uint64_t rip, uint64_t rbp);
/* Prints a line on the console, bypassing the level. For reports. */
void report(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Prints all threads, and memory figures. */
void report_threads(void);
void report_memory(void);
