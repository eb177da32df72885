/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of a shard: run tasks for a time slice, flush what they wrote, look at messages of other
 * shards, timers and the back end; sleep in the back end when there is nothing to do.
 *
 * Sleeping and waking. A shard about to sleep sets `sleeping`, then looks once more at every queue
 * others put things in. Who puts something in a queue does so first and then looks at `sleeping`.
 * Both sides have a full fence between the two steps, so one of them sees the other: either the
 * sleeper finds the item or the other side writes to the eventfd.
 *
 * Waking takes tens of microseconds, more than many messages take to be answered. So a shard whose
 * last sleep was ended soon by a message looks at the rings for a while before it sleeps again: up
 * to twice the time as before, and half of it after each sleep that was long or that something else
 * ended. A shard that nobody talks to does not wait at all.
 */
#include "reactor.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPIN_LEAST (2 * SS_USEC)
#define SPIN_LOOKS 32 /* at the rings between two looks at the clock */
#define SLEEP_SHORT 4 /* a sleep of so many times the longest wait was short */
#define IDLE_TICKS 20 /* stop the ticker when it found the shard asleep this often */

__thread struct ss_shard *ss_self __attribute__((tls_model("initial-exec")));
__thread struct ss_turn *ss_turn_self __attribute__((tls_model("initial-exec")));
struct ss_runtime *ss_rt;

unsigned ss_shard_id(void)
{
	return ss_self->id;
}

unsigned ss_smp_count(void)
{
	return ss_rt ? ss_rt->n : 0;
}

bool ss_on_shard(void)
{
	return ss_self != NULL;
}

static void wake_event(struct ss_fd *f, uint32_t events)
{
	uint64_t n;
	ssize_t k;

	(void)events;
	do
		k = read(f->fd, &n, sizeof(n));
	while (k < 0 && errno == EINTR);
}

void ss_reactor_wake(struct ss_reactor *re)
{
	uint64_t one = 1;
	ssize_t k;

	do
		k = write(re->wake.fd, &one, sizeof(one));
	while (k < 0 && errno == EINTR);
}

void ss_poller_add(struct ss_poller *p)
{
	struct ss_reactor *re = ss_re();

	p->next = re->pollers;
	re->pollers = p;
}

void ss_poller_remove(struct ss_poller *p)
{
	struct ss_poller **at = &ss_re()->pollers;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
}

int ss_reactor_start(struct ss_reactor *re)
{
	int err;

	re->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (re->wake.fd < 0)
		return -errno;
	re->wake.event = wake_event;
	re->backend = ss_rt->backend;
	err = re->backend->start(re);
	if (!err)
		err = re->backend->add(re, &re->wake);
	if (err)
		return err;
	ss_ticker_start(re);
	re->shard.now = re->shard.start_ns = ss_now();
	return 0;
}

void ss_reactor_finish(struct ss_reactor *re)
{
	ss_ticker_stop(re);
	if (re->wake.fd >= 0) {
		if (re->backend_data) {
			re->backend->del(re, &re->wake);
			re->backend->stop(re);
		}
		close(re->wake.fd);
	}
	ss_alien_drop(re);
	ss_fibers_fini(&re->shard);
	ss_cells_fini(&re->shard);
}

/* What others may have put in this shard's queues. */
static bool queues_pending(struct ss_reactor *re)
{
	if (ss_links_pending(re) || atomic_load(&re->stop) || atomic_load(&re->aliens) ||
	    atomic_load(&re->poked))
		return true;
	for (struct ss_poller *p = re->pollers; p; p = p->next)
		if (p->busy && p->busy(p))
			return true;
	return false;
}

static bool run_pollers(struct ss_reactor *re)
{
	bool work = false;

	if (ss_rt->n > 1)
		work = ss_links_poll(re);
	if (atomic_load_explicit(&re->aliens, memory_order_relaxed))
		work |= ss_alien_poll(re);
	if (atomic_load_explicit(&re->poked, memory_order_relaxed)) {
		atomic_store(&re->poked, 0);
		ss_signals_poll();
		work = true;
	}
	work |= ss_mem_poll(&re->shard);
	for (struct ss_poller *p = re->pollers; p; p = p->next)
		work |= p->poll(p);
	return work;
}

static int64_t until_timer(struct ss_reactor *re)
{
	uint64_t next = ss_timers_next(&re->shard);

	if (next == UINT64_MAX)
		return -1;
	return next > re->shard.now ? (int64_t)(next - re->shard.now) : 0;
}

/* Wait for messages of other shards. True if there is something to do. */
static bool spin(struct ss_reactor *re, int64_t timeout)
{
	uint64_t until = re->shard.now + re->spin_ns;

	if (timeout > 0 && re->shard.now + (uint64_t)timeout < until)
		until = re->shard.now + (uint64_t)timeout;
	do {
		for (int i = 0; i < SPIN_LOOKS; i++) {
			if (queues_pending(re))
				return true;
			__builtin_ia32_pause();
		}
		re->shard.now = ss_now();
	} while (re->shard.now < until);
	return false;
}

/* What the sleep that just ended says about the next one. */
static void adapt_spin(struct ss_reactor *re, uint64_t slept)
{
	if (slept <= SLEEP_SHORT * ss_rt->spin_ns && ss_links_pending(re)) {
		re->spin_ns = re->spin_ns < SPIN_LEAST ? SPIN_LEAST : 2 * re->spin_ns;
		if (re->spin_ns > ss_rt->spin_ns)
			re->spin_ns = ss_rt->spin_ns;
	} else {
		re->spin_ns = re->spin_ns / 2 < SPIN_LEAST ? 0 : re->spin_ns / 2;
	}
}

static void go_to_sleep(struct ss_reactor *re)
{
	int64_t timeout = until_timer(re);
	uint64_t before = re->shard.now;
	int err = 0;

	if (timeout && re->spin_ns && spin(re, timeout))
		return;
	if (!timeout) {
		re->backend->poll(re, 0);
		return;
	}
	atomic_store(&re->sleeping, 1);
	ss_fence();
	if (queues_pending(re))
		timeout = 0;
	else
		re->shard.sleeps++;
	err = re->backend->poll(re, timeout);
	atomic_store(&re->sleeping, 0);
	if (timeout) {
		re->shard.now = ss_now();
		re->shard.idle_ns += re->shard.now - before;
		if (ss_rt->n > 1 && ss_rt->spin_ns)
			adapt_spin(re, re->shard.now - before);
	}
	/* The ticker woke us, and not for the first time: there is nobody to preempt for now. */
	if (err == -EINTR && ++re->idle_ticks >= IDLE_TICKS)
		ss_ticker_set(re, false);
}

static void turn(struct ss_reactor *re)
{
	struct ss_shard *sh = &re->shard;
	bool work = false;

	if (sh->n_active) {
		re->idle_ticks = 0;
		if (ss_unlikely(!re->ticker_on))
			ss_ticker_set(re, true);
		work = ss_run_tasks(sh);
	}

	work |= ss_outputs_flush(sh);
	work |= run_pollers(re);
	sh->now = ss_now();
	work |= ss_timers_run(sh);
	atomic_store_explicit(&sh->turns, sh->turns + 1, memory_order_relaxed);
	if (work)
		re->last_work = sh->now;
	if (sh->n_active || sh->flush_head) {
		re->backend->poll(re, 0);
	} else if (re->stop) {
		return;
	} else if (ss_rt->poll_mode || sh->now - re->last_work < ss_rt->idle_poll_ns) {
		re->backend->poll(re, 0);
		sh->polls++;
	} else {
		if (sh->n_reserve < SS_CELL_RESERVE)
			ss_cells_top_up(sh);
		go_to_sleep(re);
	}
}

void ss_reactor_loop(struct ss_reactor *re)
{
	while (!re->stop)
		turn(re);
}
