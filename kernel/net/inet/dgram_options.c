/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of datagram sockets: hop limits, multicast, error reports. */
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "lib/string.h"
#include "net/inet/dgram.h"
#include "net/inet/links.h"

struct group_request { /* struct group_req, whose header needs the C library's */
	uint32_t interface;
	_Alignas(8) struct address group;
};

/* --- multicast --- */

/* The interface with this IPv4 address. */
static uint32_t interface_of(const struct ns_addr *a)
{
	struct ns_if_info info;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		if (ns_if_get(inet.ns, i, &info))
			continue;
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++)
			if (info.addrs[k].state && ns_addr_eq(&info.addrs[k].addr, a))
				return i;
	}
	return 0;
}

/* Joins or leaves; each group once a socket, as Linux does. */
static int change_group(struct dgram *d, const struct ns_addr *group, uint32_t ifindex, bool join)
{
	struct dgram_group *free = NULL, *found = NULL;
	struct ns_dst dst;
	int err = 0;

	if (!ns_addr_is_multicast(group))
		return -EINVAL;
	if (!ifindex && !ns_route_lookup(inet.ns, group, NULL, 0, &dst))
		ifindex = dst.ifindex;
	if (!ifindex || ifindex > NS_MAX_IFS)
		return -ENODEV;
	inet_lock();
	for (unsigned i = 0; i < DGRAM_GROUPS; i++) {
		struct dgram_group *g = &d->groups[i];
		if (!g->ifindex)
			free = g;
		else if (g->ifindex == ifindex && ns_addr_eq(&g->group, group))
			found = g;
	}
	if (join && found)
		err = -EADDRINUSE;
	else if (join && !free)
		err = -ENOBUFS;
	else if (!join && !found)
		err = -EADDRNOTAVAIL;
	else if (join && !(err = ns_mcast_join(inet.ns, ifindex, group)))
		*free = (struct dgram_group){ifindex, *group};
	else if (!join) {
		err = ns_mcast_leave(inet.ns, ifindex, group);
		found->ifindex = 0;
	}
	inet_unlock();
	return err;
}

static int membership4(struct dgram *d, const void *value, unsigned len, bool join)
{
	struct ip_mreqn r = {0};

	if (len < sizeof(struct ip_mreq))
		return -EINVAL;
	memcpy(&r, value, MIN(len, (unsigned)sizeof r));
	struct ns_addr group = ns_addr_v4(&r.imr_multiaddr), own = ns_addr_v4(&r.imr_address);
	uint32_t ifindex = (uint32_t)r.imr_ifindex;
	if (!ifindex && !ns_addr_is_any(&own) && !(ifindex = interface_of(&own)))
		return -ENODEV;
	return change_group(d, &group, ifindex, join);
}

static int membership6(struct dgram *d, const void *value, unsigned len, bool join)
{
	struct ipv6_mreq r;

	if (len < sizeof r)
		return -EINVAL;
	memcpy(&r, value, sizeof r);
	struct ns_addr group = ns_addr_v6(&r.ipv6mr_multiaddr);
	return ns_addr_is_v4(&group) ? -EINVAL
				     : change_group(d, &group, (uint32_t)r.ipv6mr_ifindex, join);
}

static int membership_any(struct dgram *d, const void *value, unsigned len, bool join)
{
	struct group_request r;
	struct ns_addr group;
	uint16_t port;
	uint32_t scope;

	if (len < sizeof r)
		return -EINVAL;
	memcpy(&r, value, sizeof r);
	int err = sockaddr_parse(&r.group, sizeof r.group,
	    r.group.family == AF_INET6 ? AF_INET6 : AF_INET, &group, &port, &scope);
	return err ? err : change_group(d, &group, r.interface, join);
}

static int multicast_interface4(struct dgram *d, const void *value, unsigned len)
{
	struct ip_mreqn r = {0};

	if (len < 4)
		return -EINVAL;
	if (len >= sizeof(struct ip_mreq))
		memcpy(&r, value, MIN(len, (unsigned)sizeof r));
	else
		memcpy(&r.imr_address, value, 4);
	struct ns_addr a = ns_addr_v4(&r.imr_address);
	uint32_t ifindex = (uint32_t)r.imr_ifindex;
	if (!ifindex && !ns_addr_is_any(&a) && !(ifindex = interface_of(&a)))
		return -EADDRNOTAVAIL;
	d->mcast_if = ifindex;
	return 0;
}

static int set_ip(struct dgram *d, int name, const void *value, unsigned len)
{
	int v, err;

	switch (name) {
	case IP_ADD_MEMBERSHIP:
	case IP_DROP_MEMBERSHIP:
		return membership4(d, value, len, name == IP_ADD_MEMBERSHIP);
	case MCAST_JOIN_GROUP:
	case MCAST_LEAVE_GROUP:
		return membership_any(d, value, len, name == MCAST_JOIN_GROUP);
	case IP_MULTICAST_IF:
		return multicast_interface4(d, value, len);
	}
	if ((err = option_in(value, len, &v)))
		return err;
	switch (name) {
	case IP_TTL:
		if (v != -1 && (v < 1 || v > 255))
			return -EINVAL;
		d->ttl = v < 0 ? 0 : (uint8_t)v;
		return 0;
	case IP_TOS:
		d->tos = (uint8_t)v;
		return 0;
	case IP_MULTICAST_TTL:
		if (v < -1 || v > 255)
			return -EINVAL;
		d->mcast_ttl = v < 0 ? 1 : (uint8_t)v;
		return 0;
	case IP_MULTICAST_LOOP:
		d->mcast_noloop = !v;
		return 0;
	}
	return -ENOPROTOOPT;
}

static int set_ipv6(struct dgram *d, int name, const void *value, unsigned len)
{
	int v, err;

	switch (name) {
	case IPV6_ADD_MEMBERSHIP:
	case IPV6_DROP_MEMBERSHIP:
		return membership6(d, value, len, name == IPV6_ADD_MEMBERSHIP);
	case MCAST_JOIN_GROUP:
	case MCAST_LEAVE_GROUP:
		return membership_any(d, value, len, name == MCAST_JOIN_GROUP);
	}
	if ((err = option_in(value, len, &v)))
		return err;
	switch (name) {
	case IPV6_UNICAST_HOPS:
	case IPV6_MULTICAST_HOPS:
		if (v < -1 || v > 255)
			return -EINVAL;
		*(name == IPV6_UNICAST_HOPS ? &d->ttl : &d->mcast_ttl) = v < 0 ? 0 : (uint8_t)v;
		return 0;
	case IPV6_TCLASS:
		if (v < -1 || v > 255)
			return -EINVAL;
		d->tos = v < 0 ? 0 : (uint8_t)v;
		return 0;
	case IPV6_MULTICAST_LOOP:
		d->mcast_noloop = !v;
		return 0;
	case IPV6_MULTICAST_IF: {
		struct ns_if_info info;
		if (v && (v < 0 || v > NS_MAX_IFS || ns_if_get(inet.ns, (uint32_t)v, &info)))
			return -ENODEV;
		d->mcast_if = (uint32_t)v;
		return 0;
	}
	}
	return -ENOPROTOOPT;
}

int dgram_set_option(struct dgram *d, int level, int name, const void *value, unsigned len)
{
	int v, err = -ENOPROTOOPT;

	if (level == SOL_IP)
		err = set_ip(d, name, value, len);
	else if (level == SOL_IPV6 && d->s->family == AF_INET6)
		err = set_ipv6(d, name, value, len);
	else if (level == SOL_SOCKET && name == SO_RXQ_OVFL && !option_in(value, len, &v)) {
		d->count_drops = v;
		return 0;
	}
	return err == -ENOPROTOOPT ? inet_set_option(d->s, &d->o, level, name, value, len) : err;
}

static int get_ip(const struct dgram *d, int name, void *value, unsigned *len)
{
	switch (name) {
	case IP_TTL:
		return option_out(value, len, d->ttl ? d->ttl : 64);
	case IP_TOS:
		return option_out(value, len, d->tos);
	case IP_MULTICAST_TTL:
		return option_out(value, len, d->mcast_ttl ? d->mcast_ttl : 1);
	case IP_MULTICAST_LOOP:
		return option_out(value, len, !d->mcast_noloop);
	case IP_MULTICAST_IF:
		return option_out(value, len, 0); /* an interface has many addresses: "any" */
	}
	return -ENOPROTOOPT;
}

static int get_ipv6(const struct dgram *d, int name, void *value, unsigned *len)
{
	switch (name) {
	case IPV6_UNICAST_HOPS:
		return option_out(value, len, d->ttl ? d->ttl : 64);
	case IPV6_MULTICAST_HOPS:
		return option_out(value, len, d->mcast_ttl ? d->mcast_ttl : 1);
	case IPV6_TCLASS:
		return option_out(value, len, d->tos);
	case IPV6_MULTICAST_LOOP:
		return option_out(value, len, !d->mcast_noloop);
	case IPV6_MULTICAST_IF:
		return option_out(value, len, (int)d->mcast_if);
	}
	return -ENOPROTOOPT;
}

int dgram_get_option(struct dgram *d, int level, int name, void *value, unsigned *len)
{
	int err = -ENOPROTOOPT;

	if (level == SOL_IP)
		err = get_ip(d, name, value, len);
	else if (level == SOL_IPV6 && d->s->family == AF_INET6)
		err = get_ipv6(d, name, value, len);
	else if (level == SOL_SOCKET && name == SO_RXQ_OVFL)
		return option_out(value, len, d->count_drops);
	return err == -ENOPROTOOPT ? inet_get_option(d->s, &d->o, level, name, value, len) : err;
}
