/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads for system calls that may block. Jobs wait in one queue under a mutex; the result goes
 * back to the shard that asked as a call from outside. Threads are started when they are needed.
 */
#include "reactor.h"

#include "pool.h"

#include <stdlib.h>

#define THREADS 4

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct ss_job *head, **tail;
	pthread_t threads[THREADS];
	unsigned n, idle;
	bool stop;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .tail = &pool.head};

static void job_done(void *arg)
{
	struct ss_job *j = arg;

	j->done(j);
}

static struct ss_job *take_job(void)
{
	struct ss_job *j;

	pthread_mutex_lock(&pool.lock);
	pool.idle++;
	while (!pool.head && !pool.stop)
		pthread_cond_wait(&pool.work, &pool.lock);
	pool.idle--;
	j = pool.head;
	if (j) {
		pool.head = j->next;
		if (!pool.head)
			pool.tail = &pool.head;
	}
	pthread_mutex_unlock(&pool.lock);
	return j;
}

static void *pool_thread(void *arg)
{
	struct ss_job *j;

	(void)arg;
	while ((j = take_job())) {
		j->run(j);
		/* Memory for the message may be short for a moment; the result must not be lost. */
		while (ss_alien_run_on(j->shard, job_done, j) == -ENOMEM)
			sched_yield();
	}
	return NULL;
}

static void start_thread(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&pool.threads[pool.n], NULL, pool_thread, NULL) == 0)
		pool.n++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int ss_pool_submit(struct ss_job *j)
{
	int err = 0;

	j->shard = ss_self->id;
	j->next = NULL;
	pthread_mutex_lock(&pool.lock);
	if (!pool.idle && pool.n < THREADS)
		start_thread();
	if (!pool.n) {
		err = -EAGAIN;
	} else {
		*pool.tail = j;
		pool.tail = &j->next;
		pthread_cond_signal(&pool.work);
	}
	pthread_mutex_unlock(&pool.lock);
	return err;
}

void ss_pool_stop(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.stop = true;
	/* What has not begun is for nobody any more. */
	pool.head = NULL;
	pool.tail = &pool.head;
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < pool.n; i++)
		pthread_join(pool.threads[i], NULL);
	pool.n = 0;
	pool.stop = false;
}

struct blocking {
	ss_state out;
	struct ss_job job;
	int64_t (*fn)(void *);
	void *arg;
	int64_t result;
};

static void blocking_run(struct ss_job *j)
{
	struct blocking *b = ss_container_of(j, struct blocking, job);

	b->result = b->fn(b->arg);
}

static void blocking_done(struct ss_job *j)
{
	struct blocking *b = ss_container_of(j, struct blocking, job);
	int64_t v = b->result;

	ss_state_set(&b->out,
	    v < 0 ? (ss_result){.msg = NULL, .err = (int)v} : (ss_result){.i = v, .err = 0});
}

ss_future ss_blocking(int64_t (*fn)(void *), void *arg)
{
	struct blocking *b = ss_cell_alloc(sizeof(*b));
	int err;

	if (!b)
		return ss_fail(-ENOMEM);
	ss_state_init(&b->out, sizeof(*b));
	b->fn = fn;
	b->arg = arg;
	b->job.run = blocking_run;
	b->job.done = blocking_done;
	err = ss_pool_submit(&b->job);
	if (err) {
		ss_state_free(&b->out);
		return ss_fail(err);
	}
	return ss_state_future(&b->out);
}
