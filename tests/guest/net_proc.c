/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/net, /proc/sys/net and /sys/class/net say what is true. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include "check.h"
#include "net.h"

/* The whole file, terminated; "" if it cannot be read. */
static char *slurp(const char *path)
{
	static char text[1 << 18];
	size_t n = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY);
	while (fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	if (fd >= 0)
		close(fd);
	text[n] = 0;
	return text;
}

struct line {
	unsigned local_port, remote_port, state, rx, tx;
	unsigned long inode;
};

/* The line of a socket with this local port (and state, unless 0) in /proc/net/NAME. */
static int find_socket(const char *name, int port, unsigned state, struct line *out)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/net/%s", name);
	for (char *p = strchr(slurp(path), '\n'); p && p[1]; p = strchr(p + 1, '\n')) {
		char a[40], b[40];
		if (sscanf(p + 1, "%*d: %39[0-9A-F]:%X %39[0-9A-F]:%X %X %X:%X %*s %*s %*s %*s %lu",
			a, &out->local_port, b, &out->remote_port, &out->state, &out->tx, &out->rx,
			&out->inode) == 8 &&
		    (int)out->local_port == port && (!state || out->state == state))
			return 1;
	}
	return 0;
}

static unsigned long inode_of(int fd)
{
	struct stat st;
	fstat(fd, &st);
	return st.st_ino;
}

static void test_tcp(int family, const char *name)
{
	struct line x;
	int port, l = net_listen(family, 5, &port);
	CHECK(find_socket(name, port, 10, &x) && x.inode == inode_of(l) && x.remote_port == 0);
	int c = net_connect(family, port), s = accept(l, NULL, NULL);
	CHECK(find_socket(name, port, 1, &x) && (int)x.remote_port == net_port(c) &&
	      x.inode == inode_of(s) && x.rx == 0);
	CHECK(find_socket(name, net_port(c), 1, &x) && x.inode == inode_of(c));
	CHECK(send(c, "12345", 5, 0) == 5);
	char b[5];
	CHECK(recv(s, b, 5, MSG_PEEK | MSG_WAITALL) == 5);
	CHECK(find_socket(name, port, 1, &x) && x.rx == 5);
	int cport = net_port(c);
	close(c);
	CHECK(recv(s, b, 5, MSG_WAITALL) == 5 && recv(s, b, 1, 0) == 0);
	CHECK(find_socket(name, port, 8, &x)); /* CLOSE_WAIT */
	close(s);
	close(l);
	CHECK(!find_socket(name, port, 10, &x));
	int gone = 0; /* the closing side waits, the other is done as soon as it hears so */
	for (int i = 0; i < 100 && !gone; i++, usleep(20000))
		gone = find_socket(name, cport, 6, &x) && !find_socket(name, port, 9, &x);
	CHECK(gone && x.inode == 0);
}

static void test_udp(void)
{
	struct line x;
	struct sockaddr_in a = net_in("127.0.0.1", 0);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(s, (struct sockaddr *)&a, sizeof a) == 0);
	int port = net_port(s);
	CHECK(find_socket("udp", port, 7, &x) && x.inode == inode_of(s));
	close(s);
	CHECK(!find_socket("udp", port, 0, &x));
	struct sockaddr_in6 b = net_in6("::1", 0);
	s = socket(AF_INET6, SOCK_DGRAM, 0);
	CHECK(bind(s, (struct sockaddr *)&b, sizeof b) == 0);
	CHECK(find_socket("udp6", net_port(s), 7, &x));
	CHECK(connect(s, (struct sockaddr *)&b, sizeof b) == 0 || errno == EADDRNOTAVAIL ||
	      errno == EINVAL);
	close(s);
}

static unsigned long lo_packets(void)
{
	unsigned long bytes = 0, packets = 0;
	char *p = strstr(slurp("/proc/net/dev"), " lo:");
	return p && sscanf(p, " lo: %lu %lu", &bytes, &packets) == 2 ? packets : 0;
}

static void test_interfaces(void)
{
	unsigned long before = lo_packets();
	int s[2];
	CHECK(net_pair(AF_INET, s) == 0);
	close(s[0]);
	close(s[1]);
	CHECK(lo_packets() > before);
	CHECK(strstr(slurp("/proc/net/if_inet6"),
		  "00000000000000000000000000000001 01 80 10 80       lo") != NULL);
	CHECK(!strncmp(slurp("/proc/net/route"), "Iface\tDestination", 17));
	CHECK(!strncmp(slurp("/proc/net/arp"), "IP address ", 11));
}

static void test_counters(void)
{
	int used = 0, inuse = 0;
	int a = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in in = net_in("127.0.0.1", 0);
	CHECK(bind(a, (struct sockaddr *)&in, sizeof in) == 0);
	CHECK(sscanf(slurp("/proc/net/sockstat"), "sockets: used %d", &used) == 1 && used >= 1);
	char *p = strstr(slurp("/proc/net/sockstat"), "UDP: inuse");
	CHECK(p && sscanf(p, "UDP: inuse %d", &inuse) == 1 && inuse >= 1);
	close(a);
	CHECK(!strncmp(slurp("/proc/net/snmp"), "Ip: Forwarding DefaultTTL", 25));
	CHECK(strstr(slurp("/proc/net/snmp"), "\nTcp: 1 200 120000 -1 ") != NULL);
	CHECK(strstr(slurp("/proc/net/netstat"), "TcpExt: ") != NULL);
	CHECK(*slurp("/proc/net/netlink") && *slurp("/proc/net/unix"));
}

static void test_settings(void)
{
	int low, high;
	CHECK(sscanf(slurp("/proc/sys/net/ipv4/ip_local_port_range"), "%d %d", &low, &high) == 2 &&
	      low >= 1024 && high > low);
	CHECK(atoi(slurp("/proc/sys/net/core/somaxconn")) >= 128);
	CHECK(atoi(slurp("/proc/sys/net/core/rmem_default")) > 0);
	CHECK(*slurp("/proc/sys/net/ipv4/tcp_congestion_control"));
	CHECK(!strcmp(slurp("/proc/sys/net/ipv6/conf/all/disable_ipv6"), "0\n"));
	int s = socket(AF_INET, SOCK_STREAM, 0), v = 0;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, &n) == 0 && v > 0);
	close(s);
}

int main(void)
{
	net_private();
	test_tcp(AF_INET, "tcp");
	test_tcp(AF_INET6, "tcp6");
	test_udp();
	test_interfaces();
	test_counters();
	test_settings();
	/* sysfs shows the namespace that mounted it: on the host not this one. */
	CHECK(!strcmp(slurp("/sys/class/net/lo/mtu"), "65536\n"));
	CHECK(!strcmp(slurp("/sys/class/net/lo/ifindex"), "1\n"));
	CHECK(!strcmp(slurp("/sys/class/net/lo/type"), "772\n"));
	CHECK(!strcmp(slurp("/sys/class/net/lo/address"), "00:00:00:00:00:00\n"));
	CHECK(*slurp("/sys/class/net/lo/statistics/rx_bytes"));
	return check_report();
}
