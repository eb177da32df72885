/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of all internet sockets, and the interface ioctls of netdevice(7). */
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/sockios.h>
#include "lib/string.h"
#include "mm/uaccess.h"
#include "net/inet/ifreq.h"
#include "net/inet/options.h"

int option_out(void *value, unsigned *len, int v)
{
	*len = MIN(*len, (unsigned)sizeof v);
	memcpy(value, &v, *len);
	return 0;
}

int inet_set_option(struct socket *s, int level, int name, int v, uint32_t *bound_if)
{
	(void)s;
	if (level == SOL_IP) {
		switch (name) {
		case IP_MTU_DISCOVER: /* path MTU discovery is always on */
		case IP_RECVERR:
		case IP_FREEBIND:
		case IP_BIND_ADDRESS_NO_PORT:
		case IP_RECVTOS:
		case IP_RECVTTL:
		case IP_PKTINFO:
		case IP_TRANSPARENT:
		case IP_MINTTL:
			return v < 0 ? -EINVAL : 0;
		case IP_UNICAST_IF:
			*bound_if = __builtin_bswap32((uint32_t)v);
			return 0;
		}
	} else if (level == SOL_IPV6) {
		switch (name) {
		case IPV6_RECVERR:
		case IPV6_MTU_DISCOVER:
		case IPV6_RECVPKTINFO:
		case IPV6_RECVTCLASS:
		case IPV6_RECVHOPLIMIT:
		case IPV6_ADDR_PREFERENCES:
		case IPV6_FREEBIND:
			return v < 0 ? -EINVAL : 0;
		}
	}
	return -ENOPROTOOPT;
}

int inet_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	(void)s;
	if (level == SOL_IP) {
		switch (name) {
		case IP_MTU_DISCOVER:
			return option_out(value, len, IP_PMTUDISC_WANT);
		case IP_RECVERR:
		case IP_FREEBIND:
		case IP_BIND_ADDRESS_NO_PORT:
		case IP_RECVTOS:
		case IP_RECVTTL:
		case IP_PKTINFO:
			return option_out(value, len, 0);
		case IP_OPTIONS:
			*len = 0;
			return 0;
		}
	}
	if (level == SOL_IPV6 &&
	    (name == IPV6_MTU_DISCOVER || name == IPV6_RECVERR || name == IPV6_RECVPKTINFO))
		return option_out(value, len, 0);
	return -ENOPROTOOPT;
}

/* --- ioctls --- */

static const struct ns_ifaddr *first_v4(const struct ns_if_info *info)
{
	for (unsigned i = 0; i < NS_IF_MAX_ADDRS; i++)
		if (info->addrs[i].state != NS_ADDR_NONE && ns_addr_is_v4(&info->addrs[i].addr))
			return &info->addrs[i];
	return NULL;
}

uint32_t inet_interface(const char *name)
{
	struct ns_if_info info;

	for (uint32_t i = 1; i < NS_MAX_IFS; i++)
		if (!ns_if_get(inet.ns, i, &info) && !strncmp(info.name, name, IFNAMSIZ))
			return i;
	return 0;
}

static void put_v4(struct sockaddr *sa, const uint8_t *b)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	memcpy(&in.sin_addr, b, 4);
	memcpy(sa, &in, sizeof in);
}

static unsigned if_flags(const struct ns_if_info *info)
{
	unsigned f = info->flags & NS_IF_UP ? IFF_UP | IFF_RUNNING : 0;

	return f | (info->flags & NS_IF_LOOPBACK ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
}

static long list_interfaces(void __user *arg)
{
	struct ifconf ifc;
	struct ns_if_info info;
	int used = 0;

	if (copy_from_user(&ifc, arg, sizeof ifc))
		return -EFAULT;
	for (uint32_t i = 1; i < NS_MAX_IFS; i++) {
		if (ns_if_get(inet.ns, i, &info))
			continue;
		const struct ns_ifaddr *a = first_v4(&info);
		if (!a)
			continue;
		struct ifreq r = {0};
		strlcpy(r.ifr_name, info.name, IFNAMSIZ);
		put_v4(&r.ifr_addr, &a->addr.b[12]);
		if (ifc.ifc_req) {
			if (used + (int)sizeof r > ifc.ifc_len)
				break;
			if (copy_to_user((char __user *)(void *)ifc.ifc_req + used, &r, sizeof r))
				return -EFAULT;
		}
		used += (int)sizeof r;
	}
	ifc.ifc_len = used;
	return copy_to_user(arg, &ifc, sizeof ifc);
}

static long interface_name(void __user *arg)
{
	struct ifreq r;
	struct ns_if_info info;

	if (copy_from_user(&r, arg, sizeof r))
		return -EFAULT;
	if (r.ifr_ifindex <= 0 || ns_if_get(inet.ns, (uint32_t)r.ifr_ifindex, &info))
		return -ENODEV;
	memset(r.ifr_name, 0, sizeof r.ifr_name);
	strlcpy(r.ifr_name, info.name, IFNAMSIZ);
	return copy_to_user(arg, &r, sizeof r);
}

static int fill_request(
    unsigned cmd, struct ifreq *r, uint32_t index, const struct ns_if_info *info)
{
	const struct ns_ifaddr *a = first_v4(info);
	uint32_t mask;

	switch (cmd) {
	case SIOCGIFINDEX:
		r->ifr_ifindex = (int)index;
		return 0;
	case SIOCGIFFLAGS:
		r->ifr_flags = (short)if_flags(info);
		return 0;
	case SIOCGIFMTU:
		r->ifr_mtu = (int)info->mtu;
		return 0;
	case SIOCGIFMETRIC:
		r->ifr_metric = 0;
		return 0;
	case SIOCGIFTXQLEN:
		r->ifr_qlen = 1000;
		return 0;
	case SIOCGIFHWADDR:
		memset(&r->ifr_hwaddr, 0, sizeof r->ifr_hwaddr);
		r->ifr_hwaddr.sa_family =
		    info->flags & NS_IF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memcpy(r->ifr_hwaddr.sa_data, info->mac, 6);
		return 0;
	}
	if (!a)
		return -EADDRNOTAVAIL;
	switch (cmd) {
	case SIOCGIFADDR:
		put_v4(&r->ifr_addr, &a->addr.b[12]);
		return 0;
	case SIOCGIFBRDADDR:
	case SIOCGIFDSTADDR:
		put_v4(&r->ifr_addr, cmd == SIOCGIFBRDADDR ? &a->broadcast.b[12] : &a->addr.b[12]);
		return 0;
	case SIOCGIFNETMASK:
		mask = a->plen ? __builtin_bswap32(~0u << (32 - a->plen)) : 0;
		put_v4(&r->ifr_addr, (const uint8_t *)&mask);
		return 0;
	}
	return -ENOTTY;
}

long inet_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;
	struct ns_if_info info;
	struct ifreq r;

	(void)s;
	switch (cmd) {
	case SIOCGIFCONF:
		return list_interfaces(p);
	case SIOCGIFNAME:
		return interface_name(p);
	case SIOCGIFINDEX:
	case SIOCGIFFLAGS:
	case SIOCGIFMTU:
	case SIOCGIFMETRIC:
	case SIOCGIFTXQLEN:
	case SIOCGIFHWADDR:
	case SIOCGIFADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFNETMASK:
		break;
	case SIOCETHTOOL:
		return -EOPNOTSUPP;
	default:
		return -ENOTTY;
	}
	if (copy_from_user(&r, p, sizeof r))
		return -EFAULT;
	r.ifr_name[IFNAMSIZ - 1] = 0;
	uint32_t index = inet_interface(r.ifr_name);
	if (!index || ns_if_get(inet.ns, index, &info))
		return -ENODEV;
	int err = fill_request(cmd, &r, index, &info);
	return err ? err : copy_to_user(p, &r, sizeof r);
}
