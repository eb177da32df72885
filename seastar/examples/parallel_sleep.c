/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 4 Futures and continuations: several futures at once. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(say, const char *text;)
{
	printf("%s", self->text);
	fflush(stdout);
	return ss_ok(0);
}

ss_future f(void)
{
	ss_detach(ss_then(ss_sleep(200 * SS_MSEC), say, "200ms "));
	ss_detach(ss_then(ss_sleep(100 * SS_MSEC), say, "100ms "));
	printf("Sleeping... ");
	fflush(stdout);
	return ss_then(ss_sleep(1 * SS_SEC), say, "Done.\n");
}
