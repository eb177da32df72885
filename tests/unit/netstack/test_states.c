/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP's state machine, windows and timers, one scripted case each. */
#include "script_test.h"

/* ---- opening ---- */

TEST(active_open_and_close)
{
	char buf[10];

	open_active(t, modern);
	assert_int_equal(SEND(t, 100, 0), 100);
	expect(t, ACK, 1, 100);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 101, .wnd = 500, .data = "hello", .len = 5});
	assert_int_equal(read_some(t, buf, 10), 5);
	assert_memory_equal(buf, "hello", 5);
	skip_out(t);
	ns_tcp_shutdown(&t->c->tcp, NS_SHUT_WR);
	expect(t, FIN | ACK, 101, 0);
	assert_int_equal(STATE(t), NS_TCP_FIN_WAIT1);
	inject(t, (struct inject){.flags = ACK, .seq = 6, .ack = 102, .wnd = 500});
	assert_int_equal(STATE(t), NS_TCP_FIN_WAIT2);
	inject(t, (struct inject){.flags = FIN | ACK, .seq = 6, .ack = 102, .wnd = 500});
	assert_int_equal(expect(t, ACK, 102, 0)->ack, 7);
	assert_int_equal(STATE(t), NS_TCP_TIME_WAIT);
	assert_int_equal(read_some(t, buf, 10), 0);
	/* A retransmitted FIN is acknowledged and restarts the wait. */
	pass(t, 30 * SEC);
	inject(t, (struct inject){.flags = FIN | ACK, .seq = 6, .ack = 102, .wnd = 500});
	expect(t, ACK, 102, 0);
	pass(t, 59 * SEC);
	assert_int_equal(STATE(t), NS_TCP_TIME_WAIT);
	pass(t, 2 * SEC);
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
	assert_true(t->events & NS_EV_CLOSED);
}

TEST(simultaneous_open)
{
	struct segment *g;

	t->c = hs_conn_new(&t->s);
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	expect(t, SYN, 0, 0);
	inject(t, (struct inject){.flags = SYN, .wnd = 1000, .mss = 1000});
	g = expect(t, SYN | ACK, 0, 0);
	assert_int_equal(g->ack, 1);
	assert_int_equal(STATE(t), NS_TCP_SYN_RECV);
	inject(t, (struct inject){.flags = SYN | ACK, .ack = 1, .wnd = 1000, .mss = 1000});
	/* Their SYN-ACK: the SYN part is old, the ACK part counts once it is in the window. */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 1000});
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
	skip_out(t);
	SEND(t, 3000, 0);
	expect(t, ACK, 1, 500); /* half of their window is the largest segment */
}

TEST(simultaneous_close)
{
	open_active(t, plain);
	ns_tcp_shutdown(&t->c->tcp, NS_SHUT_WR);
	expect(t, FIN | ACK, 1, 0);
	inject(t, (struct inject){.flags = FIN | ACK, .seq = 1, .ack = 1, .wnd = 1000});
	assert_int_equal(expect(t, ACK, 2, 0)->ack, 2);
	assert_int_equal(STATE(t), NS_TCP_CLOSING);
	inject(t, (struct inject){.flags = ACK, .seq = 2, .ack = 2, .wnd = 1000});
	assert_int_equal(STATE(t), NS_TCP_TIME_WAIT);
}

TEST(half_close)
{
	char buf[10];

	open_passive(t, plain);
	inject(
	    t, (struct inject){
		   .flags = FIN | ACK, .seq = 1, .ack = 1, .wnd = 60000, .data = "bye", .len = 3});
	assert_int_equal(expect(t, ACK, 1, 0)->ack, 5);
	assert_int_equal(STATE(t), NS_TCP_CLOSE_WAIT);
	assert_int_equal(read_some(t, buf, 10), 3);
	assert_int_equal(read_some(t, buf, 10), 0);
	assert_int_equal(SEND(t, 1000, 0), 1000); /* our direction is still open */
	expect(t, ACK, 1, 1000);
	inject(t, (struct inject){.flags = ACK, .seq = 5, .ack = 1001, .wnd = 60000});
	hs_close(t->c);
	expect(t, FIN | ACK, 1001, 0);
	inject(t, (struct inject){.flags = ACK, .seq = 5, .ack = 1002, .wnd = 60000});
	assert_int_equal(t->s.nconns, 0);
}

TEST(syn_retransmission)
{
	static const unsigned at_ms[] = {0, 1000, 3000, 7000, 15000, 31000, 63000};

	t->c = hs_conn_new(&t->s);
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	pass(t, 200 * SEC);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(expect(t, SYN, 0, 0)->at / MS, at_ms[i]);
	expect_none(t);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 110);
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
}

TEST(refused)
{
	t->c = hs_conn_new(&t->s);
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	/* A reset that acknowledges something else is not for this SYN. */
	inject(t, (struct inject){.flags = RST | ACK, .ack = 7});
	assert_int_equal(STATE(t), NS_TCP_SYN_SENT);
	inject(t, (struct inject){.flags = RST | ACK, .ack = 1});
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 111);
}

/* ---- data ---- */

TEST(delayed_ack)
{
	open_passive(t, plain);
	skip_out(t);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_QUICKACK, 0);
	/* The first segments are acknowledged at once; then every second one, or after 40 ms. */
	for (uint32_t i = 0; i < 8; i++) {
		inject(t, (struct inject){.flags = ACK,
			      .seq = 1 + 1460 * i,
			      .ack = 1,
			      .wnd = 1000,
			      .data = blob,
			      .len = 1460});
		expect(t, ACK, 1, 0);
	}
	inject(
	    t, (struct inject){
		   .flags = ACK, .seq = 11681, .ack = 1, .wnd = 1000, .data = blob, .len = 1460});
	expect_none(t);
	pass(t, 39 * MS);
	expect_none(t);
	pass(t, 2 * MS);
	assert_int_equal(expect(t, ACK, 1, 0)->ack, 13141);
	inject(
	    t, (struct inject){
		   .flags = ACK, .seq = 13141, .ack = 1, .wnd = 1000, .data = blob, .len = 1460});
	expect_none(t);
	inject(
	    t, (struct inject){
		   .flags = ACK, .seq = 14601, .ack = 1, .wnd = 1000, .data = blob, .len = 1460});
	assert_int_equal(expect(t, ACK, 1, 0)->ack, 16061);
}

TEST(nagle_cork_and_more)
{
	open_active(t, plain);
	SEND(t, 10, 0);
	expect(t, ACK, 1, 10);
	SEND(t, 20, 0);
	expect_none(t); /* one small segment in flight */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 11, .wnd = 65535});
	expect(t, ACK, 11, 20);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_NODELAY, 1);
	SEND(t, 30, 0);
	expect(t, ACK, 31, 30);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 61, .wnd = 65535});
	ns_tcp_setopt(&t->c->tcp, NS_OPT_CORK, 1);
	SEND(t, 1000, 0);
	expect_none(t);
	SEND(t, 1000, 0);
	expect(t, ACK, 61, 1460);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_CORK, 0);
	expect(t, ACK, 1521, 540);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2061, .wnd = 65535});
	SEND(t, 5, NS_MSG_MORE);
	expect_none(t);
	SEND(t, 5, 0);
	expect(t, ACK, 2061, 10);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2071, .wnd = 65535});
	SEND(t, 7, NS_MSG_MORE); /* forgotten: goes by itself after a while */
	pass(t, 300 * MS);
	expect(t, ACK, 2071, 7);
}

TEST(zero_window)
{
	struct handshake h = plain;

	h.wnd = 2000;
	open_active(t, h);
	SEND(t, 5000, 0);
	expect(t, ACK, 1, 1000);
	expect(t, ACK, 1001, 1000);
	expect_none(t);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2001, .wnd = 0});
	expect_none(t);
	/* Probes with doubling intervals, from an old number, no data. */
	pass(t, 10 * SEC);
	{
		uint64_t first = expect(t, ACK, 2000, 0)->at, second = expect(t, ACK, 2000, 0)->at,
			 third = expect(t, ACK, 2000, 0)->at;

		assert_in_range((third - second) * 10 / (second - first), 15, 25);
	}
	skip_out(t);
	/* Still zero; then open again. */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2001, .wnd = 0});
	expect_none(t);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2001, .wnd = 5000});
	expect(t, ACK, 2001, 1000);
	expect(t, ACK, 3001, 1000);
	expect(t, ACK, 4001, 1000);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
}

TEST(our_zero_window_opens)
{
	static char buf[100000];
	uint32_t seq = 1, right = 1 + 4096, got = 0;
	struct segment *g;

	t->l.l.rcvbuf = 8192;
	open_passive(t, plain);
	skip_out(t);
	right = 1 + 8192;
	while (seq < right) {
		uint32_t n = right - seq < 1000 ? right - seq : 1000;

		inject(t,
		    (struct inject){
			.flags = ACK, .seq = seq, .ack = 1, .wnd = 1000, .data = blob, .len = n});
		seq += n;
	}
	pass(t, 50 * MS);
	while ((g = next_out(t)))
		right = g->ack + g->wnd;
	assert_int_equal(right, seq); /* closed, never taken back */
	/* Probe beyond the window: answered, not stored. */
	inject(t, (struct inject){
		      .flags = ACK, .seq = seq, .ack = 1, .wnd = 1000, .data = "x", .len = 1});
	assert_int_equal(expect(t, ACK, 1, 0)->ack, seq);
	/* A few bytes read: no silly update; many: an update comes. */
	assert_int_equal(read_some(t, buf, 100), 100);
	expect_none(t);
	got = 100;
	got += (uint32_t)read_some(t, buf, 8000);
	g = expect(t, ACK, 1, 0);
	assert_true(g->wnd >= 8000);
	assert_int_equal(got, 8100);
}

TEST(out_of_order_and_sack)
{
	struct segment *g;
	char buf[4000];

	open_passive(t, sack_only);
	skip_out(t);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 101, .ack = 1, .wnd = 1000, .data = blob, .len = 100});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->ack, 1);
	assert_int_equal(g->nsack, 1);
	assert_int_equal(g->sack[0].start, 101);
	assert_int_equal(g->sack[0].end, 201);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 301, .ack = 1, .wnd = 1000, .data = blob, .len = 100});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->nsack, 2);
	assert_int_equal(g->sack[0].start, 301); /* the newest first */
	assert_int_equal(g->sack[1].start, 101);
	/* Joins both. */
	inject(t, (struct inject){
		      .flags = ACK, .seq = 201, .ack = 1, .wnd = 1000, .data = blob, .len = 100});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->nsack, 1);
	assert_int_equal(g->sack[0].start, 101);
	assert_int_equal(g->sack[0].end, 401);
	/* A duplicate of it is reported (RFC 2883). */
	inject(t, (struct inject){
		      .flags = ACK, .seq = 201, .ack = 1, .wnd = 1000, .data = blob, .len = 100});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->sack[0].start, 201);
	assert_int_equal(g->sack[0].end, 301);
	assert_int_equal(g->sack[1].start, 101);
	/* The hole, overlapping on the right. */
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000, .data = blob, .len = 150});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->ack, 401);
	assert_int_equal(read_some(t, buf, sizeof buf), 400);
	/* Something entirely old. */
	inject(t, (struct inject){
		      .flags = ACK, .seq = 51, .ack = 1, .wnd = 1000, .data = blob, .len = 50});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->nsack, 1);
	assert_int_equal(g->sack[0].start, 51);
	assert_int_equal(g->sack[0].end, 101);
}

/* Segments of any size at any place, overlapping all ways: the stream comes out right. */
TEST(overlapping_segments)
{
	static uint8_t got[30000];
	uint32_t rng = 12345, n = 0;

	open_passive(t, sack_only);
	while (n < 20000) {
		uint32_t at, len;
		int64_t r;

		rng = rng * 1664525u + 1013904223u;
		at = (n > 50 ? n - 50 : 0) + (rng >> 8) % 6000;
		rng = rng * 1664525u + 1013904223u;
		len = 1 + (rng >> 8) % 1400;
		inject(t, (struct inject){.flags = ACK,
			      .seq = 1 + at,
			      .ack = 1,
			      .wnd = 1000,
			      .data = blob + at,
			      .len = len});
		r = ns_tcp_recv(&t->c->tcp, got + n, sizeof got - n, 0);
		if (r > 0)
			n += (uint32_t)r;
		t->nout = t->seen = 0;
	}
	assert_memory_equal(got, blob, n);
}

/* ---- loss recovery ---- */

TEST(fast_retransmit_by_sack)
{
	uint64_t sent;

	open_active(t, sack_only);
	SEND(t, 14600, 0);
	for (uint32_t i = 0; i < 10; i++)
		sent = expect(t, ACK, 1 + 1460 * i, 1460)->at;
	pass(t, 10 * MS);
	/* The first is missing; three later ones arrive. */
	for (uint32_t i = 1; i <= 3; i++) {
		inject(t, (struct inject){.flags = ACK,
			      .seq = 1,
			      .ack = 1,
			      .wnd = 65535,
			      .nsack = 1,
			      .sack = {{1461, 1461 + 1460 * i}}});
	}
	{
		struct segment *g = expect(t, ACK, 1, 1460);

		assert_true(g->at - sent < 50 * MS);
	}
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 14601, .wnd = 65535});
	assert_int_equal(ns_tcp_unacked(&t->c->tcp), 0);
	assert_int_equal(t->c->tcp.total_retrans, 1);
}

TEST(fast_retransmit_newreno)
{
	open_active(t, plain);
	SEND(t, 14600, 0);
	for (uint32_t i = 0; i < 10; i++)
		expect(t, ACK, 1 + 1460 * i, 1460);
	for (int i = 0; i < 2; i++)
		inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 65535});
	expect_none(t);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 65535});
	expect(t, ACK, 1, 1460);
	/* Partial acknowledgement: the next hole goes out at once. */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 4381, .wnd = 65535});
	expect(t, ACK, 4381, 1460);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 14601, .wnd = 65535});
	expect_none(t);
}

TEST(rto_doubles_and_gives_up)
{
	uint64_t last = 0, gap = 0;
	unsigned n = 0;
	struct segment *g;

	open_active(t, plain);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_NODELAY, 1);
	SEND(t, 100, 0);
	last = expect(t, ACK, 1, 100)->at;
	pass(t, 1200 * SEC);
	while ((g = next_out(t))) {
		if (gap && g->at - last < 120 * SEC)
			assert_in_range((g->at - last) * 100 / gap, 190, 210);
		gap = g->at - last;
		if (!n)
			assert_in_range(
			    gap, 200 * MS, 240 * MS); /* 10 ms round trip: the minimum */
		last = g->at;
		n++;
	}
	assert_int_equal(n, 15);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 110);
}

TEST(tail_loss_probe)
{
	struct segment *g;
	uint64_t sent;

	open_active(t, modern);
	SEND(t, 4344, 0);
	for (uint32_t i = 0; i < 3; i++)
		sent = expect(t, ACK, 1 + 1448 * i, 1448)->at;
	pass(t, 60 * MS);
	g = expect(t, ACK, 2897, 1448); /* the last one, after two round trips */
	assert_in_range(g->at - sent, 18 * MS, 40 * MS);
	/* The probe shows that the first two are missing: recovered without timeout. */
	inject(t,
	    (struct inject){
		.flags = ACK, .seq = 1, .ack = 1, .wnd = 512, .nsack = 1, .sack = {{2897, 4345}}});
	pass(t, 20 * MS);
	expect(t, ACK, 1, 1448);
	pass(t, 10 * MS);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 4345, .wnd = 512});
	assert_int_equal(ns_tcp_unacked(&t->c->tcp), 0);
}

TEST(sack_reneging)
{
	open_active(t, sack_only);
	SEND(t, 14600, 0);
	for (uint32_t i = 0; i < 10; i++)
		expect(t, ACK, 1 + 1460 * i, 1460);
	inject(t, (struct inject){.flags = ACK,
		      .seq = 1,
		      .ack = 1,
		      .wnd = 65535,
		      .nsack = 1,
		      .sack = {{1461, 14601}}});
	expect(t, ACK, 1, 1460);
	/* It acknowledges the hole only: the rest has been thrown away. */
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1461, .wnd = 65535});
	skip_out(t);
	for (int i = 0; i < 40 && ns_tcp_unacked(&t->c->tcp); i++) {
		struct segment *g;
		uint32_t ack = 0;

		pass(t, 500 * MS);
		while ((g = next_out(t)))
			if (g->seq + g->len > ack)
				ack = g->seq + g->len;
		if (ack)
			inject(
			    t, (struct inject){.flags = ACK, .seq = 1, .ack = ack, .wnd = 65535});
	}
	assert_int_equal(ns_tcp_unacked(&t->c->tcp), 0);
}

TEST(spurious_timeout_is_undone)
{
	uint32_t before;

	open_active(t, modern);
	SEND(t, 14480, 0);
	skip_out(t);
	before = t->c->tcp.cwnd;
	t->ts_override = true;
	t->ts_peer = 5000;
	{
		uint32_t original = t->ts_last;

		pass(t, 400 * MS); /* probe, then timeout */
		assert_true(t->c->tcp.cwnd < before);
		/* The acknowledgement echoes the original transmission: it was only late. */
		t->ts_last = original;
		inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 14481, .wnd = 512});
	}
	assert_true(t->c->tcp.cwnd >= before);
}

/* ---- closing ---- */

TEST(close_with_unread_data_resets)
{
	open_passive(t, plain);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 1, .wnd = 100, .data = "unread", .len = 6});
	skip_out(t);
	hs_close(t->c);
	expect(t, RST | ACK, 1, 0);
	pass(t, 0);
	assert_int_equal(t->s.nconns, 0);
}

TEST(data_after_close_resets)
{
	open_passive(t, plain);
	skip_out(t);
	hs_close(t->c);
	expect(t, FIN | ACK, 1, 0);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 2, .wnd = 100, .data = "late", .len = 4});
	assert_int_equal(next_out(t)->flags & RST, RST);
	pass(t, 0);
	assert_int_equal(t->s.nconns, 0);
}

TEST(abort_resets)
{
	open_active(t, plain);
	SEND(t, 100, 0);
	skip_out(t);
	hs_abort(t->c);
	expect(t, RST | ACK, 101, 0);
	pass(t, 0);
	assert_int_equal(t->s.nconns, 0);
}

TEST(orphan_fin_wait2_times_out)
{
	open_active(t, plain);
	hs_close(t->c);
	expect(t, FIN | ACK, 1, 0);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 2, .wnd = 100});
	assert_int_equal(STATE(t), NS_TCP_FIN_WAIT2);
	pass(t, 59 * SEC);
	assert_int_equal(t->s.nconns, 1);
	pass(t, 2 * SEC);
	assert_int_equal(t->s.nconns, 0);
}

TEST(time_wait_reuse)
{
	struct hs_conn *old;

	open_passive(t, modern);
	old = t->c;
	skip_out(t);
	ns_tcp_shutdown(&t->c->tcp, NS_SHUT_WR);
	inject(t, (struct inject){.flags = FIN | ACK, .seq = 1, .ack = 2, .wnd = 100});
	assert_int_equal(STATE(t), NS_TCP_TIME_WAIT);
	skip_out(t);
	/* An old duplicate SYN does not open anything. */
	t->ts_override = true;
	t->ts_peer = 500;
	inject(t, (struct inject){.flags = SYN, .seq = 0u - 5000, .wnd = 100, .mss = 1460});
	assert_int_equal(ns_tcp_get_state(&old->tcp), NS_TCP_TIME_WAIT);
	skip_out(t);
	/* A new one does, on the same ports. */
	t->ts_peer = 90000;
	inject(t, (struct inject){.flags = SYN,
		      .seq = 200000,
		      .wnd = 100,
		      .mss = 1460,
		      .sack_ok = true,
		      .wscale = 7});
	assert_int_equal(ns_tcp_get_state(&old->tcp), NS_TCP_CLOSED);
	assert_int_equal(next_out(t)->flags, SYN | ACK);
}

/* The embedder keeps 200 bytes instead of the connection. */
TEST(compact_time_wait)
{
	struct ns_tcp_tw tw;
	struct ns_flow flow;
	struct ns_pkt *p;

	open_active(t, plain);
	ns_tcp_shutdown(&t->c->tcp, NS_SHUT_WR);
	inject(t, (struct inject){.flags = FIN | ACK, .seq = 1, .ack = 2, .wnd = 100});
	assert_int_equal(STATE(t), NS_TCP_TIME_WAIT);
	ns_tcp_tw_from(&tw, &t->c->tcp);
	assert_true(tw.expires_ns > t->now + 59 * SEC);
	hs_abort(t->c);
	hs_poll(&t->s);
	assert_int_equal(t->s.nconns, 0);
	skip_out(t);
	/* Their FIN again: acknowledged, wait restarted. */
	pass(t, 10 * SEC);
	p = make_segment(t, (struct inject){.flags = FIN | ACK, .seq = 1, .ack = 2, .wnd = 100});
	assert_int_equal(ns_classify(p, &flow), NS_CLASS_TCP);
	assert_int_equal(ns_tcp_tw_input(&tw, p), NS_TCP_OK);
	assert_int_equal(expect(t, ACK, 2, 0)->ack, 2);
	assert_int_equal(tw.expires_ns, t->now + 60 * SEC);
	/* A bare acknowledgement or reset: silence. */
	p = make_segment(t, (struct inject){.flags = ACK, .seq = 2, .ack = 2, .wnd = 100});
	ns_classify(p, &flow);
	assert_int_equal(ns_tcp_tw_input(&tw, p), NS_TCP_OK);
	p = make_segment(t, (struct inject){.flags = RST, .seq = 2});
	ns_classify(p, &flow);
	assert_int_equal(ns_tcp_tw_input(&tw, p), NS_TCP_OK);
	expect_none(t);
	/* A later SYN may reuse the ports: the packet comes back whole. */
	p = make_segment(t, (struct inject){.flags = SYN, .seq = 100, .wnd = 100, .mss = 1000});
	ns_classify(p, &flow);
	assert_int_equal(ns_tcp_tw_input(&tw, p), NS_TCP_REUSE);
	assert_int_equal(ns_classify(p, &flow), NS_CLASS_TCP); /* as fresh from the wire */
	ns_input_slow(t->s.ns, p, &flow, NS_CLASS_TCP);
	assert_int_equal(next_out(t)->flags, RST | ACK); /* nobody listens */
}

/* ---- options ---- */

TEST(keepalive)
{
	open_active(t, plain);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_KEEPIDLE, 100);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_KEEPINTVL, 10);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_KEEPCNT, 3);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_KEEPALIVE, 1);
	pass(t, 101 * SEC);
	expect(t, ACK, 0, 0);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 1000});
	pass(t, 95 * SEC);
	expect_none(t);
	pass(t, 100 * SEC);
	expect(t, ACK, 0, 0);
	expect(t, ACK, 0, 0);
	expect(t, ACK, 0, 0);
	assert_int_equal(next_out(t)->flags & RST, RST);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 110);
}

TEST(user_timeout)
{
	open_active(t, plain);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_USER_TIMEOUT, 3000);
	SEND(t, 100, 0);
	pass(t, 2500 * MS);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
	pass(t, 5 * SEC);
	assert_int_equal(STATE(t), NS_TCP_CLOSED);
	assert_int_equal(ns_tcp_take_error(&t->c->tcp), 110);
}

TEST(urgent_data)
{
	char buf[20], oob;

	open_passive(t, plain);
	skip_out(t);
	inject(t, (struct inject){.flags = ACK | URG | PSH,
		      .seq = 1,
		      .ack = 1,
		      .wnd = 60000,
		      .data = "abcXdef",
		      .len = 7,
		      .urg = 4});
	assert_true(t->events & NS_EV_URGENT);
	assert_int_equal(ns_tcp_recv(&t->c->tcp, &oob, 1, NS_MSG_OOB), 1);
	assert_int_equal(oob, 'X');
	assert_int_equal(ns_tcp_recv(&t->c->tcp, &oob, 1, NS_MSG_OOB), -22);
	assert_false(ns_tcp_at_mark(&t->c->tcp));
	assert_int_equal(read_some(t, buf, 20), 3); /* stops at the mark */
	assert_true(ns_tcp_at_mark(&t->c->tcp));
	assert_int_equal(read_some(t, buf, 20), 3);
	assert_memory_equal(buf, "def", 3);
	/* Ours. */
	skip_out(t);
	SEND(t, 5, NS_MSG_OOB);
	{
		struct segment *g = expect(t, ACK | URG, 1, 5);

		assert_int_equal(g->urg, 5);
	}
}

TEST(ecn)
{
	struct segment *g;

	assert_int_equal(hs_listen(&t->s, &t->l, 80), 0);
	ns_tcp_unlisten(t->s.ns, &t->l.l, false);
	t->c = hs_conn_new(&t->s);
	ns_tcp_setopt(&t->c->tcp, NS_OPT_ECN, 1);
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	expect(t, SYN | ECE | CWR, 0, 0);
	inject(t, (struct inject){.flags = SYN | ACK | ECE, .ack = 1, .wnd = 65535, .mss = 1460});
	skip_out(t);
	SEND(t, 1460 * 4, 0);
	g = expect(t, ACK, 1, 1460);
	assert_int_equal(g->tos & 3, 2);
	skip_out(t);
	/* A mark on received data is echoed until the peer confirms. */
	inject(t,
	    (struct inject){
		.flags = ACK, .seq = 1, .ack = 1, .wnd = 65535, .data = "x", .len = 1, .tos = 3});
	g = next_out(t);
	assert_non_null(g);
	assert_true(g->flags & ECE);
	inject(t, (struct inject){.flags = ACK | CWR,
		      .seq = 2,
		      .ack = 1,
		      .wnd = 65535,
		      .data = "x",
		      .len = 1,
		      .tos = 2});
	pass(t, 50 * MS);
	while ((g = next_out(t)))
		assert_false(g->seq == 1 && g->len == 0 && g->ack == 3 && (g->flags & ECE));
	/* An echo for our data halves the window once and is confirmed on the next new data. */
	{
		uint32_t before = t->c->tcp.cwnd;

		inject(t, (struct inject){
			      .flags = ACK | ECE, .seq = 3, .ack = 1 + 1460 * 4, .wnd = 65535});
		assert_true(t->c->tcp.ssthresh < before);
	}
	skip_out(t);
	SEND(t, 100, 0);
	g = next_out(t);
	assert_true(g->flags & CWR);
}

TEST(small_peer_mss)
{
	struct handshake h = {.mss = 1};

	open_active(t, h);
	SEND(t, 500, 0);
	assert_true(next_out(t)->len >= 48);
}

TEST(receive_buffer_is_bounded)
{
	uint32_t seq = 100001;
	long before;

	open_passive(t, sack_only);
	before = t->s.live_pkts;
	/* One-byte segments out of order, each in its own buffer, all over the window. */
	for (int i = 0; i < 20000; i++) {
		seq = 2 + 2 * (uint32_t)(i * 7919 % 30000);
		inject(
		    t, (struct inject){
			   .flags = ACK, .seq = seq, .ack = 1, .wnd = 1000, .data = "x", .len = 1});
		t->nout = t->seen = 0;
	}
	assert_true(t->c->tcp.ooo_mem <= 4 * t->c->tcp.rcvbuf);
	assert_true(t->s.live_pkts - before < 4000);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
}

TEST(defer_accept)
{
	t->l.l.defer_accept_s = 10;
	t->l.user = t;
	assert_int_equal(hs_listen(&t->s, &t->l, 80), 0);
	t->lport = 80;
	t->rport = 40000;
	inject(t, (struct inject){.flags = SYN, .wnd = 65535, .mss = 1460});
	expect(t, SYN | ACK, 0, 0);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = 1000});
	assert_int_equal(t->s.nconns, 0);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 1, .wnd = 1000, .data = "GET", .len = 3});
	assert_int_equal(t->s.nconns, 1);
}

TEST(peek_and_discard)
{
	char buf[10] = "";

	open_passive(t, plain);
	inject(t, (struct inject){
		      .flags = ACK, .seq = 1, .ack = 1, .wnd = 100, .data = "abcdef", .len = 6});
	assert_int_equal(ns_tcp_recv(&t->c->tcp, buf, 4, NS_MSG_PEEK), 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(ns_tcp_recv(&t->c->tcp, NULL, 2, NS_MSG_TRUNC), 2);
	assert_int_equal(read_some(t, buf, 10), 4);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(read_some(t, buf, 10), -11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(active_open_and_close), T(simultaneous_open),
	    T(simultaneous_close), T(half_close), T(syn_retransmission), T(refused), T(delayed_ack),
	    T(nagle_cork_and_more), T(zero_window), T(our_zero_window_opens),
	    T(out_of_order_and_sack), T(overlapping_segments), T(fast_retransmit_by_sack),
	    T(fast_retransmit_newreno), T(rto_doubles_and_gives_up), T(tail_loss_probe),
	    T(sack_reneging), T(spurious_timeout_is_undone), T(close_with_unread_data_resets),
	    T(data_after_close_resets), T(abort_resets), T(orphan_fin_wait2_times_out),
	    T(time_wait_reuse), T(compact_time_wait), T(keepalive), T(user_timeout), T(urgent_data),
	    T(ecn), T(small_peer_mss), T(receive_buffer_is_bounded), T(defer_accept),
	    T(peek_and_discard)};

	fill_blob();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
