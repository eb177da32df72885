/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network devices, between the drivers and kernel/net. Packets are netstack's struct ns_pkt in both
 * directions; all memory of a packet (linear area and fragments) lies in the direct map.
 *
 * A device has one or more queue pairs. Pair q belongs to CPU q % ncpus: a kernel thread bound to
 * that CPU polls it while there is traffic and sleeps with interrupts enabled otherwise.
 */
#pragma once

#include <stdatomic.h>
#include <netstack/pkt.h>
#include "lib/list.h"

enum netdev_features {
	NETDEV_CSUM = 1, /* finishes NS_PKT_CSUM_PARTIAL checksums of what is sent */
	NETDEV_TSO4 = 2, /* cuts NS_GSO_TCPV4 packets of up to 64 KiB into segments */
	NETDEV_TSO6 = 4, /* the same for NS_GSO_TCPV6 */
	NETDEV_USO = 8,	 /* the same for NS_GSO_UDP */
	NETDEV_RXCSUM =
	    16, /* received packets carry NS_PKT_CSUM_OK or NS_PKT_CSUM_PARTIAL when checked */
	NETDEV_LRO =
	    32, /* received packets may be larger than the MTU: gso_type and gso_size are set */
};

struct netdev_stats {
	uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped, rx_no_memory;
	uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
	uint64_t polls, interrupts, notifies;
};

struct net_device {
	char name[16]; /* "eth0" */
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t features; /* enum netdev_features */
	unsigned nqueues;
	_Atomic bool link_up;
	/* Set by the user of the device before start(): */
	/* A batch of received Ethernet frames of queue pair `queue`: data at the Ethernet header,
	 * device's checksum and segment fields filled in. Takes the packets. In the pair's thread.
	 */
	void (*receive)(struct net_device *d, unsigned queue, struct ns_pktq *batch);
	/* link_up changed, or NULL. Thread context. */
	void (*link_changed)(struct net_device *d);
	void *user;
	/* The driver's. All in thread context. */
	int (*start)(struct net_device *d); /* lets packets flow; 0 or -errno */
	/* Sends all packets of a list, which is empty afterwards, on queue pair `queue`
	 * (this_cpu()->id % nqueues keeps a flow on its CPU). Takes the packets; their last
	 * references are dropped in thread context. Never sleeps; what finds no room after a
	 * backlog is dropped and counted. */
	void (*transmit)(struct net_device *d, unsigned queue, struct ns_pktq *packets);
	void (*stats)(struct net_device *d, struct netdev_stats *out);
	struct list link;
};

/* For drivers: names the device and tells the observers. Thread context. */
void netdev_register(struct net_device *d);
/* Has fn called (thread context) for each device, registered already or later. The record is kept.
 */
struct netdev_observer {
	struct list link;
	void (*fn)(struct net_device *d);
};
void netdev_observe(struct netdev_observer *o);
