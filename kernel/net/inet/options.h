/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that all internet sockets share. */
#pragma once

#include "net/inet/inet.h"

/* Values of options; each has its effect where it is read. One byte each, for the table. */
struct inet_options {
	uint8_t pktinfo, recv_ttl, recv_tos, recverr, recv_origdst; /* of SOL_IP */
	uint8_t recv_opts, ret_opts;
	uint8_t pktinfo6, recv_hops, recv_tclass, recverr6, recv_origdst6;
	uint8_t freebind, freebind6, transparent, transparent6; /* bind to any address */
	uint8_t bind_no_port;
	uint8_t mtu_discover, mtu_discover6, dontfrag6;
	uint8_t min_ttl, min_hops; /* packets that came from further away are dropped */
	uint8_t mcast_all, mcast_all6;
	uint8_t autoflowlabel;
	uint32_t bound_if;   /* SO_BINDTODEVICE */
	uint32_t unicast_if; /* IP_UNICAST_IF, IPV6_UNICAST_IF */
	uint32_t address_preferences;
};

void inet_options_init(struct inet_options *o);
/* Options of SOL_IP, SOL_IPV6 and the interface ones of SOL_SOCKET. -ENOPROTOOPT: not one of
 * these. */
int inet_set_option(
    struct socket *s, struct inet_options *o, int level, int name, const void *value, unsigned len);
int inet_get_option(struct socket *s, const struct inet_options *o, int level, int name,
    void *value, unsigned *len);
/* An integer option's value: 4 bytes, or 1. -EINVAL. */
int option_in(const void *value, unsigned len, int *v);
/* An integer result, cut to the room there is. */
int option_out(void *value, unsigned *len, int v);
/* The interface that sending is tied to, or 0. */
static inline uint32_t options_interface(const struct inet_options *o)
{
	return o->bound_if ? o->bound_if : o->unicast_if;
}
static inline bool options_foreign(const struct inet_options *o)
{
	return o->freebind || o->freebind6 || o->transparent || o->transparent6;
}
