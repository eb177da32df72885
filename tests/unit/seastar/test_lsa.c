/* SPDX-License-Identifier: BSD-3-Clause */
/* The log-structured allocator: against a model, with pins and moves, and where malloc() fragments.
 */
#include <seastar/lsa.h>
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdlib.h>
#include <string.h>

#define ITEMS 60000
#define REGION (8u << 20)

struct item {
	unsigned char *p; /* the owner pointer */
	size_t n;
	unsigned char fill;
};

static struct item items[ITEMS];
static ss_lsa *region;
static unsigned seed, cursor, span; /* items in use are below span */
static uint64_t moves;
static bool wrong_move;

static bool intact(const struct item *it)
{
	return it->p[0] == it->fill && it->p[it->n - 1] == it->fill && it->p[it->n / 2] == it->fill;
}

static void moved(void *from, void *to, size_t n, void *arg)
{
	(void)arg;
	moves++;
	wrong_move |= memcmp(from, to, n) != 0;
}

/* First in, first out. */
static bool evict(void *arg)
{
	(void)arg;
	for (unsigned k = 0; k < span; k++) {
		struct item *it = &items[cursor++ % span];

		if (!it->p)
			continue;
		ss_lsa_free(region, it->p);
		it->p = NULL;
		return true;
	}
	return false;
}

static const struct ss_lsa_ops ops = {.moved = moved, .evict = evict};
static const struct ss_lsa_ops no_evict = {.moved = moved};

static bool fill_item(struct item *it, size_t n)
{
	if (!ss_lsa_alloc(region, n, (void **)&it->p)) {
		it->p = NULL;
		return false;
	}
	it->n = n;
	it->fill = (unsigned char)rand_r(&seed);
	memset(it->p, it->fill, n);
	return true;
}

static void begin(const struct ss_lsa_ops *o)
{
	memset(items, 0, sizeof(items));
	seed = 3;
	cursor = 0;
	span = 3000;
	moves = 0;
	wrong_move = false;
	region = ss_lsa_new(REGION, o, NULL);
}

SS_TEST(model)
{
	struct ss_lsa_stats st;
	uint64_t live = 0, objects = 0;
	int wrong = 0;

	begin(&ops);
	SS_REQUIRE(region);
	for (int round = 0; round < 40000; round++) {
		struct item *it = &items[(unsigned)rand_r(&seed) % 3000];

		if (it->p) {
			wrong += !intact(it) || ss_lsa_size(it->p) != it->n;
			if (rand_r(&seed) % 2) {
				ss_lsa_free(region, it->p);
				it->p = NULL;
			}
		} else {
			size_t n = (size_t)rand_r(&seed) % (round % 50 ? 2000 : 60000) + 1;

			SS_REQUIRE(fill_item(it, n));
		}
	}
	for (int i = 0; i < ITEMS; i++) {
		if (!items[i].p)
			continue;
		wrong += !intact(&items[i]);
		objects++;
		live += (items[i].n + 16 + 7) & ~(size_t)7;
	}
	ss_lsa_stats(region, &st);
	SS_CHECK(wrong == 0 && !wrong_move);
	SS_CHECK(st.objects == objects && st.live == live);
	SS_CHECK(st.segments <= REGION / SS_LSA_SEGMENT && st.compacted > 0 && moves > 0);
	SS_CHECK(!ss_lsa_alloc(region, 0, (void **)&items[0].p));
	SS_CHECK(!ss_lsa_alloc(region, SS_LSA_MAX + 1, (void **)&items[0].p));
	ss_lsa_destroy(region);
	SS_CHECK(!ss_lsa_new(SS_LSA_SEGMENT, NULL, NULL));
	return 0;
}

/*
 * Small objects fill the memory, most are freed at random, then larger ones are wanted. An
 * allocator that can't move finds holes everywhere and room nowhere; this one goes on.
 */
static uint64_t fragment(bool lsa)
{
	uint64_t got = 0;
	int n = 0;

	while (n < ITEMS) {
		if (lsa ? !fill_item(&items[n], 200) : !(items[n].p = ss_alloc(200)))
			break;
		n++;
	}
	for (int i = 0; i < n; i++) {
		if (rand_r(&seed) % 10 == 0)
			continue;
		lsa ? ss_lsa_free(region, items[i].p) : ss_free(items[i].p);
		items[i].p = NULL;
	}
	for (int i = 0; i < n; i++) {
		if (items[i].p)
			continue;
		if (lsa ? !fill_item(&items[i], 40000) : !(items[i].p = ss_alloc(40000)))
			break;
		got += 40000;
	}
	return got;
}

SS_TEST(where_others_fragment)
{
	uint64_t with_lsa, with_pages;
	struct ss_mem_stats st;

	begin(&no_evict);
	SS_REQUIRE(region);
	with_lsa = fragment(true);
	SS_CHECK(with_lsa > REGION / 10 * 7);
	SS_CHECK(moves > 0 && !wrong_move);
	ss_lsa_destroy(region);
#if !defined(__SANITIZE_ADDRESS__)
	/* The same with the shard's allocator, left as much memory as the region had. */
	memset(items, 0, sizeof(items));
	ss_mem_stats(&st);
	while (st.free > REGION + (1 << 20)) {
		if (!ss_alloc(1 << 20))
			break;
		ss_mem_stats(&st);
	}
	seed = 3;
	with_pages = fragment(false);
	SS_CHECK(with_pages < with_lsa / 2);
#else
	(void)with_pages;
	(void)st;
#endif
	return 0;
}

SS_TEST(pins)
{
	struct ss_lsa_stats st;
	unsigned char *pinned[20];

	begin(&no_evict);
	SS_REQUIRE(region);
	for (int i = 0; i < 20000; i++)
		SS_REQUIRE(fill_item(&items[i], 100));
	for (int i = 0; i < 20; i++) {
		pinned[i] = items[i * 1000].p;
		ss_lsa_pin(region, pinned[i]);
	}
	for (int i = 0; i < 20000; i++) {
		if (i % 10 == 0)
			continue;
		ss_lsa_free(region, items[i].p);
		items[i].p = NULL;
	}
	ss_lsa_compact(region, 1000);
	for (int i = 0; i < 20; i++) {
		SS_CHECK(items[i * 1000].p == pinned[i]);
		ss_lsa_unpin(region, pinned[i]);
	}
	ss_lsa_compact(region, 1000);
	SS_CHECK(moves > 0);
	ss_lsa_stats(region, &st);
	SS_CHECK(st.objects == 2000);
	for (int i = 0; i < 20000; i += 10)
		SS_CHECK(intact(&items[i]));
	ss_lsa_destroy(region);
	return 0;
}

static const struct ss_test tests[] = {
    {"model", model, .once = true},
    {"where_others_fragment", where_others_fragment, "-c1 -m32M", .once = true},
    {"pins", pins, .once = true},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
