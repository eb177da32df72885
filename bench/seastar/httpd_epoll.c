/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The yardstick of bench/seastar/httpd.py: the least an HTTP server on epoll can do. It takes
 * whatever it reads as requests that end with an empty line and answers each with the same bytes.
 * One thread; no limits, no errors, no parsing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

static char reply[1024];
static size_t reply_len;

static void serve(int fd)
{
	char in[8192], out[65536], *p;
	size_t n_out = 0;
	ssize_t n = recv(fd, in, sizeof(in) - 1, 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close(fd);
		return;
	}
	in[n] = '\0';
	for (p = in; (p = strstr(p, "\r\n\r\n")) && n_out + reply_len <= sizeof(out); p += 4) {
		memcpy(out + n_out, reply, reply_len);
		n_out += reply_len;
	}
	if (n_out && send(fd, out, n_out, MSG_NOSIGNAL) < 0)
		close(fd);
}

static void take_connections(int ep, int l)
{
	int fd, one = 1;

	while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct epoll_event ev[EVENTS], e = {.events = EPOLLIN};
	int ep = epoll_create1(0), one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (argc < 3) {
		fprintf(stderr, "usage: httpd_epoll PORT TEXT\n");
		return 2;
	}
	a.sin_port = htons((uint16_t)atoi(argv[1]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 1024)) {
		perror("httpd_epoll");
		return 1;
	}
	reply_len = (size_t)snprintf(reply, sizeof(reply),
	    "HTTP/1.1 200 OK\r\nServer: epoll\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	    "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
	    strlen(argv[2]), argv[2]);
	e.data.fd = l;
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == l)
				take_connections(ep, l);
			else
				serve(ev[i].data.fd);
		}
	}
}
