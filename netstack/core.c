/* SPDX-License-Identifier: BSD-3-Clause */
/* The instance: creation, interfaces and their addresses, timers, the top of the receive path. */
#include "internal.h"

static void config_defaults(struct ns_config *c, const struct ns_config *in)
{
	uint32_t n = 8;

	if (in)
		*c = *in;
	else
		memset(c, 0, sizeof *c);
	if (!c->max_neighbours)
		c->max_neighbours = 512;
	while (n < c->max_neighbours)
		n *= 2;
	c->max_neighbours = n;
	if (!c->max_routes)
		c->max_routes = 128;
	if (!c->max_syn_queue)
		c->max_syn_queue = 4096;
	if (!c->reasm_bytes)
		c->reasm_bytes = 1 << 20;
	if (!c->reasm_datagrams)
		c->reasm_datagrams = 128;
	if (!c->rst_per_second)
		c->rst_per_second = 1000;
	if (!c->port_min)
		c->port_min = 32768;
	if (c->port_max < c->port_min)
		c->port_max = 60999 > c->port_min ? 60999 : 65535;
}

static size_t align64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static size_t tables_size(const struct ns_config *c)
{
	return align64(sizeof(struct ns_tables) + c->max_routes * sizeof(struct ns_route));
}

size_t ns_instance_size(const struct ns_config *cfg)
{
	struct ns_config c;

	config_defaults(&c, cfg);
	return align64(sizeof(struct ns_instance)) + 2 * tables_size(&c) +
	       c.max_neighbours * sizeof(struct ns_neigh);
}

static void add_loopback(struct ns_instance *ns)
{
	struct ns_if *i = &ns->ifs[NS_LOOPBACK_IF];
	struct ns_addr v4 = ns_ip4(127, 0, 0, 1), v6 = {{{[15] = 1}}};

	i->used = true;
	memcpy(i->name, "lo", 3);
	i->mtu = NS_LOOPBACK_MTU;
	i->flags = NS_IF_LOOPBACK | NS_IF_UP | NS_IF_CSUM | NS_IF_TSO4 | NS_IF_TSO6;
	i->hop_limit = DEFAULT_TTL;
	ns_if_addr_add(ns, NS_LOOPBACK_IF, &v4, 8, NS_ORIGIN_KERNEL);
	ns_if_addr_add(ns, NS_LOOPBACK_IF, &v6, 128, NS_ORIGIN_KERNEL);
}

struct ns_instance *ns_create(
    void *mem, const struct ns_config *cfg, const struct ns_ops *ops, void *ctx)
{
	struct ns_instance *ns = mem;
	uint8_t *p = mem;
	struct ns_config c;

	config_defaults(&c, cfg);
	memset(mem, 0, ns_instance_size(&c));
	ns->ops = ops;
	ns->ctx = ctx;
	ns->cfg = c;
	p += align64(sizeof *ns);
	ns->tables[0] = (struct ns_tables *)p;
	p += tables_size(&c);
	ns->tables[1] = (struct ns_tables *)p;
	p += tables_size(&c);
	ns->neighs = (struct ns_neigh *)p;
	ns->neigh_mask = c.max_neighbours - 1;
	ns_neigh_init(ns);
	ops->random(ctx, ns->hash_key, sizeof ns->hash_key);
	ops->random(ctx, ns->isn_key, sizeof ns->isn_key);
	ops->random(ctx, ns->cookie_key, sizeof ns->cookie_key);
	ops->random(ctx, ns->port_key, sizeof ns->port_key);
	ops->random(ctx, &ns->ip_id, sizeof ns->ip_id);
	add_loopback(ns);
	return ns;
}

void ns_destroy(struct ns_instance *ns)
{
	ns_syn_flush(ns, NULL);
	ns_reasm_flush(ns);
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		ns_neigh_flush(ns, i);
}

void *ns_context(const struct ns_instance *ns)
{
	return ns->ctx;
}

const uint64_t *ns_hash_key(const struct ns_instance *ns)
{
	return ns->hash_key;
}

void ns_counters_get(const struct ns_instance *ns, struct ns_counters *out)
{
	const uint64_t *from = (const uint64_t *)&ns->cnt;
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void ns_log(const struct ns_instance *ns, enum ns_log_level level, const char *text,
    const struct ns_addr *addr, uint64_t value)
{
	if (ns->ops->log)
		ns->ops->log(ns->ctx, level, text, addr, value);
}

void ns_notify(struct ns_instance *ns, enum ns_change what, uint32_t ifindex)
{
	if (ns->ops->notify)
		ns->ops->notify(ns->ctx, what, ifindex);
}

bool ns_bucket_take(struct ns_bucket *b, uint64_t now, uint32_t per_second)
{
	uint64_t cost = NS_SEC / per_second;

	b->tokens = NS_MIN(b->tokens + (now - b->last), NS_SEC / 4 + cost);
	b->last = now;
	if (b->tokens < cost)
		return false;
	b->tokens -= cost;
	return true;
}

void ns_arm(struct ns_instance *ns, uint64_t at)
{
	if (at && (!ns->armed || at < ns->armed)) {
		ns->armed = at;
		ns->ops->arm(ns->ctx, at);
	}
}

void ns_timer(struct ns_instance *ns)
{
	uint64_t now = ns_now(ns), next = 0;
	uint64_t (*const parts[])(struct ns_instance *, uint64_t) = {ns_neigh_timer, ns_nd_timer,
	    ns_mcast_timer, ns_reasm_timer, ns_syn_timer, ns_tables_timer};

	/* Parts that arm something earlier while running compare with this. */
	ns->armed = 0;
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		uint64_t t = parts[i](ns, now);

		if (t && (!next || t < next))
			next = t;
	}
	ns_arm(ns, next);
}

/* ---- interfaces ---- */

int ns_if_add(
    struct ns_instance *ns, const char *name, const uint8_t mac[6], uint32_t mtu, uint32_t flags)
{
	uint32_t i = NS_LOOPBACK_IF + 1;
	size_t len = strlen(name);
	struct ns_if *nif;

	if (!len || len >= sizeof nif->name || mtu < IP4_MIN_MTU || mtu > NS_LOOPBACK_MTU ||
	    (flags & NS_IF_LOOPBACK) || (!mac && !(flags & NS_IF_RAW)) || (mac && (mac[0] & 1)))
		return -NS_EINVAL;
	while (i <= NS_MAX_IFS && ns->ifs[i].used)
		i++;
	if (i > NS_MAX_IFS)
		return -NS_ENOSPC;
	nif = &ns->ifs[i];
	memset(nif, 0, sizeof *nif);
	memcpy(nif->name, name, len + 1);
	if (mac)
		memcpy(nif->mac, mac, 6);
	nif->mtu = mtu;
	if (flags & (NS_IF_TSO4 | NS_IF_TSO6))
		flags |= NS_IF_CSUM;
	nif->flags = flags & ~(uint32_t)NS_IF_UP;
	nif->hop_limit = DEFAULT_TTL;
	nif->reach_ns = 30 * NS_SEC;
	nif->retrans_ns = NS_SEC;
	nif->used = true;
	if (flags & NS_IF_UP)
		ns_if_set_up(ns, i, true);
	ns_notify(ns, NS_CHANGE_LINK, i);
	return (int)i;
}

int ns_if_set_up(struct ns_instance *ns, uint32_t ifindex, bool up)
{
	uint32_t old;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	old = ns->ifs[ifindex].flags;
	if (up == !!(old & NS_IF_UP))
		return 0;
	ns_tables_begin(ns);
	__atomic_store_n(&ns->ifs[ifindex].flags, up ? old | NS_IF_UP : old & ~(uint32_t)NS_IF_UP,
	    __ATOMIC_RELAXED);
	ns_tables_end(ns);
	if (!up) {
		ns_neigh_flush(ns, ifindex);
		ns_routes_drop(ns, ifindex, NS_ORIGIN_RA, NULL);
	} else if (!(old & (NS_IF_NO_V6 | NS_IF_LOOPBACK))) {
		ns_nd_if_up(ns, ifindex);
	}
	if (up)
		for (int i = 0; i < NS_IF_MAX_ADDRS; i++) {
			struct ns_ifaddr *a = &ns->tables[0]->addrs[ifindex][i];

			if (a->state && ns_addr_is_v4(&a->addr))
				ns_arp_announce(ns, ifindex, &a->addr);
		}
	ns_notify(ns, NS_CHANGE_LINK, ifindex);
	return 0;
}

int ns_if_set_mtu(struct ns_instance *ns, uint32_t ifindex, uint32_t mtu)
{
	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	if (mtu < IP4_MIN_MTU || mtu > NS_LOOPBACK_MTU)
		return -NS_EINVAL;
	ns_tables_begin(ns);
	__atomic_store_n(&ns->ifs[ifindex].mtu, mtu, __ATOMIC_RELAXED);
	ns_tables_end(ns);
	ns_notify(ns, NS_CHANGE_LINK, ifindex);
	return 0;
}

int ns_if_get(const struct ns_instance *ns, uint32_t ifindex, struct ns_if_info *out)
{
	const struct ns_if *i = &ns->ifs[ifindex];
	uint32_t s;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	memcpy(out->name, i->name, sizeof out->name);
	memcpy(out->mac, i->mac, 6);
	out->mtu = if_mtu(ns, ifindex);
	out->flags = if_flags(ns, ifindex);
	out->stats = i->stats;
	do {
		s = latch_read(&ns->tables_latch);
		memcpy(out->addrs, ns->tables[s & 1]->addrs[ifindex], sizeof out->addrs);
	} while (latch_changed(&ns->tables_latch, s));
	return 0;
}

/* ---- the top of the receive path ---- */

/* Addresses no correct sender uses on a real link. */
static bool martian(const struct ns_pkt *pkt, const struct ns_flow *f)
{
	if (ns_addr_is_multicast(&f->remote))
		return true;
	if (!(pkt->flags & NS_PKT_LOOPBACK) &&
	    (ns_addr_is_loopback(&f->remote) || ns_addr_is_loopback(&f->local)))
		return true;
	return ns_addr_is_v4(&f->remote) && f->remote.w[3] == 0xffffffffu;
}

static bool for_us(struct ns_instance *ns, const struct ns_flow *f)
{
	if (ns_addr_is_local(ns, &f->local, 0))
		return true;
	if (ns_addr_is_multicast(&f->local)) {
		/* Our own datagrams come back over the loopback for members on any interface. */
		for (uint32_t i = 1; f->ifindex == NS_LOOPBACK_IF && i <= NS_MAX_IFS; i++)
			if (ns_mcast_member(ns, i, &f->local))
				return true;
		return ns_mcast_member(ns, f->ifindex, &f->local);
	}
	if (ns_addr_is_v4(&f->local))
		return ns_is_broadcast(ns, f->ifindex, &f->local);
	/* A tentative address still receives neighbour discovery. */
	return ns_ifaddr_find(ns, f->ifindex, &f->local) != NULL;
}

/* IPv6 extension headers in front of the transport; false: dropped. */
static bool skip_extensions(struct ns_instance *ns, struct ns_pkt **pktp, struct ns_flow *flow)
{
	struct ns_pkt *pkt = *pktp;
	uint32_t off = IP6_HLEN;
	int next = pkt->proto;
	int r;

	ns_pkt_linearize(pkt, NS_MIN(pkt->tot_len, ns_pkt_tailroom(pkt) + pkt->len));
	r = ns_ip6_walk(pkt, &off, &next);
	if (r == IPX_FRAGMENT) {
		pkt->l4_off = (uint16_t)(pkt->l3_off + off);
		pkt->flags |= NS_PKT_FRAGMENT;
		return true;
	}
	if (r < 0) {
		NS_COUNT(ns, ip_in_hdr_err);
		if (r == -NS_EPROTO)
			ns_icmp_send_error(ns, pkt, flow, NS_ICMP_PARAM_PROBLEM, off);
		ns_pkt_put(pkt);
		return false;
	}
	pkt->proto = (uint8_t)r;
	flow->proto = (uint8_t)r;
	pkt->l4_off = (uint16_t)(pkt->l3_off + off);
	return true;
}

static void ip_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	NS_COUNT(ns, ip_in);
	if (!if_valid(ns, pkt->ifindex) || martian(pkt, flow)) {
		NS_COUNT(ns, ip_in_addr_err);
		ns_pkt_put(pkt);
		return;
	}
	if (!for_us(ns, flow)) {
		NS_COUNT(ns, ip_in_addr_err);
		ns_pkt_put(pkt);
		return;
	}
	if (flow->v6 && !(pkt->flags & NS_PKT_FRAGMENT) && pkt->payload_off == 0 &&
	    !skip_extensions(ns, &pkt, flow))
		return;
	if (pkt->flags & NS_PKT_FRAGMENT) {
		NS_COUNT(ns, ip_reasm_in);
		pkt = ns_reasm_input(ns, pkt);
		if (!pkt)
			return;
		flow->proto = pkt->proto;
		if (flow->v6 && pkt->proto != NS_PROTO_TCP && pkt->proto != NS_PROTO_UDP &&
		    pkt->proto != NS_PROTO_ICMPV6) {
			/* Destination options behind the fragment header. */
			uint32_t off = (uint32_t)(pkt->l4_off - pkt->l3_off);
			int next = pkt->proto, r;

			r = ns_ip6_walk(pkt, &off, &next);
			if (r < 0 || r == IPX_FRAGMENT) {
				NS_COUNT(ns, ip_in_hdr_err);
				ns_pkt_put(pkt);
				return;
			}
			flow->proto = pkt->proto = (uint8_t)r;
			pkt->l4_off = (uint16_t)(pkt->l3_off + off);
		}
	}
	ns_transport_input(ns, pkt, flow);
}

void ns_input_drop(struct ns_instance *ns, struct ns_pkt *pkt)
{
	NS_COUNT(ns, ip_in_hdr_err);
	ns_pkt_put(pkt);
}

void ns_input_slow(
    struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow, enum ns_class cls)
{
	struct ns_flow f = *flow;

	if (cls == NS_CLASS_DROP || !if_valid(ns, pkt->ifindex)) {
		NS_COUNT(ns, ip_in_hdr_err);
		ns_pkt_put(pkt);
		return;
	}
	if (!(pkt->flags & NS_PKT_NO_ETH) && get16(pkt->head + pkt->l3_off - 2) == ETH_P_ARP)
		ns_arp_input(ns, pkt);
	else
		ip_input(ns, pkt, &f);
}

void ns_input(struct ns_instance *ns, struct ns_pkt *pkt)
{
	struct ns_flow flow;
	enum ns_class cls = ns_classify(pkt, &flow);

	if (cls == NS_CLASS_TCP && ns->ops->tcp_deliver(ns->ctx, &flow, pkt))
		return;
	ns_input_slow(ns, pkt, &flow, cls);
}
