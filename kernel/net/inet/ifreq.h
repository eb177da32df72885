/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface ioctls' structures (netdevice(7)); linux/if.h cannot be used without the C
 * library's headers. */
#pragma once

#include <linux/socket.h>

#define IFNAMSIZ 16
enum { ARPHRD_ETHER = 1, ARPHRD_LOOPBACK = 772 };

struct sockaddr {
	uint16_t sa_family;
	char sa_data[14];
};

struct ifreq {
	char ifr_name[IFNAMSIZ];
	union {
		struct sockaddr ifr_addr, ifr_hwaddr;
		short ifr_flags;
		int ifr_ifindex, ifr_metric, ifr_mtu, ifr_qlen;
		char room[24];
	};
};
_Static_assert(sizeof(struct ifreq) == 40, "ABI");

struct ifconf {
	int ifc_len;
	union {
		char *ifc_buf;
		struct ifreq *ifc_req;
	};
};

enum {
	IFF_UP = 1,
	IFF_BROADCAST = 2,
	IFF_LOOPBACK = 8,
	IFF_RUNNING = 0x40,
	IFF_PROMISC = 0x100,
	IFF_ALLMULTI = 0x200,
	IFF_MULTICAST = 0x1000,
};
