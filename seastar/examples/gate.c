/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 10 Shutting down a service with a gate. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(slow_done, int i;)
{
	fprintf(stderr, "done %d\n", self->i);
	return ss_ok(0);
}

SS_CONT(slow, int i;)
{
	fprintf(stderr, "starting %d\n", self->i);
	return ss_then(ss_sleep(10 * SS_SEC), slow_done, self->i);
}

SS_CONT(start_one, ss_gate *g;)
{
	ss_detach(ss_with_gate(self->g, slow, (int)r.i));
	/* wait one second before starting the next iteration */
	return ss_sleep(1 * SS_SEC);
}

SS_CONT(too_late, ss_gate *g;)
{
	/* This will fail, because it will be after the close() */
	return ss_with_gate(self->g, slow, 6);
}

SS_CONT(shut_down, ss_gate *g;)
{
	ss_detach(ss_then(ss_sleep(1 * SS_SEC), too_late, self->g));
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
