/* SPDX-License-Identifier: BSD-3-Clause */
/* The private part of a stream socket. */
#pragma once

#include "net/inet/errqueue.h"
#include "net/inet/options.h"

struct tcp_listener {
	struct ns_tcp_listener l; /* inet.lock */
	struct mutex lock;	  /* what follows */
	struct list queue;	  /* connections nobody accepted yet */
	unsigned queued, limit;
	struct waitq wait;
	struct poll_head poll;
	bool closed;
	const struct socket *s; /* valid while the listener is with the engine (inet.lock) */
};

struct tcp_socket {
	struct conn *c;
	struct tcp_listener *listener; /* after listen() */
	bool v6only, fixed_rcvbuf, fixed_sndbuf, zerocopy;
	bool address_only; /* bound to an address without a port (IP_BIND_ADDRESS_NO_PORT) */
	struct inet_options o;
	struct error_queue errors;
	uint32_t defer_accept;
	uint32_t zerocopies; /* sends with MSG_ZEROCOPY so far */
	int max_segment;
};

extern const struct socket_ops tcp_socket_ops;
void tcp_prepare_bind(struct socket *s, struct ns_bind *b);
/* Options of a listening socket that accepted ones start with. */
void tcp_inherit(const struct ns_tcp *from, struct ns_tcp *to);
/* What TCP_INFO says. By the owner, or for a listing (numbers may be a moment old). */
struct tcp_info;
void tcp_fill_info(const struct ns_tcp *tcp, struct tcp_info *i);
int tcp_set_option(struct socket *s, int level, int name, const void *value, unsigned len);
int tcp_get_option(struct socket *s, int level, int name, void *value, unsigned *len);
long tcp_ioctl(struct socket *s, unsigned cmd, unsigned long arg);
