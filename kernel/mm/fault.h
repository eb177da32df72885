/* SPDX-License-Identifier: BSD-3-Clause */
/* Making pages present: mm/'s internal interface. */
#pragma once

#include "mm/mm.h"

/* Makes the page at addr of area v present, and writable if write. Called with m->lock held for
 * reading; returns with it RELEASED: 0 (done, or look again), -ENOMEM, -EFAULT and others (SIGBUS).
 * The access is permitted by v->prot or deliberately overrides it (mm_access by a debugger:
 * override). */
int fault_in(struct mm *m, struct vma *v, uint64_t addr, bool write, bool override);
/* Whether an entry's page belongs to this one private mapping, so that it may be written in place.
 */
bool page_owned(uint64_t entry);
/* Whether addr is present for the access. Lock held. */
bool page_present(struct mm *m, uint64_t addr, bool write);
/* Grows the stack area above addr down to it if the limits allow; takes m->lock for writing. */
bool stack_grow(struct mm *m, uint64_t addr);
/* Fills [start, end) of a fresh private anonymous area with zeroed pages, as far as memory is easy
 * to get. Lock held for writing or reading. */
void anonymous_prefault(struct vma *v, uint64_t start, uint64_t end);
extern struct page *zero_page;
/* Puts page `copy` of a private area where entry e shows `old`, and counts. What was there is *gone
 * (NULL: nothing to give back): to be put when every CPU has forgotten it. False: e changed. */
bool replace_page(struct mm *m, _Atomic uint64_t *e, uint64_t old, struct page *copy, unsigned prot,
    struct page **gone);
