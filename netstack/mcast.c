/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multicast membership: IGMPv3 and MLDv2 reports (RFC 3376, 3810), any-source joins only. A join is
 * reported twice; queries are answered after a random delay.
 */
#include "internal.h"

enum {
	IGMP_QUERY = 0x11,
	IGMP_V3_REPORT = 0x22,
	MLD_V2_REPORT = 143,
	REC_IS_EXCLUDE = 2,
	REC_TO_INCLUDE = 3,
	REC_TO_EXCLUDE = 4,
};

#define REPORT_INTERVAL NS_SEC

static const struct ns_addr v2_routers = {{{0xff, 2, [15] = 0x16}}};

/* Groups everybody is in, never reported. */
static bool all_hosts(const struct ns_addr *g)
{
	static const struct ns_addr all6 = {{{0xff, 2, [15] = 1}}}, node6 = {{{0xff, 1, [15] = 1}}};
	struct ns_addr all4 = ns_ip4(224, 0, 0, 1);

	return ns_addr_eq(g, &all4) || ns_addr_eq(g, &all6) || ns_addr_eq(g, &node6);
}

static int find(const struct ns_if *nif, const struct ns_addr *g)
{
	for (int i = 0; i < MAX_GROUPS; i++)
		if (nif->groups[i].users && ns_addr_eq(&nif->groups[i].addr, g))
			return i;
	return -1;
}

bool ns_mcast_member(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *g)
{
	return all_hosts(g) || find(&ns->ifs[ifindex], g) >= 0;
}

static void report4(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group, uint8_t rec)
{
	struct ns_addr src = ns_ip4(0, 0, 0, 0), to = ns_ip4(224, 0, 0, 22);
	struct ns_dst dst = {.ifindex = ifindex, .next_hop = to, .mtu = if_mtu(ns, ifindex)};
	struct ns_pkt *p = ns_pkt_new(ns, 16, 0);
	uint8_t *h;

	if (!p)
		return;
	ns_source_address(ns, ifindex, &to, &src);
	h = ns_pkt_append(p, 16);
	memset(h, 0, 16);
	h[0] = IGMP_V3_REPORT;
	put16(h + 6, 1);
	h[8] = rec;
	memcpy(h + 12, group->b + 12, 4);
	put_csum(h + 2, ns_csum_fold(ns_csum_add(0, h, 16)));
	/* IP header with the router alert option. */
	h = ns_pkt_push(p, IP4_HLEN + 4);
	ns_ip_header(h, &src, &to, NS_PROTO_IGMP, 1, 0xc0, 20, true, 0);
	h[0] = 0x46;
	put32(h + 20, 0x94040000);
	put16(h + 10, 0);
	put_csum(h + 10, ns_csum_fold(ns_csum_add(0, h, 24)));
	ns_output(ns, &dst, p);
}

static void report6(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group, uint8_t rec)
{
	struct ns_addr src = {{{0}}};
	struct ns_pkt *p = ns_pkt_new(ns, 28, 0);
	uint8_t *h;

	if (!p)
		return;
	if (ns_source_address(ns, ifindex, &v2_routers, &src) && !ns_addr_is_linklocal(&src))
		memset(&src, 0, sizeof src); /* RFC 3590: link-local or unspecified */
	h = ns_pkt_append(p, 28);
	memset(h, 0, 28);
	h[0] = MLD_V2_REPORT;
	put16(h + 6, 1);
	h[8] = rec;
	memcpy(h + 12, group->b, 16);
	ns_icmp6_output(ns, ifindex, &src, &v2_routers, 1, true, p);
}

static void report(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group, uint8_t rec)
{
	if ((ns->ifs[ifindex].flags & (NS_IF_LOOPBACK | NS_IF_UP)) != NS_IF_UP)
		return;
	if (ns_addr_is_v4(group))
		report4(ns, ifindex, group, rec);
	else
		report6(ns, ifindex, group, rec);
}

int ns_mcast_join(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group)
{
	struct ns_if *nif = &ns->ifs[ifindex];
	int i;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	if (!ns_addr_is_multicast(group))
		return -NS_EINVAL;
	if (all_hosts(group))
		return 0;
	i = find(nif, group);
	if (i >= 0) {
		nif->groups[i].users++;
		return 0;
	}
	for (i = 0; i < MAX_GROUPS && nif->groups[i].users; i++)
		;
	if (i == MAX_GROUPS)
		return -NS_ENOBUFS;
	nif->groups[i].addr = *group;
	nif->groups[i].users = 1;
	nif->groups[i].reports_left = 1;
	nif->groups[i].report_at = ns_now(ns) + REPORT_INTERVAL;
	report(ns, ifindex, group, REC_TO_EXCLUDE);
	ns_arm(ns, nif->groups[i].report_at);
	return 0;
}

int ns_mcast_leave(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group)
{
	struct ns_if *nif = &ns->ifs[ifindex];
	int i;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	if (all_hosts(group))
		return 0;
	i = find(nif, group);
	if (i < 0)
		return -NS_EADDRNOTAVAIL;
	if (--nif->groups[i].users == 0)
		report(ns, ifindex, group, REC_TO_INCLUDE);
	return 0;
}

/* Answer a query for one group, or all (group unspecified), within max_delay. */
static void schedule(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group, bool v6,
    uint64_t max_delay)
{
	struct ns_if *nif = &ns->ifs[ifindex];

	for (int i = 0; i < MAX_GROUPS; i++) {
		uint64_t at;

		if (!nif->groups[i].users || ns_addr_is_v4(&nif->groups[i].addr) == v6 ||
		    (!ns_addr_is_any(group) && !ns_addr_eq(group, &nif->groups[i].addr)))
			continue;
		at = ns_now(ns) + ns_random32(ns) % NS_MAX(max_delay, NS_MS);
		if (!nif->groups[i].reports_left || at < nif->groups[i].report_at)
			nif->groups[i].report_at = at;
		if (!nif->groups[i].reports_left)
			nif->groups[i].reports_left = 1;
		ns_arm(ns, nif->groups[i].report_at);
	}
}

void ns_igmp_input(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data), n = pkt->tot_len - off;
	const uint8_t *h = pkt->data + off;

	(void)flow;
	if (n >= 8 && pkt->len >= off + 8 && ns_csum_fold(ns_pkt_csum(pkt, off, n, 0)) == 0 &&
	    h[0] == IGMP_QUERY) {
		struct ns_addr g = ns_addr_v4(h + 4);
		uint64_t tenths =
		    h[1] < 128 ? h[1] : (uint64_t)((h[1] & 15) | 16) << ((h[1] >> 4 & 7) + 3);

		schedule(ns, pkt->ifindex, &g, false, (tenths ? tenths : 100) * 100 * NS_MS);
	}
	ns_pkt_put(pkt);
}

void ns_mld_query(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	const uint8_t *h = pkt->data + off;
	struct ns_addr g;

	if (pkt->len < off + 24 || pkt->ttl != 1 || !ns_addr_is_linklocal(&flow->remote))
		return;
	g = ns_addr_v6(h + 8);
	schedule(ns, pkt->ifindex, &g, true, NS_MIN(get16(h + 4), 32767) * NS_MS);
}

uint64_t ns_mcast_timer(struct ns_instance *ns, uint64_t now)
{
	uint64_t next = 0;

	for (uint32_t k = NS_LOOPBACK_IF + 1; k <= NS_MAX_IFS; k++)
		for (int i = 0; i < MAX_GROUPS; i++) {
			struct ns_if *nif = &ns->ifs[k];

			if (!nif->used || !nif->groups[i].users || !nif->groups[i].reports_left)
				continue;
			if (nif->groups[i].report_at <= now) {
				nif->groups[i].reports_left--;
				report(ns, k, &nif->groups[i].addr, REC_IS_EXCLUDE);
			} else if (!next || nif->groups[i].report_at < next) {
				next = nif->groups[i].report_at;
			}
		}
	return next;
}
