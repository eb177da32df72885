/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragment reassembly for IPv4 and IPv6 with bounded memory: a limit on bytes and on datagrams, the
 * oldest goes first; overlapping fragments discard the whole datagram (RFC 5722, applied to IPv4 as
 * well); 30 s lifetime.
 */
#include "internal.h"

#define REASM_LIFETIME (30 * NS_SEC)
#define MAX_PIECES 1500 /* 64 KiB in fragments of 48 bytes */

static void free_pieces(struct ns_instance *ns, struct ns_reasm *r)
{
	while (r->pieces) {
		struct ns_reasm_piece *p = r->pieces;

		r->pieces = p->next;
		ns_pkt_put(p->pkt);
		ns->ops->mem_free(ns->ctx, p, sizeof *p);
	}
}

static void drop(struct ns_instance *ns, struct ns_reasm *r)
{
	free_pieces(ns, r);
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	ns->reasm_count--;
	ns->reasm_mem -= r->mem;
	ns->ops->mem_free(ns->ctx, r, sizeof *r);
}

static void drop_oldest(struct ns_instance *ns)
{
	struct ns_reasm *r = ns->reasm, *old = r;

	for (; r; r = r->next)
		if (r->expires < old->expires)
			old = r;
	if (old) {
		NS_COUNT(ns, ip_reasm_fail);
		drop(ns, old);
	}
}

struct frag_info {
	struct ns_addr src, dst;
	uint32_t id, start, len;
	uint8_t proto, v6;
	bool more;
};

/* The fragment's place, from the headers; false: malformed. Pulls pkt to the payload's start
 * relative to head only (data stays at the frame). */
static bool parse(struct ns_pkt *pkt, struct frag_info *f)
{
	const uint8_t *l3 = pkt->head + pkt->l3_off, *l4 = pkt->head + pkt->l4_off;
	uint32_t end = (uint32_t)(pkt->tot_len - (uint32_t)(l4 - pkt->data));

	memset(f, 0, sizeof *f);
	if (l3[0] >> 4 == 4) {
		uint16_t word = get16(l3 + 6);

		f->src = ns_addr_v4(l3 + 12);
		f->dst = ns_addr_v4(l3 + 16);
		f->id = get16(l3 + 4);
		f->start = (word & 0x1fffu) * 8;
		f->more = word & 0x2000;
		f->proto = l3[9];
		f->len = end;
		if (word & 0x4000)
			return false; /* don't-fragment and a fragment */
	} else {
		uint16_t word = get16(l4 + 2);

		if (end < 8)
			return false;
		f->v6 = 1;
		f->src = ns_addr_v6(l3 + 8);
		f->dst = ns_addr_v6(l3 + 24);
		f->id = get32(l4 + 4);
		f->start = word & 0xfff8u;
		f->more = word & 1;
		f->proto = l4[0];
		f->len = end - 8;
		pkt->l4_off += 8;
	}
	if (!f->len || (f->more && f->len % 8) || f->start + f->len > 65535)
		return false;
	return true;
}

static struct ns_reasm *find_or_make(
    struct ns_instance *ns, const struct frag_info *f, uint32_t ifindex)
{
	struct ns_reasm *r;

	for (r = ns->reasm; r; r = r->next)
		if (r->id == f->id && r->v6 == f->v6 && (f->v6 || r->proto == f->proto) &&
		    r->ifindex == ifindex && ns_addr_eq(&r->src, &f->src) &&
		    ns_addr_eq(&r->dst, &f->dst))
			return r;
	while (ns->reasm_count >= ns->cfg.reasm_datagrams)
		drop_oldest(ns);
	r = ns->ops->mem_alloc(ns->ctx, sizeof *r);
	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->src = f->src;
	r->dst = f->dst;
	r->id = f->id;
	r->v6 = f->v6;
	r->proto = f->proto;
	r->ifindex = ifindex;
	r->expires = ns_now(ns) + REASM_LIFETIME;
	r->next = ns->reasm;
	r->pprev = &ns->reasm;
	if (r->next)
		r->next->pprev = &r->next;
	ns->reasm = r;
	ns->reasm_count++;
	ns_arm(ns, r->expires);
	return r;
}

/* 1: inserted; 0: exact duplicate; -1: overlap. */
static int insert(struct ns_reasm *r, struct ns_reasm_piece *n)
{
	struct ns_reasm_piece **at = &r->pieces;

	while (*at && (*at)->start < n->start)
		at = &(*at)->next;
	if (*at && (*at)->start == n->start && (*at)->end == n->end)
		return 0;
	for (struct ns_reasm_piece *p = r->pieces; p; p = p->next)
		if (n->start < p->end && p->start < n->end)
			return -1;
	n->next = *at;
	*at = n;
	return 1;
}

/* Builds the datagram: the first fragment's headers, every payload copied behind them. */
static struct ns_pkt *assemble(struct ns_instance *ns, struct ns_reasm *r)
{
	struct ns_pkt *first = r->pieces->pkt;
	uint32_t hlen = r->v6 ? IP6_HLEN : IP4_HLEN;
	struct ns_pkt *out = ns_pkt_new(ns, hlen + r->total, 0);
	uint8_t *h;

	if (!out)
		return NULL;
	h = ns_pkt_append(out, hlen);
	memcpy(h, first->head + first->l3_off, hlen);
	out->ifindex = r->ifindex;
	out->flags = (first->flags & (NS_PKT_LOOPBACK | NS_PKT_V6 | NS_PKT_LLCAST | NS_PKT_ECT)) |
		     NS_PKT_NO_ETH;
	out->tos = first->tos;
	out->ttl = first->ttl;
	if (r->ecn_ce)
		out->flags |= NS_PKT_CE;
	out->proto = r->proto;
	out->l3_off = (uint16_t)ns_pkt_headroom(out);
	out->l4_off = (uint16_t)(out->l3_off + hlen);
	if (r->v6) {
		put16(h + 4, r->total);
		h[6] = r->proto;
	} else {
		h[0] = 0x45; /* options are not needed any more */
		put16(h + 2, hlen + r->total);
		put16(h + 6, 0);
		put16(h + 10, 0);
		put_csum(h + 10, ns_csum_fold(ns_csum_add(0, h, hlen)));
	}
	for (struct ns_reasm_piece *p = r->pieces; p; p = p->next) {
		uint32_t off = (uint32_t)(p->pkt->head + p->pkt->l4_off - p->pkt->data);

		ns_pkt_copy_out(
		    p->pkt, off, ns_pkt_append(out, p->end - p->start), p->end - p->start);
	}
	return out;
}

struct ns_pkt *ns_reasm_input(struct ns_instance *ns, struct ns_pkt *pkt)
{
	struct ns_reasm_piece *piece;
	struct frag_info f;
	struct ns_reasm *r;
	struct ns_pkt *out;
	int res;

	if (!parse(pkt, &f)) {
		NS_COUNT(ns, ip_reasm_fail);
		ns_pkt_put(pkt);
		return NULL;
	}
	while (ns->reasm_count && ns->reasm_mem + pkt->block > ns->cfg.reasm_bytes)
		drop_oldest(ns);
	r = find_or_make(ns, &f, pkt->ifindex);
	piece = r ? ns->ops->mem_alloc(ns->ctx, sizeof *piece) : NULL;
	if (!piece) {
		ns_pkt_put(pkt);
		return NULL;
	}
	*piece = (struct ns_reasm_piece){.start = f.start, .end = f.start + f.len, .pkt = pkt};
	res = insert(r, piece);
	/* The end may be told once only, and nothing may lie behind it. */
	if (res > 0 && !f.more && r->have_last && r->total != piece->end)
		res = -2;
	if (res <= 0) {
		if (res > -2) {
			ns->ops->mem_free(ns->ctx, piece, sizeof *piece);
			ns_pkt_put(pkt);
		}
		if (res < 0) {
			NS_COUNT(ns, ip_reasm_fail);
			drop(ns, r);
		}
		return NULL;
	}
	if (!f.more) {
		r->have_last = true;
		r->total = piece->end;
	}
	if (!f.start)
		r->proto = f.proto;
	r->ecn_ce |= (pkt->flags & NS_PKT_CE) != 0;
	r->bytes += f.len;
	r->mem += pkt->block;
	ns->reasm_mem += pkt->block;
	if (++r->pieces_count > MAX_PIECES || (r->have_last && r->bytes > r->total)) {
		NS_COUNT(ns, ip_reasm_fail);
		drop(ns, r);
		return NULL;
	}
	if (!r->have_last || r->bytes != r->total)
		return NULL;
	out = assemble(ns, r);
	if (out)
		NS_COUNT(ns, ip_reasm_ok);
	drop(ns, r);
	return out;
}

uint64_t ns_reasm_timer(struct ns_instance *ns, uint64_t now)
{
	struct ns_reasm *r = ns->reasm, *next;
	uint64_t at = 0;

	for (; r; r = next) {
		next = r->next;
		if (r->expires <= now) {
			NS_COUNT(ns, ip_reasm_fail);
			if (r->pieces && !r->pieces->start) {
				struct ns_flow f = {.local = r->dst,
				    .remote = r->src,
				    .v6 = r->v6,
				    .proto = r->proto,
				    .ifindex = r->ifindex};

				ns_icmp_send_error(
				    ns, r->pieces->pkt, &f, NS_ICMP_TIME_EXCEEDED, 1);
			}
			drop(ns, r);
		} else if (!at || r->expires < at) {
			at = r->expires;
		}
	}
	return at;
}

void ns_reasm_flush(struct ns_instance *ns)
{
	while (ns->reasm)
		drop(ns, ns->reasm);
}
