/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting of SYSCALL instructions into jumps, one site at a time, when a site has
 * trapped often enough to be worth it.
 *
 * What is changed is only what lies before the SYSCALL; the two bytes of the instruction itself
 * stay, so a branch to it or a thread that was interrupted just before it still works, by trapping.
 * A site that cannot be proven safe is remembered and left alone.
 */
#pragma once

#include "lib/util.h"

struct mm;

/* A SYSCALL trapped whose next instruction is at rip_after: rewrites the site if it traps often and
 * that is safe. Called on the slow path of a trapped call, interrupts on, before the call is
 * carried out, with the trap's registers at the top of the kernel stack. Does nothing for a known
 * site. Whether the site is settled: it need not be asked about again. */
bool rewrite_site(uint64_t rip_after);

/* fork(): the copy knows the same sites and trampolines. m->lock of `from` held. 0 or -ENOMEM. */
int rewrite_fork(struct mm *to, struct mm *from);
/* Executable memory went away: its sites are forgotten. m->lock held for writing. */
void rewrite_unmapped(struct mm *m, uint64_t start, uint64_t end);
/* The address space goes. */
void rewrite_free(struct mm *m);

struct rewrite_stats {
	_Atomic uint64_t sites, rewritten, refused; /* considered since boot */
};
extern struct rewrite_stats rewrite_stats;
