/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 4 Futures and continuations: a future with a value, and 4.1, one that is ready. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(three)
{
	return ss_ok(3);
}

static ss_future slow(void)
{
	return ss_then(ss_sleep(100 * SS_MSEC), three);
}

static ss_future fast(void)
{
	return ss_ok(3);
}

SS_CONT(got)
{
	printf("Got %d\n", (int)r.i);
	return ss_ok(0);
}

SS_CONT(then_fast)
{
	return ss_then(fast(), got);
}

ss_future f(void)
{
	return ss_then(ss_then(slow(), got), then_fast);
}
