/* SPDX-License-Identifier: BSD-3-Clause */
/* What musl does differently from glibc: threads, cancellation, memory, printf, signals,
 * posix_spawn, time. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int mine;
static long total;
static int initialised;
static sem_t sem;

static void check(int ok, const char *what)
{
	puts(what);
	if (!ok) {
		printf("wrong: %s (errno %d)\n", what, errno);
		exit(1);
	}
}

static void initialise(void)
{
	initialised++;
}

static void *worker(void *arg)
{
	char *block[50];
	pthread_once(&once, initialise);
	for (int i = 0; i < 500; i++) {
		int k = i % 50;
		if (i >= 50)
			free(block[k]);
		block[k] = malloc(100 + i * 10);
		memset(block[k], i, 100 + i * 10);
		mine++;
		pthread_mutex_lock(&lock);
		total++;
		pthread_cond_signal(&changed);
		pthread_mutex_unlock(&lock);
	}
	for (int k = 0; k < 50; k++)
		free(block[k]);
	sem_post(&sem);
	return (void *)(long)(mine + (arg == NULL));
}

static void *sleeper(void *arg)
{
	sleep(600);
	return arg;
}

static void handler(int sig)
{
	total += sig;
}

int main(int argc, char **argv)
{
	pthread_t t[12];
	void *result;
	char text[100];

	if (argc > 1)
		return strcmp(argv[1], "child") == 0 ? 17 : 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sem_init(&sem, 0, 0);
	for (int i = 0; i < 12; i++)
		pthread_create(&t[i], NULL, worker, t);
	pthread_mutex_lock(&lock);
	while (total < 6000)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	int sum = 0;
	for (int i = 0; i < 12; i++) {
		sem_wait(&sem);
		pthread_join(t[i], &result);
		sum += (int)(long)result;
	}
	check(sum == 6000 && total == 6000 && mine == 0 && initialised == 1, "threads");
	pthread_create(&t[0], NULL, sleeper, NULL);
	pthread_cancel(t[0]);
	pthread_join(t[0], &result);
	check(result == PTHREAD_CANCELED, "cancellation");
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	check(total == 6000 + SIGUSR1, "signals");
	char *args[] = {argv[0], "child", NULL};
	pid_t pid;
	int status;
	check(posix_spawn(&pid, argv[0], NULL, NULL, args, environ) == 0 &&
		  waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 17,
	    "spawn");
	snprintf(text, sizeof text, "%.17g %a %5.1f|%-6d|", 0.1, 1.0, sqrt(2) * 10, 42);
	check(strcmp(text, "0.10000000000000001 0x1p+0  14.1|42    |") == 0, "printf");
	FILE *f = tmpfile();
	for (int i = 0; i < 3000; i++)
		fprintf(f, "line %d\n", i);
	rewind(f);
	int lines = 0;
	while (fgets(text, sizeof text, f))
		lines++;
	check(lines == 3000 && strcmp(text, "line 2999\n") == 0, "files");
	FILE *p = popen("echo through a pipe", "r");
	check(
	    fgets(text, sizeof text, p) && strcmp(text, "through a pipe\n") == 0 && pclose(p) == 0,
	    "popen");
	struct timespec a, b, wait = {0, 20000000};
	clock_gettime(CLOCK_MONOTONIC, &a);
	nanosleep(&wait, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	check((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec >= 20000000, "time");
	return 13;
}
