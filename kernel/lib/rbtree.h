/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intrusive red-black tree (Guibas and Sedgewick 1978, in the left-child/right-child form with
 *parent pointers). The user finds the place to insert, as the key is the user's:
 *
 *	struct rb_node **p = &tree->root, *parent = NULL;
 *	while (*p) { parent = *p; p = less ? &parent->left : &parent->right; }
 *	rb_insert(tree, node, parent, p);
 */
#pragma once

#include "lib/util.h"

struct rb_node {
	struct rb_node *left, *right, *parent;
	bool red;
};
struct rb_tree {
	struct rb_node *root;
};

/* Links node at *link below parent (NULL for the root) and rebalances. */
void rb_insert(
    struct rb_tree *t, struct rb_node *node, struct rb_node *parent, struct rb_node **link);
void rb_remove(struct rb_tree *t, struct rb_node *node);
struct rb_node *rb_first(const struct rb_tree *t);
struct rb_node *rb_last(const struct rb_tree *t);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);

#define rb_entry(p, type, member) container_of(p, type, member)
