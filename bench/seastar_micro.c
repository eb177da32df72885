/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Micro benchmarks of the framework, each beside the same operation done with pthreads or malloc()
 * where there is one. CPU time of the process, best of a few rounds, because neighbours disturb.
 */
#include <seastar/seastar.h>

#include "seastar_micro.h"

#include <stdlib.h>

#define N 1000000L
static int64_t sink;

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

static void arm_and_cancel(long n)
{
	static ss_timer t[1025];
	uint64_t far = ss_now() + 1000 * SS_SEC;

	for (int i = 0; i < 1025; i++) {
		ss_timer_init(&t[i], no_timer);
		if (i < 1024)
			ss_timer_arm_at(&t[i], far + (uint64_t)(i * 7919 % 100003));
	}
	for (long i = 0; i < n; i++) {
		ss_timer_arm_at(&t[1024], far + 50000);
		ss_timer_cancel(&t[1024]);
	}
	for (int i = 0; i < 1024; i++)
		ss_timer_cancel(&t[i]);
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
	others_steps();
	MEASURE("fiber switch, there and back (await of yield)", N, cpu, "(<= 40 each way)",
	    for (long i = 0; i < n; i++) SS_TRY(ss_yield()));
	others_switch();
	MEASURE("start a fiber and await it", N, cpu, "",
	    for (long i = 0; i < n; i++) SS_TRY(ss_async(child, 1)));
	others_spawn();
	MEASURE("timer re-armed, 1024 armed", N, cpu, "", timers(N));
	MEASURE("timer armed and cancelled, 1024 armed", N, cpu, "", arm_and_cancel(N));
	others_timers();
	MEASURE("ss_alloc + ss_free, 96 bytes", N, cpu, "", allocate(N, ss_alloc, ss_free));
	MEASURE("  malloc + free, 96 bytes", N, cpu, "", allocate(N, malloc, free));
	return 0;
}

static int64_t two_shards(void)
{
	long n = 20000;
	static ss_future fs[1000];

	MEASURE("round trip to another shard (wall)", n, wall, "",
	    for (long i = 0; i < n; i++) SS_TRY(ss_smp_submit_to(1, nothing)));
	MEASURE(
	    "message to another shard, 1000 at a time (wall)", 100 * 1000, wall, "",
	    for (int b = 0; b < 100; b++) {
		    for (int i = 0; i < 1000; i++)
			    fs[i] = ss_smp_submit_to(1, nothing);
		    SS_TRY(ss_when_all(fs, 1000, NULL));
	    });
	others_round_trip();
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

	static char quiet[] = "--blocked-reactor-notify-ms=0"; /* what is beside us blocks */
	char *args[64] = {argv[0], quiet};
	int n = 2;

	for (int i = 1; i < argc && n < 63; i++)
		args[n++] = argv[i];
	return ss_app_run(n, args, &app, run, NULL);
}
