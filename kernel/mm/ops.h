/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on address spaces that the files of mm/ share. */
#pragma once

#include "mm/mm.h"

/* Maps an area like *like (prot, flags, file, ops, private, pgoff set; start and end are chosen and
 * written back). how: MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE. Address or -errno. */
long mm_map_area(struct mm *m, uint64_t addr, uint64_t len, unsigned how, struct vma *like);
/* Takes all areas out of [start, end), appending them to dead. Lock for writing. 0 or -ENOMEM. */
int mm_unmap_locked(struct mm *m, uint64_t start, uint64_t end, struct list *dead);
/* Drops unlinked areas; without the lock. */
void mm_free_dead(struct list *dead);
