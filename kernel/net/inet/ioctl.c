/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface ioctls of netdevice(7), which every internet and packet socket answers. */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/sockios.h>
#include "lib/string.h"
#include "mm/uaccess.h"
#include "net/inet/ifreq.h"
#include "net/inet/links.h"
#include "proc/program.h"

static const struct ns_ifaddr *first_v4(const struct ns_if_info *info)
{
	for (unsigned i = 0; i < NS_IF_MAX_ADDRS; i++)
		if (info->addrs[i].state != NS_ADDR_NONE && ns_addr_is_v4(&info->addrs[i].addr))
			return &info->addrs[i];
	return NULL;
}

static void put_v4(struct sockaddr *sa, const uint8_t *b)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	memcpy(&in.sin_addr, b, 4);
	memcpy(sa, &in, sizeof in);
}

static int get_v4(const struct sockaddr *sa, struct ns_addr *out)
{
	struct sockaddr_in in;

	memcpy(&in, sa, sizeof in);
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	*out = ns_addr_v4(&in.sin_addr);
	return 0;
}

static long list_interfaces(void __user *arg)
{
	struct ifconf ifc;
	struct ns_if_info info;
	int used = 0;

	if (copy_from_user(&ifc, arg, sizeof ifc))
		return -EFAULT;
	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
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
	if (r.ifr_ifindex <= 0 || r.ifr_ifindex > NS_MAX_IFS ||
	    ns_if_get(inet.ns, (uint32_t)r.ifr_ifindex, &info))
		return -ENODEV;
	memset(r.ifr_name, 0, sizeof r.ifr_name);
	strlcpy(r.ifr_name, info.name, IFNAMSIZ);
	return copy_to_user(arg, &r, sizeof r);
}

/* --- questions about one interface --- */

static int answer(unsigned cmd, struct ifreq *r, uint32_t index, const struct ns_if_info *info)
{
	const struct ns_ifaddr *a = first_v4(info);
	uint32_t mask;

	switch (cmd) {
	case SIOCGIFINDEX:
		r->ifr_ifindex = (int)index;
		return 0;
	case SIOCGIFFLAGS:
		r->ifr_flags = (short)link_flags(index, info);
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
	case SIOCGIFMAP:
		memset(r->room, 0, sizeof r->room);
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

/* --- changes; under inet.lock --- */

/* A host's class decides the length of the mask that SIOCSIFADDR leaves out. */
static uint8_t class_length(const struct ns_addr *a)
{
	return a->b[12] < 128 ? 8 : a->b[12] < 192 ? 16 : 24;
}

static int replace_v4(
    uint32_t index, const struct ns_ifaddr *old, const struct ns_addr *a, uint8_t plen)
{
	if (old) {
		struct ns_addr gone = old->addr;
		int err = ns_if_addr_del(inet.ns, index, &gone);
		if (err)
			return err;
	}
	return ns_addr_is_any(a) ? 0 : ns_if_addr_add(inet.ns, index, a, plen, NS_ORIGIN_STATIC);
}

static int change(
    unsigned cmd, const struct ifreq *r, uint32_t index, const struct ns_if_info *info)
{
	const struct ns_ifaddr *old = first_v4(info);
	struct ns_addr a;
	int err;

	switch (cmd) {
	case SIOCSIFFLAGS:
		return link_set_wanted(index, r->ifr_flags & IFF_UP);
	case SIOCSIFMTU:
		return r->ifr_mtu < 0 ? -EINVAL : link_set_mtu(index, (uint32_t)r->ifr_mtu);
	case SIOCSIFADDR:
		err = get_v4(&r->ifr_addr, &a);
		return err ? err : replace_v4(index, old, &a, class_length(&a));
	case SIOCSIFNETMASK: {
		err = get_v4(&r->ifr_addr, &a);
		if (err || !old)
			return err ? err : -EADDRNOTAVAIL;
		uint32_t mask = __builtin_bswap32(a.w[3]);
		if (mask & (~mask >> 1) || ~mask & (~mask + 1)) /* ones, then zeros */
			return -EINVAL;
		struct ns_addr same = old->addr;
		return replace_v4(index, old, &same, (uint8_t)popcount64(mask));
	}
	}
	return -EOPNOTSUPP; /* SIOCSIFHWADDR, SIOCSIFBRDADDR…: fixed here */
}

/* --- routes and neighbours --- */

struct rtentry { /* of linux/route.h, which needs the C library's headers */
	unsigned long pad1;
	struct sockaddr dst, gateway, genmask;
	unsigned short flags;
	short pad2;
	unsigned long pad3;
	void *pad4;
	short metric;
	char __user *dev;
	unsigned long mtu, window;
	unsigned short irtt;
};
enum { RTF_GATEWAY = 2, RTF_HOST = 4, RTF_REJECT = 0x200 };

static int parse_rtentry(const struct rtentry *e, struct ns_route *rt)
{
	char name[IFNAMSIZ] = "";
	struct ns_addr mask;
	struct ns_dst d;
	int err = get_v4(&e->dst, &rt->dst);

	if (err)
		return err;
	if (e->flags & RTF_HOST)
		rt->plen = 32;
	else if (!get_v4(&e->genmask, &mask))
		rt->plen = (uint8_t)popcount64(mask.w[3]);
	if (e->flags & RTF_GATEWAY && (err = get_v4(&e->gateway, &rt->gateway)))
		return err;
	rt->reject = !!(e->flags & RTF_REJECT);
	rt->metric = e->metric > 0 ? (uint32_t)(e->metric - 1) : 0;
	if (e->dev) {
		long n = strncpy_from_user(name, e->dev, sizeof name);
		if (n < 0)
			return (int)n;
		name[sizeof name - 1] = 0;
		rt->ifindex = link_find(name);
		return rt->ifindex ? 0 : -ENODEV;
	}
	if (rt->reject)
		rt->ifindex = NS_LOOPBACK_IF;
	else if (e->flags & RTF_GATEWAY) {
		if (ns_route_lookup(inet.ns, &rt->gateway, NULL, 0, &d))
			return -ENETUNREACH;
		rt->ifindex = d.ifindex;
	}
	return 0;
}

static long change_route(unsigned cmd, void __user *arg)
{
	struct ns_route rt = {.origin = NS_ORIGIN_STATIC};
	struct rtentry e;

	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	if (copy_from_user(&e, arg, sizeof e))
		return -EFAULT;
	int err = parse_rtentry(&e, &rt);
	if (err)
		return err;
	inet_lock();
	err = cmd == SIOCADDRT ? ns_route_add(inet.ns, &rt) : ns_route_del(inet.ns, &rt);
	inet_unlock();
	return err;
}

struct arpreq {
	struct sockaddr pa, ha;
	int flags;
	struct sockaddr netmask;
	char dev[16];
};
enum { ATF_COM = 2, ATF_PERM = 4 };

static bool find_neighbour(const struct ns_addr *a, struct ns_neigh_info *n)
{
	bool more = true;

	for (unsigned i = 0; more; i++)
		if (ns_neigh_get(inet.ns, i, n, &more) && more && ns_addr_eq(&n->addr, a))
			return true;
	return false;
}

static long neighbour(unsigned cmd, void __user *arg)
{
	struct ns_neigh_info n;
	struct ns_addr a;
	struct ns_dst d;
	struct arpreq r;

	if (copy_from_user(&r, arg, sizeof r))
		return -EFAULT;
	int err = get_v4(&r.pa, &a);
	if (err)
		return err;
	r.dev[sizeof r.dev - 1] = 0;
	if (cmd == SIOCGARP) {
		if (!find_neighbour(&a, &n))
			return -ENXIO;
		r.ha.sa_family = ARPHRD_ETHER;
		memcpy(r.ha.sa_data, n.mac, 6);
		r.flags = n.state == NS_NEIGH_PERMANENT	   ? ATF_COM | ATF_PERM
			  : n.state != NS_NEIGH_INCOMPLETE ? ATF_COM
							   : 0;
		return copy_to_user(arg, &r, sizeof r);
	}
	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	uint32_t index = r.dev[0]				      ? link_find(r.dev)
			 : !ns_route_lookup(inet.ns, &a, NULL, 0, &d) ? d.ifindex
								      : 0;
	if (!index)
		return -ENODEV;
	inet_lock();
	err = cmd == SIOCSARP ? ns_neigh_set(inet.ns, index, &a, (const uint8_t *)r.ha.sa_data)
			      : ns_neigh_del(inet.ns, index, &a);
	inet_unlock();
	return err == -ESRCH ? -ENXIO : err;
}

/* --- ethtool: what monitoring programs ask --- */

enum { ETHTOOL_GDRVINFO = 3, ETHTOOL_GLINK = 10 };
struct ethtool_drvinfo_v1 { /* struct ethtool_drvinfo, whose header needs the C library's */
	uint32_t cmd;
	char driver[32], version[32], fw_version[32], bus_info[32], erom_version[32], reserved[12];
	uint32_t n_priv_flags, n_stats, testinfo_len, eedump_len, regdump_len;
};

static long ethtool(uint32_t index, const struct ifreq *r)
{
	const struct net_device *d = inet.device[index];
	void __user *p;
	uint32_t cmd;

	memcpy(&p, r->room, sizeof p);
	if (copy_from_user(&cmd, p, sizeof cmd))
		return -EFAULT;
	if (cmd == ETHTOOL_GLINK) {
		uint32_t both[2] = {cmd, !d || atomic_load(&d->link_up)};
		return copy_to_user(p, both, sizeof both);
	}
	if (cmd == ETHTOOL_GDRVINFO && d) {
		struct ethtool_drvinfo_v1 i = {.cmd = cmd};
		strlcpy(i.driver, "virtio_net", sizeof i.driver);
		return copy_to_user(p, &i, sizeof i);
	}
	return -EOPNOTSUPP;
}

static bool is_question(unsigned cmd)
{
	switch (cmd) {
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
	case SIOCGIFMAP:
		return true;
	}
	return false;
}

static bool is_change(unsigned cmd)
{
	switch (cmd) {
	case SIOCSIFFLAGS:
	case SIOCSIFMTU:
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFDSTADDR:
	case SIOCSIFHWADDR:
	case SIOCSIFNAME:
	case SIOCSIFMETRIC:
		return true;
	}
	return false;
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
	case SIOCADDRT:
	case SIOCDELRT:
		return change_route(cmd, p);
	case SIOCGARP:
	case SIOCSARP:
	case SIOCDARP:
		return neighbour(cmd, p);
	}
	if (!is_question(cmd) && !is_change(cmd) && cmd != SIOCETHTOOL)
		return -ENOTTY;
	if (copy_from_user(&r, p, sizeof r))
		return -EFAULT;
	r.ifr_name[IFNAMSIZ - 1] = 0;
	uint32_t index = link_find(r.ifr_name);
	if (!index || ns_if_get(inet.ns, index, &info))
		return -ENODEV;
	if (cmd == SIOCETHTOOL)
		return ethtool(index, &r);
	if (is_change(cmd)) {
		if (!capable(CAP_NET_ADMIN))
			return -EPERM;
		inet_lock();
		int err = change(cmd, &r, index, &info);
		inet_unlock();
		return err;
	}
	int err = answer(cmd, &r, index, &info);
	return err ? err : copy_to_user(p, &r, sizeof r);
}
