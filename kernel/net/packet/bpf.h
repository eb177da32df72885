/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classic BPF: the filter programs of SO_ATTACH_FILTER. A program is checked once when it is
 * attached; a checked one ends, reads only what its reader gives it and writes only its own 16
 * words. No state, any context; tested and fuzzed on the host.
 */
#pragma once

#include <linux/filter.h>
#include "lib/util.h"

/* What a program can ask about a packet. */
struct bpf_packet {
	/* Copies n (1, 2 or 4) bytes at offset off of the packet; false beyond its end. */
	bool (*read)(const struct bpf_packet *p, uint32_t off, void *to, uint32_t n);
	const void *data; /* the reader's */
	uint32_t len;
	uint32_t net_off; /* of the network header; SKF_NET_OFF */
	uint16_t protocol, hatype;
	uint8_t type; /* PACKET_HOST… */
	uint32_t ifindex, cpu, random, mark;
};

/* 0, or -EINVAL: not a program that is sure to end with a result. */
int bpf_check(const struct sock_filter *prog, unsigned n);
/* Bytes of the packet to keep, 0 to drop it. */
uint32_t bpf_run(const struct sock_filter *prog, const struct bpf_packet *p);
