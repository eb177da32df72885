/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of all internet sockets. */
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "lib/string.h"
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
