/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP for Ethernet and IPv4 (RFC 826, 5227). */
#include "internal.h"

enum { ARP_LEN = 28, ARP_REQUEST = 1, ARP_REPLY = 2 };

static void send(struct ns_instance *ns, uint32_t ifindex, const uint8_t *eth_dst, uint16_t op,
    const struct ns_addr *src, const struct ns_addr *target, const uint8_t *target_mac)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct ns_pkt *p;
	uint8_t *a;

	if (ns->ifs[ifindex].flags & (NS_IF_LOOPBACK | NS_IF_RAW))
		return;
	p = ns_pkt_new(ns, ARP_LEN, 0);
	if (!p)
		return;
	a = ns_pkt_append(p, ARP_LEN);
	put16(a, 1);
	put16(a + 2, ETH_P_IP);
	a[4] = 6;
	a[5] = 4;
	put16(a + 6, op);
	memcpy(a + 8, ns->ifs[ifindex].mac, 6);
	memcpy(a + 14, src->b + 12, 4);
	memset(a + 18, 0, 6);
	if (target_mac)
		memcpy(a + 18, target_mac, 6);
	memcpy(a + 24, target->b + 12, 4);
	NS_COUNT(ns, arp_out);
	ns_link_output(ns, ifindex, eth_dst ? eth_dst : broadcast, ETH_P_ARP, p);
}

void ns_arp_request(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *target, const uint8_t *mac)
{
	struct ns_addr src = ns_ip4(0, 0, 0, 0);

	ns_source_address(ns, ifindex, target, &src);
	send(ns, ifindex, mac, ARP_REQUEST, &src, target, NULL);
}

void ns_arp_announce(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	send(ns, ifindex, NULL, ARP_REQUEST, addr, addr, NULL);
}

void ns_arp_input(struct ns_instance *ns, struct ns_pkt *pkt)
{
	const uint8_t *a = pkt->data + ETH_HLEN;
	struct ns_addr sender, target;
	struct ns_ifaddr *mine;
	uint16_t op;

	NS_COUNT(ns, arp_in);
	if (pkt->tot_len < ETH_HLEN + ARP_LEN || !ns_pkt_linearize(pkt, ETH_HLEN + ARP_LEN))
		goto bad;
	if (get16(a) != 1 || get16(a + 2) != ETH_P_IP || a[4] != 6 || a[5] != 4)
		goto bad;
	op = get16(a + 6);
	sender = ns_addr_v4(a + 14);
	target = ns_addr_v4(a + 24);
	if ((op != ARP_REQUEST && op != ARP_REPLY) || (a[8] & 1) || ns_addr_is_multicast(&sender) ||
	    ns_addr_is_loopback(&sender))
		goto bad;
	if (ns_ifaddr_find(ns, pkt->ifindex, &sender)) {
		if (memcmp(a + 8, ns->ifs[pkt->ifindex].mac, 6) != 0 &&
		    ns_bucket_take(&ns->log_bucket, ns_now(ns), LOG_RATE))
			ns_log(ns, NS_LOG_WARN, "arp: another host uses our address", &sender,
			    pkt->ifindex);
		goto out;
	}
	mine = ns_ifaddr_find(ns, pkt->ifindex, &target);
	if (!ns_addr_is_any(&sender) && ns_route_onlink(ns, pkt->ifindex, &sender))
		ns_neigh_learn(ns, pkt->ifindex, &sender, a + 8, op == ARP_REPLY && mine, true,
		    op == ARP_REQUEST && mine, -1);
	if (op == ARP_REQUEST && mine)
		send(ns, pkt->ifindex, a + 8, ARP_REPLY, &target, &sender, a + 8);
	goto out;
bad:
	NS_COUNT(ns, arp_in_err);
out:
	ns_pkt_put(pkt);
}
