/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP: demultiplexing, multicast and broadcast delivery, sending. */
#include "internal.h"

/* How well a socket fits; a connected one must match its peer and then beats others. */
static int score(const struct ns_udp *u, const struct ns_flow *flow)
{
	int s = ns_bind_score(&u->bind, flow);

	if (s < 0)
		return -1;
	if (u->rport) {
		if (u->rport != flow->rport || !ns_addr_eq(&u->remote, &flow->remote))
			return -1;
		s += 8;
	}
	return s;
}

struct ns_udp *ns_udp_lookup(struct ns_instance *ns, const struct ns_flow *flow)
{
	struct ns_udp *best = NULL;
	uint32_t ties = 0, hash = 0;
	int best_score = -1;

	for (struct ns_udp *u = ns->udps[port_hash(flow->lport)]; u; u = u->next) {
		int s = score(u, flow);

		if (s < 0 || s < best_score)
			continue;
		if (s > best_score) {
			best_score = s;
			best = u;
			ties = 1;
		} else if (u->bind.flags & NS_BIND_REUSEPORT) {
			/* Each of n equal sockets gets the flow with probability 1/n, always the
			 * same one for the same flow. */
			if (!hash)
				hash = ns_flow_hash(flow, ns->hash_key) | 1;
			hash = hash * 0x9e3779b1u + 1;
			if ((uint64_t)hash * ++ties >> 32 == 0)
				best = u;
		}
	}
	return best;
}

bool ns_udp_check(struct ns_pkt *pkt)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data), n = pkt->tot_len - off;
	uint16_t len = get16(pkt->head + pkt->l4_off + 4), csum;

	if (len < UDP_HLEN || len > n)
		return false;
	ns_pkt_trim(pkt, off + len);
	memcpy(&csum, pkt->head + pkt->l4_off + 6, 2);
	if (!csum && (pkt->flags & NS_PKT_V6) && !(pkt->flags & NS_PKT_CSUM_PARTIAL))
		return false; /* IPv6 has no other protection of the header */
	if (csum && !ns_l4_csum_ok(pkt, len))
		return false;
	ns_pkt_pull(pkt, off + UDP_HLEN);
	return true;
}

/* A copy that refers to the same bytes, for delivery to several sockets. */
static struct ns_pkt *share(struct ns_instance *ns, struct ns_pkt *pkt)
{
	struct ns_pkt *c = ns_pkt_new(ns, 0, (uint32_t)pkt->nfrags + 1);

	if (!c)
		return NULL;
	if (pkt->len)
		ns_pkt_add_frag(c, &ns_pkt_get(pkt)->ref, pkt->data, pkt->len);
	for (unsigned i = 0; i < pkt->nfrags; i++)
		ns_pkt_add_frag(c, &ns_pkt_get(pkt)->ref, pkt->frags[i].data, pkt->frags[i].len);
	c->flags = pkt->flags;
	c->ifindex = pkt->ifindex;
	c->ttl = pkt->ttl;
	c->tos = pkt->tos;
	c->stamp_ns = pkt->stamp_ns;
	return c;
}

static void deliver_all(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow)
{
	struct ns_udp *next;

	for (struct ns_udp *u = ns->udps[port_hash(flow->lport)]; u; u = next) {
		struct ns_pkt *c;

		next = u->next;
		if (score(u, flow) >= 0 && (c = share(ns, pkt)))
			u->on_recv(u, flow, c);
	}
	ns_pkt_put(pkt);
}

void ns_udp_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	bool group = ns_addr_is_multicast(&flow->local) || !ns_addr_is_local(ns, &flow->local, 0);
	struct ns_udp *u = group ? NULL : ns_udp_lookup(ns, flow);

	NS_COUNT(ns, udp_in);
	if (!flow->rport && !u) {
		NS_COUNT(ns, udp_in_err);
		ns_pkt_put(pkt);
		return;
	}
	if (!u && !group) {
		NS_COUNT(ns, udp_no_port);
		/* A damaged datagram earns no answer. */
		if (ns_l4_csum_ok(pkt, get16(pkt->head + pkt->l4_off + 4)))
			ns_icmp_send_error(ns, pkt, flow, NS_ICMP_PORT_UNREACH, 0);
		ns_pkt_put(pkt);
		return;
	}
	if (!ns_udp_check(pkt)) {
		NS_COUNT(ns, udp_in_err);
		ns_pkt_put(pkt);
		return;
	}
	if (group)
		deliver_all(ns, pkt, flow);
	else
		u->on_recv(u, flow, pkt);
}

void ns_udp_icmp(
    struct ns_instance *ns, const struct ns_flow *flow, const struct ns_icmp_error *err)
{
	struct ns_udp *u = ns_udp_lookup(ns, flow);

	if (u && u->on_error)
		u->on_error(u, flow, err);
}

static void list(struct ns_instance *ns, struct ns_udp *u)
{
	struct ns_udp **head = &ns->udps[port_hash(u->bind.port)];

	u->next = *head;
	u->pprev = head;
	if (u->next)
		u->next->pprev = &u->next;
	*head = u;
	u->listed = true;
}

int ns_udp_bind(struct ns_instance *ns, struct ns_udp *u, uint16_t port)
{
	int r = ns_port_bind(ns, &u->bind, NS_PROTO_UDP, port);

	if (!r)
		list(ns, u);
	return r;
}

int ns_udp_connect(
    struct ns_instance *ns, struct ns_udp *u, const struct ns_addr *remote, uint16_t rport)
{
	struct ns_dst dst;
	int r;

	if (!remote) {
		u->rport = 0;
		if (u->addr_chosen) {
			memset(&u->bind.addr, 0, sizeof u->bind.addr);
			u->addr_chosen = false;
		}
		return 0;
	}
	r = ns_route_lookup(ns, remote, &u->bind.addr, u->bind.ifindex, &dst);
	if (r)
		return r;
	if (dst.broadcast && !u->broadcast)
		return -NS_EACCES;
	if (!u->bind.bound) {
		r = ns_udp_bind(ns, u, 0);
		if (r)
			return r;
	}
	if (ns_addr_is_any(&u->bind.addr) && !ns_addr_is_multicast(remote)) {
		u->bind.addr = dst.src;
		u->addr_chosen = true;
	}
	u->remote = *remote;
	u->rport = rport;
	return 0;
}

void ns_udp_close(struct ns_instance *ns, struct ns_udp *u)
{
	if (u->listed) {
		*u->pprev = u->next;
		if (u->next)
			u->next->pprev = u->pprev;
		u->listed = false;
	}
	ns_port_unbind(ns, &u->bind);
}

static int route_for(struct ns_instance *ns, struct ns_udp *u, const struct ns_addr *to,
    const struct ns_addr *src, uint32_t ifindex, struct ns_dst *dst)
{
	int r;

	if (!u->bind.v6 && !ns_addr_is_v4(to))
		return -NS_EAFNOSUPPORT;
	if (u->bind.v6 && ns_addr_is_v4(to) && (u->bind.flags & NS_BIND_V6ONLY))
		return -NS_ENETUNREACH;
	if (!ifindex)
		ifindex = ns_addr_is_multicast(to) && u->mcast_if ? u->mcast_if : u->bind.ifindex;
	if (!src && !ns_addr_is_any(&u->bind.addr) && !ns_addr_is_multicast(&u->bind.addr))
		src = &u->bind.addr;
	r = ns_route_lookup(ns, to, src, ifindex, dst);
	if (!r && dst->broadcast && !u->broadcast)
		r = -NS_EACCES;
	return r;
}

/* Multicast senders on this host hear themselves unless they ask not to. */
static void loop_copy(struct ns_instance *ns, struct ns_udp *u, const struct ns_dst *dst,
    const struct ns_addr *to, struct ns_pkt *pkt)
{
	struct ns_dst lo = *dst;
	struct ns_pkt *c;

	if (u->mcast_noloop || !ns_addr_is_multicast(to) ||
	    !ns_mcast_member(ns, dst->ifindex, to) || !(c = share(ns, pkt)))
		return;
	lo.local = true;
	lo.mtu = NS_LOOPBACK_MTU;
	c->flags |= NS_PKT_CSUM_OK;
	ns_ip_send(ns, &lo, &dst->src, to, NS_PROTO_UDP, 1, u->tos, false, c);
}

int ns_udp_send(struct ns_instance *ns, struct ns_udp *u, const struct ns_addr *to, uint16_t port,
    const struct ns_addr *src, uint32_t ifindex, struct ns_pkt *pkt)
{
	struct ns_dst dst;
	uint32_t len = pkt->tot_len + UDP_HLEN;
	uint8_t *h, ttl;
	int r = 0;

	if (!to) {
		to = &u->remote;
		port = u->rport;
	}
	if (!port || ns_addr_is_any(to))
		r = -NS_EDESTADDRREQ;
	else if (len > NS_GSO_MAX - (ns_addr_is_v4(to) ? (uint32_t)IP4_HLEN : 0))
		r = -NS_EMSGSIZE;
	else
		r = route_for(ns, u, to, src, ifindex, &dst);
	if (r) {
		ns_pkt_put(pkt);
		return r;
	}
	h = ns_pkt_push(pkt, UDP_HLEN);
	put16(h, u->bind.port);
	put16(h + 2, port);
	put16(h + 4, len);
	put16(h + 6, 0);
	if (!u->no_check || !ns_addr_is_v4(to)) {
		put_csum(
		    h + 6, (uint16_t)~ns_csum_fold(ns_pseudo_sum(&dst.src, to, NS_PROTO_UDP, len)));
		pkt->csum_start = (uint16_t)ns_pkt_headroom(pkt);
		pkt->csum_offset = 6;
		pkt->flags |= NS_PKT_CSUM_PARTIAL;
	}
	NS_COUNT(ns, udp_out);
	ttl = ns_addr_is_multicast(to) ? (u->mcast_ttl ? u->mcast_ttl : 1) : u->ttl;
	loop_copy(ns, u, &dst, to, pkt);
	return ns_ip_send(ns, &dst, &dst.src, to, NS_PROTO_UDP, ttl, u->tos, u->dont_fragment, pkt);
}

void ns_udp_walk(struct ns_instance *ns, bool (*fn)(struct ns_udp *udp, void *arg), void *arg)
{
	for (unsigned i = 0; i < PORT_HASH; i++)
		for (struct ns_udp *u = ns->udps[i]; u; u = u->next)
			if (!fn(u, arg))
				return;
}
