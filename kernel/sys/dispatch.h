/* SPDX-License-Identifier: BSD-3-Clause */
/* Between entry.S and the system call table. */
#pragma once

#include "lib/util.h"

struct trapframe;

#define SYSCALL_COUNT 464 /* length of syscall_table[]; entry.S has the same number */

/* What the fast path calls, by number: the function; a function that answers ENOSYS; or
 * syscall_full_frame for calls that need all registers. */
extern const void *syscall_table[SYSCALL_COUNT];
extern const char syscall_full_frame[];
/* Handles a call with the complete frame: any number, tracing on or off. Sets f->rax. Interrupts
 * on. */
void syscall_slow(struct trapframe *f);
/* Tracepoints were switched: makes calls take the ways that pass those that are on. Thread context. */
void syscall_trace_update(void);
/* Considers the SYSCALL instruction before `after` for rewriting; called once for each new site. */
void rewrite_site(uint64_t after);
