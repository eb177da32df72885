/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operations of seastar_micro cost elsewhere: libuv where it is installed, pthreads. */
#include "seastar_micro.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef HAVE_LIBUV
#include <uv.h>

#define TIMERS 1024

static long idle_left;

static void on_idle(uv_idle_t *h)
{
	if (!--idle_left)
		uv_idle_stop(h);
}

/* One callback each turn of the loop: what a step that has to wait is there. */
void others_steps(void)
{
	uv_loop_t loop;
	uv_idle_t idle;

	if (uv_loop_init(&loop))
		return;
	uv_idle_init(&loop, &idle);
	MEASURE("  libuv: idle callback", 100000, cpu, "", idle_left = 100000;
		uv_idle_start(&idle, on_idle); uv_run(&loop, UV_RUN_DEFAULT));
	uv_close((uv_handle_t *)&idle, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

static void on_timer(uv_timer_t *t)
{
	(void)t;
}

static void arm(uv_timer_t *t, long n)
{
	for (long i = 0; i < n; i++)
		uv_timer_start(
		    &t[i % TIMERS], on_timer, 1000000 + (uint64_t)(i * 7919 % 100003), 0);
}

static void arm_and_cancel(uv_timer_t *t, long n)
{
	for (long i = 0; i < n; i++) {
		uv_timer_start(t, on_timer, 2000000, 0);
		uv_timer_stop(t);
	}
}

void others_timers(void)
{
	static uv_timer_t t[TIMERS + 1];
	uv_loop_t loop;

	if (uv_loop_init(&loop))
		return;
	for (int i = 0; i <= TIMERS; i++)
		uv_timer_init(&loop, &t[i]);
	MEASURE("  libuv: timer re-armed, 1024 armed", 300000, cpu, "", arm(t, 300000));
	MEASURE("  libuv: timer armed and cancelled, 1024 armed", 300000, cpu, "",
	    arm_and_cancel(&t[TIMERS], 300000));
	for (int i = 0; i <= TIMERS; i++)
		uv_close((uv_handle_t *)&t[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

/* Two loops wake each other in turn. */
struct end {
	uv_loop_t loop;
	uv_async_t async;
	struct end *peer;
	long left;
	bool first;
};

static void on_async(uv_async_t *a)
{
	struct end *e = a->data;

	if (e->left > 0) {
		e->left--;
		uv_async_send(&e->peer->async);
	}
	if (!e->left)
		uv_stop(&e->loop);
}

static void *end_run(void *arg)
{
	struct end *e = arg;

	if (e->first)
		uv_async_send(&e->peer->async);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	return NULL;
}

static void libuv_round_trips(long n)
{
	static struct end ends[2];
	pthread_t t;

	for (int i = 0; i < 2; i++) {
		ends[i] = (struct end){.peer = &ends[!i], .left = n, .first = !i};
		if (uv_loop_init(&ends[i].loop))
			return;
		uv_async_init(&ends[i].loop, &ends[i].async, on_async);
		ends[i].async.data = &ends[i];
	}
	if (pthread_create(&t, NULL, end_run, &ends[1]))
		return;
	end_run(&ends[0]);
	pthread_join(t, NULL);
	for (int i = 0; i < 2; i++) {
		uv_close((uv_handle_t *)&ends[i].async, NULL);
		uv_run(&ends[i].loop, UV_RUN_DEFAULT);
		uv_loop_close(&ends[i].loop);
	}
}
#else
void others_steps(void)
{
}

void others_timers(void)
{
}

static void libuv_round_trips(long n)
{
	(void)n;
}
#endif

static sem_t ping, pong;

static void *answer(void *n)
{
	for (long i = 0; i < *(long *)n; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return NULL;
}

static void semaphore_round_trips(long n)
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

/* A shard's thread is pinned; what it starts here may run on every CPU again. */
static void *unpinned(void *fn)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	for (int i = 0; i < 64; i++)
		CPU_SET(i, &all);
	sched_setaffinity(0, sizeof(all), &all);
	((void (*)(void))fn)();
	return NULL;
}

static void elsewhere(void (*fn)(void))
{
	pthread_t t;

	if (pthread_create(&t, NULL, unpinned, (void *)fn) == 0)
		pthread_join(t, NULL);
}

static void round_trips(void)
{
	MEASURE(
	    "  pthreads: round trip by semaphores", 20000, wall, "", semaphore_round_trips(20000));
#ifdef HAVE_LIBUV
	MEASURE(
	    "  libuv: round trip by uv_async_send()", 20000, wall, "", libuv_round_trips(20000));
#else
	libuv_round_trips(0);
#endif
}

void others_round_trip(void)
{
	elsewhere(round_trips);
}

/* Both threads on the CPU of the caller, so each hand-over is a switch. */
void others_switch(void)
{
	MEASURE("  pthreads: switch there and back, one CPU", 20000, process_cpu, "",
	    semaphore_round_trips(20000));
}

static void *nothing(void *arg)
{
	return arg;
}

static void spawn(long n)
{
	pthread_t t;

	for (long i = 0; i < n; i++)
		if (pthread_create(&t, NULL, nothing, NULL) == 0)
			pthread_join(t, NULL);
}

void others_spawn(void)
{
	MEASURE("  pthreads: create and join", 3000, process_cpu, "", spawn(3000));
}
