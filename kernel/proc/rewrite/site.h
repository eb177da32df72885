/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deciding whether and how the SYSCALL at one address can be reached by a jump instead. Pure.
 *
 * A plan displaces whole instructions before the SYSCALL, at least five bytes of them. One
 * displaced instruction of five bytes or more has no boundary inside, so nothing can jump into the
 * middle. With several, nothing known may continue at an inner boundary: no branch of the function
 * or of the parts it jumps out to, no indirect jump in the function at all, no endbr64, no landing
 * pad.
 */
#pragma once

#include "lib/util.h"

#define SITE_MAX_FUNCTION 65536
#define SITE_MAX_EXITS 16
#define SITE_MAX_DISPLACED 32 /* bytes */
#define SITE_MAX_TRAMPOLINE 96

struct site_plan {
	uint64_t start;	    /* where the jump goes */
	unsigned displaced; /* bytes from start to the SYSCALL */
	unsigned instructions;
	/* Several instructions: the direct jumps that leave the function; their targets' functions
	 * must be checked with site_reaches() as well. */
	uint64_t exits[SITE_MAX_EXITS];
	unsigned nexits;
};

/* Plans for the SYSCALL at site in a function whose n bytes at address start are given. NULL, or
 * why not. */
const char *site_plan(const uint8_t *code, size_t n, uint64_t start, uint64_t site,
    bool landing_pads, struct site_plan *out);
/* What a SYSCALL found in the registers, by their number in instructions; `known` has a bit for
 * each that is valid. */
struct site_registers {
	uint64_t r[16];
	unsigned known;
};

/* Plans without knowing function bounds: `before` holds the n bytes before the SYSCALL at site.
 * Accepts only a constant moved to a register, if the register was observed to hold it. NULL, or
 * why not. */
const char *site_plan_blind(const uint8_t *before, size_t n, uint64_t site,
    const struct site_registers *seen, struct site_plan *out);
/* Whether a direct branch of this code goes to an address in (low, high). Unreadable code counts as
 * yes. */
bool site_reaches(const uint8_t *code, size_t n, uint64_t start, uint64_t low, uint64_t high);
/* Writes the trampoline for address at: displaced instructions, lea after(%rip),%rcx, jmp
 * *slot(%rip). Returns its length, or 0 if something is out of reach or does not fit max.
 * displaced: the plan's bytes. */
size_t site_emit(const struct site_plan *plan, const uint8_t *displaced, uint64_t at, uint64_t slot,
    uint8_t *buf, size_t max);
