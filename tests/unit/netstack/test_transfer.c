/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole transfers between two instances over a bad link: every byte arrives, in order, at every
 * loss rate tried, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim.h"

#define MS 1000000ul
#define SEC 1000000000ul

struct pair {
	struct sim_peer client, server;
	struct hs_listener l;
};

static void on_accept(struct hs_listener *l, struct hs_conn *c)
{
	struct pair *p = l->user;

	p->server.c = c;
	c->user = &p->server;
	c->cb = sim_peer_cb;
}

static bool both_done(struct sim *sim, void *arg)
{
	struct pair *p = arg;

	(void)sim;
	/* A slow reader takes its next spoonful whenever anything happens. */
	if (p->server.max_read && p->server.c && !p->server.closed)
		p->server.c->events |= NS_EV_READABLE;
	return (p->client.closed && p->server.closed) || p->client.error || p->server.error;
}

/* up, down: bytes from client to server and back. Returns the virtual time used. */
static uint64_t transfer(struct sim *sim, bool v6, uint64_t up, uint64_t down, uint64_t max_ns,
    void (*tune)(struct pair *p))
{
	struct pair *p = calloc(1, sizeof *p);
	uint64_t start = sim->now;
	struct ns_addr to = v6 ? sim->h[1].v6 : sim->h[0].v4;
	int from = v6 ? 0 : 1; /* IPv4 tests run the other way round */
	struct hs_stack *client = &sim->h[from].s, *server = &sim->h[!from].s;
	bool done;

	assert_non_null(p);
	sim_peer_init(&p->client, up, 11, down, 22);
	sim_peer_init(&p->server, down, 22, up, 11);
	p->l.l.bind.v6 = true;
	p->l.on_accept = on_accept;
	p->l.user = p;
	assert_int_equal(hs_listen(server, &p->l, 80), 0);
	if (v6) /* wait for duplicate address detection */
		sim_for(sim, 3 * SEC);
	start = sim->now;
	p->client.c = hs_conn_new(client);
	p->client.c->cb = sim_peer_cb;
	p->client.c->user = &p->client;
	if (tune)
		tune(p);
	assert_int_equal(hs_conn_open(p->client.c, &to, 80, 0), 0);
	done = sim_run(sim, max_ns, both_done, p);
	if (!done || p->client.error || p->server.error || p->client.in.bad || p->server.in.bad)
		fprintf(stderr,
		    "client: sent %lu received %lu error %d; server: sent %lu received %lu "
		    "error %d; %lu of %lu + %lu of %lu frames lost\n",
		    p->client.out.sent, p->client.in.received, p->client.error, p->server.out.sent,
		    p->server.in.received, p->server.error, sim->lost[0], sim->sent[0],
		    sim->lost[1], sim->sent[1]);
	assert_true(done);
	assert_int_equal(p->client.error, 0);
	assert_int_equal(p->server.error, 0);
	assert_false(p->client.in.bad);
	assert_false(p->server.in.bad);
	assert_int_equal(p->server.in.received, up);
	assert_int_equal(p->client.in.received, down);
	start = sim->now - start;
	sim_for(sim, 400 * SEC); /* TIME_WAIT and lost last ACKs */
	assert_int_equal(client->nconns, 0);
	assert_int_equal(server->nconns, 0);
	ns_tcp_unlisten(server->ns, &p->l.l, false);
	free(p);
	return start;
}

static void one(uint64_t seed, const struct sim_link *l, uint32_t flags, uint32_t mtu, bool v6,
    uint64_t up, uint64_t down, uint64_t max_ns)
{
	struct sim sim;

	sim_init(&sim, seed, l, flags, mtu);
	transfer(&sim, v6, up, down, max_ns, NULL);
	sim_free(&sim);
}

static void test_clean(void **state)
{
	struct sim_link l = {.delay_ns = MS};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		one(1, &l, 0, 1500, v6, 0, 0, 10 * SEC);
		one(2, &l, 0, 1500, v6, 1, 1, 10 * SEC);
		one(3, &l, 0, 1500, v6, 3000000, 0, 60 * SEC);
		one(4, &l, 0, 1500, v6, 0, 3000000, 60 * SEC);
		one(5, &l, NS_IF_TSO4 | NS_IF_TSO6, 1500, v6, 5000000, 5000000, 60 * SEC);
		one(6, &l, 0, 9000, v6, 3000000, 100000, 60 * SEC);
	}
}

static void test_loss(void **state)
{
	static const uint32_t rates[] = {1000, 5000, 20000, 50000, 100000, 200000, 300000};

	(void)state;
	for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct sim_link l = {.delay_ns = 5 * MS, .loss = rates[i]};
		uint64_t bytes = rates[i] >= 200000 ? 100000 : rates[i] >= 50000 ? 400000 : 2000000;

		for (uint64_t seed = 1; seed <= 6; seed++)
			one(seed, &l, 0, 1500, seed & 1, bytes, bytes / 3, 4000 * SEC);
	}
}

static void test_everything_bad(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct sim_link l = {.delay_ns = 10 * MS,
		    .jitter_ns = seed % 3 ? 0 : 2 * MS,
		    .loss = 20000,
		    .duplicate = 20000,
		    .reorder = 50000,
		    .corrupt = 10000};
		struct sim sim;

		sim_init(&sim, seed, &l, 0, 1500);
		sim.scatter = seed & 2;
		transfer(&sim, seed & 1, 500000, 300000, 1000 * SEC, NULL);
		sim_free(&sim);
	}
}

static void test_reorder_only(void **state)
{
	struct sim_link l = {.delay_ns = 10 * MS, .jitter_ns = 5 * MS};

	(void)state;
	one(1, &l, 0, 1500, false, 1000000, 1000000, 100 * SEC);
}

/* Strips SACK and timestamps from SYNs: old peers. */
static bool strip_options(struct sim *sim, int from, uint8_t *f, size_t len)
{
	(void)sim;
	(void)from;
	if (len >= 54 && f[12] == 8 && f[23] == 6 && (f[47] & 2)) {
		uint8_t *o = f + 54;
		uint32_t sum = 0;
		size_t tcp = len - 34;

		for (uint8_t *e = f + 34 + (f[46] >> 4) * 4; o < e;) {
			uint8_t n = *o == 1 ? 1 : o[1];

			if (*o == 4 || *o == 8)
				memset(o, 1, n);
			o += n;
		}
		f[50] = f[51] = 0;
		for (size_t i = 26; i < 34; i += 2)
			sum += (uint32_t)(f[i] << 8 | f[i + 1]);
		sum += 6 + (uint32_t)tcp;
		for (size_t i = 34; i < len; i += 2)
			sum += (uint32_t)(f[i] << 8 | (i + 1 < len ? f[i + 1] : 0));
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		sum = ~sum;
		f[50] = (uint8_t)(sum >> 8);
		f[51] = (uint8_t)sum;
	}
	return false;
}

static void test_old_peer(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct sim_link l = {.delay_ns = 5 * MS, .loss = seed * 8000};
		struct sim sim;

		sim_init(&sim, seed, &l, 0, 1500);
		sim.filter = strip_options;
		transfer(&sim, false, 300000, 200000, 1000 * SEC, NULL);
		sim_free(&sim);
	}
}

static void slow_reader(struct pair *p)
{
	p->server.max_read = 700;
	ns_tcp_setopt(&p->client.c->tcp, NS_OPT_NODELAY, 1);
}

static void test_zero_copy_and_tso_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim_link l = {.delay_ns = 2 * MS, .loss = 20000};
		struct sim sim;

		sim_init(&sim, seed, &l, NS_IF_TSO4 | NS_IF_TSO6, 1500);
		transfer(&sim, seed & 1, 2000000, 2000000, 1000 * SEC, NULL);
		sim_free(&sim);
	}
}

static void test_slow_reader(void **state)
{
	struct sim_link l = {.delay_ns = MS, .loss = 1000};
	struct sim sim;

	(void)state;
	sim_init(&sim, 5, &l, 0, 1500);
	transfer(&sim, false, 400000, 1000, 3000 * SEC, slow_reader);
	sim_free(&sim);
}

static void zero_copy(struct pair *p)
{
	p->client.zero_copy = p->server.zero_copy = true;
}

static void test_zero_copy(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim_link l = {.delay_ns = 2 * MS, .loss = seed * 5000};
		struct sim sim;

		sim_init(&sim, seed, &l, seed & 2 ? NS_IF_TSO4 | NS_IF_TSO6 : 0, 1500);
		transfer(&sim, seed & 1, 1000000, 1000000, 1000 * SEC, zero_copy);
		sim_free(&sim);
	}
}

static void reno(struct pair *p)
{
	assert_int_equal(ns_tcp_set_congestion(&p->client.c->tcp, "reno"), 0);
}

static void with_ecn(struct pair *p)
{
	ns_tcp_setopt(&p->client.c->tcp, NS_OPT_ECN, 1);
}

/* A bottleneck of 10 Mbit/s with 40 ms round trip: goodput near the rate, for both controls. */
static void test_bottleneck(void **state)
{
	struct sim_link l = {.delay_ns = 20 * MS, .bytes_per_s = 1250000, .queue_packets = 60};
	void (*const tunes[])(struct pair *) = {NULL, reno, with_ecn};
	uint64_t bytes = 5000000;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sim sim;
		uint64_t t, ideal = bytes * SEC / l.bytes_per_s;

		l.mark_above = i == 2 ? 20 : 0;
		sim_init(&sim, 7, &l, 0, 1500);
		t = transfer(&sim, false, bytes, 0, 100 * SEC, tunes[i]);
		if (t > ideal * 14 / 10)
			fprintf(
			    stderr, "control %u: %lu ms, ideal %lu ms\n", i, t / MS, ideal / MS);
		assert_true(t <= ideal * 14 / 10);
		if (i == 2) /* marks instead of losses */
			assert_true(sim.lost[1] <= 60);
		sim_free(&sim);
	}
}

/* Random loss of 1 %: not the bandwidth, but several times what timeouts alone would give. */
static void test_goodput_under_loss(void **state)
{
	struct sim_link l = {.delay_ns = 10 * MS, .loss = 10000};
	struct sim sim;
	uint64_t t;

	(void)state;
	sim_init(&sim, 3, &l, 0, 1500);
	t = transfer(&sim, false, 3000000, 0, 1000 * SEC, NULL);
	if (t > 12 * SEC)
		fprintf(stderr, "3 MB at 1 %% loss, 20 ms: %lu ms\n", t / MS);
	assert_true(t <= 12 * SEC);
	sim_free(&sim);
}

static void test_memory_pressure(void **state)
{
	(void)state;
	for (uint64_t n = 7; n < 40; n += 11) {
		struct sim_link l = {.delay_ns = MS, .loss = 2000};
		struct sim sim;

		sim_init(&sim, n, &l, 0, 1500);
		sim.h[0].s.alloc_fail_every = n;
		sim.h[1].s.alloc_fail_every = n + 3;
		transfer(&sim, false, 200000, 200000, 2000 * SEC, NULL);
		sim_free(&sim);
	}
}

static void test_loopback(void **state)
{
	struct sim_link l = {.delay_ns = MS};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct sim sim;
		struct pair *p = calloc(1, sizeof *p);
		struct hs_stack *s = &sim.h[0].s;
		struct ns_addr to = v6 ? (struct ns_addr){{{[15] = 1}}} : ns_ip4(127, 0, 0, 1);

		sim_init(&sim, 1, &l, 0, 1500);
		sim_peer_init(&p->client, 4000000, 1, 3000000, 2);
		sim_peer_init(&p->server, 3000000, 2, 4000000, 1);
		p->l.l.bind.v6 = true;
		p->l.on_accept = on_accept;
		p->l.user = p;
		assert_int_equal(hs_listen(s, &p->l, 80), 0);
		p->client.c = hs_connect(s, &to, 80, sim_peer_cb, &p->client, NULL);
		assert_non_null(p->client.c);
		assert_true(sim_run(&sim, 60 * SEC, both_done, p));
		assert_false(p->client.in.bad || p->server.in.bad);
		assert_int_equal(p->client.in.received, 3000000);
		assert_int_equal(p->server.in.received, 4000000);
		assert_int_equal(p->client.error | p->server.error, 0);
		sim_for(&sim, 200 * SEC);
		assert_int_equal(s->nconns, 0);
		sim_free(&sim);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_loopback),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_everything_bad),
	    cmocka_unit_test(test_reorder_only),
	    cmocka_unit_test(test_old_peer),
	    cmocka_unit_test(test_zero_copy_and_tso_loss),
	    cmocka_unit_test(test_zero_copy),
	    cmocka_unit_test(test_slow_reader),
	    cmocka_unit_test(test_bottleneck),
	    cmocka_unit_test(test_goodput_under_loss),
	    cmocka_unit_test(test_memory_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
