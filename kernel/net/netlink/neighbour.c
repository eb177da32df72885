/* SPDX-License-Identifier: BSD-3-Clause */
/* RTM_*NEIGH: what is known about neighbours' link addresses. */
#include <asm/errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "net/inet/links.h"
#include "net/netlink/netlink.h"

void rtnl_neigh_fill(struct nl_message *m, void *head, const struct ns_neigh_info *n)
{
	static const uint16_t states[] = {[NS_NEIGH_INCOMPLETE] = NUD_INCOMPLETE,
	    [NS_NEIGH_REACHABLE] = NUD_REACHABLE,
	    [NS_NEIGH_STALE] = NUD_STALE,
	    [NS_NEIGH_PROBE] = NUD_PROBE,
	    [NS_NEIGH_FAILED] = NUD_FAILED,
	    [NS_NEIGH_PERMANENT] = NUD_PERMANENT};
	struct ndmsg *h = head;
	bool known = n->state != NS_NEIGH_INCOMPLETE && n->state != NS_NEIGH_FAILED;

	h->ndm_family = ns_addr_is_v4(&n->addr) ? AF_INET : AF_INET6;
	h->ndm_ifindex = (int)n->ifindex;
	h->ndm_state = n->state < ARRAY_SIZE(states) ? states[n->state] : NUD_NONE;
	h->ndm_flags = n->router ? NTF_ROUTER : 0;
	h->ndm_type = RTN_UNICAST;
	nl_put_addr(m, NDA_DST, &n->addr);
	if (known)
		nl_put(m, NDA_LLADDR, n->mac, sizeof n->mac);
}

int rtnl_neigh_get(struct nl_request *r)
{
	const struct ndmsg *h = r->body;
	int family = r->len ? *(const uint8_t *)r->body : AF_UNSPEC;
	uint32_t only = r->from->strict && r->len >= sizeof *h ? (uint32_t)h->ndm_ifindex : 0;
	struct ns_neigh_info n;
	bool more = true;

	if (!r->dumping)
		return -EOPNOTSUPP;
	for (unsigned i = 0; more; i++) {
		if (!ns_neigh_get(inet.ns, i, &n, &more) || !more)
			continue;
		if ((only && n.ifindex != only) ||
		    (family != AF_UNSPEC &&
			family != (ns_addr_is_v4(&n.addr) ? AF_INET : AF_INET6)))
			continue;
		void *head = nl_answer(r, RTM_NEWNEIGH, sizeof *h);
		rtnl_neigh_fill(r->m, head, &n);
		if (!nl_answer_done(r))
			break;
	}
	return 0;
}

int rtnl_neigh_change(struct nl_request *r, bool add)
{
	const struct nlattr *at[NDA_MAX + 1];
	const struct ndmsg *h = r->body;
	struct ns_if_info info;
	int err = 0;

	if (r->len < sizeof *h || nl_attributes(h + 1, r->len - sizeof *h, at, NDA_MAX))
		return -EINVAL;
	if (h->ndm_family != AF_INET && h->ndm_family != AF_INET6)
		return -EOPNOTSUPP;
	struct ns_addr a = nl_addr(at[NDA_DST], h->ndm_family, &err);
	if (err || !at[NDA_DST])
		return -EINVAL;
	uint32_t ifindex = (uint32_t)h->ndm_ifindex;
	if (!ifindex || ifindex > NS_MAX_IFS || ns_if_get(inet.ns, ifindex, &info))
		return -ENODEV;
	if (add && (!at[NDA_LLADDR] || nl_len(at[NDA_LLADDR]) != 6))
		return -EINVAL;
	inet_lock();
	err = add ? ns_neigh_set(inet.ns, ifindex, &a, nl_data(at[NDA_LLADDR]))
		  : ns_neigh_del(inet.ns, ifindex, &a);
	inet_unlock();
	rtnl_changed();
	return err == -ESRCH ? -ENOENT : err;
}
