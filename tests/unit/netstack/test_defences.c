/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP against forged, stale and flooding segments, one scripted case each. */
#include "script_test.h"

TEST(blind_resets)
{
	struct ns_counters n;

	open_passive(t, plain);
	skip_out(t);
	/* In the window but not exact: challenge. */
	inject(t, (struct inject){.flags = RST, .seq = 100});
	assert_int_equal(expect(t, ACK, 1, 0)->ack, 1);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
	/* Outside: nothing. */
	inject(t, (struct inject){.flags = RST, .seq = 0x40000000});
	expect_none(t);
	/* SYN in the window: challenge. */
	inject(t, (struct inject){.flags = SYN, .seq = 50, .wnd = 100});
	expect(t, ACK, 1, 0);
	/* Acknowledgement of what was never sent: challenge, data not taken. */
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 5000, .wnd = 100, .data = "evil", .len = 4});
	expect(t, ACK, 1, 0);
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 0);
	/* Too old an acknowledgement: the same (RFC 5961 5.2). */
	inject(t,
	    (struct inject){
		.flags = ACK, .seq = 1, .ack = 1 - 70000u, .wnd = 100, .data = "evil", .len = 4});
	expect(t, ACK, 1, 0);
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 0);
	ns_counters_get(t->s.ns, &n);
	assert_int_equal(n.tcp_challenge_ack, 4);
	/* No more than the limit per second. */
	for (int i = 0; i < 1000; i++)
		inject(t, (struct inject){.flags = RST, .seq = 100});
	assert_true(t->nout - t->seen <= 100);
	skip_out(t);
	/* The exact number. */
	inject(t, (struct inject){.flags = RST, .seq = 1});
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 104);
}

TEST(paws)
{
	open_passive(t, modern);
	skip_out(t);
	t->ts_override = true;
	t->ts_peer = 100000;
	inject(t,
	    (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 100, .data = "new", .len = 3});
	skip_out(t);
	t->ts_peer = 99000; /* from a former life */
	inject(t,
	    (struct inject){.flags = ACK, .seq = 4, .ack = 1, .wnd = 100, .data = "old", .len = 3});
	assert_int_equal(expect(t, ACK, 1, 0)->ack, 4);
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 3);
	t->ts_peer = 100000;
	inject(t,
	    (struct inject){.flags = ACK, .seq = 4, .ack = 1, .wnd = 100, .data = "new", .len = 3});
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 6);
	/* After 25 days of silence an old-looking clock has wrapped. */
	t->now += 25ul * 86400 * SEC;
	t->ts_peer = 50000;
	inject(t,
	    (struct inject){.flags = ACK, .seq = 7, .ack = 1, .wnd = 100, .data = "far", .len = 3});
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 9);
}

TEST(icmp_errors)
{
	open_active(t, plain);
	SEND(t, 1000, 0);
	skip_out(t);
	/* Number not in flight: ignored. */
	inject_icmp(t, 3, 4, 576, 500000);
	assert_int_equal(t->c->tcp.mss, 1460);
	/* Port unreachable on an established connection is not fatal. */
	inject_icmp(t, 3, 3, 0, 1);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
	/* Smaller path: resent in smaller segments at once. */
	inject_icmp(t, 3, 4, 1000, 1);
	assert_int_equal(t->c->tcp.mss, 960);
	expect(t, ACK, 1, 960);
	/* Absurd sizes are raised to a floor. */
	inject_icmp(t, 3, 4, 10, 1);
	assert_true(t->c->tcp.mss >= 500);
}

TEST(icmp_while_connecting)
{
	t->c = hs_conn_new(&t->s);
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	inject_icmp(t, 3, 3, 0, 12345);
	assert_int_equal(STATE(t), NS_TCP_SYN_SENT);
	inject_icmp(t, 3, 3, 0, 0);
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 111);
}

TEST(bad_checksum)
{
	struct ns_counters n;

	open_passive(t, plain);
	skip_out(t);
	inject(t, (struct inject){.flags = ACK,
		      .seq = 1,
		      .ack = 1,
		      .wnd = 100,
		      .data = "x",
		      .len = 1,
		      .bad_csum = true});
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 0);
	expect_none(t);
	ns_counters_get(t->s.ns, &n);
	assert_int_equal(n.tcp_in_err, 1);
}

TEST(syn_flood)
{
	struct ns_counters n;
	struct segment *g = NULL;
	struct hs_conn *first;
	long mem;
	uint32_t cookie;

	t->l.l.backlog = 100;
	open_passive(t, modern);
	first = t->c;
	skip_out(t);
	mem = t->s.live_mem;
	for (int i = 0; i < 3000; i++) {
		t->rport = (uint16_t)(1000 + i);
		inject(
		    t, (struct inject){
			   .flags = SYN, .wnd = 65535, .mss = 1460, .sack_ok = true, .wscale = 7});
	}
	ns_counters_get(t->s.ns, &n);
	assert_int_equal(n.syn_cookies_sent, 2900);
	assert_true(t->s.live_mem - mem <= 100 * 512);
	/* The others live on. */
	t->rport = 40000;
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 1, .wnd = 100, .data = "alive", .len = 5});
	assert_int_equal(ns_tcp_readable(&first->tcp), 5);
	/* An honest client gets in by cookie, with its options. */
	skip_out(t);
	t->rport = 50000;
	t->c = NULL;
	inject(t,
	    (struct inject){.flags = SYN, .wnd = 65535, .mss = 1460, .sack_ok = true, .wscale = 7});
	g = next_out(t);
	assert_non_null(g);
	cookie = g->seq;
	/* A forged acknowledgement is refused. */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = cookie + 12345, .wnd = 100});
	assert_null(t->c);
	assert_int_equal(next_out(t)->flags, RST);
	inject(t,
	    (struct inject){
		.flags = ACK, .seq = 1, .ack = cookie + 1, .wnd = 100, .data = "honest", .len = 6});
	assert_non_null(t->c);
	assert_int_equal(ns_tcp_readable(&t->c->tcp), 6);
	assert_true(t->c->tcp.sack_ok && t->c->tcp.ts_ok && t->c->tcp.wscale_ok);
	assert_int_equal(t->c->tcp.snd_wscale, 7);
	assert_int_equal(t->c->tcp.mss, 1448);
	/* The half-open ones go away in the end. */
	pass(t, 300 * SEC);
	assert_int_equal(t->l.l.half_open, 0);
}

TEST(synack_retransmission_and_reset)
{
	t->l.on_accept = NULL;
	assert_int_equal(hs_listen(&t->s, &t->l, 80), 0);
	t->lport = 80;
	t->rport = 1234;
	inject(t, (struct inject){.flags = SYN, .wnd = 65535, .mss = 1460});
	assert_int_equal(expect(t, SYN | ACK, 0, 0)->at / MS, 0);
	pass(t, 4 * SEC);
	assert_int_equal(expect(t, SYN | ACK, 0, 0)->at / MS, 1000);
	assert_int_equal(expect(t, SYN | ACK, 0, 0)->at / MS, 3000);
	inject(t, (struct inject){.flags = RST, .seq = 1});
	assert_int_equal(t->l.l.half_open, 0);
	pass(t, 100 * SEC);
	expect_none(t);
}

TEST(unknown_segments_are_reset)
{
	struct segment *g;

	t->lport = 81;
	t->rport = 5;
	inject(t, (struct inject){.flags = SYN, .seq = 9, .wnd = 1});
	g = next_out(t);
	assert_int_equal(g->flags, RST | ACK);
	assert_int_equal(g->ack, 10);
	inject(t, (struct inject){.flags = ACK, .seq = 9, .ack = 77, .wnd = 1});
	g = next_out(t);
	assert_int_equal(g->flags, RST);
	assert_int_equal(g->seq, 77);
	inject(t, (struct inject){.flags = RST, .seq = 9});
	expect_none(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(blind_resets), T(paws), T(icmp_errors),
	    T(icmp_while_connecting), T(bad_checksum), T(syn_flood),
	    T(synack_retransmission_and_reset), T(unknown_segments_are_reset)};

	fill_blob();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
