/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Simple connection table for single-threaded embedders (Seastar's shards, the tests, the tap
 * driver): a chained hash that doubles. The kernel has its own table read under RCU.
 */
#ifndef NETSTACK_FLOWTABLE_H
#define NETSTACK_FLOWTABLE_H

#include <netstack/tcp.h>

struct ns_flowtable {
	struct ns_tcp **buckets;
	uint32_t mask, count;
	uint64_t key[2];
	void *(*mem_alloc)(void *ctx, size_t n);
	void (*mem_free)(void *ctx, void *p, size_t n);
	void *ctx;
};

/* 0 or -ENOMEM. The memory functions and key come from the instance. */
int ns_flowtable_init(struct ns_flowtable *t, const struct ns_instance *ns);
void ns_flowtable_free(struct ns_flowtable *t);
struct ns_tcp *ns_flowtable_find(const struct ns_flowtable *t, const struct ns_flow *flow);
/* Enters conn under conn->flow; -EADDRINUSE if the flow is there already. */
int ns_flowtable_add(struct ns_flowtable *t, struct ns_tcp *conn);
void ns_flowtable_del(struct ns_flowtable *t, struct ns_tcp *conn);

#endif
