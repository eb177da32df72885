/* SPDX-License-Identifier: BSD-3-Clause */
/* AF_UNIX: all three types, names, credentials, descriptors, shutdown, errors. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"

static int poll_one(int fd, short events)
{
	struct pollfd p = {fd, events, 0};
	return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

static void test_pair(void)
{
	int s[2], v, n;
	socklen_t len = sizeof v;
	char buf[64];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &len) == 0 && v == SOCK_STREAM);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &len) == 0 && v == AF_UNIX);
	CHECK_ERR(read(s[0], buf, 1), EAGAIN);
	CHECK(poll_one(s[0], POLLIN | POLLOUT) == POLLOUT);
	CHECK(write(s[0], "hello ", 6) == 6 && write(s[0], "world", 5) == 5);
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 11);
	CHECK(recv(s[1], buf, 5, MSG_PEEK) == 5 && !memcmp(buf, "hello", 5));
	CHECK(read(s[1], buf, sizeof buf) == 11 && !memcmp(buf, "hello world", 11));
	struct ucred cred;
	len = sizeof cred;
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == getpid() &&
	      cred.uid == getuid());
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK(read(s[1], buf, 1) == 0);
	CHECK(poll_one(s[1], POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(write(s[1], "back", 4) == 4 && read(s[0], buf, 64) == 4);
	close(s[1]);
	CHECK(poll_one(s[0], POLLIN) & POLLHUP);
	CHECK(read(s[0], buf, 1) == 0);
	close(s[0]);
	CHECK_ERR(socketpair(AF_UNIX, 99, 0, s), EINVAL);
	CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 77), EPROTONOSUPPORT);
}

static void test_flow(void)
{
	int s[2];
	char block[4096] = {0};
	long total = 0, got = 0, n;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	while ((n = write(s[0], block, sizeof block)) > 0)
		total += n;
	CHECK(n == -1 && total >= 65536);
	CHECK_ERR(write(s[0], block, sizeof block), EAGAIN);
	CHECK(poll_one(s[0], POLLOUT) == 0);
	while ((n = read(s[1], block, sizeof block)) > 0)
		got += n;
	CHECK(got == total);
	CHECK(poll_one(s[0], POLLOUT) == POLLOUT);
	close(s[0]);
	close(s[1]);
}

static int unix_addr(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, name);
	return (int)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

static void *client(void *path)
{
	struct sockaddr_un a;
	int len = unix_addr(&a, path), s = socket(AF_UNIX, SOCK_STREAM, 0);
	char buf[16];
	long ok = connect(s, (struct sockaddr *)&a, (socklen_t)len) == 0;
	ok += write(s, "ping", 4) == 4;
	ok += read(s, buf, sizeof buf) == 4 && !memcmp(buf, "pong", 4);
	close(s);
	return (void *)ok;
}

static void test_stream_names(void)
{
	char dir[] = "/tmp/unixXXXXXX", path[64], buf[16];
	struct sockaddr_un a, b;
	struct stat st;
	socklen_t blen = sizeof b;
	pthread_t t;
	void *ok;
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	socklen_t len = (socklen_t)unix_addr(&a, path);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fcntl(l, F_GETFD) == FD_CLOEXEC);
	CHECK_ERR(connect(l, (struct sockaddr *)&a, len), ENOENT);
	CHECK_ERR(listen(l, 1), EINVAL);
	CHECK(bind(l, (struct sockaddr *)&a, len) == 0);
	CHECK(stat(path, &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK_ERR(open(path, O_RDWR), ENXIO);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(connect(c, (struct sockaddr *)&a, len), ECONNREFUSED);
	CHECK_ERR(bind(c, (struct sockaddr *)&a, len), EADDRINUSE);
	CHECK(listen(l, 5) == 0);
	int v;
	socklen_t vlen = sizeof v;
	CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &vlen) == 0 && v == 1);
	CHECK(getsockname(l, (struct sockaddr *)&b, &blen) == 0 && blen == len &&
	      !strcmp(b.sun_path, path));
	CHECK(pthread_create(&t, NULL, client, path) == 0);
	int s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	CHECK(s >= 0 && fcntl(s, F_GETFD) == FD_CLOEXEC);
	CHECK(read(s, buf, sizeof buf) == 4 && write(s, "pong", 4) == 4);
	blen = sizeof b;
	CHECK(getpeername(s, (struct sockaddr *)&b, &blen) == 0 && blen == sizeof(sa_family_t));
	blen = sizeof b;
	CHECK(getsockname(s, (struct sockaddr *)&b, &blen) == 0 && !strcmp(b.sun_path, path));
	CHECK(pthread_join(t, &ok) == 0 && (long)ok == 3);
	CHECK(read(s, buf, 1) == 0);
	close(s);
	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK(connect(c, (struct sockaddr *)&a, len) == 0);
	CHECK(poll_one(l, POLLIN) == POLLIN);
	CHECK_ERR(connect(c, (struct sockaddr *)&a, len), EISCONN);
	CHECK(write(c, "early", 5) == 5);
	s = accept(l, NULL, NULL);
	CHECK(s >= 0 && read(s, buf, 16) == 5);
	close(s);
	close(c);
	close(l);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(connect(c, (struct sockaddr *)&a, len), ECONNREFUSED);
	close(c);
	unlink(path);
	rmdir(dir);
}

static void test_datagram(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX}, b = {.sun_family = AF_UNIX}, from;
	socklen_t alen, blen, flen = sizeof from;
	char buf[32];
	alen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (unsigned)snprintf(a.sun_path + 1, 40, "test-a-%d", getpid()));
	blen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (unsigned)snprintf(b.sun_path + 1, 40, "test-b-%d", getpid()));
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), r = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(
	    bind(s, (struct sockaddr *)&a, alen) == 0 && bind(r, (struct sockaddr *)&b, blen) == 0);
	CHECK_ERR(send(s, "x", 1, 0), ENOTCONN);
	CHECK(sendto(s, "first", 5, 0, (struct sockaddr *)&b, blen) == 5);
	CHECK(sendto(s, "second", 6, 0, (struct sockaddr *)&b, blen) == 6);
	CHECK(recvfrom(r, buf, sizeof buf, 0, (struct sockaddr *)&from, &flen) == 5 &&
	      flen == alen && !memcmp(&from, &a, alen));
	struct iovec io = {buf, 3};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
	CHECK(recvmsg(r, &m, 0) == 3 && m.msg_flags & MSG_TRUNC);
	CHECK(connect(s, (struct sockaddr *)&b, blen) == 0);
	CHECK(send(s, "", 0, 0) == 0 && recv(r, buf, 32, 0) == 0);
	CHECK(recv(s, buf, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(r);
	CHECK_ERR(send(s, "x", 1, 0), ECONNREFUSED);
	CHECK_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&b, blen), ECONNREFUSED);
	close(s);
	/* Autobind. */
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	sa_family_t family = AF_UNIX;
	CHECK(bind(s, (struct sockaddr *)&family, sizeof family) == 0);
	flen = sizeof from;
	CHECK(
	    getsockname(s, (struct sockaddr *)&from, &flen) == 0 && flen == 8 && !from.sun_path[0]);
	close(s);
}

static void test_seqpacket(void)
{
	int s[2];
	char buf[16];
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	CHECK(write(s[0], "abc", 3) == 3 && write(s[0], "defgh", 5) == 5);
	CHECK(read(s[1], buf, 16) == 3);
	CHECK(read(s[1], buf, 2) == 2);
	CHECK(recv(s[1], buf, 16, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(s[0]);
	CHECK(read(s[1], buf, 1) == 0);
	close(s[1]);
}

static void test_descriptors(void)
{
	int s[2], p[2];
	char buf[8], c[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct iovec io = {buf, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = c};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	m.msg_controllen = CMSG_SPACE(sizeof(int));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[1], sizeof(int));
	CHECK(sendmsg(s[0], &m, 0) == 1);
	close(p[1]);
	memset(c, 0, sizeof c);
	m.msg_controllen = sizeof c;
	CHECK(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC) == 1);
	h = CMSG_FIRSTHDR(&m);
	int fd = -1;
	CHECK(h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)));
	if (h)
		memcpy(&fd, CMSG_DATA(h), sizeof fd);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(write(fd, "via", 3) == 3 && read(p[0], buf, 8) == 3);
	close(fd);
	CHECK(read(p[0], buf, 1) == 0);
	/* Without room for it the descriptor is dropped and the message says so. */
	m.msg_controllen = CMSG_SPACE(sizeof(int));
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[0], sizeof(int));
	CHECK(sendmsg(s[0], &m, 0) == 1);
	m.msg_control = NULL;
	m.msg_controllen = 0;
	CHECK(recvmsg(s[1], &m, 0) == 1 && m.msg_flags & MSG_CTRUNC);
	int on = 1;
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	CHECK(write(s[0], "x", 1) == 1);
	m.msg_control = c;
	m.msg_controllen = sizeof c;
	CHECK(recvmsg(s[1], &m, 0) == 1);
	h = CMSG_FIRSTHDR(&m);
	CHECK(h && h->cmsg_type == SCM_CREDENTIALS &&
	      ((struct ucred *)CMSG_DATA(h))->pid == getpid());
	close(p[0]);
	close(s[0]);
	close(s[1]);
}

static void test_timeouts_and_many(void)
{
	int s[2];
	char buf[64];
	struct timeval tv = {0, 20000}, back;
	socklen_t len = sizeof back;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &back, &len) == 0 && back.tv_usec == 20000);
	CHECK_ERR(read(s[0], buf, 1), EAGAIN);
	struct iovec io[2] = {{(char *)"12", 2}, {(char *)"345", 3}};
	struct mmsghdr mm[2] = {{.msg_hdr = {.msg_iov = io, .msg_iovlen = 2}},
	    {.msg_hdr = {.msg_iov = io, .msg_iovlen = 1}}};
	CHECK(sendmmsg(s[1], mm, 2, 0) == 2 && mm[0].msg_len == 5 && mm[1].msg_len == 2);
	CHECK(recv(s[0], buf, 7, MSG_WAITALL) == 7 && !memcmp(buf, "1234512", 7));
	CHECK_ERR(setsockopt(s[0], SOL_SOCKET, 9999, &tv, sizeof tv), ENOPROTOOPT);
	CHECK_ERR(shutdown(s[0], 5), EINVAL);
	CHECK_ERR(listen(0, 1), ENOTSOCK);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	test_pair();
	test_flow();
	test_stream_names();
	test_datagram();
	test_seqpacket();
	test_descriptors();
	test_timeouts_and_many();
	return check_report();
}
