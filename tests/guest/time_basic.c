/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks, sleeping, POSIX timers, interval timers, timers on CPU clocks. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <unistd.h>

#include "check.h"

static double seconds(clockid_t id)
{
	struct timespec ts = {-1, -1};
	CHECK(clock_gettime(id, &ts) == 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void burn(double s)
{
	double end = check_seconds() + s;
	while (check_seconds() < end)
		;
}

static void test_clocks(void)
{
	const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
	    CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
	    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
	struct timespec ts;
	for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
		double a = seconds(ids[i]), b = seconds(ids[i]);
		CHECK(b >= a);
		CHECK(clock_getres(ids[i], &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec > 0);
	}
	CHECK(seconds(CLOCK_REALTIME) > 1.6e9);
	CHECK_ERR(clock_gettime(77, &ts), EINVAL);
	CHECK_ERR(clock_getres(-77777777, &ts), EINVAL);
	struct timeval tv;
	CHECK(gettimeofday(&tv, NULL) == 0);
	double real = seconds(CLOCK_REALTIME);
	CHECK((double)tv.tv_sec <= real && real - (double)tv.tv_sec < 5);
	time_t t = time(NULL);
	CHECK(t >= tv.tv_sec && t - tv.tv_sec < 5);
	/* The system call and the vDSO agree. */
	struct timespec sys;
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &sys) == 0);
	double direct = (double)sys.tv_sec + (double)sys.tv_nsec / 1e9, now = check_seconds();
	CHECK(now >= direct && now - direct < 1);
	ts = (struct timespec){0, 0};
	CHECK_ERR(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL);
}

static void test_monotonic_across_cpus(void)
{
	int bad = 0;
	double last = 0;
	for (int i = 0; i < 20000; i++) {
		double now = check_seconds();
		bad += now < last;
		last = now;
		if (i % 1000 == 0)
			sched_yield();
	}
	CHECK(bad == 0);
}

static void test_sleep(void)
{
	struct timespec ts = {0, 20000000}, bad = {0, -1};
	double start = check_seconds();
	CHECK(nanosleep(&ts, NULL) == 0);
	double slept = check_seconds() - start;
	CHECK(slept >= 0.02 && slept < 1);
	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) == EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	start = check_seconds();
	ts.tv_nsec += 20000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0);
	CHECK(check_seconds() - start >= 0.0199);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0); /* past */
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	start = check_seconds();
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0);
	CHECK(check_seconds() - start >= 0.019);
}

static void test_cpu_time(void)
{
	double before = seconds(CLOCK_PROCESS_CPUTIME_ID),
	       thread = seconds(CLOCK_THREAD_CPUTIME_ID);
	struct timespec ts = {0, 50000000};
	nanosleep(&ts, NULL);
	CHECK(seconds(CLOCK_THREAD_CPUTIME_ID) - thread < 0.045); /* sleeping costs nothing */
	burn(0.1);
	double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
	CHECK(used > 0.01);
	clockid_t id;
	CHECK(pthread_getcpuclockid(pthread_self(), &id) == 0);
	CHECK(seconds(id) >= thread);
	CHECK(clock_getcpuclockid(getpid(), &id) == 0);
	CHECK(seconds(id) >= used);
	struct rusage u;
	CHECK(getrusage(RUSAGE_SELF, &u) == 0);
	CHECK((double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		  (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) >
	      10000);
	CHECK(u.ru_maxrss > 0);
	CHECK(getrusage(RUSAGE_THREAD, &u) == 0);
	CHECK_ERR(getrusage(77, &u), EINVAL);
	struct tms t;
	CHECK(times(&t) > 0);
	CHECK(t.tms_utime + t.tms_stime > 0);
}

static volatile sig_atomic_t fired, timer_value, overruns, code;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	fired++;
	timer_value = info->si_value.sival_int;
	overruns += info->si_overrun;
	code = info->si_code;
}

static void install(int sig)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void wait_fired(int n)
{
	for (int i = 0; i < 3000 && fired < n; i++)
		usleep(1000);
}

static void test_posix_timer(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec its = {{0, 0}, {0, 10000000}}, now;
	timer_t t;
	e.sigev_value.sival_int = 99;
	install(SIGUSR1);
	fired = 0;
	CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
	CHECK(timer_gettime(t, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	wait_fired(1);
	CHECK(fired == 1 && timer_value == 99 && code == SI_TIMER);
	its.it_interval.tv_nsec = 5000000;
	fired = 0;
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	CHECK(timer_gettime(t, &now) == 0 && now.it_interval.tv_nsec == 5000000);
	wait_fired(5);
	CHECK(fired >= 5);
	/* Overruns are counted while the signal is blocked. */
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	usleep(60000);
	overruns = 0;
	fired = 0;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK(fired >= 1 && overruns >= 5);
	CHECK(timer_getoverrun(t) >= 0);
	CHECK(timer_delete(t) == 0);
	CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
	CHECK_ERR(timer_create(77, &e, &t), EINVAL);
	e.sigev_signo = 99;
	CHECK_ERR(timer_create(CLOCK_REALTIME, &e, &t), EINVAL);
}

static void test_absolute_timer(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec its = {{0, 0}, {0, 0}};
	timer_t t;
	fired = 0;
	CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
	clock_gettime(CLOCK_REALTIME, &its.it_value);
	its.it_value.tv_nsec += 20000000;
	its.it_value.tv_sec += its.it_value.tv_nsec / 1000000000;
	its.it_value.tv_nsec %= 1000000000;
	double start = check_seconds();
	CHECK(timer_settime(t, TIMER_ABSTIME, &its, NULL) == 0);
	wait_fired(1);
	CHECK(fired == 1 && check_seconds() - start >= 0.019);
	timer_delete(t);
}

static void test_cpu_timer(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec its = {{0, 0}, {0, 30000000}};
	timer_t t;
	fired = 0;
	CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t) == 0);
	double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	usleep(60000);
	CHECK(fired == 0 || seconds(CLOCK_PROCESS_CPUTIME_ID) - before >= 0.03);
	double end = check_seconds() + 5;
	while (!fired && check_seconds() < end)
		;
	CHECK(fired == 1);
	CHECK(seconds(CLOCK_PROCESS_CPUTIME_ID) - before >= 0.03);
	timer_delete(t);
}

static atomic_int notified;

static void notify(union sigval v)
{
	notified = v.sival_int;
}

static void test_thread_timer(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify};
	struct itimerspec its = {{0, 0}, {0, 5000000}};
	timer_t t;
	e.sigev_value.sival_int = 5;
	CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	for (int i = 0; i < 2000 && !notified; i++)
		usleep(1000);
	CHECK(notified == 5);
	timer_delete(t);
}

static void test_itimer(void)
{
	struct itimerval it = {{0, 0}, {0, 500000}}, old; /* long enough to be seen on a busy machine */
	install(SIGALRM);
	install(SIGVTALRM);
	install(SIGPROF);
	fired = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec > 0);
	wait_fired(1);
	CHECK(fired == 1);
	it.it_value.tv_usec = 20000;
	CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
	double end = check_seconds() + 5;
	while (fired < 2 && check_seconds() < end)
		;
	CHECK(fired == 2);
	CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
	end = check_seconds() + 5;
	while (fired < 3 && check_seconds() < end)
		;
	CHECK(fired == 3);
	CHECK(alarm(100) == 0);
	CHECK(alarm(0) == 100);
	CHECK_ERR(setitimer((enum __itimer_which)9, &it, NULL), EINVAL);
}

int main(void)
{
	test_clocks();
	test_monotonic_across_cpus();
	test_sleep();
	test_cpu_time();
	test_posix_timer();
	test_absolute_timer();
	test_cpu_timer();
	test_thread_timer();
	test_itimer();
	return check_report();
}
