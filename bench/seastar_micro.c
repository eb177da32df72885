/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Micro benchmarks of the framework, each beside the same operation done with pthreads or malloc()
 * where there is one. CPU time of the process, best of a few rounds, because neighbours disturb.
 */
#include <seastar/seastar.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N 1000000L
#define ROUNDS 5

static int64_t sink;

static uint64_t cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SS_SEC + (uint64_t)t.tv_nsec;
}

static void show(const char *name, double best, const char *target)
{
	printf("%-44s %9.1f ns %s\n", name, best, target);
	fflush(stdout);
}

/* Run `body` ROUNDS times over n operations; the best round counts. */
#define MEASURE(name, n, clock, target, body)                               \
	do {                                                                \
		double best_ = 1e18;                                        \
		for (int round_ = 0; round_ < ROUNDS; round_++) {           \
			uint64_t t0_ = clock();                             \
			body;                                               \
			double ns_ = (double)(clock() - t0_) / (double)(n); \
			if (ns_ < best_)                                    \
				best_ = ns_;                                \
		}                                                           \
		show(name, best_, target);                                  \
	} while (0)

static __attribute__((noinline)) ss_future ready(int64_t i)
{
	__asm__ volatile("" : "+r"(i));
	return ss_ok(i);
}

SS_CONT(add, int64_t k;)
{
	sink += r.i + self->k;
	return ss_ok(0);
}

SS_CONT(step, long *left;)
{
	return (*self->left)-- ? ss_yield() : SS_STOP;
}

SS_FIBER(child, int x;)
{
	return self->x;
}

SS_CONT(nothing)
{
	return ss_ok(0);
}

static void no_timer(ss_timer *t)
{
	(void)t;
}

static void timers(long n)
{
	static ss_timer t[1024];
	uint64_t far = ss_now() + 1000 * SS_SEC;

	for (int i = 0; i < 1024; i++)
		ss_timer_init(&t[i], no_timer);
	for (long i = 0; i < n; i++)
		ss_timer_arm_at(&t[i & 1023], far + (uint64_t)(i * 7919 % 100003));
	for (int i = 0; i < 1024; i++)
		ss_timer_cancel(&t[i]);
}

static void allocate(long n, void *(*get)(size_t), void (*put)(void *))
{
	void *p[64] = {NULL};

	for (long i = 0; i < n; i++) {
		put(p[i & 63]);
		p[i & 63] = get(96);
		__asm__ volatile("" ::"r"(p[i & 63]) : "memory");
	}
	for (int i = 0; i < 64; i++)
		put(p[i]);
}

static sem_t ping, pong;
static void *answer(void *n)
{
	for (long i = 0; i < *(long *)n; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return NULL;
}

static void thread_round_trips(long n)
{
	pthread_t t;

	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	if (pthread_create(&t, NULL, answer, &n))
		return;
	for (long i = 0; i < n; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	pthread_join(t, NULL);
}

static int64_t one_shard(void)
{
	long left, n = N;

	/* A loop that does not wait gives way now and then, or its continuations are put off. */
	MEASURE(
	    "then on a ready future", N, cpu, "(<= 5)", for (long i = 0; i < n; i++) {
		    ss_detach(ss_then(ready(i), add, i));
		    if ((i & 4095) == 0)
			    SS_TRY(ss_yield());
	    });
	MEASURE("await of a ready future", N, cpu, "",
	    for (long i = 0; i < n; i++) sink += SS_TRY(ready(i)));
	MEASURE("pending step of repeat", N, cpu, "(<= 15)", left = N;
		SS_TRY(ss_repeat(step, &left)));
	MEASURE("fiber switch (await of yield, there and back)", N, cpu, "(<= 40 each way)",
	    for (long i = 0; i < n; i++) SS_TRY(ss_yield()));
	MEASURE("start a fiber and await it", N, cpu, "",
	    for (long i = 0; i < n; i++) SS_TRY(ss_async(child, 1)));
	MEASURE("timer arm (1024 armed)", N, cpu, "", timers(N));
	MEASURE("ss_alloc + ss_free, 96 bytes", N, cpu, "", allocate(N, ss_alloc, ss_free));
	MEASURE("  malloc + free, 96 bytes", N, cpu, "", allocate(N, malloc, free));
	return 0;
}

static int64_t two_shards(void)
{
	long n = 20000;
	static ss_future fs[1000];

	MEASURE("round trip to another shard (wall)", n, ss_now, "",
	    for (long i = 0; i < n; i++) SS_TRY(ss_smp_submit_to(1, nothing)));
	MEASURE("  round trip between threads by semaphores", n, ss_now, "", thread_round_trips(n));
	MEASURE(
	    "message to another shard, 1000 at a time (wall)", 100 * 1000, ss_now, "",
	    for (int b = 0; b < 100; b++) {
		    for (int i = 0; i < 1000; i++)
			    fs[i] = ss_smp_submit_to(1, nothing);
		    SS_TRY(ss_when_all(fs, 1000, NULL));
	    });
	return 0;
}

SS_FIBER(bench)
{
	SS_TRY(one_shard() ? ss_fail(-EIO) : ss_ok(0));
	return ss_smp_count() > 1 ? two_shards() : 0;
}

static ss_future run(const ss_config *config, void *arg)
{
	(void)config;
	(void)arg;
	return ss_async(bench);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "seastar_micro", .description = "Micro benchmarks (-c1 or -c2)"};

	return ss_app_run(argc, argv, &app, run, NULL);
}
