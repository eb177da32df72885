/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of what has been sent and not acknowledged: the SACK scoreboard (RFC 6675) and RACK's
 * time order (RFC 8985). Two lists over the same records: `tx` by sequence number covers
 * snd_una..snd_nxt without holes; `tt` by time of transmission holds the ones whose delivery is
 * awaited.
 *
 * Accounts kept here: sacked_bytes, lost_bytes, retrans_bytes (retransmissions in the network).
 */
#include "tcp_internal.h"

#define KEEP_FREE 8

static void tt_append(struct ns_tcp *c, struct ns_txrec *r)
{
	r->tnext = NULL;
	r->tprev = c->tt_tail;
	if (c->tt_tail)
		c->tt_tail->tnext = r;
	else
		c->tt_head = r;
	c->tt_tail = r;
	r->on_time_list = 1;
}

void tcp_rec_untime(struct ns_tcp *c, struct ns_txrec *r)
{
	if (!r->on_time_list)
		return;
	if (r->tprev)
		r->tprev->tnext = r->tnext;
	else
		c->tt_head = r->tnext;
	if (r->tnext)
		r->tnext->tprev = r->tprev;
	else
		c->tt_tail = r->tprev;
	r->on_time_list = 0;
}

static struct ns_txrec *take(struct ns_tcp *c)
{
	struct ns_txrec *r = c->tx_free;

	if (r) {
		c->tx_free = r->next;
		c->tx_free_count--;
	} else {
		r = c->ns->ops->mem_alloc(c->ns->ctx, sizeof *r);
	}
	if (r)
		memset(r, 0, sizeof *r);
	return r;
}

struct ns_txrec *tcp_rec_add(struct ns_tcp *c, uint32_t seq, uint32_t end, uint64_t now)
{
	struct ns_txrec *r = take(c);

	if (!r)
		return NULL;
	r->seq = seq;
	r->end = end;
	r->first_ns = now;
	r->sent_ns = now;
	r->prev = c->tx_tail;
	if (c->tx_tail)
		c->tx_tail->next = r;
	else
		c->tx_head = r;
	c->tx_tail = r;
	tt_append(c, r);
	return r;
}

struct ns_txrec *tcp_rec_split(struct ns_tcp *c, struct ns_txrec *r, uint32_t at)
{
	struct ns_txrec *n = take(c);

	if (!n)
		return NULL;
	*n = *r;
	n->seq = at;
	r->end = at;
	r->fin = 0; /* the FIN is the last number of the record */
	n->prev = r;
	n->next = r->next;
	if (n->next)
		n->next->prev = n;
	else
		c->tx_tail = n;
	r->next = n;
	if (r->on_time_list) { /* same time: right behind */
		n->tprev = r;
		n->tnext = r->tnext;
		if (n->tnext)
			n->tnext->tprev = n;
		else
			c->tt_tail = n;
		r->tnext = n;
	}
	return n;
}

static void unaccount(struct ns_tcp *c, const struct ns_txrec *r)
{
	uint32_t n = r->end - r->seq;

	if (r->sacked)
		c->sacked_bytes -= n;
	if (r->lost)
		c->lost_bytes -= n;
	if (r->retrans)
		c->retrans_bytes -= n;
}

void tcp_rec_free(struct ns_tcp *c, struct ns_txrec *r)
{
	unaccount(c, r);
	tcp_rec_untime(c, r);
	if (r->prev)
		r->prev->next = r->next;
	else
		c->tx_head = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		c->tx_tail = r->prev;
	if (c->tx_free_count < KEEP_FREE) {
		r->next = c->tx_free;
		c->tx_free = r;
		c->tx_free_count++;
	} else {
		c->ns->ops->mem_free(c->ns->ctx, r, sizeof *r);
	}
}

void tcp_rec_free_all(struct ns_tcp *c)
{
	while (c->tx_head)
		tcp_rec_free(c, c->tx_head);
	while (c->tx_free) {
		struct ns_txrec *r = c->tx_free;

		c->tx_free = r->next;
		c->ns->ops->mem_free(c->ns->ctx, r, sizeof *r);
	}
	c->tx_free_count = 0;
}

/* Retransmitted: in the network again, youngest in time order. */
void tcp_rec_sent(struct ns_tcp *c, struct ns_txrec *r, uint64_t now)
{
	tcp_rec_untime(c, r);
	r->sent_ns = now;
	if (r->tries < UINT16_MAX)
		r->tries++;
	if (!r->retrans) {
		r->retrans = 1;
		c->retrans_bytes += r->end - r->seq;
	}
	tt_append(c, r);
}

void tcp_rec_lost(struct ns_tcp *c, struct ns_txrec *r)
{
	if (r->sacked)
		return;
	tcp_rec_untime(c, r);
	if (r->retrans) {
		r->retrans = 0;
		c->retrans_bytes -= r->end - r->seq;
	}
	if (!r->lost) {
		r->lost = 1;
		c->lost_bytes += r->end - r->seq;
	}
}

void tcp_rec_sacked(struct ns_tcp *c, struct ns_txrec *r)
{
	uint32_t n = r->end - r->seq;

	unaccount(c, r);
	tcp_rec_untime(c, r);
	r->lost = 0;
	r->retrans = 0;
	r->sacked = 1;
	c->sacked_bytes += n;
}
