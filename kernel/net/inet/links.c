/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of interfaces: what the administrator wants and what the link says. */
#include "net/inet/links.h"
#include <asm/errno.h>
#include "lib/string.h"

static _Atomic bool unwanted[NS_MAX_IFS + 1];

void link_apply(uint32_t ifindex)
{
	struct net_device *d = inet.device[ifindex];

	ns_if_set_up(
	    inet.ns, ifindex, !atomic_load(&unwanted[ifindex]) && (!d || atomic_load(&d->link_up)));
}

int link_set_wanted(uint32_t ifindex, bool up)
{
	struct ns_if_info info;

	if (ns_if_get(inet.ns, ifindex, &info))
		return -ENODEV;
	atomic_store(&unwanted[ifindex], !up);
	link_apply(ifindex);
	return 0;
}

bool link_wanted(uint32_t ifindex)
{
	return !atomic_load(&unwanted[ifindex]);
}

void link_mtu_range(uint32_t ifindex, uint32_t *min, uint32_t *max)
{
	*min = 68;
	*max = ifindex == NS_LOOPBACK_IF ? NS_LOOPBACK_MTU : 65535;
}

int link_set_mtu(uint32_t ifindex, uint32_t mtu)
{
	uint32_t min, max;

	link_mtu_range(ifindex, &min, &max);
	return mtu < min || mtu > max ? -EINVAL : ns_if_set_mtu(inet.ns, ifindex, mtu);
}

unsigned link_flags(uint32_t ifindex, const struct ns_if_info *info)
{
	unsigned f = link_wanted(ifindex) ? IFF_UP : 0;

	if (info->flags & NS_IF_UP)
		f |= IFF_RUNNING | IFF_LOWER_UP;
	return f | (info->flags & NS_IF_LOOPBACK ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
}

void link_stats(uint32_t ifindex, const struct ns_if_info *info, struct netdev_stats *out)
{
	struct net_device *d = inet.device[ifindex];

	memset(out, 0, sizeof *out);
	if (d && d->stats) {
		d->stats(d, out);
		out->tx_errors += info->stats.tx_errors;
		return;
	}
	/* What goes out on the loopback comes in. */
	out->tx_packets = out->rx_packets = info->stats.tx_packets;
	out->tx_bytes = out->rx_bytes = info->stats.tx_bytes;
}

uint32_t link_find(const char *name)
{
	struct ns_if_info info;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++)
		if (!ns_if_get(inet.ns, i, &info) && !strncmp(info.name, name, sizeof info.name))
			return i;
	return 0;
}
