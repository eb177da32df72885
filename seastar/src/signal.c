/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals for the program, all handled on shard 0. The handler only notes the signal and pokes the
 * reactor; what was asked for runs in the loop.
 */
#include "reactor.h"

#include <stdlib.h>
#include <unistd.h>

#define SIGNALS 65

static struct {
	void (*fn)(void *);
	void *arg;
	struct sigaction old;
	bool installed;
} handlers[SIGNALS];
static _Atomic unsigned pending[SIGNALS];

static void on_signal(int signo)
{
	struct ss_runtime *rt = ss_rt;
	int saved = errno;

	atomic_fetch_add(&pending[signo], 1);
	if (rt && rt->reactor[0]) {
		atomic_store(&rt->reactor[0]->poked, 1);
		ss_reactor_wake(rt->reactor[0]);
	}
	errno = saved;
}

int ss_signal_handle(int signo, void (*fn)(void *), void *arg)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigaction old;

	if (signo <= 0 || signo >= SIGNALS)
		return -EINVAL;
	sigemptyset(&sa.sa_mask);
	handlers[signo].fn = fn;
	handlers[signo].arg = arg;
	if (sigaction(signo, &sa, &old))
		return -errno;
	if (!handlers[signo].installed)
		handlers[signo].old = old;
	handlers[signo].installed = true;
	return 0;
}

static void stop_signal(void *arg)
{
	(void)arg;
	if (ss_rt->stop_requested)
		_exit(130);
	ss_app_handle_stop();
}

int ss_signals_start(void)
{
	int err = ss_signal_handle(SIGINT, stop_signal, NULL);

	return err ? err : ss_signal_handle(SIGTERM, stop_signal, NULL);
}

void ss_signals_stop(void)
{
	for (int i = 1; i < SIGNALS; i++) {
		if (handlers[i].installed)
			sigaction(i, &handlers[i].old, NULL);
		handlers[i].installed = false;
		atomic_store(&pending[i], 0);
	}
}

void ss_signals_poll(void)
{
	for (int i = 1; i < SIGNALS; i++)
		if (atomic_exchange(&pending[i], 0) && handlers[i].installed && handlers[i].fn)
			handlers[i].fn(handlers[i].arg);
}
