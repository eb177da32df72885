/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What UDP, raw and ping sockets share: a bounded queue of received packets with what must be
 * remembered of each, an error queue, options, multicast membership.
 *
 * Packets and errors arrive under inet.lock; `lock` is taken inside it and protects the queue.
 */
#pragma once

#include "net/inet/errqueue.h"
#include "net/inet/options.h"

#define DGRAM_GROUPS 32

struct dgram_group {
	uint32_t ifindex; /* 0: free */
	struct ns_addr group;
};

struct dgram {
	struct socket *s;
	struct inet_options o;
	struct mutex lock;
	struct ns_pktq queue;
	size_t queued; /* bytes of memory */
	uint64_t dropped;
	struct waitq wait;
	struct poll_head poll;
	struct error_queue errors;
	bool shut_read, shut_write, count_drops; /* SO_RXQ_OVFL */
	uint8_t ttl, tos, mcast_ttl;		 /* 0: default */
	bool mcast_noloop;
	uint32_t mcast_if;
	struct dgram_group groups[DGRAM_GROUPS]; /* inet.lock */
};

void dgram_init(struct dgram *d, struct socket *s);
/* Outside inet.lock; no packet can arrive any more. */
void dgram_destroy(struct dgram *d);
/* Under inet.lock: takes a packet whose data is what the program gets. Drops it if the queue is
 * full or the options do not want it. */
void dgram_push(struct dgram *d, const struct ns_flow *flow, struct ns_pkt *pkt);
/* Under inet.lock: an ICMP error; header: bytes of the quote before the payload. */
void dgram_error(struct dgram *d, const struct ns_flow *flow, const struct ns_icmp_error *err,
    uint32_t header, bool connected);
/* A local failure to send (EMSGSIZE…), for the error queue: err is a negative errno. */
void dgram_local_error(
    struct dgram *d, int err, const struct ns_addr *dest, uint16_t port, uint32_t info);
long dgram_receive(struct dgram *d, struct message *m);
unsigned dgram_poll(const struct dgram *d);
int dgram_shutdown(struct dgram *d, int how, bool connected);
/* SIOCINQ, SIOCOUTQ; -ENOTTY. */
long dgram_ioctl(struct dgram *d, unsigned cmd, unsigned long arg);

/* dgram_options.c. -ENOPROTOOPT for what is not known. */
int dgram_set_option(struct dgram *d, int level, int name, const void *value, unsigned len);
int dgram_get_option(struct dgram *d, int level, int name, void *value, unsigned *len);

/* What control messages say about one packet to send. */
struct dgram_send {
	struct ns_addr src;
	bool have_src;
	uint32_t ifindex;
	uint8_t ttl, tos; /* start with the socket's */
	uint16_t segment; /* UDP_SEGMENT */
};
/* 0 or -EINVAL. */
int dgram_control(const struct dgram *d, const struct message *m, struct dgram_send *out);
/* Whether datagrams must not be fragmented by this host. */
bool dgram_dont_fragment(const struct dgram *d, bool v6);
