/* SPDX-License-Identifier: BSD-3-Clause */
/* Lengths and kinds of x86-64 instructions (Intel SDM volume 2, appendix A). Pure: works on bytes.
 */
#pragma once

#include "lib/util.h"

#define INSN_MAX 15

enum insn_kind {
	INSN_PLAIN,    /* goes on with the next instruction */
	INSN_CALL,     /* direct or indirect */
	INSN_JUMP,     /* jmp rel8/rel32: target is valid */
	INSN_BRANCH,   /* jcc rel8/rel32: target is valid */
	INSN_LOOP,     /* loop, jrcxz: target is valid, no long form */
	INSN_INDIRECT, /* jmp through register or memory */
	INSN_RETURN,   /* ret, iret */
	INSN_SYSCALL,
	INSN_STOP, /* ud2, hlt, int3, int n, sysenter: control flow not ours to move */
};

struct insn {
	uint8_t length;
	enum insn_kind kind;
	bool endbr;	       /* endbr64: something may jump here indirectly */
	uint8_t condition;     /* INSN_BRANCH: the low four bits of the opcode */
	uint8_t rip_disp;      /* offset of a RIP-relative disp32 in the instruction, 0 if none */
	int64_t target_offset; /* jumps and direct calls: target - start of this instruction */
	bool has_target;
};

/* Decodes the instruction at p (n bytes readable). Returns its length, or 0 if it is invalid,
 * unknown or cut off. */
unsigned insn_decode(const uint8_t *p, size_t n, struct insn *out);
