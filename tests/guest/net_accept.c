/* SPDX-License-Identifier: BSD-3-Clause */
/* accept() without a free descriptor leaves the connection where it is. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"

static void try(int l, const struct sockaddr *a, socklen_t n)
{
	struct rlimit old, low;
	int c = socket(a->sa_family, SOCK_STREAM, 0), s, one;
	char b[8];

	CHECK(connect(c, a, n) == 0);
	CHECK(write(c, "early", 5) == 5);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	one = dup(0);
	close(one);
	low = (struct rlimit){.rlim_cur = (rlim_t)one, .rlim_max = old.rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EMFILE);
	CHECK_ERR(accept4(l, NULL, NULL, SOCK_CLOEXEC), EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	s = accept(l, NULL, NULL);
	CHECK(s == one);
	CHECK(read(s, b, sizeof(b)) == 5 && memcmp(b, "early", 5) == 0);
	CHECK(write(s, "late", 4) == 4);
	CHECK(read(c, b, sizeof(b)) == 4 && memcmp(b, "late", 4) == 0);
	close(s);
	close(c);
}

int main(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0accept-test"};
	socklen_t n = sizeof(in);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(l, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(l, 4) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&in, &n) == 0);
	try(l, (struct sockaddr *)&in, sizeof(in));
	close(l);
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "accept-test-%d", (int)getpid());
	CHECK(bind(l, (struct sockaddr *)&un, sizeof(un)) == 0 && listen(l, 4) == 0);
	try(l, (struct sockaddr *)&un, sizeof(un));
	close(l);
	return check_report();
}
