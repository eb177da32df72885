/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP timers: retransmission (RFC 6298), tail loss probe and reordering (RFC 8985), delayed
 * acknowledgement, zero-window probe, keep-alive, TIME_WAIT and FIN_WAIT2. All are absolute times
 * in the connection; the embedder arms one timer for the earliest.
 */
#include "tcp_internal.h"

uint64_t tcp_rto(const struct ns_tcp *c)
{
	uint64_t rto = c->rto_ns << NS_MIN(c->backoff, 10);

	return NS_MIN(rto, RTO_MAX);
}

/* Probe timeout, or 0 when a probe makes no sense now. */
static uint64_t probe_timeout(const struct ns_tcp *c)
{
	uint64_t pto;

	if (!c->sack_ok || c->ca_state > CA_DISORDER || c->sacked_bytes || c->tlp.active ||
	    c->backoff || !c->srtt_ns)
		return 0;
	pto = 2 * c->srtt_ns;
	if (c->snd_nxt - c->snd_una <= c->mss)
		pto += RTO_MIN; /* the peer may delay its acknowledgement of a single segment */
	else
		pto += 2 * NS_MS;
	return pto;
}

void tcp_arm_rexmit(struct ns_tcp *c, uint64_t now)
{
	uint64_t rto = tcp_rto(c), pto = probe_timeout(c);

	if (pto && pto < rto) {
		c->rexmit_kind = REXMIT_TLP;
		c->t_rexmit = now + pto;
	} else {
		c->rexmit_kind = REXMIT_RTO;
		c->t_rexmit = now + rto;
	}
}

void tcp_keep_restart(struct ns_tcp *c, uint64_t now)
{
	bool on = c->keepalive && c->state != NS_TCP_CLOSED && c->state != NS_TCP_SYN_SENT &&
		  c->state != NS_TCP_TIME_WAIT;

	c->t_keep = on ? now + (uint64_t)c->keep_idle_s * NS_SEC : 0;
}

/* Has the peer been silent for too long? tries: retransmissions so far. */
static bool give_up(struct ns_tcp *c, unsigned tries, unsigned limit, uint64_t now)
{
	if (c->user_timeout_ms)
		return c->stalled_since && now - c->stalled_since >= c->user_timeout_ms * NS_MS;
	return tries > limit;
}

static void timed_out(struct ns_tcp *c)
{
	tcp_done(c, c->soft_error ? c->soft_error : NS_ETIMEDOUT);
}

static void rexmit_syn(struct ns_tcp *c, uint64_t now)
{
	if (give_up(c, c->backoff + 1u, c->syn_retries, now)) {
		timed_out(c);
		return;
	}
	c->backoff++;
	c->total_retrans++;
	NS_COUNT(c->ns, tcp_retrans);
	if (tcp_route(c))
		tcp_send_syn(c, now);
	c->t_rexmit = now + tcp_rto(c);
}

static void tail_probe(struct ns_tcp *c, uint64_t now)
{
	struct ns_txrec *r = c->tx_tail;
	uint32_t window = c->snd_una + c->snd_wnd - c->snd_nxt;

	c->rexmit_kind = REXMIT_RTO;
	c->t_rexmit = now + tcp_rto(c);
	if (!r)
		return;
	c->tlp.active = true;
	c->tlp.is_retrans = false;
	if (ns_tcp_unsent(c) &&
	    (int32_t)window >= (int32_t)NS_MIN(ns_tcp_unsent(c), (uint32_t)c->mss)) {
		tcp_send_one(c, c->mss, now);
	} else {
		if (r->end - r->seq > c->mss) {
			uint32_t at =
			    r->end - r->fin - NS_MIN((uint32_t)c->mss, r->end - r->seq - r->fin);

			if (seq_lt(r->seq, at))
				r = tcp_rec_split(c, r, at);
		}
		if (!r || !tcp_retransmit(c, r, c->mss, now))
			c->tlp.active = false;
		else
			c->tlp.is_retrans = true;
	}
	c->tlp.end_seq = c->snd_nxt;
}

static void rto_expired(struct ns_tcp *c, uint64_t now)
{
	unsigned limit = c->orphan ? ORPHAN_RETRIES : MAX_RETRIES;

	if (give_up(c, c->backoff + 1u, limit, now)) {
		timed_out(c);
		return;
	}
	if (c->snd_una == c->snd_nxt) {
		c->t_rexmit = 0;
		return;
	}
	tcp_enter_loss(c, now);
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	c->tlp.active = false;
	c->rexmit_kind = REXMIT_RTO;
	c->t_rexmit = now + tcp_rto(c);
	/* The next hop may have died; ask again after some failures. */
	if (c->backoff >= 3)
		c->dst.gen--;
	if (c->tx_head && tcp_route(c))
		tcp_retransmit(c, c->tx_head, c->mss, now);
	tcp_output(c, now);
}

static void rexmit_timer(struct ns_tcp *c, uint64_t now)
{
	if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		rexmit_syn(c, now);
	else if (c->rexmit_kind == REXMIT_TLP)
		tail_probe(c, now);
	else
		rto_expired(c, now);
}

static void persist_timer(struct ns_tcp *c, uint64_t now)
{
	uint32_t wnd = c->snd_una + c->snd_wnd - c->snd_nxt;

	c->t_persist = 0;
	if (c->snd_una != c->snd_nxt || !ns_tcp_unsent(c))
		return;
	if (c->user_timeout_ms ? give_up(c, 0, 0, now)
			       : c->probes_out > (c->orphan ? ORPHAN_RETRIES : MAX_RETRIES)) {
		timed_out(c);
		return;
	}
	if (!c->stalled_since)
		c->stalled_since = now;
	if ((int32_t)wnd > 0 && tcp_route(c) &&
	    tcp_send_one(c, NS_MIN(wnd, (uint32_t)c->mss), now)) {
		tcp_arm_rexmit(c, now);
		return;
	}
	c->probes_out++;
	tcp_send_probe(c);
	c->t_persist =
	    now + NS_MIN(NS_MAX(c->rto_ns, RTO_MIN) << NS_MIN(c->probes_out, 10u), RTO_MAX);
}

static void keep_timer(struct ns_tcp *c, uint64_t now)
{
	uint64_t idle = now - NS_MAX(c->last_rx_ns, c->created_ns);
	bool dead;

	c->t_keep = 0;
	if (!c->keepalive)
		return;
	/* Data in flight or probes of a closed window already watch the peer. */
	if (c->snd_una != c->snd_nxt || ns_tcp_unsent(c)) {
		c->t_keep = now + (uint64_t)c->keep_idle_s * NS_SEC;
		return;
	}
	if (idle < (uint64_t)c->keep_idle_s * NS_SEC) {
		c->t_keep = now + (uint64_t)c->keep_idle_s * NS_SEC - idle;
		return;
	}
	dead = c->user_timeout_ms ? idle >= c->user_timeout_ms * NS_MS && c->keep_probes_out > 0
				  : c->keep_probes_out >= c->keep_cnt;
	if (dead) {
		tcp_send_rst(c);
		timed_out(c);
		return;
	}
	c->keep_probes_out++;
	tcp_send_probe(c);
	c->t_keep = now + (uint64_t)c->keep_intvl_s * NS_SEC;
}

static void delack_timer(struct ns_tcp *c)
{
	c->t_delack = 0;
	if (!c->unacked_bytes && !c->ack_now)
		return;
	/* The application did not answer in time: this is no request/response traffic. */
	c->pingpong = false;
	tcp_send_ack(c);
}

static bool due(uint64_t t, uint64_t now)
{
	return t && t <= now;
}

void ns_tcp_timer(struct ns_tcp *c, uint64_t now)
{
	if (c->state == NS_TCP_CLOSED)
		return;
	tcp_enter(c);
	c->armed = 0;
	if (due(c->t_wait, now)) {
		c->t_wait = 0;
		tcp_done(c, 0); /* TIME_WAIT or FIN_WAIT2 is over */
	}
	if (c->state != NS_TCP_CLOSED && due(c->t_rack, now)) {
		c->t_rack = 0;
		tcp_rack_detect(c, now);
		if (c->lost_bytes) {
			tcp_enter_recovery(c, now);
			if (c->ca_state == CA_RECOVERY)
				c->cwnd =
				    NS_MAX(tcp_pipe(c) + c->mss, NS_MIN(c->cwnd, c->ssthresh));
			tcp_output(c, now);
		}
	}
	if (c->state != NS_TCP_CLOSED && due(c->t_rexmit, now))
		rexmit_timer(c, now);
	if (c->state != NS_TCP_CLOSED && due(c->t_persist, now))
		persist_timer(c, now);
	if (c->state != NS_TCP_CLOSED && due(c->t_keep, now))
		keep_timer(c, now);
	if (c->state != NS_TCP_CLOSED && due(c->t_delack, now))
		delack_timer(c);
	tcp_leave(c);
}
