/* SPDX-License-Identifier: BSD-3-Clause */
/* Arbitrary bytes as code: the decoder stays inside them, and every plan it allows can be emitted
 * or is refused. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/rewrite/insn.h"
#include "proc/rewrite/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint64_t start = 0x400000;
	struct insn i;
	uint8_t buf[SITE_MAX_TRAMPOLINE];
	unsigned len = insn_decode(data, n, &i);
	if (len > n || len > INSN_MAX)
		abort();
	for (size_t at = 0; at + 2 <= n; at++) {
		struct site_plan p;
		if (data[at] != 0x0f || data[at + 1] != 0x05)
			continue;
		if (!site_plan(data, n, start, start + at, false, &p)) {
			if (p.displaced < 5 || p.start < start ||
			    p.start + p.displaced != start + at)
				abort();
			if (site_emit(&p, data + (p.start - start), 0x500000, 0x500800, buf,
				sizeof buf) > sizeof buf)
				abort();
		}
		size_t back = at < 48 ? at : 48;
		struct site_registers seen = {.known = 0xffff};
		for (int i = 0; i < 16 && at >= 4; i++)
			seen.r[i] = data[at - 4];
		if (!site_plan_blind(data + at - back, back, start + at, &seen, &p) &&
		    (p.displaced < 5 || p.start + p.displaced != start + at))
			abort();
	}
	return 0;
}
