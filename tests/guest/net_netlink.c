/* SPDX-License-Identifier: BSD-3-Clause */
/* Route netlink: listings, changes with their notifications, errors; getifaddrs; interface ioctls.
 */
#define _GNU_SOURCE
#include <ifaddrs.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include "check.h"
#include "net.h"

static int nl_open(unsigned groups)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = groups};
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

struct request {
	struct nlmsghdr h;
	union {
		struct rtgenmsg gen;
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct ndmsg neigh;
	};
	char room[256];
};

static void start(struct request *r, int type, int flags, size_t body)
{
	static unsigned seq;
	memset(r, 0, sizeof *r);
	r->h = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
	    .nlmsg_type = (uint16_t)type,
	    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
	    .nlmsg_seq = ++seq};
}

static void attr(struct request *r, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));
	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

/* Sends a change and waits for the acknowledgement: 0 or a positive errno. */
static int change(int fd, struct request *r)
{
	char buf[4096];
	r->h.nlmsg_flags |= NLM_F_ACK;
	if (send(fd, r, r->h.nlmsg_len, 0) != (ssize_t)r->h.nlmsg_len)
		return -1;
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR ||
	    h->nlmsg_seq != r->h.nlmsg_seq)
		return -1;
	return -((struct nlmsgerr *)NLMSG_DATA(h))->error;
}

/* Calls fn for each message of a listing; returns their number, or -errno. */
static int list(int fd, struct request *r, void (*fn)(struct nlmsghdr *h, void *arg), void *arg)
{
	_Alignas(8) char buf[32768];
	int count = 0;
	struct sockaddr_nl from;
	socklen_t flen = sizeof from;
	send(fd, r, r->h.nlmsg_len, 0);
	for (;;) {
		ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &flen);
		if (n <= 0 || from.nl_pid != 0)
			return -EIO;
		unsigned left = (unsigned)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_seq != r->h.nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return count;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (!(h->nlmsg_flags & NLM_F_MULTI))
				return -EPROTO;
			count++;
			if (fn)
				fn(h, arg);
		}
	}
}

static struct rtattr *find(void *head, size_t size, struct nlmsghdr *h, int type)
{
	struct rtattr *a = (struct rtattr *)((char *)head + NLMSG_ALIGN(size));
	unsigned left = h->nlmsg_len - (unsigned)NLMSG_LENGTH(NLMSG_ALIGN(size));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == type)
			return a;
	return NULL;
}

static void see_link(struct nlmsghdr *h, void *arg)
{
	struct ifinfomsg *i = NLMSG_DATA(h);
	struct rtattr *name = find(i, sizeof *i, h, IFLA_IFNAME);
	struct rtattr *mtu = find(i, sizeof *i, h, IFLA_MTU);
	if (!name || strcmp(RTA_DATA(name), "lo"))
		return;
	*(int *)arg = 1;
	CHECK(i->ifi_index == 1 && i->ifi_type == 772);
	CHECK((i->ifi_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING)) ==
	      (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	CHECK(mtu && *(unsigned *)RTA_DATA(mtu) == 65536);
	CHECK(find(i, sizeof *i, h, IFLA_STATS64) && find(i, sizeof *i, h, IFLA_ADDRESS));
	CHECK(find(i, sizeof *i, h, IFLA_OPERSTATE) && find(i, sizeof *i, h, IFLA_QDISC));
}

static void see_addr(struct nlmsghdr *h, void *arg)
{
	struct ifaddrmsg *i = NLMSG_DATA(h);
	struct rtattr *a = find(i, sizeof *i, h, IFA_ADDRESS);
	uint32_t lo = htonl(INADDR_LOOPBACK);
	CHECK(a && h->nlmsg_type == RTM_NEWADDR);
	if (i->ifa_family == AF_INET && !memcmp(RTA_DATA(a), &lo, 4)) {
		*(int *)arg |= 1;
		CHECK(i->ifa_prefixlen == 8 && i->ifa_scope == RT_SCOPE_HOST && i->ifa_index == 1);
		CHECK(i->ifa_flags & IFA_F_PERMANENT);
		CHECK(find(i, sizeof *i, h, IFA_LABEL) && find(i, sizeof *i, h, IFA_CACHEINFO));
	}
	if (i->ifa_family == AF_INET6 && i->ifa_index == 1 && i->ifa_prefixlen == 128)
		*(int *)arg |= 2;
}

static void see_local_route(struct nlmsghdr *h, void *arg)
{
	struct rtmsg *i = NLMSG_DATA(h);
	struct rtattr *a = find(i, sizeof *i, h, RTA_DST);
	uint32_t lo = htonl(INADDR_LOOPBACK);
	if (i->rtm_table == RT_TABLE_LOCAL && i->rtm_type == RTN_LOCAL && i->rtm_dst_len == 32 &&
	    a && !memcmp(RTA_DATA(a), &lo, 4))
		*(int *)arg = 1;
}

static void test_listings(void)
{
	struct request r;
	int fd = nl_open(0), seen = 0;
	start(&r, RTM_GETLINK, NLM_F_DUMP, sizeof r.gen);
	CHECK(list(fd, &r, see_link, &seen) >= 1 && seen);
	start(&r, RTM_GETADDR, NLM_F_DUMP, sizeof r.gen);
	seen = 0;
	CHECK(list(fd, &r, see_addr, &seen) >= 2 && seen == 3);
	start(&r, RTM_GETADDR, NLM_F_DUMP, sizeof r.gen);
	r.gen.rtgen_family = AF_INET6;
	seen = 0;
	CHECK(list(fd, &r, see_addr, &seen) >= 1 && seen == 2);
	start(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof r.route);
	seen = 0;
	CHECK(list(fd, &r, see_local_route, &seen) >= 1 && seen);
	start(&r, RTM_GETRULE, NLM_F_DUMP, sizeof r.gen);
	r.gen.rtgen_family = AF_INET;
	CHECK(list(fd, &r, NULL, NULL) == 3);
	start(&r, RTM_GETNEIGH, NLM_F_DUMP, sizeof r.neigh);
	CHECK(list(fd, &r, NULL, NULL) >= 0);
	close(fd);
}

static void test_one_link(void)
{
	struct request r;
	char buf[8192];
	int fd = nl_open(0);
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	start(&r, RTM_GETLINK, 0, sizeof r.link);
	attr(&r, IFLA_IFNAME, "lo", 3);
	send(fd, &r, r.h.nlmsg_len, 0);
	CHECK(recv(fd, buf, sizeof buf, 0) > 0 && h->nlmsg_type == RTM_NEWLINK &&
	      ((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index == 1);
	start(&r, RTM_GETLINK, 0, sizeof r.link);
	r.link.ifi_index = 4711;
	CHECK(change(fd, &r) == ENODEV);
	start(&r, RTM_GETLINK, 0, sizeof r.link);
	attr(&r, IFLA_IFNAME, "nosuch0", 8);
	CHECK(change(fd, &r) == ENODEV);
	/* Unknown requests are refused, with the request quoted. */
	start(&r, RTM_MAX + 40, 0, sizeof r.gen);
	CHECK(change(fd, &r) == EOPNOTSUPP);
	/* Too short to hold what it says. */
	start(&r, RTM_NEWADDR, NLM_F_CREATE, 2);
	r.addr.ifa_family = AF_INET;
	CHECK(change(fd, &r) == EINVAL);
	close(fd);
}

static void address_request(struct request *r, int type, int flags, const char *text, int plen)
{
	struct in_addr a;
	inet_pton(AF_INET, text, &a);
	start(r, type, flags, sizeof r->addr);
	r->addr.ifa_family = AF_INET;
	r->addr.ifa_prefixlen = (uint8_t)plen;
	r->addr.ifa_index = 1;
	attr(r, IFA_LOCAL, &a, sizeof a);
	attr(r, IFA_ADDRESS, &a, sizeof a);
}

/* Waits for a notification of the type that mentions the address. */
static int notified(int fd, int type, const char *text)
{
	_Alignas(8) char buf[8192];
	struct in_addr want;
	inet_pton(AF_INET, text, &want);
	struct pollfd p = {fd, POLLIN, 0};
	while (poll(&p, 1, 10000) == 1) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);
		unsigned left = n > 0 ? (unsigned)n : 0;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg *i = NLMSG_DATA(h);
			struct rtattr *a = find(i, sizeof *i, h, IFA_ADDRESS);
			if (h->nlmsg_type == type && a && !memcmp(RTA_DATA(a), &want, 4))
				return 1;
		}
	}
	return 0;
}

static void test_addresses(void)
{
	struct request r;
	int fd = nl_open(0), mon = nl_open(RTMGRP_IPV4_IFADDR | RTMGRP_LINK);
	address_request(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "10.77.1.1", 24);
	CHECK(change(fd, &r) == 0);
	CHECK(notified(mon, RTM_NEWADDR, "10.77.1.1"));
	address_request(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "10.77.1.1", 24);
	CHECK(change(fd, &r) == EEXIST);
	/* It is ours now: it can be bound and answers. */
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = net_in("10.77.1.1", 0);
	CHECK(bind(s, (struct sockaddr *)&a, sizeof a) == 0);
	close(s);
	address_request(&r, RTM_DELADDR, 0, "10.77.1.1", 24);
	CHECK(change(fd, &r) == 0);
	CHECK(notified(mon, RTM_DELADDR, "10.77.1.1"));
	address_request(&r, RTM_DELADDR, 0, "10.77.1.1", 24);
	CHECK(change(fd, &r) == EADDRNOTAVAIL);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_ERR(bind(s, (struct sockaddr *)&a, sizeof a), EADDRNOTAVAIL);
	close(s);
	address_request(&r, RTM_NEWADDR, NLM_F_CREATE, "10.77.1.1", 24);
	r.addr.ifa_index = 4711;
	CHECK(change(fd, &r) == ENODEV);
	close(fd);
	close(mon);
}

static void route_request(struct request *r, int type, int flags, const char *text, int plen)
{
	struct in_addr a;
	int lo = 1;
	inet_pton(AF_INET, text, &a);
	start(r, type, flags, sizeof r->route);
	r->route.rtm_family = AF_INET;
	r->route.rtm_dst_len = (uint8_t)plen;
	r->route.rtm_table = RT_TABLE_MAIN;
	r->route.rtm_protocol = RTPROT_BOOT;
	r->route.rtm_scope = RT_SCOPE_LINK;
	r->route.rtm_type = RTN_UNICAST;
	attr(r, RTA_DST, &a, sizeof a);
	attr(r, RTA_OIF, &lo, sizeof lo);
}

static void see_route(struct nlmsghdr *h, void *arg)
{
	struct rtmsg *i = NLMSG_DATA(h);
	struct rtattr *a = find(i, sizeof *i, h, RTA_DST);
	struct in_addr want;
	inet_pton(AF_INET, "10.88.0.0", &want);
	if (a && i->rtm_dst_len == 16 && !memcmp(RTA_DATA(a), &want, 4) &&
	    find(i, sizeof *i, h, RTA_OIF))
		*(int *)arg = 1;
}

static int route_listed(int fd)
{
	struct request r;
	int seen = 0;
	start(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof r.route);
	r.route.rtm_family = AF_INET;
	list(fd, &r, see_route, &seen);
	return seen;
}

static void test_routes(void)
{
	struct request r;
	char buf[4096];
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	int fd = nl_open(0);
	CHECK(!route_listed(fd));
	route_request(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.88.0.0", 16);
	CHECK(change(fd, &r) == 0);
	CHECK(route_listed(fd));
	route_request(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.88.0.0", 16);
	CHECK(change(fd, &r) == EEXIST);
	route_request(&r, RTM_GETROUTE, 0, "10.88.3.4", 32);
	send(fd, &r, r.h.nlmsg_len, 0);
	CHECK(recv(fd, buf, sizeof buf, 0) > 0 && h->nlmsg_type == RTM_NEWROUTE);
	struct rtattr *oif = find(NLMSG_DATA(h), sizeof r.route, h, RTA_OIF);
	CHECK(oif && *(int *)RTA_DATA(oif) == 1);
	route_request(&r, RTM_DELROUTE, 0, "10.88.0.0", 16);
	CHECK(change(fd, &r) == 0);
	route_request(&r, RTM_DELROUTE, 0, "10.88.0.0", 16);
	CHECK(change(fd, &r) == ESRCH);
	CHECK(!route_listed(fd));
	close(fd);
}

static int if_mtu(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(ioctl(fd, SIOCGIFMTU, &r) == 0);
	close(fd);
	return r.ifr_mtu;
}

static void test_link_changes(void)
{
	struct request r;
	int fd = nl_open(0), mtu = 30000;
	start(&r, RTM_SETLINK, 0, sizeof r.link);
	r.link.ifi_index = 1;
	attr(&r, IFLA_MTU, &mtu, sizeof mtu);
	CHECK(change(fd, &r) == 0 && if_mtu() == 30000);
	mtu = 65536;
	start(&r, RTM_SETLINK, 0, sizeof r.link);
	r.link.ifi_index = 1;
	attr(&r, IFLA_MTU, &mtu, sizeof mtu);
	CHECK(change(fd, &r) == 0 && if_mtu() == 65536);
	start(&r, RTM_NEWLINK, 0, sizeof r.link);
	r.link.ifi_index = 1;
	r.link.ifi_change = IFF_UP;
	CHECK(change(fd, &r) == 0);
	struct ifreq f = {.ifr_name = "lo"};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(ioctl(s, SIOCGIFFLAGS, &f) == 0 && !(f.ifr_flags & IFF_UP));
	f.ifr_flags |= IFF_UP;
	CHECK(ioctl(s, SIOCSIFFLAGS, &f) == 0);
	CHECK(ioctl(s, SIOCGIFFLAGS, &f) == 0 && f.ifr_flags & IFF_UP);
	close(s);
	close(fd);
}

static void test_socket_rules(void)
{
	struct sockaddr_nl a;
	socklen_t n = sizeof a;
	char b;
	int fd = nl_open(0), fd2 = nl_open(0), v = 5;
	CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0 && n == sizeof a && a.nl_pid != 0);
	unsigned first = a.nl_pid;
	CHECK(getsockname(fd2, (struct sockaddr *)&a, &n) == 0 && a.nl_pid != first);
	CHECK_ERR(recv(fd, &b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &v, sizeof v) == 0);
	CHECK(setsockopt(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &v, sizeof v) == 0);
	CHECK_ERR(setsockopt(fd, SOL_NETLINK, 9999, &v, sizeof v), ENOPROTOOPT);
	a = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_pid = 0x7654321};
	CHECK_ERR(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a), ECONNREFUSED);
	struct sockaddr_in in = net_in("127.0.0.1", 1);
	CHECK_ERR(bind(fd2, (struct sockaddr *)&in, sizeof in), EINVAL);
	CHECK_ERR(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
	close(fd);
	close(fd2);
}

static void test_getifaddrs(void)
{
	struct ifaddrs *all, *i;
	int v4 = 0, v6 = 0, packet = 0;
	CHECK(getifaddrs(&all) == 0);
	for (i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || strcmp(i->ifa_name, "lo"))
			continue;
		v4 += i->ifa_addr->sa_family == AF_INET;
		v6 += i->ifa_addr->sa_family == AF_INET6;
		packet += i->ifa_addr->sa_family == AF_PACKET;
	}
	CHECK(v4 == 1 && v6 == 1 && packet == 1);
	freeifaddrs(all);
	struct if_nameindex *n = if_nameindex();
	CHECK(n && n[0].if_index == 1 && !strcmp(n[0].if_name, "lo"));
	if_freenameindex(n);
	CHECK(if_nametoindex("lo") == 1 && if_nametoindex("nosuch0") == 0);
	char name[IF_NAMESIZE];
	CHECK(if_indextoname(1, name) && !strcmp(name, "lo") && !if_indextoname(4711, name));
}

int main(void)
{
	net_private();
	test_listings();
	test_one_link();
	test_addresses();
	test_routes();
	test_socket_rules();
	test_getifaddrs();
	test_link_changes();
	return check_report();
}
