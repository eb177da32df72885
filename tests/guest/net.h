/* SPDX-License-Identifier: BSD-3-Clause */
/* For network tests: a network of their own on the host, where they may change things; addresses.
 */
#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* On the host: away from its interfaces, into an empty namespace with only a loopback. A Carrara
 * machine is one already. Before the first thread. */
static inline void net_private(void)
{
	if (unshare(CLONE_NEWNET))
		unshare(CLONE_NEWUSER | CLONE_NEWNET);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
}

static inline struct sockaddr_in net_in(const char *address, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

static inline struct sockaddr_in6 net_in6(const char *address, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	inet_pton(AF_INET6, address, &a.sin6_addr);
	return a;
}

/* The port a socket is bound to. */
static inline int net_port(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	if (getsockname(fd, (struct sockaddr *)&a, &n))
		return -1;
	return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
					    : ((struct sockaddr_in6 *)&a)->sin6_port);
}

/* A listener on the loopback; *port is set. */
static inline int net_listen(int family, int backlog, int *port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a4 = net_in("127.0.0.1", 0);
	struct sockaddr_in6 a6 = net_in6("::1", 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		family == AF_INET ? sizeof a4 : sizeof a6) ||
	    listen(fd, backlog))
		return -1;
	*port = net_port(fd);
	return fd;
}

/* Connected to a port of the loopback, or -1. */
static inline int net_connect(int family, int port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a4 = net_in("127.0.0.1", port);
	struct sockaddr_in6 a6 = net_in6("::1", port);
	if (connect(fd, family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		family == AF_INET ? sizeof a4 : sizeof a6) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Two ends of a TCP connection over the loopback. */
static inline int net_pair(int family, int s[2])
{
	int port, l = net_listen(family, 1, &port);
	s[0] = net_connect(family, port);
	s[1] = accept(l, NULL, NULL);
	close(l);
	return s[0] < 0 || s[1] < 0 ? -1 : 0;
}
