/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 4 Futures and continuations: a continuation after a sleep. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(done)
{
	printf("Done.\n");
	return ss_ok(0);
}

ss_future f(void)
{
	printf("Sleeping... ");
	fflush(stdout);
	return ss_then(ss_sleep(1 * SS_SEC), done);
}
