/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page cache's tree: pages by 64-bit index, 64 slots a node. Readers walk it under RCU; changes
 * need the mapping's lock. Each node has a bitmap of the slots with dirty pages below them.
 */
#pragma once

#include "mm/page.h"

struct mapping;

/* RCU or locked; not referenced. */
struct page *radix_find(const struct mapping *m, uint64_t index);
/* To be called before the tree is locked for an insertion: sees that there will be memory for
 * nodes. */
void radix_stock_up(void);
/* Locked. 0, -EEXIST or -ENOMEM. */
int radix_insert(struct mapping *m, uint64_t index, struct page *p);
/* Locked. The page that was there or NULL. */
struct page *radix_remove(struct mapping *m, uint64_t index);
void radix_set_dirty(struct mapping *m, uint64_t index, bool dirty);
/* The first page with index in [*index, last], with dirty only a dirty one; *index becomes its
 * index. Locked, or RCU without dirty. */
struct page *radix_next(const struct mapping *m, uint64_t *index, uint64_t last, bool dirty);
