/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings of the internet sockets: what /proc/net and socket diagnosis show. */
#pragma once

#include "net/inet/inet.h"

struct tcp_listener;

enum socket_timer { TIMER_NONE, TIMER_RETRANSMIT, TIMER_KEEPALIVE, TIMER_TIME_WAIT, TIMER_PROBE };

struct socket_view {
	int family;
	uint8_t proto, state; /* enum ns_tcp_state; datagram sockets: established or closed */
	uint8_t timer;	      /* enum socket_timer */
	struct ns_addr local, remote;
	uint16_t lport, rport;
	uint32_t ifindex, rqueue, wqueue, uid, retrans, drops;
	int64_t timer_left; /* ns */
	uint64_t ino;	    /* 0: no file (any more) */
	uint64_t cookie;
	const struct conn *conn;	     /* a connection, or NULL */
	const struct tcp_listener *listener; /* a listener, or NULL */
	bool v6only;
};

/* Calls fn for each socket until it returns false. Locks are held: fn may allocate memory, but not
 * use sockets. What v points to is valid only inside fn. */
typedef bool socket_view_fn(const struct socket_view *v, void *arg);
void tcp_sockets(socket_view_fn *fn, void *arg);
void udp_sockets(socket_view_fn *fn, void *arg);
void raw_sockets(socket_view_fn *fn, void *arg, bool ping);
/* udp.c: fills in what belongs to one of its sockets; false if it is the kernel's own. */
bool udp_view(struct ns_udp *udp, struct socket_view *v);
