/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The internet families over netstack: netchannels.
 *
 * Who may touch what:
 *
 *	the instance	(listeners, UDP, ARP, ICMP, routes…) only with inet.lock held.
 *	a connection	(struct ns_tcp) only by its owner: who holds conn->owner.
 *	its channel	anybody pushes, with one compare-and-exchange; only the owner takes.
 *
 * A received packet: the device's thread classifies it (headers only), finds its connection in a
 *hash table under RCU and pushes it on the connection's channel. No lock so far, no payload
 *touched. Who pushed on an empty channel sees to it that somebody becomes the owner:
 *
 *	- somebody waits for the connection (a thread in recv, an epoll set) and the packet carries
 *data: the waiter is told, and protocol processing happens in its context when it looks at the
 *socket;
 *	- otherwise the device's thread tries to become the owner and processes at once; if there is
 *	  an owner already, that one finds the packet before it goes (conn_unlock).
 *
 * A waiter that was told but does not come within a few milliseconds must not stop
 *acknowledgements: a list on each CPU remembers such connections, and a timer has them processed
 *(conn_guard).
 *
 * Listening sockets, UDP, unknown packets, fragments, ARP and ICMP take the slow path: processed by
 *the device's thread under inet.lock.
 */
#pragma once

#include <netstack/netstack.h>
#include <netstack/tcp.h>
#include <netstack/udp.h>
#include "drivers/netdev.h"
#include "fs/poll.h"
#include "net/socket.h"
#include "sched/rcu.h"
#include "sched/sync.h"
#include "sched/work.h"

struct inet {
	struct ns_instance *ns;
	struct mutex lock;
	struct net_device *device[NS_MAX_IFS + 1]; /* by interface index; written once each */
};
extern struct inet inet;

/* --- flows.c: the table of connections, read under RCU --- */

struct flow_entry {
	struct flow_entry *next;
	const struct ns_flow *flow;
	bool time_wait; /* which structure holds it */
};
int flows_init(void);
struct flow_entry *flows_find(const struct ns_flow *flow); /* in an RCU section */
int flows_add(struct flow_entry *e);			   /* -EADDRINUSE */
void flows_remove(struct flow_entry *e);
/* Puts `new` where `old` is (same flow), in one step for readers. */
void flows_replace(struct flow_entry *old, struct flow_entry *new);
/* Calls fn for each connection until it returns false, holding the table's lock (given up now and
 * then, so a connection made or ended meanwhile may be missed). For listings. */
void flows_walk(bool (*fn)(struct flow_entry *e, void *arg), void *arg);

/* --- conn.c: one TCP connection --- */

struct conn {
	struct ns_tcp tcp;
	struct flow_entry entry;
	struct mutex owner;
	_Atomic(struct ns_pkt *) channel; /* newest first */
	_Atomic(struct ns_icmp_error *)
	    icmp;	       /* came while there was an owner; the last one counts */
	atomic_int refs;       /* the socket, the table, timer and work in flight */
	struct poll_head poll; /* everybody who waits */
	bool quiet;	       /* the owner is the consumer: readable events need no notice */
	bool in_table, released;
	/* What listings say about its socket; ino 0 without one. Written by the owner. */
	_Atomic uint64_t ino;
	uint32_t uid;
	bool family6;
	uint8_t min_ttl, min_hops; /* IP_MINTTL, IPV6_MINHOPCOUNT */
	uint8_t cpu;		   /* that a packet came on last (SO_INCOMING_CPU) */
	struct timer timer;
	struct work work;
	_Atomic int64_t wanted; /* when the engine wants its timer */
	_Atomic bool guarded;	/* on a guard list */
	struct conn *guard_next;
	struct list accept_link; /* in a listener's queue */
	struct rcu_head rcu;
};

struct conn *conn_new(void); /* one reference; NULL without memory */
/* (Re)connects the engine's events to c, after ns_tcp_init(). */
void conn_attach(struct conn *c);
void conn_get(struct conn *c);
void conn_put(struct conn *c);
/* The connection if its last reference is not gone yet. In the RCU section that found it. */
struct conn *conn_get_unless_gone(struct conn *c);
/* The connection of a flow, referenced, or NULL. */
struct conn *conn_find(const struct ns_flow *flow);
/* Becomes the owner; channel is processed. */
void conn_lock(struct conn *c);
/* Stops being the owner; nothing stays unprocessed on the channel. */
void conn_unlock(struct conn *c);
/* Hands over a received packet. Returns true if the caller must call conn_kick(). Any thread
 * context. */
bool conn_push(struct conn *c, struct ns_pkt *pkt);
void conn_kick(struct conn *c, bool data);
/* Hands over an ICMP error about the connection. Any thread context. */
void conn_icmp(struct conn *c, const struct ns_icmp_error *err);
/* The engine's timer for a connection (ops->tcp_arm). By the owner. */
void conn_arm(struct ns_tcp *tcp, uint64_t deadline);
/* Makes a connection that ended, or is given up, into a new one with the same port (if it was
 * bound) and options. By the owner; sleeps. */
void conn_renew(struct conn *c);
/* Enters the connection into the table (its flow is complete). */
int conn_publish(struct conn *c);
/* Sleeps, not owning c, until something happens to it. Called by the owner; owner again on return.
 * 0, -EINTR, -ETIMEDOUT. */
int conn_wait(struct conn *c, int64_t deadline);
/* The socket is gone: the protocol finishes by itself. Called by the owner, who stops being it. */
void conn_release(struct conn *c, bool abort);
unsigned conn_ready(struct conn *c); /* EPOLL bits; by the owner */
void conn_init(void);

/* --- receive.c --- */

void receive_frames(struct net_device *d, unsigned queue, struct ns_pktq *batch);
/* Classifies and delivers one packet (loopback, or given back by a connection). Takes it. */
void receive_packet(struct ns_pkt *pkt);
/* Delivers what this CPU sent to itself. Called without locks after every socket operation that may
 * send. */
void receive_loopback(void);
void loopback_push(struct ns_pkt *pkt);

/* --- stack.c --- */

void inet_lock(void);
/* Also runs what the engine left for after the lock. */
void inet_unlock(void);

/* --- addresses between sockets and the engine (sockaddr.c) --- */

/* family: of the socket. 0, -EINVAL, -EAFNOSUPPORT. */
int sockaddr_parse(const struct address *a, unsigned len, int family, struct ns_addr *addr,
    uint16_t *port, uint32_t *ifindex);
int sockaddr_fill(
    struct address *a, int family, const struct ns_addr *addr, uint16_t port, uint32_t ifindex);

/* The create function of both families; by type: */
int inet_socket_create(struct socket *s);
int tcp_socket_create(struct socket *s);
int udp_socket_create(struct socket *s);
int raw_socket_create(struct socket *s); /* raw and ping sockets */
/* raw.c: what the engine tells raw sockets. Under inet.lock. */
bool raw_input(void *ctx, const struct ns_flow *f, struct ns_pkt *pkt);
void raw_error(void *ctx, const struct ns_flow *f, const struct ns_icmp_error *err);
struct ns_pkt *inet_pkt_alloc(void *ctx, uint32_t linear, uint32_t nfrags);
/* Are packets taking too much of the machine's memory, or is it nearly used up? Any thread context. */
bool inet_memory_low(void);
/* ioctl.c: interface ioctls, which every socket answers; -ENOTTY for others. */
long inet_ioctl(struct socket *s, unsigned cmd, unsigned long arg);
/* Boot: families, loopback, devices. */
void inet_init(void);
