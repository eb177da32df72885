/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AF_PACKET: copies of frames for programs that look at the network, and frames sent as they are.
 *
 * The device threads and senders pass every frame by packet_tap(), which costs one load of a
 * counter while there is no such socket. With one, they hold `taps` (a mutex) while they copy; it
 * comes after inet.lock and a connection's owner, and nothing is locked inside but a socket's
 * queue.
 */
#pragma once

#include <netstack/pkt.h>
#include "net/packet/bpf.h"
#include "net/socket.h"

extern _Atomic unsigned packet_taps; /* sockets that see frames */

void packet_tap_slow(const struct ns_pkt *pkt, uint32_t ifindex, bool outgoing);
/* pkt->data at the link header, or the network header if the packet has none. Not taken. */
static inline void packet_tap(const struct ns_pkt *pkt, uint32_t ifindex, bool outgoing)
{
	if (unlikely(atomic_load_explicit(&packet_taps, memory_order_relaxed)))
		packet_tap_slow(pkt, ifindex, outgoing);
}

/* A filter of a socket, checked; filter_new takes a struct sock_fprog of the application's. */
struct bpf_filter {
	unsigned n;
	struct sock_filter prog[];
};
/* err_ptr() on failure: -EINVAL, -EFAULT, -ENOMEM. kfree() it. */
struct bpf_filter *bpf_filter_new(const void *fprog, unsigned len);

/* --- ring.c: frames in memory shared with the application (TPACKET_V1 and V2) --- */

struct frame { /* what a socket gets to see */
	const struct ns_pkt *pkt;
	const uint8_t *head; /* link header that is not in the packet, or NULL */
	uint32_t head_len;
	uint32_t skip; /* bytes of the packet left out at its front */
	uint32_t len;  /* of head and packet */
	uint32_t keep; /* what the filter lets through */
	uint32_t net_off;
	uint16_t protocol; /* network byte order */
	uint16_t hatype;
	uint8_t type, addr[6];
	uint32_t ifindex;
	bool checksum_missing;
	int64_t wall;
};
bool frame_read(const struct frame *f, uint32_t off, void *to, uint32_t n);

struct packet_ring;
struct vma;
/* 0 blocks: *ring becomes NULL. -EINVAL, -ENOMEM. reserve: PACKET_RESERVE. */
int ring_new(
    struct packet_ring **ring, const void *req, unsigned len, int version, unsigned reserve);
void ring_free(struct packet_ring *r);
/* Writes a frame. False: no free slot. */
bool ring_put(struct packet_ring *r, const struct frame *f, bool cooked);
/* Is there a frame that the application has not given back? */
bool ring_ready(const struct packet_ring *r);
uint64_t ring_size(const struct packet_ring *r);
struct page *ring_page(struct packet_ring *r, uint64_t index); /* referenced, or NULL */

void packet_init(void);
