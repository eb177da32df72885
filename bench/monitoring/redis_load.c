/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * redis_load REQUESTS [scrape|memcached]: SET and GET over 16 connections of the loopback, four
 * requests at a time on each, and how long it took ("load SECONDS REQUESTS"). With `scrape` a
 * thread fetches /metrics from port 8000 every second meanwhile ("scrapes N BYTES"); with
 * `memcached` it is that server instead of redis.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 16

/* What is sent on a connection at a time, and the answer to it. */
static const struct protocol {
	int port;
	const char *batch, *answer;
} redis = {6379,
    "SET key:00000001 xxx\r\nGET key:00000001\r\nSET key:00000002 yyy\r\nGET key:00000002\r\n",
    "+OK\r\n$3\r\nxxx\r\n+OK\r\n$3\r\nyyy\r\n"},
  memcached = {11211, "set k1 0 0 3\r\nxxx\r\nget k1\r\nset k2 0 0 3\r\nyyy\r\nget k2\r\n",
      "STORED\r\nVALUE k1 0 3\r\nxxx\r\nEND\r\nSTORED\r\nVALUE k2 0 3\r\nyyy\r\nEND\r\n"};

static atomic_bool over;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Waits for the server to come up. */
static int open_connection(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < 3000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (!connect(fd, (struct sockaddr *)&a, sizeof a))
			return fd;
		close(fd);
		usleep(10000);
	}
	fprintf(stderr, "port %d does not answer\n", port);
	exit(1);
}

static void *scrape(void *arg)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char *buf = malloc(1 << 20);
	int fd = open_connection(8000);
	long n = 0, bytes = 0;

	(void)arg;
	while (!atomic_load(&over)) {
		size_t len = 0;
		char *body = NULL;
		long want = -1;
		if (write(fd, request, sizeof request - 1) < 0)
			exit(2);
		while (!body || (long)len < body - buf + want) {
			ssize_t got = read(fd, buf + len, (1 << 20) - 1 - len);
			if (got <= 0)
				exit(3);
			len += (size_t)got;
			buf[len] = 0;
			if (!body && (body = strstr(buf, "\r\n\r\n"))) {
				body += 4;
				const char *l = strstr(buf, "Content-Length: ");
				want = l ? atol(l + 16) : 0;
			}
		}
		n++;
		bytes += (long)len;
		for (int i = 0; i < 20 && !atomic_load(&over); i++)
			usleep(50000);
	}
	printf("scrapes %ld %ld\n", n, bytes);
	return NULL;
}

int main(int argc, char **argv)
{
	long requests = argc > 1 ? atol(argv[1]) : 100000, done = 0;
	int fd[CONNECTIONS];
	char buf[256];
	pthread_t thread;
	bool scraping = argc > 2 && !strcmp(argv[2], "scrape");
	const struct protocol *p = argc > 2 && !strcmp(argv[2], "memcached") ? &memcached : &redis;
	size_t nbatch = strlen(p->batch), nanswer = strlen(p->answer);

	for (int i = 0; i < CONNECTIONS; i++)
		fd[i] = open_connection(p->port);
	if (scraping)
		pthread_create(&thread, NULL, scrape, NULL);
	usleep(200000);
	double start = now();
	while (done < requests) {
		for (int i = 0; i < CONNECTIONS; i++)
			if (write(fd[i], p->batch, nbatch) < 0)
				return 2;
		for (int i = 0; i < CONNECTIONS; i++) {
			size_t len = 0;
			while (len < nanswer) {
				ssize_t got = read(fd[i], buf + len, sizeof buf - len);
				if (got <= 0)
					return 3;
				len += (size_t)got;
			}
			if (memcmp(buf, p->answer, nanswer))
				return 4;
			done += 4;
		}
	}
	printf("load %.6f %ld\n", now() - start, done);
	atomic_store(&over, 1);
	if (scraping)
		pthread_join(thread, NULL);
	return 0;
}
