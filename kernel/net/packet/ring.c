/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The receive ring of a packet socket: pages that the application maps. Slots belong to the kernel
 * while their status word is 0; the kernel fills one and sets the status last, the application sets
 * it back to 0. Everything the application could have scribbled over is only ever written here,
 * except the status word, which says no more than "free" or "not free".
 */
#include <asm/errno.h>
#include <linux/if_packet.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "net/packet/packet.h"

#define RING_MAX (64ul << 20)

struct packet_ring {
	int version;
	unsigned frame_size, frames, per_block, block_size, reserve;
	unsigned next; /* slot to fill */
	uint64_t npages;
	struct page *pages[];
};

static unsigned header_length(int version)
{
	return version == TPACKET_V2 ? TPACKET2_HDRLEN : TPACKET_HDRLEN;
}

int ring_new(
    struct packet_ring **ring, const void *value, unsigned len, int version, unsigned reserve)
{
	struct tpacket_req q;

	*ring = NULL;
	if (len < sizeof q)
		return -EINVAL;
	memcpy(&q, value, sizeof q);
	if (!q.tp_block_nr)
		return q.tp_frame_nr ? -EINVAL : 0;
	if (!q.tp_block_size || q.tp_block_size % PAGE_SIZE ||
	    q.tp_frame_size % TPACKET_ALIGNMENT ||
	    q.tp_frame_size < header_length(version) + reserve || q.tp_frame_size > q.tp_block_size)
		return -EINVAL;
	unsigned per_block = q.tp_block_size / q.tp_frame_size;
	uint64_t bytes = (uint64_t)q.tp_block_size * q.tp_block_nr;
	if ((uint64_t)per_block * q.tp_block_nr != q.tp_frame_nr)
		return -EINVAL;
	if (bytes > RING_MAX)
		return -ENOMEM;
	struct packet_ring *r = kzalloc(sizeof *r + bytes / PAGE_SIZE * sizeof r->pages[0]);
	if (!r)
		return -ENOMEM;
	r->version = version;
	r->frame_size = q.tp_frame_size;
	r->frames = q.tp_frame_nr;
	r->per_block = per_block;
	r->block_size = q.tp_block_size;
	r->reserve = reserve;
	for (; r->npages < bytes / PAGE_SIZE; r->npages++) {
		r->pages[r->npages] = page_alloc(0, PAGE_ZERO);
		if (!r->pages[r->npages]) {
			ring_free(r);
			return -ENOMEM;
		}
	}
	*ring = r;
	return 0;
}

/* Pages that are mapped live on until they are unmapped. */
void ring_free(struct packet_ring *r)
{
	for (uint64_t i = 0; r && i < r->npages; i++)
		page_put(r->pages[i]);
	kfree(r);
}

uint64_t ring_size(const struct packet_ring *r)
{
	return r->npages * PAGE_SIZE;
}

struct page *ring_page(struct packet_ring *r, uint64_t index)
{
	if (index >= r->npages)
		return NULL;
	page_get(r->pages[index]);
	return r->pages[index];
}

static uint64_t slot_offset(const struct packet_ring *r, unsigned slot)
{
	return (uint64_t)(slot / r->per_block) * r->block_size +
	       (uint64_t)(slot % r->per_block) * r->frame_size;
}

static void *ring_at(const struct packet_ring *r, uint64_t off)
{
	return (char *)page_virt(r->pages[off / PAGE_SIZE]) + off % PAGE_SIZE;
}

static void ring_write(struct packet_ring *r, uint64_t off, const void *from, size_t n)
{
	const char *p = from;

	while (n) {
		size_t part = MIN(n, PAGE_SIZE - off % PAGE_SIZE);
		memcpy(ring_at(r, off), p, part);
		off += part;
		p += part;
		n -= part;
	}
}

static void copy_frame(struct packet_ring *r, uint64_t off, const struct frame *f, uint32_t n)
{
	for (uint32_t done = 0; done < n;) {
		uint32_t part =
		    (uint32_t)MIN((size_t)(n - done), PAGE_SIZE - (off + done) % PAGE_SIZE);
		frame_read(f, done, ring_at(r, off + done), part);
		done += part;
	}
}

/* The status word: 32 bits of V2; of V1's 64 the low half, the other stays 0. */
static _Atomic uint32_t *status_of(const struct packet_ring *r, unsigned slot)
{
	return ring_at(r, slot_offset(r, slot));
}

bool ring_ready(const struct packet_ring *r)
{
	unsigned last = r->next ? r->next - 1 : r->frames - 1;

	return atomic_load(status_of(r, last)) != TP_STATUS_KERNEL;
}

bool ring_put(struct packet_ring *r, const struct frame *f, bool cooked)
{
	uint64_t at = slot_offset(r, r->next);
	_Atomic uint32_t *status = status_of(r, r->next);
	unsigned head = header_length(r->version);
	unsigned net = TPACKET_ALIGN(head + (cooked ? 16u : MAX(f->net_off, 16u))) + r->reserve;
	unsigned mac = cooked ? net : net - f->net_off;

	if (atomic_load(status) != TP_STATUS_KERNEL)
		return false;
	uint32_t room = r->frame_size > mac ? r->frame_size - mac : 0;
	uint32_t snap = MIN(MIN(f->keep, f->len), room);
	int64_t sec = f->wall / NSEC_PER_SEC, ns = f->wall % NSEC_PER_SEC;
	struct sockaddr_ll ll = {.sll_family = AF_PACKET,
	    .sll_protocol = f->protocol,
	    .sll_ifindex = (int)f->ifindex,
	    .sll_hatype = f->hatype,
	    .sll_pkttype = f->type,
	    .sll_halen = 6};
	memcpy(ll.sll_addr, f->addr, 6);
	copy_frame(r, at + mac, f, snap);
	/* Everything but the status, which is the first word of both headers. */
	if (r->version == TPACKET_V2) {
		struct tpacket2_hdr h = {.tp_len = f->len,
		    .tp_snaplen = snap,
		    .tp_mac = (uint16_t)mac,
		    .tp_net = (uint16_t)net,
		    .tp_sec = (uint32_t)sec,
		    .tp_nsec = (uint32_t)ns};
		ring_write(r, at + 4, (char *)&h + 4, sizeof h - 4);
	} else {
		struct tpacket_hdr h = {.tp_len = f->len,
		    .tp_snaplen = snap,
		    .tp_mac = (uint16_t)mac,
		    .tp_net = (uint16_t)net,
		    .tp_sec = (uint32_t)sec,
		    .tp_usec = (uint32_t)(ns / 1000)};
		ring_write(r, at + 8, (char *)&h + 8, sizeof h - 8);
	}
	ring_write(r, at + head - sizeof ll, &ll, sizeof ll);
	atomic_store(status, TP_STATUS_USER | (f->checksum_missing ? TP_STATUS_CSUMNOTREADY : 0));
	r->next = (r->next + 1) % r->frames;
	return true;
}
