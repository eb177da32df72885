/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load for the network benchmarks, and the server that answers it.
 *
 *	netload serve PORT SIZE
 *		answers each SIZE bytes with the same; one thread, epoll
 *	netload rr HOST PORT SIZE CONNECTIONS SECONDS
 *		requests of SIZE bytes, each connection waits for its reply; prints replies/s
 *	netload get HOST PORT CONNECTIONS SECONDS
 *		memcached: sets a key of 100 bytes, then gets it
 *	netload connect HOST PORT CONNECTIONS SECONDS
 *		connects, one byte there and back, closes; prints connections/s
 *	netload loop SIZE COUNT
 *		one connection over loopback in this process, COUNT round trips; prints ns of each
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 256, BUFFER = 65536, MAX_FDS = 65536 };

static struct {
	size_t got; /* bytes of the current message */
	bool open;
} state[MAX_FDS];
static char buffer[BUFFER];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch(int ep, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		fail("epoll_ctl");
}

static int listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (void *)&a, sizeof a) || listen(s, 1024))
		fail("listen");
	return s;
}

static int connect_to(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, host, &a.sin_addr);
	if (connect(s, (void *)&a, sizeof a))
		fail("connect");
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return s;
}

static void serve_one(int fd, size_t size)
{
	ssize_t n = read(fd, buffer, sizeof buffer);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			state[fd].got = 0;
			close(fd);
		}
		return;
	}
	state[fd].got += (size_t)n;
	while (state[fd].got >= size) {
		state[fd].got -= size;
		if (write(fd, buffer, size) != (ssize_t)size) {
			close(fd);
			return;
		}
	}
}

static void serve(int port, size_t size)
{
	struct epoll_event e[MAX_EVENTS];
	int s = listen_on(port), ep = epoll_create1(0), one = 1;
	watch(ep, s);
	for (;;) {
		int n = epoll_wait(ep, e, MAX_EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = e[i].data.fd;
			if (fd != s) {
				serve_one(fd, size);
				continue;
			}
			while ((fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MAX_FDS) {
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				watch(ep, fd);
			}
		}
	}
}

/* Closed loop over many connections: each sends `request` and waits for `reply` bytes. */
static void closed_loop(const char *host, const char *port, int connections, double seconds,
    const char *request, size_t size, size_t reply)
{
	struct epoll_event e[MAX_EVENTS];
	int ep = epoll_create1(0);
	unsigned long done = 0;
	for (int i = 0; i < connections; i++) {
		int fd = connect_to(host, port);
		watch(ep, fd);
		if (write(fd, request, size) != (ssize_t)size)
			fail("write");
	}
	double start = now(), end = start + seconds;
	while (now() < end) {
		int n = epoll_wait(ep, e, MAX_EVENTS, 100);
		for (int i = 0; i < n; i++) {
			int fd = e[i].data.fd;
			ssize_t r = read(fd, buffer, sizeof buffer);
			if (r <= 0)
				fail("read");
			state[fd].got += (size_t)r;
			if (state[fd].got < reply)
				continue;
			state[fd].got = 0;
			done++;
			if (write(fd, request, size) != (ssize_t)size)
				fail("write");
		}
	}
	printf("%.1f\n", (double)done / (now() - start));
}

static void get(const char *host, const char *port, int connections, double seconds)
{
	char line[200];
	int fd = connect_to(host, port);
	int n = snprintf(line, sizeof line, "set key 0 0 100\r\n%0100d\r\n", 7);
	if (write(fd, line, (size_t)n) != n || read(fd, line, sizeof line) != 8)
		fail("set");
	close(fd);
	closed_loop(host, port, connections, seconds, "get key\r\n", 9,
	    strlen("VALUE key 0 100\r\n\r\nEND\r\n") + 100);
}

static void connects(const char *host, const char *port, int connections, double seconds)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct linger at_once = {1, 0};
	struct epoll_event e[MAX_EVENTS];
	int ep = epoll_create1(0), open = 0;
	unsigned long done = 0;
	inet_pton(AF_INET, host, &a.sin_addr);
	double start = now(), end = start + seconds;
	while (now() < end) {
		for (; open < connections; open++) {
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			struct epoll_event w = {.events = EPOLLOUT, .data.fd = fd};
			if (connect(fd, (void *)&a, sizeof a) && errno != EINPROGRESS)
				fail("connect");
			state[fd].open = false;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &w);
		}
		int n = epoll_wait(ep, e, MAX_EVENTS, 100);
		for (int i = 0; i < n; i++) {
			int fd = e[i].data.fd;
			if (!state[fd].open) {
				struct epoll_event w = {.events = EPOLLIN, .data.fd = fd};
				state[fd].open = true;
				if (write(fd, "x", 1) != 1)
					fail("write");
				epoll_ctl(ep, EPOLL_CTL_MOD, fd, &w);
			} else if (read(fd, buffer, 10) == 1) {
				/* A reset at the end: thousands of TIME_WAIT would stop the client.
				 */
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
				close(fd);
				done++;
				open--;
			} else {
				fail("read");
			}
		}
	}
	printf("%.1f\n", (double)done / (now() - start));
}

static void transfer(int fd, size_t size, bool in)
{
	for (size_t n = 0; n < size;) {
		ssize_t r = in ? read(fd, buffer, size - n) : write(fd, buffer, size - n);
		if (r <= 0)
			fail("transfer");
		n += (size_t)r;
	}
}

static void loop(size_t size, long count)
{
	int s = listen_on(9999), c = connect_to("127.0.0.1", "9999"), one = 1;
	struct timespec pause = {0, 10000000};
	int fd;
	while ((fd = accept(s, NULL, NULL)) < 0)
		nanosleep(&pause, NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	for (int round = 0; round < 2; round++) { /* the first to warm up */
		double start = now();
		for (long i = 0; i < count; i++) {
			transfer(c, size, false);
			transfer(fd, size, true);
			transfer(fd, size, false);
			transfer(c, size, true);
		}
		if (round)
			printf("bench loopback_%zu %.0f\nbench end 1\n", size,
			    (now() - start) * 1e9 / (double)count);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {MAX_FDS, MAX_FDS};
	const char *mode = argc > 1 ? argv[1] : "";
	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(mode, "serve") && argc == 4) {
		serve(atoi(argv[2]), (size_t)atol(argv[3]));
	} else if (!strcmp(mode, "rr") && argc == 7) {
		size_t size = (size_t)atol(argv[4]);
		closed_loop(
		    argv[2], argv[3], atoi(argv[5]), atof(argv[6]), calloc(1, size), size, size);
	} else if (!strcmp(mode, "get") && argc == 6) {
		get(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
	} else if (!strcmp(mode, "connect") && argc == 6) {
		connects(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
	} else if (!strcmp(mode, "loop") && argc == 4) {
		loop((size_t)atol(argv[2]), atol(argv[3]));
	} else {
		fprintf(stderr, "usage: netload serve|rr|get|connect|loop ...\n");
		return 2;
	}
	return 0;
}
