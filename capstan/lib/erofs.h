/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing an uncompressed EROFS file system from a tree, without a mount, a staging directory or
 * root. The layout depends on the tree alone, so the same tree gives the same bytes.
 */
#ifndef CAPSTAN_EROFS_H
#define CAPSTAN_EROFS_H

#include "tree.h"

#define CAP_EROFS_BLOCK 4096

/* Sorts the tree and assigns every node its place. *bytes receives the file system's size. */
int cap_erofs_plan(struct cap *c, struct cap_tree *t, uint64_t *bytes);
/*
 * Writes the planned file system into dst: `bytes` bytes that are zero (a fresh mapping).
 * Reports progress as task "Uploading files".
 */
int cap_erofs_write(struct cap *c, struct cap_tree *t, void *dst, uint64_t bytes);

/* Where a planned node's data lies in the file system: one run of n->size bytes. */
uint64_t cap_erofs_data_offset(const struct cap_node *n);

#endif
