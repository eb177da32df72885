/* SPDX-License-Identifier: BSD-3-Clause */
/* File locks between threads' open files and between programs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int lock(int fd, int cmd, short type, off_t from, off_t n)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = n};
	return fcntl(fd, cmd, &l);
}

/* What F_GETLK says about a range: F_UNLCK or the type of the lock in the way. */
static int asked(int fd, int cmd, off_t from, off_t n, pid_t *pid)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = n};
	if (fcntl(fd, cmd, &l))
		return -1;
	*pid = l.l_pid;
	return l.l_type;
}

static void of_files(const char *path)
{
	int a = open(path, O_RDWR), b = open(path, O_RDWR);
	pid_t pid;
	CHECK(flock(a, LOCK_EX) == 0);
	CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
	close(b);
	CHECK(flock(a, LOCK_EX | LOCK_NB) == 0 && flock(a, LOCK_UN) == 0);
	CHECK_ERR(flock(a, 0), EINVAL);

	b = open(path, O_RDWR);
	CHECK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 100) == 0);
	CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 50, 100), EAGAIN);
	CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 100, 100) == 0);
	CHECK(asked(b, F_OFD_GETLK, 0, 10, &pid) == F_WRLCK && pid == -1);
	CHECK(lock(a, F_OFD_SETLK, F_UNLCK, 40, 20) == 0);
	CHECK(lock(b, F_OFD_SETLK, F_RDLCK, 40, 20) == 0);
	CHECK_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 39, 1), EAGAIN);
	CHECK_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 60, 1), EAGAIN);
	close(a);
	CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
	close(b);
}

static void of_programs(const char *path)
{
	int fd = open(path, O_RDWR), ready[2], go[2], status;
	pid_t pid, child;
	char c;
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0);
	child = fork();
	if (!child) {
		int r = 0;
		pid_t owner;
		r |= lock(fd, F_SETLK, F_RDLCK, 15, 1) == -1 && errno == EAGAIN ? 0 : 1;
		r |= asked(fd, F_GETLK, 0, 100, &owner) == F_WRLCK && owner == getppid() ? 0 : 2;
		r |= lock(fd, F_SETLK, F_WRLCK, 20, 10) == 0 ? 0 : 4;
		(void)!write(ready[1], "1", 1);
		r |=
		    lock(fd, F_SETLKW, F_WRLCK, 10, 10) == 0 ? 0 : 8; /* until the parent lets go */
		(void)!write(ready[1], "2", 1);
		(void)!read(go[0], &c, 1);
		_exit(r);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	CHECK(asked(fd, F_GETLK, 25, 1, &pid) == F_WRLCK && pid == child);
	usleep(50000);
	CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
	CHECK(read(ready[0], &c, 1) == 1);
	CHECK_ERR(lock(fd, F_SETLK, F_WRLCK, 12, 1), EAGAIN);
	CHECK(write(go[1], "x", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0); /* the child's went with it */
	int other = open(path, O_RDONLY);
	CHECK(close(other) == 0); /* any close drops a program's locks */
	child = fork();
	if (!child)
		_exit(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0 ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 0);
	close(fd);
}

int main(void)
{
	char path[] = "/tmp/fs-locks-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	alarm(20); /* a lock that is never given ends the test */
	CHECK_ERR(lock(fd, F_SETLK, 99, 0, 1), EINVAL);
	close(fd);
	of_files(path);
	of_programs(path);
	CHECK(unlink(path) == 0);
	return check_report();
}
