/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preemption ticks and the stall detector. A POSIX timer per shard sends a signal to the shard's
 * thread every task quota; the handler advances the tick that ss_need_preempt() compares. The same
 * handler sees whether the task serial moved; if one task ran for longer than
 * --blocked-reactor-notify-ms it writes a backtrace. The timer is stopped when it finds the shard
 * asleep for a while. Where the kernel has no such timers, a slice ends after a number of tasks.
 */
#include "reactor.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK_SIGNAL (SIGRTMIN + 2)
#define SIGNAL_STACK (64 * 1024)
#define FRAMES 48

static struct sigaction old_action;
static bool installed;

/* Only async-signal-safe calls: the interrupted task may hold any lock. */
static void report_stall(struct ss_shard *sh, uint64_t ms)
{
	char line[128];
	void *frames[FRAMES];
	int n, k;

	k = snprintf(line, sizeof(line),
	    "WARNING: Reactor stalled for %llu ms on shard %u. Backtrace:\n",
	    (unsigned long long)ms, sh->id);
	if (write(STDERR_FILENO, line, (size_t)k) < 0)
		return;
	n = backtrace(frames, FRAMES);
	backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

static void check_stall(struct ss_shard *sh)
{
	uint64_t serial = atomic_load_explicit(&sh->task_serial, memory_order_relaxed);
	uint64_t ns;

	if (!sh->running_tasks || serial != sh->stall_serial) {
		sh->stall_serial = serial;
		sh->stall_ticks = 0;
		return;
	}
	ns = ++sh->stall_ticks * ss_rt->quota_ns;
	/* Once per stall. */
	if (ns >= ss_rt->blocked_ns && (ns - ss_rt->quota_ns < ss_rt->blocked_ns)) {
		atomic_fetch_add(&sh->stalls, 1);
		report_stall(sh, ns / SS_MSEC);
	}
}

static void on_tick(int sig)
{
	struct ss_shard *sh = ss_self;
	int saved = errno;

	(void)sig;
	if (!sh)
		return;
	__atomic_fetch_add(&sh->turn.tick, 1, __ATOMIC_RELAXED);
	if (ss_rt && ss_rt->blocked_ns)
		check_stall(sh);
	errno = saved;
}

int ss_ticker_install(void)
{
	struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};
	void *frame;

	/* The first call loads a library, which must not happen in the handler. */
	backtrace(&frame, 1);
	sigemptyset(&sa.sa_mask);
	if (sigaction(TICK_SIGNAL, &sa, &old_action))
		return -errno;
	installed = true;
	return 0;
}

void ss_ticker_uninstall(void)
{
	if (installed)
		sigaction(TICK_SIGNAL, &old_action, NULL);
	installed = false;
}

void ss_ticker_set(struct ss_reactor *re, bool on)
{
	struct itimerspec its = {{0, 0}, {0, 0}};
	uint64_t ns = ss_rt->quota_ns;

	if (!re->has_ticker || re->ticker_on == on)
		return;
	re->ticker_on = on;
	if (on)
		its.it_interval = its.it_value = (struct timespec){
		    .tv_sec = (time_t)(ns / SS_SEC), .tv_nsec = (long)(ns % SS_SEC)};
	timer_settime(re->ticker, 0, &its, NULL);
}

void ss_ticker_start(struct ss_reactor *re)
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
	stack_t st = {.ss_size = SIGNAL_STACK};

	re->signal_stack = malloc(SIGNAL_STACK);
	if (!re->signal_stack)
		return;
	st.ss_sp = re->signal_stack;
	sigaltstack(&st, NULL);
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &re->ticker) == 0)
		re->has_ticker = true;
	re->shard.no_ticker = !re->has_ticker;
}

void ss_ticker_stop(struct ss_reactor *re)
{
	stack_t off = {.ss_flags = SS_DISABLE};

	if (re->has_ticker)
		timer_delete(re->ticker);
	re->has_ticker = re->ticker_on = false;
	sigaltstack(&off, NULL);
	free(re->signal_stack);
	re->signal_stack = NULL;
}
