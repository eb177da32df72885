/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls from threads that are no shard. They push onto a stack with a compare-and-swap; the shard
 * takes the whole stack with an exchange and runs it oldest first. Waking is as between shards.
 */
#include "reactor.h"

#include <stdlib.h>

bool ss_alien_poll(struct ss_reactor *re)
{
	struct ss_alien_call *c = atomic_exchange(&re->aliens, NULL), *list = NULL;

	while (c) {
		struct ss_alien_call *next = c->next;

		c->next = list;
		list = c;
		c = next;
	}
	if (!list)
		return false;
	while (list) {
		c = list;
		list = c->next;
		c->fn(c->arg);
		free(c);
	}
	return true;
}

/* The shard ends: calls that came too late are not made. */
void ss_alien_drop(struct ss_reactor *re)
{
	struct ss_alien_call *c = atomic_exchange(&re->aliens, NULL);

	while (c) {
		struct ss_alien_call *next = c->next;

		free(c);
		c = next;
	}
}

int ss_alien_run_on(unsigned shard, void (*fn)(void *), void *arg)
{
	struct ss_alien_call *c;
	struct ss_reactor *re;

	if (!ss_rt || shard >= ss_rt->n)
		return -ESHUTDOWN;
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	re = ss_rt->reactor[shard];
	c->fn = fn;
	c->arg = arg;
	c->next = atomic_load(&re->aliens);
	while (!atomic_compare_exchange_weak(&re->aliens, &c->next, c))
		;
	ss_fence();
	if (atomic_exchange(&re->sleeping, 0))
		ss_reactor_wake(re);
	return 0;
}

struct blocking_call {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	ss_result r;
	ss_cont_fn fn;
	void *cap;
};

static void blocking_end(struct blocking_call *b, ss_result r)
{
	pthread_mutex_lock(&b->lock);
	b->r = r;
	b->is_done = true;
	pthread_cond_signal(&b->done);
	pthread_mutex_unlock(&b->lock);
}

SS_CONT(blocking_result, struct blocking_call *b;)
{
	blocking_end(self->b, r);
	return ss_ok(0);
}

static void blocking_start(void *arg)
{
	struct blocking_call *b = arg;
	ss_future f = b->fn(b->cap, (ss_result){.i = 0, .err = 0});

	ss_detach(ss_then_wrapped(f, blocking_result, b));
}

ss_result ss_alien_submit_to(unsigned shard, ss_cont_fn fn, void *cap)
{
	struct blocking_call b = {.lock = PTHREAD_MUTEX_INITIALIZER,
	    .done = PTHREAD_COND_INITIALIZER,
	    .fn = fn,
	    .cap = cap};
	int err = ss_alien_run_on(shard, blocking_start, &b);

	if (err)
		return (ss_result){.msg = NULL, .err = err};
	pthread_mutex_lock(&b.lock);
	while (!b.is_done)
		pthread_cond_wait(&b.done, &b.lock);
	pthread_mutex_unlock(&b.lock);
	return b.r;
}
