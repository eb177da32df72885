/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target of the TCP/IP engine. NS_FUZZ in the environment selects what the input is:
 *
 *	packets	 frames and IP packets as they come from a wire, times between them
 *	tcp	 segments of an established connection, their fields relative to its state, mixed
 *		 with what an application does and with time; invariants checked after each step
 *	dhcp	 answers to the DHCP client
 */
#include <netstack/dhcp.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hoststack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct hs_stack s; /* first */
	uint64_t now;
	const uint8_t *p;
	size_t left;
	struct hs_conn *c;
	uint32_t sent_seq, sent_ts; /* last segment seen from the engine */
	bool sent_any;
	uint32_t budget;
};

static uint64_t fuzz_clock(struct hs_stack *s)
{
	return ((struct fuzz *)s)->now;
}

static uint8_t byte(struct fuzz *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->p++;
}

static uint32_t number(struct fuzz *f, int bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | byte(f);
	return v;
}

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

static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void run_for(struct fuzz *f, uint64_t ns)
{
	uint64_t end = f->now + ns;

	for (int i = 0; i < 200; i++) {
		uint64_t next = hs_poll(&f->s);

		if (!next || next > end)
			break;
		if (next > f->now)
			f->now = next;
	}
	f->now = end;
	hs_poll(&f->s);
}

/* What the engine sends: headers must be sane, frames within the MTU. */
static void fuzz_xmit(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt)
{
	struct fuzz *f = (struct fuzz *)s;
	uint8_t b[1600];
	uint32_t n = ns_pkt_copy_out(pkt, 0, b, sizeof b);
	const uint8_t *ip = ifindex == 2 ? b + 14 : b;

	assert(pkt->tot_len <= 1514);
	assert(!(pkt->flags & NS_PKT_CSUM_PARTIAL));
	if (ip + 40 <= b + n && ip[0] == 0x45 && ip[9] == 6) {
		f->sent_seq = (uint32_t)ip[24] << 24 | (uint32_t)ip[25] << 16 |
			      (uint32_t)ip[26] << 8 | ip[27];
		f->sent_any = true;
	}
	ns_pkt_put(pkt);
}

static void udp_recv(struct ns_udp *u, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	(void)u;
	(void)flow;
	ns_pkt_put(pkt);
}

static void start(struct fuzz *f, const uint8_t *data, size_t size)
{
	static const struct ns_config small = {
	    .max_neighbours = 8, .max_routes = 16, .reasm_datagrams = 4};
	uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct ns_addr v4 = ns_ip4(10, 0, 0, 1), tun = ns_ip4(10, 0, 1, 1);

	memset(f, 0, sizeof *f);
	f->p = data;
	f->left = size;
	f->now = 1000000000000ull;
	f->s.clock = fuzz_clock;
	f->s.xmit = fuzz_xmit;
	if (hs_init(&f->s, &small, 42))
		abort();
	if (ns_if_add(f->s.ns, "eth0", mac, 1500, NS_IF_UP) != 2 ||
	    ns_if_add(f->s.ns, "tun0", NULL, 1500, NS_IF_UP | NS_IF_RAW) != 3)
		abort();
	ns_if_addr_add(f->s.ns, 2, &v4, 24, NS_ORIGIN_STATIC);
	ns_if_addr_add(f->s.ns, 3, &tun, 24, NS_ORIGIN_STATIC);
}

static void finish(struct fuzz *f)
{
	hs_free(&f->s);
	assert(f->s.live_pkts == 0 && f->s.live_mem == 0);
}

/* ---- packets ---- */

/* Header checksums are seldom right by chance; repair them on request. */
static void repair(uint8_t *ip, size_t n)
{
	size_t h = n >= 20 ? (size_t)(ip[0] & 15) * 4 : 0;

	if (n >= 20 && ip[0] >> 4 == 4 && h >= 20 && h <= n) {
		put16(ip + 10, 0);
		put16(ip + 10, checksum(ip, h));
	}
}

static void packets(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct hs_listener l = {0};
	struct ns_udp u = {.on_recv = udp_recv};

	start(&f, data, size);
	l.max_conns = 50;
	l.l.bind.v6 = true;
	l.l.backlog = 3;
	u.bind.v6 = true;
	if (hs_listen(&f.s, &l, 80) || ns_udp_bind(f.s.ns, &u, 53))
		abort();
	while (f.left) {
		uint8_t how = byte(&f);
		size_t n = number(&f, 2) % 1700;
		uint8_t buf[1700];
		struct ns_pkt *p;

		if (n > f.left)
			n = f.left;
		memcpy(buf, f.p, n);
		f.p += n;
		f.left -= n;
		if (how & 1)
			repair(how & 2 ? buf : buf + (n < 14 ? n : 14), how & 2	 ? n
									: n < 14 ? 0
										 : n - 14);
		p = hs_pkt_from(&f.s, buf, n);
		if (!p)
			break;
		if (how & 2)
			p->flags |= NS_PKT_NO_ETH;
		if (how & 4)
			p->flags |= NS_PKT_CSUM_OK;
		hs_input(&f.s, how & 2 ? 3 : 2, p);
		run_for(&f, how & 8 ? (uint64_t)(how >> 4) * 500000000 : 0);
	}
	ns_udp_close(f.s.ns, &u);
	ns_tcp_unlisten(f.s.ns, &l.l, false);
	finish(&f);
}

/* ---- tcp ---- */

static void check_connection(const struct ns_tcp *c)
{
	uint32_t at = c->snd_una, sacked = 0, lost = 0, again = 0, bytes = 0, mem = 0, ooo = 0,
		 prev;

	for (const struct ns_txrec *r = c->tx_head; r; r = r->next) {
		uint32_t n = r->end - r->seq;

		assert(r->seq == at && n);
		at = r->end;
		sacked += r->sacked ? n : 0;
		lost += r->lost ? n : 0;
		again += r->retrans ? n : 0;
		assert(!(r->sacked && (r->lost || r->retrans)));
		assert(!r->next || r->next->prev == r);
	}
	if (c->tx_head)
		assert(at == c->snd_nxt);
	assert(sacked == c->sacked_bytes && lost == c->lost_bytes && again == c->retrans_bytes);
	for (const struct ns_txrec *r = c->tt_head; r; r = r->tnext)
		assert(r->on_time_list && (!r->tnext || r->tnext->sent_ns >= r->sent_ns));
	at = c->copied_seq;
	for (const struct ns_pkt *p = c->rq_head; p; p = p->next) {
		assert(p->seq == at && p->end_seq - p->seq == p->tot_len && p->tot_len);
		at = p->end_seq;
		bytes += p->tot_len;
		mem += p->block;
	}
	assert(bytes == c->rq_bytes && mem == c->rq_mem);
	mem = 0;
	prev = c->rcv_nxt;
	for (const struct ns_pkt *p = c->ooo_head; p; p = p->next) {
		assert((int32_t)(p->seq - prev) >= (p == c->ooo_head ? 1 : 0));
		assert(p->end_seq - p->seq == p->tot_len);
		prev = p->end_seq;
		mem += p->block;
		ooo++;
	}
	assert(mem == c->ooo_mem && ooo == c->ooo_count);
	assert(c->cwnd >= c->mss || c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_CLOSED);
	/* Memory stays within a small multiple of the buffer whatever is sent. */
	assert(c->rq_mem + c->ooo_mem <= 4u * c->rcvbuf + 131072);
}

static uint32_t near(struct fuzz *f, uint32_t base)
{
	switch (byte(f) & 7) {
	case 0:
	case 1:
	case 2:
		return base;
	case 3:
		return base + byte(f);
	case 4:
		return base - byte(f);
	case 5:
		return base + number(f, 2);
	case 6:
		return base - number(f, 2);
	default:
		return number(f, 4);
	}
}

static uint8_t *add_option(struct fuzz *f, const struct ns_tcp *c, uint8_t *o, uint8_t kind)
{
	switch (kind & 3) {
	case 0:
		memcpy(o, (uint8_t[4]){1, 1, 8, 10}, 4);
		put32(o + 4, near(f, c->ts_recent));
		put32(o + 8, near(f, (uint32_t)(f->now / 1000000) + c->ts_offset));
		return o + 12;
	case 1: {
		int n = 1 + byte(f) % 2;

		memcpy(o, (uint8_t[4]){1, 1, 5, (uint8_t)(2 + 8 * n)}, 4);
		o += 4;
		for (; n; n--, o += 8) {
			uint32_t s = c->snd_una + number(f, 2) % (c->snd_nxt - c->snd_una + 3);

			put32(o, s);
			put32(o + 4, near(f, s + 1 + byte(f)));
		}
		return o;
	}
	case 2:
		put32(o, number(f, 4));
		return o + 4;
	default:
		return o;
	}
}

static void segment(struct fuzz *f, struct ns_flow *flow)
{
	const struct ns_tcp *c = &f->c->tcp;
	uint8_t b[3000] = {0x45}, *h = b + 20, *o = h + 20;
	uint8_t how = byte(f);
	uint32_t len = how & 1 ? number(f, 2) % 1400 : 0, n;
	struct ns_pkt *p;

	put16(h, flow->rport);
	put16(h + 2, flow->lport);
	put32(h + 4, near(f, c->rcv_nxt));
	put32(h + 8, how & 2 ? near(f, c->snd_nxt) : near(f, c->snd_una));
	h[13] = how & 4 ? byte(f) : 0x10;
	put16(h + 14, how & 8 ? number(f, 2) : 60000);
	put16(h + 18, how & 4 ? byte(f) : 0);
	if (c->ts_ok && !(how & 16))
		o = add_option(f, c, o, 0);
	if (how & 32)
		o = add_option(f, c, o, byte(f));
	if (o - h > 60)
		o = h + 60;
	h[12] = (uint8_t)((o - h) / 4 << 4);
	n = (uint32_t)(o - b) + len;
	put16(b + 2, n);
	b[1] = how & 64 ? 3 : 0;
	b[8] = 64;
	b[9] = 6;
	memcpy(b + 12, flow->remote.b + 12, 4);
	memcpy(b + 16, flow->local.b + 12, 4);
	put16(b + 10, checksum(b, 20));
	p = hs_pkt_from(&f->s, b, n);
	if (!p)
		return;
	p->flags |= NS_PKT_NO_ETH | NS_PKT_CSUM_OK;
	hs_input(&f->s, 3, p);
}

static bool establish(struct fuzz *f, struct ns_flow *flow, uint8_t opts)
{
	uint8_t b[80] = {0x45}, *h = b + 20, *o = h + 20;
	struct ns_addr to = ns_ip4(10, 0, 1, 2);
	struct ns_pkt *p;

	f->c = hs_conn_new(&f->s);
	if (!f->c || hs_conn_open(f->c, &to, 80, 0))
		return false;
	*flow = f->c->tcp.flow;
	put16(h, 80);
	put16(h + 2, flow->lport);
	put32(h + 4, 0xfffffff0);
	put32(h + 8, f->c->tcp.iss + 1);
	h[13] = 0x12;
	put16(h + 14, 60000);
	memcpy(o, (uint8_t[4]){2, 4, 5, 0xb4}, 4);
	o += 4;
	if (opts & 1) {
		memcpy(o, (uint8_t[4]){1, 1, 4, 2}, 4);
		o += 4;
	}
	if (opts & 2) {
		memcpy(o, (uint8_t[12]){1, 1, 8, 10, 0, 0, 0, 9}, 12);
		put32(o + 8, (uint32_t)(f->now / 1000000) + f->c->tcp.ts_offset);
		o += 12;
	}
	if (opts & 4) {
		memcpy(o, (uint8_t[4]){1, 3, 3, 4}, 4);
		o += 4;
	}
	h[12] = (uint8_t)((o - h) / 4 << 4);
	put16(b + 2, (uint32_t)(o - b));
	b[8] = 64;
	b[9] = 6;
	memcpy(b + 12, to.b + 12, 4);
	memcpy(b + 16, flow->local.b + 12, 4);
	put16(b + 10, checksum(b, 20));
	p = hs_pkt_from(&f->s, b, (size_t)(o - b));
	p->flags |= NS_PKT_NO_ETH | NS_PKT_CSUM_OK;
	hs_input(&f->s, 3, p);
	hs_poll(&f->s);
	return ns_tcp_get_state(&f->c->tcp) == NS_TCP_ESTABLISHED;
}

static void application(struct fuzz *f, uint8_t what)
{
	static uint8_t buf[65536];
	struct ns_icmp_error e;

	switch (what % 10) {
	case 0:
	case 1:
		ns_tcp_send(&f->c->tcp, buf, number(f, 2), byte(f) & 1 ? NS_MSG_OOB : 0);
		break;
	case 2:
	case 3:
		ns_tcp_recv(&f->c->tcp, buf, number(f, 2), 0);
		break;
	case 4:
		ns_tcp_shutdown(&f->c->tcp, byte(f) & 3);
		break;
	case 5:
		ns_tcp_setopt(
		    &f->c->tcp, (enum ns_tcp_opt)(byte(f) % (NS_OPT_ECN + 1)), (int8_t)byte(f));
		break;
	case 6:
		e = (struct ns_icmp_error){.kind = (enum ns_icmp_kind)(byte(f) % 8),
		    .mtu = number(f, 2) | 552,
		    .err = 113,
		    .tcp_seq = near(f, f->c->tcp.snd_una)};
		ns_tcp_icmp(&f->c->tcp, &e);
		break;
	case 7:
		ns_tcp_recv(&f->c->tcp, buf, 100,
		    (byte(f) & 1 ? NS_MSG_OOB : 0) | (byte(f) & 1 ? NS_MSG_PEEK : 0));
		break;
	case 8: {
		int64_t n;
		struct ns_pkt *p = ns_tcp_recv_pkt(&f->c->tcp, &n);

		ns_pkt_put(p);
		break;
	}
	default:
		ns_tcp_set_congestion(&f->c->tcp, byte(f) & 1 ? "reno" : "cubic");
		break;
	}
}

static void tcp(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct ns_flow flow;

	start(&f, data, size);
	if (establish(&f, &flow, byte(&f))) {
		while (f.left && !f.c->closed) {
			uint8_t what = byte(&f);

			if (what < 160)
				segment(&f, &flow);
			else if (what < 220)
				application(&f, what);
			else
				run_for(&f, (uint64_t)(what - 219) * 20000000);
			check_connection(&f.c->tcp);
			hs_poll(&f.s);
			check_connection(&f.c->tcp);
		}
	}
	finish(&f);
}

/* ---- dhcp ---- */

static void dhcp_send(void *arg, uint32_t src, uint32_t dst, const uint8_t *data, size_t n)
{
	(void)src;
	(void)dst;
	assert(n <= 548);
	memcpy(arg, data + 4, 4); /* transaction number */
}

static uint32_t dhcp_random(void *arg)
{
	(void)arg;
	return 0x1234;
}

static void dhcp(const uint8_t *data, size_t size)
{
	uint8_t xid[4] = {0}, mac[6] = {2};
	struct ns_dhcp d;
	uint64_t now = 1000000000;

	ns_dhcp_init(&d, mac, "fuzz", dhcp_send, dhcp_random, xid);
	ns_dhcp_start(&d, now);
	while (size > 3) {
		size_t n = (size_t)(data[0] << 8 | data[1]) % 600;
		uint8_t m[900] = {2, 1, 6};

		now += data[2] * 1000000000ull;
		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		memcpy(m + 4, xid, 4);
		memcpy(m + 28, mac, 6);
		memcpy(m + 236, (uint8_t[4]){0x63, 0x82, 0x53, 0x63}, 4);
		m[16] = 10;
		memcpy(m + 240, data, n);
		ns_dhcp_input(&d, m, 240 + n, now);
		ns_dhcp_timer(&d, now);
		assert(strlen(d.lease.hostname) < sizeof d.lease.hostname);
		assert(d.lease.nroutes <= NS_DHCP_MAX_ROUTES && d.lease.ndns <= NS_DHCP_MAX_DNS);
		data += n;
		size -= n;
	}
	ns_dhcp_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *mode;

	if (!mode)
		mode = getenv("NS_FUZZ") ? getenv("NS_FUZZ") : "packets";
	if (!strcmp(mode, "tcp"))
		tcp(data, size);
	else if (!strcmp(mode, "dhcp"))
		dhcp(data, size);
	else
		packets(data, size);
	return 0;
}
