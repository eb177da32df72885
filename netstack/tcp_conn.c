/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP connections: creation, opening and closing, state changes, event delivery. */
#include "tcp_internal.h"

void ns_tcp_init(struct ns_tcp *c, struct ns_instance *ns)
{
	memset(c, 0, sizeof *c);
	c->ns = ns;
	c->state = NS_TCP_CLOSED;
	c->flow.proto = NS_PROTO_TCP;
	c->cc = &ns_cc_cubic;
	c->sndbuf = DEFAULT_SNDBUF;
	c->sndbuf_max = DEFAULT_SNDBUF_MAX;
	c->rcvbuf = DEFAULT_RCVBUF;
	c->rcvbuf_max = DEFAULT_RCVBUF_MAX;
	c->rto_ns = RTO_INIT;
	c->ssthresh = UINT32_MAX;
	c->keep_idle_s = 7200;
	c->keep_intvl_s = 75;
	c->keep_cnt = 9;
	c->syn_retries = 6;
	c->linger2_s = FIN_WAIT2_S;
	c->rcv_lowat = 1;
	c->quick_acks = 8;
	c->rack.reo_mult = 1;
	c->mss = DEFAULT_MSS4;
	c->created_ns = ns_now(ns);
}

/* ---- entry, events, timers ---- */

void tcp_enter(struct ns_tcp *c)
{
	c->in_entry = true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : NS_MIN(a, b);
}

void tcp_leave(struct ns_tcp *c)
{
	uint64_t next = earlier(c->t_rexmit, c->t_delack);
	uint32_t ev = c->pending_events;

	next = earlier(next, c->t_persist);
	next = earlier(next, c->t_keep);
	next = earlier(next, c->t_wait);
	next = earlier(next, c->t_rack);
	if (next && (!c->armed || next < c->armed)) {
		c->armed = next;
		c->ns->ops->tcp_arm(c->ns->ctx, c, next);
	}
	c->in_entry = false;
	c->pending_events = 0;
	if (c->orphan)
		ev &= NS_EV_CLOSED | NS_EV_STATE;
	if (ev && c->on_event)
		c->on_event(c, ev);
}

void tcp_event(struct ns_tcp *c, uint32_t ev)
{
	c->pending_events |= ev;
}

void tcp_set_state(struct ns_tcp *c, enum ns_tcp_state s)
{
	if (c->state == s)
		return;
	c->state = (uint8_t)s;
	tcp_event(c, NS_EV_STATE);
	if (s == NS_TCP_CLOSED) {
		c->t_rexmit = c->t_delack = c->t_persist = c->t_keep = c->t_wait = c->t_rack = 0;
		c->dead = true;
		tcp_free_snd(c);
		tcp_rec_free_all(c);
		tcp_free_ooo(c);
		if (c->orphan)
			tcp_free_rcv(c);
		tcp_event(c, NS_EV_CLOSED | NS_EV_HUP | NS_EV_READABLE | NS_EV_WRITABLE);
	}
}

void tcp_done(struct ns_tcp *c, int error)
{
	if (error) {
		c->error = error;
		tcp_event(c, NS_EV_ERROR);
		/* What arrived out of order can never be completed; in-order data stays readable
		 * unless the peer reset the connection, as Linux has it. */
	}
	tcp_set_state(c, NS_TCP_CLOSED);
}

void tcp_time_wait(struct ns_tcp *c, uint64_t now)
{
	c->t_rexmit = c->t_persist = c->t_keep = c->t_rack = 0;
	tcp_free_snd(c);
	tcp_rec_free_all(c);
	tcp_free_ooo(c);
	c->t_wait = now + TIME_WAIT_NS;
	tcp_set_state(c, NS_TCP_TIME_WAIT);
	tcp_event(c, NS_EV_HUP | NS_EV_READABLE | NS_EV_WRITABLE);
}

/* ---- opening ---- */

uint32_t tcp_isn(const struct ns_instance *ns, const struct ns_flow *f, uint64_t now)
{
	struct {
		struct ns_addr l, r;
		uint16_t lp, rp;
	} in = {f->local, f->remote, f->lport, f->rport};

	/* RFC 6528: a clock of 4 us and a keyed hash of the 4-tuple. */
	return (uint32_t)ns_siphash(ns->isn_key, &in, 36, 2, 4) + (uint32_t)(now >> 12);
}

uint32_t tcp_ts_offset(const struct ns_instance *ns, const struct ns_flow *f)
{
	struct {
		struct ns_addr l, r;
	} in = {f->local, f->remote};

	/* Per pair of hosts: PAWS and TIME_WAIT reuse across ports stay monotonic. */
	return (uint32_t)ns_siphash(ns->isn_key, &in, sizeof in, 2, 4);
}

bool tcp_route(struct ns_tcp *c)
{
	uint32_t old = c->dst.mtu;
	struct ns_dst d;

	if (c->dst.gen == ns_route_generation(c->ns) && c->dst.ifindex)
		return true;
	if (ns_route_lookup(c->ns, &c->flow.remote, &c->flow.local, c->bind.ifindex, &d)) {
		NS_COUNT(c->ns, ip_out_no_route);
		return false;
	}
	c->dst = d;
	if (old != d.mtu && old)
		tcp_sync_mss(c);
	return true;
}

void tcp_sync_mss(struct ns_tcp *c)
{
	uint32_t mtu = c->dst.mtu, mss;

	if (c->pmtu && c->pmtu < mtu)
		mtu = c->pmtu;
	mss = tcp_mtu_to_mss(mtu, c->flow.v6);
	if (c->peer_mss && c->peer_mss < mss)
		mss = c->peer_mss;
	if (c->user_mss && c->user_mss < mss)
		mss = c->user_mss;
	if (c->ts_ok)
		mss -= 12;
	c->mss = (uint16_t)NS_MAX(mss, MIN_MSS);
	/* No more than half of what the peer can hold, or nothing would ever be delayed. */
	if (c->max_window && c->mss > c->max_window / 2 && c->max_window >= 2 * MIN_MSS)
		c->mss = (uint16_t)NS_MAX(c->max_window / 2, MIN_MSS);
	if (c->cwnd < c->mss) /* the path became wider */
		c->cwnd = c->mss;
}

void tcp_handshake_done(struct ns_tcp *c, uint32_t peer_mss, uint64_t now)
{
	c->peer_mss = (uint16_t)(peer_mss ? NS_MAX(peer_mss, MIN_MSS)
					  : (c->flow.v6 ? DEFAULT_MSS6 : DEFAULT_MSS4));
	tcp_sync_mss(c);
	c->rcv_mss = c->mss;
	c->cwnd = INIT_CWND_SEGS * c->mss;
	if (c->ssthresh != UINT32_MAX && c->ssthresh < 2u * c->mss)
		c->ssthresh = 2u * c->mss;
	if (c->rexmit_kind == REXMIT_RTO && c->backoff) {
		c->cwnd = c->mss; /* RFC 5681: the SYN was lost */
		c->backoff = 0;
	}
	c->connected_once = true;
	c->stalled_since = 0;
	c->drs_seq = c->rcv_nxt;
	c->drs_ns = now;
	c->cc->init(c);
	c->t_rexmit = 0;
	tcp_keep_restart(c, now);
	tcp_set_state(c, NS_TCP_ESTABLISHED);
	tcp_event(c, NS_EV_WRITABLE);
}

int ns_tcp_connect(struct ns_tcp *c)
{
	uint64_t now = ns_now(c->ns);
	int r;

	if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		return -NS_EALREADY;
	if (c->state != NS_TCP_CLOSED || c->dead)
		return -NS_EISCONN;
	r = ns_route_lookup(c->ns, &c->flow.remote, &c->flow.local, c->bind.ifindex, &c->dst);
	if (r)
		return r;
	if (c->dst.broadcast || ns_addr_is_multicast(&c->flow.remote))
		return -NS_ENETUNREACH;
	tcp_enter(c);
	NS_COUNT(c->ns, tcp_active);
	c->iss = tcp_isn(c->ns, &c->flow, now);
	c->ts_offset = tcp_ts_offset(c->ns, &c->flow);
	c->snd_una = c->iss;
	c->snd_nxt = c->snd_end = c->iss + 1;
	c->snd_up = c->snd_sml = c->rack.fack = c->rack.dsack_round = c->iss + 1;
	c->rcv_wscale = tcp_pick_wscale(NS_MAX(c->rcvbuf, c->rcvbuf_locked ? 0 : c->rcvbuf_max));
	tcp_sync_mss(c);
	c->rcv_mss = c->mss;
	tcp_set_state(c, NS_TCP_SYN_SENT);
	c->stalled_since = now;
	tcp_send_syn(c, now);
	c->t_rexmit = now + RTO_INIT;
	c->rexmit_kind = REXMIT_RTO;
	tcp_leave(c);
	return 0;
}

/* ---- closing ---- */

static void queue_fin(struct ns_tcp *c, uint64_t now)
{
	if (c->fin_queued)
		return;
	c->fin_queued = true;
	c->push_all = true;
	tcp_output(c, now);
}

static void close_send_side(struct ns_tcp *c, uint64_t now)
{
	switch (c->state) {
	case NS_TCP_SYN_RECV:
	case NS_TCP_ESTABLISHED:
		tcp_set_state(c, NS_TCP_FIN_WAIT1);
		queue_fin(c, now);
		break;
	case NS_TCP_CLOSE_WAIT:
		tcp_set_state(c, NS_TCP_LAST_ACK);
		queue_fin(c, now);
		break;
	default:
		break;
	}
}

int ns_tcp_shutdown(struct ns_tcp *c, int how)
{
	if (c->state == NS_TCP_CLOSED || c->state == NS_TCP_SYN_SENT)
		return -NS_ENOTCONN;
	tcp_enter(c);
	c->shut |= (uint8_t)(how & (NS_SHUT_RD | NS_SHUT_WR));
	if (how & NS_SHUT_RD)
		tcp_event(c, NS_EV_READABLE | NS_EV_RDHUP);
	if (how & NS_SHUT_WR)
		close_send_side(c, ns_now(c->ns));
	if (c->shut == (NS_SHUT_RD | NS_SHUT_WR))
		tcp_event(c, NS_EV_HUP);
	tcp_leave(c);
	return 0;
}

void ns_tcp_close(struct ns_tcp *c)
{
	uint64_t now = ns_now(c->ns);
	bool unread = c->rq_bytes > 0;

	if (c->orphan)
		return;
	tcp_enter(c);
	c->orphan = true;
	c->shut = NS_SHUT_RD | NS_SHUT_WR;
	tcp_free_rcv(c);
	if (c->state == NS_TCP_CLOSED) {
		tcp_event(c, NS_EV_CLOSED);
	} else if (c->state == NS_TCP_SYN_SENT) {
		tcp_done(c, 0);
	} else if (unread && c->state != NS_TCP_TIME_WAIT) {
		/* RFC 2525 2.17: the peer must learn that its data was not read. */
		tcp_send_rst(c);
		tcp_done(c, 0);
	} else {
		close_send_side(c, now);
		if (c->state == NS_TCP_FIN_WAIT2) {
			if (c->linger2_s < 0)
				tcp_done(c, 0);
			else
				c->t_wait = now + (uint64_t)c->linger2_s * NS_SEC;
		}
	}
	tcp_leave(c);
}

void ns_tcp_abort(struct ns_tcp *c)
{
	tcp_enter(c);
	c->orphan = true;
	if (c->state == NS_TCP_CLOSED) {
		tcp_event(c, NS_EV_CLOSED);
	} else {
		if (c->state != NS_TCP_SYN_SENT && c->state != NS_TCP_TIME_WAIT)
			tcp_send_rst(c);
		tcp_done(c, 0);
	}
	tcp_free_rcv(c);
	tcp_leave(c);
}

void ns_tcp_destroy(struct ns_tcp *c)
{
	if (!c->ns)
		return;
	tcp_free_snd(c);
	tcp_rec_free_all(c);
	tcp_free_rcv(c);
	tcp_free_ooo(c);
	c->state = NS_TCP_CLOSED;
	c->dead = true;
	c->t_rexmit = c->t_delack = c->t_persist = c->t_keep = c->t_wait = c->t_rack = 0;
}

/* ---- questions ---- */

enum ns_tcp_state ns_tcp_get_state(const struct ns_tcp *c)
{
	return c->state;
}

int ns_tcp_take_error(struct ns_tcp *c)
{
	int e = c->error;

	c->error = 0;
	return e;
}

uint32_t ns_tcp_ready(const struct ns_tcp *c)
{
	uint32_t r = 0;
	bool rd_done = c->fin_rcvd || (c->shut & NS_SHUT_RD) || c->dead;
	bool wr_done = c->fin_queued || (c->shut & NS_SHUT_WR) || c->dead;

	if (c->state == NS_TCP_CLOSED && !c->dead)
		return NS_EV_HUP | NS_EV_WRITABLE; /* never connected */
	if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		return c->error ? NS_EV_ERROR : 0;
	if (rd_done || ns_tcp_readable(c) >= c->rcv_lowat)
		r |= NS_EV_READABLE;
	if (rd_done)
		r |= NS_EV_RDHUP;
	if (wr_done || tcp_writable(c))
		r |= NS_EV_WRITABLE;
	if (rd_done && wr_done)
		r |= NS_EV_HUP;
	if (c->urg_in && c->urg_valid && !c->urg_read && !seq_lt(c->rcv_up, c->copied_seq))
		r |= NS_EV_URGENT;
	if (c->error)
		r |= NS_EV_ERROR;
	return r;
}
