/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parsers and the store of memcached: the input is what a client sends, cut into pieces of
 * sizes that the input chooses too. Whatever comes, what the session holds stays bounded and every
 * byte is either taken or waited for. The first byte chooses between the protocols' modes and one
 * or several shards (whose requests are then executed here, as their owners would).
 */
#include "../../../apps/memcached/session.h"

#include <seastar/mem.h>

#include <stdlib.h>

struct mc_settings mc_settings = {.bytes = 1 << 20,
    .item_max = 100000,
    .requests_per_event = 20,
    .evict = true,
    .cas = true,
    .flush = true,
    .dump = true,
    .started = 1000000000};

/* The framework's memory, as outside a shard. */
void *ss_alloc(size_t n)
{
	return malloc(n);
}

void *ss_zalloc(size_t n)
{
	return calloc(1, n);
}

void *ss_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

void ss_free(void *p)
{
	free(p);
}

static void run_batch(struct mc_session *s)
{
	for (unsigned i = 0; i < s->n_batch; i++) {
		struct mc_req *rq = &s->batch[i];

		if (rq->done)
			mc_put(s->out, rq->val, rq->nval);
		else
			mc_exec(s->st, rq, s->out);
	}
	s->n_batch = 0;
}

static void check(int ok)
{
	if (!ok)
		abort();
}

static void drain(struct mc_outbuf *out)
{
	out->out.p = out->start;
}

/* Give the session what has arrived until it wants more; returns false at the end. */
static bool feed(
    struct mc_session *s, struct mc_outbuf *out, const char *data, size_t n, size_t *taken)
{
	for (int turns = 0;; turns++) {
		size_t used = 0;
		enum mc_next next = mc_session_feed(s, data + *taken, n - *taken, &used);

		check(used <= n - *taken);
		check(turns < 1000000);
		if (next == MC_NEXT_RUN)
			run_batch(s);
		*taken += used;
		drain(out);
		if (next == MC_NEXT_CLOSE || s->out->failed)
			return false;
		if (next == MC_NEXT_MORE) {
			/* A line that may still become a request, or a value's first bytes. */
			check(n - *taken < 8192);
			return true;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mc_store_config config = {.bytes = 1 << 20,
	    .factor = 1.25,
	    .smallest = 48 + MC_ITEM_HEAD,
	    .item_max = 100000,
	    .evict = true,
	    .cas = true,
	    .hash_power = 10,
	    .seed = 1,
	    .expand = true};
	struct mc_budget budget = {.limit = 1 << 20};
	struct mc_store st;
	struct mc_session s;
	struct mc_outbuf out;
	bool full = false;
	size_t at = 2, taken = 0, have = 0, step;
	char *copy;

	if (size < 3)
		return 0;
	mc_settings.protocol = data[0] % 3;
	step = (size_t)data[1] + 1;
	if (mc_store_init(&st, &config))
		return 0;
	mc_outbuf_init(&out, 4 << 20);
	mc_session_init(&s, &st, &out.out, &full, &budget, data[0] & 4 ? 3 : 1, 0);
	copy = malloc(size - at);
	while (copy && at + have < size) {
		size_t k = size - at - have < step ? size - at - have : step;

		memcpy(copy + have, data + at + have, k);
		have += k;
		if (!feed(&s, &out, copy, have, &taken))
			break;
		if (data[0] & 8)
			mc_store_tick(&st, st.now + 1);
	}
	mc_session_fini(&s);
	check(budget.used == 0);
	mc_outbuf_free(&out);
	mc_store_fini(&st);
	free(copy);
	return 0;
}
