/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 14 Promise objects: a message every 100 ms, ten times, then the future is ready. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

struct ticker {
	ss_timer timer;
	ss_promise done;
	int count;
};

static void tick(ss_timer *t)
{
	struct ticker *k = (struct ticker *)t;

	printf("message %d\n", ++k->count);
	fflush(stdout);
	if (k->count == 10) {
		ss_timer_cancel(t);
		ss_promise_set(&k->done, k->count);
	}
}

static ss_future messages(void)
{
	static __thread struct ticker k;

	ss_timer_init(&k.timer, tick);
	ss_timer_arm_periodic(&k.timer, 100 * SS_MSEC);
	return ss_promise_get_future(&k.done);
}

SS_CONT(all)
{
	printf("%d messages\n", (int)r.i);
	return ss_ok(0);
}

ss_future f(void)
{
	return ss_then(messages(), all);
}
