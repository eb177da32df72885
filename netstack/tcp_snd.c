/* SPDX-License-Identifier: BSD-3-Clause */
/* The send queue: application bytes waiting for transmission or acknowledgement. */
#include "tcp_internal.h"

void tcp_free_snd(struct ns_tcp *c)
{
	while (c->sq_head) {
		struct ns_pkt *p = c->sq_head;

		c->sq_head = p->next;
		ns_pkt_put(p);
	}
	c->sq_tail = c->sq_cursor = NULL;
	c->sq_bytes = 0;
}

/* With little in the queue nobody is asked: acknowledgements of it make progress certain. */
static bool short_of_memory(const struct ns_tcp *c)
{
	return c->sq_bytes >= NS_LOW_BUFFER && ns_memory_low(c->ns);
}

bool tcp_writable(const struct ns_tcp *c)
{
	uint32_t room = ns_tcp_send_room(c);

	if (c->notsent_lowat && ns_tcp_unsent(c) >= c->notsent_lowat)
		return false;
	return room >= c->sndbuf / 3;
}

uint32_t ns_tcp_send_room(const struct ns_tcp *c)
{
	return c->sndbuf > c->sq_bytes && !short_of_memory(c) ? c->sndbuf - c->sq_bytes : 0;
}

uint32_t ns_tcp_unacked(const struct ns_tcp *c)
{
	return c->sq_bytes;
}

uint32_t ns_tcp_unsent(const struct ns_tcp *c)
{
	return seq_lt(c->snd_nxt, c->snd_end) ? c->snd_end - c->snd_nxt : 0;
}

/* Frees packets whose last byte is acknowledged; tells the writer when there is room again. */
void tcp_sndq_acked(struct ns_tcp *c)
{
	uint32_t before = c->sq_bytes, una = c->snd_una;

	while (c->sq_head && seq_le(c->sq_head->end_seq, una)) {
		struct ns_pkt *p = c->sq_head;

		c->sq_head = p->next;
		if (c->sq_cursor == p)
			c->sq_cursor = p->next;
		ns_pkt_put(p);
	}
	if (!c->sq_head) {
		c->sq_tail = c->sq_cursor = NULL;
		c->sq_bytes = 0;
	} else {
		uint32_t from = seq_lt(c->sq_head->seq, una) ? una : c->sq_head->seq;

		c->sq_bytes = c->snd_end - from;
	}
	if (before == c->sq_bytes)
		return;
	if (!c->sndbuf_locked && c->sndbuf < c->sndbuf_max && c->sndbuf / 2 < c->cwnd)
		c->sndbuf = NS_MIN(2 * c->cwnd, c->sndbuf_max);
	if (c->nospace && tcp_writable(c)) {
		c->nospace = false;
		tcp_event(c, NS_EV_WRITABLE);
	}
	if (!c->sq_bytes)
		tcp_event(c, NS_EV_ACKED);
}

/* May the application send? 0 or a negative errno. */
static int check_send(struct ns_tcp *c)
{
	if (c->error) {
		int e = c->error;

		c->error = 0;
		return -e;
	}
	if (c->dead || c->fin_queued || (c->shut & NS_SHUT_WR))
		return -NS_EPIPE;
	if (c->state == NS_TCP_SYN_SENT || c->state == NS_TCP_SYN_RECV)
		return -NS_EAGAIN;
	if (c->state != NS_TCP_ESTABLISHED && c->state != NS_TCP_CLOSE_WAIT)
		return -NS_ENOTCONN;
	return 0;
}

static void append_pkt(struct ns_tcp *c, struct ns_pkt *p)
{
	p->next = NULL;
	if (c->sq_tail)
		c->sq_tail->next = p;
	else
		c->sq_head = p;
	c->sq_tail = p;
	if (!c->sq_cursor)
		c->sq_cursor = p;
}

static void account(struct ns_tcp *c, struct ns_pkt *p, uint32_t n)
{
	p->end_seq += n;
	c->snd_end += n;
	c->sq_bytes += n;
}

static struct ns_pkt *tail_with_room(struct ns_tcp *c, size_t want)
{
	struct ns_pkt *p = c->sq_tail;
	uint32_t size;

	if (p && !p->nfrags && !p->foreign && ns_pkt_tailroom(p))
		return p;
	size = (uint32_t)NS_MAX(NS_MIN(want, (size_t)SEND_CHUNK), (size_t)1024);
	p = c->ns->ops->pkt_alloc(c->ns->ctx, size, 0);
	if (!p)
		return NULL;
	p->data = p->head;
	p->seq = p->end_seq = c->snd_end;
	append_pkt(c, p);
	return p;
}

static void after_send(struct ns_tcp *c, int flags)
{
	if (!tcp_writable(c))
		c->nospace = true;
	if (flags & NS_MSG_OOB) {
		c->snd_up = c->snd_end;
		c->urg_out = true;
	}
	c->more = (flags & NS_MSG_MORE) != 0;
	if (!(flags & NS_MSG_MORE))
		c->push_all = true;
	tcp_output(c, ns_now(c->ns));
}

int64_t ns_tcp_send_iter(struct ns_tcp *c, ns_copy_fn *copy, void *arg, size_t n, int flags)
{
	size_t done = 0;
	int r = check_send(c);

	if (r)
		return r;
	tcp_enter(c);
	while (done < n) {
		uint32_t room = ns_tcp_send_room(c), m;
		struct ns_pkt *p;

		if (!room) {
			r = -NS_EAGAIN;
			break;
		}
		p = tail_with_room(c, NS_MIN(n - done, (size_t)room));
		if (!p) {
			r = -NS_ENOBUFS;
			break;
		}
		m = (uint32_t)NS_MIN(NS_MIN(n - done, (size_t)room), (size_t)ns_pkt_tailroom(p));
		r = copy(arg, p->data + p->len, m);
		if (r)
			break; /* an empty packet at the tail is harmless and filled next time */
		ns_pkt_append(p, m);
		account(c, p, m);
		done += m;
	}
	if (done < n && r == -NS_EAGAIN)
		c->nospace = true;
	if (done)
		after_send(c, done == n ? flags : flags & ~NS_MSG_OOB);
	tcp_leave(c);
	return done ? (int64_t)done : r;
}

static int copy_in(void *arg, void *p, size_t n)
{
	const uint8_t **from = arg;

	memcpy(p, *from, n);
	*from += n;
	return 0;
}

int64_t ns_tcp_send(struct ns_tcp *c, const void *data, size_t n, int flags)
{
	const uint8_t *from = data;

	return ns_tcp_send_iter(c, copy_in, &from, n, flags);
}

int64_t ns_tcp_send_pkt(struct ns_tcp *c, struct ns_pkt *pkt, int flags)
{
	uint32_t n = pkt->tot_len;
	int r = check_send(c);

	if (r)
		return r;
	if (!n || n > NS_GSO_MAX + 1u)
		return -NS_EINVAL;
	if (!ns_tcp_send_room(c)) {
		c->nospace = true;
		return -NS_EAGAIN;
	}
	tcp_enter(c);
	pkt->foreign = true;
	pkt->seq = pkt->end_seq = c->snd_end;
	append_pkt(c, pkt);
	account(c, pkt, n);
	after_send(c, flags);
	tcp_leave(c);
	return n;
}
