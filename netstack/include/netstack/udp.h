/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP. A struct ns_udp lives in the embedder's socket. Sending is [conn]: it touches the object and
 * the lock-free tables only. Receiving ends in on_recv, which runs under the instance lock and
 * should queue the packet and wake somebody. An embedder that finds the socket by itself (connected
 * sockets in its own table) calls ns_udp_check() on the packet and needs no instance lock.
 */
#ifndef NETSTACK_UDP_H
#define NETSTACK_UDP_H

#include <netstack/netstack.h>

struct ns_udp {
	struct ns_bind bind;   /* local side; see ns_port_bind */
	struct ns_addr remote; /* connected peer; rport 0: not connected */
	uint16_t rport;
	uint8_t ttl, mcast_ttl, tos; /* 0: default */
	bool dont_fragment, no_check, broadcast, mcast_noloop;
	uint32_t mcast_if;
	/* Takes the packet: pkt->data at the payload, tot_len its length. [inst] */
	void (*on_recv)(struct ns_udp *udp, const struct ns_flow *flow, struct ns_pkt *pkt);
	/* ICMP error about a datagram of this socket. [inst] */
	void (*on_error)(
	    struct ns_udp *udp, const struct ns_flow *flow, const struct ns_icmp_error *err);
	struct ns_udp *next, **pprev; /* engine: demultiplexing table */
	bool listed, addr_chosen;     /* the local address came from connecting, not from binding */
};

/* [inst] Binds (see ns_port_bind for addr/flags in udp->bind) and enters the socket into the
 * demultiplexing table. Several sockets on one port with NS_BIND_REUSEPORT share by flow hash. */
int ns_udp_bind(struct ns_instance *ns, struct ns_udp *udp, uint16_t port);
/* [inst] Fixes the peer, binding first if necessary and choosing the source address; with rport 0
 * only the source address, as getaddrinfo() asks for. A NULL remote dissolves both. 0,
 * -ENETUNREACH, -EADDRNOTAVAIL. */
int ns_udp_connect(
    struct ns_instance *ns, struct ns_udp *udp, const struct ns_addr *remote, uint16_t rport);
/* [inst] */
void ns_udp_close(struct ns_instance *ns, struct ns_udp *udp);
/* [conn] Sends the payload in pkt (built with at least NS_HEADROOM bytes of headroom); takes the
 * packet in every case. `to`/`port` NULL/0: the connected peer. `src`/`ifindex` override
 * (IP_PKTINFO) or NULL/0. The socket must be bound. 0, -EDESTADDRREQ, -EMSGSIZE, -ENETUNREACH,
 * -EACCES (broadcast without permission), -EAFNOSUPPORT. */
int ns_udp_send(struct ns_instance *ns, struct ns_udp *udp, const struct ns_addr *to, uint16_t port,
    const struct ns_addr *src, uint32_t ifindex, struct ns_pkt *pkt);
/* [any] Checks length and checksum of a classified UDP packet and moves data to the payload. False:
 * bad (the packet stays the caller's). */
bool ns_udp_check(struct ns_pkt *pkt);
/* [inst] Socket for a flow, or NULL. */
struct ns_udp *ns_udp_lookup(struct ns_instance *ns, const struct ns_flow *flow);

/* [inst] Calls fn for each bound socket until it returns false. */
void ns_udp_walk(struct ns_instance *ns, bool (*fn)(struct ns_udp *udp, void *arg), void *arg);

#endif
