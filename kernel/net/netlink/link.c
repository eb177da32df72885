/* SPDX-License-Identifier: BSD-3-Clause */
/* RTM_*LINK: interfaces. */
#include <asm/errno.h>
#include <linux/rtnetlink.h>
#include "lib/string.h"
#include "net/inet/links.h"
#include "net/netlink/netlink.h"

enum { OPER_UNKNOWN = 0, OPER_DOWN = 2, OPER_UP = 6 };

static void put_stats(struct nl_message *m, uint32_t ifindex, const struct ns_if_info *info)
{
	struct netdev_stats n;
	struct rtnl_link_stats64 s = {0};
	struct rtnl_link_stats s32 = {0};

	link_stats(ifindex, info, &n);
	s.rx_packets = n.rx_packets;
	s.tx_packets = n.tx_packets;
	s.rx_bytes = n.rx_bytes;
	s.tx_bytes = n.tx_bytes;
	s.rx_errors = n.rx_errors;
	s.tx_errors = n.tx_errors;
	s.rx_dropped = n.rx_dropped + n.rx_no_memory;
	s.tx_dropped = n.tx_dropped;
	s32.rx_packets = (uint32_t)s.rx_packets;
	s32.tx_packets = (uint32_t)s.tx_packets;
	s32.rx_bytes = (uint32_t)s.rx_bytes;
	s32.tx_bytes = (uint32_t)s.tx_bytes;
	s32.rx_errors = (uint32_t)s.rx_errors;
	s32.tx_errors = (uint32_t)s.tx_errors;
	s32.rx_dropped = (uint32_t)s.rx_dropped;
	s32.tx_dropped = (uint32_t)s.tx_dropped;
	nl_put(m, IFLA_STATS64, &s, sizeof s);
	nl_put(m, IFLA_STATS, &s32, sizeof s32);
}

void rtnl_link_fill(
    struct nl_message *m, void *head, uint32_t ifindex, const struct ns_if_info *info, bool deleted)
{
	static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255}, nobody[6];
	const struct net_device *d = inet.device[ifindex];
	bool lo = info->flags & NS_IF_LOOPBACK, up = info->flags & NS_IF_UP;
	struct ifinfomsg *h = head;
	uint32_t min, max;

	h->ifi_family = AF_UNSPEC;
	h->ifi_type = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
	h->ifi_index = (int)ifindex;
	h->ifi_flags = link_flags(ifindex, info);
	h->ifi_change = deleted ? ~0u : 0;
	link_mtu_range(ifindex, &min, &max);
	nl_put_string(m, IFLA_IFNAME, info->name);
	nl_put_u32(m, IFLA_TXQLEN, 1000);
	nl_put_u8(m, IFLA_OPERSTATE, lo ? OPER_UNKNOWN : up ? OPER_UP : OPER_DOWN);
	nl_put_u8(m, IFLA_LINKMODE, 0);
	nl_put_u32(m, IFLA_MTU, info->mtu);
	nl_put_u32(m, IFLA_MIN_MTU, min);
	nl_put_u32(m, IFLA_MAX_MTU, max);
	nl_put_u32(m, IFLA_GROUP, 0);
	nl_put_u32(m, IFLA_PROMISCUITY, 0);
	nl_put_u32(m, IFLA_NUM_TX_QUEUES, d ? d->nqueues : 1);
	nl_put_u32(m, IFLA_NUM_RX_QUEUES, d ? d->nqueues : 1);
	nl_put_u8(m, IFLA_CARRIER, !d || atomic_load(&d->link_up));
	nl_put_string(m, IFLA_QDISC, "noqueue");
	nl_put(m, IFLA_ADDRESS, lo ? nobody : info->mac, 6);
	nl_put(m, IFLA_BROADCAST, lo ? nobody : everybody, 6);
	put_stats(m, ifindex, info);
}

static bool answer_link(struct nl_request *r, uint32_t i, const struct ns_if_info *info)
{
	void *head = nl_answer(r, RTM_NEWLINK, sizeof(struct ifinfomsg));

	rtnl_link_fill(r->m, head, i, info, false);
	return nl_answer_done(r);
}

/* The interface a request is about, by number or name. */
static int find_link(const struct nl_request *r, const struct nlattr **at, uint32_t *ifindex)
{
	const struct ifinfomsg *h = r->body;
	struct ns_if_info info;
	char name[16];
	int err = 0;

	if (r->len < sizeof *h || nl_attributes(h + 1, r->len - sizeof *h, at, IFLA_MAX))
		return -EINVAL;
	*ifindex = (uint32_t)h->ifi_index;
	if (!*ifindex) {
		nl_name(at[IFLA_IFNAME], name, sizeof name, &err);
		if (err || !name[0])
			return -EINVAL;
		*ifindex = link_find(name);
	}
	return *ifindex && *ifindex <= NS_MAX_IFS && !ns_if_get(inet.ns, *ifindex, &info) ? 0
											  : -ENODEV;
}

int rtnl_link_get(struct nl_request *r)
{
	const struct nlattr *at[IFLA_MAX + 1];
	struct ns_if_info info;
	uint32_t ifindex;

	if (!r->dumping) {
		int err = find_link(r, at, &ifindex);
		if (err)
			return err;
		if (ns_if_get(inet.ns, ifindex, &info))
			return -ENODEV;
		answer_link(r, ifindex, &info);
		return 0;
	}
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		if (!ns_if_get(inet.ns, i, &info) && !answer_link(r, i, &info))
			break;
	return 0;
}

/* Up, down and MTU can be changed; other settings are refused rather than forgotten. New links
 * cannot be made. */
int rtnl_link_set(struct nl_request *r)
{
	static const uint16_t refused[] = {IFLA_ADDRESS, IFLA_MASTER, IFLA_LINK, IFLA_NET_NS_PID,
	    IFLA_NET_NS_FD, IFLA_XDP, IFLA_VF_PORTS};
	const struct nlattr *at[IFLA_MAX + 1];
	const struct ifinfomsg *h = r->body;
	struct ns_if_info info;
	uint32_t ifindex;
	char name[16];
	int err = find_link(r, at, &ifindex);

	if (err)
		return err == -ENODEV && r->h->nlmsg_flags & NLM_F_CREATE ? -EOPNOTSUPP : err;
	if (r->h->nlmsg_flags & NLM_F_CREATE && r->h->nlmsg_flags & NLM_F_EXCL)
		return -EEXIST;
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		if (at[refused[i]])
			return -EOPNOTSUPP;
	nl_name(at[IFLA_IFNAME], name, sizeof name, &err);
	if (err || ns_if_get(inet.ns, ifindex, &info))
		return -EINVAL;
	if (name[0] && strcmp(name, info.name))
		return -EOPNOTSUPP;
	uint32_t mtu = nl_u32(at[IFLA_MTU], 0, &err);
	if (err)
		return err;
	unsigned mask = h->ifi_change ? h->ifi_change : h->ifi_flags ? ~0u : 0;
	inet_lock();
	if (at[IFLA_MTU])
		err = link_set_mtu(ifindex, mtu);
	if (!err && mask & IFF_UP)
		err = link_set_wanted(ifindex, h->ifi_flags & IFF_UP);
	inet_unlock();
	rtnl_changed();
	return err;
}
