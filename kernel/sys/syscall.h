/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Defining a system call: write
 *
 *	SYSCALL(read, int fd, void __user *buf, size_t n) { … return bytes or -errno; }
 *
 * in the file it belongs to. sys/table.def names every call of the x86-64 ABI; one that is not
 *defined anywhere answers ENOSYS. Arguments arrive as the application's registers hold them.
 */
#pragma once

#include <asm/errno.h>
#include "lib/util.h"
#include "mm/uaccess.h"

#define SYSCALL(name, ...)            \
	long sys_##name(__VA_ARGS__); \
	long sys_##name(__VA_ARGS__)

/* Kernel-internal results, never seen by applications: the call is started again after signal
 * delivery. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

const char *syscall_name(long nr);	/* "read", or NULL */
const char *syscall_arguments(long nr); /* format for --strace: see table.def */
const char *errno_name(int err);	/* "ENOENT" */

/* Registers of the current thread's application as of its entry (slow-path calls such as clone). */
struct trapframe;
struct trapframe *syscall_frame(void);
