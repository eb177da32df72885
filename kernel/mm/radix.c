/* SPDX-License-Identifier: BSD-3-Clause */
/* Radix tree of the page cache; see radix.h. */
#include <asm/errno.h>
#include "mm/radix.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/pagecache.h"
#include "sched/rcu.h"
#include "sched/sync.h"

#define BITS 6
#define SLOTS 64u
#define LEVELS 11 /* 66 bits */

struct node {
	unsigned shift; /* of the index bits this node looks at */
	unsigned count; /* slots in use */
	uint64_t dirty;
	struct rcu_head rcu;
	void *slot[SLOTS];
};

static inline bool covers(const struct node *n, uint64_t index)
{
	return n->shift + BITS >= 64 || !(index >> (n->shift + BITS));
}

static inline unsigned slot_of(const struct node *n, uint64_t index)
{
	return index >> n->shift & (SLOTS - 1);
}

struct page *radix_find(const struct mapping *m, uint64_t index)
{
	struct node *n = rcu_dereference(*(struct node *const *)&m->root);
	if (!n || !covers(n, index))
		return NULL;
	for (;;) {
		void *p = rcu_dereference(n->slot[slot_of(n, index)]);
		if (!n->shift || !p)
			return p;
		n = p;
	}
}

static void node_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct node, rcu));
}

/*
 * Nodes are wanted with a tree locked, and an allocation that runs short of memory would look for
 * pages to free in the very same tree. So there is a stock, filled up before the tree is locked.
 */
#define STOCK_LOW 24u
#define STOCK_FULL 64u
static struct mutex stock_lock;
static struct node *stock; /* linked through slot[0] */
static _Atomic unsigned stocked;

void radix_stock_up(void)
{
	while (atomic_load_explicit(&stocked, memory_order_relaxed) < STOCK_LOW) {
		for (unsigned i = 0; i < STOCK_FULL - STOCK_LOW; i++) {
			struct node *n = kmalloc(sizeof(*n));
			if (!n)
				return;
			mutex_lock(&stock_lock);
			n->slot[0] = stock;
			stock = n;
			atomic_fetch_add(&stocked, 1);
			mutex_unlock(&stock_lock);
		}
	}
}

static struct node *node_new(unsigned shift)
{
	mutex_lock(&stock_lock);
	struct node *n = stock;
	if (n) {
		stock = n->slot[0];
		atomic_fetch_sub(&stocked, 1);
	}
	mutex_unlock(&stock_lock);
	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->shift = shift;
	return n;
}

int radix_insert(struct mapping *m, uint64_t index, struct page *p)
{
	struct node *n = m->root;
	if (!n) {
		unsigned shift = 0; /* high enough at once: no node is ever without a page below */
		while (shift + BITS < 64 && index >> (shift + BITS))
			shift += BITS;
		n = node_new(shift);
		if (!n)
			return -ENOMEM;
		m->height = shift / BITS + 1;
		rcu_assign(*(struct node **)&m->root, n);
	}
	while (!covers(n, index)) {
		struct node *up = node_new(n->shift + BITS);
		if (!up)
			return -ENOMEM;
		up->slot[0] = n;
		up->count = 1;
		up->dirty = n->dirty != 0;
		m->height++;
		rcu_assign(*(struct node **)&m->root, up);
		n = up;
	}
	while (n->shift) {
		unsigned i = slot_of(n, index);
		struct node *down = n->slot[i];
		if (!down) {
			down = node_new(n->shift - BITS);
			if (!down)
				return -ENOMEM; /* an empty path stays; harmless */
			n->count++;
			rcu_assign(*(struct node **)&n->slot[i], down);
		}
		n = down;
	}
	unsigned i = slot_of(n, index);
	if (n->slot[i])
		return -EEXIST;
	n->count++;
	rcu_assign(*(struct page **)&n->slot[i], p);
	return 0;
}

/* The nodes from the root to the leaf of index; their number, 0 if there is no such leaf. */
static unsigned path_to(const struct mapping *m, uint64_t index, struct node **path)
{
	struct node *n = m->root;
	unsigned depth = 0;
	if (!n || !covers(n, index))
		return 0;
	for (;;) {
		path[depth++] = n;
		if (!n->shift)
			return depth;
		n = n->slot[slot_of(n, index)];
		if (!n)
			return 0;
	}
}

static void clear_dirty(struct node **path, unsigned depth, uint64_t index)
{
	while (depth--) {
		struct node *n = path[depth];
		n->dirty &= ~(1ull << slot_of(n, index));
		if (n->dirty)
			return;
	}
}

struct page *radix_remove(struct mapping *m, uint64_t index)
{
	struct node *path[LEVELS];
	unsigned depth = path_to(m, index, path);
	if (!depth)
		return NULL;
	struct node *leaf = path[depth - 1];
	struct page *p = leaf->slot[slot_of(leaf, index)];
	if (!p)
		return NULL;
	clear_dirty(path, depth, index);
	while (depth--) {
		struct node *n = path[depth];
		rcu_assign(n->slot[slot_of(n, index)], NULL);
		if (--n->count)
			return p;
		if (!depth) {
			rcu_assign(*(struct node **)&m->root, NULL);
			m->height = 0;
		}
		rcu_defer(&n->rcu, node_free_rcu);
	}
	return p;
}

void radix_set_dirty(struct mapping *m, uint64_t index, bool dirty)
{
	struct node *path[LEVELS];
	unsigned depth = path_to(m, index, path);
	if (!dirty) {
		clear_dirty(path, depth, index);
		return;
	}
	for (unsigned i = 0; i < depth; i++)
		path[i]->dirty |= 1ull << slot_of(path[i], index);
}

/* The first index >= `index` after the part of n's subtree that slot i covers; 0 when it wraps
 * around. */
static uint64_t after_slot(const struct node *n, uint64_t index)
{
	return ((index >> n->shift) + 1) << n->shift;
}

struct page *radix_next(const struct mapping *m, uint64_t *index, uint64_t last, bool dirty)
{
	uint64_t at = *index;
	while (at <= last) {
		struct node *n = rcu_dereference(*(struct node *const *)&m->root);
		if (!n || !covers(n, at))
			return NULL;
		for (;;) {
			unsigned i = slot_of(n, at);
			void *p = rcu_dereference(n->slot[i]);
			if (dirty && !(n->dirty >> i & 1))
				p = NULL;
			if (p && !n->shift) {
				*index = at;
				return p;
			}
			if (!p)
				break;
			n = p;
		}
		at = after_slot(n, at);
		if (!at)
			return NULL;
	}
	return NULL;
}
