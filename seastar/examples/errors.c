/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 5.2 Handling errors: an error skips what follows; wrapped and finally see it. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(line2)
{
	printf("line2 fails\n");
	return ss_fail_msg(-EIO, "line2 failed");
}

SS_CONT(line3)
{
	printf("line3 is skipped, so nobody reads this\n");
	return ss_ok(0);
}

SS_CONT(cleanup)
{
	printf("finally: runs in any case\n");
	return ss_ok(0);
}

SS_CONT(look)
{
	if (r.err)
		printf("then_wrapped: %s\n", r.msg);
	return ss_ok(0);
}

static ss_future line1(void)
{
	printf("line1\n");
	return ss_ok(0);
}

ss_future f(void)
{
	return ss_then_wrapped(ss_finally(ss_then(ss_then(line1(), line2), line3), cleanup), look);
}
