/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK (RFC 8985): a record is lost when something sent sufficiently later has been delivered.
 * Works for retransmissions too, so that a lost retransmission needs no timeout.
 */
#include "tcp_internal.h"

static bool sent_after(uint64_t t1, uint32_t end1, uint64_t t2, uint32_t end2)
{
	return t1 > t2 || (t1 == t2 && seq_lt(end2, end1));
}

/* A record has been delivered: it may be the latest sent one that we know of. */
void tcp_rack_advance(struct ns_tcp *c, const struct ns_txrec *r, uint64_t now, const struct seg *s)
{
	uint64_t rtt = now - r->sent_ns;

	if (r->tries) {
		/* Did the peer get the retransmission or the original? */
		if (c->ts_ok && s->has_ts && s->tsecr &&
		    seq_lt(s->tsecr, tcp_clock_ms(r->sent_ns) + c->ts_offset))
			return;
		if (c->rack.min_rtt_ns && rtt < c->rack.min_rtt_ns)
			return;
	}
	c->rack.rtt_ns = rtt;
	if (sent_after(r->sent_ns, r->end, c->rack.xmit_ns, c->rack.end_seq)) {
		c->rack.xmit_ns = r->sent_ns;
		c->rack.end_seq = r->end;
	}
}

static uint64_t reorder_window(struct ns_tcp *c)
{
	uint64_t w;

	/* Duplicates seen: the window was too small; widen it, once per round trip. */
	if (c->rack.dsack_seen && !seq_lt(c->snd_una, c->rack.dsack_round)) {
		c->rack.dsack_seen = false;
		c->rack.dsack_round = c->snd_nxt;
		if (c->rack.reo_mult < 255)
			c->rack.reo_mult++;
		c->rack.reo_persist = 16;
	}
	if (!c->rack.reordering && (c->ca_state >= CA_RECOVERY || c->sacked_bytes >= 3u * c->mss))
		return 0;
	w = c->rack.min_rtt_ns / 4 * c->rack.reo_mult;
	return NS_MIN(w, c->srtt_ns);
}

void tcp_rack_detect(struct ns_tcp *c, uint64_t now)
{
	uint64_t window, wait = 0;
	struct ns_txrec *r, *next;

	c->t_rack = 0;
	if (!c->rack.xmit_ns || !c->tt_head)
		return;
	window = reorder_window(c);
	for (r = c->tt_head; r; r = next) {
		uint64_t due = r->sent_ns + c->rack.rtt_ns + window;

		next = r->tnext;
		if (!sent_after(c->rack.xmit_ns, c->rack.end_seq, r->sent_ns, r->end))
			break;
		if (due <= now) {
			tcp_rec_lost(c, r);
		} else {
			wait = due - now;
			break; /* later ones are due later */
		}
	}
	if (wait)
		c->t_rack = now + wait;
}
