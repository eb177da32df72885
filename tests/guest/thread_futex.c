/* SPDX-License-Identifier: BSD-3-Clause */
/* Futexes: wait, wake, bitsets, requeue, wake-op, timeouts, robust and priority-inheritance
 * mutexes. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static _Atomic uint32_t word, word2;

static long futex(_Atomic uint32_t *w, int op, uint32_t val, const void *timeout,
    _Atomic uint32_t *w2, uint32_t val3)
{
	return syscall(SYS_futex, w, op, val, timeout, w2, val3);
}

static void test_errors(void)
{
	struct timespec ts = {0, 20000000}, bad = {0, 1000000000};
	word = 5;
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 4, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(
	    futex((void *)((char *)&word + 1), FUTEX_WAIT_PRIVATE, 5, &ts, NULL, 0), EINVAL);
	CHECK_ERR(futex((void *)8, FUTEX_WAIT_PRIVATE, 5, &ts, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 5, &bad, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	double start = check_seconds();
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 5, &ts, NULL, 0), ETIMEDOUT);
	CHECK(check_seconds() - start >= 0.019);
	struct timespec at;
	at = (struct timespec){0, 1};
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, &at, NULL, ~0u), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &at);
	CHECK_ERR(
	    futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &at, NULL, ~0u),
	    ETIMEDOUT);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 0);
}

static atomic_int ready, woke;

struct wait_arg {
	uint32_t bitset;
	long result;
};

static void *waiter(void *arg)
{
	struct wait_arg *a = arg;
	atomic_fetch_add(&ready, 1);
	a->result = futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, a->bitset);
	atomic_fetch_add(&woke, 1);
	return NULL;
}

/* Starts n waiters on word and gives them time to sleep. */
static void start(pthread_t *t, struct wait_arg *a, int n)
{
	word = 1;
	ready = woke = 0;
	for (int i = 0; i < n; i++)
		pthread_create(&t[i], NULL, waiter, &a[i]);
	while (ready < n)
		sched_yield();
	usleep(150000);
}

static void finish(pthread_t *t, struct wait_arg *a, int n)
{
	for (int i = 0; i < n; i++) {
		pthread_join(t[i], NULL);
		CHECK(a[i].result == 0);
	}
}

static void test_wake(void)
{
	pthread_t t[4];
	struct wait_arg a[4] = {{1, -1}, {2, -1}, {4, -1}, {8, -1}};
	start(t, a, 4);
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 16) == 0);
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 6) == 2);
	for (int i = 0; i < 2000 && woke < 2; i++) /* as long as a busy machine needs */
		usleep(5000);
	CHECK(woke == 2);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 1);
	finish(t, a, 4);
}

static void test_requeue(void)
{
	pthread_t t[4];
	struct wait_arg a[4] = {{1, -1}, {1, -1}, {1, -1}, {1, -1}};
	start(t, a, 4);
	CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10l, &word2, 99), EAGAIN);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10l, &word2, 1) == 4);
	usleep(20000);
	CHECK(woke == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 0);
	CHECK(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 3);
	finish(t, a, 4);
}

static void test_wake_op(void)
{
	pthread_t t[2];
	struct wait_arg a[2] = {{1, -1}, {1, -1}};
	start(t, a, 2);
	word2 = 10;
	long n = futex(&word, FUTEX_WAKE_OP_PRIVATE, 2, (void *)5l, &word2,
	    FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_GT, 9));
	CHECK(n == 2);
	CHECK(word2 == 17);
	finish(t, a, 2);
	CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 2, (void *)5l, &word2,
		  FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_EQ, 3)) == 0);
	CHECK(word2 == 16);
}

static void *die_with_lock(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

static void test_robust(int protocol)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t t;
	pthread_mutexattr_init(&attr);
	CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutexattr_setprotocol(&attr, protocol) == 0);
	CHECK(pthread_mutex_init(&m, &attr) == 0);
	pthread_create(&t, NULL, die_with_lock, &m);
	pthread_join(t, NULL);
	CHECK(pthread_mutex_lock(&m) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(&m) == 0);
	CHECK(pthread_mutex_unlock(&m) == 0);
	CHECK(pthread_mutex_lock(&m) == 0);
	CHECK(pthread_mutex_unlock(&m) == 0);
}

struct robust_wait {
	pthread_mutex_t m;
	atomic_int holding;
	int result;
};

static void *hold_and_die(void *arg)
{
	struct robust_wait *r = arg;
	pthread_mutex_lock(&r->m);
	r->holding = 1;
	usleep(40000);
	return NULL;
}

static void test_robust_waiter(int protocol)
{
	pthread_mutexattr_t attr;
	struct robust_wait r = {.holding = 0};
	pthread_t t;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutex_init(&r.m, &attr);
	pthread_create(&t, NULL, hold_and_die, &r);
	while (!r.holding)
		sched_yield();
	CHECK(pthread_mutex_lock(&r.m) == EOWNERDEAD);
	pthread_mutex_consistent(&r.m);
	pthread_mutex_unlock(&r.m);
	pthread_join(t, NULL);
}

static pthread_mutex_t pi_mutex;
static int pi_counter;

static void *pi_add(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		pthread_mutex_lock(&pi_mutex);
		pi_counter++;
		pthread_mutex_unlock(&pi_mutex);
	}
	return NULL;
}

static void *try_lock(void *arg)
{
	struct timespec ts;
	(void)arg;
	CHECK(pthread_mutex_trylock(&pi_mutex) == EBUSY);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	CHECK(pthread_mutex_timedlock(&pi_mutex, &ts) == ETIMEDOUT);
	return NULL;
}

static void test_pi(void)
{
	pthread_mutexattr_t attr;
	pthread_t t[4];
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	CHECK(pthread_mutex_init(&pi_mutex, &attr) == 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, pi_add, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(pi_counter == 12000);
	pthread_mutex_lock(&pi_mutex);
	pthread_create(&t[0], NULL, try_lock, NULL);
	pthread_join(t[0], NULL);
	CHECK(pthread_mutex_unlock(&pi_mutex) == 0);
	static _Atomic uint32_t raw;
	raw = 0;
	CHECK_ERR(futex(&raw, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
	CHECK(futex(&raw, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	CHECK(raw == (uint32_t)getpid());
	CHECK_ERR(futex(&raw, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK(futex(&raw, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	CHECK(raw == 0);
}

static _Atomic uint32_t *mapped;

static void *wait_shared(void *arg)
{
	(void)arg;
	ready = 1;
	return (void *)futex(mapped, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void test_shared(void)
{
	int fd = memfd_create("futex", 0);
	pthread_t t;
	void *r;
	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	_Atomic uint32_t *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED && other != MAP_FAILED && mapped != other);
	ready = 0;
	pthread_create(&t, NULL, wait_shared, NULL);
	while (!ready)
		sched_yield();
	usleep(30000);
	CHECK(futex(other, FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
	pthread_join(t, &r);
	CHECK(r == NULL);
	close(fd);
}

int main(void)
{
	test_errors();
	test_wake();
	test_requeue();
	test_wake_op();
	test_robust(PTHREAD_PRIO_NONE);
	test_robust_waiter(PTHREAD_PRIO_NONE);
	test_pi();
	test_robust(PTHREAD_PRIO_INHERIT);
	test_robust_waiter(PTHREAD_PRIO_INHERIT);
	test_shared();
	return check_report();
}
