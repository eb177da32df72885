/* SPDX-License-Identifier: BSD-3-Clause */
/* Random words from the CPU itself: RDSEED, else RDRAND (Intel SDM volume 1, section 7.3.17). */
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "lib/string.h"

static bool rdseed(uint64_t *v)
{
	bool ok;
	asm volatile("rdseed %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

static bool rdrand(uint64_t *v)
{
	bool ok;
	asm volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

size_t cpu_random(void *buf, size_t n)
{
	uint32_t r[4];
	size_t done = 0;

	cpuid(7, 0, r);
	bool has_seed = r[1] & 1 << 18;
	cpuid(1, 0, r);
	bool has_rand = r[2] & 1 << 30;
	while (done < n && (has_seed || has_rand)) {
		uint64_t v;
		bool ok = false;
		for (int tries = 0; tries < 10 && !ok; tries++)
			ok = (has_seed && rdseed(&v)) || (has_rand && rdrand(&v));
		if (!ok)
			break;
		size_t k = MIN(n - done, sizeof v);
		memcpy((char *)buf + done, &v, k);
		done += k;
	}
	return done;
}
