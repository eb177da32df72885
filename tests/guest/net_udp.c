/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP, raw IP and ping sockets: data, control messages, error queues, multicast, segmentation. */
#define _GNU_SOURCE
#include <time.h> /* before the next */
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/uio.h>
#include "check.h"
#include "net.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static int bound(int family, int *port)
{
	int s = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a4 = net_in("127.0.0.1", 0);
	struct sockaddr_in6 a6 = net_in6("::1", 0);
	CHECK(bind(s, family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		  family == AF_INET ? sizeof a4 : sizeof a6) == 0);
	*port = net_port(s);
	return s;
}

static int connected(int family, int port)
{
	int s = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a4 = net_in("127.0.0.1", port);
	struct sockaddr_in6 a6 = net_in6("::1", port);
	CHECK(connect(s, family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		  family == AF_INET ? sizeof a4 : sizeof a6) == 0);
	return s;
}

static int readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	return poll(&p, 1, 5000) == 1 && p.revents & POLLIN;
}

static void on(int fd, int level, int name, int v)
{
	CHECK(setsockopt(fd, level, name, &v, sizeof v) == 0);
}

static int get(int fd, int level, int name)
{
	int v = -1;
	socklen_t n = sizeof v;
	return getsockopt(fd, level, name, &v, &n) ? -errno : v;
}

/* Receives with control messages; the bytes, and each message through fn. */
struct got {
	ssize_t n;
	int flags, ttl, tos, ifindex, err, origin, type, code;
	unsigned lo, hi;
	struct sockaddr_storage from, offender;
	struct in_addr to4;
	struct in6_addr to6;
	int have4, have6, overflow;
	struct timeval stamp;
	char data[2048];
};

static void take_error(struct got *g, const struct sock_extended_err *e)
{
	g->err = (int)e->ee_errno;
	g->origin = e->ee_origin;
	g->type = e->ee_type;
	g->code = e->ee_code;
	g->lo = e->ee_info;
	g->hi = e->ee_data;
	memcpy(&g->offender, SO_EE_OFFENDER(e), sizeof(struct sockaddr_in));
}

static void take(struct got *g, struct cmsghdr *c)
{
	void *d = CMSG_DATA(c);
	if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
		g->have4 = 1;
		g->to4 = ((struct in_pktinfo *)d)->ipi_addr;
		g->ifindex = ((struct in_pktinfo *)d)->ipi_ifindex;
	} else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		g->have6 = 1;
		g->to6 = ((struct in6_pktinfo *)d)->ipi6_addr;
		g->ifindex = (int)((struct in6_pktinfo *)d)->ipi6_ifindex;
	} else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) ||
		   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
		g->ttl = *(int *)d;
	} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) {
		g->tos = *(unsigned char *)d;
	} else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_TCLASS) {
		g->tos = *(int *)d;
	} else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
		take_error(g, d);
	} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMP) {
		g->stamp = *(struct timeval *)d;
	}
}

static struct got receive(int fd, int flags)
{
	static struct got g;
	char control[512];
	memset(&g, 0, sizeof g);
	g.ttl = g.tos = -1;
	struct iovec v = {g.data, sizeof g.data};
	struct msghdr m = {.msg_name = &g.from,
	    .msg_namelen = sizeof g.from,
	    .msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control};
	g.n = recvmsg(fd, &m, flags);
	g.flags = m.msg_flags;
	if (g.n >= 0)
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			take(&g, c);
	return g;
}

static void test_basic(int family)
{
	char b[16];
	int port, r = bound(family, &port), s = connected(family, port);
	struct got g;
	CHECK(send(s, "one", 3, 0) == 3 && send(s, "", 0, 0) == 0 && send(s, "three", 5, 0) == 5);
	CHECK(readable(r) && recv(r, b, sizeof b, MSG_PEEK) == 3);
	CHECK(recv(r, b, 2, MSG_TRUNC) == 3 && !memcmp(b, "on", 2));
	CHECK(recv(r, b, sizeof b, 0) == 0);
	int pending = -1;
	CHECK(ioctl(r, FIONREAD, &pending) == 0 && pending == 5);
	struct iovec v = {b, 2};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	CHECK(recvmsg(r, &m, 0) == 2 && m.msg_flags & MSG_TRUNC);
	CHECK_ERR(recv(r, b, 1, MSG_DONTWAIT), EAGAIN);
	/* The answer goes to where it came from. */
	CHECK(send(s, "?", 1, 0) == 1);
	g = receive(r, 0);
	CHECK(
	    sendto(r, "!", 1, 0, (struct sockaddr *)&g.from,
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) == 1);
	CHECK(recv(s, b, 1, 0) == 1 && *b == '!');
	CHECK_ERR(send(r, "x", 1, 0), EDESTADDRREQ);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	CHECK(connect(s, &none, sizeof none) == 0);
	CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	close(s);
	close(r);
}

static void test_control(void)
{
	int port, r = bound(AF_INET, &port), s = connected(AF_INET, port);
	struct got g;
	on(r, SOL_IP, IP_PKTINFO, 1);
	on(r, SOL_IP, IP_RECVTTL, 1);
	on(r, SOL_IP, IP_RECVTOS, 1);
	on(r, SOL_SOCKET, SO_TIMESTAMP, 1);
	CHECK(get(r, SOL_IP, IP_PKTINFO) == 1 && get(r, SOL_IP, IP_RECVTTL) == 1);
	on(s, SOL_IP, IP_TTL, 7);
	on(s, SOL_IP, IP_TOS, 0x28);
	CHECK(send(s, "x", 1, 0) == 1);
	g = receive(r, 0);
	CHECK(g.n == 1 && g.have4 && g.to4.s_addr == htonl(INADDR_LOOPBACK) && g.ifindex == 1);
	CHECK(g.ttl == 7 && g.tos == 0x28 && g.stamp.tv_sec > 1600000000);
	/* For one datagram only. */
	char control[CMSG_SPACE(sizeof(int))] = {0};
	char byte = 'y';
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){
	    .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_IP, .cmsg_type = IP_TTL};
	*(int *)CMSG_DATA(c) = 99;
	CHECK(sendmsg(s, &m, 0) == 1 && send(s, "z", 1, 0) == 1);
	g = receive(r, 0);
	CHECK(g.ttl == 99);
	g = receive(r, 0);
	CHECK(g.ttl == 7);
	c->cmsg_type = 12345;
	CHECK_ERR(sendmsg(s, &m, 0), EINVAL);
	close(r);
	close(s);
	r = bound(AF_INET6, &port);
	s = connected(AF_INET6, port);
	on(r, SOL_IPV6, IPV6_RECVPKTINFO, 1);
	on(r, SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
	on(r, SOL_IPV6, IPV6_RECVTCLASS, 1);
	on(s, SOL_IPV6, IPV6_UNICAST_HOPS, 9);
	on(s, SOL_IPV6, IPV6_TCLASS, 0x20);
	CHECK(send(s, "x", 1, 0) == 1);
	g = receive(r, 0);
	CHECK(g.have6 && IN6_IS_ADDR_LOOPBACK(&g.to6) && g.ifindex == 1 && g.ttl == 9 &&
	      g.tos == 0x20);
	close(r);
	close(s);
}

static void test_errors(void)
{
	int port, dead = bound(AF_INET, &port);
	char b[8];
	struct got g;
	close(dead);
	int s = connected(AF_INET, port);
	CHECK(send(s, "x", 1, 0) == 1);
	struct pollfd p = {s, POLLIN, 0};
	CHECK(poll(&p, 1, 5000) == 1 && p.revents & POLLERR);
	CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT), ECONNREFUSED);
	CHECK(get(s, SOL_SOCKET, SO_ERROR) == 0);
	close(s);
	/* With IP_RECVERR also without a connection, with who, what and why. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	on(s, SOL_IP, IP_RECVERR, 1);
	CHECK_ERR(recv(s, b, 1, MSG_ERRQUEUE), EAGAIN);
	struct sockaddr_in a = net_in("127.0.0.1", port);
	CHECK(sendto(s, "lost", 4, 0, (struct sockaddr *)&a, sizeof a) == 4);
	p.fd = s;
	CHECK(poll(&p, 1, 5000) == 1 && p.revents & POLLERR);
	g = receive(s, MSG_ERRQUEUE);
	CHECK(g.n == 4 && !memcmp(g.data, "lost", 4) && g.flags & MSG_ERRQUEUE);
	CHECK(g.err == ECONNREFUSED && g.origin == SO_EE_ORIGIN_ICMP &&
	      g.type == ICMP_DEST_UNREACH && g.code == ICMP_PORT_UNREACH);
	CHECK(((struct sockaddr_in *)&g.from)->sin_port == a.sin_port);
	CHECK(((struct sockaddr_in *)&g.offender)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK_ERR(recv(s, b, 1, MSG_ERRQUEUE), EAGAIN);
	CHECK(poll(&p, 1, 0) == 0 || !(p.revents & POLLERR));
	close(s);
	int port6, dead6 = bound(AF_INET6, &port6);
	close(dead6);
	s = connected(AF_INET6, port6);
	on(s, SOL_IPV6, IPV6_RECVERR, 1);
	CHECK(send(s, "lost6", 5, 0) == 5);
	p.fd = s;
	CHECK(poll(&p, 1, 5000) == 1 && p.revents & POLLERR);
	g = receive(s, MSG_ERRQUEUE);
	CHECK(g.n == 5 && g.err == ECONNREFUSED && g.origin == SO_EE_ORIGIN_ICMP6);
	close(s);
}

static void test_segments(void)
{
	char b[5000], in[2048];
	int port, r = bound(AF_INET, &port), s = connected(AF_INET, port);
	for (int i = 0; i < 5000; i++)
		b[i] = (char)(i / 1000);
	on(s, SOL_UDP, UDP_SEGMENT, 1200);
	CHECK(send(s, b, 5000, 0) == 5000);
	for (int i = 0; i < 5; i++)
		CHECK(recv(r, in, sizeof in, 0) == (i < 4 ? 1200 : 200) &&
		      !memcmp(in, b + i * 1200, 200));
	on(s, SOL_UDP, UDP_SEGMENT, 0);
	on(s, SOL_UDP, UDP_CORK, 1);
	CHECK(send(s, "ab", 2, 0) == 2 && send(s, "cd", 2, 0) == 2);
	CHECK_ERR(recv(r, in, 1, MSG_DONTWAIT), EAGAIN);
	on(s, SOL_UDP, UDP_CORK, 0);
	CHECK(recv(r, in, sizeof in, 0) == 4 && !memcmp(in, "abcd", 4));
	CHECK(send(s, "ef", 2, MSG_MORE) == 2 && send(s, "gh", 2, 0) == 2);
	CHECK(recv(r, in, sizeof in, 0) == 4 && !memcmp(in, "efgh", 4));
	/* More than a frame on the loopback, and more than UDP can hold. */
	static char big[70000];
	CHECK(send(s, big, 60000, 0) == 60000 && recv(r, big, sizeof big, 0) == 60000);
	CHECK_ERR(send(s, big, 65508, 0), EMSGSIZE);
	close(r);
	close(s);
}

static void test_many(void)
{
	int port, r = bound(AF_INET, &port), s = connected(AF_INET, port);
	char out[4] = "abcd", in[8];
	struct iovec v[4], w[8];
	struct mmsghdr m[4] = {0}, q[8] = {0};
	for (int i = 0; i < 4; i++) {
		v[i] = (struct iovec){out + i, 1};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	for (int i = 0; i < 8; i++) {
		w[i] = (struct iovec){in + i, 1};
		q[i].msg_hdr = (struct msghdr){.msg_iov = &w[i], .msg_iovlen = 1};
	}
	CHECK(sendmmsg(s, m, 4, 0) == 4 && m[3].msg_len == 1);
	CHECK(readable(r));
	CHECK(recvmmsg(r, q, 8, MSG_WAITFORONE, NULL) == 4 && !memcmp(in, "abcd", 4));
	struct timespec ts = {0, 50000000};
	CHECK(send(s, "e", 1, 0) == 1);
	CHECK(recvmmsg(r, q, 1, 0, &ts) == 1 && in[0] == 'e');
	close(r);
	close(s);
}

static void test_multicast(void)
{
	int port, r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in any = net_in("0.0.0.0", 0), to;
	struct ip_mreqn q = {.imr_ifindex = 1};
	char b[8];
	CHECK(bind(r, (struct sockaddr *)&any, sizeof any) == 0);
	port = net_port(r);
	to = net_in("239.1.2.3", port);
	q.imr_multiaddr = to.sin_addr;
	CHECK(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &q, sizeof q) == 0);
	CHECK(setsockopt(r, SOL_IP, IP_ADD_MEMBERSHIP, &q, sizeof q) == 0);
	CHECK_ERR(setsockopt(r, SOL_IP, IP_ADD_MEMBERSHIP, &q, sizeof q), EADDRINUSE);
	CHECK(sendto(s, "group", 5, 0, (struct sockaddr *)&to, sizeof to) == 5);
	CHECK(readable(r) && recv(r, b, sizeof b, 0) == 5);
	CHECK(setsockopt(r, SOL_IP, IP_DROP_MEMBERSHIP, &q, sizeof q) == 0);
	CHECK_ERR(setsockopt(r, SOL_IP, IP_DROP_MEMBERSHIP, &q, sizeof q), EADDRNOTAVAIL);
	q.imr_multiaddr.s_addr = htonl(0x0a000001);
	CHECK_ERR(setsockopt(r, SOL_IP, IP_ADD_MEMBERSHIP, &q, sizeof q), EINVAL);
	CHECK(get(s, SOL_IP, IP_MULTICAST_TTL) == 1 && get(s, SOL_IP, IP_MULTICAST_LOOP) == 1);
	on(s, SOL_IP, IP_MULTICAST_TTL, 5);
	CHECK(get(s, SOL_IP, IP_MULTICAST_TTL) == 5);
	close(r);
	close(s);
}

static void test_binding(void)
{
	int port, a = bound(AF_INET, &port), b = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in x = net_in("127.0.0.1", port), foreign = net_in("192.0.2.77", 0);
	CHECK_ERR(bind(b, (struct sockaddr *)&x, sizeof x), EADDRINUSE);
	CHECK_ERR(bind(b, (struct sockaddr *)&foreign, sizeof foreign), EADDRNOTAVAIL);
	on(b, SOL_IP, IP_FREEBIND, 1);
	CHECK(bind(b, (struct sockaddr *)&foreign, sizeof foreign) == 0);
	CHECK_ERR(bind(b, (struct sockaddr *)&foreign, sizeof foreign), EINVAL);
	close(b);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(setsockopt(b, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
	char name[16] = "";
	socklen_t n = sizeof name;
	CHECK(getsockopt(b, SOL_SOCKET, SO_BINDTODEVICE, name, &n) == 0 && !strcmp(name, "lo"));
	CHECK_ERR(setsockopt(b, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8), ENODEV);
	close(b);
	close(a);
	/* Both families on one socket. */
	int six = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	CHECK(bind(six, (struct sockaddr *)&any, sizeof any) == 0);
	int c = connected(AF_INET, net_port(six));
	char data[4];
	struct sockaddr_in6 from;
	n = sizeof from;
	CHECK(send(c, "v4", 2, 0) == 2);
	CHECK(recvfrom(six, data, 4, 0, (struct sockaddr *)&from, &n) == 2 &&
	      IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	close(c);
	close(six);
}

static unsigned short sum(const void *p, size_t n)
{
	const unsigned char *b = p;
	unsigned s = 0;
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (unsigned)(b[i] << 8 | b[i + 1]);
	s = (s & 0xffff) + (s >> 16);
	return htons((unsigned short)~(s + (s >> 16)));
}

static void test_ping(void)
{
	struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.sequence = htons(5)}};
	struct sockaddr_in to = net_in("127.0.0.1", 0);
	unsigned char b[128];
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (fd < 0 && errno == EACCES) { /* the host's ping_group_range */
		CHECK(1);
	} else {
		CHECK(fd >= 0);
		memcpy(b, &h, 8);
		memcpy(b + 8, "payload!", 8);
		CHECK(sendto(fd, b, 16, 0, (struct sockaddr *)&to, sizeof to) == 16);
		memset(b, 0, sizeof b);
		CHECK(readable(fd) && recv(fd, b, sizeof b, 0) == 16);
		CHECK(b[0] == ICMP_ECHOREPLY && b[7] == 5 && !memcmp(b + 8, "payload!", 8));
		CHECK((b[4] << 8 | b[5]) == net_port(fd)); /* its identifier */
		b[0] = ICMP_TIMESTAMP;
		CHECK_ERR(sendto(fd, b, 16, 0, (struct sockaddr *)&to, sizeof to), EINVAL);
		close(fd);
	}
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	CHECK(fd >= 0);
	h.un.echo.id = htons(4711);
	memcpy(b, &h, 8);
	memcpy(b + 8, "payload!", 8);
	h.checksum = sum(b, 16);
	memcpy(b, &h, 8);
	unsigned wanted = ~(1u << ICMP_ECHOREPLY);
	CHECK(setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &wanted, sizeof wanted) == 0);
	CHECK(sendto(fd, b, 16, 0, (struct sockaddr *)&to, sizeof to) == 16);
	memset(b, 0, sizeof b);
	CHECK(readable(fd) && recv(fd, b, sizeof b, 0) == 36 && b[0] == 0x45);
	CHECK(b[20] == ICMP_ECHOREPLY && !memcmp(b + 28, "payload!", 8));
	close(fd);
	/* ICMPv6: without the IP header, checksum by the kernel. */
	fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct sockaddr_in6 to6 = net_in6("::1", 0);
	struct icmp6_filter f;
	ICMP6_FILTER_SETBLOCKALL(&f);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
	CHECK(fd >= 0 && setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof f) == 0);
	unsigned char e[12] = {ICMP6_ECHO_REQUEST, 0, 0, 0, 1, 2, 0, 1, 'a', 'b', 'c', 'd'};
	CHECK(sendto(fd, e, 12, 0, (struct sockaddr *)&to6, sizeof to6) == 12);
	CHECK(readable(fd) && recv(fd, b, sizeof b, 0) == 12 && b[0] == ICMP6_ECHO_REPLY &&
	      !memcmp(b + 4, e + 4, 8));
	close(fd);
}

static void test_raw_protocol(void)
{
	struct sockaddr_in to = net_in("127.0.0.1", 0);
	unsigned char b[128];
	int r = socket(AF_INET, SOCK_RAW, 253), s = socket(AF_INET, SOCK_RAW, 253);
	CHECK(r >= 0 && s >= 0);
	CHECK(sendto(s, "experiment", 10, 0, (struct sockaddr *)&to, sizeof to) == 10);
	CHECK(readable(r) && recv(r, b, sizeof b, 0) == 30 && b[9] == 253 &&
	      !memcmp(b + 20, "experiment", 10));
	/* A header of the program's own. */
	on(s, SOL_IP, IP_HDRINCL, 1);
	struct iphdr h = {
	    .version = 4, .ihl = 5, .ttl = 3, .protocol = 253, .daddr = to.sin_addr.s_addr};
	memcpy(b, &h, 20);
	memcpy(b + 20, "own", 3);
	CHECK(sendto(s, b, 23, 0, (struct sockaddr *)&to, sizeof to) == 23);
	memset(b, 0, sizeof b);
	CHECK(readable(r) && recv(r, b, sizeof b, 0) == 23 && b[8] == 3 && b[3] == 23 &&
	      !memcmp(b + 20, "own", 3) && b[12] == 127);
	CHECK_ERR(sendto(s, b, 12, 0, (struct sockaddr *)&to, sizeof to), EINVAL);
	close(s);
	close(r);
	CHECK_ERR(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_DGRAM, 1000), EINVAL);
}

int main(void)
{
	net_private();
	test_basic(AF_INET);
	test_basic(AF_INET6);
	test_control();
	test_errors();
	test_segments();
	test_many();
	test_multicast();
	test_binding();
	test_ping();
	test_raw_protocol();
	return check_report();
}
