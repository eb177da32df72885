/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passive opening: listeners, the SYN queue, SYN cookies. All of it belongs to the instance; a
 * struct ns_tcp exists only once the handshake is complete.
 *
 * SYN cookies (RFC 4987 3.6): when a listener's queue is full the state goes into our initial
 * sequence number,
 *
 *	cookie = H(k0, flow) + irs + count << 24 + (H(k1, flow, count) + mss index) mod 2^24
 *
 * with a count that steps every 64 s and is accepted for two steps. Window scale, SACK and ECN go
 *into the low 6 bits of our timestamp if the peer uses timestamps.
 */
#include "tcp_internal.h"

#define COOKIE_PERIOD (64 * NS_SEC)
#define COOKIE_STEPS 2
#define SYN_RETRIES 5

static const uint16_t cookie_mss4[8] = {536, 1200, 1300, 1360, 1400, 1440, 1452, 1460};

/* ---- listeners ---- */

static void list(struct ns_instance *ns, struct ns_tcp_listener *l)
{
	struct ns_tcp_listener **head = &ns->listeners[port_hash(l->bind.port)];

	l->next = *head;
	l->pprev = head;
	if (l->next)
		l->next->pprev = &l->next;
	*head = l;
	l->listed = true;
}

int ns_tcp_listen(struct ns_instance *ns, struct ns_tcp_listener *l, uint16_t port)
{
	int r;

	if (l->listed)
		return 0;
	if (!l->bind.bound) {
		r = ns_port_bind(ns, &l->bind, NS_PROTO_TCP, port);
		if (r)
			return r;
	}
	/* Listening is stricter than being bound: two listeners never share by REUSEADDR. */
	l->bind.listening = true;
	for (struct ns_bind *o = ns->binds[port_hash(l->bind.port)]; o; o = o->next)
		if (o != &l->bind && o->listening && ns_bind_conflict(o, &l->bind)) {
			l->bind.listening = false;
			return -NS_EADDRINUSE;
		}
	l->half_open = 0;
	list(ns, l);
	return 0;
}

void ns_tcp_unlisten(struct ns_instance *ns, struct ns_tcp_listener *l, bool keep_bound)
{
	if (!l->listed)
		return;
	ns_syn_flush(ns, l);
	*l->pprev = l->next;
	if (l->next)
		l->next->pprev = l->pprev;
	l->listed = false;
	l->bind.listening = false;
	if (!keep_bound)
		ns_port_unbind(ns, &l->bind);
}

static struct ns_tcp_listener *find_listener(struct ns_instance *ns, const struct ns_flow *f)
{
	struct ns_tcp_listener *best = NULL;
	int best_score = -1;
	uint32_t ties = 0, hash = 0;

	for (struct ns_tcp_listener *l = ns->listeners[port_hash(f->lport)]; l; l = l->next) {
		int s = ns_bind_score(&l->bind, f);

		if (s < 0 || s < best_score)
			continue;
		if (s > best_score) {
			best = l;
			best_score = s;
			ties = 1;
		} else {
			if (!hash)
				hash = ns_flow_hash(f, ns->hash_key) | 1;
			hash = hash * 0x9e3779b1u + 1;
			if ((uint64_t)hash * ++ties >> 32 == 0)
				best = l;
		}
	}
	return best;
}

/* ---- the SYN queue ---- */

static uint32_t syn_slot(const struct ns_instance *ns, const struct ns_flow *f)
{
	return ns_flow_hash(f, ns->hash_key) % SYN_HASH;
}

static struct ns_synreq *syn_find(struct ns_instance *ns, const struct ns_flow *f)
{
	for (struct ns_synreq *r = ns->syn_hash[syn_slot(ns, f)]; r; r = r->next)
		if (ns_flow_eq(&r->flow, f))
			return r;
	return NULL;
}

static void syn_enter(struct ns_instance *ns, struct ns_synreq *r)
{
	struct ns_synreq **head = &ns->syn_hash[syn_slot(ns, &r->flow)];

	r->next = *head;
	r->pprev = head;
	if (r->next)
		r->next->pprev = &r->next;
	*head = r;
	r->tnext = ns->syn_all;
	r->tpprev = &ns->syn_all;
	if (r->tnext)
		r->tnext->tpprev = &r->tnext;
	ns->syn_all = r;
	ns->syn_count++;
	r->l->half_open++;
}

static void syn_unlink(struct ns_instance *ns, struct ns_synreq *r)
{
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	*r->tpprev = r->tnext;
	if (r->tnext)
		r->tnext->tpprev = r->tpprev;
	ns->syn_count--;
	r->l->half_open--;
}

static void syn_drop(struct ns_instance *ns, struct ns_synreq *r)
{
	syn_unlink(ns, r);
	ns->ops->mem_free(ns->ctx, r, sizeof *r);
}

void ns_syn_flush(struct ns_instance *ns, struct ns_tcp_listener *l)
{
	struct ns_synreq *r = ns->syn_all, *next;

	for (; r; r = next) {
		next = r->tnext;
		if (!l || r->l == l)
			syn_drop(ns, r);
	}
}

/* ---- SYN-ACK ---- */

static uint32_t rcvbuf_of(const struct ns_tcp_listener *l)
{
	return l->rcvbuf ? l->rcvbuf : DEFAULT_RCVBUF;
}

static void send_synack(struct ns_instance *ns, struct ns_synreq *r, uint32_t tsval)
{
	struct tcp_out o = {.seq = r->iss,
	    .ack = r->irs + 1,
	    .flags = TH_SYN | TH_ACK,
	    .wnd = NS_MIN(rcvbuf_of(r->l), 65535u),
	    .tos = r->l->tos & 0xfc,
	    .ttl = r->l->ttl};
	struct syn_opts s = {.mss = (uint16_t)tcp_mtu_to_mss(r->dst.mtu, r->flow.v6),
	    .wscale_ok = r->wscale_ok,
	    .wscale = r->rcv_wscale,
	    .sack_ok = r->sack_ok,
	    .ts_ok = r->ts_ok,
	    .tsval = tsval,
	    .tsecr = r->ts_recent};
	struct ns_pkt *p = ns_pkt_new(ns, 0, 0);

	if (!p)
		return;
	if (r->l->user_mss && r->l->user_mss < s.mss)
		s.mss = r->l->user_mss;
	if (r->ecn_ok)
		o.flags |= TH_ECE;
	o.optlen = tcp_syn_options(o.opts, &s);
	tcp_emit(ns, &r->dst, &r->flow, &o, 0, p);
}

static void resend_synack(struct ns_instance *ns, struct ns_synreq *r, uint64_t now)
{
	send_synack(ns, r, tcp_clock_ms(now) + r->ts_offset);
}

/* ---- cookies ---- */

static uint32_t cookie_hash(
    const struct ns_instance *ns, int k, const struct ns_flow *f, uint32_t count)
{
	struct {
		struct ns_addr l, r;
		uint16_t lp, rp;
		uint32_t count;
	} in = {f->local, f->remote, f->lport, f->rport, count};

	return (uint32_t)ns_siphash(ns->cookie_key[k], &in, sizeof in, 2, 4);
}

static uint32_t make_cookie(const struct ns_instance *ns, const struct ns_flow *f, uint32_t irs,
    uint32_t mss_index, uint32_t count)
{
	return cookie_hash(ns, 0, f, 0) + irs + (count << 24) +
	       ((cookie_hash(ns, 1, f, count) + mss_index) & 0xffffff);
}

/* The MSS index, or -1 if the number is not one of ours. */
static int check_cookie(const struct ns_instance *ns, const struct ns_flow *f, uint32_t irs,
    uint32_t cookie, uint32_t count)
{
	uint32_t v = cookie - cookie_hash(ns, 0, f, 0) - irs;
	uint32_t age = (count - (v >> 24)) & 0xff, index;

	if (age >= COOKIE_STEPS)
		return -1;
	index = (v - cookie_hash(ns, 1, f, count - age)) & 0xffffff;
	return index < 8 ? (int)index : -1;
}

static uint16_t cookie_mss(int index, bool v6)
{
	return (uint16_t)(cookie_mss4[index] - (v6 && index ? 20 : 0));
}

static void send_cookie(struct ns_instance *ns, struct ns_synreq *r, uint64_t now)
{
	uint32_t index = 7, ms = tcp_clock_ms(now), bits;

	while (index && cookie_mss((int)index, r->flow.v6) > r->peer_mss)
		index--;
	r->iss = make_cookie(ns, &r->flow, r->irs, index, (uint32_t)(now / COOKIE_PERIOD));
	if (!r->ts_ok) {
		r->wscale_ok = r->sack_ok = r->ecn_ok = false;
	}
	bits =
	    (r->wscale_ok ? r->snd_wscale : 15u) | (r->sack_ok ? 16u : 0) | (r->ecn_ok ? 32u : 0);
	ms = (ms & ~63u) | bits;
	if (seq_lt(tcp_clock_ms(now), ms))
		ms -= 64;
	NS_COUNT(ns, syn_cookies_sent);
	if (!ns->last_overflow || now - ns->last_overflow > 10 * NS_SEC)
		ns_log(ns, NS_LOG_WARN, "tcp: SYN queue full, answering with cookies",
		    &r->flow.local, r->flow.lport);
	ns->last_overflow = now;
	send_synack(ns, r, ms + r->ts_offset);
}

/* ---- SYN ---- */

static void fill_request(struct ns_instance *ns, struct ns_synreq *r, struct ns_tcp_listener *l,
    const struct ns_flow *f, const struct seg *s, uint64_t now)
{
	memset(r, 0, sizeof *r);
	r->l = l;
	r->flow = *f;
	r->irs = s->seq;
	r->iss = tcp_isn(ns, f, now);
	r->peer_wnd = s->wnd;
	r->peer_mss = s->mss ? (uint16_t)NS_MAX(s->mss, MIN_MSS)
			     : (uint16_t)(f->v6 ? DEFAULT_MSS6 : DEFAULT_MSS4);
	r->ts_ok = s->has_ts;
	r->ts_recent = s->tsval;
	r->ts_offset = tcp_ts_offset(ns, f);
	r->sack_ok = s->sack_perm;
	r->wscale_ok = s->has_wscale;
	r->snd_wscale = s->wscale;
	r->rcv_wscale =
	    s->has_wscale ? tcp_pick_wscale(l->rcvbuf ? l->rcvbuf : DEFAULT_RCVBUF_MAX) : 0;
	r->ecn_ok = (s->flags & (TH_ECE | TH_CWR)) == (TH_ECE | TH_CWR);
	r->created = now;
}

static void syn_input(struct ns_instance *ns, struct ns_tcp_listener *l, const struct ns_flow *f,
    const struct seg *s, uint64_t now)
{
	struct ns_synreq tmp, *r;
	uint32_t backlog = l->backlog ? l->backlog : 128;
	bool full = l->half_open >= backlog || ns->syn_count >= ns->cfg.max_syn_queue;

	NS_COUNT(ns, syn_in);
	fill_request(ns, &tmp, l, f, s, now);
	if (ns_route_lookup(ns, &f->remote, &f->local,
		ns_addr_is_linklocal(&f->remote) ? f->ifindex : 0, &tmp.dst)) {
		NS_COUNT(ns, syn_dropped);
		return;
	}
	if (full)
		NS_COUNT(ns, syn_queue_full);
	if (full || l->force_cookies) {
		send_cookie(ns, &tmp, now);
		return;
	}
	r = ns->ops->mem_alloc(ns->ctx, sizeof *r);
	if (!r) {
		send_cookie(ns, &tmp, now);
		return;
	}
	*r = tmp;
	r->retry_at = now + RTO_INIT;
	syn_enter(ns, r);
	ns_arm(ns, r->retry_at);
	resend_synack(ns, r, now);
}

uint64_t ns_syn_timer(struct ns_instance *ns, uint64_t now)
{
	struct ns_synreq *r = ns->syn_all, *next;
	uint64_t at = 0;

	for (; r; r = next) {
		next = r->tnext;
		if (r->retry_at <= now) {
			unsigned limit = r->l->syn_retries ? r->l->syn_retries : SYN_RETRIES;

			/* Deferred accept: the peer is there, only silent. */
			if (r->acked && r->l->defer_accept_s)
				limit = NS_MAX(limit, 1u);
			if (r->tries++ >= limit) {
				syn_drop(ns, r);
				continue;
			}
			NS_COUNT(ns, tcp_retrans);
			resend_synack(ns, r, now);
			r->retry_at = now + (RTO_INIT << r->tries);
		}
		if (!at || r->retry_at < at)
			at = r->retry_at;
	}
	return at;
}

/* ---- the handshake's last packet ---- */

/* False: the embedder has no room; the packet is dropped. */
static bool establish(struct ns_instance *ns, struct ns_synreq *r, const struct seg *s,
    struct ns_pkt *pkt, uint64_t now)
{
	struct ns_tcp_listener *l = r->l;
	struct ns_tcp *c = l->alloc(l, &r->flow);

	if (!c) {
		ns_pkt_put(pkt);
		return false;
	}
	ns_tcp_init(c, ns);
	NS_COUNT(ns, tcp_passive);
	c->flow = r->flow;
	c->listener = l;
	c->dst = r->dst;
	c->bind.ifindex = ns_addr_is_linklocal(&r->flow.remote) ? r->flow.ifindex : l->bind.ifindex;
	if (l->rcvbuf) {
		c->rcvbuf = l->rcvbuf;
		c->rcvbuf_locked = true;
	}
	if (l->sndbuf) {
		c->sndbuf = l->sndbuf;
		c->sndbuf_locked = true;
	}
	c->user_mss = l->user_mss;
	c->tos = l->tos;
	c->ttl = l->ttl;
	c->iss = r->iss;
	c->irs = r->irs;
	c->snd_una = c->snd_nxt = c->snd_end = c->snd_up = c->snd_sml = r->iss + 1;
	c->rcv_nxt = c->rcv_wup = c->copied_seq = c->ts_last_ack_sent = r->irs + 1;
	c->rcv_up = r->irs;
	c->rcv_adv = c->rcv_nxt + NS_MIN(c->rcvbuf, 65535u);
	c->ts_ok = r->ts_ok;
	c->ts_recent = r->ts_recent;
	c->ts_recent_ns = now;
	c->ts_offset = r->ts_offset;
	c->sack_ok = r->sack_ok;
	c->wscale_ok = r->wscale_ok;
	c->snd_wscale = r->wscale_ok ? r->snd_wscale : 0;
	c->rcv_wscale = r->rcv_wscale;
	c->ecn_ok = r->ecn_ok;
	c->snd_wnd = s->wnd << c->snd_wscale;
	c->max_window = NS_MAX(c->snd_wnd, r->peer_wnd);
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	c->rack.fack = c->rack.dsack_round = c->snd_una;
	if (!r->tries && r->created) {
		tcp_rtt_sample(c, NS_MAX(now - r->created, 1));
		c->rack.min_rtt_ns = c->srtt_ns;
	}
	c->last_rx_ns = now;
	tcp_handshake_done(c, r->peer_mss, now);
	c->pending_events = 0;
	/* Headers back in front: the packet goes through the normal input of the connection. */
	tcp_unparse(pkt);
	l->accepted(l, c, pkt);
	return true;
}

static void request_ack(
    struct ns_instance *ns, struct ns_synreq *r, struct seg *s, struct ns_pkt *pkt, uint64_t now)
{
	struct ns_tcp_listener *l;

	if (s->ack != r->iss + 1) {
		tcp_reset_reply(ns, &r->flow, s);
		ns_pkt_put(pkt);
		return;
	}
	if (r->ts_ok && s->has_ts && seq_lt(s->tsval, r->ts_recent)) {
		ns_pkt_put(pkt);
		return;
	}
	if (s->seq != r->irs + 1 && !s->len) {
		ns_pkt_put(pkt);
		return;
	}
	if (r->l->defer_accept_s && !s->len && !(s->flags & TH_FIN) &&
	    now - r->created < r->l->defer_accept_s * NS_SEC) {
		r->acked = true;
		ns_pkt_put(pkt);
		return;
	}
	/* Out of the queue while the embedder runs: it may feed more packets of this flow. A
	 * refused one (accept queue full) stays half open: the peer's data or our SYN-ACK brings it
	 * back. */
	l = r->l;
	syn_unlink(ns, r);
	if (establish(ns, r, s, pkt, now) || !l->listed)
		ns->ops->mem_free(ns->ctx, r, sizeof *r);
	else
		syn_enter(ns, r);
}

static bool cookie_ack(struct ns_instance *ns, struct ns_tcp_listener *l, const struct ns_flow *f,
    const struct seg *s, struct ns_pkt *pkt, uint64_t now)
{
	uint32_t count = (uint32_t)(now / COOKIE_PERIOD), bits;
	struct ns_synreq r;
	int index;

	if (!ns->last_overflow || now - ns->last_overflow > (COOKIE_STEPS + 1) * COOKIE_PERIOD)
		return false;
	index = check_cookie(ns, f, s->seq - 1, s->ack - 1, count);
	if (index < 0) {
		NS_COUNT(ns, syn_cookies_bad);
		return false;
	}
	NS_COUNT(ns, syn_cookies_ok);
	memset(&r, 0, sizeof r);
	r.l = l;
	r.flow = *f;
	r.irs = s->seq - 1;
	r.iss = s->ack - 1;
	r.peer_mss = cookie_mss(index, f->v6);
	r.ts_offset = tcp_ts_offset(ns, f);
	r.peer_wnd = s->wnd;
	if (s->has_ts) {
		bits = (s->tsecr - r.ts_offset) & 63;
		r.ts_ok = true;
		r.ts_recent = s->tsval;
		r.sack_ok = bits & 16;
		r.ecn_ok = bits & 32;
		r.wscale_ok = (bits & 15) != 15;
		r.snd_wscale = r.wscale_ok ? (uint8_t)(bits & 15) : 0;
		if (r.wscale_ok)
			r.rcv_wscale = tcp_pick_wscale(l->rcvbuf ? l->rcvbuf : DEFAULT_RCVBUF_MAX);
	}
	if (ns_route_lookup(ns, &f->remote, &f->local,
		ns_addr_is_linklocal(&f->remote) ? f->ifindex : 0, &r.dst)) {
		ns_pkt_put(pkt);
		return true;
	}
	establish(ns, &r, s, pkt, now);
	return true;
}

/* ---- entry ---- */

static void request_input(
    struct ns_instance *ns, struct ns_synreq *r, struct seg *s, struct ns_pkt *pkt, uint64_t now)
{
	if (s->flags & TH_RST) {
		if (s->seq == r->irs + 1)
			syn_drop(ns, r);
		ns_pkt_put(pkt);
	} else if (s->flags & TH_SYN) {
		if (s->seq == r->irs && !(s->flags & TH_ACK)) {
			resend_synack(ns, r, now);
		} else if (!(s->flags & TH_ACK) && s->seq != r->irs) {
			/* The peer started over with a new number. */
			struct ns_tcp_listener *l = r->l;
			struct ns_flow f = r->flow;

			syn_drop(ns, r);
			syn_input(ns, l, &f, s, now);
		}
		ns_pkt_put(pkt);
	} else if (s->flags & TH_ACK) {
		request_ack(ns, r, s, pkt, now);
	} else {
		ns_pkt_put(pkt);
	}
}

void ns_tcp_slow_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	uint64_t now = ns_now(ns);
	struct ns_tcp_listener *l;
	struct ns_synreq *r;
	struct seg s;

	/* The connection may exist by now, or the packet was reassembled. */
	if (ns->ops->tcp_deliver(ns->ctx, flow, pkt))
		return;
	NS_COUNT(ns, tcp_in);
	if ((pkt->flags & NS_PKT_LLCAST) || !ns_addr_is_local(ns, &flow->local, 0) ||
	    ns_addr_is_any(&flow->remote) || !flow->rport || !tcp_parse(pkt, &s)) {
		NS_COUNT(ns, tcp_in_err);
		ns_pkt_put(pkt);
		return;
	}
	r = syn_find(ns, flow);
	if (r) {
		request_input(ns, r, &s, pkt, now);
		return;
	}
	l = find_listener(ns, flow);
	if (!l) {
		tcp_reset_reply(ns, flow, &s);
		ns_pkt_put(pkt);
		return;
	}
	if (s.flags & TH_RST) {
		ns_pkt_put(pkt);
	} else if (s.flags & TH_ACK) {
		if ((s.flags & TH_SYN) || !cookie_ack(ns, l, flow, &s, pkt, now)) {
			tcp_reset_reply(ns, flow, &s);
			ns_pkt_put(pkt);
		}
	} else {
		if (s.flags & TH_SYN)
			syn_input(ns, l, flow, &s, now);
		ns_pkt_put(pkt);
	}
}

void ns_tcp_listener_walk(
    struct ns_instance *ns, bool (*fn)(struct ns_tcp_listener *l, void *arg), void *arg)
{
	for (unsigned i = 0; i < PORT_HASH; i++)
		for (struct ns_tcp_listener *l = ns->listeners[i]; l; l = l->next)
			if (!fn(l, arg))
				return;
}

uint32_t ns_tcp_half_open(const struct ns_instance *ns)
{
	return ns->syn_count;
}
