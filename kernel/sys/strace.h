/* SPDX-License-Identifier: BSD-3-Clause */
/* --strace: one console line for each system call, names and arguments decoded as table.def says.
 */
#pragma once

#include "lib/util.h"

struct trapframe;

struct strace {
	long nr;
	uint64_t arg[6];
	bool split; /* the arguments were printed already: the call may not return, or not soon */
	int64_t start;
	size_t len;
	char line[400];
};

/* Decodes the arguments before the call runs (it may change them, and the memory they point to). */
void strace_enter(struct strace *s, const struct trapframe *f);
/* Prints the line with the result. */
void strace_exit(struct strace *s, long result);

/* Appends one argument to buf (size bytes, len used) in the form `letter` of table.def; returns the
 * new length. next is the argument after it. Pure but for reading the application's memory. */
size_t strace_argument(
    char *buf, size_t size, size_t len, char letter, uint64_t value, uint64_t next);

/* Sends every call of every CPU through the slow path from now on (or not any more), to print it or
 * to count it. Thread context. */
void syscall_trace_set(bool print, bool count);
/* Calls of nr counted so far. */
uint64_t syscall_count(long nr);
