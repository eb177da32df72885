/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 extension headers and the hand-over from IP to the transports. */
#include "internal.h"

/* TLV options of hop-by-hop and destination headers (RFC 8200 4.2). 0, -EINVAL (drop) or -EPROTO
 * (drop and report). */
static int check_options(const uint8_t *p, uint32_t n)
{
	uint32_t i = 2;

	while (i < n) {
		uint8_t type = p[i];

		if (type == 0) {
			i++;
			continue;
		}
		if (i + 2 > n || i + 2 + p[i + 1] > n)
			return -NS_EINVAL;
		if (type != 1 && type != 5 && type >> 6) /* not Pad1, PadN, router alert */
			return type >> 6 == 1 ? -NS_EINVAL : -NS_EPROTO;
		i += 2u + p[i + 1];
	}
	return 0;
}

int ns_ip6_walk(const struct ns_pkt *pkt, uint32_t *off, int *next)
{
	const uint8_t *l3 = pkt->head + pkt->l3_off;
	uint32_t avail = (uint32_t)(pkt->data + pkt->len - l3);

	for (int headers = 0; headers < 8; headers++) {
		const uint8_t *p = l3 + *off;
		uint32_t n;
		int r;

		switch (*next) {
		case IPX_HOPOPT:
		case IPX_DSTOPT:
		case IPX_ROUTING:
			if (*off + 8 > avail)
				return -NS_EINVAL;
			n = ((uint32_t)p[1] + 1) * 8;
			if (*off + n > avail || (*next == IPX_HOPOPT && *off != IP6_HLEN))
				return -NS_EINVAL;
			if (*next == IPX_ROUTING) {
				if (p[3]) /* segments left: we are no router */
					return -NS_EPROTO;
			} else if ((r = check_options(p, n))) {
				return r;
			}
			*next = p[0];
			*off += n;
			break;
		case IPX_FRAGMENT:
			return *off + 8 > avail ? -NS_EINVAL : IPX_FRAGMENT;
		case IPX_NONE:
			return -NS_EINVAL;
		default:
			return *next;
		}
	}
	return -NS_EINVAL;
}

/* Ports and payload offset for TCP and UDP found behind extension headers or reassembled. */
static bool parse_ports(struct ns_pkt *pkt, struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data), n = pkt->tot_len - off;
	uint32_t hlen = flow->proto == NS_PROTO_TCP ? TCP_HLEN : UDP_HLEN;
	const uint8_t *h;

	if (off > pkt->tot_len || n < hlen || !ns_pkt_linearize(pkt, off + hlen))
		return false;
	h = pkt->data + off;
	if (flow->proto == NS_PROTO_TCP) {
		hlen = (uint32_t)(h[12] >> 4) * 4;
		if (hlen < TCP_HLEN || n < hlen || !ns_pkt_linearize(pkt, off + hlen))
			return false;
		h = pkt->data + off;
	} else if (get16(h + 4) < UDP_HLEN || get16(h + 4) > n) {
		return false;
	}
	flow->rport = get16(h);
	flow->lport = get16(h + 2);
	pkt->payload_off = (uint16_t)(pkt->l4_off + hlen);
	return true;
}

void ns_transport_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	if (flow->proto == NS_PROTO_TCP || flow->proto == NS_PROTO_UDP) {
		if (!pkt->payload_off && !parse_ports(pkt, flow)) {
			if (flow->proto == NS_PROTO_TCP)
				NS_COUNT(ns, tcp_in_err);
			else
				NS_COUNT(ns, udp_in_err);
			ns_pkt_put(pkt);
			return;
		}
		if (flow->proto == NS_PROTO_UDP)
			ns_udp_input(ns, pkt, flow);
		else
			ns_tcp_slow_input(ns, pkt, flow);
		return;
	}
	if (flow->proto == NS_PROTO_ICMP && !flow->v6) {
		ns_icmp4_input(ns, pkt, flow);
	} else if (flow->proto == NS_PROTO_ICMPV6 && flow->v6) {
		ns_icmp6_input(ns, pkt, flow);
	} else if (flow->proto == NS_PROTO_IGMP && !flow->v6) {
		if (ns->ops->raw_input)
			ns->ops->raw_input(ns->ctx, flow, pkt);
		ns_igmp_input(ns, pkt, flow);
	} else {
		if (!ns->ops->raw_input || !ns->ops->raw_input(ns->ctx, flow, pkt)) {
			NS_COUNT(ns, ip_in_unknown_proto);
			ns_icmp_send_error(ns, pkt, flow, NS_ICMP_PROTO_UNREACH, 0);
		}
		ns_pkt_put(pkt);
	}
}
