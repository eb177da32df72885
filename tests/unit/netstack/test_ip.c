/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything below and beside TCP: addresses, routes, ports, ARP, ND, SLAAC, fragments, UDP, ICMP,
 * GRO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim.h"

#define MS 1000000ul
#define SEC 1000000000ul

static const struct sim_link good = {.delay_ns = MS};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint16_t checksum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | (i + 1 < n ? p[i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void feed(struct sim *sim, int side, const uint8_t *f, size_t n)
{
	struct hs_stack *s = &sim->h[side].s;

	hs_input(s, sim->h[side].ifindex, hs_pkt_from(s, f, n));
	hs_poll(s);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
	static const char *const same[] = {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1",
	    "fe80::1", "2001:db8::1:0:0:1", "1:2:3:4:5:6:7:8", "ff02::1:ff00:1",
	    "1::", "::2:3:4:5:6:7:8"};
	static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4x",
	    ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
	    "12345::", "g::", "1:2:3:4:5:6:7:8::", "1:"};
	struct ns_addr a;
	char buf[46];

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		assert_int_equal(ns_addr_parse(same[i], &a), 0);
		if (strcmp(same[i], "::2:3:4:5:6:7:8")) /* one zero group is written out */
			assert_string_equal(ns_addr_format(&a, buf), same[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(ns_addr_parse(bad[i], &a), -22);
	assert_int_equal(ns_addr_parse("::ffff:1.2.3.4", &a), 0);
	assert_true(ns_addr_is_v4(&a));
}

/* ---- routes ---- */

static void test_routes(void **state)
{
	struct sim sim;
	struct ns_instance *ns;
	struct ns_addr far = ns_ip4(192, 0, 2, 7), near = ns_ip4(10, 0, 0, 9),
		       alias = ns_ip4(10, 0, 1, 1);
	struct ns_route def = {.gateway = ns_ip4(10, 0, 0, 254), .ifindex = 2}, r;
	struct ns_dst d;
	uint32_t gen;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	ns = sim.h[0].s.ns;
	assert_int_equal(ns_route_lookup(ns, &far, NULL, 0, &d), -101);
	gen = ns_route_generation(ns);
	assert_int_equal(ns_route_add(ns, &def), 0);
	assert_int_equal(ns_route_add(ns, &def), -17);
	assert_int_not_equal(ns_route_generation(ns), gen);
	assert_int_equal(ns_route_lookup(ns, &far, NULL, 0, &d), 0);
	assert_true(ns_addr_eq(&d.next_hop, &def.gateway));
	assert_true(ns_addr_eq(&d.src, &sim.h[0].v4));
	assert_int_equal(ns_route_lookup(ns, &near, NULL, 0, &d), 0);
	assert_true(ns_addr_eq(&d.next_hop, &near));
	/* Longer prefix wins, lower metric among equals, reject refuses. */
	r = (struct ns_route){.dst = ns_ip4(192, 0, 2, 0),
	    .plen = 24,
	    .gateway = ns_ip4(10, 0, 0, 253),
	    .ifindex = 2,
	    .metric = 5,
	    .prefsrc = alias};
	assert_int_equal(ns_if_addr_add(ns, 2, &alias, 24, NS_ORIGIN_STATIC), 0);
	assert_int_equal(ns_route_add(ns, &r), 0);
	assert_int_equal(ns_route_lookup(ns, &far, NULL, 0, &d), 0);
	assert_true(ns_addr_eq(&d.next_hop, &r.gateway) && ns_addr_eq(&d.src, &alias));
	r.metric = 1;
	r.gateway = ns_ip4(10, 0, 0, 252);
	assert_int_equal(ns_route_add(ns, &r), 0);
	assert_int_equal(ns_route_lookup(ns, &far, NULL, 0, &d), 0);
	assert_true(ns_addr_eq(&d.next_hop, &r.gateway));
	r = (struct ns_route){.dst = far, .plen = 32, .ifindex = 2, .reject = 1};
	assert_int_equal(ns_route_add(ns, &r), 0);
	assert_int_equal(ns_route_lookup(ns, &far, NULL, 0, &d), -113);
	/* A gateway must be on the link. */
	r = (struct ns_route){.gateway = ns_ip4(172, 16, 0, 1), .ifindex = 2, .metric = 9};
	assert_int_equal(ns_route_add(ns, &r), -101);
	/* Own addresses loop back; removing the address removes what depends on it. */
	assert_int_equal(ns_route_lookup(ns, &alias, NULL, 0, &d), 0);
	assert_true(d.local && d.ifindex == NS_LOOPBACK_IF);
	assert_int_equal(ns_if_addr_del(ns, 2, &alias), 0);
	for (unsigned i = 0; ns_route_get(ns, i, &r); i++)
		assert_false(ns_addr_eq(&r.prefsrc, &alias));
	assert_int_equal(ns_if_set_up(ns, 2, false), 0);
	assert_int_equal(ns_route_lookup(ns, &near, NULL, 0, &d), -101);
	sim_free(&sim);
}

/* ---- ports ---- */

static void test_ports(void **state)
{
	struct sim sim;
	struct ns_instance *ns;
	struct ns_bind a = {0}, b = {0}, c = {.v6 = 1}, d = {.v6 = 1, .flags = NS_BIND_V6ONLY};
	struct ns_bind p = {.flags = NS_BIND_REUSEPORT},
		       q = {.flags = NS_BIND_REUSEPORT, .owner = 1};

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	ns = sim.h[0].s.ns;
	assert_int_equal(ns_port_bind(ns, &a, NS_PROTO_TCP, 80), 0);
	assert_int_equal(ns_port_bind(ns, &b, NS_PROTO_TCP, 80), -98);
	b.addr = sim.h[0].v4;
	assert_int_equal(ns_port_bind(ns, &b, NS_PROTO_TCP, 80), -98);
	b.addr = sim.h[1].v4; /* not ours */
	assert_int_equal(ns_port_bind(ns, &b, NS_PROTO_TCP, 81), -99);
	assert_int_equal(ns_port_bind(ns, &c, NS_PROTO_TCP, 80), -98); /* dual stack overlaps */
	assert_int_equal(ns_port_bind(ns, &d, NS_PROTO_TCP, 80), 0);
	b.addr = (struct ns_addr){{{0}}};
	assert_int_equal(ns_port_bind(ns, &b, NS_PROTO_UDP, 80), 0);
	ns_port_unbind(ns, &a);
	assert_int_equal(ns_port_bind(ns, &a, NS_PROTO_TCP, 0), 0);
	assert_in_range(a.port, 32768, 60999);
	assert_int_equal(ns_port_bind(ns, &p, NS_PROTO_TCP, 90), 0);
	assert_int_equal(ns_port_bind(ns, &q, NS_PROTO_TCP, 90), -98); /* another user */
	q.owner = 0;
	assert_int_equal(ns_port_bind(ns, &q, NS_PROTO_TCP, 90), 0);
	sim_free(&sim);
}

/* ---- UDP ---- */

struct box {
	struct ns_udp u; /* first */
	uint32_t got, bytes;
	uint8_t last[66000];
	uint32_t last_len;
	struct ns_flow from;
	int err;
};

static void box_recv(struct ns_udp *u, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	struct box *b = (struct box *)u;

	b->got++;
	b->bytes += pkt->tot_len;
	b->last_len = ns_pkt_copy_out(pkt, 0, b->last, sizeof b->last);
	b->from = *flow;
	ns_pkt_put(pkt);
}

static void box_error(struct ns_udp *u, const struct ns_flow *flow, const struct ns_icmp_error *err)
{
	(void)flow;
	((struct box *)u)->err = err->err;
}

static struct box *box_new(struct ns_instance *ns, uint16_t port, bool v6)
{
	struct box *b = calloc(1, sizeof *b);

	b->u.bind.v6 = v6;
	b->u.on_recv = box_recv;
	b->u.on_error = box_error;
	assert_int_equal(ns_udp_bind(ns, &b->u, port), 0);
	return b;
}

static int box_send(
    struct hs_stack *s, struct box *b, const struct ns_addr *to, uint16_t port, uint32_t n)
{
	size_t size = ns_pkt_block_size(NS_HEADROOM + n, 0);
	struct ns_pkt *proto = hs_pkt_from(s, "", 0);
	struct ns_pkt *p = ns_pkt_init(malloc(size), size, 0, NS_HEADROOM, proto->free);

	p->owner = s;
	s->live_pkts++;
	ns_pkt_put(proto);
	ns_pkt_append(p, n);
	for (uint32_t i = 0; i < n; i++)
		p->data[i] = (uint8_t)(i * 13 + n);
	return ns_udp_send(s->ns, &b->u, to, port, NULL, 0, p);
}

static void box_check(const struct box *b, uint32_t n)
{
	assert_int_equal(b->last_len, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(b->last[i], (uint8_t)(i * 13 + n));
}

static void test_udp(void **state)
{
	static const uint32_t sizes[] = {0, 1, 100, 1472, 1473, 9000, 65000};
	struct sim sim;
	struct ns_counters n;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	sim_for(&sim, 3 * SEC);
	for (int v6 = 0; v6 < 2; v6++) {
		struct hs_stack *a = &sim.h[0].s, *b = &sim.h[1].s;
		struct ns_addr to = v6 ? sim.h[1].v6 : sim.h[0 + 1].v4;
		struct ns_addr from = v6 ? sim.h[0].v6 : sim.h[0].v4;
		struct box *x = box_new(a->ns, 0, v6), *y = box_new(b->ns, 53, true);

		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			assert_int_equal(box_send(a, x, &to, 53, sizes[i]), 0);
			sim_for(&sim, 100 * MS);
			assert_int_equal(y->got, i + 1);
			box_check(y, sizes[i]);
			assert_true(ns_addr_eq(&y->from.remote, &from));
			assert_int_equal(y->from.rport, x->u.bind.port);
		}
		assert_int_equal(box_send(a, x, &to, 53, 65530), -90);
		x->u.dont_fragment = true;
		assert_int_equal(box_send(a, x, &to, 53, 1473), -90);
		x->u.dont_fragment = false;
		assert_int_equal(box_send(a, x, NULL, 0, 1), -89);
		/* Closed port: an error comes back to the sender. */
		ns_udp_close(b->ns, &y->u);
		assert_int_equal(ns_udp_connect(a->ns, &x->u, &to, 53), 0);
		assert_int_equal(box_send(a, x, NULL, 0, 10), 0);
		sim_for(&sim, 100 * MS);
		assert_int_equal(x->err, 111);
		ns_udp_close(a->ns, &x->u);
		free(x);
		free(y);
	}
	ns_counters_get(sim.h[1].s.ns, &n);
	assert_int_equal(n.ip_reasm_ok, 7);
	assert_int_equal(n.udp_no_port, 2);
	sim_free(&sim);
}

static void test_udp_groups(void **state)
{
	struct sim sim;
	struct ns_addr g4 = ns_ip4(239, 1, 2, 3), g6 = {{{0xff, 2, [15] = 0x77}}};
	struct ns_addr all = ns_ip4(255, 255, 255, 255), net = ns_ip4(10, 0, 0, 255);
	struct box *x, *y, *z;
	struct hs_stack *a, *b;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	sim_for(&sim, 3 * SEC);
	a = &sim.h[0].s;
	b = &sim.h[1].s;
	x = box_new(a->ns, 0, true);
	y = box_new(b->ns, 99, true);
	z = box_new(b->ns, 98, true);
	box_send(a, x, &g4, 99, 5);
	sim_for(&sim, 10 * MS);
	assert_int_equal(y->got, 0); /* not a member */
	assert_int_equal(ns_mcast_join(b->ns, 2, &g4), 0);
	assert_int_equal(ns_mcast_join(b->ns, 2, &g6), 0);
	x->u.mcast_if = 2;
	assert_int_equal(box_send(a, x, &g4, 99, 5), 0);
	assert_int_equal(box_send(a, x, &g6, 99, 6), 0);
	sim_for(&sim, 10 * MS);
	assert_int_equal(y->got, 2);
	assert_int_equal(z->got, 0);
	assert_int_equal(ns_mcast_leave(b->ns, 2, &g4), 0);
	box_send(a, x, &g4, 99, 5);
	sim_for(&sim, 10 * MS);
	assert_int_equal(y->got, 2);
	assert_int_equal(box_send(a, x, &net, 99, 5), -13);
	x->u.broadcast = true;
	assert_int_equal(box_send(a, x, &net, 99, 5), 0);
	assert_int_equal(box_send(a, x, &all, 99, 5), 0);
	sim_for(&sim, 10 * MS);
	assert_int_equal(y->got, 4);
	/* The sender hears itself when it is a member. */
	assert_int_equal(ns_mcast_join(a->ns, 2, &g4), 0);
	{
		struct box *own = box_new(a->ns, 99, true);

		box_send(a, x, &g4, 99, 7);
		hs_poll(a);
		assert_int_equal(own->got, 1);
		box_check(own, 7);
		ns_udp_close(a->ns, &own->u);
		free(own);
	}
	ns_udp_close(b->ns, &y->u);
	ns_udp_close(b->ns, &z->u);
	free(x);
	free(y);
	free(z);
	sim_free(&sim);
}

static void test_udp_reuseport(void **state)
{
	struct sim sim;
	struct box *rx[4];
	struct hs_stack *a, *b;
	unsigned total = 0;

	(void)state;
	sim_init(&sim, 3, &good, 0, 1500);
	a = &sim.h[0].s;
	b = &sim.h[1].s;
	for (int i = 0; i < 4; i++) {
		rx[i] = calloc(1, sizeof **rx);
		rx[i]->u.on_recv = box_recv;
		rx[i]->u.bind.flags = NS_BIND_REUSEPORT;
		assert_int_equal(ns_udp_bind(b->ns, &rx[i]->u, 7), 0);
	}
	for (int i = 0; i < 200; i++) {
		struct box *x = box_new(a->ns, 0, false);

		box_send(a, x, &sim.h[1].v4, 7, 4);
		sim_for(&sim, 3 * MS);
		ns_udp_close(a->ns, &x->u);
		free(x);
	}
	for (int i = 0; i < 4; i++) {
		assert_in_range(rx[i]->got, 20, 90);
		total += rx[i]->got;
		free(rx[i]);
	}
	assert_int_equal(total, 200);
	sim_free(&sim);
}

/* ---- fragments ---- */

static void fragment(struct sim *sim, uint16_t id, uint32_t off, uint32_t n, bool more)
{
	uint8_t f[1600] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}, *h = f + 14;

	h[0] = 0x45;
	put16(h + 2, 20 + n);
	put16(h + 4, id);
	put16(h + 6, off / 8 | (more ? 0x2000u : 0));
	h[8] = 64;
	h[9] = 17;
	memcpy(h + 12, sim->h[0].v4.b + 12, 4);
	memcpy(h + 16, sim->h[1].v4.b + 12, 4);
	put16(h + 10, checksum(h, 20, 0));
	if (!off) { /* UDP header without checksum */
		put16(h + 20, 1000);
		put16(h + 22, 53);
		put16(h + 24, 24);
	}
	feed(sim, 1, f, 34 + n);
}

static void test_fragments(void **state)
{
	struct sim sim;
	struct box *y;
	struct ns_counters n;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	y = box_new(sim.h[1].s.ns, 53, true);
	/* Backwards, with a duplicate. */
	fragment(&sim, 1, 16, 8, false);
	fragment(&sim, 1, 16, 8, false);
	fragment(&sim, 1, 8, 8, true);
	assert_int_equal(y->got, 0);
	fragment(&sim, 1, 0, 8, true);
	assert_int_equal(y->got, 1);
	assert_int_equal(y->last_len, 16);
	/* Overlap: the whole datagram goes. */
	fragment(&sim, 2, 0, 16, true);
	fragment(&sim, 2, 8, 16, false);
	fragment(&sim, 2, 16, 8, false);
	assert_int_equal(y->got, 1);
	/* Two different ends; something behind the end; too long; odd length in the middle. */
	fragment(&sim, 3, 16, 8, false);
	fragment(&sim, 3, 32, 8, false);
	fragment(&sim, 4, 65528, 16, false);
	fragment(&sim, 5, 0, 9, true);
	ns_counters_get(sim.h[1].s.ns, &n);
	assert_int_equal(n.ip_reasm_ok, 1);
	assert_true(n.ip_reasm_fail >= 4);
	/* A flood of first fragments: bounded, then all forgotten. */
	for (unsigned i = 0; i < 5000; i++)
		fragment(&sim, (uint16_t)(100 + i), 0, 1400, true);
	assert_true(sim.h[1].s.live_pkts <= 128 + 8);
	sim_for(&sim, 40 * SEC);
	assert_true(sim.h[1].s.live_pkts <= 8);
	free(y);
	sim_free(&sim);
}

/* ---- ARP ---- */

static bool drop_arp(struct sim *sim, int from, uint8_t *f, size_t len)
{
	(void)sim;
	(void)from;
	(void)len;
	return f[12] == 8 && f[13] == 6;
}

static void arp(struct sim *sim, int side, uint16_t op, const struct ns_addr *sender, uint8_t last,
    const struct ns_addr *target)
{
	uint8_t f[42] = {
	    2, 0, 0, 0, 0, (uint8_t)(side + 1), 2, 0, 0, 0, 0, last, 8, 6, 0, 1, 8, 0, 6, 4};

	put16(f + 20, op);
	memcpy(f + 22, f + 6, 6);
	memcpy(f + 28, sender->b + 12, 4);
	memcpy(f + 38, target->b + 12, 4);
	feed(sim, side, f, sizeof f);
}

static bool neighbour(struct ns_instance *ns, const struct ns_addr *a, struct ns_neigh_info *out)
{
	bool more = true;

	for (unsigned i = 0; more; i++)
		if (ns_neigh_get(ns, i, out, &more) && ns_addr_eq(&out->addr, a))
			return true;
	return false;
}

static void test_arp(void **state)
{
	struct sim sim;
	struct ns_addr ghost = ns_ip4(10, 0, 0, 77), far = ns_ip4(192, 168, 1, 1);
	struct ns_neigh_info n;
	struct box *x;
	struct hs_stack *a;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	a = &sim.h[0].s;
	x = box_new(a->ns, 0, false);
	/* Answers nobody asked for, and from outside the subnet, are not learnt. */
	arp(&sim, 0, 2, &ghost, 9, &sim.h[0].v4);
	arp(&sim, 0, 1, &far, 9, &sim.h[0].v4);
	assert_false(neighbour(a->ns, &ghost, &n));
	assert_false(neighbour(a->ns, &far, &n));
	/* A request to us teaches the sender. */
	arp(&sim, 0, 1, &ghost, 9, &sim.h[0].v4);
	assert_true(neighbour(a->ns, &ghost, &n));
	assert_int_equal(n.mac[5], 9);
	/* It moves (gratuitous request). */
	arp(&sim, 0, 1, &ghost, 8, &ghost);
	assert_true(neighbour(a->ns, &ghost, &n));
	assert_int_equal(n.mac[5], 8);
	/* Nobody answers: the waiting datagram's sender is told. */
	sim.filter = drop_arp;
	ghost = ns_ip4(10, 0, 0, 78);
	assert_int_equal(box_send(a, x, &ghost, 5, 10), 0);
	for (int i = 0; i < 100; i++) /* queue is short */
		box_send(a, x, &ghost, 5, 10);
	assert_true(a->live_pkts < 60);
	sim_for(&sim, 5 * SEC);
	assert_int_equal(x->err, 113);
	/* Later it works again. */
	sim.filter = NULL;
	sim_for(&sim, 10 * SEC);
	ns_udp_close(a->ns, &x->u);
	free(x);
	sim_free(&sim);
}

static void test_neighbour_ageing(void **state)
{
	struct sim sim;
	struct ns_neigh_info n;
	struct box *x;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	x = box_new(sim.h[0].s.ns, 0, false);
	box_send(&sim.h[0].s, x, &sim.h[1].v4, 5, 10);
	sim_for(&sim, 100 * MS);
	assert_true(neighbour(sim.h[0].s.ns, &sim.h[1].v4, &n));
	assert_int_equal(n.state, NS_NEIGH_REACHABLE);
	sim_for(&sim, 32 * SEC);
	assert_true(neighbour(sim.h[0].s.ns, &sim.h[1].v4, &n));
	assert_int_equal(n.state, NS_NEIGH_STALE);
	/* Used while stale: probed, and reachable again. */
	box_send(&sim.h[0].s, x, &sim.h[1].v4, 5, 10);
	sim_for(&sim, 40 * SEC);
	box_send(&sim.h[0].s, x, &sim.h[1].v4, 5, 10);
	sim_for(&sim, 29 * SEC);
	assert_true(neighbour(sim.h[0].s.ns, &sim.h[1].v4, &n));
	assert_int_not_equal(n.state, NS_NEIGH_FAILED);
	/* The peer dies: probes fail, the entry goes. */
	sim.filter = drop_arp;
	for (int i = 0; i < 10; i++) {
		box_send(&sim.h[0].s, x, &sim.h[1].v4, 5, 10);
		sim_for(&sim, 20 * SEC);
	}
	assert_false(neighbour(sim.h[0].s.ns, &sim.h[1].v4, &n) && n.state == NS_NEIGH_REACHABLE);
	ns_udp_close(sim.h[0].s.ns, &x->u);
	free(x);
	sim_free(&sim);
}

/* ---- IPv6 configuration ---- */

static size_t icmp6(uint8_t *f, const uint8_t src[16], const uint8_t dst[16], uint8_t hops,
    const uint8_t *body, size_t n)
{
	uint8_t *h = f + 14;
	uint32_t sum = (uint32_t)n + 58;

	memset(f, 0, 54);
	memcpy(f, (uint8_t[14]){0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd}, 14);
	h[0] = 0x60;
	put16(h + 4, (uint32_t)n);
	h[6] = 58;
	h[7] = hops;
	memcpy(h + 8, src, 16);
	memcpy(h + 24, dst, 16);
	memcpy(h + 40, body, n);
	put16(h + 42, 0);
	for (int i = 8; i < 40; i += 2)
		sum += (uint32_t)(h[i] << 8 | h[i + 1]);
	put16(h + 42, checksum(h + 40, n, sum));
	return 54 + n;
}

static const uint8_t router[16] = {0xfe, 0x80, [15] = 0x99}, all_nodes[16] = {0xff, 2, [15] = 1};

static size_t advert(uint8_t *f, uint16_t router_life, uint32_t valid, uint8_t hops)
{
	uint8_t b[16 + 32 + 8 + 24] = {134, 0, 0, 0, 64};

	put16(b + 6, router_life);
	b[16] = 3;
	b[17] = 4;
	b[18] = 64;
	b[19] = 0xc0;
	put32(b + 20, valid);
	put32(b + 24, valid / 2);
	memcpy(b + 32, (uint8_t[8]){0x20, 1, 0xd, 0xb8, 0, 7, 0, 0}, 8);
	b[48] = 5;
	b[49] = 1;
	put32(b + 52, 1400);
	b[56] = 25;
	b[57] = 3;
	put32(b + 60, 600);
	memcpy(b + 64, (uint8_t[16]){0x20, 1, 0xd, 0xb8, [15] = 0x53}, 16);
	return icmp6(f, router, all_nodes, hops, b, sizeof b);
}

static void test_slaac(void **state)
{
	struct sim sim;
	struct hs_stack *s;
	struct ns_addr mine, far, dns[4];
	struct ns_dst d;
	struct ns_if_info info;
	uint8_t f[200];
	uint8_t mac[6] = {2, 0, 0, 0, 1, 1};
	int ifi;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	hs_free(&sim.h[0].s); /* again with autoconfiguration */
	s = &sim.h[0].s;
	s->deadline = 0;
	s->live_pkts = s->live_mem = 0;
	assert_int_equal(hs_init(s, NULL, 9), 0);
	ifi = ns_if_add(s->ns, "eth0", mac, 1500, NS_IF_UP);
	assert_int_equal(ifi, 2);
	assert_int_equal(ns_addr_parse("2001:db8:7::ff:fe00:101", &mine), 0);
	assert_int_equal(ns_addr_parse("2001:db8:ffff::1", &far), 0);
	sim_for(&sim, 2 * SEC);
	feed(&sim, 0, f, advert(f, 1800, 3600, 64)); /* hop limit shows that it was forwarded */
	sim_for(&sim, 2 * SEC);
	assert_int_equal(ns_route_lookup(s->ns, &far, NULL, 0, &d), -101);
	feed(&sim, 0, f, advert(f, 1800, 10000, 255));
	assert_int_equal(ns_if_get(s->ns, 2, &info), 0);
	assert_int_equal(info.mtu, 1400);
	assert_false(ns_addr_is_local(s->ns, &mine, 0)); /* tentative */
	sim_for(&sim, 2 * SEC);
	assert_true(ns_addr_is_local(s->ns, &mine, 0));
	assert_int_equal(ns_route_lookup(s->ns, &far, NULL, 0, &d), 0);
	assert_memory_equal(d.next_hop.b, router, 16);
	assert_true(ns_addr_eq(&d.src, &mine));
	assert_int_equal(ns_ra_dns(s->ns, dns, 4), 1);
	assert_int_equal(dns[0].b[15], 0x53);
	/* A forged advertisement cannot take the address away at once (two-hour rule). */
	feed(&sim, 0, f, advert(f, 1800, 10, 255));
	sim_for(&sim, 20 * SEC);
	assert_true(ns_addr_is_local(s->ns, &mine, 0));
	/* The router leaves. */
	feed(&sim, 0, f, advert(f, 0, 10000, 255));
	assert_int_equal(ns_route_lookup(s->ns, &far, NULL, 0, &d), -101);
	/* Lifetimes run out. */
	sim_for(&sim, 10100 * SEC);
	assert_false(ns_addr_is_local(s->ns, &mine, 0));
	sim_free(&sim);
}

static void test_duplicate_address(void **state)
{
	struct sim sim;
	struct hs_stack *s;
	struct ns_addr mine = {{{0x20, 1, 0xd, 0xb8, [15] = 0x44}}};
	uint8_t f[100], b[24] = {135}, to[16] = {0xff, 2, [11] = 1, 0xff, 0, 0, 0x44},
			none[16] = {0};

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	s = &sim.h[0].s;
	assert_int_equal(ns_if_addr_add(s->ns, 2, &mine, 64, NS_ORIGIN_STATIC), 0);
	sim_for(&sim, 100 * MS);
	memcpy(b + 8, mine.b, 16);
	feed(&sim, 0, f, icmp6(f, none, to, 255, b, sizeof b));
	sim_for(&sim, 3 * SEC);
	assert_false(ns_addr_is_local(s->ns, &mine, 0));
	/* Undisturbed it comes up. */
	assert_int_equal(ns_if_addr_add(s->ns, 2, &mine, 64, NS_ORIGIN_STATIC), 0);
	sim_for(&sim, 3 * SEC);
	assert_true(ns_addr_is_local(s->ns, &mine, 0));
	sim_free(&sim);
}

static void test_path_mtu_udp(void **state)
{
	struct sim sim;
	struct hs_stack *s;
	struct box *x;
	struct ns_dst d;
	uint8_t f[200], b[8 + 48] = {2};

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	sim_for(&sim, 3 * SEC);
	s = &sim.h[0].s;
	x = box_new(s->ns, 1234, true);
	put32(b + 4, 1300);
	b[8] = 0x60;
	b[14] = 17;
	memcpy(b + 16, sim.h[0].v6.b, 16);
	memcpy(b + 32, sim.h[1].v6.b, 16);
	put16(b + 48, 1234);
	put16(b + 50, 53);
	feed(&sim, 0, f, icmp6(f, router, sim.h[0].v6.b, 64, b, sizeof b));
	assert_int_equal(ns_route_lookup(s->ns, &sim.h[1].v6, NULL, 0, &d), 0);
	assert_int_equal(d.mtu, 1300);
	sim_for(&sim, 601 * SEC);
	assert_int_equal(ns_route_lookup(s->ns, &sim.h[1].v6, NULL, 0, &d), 0);
	assert_int_equal(d.mtu, 1500);
	ns_udp_close(s->ns, &x->u);
	free(x);
	sim_free(&sim);
}

/* ---- GRO ---- */

static struct ns_pkt *tcp_frame(
    struct hs_stack *s, uint16_t sport, uint32_t seq, uint32_t n, uint8_t flags)
{
	uint8_t f[1600] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, *h = f + 14, *t = h + 20;
	uint32_t sum = 6 + 20 + n;

	h[0] = 0x45;
	put16(h + 2, 40 + n);
	h[8] = 64;
	h[9] = 6;
	memcpy(h + 12, (uint8_t[8]){10, 0, 0, 2, 10, 0, 0, 1}, 8);
	put16(h + 10, checksum(h, 20, 0));
	put16(t, sport);
	put16(t + 2, 80);
	put32(t + 4, seq);
	t[12] = 0x50;
	t[13] = flags;
	for (uint32_t i = 0; i < n; i++)
		t[20 + i] = (uint8_t)(seq + i);
	for (int i = 12; i < 20; i += 2)
		sum += (uint32_t)(h[i] << 8 | h[i + 1]);
	put16(t + 16, checksum(t, 20 + n, sum));
	return hs_pkt_from(s, f, 54 + n);
}

static void test_gro(void **state)
{
	struct sim sim;
	struct hs_stack *s;
	struct ns_gro g = {0};
	struct ns_flow flow;
	struct ns_pkt *p;
	uint32_t total = 0, i;

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	s = &sim.h[0].s;
	for (i = 0; i < 10; i++) {
		p = tcp_frame(s, 5, i * 1000, 1000, 16);
		assert_int_equal(ns_classify(p, &flow), NS_CLASS_TCP);
		assert_null(ns_gro_receive(&g, p, &flow));
		p = tcp_frame(s, 6, i * 100, 100, 16); /* another flow in between */
		assert_int_equal(ns_classify(p, &flow), NS_CLASS_TCP);
		assert_null(ns_gro_receive(&g, p, &flow));
	}
	p = ns_gro_flush(&g, &flow);
	assert_int_equal(flow.rport, 5);
	assert_int_equal(p->gro_segs, 10);
	for (struct ns_pkt *q = p; q; q = q->chain)
		total += q == p ? q->tot_len - 54 : q->tot_len;
	assert_int_equal(total, 10000);
	ns_pkt_put(p);
	p = ns_gro_flush(&g, &flow);
	assert_int_equal(flow.rport, 6);
	ns_pkt_put(p);
	assert_null(ns_gro_flush(&g, &flow));
	/* A gap ends the train, both parts come out in order. */
	p = tcp_frame(s, 5, 0, 100, 16);
	ns_classify(p, &flow);
	assert_null(ns_gro_receive(&g, p, &flow));
	p = tcp_frame(s, 5, 300, 100, 16);
	ns_classify(p, &flow);
	p = ns_gro_receive(&g, p, &flow);
	assert_non_null(p);
	assert_null(p->next);
	ns_pkt_put(p);
	/* FIN cannot merge: comes with the held one, behind it. */
	p = tcp_frame(s, 5, 400, 0, 17);
	ns_classify(p, &flow);
	p = ns_gro_receive(&g, p, &flow);
	assert_non_null(p);
	assert_non_null(p->next);
	ns_pkt_put(p->next);
	ns_pkt_put(p);
	/* A damaged segment is not merged. */
	p = tcp_frame(s, 5, 0, 100, 16);
	ns_classify(p, &flow);
	assert_null(ns_gro_receive(&g, p, &flow));
	p = tcp_frame(s, 5, 100, 100, 16);
	p->data[70] ^= 1;
	ns_classify(p, &flow);
	p = ns_gro_receive(&g, p, &flow);
	assert_non_null(p->next);
	ns_pkt_put(p->next);
	ns_pkt_put(p);
	sim_free(&sim);
}

static void test_martians(void **state)
{
	struct sim sim;
	struct ns_counters n;
	struct hs_stack *s;
	struct hs_listener l = {0};
	uint8_t src[][4] = {{127, 0, 0, 1}, {224, 0, 0, 1}, {255, 255, 255, 255}, {0, 0, 0, 0}};

	(void)state;
	sim_init(&sim, 1, &good, 0, 1500);
	s = &sim.h[0].s;
	assert_int_equal(hs_listen(s, &l, 80), 0);
	sim_for(&sim, 10 * MS);
	for (int i = 0; i < 4; i++) {
		struct ns_pkt *p = tcp_frame(s, 5, 1, 0, 2);
		uint8_t *h = p->data + 14;
		uint64_t sent = sim.sent[0];

		memcpy(h + 12, src[i], 4);
		put16(h + 10, 0);
		put16(h + 10, checksum(h, 20, 0));
		p->flags |= NS_PKT_CSUM_OK;
		hs_input(s, 2, p);
		assert_int_equal(sim.sent[0], sent);
	}
	ns_counters_get(s->ns, &n);
	assert_int_equal(n.syn_in, 0);
	sim_free(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_routes), cmocka_unit_test(test_ports), cmocka_unit_test(test_udp),
	    cmocka_unit_test(test_udp_groups), cmocka_unit_test(test_udp_reuseport),
	    cmocka_unit_test(test_fragments), cmocka_unit_test(test_arp),
	    cmocka_unit_test(test_neighbour_ageing), cmocka_unit_test(test_slaac),
	    cmocka_unit_test(test_duplicate_address), cmocka_unit_test(test_path_mtu_udp),
	    cmocka_unit_test(test_gro), cmocka_unit_test(test_martians)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
