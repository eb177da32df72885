/* SPDX-License-Identifier: BSD-3-Clause */
/* Software segmentation of large TCP and UDP packets for devices that cannot do it. */
#include "internal.h"

/* Refers to payload bytes [off, off+n) of src from dst; every reference is on src itself, which
 * keeps its fragments alive. False: too many fragments. */
static bool refer(struct ns_pkt *dst, struct ns_pkt *src, uint32_t off, uint32_t n)
{
	if (off < src->len) {
		uint32_t m = NS_MIN(n, src->len - off);

		if (!ns_pkt_add_frag(dst, &src->ref, src->data + off, m))
			return false;
		ns_ref_get(&src->ref);
		n -= m;
		off = src->len;
	}
	off -= src->len;
	for (unsigned i = 0; i < src->nfrags && n; i++) {
		struct ns_frag *f = &src->frags[i];
		uint32_t m;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		m = NS_MIN(n, f->len - off);
		if (!ns_pkt_add_frag(dst, &src->ref, f->data + off, m))
			return false;
		ns_ref_get(&src->ref);
		n -= m;
		off = 0;
	}
	return n == 0;
}

/* Corrects the copied headers for payload bytes [off, off+n) of a packet with `total`. */
static void fix_headers(struct ns_pkt *seg, const struct ns_pkt *src, uint32_t off, uint32_t n,
    uint32_t total, unsigned index)
{
	uint8_t *l3 = seg->head + seg->l3_off, *l4 = seg->head + seg->l4_off;
	uint32_t l4_len = src->gso_hdr_len - (uint32_t)(src->head + src->l4_off - src->data);
	uint32_t sum;
	struct ns_addr a, b;
	uint8_t proto;

	if ((l3[0] >> 4) == 4) {
		put16(l3 + 2, (uint32_t)(l4 - l3) + l4_len + n);
		put16(l3 + 4, get16(l3 + 4) + index);
		put16(l3 + 10, 0);
		put_csum(l3 + 10, ns_csum_fold(ns_csum_add(0, l3, (size_t)(l4 - l3))));
		a = ns_addr_v4(l3 + 12);
		b = ns_addr_v4(l3 + 16);
		proto = l3[9];
	} else {
		put16(l3 + 4, (uint32_t)(l4 - l3) - IP6_HLEN + l4_len + n);
		a = ns_addr_v6(l3 + 8);
		b = ns_addr_v6(l3 + 24);
		proto = l3[6];
	}
	sum = ns_pseudo_sum(&a, &b, proto, l4_len + n);
	if (proto == NS_PROTO_TCP) {
		put32(l4 + 4, get32(l4 + 4) + off);
		if (off + n < total)
			l4[13] &= (uint8_t)~0x09; /* FIN, PSH: last segment only */
		if (off)
			l4[13] &= 0x7f; /* CWR: first only */
		put_csum(l4 + 16, (uint16_t)~ns_csum_fold(sum));
		seg->csum_offset = 16;
	} else {
		put16(l4 + 4, UDP_HLEN + n);
		put_csum(l4 + 6, (uint16_t)~ns_csum_fold(sum));
		seg->csum_offset = 6;
	}
	seg->proto = proto;
	seg->csum_start = seg->l4_off;
	seg->flags |= NS_PKT_CSUM_PARTIAL;
}

int ns_pkt_segment(struct ns_pkt *pkt, struct ns_pkt *(*alloc)(void *, uint32_t, uint32_t),
    void *ctx, bool csum, void (*emit)(void *, struct ns_pkt *), void *arg)
{
	uint32_t hdr = pkt->gso_hdr_len, total = pkt->tot_len - hdr, off = 0;
	uint32_t room = ns_pkt_headroom(pkt);
	unsigned index = 0;
	int ret = 0;

	while (off < total) {
		uint32_t n = NS_MIN(total - off, (uint32_t)pkt->gso_size);
		struct ns_pkt *seg = alloc(ctx, room + hdr, (uint32_t)pkt->nfrags + 1);

		if (!seg) {
			ret = -NS_ENOMEM;
			break;
		}
		seg->data = seg->head + room;
		memcpy(ns_pkt_append(seg, hdr), pkt->data, hdr);
		seg->ifindex = pkt->ifindex;
		seg->flags = pkt->flags;
		seg->next_hop = pkt->next_hop;
		seg->l3_off = pkt->l3_off;
		seg->l4_off = pkt->l4_off;
		seg->payload_off = pkt->payload_off;
		if (!refer(seg, pkt, hdr + off, n)) {
			ns_pkt_put(seg);
			ret = -NS_ENOMEM;
			break;
		}
		fix_headers(seg, pkt, off, n, total, index++);
		if (csum)
			ns_pkt_csum_finish(seg);
		emit(arg, seg);
		off += n;
	}
	ns_pkt_put(pkt);
	return ret;
}
