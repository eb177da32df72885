/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transmit path: IP headers, fragmentation, next hop, link header, and in software whatever the
 * interface cannot do. ns_output and ns_ip_send run in any context.
 */
#include "internal.h"

struct ns_pkt *ns_pkt_new(struct ns_instance *ns, uint32_t payload, uint32_t nfrags)
{
	struct ns_pkt *p = ns->ops->pkt_alloc(ns->ctx, NS_HEADROOM + payload, nfrags);

	if (p)
		p->data = p->head + NS_HEADROOM;
	return p;
}

uint32_t ns_pseudo_sum(
    const struct ns_addr *src, const struct ns_addr *dst, uint8_t proto, uint32_t len)
{
	uint8_t tail[8] = {0};
	uint32_t sum;

	put32(tail, len);
	tail[7] = proto;
	sum = ns_csum_add(0, tail, sizeof tail);
	if (ns_addr_is_v4(src)) {
		sum = ns_csum_add(sum, src->b + 12, 4);
		return ns_csum_add(sum, dst->b + 12, 4);
	}
	sum = ns_csum_add(sum, src->b, 16);
	return ns_csum_add(sum, dst->b, 16);
}

void ns_ip_header(uint8_t *h, const struct ns_addr *src, const struct ns_addr *dst, uint8_t proto,
    uint8_t ttl, uint8_t tos, uint32_t payload, bool df, uint16_t id)
{
	if (ns_addr_is_v4(dst)) {
		h[0] = 0x45;
		h[1] = tos;
		put16(h + 2, IP4_HLEN + payload);
		put16(h + 4, id);
		put16(h + 6, df ? 0x4000 : 0);
		h[8] = ttl;
		h[9] = proto;
		h[10] = h[11] = 0;
		memcpy(h + 12, src->b + 12, 4);
		memcpy(h + 16, dst->b + 12, 4);
		put_csum(h + 10, ns_csum_fold(ns_csum_add(0, h, IP4_HLEN)));
		return;
	}
	put32(h, 6u << 28 | (uint32_t)tos << 20);
	put16(h + 4, payload);
	h[6] = proto;
	h[7] = ttl;
	memcpy(h + 8, src->b, 16);
	memcpy(h + 24, dst->b, 16);
}

bool ns_l4_csum_ok(struct ns_pkt *pkt, uint32_t len)
{
	const uint8_t *l3 = pkt->head + pkt->l3_off;
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	struct ns_addr src, dst;

	if (pkt->flags & (NS_PKT_CSUM_OK | NS_PKT_CSUM_PARTIAL))
		return true;
	if (l3[0] >> 4 == 4) {
		src = ns_addr_v4(l3 + 12);
		dst = ns_addr_v4(l3 + 16);
	} else {
		src = ns_addr_v6(l3 + 8);
		dst = ns_addr_v6(l3 + 24);
	}
	return ns_csum_fold(
		   ns_pkt_csum(pkt, off, len, ns_pseudo_sum(&src, &dst, pkt->proto, len))) == 0;
}

/* ---- link layer ---- */

static void send_frame(void *arg, struct ns_pkt *pkt)
{
	struct ns_instance *ns = arg;
	struct ns_if *i = &ns->ifs[pkt->ifindex];

	__atomic_fetch_add(&i->stats.tx_packets, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&i->stats.tx_bytes, pkt->tot_len, __ATOMIC_RELAXED);
	ns->ops->transmit(ns->ctx, pkt->ifindex, pkt);
}

static void fit_to_interface(struct ns_instance *ns, struct ns_pkt *pkt, uint32_t flags)
{
	bool tso = pkt->gso_type == NS_GSO_NONE ||
		   (pkt->gso_type == NS_GSO_TCPV4 && (flags & NS_IF_TSO4)) ||
		   (pkt->gso_type == NS_GSO_TCPV6 && (flags & NS_IF_TSO6));

	if (!tso) {
		ns_pkt_segment(
		    pkt, ns->ops->pkt_alloc, ns->ctx, !(flags & NS_IF_CSUM), send_frame, ns);
		return;
	}
	if (!(flags & NS_IF_CSUM))
		ns_pkt_csum_finish(pkt);
	send_frame(ns, pkt);
}

void ns_link_output(struct ns_instance *ns, uint32_t ifindex, const uint8_t mac[6], uint16_t type,
    struct ns_pkt *pkt)
{
	uint32_t flags = if_flags(ns, ifindex);

	pkt->ifindex = ifindex;
	if (!(flags & NS_IF_UP)) {
		__atomic_fetch_add(&ns->ifs[ifindex].stats.tx_errors, 1, __ATOMIC_RELAXED);
		ns_pkt_put(pkt);
		return;
	}
	if (!(flags & NS_IF_RAW)) {
		uint8_t *eth = ns_pkt_push(pkt, ETH_HLEN);

		memcpy(eth, mac, 6);
		memcpy(eth + 6, ns->ifs[ifindex].mac, 6);
		put16(eth + 12, type);
		if (pkt->gso_type)
			pkt->gso_hdr_len += ETH_HLEN;
	}
	fit_to_interface(ns, pkt, flags);
}

static void multicast_mac(uint8_t mac[6], const struct ns_addr *a)
{
	if (ns_addr_is_v4(a)) {
		mac[0] = 1;
		mac[1] = 0;
		mac[2] = 0x5e;
		mac[3] = a->b[13] & 0x7f;
		mac[4] = a->b[14];
		mac[5] = a->b[15];
		return;
	}
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, a->b + 12, 4);
}

static void loop_back(struct ns_instance *ns, struct ns_pkt *pkt)
{
	pkt->ifindex = NS_LOOPBACK_IF;
	pkt->flags |= NS_PKT_LOOPBACK | NS_PKT_NO_ETH;
	send_frame(ns, pkt);
}

void ns_output(struct ns_instance *ns, const struct ns_dst *dst, struct ns_pkt *pkt)
{
	uint16_t type = pkt->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	uint8_t mac[6];

	NS_COUNT(ns, ip_out);
	pkt->l3_off = (uint16_t)ns_pkt_headroom(pkt);
	pkt->ifindex = dst->ifindex;
	if (dst->local || dst->ifindex == NS_LOOPBACK_IF) {
		loop_back(ns, pkt);
	} else if (if_flags(ns, dst->ifindex) & NS_IF_RAW) {
		ns_link_output(ns, dst->ifindex, NULL, type, pkt);
	} else if (dst->broadcast) {
		memset(mac, 0xff, 6);
		ns_link_output(ns, dst->ifindex, mac, type, pkt);
	} else if (ns_addr_is_multicast(&dst->next_hop)) {
		multicast_mac(mac, &dst->next_hop);
		ns_link_output(ns, dst->ifindex, mac, type, pkt);
	} else if (ns_neigh_lookup(ns, dst->ifindex, &dst->next_hop, mac)) {
		ns_link_output(ns, dst->ifindex, mac, type, pkt);
	} else {
		pkt->next_hop = dst->next_hop;
		if (ns->ops->defer_output)
			ns->ops->defer_output(ns->ctx, pkt);
		else
			ns_output_deferred(ns, pkt);
	}
}

void ns_output_deferred(struct ns_instance *ns, struct ns_pkt *pkt)
{
	if (!if_valid(ns, pkt->ifindex) || !(if_flags(ns, pkt->ifindex) & NS_IF_UP)) {
		ns_pkt_put(pkt);
		return;
	}
	ns_neigh_output(ns, pkt);
}

/* ---- datagrams ---- */

/* A packet that refers to [off, off+n) of another one, with room for headers. */
static struct ns_pkt *slice(struct ns_instance *ns, struct ns_pkt *pkt, uint32_t off, uint32_t n)
{
	struct ns_pkt *p = ns_pkt_new(ns, 64, (uint32_t)pkt->nfrags + 1);

	if (!p)
		return NULL;
	if (off < pkt->len) {
		uint32_t m = NS_MIN(n, pkt->len - off);

		ns_pkt_add_frag(p, &ns_pkt_get(pkt)->ref, pkt->data + off, m);
		n -= m;
		off = pkt->len;
	}
	off -= pkt->len;
	for (unsigned i = 0; i < pkt->nfrags && n; i++) {
		uint32_t m;

		if (off >= pkt->frags[i].len) {
			off -= pkt->frags[i].len;
			continue;
		}
		m = NS_MIN(n, pkt->frags[i].len - off);
		ns_pkt_add_frag(p, &ns_pkt_get(pkt)->ref, pkt->frags[i].data + off, m);
		n -= m;
		off = 0;
	}
	return p;
}

struct ip_args {
	const struct ns_dst *dst;
	const struct ns_addr *src, *daddr;
	uint8_t proto, ttl, tos;
};

static int fragment(
    struct ns_instance *ns, const struct ip_args *a, struct ns_pkt *pkt, uint32_t id)
{
	bool v4 = ns_addr_is_v4(a->daddr);
	uint32_t hdr = v4 ? IP4_HLEN : IP6_HLEN + 8;
	uint32_t step = (a->dst->mtu - hdr) & ~7u, off = 0, total = pkt->tot_len;

	ns_pkt_csum_finish(pkt);
	while (off < total) {
		uint32_t n = NS_MIN(step, total - off);
		bool more = off + n < total;
		struct ns_pkt *f = slice(ns, pkt, off, n);
		uint8_t *h;

		if (!f) {
			ns_pkt_put(pkt);
			return -NS_ENOBUFS;
		}
		if (v4) {
			h = ns_pkt_push(f, IP4_HLEN);
			ns_ip_header(
			    h, a->src, a->daddr, a->proto, a->ttl, a->tos, n, false, (uint16_t)id);
			put16(h + 6, off / 8 | (more ? 0x2000u : 0));
			put16(h + 10, 0);
			put_csum(h + 10, ns_csum_fold(ns_csum_add(0, h, IP4_HLEN)));
		} else {
			h = ns_pkt_push(f, 8);
			h[0] = a->proto;
			h[1] = 0;
			put16(h + 2, off | more);
			put32(h + 4, id);
			h = ns_pkt_push(f, IP6_HLEN);
			ns_ip_header(
			    h, a->src, a->daddr, IPX_FRAGMENT, a->ttl, a->tos, n + 8, true, 0);
		}
		NS_COUNT(ns, ip_frag_created);
		ns_output(ns, a->dst, f);
		off += n;
	}
	ns_pkt_put(pkt);
	return 0;
}

int ns_ip_send(struct ns_instance *ns, const struct ns_dst *dst, const struct ns_addr *src,
    const struct ns_addr *daddr, uint8_t proto, uint8_t ttl, uint8_t tos, bool df,
    struct ns_pkt *pkt)
{
	bool v4 = ns_addr_is_v4(daddr);
	uint32_t hdr = v4 ? IP4_HLEN : IP6_HLEN, mtu = dst->mtu, len = pkt->tot_len;
	uint32_t id = __atomic_fetch_add(&((struct ns_instance *)ns)->ip_id, 1, __ATOMIC_RELAXED);
	struct ip_args a = {dst, src, daddr, proto, ttl, tos};
	struct ns_addr any = ns_ip4(0, 0, 0, 0);

	if (!a.ttl)
		a.ttl = v4 ? DEFAULT_TTL : ns->ifs[dst->ifindex].hop_limit;
	if (v4 && ns_addr_is_any(src))
		a.src = &any;
	pkt->l4_off = (uint16_t)ns_pkt_headroom(pkt);
	pkt->proto = proto;
	if (len + hdr > NS_GSO_MAX + (v4 ? 0u : (uint32_t)IP6_HLEN)) {
		ns_pkt_put(pkt);
		return -NS_EMSGSIZE;
	}
	if (len + hdr > mtu && !pkt->gso_type) {
		if (!df && (v4 || mtu >= IP6_MIN_MTU))
			return fragment(ns, &a, pkt, id);
		ns_pkt_put(pkt);
		return -NS_EMSGSIZE;
	}
	if (pkt->gso_type)
		pkt->gso_hdr_len += (uint16_t)hdr;
	ns_ip_header(ns_pkt_push(pkt, hdr), a.src, daddr, proto, a.ttl, tos, len, df, (uint16_t)id);
	ns_output(ns, dst, pkt);
	return 0;
}
