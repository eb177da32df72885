/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio network driver's own structures: net.c (device), net_rx.c and net_tx.c (queues).
 *
 * Each queue pair has a thread, bound to the pair's CPU, that takes received packets and completed
 * transmissions while there are any and then sleeps with interrupts on. Packets are freed only in
 * thread context: interrupts just wake the pair's thread.
 */
#pragma once

#include "drivers/netdev.h"
#include "drivers/virtio/virtio.h"
#include "lib/combine.h"
#include "sched/thread.h"
#include "sched/work.h"

/* struct virtio_net_hdr of VIRTIO 1; a legacy device without mergeable buffers has no `buffers`. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t header_len, gso_size, csum_start, csum_offset, buffers;
};
enum { HEADER_NEEDS_CSUM = 1, HEADER_DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

struct tx_slot {
	struct net_header header;
	struct ns_pkt *pkt;
	struct tx_slot *next_free;
};

struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct thread *thread;
	_Atomic bool signalled; /* set by interrupts before they wake the thread */
	/* Receiving: the thread's only. */
	struct virtq *rx;
	/* Sending: whoever attends. */
	struct virtq *tx;
	struct combiner attend;
	_Atomic(struct ns_pkt *) incoming; /* newest first */
	struct ns_pktq backlog;
	struct tx_slot *slots, *free;
	struct netdev_stats stats; /* rx and polls the thread's, tx the attendant's */
} __attribute__((aligned(CACHE_LINE)));

struct virtio_net {
	struct net_device dev;
	struct virtio_device *virtio;
	struct virtq *control;
	struct work link_work;
	uint32_t header_size;
	uint16_t rx_size;
	_Atomic bool failed;
	bool mergeable, has_status;
	unsigned npairs;
	struct net_pair pair[];
};

/* Gives the device receive buffers until its ring is full or memory runs out; false in the second
 * case. */
bool net_rx_refill(struct net_pair *p);
/* Takes up to `budget` packets and hands them to the device's user. Returns how many. */
unsigned net_rx_poll(struct net_pair *p, unsigned budget);
int net_tx_init(struct net_pair *p);
void net_tx_transmit(struct net_device *d, unsigned queue, struct ns_pktq *packets);
/* Takes completions and sends what waits. */
void net_tx_attend(struct net_pair *p);
/* The ring broke: says so once and stops the device. */
void net_fail(struct virtio_net *n, const char *why);
