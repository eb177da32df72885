/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP input: parsing and the state machine of RFC 9293 section 3.10.7, with the defences of RFC
 * 5961 (blind resets, SYNs and data) and RFC 7323 (PAWS).
 */
#include "tcp_internal.h"

/* ---- parsing ---- */

static bool parse_options(const uint8_t *o, uint32_t n, struct seg *s)
{
	while (n) {
		uint8_t len;

		if (o[0] == 0)
			break;
		if (o[0] == 1) {
			o++;
			n--;
			continue;
		}
		if (n < 2 || o[1] < 2 || o[1] > n)
			return false;
		len = o[1];
		switch (o[0]) {
		case 2:
			if (len == 4 && (s->flags & TH_SYN))
				s->mss = get16(o + 2);
			break;
		case 3:
			if (len == 3 && (s->flags & TH_SYN)) {
				s->has_wscale = true;
				s->wscale = NS_MIN(o[2], 14);
			}
			break;
		case 4:
			if (len == 2 && (s->flags & TH_SYN))
				s->sack_perm = true;
			break;
		case 5:
			if (len >= 10 && (len - 2) % 8 == 0 && !(s->flags & TH_SYN))
				for (int i = 2; i + 8 <= len && s->nsack < 4; i += 8) {
					s->sack[s->nsack].start = get32(o + i);
					s->sack[s->nsack++].end = get32(o + i + 4);
				}
			break;
		case 8:
			if (len == 10) {
				s->has_ts = true;
				s->tsval = get32(o + 2);
				s->tsecr = get32(o + 6);
			}
			break;
		default:
			break;
		}
		o += len;
		n -= len;
	}
	return true;
}

bool tcp_parse(struct ns_pkt *pkt, struct seg *s)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	const uint8_t *h = pkt->head + pkt->l4_off;
	uint32_t hlen = pkt->payload_off - (uint32_t)pkt->l4_off;

	memset(s, 0, sizeof *s);
	/* Coalesced packets were verified one by one. */
	if (!(pkt->flags & NS_PKT_GRO) && !ns_l4_csum_ok(pkt, pkt->tot_len - off))
		return false;
	pkt->flags |= NS_PKT_CSUM_OK;
	s->seq = get32(h + 4);
	s->ack = get32(h + 8);
	s->flags = h[13];
	s->wnd = get16(h + 14);
	s->urg = get16(h + 18);
	s->ce = pkt->flags & NS_PKT_CE;
	if (!parse_options(h + TCP_HLEN, hlen - TCP_HLEN, s))
		return false;
	ns_pkt_pull(pkt, off + hlen);
	for (struct ns_pkt *p = pkt; p; p = p->chain)
		s->len += p->tot_len;
	s->segs = pkt->gro_segs ? pkt->gro_segs : 1;
	if (pkt->gso_type && pkt->gso_size && s->len > pkt->gso_size)
		s->segs = NS_MAX(s->segs, (s->len + pkt->gso_size - 1) / pkt->gso_size);
	s->end = s->seq + s->len + ((s->flags & TH_SYN) != 0) + ((s->flags & TH_FIN) != 0);
	/* FIN with SYN means nothing. */
	return (s->flags & (TH_SYN | TH_FIN)) != (TH_SYN | TH_FIN);
}

void tcp_unparse(struct ns_pkt *pkt)
{
	uint8_t *start = pkt->head + pkt->l3_off - (pkt->flags & NS_PKT_NO_ETH ? 0 : ETH_HLEN);

	ns_pkt_push(pkt, (uint32_t)(pkt->data - start));
}

/* ---- SYN_SENT ---- */

/*
 * RST in answer to a segment that does not fit the connection. Runs in [conn] context, so the limit
 * on their number is the connection's.
 */
static void reset_from_conn(struct ns_tcp *c, const struct seg *s)
{
	struct tcp_out o = {.flags = TH_RST};
	struct ns_pkt *p;

	if ((s->flags & TH_RST) || c->challenge_count > CHALLENGE_PER_SECOND || !tcp_route(c))
		return;
	c->challenge_count++;
	p = ns_pkt_new(c->ns, 0, 0);
	if (!p)
		return;
	if (s->flags & TH_ACK) {
		o.seq = s->ack;
	} else {
		o.flags |= TH_ACK;
		o.ack = s->end;
	}
	NS_COUNT(c->ns, tcp_rst_out);
	tcp_emit(c->ns, &c->dst, &c->flow, &o, 0, p);
}

static void take_options(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	c->ts_ok = s->has_ts;
	c->sack_ok = s->sack_perm;
	c->wscale_ok = s->has_wscale;
	c->snd_wscale = s->has_wscale ? s->wscale : 0;
	if (!s->has_wscale)
		c->rcv_wscale = 0;
	if (s->has_ts) {
		c->ts_recent = s->tsval;
		c->ts_recent_ns = now;
	}
	c->irs = s->seq;
	c->rcv_nxt = c->rcv_wup = c->copied_seq = s->seq + 1;
	c->ts_last_ack_sent = c->rcv_nxt;
	c->rcv_adv = c->rcv_nxt + NS_MIN(c->rcvbuf, 65535u);
	c->rcv_up = c->irs;
	c->snd_wnd = s->wnd; /* never scaled in a SYN */
	c->max_window = NS_MAX(c->max_window, s->wnd);
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
}

static void syn_sent(struct ns_tcp *c, struct seg *s, uint64_t now)
{
	bool ack = s->flags & TH_ACK;

	if (ack && (seq_le(s->ack, c->iss) || seq_lt(c->snd_nxt, s->ack))) {
		reset_from_conn(c, s);
		return;
	}
	if (s->flags & TH_RST) {
		if (ack)
			tcp_done(c, NS_ECONNREFUSED);
		return;
	}
	if (!(s->flags & TH_SYN))
		return;
	take_options(c, s, now);
	if (!ack) { /* simultaneous open: both sent SYN */
		c->ecn_ok = c->ecn_request && (s->flags & TH_ECE) && (s->flags & TH_CWR);
		c->peer_mss = s->mss;
		tcp_set_state(c, NS_TCP_SYN_RECV);
		tcp_send_syn(c, now);
		c->t_rexmit = now + RTO_INIT;
		c->rexmit_kind = REXMIT_RTO;
		return;
	}
	c->ecn_ok = c->ecn_request && (s->flags & (TH_ECE | TH_CWR)) == TH_ECE;
	c->snd_una = s->ack;
	if (!c->backoff)
		tcp_rtt_sample(c, NS_MAX(now - c->last_tx_ns, 1));
	/* After a retransmitted SYN the echo may be of the first one: no sample, data will give
	 * one. */
	c->rack.min_rtt_ns = c->srtt_ns;
	tcp_handshake_done(c, s->mss, now);
	ns_neigh_confirm(c->ns, &c->dst);
	c->ack_now = true;
}

/* ---- checks for synchronised states ---- */

static bool window_ok(struct ns_tcp *c, const struct seg *s)
{
	uint32_t wnd = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t right = c->rcv_nxt + wnd;

	if (s->seq == s->end)
		return wnd ? seq_le(c->rcv_nxt, s->seq) && seq_le(s->seq, right)
			   : s->seq == c->rcv_nxt;
	return seq_lt(s->seq, right) && seq_lt(c->rcv_nxt, s->end);
}

static bool paws_reject(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	if (!c->ts_ok || !s->has_ts || !seq_lt(s->tsval, c->ts_recent))
		return false;
	/* After a long silence the clock may have wrapped: believe the segment. */
	return now - c->ts_recent_ns < PAWS_IDLE_NS;
}

/* A segment outside the window: answer unless it is a reset; report duplicates (RFC 2883). */
static void out_of_window(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	if (s->flags & TH_RST)
		return;
	if (c->sack_ok && s->len && seq_le(s->seq + s->len, c->rcv_nxt)) {
		c->dsack.start = s->seq;
		c->dsack.end = s->seq + s->len;
	}
	/* Data and FINs are retransmissions that wait for an answer; bare ACKs could be a loop. */
	if (s->seq != s->end)
		tcp_send_ack(c);
	else
		tcp_oow_ack(c, now);
}

static void reset_received(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	int err = NS_ECONNRESET;

	/* RFC 5961 3.2: only the exact number counts; SACK peers may also reset at the end of what
	 * they know we have. */
	if (s->seq != c->rcv_nxt) {
		uint32_t hi = c->rcv_nxt;

		for (int i = 0; i < c->nsacks; i++)
			if (seq_lt(hi, c->sacks[i].end))
				hi = c->sacks[i].end;
		if (hi == c->rcv_nxt || s->seq != hi) {
			tcp_challenge_ack(c, now);
			return;
		}
	}
	if (c->state == NS_TCP_SYN_RECV)
		err = NS_ECONNREFUSED;
	else if (c->state == NS_TCP_CLOSE_WAIT)
		err = NS_EPIPE;
	else if (c->state == NS_TCP_CLOSING || c->state == NS_TCP_LAST_ACK ||
		 c->state == NS_TCP_TIME_WAIT)
		err = 0;
	tcp_done(c, err);
}

/* Everything before the ACK field. True: continue. */
static bool acceptable(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	if (paws_reject(c, s, now) && !(s->flags & TH_RST)) {
		NS_COUNT(c->ns, tcp_paws_drop);
		out_of_window(c, s, now);
		return false;
	}
	if (!window_ok(c, s)) {
		/* A SYN that crossed ours and comes again. */
		if (c->state == NS_TCP_SYN_RECV && (s->flags & TH_SYN) && s->seq == c->irs)
			tcp_send_syn(c, now);
		else
			out_of_window(c, s, now);
		return false;
	}
	if (s->flags & TH_RST) {
		reset_received(c, s, now);
		return false;
	}
	if (s->flags & TH_SYN) {
		tcp_challenge_ack(c, now); /* RFC 5961 4.2 */
		return false;
	}
	return s->flags & TH_ACK;
}

/* ---- after the ACK: state changes of our side ---- */

static bool syn_recv_acked(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	if (seq_le(s->ack, c->snd_una) || seq_lt(c->snd_nxt, s->ack)) {
		reset_from_conn(c, s);
		return false;
	}
	c->snd_una = s->ack;
	c->snd_wnd = s->wnd << c->snd_wscale;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	if (!c->backoff)
		tcp_rtt_sample(c, NS_MAX(now - c->last_tx_ns, 1));
	tcp_handshake_done(c, c->peer_mss, now);
	return true;
}

static void fin_acked(struct ns_tcp *c, uint64_t now)
{
	if (!c->fin_sent || c->snd_una != c->snd_nxt || ns_tcp_unsent(c))
		return;
	switch (c->state) {
	case NS_TCP_FIN_WAIT1:
		tcp_set_state(c, NS_TCP_FIN_WAIT2);
		tcp_event(c, NS_EV_WRITABLE);
		if (c->orphan) {
			if (c->linger2_s < 0)
				tcp_done(c, 0);
			else
				c->t_wait = now + (uint64_t)c->linger2_s * NS_SEC;
		}
		break;
	case NS_TCP_CLOSING:
		tcp_time_wait(c, now);
		break;
	case NS_TCP_LAST_ACK:
		tcp_done(c, 0);
		break;
	default:
		break;
	}
}

static bool takes_data(const struct ns_tcp *c)
{
	return c->state == NS_TCP_ESTABLISHED || c->state == NS_TCP_FIN_WAIT1 ||
	       c->state == NS_TCP_FIN_WAIT2;
}

static void ecn_input(struct ns_tcp *c, const struct seg *s)
{
	if (!c->ecn_ok)
		return;
	if (s->flags & TH_CWR)
		c->ecn_ece_out = false;
	if (s->ce && !c->ecn_ece_out) {
		c->ecn_ece_out = true;
		c->ack_now = true;
	}
}

/* The segment is in the window and its acknowledgement is fine: text and FIN. Takes pkt. */
static void text(struct ns_tcp *c, struct ns_pkt *pkt, const struct seg *s, uint64_t now)
{
	uint32_t fin_at = s->seq + s->len;

	if (s->len && takes_data(c)) {
		if (c->orphan && seq_lt(c->rcv_nxt, s->seq + s->len)) {
			/* Nobody will read it: say so. */
			ns_pkt_put(pkt);
			tcp_send_rst(c);
			tcp_done(c, 0);
			return;
		}
		ecn_input(c, s);
		if (s->flags & TH_URG)
			tcp_urgent(c, s);
		tcp_data(c, pkt, s, now);
		/* After shutdown(SHUT_RD) data is acknowledged and thrown away. */
		if ((c->shut & NS_SHUT_RD) && c->rq_bytes) {
			tcp_free_rcv(c);
			c->copied_seq = c->rcv_nxt;
		}
	} else {
		if ((s->flags & TH_URG) && takes_data(c))
			tcp_urgent(c, s);
		ns_pkt_put(pkt);
	}
	if ((s->flags & TH_FIN) && !c->fin_rcvd) {
		if (fin_at == c->rcv_nxt) {
			tcp_fin(c, now);
		} else {
			c->ack_now = true;
		}
	}
}

/* ---- TIME_WAIT ---- */

/* Common to full and compact TIME_WAIT. */
struct tw_view {
	uint32_t rcv_nxt, ts_recent;
	bool ts_ok;
};

static bool tw_may_reuse(const struct tw_view *v, const struct seg *s)
{
	if ((s->flags & (TH_SYN | TH_RST | TH_ACK)) != TH_SYN)
		return false;
	return seq_lt(v->rcv_nxt, s->seq) ||
	       (v->ts_ok && s->has_ts && seq_lt(v->ts_recent, s->tsval));
}

static enum ns_tcp_verdict time_wait_input(
    struct ns_tcp *c, struct ns_pkt *pkt, const struct seg *s, uint64_t now)
{
	struct tw_view v = {c->rcv_nxt, c->ts_recent, c->ts_ok};

	if (tw_may_reuse(&v, s)) {
		/* The packet goes to the listener. */
		tcp_unparse(pkt);
		tcp_done(c, 0);
		return NS_TCP_REUSE;
	}
	if (s->flags & TH_RST) {
		/* RFC 1337: no assassination by old resets; an exact one in time ends it. */
		ns_pkt_put(pkt);
		return NS_TCP_OK;
	}
	if (s->seq != s->end || (s->flags & TH_SYN)) {
		tcp_oow_ack(c, now);
		if (s->flags & TH_FIN)
			c->t_wait = now + TIME_WAIT_NS;
	}
	ns_pkt_put(pkt);
	return NS_TCP_OK;
}

/* ---- entry ---- */

static void synchronised(struct ns_tcp *c, struct ns_pkt *pkt, struct seg *s, uint64_t now)
{
	if (!acceptable(c, s, now))
		goto drop;
	if (c->state == NS_TCP_SYN_RECV && !syn_recv_acked(c, s, now))
		goto drop;
	/* RFC 7323 4.3: the echo we owe is for the segment at the left edge. */
	if (c->ts_ok && s->has_ts && seq_le(s->seq, c->ts_last_ack_sent) &&
	    !seq_lt(s->tsval, c->ts_recent)) {
		c->ts_recent = s->tsval;
		c->ts_recent_ns = now;
	}
	if (!tcp_ack(c, s, now))
		goto drop;
	fin_acked(c, now);
	if (c->state == NS_TCP_CLOSED || c->state == NS_TCP_TIME_WAIT)
		goto drop;
	text(c, pkt, s, now);
	return;
drop:
	ns_pkt_put(pkt);
}

enum ns_tcp_verdict ns_tcp_input(struct ns_tcp *c, struct ns_pkt *pkt)
{
	uint64_t now = ns_now(c->ns);
	enum ns_tcp_verdict v = NS_TCP_OK;
	struct seg s;

	NS_COUNT(c->ns, tcp_in);
	if (!tcp_parse(pkt, &s)) {
		NS_COUNT(c->ns, tcp_in_err);
		ns_pkt_put(pkt);
		return NS_TCP_OK;
	}
	tcp_enter(c);
	c->segs_in += s.segs;
	c->last_rx_ns = now;
	switch (c->state) {
	case NS_TCP_CLOSED:
	case NS_TCP_LISTEN:
		/* The embedder has not removed it yet: as if there were no connection. */
		reset_from_conn(c, &s);
		ns_pkt_put(pkt);
		break;
	case NS_TCP_SYN_SENT:
		syn_sent(c, &s, now);
		ns_pkt_put(pkt);
		break;
	case NS_TCP_TIME_WAIT:
		v = time_wait_input(c, pkt, &s, now);
		break;
	default:
		synchronised(c, pkt, &s, now);
		break;
	}
	/* Out of order, duplicates, closing: these are waited for. The rest goes with the batch. */
	if (c->ack_now && c->state != NS_TCP_CLOSED &&
	    (c->ooo_head || c->fin_rcvd || c->state == NS_TCP_TIME_WAIT ||
		c->dsack.start != c->dsack.end))
		tcp_send_ack(c);
	tcp_leave(c);
	return v;
}

/* ---- ICMP ---- */

static void path_too_big(struct ns_tcp *c, uint32_t mtu, uint64_t now)
{
	uint32_t cur = c->pmtu ? NS_MIN(c->pmtu, c->dst.mtu) : c->dst.mtu;

	if (mtu >= cur)
		return;
	c->pmtu = mtu;
	if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		return;
	tcp_sync_mss(c);
	/* Resend what was too large at once; this is no congestion (RFC 1191 6.4). */
	for (struct ns_txrec *r = c->tx_head; r; r = r->next)
		tcp_rec_lost(c, r);
	if (c->ca_state < CA_RECOVERY) {
		c->prior_cwnd = c->cwnd;
		c->prior_ssthresh = c->ssthresh;
		c->recover = c->snd_nxt;
		c->prr_delivered = c->prr_out = 0;
		c->prr_recover_fs = NS_MAX(c->snd_nxt - c->snd_una, 1u);
		c->ssthresh = NS_MAX(c->cwnd, 2u * c->mss);
		c->undo_possible = false;
		c->ca_state = CA_RECOVERY;
	}
	tcp_output(c, now);
}

void ns_tcp_icmp(struct ns_tcp *c, const struct ns_icmp_error *e)
{
	uint64_t now = ns_now(c->ns);

	/* Only who sees our packets knows a number that is in flight (RFC 5927). */
	if (c->state == NS_TCP_CLOSED || c->state == NS_TCP_LISTEN ||
	    c->state == NS_TCP_TIME_WAIT || seq_lt(e->tcp_seq, c->snd_una) ||
	    !seq_lt(e->tcp_seq, c->snd_nxt)) {
		NS_COUNT(c->ns, tcp_icmp_ignored);
		return;
	}
	tcp_enter(c);
	if (e->kind == NS_ICMP_TOO_BIG)
		path_too_big(c, e->mtu, now);
	else if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		tcp_done(c, e->err);
	else
		c->soft_error = e->err; /* RFC 1122 4.2.3.9: not fatal once connected */
	tcp_leave(c);
}

/* ---- compact TIME_WAIT ---- */

void ns_tcp_tw_from(struct ns_tcp_tw *tw, const struct ns_tcp *c)
{
	memset(tw, 0, sizeof *tw);
	tw->ns = c->ns;
	tw->flow = c->flow;
	tw->dst = c->dst;
	tw->snd_nxt = c->snd_nxt;
	tw->rcv_nxt = c->rcv_nxt;
	tw->rcv_wnd = NS_MIN(c->rcvbuf >> c->rcv_wscale, 65535u);
	tw->ts_ok = c->ts_ok;
	tw->ts_recent = c->ts_recent;
	tw->ts_offset = c->ts_offset;
	tw->expires_ns = c->t_wait ? c->t_wait : ns_now(c->ns) + TIME_WAIT_NS;
}

static void tw_ack(struct ns_tcp_tw *tw, uint64_t now)
{
	struct tcp_out o = {
	    .seq = tw->snd_nxt, .ack = tw->rcv_nxt, .wnd = tw->rcv_wnd, .flags = TH_ACK};
	struct ns_pkt *p;

	if (tw->dst.gen != ns_route_generation(tw->ns) &&
	    ns_route_lookup(tw->ns, &tw->flow.remote, &tw->flow.local, 0, &tw->dst))
		return;
	p = ns_pkt_new(tw->ns, 0, 0);
	if (!p)
		return;
	if (tw->ts_ok) {
		memcpy(o.opts, (uint8_t[4]){1, 1, 8, 10}, 4);
		put32(o.opts + 4, tcp_clock_ms(now) + tw->ts_offset);
		put32(o.opts + 8, tw->ts_recent);
		o.optlen = 12;
	}
	tcp_emit(tw->ns, &tw->dst, &tw->flow, &o, 0, p);
}

enum ns_tcp_verdict ns_tcp_tw_input(struct ns_tcp_tw *tw, struct ns_pkt *pkt)
{
	struct tw_view v = {tw->rcv_nxt, tw->ts_recent, tw->ts_ok};
	uint64_t now = ns_now(tw->ns);
	struct seg s;

	NS_COUNT(tw->ns, tcp_in);
	if (!tcp_parse(pkt, &s)) {
		NS_COUNT(tw->ns, tcp_in_err);
		ns_pkt_put(pkt);
		return NS_TCP_OK;
	}
	if (tw_may_reuse(&v, &s)) {
		tcp_unparse(pkt);
		return NS_TCP_REUSE;
	}
	if (!(s.flags & TH_RST) && (s.seq != s.end || (s.flags & TH_SYN))) {
		tw_ack(tw, now);
		if (s.flags & TH_FIN)
			tw->expires_ns = now + TIME_WAIT_NS;
	}
	ns_pkt_put(pkt);
	return NS_TCP_OK;
}
