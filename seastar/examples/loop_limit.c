/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 8.3 Limiting the parallelism of loops: 456 iterations, 100 at a time. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

static ss_future slow(void)
{
	fprintf(stderr, ".");
	return ss_sleep(1 * SS_SEC);
}

SS_CONT(release, ss_sem *limit;)
{
	ss_sem_signal(self->limit, 1);
	return ss_ok(0);
}

/* Not returned: the loop goes on as soon as there is a unit. */
SS_CONT(start_one, ss_sem *limit;)
{
	ss_detach(ss_finally(slow(), release, self->limit));
	return ss_ok(0);
}

SS_CONT(iteration, ss_sem *limit;)
{
	return ss_then(ss_sem_wait(self->limit, 1), start_one, self->limit);
}

/* All units are back: everything started has ended. */
SS_CONT(wait_for_all, ss_sem *limit;)
{
	return ss_sem_wait(self->limit, 100);
}

SS_CONT(loop)
{
	ss_sem *limit = r.p;

	return ss_finally(ss_do_for_each(0, 456, iteration, limit), wait_for_all, limit);
}

ss_future f(void)
{
	return ss_do_with(ss_sem, SS_SEM_INIT(100), NULL, loop);
}
