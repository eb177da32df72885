/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection table: a chained hash, read under RCU, written under one mutex. */
#include <asm/errno.h>
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "net/inet/inet.h"

#define MIN_BUCKETS 256
#define MAX_BUCKETS 65536

static struct flow_entry **buckets;
static uint32_t mask;
static struct mutex lock;

int flows_init(void)
{
	uint32_t n = MIN_BUCKETS;

	while (
	    n < MAX_BUCKETS && (uint64_t)n * 16 < memstats.total) /* one for each 64 KiB of RAM */
		n *= 2;
	buckets = kzalloc(n * sizeof *buckets);
	mask = n - 1;
	return buckets ? 0 : -ENOMEM;
}

static struct flow_entry **bucket_of(const struct ns_flow *f)
{
	return &buckets[ns_flow_hash(f, ns_hash_key(inet.ns)) & mask];
}

struct flow_entry *flows_find(const struct ns_flow *flow)
{
	struct flow_entry *e = rcu_dereference(*bucket_of(flow));

	while (e && !ns_flow_eq(e->flow, flow))
		e = rcu_dereference(e->next);
	return e;
}

int flows_add(struct flow_entry *e)
{
	struct flow_entry **b = bucket_of(e->flow);
	int err = 0;

	mutex_lock(&lock);
	if (flows_find(e->flow)) {
		err = -EADDRINUSE;
	} else {
		e->next = *b;
		rcu_assign(*b, e);
	}
	mutex_unlock(&lock);
	return err;
}

static struct flow_entry **link_of(struct flow_entry *e)
{
	struct flow_entry **p = bucket_of(e->flow);

	while (*p && *p != e)
		p = &(*p)->next;
	return p;
}

void flows_remove(struct flow_entry *e)
{
	mutex_lock(&lock);
	struct flow_entry **p = link_of(e);
	if (*p)
		rcu_assign(*p, e->next);
	mutex_unlock(&lock);
}

void flows_replace(struct flow_entry *old, struct flow_entry *new)
{
	mutex_lock(&lock);
	struct flow_entry **p = link_of(old);
	new->next = old->next;
	if (*p)
		rcu_assign(*p, new);
	mutex_unlock(&lock);
}

void flows_walk(bool (*fn)(struct flow_entry *e, void *arg), void *arg)
{
	bool more = true;

	for (uint32_t i = 0; i <= mask && more; i++) {
		if (!rcu_dereference(buckets[i]))
			continue;
		mutex_lock(&lock);
		for (struct flow_entry *e = buckets[i]; e && more; e = e->next)
			more = fn(e, arg);
		mutex_unlock(&lock);
		preempt_point();
	}
}
