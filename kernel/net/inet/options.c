/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of all internet sockets. What is not in the tables has no effect here and is refused. */
#include "net/inet/options.h"
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "lib/string.h"
#include "net/inet/links.h"
#include "proc/program.h"

#define NAME_SIZE 16

static const struct simple {
	int level, name;
	uint8_t offset, max;
	bool admin;
} simple[] = {
#define FIELD(f) offsetof(struct inet_options, f)
    {SOL_IP, IP_PKTINFO, FIELD(pktinfo), 1, false},
    {SOL_IP, IP_RECVTTL, FIELD(recv_ttl), 1, false},
    {SOL_IP, IP_RECVTOS, FIELD(recv_tos), 1, false},
    {SOL_IP, IP_RECVOPTS, FIELD(recv_opts), 1, false},
    {SOL_IP, IP_RETOPTS, FIELD(ret_opts), 1, false},
    {SOL_IP, IP_RECVERR, FIELD(recverr), 1, false},
    {SOL_IP, IP_RECVORIGDSTADDR, FIELD(recv_origdst), 1, false},
    {SOL_IP, IP_FREEBIND, FIELD(freebind), 1, false},
    {SOL_IP, IP_TRANSPARENT, FIELD(transparent), 1, true},
    {SOL_IP, IP_BIND_ADDRESS_NO_PORT, FIELD(bind_no_port), 1, false},
    {SOL_IP, IP_MTU_DISCOVER, FIELD(mtu_discover), IP_PMTUDISC_OMIT, false},
    {SOL_IP, IP_MINTTL, FIELD(min_ttl), 255, false},
    {SOL_IP, IP_MULTICAST_ALL, FIELD(mcast_all), 1, false},
    {SOL_IPV6, IPV6_RECVPKTINFO, FIELD(pktinfo6), 1, false},
    {SOL_IPV6, IPV6_RECVHOPLIMIT, FIELD(recv_hops), 1, false},
    {SOL_IPV6, IPV6_RECVTCLASS, FIELD(recv_tclass), 1, false},
    {SOL_IPV6, IPV6_RECVERR, FIELD(recverr6), 1, false},
    {SOL_IPV6, IPV6_RECVORIGDSTADDR, FIELD(recv_origdst6), 1, false},
    {SOL_IPV6, IPV6_FREEBIND, FIELD(freebind6), 1, false},
    {SOL_IPV6, IPV6_TRANSPARENT, FIELD(transparent6), 1, true},
    {SOL_IPV6, IPV6_MTU_DISCOVER, FIELD(mtu_discover6), IPV6_PMTUDISC_OMIT, false},
    {SOL_IPV6, IPV6_DONTFRAG, FIELD(dontfrag6), 1, false},
    {SOL_IPV6, IPV6_MINHOPCOUNT, FIELD(min_hops), 255, false},
    {SOL_IPV6, IPV6_MULTICAST_ALL, FIELD(mcast_all6), 1, false},
    {SOL_IPV6, IPV6_AUTOFLOWLABEL, FIELD(autoflowlabel), 0, false},
#undef FIELD
};

void inet_options_init(struct inet_options *o)
{
	memset(o, 0, sizeof *o);
	o->mtu_discover = o->mtu_discover6 = IP_PMTUDISC_WANT;
	o->mcast_all = o->mcast_all6 = 1;
}

int option_in(const void *value, unsigned len, int *v)
{
	if (len >= sizeof *v)
		memcpy(v, value, sizeof *v);
	else if (len >= 1)
		*v = *(const uint8_t *)value;
	else
		return -EINVAL;
	return 0;
}

int option_out(void *value, unsigned *len, int v)
{
	/* One byte is a valid size for what fits into it. */
	*len = *len < sizeof v && *len && v >= 0 && v <= 255 ? 1 : MIN(*len, (unsigned)sizeof v);
	memcpy(value, &v, *len);
	return 0;
}

static const struct simple *find(int level, int name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(simple); i++)
		if (simple[i].level == level && simple[i].name == name)
			return &simple[i];
	return NULL;
}

/* --- interfaces --- */

static int set_interface(uint32_t *field, uint32_t ifindex)
{
	struct ns_if_info info;

	if (ifindex && (ifindex > NS_MAX_IFS || ns_if_get(inet.ns, ifindex, &info)))
		return -ENODEV;
	*field = ifindex;
	return 0;
}

static int bind_to_device(struct inet_options *o, const void *value, unsigned len)
{
	char name[NAME_SIZE] = "";

	if (o->bound_if && !capable(CAP_NET_RAW))
		return -EPERM;
	memcpy(name, value, MIN(len, (unsigned)sizeof name - 1));
	if (!name[0]) {
		o->bound_if = 0;
		return 0;
	}
	uint32_t ifindex = link_find(name);
	if (!ifindex)
		return -ENODEV;
	o->bound_if = ifindex;
	return 0;
}

static int get_device(const struct inet_options *o, void *value, unsigned *len)
{
	struct ns_if_info info;

	if (!o->bound_if || ns_if_get(inet.ns, o->bound_if, &info)) {
		*len = 0;
		return 0;
	}
	if (*len < NAME_SIZE)
		return -EINVAL;
	*len = (unsigned)strlen(info.name) + 1;
	memcpy(value, info.name, *len);
	return 0;
}

/* --- set and get --- */

int inet_set_option(
    struct socket *s, struct inet_options *o, int level, int name, const void *value, unsigned len)
{
	const struct simple *x = find(level, name);
	int v, err;

	if (level == SOL_IPV6 && s->family != AF_INET6)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		return bind_to_device(o, value, len);
	if (level == SOL_SOCKET && name != SO_BINDTOIFINDEX)
		return -ENOPROTOOPT;
	if ((err = option_in(value, len, &v)))
		return err;
	if (level == SOL_SOCKET)
		return v < 0 ? -EINVAL : set_interface(&o->bound_if, (uint32_t)v);
	if (level == SOL_IP && name == IP_UNICAST_IF)
		return set_interface(&o->unicast_if, __builtin_bswap32((uint32_t)v));
	if (level == SOL_IPV6 && name == IPV6_UNICAST_IF)
		return set_interface(&o->unicast_if, __builtin_bswap32((uint32_t)v));
	if (level == SOL_IPV6 && name == IPV6_ADDR_PREFERENCES) {
		/* Temporary and mobile addresses, of which there are none: any wish is met. */
		o->address_preferences = (uint32_t)v;
		return 0;
	}
	if (!x)
		return -ENOPROTOOPT;
	if (x->admin && v && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if (x->max <= 1)
		v = x->max ? v != 0 : v;
	if (v < 0 || v > x->max)
		return -EINVAL;
	((uint8_t *)o)[x->offset] = (uint8_t)v;
	return 0;
}

int inet_get_option(
    struct socket *s, const struct inet_options *o, int level, int name, void *value, unsigned *len)
{
	const struct simple *x = find(level, name);

	if (level == SOL_IPV6 && s->family != AF_INET6)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		return get_device(o, value, len);
	if (level == SOL_SOCKET && name == SO_BINDTOIFINDEX)
		return option_out(value, len, (int)o->bound_if);
	if (level == SOL_SOCKET)
		return -ENOPROTOOPT;
	if ((level == SOL_IP && name == IP_UNICAST_IF) ||
	    (level == SOL_IPV6 && name == IPV6_UNICAST_IF))
		return option_out(value, len, (int)__builtin_bswap32(o->unicast_if));
	if (level == SOL_IPV6 && name == IPV6_ADDR_PREFERENCES)
		return option_out(value, len, (int)o->address_preferences);
	if (level == SOL_IP && name == IP_OPTIONS) { /* none are ever sent */
		*len = 0;
		return 0;
	}
	return x ? option_out(value, len, ((const uint8_t *)o)[x->offset]) : -ENOPROTOOPT;
}
