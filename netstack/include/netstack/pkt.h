/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet buffer: a linear area plus a vector of referenced memory fragments.
 *
 * A packet is one memory block laid out by ns_pkt_init():
 *
 *	[ struct ns_pkt | linear area (head .. head+size) | frags[max_frags] ]
 *
 * Valid bytes are `len` bytes at `data` inside the linear area, then the fragments in order, then
 * (receive side only) the packets linked by `chain`, whose bytes continue this packet's payload.
 * Offsets (l3_off, l4_off, payload_off, csum_start) count from `head`, so they stay right while
 * headers are pushed and pulled.
 *
 * Reference counting: a packet starts with one reference. ns_pkt_put() drops one; the last one
 *drops the fragments, the chain and then calls `release`. Counts are atomic: a device may complete
 *a transmission on another CPU than the one that sent. Fields other than the count belong to one
 * owner at a time. The bytes of a packet with more than one reference are read-only, except that
 * the owner may append behind the last valid byte.
 */
#ifndef NETSTACK_PKT_H
#define NETSTACK_PKT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netstack/addr.h>

/* A counted piece of memory. The embedder puts one of these into whatever it hands out by
 * reference (a page-cache page, an application buffer). `release` runs when the count reaches 0,
 * in the context of whoever dropped the last reference. */
struct ns_ref {
	uint32_t count;
	void (*release)(struct ns_ref *ref);
};

static inline void ns_ref_get(struct ns_ref *r)
{
	__atomic_fetch_add(&r->count, 1, __ATOMIC_RELAXED);
}

static inline void ns_ref_put(struct ns_ref *r)
{
	if (__atomic_fetch_sub(&r->count, 1, __ATOMIC_ACQ_REL) == 1)
		r->release(r);
}

/* Part of a referenced memory region. The holder of the fragment owns one reference on `ref`. */
struct ns_frag {
	struct ns_ref *ref;
	uint8_t *data;
	uint32_t len;
};

enum ns_pkt_flags {
	NS_PKT_CSUM_PARTIAL =
	    1 << 0,		  /* tx: device (or ns_pkt_csum_finish) completes the checksum.
				   * rx from a virtual device: sender was trusted, treat as OK */
	NS_PKT_CSUM_OK = 1 << 1,  /* rx: transport checksum verified by the device */
	NS_PKT_NO_ETH = 1 << 2,	  /* rx: `data` starts at the IP header (loopback, tun) */
	NS_PKT_LOOPBACK = 1 << 3, /* went through the loopback interface */
	NS_PKT_V6 = 1 << 4,	  /* set by ns_classify */
	NS_PKT_FRAGMENT = 1 << 5, /* set by ns_classify: IP fragment, needs reassembly */
	NS_PKT_CE = 1 << 6,	  /* set by ns_classify: ECN congestion experienced */
	NS_PKT_ECT = 1 << 7,	  /* set by ns_classify: ECN capable transport */
	NS_PKT_GRO = 1 << 8,	  /* several segments coalesced */
	NS_PKT_LLCAST = 1 << 9,	  /* link-layer broadcast or multicast */
};

enum ns_gso_type { NS_GSO_NONE, NS_GSO_TCPV4, NS_GSO_TCPV6, NS_GSO_UDP };

#define NS_MAX_FRAGS 20	 /* enough for 64 KiB in unaligned 4 KiB pages, plus headers */
#define NS_HEADROOM 128	 /* Ethernet + IPv6 + TCP with all options, and the device's own header */
#define NS_GSO_MAX 65535 /* largest IP datagram the engine builds */

struct ns_pkt {
	struct ns_ref ref;
	struct ns_pkt *next;  /* queue link for the current owner */
	struct ns_pkt *chain; /* receive coalescing: more payload of this packet */
	uint8_t *head;	      /* linear area */
	uint8_t *data;	      /* first valid byte of the linear area */
	uint32_t size;	      /* bytes of the linear area */
	uint32_t len;	      /* valid bytes at data */
	uint32_t tot_len;     /* len + fragments (without chain) */
	uint32_t block; /* bytes of the whole memory block: what it costs to keep the packet */
	struct ns_frag *frags;
	uint16_t nfrags, max_frags;
	void (*free)(struct ns_pkt *pkt); /* gives the block back; set by the allocator */
	void *owner;			  /* for the allocator */

	uint32_t flags; /* enum ns_pkt_flags */
	uint32_t ifindex;
	uint16_t l3_off, l4_off, payload_off;
	uint16_t csum_start, csum_offset; /* NS_PKT_CSUM_PARTIAL: as in virtio_net_hdr */
	uint16_t gso_size, gso_hdr_len;	  /* payload bytes of a segment; bytes of all headers */
	uint8_t gso_type;		  /* enum ns_gso_type */
	uint8_t proto;			  /* transport protocol, set by ns_classify */
	uint8_t tos, ttl;		  /* of the received IP header */
	uint16_t gro_segs;		  /* segments coalesced here, 0 or 1: plain */

	/* TCP queues (engine): position of the payload in sequence space. */
	uint32_t seq, end_seq;
	uint8_t tcp_flags;
	bool foreign;		 /* send queue: not the engine's own buffer, never appended to */
	uint64_t stamp_ns;	 /* rx: arrival time if the driver has one, else 0 */
	struct ns_addr next_hop; /* tx: for ops->defer_output */
	uint64_t user[2];	 /* for the embedder while it owns the packet */
};

/* Bytes of memory block needed for a packet with this linear area and fragment vector. */
static inline size_t ns_pkt_block_size(uint32_t linear, uint32_t nfrags)
{
	return sizeof(struct ns_pkt) + (((size_t)linear + 7) & ~(size_t)7) +
	       (size_t)nfrags * sizeof(struct ns_frag);
}

/*
 * Lays out a packet in `block` (8-byte aligned, at least ns_pkt_block_size(linear, nfrags) bytes;
 * surplus becomes linear area). One reference, no valid bytes, data = head + headroom.
 * `free_fn` gets the packet when its last reference is gone (fragments already dropped).
 */
struct ns_pkt *ns_pkt_init(void *block, size_t block_size, uint32_t nfrags, uint32_t headroom,
    void (*free_fn)(struct ns_pkt *pkt));

/* Drops one reference; accepts NULL. */
void ns_pkt_put(struct ns_pkt *pkt);

static inline struct ns_pkt *ns_pkt_get(struct ns_pkt *pkt)
{
	ns_ref_get(&pkt->ref);
	return pkt;
}

static inline uint32_t ns_pkt_headroom(const struct ns_pkt *p)
{
	return (uint32_t)(p->data - p->head);
}

static inline uint32_t ns_pkt_tailroom(const struct ns_pkt *p)
{
	return p->size - ns_pkt_headroom(p) - p->len;
}

/* Makes room for n bytes in front / behind (n must fit: see the two functions above); returns the
 * first new byte. ns_pkt_append must not be used once the packet has fragments. */
uint8_t *ns_pkt_push(struct ns_pkt *pkt, uint32_t n);
uint8_t *ns_pkt_append(struct ns_pkt *pkt, uint32_t n);
/* Removes n bytes (n <= tot_len) at the front (linear area first, then fragments) / at the end. */
void ns_pkt_pull(struct ns_pkt *pkt, uint32_t n);
void ns_pkt_trim(struct ns_pkt *pkt, uint32_t new_tot_len);
/* Adds a fragment; takes over the caller's reference on `ref`. False when the vector is full (the
 * reference stays the caller's). */
bool ns_pkt_add_frag(struct ns_pkt *pkt, struct ns_ref *ref, void *data, uint32_t len);
/* Makes the first n bytes linear (n <= tot_len, n <= size). False if there is no room. */
bool ns_pkt_linearize(struct ns_pkt *pkt, uint32_t n);
/* Copies n bytes from offset `off` of the packet (chain not included); bytes copied. */
uint32_t ns_pkt_copy_out(const struct ns_pkt *pkt, uint32_t off, void *dst, uint32_t n);

/* Internet checksum (RFC 1071) over the packet's bytes [off, off+n), added to `sum` (not folded).
 */
uint32_t ns_pkt_csum(const struct ns_pkt *pkt, uint32_t off, uint32_t n, uint32_t sum);
uint32_t ns_csum_add(uint32_t sum, const void *data, size_t n);
static inline uint16_t ns_csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Completes a NS_PKT_CSUM_PARTIAL checksum in software (devices without checksum offload). */
void ns_pkt_csum_finish(struct ns_pkt *pkt);

/*
 * Software segmentation: cuts a packet with gso_type set, all headers linear at `data`, into
 * packets of at most gso_size payload bytes and calls emit(arg, segment) for each, in order; the
 * segments refer to the payload of `pkt`. `alloc` as in struct ns_ops. Consumes pkt. Returns 0 or
 * -ENOMEM (rest dropped: the transport repairs it). `csum` completes checksums as well.
 */
int ns_pkt_segment(struct ns_pkt *pkt,
    struct ns_pkt *(*alloc)(void *ctx, uint32_t lin, uint32_t nf), void *ctx, bool csum,
    void (*emit)(void *arg, struct ns_pkt *seg), void *arg);

/* FIFO of packets linked by `next`. */
struct ns_pktq {
	struct ns_pkt *head, **tailp;
	uint32_t count;
};

static inline void ns_pktq_init(struct ns_pktq *q)
{
	q->head = NULL;
	q->tailp = &q->head;
	q->count = 0;
}

static inline void ns_pktq_push(struct ns_pktq *q, struct ns_pkt *p)
{
	p->next = NULL;
	*q->tailp = p;
	q->tailp = &p->next;
	q->count++;
}

static inline struct ns_pkt *ns_pktq_pop(struct ns_pktq *q)
{
	struct ns_pkt *p = q->head;

	if (p) {
		q->head = p->next;
		if (!q->head)
			q->tailp = &q->head;
		p->next = NULL;
		q->count--;
	}
	return p;
}

#endif
