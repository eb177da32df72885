/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated link between two engine instances: see sim.h. */
#include "sim.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

uint64_t sim_random(struct sim *sim)
{
	uint64_t z = sim->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool chance(struct sim *sim, uint32_t ppm)
{
	return ppm && sim_random(sim) % 1000000 < ppm;
}

/* ---- event heap ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_push(struct sim *sim, struct sim_event e)
{
	size_t i;

	if (sim->nev == sim->cap) {
		sim->cap = sim->cap ? 2 * sim->cap : 256;
		sim->ev = realloc(sim->ev, sim->cap * sizeof e);
		assert_non_null(sim->ev);
	}
	e.order = sim->order++;
	i = sim->nev++;
	while (i && before(&e, &sim->ev[(i - 1) / 2])) {
		sim->ev[i] = sim->ev[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sim->ev[i] = e;
}

static struct sim_event heap_pop(struct sim *sim)
{
	struct sim_event top = sim->ev[0], last = sim->ev[--sim->nev];
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= sim->nev)
			break;
		if (k + 1 < sim->nev && before(&sim->ev[k + 1], &sim->ev[k]))
			k++;
		if (!before(&sim->ev[k], &last))
			break;
		sim->ev[i] = sim->ev[k];
		i = k;
	}
	if (sim->nev)
		sim->ev[i] = last;
	return top;
}

/* ---- the wire ---- */

static uint64_t sim_clock(struct hs_stack *s)
{
	return ((struct sim_host *)s)->sim->now;
}

static void mark_ce(uint8_t *f, size_t len)
{
	if (len > 34 && f[12] == 8 && f[13] == 0 && (f[15] & 3)) {
		uint32_t sum = 0;

		f[15] |= 3;
		f[24] = f[25] = 0;
		for (int i = 14; i < 34; i += 2)
			sum += (uint32_t)(f[i] << 8 | f[i + 1]);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16));
		f[24] = (uint8_t)(sum >> 8);
		f[25] = (uint8_t)sum;
	} else if (len > 54 && f[12] == 0x86 && (f[15] & 0x30)) {
		f[15] |= 0x30;
	}
}

static void put_on_wire(
    struct sim *sim, int from, const uint8_t *data, size_t len, const struct ns_pkt *pkt)
{
	struct sim_link *l = &sim->link[from];
	uint64_t at = sim->now;
	struct sim_event e = {.to = !from,
	    .len = len,
	    .gso_type = pkt->gso_type,
	    .gso_size = pkt->gso_size,
	    .trusted = pkt->flags & NS_PKT_CSUM_PARTIAL};

	e.data = malloc(len ? len : 1);
	assert_non_null(e.data);
	memcpy(e.data, data, len);
	if (l->bytes_per_s) {
		uint64_t cost = (uint64_t)len * 1000000000ull / l->bytes_per_s;
		uint64_t wait = sim->busy_until[from] > at ? sim->busy_until[from] - at : 0;
		uint32_t queue = l->queue_packets ? l->queue_packets : 1000;

		if (cost && wait / cost > queue) {
			sim->lost[from]++;
			free(e.data);
			return;
		}
		if (l->mark_above && cost && wait / cost > l->mark_above)
			mark_ce(e.data, len);
		sim->busy_until[from] = at + wait + cost;
		at = sim->busy_until[from];
	}
	at += l->delay_ns;
	if (l->jitter_ns)
		at += sim_random(sim) % l->jitter_ns;
	if (chance(sim, l->reorder))
		at += l->delay_ns / 2 + 1000000 + sim_random(sim) % 3000000;
	if (chance(sim, l->corrupt))
		e.data[sim_random(sim) % len] ^= (uint8_t)(1u << sim_random(sim) % 8);
	e.at = at;
	heap_push(sim, e);
}

static void sim_xmit(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt)
{
	struct sim_host *h = (struct sim_host *)s;
	struct sim *sim = h->sim;
	size_t len = pkt->tot_len;
	uint8_t *buf = malloc(len);

	(void)ifindex;
	assert_non_null(buf);
	assert_int_equal(ns_pkt_copy_out(pkt, 0, buf, (uint32_t)len), len);
	sim->sent[h->side]++;
	if (sim->filter && sim->filter(sim, h->side, buf, len)) {
		;
	} else if (chance(sim, sim->link[h->side].loss)) {
		sim->lost[h->side]++;
	} else {
		put_on_wire(sim, h->side, buf, len, pkt);
		if (chance(sim, sim->link[h->side].duplicate))
			put_on_wire(sim, h->side, buf, len, pkt);
	}
	free(buf);
	ns_pkt_put(pkt);
}

/* A frame in pieces, as a device with small buffers delivers it. */
static struct ns_pkt *scattered(struct sim *sim, struct hs_stack *s, const struct sim_event *e)
{
	uint32_t first = (uint32_t)(sim_random(sim) % (e->len + 1));
	size_t size = ns_pkt_block_size(first + 192, 4);
	struct ns_pkt *whole = hs_pkt_from(s, e->data, e->len), *p;
	uint32_t off;

	p = ns_pkt_init(malloc(size), size, 4, 8, whole->free);
	p->owner = s;
	s->live_pkts++;
	memcpy(ns_pkt_append(p, first), e->data, first);
	off = first;
	while (off < e->len) {
		uint32_t n = (uint32_t)e->len - off;

		if (p->nfrags < 3)
			n = 1 + (uint32_t)(sim_random(sim) % n);
		ns_pkt_add_frag(p, &ns_pkt_get(whole)->ref, whole->data + off, n);
		off += n;
	}
	ns_pkt_put(whole);
	return p;
}

static void deliver(struct sim *sim, struct sim_event *e)
{
	struct hs_stack *s = &sim->h[e->to].s;
	struct ns_pkt *p = sim->scatter ? scattered(sim, s, e) : hs_pkt_from(s, e->data, e->len);

	sim->delivered[e->to]++;
	if (p) {
		p->gso_type = e->gso_type;
		p->gso_size = e->gso_size;
		if (e->trusted)
			p->flags |= NS_PKT_CSUM_PARTIAL;
		hs_input(s, sim->h[e->to].ifindex, p);
	}
	free(e->data);
}

/* ---- running ---- */

void sim_init(
    struct sim *sim, uint64_t seed, const struct sim_link *link, uint32_t if_flags, uint32_t mtu)
{
	memset(sim, 0, sizeof *sim);
	sim->rng = seed * 7919 + 1;
	sim->now = 1000000000000ull + sim_random(sim) % 1000000000;
	for (int i = 0; i < 2; i++) {
		struct sim_host *h = &sim->h[i];
		uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(i + 1)};
		struct ns_config cfg = {.no_slaac = true};
		int r;

		h->sim = sim;
		h->side = i;
		sim->link[i] = *link;
		h->s.clock = sim_clock;
		h->s.xmit = sim_xmit;
		assert_int_equal(hs_init(&h->s, &cfg, seed * 31 + (uint64_t)i), 0);
		r = ns_if_add(h->s.ns, "eth0", mac, mtu, if_flags | NS_IF_UP);
		assert_true(r > 0);
		h->ifindex = (uint32_t)r;
		h->v4 = ns_ip4(10, 0, 0, (uint8_t)(i + 1));
		h->v6 = (struct ns_addr){{{0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)(i + 1)}}};
		assert_int_equal(
		    ns_if_addr_add(h->s.ns, h->ifindex, &h->v4, 24, NS_ORIGIN_STATIC), 0);
		assert_int_equal(
		    ns_if_addr_add(h->s.ns, h->ifindex, &h->v6, 64, NS_ORIGIN_STATIC), 0);
	}
}

void sim_free(struct sim *sim)
{
	while (sim->nev) {
		struct sim_event e = heap_pop(sim);

		free(e.data);
	}
	free(sim->ev);
	for (int i = 0; i < 2; i++)
		hs_free(&sim->h[i].s);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sim->h[i].s.live_pkts, 0);
		assert_int_equal(sim->h[i].s.live_mem, 0);
	}
}

bool sim_run(struct sim *sim, uint64_t max_ns, bool (*done)(struct sim *, void *), void *arg)
{
	uint64_t end = sim->now + max_ns;

	for (;;) {
		uint64_t next = 0;

		while (sim->nev && sim->ev[0].at <= sim->now) {
			struct sim_event e = heap_pop(sim);

			deliver(sim, &e);
		}
		for (int i = 0; i < 2; i++) {
			uint64_t t = hs_poll(&sim->h[i].s);

			if (t && (!next || t < next))
				next = t;
		}
		if (done && done(sim, arg))
			return true;
		if (sim->nev && (!next || sim->ev[0].at < next))
			next = sim->ev[0].at;
		if (!next || next > end) {
			sim->now = end;
			return false;
		}
		if (next > sim->now)
			sim->now = next;
	}
}

void sim_for(struct sim *sim, uint64_t ns)
{
	sim_run(sim, ns, NULL, NULL);
}

/* ---- checked streams ---- */

static uint8_t stream_byte(uint64_t seed, uint64_t i)
{
	uint64_t z = (seed + i / 8) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9ull;
	return (uint8_t)(z >> (8 * (i % 8)));
}

void sim_peer_init(
    struct sim_peer *p, uint64_t out_bytes, uint64_t out_seed, uint64_t in_bytes, uint64_t in_seed)
{
	memset(p, 0, sizeof *p);
	p->out.total = out_bytes;
	p->out.tx_seed = out_seed;
	p->in.total = in_bytes;
	p->in.rx_seed = in_seed;
}

static void pump_out(struct sim_peer *p)
{
	uint8_t buf[20000];

	while (p->out.sent < p->out.total) {
		/* Odd sizes: chunk and segment borders never agree. */
		uint64_t left = p->out.total - p->out.sent;
		size_t n = 1 + (size_t)(p->out.sent * 2654435761u >> 7) % sizeof buf;
		int64_t r;

		if (n > left)
			n = (size_t)left;
		for (size_t i = 0; i < n; i++)
			buf[i] = stream_byte(p->out.tx_seed, p->out.sent + i);
		if (p->zero_copy) {
			struct ns_pkt *pkt = hs_pkt_from(p->c->stack, buf, n);

			if (!pkt)
				return;
			r = ns_tcp_send_pkt(&p->c->tcp, pkt, 0);
			if (r < 0)
				ns_pkt_put(pkt);
		} else {
			r = ns_tcp_send(&p->c->tcp, buf, n, 0);
		}
		if (r <= 0) {
			if (r < 0 && r != -11 && r != -105)
				p->error = (int)-r;
			return;
		}
		p->out.sent += (uint64_t)r;
	}
	if (!p->shut) {
		p->shut = true;
		ns_tcp_shutdown(&p->c->tcp, NS_SHUT_WR);
	}
}

static void check(struct sim_peer *p, const uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != stream_byte(p->in.rx_seed, p->in.received + i))
			p->in.bad = true;
	p->in.received += n;
}

static void pump_in(struct sim_peer *p)
{
	uint8_t buf[5000];
	uint32_t left = p->max_read ? p->max_read : UINT32_MAX;

	while (left) {
		int64_t r;

		if (p->zero_copy) {
			struct ns_pkt *pkt = ns_tcp_recv_pkt(&p->c->tcp, &r);

			for (uint32_t off = 0; pkt && off < pkt->tot_len;) {
				uint32_t m = ns_pkt_copy_out(pkt, off, buf, sizeof buf);

				check(p, buf, m);
				off += m;
			}
			ns_pkt_put(pkt);
		} else {
			r = ns_tcp_recv(&p->c->tcp, buf, left < sizeof buf ? left : sizeof buf, 0);
			if (r > 0)
				check(p, buf, (size_t)r);
		}
		if (r == 0)
			p->in.eof = true;
		if (r < 0 && r != -11)
			p->error = (int)-r;
		if (r <= 0)
			return;
		left -= (uint32_t)r < left ? (uint32_t)r : left;
	}
}

void sim_peer_cb(struct hs_conn *c, uint32_t events)
{
	struct sim_peer *p = c->user;

	if (p->closed)
		return;
	if (events & NS_EV_WRITABLE)
		p->connected = true;
	if (events & NS_EV_CLOSED)
		p->max_read = 0; /* what is left can still be read, and nobody will call again */
	pump_in(p);
	if (p->connected && !p->error)
		pump_out(p);
	if (events & NS_EV_CLOSED || (p->in.eof && p->shut && p->out.sent == p->out.total)) {
		p->closed = true;
		if (!p->error)
			p->error = ns_tcp_take_error(&c->tcp);
		hs_close(c);
	}
}
