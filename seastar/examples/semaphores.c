/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 8 Semaphores: limiting parallelism and resources, four ways. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

static __thread ss_sem limit = SS_SEM_INIT(100);
static __thread ss_sem memory = SS_SEM_INIT(1000000);
static __thread int running, peak;

SS_CONT(slow_end)
{
	running--;
	return ss_ok(0);
}

/* The real work of g(). */
static ss_future slow(void)
{
	if (++running > peak)
		peak = running;
	return ss_then(ss_sleep(10 * SS_MSEC), slow_end);
}

SS_CONT(give_back)
{
	ss_sem_signal(&limit, 1);
	return ss_ok(0);
}

/* The finally belongs to the work, not to the wait: a wait that fails took nothing. */
SS_CONT(got_unit)
{
	return ss_finally(slow(), give_back);
}

static ss_future g_by_hand(void)
{
	return ss_then(ss_sem_wait(&limit, 1), got_unit);
}

SS_CONT(work)
{
	return slow();
}

static ss_future g_with_semaphore(void)
{
	return ss_with_semaphore(&limit, 1, work);
}

/* In a fiber the units go back when the scope ends, whichever way it is left. */
SS_FIBER(g_units)
{
	ss_auto_units u = {0};

	SS_TRY(ss_get_units(&limit, 1, &u));
	SS_TRY(slow());
	return 0;
}

SS_CONT(use_memory)
{
	return ss_sleep(10 * SS_MSEC);
}

static ss_future using_lots_of_memory(int64_t bytes)
{
	if (bytes > 1000000)
		return ss_fail_msg(-E2BIG, "more than the limit");
	return ss_with_semaphore(&memory, bytes, use_memory);
}

SS_CONT(one)
{
	switch (r.i % 4) {
	case 0:
		return g_by_hand();
	case 1:
		return g_with_semaphore();
	case 2:
		return ss_async(g_units);
	default:
		return using_lots_of_memory(1000);
	}
}

SS_CONT(report)
{
	printf("limit kept: %s, units back: %d\n", peak <= 100 ? "yes" : "no",
	    (int)ss_sem_available(&limit));
	return ss_ok(0);
}

SS_CONT(too_much)
{
	printf("2000000 bytes: %s\n", r.msg);
	return ss_ok(0);
}

SS_CONT(finish)
{
	return ss_handle_error(using_lots_of_memory(2000000), too_much);
}

ss_future f(void)
{
	return ss_then(ss_then(ss_parallel_for_each(0, 1000, one), report), finish);
}
