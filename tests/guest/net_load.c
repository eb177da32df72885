/* SPDX-License-Identifier: BSD-3-Clause */
/* Many connections over the loopback: at once, one after another, and one used by several threads.
 * `net_load COUNT` makes that many short ones; memory and sockets must not become less or more. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include "check.h"
#include "net.h"

#define AT_ONCE 1000

static int listener;

/* Serves every connection of the listener: sends back what comes; ends when the listener does. */
static void *serve(void *arg)
{
	int e = epoll_create1(EPOLL_CLOEXEC), open = 0, *most = arg;
	struct epoll_event ev[64], in = {.events = EPOLLIN, .data.fd = listener};
	char b[256];
	epoll_ctl(e, EPOLL_CTL_ADD, listener, &in);
	for (;;) {
		int n = epoll_wait(e, ev, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			if (fd == listener) {
				int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				if (c < 0) {
					close(e);
					return NULL;
				}
				in = (struct epoll_event){.events = EPOLLIN, .data.fd = c};
				epoll_ctl(e, EPOLL_CTL_ADD, c, &in);
				if (++open > *most)
					*most = open;
				continue;
			}
			ssize_t got = recv(fd, b, sizeof b, MSG_DONTWAIT);
			if (got > 0) {
				send(fd, b, (size_t)got, MSG_NOSIGNAL);
			} else if (got == 0 || errno != EAGAIN) {
				close(fd);
				open--;
			}
		}
	}
}

static int echo(int fd, const char *text)
{
	char b[32];
	size_t n = strlen(text);
	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n &&
	       recv(fd, b, n, MSG_WAITALL) == (ssize_t)n && !memcmp(b, text, n);
}

static void test_at_once(int port)
{
	static int fds[AT_ONCE];
	int made = 0, good = 0;
	for (; made < AT_ONCE && (fds[made] = net_connect(AF_INET, port)) >= 0; made++)
		;
	CHECK(made == AT_ONCE);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < made; i++) {
			char text[16];
			snprintf(text, sizeof text, "%d.%d", round, (i * 7) % made);
			good += echo(fds[(i * 7) % made], text);
		}
	CHECK(good == 3 * made);
	for (int i = 0; i < made; i++)
		close(fds[i]);
}

static long memory_free(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

/* On a busy host memory comes and goes; in a machine of its own it tells something. */
static int alone(void)
{
	char line[256] = "";
	FILE *f = fopen("/proc/version", "r");
	if (f && !fgets(line, sizeof line, f))
		line[0] = 0;
	if (f)
		fclose(f);
	return strstr(line, "Carrara") || strstr(line, "carrara");
}

static int sockets_in_use(void)
{
	int n = -1;
	FILE *f = fopen("/proc/net/sockstat", "r");
	if (f && fscanf(f, "sockets: used %*d TCP: inuse %d", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static void test_one_after_another(int port, int count)
{
	int failed = 0, step = count / 4;
	int before = sockets_in_use(), after = -1;
	long start = 0;
	for (int i = 0; i < count; i++) {
		int fd = net_connect(AF_INET, port);
		if (fd < 0 || !echo(fd, "x")) {
			if (!failed++)
				printf("connection %d: %s\n", i, strerror(errno));
		}
		close(fd);
		if (i == step)
			start = memory_free();
	}
	CHECK(failed == 0);
	for (int i = 0; i < 200; i++, usleep(10000)) { /* the server closes after us */
		after = sockets_in_use();
		if (after <= before)
			break;
	}
	CHECK(after <= before);
	/* Three quarters of the connections took no memory that stays; what waits in TIME_WAIT is
	 * small. */
	long lost = start - memory_free();
	printf("%d connections, %ld KiB less\n", count - step, lost);
	CHECK(!alone() || lost < 16384);
}

/* --- one connection, many threads --- */

#define WRITERS 4
#define BLOCKS 400

static int shared[2];
static atomic_ulong sent_sum, got_sum, got_bytes;

static void *writer(void *arg)
{
	unsigned char b[777];
	unsigned seed = (unsigned)(size_t)arg;
	unsigned long sum = 0;
	for (int i = 0; i < BLOCKS; i++) {
		for (size_t k = 0; k < sizeof b; k++)
			sum += b[k] = (unsigned char)(seed = seed * 1103515245 + 12345) >> 3;
		for (size_t done = 0; done < sizeof b;) {
			ssize_t n = send(shared[0], b + done, sizeof b - done, MSG_NOSIGNAL);
			if (n <= 0)
				return NULL;
			done += (size_t)n;
		}
	}
	atomic_fetch_add(&sent_sum, sum);
	return NULL;
}

static void *reader(void *arg)
{
	unsigned char b[1000];
	ssize_t n;
	(void)arg;
	while ((n = recv(shared[1], b, sizeof b, 0)) > 0) {
		unsigned long sum = 0;
		for (ssize_t i = 0; i < n; i++)
			sum += b[i];
		atomic_fetch_add(&got_sum, sum);
		atomic_fetch_add(&got_bytes, (unsigned long)n);
	}
	return NULL;
}

/* Looks at both ends all the time. */
static void *watcher(void *arg)
{
	atomic_bool *stop = arg;
	int v;
	while (!atomic_load(stop)) {
		struct pollfd p[2] = {{shared[0], POLLOUT, 0}, {shared[1], POLLIN, 0}};
		socklen_t n = sizeof v;
		poll(p, 2, 1);
		getsockopt(shared[0], SOL_SOCKET, SO_ERROR, &v, &n);
		ioctl(shared[1], FIONREAD, &v);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t w[WRITERS], r[3], x;
	atomic_bool stop = false;
	CHECK(net_pair(AF_INET, shared) == 0);
	pthread_create(&x, NULL, watcher, &stop);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&w[i], NULL, writer, (void *)(i + 1));
	for (int i = 0; i < 3; i++)
		pthread_create(&r[i], NULL, reader, NULL);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(w[i], NULL);
	CHECK(shutdown(shared[0], SHUT_WR) == 0); /* ends every reader */
	for (int i = 0; i < 3; i++)
		pthread_join(r[i], NULL);
	atomic_store(&stop, true);
	pthread_join(x, NULL);
	CHECK(atomic_load(&got_bytes) == WRITERS * BLOCKS * 777ul);
	CHECK(atomic_load(&got_sum) == atomic_load(&sent_sum));
	close(shared[0]);
	close(shared[1]);
}

/* A reader that does not read and a peer that is gone do not disturb others. */
static void test_bad_neighbours(int port)
{
	static char b[65536];
	int slow[2], dead[2];
	CHECK(net_pair(AF_INET, slow) == 0 && net_pair(AF_INET, dead) == 0);
	while (send(slow[0], b, sizeof b, MSG_DONTWAIT) > 0)
		;
	struct linger hard = {1, 0};
	setsockopt(dead[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(dead[1]);
	int fd = net_connect(AF_INET, port), good = 0;
	for (int i = 0; i < 100; i++)
		good += echo(fd, "others");
	CHECK(good == 100);
	close(fd);
	close(slow[0]);
	close(slow[1]);
	close(dead[0]);
}

int main(int argc, char **argv)
{
	pthread_t t;
	int port, most = 0;
	struct rlimit r = {4096, 4096};
	net_private();
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max < 4096 ? r.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &r);
	listener = net_listen(AF_INET, 1024, &port);
	CHECK(listener >= 0 && pthread_create(&t, NULL, serve, &most) == 0);
	if (argc == 1)
		test_at_once(port);
	test_one_after_another(port, argc > 1 ? atoi(argv[1]) : 2000);
	test_threads();
	test_bad_neighbours(port);
	shutdown(listener, SHUT_RDWR);
	pthread_join(t, NULL);
	CHECK(argc > 1 || most >= AT_ONCE);
	close(listener);
	return check_report();
}
