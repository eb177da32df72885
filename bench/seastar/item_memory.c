/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where memcached's items could live: its slabs, or the framework's log-structured allocator. Each
 * gets the same memory and the same stream of items of mixed sizes, many times what fits, and
 * evicts the oldest. Printed: the part of the memory that holds items' bytes, and the time of an
 * insertion. The slabs keep the items in a table too; the log-structured side has only the items.
 */
#include "../../apps/memcached/store.h"

#include <seastar/lsa.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEMORY (UINT64_C(64) << 20)
#define RING (1u << 21)

static uint64_t seed;
static char value[65536];

static uint32_t random_size(uint32_t lo, uint32_t hi)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return lo + (uint32_t)(seed >> 33) % (hi - lo + 1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct ring {
	ss_lsa *l;
	void *item[RING];
	uint64_t head, tail;
};

static bool evict_oldest(void *arg)
{
	struct ring *r = arg;

	if (r->tail == r->head)
		return false;
	ss_lsa_free(r->l, r->item[r->tail++ % RING]);
	return true;
}

static void log_structured(uint32_t lo, uint32_t hi, unsigned long n)
{
	static struct ring r;
	static const struct ss_lsa_ops ops = {.evict = evict_oldest};
	struct ss_lsa_stats s;
	uint64_t start, payload = 0;

	r = (struct ring){.l = ss_lsa_new(MEMORY, &ops, &r)};
	seed = 1;
	start = now();
	for (unsigned long i = 0; i < n; i++) {
		uint32_t k = random_size(lo, hi);
		char *p = ss_lsa_alloc(r.l, MC_ITEM_HEAD + k, &r.item[r.head % RING]);

		if (!p)
			abort();
		r.head++;
		memcpy(p + MC_ITEM_HEAD, value, k);
	}
	start = now() - start;
	for (uint64_t i = r.tail; i < r.head; i++)
		payload += ss_lsa_size(r.item[i % RING]) - MC_ITEM_HEAD;
	ss_lsa_stats(r.l, &s);
	printf("values of %5u to %5u bytes: log-structured %5.1f %% of the memory, %6.0f ns an "
	       "insertion, %.1f bytes moved for each inserted\n",
	    lo, hi, 100.0 * (double)payload / (double)(s.segments * SS_LSA_SEGMENT),
	    (double)start / (double)n,
	    (double)s.moved / ((double)n * ((lo + hi) / 2.0 + MC_ITEM_HEAD)));
	ss_lsa_destroy(r.l);
}

static void slabs(uint32_t lo, uint32_t hi, unsigned long n)
{
	struct mc_store_config config = {.bytes = MEMORY,
	    .factor = 1.08,
	    .smallest = 16 + MC_ITEM_HEAD,
	    .item_max = 1 << 20,
	    .evict = true,
	    .cas = true,
	    .expand = true,
	    .seed = 7};
	static struct mc_store st;
	uint64_t start, payload = 0;

	if (mc_store_init(&st, &config))
		abort();
	seed = 1;
	start = now();
	for (unsigned long i = 0; i < n; i++) {
		uint32_t k = random_size(lo, hi);
		uint64_t key = i;
		struct mc_item *it =
		    mc_item_new(&st, (char *)&key, sizeof(key), 0, k - (uint32_t)sizeof(key));

		if (!it)
			abort();
		mc_value_write(&st, it, 0, value, it->size);
		mc_link(&st, it, mc_hash(config.seed, (char *)&key, sizeof(key)));
	}
	start = now() - start;
	payload = st.bytes - st.items * (48 + 8 + 1 + 2); /* as stock counts */
	printf("values of %5u to %5u bytes: slabs          %5.1f %% of the memory, %6.0f ns an "
	       "insertion, with table and list\n",
	    lo, hi, 100.0 * (double)payload / (double)((uint64_t)st.slab.in_use * MC_PAGE),
	    (double)start / (double)n);
	mc_store_fini(&st);
}

int main(void)
{
	static const struct {
		uint32_t lo, hi;
		unsigned long n;
	} runs[] = {{50, 200, 3000000}, {100, 2000, 1000000}, {1000, 15000, 200000}};

	for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		log_structured(runs[i].lo, runs[i].hi, runs[i].n);
		slabs(runs[i].lo, runs[i].hi, runs[i].n);
	}
	return 0;
}
