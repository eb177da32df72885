/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lock-free mutex and the sleeping primitives over host threads, under ThreadSanitizer: the scheduler
 * underneath is a semaphore for each thread.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "sched/sync.h"

__thread struct cpu *host_cpu;
__thread struct thread *host_thread;

struct host {
	struct thread t;
	sem_t wake;
};

/* --- the scheduler the primitives stand on --- */

void thread_prepare_wait(void)
{
	atomic_store(&host_thread->state, THREAD_WAITING);
}

static struct host *self(void)
{
	return (struct host *)host_thread;
}

void schedule(void)
{
	while (sem_wait(&self()->wake))
		;
	atomic_store(&host_thread->state, THREAD_RUNNING);
}

bool schedule_until(int64_t deadline)
{
	(void)deadline;
	schedule();
	return false;
}

void thread_end_wait(void)
{
	uint32_t expect = THREAD_WAITING;

	if (atomic_load(&host_thread->state) == THREAD_RUNNING)
		return;
	if (!atomic_compare_exchange_strong(&host_thread->state, &expect, THREAD_RUNNING))
		schedule();
}

void thread_kick(struct thread *t)
{
	(void)t;
}

bool thread_wake(struct thread *t)
{
	uint32_t expect = THREAD_WAITING;

	if (!atomic_compare_exchange_strong(&t->state, &expect, THREAD_READY))
		return false;
	sem_post(&((struct host *)t)->wake);
	return true;
}

int64_t time_now(void)
{
	return 0;
}

/* --- the tests --- */

enum { THREADS = 8, ROUNDS = 20000 };
static struct mutex m;
static struct rwlock rw;
static struct waitq wq;
static long counter, shared[2];
static int turn;
static struct host hosts[THREADS];

static void run(void *(*fn)(void *))
{
	pthread_t th[THREADS];

	for (long i = 0; i < THREADS; i++) {
		sem_init(&hosts[i].wake, 0, 0);
		atomic_store(&hosts[i].t.state, THREAD_RUNNING);
		hosts[i].t.program = NULL;
		pthread_create(&th[i], NULL, fn, (void *)i);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
}

static void *count(void *arg)
{
	host_thread = &hosts[(long)arg].t;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 16 || !mutex_trylock(&m))
			mutex_lock(&m);
		counter++;
		mutex_unlock(&m);
	}
	return NULL;
}

static void *take_turns(void *arg)
{
	int me = (int)(long)arg;

	host_thread = &hosts[me].t;
	for (int i = 0; i < ROUNDS / 20; i++) {
		mutex_lock(&m);
		while (turn % THREADS != me)
			waitq_wait(&wq, &m, NO_DEADLINE, 0);
		turn++;
		waitq_wake_all(&wq);
		mutex_unlock(&m);
	}
	return NULL;
}

static void *read_and_write(void *arg)
{
	long me = (long)arg;

	host_thread = &hosts[me].t;
	for (int i = 0; i < ROUNDS / 4; i++) {
		if ((i + me) % 8 == 0) {
			rw_write_lock(&rw);
			shared[0]++;
			shared[1]++;
			if (i & 1) {
				rw_downgrade(&rw);
				if (shared[0] != shared[1])
					abort();
				rw_read_unlock(&rw);
			} else {
				rw_write_unlock(&rw);
			}
		} else {
			rw_read_lock(&rw);
			if (shared[0] != shared[1])
				abort();
			rw_read_unlock(&rw);
		}
	}
	return NULL;
}

static _Atomic(struct completion *) mailbox;

static void *complete(void *arg)
{
	host_thread = &hosts[(long)arg].t;
	for (int i = 0; i < ROUNDS; i++) {
		if ((long)arg == 0) {
			struct completion c; /* on the stack: it is gone right after the wait */
			completion_init(&c);
			atomic_store(&mailbox, &c);
			completion_wait(&c);
		} else if ((long)arg == 1) {
			struct completion *c;
			while (!(c = atomic_exchange(&mailbox, NULL)))
				;
			completion_signal(c);
		}
	}
	return NULL;
}

static int failed;

static void expect(const char *what, long got, long want)
{
	printf("%s %s: %ld\n", got == want ? "ok" : "FAILED", what, got);
	failed |= got != want;
}

int main(void)
{
	waitq_init(&wq);
	run(count);
	expect("mutex keeps the counter", counter, (long)THREADS * ROUNDS);
	expect("mutex is free again", atomic_load(&m.count), 0);
	run(take_turns);
	expect("turns in order", turn, THREADS * (ROUNDS / 20));
	run(read_and_write);
	expect("writers all counted", shared[0], (long)THREADS * (ROUNDS / 4) / 8);
	expect("rwlock is free again", (long)atomic_load(&rw.state), 0);
	run(complete);
	expect("completions", 1, 1);
	return failed;
}
