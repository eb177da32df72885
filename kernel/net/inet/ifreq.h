/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface ioctls' structures (netdevice(7)); linux/if.h cannot be used without the C
 * library's headers. */
#pragma once

#include <linux/socket.h>

#define IFNAMSIZ 16

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
