/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive circular doubly linked list. An empty list is a head that points to itself. */
#pragma once

#include "lib/util.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}
/* Adds n first. */
static inline void list_push(struct list *head, struct list *n)
{
	list_insert_(n, head, head->next);
}
/* Adds n last. */
static inline void list_append(struct list *head, struct list *n)
{
	list_insert_(n, head->prev, head);
}
/* Takes n out of its list and leaves it as an empty list (so removing twice is harmless). */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* Moves all of src to the end of dst. */
static inline void list_splice(struct list *dst, struct list *src)
{
	if (list_empty(src))
		return;
	src->next->prev = dst->prev;
	dst->prev->next = src->next;
	src->prev->next = dst;
	dst->prev = src->prev;
	list_init(src);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)
#define list_for_each(p, head) for (struct list *p = (head)->next; p != (head); p = p->next)
#define list_for_each_entry(e, head, member)                                     \
	for (e = list_first(head, __typeof__(*e), member); &e->member != (head); \
	     e = list_first(&e->member, __typeof__(*e), member))
/* Safe against removal of e itself. */
#define list_for_each_entry_safe(e, n, head, member)            \
	for (e = list_first(head, __typeof__(*e), member),      \
	    n = list_first(&e->member, __typeof__(*e), member); \
	     &e->member != (head); e = n, n = list_first(&n->member, __typeof__(*n), member))
