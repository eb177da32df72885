/* SPDX-License-Identifier: BSD-3-Clause */
/* What an address space knows of its rewritten sites: between state.c, trampoline.c and patch.c. */
#pragma once

#include <stdatomic.h>
#include "mm/mm.h"
#include "sched/sync.h"

#define SITE_TABLE 4096
#define SITE_LIMIT (SITE_TABLE / 4 * 3)
#define MAX_AREAS_PER_MM 32
#define TRAMPOLINE_PAGES 16

/* A piece of address space near some code, full of trampolines. Shared after fork(). */
struct trampoline_area {
	atomic_int refs;
	struct mutex lock;
	uint64_t addr;
	unsigned used; /* bytes */
	struct page *page[TRAMPOLINE_PAGES];
};

struct rewrite_state {
	struct mutex lock; /* taken before mm->lock */
	/* Open addressing; 0 free, 1 forgotten. Filled under lock, emptied under mm->lock. */
	_Atomic uint64_t site[SITE_TABLE];
	unsigned nsites;
	struct trampoline_area *area[MAX_AREAS_PER_MM];
	unsigned nareas;
};

/* The state of m, made on first use; NULL without memory. */
struct rewrite_state *rewrite_state_get(struct mm *m);
/* Remembers a site: true if it is new (and there is room). lock held. */
bool rewrite_remember(struct rewrite_state *s, uint64_t site);

/* Room for n bytes of trampoline in reach of `near`: its address, and where to write it now; *slot
 * is the address of the pointer to the kernel's entry. NULL if there is none. s->lock held,
 * mm->lock not. The room is taken by trampoline_commit(). */
struct trampoline_area *trampoline_room(struct mm *m, struct rewrite_state *s, uint64_t near,
    size_t n, uint64_t *addr, void **where, uint64_t *slot);
void trampoline_commit(struct trampoline_area *a, uint64_t end);
void trampoline_area_put(struct trampoline_area *a);
