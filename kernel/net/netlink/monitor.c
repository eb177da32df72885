/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications. The engine says only that something changed; a worker compares the configuration
 * with a copy of what was told last and tells the difference to the groups' members. Changes that
 * undo each other in between are told to nobody.
 */
#include <linux/rtnetlink.h>
#include "core/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet/links.h"
#include "net/netlink/netlink.h"
#include "sched/work.h"

#define MAX_ROUTES 128
#define MAX_NEIGHBOURS 512

/* What is compared of an interface; the counters change all the time. */
struct link_state {
	bool there;
	unsigned flags;
	struct ns_if_info info;
};

struct snapshot {
	struct link_state links[NS_MAX_IFS + 1];
	unsigned nroutes, nneighbours;
	struct ns_route routes[MAX_ROUTES];
	struct ns_neigh_info neighbours[MAX_NEIGHBOURS];
};

static struct snapshot *told, *fresh;
static struct nl_message *out;
static struct work work;
static struct mutex lock; /* work that was queued again on another CPU waits for the first */

static void take_snapshot(struct snapshot *s)
{
	bool more = true;

	memset(s->links, 0, sizeof s->links);
	s->nroutes = s->nneighbours = 0;
	inet_lock();
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		struct link_state *l = &s->links[i];
		l->there = !ns_if_get(inet.ns, i, &l->info);
		if (l->there)
			l->flags = link_flags(i, &l->info);
	}
	while (s->nroutes < MAX_ROUTES && ns_route_get(inet.ns, s->nroutes, &s->routes[s->nroutes]))
		s->nroutes++;
	for (unsigned i = 0; more && s->nneighbours < MAX_NEIGHBOURS; i++)
		if (ns_neigh_get(inet.ns, i, &s->neighbours[s->nneighbours], &more))
			s->nneighbours++;
	inet_unlock();
}

static void *start(bool gone, uint16_t new_type, size_t extra)
{
	return nl_start(out, gone ? new_type + 1 : new_type, 0, 0, 0, extra);
}

static void tell_link(uint32_t i, const struct link_state *l, bool gone)
{
	void *head = start(gone, RTM_NEWLINK, sizeof(struct ifinfomsg));

	rtnl_link_fill(out, head, i, &l->info, gone);
	nl_multicast(NETLINK_ROUTE, RTNLGRP_LINK, out);
}

static void tell_addr(uint32_t i, const struct ns_ifaddr *a, bool gone)
{
	void *head = start(gone, RTM_NEWADDR, sizeof(struct ifaddrmsg));

	rtnl_addr_fill(out, head, i, a);
	nl_multicast(NETLINK_ROUTE,
	    ns_addr_is_v4(&a->addr) ? RTNLGRP_IPV4_IFADDR : RTNLGRP_IPV6_IFADDR, out);
}

static void tell_route(const struct ns_route *rt, bool gone)
{
	void *head = start(gone, RTM_NEWROUTE, sizeof(struct rtmsg));

	rtnl_route_fill(out, head, rt);
	nl_multicast(NETLINK_ROUTE, rt->v6 ? RTNLGRP_IPV6_ROUTE : RTNLGRP_IPV4_ROUTE, out);
}

static void tell_neighbour(const struct ns_neigh_info *n, bool gone)
{
	void *head = start(gone, RTM_NEWNEIGH, sizeof(struct ndmsg));

	rtnl_neigh_fill(out, head, n);
	nl_multicast(NETLINK_ROUTE, RTNLGRP_NEIGH, out);
}

/* The addresses of a that b has not; with `changes` also those that b has in another state. */
static void addresses_without(
    uint32_t i, const struct link_state *a, const struct link_state *b, bool gone)
{
	for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
		const struct ns_ifaddr *x = &a->info.addrs[k];
		bool found = false;
		if (!a->there || !x->state)
			continue;
		for (int j = 0; b->there && j < NS_IF_MAX_ADDRS; j++) {
			const struct ns_ifaddr *y = &b->info.addrs[j];
			if (y->state && ns_addr_eq(&x->addr, &y->addr) && x->plen == y->plen &&
			    (gone || x->state == y->state))
				found = true;
		}
		if (!found)
			tell_addr(i, x, gone);
	}
}

static bool same_route(const struct ns_route *a, const struct ns_route *b)
{
	return a->v6 == b->v6 && a->plen == b->plen && a->ifindex == b->ifindex &&
	       a->metric == b->metric && a->reject == b->reject && a->mtu == b->mtu &&
	       ns_addr_eq(&a->dst, &b->dst) && ns_addr_eq(&a->gateway, &b->gateway) &&
	       ns_addr_eq(&a->prefsrc, &b->prefsrc);
}

static void routes_without(const struct snapshot *a, const struct snapshot *b, bool gone)
{
	for (unsigned i = 0; i < a->nroutes; i++) {
		unsigned j = 0;
		while (j < b->nroutes && !same_route(&a->routes[i], &b->routes[j]))
			j++;
		if (j == b->nroutes)
			tell_route(&a->routes[i], gone);
	}
}

static void neighbours_without(const struct snapshot *a, const struct snapshot *b, bool gone)
{
	for (unsigned i = 0; i < a->nneighbours; i++) {
		const struct ns_neigh_info *x = &a->neighbours[i];
		unsigned j = 0;
		while (j < b->nneighbours &&
		       !(x->ifindex == b->neighbours[j].ifindex &&
			   ns_addr_eq(&x->addr, &b->neighbours[j].addr) &&
			   (gone || (x->state == b->neighbours[j].state &&
					!memcmp(x->mac, b->neighbours[j].mac, 6)))))
			j++;
		if (j == b->nneighbours)
			tell_neighbour(x, gone);
	}
}

static void compare(struct work *w)
{
	(void)w;
	mutex_lock(&lock);
	take_snapshot(fresh);
	routes_without(told, fresh, true);
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		struct link_state *a = &told->links[i], *b = &fresh->links[i];
		addresses_without(i, a, b, true);
		if (a->there && !b->there)
			tell_link(i, a, true);
		else if (b->there &&
			 (!a->there || a->flags != b->flags || a->info.mtu != b->info.mtu))
			tell_link(i, b, false);
		addresses_without(i, b, a, false);
	}
	routes_without(fresh, told, false);
	neighbours_without(told, fresh, true);
	neighbours_without(fresh, told, false);
	struct snapshot *old = told;
	told = fresh;
	fresh = old;
	mutex_unlock(&lock);
}

void rtnl_changed(void)
{
	if (told)
		work_queue(&work);
}

void rtnl_monitor_init(void)
{
	fresh = kzalloc(sizeof *fresh);
	out = kmalloc(sizeof *out);
	struct snapshot *s = kzalloc(sizeof *s);
	if (!fresh || !out || !s)
		panic("no memory for network notifications");
	work_init(&work, compare);
	take_snapshot(s);
	told = s;
}
