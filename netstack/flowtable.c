/* SPDX-License-Identifier: BSD-3-Clause */
/* Chained hash of connections for single-threaded embedders. */
#include <netstack/flowtable.h>

#include "internal.h"

#define FIRST_SIZE 64

int ns_flowtable_init(struct ns_flowtable *t, const struct ns_instance *ns)
{
	memset(t, 0, sizeof *t);
	t->mem_alloc = ns->ops->mem_alloc;
	t->mem_free = ns->ops->mem_free;
	t->ctx = ns->ctx;
	memcpy(t->key, ns->hash_key, sizeof t->key);
	t->buckets = t->mem_alloc(t->ctx, FIRST_SIZE * sizeof *t->buckets);
	if (!t->buckets)
		return -NS_ENOMEM;
	memset(t->buckets, 0, FIRST_SIZE * sizeof *t->buckets);
	t->mask = FIRST_SIZE - 1;
	return 0;
}

void ns_flowtable_free(struct ns_flowtable *t)
{
	if (t->buckets)
		t->mem_free(t->ctx, t->buckets, (t->mask + 1) * sizeof *t->buckets);
	t->buckets = NULL;
}

static struct ns_tcp **slot(const struct ns_flowtable *t, const struct ns_flow *f)
{
	return &t->buckets[ns_flow_hash(f, t->key) & t->mask];
}

struct ns_tcp *ns_flowtable_find(const struct ns_flowtable *t, const struct ns_flow *f)
{
	struct ns_tcp *c = *slot(t, f);

	while (c && !ns_flow_eq(&c->flow, f))
		c = c->hash_next;
	return c;
}

static void grow(struct ns_flowtable *t)
{
	uint32_t old = t->mask + 1;
	struct ns_tcp **from = t->buckets;
	struct ns_tcp **to = t->mem_alloc(t->ctx, 2 * old * sizeof *to);

	if (!to)
		return; /* longer chains, nothing worse */
	memset(to, 0, 2 * old * sizeof *to);
	t->buckets = to;
	t->mask = 2 * old - 1;
	for (uint32_t i = 0; i < old; i++)
		while (from[i]) {
			struct ns_tcp *c = from[i], **s = slot(t, &c->flow);

			from[i] = c->hash_next;
			c->hash_next = *s;
			*s = c;
		}
	t->mem_free(t->ctx, from, old * sizeof *from);
}

int ns_flowtable_add(struct ns_flowtable *t, struct ns_tcp *c)
{
	struct ns_tcp **s;

	if (ns_flowtable_find(t, &c->flow))
		return -NS_EADDRINUSE;
	if (++t->count > t->mask)
		grow(t);
	s = slot(t, &c->flow);
	c->hash_next = *s;
	*s = c;
	return 0;
}

void ns_flowtable_del(struct ns_flowtable *t, struct ns_tcp *c)
{
	for (struct ns_tcp **s = slot(t, &c->flow); *s; s = &(*s)->hash_next)
		if (*s == c) {
			*s = c->hash_next;
			t->count--;
			return;
		}
}
