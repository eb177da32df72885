/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 15 Threads of Seastar: fibers, where waiting is allowed. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_FIBER(th, int id;)
{
	SS_TRY(ss_sleep((uint64_t)self->id * 50 * SS_MSEC)); /* blocking point */
	printf("thread %d awake\n", self->id);
	return self->id * 10;
}

SS_FIBER(parent)
{
	ss_future a = ss_async(th, 2), b = ss_async(th, 1);
	int64_t sum = SS_TRY(a);

	sum += SS_TRY(b);
	printf("sum %d\n", (int)sum);
	return 0;
}

ss_future f(void)
{
	return ss_async(parent);
}
