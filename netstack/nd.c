/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv6 neighbour discovery and stateless address configuration (RFC 4861, 4862, 8106):
 * solicitations and advertisements of neighbours, duplicate address detection, router solicitation,
 * router advertisements (default router, prefixes, MTU, DNS servers).
 */
#include "internal.h"

enum {
	ND_RS = 133,
	ND_RA = 134,
	ND_NS = 135,
	ND_NA = 136,
	OPT_SRC_LL = 1,
	OPT_TGT_LL = 2,
	OPT_PREFIX = 3,
	OPT_MTU = 5,
	OPT_RDNSS = 25,
	NA_ROUTER = 0x80,
	NA_SOLICITED = 0x40,
	NA_OVERRIDE = 0x20,
};

#define RA_METRIC 1024
#define DAD_PROBES 1
#define RS_TRIES 3
#define RS_INTERVAL (4 * NS_SEC)
#define TWO_HOURS (7200 * NS_SEC)

static const struct ns_addr all_nodes = {{{0xff, 2, [15] = 1}}};
static const struct ns_addr all_routers = {{{0xff, 2, [15] = 2}}};
static const struct ns_addr unspecified;

struct ns_addr ns_solicited_node(const struct ns_addr *a)
{
	struct ns_addr g = {{{0xff, 2, [11] = 1, 0xff, a->b[13], a->b[14], a->b[15]}}};

	return g;
}

static void eui64(uint8_t id[8], const uint8_t mac[6])
{
	id[0] = mac[0] ^ 2;
	id[1] = mac[1];
	id[2] = mac[2];
	id[3] = 0xff;
	id[4] = 0xfe;
	id[5] = mac[3];
	id[6] = mac[4];
	id[7] = mac[5];
}

/* ---- sending ---- */

void ns_nd_solicit(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *target,
    const uint8_t *mac, bool dad)
{
	struct ns_addr src = unspecified, dst = mac ? *target : ns_solicited_node(target);
	struct ns_pkt *p;
	uint8_t *h;

	if (!dad && !ns_source_address(ns, ifindex, target, &src))
		return;
	p = ns_pkt_new(ns, 32, 0);
	if (!p)
		return;
	h = ns_pkt_append(p, dad ? 24 : 32);
	memset(h, 0, p->len);
	h[0] = ND_NS;
	memcpy(h + 8, target->b, 16);
	if (!dad) {
		h[24] = OPT_SRC_LL;
		h[25] = 1;
		memcpy(h + 26, ns->ifs[ifindex].mac, 6);
	}
	NS_COUNT(ns, nd_out);
	ns_icmp6_output(ns, ifindex, &src, &dst, 255, false, p);
}

static void advertise(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *target,
    const struct ns_addr *to)
{
	bool solicited = !ns_addr_is_any(to);
	struct ns_pkt *p = ns_pkt_new(ns, 32, 0);
	uint8_t *h;

	if (!p)
		return;
	h = ns_pkt_append(p, 32);
	memset(h, 0, 32);
	h[0] = ND_NA;
	h[4] = (uint8_t)(NA_OVERRIDE | (solicited ? NA_SOLICITED : 0));
	memcpy(h + 8, target->b, 16);
	h[24] = OPT_TGT_LL;
	h[25] = 1;
	memcpy(h + 26, ns->ifs[ifindex].mac, 6);
	NS_COUNT(ns, nd_out);
	ns_icmp6_output(ns, ifindex, target, solicited ? to : &all_nodes, 255, false, p);
}

static void solicit_routers(struct ns_instance *ns, uint32_t ifindex)
{
	struct ns_addr src = unspecified;
	bool have = ns_source_address(ns, ifindex, &all_routers, &src);
	struct ns_pkt *p = ns_pkt_new(ns, 16, 0);
	uint8_t *h;

	if (!p)
		return;
	h = ns_pkt_append(p, have ? 16 : 8);
	memset(h, 0, p->len);
	h[0] = ND_RS;
	if (have) {
		h[8] = OPT_SRC_LL;
		h[9] = 1;
		memcpy(h + 10, ns->ifs[ifindex].mac, 6);
	}
	NS_COUNT(ns, nd_out);
	ns_icmp6_output(ns, ifindex, &src, &all_routers, 255, false, p);
}

/* ---- own addresses ---- */

void ns_nd_dad_start(struct ns_instance *ns, uint32_t ifindex, struct ns_ifaddr *a)
{
	struct ns_addr group = ns_solicited_node(&a->addr);

	ns_tables_begin(ns);
	a->state = NS_ADDR_TENTATIVE;
	a->dad_left = DAD_PROBES;
	a->dad_at = ns_now(ns);
	ns_tables_end(ns);
	ns_mcast_join(ns, ifindex, &group);
	ns_arm(ns, a->dad_at);
}

void ns_nd_if_up(struct ns_instance *ns, uint32_t ifindex)
{
	struct ns_if *nif = &ns->ifs[ifindex];
	struct ns_addr ll = {{{0xfe, 0x80}}};

	if (!(nif->flags & NS_IF_RAW)) {
		eui64(ll.b + 8, nif->mac);
		ns_if_addr_add(ns, ifindex, &ll, 64, NS_ORIGIN_KERNEL); /* -EEXIST: up again */
	}
	for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
		struct ns_ifaddr *a = &ns->tables[0]->addrs[ifindex][k];

		if (a->state == NS_ADDR_TENTATIVE)
			a->dad_at = ns_now(ns);
	}
	if (!ns->cfg.no_slaac) {
		nif->rs_left = RS_TRIES;
		nif->rs_at = ns_now(ns) + DAD_PROBES * NS_SEC + 100 * NS_MS;
		ns_arm(ns, nif->rs_at);
	}
	ns_arm(ns, ns_now(ns));
}

static void dad_failed(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	struct ns_addr copy = *addr;

	ns_log(ns, NS_LOG_ERROR, "ipv6: duplicate address on the link, not used", &copy, ifindex);
	ns_if_addr_del(ns, ifindex, &copy);
}

static void dad_step(struct ns_instance *ns, uint32_t i, struct ns_ifaddr *a, uint64_t now)
{
	struct ns_addr addr = a->addr;

	ns_tables_begin(ns);
	if (a->dad_left) {
		a->dad_left--;
		a->dad_at = now + ns->ifs[i].retrans_ns;
	} else {
		a->state = NS_ADDR_PREFERRED;
		a->dad_at = 0;
	}
	ns_tables_end(ns);
	if (a->state == NS_ADDR_TENTATIVE) {
		ns_nd_solicit(ns, i, &addr, NULL, true);
	} else {
		advertise(ns, i, &addr, &unspecified);
		ns_notify(ns, NS_CHANGE_ADDR, i);
	}
}

uint64_t ns_nd_timer(struct ns_instance *ns, uint64_t now)
{
	uint64_t next = 0;

	for (uint32_t i = NS_LOOPBACK_IF + 1; i <= NS_MAX_IFS; i++) {
		struct ns_if *nif = &ns->ifs[i];

		if (!nif->used || !(nif->flags & NS_IF_UP))
			continue;
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
			struct ns_ifaddr *a = &ns->tables[0]->addrs[i][k];

			if (a->state == NS_ADDR_TENTATIVE && a->dad_at <= now)
				dad_step(ns, i, a, now);
			if (a->state == NS_ADDR_TENTATIVE && (!next || a->dad_at < next))
				next = a->dad_at;
		}
		if (nif->rs_left && nif->rs_at <= now) {
			nif->rs_left--;
			nif->rs_at = now + RS_INTERVAL;
			solicit_routers(ns, i);
		}
		if (nif->rs_left && (!next || nif->rs_at < next))
			next = nif->rs_at;
	}
	return next;
}

/* ---- receiving ---- */

struct nd_opts {
	const uint8_t *src_ll, *tgt_ll;
	const uint8_t *first; /* all options, for prefixes and DNS */
	uint32_t len;
};

static bool parse_opts(const uint8_t *p, uint32_t n, struct nd_opts *o)
{
	memset(o, 0, sizeof *o);
	o->first = p;
	o->len = n;
	while (n) {
		uint32_t len;

		if (n < 2 || !p[1] || (uint32_t)p[1] * 8 > n)
			return false;
		len = (uint32_t)p[1] * 8;
		if (p[0] == OPT_SRC_LL && len == 8)
			o->src_ll = p + 2;
		if (p[0] == OPT_TGT_LL && len == 8)
			o->tgt_ll = p + 2;
		p += len;
		n -= len;
	}
	return true;
}

static void solicitation(struct ns_instance *ns, const struct ns_pkt *pkt, const struct ns_flow *f,
    const uint8_t *h, const struct nd_opts *o)
{
	struct ns_addr target = ns_addr_v6(h + 8);
	struct ns_ifaddr *a = ns_ifaddr_find(ns, pkt->ifindex, &target);
	bool probe = ns_addr_is_any(&f->remote);

	if (ns_addr_is_multicast(&target) || !a || (probe && o->src_ll))
		return;
	if (a->state == NS_ADDR_TENTATIVE) {
		/* Somebody else probes the same address: neither may have it. */
		if (probe)
			dad_failed(ns, pkt->ifindex, &target);
		return;
	}
	if (!probe && o->src_ll)
		ns_neigh_learn(ns, pkt->ifindex, &f->remote, o->src_ll, false, true, true, -1);
	advertise(ns, pkt->ifindex, &target, &f->remote);
}

static void advertisement(struct ns_instance *ns, const struct ns_pkt *pkt, const struct ns_flow *f,
    const uint8_t *h, const struct nd_opts *o)
{
	struct ns_addr target = ns_addr_v6(h + 8);
	struct ns_ifaddr *a = ns_ifaddr_find(ns, pkt->ifindex, &target);
	uint8_t flags = h[4];

	if (ns_addr_is_multicast(&target) ||
	    (ns_addr_is_multicast(&f->local) && (flags & NA_SOLICITED)))
		return;
	if (a) {
		if (a->state == NS_ADDR_TENTATIVE)
			dad_failed(ns, pkt->ifindex, &target);
		return;
	}
	if (o->tgt_ll)
		ns_neigh_learn(ns, pkt->ifindex, &target, o->tgt_ll, flags & NA_SOLICITED,
		    flags & NA_OVERRIDE, false, (flags & NA_ROUTER) != 0);
}

static uint64_t lifetime(uint64_t now, uint32_t s)
{
	return s == 0xffffffffu ? 0 : now + s * NS_SEC;
}

static void prefix_address(struct ns_instance *ns, uint32_t ifindex, struct ns_addr addr,
    uint32_t valid, uint32_t preferred, uint64_t now)
{
	struct ns_ifaddr *a;
	uint64_t until = lifetime(now, valid);

	eui64(addr.b + 8, ns->ifs[ifindex].mac);
	a = ns_ifaddr_find(ns, ifindex, &addr);
	if (!a) {
		if (!valid || ns_if_addr_add(ns, ifindex, &addr, 64, NS_ORIGIN_RA))
			return;
		a = ns_ifaddr_find(ns, ifindex, &addr);
		if (!a)
			return;
	} else if (a->origin != NS_ORIGIN_RA) {
		return;
	} else if (until && valid < 7200 && (!a->valid_until || a->valid_until > now + TWO_HOURS)) {
		until =
		    now + TWO_HOURS; /* RFC 4862 5.5.3: no denial of service by short lifetimes */
	} else if (until && valid < 7200 && until < a->valid_until) {
		until = a->valid_until;
	}
	ns_tables_begin(ns);
	a->valid_until = until;
	a->preferred_until = lifetime(now, preferred);
	if (a->state == NS_ADDR_DEPRECATED && preferred)
		a->state = NS_ADDR_PREFERRED;
	if (until && (!a->preferred_until || a->preferred_until > until))
		a->preferred_until = until;
	ns_tables_end(ns);
	ns_arm(ns, a->preferred_until);
}

static void set_route(struct ns_instance *ns, struct ns_route *r, uint32_t seconds, uint64_t now)
{
	ns_route_del(ns, r);
	if (!seconds)
		return;
	r->valid_until = lifetime(now, seconds);
	ns_route_add(ns, r);
}

static void prefix_option(struct ns_instance *ns, uint32_t ifindex, const uint8_t *p, uint64_t now)
{
	uint8_t plen = p[2], flags = p[3];
	uint32_t valid = get32(p + 4), preferred = get32(p + 8);
	struct ns_addr prefix = ns_addr_v6(p + 16);

	if (plen > 128 || preferred > valid || ns_addr_is_linklocal(&prefix) ||
	    ns_addr_is_multicast(&prefix) || ns_addr_is_v4(&prefix) ||
	    ns_addr_is_loopback(&prefix) || ns_addr_is_any(&prefix))
		return;
	if (flags & 0x80) {
		struct ns_route r = {.dst = prefix,
		    .plen = plen,
		    .v6 = 1,
		    .ifindex = ifindex,
		    .metric = 256,
		    .origin = NS_ORIGIN_RA};

		set_route(ns, &r, valid, now);
	}
	if ((flags & 0x40) && plen == 64)
		prefix_address(ns, ifindex, prefix, valid, preferred, now);
}

static void dns_option(struct ns_instance *ns, uint32_t ifindex, const uint8_t *p, uint32_t len)
{
	struct ns_if *nif = &ns->ifs[ifindex];
	uint8_t n = 0;

	if (get32(p + 4))
		for (uint32_t i = 8; i + 16 <= len && n < MAX_DEFAULT_DNS; i += 16)
			nif->ra_dns[n++] = ns_addr_v6(p + i);
	nif->ra_ndns = n;
	ns_notify(ns, NS_CHANGE_DNS, ifindex);
}

static void router_advertisement(struct ns_instance *ns, const struct ns_pkt *pkt,
    const struct ns_flow *f, const uint8_t *h, const struct nd_opts *o)
{
	struct ns_if *nif = &ns->ifs[pkt->ifindex];
	uint64_t now = ns_now(ns);
	struct ns_route def = {.v6 = 1,
	    .gateway = f->remote,
	    .ifindex = pkt->ifindex,
	    .metric = RA_METRIC,
	    .origin = NS_ORIGIN_RA};

	if (ns->cfg.no_slaac || !ns_addr_is_linklocal(&f->remote))
		return;
	nif->rs_left = 0;
	if (h[4])
		nif->hop_limit = h[4];
	if (get32(h + 8) && get32(h + 8) <= 3600000)
		nif->reach_ns = get32(h + 8) * NS_MS;
	if (get32(h + 12) >= 100 && get32(h + 12) <= 60000)
		nif->retrans_ns = get32(h + 12) * NS_MS;
	if (o->src_ll)
		ns_neigh_learn(ns, pkt->ifindex, &f->remote, o->src_ll, false, true, true, 1);
	set_route(ns, &def, get16(h + 6), now);
	for (uint32_t i = 0; i < o->len; i += o->first[i + 1] * 8u) {
		const uint8_t *p = o->first + i;
		uint32_t len = p[1] * 8u;

		if (p[0] == OPT_PREFIX && len == 32)
			prefix_option(ns, pkt->ifindex, p, now);
		else if (p[0] == OPT_MTU && len == 8 && get32(p + 4) >= IP6_MIN_MTU &&
			 get32(p + 4) < if_mtu(ns, pkt->ifindex))
			ns_if_set_mtu(ns, pkt->ifindex, get32(p + 4));
		else if (p[0] == OPT_RDNSS && len >= 24)
			dns_option(ns, pkt->ifindex, p, len);
	}
}

void ns_nd_input(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *f, uint8_t type)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data), n = pkt->len - off;
	const uint8_t *h = pkt->data + off;
	uint32_t fixed = type == ND_RA ? 16 : 24;
	struct nd_opts o;

	NS_COUNT(ns, nd_in);
	if (type != ND_RA && type != ND_NS && type != ND_NA)
		return; /* solicitations to routers, redirects: not for a host that listens to RAs
			   only */
	/* Hop limit 255 proves the sender is on the link. */
	if (pkt->ttl != 255 || h[1] != 0 || n < fixed || !parse_opts(h + fixed, n - fixed, &o)) {
		NS_COUNT(ns, nd_in_err);
		return;
	}
	if (type == ND_NS)
		solicitation(ns, pkt, f, h, &o);
	else if (type == ND_NA)
		advertisement(ns, pkt, f, h, &o);
	else
		router_advertisement(ns, pkt, f, h, &o);
}

int ns_ra_dns(const struct ns_instance *ns, struct ns_addr *out, int max)
{
	int n = 0;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		for (int k = 0; k < ns->ifs[i].ra_ndns && n < max; k++)
			out[n++] = ns->ifs[i].ra_dns[k];
	return n;
}
