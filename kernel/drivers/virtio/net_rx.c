/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving. A buffer is one page: a struct ns_pkt and its linear area, where the device writes its
 * header and the frame. Small frames are copied out so that they do not occupy a page each; a frame
 * in several (mergeable) buffers becomes one packet whose fragments are those buffers.
 */
#include "core/trace.h"
#include "drivers/virtio/net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

enum { BUFFER_SIZE = 4096, COPY_LIMIT = 256, MERGED_LINEAR = 256, MERGED_HEADERS = 128 };

static void free_block(struct ns_pkt *pkt)
{
	kfree(pkt);
}

static bool offer(struct net_pair *p, struct ns_pkt *pkt)
{
	struct virtq_buf b = {virt_phys(pkt->head), pkt->size};
	return virtq_add(p->rx, &b, 0, 1, pkt) == 0;
}

bool net_rx_refill(struct net_pair *p)
{
	bool enough = true;
	uint64_t before = p->rx->free;
	TRACE(virtio_net_fill_rx_ring, "queue=%lu", p->index);
	while (p->rx->free && !p->rx->broken) {
		void *block = kmalloc(BUFFER_SIZE);
		if (!block) {
			p->stats.rx_no_memory++;
			enough = p->rx->in_flight > p->rx->size / 4;
			break;
		}
		struct ns_pkt *pkt = ns_pkt_init(block, BUFFER_SIZE, 0, 0, free_block);
		if (!offer(p, pkt)) {
			ns_pkt_put(pkt);
			break;
		}
	}
	TRACE(virtio_net_fill_rx_ring_added, "queue=%lu added=%lu", p->index, before - p->rx->free);
	virtio_kick(p->rx);
	return enough;
}

/* The frame in memory of its own size; the buffer goes back to the device. NULL: keep the buffer
 * instead. */
static struct ns_pkt *copy_small(struct net_pair *p, struct ns_pkt *buffer)
{
	size_t size = ns_pkt_block_size(buffer->len, 0);
	void *block = kmalloc(size);
	if (!block)
		return NULL;
	struct ns_pkt *pkt = ns_pkt_init(block, size, 0, 0, free_block);
	memcpy(pkt->data, buffer->data, buffer->len);
	pkt->len = pkt->tot_len = buffer->len;
	if (!offer(p, buffer))
		ns_pkt_put(buffer);
	return pkt;
}

static void drop_buffers(struct net_pair *p, unsigned n)
{
	struct ns_pkt *pkt;
	uint32_t len;
	while (n-- && (pkt = virtq_take(p->rx, &len)))
		if (!offer(p, pkt))
			ns_pkt_put(pkt);
}

/* Joins the first buffer and the `more` next ones. Takes `first`. NULL: dropped. */
static struct ns_pkt *merge(struct net_pair *p, struct ns_pkt *first, unsigned more)
{
	size_t size = ns_pkt_block_size(MERGED_LINEAR, more + 1);
	void *block = kmalloc(size);
	struct ns_pkt *pkt = block ? ns_pkt_init(block, size, more + 1, 0, free_block) : NULL;
	uint32_t headers = MIN(first->len, (uint32_t)MERGED_HEADERS), len;
	if (!pkt) {
		p->stats.rx_no_memory++;
		ns_pkt_put(first);
		drop_buffers(p, more);
		return NULL;
	}
	memcpy(pkt->data, first->data, headers);
	pkt->len = pkt->tot_len = headers;
	if (first->len == headers)
		ns_pkt_put(first);
	else
		ns_pkt_add_frag(pkt, &first->ref, first->data + headers, first->len - headers);
	while (more--) {
		struct ns_pkt *next = virtq_take(p->rx, &len);
		if (!next) { /* the device announced more than it delivered */
			p->stats.rx_errors++;
			ns_pkt_put(pkt);
			return NULL;
		}
		ns_pkt_add_frag(pkt, &next->ref, next->head, len);
	}
	return pkt;
}

/* What the device's header says about checksums and segments. False: nonsense. */
static bool apply_header(struct net_pair *p, struct ns_pkt *pkt, const struct net_header *h)
{
	uint32_t features = p->net->dev.features;
	if (h->flags & HEADER_NEEDS_CSUM) {
		if ((uint32_t)h->csum_start + h->csum_offset + 2 > pkt->tot_len ||
		    !(features & NETDEV_RXCSUM))
			return false;
		pkt->flags |= NS_PKT_CSUM_PARTIAL;
		pkt->csum_start = (uint16_t)((pkt->data - pkt->head) + h->csum_start);
		pkt->csum_offset = h->csum_offset;
	} else if (h->flags & HEADER_DATA_VALID) {
		pkt->flags |= NS_PKT_CSUM_OK;
	}
	uint8_t type = h->gso_type & ~GSO_ECN;
	if (type == GSO_NONE)
		return true;
	if (!(features & NETDEV_LRO) || !h->gso_size || (type != GSO_TCPV4 && type != GSO_TCPV6))
		return false;
	pkt->gso_type = type == GSO_TCPV4 ? NS_GSO_TCPV4 : NS_GSO_TCPV6;
	pkt->gso_size = h->gso_size;
	return true;
}

/* One frame, or NULL: none, or a bad one (*bad). */
static struct ns_pkt *take_frame(struct net_pair *p, bool *bad)
{
	struct net_header h = {.buffers = 1};
	uint32_t header_size = p->net->header_size, len;
	struct ns_pkt *pkt = virtq_take(p->rx, &len);
	*bad = pkt != NULL;
	if (!pkt)
		return NULL;
	if (len <= header_size) {
		ns_pkt_put(pkt);
		return NULL;
	}
	memcpy(&h, pkt->head, header_size);
	pkt->data = pkt->head + header_size;
	pkt->len = pkt->tot_len = len - header_size;
	unsigned buffers = p->net->mergeable ? h.buffers : 1;
	if (buffers == 0 || buffers > NS_MAX_FRAGS) {
		ns_pkt_put(pkt);
		drop_buffers(p, buffers ? buffers - 1 : 0);
		return NULL;
	}
	if (buffers > 1) {
		pkt = merge(p, pkt, buffers - 1);
	} else if (pkt->len <= COPY_LIMIT) {
		struct ns_pkt *small = copy_small(p, pkt);
		pkt = small ? small : pkt;
	}
	if (pkt && !apply_header(p, pkt, &h)) {
		ns_pkt_put(pkt);
		return NULL;
	}
	*bad = !pkt;
	return pkt;
}

unsigned net_rx_poll(struct net_pair *p, unsigned budget)
{
	struct ns_pktq batch;
	unsigned taken = 0;
	ns_pktq_init(&batch);
	while (taken < budget) {
		bool bad;
		struct ns_pkt *pkt = take_frame(p, &bad);
		if (!pkt && !bad)
			break;
		taken++;
		if (!pkt) {
			p->stats.rx_errors++;
			continue;
		}
		TRACE(virtio_net_rx_packet, "queue=%lu len=%u", p->index, pkt->tot_len);
		p->stats.rx_packets++;
		p->stats.rx_bytes += pkt->tot_len;
		ns_pktq_push(&batch, pkt);
	}
	TRACE(virtio_net_rx, "queue=%lu packets=%lu", p->index, batch.count);
	if (p->rx->broken)
		net_fail(p->net, p->rx->broken);
	if (batch.count)
		p->net->dev.receive(&p->net->dev, p->index, &batch);
	return taken;
}
