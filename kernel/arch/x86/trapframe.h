/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers of an interrupted or system-calling application, in the order entry.S stores them.
 * A system call's fast path fills only what it must (see entry.S); whoever needs the callee-saved
 * registers (signals, clone, fork) runs on the slow path, where all fields are valid.
 */
#pragma once

#include "lib/util.h"

struct trapframe {
	uint64_t r15, r14, r13, r12, rbp, rbx; /* callee-saved */
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* exception or interrupt vector; TF_SYSCALL for a system call */
	uint64_t error;	 /* CPU error code; the system call number for a system call */
	uint64_t rip, cs, rflags, rsp, ss;
};

#define TF_SYSCALL 256
