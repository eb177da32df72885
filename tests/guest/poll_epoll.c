/* SPDX-License-Identifier: BSD-3-Clause */
/* poll, select and epoll: readiness, timeouts, edge and level triggering, nesting, closing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static long ms_since(const struct timespec *a)
{
	struct timespec b;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a->tv_sec) * 1000 + (b.tv_nsec - a->tv_nsec) / 1000000;
}

static void *write_later(void *arg)
{
	usleep(20000);
	return (void *)(long)write(*(int *)arg, "x", 1);
}

static void test_poll(void)
{
	int p[2];
	struct timespec start;
	pthread_t t;
	CHECK(pipe(p) == 0);
	struct pollfd f[3] = {{p[0], POLLIN, 0}, {-1, POLLIN, 7}, {1000, POLLIN, 0}};
	CHECK(poll(f, 3, 0) == 1 && f[0].revents == 0 && f[1].revents == 0 &&
	      f[2].revents == POLLNVAL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK(poll(f, 1, 30) == 0 && ms_since(&start) >= 29);
	CHECK(poll(NULL, 0, 1) == 0);
	CHECK(pthread_create(&t, NULL, write_later, &p[1]) == 0);
	CHECK(poll(f, 1, 5000) == 1 && f[0].revents == POLLIN);
	pthread_join(t, NULL);
	struct timespec ts = {0, 1000000};
	CHECK(ppoll(f, 1, &ts, NULL) == 1);
	int file = open("/proc/self/exe", O_RDONLY);
	struct pollfd r = {file, POLLIN | POLLOUT, 0};
	CHECK(poll(&r, 1, 0) == 1 && r.revents == (POLLIN | POLLOUT));
	close(file);
	close(p[0]);
	close(p[1]);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_interrupted(void)
{
	struct sigaction a = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	sigset_t none, block;
	sigaction(SIGALRM, &a, NULL);
	alarm(1);
	CHECK_ERR(poll(NULL, 0, 5000), EINTR);
	/* Blocked until ppoll() lets it in. */
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	struct timespec ts = {2, 0};
	CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
	CHECK(sigprocmask(SIG_UNBLOCK, &block, NULL) == 0);
}

static void test_select(void)
{
	int p[2];
	fd_set in, out;
	CHECK(pipe(p) == 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	struct timeval tv = {0, 10000};
	CHECK(select(p[1] + 1, &in, &out, NULL, &tv) == 1 && !FD_ISSET(p[0], &in) &&
	      FD_ISSET(p[1], &out));
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	tv.tv_sec = 0;
	tv.tv_usec = 10000;
	CHECK(
	    select(p[0] + 1, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(p[0], &in) && tv.tv_usec == 0);
	CHECK(write(p[1], "x", 1) == 1);
	FD_SET(p[0], &in);
	CHECK(select(p[0] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &in));
	close(p[0]);
	close(p[1]);
	CHECK_ERR(select(p[0] + 1, &in, NULL, NULL, NULL), EBADF);
}

static void test_epoll_levels(void)
{
	int e = epoll_create1(EPOLL_CLOEXEC), p[2];
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0x123456789abcull}, got[4];
	CHECK(e >= 0 && pipe(p) == 0);
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) == 0);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev), EEXIST);
	CHECK(epoll_wait(e, got, 4, 0) == 0);
	CHECK(write(p[1], "ab", 2) == 2);
	CHECK(epoll_wait(e, got, 4, 100) == 1 && got[0].events == EPOLLIN &&
	      got[0].data.u64 == 0x123456789abcull);
	CHECK(epoll_wait(e, got, 4, 0) == 1);
	char c;
	CHECK(read(p[0], &c, 1) == 1 && epoll_wait(e, got, 4, 0) == 1);
	CHECK(read(p[0], &c, 1) == 1 && epoll_wait(e, got, 4, 0) == 0);
	/* Edge triggered: once per event. */
	ev.events = EPOLLIN | EPOLLET;
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev) == 0);
	CHECK(write(p[1], "a", 1) == 1);
	CHECK(epoll_wait(e, got, 4, 0) == 1 && epoll_wait(e, got, 4, 0) == 0);
	CHECK(write(p[1], "b", 1) == 1 && epoll_wait(e, got, 4, 0) == 1);
	/* One shot: until armed again. */
	ev.events = EPOLLIN | EPOLLONESHOT;
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev) == 0);
	CHECK(epoll_wait(e, got, 4, 0) == 1 && epoll_wait(e, got, 4, 0) == 0);
	CHECK(write(p[1], "c", 1) == 1 && epoll_wait(e, got, 4, 0) == 0);
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev) == 0 && epoll_wait(e, got, 4, 0) == 1);
	CHECK(epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL) == 0);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
	/* Closing the last descriptor takes it out. */
	ev.events = EPOLLIN;
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) == 0 && epoll_wait(e, got, 4, 0) == 1);
	close(p[1]);
	CHECK(epoll_wait(e, got, 4, 0) == 1 && got[0].events == (EPOLLIN | EPOLLHUP));
	close(p[0]);
	CHECK(epoll_wait(e, got, 4, 0) == 0);
	close(e);
}

static void test_epoll_errors(void)
{
	int e = epoll_create1(0), e2 = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN}, got;
	int f = open("/proc/self/exe", O_RDONLY);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, f, &ev), EPERM);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev), EINVAL);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, 1000, &ev), EBADF);
	CHECK_ERR(epoll_ctl(f, EPOLL_CTL_ADD, e, &ev), EINVAL);
	CHECK_ERR(epoll_wait(e, &got, 0, 0), EINVAL);
	CHECK_ERR(epoll_create1(1), EINVAL);
	CHECK_ERR(epoll_create(0), EINVAL);
	/* A set in a set, but not in a circle. */
	int ef = eventfd(0, 0);
	uint64_t one = 1;
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, ef, &ev) == 0);
	CHECK(epoll_ctl(e2, EPOLL_CTL_ADD, e, &ev) == 0);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, e2, &ev), ELOOP);
	CHECK(epoll_wait(e2, &got, 1, 0) == 0);
	CHECK(write(ef, &one, 8) == 8);
	CHECK(epoll_wait(e2, &got, 1, 100) == 1);
	close(f);
	close(ef);
	close(e2);
	close(e);
}

static void test_epoll_wakes(void)
{
	int e = epoll_create1(0), p[2];
	struct epoll_event ev = {.events = EPOLLIN}, got;
	struct timespec start;
	pthread_t t;
	CHECK(pipe(p) == 0 && epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) == 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK(epoll_wait(e, &got, 1, 20) == 0 && ms_since(&start) >= 19);
	CHECK(pthread_create(&t, NULL, write_later, &p[1]) == 0);
	CHECK(epoll_wait(e, &got, 1, 5000) == 1);
	pthread_join(t, NULL);
	close(e);
	close(p[0]);
	close(p[1]);
}

#define MANY 200
static void test_epoll_many(void)
{
	int e = epoll_create1(0), fds[MANY];
	struct epoll_event ev = {.events = EPOLLIN}, got[MANY];
	uint64_t one = 1;
	unsigned ok = 0, seen = 0;
	for (int i = 0; i < MANY; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		ev.data.u32 = (uint32_t)i;
		ok += fds[i] >= 0 && epoll_ctl(e, EPOLL_CTL_ADD, fds[i], &ev) == 0;
	}
	CHECK(ok == MANY);
	for (int i = 0; i < MANY; i += 2)
		ok += write(fds[i], &one, 8) == 8;
	int n = epoll_wait(e, got, MANY, 0);
	CHECK(n == MANY / 2);
	for (int i = 0; i < n; i++)
		seen += got[i].data.u32 % 2 == 0;
	CHECK(seen == MANY / 2);
	/* Fewer places than events: all are served in turn. */
	unsigned char served[MANY] = {0};
	for (int round = 0; round < MANY / 2; round++)
		if (epoll_wait(e, got, 1, 0) == 1)
			served[got[0].data.u32] = 1;
	seen = 0;
	for (int i = 0; i < MANY; i++)
		seen += served[i];
	CHECK(seen == MANY / 2);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	CHECK(epoll_wait(e, got, MANY, 0) == 0);
	close(e);
}

int main(void)
{
	test_poll();
	test_interrupted();
	test_select();
	test_epoll_levels();
	test_epoll_errors();
	test_epoll_wakes();
	test_epoll_many();
	return check_report();
}
