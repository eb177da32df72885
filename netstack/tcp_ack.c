/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processing of acknowledgements: SACK blocks, round trip times, congestion state (RFC 5681, 6582,
 * 6675, 6937), undo of needless reductions. Loss detection is in tcp_rack.c.
 */
#include "tcp_internal.h"

/* What one acknowledgement brought. */
struct ack_info {
	const struct seg *s;
	uint64_t now;
	uint32_t prior_una, prior_pipe, prior_fack;
	uint32_t acked;	    /* cumulative advance, bytes */
	uint32_t sacked;    /* newly SACKed bytes */
	uint32_t delivered; /* newly delivered either way */
	uint64_t rtt;	    /* sample, 0: none */
	bool dsack, is_dup, retrans_acked;
};

/* ---- SACK ---- */

/* Joins a SACKed record with SACKed neighbours, which keeps the list short; returns the result. */
static struct ns_txrec *merge_sacked(struct ns_tcp *c, struct ns_txrec *r)
{
	struct ns_txrec *n = r->next, *p = r->prev;

	if (n && n->sacked && !n->fin && !r->fin) {
		n->sacked = 0; /* its bytes stay in the account, under r */
		r->end = n->end;
		tcp_rec_free(c, n);
	}
	if (p && p->sacked && !r->fin) {
		r->sacked = 0;
		p->end = r->end;
		tcp_rec_free(c, r);
		return p;
	}
	return r;
}

/* Delivered later than something sent after it, without a retransmission. */
static void saw_reordering(struct ns_tcp *c)
{
	c->rack.reordering = true;
	c->reord_seen++;
}

static void sack_record(struct ns_tcp *c, struct ns_txrec *r, struct ack_info *a)
{
	uint32_t n = r->end - r->seq;

	if (!r->tries) {
		if (seq_lt(r->end, a->prior_fack))
			saw_reordering(c);
		else
			a->rtt = NS_MAX(a->now - r->sent_ns, 1);
	}
	if (seq_lt(c->rack.fack, r->end))
		c->rack.fack = r->end;
	tcp_rack_advance(c, r, a->now, a->s);
	a->sacked += n;
	a->delivered += n;
	tcp_rec_sacked(c, r);
}

static void sack_block(struct ns_tcp *c, struct ns_sack_block b, struct ack_info *a)
{
	struct ns_txrec *r = c->tx_tail;

	/* From the tail: new blocks lie near it, and SACKed stretches are single records. */
	while (r && seq_lt(b.start, r->seq))
		r = r->prev;
	if (!r)
		r = c->tx_head;
	while (r && seq_lt(r->seq, b.end)) {
		if (r->sacked || seq_le(r->end, b.start)) {
			r = r->next;
			continue;
		}
		if (seq_lt(r->seq, b.start)) {
			r = tcp_rec_split(c, r, b.start);
			if (!r)
				return;
		}
		if (seq_lt(b.end, r->end) && !tcp_rec_split(c, r, b.end))
			return;
		sack_record(c, r, a);
		r = merge_sacked(c, r)->next;
	}
}

static void process_sack(struct ns_tcp *c, struct ack_info *a)
{
	const struct seg *s = a->s;
	int first = 0;

	if (!s->nsack)
		return;
	/* RFC 2883: a first block below the acknowledgement or inside the second is a duplicate. */
	if (seq_le(s->sack[0].end, s->ack) ||
	    (s->nsack > 1 && seq_le(s->sack[1].start, s->sack[0].start) &&
		seq_le(s->sack[0].end, s->sack[1].end))) {
		a->dsack = true;
		c->dsack_dups++;
		first = 1;
		if (c->undo_retrans)
			c->undo_retrans--;
		c->rack.dsack_seen = true;
	}
	for (int i = first; i < s->nsack; i++) {
		struct ns_sack_block b = s->sack[i];

		if (!seq_lt(b.start, b.end) || seq_lt(c->snd_nxt, b.end) ||
		    seq_lt(b.start, c->snd_una))
			continue;
		sack_block(c, b, a);
	}
}

/* ---- cumulative acknowledgement ---- */

static void ack_records(struct ns_tcp *c, struct ack_info *a)
{
	while (c->tx_head && seq_lt(c->tx_head->seq, c->snd_una)) {
		struct ns_txrec *r = c->tx_head;
		uint32_t upto = seq_lt(c->snd_una, r->end) ? c->snd_una : r->end;

		if (!r->sacked) {
			a->delivered += upto - r->seq;
			if (r->tries) {
				a->retrans_acked = true;
			} else {
				a->rtt = NS_MAX(a->now - r->sent_ns, 1);
				if (seq_lt(r->end, a->prior_fack) && upto == r->end)
					saw_reordering(c);
			}
			if (upto == r->end)
				tcp_rack_advance(c, r, a->now, a->s);
		}
		if (upto != r->end) { /* part of a large segment */
			uint32_t n = upto - r->seq;

			if (r->sacked)
				c->sacked_bytes -= n;
			if (r->lost)
				c->lost_bytes -= n;
			if (r->retrans)
				c->retrans_bytes -= n;
			r->seq = upto;
			break;
		}
		tcp_rec_free(c, r);
	}
	if (seq_lt(c->rack.fack, c->snd_una))
		c->rack.fack = c->snd_una;
}

void tcp_rtt_sample(struct ns_tcp *c, uint64_t rtt)
{
	if (!c->srtt_ns) {
		c->srtt_ns = rtt;
		c->rttvar_ns = rtt / 2;
	} else {
		uint64_t err = rtt > c->srtt_ns ? rtt - c->srtt_ns : c->srtt_ns - rtt;

		c->rttvar_ns = c->rttvar_ns - c->rttvar_ns / 4 + err / 4;
		c->srtt_ns = c->srtt_ns - c->srtt_ns / 8 + rtt / 8;
	}
	c->rto_ns = c->srtt_ns + NS_MAX(4 * c->rttvar_ns, RTO_MIN);
	c->rto_ns = NS_MIN(c->rto_ns, RTO_MAX);
}

static void update_rtt(struct ns_tcp *c, struct ack_info *a)
{
	const struct seg *s = a->s;

	/* Karn: nothing from retransmitted records, unless the peer's echo tells which copy. */
	if (!a->rtt && a->acked && c->ts_ok && s->has_ts && s->tsecr) {
		uint32_t ms = tcp_clock_ms(a->now) + c->ts_offset - s->tsecr;

		if (ms < 120000)
			a->rtt = NS_MAX((uint64_t)ms * NS_MS, NS_MS);
	}
	if (!a->rtt)
		return;
	if (!c->rack.min_rtt_ns || a->rtt < c->rack.min_rtt_ns)
		c->rack.min_rtt_ns = a->rtt;
	tcp_rtt_sample(c, a->rtt);
}

/* ---- congestion state ---- */

static void start_reduction(struct ns_tcp *c, uint64_t now)
{
	c->prior_cwnd = c->cwnd;
	c->prior_ssthresh = c->ssthresh;
	c->ssthresh = NS_MAX(c->cc->ssthresh(c, now), 2u * c->mss);
	c->recover = c->snd_nxt;
	c->prr_delivered = c->prr_out = 0;
	c->prr_recover_fs = NS_MAX(c->snd_nxt - c->snd_una, 1u);
	c->ca_acked = 0;
}

void tcp_enter_recovery(struct ns_tcp *c, uint64_t now)
{
	if (c->ca_state >= CA_RECOVERY)
		return;
	if (c->ca_state != CA_CWR)
		start_reduction(c, now);
	else
		c->recover = c->snd_nxt;
	c->undo_possible = true;
	c->undo_retrans = 0;
	c->retrans_stamp = 0;
	c->ca_state = CA_RECOVERY;
}

void tcp_enter_cwr(struct ns_tcp *c, uint64_t now)
{
	if (c->ca_state >= CA_CWR)
		return;
	start_reduction(c, now);
	c->undo_possible = false;
	c->ca_state = CA_CWR;
}

void tcp_mark_all_lost(struct ns_tcp *c, bool reneged)
{
	for (struct ns_txrec *r = c->tx_head; r; r = r->next) {
		if (reneged && r->sacked) {
			c->sacked_bytes -= r->end - r->seq;
			r->sacked = 0;
		}
		tcp_rec_lost(c, r);
	}
}

void tcp_clear_lost(struct ns_tcp *c)
{
	for (struct ns_txrec *r = c->tx_head; r; r = r->next)
		if (r->lost) {
			r->lost = 0;
			c->lost_bytes -= r->end - r->seq;
			if (r->retrans) {
				r->retrans = 0;
				c->retrans_bytes -= r->end - r->seq;
			} else if (!r->on_time_list) {
				/* Original still on its way: expected again, counted from now. */
				uint16_t tries = r->tries;

				tcp_rec_sent(c, r, ns_now(c->ns));
				r->retrans = 0;
				c->retrans_bytes -= r->end - r->seq;
				r->tries = tries;
			}
		}
}

/* Retransmission timeout: everything not SACKed is presumed lost, slow start from one segment. */
void tcp_enter_loss(struct ns_tcp *c, uint64_t now)
{
	/* A peer that drops what it SACKed (RFC 2018 section 8): forget what it said. */
	bool reneged = c->tx_head && c->tx_head->sacked;

	if (c->ca_state < CA_RECOVERY ||
	    (c->ca_state == CA_LOSS && seq_le(c->recover, c->snd_una))) {
		start_reduction(c, now);
		c->undo_possible = true;
		c->undo_retrans = 0;
		c->retrans_stamp = 0;
	} else if (c->ca_state == CA_RECOVERY) {
		c->recover = c->snd_nxt;
	}
	c->ca_state = CA_LOSS;
	c->recover = c->snd_nxt;
	c->cwnd = c->mss;
	c->dupacks = 0;
	c->ca_acked = 0;
	tcp_mark_all_lost(c, reneged);
	c->cc->on_timeout(c, now);
	c->ecn_cwr_due = c->ecn_ok;
}

static void undo(struct ns_tcp *c)
{
	c->cwnd = NS_MAX(c->cwnd, c->prior_cwnd);
	c->ssthresh = NS_MAX(c->ssthresh, c->prior_ssthresh);
	c->undo_possible = false;
	c->retrans_stamp = 0;
	c->ca_state = CA_OPEN;
	c->cc->undo(c);
	tcp_clear_lost(c);
}

/* Was the reduction a mistake? Either the peer's echo shows that it answers the original (Eifel,
 * RFC 3522), or it reported every retransmission as a duplicate. */
static bool spurious(const struct ns_tcp *c, const struct ack_info *a)
{
	if (!c->undo_possible || !c->retrans_stamp)
		return false;
	if (a->acked && c->ts_ok && a->s->has_ts && a->s->tsecr &&
	    seq_lt(a->s->tsecr, tcp_clock_ms(c->retrans_stamp) + c->ts_offset))
		return true;
	return a->dsack && !c->undo_retrans;
}

/* RFC 6937: send about as fast as data leaves the network, converging on ssthresh. */
static void proportional_reduction(struct ns_tcp *c, uint32_t delivered, bool advanced)
{
	uint32_t pipe = tcp_pipe(c), n;

	c->prr_delivered += delivered;
	if (pipe > c->ssthresh) {
		uint64_t target =
		    ((uint64_t)c->prr_delivered * c->ssthresh + c->prr_recover_fs - 1) /
		    c->prr_recover_fs;

		n = target > c->prr_out ? (uint32_t)(target - c->prr_out) : 0;
	} else {
		uint32_t limit = c->prr_delivered > c->prr_out ? c->prr_delivered - c->prr_out : 0;

		limit = NS_MAX(limit, delivered);
		if (advanced)
			limit += c->mss;
		n = NS_MIN(c->ssthresh - pipe, limit);
	}
	if (!c->prr_out && n < c->mss)
		n = c->mss; /* the first retransmission goes out at once */
	c->cwnd = NS_MAX(pipe + n, (uint32_t)c->mss);
}

/* Peers without SACK: duplicate acknowledgements stand for delivered segments (RFC 6582). */
static void newreno(struct ns_tcp *c, struct ack_info *a)
{
	if (a->is_dup) {
		c->dupacks++;
		a->delivered += c->mss;
		if (c->dupacks == 3 && c->tx_head && c->ca_state < CA_RECOVERY) {
			struct ns_txrec *r = c->tx_head;

			if (r->end - r->seq > c->mss)
				tcp_rec_split(c, r, r->seq + c->mss);
			tcp_rec_lost(c, r);
		}
		return;
	}
	if (!a->acked)
		return;
	if (c->ca_state == CA_RECOVERY && seq_lt(c->snd_una, c->recover) && c->tx_head) {
		/* Partial: the next hole is lost as well. */
		struct ns_txrec *r = c->tx_head;

		if (!r->lost) {
			if (r->end - r->seq > c->mss)
				tcp_rec_split(c, r, r->seq + c->mss);
			tcp_rec_lost(c, r);
		}
	}
	if (c->ca_state != CA_RECOVERY)
		c->dupacks = 0;
}

static void leave_reduction(struct ns_tcp *c)
{
	if (c->ca_state != CA_LOSS)
		c->cwnd = NS_MIN(
		    NS_MAX(c->ssthresh, 2u * c->mss), NS_MAX(tcp_pipe(c) + c->mss, c->ssthresh));
	c->ca_state = CA_OPEN;
	c->dupacks = 0;
	c->ca_acked = 0;
	c->undo_possible = false;
	c->retrans_stamp = 0;
	if (c->rack.reo_persist && !--c->rack.reo_persist)
		c->rack.reo_mult = 1;
}

static void congestion(struct ns_tcp *c, struct ack_info *a)
{
	bool advanced = a->acked > 0;

	if (c->ca_state >= CA_RECOVERY && spurious(c, a))
		undo(c);
	if (c->ecn_ok && (a->s->flags & TH_ECE) && c->ca_state < CA_CWR) {
		c->delivered_ce++;
		tcp_enter_cwr(c, a->now);
		c->ecn_cwr_due = true;
	}
	if (c->lost_bytes && c->ca_state < CA_RECOVERY)
		tcp_enter_recovery(c, a->now);
	if (c->ca_state != CA_OPEN && c->ca_state != CA_DISORDER && advanced &&
	    seq_le(c->recover, c->snd_una))
		leave_reduction(c);
	switch (c->ca_state) {
	case CA_RECOVERY:
	case CA_CWR:
		proportional_reduction(c, a->delivered, advanced);
		break;
	case CA_LOSS:
		if (a->delivered)
			c->cc->on_ack(c, a->delivered, 0, a->now);
		break;
	default:
		c->ca_state = c->sacked_bytes || c->dupacks ? CA_DISORDER : CA_OPEN;
		if (!advanced)
			break;
		/* Growth only if the window was what limited us (RFC 7661). */
		if (c->cwnd_limited || (c->cwnd < c->ssthresh && a->prior_pipe * 2 >= c->cwnd))
			c->cc->on_ack(c, a->acked, a->rtt, a->now);
		break;
	}
	if (c->cwnd_clamp && c->cwnd > c->cwnd_clamp)
		c->cwnd = NS_MAX(c->cwnd_clamp, (uint32_t)c->mss);
}

/* RFC 8985 7.4: an acknowledgement of the probe itself means that it repaired a loss. */
static void tail_probe_answered(struct ns_tcp *c, struct ack_info *a)
{
	if (!c->tlp.active || seq_lt(c->snd_una, c->tlp.end_seq))
		return;
	if (c->tlp.is_retrans && !a->dsack && !a->sacked && a->acked && c->ca_state < CA_CWR)
		tcp_enter_cwr(c, a->now);
	c->tlp.active = false;
}

static void window_update(struct ns_tcp *c, const struct seg *s)
{
	uint32_t wnd = s->wnd << c->snd_wscale;

	if (seq_lt(c->snd_wl1, s->seq) || (c->snd_wl1 == s->seq && seq_le(c->snd_wl2, s->ack))) {
		c->snd_wnd = wnd;
		c->snd_wl1 = s->seq;
		c->snd_wl2 = s->ack;
	}
	if (c->max_window < c->snd_wnd)
		c->max_window = c->snd_wnd;
}

bool tcp_ack(struct ns_tcp *c, const struct seg *s, uint64_t now)
{
	struct ack_info a = {.s = s,
	    .now = now,
	    .prior_una = c->snd_una,
	    .prior_pipe = tcp_pipe(c),
	    .prior_fack = c->rack.fack};
	uint32_t old_wnd = c->snd_wnd;

	if (seq_lt(c->snd_nxt, s->ack)) {
		tcp_challenge_ack(c, now); /* acknowledges what was never sent */
		return false;
	}
	if (seq_lt(s->ack, c->snd_una - c->max_window)) {
		tcp_challenge_ack(c, now); /* RFC 5961 5.2 */
		return false;
	}
	c->last_ack_recv_ns = now;
	if (seq_lt(s->ack, c->snd_una)) {
		if (c->sack_ok && s->nsack)
			process_sack(c, &a);
		return true;
	}
	window_update(c, s);
	a.acked = s->ack - c->snd_una;
	a.is_dup = !a.acked && !s->len && !(s->flags & (TH_SYN | TH_FIN)) &&
		   c->snd_wnd == old_wnd && c->snd_una != c->snd_nxt;
	c->snd_una = s->ack;
	if (c->sack_ok)
		process_sack(c, &a);
	if (a.acked) {
		c->bytes_acked += a.acked;
		ack_records(c, &a);
		tcp_sndq_acked(c);
		c->backoff = 0;
		c->stalled_since = c->snd_una == c->snd_nxt && !ns_tcp_unsent(c) ? 0 : now;
		c->soft_error = 0;
		ns_neigh_confirm(c->ns, &c->dst);
	}
	c->probes_out = 0;
	c->keep_probes_out = 0;
	update_rtt(c, &a);
	if (c->urg_out && seq_le(c->snd_up, c->snd_una))
		c->urg_out = false;
	c->delivered += a.delivered;
	if (c->sack_ok)
		tcp_rack_detect(c, now);
	else
		newreno(c, &a);
	tail_probe_answered(c, &a);
	congestion(c, &a);
	if (c->snd_una == c->snd_nxt) {
		c->t_rexmit = c->t_rack = 0;
		c->tlp.active = false;
	} else if (a.acked || (a.sacked && c->rexmit_kind == REXMIT_TLP)) {
		tcp_arm_rexmit(c, now);
	}
	if (c->snd_wnd && c->t_persist && c->snd_wnd > old_wnd)
		c->t_persist = 0;
	return true;
}
