/* SPDX-License-Identifier: BSD-3-Clause */
/* Red-black tree balancing: see rbtree.h. */
#include "lib/rbtree.h"

static void replace_child(struct rb_tree *t, struct rb_node *old, struct rb_node *new)
{
	struct rb_node *p = old->parent;

	if (!p)
		t->root = new;
	else if (p->left == old)
		p->left = new;
	else
		p->right = new;
	if (new)
		new->parent = p;
}

static void rotate_left(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *r = n->right;

	n->right = r->left;
	if (r->left)
		r->left->parent = n;
	replace_child(t, n, r);
	r->left = n;
	n->parent = r;
}

static void rotate_right(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *l = n->left;

	n->left = l->right;
	if (l->right)
		l->right->parent = n;
	replace_child(t, n, l);
	l->right = n;
	n->parent = l;
}

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

void rb_insert(struct rb_tree *t, struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
	n->left = n->right = NULL;
	n->parent = parent;
	n->red = true;
	*link = n;
	while (is_red(n->parent)) {
		struct rb_node *p = n->parent, *g = p->parent;
		struct rb_node *uncle = p == g->left ? g->right : g->left;

		if (is_red(uncle)) { /* push the blackness down from the grandparent */
			p->red = uncle->red = false;
			g->red = true;
			n = g;
			continue;
		}
		if (p == g->left) {
			if (n == p->right) {
				rotate_left(t, p);
				p = n;
			}
			rotate_right(t, g);
		} else {
			if (n == p->left) {
				rotate_right(t, p);
				p = n;
			}
			rotate_left(t, g);
		}
		p->red = false;
		g->red = true;
		break;
	}
	t->root->red = false;
}

/* The side of parent where n hangs misses one black node: make up for it. */
static void fix_removed(struct rb_tree *t, struct rb_node *n, struct rb_node *p)
{
	while (n != t->root && !is_red(n)) {
		bool left = p->left == n;
		struct rb_node *s = left ? p->right : p->left;

		if (s->red) {
			s->red = false;
			p->red = true;
			if (left)
				rotate_left(t, p);
			else
				rotate_right(t, p);
			s = left ? p->right : p->left;
		}
		if (!is_red(s->left) && !is_red(s->right)) {
			s->red = true;
			n = p;
			p = n->parent;
			continue;
		}
		if (left && !is_red(s->right)) {
			s->left->red = false;
			s->red = true;
			rotate_right(t, s);
			s = p->right;
		} else if (!left && !is_red(s->left)) {
			s->right->red = false;
			s->red = true;
			rotate_left(t, s);
			s = p->left;
		}
		s->red = p->red;
		p->red = false;
		if (left) {
			s->right->red = false;
			rotate_left(t, p);
		} else {
			s->left->red = false;
			rotate_right(t, p);
		}
		n = t->root;
		break;
	}
	if (n)
		n->red = false;
}

void rb_remove(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *child, *parent;
	bool removed_red = n->red;

	if (!n->left || !n->right) {
		child = n->left ? n->left : n->right;
		parent = n->parent;
		replace_child(t, n, child);
	} else { /* the successor takes n's place and colour */
		struct rb_node *s = n->right;
		while (s->left)
			s = s->left;
		removed_red = s->red;
		child = s->right;
		parent = s->parent;
		if (parent == n) {
			parent = s;
		} else {
			replace_child(t, s, child);
			s->right = n->right;
			s->right->parent = s;
		}
		replace_child(t, n, s);
		s->left = n->left;
		s->left->parent = s;
		s->red = n->red;
	}
	if (!removed_red)
		fix_removed(t, child, parent);
}

struct rb_node *rb_first(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	if (n->right) {
		for (n = n->right; n->left; n = n->left)
			;
		return (struct rb_node *)n;
	}
	while (n->parent && n->parent->right == n)
		n = n->parent;
	return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	if (n->left) {
		for (n = n->left; n->right; n = n->right)
			;
		return (struct rb_node *)n;
	}
	while (n->parent && n->parent->left == n)
		n = n->parent;
	return n->parent;
}
