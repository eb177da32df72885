/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP sockets: data in all ways, urgent data, ends of connections, options, and the error of each
 * failure. */
#define _GNU_SOURCE
#include <time.h> /* before the next */
#include <linux/errqueue.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include "check.h"
#include "net.h"

struct route_entry { /* struct rtentry, without its header's conflicts */
	unsigned long pad1;
	struct sockaddr dst, gateway, mask;
	unsigned short flags;
	short pad2;
	unsigned long pad3;
	void *pad4;
	short metric;
	const char *dev;
	unsigned long mtu, window;
	unsigned short irtt;
};

static void on(int fd, int level, int name, int v)
{
	if (!CHECK(setsockopt(fd, level, name, &v, sizeof v) == 0))
		printf("  level %d option %d\n", level, name);
}

/* Value of an integer option, or -errno. */
static int get(int fd, int level, int name)
{
	int v = 0;
	socklen_t n = sizeof v;
	return getsockopt(fd, level, name, &v, &n) ? -errno : v;
}

static int events(int fd, short want, int ms)
{
	struct pollfd p = {fd, want, 0};
	return poll(&p, 1, ms) > 0 ? p.revents : 0;
}

static void test_data(int family)
{
	int s[2], v;
	char b[64];
	CHECK(net_pair(family, s) == 0);
	CHECK(send(s[0], "hello world", 11, 0) == 11);
	CHECK(events(s[1], POLLIN, 5000) == POLLIN);
	CHECK(ioctl(s[1], FIONREAD, &v) == 0 && v == 11);
	CHECK(recv(s[1], b, 5, MSG_PEEK) == 5 && !memcmp(b, "hello", 5));
	CHECK(recv(s[1], b, 6, MSG_TRUNC) == 6); /* thrown away */
	CHECK(recv(s[1], b, sizeof b, 0) == 5 && !memcmp(b, "world", 5));
	CHECK_ERR(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(recv(s[1], b, 0, MSG_DONTWAIT), EAGAIN);
	CHECK(read(s[1], b, 0) == 0);
	char text[] = "abcde";
	struct iovec out[3] = {{text, 2}, {text, 0}, {text + 2, 3}}, in[2] = {{b, 1}, {b + 1, 63}};
	CHECK(writev(s[0], out, 3) == 5);
	CHECK(recv(s[1], b, 5, MSG_WAITALL | MSG_PEEK) == 5);
	CHECK(readv(s[1], in, 2) == 5 && !memcmp(b, "abcde", 5));
	on(s[0], SOL_TCP, TCP_CORK, 1);
	CHECK(send(s[0], "x", 1, 0) == 1 && events(s[1], POLLIN, 50) == 0);
	on(s[0], SOL_TCP, TCP_CORK, 0);
	CHECK(events(s[1], POLLIN, 5000) == POLLIN && recv(s[1], b, 9, 0) == 1);
	CHECK(send(s[0], "y", 1, MSG_MORE) == 1 && send(s[0], "z", 1, 0) == 1);
	CHECK(recv(s[1], b, 2, MSG_WAITALL) == 2 && b[0] == 'y');
	/* Half close: the other direction goes on. */
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK(recv(s[1], b, 1, 0) == 0);
	CHECK((events(s[1], POLLIN | POLLRDHUP, 1000) & (POLLIN | POLLRDHUP)) ==
	      (POLLIN | POLLRDHUP));
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(send(s[1], "back", 4, 0) == 4 && recv(s[0], b, 4, MSG_WAITALL) == 4);
	close(s[1]);
	CHECK(recv(s[0], b, 1, 0) == 0);
	CHECK(events(s[0], POLLIN, 1000) & POLLHUP);
	close(s[0]);
}

static void test_urgent(void)
{
	int s[2], mark = -1;
	char b[16];
	CHECK(net_pair(AF_INET, s) == 0);
	CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL);
	CHECK(send(s[0], "abc", 3, 0) == 3 && send(s[0], "U", 1, MSG_OOB) == 1 &&
	      send(s[0], "def", 3, 0) == 3);
	CHECK(events(s[1], POLLPRI, 5000) & POLLPRI);
	CHECK(ioctl(s[1], SIOCATMARK, &mark) == 0 && mark == 0);
	CHECK(recv(s[1], b, sizeof b, 0) == 3 && !memcmp(b, "abc", 3)); /* up to the mark */
	CHECK(ioctl(s[1], SIOCATMARK, &mark) == 0 && mark == 1);
	CHECK(recv(s[1], b, 1, MSG_OOB) == 1 && b[0] == 'U');
	CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL); /* once */
	CHECK(recv(s[1], b, 3, MSG_WAITALL) == 3 && !memcmp(b, "def", 3));
	on(s[1], SOL_SOCKET, SO_OOBINLINE, 1);
	CHECK(send(s[0], "12", 2, 0) == 2 && send(s[0], "V", 1, MSG_OOB) == 1);
	CHECK(events(s[1], POLLPRI, 5000) & POLLPRI);
	CHECK(recv(s[1], b, sizeof b, 0) == 2);
	CHECK(recv(s[1], b, sizeof b, 0) == 1 && b[0] == 'V');
	CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL);
	close(s[0]);
	close(s[1]);
}

static void test_ends(void)
{
	int s[2];
	char b[8];
	struct linger hard = {1, 0};
	/* An abortive close is a reset. */
	CHECK(net_pair(AF_INET, s) == 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
	close(s[0]);
	CHECK(events(s[1], POLLIN, 5000) & (POLLERR | POLLHUP));
	CHECK_ERR(recv(s[1], b, 1, 0), ECONNRESET);
	CHECK(recv(s[1], b, 1, 0) == 0); /* told once */
	CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[1]);
	/* So is a close with data unread. */
	CHECK(net_pair(AF_INET, s) == 0);
	CHECK(send(s[0], "unread", 6, 0) == 6 && events(s[1], POLLIN, 5000));
	close(s[1]);
	CHECK(events(s[0], POLLIN, 5000) & POLLHUP);
	CHECK(get(s[0], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	CHECK(get(s[0], SOL_SOCKET, SO_ERROR) == 0);
	close(s[0]);
	/* Data before an orderly close arrives. */
	CHECK(net_pair(AF_INET, s) == 0);
	struct linger wait = {1, 5};
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0);
	CHECK(send(s[0], "last", 4, 0) == 4);
	close(s[0]);
	CHECK(recv(s[1], b, 8, MSG_WAITALL) == 4);
	CHECK(send(s[1], "x", 1, MSG_NOSIGNAL) == 1); /* nobody reads: answered by a reset */
	CHECK(events(s[1], POLLERR, 5000) & POLLERR);
	CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), ECONNRESET == errno ? ECONNRESET : EPIPE);
	close(s[1]);
}

static volatile sig_atomic_t pipes;
static void count_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void test_connect_errors(void)
{
	int port, l = net_listen(AF_INET, 1, &port);
	struct sockaddr_in a = net_in("127.0.0.1", port), none = net_in("198.51.100.1", 9);
	close(l);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&a, sizeof a), ECONNREFUSED);
	/* The socket can be used again. */
	CHECK_ERR(connect(s, (struct sockaddr *)&a, sizeof a), ECONNREFUSED);
	CHECK_ERR(connect(s, (struct sockaddr *)&none, sizeof none), ENETUNREACH);
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = connect(s, (struct sockaddr *)&a, sizeof a);
	if (r && errno == EINPROGRESS) {
		CHECK(events(s, POLLOUT, 5000) & POLLERR);
		CHECK(get(s, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	} else {
		CHECK(r == -1 && errno == ECONNREFUSED);
	}
	close(s);
	struct sockaddr_in6 none6 = net_in6("2001:db8::1", 9);
	s = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&none6, sizeof none6), ENETUNREACH);
	close(s);
	/* A network that swallows everything. */
	struct route_entry e = {.flags = 1, .dev = "lo"};
	struct sockaddr_in dst = net_in("10.99.0.0", 0), mask = net_in("255.255.0.0", 0);
	memcpy(&e.dst, &dst, sizeof dst);
	memcpy(&e.mask, &mask, sizeof mask);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(ioctl(s, SIOCADDRT, &e) == 0);
	struct sockaddr_in hole = net_in("10.99.0.1", 9);
	on(s, SOL_TCP, TCP_SYNCNT, 1);
	CHECK_ERR(connect(s, (struct sockaddr *)&hole, sizeof hole), ETIMEDOUT);
	close(s);
	s = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval tv = {0, 100000};
	CHECK(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&hole, sizeof hole), EINPROGRESS);
	CHECK_ERR(connect(s, (struct sockaddr *)&hole, sizeof hole), EALREADY);
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&hole, sizeof hole), EINPROGRESS);
	CHECK_ERR(connect(s, (struct sockaddr *)&hole, sizeof hole), EALREADY);
	CHECK_ERR(send(s, "x", 1, 0), EAGAIN);
	CHECK(events(s, POLLIN | POLLOUT, 0) == 0);
	close(s);
}

static void test_state_errors(void)
{
	int port, s[2], l = net_listen(AF_INET, 5, &port);
	struct sockaddr_in a = net_in("127.0.0.1", port), foreign = net_in("192.0.2.9", 0);
	struct sockaddr_in6 a6 = net_in6("::1", port);
	socklen_t n = sizeof a;
	char b[4];
	int t = socket(AF_INET, SOCK_STREAM, 0), on_ = 1;
	CHECK(events(t, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP));
	CHECK_ERR(bind(t, (struct sockaddr *)&a, sizeof a), EADDRINUSE);
	CHECK_ERR(bind(t, (struct sockaddr *)&foreign, sizeof foreign), EADDRNOTAVAIL);
	CHECK_ERR(bind(t, (struct sockaddr *)&a6, sizeof a6), EAFNOSUPPORT);
	CHECK_ERR(bind(t, (struct sockaddr *)&a, 3), EINVAL);
	CHECK_ERR(accept(t, NULL, NULL), EINVAL);
	CHECK_ERR(recv(t, b, 1, 0), ENOTCONN);
	CHECK_ERR(send(t, b, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(getpeername(t, (struct sockaddr *)&a, &n), ENOTCONN);
	CHECK_ERR(shutdown(t, SHUT_RDWR), ENOTCONN);
	CHECK_ERR(shutdown(t, 7), EINVAL);
	struct sockaddr_in any = net_in("127.0.0.1", 0);
	CHECK(bind(t, (struct sockaddr *)&any, sizeof any) == 0);
	CHECK_ERR(bind(t, (struct sockaddr *)&any, sizeof any), EINVAL);
	CHECK(listen(t, 1) == 0 && listen(t, 2) == 0);
	a = net_in("127.0.0.1", port);
	CHECK_ERR(connect(t, (struct sockaddr *)&a, sizeof a), EISCONN);
	CHECK_ERR(send(t, b, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(recv(t, b, 1, 0), ENOTCONN);
	CHECK(get(t, SOL_SOCKET, SO_ACCEPTCONN) == 1);
	fcntl(t, F_SETFL, O_NONBLOCK);
	CHECK_ERR(accept(t, NULL, NULL), EAGAIN);
	CHECK_ERR(accept4(t, NULL, NULL, 0x40), EINVAL);
	close(t);
	CHECK(net_pair(AF_INET, s) == 0);
	CHECK_ERR(connect(s[0], (struct sockaddr *)&a, sizeof a), EISCONN);
	CHECK_ERR(listen(s[0], 1), EINVAL);
	CHECK_ERR(recv(s[0], NULL, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(send(s[1], "q", 1, 0) == 1 && events(s[0], POLLIN, 5000));
	CHECK_ERR(recv(s[0], (void *)8, 1, 0), EFAULT);
	CHECK_ERR(send(s[0], (void *)8, 1, 0), EFAULT);
	CHECK(recv(s[0], b, 1, 0) == 1 && b[0] == 'q');
	struct timeval tv = {0, 50000};
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	CHECK_ERR(recv(s[0], b, 1, 0), EAGAIN);
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	/* A broken pipe, with its signal. */
	signal(SIGPIPE, count_pipe);
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK_ERR(write(s[0], "x", 1), EPIPE);
	CHECK(pipes == 1);
	close(s[0]);
	close(s[1]);
	int f = open("/dev/null", O_RDWR), u = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_ERR(listen(f, 1), ENOTSOCK);
	CHECK_ERR(setsockopt(f, SOL_SOCKET, SO_REUSEADDR, &on_, sizeof on_), ENOTSOCK);
	CHECK_ERR(listen(4711, 1), EBADF);
	CHECK_ERR(listen(u, 1), EOPNOTSUPP);
	CHECK_ERR(accept(u, NULL, NULL), EOPNOTSUPP);
	CHECK_ERR(send(u, "x", 1, MSG_OOB), EOPNOTSUPP);
	struct sockaddr_in bc = net_in("255.255.255.255", 9);
	CHECK_ERR(sendto(u, "x", 1, 0, (struct sockaddr *)&bc, sizeof bc),
	    errno == ENETUNREACH ? ENETUNREACH : EACCES);
	CHECK_ERR(socket(AF_INET, 77, 0), EINVAL);
	CHECK_ERR(socket(1000, SOCK_STREAM, 0), EAFNOSUPPORT);
	close(f);
	close(u);
	close(l);
}

/* Dissolving an association: the socket can connect anew. */
static void test_disconnect(void)
{
	int port, l = net_listen(AF_INET, 5, &port), s = net_connect(AF_INET, port);
	int a = accept(l, NULL, NULL);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_in to = net_in("127.0.0.1", port);
	char b;
	CHECK(connect(s, &none, sizeof none) == 0);
	CHECK_ERR(recv(a, &b, 1, 0), ECONNRESET);
	close(a);
	CHECK(connect(s, (struct sockaddr *)&to, sizeof to) == 0);
	a = accept(l, NULL, NULL);
	CHECK(send(s, "n", 1, 0) == 1 && recv(a, &b, 1, 0) == 1);
	close(a);
	close(s);
	close(l);
}

static void test_reuse(void)
{
	int port, l = net_listen(AF_INET, 5, &port), c = net_connect(AF_INET, port);
	int a = accept(l, NULL, NULL);
	struct sockaddr_in addr = net_in("127.0.0.1", port);
	close(a); /* the server's side ends first and stays in TIME_WAIT */
	close(c);
	close(l);
	int t = socket(AF_INET, SOCK_STREAM, 0);
	on(t, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK(bind(t, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(t, 1) == 0);
	int second = socket(AF_INET, SOCK_STREAM, 0);
	on(second, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_ERR(bind(second, (struct sockaddr *)&addr, sizeof addr), EADDRINUSE);
	close(second);
	close(t);
	/* SO_REUSEPORT: each of three gets its share. */
	int g[3], count[3] = {0}, cs[120];
	struct sockaddr_in any = net_in("127.0.0.1", 0);
	for (int i = 0; i < 3; i++) {
		g[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		on(g[i], SOL_SOCKET, SO_REUSEPORT, 1);
		CHECK(bind(g[i], (struct sockaddr *)&any, sizeof any) == 0);
		any.sin_port = htons((uint16_t)net_port(g[i]));
		CHECK(listen(g[i], 128) == 0);
	}
	for (int i = 0; i < 120; i++)
		cs[i] = net_connect(AF_INET, ntohs(any.sin_port));
	for (int i = 0; i < 3; i++) {
		int x;
		while ((x = accept(g[i], NULL, NULL)) >= 0) {
			count[i]++;
			close(x);
		}
	}
	CHECK(count[0] + count[1] + count[2] == 120);
	CHECK(count[0] > 10 && count[1] > 10 && count[2] > 10);
	for (int i = 0; i < 120; i++)
		close(cs[i]);
	for (int i = 0; i < 3; i++)
		close(g[i]);
	/* An address without a port, until connect() chooses one. */
	l = net_listen(AF_INET, 5, &port);
	t = socket(AF_INET, SOCK_STREAM, 0);
	on(t, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	any = net_in("127.0.0.7", 0);
	CHECK(bind(t, (struct sockaddr *)&any, sizeof any) == 0 && net_port(t) == 0);
	addr = net_in("127.0.0.1", port);
	CHECK(connect(t, (struct sockaddr *)&addr, sizeof addr) == 0 && net_port(t) != 0);
	struct sockaddr_in peer;
	socklen_t n = sizeof peer;
	a = accept(l, (struct sockaddr *)&peer, &n);
	CHECK(a >= 0 && peer.sin_addr.s_addr == any.sin_addr.s_addr);
	close(a);
	close(t);
	close(l);
}

static void test_options(void)
{
	int s[2];
	CHECK(net_pair(AF_INET, s) == 0);
	static const struct {
		int level, name, set;
	} all[] = {{SOL_TCP, TCP_NODELAY, 1}, {SOL_TCP, TCP_KEEPIDLE, 30},
	    {SOL_TCP, TCP_KEEPINTVL, 7}, {SOL_TCP, TCP_KEEPCNT, 4},
	    {SOL_TCP, TCP_USER_TIMEOUT, 12345}, {SOL_TCP, TCP_NOTSENT_LOWAT, 65536},
	    {SOL_TCP, TCP_SYNCNT, 3}, {SOL_TCP, TCP_LINGER2, 20}, {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {SOL_SOCKET, SO_REUSEADDR, 1}, {SOL_SOCKET, SO_PRIORITY, 3},
	    {SOL_SOCKET, SO_RCVLOWAT, 5}, {SOL_SOCKET, SO_BROADCAST, 1},
	    {SOL_SOCKET, SO_OOBINLINE, 1}, {SOL_IP, IP_TOS, 16}, {SOL_IP, IP_TTL, 33},
	    {SOL_IP, IP_MINTTL, 1}, {SOL_IP, IP_RECVERR, 1},
	    {SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO}, {SOL_IP, IP_FREEBIND, 1},
	    {SOL_SOCKET, SO_ZEROCOPY, 1}, {SOL_SOCKET, SO_BUSY_POLL, 50},
	    {SOL_SOCKET, SO_BUSY_POLL, 0}};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		on(s[0], all[i].level, all[i].name, all[i].set);
		if (!CHECK(get(s[0], all[i].level, all[i].name) == all[i].set))
			printf("  level %d option %d: %d\n", all[i].level, all[i].name,
			    get(s[0], all[i].level, all[i].name));
	}
	CHECK(get(s[1], SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
	CHECK(get(s[1], SOL_SOCKET, SO_DOMAIN) == AF_INET);
	CHECK(get(s[1], SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
	CHECK(get(s[1], SOL_SOCKET, SO_ERROR) == 0 && get(s[1], SOL_SOCKET, SO_ACCEPTCONN) == 0);
	CHECK(get(s[1], SOL_SOCKET, SO_INCOMING_CPU) >= 0);
	CHECK(get(s[1], SOL_IP, IP_MTU) >= 1280);
	CHECK(get(s[1], SOL_TCP, TCP_MAXSEG) > 500);
	on(s[1], SOL_SOCKET, SO_RCVBUF, 20000);
	CHECK(get(s[1], SOL_SOCKET, SO_RCVBUF) == 40000); /* doubled */
	on(s[1], SOL_SOCKET, SO_SNDBUF, 1);
	CHECK(get(s[1], SOL_SOCKET, SO_SNDBUF) >= 2048);
	on(s[1], SOL_TCP, TCP_QUICKACK, 1);
	int v = 1;
	CHECK_ERR(setsockopt(s[0], SOL_TCP, 9999, &v, sizeof v), ENOPROTOOPT);
	CHECK_ERR(setsockopt(s[0], SOL_IPV6, 67 /* IPV6_TCLASS */, &v, sizeof v), ENOPROTOOPT);
	CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, sizeof v), ENOPROTOOPT);
	CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, 1), EINVAL);
	CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, NULL, sizeof v), EFAULT);
	v = 1000;
	CHECK_ERR(setsockopt(s[0], SOL_IP, IP_TTL, &v, sizeof v), EINVAL);
	char cc[16] = "";
	socklen_t n = sizeof cc;
	CHECK(setsockopt(s[0], SOL_TCP, TCP_CONGESTION, "reno", 4) == 0);
	CHECK(getsockopt(s[0], SOL_TCP, TCP_CONGESTION, cc, &n) == 0 && !strcmp(cc, "reno"));
	CHECK_ERR(setsockopt(s[0], SOL_TCP, TCP_CONGESTION, "nonsense", 8), ENOENT);
	close(s[0]);
	close(s[1]);
}

static void test_info(void)
{
	int s[2];
	char b[4096] = {0};
	CHECK(net_pair(AF_INET, s) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(send(s[0], b, 4096, 0) == 4096 && recv(s[1], b, 4096, MSG_WAITALL) == 4096);
	struct tcp_info i = {0}, j = {0};
	socklen_t n = sizeof i;
	CHECK(getsockopt(s[0], SOL_TCP, TCP_INFO, &i, &n) == 0 && n >= 104);
	CHECK(i.tcpi_state == TCP_ESTABLISHED && i.tcpi_snd_mss > 500 && i.tcpi_snd_cwnd >= 2);
	CHECK(i.tcpi_rtt > 0 && i.tcpi_rto >= 200000 && i.tcpi_pmtu >= 1280);
	CHECK(i.tcpi_options & TCPI_OPT_SACK && i.tcpi_options & TCPI_OPT_TIMESTAMPS &&
	      i.tcpi_options & TCPI_OPT_WSCALE);
	n = sizeof j;
	CHECK(getsockopt(s[1], SOL_TCP, TCP_INFO, &j, &n) == 0 && j.tcpi_rcv_mss > 500);
	close(s[0]);
	n = sizeof j;
	CHECK(recv(s[1], b, 1, 0) == 0 && getsockopt(s[1], SOL_TCP, TCP_INFO, &j, &n) == 0 &&
	      j.tcpi_state == TCP_CLOSE_WAIT);
	close(s[1]);
}

static void test_defer_accept(void)
{
	int port, l = net_listen(AF_INET, 5, &port);
	on(l, SOL_TCP, TCP_DEFER_ACCEPT, 5);
	CHECK(get(l, SOL_TCP, TCP_DEFER_ACCEPT) >= 1);
	int c = net_connect(AF_INET, port);
	CHECK(events(l, POLLIN, 300) == 0); /* not before there is data */
	CHECK(send(c, "now", 3, 0) == 3);
	CHECK(events(l, POLLIN, 5000) == POLLIN);
	int a = accept(l, NULL, NULL);
	char b[4];
	CHECK(recv(a, b, 4, MSG_DONTWAIT) == 3);
	close(a);
	close(c);
	close(l);
}

static void test_zerocopy(void)
{
	int s[2];
	char b[1000] = {0}, control[128];
	CHECK(net_pair(AF_INET, s) == 0);
	on(s[0], SOL_SOCKET, SO_ZEROCOPY, 1);
	for (int i = 0; i < 3; i++)
		CHECK(send(s[0], b, 1000, MSG_ZEROCOPY) == 1000);
	for (int i = 0; i < 3; i++)
		CHECK(recv(s[1], b, 1000, MSG_WAITALL) == 1000);
	unsigned next = 0;
	for (int tries = 0; next < 3 && tries < 100; tries++) {
		struct msghdr m = {.msg_control = control, .msg_controllen = sizeof control};
		events(s[0], 0, 1000);
		if (recvmsg(s[0], &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			continue;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		struct sock_extended_err *e = (void *)CMSG_DATA(c);
		CHECK(c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR);
		CHECK(e->ee_origin == SO_EE_ORIGIN_ZEROCOPY && e->ee_errno == 0);
		CHECK(e->ee_info == next && e->ee_data >= e->ee_info);
		next = e->ee_data + 1;
	}
	CHECK(next == 3);
	close(s[0]);
	close(s[1]);
}

static void test_files(void)
{
	char name[] = "/tmp/netXXXXXX", b[300], out[300];
	int f = mkstemp(name), s[2], p[2];
	for (int i = 0; i < 300; i++)
		b[i] = (char)i;
	CHECK(f >= 0 && write(f, b, 300) == 300);
	unlink(name);
	CHECK(net_pair(AF_INET, s) == 0 && pipe(p) == 0);
	off_t off = 100;
	CHECK(sendfile(s[0], f, &off, 150) == 150 && off == 250);
	CHECK(recv(s[1], out, 150, MSG_WAITALL) == 150 && !memcmp(out, b + 100, 150));
	CHECK(write(p[1], b, 300) == 300);
	CHECK(splice(p[0], NULL, s[0], NULL, 300, 0) == 300);
	CHECK(events(s[1], POLLIN, 5000));
	size_t got = 0;
	while (got < 300) {
		ssize_t n = splice(s[1], NULL, p[1], NULL, 300 - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	CHECK(got == 300 && read(p[0], out, 300) == 300 && !memcmp(out, b, 300));
	close(p[0]);
	close(p[1]);
	close(s[0]);
	close(s[1]);
	close(f);
}

struct big {
	int fd;
	unsigned long sum, bytes;
};

static void *read_all(void *arg)
{
	struct big *x = arg;
	static unsigned char b[50000];
	ssize_t n;
	while ((n = recv(x->fd, b, sizeof b, 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			x->sum += b[i] * (++x->bytes % 251);
	return NULL;
}

/* A file larger than any buffer, from an odd place in it. */
static void test_big_file(void)
{
	enum { SIZE = 3000000, SKIP = 1234 };
	char name[] = "/tmp/bigXXXXXX";
	unsigned char *b = malloc(SIZE);
	int f = mkstemp(name), s[2];
	unsigned long sum = 0, n = 0, seed = 1;
	for (int i = 0; i < SIZE; i++)
		b[i] = (unsigned char)((seed = seed * 6364136223846793005ul + 1) >> 40);
	for (int i = SKIP; i < SIZE; i++)
		sum += b[i] * (++n % 251);
	CHECK(f >= 0 && write(f, b, SIZE) == SIZE && net_pair(AF_INET, s) == 0);
	unlink(name);
	struct big x = {.fd = s[1]};
	pthread_t t;
	pthread_create(&t, NULL, read_all, &x);
	off_t off = SKIP;
	while (off < SIZE && sendfile(s[0], f, &off, SIZE) > 0)
		;
	CHECK(off == SIZE && sendfile(s[0], f, &off, SIZE) == 0);
	close(f); /* what is on its way stays */
	shutdown(s[0], SHUT_WR);
	pthread_join(t, NULL);
	CHECK(x.bytes == SIZE - SKIP && x.sum == sum);
	CHECK_ERR(sendfile(s[0], s[0], NULL, 1), errno == EBADF ? EBADF : EINVAL);
	close(s[0]);
	close(s[1]);
	free(b);
}

static void test_epoll(void)
{
	int s[2], e = epoll_create1(0), port, l = net_listen(AF_INET, 5, &port);
	struct epoll_event ev, in = {.events = EPOLLIN | EPOLLET, .data.u32 = 7};
	char b[4];
	CHECK(net_pair(AF_INET, s) == 0);
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, s[1], &in) == 0);
	CHECK(epoll_wait(e, &ev, 1, 0) == 0);
	CHECK(send(s[0], "ab", 2, 0) == 2);
	CHECK(epoll_wait(e, &ev, 1, 5000) == 1 && ev.data.u32 == 7);
	CHECK(epoll_wait(e, &ev, 1, 50) == 0); /* an edge is told once */
	CHECK(send(s[0], "c", 1, 0) == 1);
	CHECK(epoll_wait(e, &ev, 1, 5000) == 1); /* though all of it is still unread */
	CHECK(recv(s[1], b, 4, 0) == 3);
	in.events = EPOLLIN | EPOLLONESHOT;
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, s[1], &in) == 0);
	CHECK(send(s[0], "d", 1, 0) == 1);
	CHECK(epoll_wait(e, &ev, 1, 5000) == 1);
	CHECK(send(s[0], "e", 1, 0) == 1 && epoll_wait(e, &ev, 1, 50) == 0);
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, s[1], &in) == 0 && epoll_wait(e, &ev, 1, 5000) == 1);
	in = (struct epoll_event){.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = 9};
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, l, &in) == 0);
	int c = net_connect(AF_INET, port);
	CHECK(epoll_wait(e, &ev, 1, 5000) == 1 && ev.data.u32 == 9 && ev.events == EPOLLIN);
	close(c);
	CHECK(epoll_ctl(e, EPOLL_CTL_DEL, l, NULL) == 0);
	in = (struct epoll_event){.events = EPOLLRDHUP | EPOLLOUT | EPOLLET, .data.u32 = 8};
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, s[0], &in) == 0);
	CHECK(epoll_wait(e, &ev, 1, 1000) == 1 && ev.events & EPOLLOUT);
	close(e);
	close(l);
	close(s[0]);
	close(s[1]);
}

static void test_limits(void)
{
	struct rlimit old, few = {40, 40};
	int port, l = net_listen(AF_INET, 20, &port), fds[64], n = 0;
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	int c = net_connect(AF_INET, port);
	CHECK(c >= 0 && setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (n < 64 && (fds[n] = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
		n++;
	CHECK(n < 64 && errno == EMFILE);
	CHECK_ERR(accept(l, NULL, NULL), EMFILE);
	close(fds[--n]);
	int a = accept(l, NULL, NULL); /* the connection has waited */
	CHECK(a >= 0 || errno == EAGAIN || errno == EINTR);
	close(a);
	while (n)
		close(fds[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	close(c);
	close(l);
}

/* A full send buffer: would block, then goes on when the reader has made room. */
static void test_flow(void)
{
	static char b[65536];
	int s[2];
	size_t sent = 0, got = 0;
	CHECK(net_pair(AF_INET, s) == 0);
	ssize_t n;
	while ((n = send(s[0], b, sizeof b, MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	CHECK(n == -1 && errno == EAGAIN && sent > sizeof b);
	CHECK(!(events(s[0], POLLOUT, 0) & POLLOUT));
	int unsent = 0;
	CHECK(ioctl(s[0], SIOCOUTQ, &unsent) == 0 && unsent > 0);
	while (got < sent && (n = recv(s[1], b, sizeof b, 0)) > 0)
		got += (size_t)n;
	CHECK(got == sent && events(s[0], POLLOUT, 5000) == POLLOUT);
	struct timeval tv = {0, 50000};
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
	while ((n = send(s[0], b, sizeof b, 0)) > 0)
		;
	CHECK(n == -1 && errno == EAGAIN);
	close(s[0]);
	close(s[1]);
}

static void test_dual(void)
{
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6}, from;
	socklen_t n = sizeof from;
	CHECK(bind(six, (struct sockaddr *)&any, sizeof any) == 0 && listen(six, 5) == 0);
	int port = net_port(six), c = net_connect(AF_INET, port);
	int a = accept(six, (struct sockaddr *)&from, &n);
	CHECK(a >= 0 && IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	close(a);
	close(c);
	int four = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in any4 = net_in("0.0.0.0", port);
	CHECK_ERR(bind(four, (struct sockaddr *)&any4, sizeof any4), EADDRINUSE);
	close(six);
	six = socket(AF_INET6, SOCK_STREAM, 0);
	on(six, SOL_IPV6, IPV6_V6ONLY, 1);
	on(six, SOL_SOCKET, SO_REUSEADDR, 1);
	any.sin6_port = 0;
	CHECK(bind(six, (struct sockaddr *)&any, sizeof any) == 0 && listen(six, 5) == 0);
	port = net_port(six);
	any4.sin_port = htons((uint16_t)port);
	CHECK(bind(four, (struct sockaddr *)&any4, sizeof any4) == 0 && listen(four, 5) == 0);
	c = net_connect(AF_INET, port);
	CHECK(c >= 0 && events(four, POLLIN, 5000) == POLLIN && events(six, POLLIN, 0) == 0);
	int v = 0;
	CHECK_ERR(setsockopt(six, SOL_IPV6, IPV6_V6ONLY, &v, sizeof v), EINVAL);
	close(c);
	close(four);
	close(six);
}

int main(void)
{
	net_private();
	test_data(AF_INET);
	test_data(AF_INET6);
	test_urgent();
	test_ends();
	test_connect_errors();
	test_state_errors();
	test_disconnect();
	test_reuse();
	test_options();
	test_info();
	test_defer_accept();
	test_zerocopy();
	test_files();
	test_big_file();
	test_epoll();
	test_limits();
	test_flow();
	test_dual();
	return check_report();
}
