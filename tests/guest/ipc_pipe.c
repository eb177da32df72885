/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes, FIFOs, eventfd, timerfd, signalfd, memfd, inotify. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int poll_one(int fd, short events)
{
	struct pollfd p = {fd, events, 0};
	return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

static void test_pipe(void)
{
	int p[2], n = 0;
	char buf[70000] = "abc", in[8];
	CHECK(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(p[0], F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDONLY));
	CHECK_ERR(read(p[0], in, 1), EAGAIN);
	CHECK(poll_one(p[0], POLLIN) == 0);
	CHECK(poll_one(p[1], POLLOUT) == POLLOUT);
	CHECK(write(p[1], buf, 3) == 3);
	CHECK(write(p[1], buf, 2) == 2);
	CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 5);
	CHECK(poll_one(p[0], POLLIN) == POLLIN);
	CHECK(read(p[0], in, sizeof in) == 5 && !memcmp(in, "abcab", 5));
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536);
	CHECK(write(p[1], buf, sizeof buf) == 65536);
	CHECK_ERR(write(p[1], buf, 1), EAGAIN);
	CHECK(poll_one(p[1], POLLOUT) == 0);
	CHECK(read(p[0], buf, 4096) == 4096);
	CHECK(poll_one(p[1], POLLOUT) == POLLOUT);
	CHECK(fcntl(p[0], F_SETPIPE_SZ, 131072) == 131072);
	CHECK(write(p[1], buf, sizeof buf) > 60000);
	CHECK_ERR(write(p[0], "x", 1), EBADF);
	CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
	close(p[1]);
	CHECK(poll_one(p[0], POLLIN) & POLLHUP);
	while (read(p[0], buf, sizeof buf) > 0)
		;
	CHECK(read(p[0], buf, 1) == 0);
	close(p[0]);
	CHECK(pipe(p) == 0);
	close(p[0]);
	CHECK(poll_one(p[1], POLLOUT) & POLLERR);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	close(p[1]);
}

/* What a shell does for `. /dev/stdin <<END`: the writer has gone when the reader opens again. */
static void test_open_again(void)
{
	int p[2];
	char path[64], buf[8];

	CHECK(pipe(p) == 0);
	CHECK(write(p[1], "hello", 5) == 5);
	close(p[1]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	int again = open(path, O_RDONLY);
	CHECK(again >= 0);
	struct pollfd poll_fd = {again, POLLIN, 0};
	CHECK(poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == (POLLIN | POLLHUP));
	CHECK(read(again, buf, sizeof buf) == 5 && memcmp(buf, "hello", 5) == 0);
	CHECK(read(again, buf, sizeof buf) == 0);
	close(p[0]);
	close(again);
}

static void *slow_writer(void *arg)
{
	int fd = *(int *)arg;
	char block[5000];
	memset(block, 'y', sizeof block);
	for (int i = 0; i < 100; i++)
		if (write(fd, block, sizeof block) != sizeof block)
			return NULL;
	close(fd);
	return arg;
}

static void test_blocking_pipe(void)
{
	int p[2];
	pthread_t t;
	char buf[3000];
	long total = 0, n;
	void *ret;
	CHECK(pipe(p) == 0);
	CHECK(pthread_create(&t, NULL, slow_writer, &p[1]) == 0);
	while ((n = read(p[0], buf, sizeof buf)) > 0)
		total += n;
	CHECK(n == 0 && total == 500000);
	CHECK(pthread_join(t, &ret) == 0 && ret);
	close(p[0]);
}

static void test_packet_pipe(void)
{
	int p[2];
	char buf[16];
	CHECK(pipe2(p, O_DIRECT) == 0);
	CHECK(write(p[1], "one", 3) == 3 && write(p[1], "three", 5) == 5);
	CHECK(read(p[0], buf, 2) == 2);
	CHECK(read(p[0], buf, 16) == 5 && !memcmp(buf, "three", 5));
	close(p[0]);
	close(p[1]);
}

static void *open_writer(void *arg)
{
	int fd = open(arg, O_WRONLY);
	if (fd < 0 || write(fd, "fifo", 4) != 4)
		return NULL;
	close(fd);
	return arg;
}

static void test_fifo(void)
{
	char name[] = "/tmp/fifoXXXXXX", path[64], buf[8];
	pthread_t t;
	CHECK(mkdtemp(name) != NULL);
	snprintf(path, sizeof path, "%s/f", name);
	CHECK(mkfifo(path, 0600) == 0);
	CHECK_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	CHECK(fd >= 0);
	CHECK(read(fd, buf, 1) == 0);
	CHECK(poll_one(fd, POLLIN) == 0);
	close(fd);
	CHECK(pthread_create(&t, NULL, open_writer, path) == 0);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK(read(fd, buf, 8) == 4 && !memcmp(buf, "fifo", 4));
	pthread_join(t, NULL);
	CHECK(read(fd, buf, 8) == 0);
	close(fd);
	CHECK(unlink(path) == 0 && rmdir(name) == 0);
}

static void test_eventfd(void)
{
	uint64_t v = 0;
	int e = eventfd(3, EFD_NONBLOCK);
	CHECK(e >= 0);
	CHECK(read(e, &v, 8) == 8 && v == 3);
	CHECK_ERR(read(e, &v, 8), EAGAIN);
	v = 5;
	CHECK(write(e, &v, 8) == 8);
	CHECK(poll_one(e, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
	CHECK_ERR(read(e, &v, 7), EINVAL);
	v = UINT64_MAX;
	CHECK_ERR(write(e, &v, 8), EINVAL);
	v = UINT64_MAX - 1 - 5;
	CHECK(write(e, &v, 8) == 8);
	CHECK(poll_one(e, POLLOUT) == 0);
	v = 1;
	CHECK_ERR(write(e, &v, 8), EAGAIN);
	close(e);
	e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK(read(e, &v, 8) == 8 && v == 1);
	CHECK(read(e, &v, 8) == 8 && v == 1);
	CHECK_ERR(read(e, &v, 8), EAGAIN);
	close(e);
}

static void test_timerfd(void)
{
	struct itimerspec s = {{0, 5000000}, {0, 10000000}}, now;
	uint64_t n = 0;
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(t >= 0);
	CHECK(timerfd_settime(t, 0, &s, NULL) == 0);
	CHECK(timerfd_gettime(t, &now) == 0 && now.it_interval.tv_nsec == 5000000 &&
	      now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 10000000);
	CHECK(read(t, &n, 8) == 8 && n >= 1);
	usleep(30000);
	CHECK(poll_one(t, POLLIN) == POLLIN);
	CHECK(read(t, &n, 8) == 8 && n >= 4);
	struct itimerspec off = {{0, 0}, {0, 0}};
	CHECK(timerfd_settime(t, 0, &off, &now) == 0 && now.it_interval.tv_nsec == 5000000);
	CHECK(fcntl(t, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(read(t, &n, 8), EAGAIN);
	s.it_value.tv_nsec = 1000000000;
	CHECK_ERR(timerfd_settime(t, 0, &s, NULL), EINVAL);
	CHECK_ERR(timerfd_create(99, 0), EINVAL);
	close(t);
	/* An absolute time that has passed expires at once. */
	t = timerfd_create(CLOCK_REALTIME, 0);
	struct itimerspec past = {{0, 0}, {1, 0}};
	CHECK(timerfd_settime(t, TFD_TIMER_ABSTIME, &past, NULL) == 0);
	CHECK(read(t, &n, 8) == 8 && n == 1);
	close(t);
}

static void test_signalfd(void)
{
	sigset_t set;
	struct signalfd_siginfo i;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int s = signalfd(-1, &set, SFD_NONBLOCK);
	CHECK(s >= 0);
	CHECK_ERR(read(s, &i, sizeof i), EAGAIN);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(poll_one(s, POLLIN) == POLLIN);
	CHECK(read(s, &i, sizeof i) == sizeof i && i.ssi_signo == SIGUSR1 &&
	      i.ssi_pid == (uint32_t)getpid());
	CHECK(poll_one(s, POLLIN) == 0);
	union sigval v = {.sival_int = 77};
	CHECK(sigqueue(getpid(), SIGRTMIN, v) == 0);
	CHECK(read(s, &i, sizeof i) == sizeof i && i.ssi_int == 77);
	CHECK_ERR(read(s, &i, 10), EINVAL);
	close(s);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_memfd(void)
{
	int f = memfd_create("name", MFD_ALLOW_SEALING);
	char link[64], path[32];
	CHECK(f >= 0);
	CHECK(ftruncate(f, 8192) == 0);
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	CHECK(m != MAP_FAILED);
	strcpy(m + 5000, "hello");
	char buf[8] = "";
	CHECK(pread(f, buf, 5, 5000) == 5 && !memcmp(buf, "hello", 5));
	snprintf(path, sizeof path, "/proc/self/fd/%d", f);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link - 1) > 0 && !strcmp(link, "/memfd:name (deleted)"));
	CHECK(fcntl(f, F_GET_SEALS) == 0);
	CHECK_ERR(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK(munmap(m, 8192) == 0);
	CHECK(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0);
	CHECK_ERR(write(f, "x", 1), EPERM);
	CHECK_ERR(ftruncate(f, 10), EPERM);
	CHECK(ftruncate(f, 16384) == 0);
	CHECK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0) == MAP_FAILED);
	CHECK(fcntl(f, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK));
	close(f);
	f = memfd_create("plain", 0);
	CHECK(fcntl(f, F_GET_SEALS) == F_SEAL_SEAL);
	CHECK_ERR(fcntl(f, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(f);
}

static void test_inotify(void)
{
	char dir[] = "/tmp/inoXXXXXX", path[64], buf[1024] __attribute__((aligned(8)));
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/f", dir);
	int n = inotify_init1(IN_NONBLOCK);
	CHECK(n >= 0);
	int wd = inotify_add_watch(n, dir, IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE);
	CHECK(wd > 0);
	CHECK_ERR(read(n, buf, sizeof buf), EAGAIN);
	int f = open(path, O_CREAT | O_WRONLY, 0600);
	CHECK(write(f, "x", 1) == 1);
	close(f);
	unlink(path);
	unsigned seen = 0;
	long len = read(n, buf, sizeof buf);
	for (char *p = buf; len > 0 && p < buf + len;) {
		struct inotify_event *e = (struct inotify_event *)p;
		if (e->wd == wd && e->len && !strcmp(e->name, "f"))
			seen |= e->mask;
		p += sizeof *e + e->len;
	}
	CHECK(seen == (IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE));
	CHECK(inotify_rm_watch(n, wd) == 0);
	CHECK(read(n, buf, sizeof buf) > 0 && ((struct inotify_event *)buf)->mask & IN_IGNORED);
	CHECK_ERR(inotify_rm_watch(n, wd), EINVAL);
	close(n);
	rmdir(dir);
}

static void test_devices(void)
{
	char a[64], b[64] = {0};
	int f = open("/dev/zero", O_RDWR);
	memset(a, 1, sizeof a);
	CHECK(read(f, a, sizeof a) == sizeof a && !memcmp(a, b, sizeof a));
	char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0);
	CHECK(m != MAP_FAILED && m[10] == 0);
	m[10] = 1;
	close(f);
	f = open("/dev/null", O_RDWR);
	CHECK(write(f, a, sizeof a) == sizeof a && read(f, a, sizeof a) == 0);
	close(f);
	f = open("/dev/full", O_RDWR);
	CHECK_ERR(write(f, a, 1), ENOSPC);
	close(f);
	f = open("/dev/urandom", O_RDONLY);
	CHECK(read(f, a, sizeof a) == sizeof a && read(f, b, sizeof b) == sizeof b &&
	      memcmp(a, b, sizeof a));
	close(f);
	CHECK(getrandom(a, sizeof a, 0) == sizeof a && memcmp(a, b, sizeof a));
	CHECK_ERR(getrandom(a, sizeof a, 0x80), EINVAL);
	struct stat st;
	CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
}

int main(void)
{
	test_pipe();
	test_open_again();
	test_blocking_pipe();
	test_packet_pipe();
	test_fifo();
	test_eventfd();
	test_timerfd();
	test_signalfd();
	test_memfd();
	test_inotify();
	test_devices();
	return check_report();
}
