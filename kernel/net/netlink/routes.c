/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RTM_*ROUTE. The engine has one table; what it knows without entries (the machine's own addresses,
 * broadcasts) is listed as Linux's table "local".
 */
#include <asm/errno.h>
#include <linux/rtnetlink.h>
#include "lib/string.h"
#include "net/inet/links.h"
#include "net/netlink/netlink.h"

static void put_common(struct nl_message *m, struct rtmsg *h, bool v4, unsigned table,
    unsigned type, unsigned scope, unsigned protocol)
{
	h->rtm_family = v4 ? AF_INET : AF_INET6;
	h->rtm_table = (uint8_t)table;
	h->rtm_type = (uint8_t)type;
	h->rtm_scope = (uint8_t)(v4 ? scope : RT_SCOPE_UNIVERSE);
	h->rtm_protocol = (uint8_t)protocol;
	nl_put_u32(m, RTA_TABLE, table);
}

static unsigned protocol_of(const struct ns_route *rt)
{
	switch (rt->origin) {
	case NS_ORIGIN_DHCP:
		return RTPROT_DHCP;
	case NS_ORIGIN_RA:
		return RTPROT_RA;
	case NS_ORIGIN_KERNEL:
		return RTPROT_KERNEL;
	}
	return RTPROT_BOOT;
}

static bool local_table(const struct ns_route *rt)
{
	return !rt->v6 && rt->ifindex == NS_LOOPBACK_IF && rt->origin == NS_ORIGIN_KERNEL;
}

static uint32_t metric_of(const struct ns_route *rt)
{
	if (rt->metric || !rt->v6)
		return rt->metric;
	return rt->origin == NS_ORIGIN_KERNEL ? 256 : 1024;
}

void rtnl_route_fill(struct nl_message *m, void *head, const struct ns_route *rt)
{
	bool v4 = !rt->v6, direct = ns_addr_is_any(&rt->gateway), local = local_table(rt);
	struct rtmsg *h = head;

	put_common(m, h, v4, local ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
	    rt->reject ? RTN_UNREACHABLE
	    : local    ? RTN_LOCAL
		       : RTN_UNICAST,
	    local		    ? RT_SCOPE_HOST
	    : direct && !rt->reject ? RT_SCOPE_LINK
				    : RT_SCOPE_UNIVERSE,
	    protocol_of(rt));
	h->rtm_dst_len = rt->plen;
	if (rt->plen)
		nl_put_addr(m, RTA_DST, &rt->dst);
	if (!direct)
		nl_put_addr(m, RTA_GATEWAY, &rt->gateway);
	if (!ns_addr_is_any(&rt->prefsrc))
		nl_put_addr(m, RTA_PREFSRC, &rt->prefsrc);
	if (!rt->reject || rt->v6)
		nl_put_u32(m, RTA_OIF, rt->ifindex);
	if (metric_of(rt))
		nl_put_u32(m, RTA_PRIORITY, metric_of(rt));
	if (rt->mtu) {
		size_t at = nl_nest(m, RTA_METRICS);
		nl_put_u32(m, RTAX_MTU, rt->mtu);
		nl_nest_end(m, at);
	}
	if (rt->v6) {
		struct rta_cacheinfo c = {0};
		nl_put(m, RTA_CACHEINFO, &c, sizeof c);
		nl_put_u8(m, RTA_PREF, 0);
	}
}

/* One entry of the table "local". */
static bool answer_own(struct nl_request *r, const struct ns_ifaddr *a, const struct ns_addr *dst,
    uint32_t ifindex, unsigned type)
{
	bool v4 = ns_addr_is_v4(dst);
	struct rtmsg *h = nl_answer(r, RTM_NEWROUTE, sizeof *h);

	put_common(r->m, h, v4, RT_TABLE_LOCAL, type,
	    type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK, RTPROT_KERNEL);
	h->rtm_dst_len = v4 ? 32 : 128;
	nl_put_addr(r->m, RTA_DST, dst);
	if (v4)
		nl_put_addr(r->m, RTA_PREFSRC, &a->addr);
	nl_put_u32(r->m, RTA_OIF, ifindex);
	if (!v4)
		nl_put_u32(r->m, RTA_PRIORITY, 0);
	return nl_answer_done(r);
}

static bool answer_own_routes(struct nl_request *r, bool v6)
{
	struct ns_if_info info;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		if (ns_if_get(inet.ns, i, &info) || !(info.flags & NS_IF_UP))
			continue;
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
			const struct ns_ifaddr *a = &info.addrs[k];
			if (!a->state || a->state == NS_ADDR_TENTATIVE ||
			    ns_addr_is_v4(&a->addr) == v6)
				continue;
			if (!answer_own(r, a, &a->addr, i, RTN_LOCAL))
				return false;
			if (!v6 && !ns_addr_is_any(&a->broadcast) &&
			    !answer_own(r, a, &a->broadcast, i, RTN_BROADCAST))
				return false;
		}
	}
	return true;
}

static bool is_up(uint32_t ifindex)
{
	struct ns_if_info info;

	return !ns_if_get(inet.ns, ifindex, &info) && info.flags & NS_IF_UP;
}

static int list_routes(struct nl_request *r)
{
	const struct rtmsg *h = r->body;
	int family = r->len ? *(const uint8_t *)r->body : AF_UNSPEC;
	const struct nlattr *at[RTA_MAX + 1] = {NULL};
	uint32_t table = 0, oif = 0;
	struct ns_route rt;
	int err = 0;

	if (r->from->strict && r->len >= sizeof *h) {
		if (nl_attributes(h + 1, r->len - sizeof *h, at, RTA_MAX))
			return -EINVAL;
		table = nl_u32(at[RTA_TABLE], h->rtm_table, &err);
		oif = nl_u32(at[RTA_OIF], 0, &err);
	}
	for (int v6 = 0; v6 < 2 && !err; v6++) {
		if (family != AF_UNSPEC && family != (v6 ? AF_INET6 : AF_INET))
			continue;
		for (unsigned i = 0; ns_route_get(inet.ns, i, &rt); i++) {
			unsigned of = local_table(&rt) ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
			if (rt.v6 != v6 || (table && table != of) || (oif && oif != rt.ifindex) ||
			    !is_up(rt.ifindex))
				continue;
			void *head = nl_answer(r, RTM_NEWROUTE, sizeof *h);
			rtnl_route_fill(r->m, head, &rt);
			if (!nl_answer_done(r))
				return 0;
		}
		if ((!table || table == RT_TABLE_LOCAL) && !oif && !answer_own_routes(r, v6))
			return 0;
	}
	return err;
}

/* "ip route get": where a packet would go. */
static int lookup(struct nl_request *r)
{
	const struct nlattr *at[RTA_MAX + 1];
	const struct rtmsg *q = r->body;
	struct ns_dst d;
	int err = 0;

	if (r->len < sizeof *q || nl_attributes(q + 1, r->len - sizeof *q, at, RTA_MAX))
		return -EINVAL;
	if (q->rtm_family != AF_INET && q->rtm_family != AF_INET6)
		return -EOPNOTSUPP;
	struct ns_addr dst = nl_addr(at[RTA_DST], q->rtm_family, &err);
	struct ns_addr src = nl_addr(at[RTA_SRC], q->rtm_family, &err);
	uint32_t oif = nl_u32(at[RTA_OIF], 0, &err);
	if (err || !at[RTA_DST])
		return -EINVAL;
	err = ns_route_lookup(inet.ns, &dst, at[RTA_SRC] ? &src : NULL, oif, &d);
	if (err)
		return err;
	bool v4 = q->rtm_family == AF_INET;
	struct rtmsg *h = nl_answer(r, RTM_NEWROUTE, sizeof *h);
	put_common(r->m, h, v4, d.local ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
	    d.local			 ? RTN_LOCAL
	    : d.broadcast		 ? RTN_BROADCAST
	    : ns_addr_is_multicast(&dst) ? RTN_MULTICAST
					 : RTN_UNICAST,
	    RT_SCOPE_UNIVERSE, RTPROT_UNSPEC);
	h->rtm_flags = RTM_F_CLONED;
	h->rtm_dst_len = v4 ? 32 : 128;
	nl_put_addr(r->m, RTA_DST, &dst);
	if (!ns_addr_eq(&d.next_hop, &dst))
		nl_put_addr(r->m, RTA_GATEWAY, &d.next_hop);
	nl_put_u32(r->m, RTA_OIF, d.ifindex);
	if (!ns_addr_is_any(&d.src))
		nl_put_addr(r->m, RTA_PREFSRC, &d.src);
	nl_put_u32(r->m, RTA_UID, 0);
	nl_answer_done(r);
	return 0;
}

int rtnl_route_get(struct nl_request *r)
{
	return r->dumping ? list_routes(r) : lookup(r);
}

/* The route that a request describes. */
static int parse_route(const struct nl_request *r, struct ns_route *rt)
{
	const struct nlattr *at[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	const struct rtmsg *h = r->body;
	int err = 0;

	if (r->len < sizeof *h || nl_attributes(h + 1, r->len - sizeof *h, at, RTA_MAX))
		return -EINVAL;
	if (h->rtm_family != AF_INET && h->rtm_family != AF_INET6)
		return -EOPNOTSUPP;
	uint32_t table = nl_u32(at[RTA_TABLE], h->rtm_table, &err);
	if ((table != RT_TABLE_MAIN && table != RT_TABLE_UNSPEC) || at[RTA_MULTIPATH] ||
	    at[RTA_VIA] || at[RTA_ENCAP] || h->rtm_src_len)
		return -EOPNOTSUPP;
	*rt = (struct ns_route){.v6 = h->rtm_family == AF_INET6,
	    .plen = h->rtm_dst_len,
	    .reject = h->rtm_type == RTN_UNREACHABLE || h->rtm_type == RTN_BLACKHOLE ||
		      h->rtm_type == RTN_PROHIBIT,
	    .dst = nl_addr(at[RTA_DST], h->rtm_family, &err),
	    .gateway = nl_addr(at[RTA_GATEWAY], h->rtm_family, &err),
	    .prefsrc = nl_addr(at[RTA_PREFSRC], h->rtm_family, &err),
	    .ifindex = nl_u32(at[RTA_OIF], 0, &err),
	    .metric = nl_u32(at[RTA_PRIORITY], 0, &err),
	    .origin = h->rtm_protocol == RTPROT_DHCP ? NS_ORIGIN_DHCP : NS_ORIGIN_STATIC};
	if (!rt->reject && h->rtm_type > RTN_UNICAST)
		return -EOPNOTSUPP;
	if (at[RTA_METRICS]) {
		if (nl_attributes(
			nl_data(at[RTA_METRICS]), nl_len(at[RTA_METRICS]), metrics, RTAX_MAX))
			return -EINVAL;
		rt->mtu = nl_u32(metrics[RTAX_MTU], 0, &err);
	}
	return rt->ifindex > NS_MAX_IFS ? -ENODEV : err;
}

/* The interface of a new route that names only its gateway. */
static int choose_interface(struct ns_route *rt)
{
	struct ns_dst d;

	if (rt->ifindex)
		return 0;
	if (rt->reject) {
		rt->ifindex = NS_LOOPBACK_IF;
		return 0;
	}
	if (ns_addr_is_any(&rt->gateway))
		return -ENODEV;
	if (ns_route_lookup(inet.ns, &rt->gateway, NULL, 0, &d))
		return -ENETUNREACH;
	rt->ifindex = d.ifindex;
	return 0;
}

/* Another route to the same destination: what adding without NLM_F_APPEND must not meet. */
static bool find_equal(const struct ns_route *rt, struct ns_route *found)
{
	for (unsigned i = 0; ns_route_get(inet.ns, i, found); i++)
		if (found->v6 == rt->v6 && found->plen == rt->plen && found->metric == rt->metric &&
		    ns_addr_match(&rt->dst, &found->dst, rt->plen + (rt->v6 ? 0u : 96u)))
			return true;
	return false;
}

int rtnl_route_change(struct nl_request *r, bool add)
{
	unsigned flags = r->h->nlmsg_flags;
	struct ns_route rt, old;
	int err = parse_route(r, &rt);

	if (err)
		return err;
	inet_lock();
	if (!add) {
		/* Linux' metric of an IPv6 route without one is listed, but not stored. */
		err = ns_route_del(inet.ns, &rt);
		if (err == -ESRCH && rt.v6 && (rt.metric == 1024 || rt.metric == 256)) {
			rt.metric = 0;
			err = ns_route_del(inet.ns, &rt);
		}
	} else {
		err = choose_interface(&rt);
		bool there = !err && find_equal(&rt, &old);
		if (there && flags & NLM_F_EXCL)
			err = -EEXIST;
		else if (!err && !there && flags & NLM_F_REPLACE && !(flags & NLM_F_CREATE))
			err = -ENOENT;
		if (!err && there && flags & NLM_F_REPLACE)
			ns_route_del(inet.ns, &old);
		if (!err)
			err = ns_route_add(inet.ns, &rt);
		if (err && there && flags & NLM_F_REPLACE && err != -EEXIST)
			ns_route_add(inet.ns, &old); /* as it was */
	}
	inet_unlock();
	rtnl_changed();
	return err;
}
