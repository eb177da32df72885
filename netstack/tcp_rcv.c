/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The receive side: in-order queue, out-of-order queue with SACK blocks, urgent data, reading.
 *
 * Invariants: rq holds [copied_seq, rcv_nxt) in order; ooo holds disjoint packets sorted by seq,
 * all above rcv_nxt.
 */
#include "tcp_internal.h"

static void free_list(struct ns_pkt *p)
{
	while (p) {
		struct ns_pkt *next = p->next;

		ns_pkt_put(p);
		p = next;
	}
}

void tcp_free_rcv(struct ns_tcp *c)
{
	free_list(c->rq_head);
	c->rq_head = c->rq_tail = NULL;
	c->rq_bytes = c->rq_mem = 0;
}

void tcp_free_ooo(struct ns_tcp *c)
{
	free_list(c->ooo_head);
	c->ooo_head = c->ooo_tail = NULL;
	c->ooo_mem = c->ooo_count = 0;
	c->nsacks = 0;
}

/* ---- SACK blocks to report ---- */

static void note_sack(struct ns_tcp *c, uint32_t start, uint32_t end)
{
	struct ns_sack_block b = {start, end}, keep[4];
	uint8_t n = 0;

	/* Joins what touches; the newest goes first (RFC 2018). */
	for (int i = 0; i < c->nsacks; i++) {
		struct ns_sack_block *o = &c->sacks[i];

		if (seq_le(o->start, b.end) && seq_le(b.start, o->end)) {
			if (seq_lt(o->start, b.start))
				b.start = o->start;
			if (seq_lt(b.end, o->end))
				b.end = o->end;
		} else {
			keep[n++] = *o;
		}
	}
	c->sacks[0] = b;
	if (n > 3)
		n = 3;
	memcpy(&c->sacks[1], keep, n * sizeof keep[0]);
	c->nsacks = (uint8_t)(n + 1);
}

static void trim_sacks(struct ns_tcp *c)
{
	uint8_t n = 0;

	for (int i = 0; i < c->nsacks; i++)
		if (seq_lt(c->rcv_nxt, c->sacks[i].start))
			c->sacks[n++] = c->sacks[i];
	c->nsacks = n;
}

static void duplicate(struct ns_tcp *c, uint32_t start, uint32_t end)
{
	if (!c->sack_ok)
		return;
	c->dsack.start = start;
	c->dsack.end = end;
}

/* ---- queues ---- */

static void urgent_byte_arrived(struct ns_tcp *c, const struct ns_pkt *p)
{
	if (c->urg_in && !c->urg_valid && seq_le(p->seq, c->rcv_up) &&
	    seq_lt(c->rcv_up, p->end_seq)) {
		ns_pkt_copy_out(p, c->rcv_up - p->seq, &c->urg_byte, 1);
		c->urg_valid = true;
		tcp_event(c, NS_EV_URGENT);
	}
}

/* Small payloads move into the last packet's spare room instead of pinning a buffer each. */
static bool coalesce(struct ns_tcp *c, struct ns_pkt *p)
{
	struct ns_pkt *t = c->rq_tail;
	uint32_t n = p->tot_len;

	if (!t || n > SMALL_COPY || t->nfrags || t->ref.count != 1 || ns_pkt_tailroom(t) < n ||
	    (t->flags & NS_PKT_LOOPBACK))
		return false;
	ns_pkt_copy_out(p, 0, t->data + t->len, n);
	ns_pkt_append(t, n);
	t->end_seq += n;
	ns_pkt_put(p);
	return true;
}

/* p starts at rcv_nxt. */
static void append(struct ns_tcp *c, struct ns_pkt *p)
{
	uint32_t n = p->tot_len;

	urgent_byte_arrived(c, p);
	c->rcv_nxt = p->end_seq;
	c->rq_bytes += n;
	c->bytes_received += n;
	if (coalesce(c, p))
		return;
	p->next = NULL;
	c->rq_mem += p->block;
	if (c->rq_tail)
		c->rq_tail->next = p;
	else
		c->rq_head = p;
	c->rq_tail = p;
}

/* Cuts p's front so that it starts at seq. */
static void cut_front(struct ns_pkt *p, uint32_t seq)
{
	ns_pkt_pull(p, seq - p->seq);
	p->seq = seq;
}

static void cut_back(struct ns_pkt *p, uint32_t seq)
{
	ns_pkt_trim(p, seq - p->seq);
	p->end_seq = seq;
}

static void ooo_unlink_next(struct ns_tcp *c, struct ns_pkt *prev)
{
	struct ns_pkt *p = prev ? prev->next : c->ooo_head;

	if (prev)
		prev->next = p->next;
	else
		c->ooo_head = p->next;
	if (c->ooo_tail == p)
		c->ooo_tail = prev;
	c->ooo_mem -= p->block;
	c->ooo_count--;
}

static void ooo_insert(struct ns_tcp *c, struct ns_pkt *p)
{
	struct ns_pkt *prev = NULL;
	uint32_t start, end;

	c->rcv_ooopack++;
	NS_COUNT(c->ns, tcp_ooo);
	if (c->rq_mem + c->ooo_mem + p->block > 4 * c->rcvbuf) {
		ns_pkt_put(p);
		return;
	}
	/* Most arrive behind everything queued. */
	if (c->ooo_tail && seq_le(c->ooo_tail->seq, p->seq))
		prev = c->ooo_tail;
	else
		for (struct ns_pkt *q = c->ooo_head; q && seq_le(q->seq, p->seq); q = q->next)
			prev = q;
	if (prev && seq_lt(p->seq, prev->end_seq)) {
		duplicate(
		    c, p->seq, seq_lt(p->end_seq, prev->end_seq) ? p->end_seq : prev->end_seq);
		if (seq_le(p->end_seq, prev->end_seq)) {
			note_sack(c, p->seq, p->end_seq);
			ns_pkt_put(p);
			return;
		}
		cut_front(p, prev->end_seq);
	}
	for (;;) {
		struct ns_pkt *n = prev ? prev->next : c->ooo_head;

		if (!n || seq_le(p->end_seq, n->seq))
			break;
		if (seq_le(n->end_seq, p->end_seq)) { /* covered by the new one */
			duplicate(c, n->seq, n->end_seq);
			ooo_unlink_next(c, prev);
			ns_pkt_put(n);
			continue;
		}
		duplicate(c, n->seq, p->end_seq);
		cut_back(p, n->seq);
		break;
	}
	start = p->seq;
	end = p->end_seq;
	p->next = prev ? prev->next : c->ooo_head;
	if (prev)
		prev->next = p;
	else
		c->ooo_head = p;
	if (!p->next)
		c->ooo_tail = p;
	c->ooo_mem += p->block;
	c->ooo_count++;
	note_sack(c, start, end);
}

static void ooo_drain(struct ns_tcp *c)
{
	while (c->ooo_head && seq_le(c->ooo_head->seq, c->rcv_nxt)) {
		struct ns_pkt *p = c->ooo_head;

		ooo_unlink_next(c, NULL);
		if (seq_le(p->end_seq, c->rcv_nxt)) {
			ns_pkt_put(p);
			continue;
		}
		if (seq_lt(p->seq, c->rcv_nxt))
			cut_front(p, c->rcv_nxt);
		append(c, p);
	}
	trim_sacks(c);
}

/* One packet's payload; true if it was in order. */
static bool queue_one(struct ns_tcp *c, struct ns_pkt *p)
{
	uint32_t right = c->rcv_nxt + tcp_receive_window(c);

	if (!p->tot_len || seq_le(p->end_seq, c->rcv_nxt)) {
		if (p->tot_len)
			duplicate(c, p->seq, p->end_seq);
		ns_pkt_put(p);
		return false;
	}
	if (seq_lt(right, c->rcv_adv))
		right = c->rcv_adv;
	if (seq_lt(p->seq, c->rcv_nxt)) {
		duplicate(c, p->seq, c->rcv_nxt);
		cut_front(p, c->rcv_nxt);
	}
	if (seq_lt(right, p->end_seq)) {
		if (seq_le(right, p->seq)) {
			ns_pkt_put(p);
			return false;
		}
		cut_back(p, right);
	}
	if (p->seq != c->rcv_nxt) {
		ooo_insert(c, p);
		return false;
	}
	append(c, p);
	return true;
}

/* Grow the buffer so that the window does not limit a fast sender: twice what the application took
 * in the last round trip (dynamic right-sizing). */
static void tune_rcvbuf(struct ns_tcp *c, uint64_t now)
{
	uint64_t rtt = c->srtt_ns ? c->srtt_ns : 10 * NS_MS;
	uint32_t want;

	if (c->rcvbuf_locked || now - c->drs_ns < rtt)
		return;
	want = 2 * (c->copied_seq - c->drs_seq);
	if (want > c->rcvbuf && c->rcvbuf < c->rcvbuf_max && !ns_memory_low(c->ns))
		c->rcvbuf = NS_MIN(NS_MAX(want, c->rcvbuf + c->rcvbuf / 2), c->rcvbuf_max);
	c->drs_seq = c->copied_seq;
	c->drs_ns = now;
}

static void schedule_ack(struct ns_tcp *c, uint32_t len, uint64_t now)
{
	c->unacked_bytes += len;
	if (!c->t_delack)
		c->t_delack = now + DELACK_NS;
}

void tcp_data(struct ns_tcp *c, struct ns_pkt *pkt, const struct seg *s, uint64_t now)
{
	uint32_t seq = s->seq, before = c->rcv_nxt;
	bool had_ooo = c->ooo_head != NULL, disorder = false;

	c->data_segs_in += s->segs;
	c->last_data_recv_ns = now;
	if (s->len / s->segs > c->rcv_mss)
		c->rcv_mss = (uint16_t)NS_MIN(s->len / s->segs, 65535u);
	while (pkt) { /* a coalesced packet becomes its parts again */
		struct ns_pkt *next = pkt->chain;

		pkt->chain = NULL;
		pkt->seq = seq;
		pkt->end_seq = seq + pkt->tot_len;
		seq = pkt->end_seq;
		if (!queue_one(c, pkt))
			disorder = true;
		pkt = next;
	}
	if (c->ooo_head)
		ooo_drain(c);
	if (c->rcv_nxt != before) {
		schedule_ack(c, c->rcv_nxt - before, now);
		tcp_event(c, NS_EV_READABLE);
	}
	/* RFC 5681 4.2: holes, duplicates and filled holes are acknowledged at once. */
	if (disorder || had_ooo)
		c->ack_now = true;
	if (s->flags & TH_PSH && c->quickack)
		c->ack_now = true;
}

void tcp_fin(struct ns_tcp *c, uint64_t now)
{
	c->rcv_nxt++;
	c->fin_rcvd = true;
	c->ack_now = true;
	tcp_free_ooo(c);
	tcp_event(c, NS_EV_READABLE | NS_EV_RDHUP);
	switch (c->state) {
	case NS_TCP_SYN_RECV:
	case NS_TCP_ESTABLISHED:
		tcp_set_state(c, NS_TCP_CLOSE_WAIT);
		break;
	case NS_TCP_FIN_WAIT1: /* ours is not acknowledged yet, or the state had changed */
		tcp_set_state(c, NS_TCP_CLOSING);
		break;
	case NS_TCP_FIN_WAIT2:
		tcp_send_ack(c);
		tcp_time_wait(c, now);
		break;
	default:
		break;
	}
}

void tcp_urgent(struct ns_tcp *c, const struct seg *s)
{
	uint32_t up = s->seq + s->urg - 1; /* the byte itself: the pointer is to the one behind */

	if (!s->urg || seq_lt(up, c->copied_seq) || (c->urg_in && seq_le(up, c->rcv_up)))
		return;
	if (seq_lt(up, c->rcv_nxt))
		return;
	c->rcv_up = up;
	c->urg_in = true;
	c->urg_valid = c->urg_read = false;
	tcp_event(c, NS_EV_URGENT);
}

/* ---- reading ---- */

uint32_t ns_tcp_readable(const struct ns_tcp *c)
{
	uint32_t n = c->rq_bytes;

	if (c->urg_in && !c->oobinline && n && seq_lt(c->rcv_up, c->rcv_nxt) &&
	    seq_le(c->copied_seq, c->rcv_up)) {
		uint32_t upto = c->rcv_up - c->copied_seq;

		/* Readable up to the mark; behind it once the mark has been reached. */
		return upto ? upto : n - 1;
	}
	return n;
}

bool ns_tcp_at_mark(const struct ns_tcp *c)
{
	return c->urg_in && c->copied_seq == c->rcv_up;
}

/* Removes n bytes from the front of the queue. */
static void consume(struct ns_tcp *c, uint32_t n)
{
	c->copied_seq += n;
	c->rq_bytes -= n;
	while (n) {
		struct ns_pkt *p = c->rq_head;

		if (p->tot_len > n) {
			cut_front(p, p->seq + n);
			break;
		}
		n -= p->tot_len;
		c->rq_head = p->next;
		if (!c->rq_head)
			c->rq_tail = NULL;
		c->rq_mem -= p->block;
		ns_pkt_put(p);
	}
}

/* The urgent byte is not part of the stream unless asked for; how far may one read run? */
static uint32_t limit_by_urgent(struct ns_tcp *c, uint32_t n, bool peek)
{
	uint32_t upto;

	if (!c->urg_in || seq_lt(c->rcv_up, c->copied_seq)) {
		c->urg_in = false;
		return n;
	}
	if (!seq_lt(c->rcv_up, c->rcv_nxt))
		return n;
	upto = c->rcv_up - c->copied_seq;
	if (upto)
		return NS_MIN(n, upto);
	if (!c->oobinline && !peek) {
		consume(c, 1);
		c->urg_in = false;
		return NS_MIN(n, c->rq_bytes);
	}
	return n;
}

/* Tell the sender about room that reading made, when it is worth a segment. */
static void window_opened(struct ns_tcp *c, uint64_t now)
{
	uint32_t left = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t w;

	tune_rcvbuf(c, now);
	if (c->fin_rcvd || c->state == NS_TCP_TIME_WAIT || c->state == NS_TCP_CLOSED)
		return;
	w = tcp_receive_window(c);
	if (w >= 2 * left && w - left >= NS_MIN(2u * c->rcv_mss, c->rcvbuf / 2))
		tcp_send_ack(c);
}

/* What a read that finds no data returns. */
static int64_t nothing_to_read(struct ns_tcp *c)
{
	if (c->error) {
		int e = c->error;

		c->error = 0;
		return -e;
	}
	if (c->fin_rcvd || (c->shut & NS_SHUT_RD) || c->dead)
		return c->connected_once || c->fin_rcvd ? 0 : -NS_ENOTCONN;
	if (c->state == NS_TCP_CLOSED)
		return -NS_ENOTCONN;
	return -NS_EAGAIN;
}

static int64_t recv_oob(struct ns_tcp *c, ns_copy_fn *copy, void *arg, size_t n, int flags)
{
	int r;

	if (!c->urg_in || c->urg_read || c->oobinline)
		return -NS_EINVAL;
	if (!c->urg_valid)
		return -NS_EAGAIN;
	if (!n)
		return 0;
	r = (flags & NS_MSG_TRUNC) ? 0 : copy(arg, &c->urg_byte, 1);
	if (r)
		return r;
	if (!(flags & NS_MSG_PEEK))
		c->urg_read = true;
	return 1;
}

/* Copies bytes [0, n) of the queue without removing them; bytes done or an error before any. */
static int64_t copy_queue(struct ns_tcp *c, ns_copy_fn *copy, void *arg, uint32_t n)
{
	uint32_t done = 0;
	int r = 0;

	for (struct ns_pkt *p = c->rq_head; p && done < n && !r; p = p->next) {
		uint32_t m = NS_MIN(p->len, n - done);

		if (m && !(r = copy(arg, p->data, m)))
			done += m;
		for (unsigned i = 0; i < p->nfrags && done < n && !r; i++) {
			m = NS_MIN(p->frags[i].len, n - done);
			r = copy(arg, p->frags[i].data, m);
			if (!r)
				done += m;
		}
	}
	return done ? (int64_t)done : r;
}

int64_t ns_tcp_recv_iter(struct ns_tcp *c, ns_copy_fn *copy, void *arg, size_t n, int flags)
{
	uint32_t want;
	int64_t r;

	if (flags & NS_MSG_OOB)
		return recv_oob(c, copy, arg, n, flags);
	want = (uint32_t)NS_MIN(n, (size_t)c->rq_bytes);
	want = want ? limit_by_urgent(c, want, flags & NS_MSG_PEEK) : 0;
	if (!want)
		return n && !c->rq_bytes ? nothing_to_read(c) : n ? -NS_EAGAIN : 0;
	r = (flags & NS_MSG_TRUNC) && !(flags & NS_MSG_PEEK) ? want
							     : copy_queue(c, copy, arg, want);
	if (r <= 0 || (flags & NS_MSG_PEEK))
		return r;
	tcp_enter(c);
	consume(c, (uint32_t)r);
	window_opened(c, ns_now(c->ns));
	tcp_leave(c);
	return r;
}

static int copy_out(void *arg, void *p, size_t n)
{
	uint8_t **to = arg;

	memcpy(*to, p, n);
	*to += n;
	return 0;
}

int64_t ns_tcp_recv(struct ns_tcp *c, void *buf, size_t n, int flags)
{
	uint8_t *to = buf;

	return ns_tcp_recv_iter(c, copy_out, &to, n, flags);
}

struct ns_pkt *ns_tcp_recv_pkt(struct ns_tcp *c, int64_t *len)
{
	struct ns_pkt *p = c->rq_head;

	if (!p) {
		*len = nothing_to_read(c);
		return NULL;
	}
	tcp_enter(c);
	c->rq_head = p->next;
	if (!c->rq_head)
		c->rq_tail = NULL;
	p->next = NULL;
	c->rq_mem -= p->block;
	c->rq_bytes -= p->tot_len;
	c->copied_seq = p->end_seq;
	*len = p->tot_len;
	window_opened(c, ns_now(c->ns));
	tcp_leave(c);
	return p;
}
