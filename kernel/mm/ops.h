/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on address spaces that the files of mm/ share. */
#pragma once

#include "mm/mm.h"

/* Maps an area like *like (prot, flags, file, ops, private, pgoff set; start and end are chosen and
 * written back). how: MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE. Address or -errno. */
long mm_map_area(struct mm *m, uint64_t addr, uint64_t len, unsigned how, struct vma *like);
