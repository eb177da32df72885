/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo-terminals and the line discipline; POSIX message queues. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int master, slave;

static int readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	return poll(&p, 1, 200) == 1 && p.revents & POLLIN;
}

/* What is there within 200 ms is exactly this. */
static int got(int fd, const char *want)
{
	char buf[256] = "";
	size_t n = 0;
	while (n < strlen(want) && readable(fd)) {
		long k = read(fd, buf + n, sizeof buf - 1 - n);
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	return n == strlen(want) && !memcmp(buf, want, n);
}

static int type(const char *s)
{
	return write(master, s, strlen(s)) == (long)strlen(s);
}

static void test_open(void)
{
	char name[64];
	struct stat st;
	master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0);
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK(ptsname_r(master, name, sizeof name) == 0 && !strncmp(name, "/dev/pts/", 9));
	CHECK(stat(name, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136);
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && isatty(slave));
	struct winsize w = {24, 80, 0, 0}, v;
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0 && ioctl(slave, TIOCGWINSZ, &v) == 0 &&
	      v.ws_col == 80);
}

static void test_canonical(void)
{
	char c;
	CHECK(type("ab\x7f"
		   "c\n"));
	CHECK(got(slave, "ac\n"));
	CHECK(got(master, "ab\b \bc\r\n"));
	CHECK(type("one\ntwo\n"));
	CHECK(got(slave, "one\ntwo\n"));
	CHECK(got(master, "one\r\ntwo\r\n"));
	CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
	CHECK(type("part"));
	CHECK_ERR(read(slave, &c, 1), EAGAIN);
	CHECK(type("\x04"));
	CHECK(got(slave, "part"));
	CHECK(type("\x04") && read(slave, &c, 1) == 0);
	CHECK(type("gone\x15kept\n") && got(slave, "kept\n"));
	CHECK(write(slave, "out\n", 4) == 4);
	fcntl(slave, F_SETFL, 0);
	tcflush(master, TCIFLUSH);
	while (readable(master)) {
		char buf[256];
		if (read(master, buf, sizeof buf) <= 0)
			break;
	}
}

static void test_raw(void)
{
	struct termios t, u;
	char buf[8];
	CHECK(tcgetattr(slave, &t) == 0 && t.c_lflag & ICANON && t.c_cc[VINTR] == 3);
	u = t;
	cfmakeraw(&u);
	u.c_cc[VMIN] = 0;
	u.c_cc[VTIME] = 1;
	CHECK(tcsetattr(slave, TCSANOW, &u) == 0);
	CHECK(read(slave, buf, 8) == 0);
	CHECK(type("\x03x") && read(slave, buf, 8) == 2 && buf[0] == 3);
	CHECK(write(slave, "a\n", 2) == 2 && got(master, "a\n"));
	u.c_cc[VMIN] = 3;
	u.c_cc[VTIME] = 0;
	CHECK(tcsetattr(slave, TCSANOW, &u) == 0);
	CHECK(type("123") && read(slave, buf, 8) == 3);
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void test_interrupt(void)
{
	int status;
	pid_t child = fork();
	if (!child) {
		close(master);
		setsid();
		if (ioctl(slave, TIOCSCTTY, 0) || tcgetpgrp(slave) != getpid())
			_exit(9);
		int t = open("/dev/tty", O_RDWR);
		if (t < 0 || write(t, "ready", 5) != 5)
			_exit(8);
		for (;;)
			pause();
	}
	CHECK(got(master, "ready"));
	CHECK(type("\x03"));
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	      WTERMSIG(status) == SIGINT);
}

static void test_hangup(void)
{
	char c;
	close(slave);
	while (readable(master) && read(master, &c, 1) == 1)
		;
	CHECK_ERR(read(master, &c, 1), EIO);
	close(master);
	CHECK(posix_openpt(O_RDWR | O_NOCTTY) >= 0);
}

static void test_mq(void)
{
	char name[32], buf[64];
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 64}, b;
	unsigned prio;
	snprintf(name, sizeof name, "/carrara-%d", getpid());
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &a);
	CHECK(q >= 0);
	CHECK_ERR(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &a), EEXIST);
	CHECK_ERR(mq_receive(q, buf, sizeof buf, &prio), EAGAIN);
	CHECK(mq_send(q, "low", 3, 1) == 0 && mq_send(q, "high", 4, 9) == 0);
	CHECK_ERR(mq_send(q, "more", 4, 9), EAGAIN);
	CHECK_ERR(mq_send(q, name, 65, 1), EMSGSIZE);
	CHECK(mq_getattr(q, &b) == 0 && b.mq_curmsgs == 2 && b.mq_maxmsg == 2);
	CHECK_ERR(mq_receive(q, buf, 10, &prio), EMSGSIZE);
	CHECK(mq_receive(q, buf, sizeof buf, &prio) == 4 && prio == 9 && !memcmp(buf, "high", 4));
	CHECK(mq_receive(q, buf, sizeof buf, &prio) == 3 && prio == 1);
	CHECK(mq_unlink(name) == 0);
	CHECK_ERR(mq_unlink(name), ENOENT);
	mq_close(q);
}

int main(void)
{
	test_open();
	test_canonical();
	test_raw();
	test_interrupt();
	test_hangup();
	test_mq();
	return check_report();
}
