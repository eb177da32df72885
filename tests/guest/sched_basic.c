/* SPDX-License-Identifier: BSD-3-Clause */
/* Scheduling policies, affinity, nice. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static void test_policy(void)
{
	struct sched_param p = {.sched_priority = 0}, q;
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99);
	CHECK(sched_get_priority_min(SCHED_RR) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	CHECK_ERR(sched_get_priority_max(77), EINVAL);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0);
	p.sched_priority = 5;
	CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
	CHECK_ERR(sched_setscheduler(0, 77, &p), EINVAL);
	p.sched_priority = 100;
	CHECK_ERR(sched_setscheduler(0, SCHED_FIFO, &p), EINVAL);
	p.sched_priority = 5;
	if (sched_setscheduler(0, SCHED_FIFO, &p) == 0) { /* not everywhere allowed on the host */
		CHECK(sched_getscheduler(0) == SCHED_FIFO);
		CHECK(sched_getparam(0, &q) == 0 && q.sched_priority == 5);
		p.sched_priority = 0;
		CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0);
	} else {
		CHECK(errno == EPERM);
	}
	CHECK_ERR(sched_getscheduler(99999), ESRCH);
	CHECK_ERR(sched_getscheduler(-1), EINVAL);
	struct timespec ts;
	CHECK(sched_rr_get_interval(0, &ts) == 0 && ts.tv_sec == 0);
}

static void test_affinity(void)
{
	cpu_set_t set, all;
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	CHECK(CPU_COUNT(&all) >= 1);
	CHECK(CPU_COUNT(&all) <= sysconf(_SC_NPROCESSORS_CONF));
	for (int cpu = 0; cpu < 64; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
		CHECK(sched_getcpu() == cpu);
		unsigned c = 99, node = 99;
		CHECK(syscall(SYS_getcpu, &c, &node, NULL) == 0 && c == (unsigned)cpu && node < 64);
	}
	CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1);
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof set, &set), EINVAL);
	CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
	CHECK_ERR(sched_setaffinity(99999, sizeof all, &all), ESRCH);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL);
}

static void *report_cpu(void *arg)
{
	for (int i = 0; i < 50; i++) {
		if (sched_getcpu() != (int)(long)arg)
			return (void *)1l;
		sched_yield();
	}
	return NULL;
}

static void test_thread_affinity(void)
{
	cpu_set_t all, set;
	sched_getaffinity(0, sizeof all, &all);
	for (int cpu = 0; cpu < 64; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		pthread_attr_t attr;
		pthread_t t;
		void *r;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_init(&attr);
		CHECK(pthread_attr_setaffinity_np(&attr, sizeof set, &set) == 0);
		CHECK(pthread_create(&t, &attr, report_cpu, (void *)(long)cpu) == 0);
		CHECK(pthread_join(t, &r) == 0 && r == NULL);
	}
}

static void test_nice(void)
{
	errno = 0;
	CHECK(getpriority(PRIO_PROCESS, 0) == 0 && errno == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 19);
	CHECK_ERR(getpriority(9, 0), EINVAL);
	CHECK_ERR(getpriority(PRIO_PROCESS, 99999), ESRCH);
	setpriority(PRIO_PROCESS, 0, 0);
}

static atomic_long work[2];
static atomic_int stop;

static void *spin(void *arg)
{
	while (!stop)
		atomic_fetch_add(&work[(long)arg], 1);
	return NULL;
}

/* Two busy threads on one CPU share it. */
static void test_fair(void)
{
	cpu_set_t all, set;
	pthread_t t[2];
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&set);
	for (int cpu = 0; cpu < 64; cpu++)
		if (CPU_ISSET(cpu, &all)) {
			CPU_SET(cpu, &set);
			break;
		}
	sched_setaffinity(0, sizeof set, &set);
	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, spin, (void *)i) == 0);
	usleep(400000);
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	sched_setaffinity(0, sizeof all, &all);
	double a = (double)work[0], b = (double)work[1];
	CHECK(a > 0 && b > 0);
	CHECK(a / (a + b) > 0.1 && a / (a + b) < 0.9);
}

static void used(double *user, double *kernel)
{
	struct rusage u;
	CHECK(getrusage(RUSAGE_SELF, &u) == 0);
	*user = (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
	*kernel = (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

/* CPU time is the application's while it computes and the kernel's while it maps memory. */
static void test_cpu_time(void)
{
	double user[3], kernel[3];
	volatile double x = 1;
	used(&user[0], &kernel[0]);
	do {
		for (int i = 0; i < 100000; i++)
			x = x * 1.0001 + 1;
		used(&user[1], &kernel[1]);
	} while (user[1] + kernel[1] - user[0] - kernel[0] < 0.4);
	CHECK(user[1] - user[0] > kernel[1] - kernel[0]);
	do {
		char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		CHECK(p != MAP_FAILED && munmap(p, 16 << 20) == 0);
		used(&user[2], &kernel[2]);
		CHECK(user[2] >= user[1] && kernel[2] >= kernel[1]);
	} while (user[2] + kernel[2] - user[1] - kernel[1] < 0.4);
	CHECK(kernel[2] - kernel[1] > user[2] - user[1]);
}

int main(void)
{
	test_policy();
	test_affinity();
	test_thread_affinity();
	test_nice();
	test_fair();
	test_cpu_time();
	return check_report();
}
