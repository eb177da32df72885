/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends in the way its argument says: for tests of what reaches the host, and of crash reports. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noinline)) void write_to_nowhere(volatile int *p);
__attribute__((noinline)) int endless(int n);

void write_to_nowhere(volatile int *p)
{
	*p = 1;
}

int endless(int n)
{
	volatile char big[4096];
	big[0] = (char)n;
	return n < 1 << 30 ? endless(n + 1) + big[0] : 0;
}

static void *wait_forever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *exit_nine(void *arg)
{
	(void)arg;
	exit(9);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	pthread_t t;
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("ending by %s\n", how);
	if (!strcmp(how, "segv"))
		write_to_nowhere((int *)0x1234);
	else if (!strcmp(how, "abort"))
		abort();
	else if (!strcmp(how, "term"))
		kill(getpid(), SIGTERM);
	else if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(how, "stack"))
		return endless(0);
	else if (!strcmp(how, "thread-exit")) {
		pthread_create(&t, NULL, exit_nine, NULL);
		wait_forever(NULL);
	} else if (!strcmp(how, "waiting-threads")) {
		for (int i = 0; i < 10; i++)
			pthread_create(&t, NULL, wait_forever, NULL);
		return 7;
	} else if (!strcmp(how, "main-thread-first")) {
		pthread_create(&t, NULL, wait_forever, NULL);
		pthread_create(&t, NULL, exit_nine, NULL);
		pthread_exit(NULL);
	}
	return 5;
}
