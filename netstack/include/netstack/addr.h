/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Internet addresses and flows. An address is 16 bytes; IPv4 is held as an IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d), so that dual-stack sockets need one code path. All-zero is "unspecified" for
 * both families. Ports in these structures are in host byte order.
 */
#ifndef NETSTACK_ADDR_H
#define NETSTACK_ADDR_H

#include <stdbool.h>
#include <stdint.h>

struct ns_addr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

/* 4-tuple as the receiver sees it: local is the packet's destination. */
struct ns_flow {
	struct ns_addr local, remote;
	uint16_t lport, rport;
	uint8_t proto;	  /* NS_PROTO_TCP, NS_PROTO_UDP or another IP protocol number */
	uint8_t v6;	  /* 1: IPv6 packet */
	uint32_t ifindex; /* interface it came in on */
};

enum {
	NS_PROTO_ICMP = 1,
	NS_PROTO_IGMP = 2,
	NS_PROTO_TCP = 6,
	NS_PROTO_UDP = 17,
	NS_PROTO_ICMPV6 = 58
};

static inline bool ns_addr_eq(const struct ns_addr *a, const struct ns_addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool ns_addr_is_any(const struct ns_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!a->q[0] && !a->q[1])
		return true;
	for (int i = 0; i < 12; i++)
		if (a->b[i] != mapped[i])
			return false;
	return a->w[3] == 0;
}

static inline bool ns_addr_is_v4(const struct ns_addr *a)
{
	return a->q[0] == 0 && a->b[8] == 0 && a->b[9] == 0 && a->b[10] == 0xff && a->b[11] == 0xff;
}

/* From the 4 bytes of an IPv4 address in network order. */
static inline struct ns_addr ns_addr_v4(const void *be4)
{
	const uint8_t *p = be4;
	struct ns_addr a = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, p[0], p[1], p[2], p[3]}}};

	return a;
}

static inline struct ns_addr ns_addr_v6(const void *be16)
{
	const uint8_t *p = be16;
	struct ns_addr a;

	for (int i = 0; i < 16; i++)
		a.b[i] = p[i];
	return a;
}

static inline struct ns_addr ns_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return ns_addr_v4((uint8_t[4]){a, b, c, d});
}

static inline bool ns_addr_is_multicast(const struct ns_addr *a)
{
	return ns_addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

static inline bool ns_addr_is_loopback(const struct ns_addr *a)
{
	if (ns_addr_is_v4(a))
		return a->b[12] == 127;
	return a->q[0] == 0 && a->w[2] == 0 && a->b[12] == 0 && a->b[13] == 0 && a->b[14] == 0 &&
	       a->b[15] == 1;
}

static inline bool ns_addr_is_linklocal(const struct ns_addr *a)
{
	if (ns_addr_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* First plen bits equal? plen counts in the 128-bit form (IPv4 /24 is 96 + 24). */
bool ns_addr_match(const struct ns_addr *a, const struct ns_addr *prefix, unsigned plen128);
/* Text form ("192.0.2.1", "2001:db8::1") into buf (at least 46 bytes); returns buf. */
char *ns_addr_format(const struct ns_addr *a, char buf[46]);
/* Parses either text form; 0 or -EINVAL. */
int ns_addr_parse(const char *text, struct ns_addr *out);
/* Keyed hash of a flow for tables; the key should be random per boot. */
uint32_t ns_flow_hash(const struct ns_flow *f, const uint64_t key[2]);
static inline bool ns_flow_eq(const struct ns_flow *a, const struct ns_flow *b)
{
	return a->lport == b->lport && a->rport == b->rport && a->proto == b->proto &&
	       ns_addr_eq(&a->local, &b->local) && ns_addr_eq(&a->remote, &b->remote);
}

#endif
