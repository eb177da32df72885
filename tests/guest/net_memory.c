/* SPDX-License-Identifier: BSD-3-Clause */
/* More data waiting in sockets than there is memory: senders are told, nothing else suffers, and
 * everything comes back. In a machine of its own; on the host only a little is taken. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include "check.h"
#include "net.h"

static char block[65536];

static bool alone(void)
{
	struct utsname u;
	return uname(&u) == 0 && (strstr(u.version, "Carrara") || strstr(u.version, "carrara"));
}

/* One byte there and back over a new connection, in new memory. */
static bool works(int l, int port)
{
	char b = 0, *p = malloc(100000);
	int c = net_connect(AF_INET, port), a = c < 0 ? -1 : accept(l, NULL, NULL);
	bool good =
	    p && a >= 0 && send(c, "w", 1, MSG_NOSIGNAL) == 1 && recv(a, &b, 1, 0) == 1 && b == 'w';
	if (p)
		memset(p, 1, 100000);
	free(p);
	close(c);
	close(a);
	return good;
}

static void test_tcp(int l, int port, int pairs)
{
	static int s[600][2];
	unsigned long total = 0;
	int made = 0, refused = 0;
	for (; made < pairs; made++) {
		s[made][0] = net_connect(AF_INET, port);
		s[made][1] = s[made][0] < 0 ? -1 : accept(l, NULL, NULL);
		if (s[made][1] < 0) {
			refused++;
			close(s[made][0]);
			break;
		}
		ssize_t n;
		while ((n = send(s[made][0], block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			total += (unsigned long)n;
		if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
			CHECK(!"a full socket says EAGAIN, a full machine ENOBUFS or ENOMEM");
	}
	printf("%d connections hold %lu MiB\n", made, total >> 20);
	CHECK(made > 10 && total > 1 << 20);
	(void)refused;
	/* What was accepted for sending arrives. */
	unsigned long got = 0;
	for (int i = 0; i < made; i++) {
		ssize_t n;
		shutdown(s[i][0], SHUT_WR);
		while ((n = recv(s[i][1], block, sizeof block, 0)) > 0)
			got += (unsigned long)n;
		close(s[i][0]);
		close(s[i][1]);
	}
	CHECK(got == total);
	CHECK(works(l, port));
}

static void test_udp(int l, int port, int count)
{
	static int s[600];
	int made = 0, sent = 0;
	for (; made < count; made++) {
		struct sockaddr_in a = net_in("127.0.0.1", 0);
		s[made] = socket(AF_INET, SOCK_DGRAM, 0);
		if (s[made] < 0 || bind(s[made], (struct sockaddr *)&a, sizeof a))
			break;
		a.sin_port = htons((uint16_t)net_port(s[made]));
		for (int i = 0; i < 100; i++) /* far more than a queue holds */
			sent += sendto(s[made], block, 8000, MSG_DONTWAIT, (struct sockaddr *)&a,
				    sizeof a) == 8000;
	}
	CHECK(made > 10 && sent > made);
	for (int i = 0; i < made; i++)
		close(s[i]);
	CHECK(works(l, port));
}

int main(void)
{
	struct rlimit r = {4096, 4096};
	int port = 0, many = alone() ? 400 : 20;
	net_private();
	setrlimit(RLIMIT_NOFILE, &r);
	int l = net_listen(AF_INET, 64, &port);
	CHECK(works(l, port));
	test_tcp(l, port, many);
	test_udp(l, port, many);
	test_tcp(l, port, many);
	close(l);
	return check_report();
}
