/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive coalescing: consecutive segments of one TCP stream become one packet with a chain, so
 * that the protocol work is done once. Only plain data segments with equal headers merge;
 * everything else flushes its flow first, so order within a flow never changes.
 */
#include "internal.h"

#define GRO_SLOTS 8
#define GRO_MAX_BYTES 65535u

struct gro_view {
	const uint8_t *l3, *l4;
	uint32_t hlen, len, seq;
};

static bool view(struct ns_pkt *p, struct gro_view *v)
{
	v->l3 = p->head + p->l3_off;
	v->l4 = p->head + p->l4_off;
	v->hlen = p->payload_off - (uint32_t)p->l4_off;
	v->len = p->tot_len - (uint32_t)(p->head + p->payload_off - p->data);
	v->seq = get32(v->l4 + 4);
	/* ACK or ACK|PSH with data, no fragment headers or other options of IP. */
	return (v->l4[13] & 0xf7) == 0x10 && v->len && !p->gso_type &&
	       (v->l4 - v->l3 == IP4_HLEN || v->l4 - v->l3 == IP6_HLEN);
}

static bool same_headers(const struct gro_view *a, const struct gro_view *b)
{
	bool v4 = a->l3[0] >> 4 == 4;

	if (a->hlen != b->hlen || a->l3[0] != b->l3[0])
		return false;
	if (v4 ? a->l3[1] != b->l3[1] || a->l3[8] != b->l3[8]
	       : memcmp(a->l3, b->l3, 4) != 0 || a->l3[7] != b->l3[7])
		return false;
	/* Acknowledgement number, window and options must agree. */
	return !memcmp(a->l4 + 8, b->l4 + 8, 4) && !memcmp(a->l4 + 14, b->l4 + 14, 2) &&
	       !memcmp(a->l4 + 20, b->l4 + 20, a->hlen - 20);
}

static struct ns_pkt *take(struct ns_gro *g, uint32_t i, struct ns_flow *flow)
{
	struct ns_pkt *p = g->held[i];

	*flow = g->flows[i];
	g->count--;
	for (; i < g->count; i++) { /* keep arrival order */
		g->held[i] = g->held[i + 1];
		g->flows[i] = g->flows[i + 1];
	}
	return p;
}

static uint32_t chain_bytes(const struct ns_pkt *p)
{
	uint32_t n = 0;

	for (; p; p = p->chain)
		n += p->tot_len;
	return n;
}

/* Appends n to the held packet h: n keeps its payload only. */
static void merge(struct ns_pkt *h, struct ns_pkt *n, const struct gro_view *v)
{
	struct ns_pkt *last = h;

	if (v->l4[13] & 0x08)
		h->head[h->l4_off + 13] |= 0x08;
	while (last->chain)
		last = last->chain;
	ns_pkt_pull(n, (uint32_t)(n->head + n->payload_off - n->data));
	last->chain = n;
	h->flags |= NS_PKT_GRO | NS_PKT_CSUM_OK;
	h->gro_segs = (uint16_t)(NS_MAX(h->gro_segs, 1) + 1);
	/* Bytes expected next: kept where the queue code will overwrite it. */
	h->end_seq = v->seq + v->len;
}

struct ns_pkt *ns_gro_receive(struct ns_gro *g, struct ns_pkt *p, struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(p->head + p->l4_off - p->data);
	struct gro_view v, h;
	bool mergeable = view(p, &v);
	uint32_t i = 0;

	if (mergeable && !(p->flags & (NS_PKT_CSUM_OK | NS_PKT_CSUM_PARTIAL))) {
		mergeable = ns_l4_csum_ok(p, p->tot_len - off);
		if (mergeable)
			p->flags |= NS_PKT_CSUM_OK;
	}
	while (i < g->count && !ns_flow_eq(&g->flows[i], flow))
		i++;
	if (i < g->count) {
		struct ns_pkt *held = g->held[i];
		struct ns_flow f;

		view(held, &h);
		if (mergeable && held->end_seq == v.seq && same_headers(&h, &v) &&
		    chain_bytes(held) + v.len <= GRO_MAX_BYTES) {
			bool push = v.l4[13] & 0x08;

			merge(held, p, &v);
			return push ? take(g, i, flow) : NULL;
		}
		/* Does not fit: the older one leaves first. A packet that cannot be held goes with
		 * it, linked by next. */
		held = take(g, i, &f);
		if (mergeable) {
			p->end_seq = v.seq + v.len;
			g->held[g->count] = p;
			g->flows[g->count++] = *flow;
			return held;
		}
		held->next = p;
		return held;
	}
	if (!mergeable || (v.l4[13] & 0x08))
		return p;
	p->end_seq = v.seq + v.len;
	if (g->count == GRO_SLOTS) {
		struct ns_flow f;
		struct ns_pkt *old = take(g, 0, &f);

		g->held[g->count] = p;
		g->flows[g->count++] = *flow;
		*flow = f;
		return old;
	}
	g->held[g->count] = p;
	g->flows[g->count++] = *flow;
	return NULL;
}

struct ns_pkt *ns_gro_flush(struct ns_gro *g, struct ns_flow *flow)
{
	return g->count ? take(g, 0, flow) : NULL;
}
