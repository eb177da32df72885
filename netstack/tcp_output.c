/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP output: building segments, deciding what may be sent now. */
#include "tcp_internal.h"

/* ---- headers ---- */

void tcp_emit(struct ns_instance *ns, const struct ns_dst *dst, const struct ns_flow *f,
    const struct tcp_out *o, uint32_t gso, struct ns_pkt *pkt)
{
	bool v4 = !f->v6;
	uint32_t hlen = TCP_HLEN + o->optlen, len;
	uint8_t *h = ns_pkt_push(pkt, hlen);

	put16(h, f->lport);
	put16(h + 2, f->rport);
	put32(h + 4, o->seq);
	put32(h + 8, o->ack);
	h[12] = (uint8_t)(hlen / 4 << 4);
	h[13] = o->flags;
	put16(h + 14, o->wnd);
	put16(h + 18, o->urg);
	memcpy(h + TCP_HLEN, o->opts, o->optlen);
	len = pkt->tot_len;
	put_csum(h + 16,
	    (uint16_t)~ns_csum_fold(ns_pseudo_sum(&f->local, &f->remote, NS_PROTO_TCP, len)));
	pkt->proto = NS_PROTO_TCP;
	pkt->l4_off = pkt->csum_start = (uint16_t)ns_pkt_headroom(pkt);
	pkt->csum_offset = 16;
	pkt->flags |= NS_PKT_CSUM_PARTIAL;
	h = ns_pkt_push(pkt, v4 ? IP4_HLEN : IP6_HLEN);
	ns_ip_header(h, &f->local, &f->remote, NS_PROTO_TCP, o->ttl ? o->ttl : DEFAULT_TTL, o->tos,
	    len, true, 0);
	if (gso) {
		pkt->gso_type = v4 ? NS_GSO_TCPV4 : NS_GSO_TCPV6;
		pkt->gso_size = (uint16_t)gso;
		pkt->gso_hdr_len = (uint16_t)((v4 ? IP4_HLEN : IP6_HLEN) + hlen);
	}
	NS_COUNT(ns, tcp_out);
	ns_output(ns, dst, pkt);
}

uint8_t tcp_syn_options(uint8_t *o, const struct syn_opts *s)
{
	uint8_t n = 4;

	o[0] = 2;
	o[1] = 4;
	put16(o + 2, s->mss);
	if (s->ts_ok) {
		o[n] = s->sack_ok ? 4 : 1;
		o[n + 1] = s->sack_ok ? 2 : 1;
		o[n + 2] = 8;
		o[n + 3] = 10;
		put32(o + n + 4, s->tsval);
		put32(o + n + 8, s->tsecr);
		n += 12;
	} else if (s->sack_ok) {
		memcpy(o + n, (uint8_t[4]){1, 1, 4, 2}, 4);
		n += 4;
	}
	if (s->wscale_ok) {
		memcpy(o + n, (uint8_t[4]){1, 3, 3, s->wscale}, 4);
		n += 4;
	}
	return n;
}

void tcp_reset_reply(struct ns_instance *ns, const struct ns_flow *f, const struct seg *s)
{
	struct tcp_out o = {.flags = TH_RST};
	struct ns_dst dst;
	struct ns_pkt *p;

	if ((s->flags & TH_RST) || ns_addr_is_multicast(&f->local) ||
	    !ns_addr_is_local(ns, &f->local, 0))
		return;
	if (!ns_bucket_take(&ns->rst_bucket, ns_now(ns), ns->cfg.rst_per_second))
		return;
	if (ns_route_lookup(
		ns, &f->remote, &f->local, ns_addr_is_linklocal(&f->remote) ? f->ifindex : 0, &dst))
		return;
	p = ns_pkt_new(ns, 0, 0);
	if (!p)
		return;
	if (s->flags & TH_ACK) {
		o.seq = s->ack;
	} else {
		o.flags |= TH_ACK;
		o.ack = s->end;
	}
	NS_COUNT(ns, tcp_rst_out);
	tcp_emit(ns, &dst, f, &o, 0, p);
}

/* ---- receive window ---- */

uint32_t tcp_receive_window(struct ns_tcp *c)
{
	uint32_t cur = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t buffer = c->rcvbuf > NS_LOW_BUFFER && c->rq_bytes && ns_memory_low(c->ns)
			      ? NS_LOW_BUFFER
			      : c->rcvbuf;
	uint32_t space = buffer > c->rq_bytes ? buffer - c->rq_bytes : 0;
	uint32_t max = 65535u << c->rcv_wscale, unit = 1u << c->rcv_wscale;

	/* Many small segments cost more memory than their bytes say. */
	if (c->rq_mem + c->ooo_mem > 4 * c->rcvbuf)
		space = 0;
	space = NS_MIN(space, max) & ~(unit - 1);
	/* Silly window avoidance: open by worthwhile steps; never take back what was promised. */
	if (space < cur + NS_MIN(c->rcvbuf / 2, (uint32_t)c->rcv_mss) || space <= cur)
		space = NS_MIN((cur + unit - 1) & ~(unit - 1), max);
	return space;
}

static uint32_t window_field(struct ns_tcp *c)
{
	uint32_t w = tcp_receive_window(c);

	if (seq_lt(c->rcv_adv, c->rcv_nxt + w))
		c->rcv_adv = c->rcv_nxt + w;
	return w >> c->rcv_wscale;
}

/* ---- options of an established connection ---- */

static uint8_t sack_blocks(const struct ns_tcp *c)
{
	uint8_t n = c->nsacks;

	if (!c->sack_ok)
		return 0;
	if (c->dsack.start != c->dsack.end)
		n++;
	return (uint8_t)NS_MIN(n, c->ts_ok ? 3 : 4);
}

static uint8_t put_options(struct ns_tcp *c, uint8_t *o, uint64_t now)
{
	uint8_t n = 0, blocks = sack_blocks(c), i = 0;

	if (c->ts_ok) {
		memcpy(o, (uint8_t[4]){1, 1, 8, 10}, 4);
		put32(o + 4, tcp_clock_ms(now) + c->ts_offset);
		put32(o + 8, c->ts_recent);
		n = 12;
	}
	if (!blocks)
		return n;
	o[n] = o[n + 1] = 1;
	o[n + 2] = 5;
	o[n + 3] = (uint8_t)(2 + 8 * blocks);
	n += 4;
	if (c->dsack.start != c->dsack.end) {
		put32(o + n, c->dsack.start);
		put32(o + n + 4, c->dsack.end);
		n += 8;
		blocks--;
		c->dsack.start = c->dsack.end = 0;
	}
	for (; i < blocks; i++, n += 8) {
		put32(o + n, c->sacks[i].start);
		put32(o + n + 4, c->sacks[i].end);
	}
	return n;
}

static uint32_t effective_mss(const struct ns_tcp *c)
{
	uint32_t opt = sack_blocks(c) ? 4 + 8u * sack_blocks(c) : 0;

	return c->mss > opt + MIN_MSS ? c->mss - opt : c->mss;
}

static void ack_went_out(struct ns_tcp *c)
{
	c->ack_now = false;
	c->unacked_bytes = 0;
	c->t_delack = 0;
	c->rcv_wup = c->rcv_nxt;
	c->ts_last_ack_sent = c->rcv_nxt;
	if (c->quick_acks)
		c->quick_acks--;
}

/* Common part of everything a connection sends. */
static void emit(struct ns_tcp *c, struct tcp_out *o, uint32_t gso, struct ns_pkt *p, uint64_t now)
{
	o->wnd = window_field(c);
	o->ttl = c->ttl;
	o->tos |= c->tos & 0xfc;
	if (c->ecn_ece_out)
		o->flags |= TH_ECE;
	c->last_tx_ns = now;
	c->segs_out++;
	if (o->flags & TH_ACK) {
		o->ack = c->rcv_nxt;
		ack_went_out(c);
	}
	tcp_emit(c->ns, &c->dst, &c->flow, o, gso, p);
}

/* ---- control segments ---- */

static void send_bare(struct ns_tcp *c, uint32_t seq, uint8_t flags)
{
	uint64_t now = ns_now(c->ns);
	struct tcp_out o = {.seq = seq, .flags = flags};
	struct ns_pkt *p;

	if (!tcp_route(c) || !(p = ns_pkt_new(c->ns, 0, 0)))
		return;
	o.optlen = put_options(c, o.opts, now);
	emit(c, &o, 0, p, now);
}

void tcp_send_ack(struct ns_tcp *c)
{
	send_bare(c, c->snd_nxt, TH_ACK);
}

void tcp_send_probe(struct ns_tcp *c)
{
	/* Old sequence number, no data: the peer must answer with its current state. */
	send_bare(c, c->snd_una - 1, TH_ACK);
}

void tcp_send_rst(struct ns_tcp *c)
{
	NS_COUNT(c->ns, tcp_rst_out);
	send_bare(c, c->snd_nxt, TH_RST | TH_ACK);
}

void tcp_send_syn(struct ns_tcp *c, uint64_t now)
{
	bool reply = c->state == NS_TCP_SYN_RECV;
	struct tcp_out o = {.seq = c->iss, .flags = TH_SYN};
	struct syn_opts s = {.mss = (uint16_t)tcp_mtu_to_mss(c->dst.mtu, c->flow.v6),
	    .wscale = c->rcv_wscale,
	    .wscale_ok = !reply || c->wscale_ok,
	    .sack_ok = !reply || c->sack_ok,
	    .ts_ok = !reply || c->ts_ok,
	    .tsval = tcp_clock_ms(now) + c->ts_offset,
	    .tsecr = reply ? c->ts_recent : 0};
	struct ns_pkt *p = ns_pkt_new(c->ns, 0, 0);

	if (!p)
		return;
	if (c->user_mss && c->user_mss < s.mss)
		s.mss = c->user_mss;
	if (reply) {
		o.flags |= TH_ACK;
		o.ack = c->rcv_nxt;
	}
	if (!reply && c->ecn_request && !c->backoff)
		o.flags |= TH_ECE | TH_CWR;
	if (reply && c->ecn_ok)
		o.flags |= TH_ECE;
	o.optlen = tcp_syn_options(o.opts, &s);
	o.wnd = NS_MIN(c->rcvbuf, 65535u);
	o.tos = c->tos & 0xfc;
	o.ttl = c->ttl;
	if (reply)
		c->rcv_adv = c->rcv_nxt + o.wnd;
	c->segs_out++;
	c->last_tx_ns = now;
	tcp_emit(c->ns, &c->dst, &c->flow, &o, 0, p);
}

void tcp_challenge_ack(struct ns_tcp *c, uint64_t now)
{
	if (now - c->challenge_epoch >= NS_SEC) {
		c->challenge_epoch = now;
		c->challenge_count = 0;
	}
	if (c->challenge_count++ >= CHALLENGE_PER_SECOND)
		return;
	NS_COUNT(c->ns, tcp_challenge_ack);
	tcp_send_ack(c);
}

/* Two hosts that disagree must not answer each other's answers for ever. */
void tcp_oow_ack(struct ns_tcp *c, uint64_t now)
{
	if (c->last_oow_ack && now - c->last_oow_ack < OOW_ACK_INTERVAL)
		return;
	c->last_oow_ack = now;
	tcp_send_ack(c);
}

/* ---- payload ---- */

/* The queue packet that holds seq, searching from p. */
static struct ns_pkt *queue_find(struct ns_pkt *p, uint32_t seq)
{
	while (p && seq_le(p->end_seq, seq))
		p = p->next;
	return p;
}

/* How many of len bytes from seq fit into NS_MAX_FRAGS fragments; *frags: how many those need. */
static uint32_t measure(const struct ns_pkt *p, uint32_t seq, uint32_t len, uint32_t *frags)
{
	uint32_t done = 0, n = 0;

	for (; p && done < len; p = p->next) {
		uint32_t off = seq + done - p->seq;

		if (off < p->len && n < NS_MAX_FRAGS) {
			done += NS_MIN(p->len - off, len - done);
			n++;
			off = p->len;
		} else if (off < p->len) {
			break;
		}
		off -= p->len;
		for (unsigned i = 0; i < p->nfrags && done < len; i++) {
			if (off >= p->frags[i].len) {
				off -= p->frags[i].len;
				continue;
			}
			if (n == NS_MAX_FRAGS)
				goto full;
			done += NS_MIN(p->frags[i].len - off, len - done);
			n++;
			off = 0;
		}
	}
full:
	*frags = n;
	return done;
}

static void refer(struct ns_pkt *out, struct ns_pkt *p, uint32_t seq, uint32_t len)
{
	for (; p && len; p = p->next) {
		uint32_t off = seq - p->seq, m;

		if (off < p->len) {
			m = NS_MIN(p->len - off, len);
			ns_pkt_add_frag(out, &ns_pkt_get(p)->ref, p->data + off, m);
			seq += m;
			len -= m;
			off = p->len;
		}
		off -= p->len;
		for (unsigned i = 0; i < p->nfrags && len; i++) {
			struct ns_frag *f = &p->frags[i];

			if (off >= f->len) {
				off -= f->len;
				continue;
			}
			m = NS_MIN(f->len - off, len);
			ns_pkt_add_frag(out, &ns_pkt_get(p)->ref, f->data + off, m);
			seq += m;
			len -= m;
			off = 0;
		}
	}
}

static struct ns_pkt *copy_payload(struct ns_tcp *c, struct ns_pkt *p, uint32_t seq, uint32_t len)
{
	struct ns_pkt *out = ns_pkt_new(c->ns, len, 0);
	uint8_t *d;

	if (!out)
		return NULL;
	d = ns_pkt_append(out, len);
	for (; p && len; p = p->next) {
		uint32_t n = ns_pkt_copy_out(p, seq - p->seq, d, len);

		d += n;
		seq += n;
		len -= n;
	}
	return out;
}

/* A packet with *len bytes from seq (less if they are in too many pieces, but whole segments). */
static struct ns_pkt *payload(
    struct ns_tcp *c, struct ns_pkt *from, uint32_t seq, uint32_t *len, uint32_t mss)
{
	struct ns_pkt *p = queue_find(from, seq), *out;
	uint32_t frags, fit;

	if (*len <= SMALL_COPY)
		return copy_payload(c, p, seq, *len);
	fit = measure(p, seq, *len, &frags);
	if (fit < *len && fit < mss) {
		*len = NS_MIN(*len, mss);
		return copy_payload(c, p, seq, *len);
	}
	if (fit < *len)
		*len = fit - fit % mss;
	out = ns_pkt_new(c->ns, 0, frags);
	if (out)
		refer(out, p, seq, *len);
	return out;
}

/* Sends payload [seq, seq+len) and perhaps FIN; returns bytes really taken (len may shrink; then
 * without FIN). Packet loss inside the host counts as sent. */
static uint32_t send_data(struct ns_tcp *c, struct ns_pkt *from, uint32_t seq, uint32_t len,
    bool fin, bool again, uint64_t now)
{
	uint32_t mss = effective_mss(c), n = len;
	struct tcp_out o = {.seq = seq, .flags = TH_ACK};
	struct ns_pkt *p = payload(c, from, seq, &n, mss);

	if (fin && n == len)
		o.flags |= TH_FIN;
	if (n && seq + n == c->snd_end)
		o.flags |= TH_PSH;
	if (c->urg_out && seq_lt(seq, c->snd_up)) {
		o.flags |= TH_URG;
		o.urg = (uint16_t)NS_MIN(c->snd_up - seq, 65535u);
	}
	if (c->ecn_ok && !again && n) {
		o.tos = 2; /* ECT(0) */
		if (c->ecn_cwr_due) {
			o.flags |= TH_CWR;
			c->ecn_cwr_due = false;
		}
	}
	c->data_segs_out += (n + mss - 1) / mss;
	c->bytes_sent += n;
	c->last_data_sent_ns = now;
	if (!c->stalled_since)
		c->stalled_since = now;
	/* Answering what came in: the application's replies carry the acknowledgements. */
	if (!again && c->unacked_bytes) {
		c->pingpong = true;
		c->quick_acks = 0;
	}
	if (!p)
		return n;
	o.optlen = put_options(c, o.opts, now);
	emit(c, &o, n > mss ? mss : 0, p, now);
	return n;
}

bool tcp_retransmit(struct ns_tcp *c, struct ns_txrec *r, uint32_t max, uint64_t now)
{
	uint32_t mss = effective_mss(c), len = r->end - r->seq - r->fin, sent;

	if (!tcp_route(c))
		return false;
	/* Never beyond the peer's window, except the first byte (a probe in effect). */
	if (seq_lt(c->snd_una + c->snd_wnd, r->seq + NS_MIN(len, mss)) && r->seq != c->snd_una)
		return false;
	max = NS_MAX(max - max % mss, mss);
	if (len > max) {
		if (!tcp_rec_split(c, r, r->seq + max))
			return false;
		len = max;
	}
	sent = send_data(c, c->sq_head, r->seq, len, r->fin, true, now);
	if (sent < len) {
		if (!tcp_rec_split(c, r, r->seq + sent))
			return false;
	}
	tcp_rec_sent(c, r, now);
	if (!c->retrans_stamp)
		c->retrans_stamp = now;
	c->undo_retrans++;
	c->prr_out += r->end - r->seq;
	c->total_retrans += (sent + mss - 1) / mss;
	c->bytes_retrans += sent;
	NS_COUNT(c->ns, tcp_retrans);
	return true;
}

/* ---- what to send ---- */

static bool nagle_allows(const struct ns_tcp *c)
{
	if (c->urg_out && seq_lt(c->snd_nxt, c->snd_up))
		return true;
	if (c->cork || c->more)
		return false;
	/* Minshall: one small segment in flight at a time. */
	return c->nodelay || !seq_lt(c->snd_una, c->snd_sml);
}

static uint32_t burst_limit(const struct ns_tcp *c, uint32_t mss)
{
	uint32_t max = NS_GSO_MAX - IP6_HLEN - 60;

	max = NS_MIN(max, NS_MAX(c->cwnd / 2, mss));
	return NS_MAX(max - max % mss, mss);
}

/* Sends one new segment (possibly large) of up to len bytes. False: out of memory. */
static bool send_new(struct ns_tcp *c, uint32_t len, bool fin, uint64_t now)
{
	uint32_t seq = c->snd_nxt, sent;
	struct ns_txrec *r = tcp_rec_add(c, seq, seq + len + fin, now);

	if (!r)
		return false;
	r->fin = fin;
	sent = send_data(c, c->sq_cursor, seq, len, fin, false, now);
	if (sent < len) {
		r->end = seq + sent;
		r->fin = 0;
		fin = false;
	}
	c->snd_nxt = r->end;
	if (fin)
		c->fin_sent = true;
	if (sent % effective_mss(c))
		c->snd_sml = c->snd_nxt;
	c->sq_cursor = queue_find(c->sq_cursor, c->snd_nxt);
	if (!c->sq_cursor)
		c->sq_cursor = c->sq_tail; /* it may still grow */
	c->prr_out += r->end - r->seq;
	return true;
}

bool tcp_send_one(struct ns_tcp *c, uint32_t max, uint64_t now)
{
	uint32_t len = NS_MIN(ns_tcp_unsent(c), max);
	bool fin = c->fin_queued && !c->fin_sent && len == ns_tcp_unsent(c);

	if (!len && !fin)
		return false;
	return tcp_route(c) && send_new(c, len, fin, now);
}

static void retransmit_lost(struct ns_tcp *c, uint64_t now)
{
	struct ns_txrec *r = c->tx_head, *next;

	for (; r; r = next) {
		uint32_t pipe = tcp_pipe(c), room = c->cwnd > pipe ? c->cwnd - pipe : 0;

		next = r->next;
		if (!r->lost || r->retrans)
			continue;
		if (room < c->mss && pipe)
			break;
		if (!tcp_retransmit(c, r, NS_MIN(room, burst_limit(c, c->mss)), now))
			break;
		next = r->next; /* the record may have been split */
	}
}

/* One step of sending new data; false when nothing more may go. */
static bool step(struct ns_tcp *c, uint64_t now)
{
	uint32_t mss = effective_mss(c), pipe = tcp_pipe(c), unsent = ns_tcp_unsent(c), len;
	uint32_t room = c->cwnd > pipe ? c->cwnd - pipe : 0;
	int32_t wnd = (int32_t)(c->snd_una + c->snd_wnd - c->snd_nxt);
	bool fin = c->fin_queued && !c->fin_sent;

	if (!unsent && !fin)
		return false;
	len = wnd > 0 ? NS_MIN(unsent, (uint32_t)wnd) : 0;
	if (unsent && !len)
		return false;
	if (len < unsent)
		fin = false;
	if (room < NS_MIN(len, mss) && pipe) {
		c->cwnd_limited = true;
		return false;
	}
	len = NS_MIN(len, NS_MAX(room, mss));
	len = NS_MIN(len, burst_limit(c, mss));
	if (len > mss && len % mss && !(len == unsent && (fin || nagle_allows(c))))
		len -= len % mss;
	if (len < mss) {
		if (len == unsent ? !fin && !nagle_allows(c) : len < c->max_window / 2)
			return false;
	}
	return send_new(c, len, fin && len == unsent, now);
}

void tcp_output(struct ns_tcp *c, uint64_t now)
{
	uint32_t before = c->snd_nxt;
	bool idle;

	switch (c->state) {
	case NS_TCP_ESTABLISHED:
	case NS_TCP_CLOSE_WAIT:
	case NS_TCP_FIN_WAIT1:
	case NS_TCP_CLOSING:
	case NS_TCP_LAST_ACK:
		break;
	default:
		return;
	}
	idle = c->snd_una == c->snd_nxt;
	if (!idle && !c->lost_bytes && c->snd_end == c->snd_nxt && !(c->fin_queued && !c->fin_sent))
		return;
	if (!tcp_route(c)) {
		if (!c->t_rexmit && !c->t_persist)
			c->t_persist = now + tcp_rto(c);
		return;
	}
	if (idle && c->last_data_sent_ns && now - c->last_data_sent_ns > c->rto_ns &&
	    c->cwnd > INIT_CWND_SEGS * c->mss)
		c->cwnd = INIT_CWND_SEGS * c->mss; /* the path may have changed meanwhile */
	if (c->lost_bytes)
		retransmit_lost(c, now);
	c->cwnd_limited = false;
	while (step(c, now))
		;
	if (c->snd_nxt != before) {
		c->t_persist = 0;
		if (!c->t_rexmit || c->rexmit_kind == REXMIT_TLP)
			tcp_arm_rexmit(c, now);
	}
	if (!c->t_rexmit && c->snd_una != c->snd_nxt)
		tcp_arm_rexmit(c, now);
	/* Something waits and no acknowledgement will come to restart us. */
	if (c->snd_una == c->snd_nxt && ns_tcp_unsent(c) && !c->t_persist)
		c->t_persist = now + NS_MAX(tcp_rto(c), RTO_MIN);
}

void ns_tcp_flush(struct ns_tcp *c)
{
	uint64_t now = ns_now(c->ns);

	if (c->state == NS_TCP_CLOSED)
		return;
	tcp_enter(c);
	tcp_output(c, now);
	if (c->ack_now || (c->unacked_bytes && (c->quick_acks || c->quickack)) ||
	    c->unacked_bytes >= 2u * c->rcv_mss)
		tcp_send_ack(c);
	tcp_leave(c);
}
