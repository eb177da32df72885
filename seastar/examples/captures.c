/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 5.1 Capturing state: by value, and an object that is handed over. */
#include <seastar/seastar.h>
#include <stdio.h>
#include <stdlib.h>

ss_future f(void);

SS_CONT(add_one, int i;)
{
	return ss_ok(self->i + 1);
}

static ss_future incr(int i)
{
	return ss_then(ss_sleep(10 * SS_MSEC), add_one, .i = i);
}

struct thing {
	int n;
};

/* Takes the object over, so it frees it. */
static int do_something(struct thing *obj)
{
	int result = obj->n + 10;

	free(obj);
	return result;
}

/* Runs whether the wait succeeded or not: the object must not be lost. */
SS_CONT(with_thing, struct thing *obj;)
{
	int result = do_something(self->obj);

	return r.err ? ss_ready(r) : ss_ok(result);
}

static ss_future slow_do_something(struct thing *obj)
{
	return ss_then_wrapped(ss_sleep(10 * SS_MSEC), with_thing, obj);
}

SS_CONT(got)
{
	printf("Got %d\n", (int)r.i);
	return ss_ok(0);
}

SS_CONT(and_move)
{
	struct thing *obj = malloc(sizeof(*obj));

	if (!obj)
		return ss_fail(-ENOMEM);
	obj->n = 7;
	return ss_then(slow_do_something(obj), got);
}

ss_future f(void)
{
	return ss_then(ss_then(incr(3), got), and_move);
}
