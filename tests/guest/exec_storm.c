/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that start programs, from several threads at once and in pipelines: nothing of the old
 * program (registered areas, handlers, descriptors) may reach into the new one on its way from CPU
 * to CPU, and no child may be lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define THREADS 4
#define ROUNDS 40

extern char **environ;
static const char *self;
static volatile sig_atomic_t children;

static void count_child(int sig)
{
	children += sig == SIGCHLD;
}

/* What a started program does: its status says whether all is as a new program's should be. */
static int child(const char *status)
{
	struct sigaction a;
	if (sigaction(SIGCHLD, NULL, &a) || a.sa_handler != SIG_DFL)
		return 100;
	if (sigaction(SIGUSR1, NULL, &a) || a.sa_handler != SIG_IGN)
		return 101;
	if (fcntl(99, F_GETFD) != -1 || errno != EBADF)
		return 102;
	sched_yield();
	return atoi(status);
}

static int start(int how, const char *status)
{
	char *args[] = {(char *)self, (char *)"child", (char *)status, NULL};
	pid_t pid;
	if (how == 0)
		return posix_spawn(&pid, self, NULL, NULL, args, environ) ? -1 : pid;
	pid = how == 1 ? vfork() : fork();
	if (pid == 0) {
		execv(self, args);
		_exit(103);
	}
	return pid;
}

static void *starter(void *arg)
{
	long wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		char text[8];
		int status = 0, expected = (int)(long)arg * 10 + i % 10;
		snprintf(text, sizeof text, "%d", expected);
		pid_t pid = start(i % 3, text), got;
		while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		if (pid < 0 || got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != expected)
			wrong++;
	}
	return (void *)wrong;
}

static void test_threads_that_start_programs(void)
{
	pthread_t t[THREADS];
	long wrong = 0;
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, starter, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(t[i], &result);
		wrong += (long)result;
	}
	CHECK(wrong == 0);
	CHECK(children > 0);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

/* a | b | c | d, each passing bytes on; the handler of SIGCHLD runs in between. */
static void test_pipelines(void)
{
	int right = 0;
	for (int round = 0; round < 15; round++) {
		int in = -1, p[2] = {-1, -1};
		char buf[64] = "";
		size_t have = 0;
		ssize_t n;
		for (int stage = 0; stage < 4; stage++) {
			if (pipe(p))
				break;
			if (fork() == 0) {
				close(p[0]);
				if (stage == 0)
					_exit(write(p[1], "through the pipes", 17) != 17);
				while ((n = read(in, buf, 5)) > 0)
					if (write(p[1], buf, n) != n)
						_exit(1);
				_exit(0);
			}
			close(p[1]);
			if (in >= 0)
				close(in);
			in = p[0];
		}
		while (
		    (n = read(in, buf + have, sizeof buf - have)) > 0 || (n < 0 && errno == EINTR))
			have += n > 0 ? (size_t)n : 0;
		close(in);
		int ended = 0, status;
		pid_t pid;
		while ((pid = waitpid(-1, &status, 0)) > 0 || (pid < 0 && errno == EINTR))
			ended += pid > 0 && status == 0;
		right += have == 17 && !memcmp(buf, "through the pipes", 17) && ended == 4;
	}
	CHECK(right == 15);
}

int main(int argc, char **argv)
{
	struct sigaction a = {.sa_handler = count_child};
	if (argc == 3 && !strcmp(argv[1], "child"))
		return child(argv[2]);
	self = "/proc/self/exe";
	sigaction(SIGCHLD, &a, NULL);
	signal(SIGUSR1, SIG_IGN);
	int fd = open("/dev/null", O_RDONLY);
	CHECK(dup3(fd, 99, O_CLOEXEC) == 99);
	test_threads_that_start_programs();
	test_pipelines();
	return check_report();
}
