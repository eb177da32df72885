/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that few programs make: tee, ioprio, futex_waitv, condition variables over PI mutexes,
 * fchmodat2. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void test_tee(void)
{
	int a[2], b[2];
	char buf[8192] = "";
	CHECK(pipe(a) == 0 && pipe(b) == 0);
	CHECK(write(a[1], "hello", 5) == 5);
	CHECK(tee(a[0], b[1], 100, 0) == 5);
	CHECK(write(a[1], " one", 4) == 4 && write(b[1], " two", 4) == 4);
	CHECK(read(b[0], buf, sizeof buf) == 9 && !memcmp(buf, "hello two", 9));
	CHECK(read(a[0], buf, sizeof buf) == 9 && !memcmp(buf, "hello one", 9));
	CHECK_ERR(tee(a[0], b[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERR(tee(a[0], a[1], 10, 0), EINVAL);
	CHECK(tee(a[0], b[1], 0, 0) == 0);
	for (int i = 0; i < 3; i++) { /* pages are used again afterwards */
		memset(buf, 'a' + i, sizeof buf);
		CHECK(write(a[1], buf, sizeof buf) == (ssize_t)sizeof buf);
		CHECK(tee(a[0], b[1], 5000, 0) == 5000);
		memset(buf, 0, sizeof buf);
		CHECK(read(a[0], buf, sizeof buf) == (ssize_t)sizeof buf && buf[8191] == 'a' + i);
		CHECK(read(b[0], buf, sizeof buf) == 5000 && buf[0] == 'a' + i &&
		      buf[4999] == 'a' + i);
	}
	close(a[1]);
	CHECK(tee(a[0], b[1], 10, 0) == 0);
	close(a[0]);
	CHECK_ERR(tee(a[0], b[1], 10, 0), EBADF);
	int file = open("/dev/null", O_RDWR);
	CHECK_ERR(tee(file, b[1], 10, 0), EINVAL);
	close(file);
	close(b[0]);
	close(b[1]);
}

static void test_ioprio(void)
{
	int best_effort_6 = 2 << 13 | 6;
	CHECK(syscall(SYS_ioprio_set, 1, 0, best_effort_6) == 0);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == best_effort_6);
	CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_set, 9, 0, best_effort_6), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_get, 1, 99999999), ESRCH);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 0) == 0);
}

static void test_fchmodat2(void)
{
	struct stat st;
	int fd = open("/tmp/calls_rare", O_CREAT | O_RDWR, 0600);
	long r = syscall(452, AT_FDCWD, "/tmp/calls_rare", 0640, 0);
	if (r == 0 || errno != ENOSYS) { /* Linux has it from 6.6 on */
		CHECK(r == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
		CHECK_ERR(syscall(452, AT_FDCWD, "/tmp/calls_rare", 0640, 1), EINVAL);
		CHECK(syscall(452, fd, "", 0604, AT_EMPTY_PATH) == 0);
		CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0604);
	}
	close(fd);
	unlink("/tmp/calls_rare");
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint32_t words[3];

static void *wake_one(void *arg)
{
	uint32_t *w = arg;
	usleep(20000);
	__atomic_store_n(w, 1, __ATOMIC_RELEASE);
	while (syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0)
		usleep(1000);
	return NULL;
}

static void test_waitv(void)
{
	struct futex_waitv v[3];
	struct timespec soon;
	pthread_t t;
	for (int i = 0; i < 3; i++)
		v[i] = (struct futex_waitv){
		    .uaddr = (uintptr_t)&words[i], .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
	for (int i = 0; i < 3; i++) {
		words[0] = words[1] = words[2] = 0;
		CHECK(pthread_create(&t, NULL, wake_one, &words[i]) == 0);
		CHECK(syscall(SYS_futex_waitv, v, 3, 0, NULL, 0) == i);
		pthread_join(t, NULL);
	}
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, NULL, 0), EAGAIN); /* words[2] is 1 */
	words[2] = 0;
	clock_gettime(CLOCK_MONOTONIC, &soon);
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, &soon, CLOCK_MONOTONIC), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = soon.tv_nsec / 2;
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, &soon, CLOCK_REALTIME), ETIMEDOUT);
	CHECK_ERR(syscall(SYS_futex_waitv, v, 0, 0, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_futex_waitv, v, 129, 0, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 1, NULL, 0), EINVAL);
	v[1].flags = 0;
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, NULL, 0), EINVAL);
	v[1].flags = FUTEX_32;
	v[1].uaddr = 2;
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, NULL, 0), EINVAL);
	v[1].uaddr = 16;
	CHECK_ERR(syscall(SYS_futex_waitv, v, 3, 0, NULL, 0), EFAULT);
}

/* A condition word and a PI mutex word, used as glibc once did. */
static uint32_t condition, mutex;
static int turns, waiting;
#define WAITERS 4

static int pi_lock(void)
{
	uint32_t zero = 0;
	if (__atomic_compare_exchange_n(&mutex, &zero, (uint32_t)syscall(SYS_gettid), 0,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return 0;
	return (int)syscall(SYS_futex, &mutex, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static int pi_unlock(void)
{
	uint32_t me = (uint32_t)syscall(SYS_gettid);
	if (__atomic_compare_exchange_n(&mutex, &me, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return 0;
	return (int)syscall(SYS_futex, &mutex, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static void *pi_waiter(void *arg)
{
	(void)arg;
	CHECK(pi_lock() == 0);
	uint32_t seen = __atomic_load_n(&condition, __ATOMIC_RELAXED);
	waiting++;
	CHECK(pi_unlock() == 0);
	long r =
	    syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, seen, NULL, &mutex, 0);
	if (r != 0)
		CHECK(errno == EAGAIN && pi_lock() == 0);
	CHECK((mutex & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid));
	turns++;
	CHECK(pi_unlock() == 0);
	return NULL;
}

static void test_requeue_pi(void)
{
	pthread_t t[WAITERS];
	struct timespec past = {1, 0};
	CHECK_ERR(
	    syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &past, &mutex, 0),
	    ETIMEDOUT);
	CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 7, NULL, &mutex, 0),
	    EAGAIN);
	CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 10L, &mutex, 7),
	    EAGAIN);
	CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, 10L, &mutex, 0),
	    EINVAL);
	CHECK(syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 10L, &mutex, 0) == 0);
	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&t[i], NULL, pi_waiter, NULL) == 0);
	for (int all = 0; !all; usleep(1000)) {
		CHECK(pi_lock() == 0);
		all = waiting == WAITERS;
		CHECK(pi_unlock() == 0);
	}
	usleep(100000); /* let them fall asleep; if not, they see the changed word */
	CHECK(pi_lock() == 0);
	__atomic_fetch_add(&condition, 1, __ATOMIC_RELAXED);
	long moved =
	    syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 100L, &mutex, 1);
	CHECK(moved >= 0 && moved <= WAITERS);
	CHECK(turns == 0); /* we have the mutex */
	CHECK(pi_unlock() == 0);
	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(turns == WAITERS && (mutex & FUTEX_TID_MASK) == 0);
	/* A free mutex goes to the first waiter at once. */
	waiting = 0;
	CHECK(pthread_create(&t[0], NULL, pi_waiter, NULL) == 0);
	long r = 0;
	while (r == 0) {
		usleep(1000);
		r = syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0L, &mutex, 1);
	}
	CHECK(r == 1 && pthread_join(t[0], NULL) == 0 && turns == WAITERS + 1);
}

int main(void)
{
	test_tee();
	test_ioprio();
	test_fchmodat2();
	test_waitv();
	test_requeue_pi();
	return check_report();
}
