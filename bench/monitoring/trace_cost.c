/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a tracepoint costs in each mode, in a tight loop: one that stands in the code (mutex_unlock,
 * which a write to a pipe passes), and the pair around a system call (vfs_lseek, vfs_lseek_ret).
 * Prints "name nanoseconds"; with -icount these are instructions.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 20000

static int pipe_fds[2];

static void put(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/kernel/tracing/%s", name);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void seek(void)
{
	lseek(pipe_fds[0], 0, SEEK_SET); /* fails at once: nothing but the call */
}

static void through_pipe(void)
{
	char c = 0;

	if (write(pipe_fds[1], &c, 1) != 1 || read(pipe_fds[0], &c, 1) != 1)
		exit(1);
}

static double measure(void (*fn)(void))
{
	struct timespec a, b;

	for (int i = 0; i < 100; i++)
		fn();
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < ROUNDS; i++)
		fn();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
}

int main(void)
{
	static const char *const modes[] = {"off", "count", "record", "backtrace"};
	char command[64];

	if (pipe(pipe_fds))
		return 1;
	for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		put("set_event", "!*");
		if (i) {
			snprintf(command, sizeof command, "vfs_lseek* %s", modes[i]);
			put("set_event", command);
			snprintf(command, sizeof command, "mutex_unlock %s", modes[i]);
			put("set_event", command);
		}
		printf("lseek-%s %.1f\n", modes[i], measure(seek));
		printf("pipe-%s %.1f\n", modes[i], measure(through_pipe));
	}
	put("set_event", "!*");
	return 0;
}
