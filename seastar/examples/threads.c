/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 3.1 Seastar threads: how many there are. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

ss_future f(void)
{
	printf("%u\n", ss_smp_count());
	return ss_ok(0);
}
