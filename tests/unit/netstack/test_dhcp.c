/* SPDX-License-Identifier: BSD-3-Clause */
/* The DHCP client against a scripted server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <netstack/dhcp.h>

#define SEC 1000000000ull

struct net {
	struct ns_dhcp d;
	unsigned sent;
	uint8_t last[600];
	size_t len;
	uint32_t src, dst, rng;
	uint64_t now;
};

static const uint8_t mac[6] = {2, 0, 0, 1, 2, 3};

static void on_send(void *arg, uint32_t src, uint32_t dst, const uint8_t *data, size_t n)
{
	struct net *t = arg;

	assert_true(n >= 300 && n <= sizeof t->last);
	memcpy(t->last, data, n);
	t->len = n;
	t->src = src;
	t->dst = dst;
	t->sent++;
}

static uint32_t on_random(void *arg)
{
	return ((struct net *)arg)->rng = ((struct net *)arg)->rng * 1664525u + 1013904223u;
}

static uint32_t ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	uint8_t v[4] = {a, b, c, d};
	uint32_t r;

	memcpy(&r, v, 4);
	return r;
}

static const uint8_t *option(const struct net *t, uint8_t code)
{
	for (size_t i = 240; i + 1 < t->len && t->last[i] != 255;
	     i += t->last[i] ? 2u + t->last[i + 1] : 1)
		if (t->last[i] == code)
			return &t->last[i + 1];
	return NULL;
}

static uint8_t sent_type(const struct net *t)
{
	const uint8_t *o = option(t, 53);

	assert_non_null(o);
	return o[1];
}

static void start(struct net *t)
{
	memset(t, 0, sizeof *t);
	t->rng = 7;
	t->now = 1000 * SEC;
	ns_dhcp_init(&t->d, mac, "guest-1", on_send, on_random, t);
	ns_dhcp_start(&t->d, t->now);
}

/* A server's message; extra options appended. */
static size_t reply(const struct net *t, uint8_t *m, uint8_t type, const uint8_t *extra, size_t n)
{
	static const uint8_t base[] = {54, 4, 10, 1, 0, 1, 51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 255,
	    255, 0, 3, 4, 10, 1, 0, 254, 6, 8, 10, 1, 0, 53, 10, 1, 0, 54, 42, 4, 10, 1, 0, 123, 12,
	    5, 'v', 'm', '-', '4', '2', 15, 7, 'l', 'a', 'n', '.', 'e', 'x', 'a', 26, 2, 0x05,
	    0x78};
	uint8_t *o = m + 240;

	memset(m, 0, 240);
	m[0] = 2;
	m[1] = 1;
	m[2] = 6;
	memcpy(m + 4, t->last + 4, 4);
	memcpy(m + 16, (uint8_t[4]){10, 1, 0, 77}, 4);
	memcpy(m + 28, mac, 6);
	memcpy(m + 236, (uint8_t[4]){0x63, 0x82, 0x53, 0x63}, 4);
	memcpy(o, (uint8_t[3]){53, 1, type}, 3);
	o += 3;
	memcpy(o, base, sizeof base);
	o += sizeof base;
	if (n)
		memcpy(o, extra, n);
	o += n;
	*o++ = 255;
	return (size_t)(o - m);
}

static enum ns_dhcp_event answer(struct net *t, uint8_t type, const uint8_t *extra, size_t n)
{
	uint8_t m[600];
	size_t len = reply(t, m, type, extra, n);

	return ns_dhcp_input(&t->d, m, len, t->now);
}

static void bind_it(struct net *t)
{
	start(t);
	assert_int_equal(answer(t, 2, NULL, 0), NS_DHCP_NOTHING);
	assert_int_equal(sent_type(t), 3);
	assert_int_equal(answer(t, 5, NULL, 0), NS_DHCP_LEASE);
}

static void advance(struct net *t, uint64_t to)
{
	assert_true(t->d.deadline && t->d.deadline <= to);
	t->now = t->d.deadline;
}

static void test_bind(void **state)
{
	struct net t;
	const struct ns_dhcp_lease *l = &t.d.lease;

	(void)state;
	start(&t);
	assert_int_equal(sent_type(&t), 1);
	assert_int_equal(t.dst, 0xffffffffu);
	assert_int_equal(t.src, 0);
	assert_memory_equal(option(&t, 12) + 1, "guest-1", 7);
	answer(&t, 2, NULL, 0);
	assert_int_equal(sent_type(&t), 3);
	assert_memory_equal(option(&t, 50) + 1, ((uint8_t[4]){10, 1, 0, 77}), 4);
	assert_memory_equal(option(&t, 54) + 1, ((uint8_t[4]){10, 1, 0, 1}), 4);
	assert_int_equal(answer(&t, 5, NULL, 0), NS_DHCP_LEASE);
	assert_int_equal(l->addr, ip(10, 1, 0, 77));
	assert_int_equal(l->netmask, ip(255, 255, 255, 0));
	assert_int_equal(l->nroutes, 1);
	assert_int_equal(l->routes[0].gateway, ip(10, 1, 0, 254));
	assert_int_equal(l->routes[0].plen, 0);
	assert_int_equal(l->ndns, 2);
	assert_int_equal(l->nntp, 1);
	assert_string_equal(l->hostname, "vm-42");
	assert_string_equal(l->domain, "lan.exa");
	assert_int_equal(l->mtu, 1400);
	assert_int_equal(l->lease_s, 3600);
	assert_int_equal(l->renew_s, 1800);
	assert_int_equal(l->rebind_s, 3150);
	assert_int_equal(t.d.deadline, t.now + 1800 * SEC);
}

static void test_no_server(void **state)
{
	struct net t;
	uint64_t end;

	(void)state;
	start(&t);
	end = t.now + 300 * SEC;
	while (t.d.deadline <= end) {
		t.now = t.d.deadline;
		assert_int_equal(ns_dhcp_timer(&t.d, t.now), NS_DHCP_NOTHING);
		assert_int_equal(sent_type(&t), 1);
	}
	assert_in_range(t.sent, 6, 12); /* backs off to about a minute */
}

static void test_renew_rebind_lose(void **state)
{
	struct net t;
	uint64_t bound, end;
	unsigned unicast = 0, broadcast = 0;
	enum ns_dhcp_event ev = NS_DHCP_NOTHING;

	(void)state;
	bind_it(&t);
	bound = t.now;
	advance(&t, bound + 1801 * SEC);
	assert_int_equal(ns_dhcp_timer(&t.d, t.now), NS_DHCP_NOTHING);
	assert_int_equal(t.d.state, NS_DHCP_RENEWING);
	assert_int_equal(sent_type(&t), 3);
	assert_int_equal(t.dst, ip(10, 1, 0, 1));
	assert_int_equal(t.src, ip(10, 1, 0, 77));
	assert_null(option(&t, 50));
	assert_int_equal(answer(&t, 5, NULL, 0), NS_DHCP_RENEWED);
	assert_int_equal(t.d.state, NS_DHCP_BOUND);
	/* This time nobody answers. */
	bound = t.now;
	end = bound + 3600 * SEC;
	while (ev == NS_DHCP_NOTHING) {
		unsigned before = t.sent;

		advance(&t, end + SEC);
		ev = ns_dhcp_timer(&t.d, t.now);
		if (ev == NS_DHCP_NOTHING && t.sent > before) {
			if (t.dst == 0xffffffffu)
				broadcast++;
			else
				unicast++;
		}
	}
	assert_int_equal(ev, NS_DHCP_LOST);
	assert_in_range(t.now, end, end + SEC);
	assert_in_range(unicast, 3, 30);
	assert_in_range(broadcast, 2, 30);
	assert_int_equal(t.d.state, NS_DHCP_SELECTING);
	assert_int_equal(t.d.lease.addr, 0);
}

static void test_nak_decline_release(void **state)
{
	struct net t;

	(void)state;
	bind_it(&t);
	advance(&t, t.now + 1801 * SEC);
	ns_dhcp_timer(&t.d, t.now);
	assert_int_equal(answer(&t, 6, NULL, 0), NS_DHCP_LOST);
	assert_int_equal(sent_type(&t), 1);
	bind_it(&t);
	ns_dhcp_decline(&t.d, t.now);
	assert_int_equal(sent_type(&t), 4);
	assert_int_equal(t.d.deadline, t.now + 10 * SEC);
	t.now = t.d.deadline;
	ns_dhcp_timer(&t.d, t.now);
	assert_int_equal(sent_type(&t), 1);
	bind_it(&t);
	ns_dhcp_release(&t.d);
	assert_int_equal(sent_type(&t), 7);
	assert_int_equal(t.dst, ip(10, 1, 0, 1));
	assert_int_equal(t.d.state, NS_DHCP_STOPPED);
}

static void test_classless_routes(void **state)
{
	static const uint8_t routes[] = {121, 17, 0, 10, 1, 0, 253, 24, 192, 168, 5, 10, 1, 0, 252,
	    16, 172, 16, 0}; /* the last one is cut off */
	static const uint8_t ok[] = {121, 13, 0, 10, 1, 0, 253, 24, 192, 168, 5, 10, 1, 0, 252};
	struct net t;

	(void)state;
	start(&t);
	answer(&t, 2, NULL, 0);
	assert_int_equal(answer(&t, 5, routes, sizeof routes), NS_DHCP_NOTHING);
	assert_int_equal(t.d.discards, 1);
	assert_int_equal(answer(&t, 5, ok, sizeof ok), NS_DHCP_LEASE);
	assert_int_equal(t.d.lease.nroutes, 2); /* option 3 is ignored then */
	assert_int_equal(t.d.lease.routes[0].gateway, ip(10, 1, 0, 253));
	assert_int_equal(t.d.lease.routes[1].plen, 24);
	assert_int_equal(t.d.lease.routes[1].dst, ip(192, 168, 5, 0));
}

static void test_bad_messages(void **state)
{
	static const uint8_t evil_name[] = {12, 6, 'a', ';', 'r', 'm', ' ', '/'};
	struct net t;
	uint8_t m[600];
	size_t n;

	(void)state;
	start(&t);
	n = reply(&t, m, 2, NULL, 0);
	for (size_t cut = 0; cut < 241; cut++) {
		ns_dhcp_input(&t.d, m, cut, t.now);
		assert_int_equal(t.d.state, NS_DHCP_SELECTING);
	}
	m[4] ^= 1; /* another transaction */
	ns_dhcp_input(&t.d, m, n, t.now);
	m[4] ^= 1;
	m[28] ^= 1; /* another client */
	ns_dhcp_input(&t.d, m, n, t.now);
	m[28] ^= 1;
	m[16] = 127; /* no host address */
	ns_dhcp_input(&t.d, m, n, t.now);
	m[16] = 10;
	m[0] = 1; /* a request */
	ns_dhcp_input(&t.d, m, n, t.now);
	m[0] = 2;
	assert_int_equal(t.d.state, NS_DHCP_SELECTING);
	ns_dhcp_input(&t.d, m, n, t.now);
	assert_int_equal(t.d.state, NS_DHCP_REQUESTING);
	assert_int_equal(answer(&t, 5, evil_name, sizeof evil_name), NS_DHCP_LEASE);
	assert_string_equal(t.d.lease.hostname, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bind),
	    cmocka_unit_test(test_no_server), cmocka_unit_test(test_renew_rebind_lose),
	    cmocka_unit_test(test_nak_decline_release), cmocka_unit_test(test_classless_routes),
	    cmocka_unit_test(test_bad_messages)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
