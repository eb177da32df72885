/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers: layout, reference counting, push and pull, checksums. */
#include "internal.h"

static void pkt_release(struct ns_ref *ref)
{
	struct ns_pkt *p = (struct ns_pkt *)ref;

	/* A loop, not recursion: chains can be long. */
	while (p) {
		struct ns_pkt *chain = p->chain;

		for (unsigned i = 0; i < p->nfrags; i++)
			ns_ref_put(p->frags[i].ref);
		p->free(p);
		if (!chain || __atomic_fetch_sub(&chain->ref.count, 1, __ATOMIC_ACQ_REL) != 1)
			break;
		p = chain;
	}
}

struct ns_pkt *ns_pkt_init(void *block, size_t block_size, uint32_t nfrags, uint32_t headroom,
    void (*free_fn)(struct ns_pkt *pkt))
{
	struct ns_pkt *p = block;

	memset(p, 0, sizeof *p);
	p->ref.count = 1;
	p->ref.release = pkt_release;
	p->head = (uint8_t *)(p + 1);
	p->block = (uint32_t)block_size;
	block_size &= ~(size_t)7;
	p->size = (uint32_t)(block_size - sizeof *p - nfrags * sizeof(struct ns_frag));
	p->frags = (struct ns_frag *)(p->head + p->size);
	p->max_frags = (uint16_t)nfrags;
	p->data = p->head + headroom;
	p->free = free_fn;
	return p;
}

void ns_pkt_put(struct ns_pkt *pkt)
{
	if (pkt)
		ns_ref_put(&pkt->ref);
}

uint8_t *ns_pkt_push(struct ns_pkt *p, uint32_t n)
{
	p->data -= n;
	p->len += n;
	p->tot_len += n;
	return p->data;
}

uint8_t *ns_pkt_append(struct ns_pkt *p, uint32_t n)
{
	uint8_t *at = p->data + p->len;

	p->len += n;
	p->tot_len += n;
	return at;
}

static void drop_first_frags(struct ns_pkt *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ns_ref_put(p->frags[i].ref);
	memmove(p->frags, p->frags + n, (p->nfrags - n) * sizeof *p->frags);
	p->nfrags = (uint16_t)(p->nfrags - n);
}

void ns_pkt_pull(struct ns_pkt *p, uint32_t n)
{
	unsigned i = 0;
	uint32_t lin = NS_MIN(n, p->len);

	p->data += lin;
	p->len -= lin;
	p->tot_len -= n;
	n -= lin;
	while (n) {
		struct ns_frag *f = &p->frags[i];

		if (f->len > n) {
			f->data += n;
			f->len -= n;
			break;
		}
		n -= f->len;
		i++;
	}
	if (i)
		drop_first_frags(p, i);
}

void ns_pkt_trim(struct ns_pkt *p, uint32_t len)
{
	while (p->tot_len > len && p->nfrags) {
		struct ns_frag *f = &p->frags[p->nfrags - 1];
		uint32_t cut = NS_MIN(f->len, p->tot_len - len);

		f->len -= cut;
		p->tot_len -= cut;
		if (!f->len) {
			p->nfrags--;
			ns_ref_put(f->ref);
		}
	}
	if (p->tot_len > len) {
		p->len = len;
		p->tot_len = len;
	}
}

bool ns_pkt_add_frag(struct ns_pkt *p, struct ns_ref *ref, void *data, uint32_t len)
{
	if (p->nfrags == p->max_frags)
		return false;
	p->frags[p->nfrags++] = (struct ns_frag){ref, data, len};
	p->tot_len += len;
	return true;
}

bool ns_pkt_linearize(struct ns_pkt *p, uint32_t n)
{
	uint32_t need, tot = p->tot_len, len;

	if (n <= p->len)
		return true;
	if (n > p->tot_len)
		return false;
	need = n - p->len;
	if (ns_pkt_tailroom(p) < need) {
		uint32_t shift = ns_pkt_headroom(p);

		/* Moving changes offsets from head: only before any were set, or nothing to gain.
		 */
		if (p->size - p->len < need || p->ref.count != 1 || p->l3_off || p->l4_off)
			return false;
		memmove(p->head, p->data, p->len);
		p->data -= shift;
	}
	len = p->len;
	ns_pkt_copy_out(p, len, p->data + len, need);
	/* Drop the copied bytes from the fragments. */
	p->len = 0;
	p->tot_len = tot - len;
	ns_pkt_pull(p, need);
	p->len = n;
	p->tot_len = tot;
	return true;
}

uint32_t ns_pkt_copy_out(const struct ns_pkt *p, uint32_t off, void *dst, uint32_t n)
{
	uint8_t *d = dst;
	uint32_t done = 0;

	if (off < p->len) {
		done = NS_MIN(n, p->len - off);
		memcpy(d, p->data + off, done);
		off = p->len;
	}
	off -= p->len;
	for (unsigned i = 0; i < p->nfrags && done < n; i++) {
		const struct ns_frag *f = &p->frags[i];
		uint32_t m;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		m = NS_MIN(n - done, f->len - off);
		memcpy(d + done, f->data + off, m);
		done += m;
		off = 0;
	}
	return done;
}

uint32_t ns_csum_add(uint32_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t s = sum, w;

	for (; n >= 32; n -= 32, p += 32) {
		uint64_t a, b, c, d;

		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 8);
		memcpy(&c, p + 16, 8);
		memcpy(&d, p + 24, 8);
		s += (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) +
		     (c & 0xffffffff) + (c >> 32) + (d & 0xffffffff) + (d >> 32);
	}
	for (; n >= 4; n -= 4, p += 4) {
		uint32_t v;

		memcpy(&v, p, 4);
		s += v;
	}
	if (n & 2) {
		uint16_t v;

		memcpy(&v, p, 2);
		s += v;
		p += 2;
	}
	if (n & 1) {
		uint16_t v = 0;

		memcpy(&v, p, 1);
		s += v;
	}
	w = (s & 0xffffffff) + (s >> 32);
	w = (w & 0xffffffff) + (w >> 32);
	w = (w & 0xffff) + (w >> 16);
	return (uint32_t)((w & 0xffff) + (w >> 16));
}

/* Adds one piece of a longer region; a piece that starts at an odd offset counts byte-swapped. */
static uint32_t csum_piece(uint32_t sum, const uint8_t *p, uint32_t n, bool odd)
{
	uint32_t s = ns_csum_add(0, p, n);

	if (odd)
		s = (s & 0xff) << 8 | (s >> 8 & 0xff) | (s >> 16);
	return sum + s;
}

uint32_t ns_pkt_csum(const struct ns_pkt *p, uint32_t off, uint32_t n, uint32_t sum)
{
	bool odd = false;

	sum = (sum & 0xffff) + (sum >> 16);
	if (off < p->len) {
		uint32_t m = NS_MIN(n, p->len - off);

		sum = csum_piece(sum, p->data + off, m, odd);
		odd ^= m & 1;
		n -= m;
		off = p->len;
	}
	off -= p->len;
	for (unsigned i = 0; i < p->nfrags && n; i++) {
		const struct ns_frag *f = &p->frags[i];
		uint32_t m;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		m = NS_MIN(n, f->len - off);
		sum = csum_piece(sum, f->data + off, m, odd);
		odd ^= m & 1;
		n -= m;
		off = 0;
	}
	return sum;
}

void ns_pkt_csum_finish(struct ns_pkt *p)
{
	uint32_t start = p->csum_start - ns_pkt_headroom(p);
	uint16_t c;

	if (!(p->flags & NS_PKT_CSUM_PARTIAL))
		return;
	c = ns_csum_fold(ns_pkt_csum(p, start, p->tot_len - start, 0));
	if (!c && p->proto == NS_PROTO_UDP)
		c = 0xffff; /* zero means "no checksum" there */
	put_csum(p->head + p->csum_start + p->csum_offset, c);
	p->flags &= ~(uint32_t)NS_PKT_CSUM_PARTIAL;
}
