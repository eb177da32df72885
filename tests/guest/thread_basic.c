/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads: creation, join, thread-local storage, mutexes, condition variables, barriers,
 * cancellation. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static __thread int local = 7;
static int counter;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	local += (int)(long)arg;
	return (void *)(long)local;
}

static void test_join(void)
{
	pthread_t t[8];
	void *r;
	for (long i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, add, (void *)i) == 0);
	for (long i = 0; i < 8; i++) {
		CHECK(pthread_join(t[i], &r) == 0);
		CHECK((long)r == 7 + i);
	}
	CHECK(counter == 160000);
	CHECK(local == 7);
}

static void *nothing(void *arg)
{
	return arg;
}

static void test_many(void)
{
	int bad = 0;
	for (int i = 0; i < 300; i++) {
		pthread_t t;
		void *r;
		bad += pthread_create(&t, NULL, nothing, &counter) != 0;
		bad += pthread_join(t, &r) != 0 || r != &counter;
	}
	CHECK(bad == 0);
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;

static void *ping(void *arg)
{
	int me = (int)(long)arg;
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != me)
			pthread_cond_wait(&cond, &lock);
		turn = !me;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void test_cond(void)
{
	pthread_t a, b;
	struct timespec ts;
	pthread_create(&a, NULL, ping, (void *)0);
	pthread_create(&b, NULL, ping, (void *)1);
	CHECK(pthread_join(a, NULL) == 0);
	CHECK(pthread_join(b, NULL) == 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 30000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	double start = check_seconds();
	pthread_mutex_lock(&lock);
	CHECK(pthread_cond_timedwait(&cond, &lock, &ts) == ETIMEDOUT);
	pthread_mutex_unlock(&lock);
	CHECK(check_seconds() - start >= 0.025);
}

static pthread_barrier_t barrier;
static atomic_int arrived;

static void *meet(void *arg)
{
	long serial = 0;
	(void)arg;
	for (int i = 0; i < 50; i++) {
		atomic_fetch_add(&arrived, 1);
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
		if (atomic_load(&arrived) < 4 * (i + 1))
			return (void *)-1000l;
		pthread_barrier_wait(&barrier);
	}
	return (void *)serial;
}

static void test_barrier(void)
{
	pthread_t t[4];
	long total = 0;
	void *r;
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, meet, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		total += (long)r;
	}
	CHECK(total == 50);
}

static atomic_int cleaned;

static void cleanup(void *arg)
{
	(void)arg;
	atomic_fetch_add(&cleaned, 1);
}

static void *sleeper(void *arg)
{
	(void)arg;
	pthread_cleanup_push(cleanup, NULL);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void test_cancel(void)
{
	pthread_t t;
	void *r;
	pthread_create(&t, NULL, sleeper, NULL);
	usleep(10000);
	CHECK(pthread_cancel(t) == 0);
	CHECK(pthread_join(t, &r) == 0);
	CHECK(r == PTHREAD_CANCELED);
	CHECK(cleaned == 1);
}

static void *identify(void *arg)
{
	pid_t *ids = arg;
	ids[0] = getpid();
	ids[1] = (pid_t)syscall(SYS_gettid);
	char name[16];
	pthread_setname_np(pthread_self(), "worker-one");
	CHECK(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
	CHECK(strcmp(name, "worker-one") == 0);
	return NULL;
}

static void test_ids(void)
{
	pid_t ids[2];
	pthread_t t;
	CHECK(getpid() == syscall(SYS_gettid));
	pthread_create(&t, NULL, identify, ids);
	pthread_join(t, NULL);
	CHECK(ids[0] == getpid());
	CHECK(ids[1] != getpid() && ids[1] > 0);
}

static sem_t sem;

static void *post(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		sem_post(&sem);
	return NULL;
}

static void test_semaphore(void)
{
	pthread_t t;
	sem_init(&sem, 0, 0);
	pthread_create(&t, NULL, post, NULL);
	for (int i = 0; i < 100; i++)
		sem_wait(&sem);
	pthread_join(t, NULL);
	int v = -1;
	sem_getvalue(&sem, &v);
	CHECK(v == 0);
	CHECK_ERR(sem_trywait(&sem), EAGAIN);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static int shared[2];

static void *rw_worker(void *arg)
{
	long bad = 0;
	for (int i = 0; i < 2000; i++) {
		if (((long)arg + i) % 5 == 0) {
			pthread_rwlock_wrlock(&rw);
			shared[0]++;
			shared[1]++;
		} else {
			pthread_rwlock_rdlock(&rw);
			bad += shared[0] != shared[1];
		}
		pthread_rwlock_unlock(&rw);
	}
	return (void *)bad;
}

static void test_rwlock(void)
{
	pthread_t t[4];
	void *r;
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, rw_worker, (void *)i);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		CHECK(r == NULL);
	}
	CHECK(shared[0] == 1600);
}

int main(void)
{
	test_join();
	test_many();
	test_cond();
	test_barrier();
	test_cancel();
	test_ids();
	test_semaphore();
	test_rwlock();
	return check_report();
}
