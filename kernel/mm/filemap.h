/* SPDX-License-Identifier: BSD-3-Clause */
/* Areas over page-cache pages: mm/'s internal interface. */
#pragma once

#include "mm/mm.h"

/* What files without an mmap operation of their own get. */
extern const struct vma_ops file_vma_ops;
/* MAP_SHARED | MAP_ANONYMOUS: memory that fork() shares. Ops and a private object of `pages` pages.
 * 0 or -ENOMEM; the object goes with its last area. */
int shared_anonymous_new(uint64_t pages, const struct vma_ops **ops, void **private);
/* The cache an area shows, or NULL (anonymous, special). */
struct mapping *vma_cache(const struct vma *v);
