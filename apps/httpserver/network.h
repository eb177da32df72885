/* SPDX-License-Identifier: BSD-3-Clause */
/* The network interfaces with their counters. */
#ifndef HTTPSERVER_NETWORK_H
#define HTTPSERVER_NETWORK_H

#include <stdint.h>

struct interface_info {
	const char *name;
	char addr[48], mask[48], broadcast[48], phys_addr[24];
	unsigned flags;
	int mtu;
	/* As in /proc/net/dev. */
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, rx_multicast;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped, collisions;
};

/* Calls fn for each. 0 or a negative errno. */
int interfaces_walk(void (*fn)(void *arg, const struct interface_info *i), void *arg);

#endif
