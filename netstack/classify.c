/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive classification: the only code that runs for every packet before its owner is known. Looks
 * at link, IP and transport headers, never at payload, never at the instance.
 */
#include "internal.h"

static enum ns_class classify_l4(
    struct ns_pkt *pkt, struct ns_flow *flow, uint32_t l4, uint32_t end)
{
	/* l4 and end count from pkt->data; end is the end of the IP datagram. */
	uint32_t hlen = pkt->proto == NS_PROTO_TCP ? TCP_HLEN : UDP_HLEN;
	const uint8_t *h;

	pkt->l4_off = (uint16_t)(ns_pkt_headroom(pkt) + l4);
	flow->proto = pkt->proto;
	if (pkt->proto != NS_PROTO_TCP && pkt->proto != NS_PROTO_UDP)
		return NS_CLASS_SLOW;
	if (end - l4 < hlen || !ns_pkt_linearize(pkt, l4 + hlen))
		return NS_CLASS_DROP;
	h = pkt->data + l4;
	if (pkt->proto == NS_PROTO_TCP) {
		hlen = (uint32_t)(h[12] >> 4) * 4;
		if (hlen < TCP_HLEN || end - l4 < hlen || !ns_pkt_linearize(pkt, l4 + hlen))
			return NS_CLASS_DROP;
		h = pkt->data + l4;
	} else if (get16(h + 4) < UDP_HLEN || get16(h + 4) > end - l4) {
		return NS_CLASS_DROP;
	}
	flow->rport = get16(h);
	flow->lport = get16(h + 2);
	pkt->payload_off = (uint16_t)(pkt->l4_off + hlen);
	return pkt->proto == NS_PROTO_TCP ? NS_CLASS_TCP : NS_CLASS_UDP;
}

static void set_ecn(struct ns_pkt *pkt, uint8_t tos)
{
	pkt->tos = tos;
	if (tos & 3)
		pkt->flags |= NS_PKT_ECT;
	if ((tos & 3) == 3)
		pkt->flags |= NS_PKT_CE;
}

static enum ns_class classify_v4(struct ns_pkt *pkt, struct ns_flow *flow, uint32_t l3)
{
	const uint8_t *h;
	uint32_t hlen, total;

	if (pkt->tot_len - l3 < IP4_HLEN || !ns_pkt_linearize(pkt, l3 + IP4_HLEN))
		return NS_CLASS_DROP;
	h = pkt->data + l3;
	hlen = (uint32_t)(h[0] & 15) * 4;
	total = get16(h + 2);
	if (!total && pkt->gso_type)
		total = pkt->tot_len - l3; /* coalesced beyond what the field can say */
	if (h[0] >> 4 != 4 || hlen < IP4_HLEN || total < hlen || total > pkt->tot_len - l3)
		return NS_CLASS_DROP;
	if (!ns_pkt_linearize(pkt, l3 + hlen))
		return NS_CLASS_DROP;
	h = pkt->data + l3;
	if (!(pkt->flags & NS_PKT_LOOPBACK) && ns_csum_fold(ns_csum_add(0, h, hlen)) != 0)
		return NS_CLASS_DROP;
	ns_pkt_trim(pkt, l3 + total);
	flow->remote = ns_addr_v4(h + 12);
	flow->local = ns_addr_v4(h + 16);
	pkt->proto = h[9];
	pkt->ttl = h[8];
	set_ecn(pkt, h[1]);
	if (get16(h + 6) & 0x3fff) { /* more fragments, or not the first */
		pkt->flags |= NS_PKT_FRAGMENT;
		pkt->l4_off = (uint16_t)(pkt->l3_off + hlen);
		flow->proto = pkt->proto;
		return NS_CLASS_SLOW;
	}
	return classify_l4(pkt, flow, l3 + hlen, l3 + total);
}

static enum ns_class classify_v6(struct ns_pkt *pkt, struct ns_flow *flow, uint32_t l3)
{
	const uint8_t *h;
	uint32_t payload;

	if (pkt->tot_len - l3 < IP6_HLEN || !ns_pkt_linearize(pkt, l3 + IP6_HLEN))
		return NS_CLASS_DROP;
	h = pkt->data + l3;
	payload = get16(h + 4);
	if (!payload && pkt->gso_type)
		payload = pkt->tot_len - l3 - IP6_HLEN;
	if (h[0] >> 4 != 6 || payload > pkt->tot_len - l3 - IP6_HLEN)
		return NS_CLASS_DROP;
	ns_pkt_trim(pkt, l3 + IP6_HLEN + payload);
	h = pkt->data + l3;
	pkt->flags |= NS_PKT_V6;
	flow->v6 = 1;
	flow->remote = ns_addr_v6(h + 8);
	flow->local = ns_addr_v6(h + 24);
	/* A mapped address on the wire would be confused with IPv4 inside. */
	if (ns_addr_is_v4(&flow->remote) || ns_addr_is_v4(&flow->local))
		return NS_CLASS_DROP;
	pkt->proto = h[6];
	pkt->ttl = h[7];
	set_ecn(pkt, (uint8_t)(h[0] << 4 | h[1] >> 4));
	return classify_l4(pkt, flow, l3 + IP6_HLEN, l3 + IP6_HLEN + payload);
}

enum ns_class ns_classify(struct ns_pkt *pkt, struct ns_flow *flow)
{
	uint32_t l3 = 0;
	uint16_t type;

	memset(flow, 0, sizeof *flow);
	flow->ifindex = pkt->ifindex;
	pkt->flags &= ~(uint32_t)(NS_PKT_V6 | NS_PKT_FRAGMENT | NS_PKT_CE | NS_PKT_ECT);
	pkt->l3_off = pkt->l4_off = pkt->payload_off = 0;
	/* Gather the headers in one go while offsets may still move. */
	if (pkt->nfrags && pkt->len < 128)
		ns_pkt_linearize(pkt, NS_MIN(128u, pkt->tot_len));
	if (pkt->flags & NS_PKT_NO_ETH) {
		if (pkt->len < 1)
			return NS_CLASS_DROP;
		type = pkt->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	} else {
		if (pkt->len < ETH_HLEN)
			return NS_CLASS_DROP;
		type = get16(pkt->data + 12);
		l3 = ETH_HLEN;
		if (pkt->data[0] & 1)
			pkt->flags |= NS_PKT_LLCAST;
	}
	pkt->l3_off = (uint16_t)(ns_pkt_headroom(pkt) + l3);
	switch (type) {
	case ETH_P_IP:
		return classify_v4(pkt, flow, l3);
	case ETH_P_IPV6:
		return classify_v6(pkt, flow, l3);
	case ETH_P_ARP:
		flow->proto = 0;
		pkt->proto = 0;
		return NS_CLASS_SLOW;
	default:
		return NS_CLASS_DROP;
	}
}
