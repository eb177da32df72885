/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces as administrators and programs see them: wanted state and link state, flags, counters.
 */
#pragma once

#include "net/inet/inet.h"

enum {
	IFF_UP = 1,
	IFF_BROADCAST = 2,
	IFF_LOOPBACK = 8,
	IFF_RUNNING = 0x40,
	IFF_PROMISC = 0x100,
	IFF_ALLMULTI = 0x200,
	IFF_MULTICAST = 0x1000,
	IFF_LOWER_UP = 0x10000,
};
enum { ARPHRD_ETHER = 1, ARPHRD_LOOPBACK = 772 };

/* Under inet.lock: wanted up or down; -ENODEV. */
int link_set_wanted(uint32_t ifindex, bool up);
/* Under inet.lock: tells the engine whether the interface works (wanted, and its link is up). */
void link_apply(uint32_t ifindex);
bool link_wanted(uint32_t ifindex);
/* Under inet.lock. -EINVAL outside what the device takes. */
int link_set_mtu(uint32_t ifindex, uint32_t mtu);
void link_mtu_range(uint32_t ifindex, uint32_t *min, uint32_t *max);
/* IFF_* of an interface with this state. */
unsigned link_flags(uint32_t ifindex, const struct ns_if_info *info);
/* Counters of the device, or of the loopback. */
void link_stats(uint32_t ifindex, const struct ns_if_info *info, struct netdev_stats *out);
/* Index of an interface, 0 if there is none of the name. */
uint32_t link_find(const char *name);
