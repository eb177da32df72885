/* SPDX-License-Identifier: BSD-3-Clause */
/* NETLINK_ROUTE: which function answers which request; policy rules, which cannot be changed. */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include "net/netlink/netlink.h"
#include "proc/program.h"

enum { GET, NEW, DEL };

static const struct {
	uint16_t type;
	uint8_t what;
} kinds[] = {
    {RTM_NEWLINK, NEW},
    {RTM_SETLINK, NEW},
    {RTM_DELLINK, DEL},
    {RTM_GETLINK, GET},
    {RTM_NEWADDR, NEW},
    {RTM_DELADDR, DEL},
    {RTM_GETADDR, GET},
    {RTM_NEWROUTE, NEW},
    {RTM_DELROUTE, DEL},
    {RTM_GETROUTE, GET},
    {RTM_NEWNEIGH, NEW},
    {RTM_DELNEIGH, DEL},
    {RTM_GETNEIGH, GET},
    {RTM_GETRULE, GET},
};

static int get(struct nl_request *r)
{
	r->dumping = nl_is_dump(r);
	switch (r->h->nlmsg_type) {
	case RTM_GETLINK:
		return rtnl_link_get(r);
	case RTM_GETADDR:
		return rtnl_addr_get(r);
	case RTM_GETROUTE:
		return rtnl_route_get(r);
	case RTM_GETNEIGH:
		return rtnl_neigh_get(r);
	default:
		return rtnl_rule_get(r);
	}
}

static int change(struct nl_request *r, bool add)
{
	switch (r->h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_SETLINK:
		return rtnl_link_set(r);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return rtnl_addr_change(r, add);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return rtnl_route_change(r, add);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return rtnl_neigh_change(r, add);
	}
	return -EOPNOTSUPP;
}

int rtnl_request(struct nl_request *r)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].type != r->h->nlmsg_type)
			continue;
		if (kinds[i].what == GET)
			return get(r);
		if (!capable(CAP_NET_ADMIN))
			return -EPERM;
		return change(r, kinds[i].what == NEW);
	}
	return -EOPNOTSUPP;
}

/* The rules every Linux machine starts with, because the lookup works like that here. */
int rtnl_rule_get(struct nl_request *r)
{
	static const struct {
		uint32_t priority, table;
		uint8_t v4, v6;
	} rules[] = {{0, RT_TABLE_LOCAL, 1, 1}, {32766, RT_TABLE_MAIN, 1, 1},
	    {32767, RT_TABLE_DEFAULT, 1, 0}};
	int family = r->len ? *(const uint8_t *)r->body : AF_UNSPEC;

	if (!r->dumping)
		return -EOPNOTSUPP;
	for (int v6 = 0; v6 < 2; v6++) {
		if (family != AF_UNSPEC && family != (v6 ? AF_INET6 : AF_INET))
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
			if (!(v6 ? rules[i].v6 : rules[i].v4))
				continue;
			struct fib_rule_hdr *h = nl_answer(r, RTM_NEWRULE, sizeof *h);
			h->family = v6 ? AF_INET6 : AF_INET;
			h->table = (uint8_t)rules[i].table;
			h->action = FR_ACT_TO_TBL;
			nl_put_u32(r->m, FRA_TABLE, rules[i].table);
			nl_put_u32(r->m, FRA_SUPPRESS_PREFIXLEN, ~0u);
			nl_put_u8(r->m, FRA_PROTOCOL, RTPROT_KERNEL);
			if (rules[i].priority)
				nl_put_u32(r->m, FRA_PRIORITY, rules[i].priority);
			if (!nl_answer_done(r))
				return 0;
		}
	}
	return 0;
}
