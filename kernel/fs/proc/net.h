/* SPDX-License-Identifier: BSD-3-Clause */
/* How the network tells procfs what is in the files of /proc/net. */
#pragma once

#include "lib/seqbuf.h"

enum proc_net_file {
	PROC_NET_TCP,
	PROC_NET_UDP,
	PROC_NET_TCP6,
	PROC_NET_UDP6,
	PROC_NET_IF_INET6,
	PROC_NET_DEV,
	PROC_NET_ROUTE,
	PROC_NET_ARP,
	PROC_NET_SNMP,
	PROC_NET_NETSTAT,
	PROC_NET_SOCKSTAT,
	PROC_NET_SOCKSTAT6,
	PROC_NET_IPV6_ROUTE,
	PROC_NET_RAW,
	PROC_NET_RAW6,
	PROC_NET_ICMP,
	PROC_NET_ICMP6,
	PROC_NET_PACKET,
	PROC_NET_NETLINK,
	PROC_NET_COUNT
};

/* show writes the lines below the heading (which procfs writes); thread context. 0 or -errno. */
void proc_net_register(enum proc_net_file which, int (*show)(struct seqbuf *s));
