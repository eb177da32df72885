/* SPDX-License-Identifier: BSD-3-Clause */
/* RTM_*ADDR: addresses of interfaces. */
#include <asm/errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include "net/inet/links.h"
#include "net/netlink/netlink.h"
#include "sched/timer.h"

static uint8_t scope_of(const struct ns_addr *a)
{
	return ns_addr_is_loopback(a)	 ? RT_SCOPE_HOST
	       : ns_addr_is_linklocal(a) ? RT_SCOPE_LINK
					 : RT_SCOPE_UNIVERSE;
}

/* Seconds left of a lifetime, as programs see it. */
static uint32_t seconds_left(uint64_t until)
{
	int64_t left = (int64_t)until - time_now();

	return !until ? ~0u : left <= 0 ? 0 : (uint32_t)MIN(left / NSEC_PER_SEC, 0xfffffffell);
}

void rtnl_addr_fill(struct nl_message *m, void *head, uint32_t ifindex, const struct ns_ifaddr *a)
{
	bool v4 = ns_addr_is_v4(&a->addr);
	struct ifaddrmsg *h = head;
	struct ifa_cacheinfo c = {
	    seconds_left(a->preferred_until), seconds_left(a->valid_until), 0, 0};
	uint32_t flags = a->valid_until ? 0 : IFA_F_PERMANENT;
	struct ns_if_info info;

	if (a->state == NS_ADDR_TENTATIVE)
		flags |= IFA_F_TENTATIVE;
	if (a->state == NS_ADDR_DEPRECATED)
		flags |= IFA_F_DEPRECATED;
	h->ifa_family = v4 ? AF_INET : AF_INET6;
	h->ifa_prefixlen = a->plen;
	h->ifa_flags = (uint8_t)flags;
	h->ifa_scope = scope_of(&a->addr);
	h->ifa_index = ifindex;
	nl_put_addr(m, IFA_ADDRESS, &a->addr);
	if (v4) {
		nl_put_addr(m, IFA_LOCAL, &a->addr);
		if (!ns_addr_is_any(&a->broadcast))
			nl_put_addr(m, IFA_BROADCAST, &a->broadcast);
		if (!ns_if_get(inet.ns, ifindex, &info))
			nl_put_string(m, IFA_LABEL, info.name);
	}
	nl_put_u32(m, IFA_FLAGS, flags);
	nl_put(m, IFA_CACHEINFO, &c, sizeof c);
}

int rtnl_addr_get(struct nl_request *r)
{
	const struct ifaddrmsg *h = r->body;
	int family = r->len ? *(const uint8_t *)r->body : AF_UNSPEC;
	uint32_t only = r->from->strict && r->len >= sizeof *h ? h->ifa_index : 0;
	struct ns_if_info info;

	if (!r->dumping)
		return -EOPNOTSUPP;
	/* IPv4 first, as Linux lists them. */
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
			if ((family != AF_UNSPEC && family != (v6 ? AF_INET6 : AF_INET)) ||
			    (only && i != only) || ns_if_get(inet.ns, i, &info))
				continue;
			for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
				const struct ns_ifaddr *a = &info.addrs[k];
				if (!a->state || ns_addr_is_v4(&a->addr) == v6)
					continue;
				void *head = nl_answer(r, RTM_NEWADDR, sizeof *h);
				rtnl_addr_fill(r->m, head, i, a);
				if (!nl_answer_done(r))
					return 0;
			}
		}
	return 0;
}

int rtnl_addr_change(struct nl_request *r, bool add)
{
	const struct nlattr *at[IFA_MAX + 1];
	const struct ifaddrmsg *h = r->body;
	int err = 0;

	if (r->len < sizeof *h || nl_attributes(h + 1, r->len - sizeof *h, at, IFA_MAX))
		return -EINVAL;
	if (h->ifa_family != AF_INET && h->ifa_family != AF_INET6)
		return -EOPNOTSUPP;
	const struct nlattr *which = at[IFA_LOCAL] ? at[IFA_LOCAL] : at[IFA_ADDRESS];
	struct ns_addr a = nl_addr(which, h->ifa_family, &err);
	if (err || !which)
		return -EINVAL;
	if (!h->ifa_index || h->ifa_index > NS_MAX_IFS)
		return -ENODEV;
	inet_lock();
	if (add) {
		err = ns_if_addr_add(inet.ns, h->ifa_index, &a, h->ifa_prefixlen, NS_ORIGIN_STATIC);
		if (err == -EEXIST && r->h->nlmsg_flags & NLM_F_REPLACE)
			err = 0;
	} else {
		err = ns_if_addr_del(inet.ns, h->ifa_index, &a);
	}
	inet_unlock();
	rtnl_changed();
	return err;
}
