/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loader for memcached: a fixed number of connections, each with up to `depth` requests on their
 * way, keys at random, replies checked. Prints one line: requests a second, the server's CPU time a
 * request (of each of its threads too), and the time from sending a batch to its last reply.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 2000000 /* of a microsecond */
#define KEY_BYTES 11
#define MAX_THREADS 64

enum op { GET, SET, FILL };

struct conn {
	int fd;
	uint64_t sent; /* when the batch left */
	size_t got;    /* bytes of its reply */
	char head[8];  /* the first of them */
};

static const char *host = "127.0.0.1", *path;
static int port = 11211, n_conns = 50, depth = 1, value_bytes = 100, pid;
static double seconds = 2;
static unsigned keys = 100000;
static enum op op;
static char *request, *value;
static size_t reply_bytes;
static uint64_t seed = 88172645463325252u;
static uint32_t histogram[BUCKETS];
static uint64_t done, next_fill;

static void die(const char *what)
{
	fprintf(stderr, "mcload: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t random_key(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % keys;
}

static int dial(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, err;

	if (path) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
		err = connect(fd, (struct sockaddr *)&un, sizeof(un));
	} else {
		inet_pton(AF_INET, host, &in.sin_addr);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		err = connect(fd, (struct sockaddr *)&in, sizeof(in));
	}
	if (err)
		die("connect");
	return fd;
}

static char *one_request(char *p)
{
	uint32_t k = op == FILL ? (uint32_t)(next_fill++ % keys) : random_key();

	if (op == GET)
		return p + sprintf(p, "get key-%07u\r\n", k);
	p += sprintf(p, "set key-%07u 0 0 %d\r\n", k, value_bytes);
	memcpy(p, value, (size_t)value_bytes);
	memcpy(p + value_bytes, "\r\n", 2);
	return p + value_bytes + 2;
}

static void send_batch(struct conn *c)
{
	char *p = request;
	size_t at = 0, n;

	for (int i = 0; i < depth; i++)
		p = one_request(p);
	n = (size_t)(p - request);
	c->got = 0;
	c->sent = now();
	while (at < n) {
		ssize_t k = send(c->fd, request + at, n - at, MSG_NOSIGNAL);

		if (k < 0 && errno != EINTR)
			die("send");
		at += k > 0 ? (size_t)k : 0;
	}
}

static void note(uint64_t ns)
{
	uint64_t us = ns / 1000;

	histogram[us < BUCKETS ? us : BUCKETS - 1]++;
}

static void receive(struct conn *c, bool count)
{
	static char buf[1 << 18];
	size_t all = reply_bytes * (size_t)depth;
	ssize_t k = recv(c->fd, buf, sizeof(buf), 0);

	if (k <= 0)
		die("the server closed the connection");
	for (size_t i = 0; c->got + i < sizeof(c->head) && i < (size_t)k; i++)
		c->head[c->got + i] = buf[i];
	c->got += (size_t)k;
	errno = 0;
	if (c->got >= 8 && memcmp(c->head, op == GET ? "VALUE ke" : "STORED\r\n", 8))
		die(c->head);
	if (c->got > all)
		die("too long a reply");
	if (c->got < all)
		return;
	if (count) {
		done += (uint64_t)depth;
		note(now() - c->sent);
	}
	send_batch(c);
}

/* CPU time of each thread of the server, in nanoseconds. */
static int cpu_times(uint64_t *out)
{
	char name[300];
	DIR *d;
	int n = 0;

	snprintf(name, sizeof(name), "/proc/%d/task", pid);
	d = pid ? opendir(name) : NULL;
	for (struct dirent *e; d && n < MAX_THREADS && (e = readdir(d));) {
		unsigned long long ns;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		f = fopen(name, "r");
		if (f && fscanf(f, "%llu", &ns) == 1)
			out[n++] = ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return n;
}

static unsigned percentile(double part)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		total += histogram[i];
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += histogram[i];
		if ((double)seen >= (double)total * part)
			return i;
	}
	return BUCKETS;
}

static void report(double elapsed, const uint64_t *before, const uint64_t *after, int threads)
{
	uint64_t sum = 0;

	for (int i = 0; i < threads; i++)
		sum += after[i] - before[i];
	printf("ops=%.0f cpu_ns=%.1f p50=%u p99=%u p999=%u threads=", (double)done / elapsed,
	    (double)sum / (double)done, percentile(0.5), percentile(0.99), percentile(0.999));
	for (int i = 0; i < threads; i++)
		printf("%s%.1f", i ? "," : "", (double)(after[i] - before[i]) / (double)done);
	printf("\n");
}

static void run(struct conn *conns)
{
	static uint64_t before[MAX_THREADS], after[MAX_THREADS];
	struct epoll_event ev[256];
	int ep = epoll_create1(EPOLL_CLOEXEC), threads = 0;
	uint64_t start, t, warm;
	bool count = false;

	for (int i = 0; i < n_conns; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};

		conns[i].fd = dial();
		epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e);
	}
	for (int i = 0; i < n_conns; i++)
		send_batch(&conns[i]);
	start = now();
	warm = op == FILL ? 0 : 200000000;
	for (;;) {
		int n;

		t = now();
		if (!count && t - start >= warm) {
			count = true;
			start = t;
			threads = cpu_times(before);
		}
		if (count && (op == FILL ? done >= keys : (double)(t - start) >= seconds * 1e9))
			break;
		n = epoll_wait(ep, ev, 256, 1000);
		for (int i = 0; i < n; i++)
			receive(ev[i].data.ptr, count);
	}
	cpu_times(after);
	report((double)(t - start) / 1e9, before, after, threads);
}

static void usage(void)
{
	fprintf(stderr, "usage: mcload [-h ip] [-p port | -u path] [-c connections] [-d depth]\n"
			"              [-t seconds] [-k keys] [-s value bytes] [-P server's pid] "
			"get|set|fill\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct conn *conns;
	int c;

	while ((c = getopt(argc, argv, "h:p:u:c:d:t:k:s:P:")) != -1) {
		switch (c) {
		case 'h':
			host = optarg;
			break;
		case 'p':
			port = atoi(optarg);
			break;
		case 'u':
			path = optarg;
			break;
		case 'c':
			n_conns = atoi(optarg);
			break;
		case 'd':
			depth = atoi(optarg);
			break;
		case 't':
			seconds = atof(optarg);
			break;
		case 'k':
			keys = (unsigned)atoi(optarg);
			break;
		case 's':
			value_bytes = atoi(optarg);
			break;
		case 'P':
			pid = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc || n_conns < 1 || depth < 1 || value_bytes < 1 || !keys ||
	    keys > 10000000)
		usage();
	op = strcmp(argv[optind], "set") == 0	 ? SET
	     : strcmp(argv[optind], "fill") == 0 ? FILL
						 : GET;
	conns = calloc((size_t)n_conns, sizeof(*conns));
	value = malloc((size_t)value_bytes + 1);
	request = malloc((size_t)depth * ((size_t)value_bytes + 64));
	if (!conns || !value || !request)
		die("memory");
	memset(value, 'v', (size_t)value_bytes);
	reply_bytes = 8;
	if (op == GET)
		reply_bytes = (size_t)snprintf(
				  NULL, 0, "VALUE key-0000000 0 %d\r\n\r\nEND\r\n", value_bytes) +
			      (size_t)value_bytes;
	run(conns);
	return 0;
}
