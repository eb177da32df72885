/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 8.3 Limiting the parallelism of loops by a semaphore others use too; a gate waits. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

static __thread ss_sem limit = SS_SEM_INIT(100);

static ss_future slow(void)
{
	fprintf(stderr, ".");
	return ss_sleep(100 * SS_MSEC);
}

SS_CONT(release, ss_gate *gate;)
{
	ss_sem_signal(&limit, 1);
	ss_gate_leave(self->gate);
	return ss_ok(0);
}

SS_CONT(start_one, ss_gate *gate;)
{
	if (ss_gate_enter(self->gate))
		return ss_gate_closed();
	ss_detach(ss_finally(slow(), release, self->gate));
	return ss_ok(0);
}

SS_CONT(iteration, ss_gate *gate;)
{
	return ss_then(ss_sem_wait(&limit, 1), start_one, self->gate);
}

SS_CONT(close_gate, ss_gate *gate;)
{
	return ss_gate_close(self->gate);
}

SS_CONT(loop)
{
	ss_gate *gate = r.p;

	return ss_finally(ss_do_for_each(0, 456, iteration, gate), close_gate, gate);
}

ss_future f(void)
{
	return ss_do_with(ss_gate, {0}, NULL, loop);
}
