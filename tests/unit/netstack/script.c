/* SPDX-License-Identifier: BSD-3-Clause */
/* Scripted peer: see script.h. */
#include "script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint16_t checksum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | (i + 1 < n ? p[i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t pseudo(const uint8_t *ip, uint32_t len)
{
	uint32_t sum = 6 + len;

	for (int i = 12; i < 20; i += 2)
		sum += get16(ip + i);
	return sum;
}

static uint64_t script_clock(struct hs_stack *s)
{
	return ((struct script *)s)->now;
}

static void parse_options(struct script *t, struct segment *g, const uint8_t *o, uint32_t n)
{
	g->wscale = -1;
	while (n && *o) {
		uint8_t len = *o == 1 ? 1 : o[1];

		assert_true(len && len <= n);
		if (*o == 2)
			g->mss = get16(o + 2);
		if (*o == 3)
			g->wscale = o[2];
		if (*o == 4)
			g->sack_ok = true;
		if (*o == 5)
			for (int i = 2; i < len; i += 8) {
				g->sack[g->nsack].start = get32(o + i) - t->irs;
				g->sack[g->nsack++].end = get32(o + i + 4) - t->irs;
			}
		if (*o == 8) {
			g->ts = true;
			g->tsval = get32(o + 2);
			g->tsecr = get32(o + 6);
		}
		o += len;
		n -= len;
	}
}

static void script_xmit(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt)
{
	struct script *t = (struct script *)s;
	uint8_t b[3000];
	uint32_t n = ns_pkt_copy_out(pkt, 0, b, sizeof b), hlen;
	struct segment *g = &t->out[t->nout];
	const uint8_t *h = b + 20;

	(void)ifindex;
	ns_pkt_put(pkt);
	assert_true(n >= 20 && n <= t->mtu);
	assert_int_equal(checksum(b, (b[0] & 15) * 4u, 0), 0);
	assert_int_equal(get16(b + 2), n);
	if (b[9] != 6 || (t->lport && get16(h) != t->lport)) {
		t->foreign++;
		memcpy(t->last_foreign, b, n < sizeof t->last_foreign ? n : sizeof t->last_foreign);
		t->last_foreign_len = n;
		return;
	}
	assert_int_equal(checksum(h, n - 20, pseudo(b, n - 20)), 0);
	assert_true(t->nout < sizeof t->out / sizeof *t->out);
	memset(g, 0, sizeof *g);
	hlen = (h[12] >> 4) * 4u;
	g->flags = h[13];
	if ((g->flags & SYN) && !t->iss_known) {
		t->iss = get32(h + 4);
		t->iss_known = true;
		t->lport = get16(h);
		t->rport = get16(h + 2);
	}
	g->seq = get32(h + 4) - t->iss;
	g->ack = get32(h + 8) - t->irs;
	g->wnd = get16(h + 14);
	g->urg = get16(h + 18);
	g->tos = b[1];
	g->len = n - 20 - hlen;
	memcpy(g->data, h + hlen, g->len);
	parse_options(t, g, h + 20, hlen - 20);
	if (g->ts)
		t->ts_last = g->tsval;
	g->at = t->now - t->start;
	t->nout++;
}

void script_init(struct script *t, uint64_t seed)
{
	struct ns_config cfg = {.no_slaac = true};
	int r;

	memset(t, 0, sizeof *t);
	t->mtu = 1500;
	t->now = t->start = 5000000000000ull + seed * 1000000;
	t->irs = 0xfffffe00u + (uint32_t)seed; /* wraps during the test */
	t->us = ns_ip4(10, 0, 0, 1);
	t->them = ns_ip4(10, 0, 0, 2);
	t->s.clock = script_clock;
	t->s.xmit = script_xmit;
	assert_int_equal(hs_init(&t->s, &cfg, seed), 0);
	r = ns_if_add(t->s.ns, "tun0", NULL, 1500, NS_IF_RAW | NS_IF_UP | NS_IF_NO_V6);
	assert_true(r > 0);
	t->ifindex = (uint32_t)r;
	assert_int_equal(ns_if_addr_add(t->s.ns, t->ifindex, &t->us, 24, NS_ORIGIN_STATIC), 0);
}

void script_free(struct script *t)
{
	hs_free(&t->s);
	assert_int_equal(t->s.live_pkts, 0);
	assert_int_equal(t->s.live_mem, 0);
}

void pass(struct script *t, uint64_t ns)
{
	uint64_t end = t->now + ns;

	for (;;) {
		uint64_t next = hs_poll(&t->s);

		if (!next || next > end)
			break;
		if (next > t->now)
			t->now = next;
	}
	t->now = end;
	hs_poll(&t->s);
}

void inject_raw(struct script *t, const void *ip, size_t n)
{
	struct ns_pkt *p = hs_pkt_from(&t->s, ip, n);

	assert_non_null(p);
	p->flags |= NS_PKT_NO_ETH;
	hs_input(&t->s, t->ifindex, p);
	hs_poll(&t->s);
}

static void ip_header(struct script *t, uint8_t *b, uint8_t proto, uint32_t n, uint8_t tos)
{
	memset(b, 0, 20);
	b[0] = 0x45;
	b[1] = tos;
	put16(b + 2, n);
	put16(b + 6, 0x4000);
	b[8] = 64;
	b[9] = proto;
	memcpy(b + 12, t->them.b + 12, 4);
	memcpy(b + 16, t->us.b + 12, 4);
	put16(b + 10, checksum(b, 20, 0));
}

struct ns_pkt *make_segment(struct script *t, struct inject i)
{
	struct ns_pkt *p;

	uint8_t b[3000] = {0}, *h = b + 20, *o = h + 20;
	uint32_t n;

	put16(h, t->rport);
	put16(h + 2, t->lport);
	put32(h + 4, i.seq + t->irs);
	put32(h + 8, i.flags & ACK ? i.ack + t->iss : 0);
	h[13] = i.flags;
	put16(h + 14, i.wnd);
	put16(h + 18, i.urg);
	if (i.mss) {
		*o++ = 2;
		*o++ = 4;
		put16(o, i.mss);
		o += 2;
	}
	if (i.wscale) {
		memcpy(o, (uint8_t[4]){1, 3, 3, (uint8_t)i.wscale}, 4);
		o += 4;
	}
	if (i.sack_ok) {
		memcpy(o, (uint8_t[4]){1, 1, 4, 2}, 4);
		o += 4;
	}
	if (t->use_ts && !i.no_ts) {
		if (!t->ts_override)
			t->ts_peer = 1000 + (uint32_t)((t->now - t->start) / MS);
		memcpy(o, (uint8_t[4]){1, 1, 8, 10}, 4);
		put32(o + 4, t->ts_peer);
		put32(o + 8, t->ts_last);
		o += 12;
	}
	if (i.nsack) {
		memcpy(o, (uint8_t[4]){1, 1, 5, (uint8_t)(2 + 8 * i.nsack)}, 4);
		o += 4;
		for (int k = 0; k < i.nsack; k++, o += 8) {
			put32(o, i.sack[k].start + t->iss);
			put32(o + 4, i.sack[k].end + t->iss);
		}
	}
	h[12] = (uint8_t)((o - h) / 4 << 4);
	if (i.data)
		memcpy(o, i.data, i.len);
	n = (uint32_t)(o - b) + i.len;
	ip_header(t, b, 6, n, i.tos);
	put16(h + 16, checksum(h, n - 20, pseudo(b, n - 20)));
	if (i.bad_csum)
		h[16] ^= 1;
	p = hs_pkt_from(&t->s, b, n);
	assert_non_null(p);
	p->flags |= NS_PKT_NO_ETH;
	p->ifindex = t->ifindex;
	return p;
}

void inject(struct script *t, struct inject i)
{
	hs_input(&t->s, t->ifindex, make_segment(t, i));
	hs_poll(&t->s);
}

void inject_icmp(struct script *t, uint8_t type, uint8_t code, uint16_t mtu, uint32_t seq)
{
	uint8_t b[56] = {0}, *q = b + 28;

	ip_header(t, b, 1, sizeof b, 0);
	b[20] = type;
	b[21] = code;
	put16(b + 26, mtu);
	q[0] = 0x45;
	put16(q + 2, 1500);
	q[8] = 60;
	q[9] = 6;
	memcpy(q + 12, t->us.b + 12, 4);
	memcpy(q + 16, t->them.b + 12, 4);
	put16(q + 20, t->lport);
	put16(q + 22, t->rport);
	put32(q + 24, seq + t->iss);
	put16(b + 22, checksum(b + 20, sizeof b - 20, 0));
	inject_raw(t, b, sizeof b);
}

struct segment *next_out(struct script *t)
{
	return t->seen < t->nout ? &t->out[t->seen++] : NULL;
}

void skip_out(struct script *t)
{
	t->seen = t->nout;
}

struct segment *expect(struct script *t, uint8_t flags, uint32_t seq, int len)
{
	struct segment *g = next_out(t);

	assert_non_null(g);
	if ((g->flags & ~PSH) != (flags & ~PSH) || g->seq != seq ||
	    (len >= 0 && g->len != (uint32_t)len))
		fprintf(stderr, "sent: flags %02x seq %u len %u ack %u; expected %02x %u %d\n",
		    g->flags, g->seq, g->len, g->ack, flags, seq, len);
	assert_int_equal(g->flags & ~PSH, flags & ~PSH);
	assert_int_equal(g->seq, seq);
	if (len >= 0)
		assert_int_equal(g->len, len);
	return g;
}

void expect_none(struct script *t)
{
	struct segment *g = next_out(t);

	if (g)
		fprintf(stderr, "unexpected: flags %02x seq %u len %u ack %u\n", g->flags, g->seq,
		    g->len, g->ack);
	assert_null(g);
}

static void note(struct hs_conn *c, uint32_t events)
{
	((struct script *)c->user)->events |= events;
}

static uint32_t window(const struct handshake *h)
{
	return h->wnd ? h->wnd : 65535;
}

void open_active(struct script *t, struct handshake h)
{
	struct segment *g;

	t->c = hs_conn_new(&t->s);
	t->c->cb = note;
	t->c->user = t;
	assert_int_equal(hs_conn_open(t->c, &t->them, 80, 0), 0);
	pass(t, 0);
	g = expect(t, SYN, 0, 0);
	assert_int_equal(g->mss, 1460);
	assert_true(g->sack_ok && g->ts && g->wscale >= 0);
	t->use_ts = h.ts;
	pass(t, 10 * MS);
	inject(t, (struct inject){.flags = SYN | ACK,
		      .ack = 1,
		      .wnd = window(&h),
		      .mss = h.mss,
		      .wscale = h.wscale,
		      .sack_ok = h.sack});
	g = expect(t, ACK, 1, 0);
	assert_int_equal(g->ack, 1);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
}

static void accepted(struct hs_listener *l, struct hs_conn *c)
{
	struct script *t = l->user;

	t->c = c;
	c->cb = note;
	c->user = t;
}

void open_passive(struct script *t, struct handshake h)
{
	if (!t->l.l.listed) {
		t->l.on_accept = accepted;
		t->l.user = t;
		assert_int_equal(hs_listen(&t->s, &t->l, 80), 0);
	}
	t->lport = 80;
	if (!t->rport)
		t->rport = 40000;
	t->use_ts = h.ts;
	inject(t,
	    (struct inject){
		.flags = SYN, .wnd = 65535, .mss = h.mss, .wscale = h.wscale, .sack_ok = h.sack});
	expect(t, SYN | ACK, 0, 0);
	pass(t, 10 * MS);
	inject(t, (struct inject){.flags = ACK, .seq = 1, .ack = 1, .wnd = window(&h)});
	assert_non_null(t->c);
	assert_int_equal(STATE(t), NS_TCP_ESTABLISHED);
}
