/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses and routes: the latched tables, route lookup, source address choice, path MTU cache.
 * Writers hold the instance lock; readers run anywhere (see struct ns_latch).
 */
#include "internal.h"

void ns_tables_begin(struct ns_instance *ns)
{
	latch_step(&ns->tables_latch);
}

void ns_tables_end(struct ns_instance *ns)
{
	struct ns_tables *t = ns->tables[0];

	latch_step(&ns->tables_latch);
	memcpy(ns->tables[1], t, sizeof *t + t->nroutes * sizeof t->routes[0]);
	__atomic_fetch_add(&ns->gen, 1, __ATOMIC_RELEASE);
}

uint32_t ns_route_generation(const struct ns_instance *ns)
{
	return __atomic_load_n(&ns->gen, __ATOMIC_ACQUIRE);
}

static unsigned plen128(bool v6, unsigned plen)
{
	return v6 ? plen : plen + 96;
}

/* ---- addresses ---- */

static bool usable(const struct ns_ifaddr *a)
{
	return a->state == NS_ADDR_PREFERRED || a->state == NS_ADDR_DEPRECATED;
}

static bool local_in(const struct ns_tables *t, const struct ns_addr *addr, uint32_t ifindex)
{
	if (ns_addr_is_loopback(addr))
		return !ifindex || ifindex == NS_LOOPBACK_IF;
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		if (ifindex && i != ifindex)
			continue;
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++)
			if (usable(&t->addrs[i][k]) && ns_addr_eq(&t->addrs[i][k].addr, addr))
				return true;
	}
	return false;
}

bool ns_addr_is_local(const struct ns_instance *ns, const struct ns_addr *addr, uint32_t ifindex)
{
	uint32_t s;
	bool r;

	do {
		s = latch_read(&ns->tables_latch);
		r = local_in(ns->tables[s & 1], addr, ifindex);
	} while (latch_changed(&ns->tables_latch, s));
	return r;
}

struct ns_ifaddr *ns_ifaddr_find(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
		struct ns_ifaddr *a = &ns->tables[0]->addrs[ifindex][k];

		if (a->state && ns_addr_eq(&a->addr, addr))
			return a;
	}
	return NULL;
}

static bool broadcast_in(const struct ns_tables *t, uint32_t ifindex, const struct ns_addr *addr)
{
	if (!ns_addr_is_v4(addr))
		return false;
	if (addr->w[3] == 0xffffffffu)
		return true;
	for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
		const struct ns_ifaddr *a = &t->addrs[ifindex][k];

		if (a->state && !ns_addr_is_any(&a->broadcast) && ns_addr_eq(&a->broadcast, addr))
			return true;
	}
	return false;
}

bool ns_is_broadcast(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	return broadcast_in(ns->tables[0], ifindex, addr);
}

static unsigned common_prefix(const struct ns_addr *a, const struct ns_addr *b)
{
	unsigned n = 0;

	while (n < 128 && !((a->b[n / 8] ^ b->b[n / 8]) >> (7 - n % 8) & 1))
		n++;
	return n;
}

/* RFC 6724 in short: same family, usable, matching scope, preferred over deprecated, the outgoing
 * interface over others, then the longest common prefix. */
static bool source_in(
    const struct ns_tables *t, uint32_t ifindex, const struct ns_addr *dst, struct ns_addr *out)
{
	bool v4 = ns_addr_is_v4(dst);
	int best = -1;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
			const struct ns_ifaddr *a = &t->addrs[i][k];
			int score;

			if (!usable(a) || ns_addr_is_v4(&a->addr) != v4)
				continue;
			if (ns_addr_is_loopback(&a->addr) && ifindex != NS_LOOPBACK_IF)
				continue;
			if (ns_addr_is_linklocal(&a->addr) && !v4 && i != ifindex)
				continue;
			score = (int)common_prefix(&a->addr, dst);
			if (i == ifindex)
				score += 4096;
			if (a->state == NS_ADDR_PREFERRED)
				score += 1024;
			if (!v4 && ns_addr_is_linklocal(&a->addr) ==
				       (ns_addr_is_linklocal(dst) ||
					   (dst->b[0] == 0xff && (dst->b[1] & 15) <= 2)))
				score += 8192;
			if (score > best) {
				best = score;
				*out = a->addr;
			}
		}
	return best >= 0;
}

bool ns_source_address(
    const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *dst, struct ns_addr *out)
{
	return source_in(ns->tables[0], ifindex, dst, out);
}

static void mask_prefix(struct ns_addr *a, unsigned plen)
{
	for (unsigned i = 0; i < 16; i++) {
		if (plen >= 8 * (i + 1))
			continue;
		a->b[i] &= plen > 8 * i ? (uint8_t)(0xff00 >> (plen - 8 * i)) : 0;
	}
}

int ns_if_addr_add(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr,
    uint8_t plen, enum ns_origin origin)
{
	bool v6 = !ns_addr_is_v4(addr);
	struct ns_ifaddr *a = NULL;
	struct ns_route r;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	if (plen > (v6 ? 128 : 32) || ns_addr_is_any(addr) || ns_addr_is_multicast(addr))
		return -NS_EINVAL;
	if (ns_ifaddr_find(ns, ifindex, addr))
		return -NS_EEXIST;
	for (int k = 0; k < NS_IF_MAX_ADDRS && !a; k++)
		if (!ns->tables[0]->addrs[ifindex][k].state)
			a = &ns->tables[0]->addrs[ifindex][k];
	if (!a)
		return -NS_ENOSPC;
	ns_tables_begin(ns);
	memset(a, 0, sizeof *a);
	a->addr = *addr;
	a->plen = plen;
	a->origin = (uint8_t)origin;
	a->state = NS_ADDR_PREFERRED;
	if (!v6 && plen < 31 && ifindex != NS_LOOPBACK_IF) {
		a->broadcast = *addr;
		for (unsigned i = plen; i < 32; i++)
			a->broadcast.b[12 + i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	ns_tables_end(ns);
	memset(&r, 0, sizeof r);
	r.dst = *addr;
	r.plen = plen;
	r.v6 = v6;
	r.ifindex = ifindex;
	r.origin = NS_ORIGIN_KERNEL;
	r.prefsrc = v6 ? (struct ns_addr){{{0}}} : *addr;
	ns_route_add(ns, &r); /* -EEXIST: a second address in the same subnet */
	if (v6 && ifindex != NS_LOOPBACK_IF && !(ns->ifs[ifindex].flags & NS_IF_RAW))
		ns_nd_dad_start(ns, ifindex, a);
	else if (!v6 && (ns->ifs[ifindex].flags & NS_IF_UP))
		ns_arp_announce(ns, ifindex, addr);
	ns_notify(ns, NS_CHANGE_ADDR, ifindex);
	return 0;
}

int ns_if_addr_del(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	struct ns_tables *t = ns->tables[0];
	struct ns_ifaddr *a, old;
	bool v6 = !ns_addr_is_v4(addr), shared = false;
	unsigned n = 0;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	a = ns_ifaddr_find(ns, ifindex, addr);
	if (!a)
		return -NS_EADDRNOTAVAIL;
	old = *a;
	ns_tables_begin(ns);
	a->state = NS_ADDR_NONE;
	for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
		struct ns_ifaddr *o = &t->addrs[ifindex][k];

		if (o->state && o->plen == old.plen &&
		    ns_addr_match(&o->addr, addr, plen128(v6, old.plen)))
			shared = true;
	}
	/* The connected route, and routes that insist on this source, go with the address. */
	for (unsigned i = 0; i < t->nroutes; i++) {
		struct ns_route *r = &t->routes[i];
		bool connected = r->ifindex == ifindex && r->v6 == v6 && r->plen == old.plen &&
				 r->origin == NS_ORIGIN_KERNEL && ns_addr_is_any(&r->gateway) &&
				 ns_addr_match(addr, &r->dst, plen128(v6, r->plen));

		if (connected && shared) {
			memset(&r->prefsrc, 0, sizeof r->prefsrc);
		} else if (connected || ns_addr_eq(&r->prefsrc, addr)) {
			continue;
		}
		t->routes[n++] = *r;
	}
	t->nroutes = n;
	ns_tables_end(ns);
	if (v6) {
		struct ns_addr g = ns_solicited_node(addr);

		ns_mcast_leave(ns, ifindex, &g);
	}
	ns_notify(ns, NS_CHANGE_ADDR, ifindex);
	ns_notify(ns, NS_CHANGE_ROUTE, ifindex);
	return 0;
}

/* ---- routes ---- */

static bool same_route(const struct ns_route *a, const struct ns_route *b)
{
	return a->v6 == b->v6 && a->plen == b->plen && a->metric == b->metric &&
	       a->ifindex == b->ifindex && ns_addr_eq(&a->gateway, &b->gateway) &&
	       ns_addr_eq(&a->dst, &b->dst);
}

bool ns_route_onlink(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	const struct ns_tables *t = ns->tables[0];

	for (unsigned i = 0; i < t->nroutes; i++) {
		const struct ns_route *r = &t->routes[i];

		if (r->ifindex == ifindex && ns_addr_is_any(&r->gateway) && !r->reject &&
		    r->v6 == !ns_addr_is_v4(addr) &&
		    ns_addr_match(addr, &r->dst, plen128(r->v6, r->plen)))
			return true;
	}
	return false;
}

int ns_route_add(struct ns_instance *ns, const struct ns_route *in)
{
	struct ns_tables *t = ns->tables[0];
	struct ns_route r = *in;

	if (!if_valid(ns, r.ifindex) || r.plen > (r.v6 ? 128 : 32))
		return -NS_EINVAL;
	if (!r.v6 && !ns_addr_is_v4(&r.dst)) {
		if (!ns_addr_is_any(&r.dst))
			return -NS_EINVAL;
		r.dst = ns_ip4(0, 0, 0, 0);
	}
	if (ns_addr_is_any(&r.gateway))
		memset(&r.gateway, 0, sizeof r.gateway);
	else if (ns_addr_is_v4(&r.gateway) == (r.v6 != 0))
		return -NS_EINVAL;
	else if (!ns_route_onlink(ns, r.ifindex, &r.gateway))
		return -NS_ENETUNREACH;
	if (ns_addr_is_any(&r.prefsrc))
		memset(&r.prefsrc, 0, sizeof r.prefsrc);
	mask_prefix(&r.dst, plen128(r.v6, r.plen));
	for (unsigned i = 0; i < t->nroutes; i++)
		if (same_route(&t->routes[i], &r))
			return -NS_EEXIST;
	if (t->nroutes == ns->cfg.max_routes)
		return -NS_ENOSPC;
	ns_tables_begin(ns);
	t->routes[t->nroutes++] = r;
	ns_tables_end(ns);
	ns_notify(ns, NS_CHANGE_ROUTE, r.ifindex);
	if (r.valid_until)
		ns_arm(ns, r.valid_until);
	return 0;
}

int ns_route_del(struct ns_instance *ns, const struct ns_route *in)
{
	struct ns_tables *t = ns->tables[0];
	struct ns_addr dst = in->dst;

	if (!in->v6 && ns_addr_is_any(&dst))
		dst = ns_ip4(0, 0, 0, 0);
	mask_prefix(&dst, plen128(in->v6, in->plen));
	for (unsigned i = 0; i < t->nroutes; i++) {
		struct ns_route *r = &t->routes[i];

		if (r->v6 != in->v6 || r->plen != in->plen || !ns_addr_eq(&r->dst, &dst) ||
		    (in->ifindex && in->ifindex != r->ifindex) ||
		    (in->metric && in->metric != r->metric) ||
		    (!ns_addr_is_any(&in->gateway) && !ns_addr_eq(&in->gateway, &r->gateway)))
			continue;
		ns_tables_begin(ns);
		memmove(r, r + 1, (t->nroutes - i - 1) * sizeof *r);
		t->nroutes--;
		ns_tables_end(ns);
		ns_notify(ns, NS_CHANGE_ROUTE, in->ifindex);
		return 0;
	}
	return -NS_ESRCH;
}

void ns_routes_drop(struct ns_instance *ns, uint32_t ifindex, int origin, const struct ns_addr *gw)
{
	struct ns_tables *t = ns->tables[0];
	unsigned n = 0;

	ns_tables_begin(ns);
	for (unsigned i = 0; i < t->nroutes; i++) {
		struct ns_route *r = &t->routes[i];

		if (r->ifindex == ifindex && r->origin == origin &&
		    (!gw || ns_addr_eq(&r->gateway, gw)))
			continue;
		t->routes[n++] = *r;
	}
	t->nroutes = n;
	ns_tables_end(ns);
	ns_notify(ns, NS_CHANGE_ROUTE, ifindex);
}

bool ns_route_get(const struct ns_instance *ns, unsigned i, struct ns_route *out)
{
	uint32_t s;
	bool ok;

	do {
		const struct ns_tables *t;

		s = latch_read(&ns->tables_latch);
		t = ns->tables[s & 1];
		ok = i < t->nroutes && i < ns->cfg.max_routes;
		if (ok)
			*out = t->routes[i];
	} while (latch_changed(&ns->tables_latch, s));
	return ok;
}

/* Lifetimes of routes and addresses learnt from router advertisements. */
uint64_t ns_tables_timer(struct ns_instance *ns, uint64_t now)
{
	struct ns_tables *t = ns->tables[0];
	uint64_t next = 0;

	for (unsigned i = 0; i < t->nroutes;) {
		struct ns_route r = t->routes[i];

		if (r.valid_until && r.valid_until <= now) {
			ns_route_del(ns, &r);
			continue;
		}
		if (r.valid_until && (!next || r.valid_until < next))
			next = r.valid_until;
		i++;
	}
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
			struct ns_ifaddr *a = &t->addrs[i][k];
			struct ns_addr gone = a->addr;
			uint64_t at;

			if (!a->state || !a->valid_until)
				continue;
			if (a->valid_until <= now) {
				ns_if_addr_del(ns, i, &gone);
				continue;
			}
			if (a->state == NS_ADDR_PREFERRED && a->preferred_until <= now) {
				ns_tables_begin(ns);
				a->state = NS_ADDR_DEPRECATED;
				ns_tables_end(ns);
			}
			at = a->state == NS_ADDR_PREFERRED ? a->preferred_until : a->valid_until;
			if (!next || at < next)
				next = at;
		}
	return next;
}

/* ---- lookup ---- */

static bool if_usable(const struct ns_instance *ns, uint32_t i)
{
	return (if_flags(ns, i) & NS_IF_UP) != 0;
}

/* Interface for multicast and limited broadcast when the caller named none. */
static uint32_t default_if(const struct ns_instance *ns, const struct ns_tables *t, bool v6)
{
	for (unsigned i = 0; i < t->nroutes; i++)
		if (t->routes[i].plen == 0 && t->routes[i].v6 == v6 &&
		    if_usable(ns, t->routes[i].ifindex))
			return t->routes[i].ifindex;
	for (uint32_t i = NS_LOOPBACK_IF + 1; i <= NS_MAX_IFS; i++)
		if (if_usable(ns, i))
			return i;
	return NS_LOOPBACK_IF;
}

static const struct ns_route *best_route(const struct ns_instance *ns, const struct ns_tables *t,
    const struct ns_addr *dst, uint32_t ifindex)
{
	const struct ns_route *best = NULL;
	bool v6 = !ns_addr_is_v4(dst);
	uint32_t n = NS_MIN(t->nroutes, ns->cfg.max_routes);

	for (uint32_t i = 0; i < n; i++) {
		const struct ns_route *r = &t->routes[i];

		if (r->v6 != v6 || (ifindex && r->ifindex != ifindex) || !if_usable(ns, r->ifindex))
			continue;
		if (best &&
		    (r->plen < best->plen || (r->plen == best->plen && r->metric >= best->metric)))
			continue;
		if (ns_addr_match(dst, &r->dst, plen128(v6, r->plen)))
			best = r;
	}
	return best;
}

static int lookup_in(const struct ns_instance *ns, const struct ns_tables *t,
    const struct ns_addr *dst, const struct ns_addr *src, uint32_t ifindex, struct ns_dst *out)
{
	const struct ns_route *r;

	memset(out, 0, sizeof *out);
	out->next_hop = *dst;
	if (src && ns_addr_is_any(src))
		src = NULL;
	if (src)
		out->src = *src;
	if (local_in(t, dst, 0)) {
		out->ifindex = NS_LOOPBACK_IF;
		out->local = true;
		if (!src)
			out->src = *dst;
		out->mtu = if_mtu(ns, NS_LOOPBACK_IF);
		return 0;
	}
	if (ns_addr_is_multicast(dst) || (ns_addr_is_v4(dst) && dst->w[3] == 0xffffffffu)) {
		out->ifindex = ifindex ? ifindex : default_if(ns, t, !ns_addr_is_v4(dst));
		out->broadcast = !ns_addr_is_multicast(dst);
		out->mtu = if_mtu(ns, out->ifindex);
		if (!if_usable(ns, out->ifindex))
			return -NS_ENETUNREACH;
		if (!src)
			source_in(t, out->ifindex, dst, &out->src); /* none: unspecified, as DHCP */
		return 0;
	}
	r = best_route(ns, t, dst, ifindex);
	if (!r)
		return -NS_ENETUNREACH;
	if (r->reject)
		return -NS_EHOSTUNREACH;
	out->ifindex = r->ifindex;
	if (!ns_addr_is_any(&r->gateway))
		out->next_hop = r->gateway;
	out->mtu = if_mtu(ns, r->ifindex);
	if (r->mtu && r->mtu < out->mtu)
		out->mtu = r->mtu;
	out->broadcast = broadcast_in(t, r->ifindex, dst);
	if (src)
		return 0;
	if (!ns_addr_is_any(&r->prefsrc))
		out->src = r->prefsrc;
	else if (!source_in(t, r->ifindex, dst, &out->src))
		return -NS_EADDRNOTAVAIL;
	return 0;
}

static uint32_t pmtu_slot(const struct ns_instance *ns, const struct ns_addr *dst)
{
	return (uint32_t)ns_siphash(ns->hash_key, dst, sizeof *dst, 1, 1) % PMTU_ENTRIES;
}

static void apply_pmtu(const struct ns_instance *ns, const struct ns_addr *dst, struct ns_dst *out)
{
	const struct ns_pmtu *e = &ns->pmtu[pmtu_slot(ns, dst)];
	uint32_t s, mtu = 0;

	do {
		s = latch_read(&e->latch);
		mtu = 0;
		if (ns_addr_eq(&e->v[s & 1].dst, dst) && e->v[s & 1].mtu &&
		    e->v[s & 1].expires > ns_now(ns))
			mtu = e->v[s & 1].mtu;
	} while (latch_changed(&e->latch, s));
	if (mtu && mtu < out->mtu)
		out->mtu = mtu;
}

void ns_pmtu_set(struct ns_instance *ns, const struct ns_addr *dst, uint32_t mtu)
{
	struct ns_pmtu *e = &ns->pmtu[pmtu_slot(ns, dst)];

	for (int i = 0; i < 2; i++) {
		latch_step(&e->latch);
		e->v[i].dst = *dst;
		e->v[i].mtu = mtu;
		e->v[i].expires = ns_now(ns) + PMTU_LIFETIME;
	}
}

int ns_route_lookup(const struct ns_instance *ns, const struct ns_addr *dst,
    const struct ns_addr *src, uint32_t ifindex, struct ns_dst *out)
{
	uint32_t s, gen = ns_route_generation(ns);
	int r;

	if (ns_addr_is_any(dst))
		return -NS_ENETUNREACH;
	if (ifindex > NS_MAX_IFS)
		return -NS_ENODEV;
	do {
		s = latch_read(&ns->tables_latch);
		r = lookup_in(ns, ns->tables[s & 1], dst, src, ifindex, out);
	} while (latch_changed(&ns->tables_latch, s));
	out->gen = gen;
	out->if_flags = if_flags(ns, out->ifindex);
	if (!r && !out->local)
		apply_pmtu(ns, dst, out);
	return r;
}
