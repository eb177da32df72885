/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket addresses of AF_INET and AF_INET6, and the families' entry. */
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "lib/string.h"
#include "net/inet/inet.h"

static uint16_t swap16(uint16_t v)
{
	return __builtin_bswap16(v);
}

int sockaddr_parse(const struct address *a, unsigned len, int family, struct ns_addr *addr,
    uint16_t *port, uint32_t *ifindex)
{
	*ifindex = 0;
	if (len < sizeof(uint16_t))
		return -EINVAL;
	if (family == AF_INET6 && a->family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
		if (len < 24) /* without the scope, as old programs pass it */
			return -EINVAL;
		*addr = ns_addr_v6(&in6->sin6_addr);
		*port = swap16(in6->sin6_port);
		*ifindex = len >= sizeof *in6 ? in6->sin6_scope_id : 0;
		return 0;
	}
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	if (len < sizeof *in)
		return -EINVAL;
	if (in->sin_family != AF_INET && (in->sin_family != AF_UNSPEC || family != AF_INET))
		return -EAFNOSUPPORT;
	*addr = ns_addr_v4(&in->sin_addr);
	*port = swap16(in->sin_port);
	return 0;
}

int sockaddr_fill(
    struct address *a, int family, const struct ns_addr *addr, uint16_t port, uint32_t ifindex)
{
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)a;
		memset(in, 0, sizeof *in);
		in->sin_family = AF_INET;
		in->sin_port = swap16(port);
		memcpy(&in->sin_addr, &addr->b[12], 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;
	memset(in6, 0, sizeof *in6);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = swap16(port);
	memcpy(&in6->sin6_addr, addr, 16);
	in6->sin6_scope_id = ns_addr_is_linklocal(addr) ? ifindex : 0;
	return sizeof *in6;
}

int inet_socket_create(struct socket *s)
{
	int icmp = s->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	if (s->protocol < 0 || s->protocol >= IPPROTO_MAX)
		return -EINVAL;
	switch (s->type) {
	case SOCK_STREAM:
		if (s->protocol && s->protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		s->protocol = IPPROTO_TCP;
		return tcp_socket_create(s);
	case SOCK_DGRAM:
		if (s->protocol == icmp)
			return raw_socket_create(s);
		if (s->protocol && s->protocol != IPPROTO_UDP)
			return -EPROTONOSUPPORT;
		s->protocol = IPPROTO_UDP;
		return udp_socket_create(s);
	case SOCK_RAW:
		return s->protocol ? raw_socket_create(s) : -EPROTONOSUPPORT;
	}
	return -ESOCKTNOSUPPORT;
}
