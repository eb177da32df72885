/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's embedder of the engine: see hoststack.h. */
#include "hoststack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(struct hs_stack *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool fail_now(struct hs_stack *s)
{
	return s->alloc_fail_every && ++s->allocs % s->alloc_fail_every == 0;
}

static void pkt_free(struct ns_pkt *p)
{
	((struct hs_stack *)p->owner)->live_pkts--;
	free(p);
}

static struct ns_pkt *op_pkt_alloc(void *ctx, uint32_t linear, uint32_t nfrags)
{
	struct hs_stack *s = ctx;
	size_t size = ns_pkt_block_size(linear, nfrags);
	struct ns_pkt *p;
	void *block = fail_now(s) ? NULL : malloc(size);

	if (!block)
		return NULL;
	p = ns_pkt_init(block, size, nfrags, 0, pkt_free);
	p->owner = s;
	s->live_pkts++;
	return p;
}

static void *op_mem_alloc(void *ctx, size_t n)
{
	struct hs_stack *s = ctx;
	void *p = fail_now(s) ? NULL : malloc(n);

	if (p)
		s->live_mem += (long)n;
	return p;
}

static void op_mem_free(void *ctx, void *p, size_t n)
{
	((struct hs_stack *)ctx)->live_mem -= (long)n;
	free(p);
}

static uint64_t op_now(void *ctx)
{
	struct hs_stack *s = ctx;

	return s->clock(s);
}

static void op_random(void *ctx, void *buf, size_t n)
{
	uint8_t *p = buf;

	while (n) {
		uint64_t v = next_random(ctx);
		size_t m = n < 8 ? n : 8;

		memcpy(p, &v, m);
		p += m;
		n -= m;
	}
}

static void op_transmit(void *ctx, uint32_t ifindex, struct ns_pkt *pkt)
{
	struct hs_stack *s = ctx;

	if (ifindex == NS_LOOPBACK_IF)
		ns_pktq_push(&s->loopback, pkt);
	else
		s->xmit(s, ifindex, pkt);
}

static void op_arm(void *ctx, uint64_t at)
{
	((struct hs_stack *)ctx)->deadline = at;
}

static void op_tcp_arm(void *ctx, struct ns_tcp *tcp, uint64_t at)
{
	(void)ctx;
	((struct hs_conn *)tcp)->deadline = at;
}

static void conn_unlist(struct hs_conn *c)
{
	if (c->in_table)
		ns_flowtable_del(&c->stack->table, &c->tcp);
	c->in_table = false;
}

static bool op_tcp_deliver(void *ctx, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	struct hs_stack *s = ctx;
	struct hs_conn *c = (struct hs_conn *)ns_flowtable_find(&s->table, flow);

	if (!c)
		return false;
	if (ns_tcp_input(&c->tcp, pkt) == NS_TCP_REUSE) {
		conn_unlist(c);
		ns_input_slow(s->ns, pkt, flow, NS_CLASS_TCP);
		return true;
	}
	c->dirty = true;
	return true;
}

static void op_tcp_icmp(void *ctx, const struct ns_flow *flow, const struct ns_icmp_error *err)
{
	struct hs_stack *s = ctx;
	struct ns_tcp *c = ns_flowtable_find(&s->table, flow);

	if (c)
		ns_tcp_icmp(c, err);
}

static bool op_tcp_in_use(void *ctx, const struct ns_flow *flow)
{
	return ns_flowtable_find(&((struct hs_stack *)ctx)->table, flow) != NULL;
}

static void op_log(void *ctx, enum ns_log_level level, const char *text, const struct ns_addr *addr,
    uint64_t value)
{
	char buf[46];

	if (((struct hs_stack *)ctx)->verbose)
		fprintf(stderr, "netstack[%d]: %s (%s, %llu)\n", level, text,
		    addr ? ns_addr_format(addr, buf) : "-", (unsigned long long)value);
}

static const struct ns_ops host_ops = {
    .pkt_alloc = op_pkt_alloc,
    .mem_alloc = op_mem_alloc,
    .mem_free = op_mem_free,
    .now = op_now,
    .random = op_random,
    .transmit = op_transmit,
    .arm = op_arm,
    .tcp_arm = op_tcp_arm,
    .tcp_deliver = op_tcp_deliver,
    .tcp_icmp = op_tcp_icmp,
    .tcp_in_use = op_tcp_in_use,
    .log = op_log,
};

int hs_init(struct hs_stack *s, const struct ns_config *cfg, uint64_t seed)
{
	size_t size = (ns_instance_size(cfg) + 63) & ~(size_t)63;

	s->rng = seed;
	s->mem = aligned_alloc(64, size);
	if (!s->mem)
		return -ENOMEM;
	ns_pktq_init(&s->loopback);
	s->ns = ns_create(s->mem, cfg, &host_ops, s);
	return ns_flowtable_init(&s->table, s->ns);
}

static void conn_free(struct hs_conn *c)
{
	conn_unlist(c);
	ns_tcp_destroy(&c->tcp);
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	c->stack->nconns--;
	free(c);
}

void hs_free(struct hs_stack *s)
{
	struct ns_pkt *p;

	while (s->conns)
		conn_free(s->conns);
	while ((p = ns_pktq_pop(&s->loopback)))
		ns_pkt_put(p);
	ns_destroy(s->ns);
	ns_flowtable_free(&s->table);
	free(s->mem);
	s->mem = NULL;
}

struct ns_pkt *hs_pkt_from(struct hs_stack *s, const void *data, size_t n)
{
	struct ns_pkt *p = op_pkt_alloc(s, (uint32_t)n + 64, 0);

	if (p)
		memcpy(ns_pkt_append(p, (uint32_t)n), data, n);
	return p;
}

void hs_input(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt)
{
	pkt->ifindex = ifindex;
	ns_input(s->ns, pkt);
}

/* ---- connections ---- */

static void on_event(struct ns_tcp *tcp, uint32_t events)
{
	struct hs_conn *c = (struct hs_conn *)tcp;

	c->events |= events;
	if (events & NS_EV_CLOSED)
		c->closed = true;
}

struct hs_conn *hs_conn_new(struct hs_stack *s)
{
	struct hs_conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	ns_tcp_init(&c->tcp, s->ns);
	c->tcp.on_event = on_event;
	c->stack = s;
	c->next = s->conns;
	c->pprev = &s->conns;
	if (c->next)
		c->next->pprev = &c->next;
	s->conns = c;
	s->nconns++;
	return c;
}

int hs_conn_open(struct hs_conn *c, const struct ns_addr *remote, uint16_t port, uint16_t lport)
{
	struct hs_stack *s = c->stack;
	struct ns_flow *f = &c->tcp.flow;
	struct ns_dst dst;
	int r;

	r = ns_route_lookup(s->ns, remote, &f->local, 0, &dst);
	if (r)
		return r;
	f->local = dst.src;
	f->remote = *remote;
	f->rport = port;
	f->v6 = !ns_addr_is_v4(remote);
	f->lport = lport;
	if (!lport && (r = ns_port_ephemeral(s->ns, f)))
		return r;
	r = ns_flowtable_add(&s->table, &c->tcp);
	if (r)
		return r;
	c->in_table = true;
	r = ns_tcp_connect(&c->tcp);
	if (r)
		conn_unlist(c);
	return r;
}

struct hs_conn *hs_connect(struct hs_stack *s, const struct ns_addr *remote, uint16_t port,
    void (*cb)(struct hs_conn *, uint32_t), void *user, int *err)
{
	struct hs_conn *c = hs_conn_new(s);
	int r = c ? hs_conn_open(c, remote, port, 0) : -ENOMEM;

	if (err)
		*err = r;
	if (r) {
		if (c)
			conn_free(c);
		return NULL;
	}
	c->cb = cb;
	c->user = user;
	return c;
}

static struct ns_tcp *listener_alloc(struct ns_tcp_listener *l, const struct ns_flow *flow)
{
	struct hs_listener *hl = (struct hs_listener *)l;
	struct hs_conn *c;

	(void)flow;
	if (hl->max_conns && hl->stack->nconns >= hl->max_conns)
		return NULL;
	c = hs_conn_new(hl->stack);
	return c ? &c->tcp : NULL;
}

static void listener_accepted(struct ns_tcp_listener *l, struct ns_tcp *tcp, struct ns_pkt *first)
{
	struct hs_listener *hl = (struct hs_listener *)l;
	struct hs_conn *c = (struct hs_conn *)tcp;

	tcp->on_event = on_event;
	if (ns_flowtable_add(&hl->stack->table, tcp)) {
		ns_pkt_put(first);
		conn_free(c);
		return;
	}
	c->in_table = true;
	if (hl->on_accept)
		hl->on_accept(hl, c);
	ns_tcp_input(tcp, first);
	c->dirty = true;
	c->events |= NS_EV_WRITABLE;
}

int hs_listen(struct hs_stack *s, struct hs_listener *l, uint16_t port)
{
	l->stack = s;
	l->l.alloc = listener_alloc;
	l->l.accepted = listener_accepted;
	return ns_tcp_listen(s->ns, &l->l, port);
}

void hs_close(struct hs_conn *c)
{
	c->released = true;
	c->cb = NULL;
	ns_tcp_close(&c->tcp);
}

void hs_abort(struct hs_conn *c)
{
	c->released = true;
	c->cb = NULL;
	ns_tcp_abort(&c->tcp);
}

/* ---- the loop ---- */

static void run_timers(struct hs_stack *s, uint64_t now)
{
	if (s->deadline && s->deadline <= now) {
		s->deadline = 0;
		ns_timer(s->ns);
	}
	for (struct hs_conn *c = s->conns; c; c = c->next)
		if (c->deadline && c->deadline <= now) {
			c->deadline = 0;
			ns_tcp_timer(&c->tcp, now);
		}
}

static void run_conns(struct hs_stack *s)
{
	struct hs_conn *next;

	for (struct hs_conn *c = s->conns; c; c = next) {
		uint32_t ev;

		if (c->dirty) {
			c->dirty = false;
			ns_tcp_flush(&c->tcp);
		}
		ev = c->events;
		c->events = 0;
		if (ev && c->cb)
			c->cb(c, ev);
		next = c->next;
		if (c->closed && c->released)
			conn_free(c);
	}
}

static bool work_left(const struct hs_stack *s)
{
	if (s->loopback.head)
		return true;
	for (const struct hs_conn *c = s->conns; c; c = c->next)
		if (c->dirty || (c->events && c->cb) || (c->closed && c->released))
			return true;
	return false;
}

uint64_t hs_poll(struct hs_stack *s)
{
	uint64_t next;

	run_timers(s, s->clock(s));
	do {
		uint32_t n = s->loopback.count;

		while (n--)
			hs_input(s, NS_LOOPBACK_IF, ns_pktq_pop(&s->loopback));
		run_conns(s);
	} while (work_left(s));
	next = s->deadline;
	for (struct hs_conn *c = s->conns; c; c = c->next)
		if (c->deadline && (!next || c->deadline < next))
			next = c->deadline;
	return next;
}
