/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 10 Shutting down a service with a gate: long operations look at it. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(slow_done, int i;)
{
	fprintf(stderr, "done %d\n", self->i);
	return ss_ok(0);
}

SS_CONT(slow_second, ss_gate *g;)
{
	if (ss_gate_check(self->g))
		return ss_gate_closed();
	return ss_sleep(1 * SS_SEC);
}

SS_CONT(slow, int i; ss_gate * g;)
{
	fprintf(stderr, "starting %d\n", self->i);
	return ss_finally(ss_do_for_each(0, 10, slow_second, self->g), slow_done, self->i);
}

SS_CONT(start_one, ss_gate *g;)
{
	ss_ignore(ss_with_gate(self->g, slow, (int)r.i, self->g));
	return ss_sleep(1 * SS_SEC);
}

SS_CONT(shut_down, ss_gate *g;)
{
	return ss_gate_close(self->g);
}

SS_CONT(service)
{
	ss_gate *g = r.p;

	return ss_then(ss_do_for_each(1, 6, start_one, g), shut_down, g);
}

ss_future f(void)
{
	return ss_do_with(ss_gate, {0}, NULL, service);
}
