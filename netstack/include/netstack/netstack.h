/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP/IP engine: instance, interfaces, addresses, routes, neighbours, packet input.
 *
 * The engine has no globals, locks, threads, clocks, allocator or I/O. Everything it needs comes
 * through struct ns_ops. It builds for the host and freestanding (no libc beyond mem*, no floating
 * point).
 *
 * OWNERSHIP RULES
 *
 * There are three kinds of function; each declaration says which one it is.
 *
 *  [any]   Pure, or reads only tables that are written under a sequence count. May run anywhere,
 *	    any number at once, without a lock: ns_classify, ns_route_lookup, ns_output, ns_gro_*
 *	    (on the caller's own struct ns_gro), the ns_pkt_* functions on a packet one owns.
 *
 *  [conn]  Takes a struct ns_tcp (or struct ns_udp) and touches nothing but that object, the
 *	    packets given to it and [any] functions. The embedder guarantees one caller at a time
 *	    per object: the kernel by the socket's ownership, Seastar by the shard. Different
 *	    objects run on different CPUs at the same time.
 *
 *  [inst]  Changes the instance: listeners and SYN queue, UDP demultiplexing, ICMP, ARP, ND,
 *	    SLAAC, reassembly, route/address/neighbour writes, port allocation, the instance timer.
 *	    The embedder serialises these with one lock per instance.
 *
 * Lock order: [inst] before [conn] never happens inside the engine: an [inst] function never calls
 * a [conn] function itself. When the instance part has something for a connection it calls
 * ops->tcp_deliver or ops->tcp_icmp; the embedder queues it (kernel: on the connection's channel)
 * or, single threaded, may call ns_tcp_input directly. A [conn] function never calls an [inst] one:
 * when a packet needs the instance (next hop unresolved) it goes to ops->defer_output and the
 * embedder later calls ns_output_deferred under the instance lock.
 *
 * ops->transmit, defer_output, tcp_arm, mem_*, pkt_alloc, now, random and log are called from all
 * three kinds and must not call back into the engine synchronously. In particular a loopback
 * packet handed to ops->transmit is to be queued and fed to the receive path later.
 *
 * RECEIVE PATH
 *
 *	driver:    ns_classify(pkt, &flow)			     [any]
 *		     NS_CLASS_TCP and the embedder's table knows the flow:
 *			 queue on the connection -> later ns_tcp_input  [conn]
 *		     NS_CLASS_DROP: ns_pkt_put
 *		     otherwise: queue on the slow path -> ns_input_slow  [inst]
 *
 * A single-threaded embedder calls ns_input() which does all of this with ops->tcp_deliver as the
 * table lookup.
 */
#ifndef NETSTACK_NETSTACK_H
#define NETSTACK_NETSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netstack/addr.h>
#include <netstack/pkt.h>

struct ns_instance;
struct ns_tcp;
struct ns_tcp_listener;
struct ns_udp;

enum ns_log_level { NS_LOG_ERROR, NS_LOG_WARN, NS_LOG_INFO, NS_LOG_DEBUG };

/* What changed, for ops->notify (the kernel turns these into netlink messages). */
enum ns_change { NS_CHANGE_LINK, NS_CHANGE_ADDR, NS_CHANGE_ROUTE, NS_CHANGE_NEIGH, NS_CHANGE_DNS };

enum ns_icmp_kind {
	NS_ICMP_NET_UNREACH,
	NS_ICMP_HOST_UNREACH,
	NS_ICMP_PROTO_UNREACH,
	NS_ICMP_PORT_UNREACH,
	NS_ICMP_TOO_BIG,
	NS_ICMP_PROHIBITED,
	NS_ICMP_TIME_EXCEEDED,
	NS_ICMP_PARAM_PROBLEM,
};

/* A received ICMP or ICMPv6 error about a packet this side sent. */
struct ns_icmp_error {
	enum ns_icmp_kind kind;
	uint8_t type, code; /* as on the wire */
	uint8_t v6;
	uint32_t mtu;		 /* NS_ICMP_TOO_BIG: next-hop MTU, 0 if not told */
	uint32_t tcp_seq;	 /* sequence number in the quoted TCP header */
	int err;		 /* positive errno that sockets report (ECONNREFUSED, ...) */
	struct ns_addr offender; /* who sent the error */
	/* What the error quotes of the packet, from its transport header on; valid during the call. */
	const uint8_t *quote;
	uint32_t quote_len;
};

#define NS_LOW_BUFFER 16384 /* bytes a connection may use each way when memory is short */

/* Operations the embedder provides. `ctx` is the pointer given to ns_create. */
struct ns_ops {
	/* New packet with at least `linear` bytes of linear area (data = head) and `nfrags` slots,
	 * see ns_pkt_init. NULL when out of memory. */
	struct ns_pkt *(*pkt_alloc)(void *ctx, uint32_t linear, uint32_t nfrags);
	/* Small objects (segment records, SYN queue entries, reassembly). NULL when out of memory.
	 */
	void *(*mem_alloc)(void *ctx, size_t n);
	void (*mem_free)(void *ctx, void *p, size_t n);
	/* Monotonic time in ns. */
	uint64_t (*now)(void *ctx);
	/* Cryptographically good random bytes. */
	void (*random)(void *ctx, void *buf, size_t n);
	/* Sends a finished frame on an interface (Ethernet header included unless the interface is
	 * NS_IF_LOOPBACK or NS_IF_RAW). Takes the packet. Packets exceed the interface's features
	 * (NS_IF_CSUM, NS_IF_TSO*) never. */
	void (*transmit)(void *ctx, uint32_t ifindex, struct ns_pkt *pkt);
	/* Takes a packet that needs the instance: call ns_output_deferred(ns, pkt) soon. NULL: the
	 * embedder is single threaded, the engine calls ns_output_deferred itself. */
	void (*defer_output)(void *ctx, struct ns_pkt *pkt);
	/* The instance wants ns_timer() at this time (ns; earlier than any it asked for before). */
	void (*arm)(void *ctx, uint64_t deadline_ns);
	/* The connection wants ns_tcp_timer() at this time. Called only when the new deadline is
	 * earlier than the armed one; a timer that fires early or late is harmless. */
	void (*tcp_arm)(void *ctx, struct ns_tcp *conn, uint64_t deadline_ns);
	/* Instance part: a TCP packet for a possible connection (reassembled, or from ns_input).
	 * Returns true and takes the packet if a connection has this flow. */
	bool (*tcp_deliver)(void *ctx, const struct ns_flow *flow, struct ns_pkt *pkt);
	/* Instance part: ICMP error about a TCP flow; pass to ns_tcp_icmp if the flow is known. */
	void (*tcp_icmp)(void *ctx, const struct ns_flow *flow, const struct ns_icmp_error *err);
	/* Is there a connection (any state) with this 4-tuple? For ephemeral ports. */
	bool (*tcp_in_use)(void *ctx, const struct ns_flow *flow);
	/* Optional: copy of every received ICMP, ICMPv6 and unknown-protocol datagram (raw and ping
	 * sockets); does not take the packet. True: somebody wanted it (suppresses
	 * protocol-unreachable). */
	bool (*raw_input)(void *ctx, const struct ns_flow *flow, struct ns_pkt *pkt);
	/* Optional: ICMP error about a packet of another protocol than TCP and UDP. */
	void (*raw_error)(
	    void *ctx, const struct ns_flow *flow, const struct ns_icmp_error *err);
	/* Optional: is memory for packets short? Connections then get along with small buffers: no
	 * window beyond NS_LOW_BUFFER is offered and no more than that accepted for sending. */
	bool (*memory_low)(void *ctx);
	/* Optional: configuration changed. */
	void (*notify)(void *ctx, enum ns_change what, uint32_t ifindex);
	/* Optional: one line about an event; addr may be NULL. */
	void (*log)(void *ctx, enum ns_log_level level, const char *text,
	    const struct ns_addr *addr, uint64_t value);
};

/* Limits; 0 means the default in brackets. */
struct ns_config {
	uint32_t max_neighbours;     /* [512] */
	uint32_t max_routes;	     /* [128] */
	uint32_t max_syn_queue;	     /* half-open connections over all listeners [4096] */
	uint32_t reasm_bytes;	     /* memory for incomplete datagrams [1 MiB] */
	uint32_t reasm_datagrams;    /* [128] */
	uint32_t rst_per_second;     /* resets and ICMP errors sent for unknown packets [1000] */
	uint16_t port_min, port_max; /* ephemeral ports [32768, 60999] */
	bool no_slaac;		     /* ignore router advertisements */
	bool forward_broadcast_ping; /* answer pings to broadcast and multicast addresses */
};

/* Bytes of memory for an instance with this configuration (cfg may be NULL). */
size_t ns_instance_size(const struct ns_config *cfg);
/* Makes an instance in `mem` (ns_instance_size bytes, 64-byte aligned). `ops` must outlive it.
 * Interface 1, the loopback ("lo", 127.0.0.1/8 and ::1/128), exists from the start. */
struct ns_instance *ns_create(
    void *mem, const struct ns_config *cfg, const struct ns_ops *ops, void *ctx);
/* [inst] Frees everything the instance allocated; no connection may use it any more. */
void ns_destroy(struct ns_instance *ns);
void *ns_context(const struct ns_instance *ns);
/* The random key for ns_flow_hash. [any] */
const uint64_t *ns_hash_key(const struct ns_instance *ns);

/* ---- interfaces ---- */

enum ns_if_flags {
	NS_IF_LOOPBACK = 1 << 0,
	NS_IF_RAW = 1 << 1, /* no link header (tun) */
	NS_IF_UP = 1 << 2,
	NS_IF_CSUM = 1 << 3, /* transmits NS_PKT_CSUM_PARTIAL */
	NS_IF_TSO4 = 1 << 4, /* transmits NS_GSO_TCPV4 (implies CSUM) */
	NS_IF_TSO6 = 1 << 5,
	NS_IF_NO_V6 = 1 << 6, /* no IPv6 on this interface */
};

#define NS_MAX_IFS 16
#define NS_LOOPBACK_IF 1
#define NS_LOOPBACK_MTU 65536
#define NS_IF_MAX_ADDRS 12

enum ns_addr_state { NS_ADDR_NONE, NS_ADDR_TENTATIVE, NS_ADDR_PREFERRED, NS_ADDR_DEPRECATED };
enum ns_origin { NS_ORIGIN_STATIC, NS_ORIGIN_DHCP, NS_ORIGIN_RA, NS_ORIGIN_KERNEL };

struct ns_ifaddr {
	struct ns_addr addr;
	struct ns_addr broadcast; /* IPv4 only, unspecified if none */
	uint8_t plen;		  /* in the address's own family: 0..32 or 0..128 */
	uint8_t state;		  /* enum ns_addr_state */
	uint8_t origin;		  /* enum ns_origin */
	uint8_t dad_left;
	uint64_t preferred_until, valid_until, dad_at; /* ns; 0: for ever */
};

struct ns_if_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_errors, tx_errors, rx_dropped;
};

struct ns_if_info {
	char name[16];
	uint8_t mac[6];
	uint32_t mtu, flags; /* enum ns_if_flags */
	struct ns_ifaddr addrs[NS_IF_MAX_ADDRS];
	struct ns_if_stats stats;
};

/* [inst] Adds an interface; returns its index (2..NS_MAX_IFS) or -ENOSPC, -EINVAL. */
int ns_if_add(
    struct ns_instance *ns, const char *name, const uint8_t mac[6], uint32_t mtu, uint32_t flags);
/* [inst] Link or administrative state. Up starts IPv6 (link-local address, router solicitation);
 * down drops neighbours and routes learnt over it. */
int ns_if_set_up(struct ns_instance *ns, uint32_t ifindex, bool up);
int ns_if_set_mtu(struct ns_instance *ns, uint32_t ifindex, uint32_t mtu);
/* [any] Snapshot; 0 or -ENODEV. */
int ns_if_get(const struct ns_instance *ns, uint32_t ifindex, struct ns_if_info *out);
/* [inst] plen in the address's own family. Adds the connected route. -EEXIST, -ENOSPC, -EINVAL. */
int ns_if_addr_add(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr,
    uint8_t plen, enum ns_origin origin);
int ns_if_addr_del(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr);
/* [any] Is this one of our (non-tentative) addresses? ifindex 0: on any interface. */
bool ns_addr_is_local(const struct ns_instance *ns, const struct ns_addr *addr, uint32_t ifindex);
/* [inst] Multicast membership (sends IGMP/MLD reports). Counted per (interface, group). */
int ns_mcast_join(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group);
int ns_mcast_leave(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *group);
/* DNS servers learnt from router advertisements. [inst] Returns how many were written. */
int ns_ra_dns(const struct ns_instance *ns, struct ns_addr *out, int max);

/* ---- routes and neighbours ---- */

struct ns_route {
	struct ns_addr dst;	/* prefix */
	struct ns_addr gateway; /* unspecified: on link */
	struct ns_addr prefsrc; /* unspecified: choose */
	uint8_t plen;		/* in the family's own length */
	uint8_t v6;
	uint8_t origin; /* enum ns_origin */
	uint8_t reject; /* 1: destination unreachable */
	uint32_t ifindex;
	uint32_t metric;
	uint32_t mtu;	      /* 0: the interface's */
	uint64_t valid_until; /* 0: for ever */
};

/* Where a packet goes: the result of a route lookup, cached by connections. */
struct ns_dst {
	uint32_t gen; /* route generation it was looked up in */
	uint32_t ifindex;
	uint32_t mtu;		 /* of the path, as far as known */
	uint32_t if_flags;	 /* enum ns_if_flags of the interface */
	struct ns_addr next_hop; /* gateway or the destination itself */
	struct ns_addr src;	 /* source address to use */
	bool local;		 /* one of our own addresses */
	bool broadcast;
};

/* [inst] 0, -EEXIST, -ENOSPC, -ESRCH, -EINVAL, -ENETUNREACH (gateway not on link). */
int ns_route_add(struct ns_instance *ns, const struct ns_route *route);
int ns_route_del(struct ns_instance *ns, const struct ns_route *route);
/* [any] i-th route in table order; false when there is none. */
bool ns_route_get(const struct ns_instance *ns, unsigned i, struct ns_route *out);
/* [any] Finds the path to `dst`. `src` (or NULL) fixes the source address; ifindex (or 0) the
 * interface. 0, -ENETUNREACH, -EHOSTUNREACH (reject route), -EADDRNOTAVAIL (no source address). */
int ns_route_lookup(const struct ns_instance *ns, const struct ns_addr *dst,
    const struct ns_addr *src, uint32_t ifindex, struct ns_dst *out);
/* [any] Changes whenever a cached ns_dst may be out of date. */
uint32_t ns_route_generation(const struct ns_instance *ns);

enum ns_neigh_state {
	NS_NEIGH_NONE,
	NS_NEIGH_INCOMPLETE,
	NS_NEIGH_REACHABLE,
	NS_NEIGH_STALE,
	NS_NEIGH_PROBE,
	NS_NEIGH_FAILED,
	NS_NEIGH_PERMANENT,
};

struct ns_neigh_info {
	struct ns_addr addr;
	uint32_t ifindex;
	uint8_t mac[6];
	uint8_t state;	/* enum ns_neigh_state */
	uint8_t router; /* IPv6: it said it is a router */
};

/* [any] i-th slot of the table (0 <= i < max_neighbours); false: empty or out of range (*more is
 * set false when out of range). */
bool ns_neigh_get(const struct ns_instance *ns, unsigned i, struct ns_neigh_info *out, bool *more);
/* [inst] Permanent entry / removal. */
int ns_neigh_set(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr, const uint8_t mac[6]);
int ns_neigh_del(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr);
/* [conn] Forward progress seen from this next hop (TCP does this itself): keeps the entry fresh
 * without probes. */
void ns_neigh_confirm(struct ns_instance *ns, const struct ns_dst *dst);

/* ---- input and output ---- */

enum ns_class {
	NS_CLASS_DROP, /* malformed or not for a host: drop it */
	NS_CLASS_TCP,  /* flow is complete, headers checked as far as the ports */
	NS_CLASS_UDP,
	NS_CLASS_SLOW, /* fragment, ARP, ICMP, extension headers...: ns_input_slow */
};

/* [any] Validates link and IP headers (lengths, versions, IPv4 header checksum) and extracts the
 * flow. Sets pkt->l3_off, l4_off, payload_off (TCP/UDP), proto, flags; trims link-layer padding.
 * Needs pkt->data at the frame start, pkt->ifindex and flags set by the driver. The headers must
 * be in the linear area or get pulled there (at most 128 bytes). Touches no payload. */
enum ns_class ns_classify(struct ns_pkt *pkt, struct ns_flow *flow);

/* [inst] Everything that is not a packet of a known connection. Takes the packet. */
void ns_input_slow(
    struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow, enum ns_class cls);
/* [any] Drops and counts a packet of NS_CLASS_DROP. Takes the packet. */
void ns_input_drop(struct ns_instance *ns, struct ns_pkt *pkt);
/* [inst] Whole receive path for a single-threaded embedder. Takes the packet. */
void ns_input(struct ns_instance *ns, struct ns_pkt *pkt);
/* [inst] Timers of the instance part. Call when armed time is reached (or at any time). */
void ns_timer(struct ns_instance *ns);

/* [any] Sends an IP packet (pkt->data at the IP header): resolves the next hop lock-free, adds the
 * link header, segments or checksums in software what the interface cannot. Takes the packet. */
void ns_output(struct ns_instance *ns, const struct ns_dst *dst, struct ns_pkt *pkt);
/* [inst] Second half of ops->defer_output. Takes the packet. */
void ns_output_deferred(struct ns_instance *ns, struct ns_pkt *pkt);
/* [any] Prepends an IPv4/IPv6 header for `proto` to a transport packet and sends it; fragments when
 * larger than dst->mtu unless dont_fragment, then -EMSGSIZE. Takes the packet in every case. ttl 0:
 * default (64). The transport checksum must be set or NS_PKT_CSUM_PARTIAL. */
int ns_ip_send(struct ns_instance *ns, const struct ns_dst *dst, const struct ns_addr *src,
    const struct ns_addr *daddr, uint8_t proto, uint8_t ttl, uint8_t tos, bool dont_fragment,
    struct ns_pkt *pkt);

/* ---- receive coalescing ---- */

/* Held by the driver for one poll round; up to 8 flows at a time. */
struct ns_gro {
	struct ns_pkt *held[8];
	struct ns_flow flows[8];
	uint32_t count;
};

/* [any] Offers a classified TCP packet. Merged or held: NULL. Otherwise packets to deliver now, in
 * order: the returned one and, if it has `next` set, that one too, both of the flow written to
 * *flow. Software checksum is verified here if the device did not, because a merged packet has
 * none. */
struct ns_pkt *ns_gro_receive(struct ns_gro *gro, struct ns_pkt *pkt, struct ns_flow *flow);
/* [any] End of the round: returns held packets one by one, NULL when empty. */
struct ns_pkt *ns_gro_flush(struct ns_gro *gro, struct ns_flow *flow);

/* ---- ports ---- */

/* NS_BIND_FOREIGN: the address need not be one of ours (yet). */
enum { NS_BIND_REUSEADDR = 1, NS_BIND_REUSEPORT = 2, NS_BIND_V6ONLY = 4, NS_BIND_FOREIGN = 8 };

/* A bound local port, embedded in the embedder's socket. Fields are the engine's. */
struct ns_bind {
	struct ns_bind *next, **pprev;
	struct ns_addr addr; /* unspecified: all */
	uint16_t port;
	uint8_t proto, flags, v6; /* v6: socket is AF_INET6 */
	bool bound, listening;
	uint32_t ifindex; /* 0: all */
	uint32_t owner;	  /* user id: REUSEPORT sharing needs equal owners */
};

/* [inst] Reserves a local port: b->addr, flags, v6, ifindex, owner filled in by the caller; port 0
 * chooses an ephemeral one. 0, -EADDRINUSE, -EADDRNOTAVAIL (not a local address). */
int ns_port_bind(struct ns_instance *ns, struct ns_bind *b, uint8_t proto, uint16_t port);
void ns_port_unbind(struct ns_instance *ns, struct ns_bind *b);
/* [inst] Ephemeral local port for an outgoing connection (RFC 6056): flow->local, remote, rport
 * filled in; sets flow->lport. 0 or -EADDRNOTAVAIL. The caller publishes the flow before it gives
 * up the instance lock. */
int ns_port_ephemeral(struct ns_instance *ns, struct ns_flow *flow);

/* ---- counters (SNMP-like; for /proc/net/snmp and tests). Updated with relaxed atomics. ---- */
struct ns_counters {
	uint64_t ip_in, ip_in_hdr_err, ip_in_addr_err, ip_in_unknown_proto, ip_out, ip_out_no_route;
	uint64_t ip_frag_created, ip_reasm_ok, ip_reasm_fail, ip_reasm_in;
	uint64_t icmp_in, icmp_in_err, icmp_out, icmp_ratelimited;
	uint64_t arp_in, arp_in_err, arp_out, nd_in, nd_in_err, nd_out, neigh_failed;
	uint64_t udp_in, udp_no_port, udp_in_err, udp_out;
	uint64_t tcp_in, tcp_in_err, tcp_out, tcp_rst_out, tcp_active, tcp_passive;
	uint64_t syn_in, syn_dropped, syn_cookies_sent, syn_cookies_ok, syn_cookies_bad,
	    syn_queue_full;
	uint64_t tcp_retrans, tcp_challenge_ack, tcp_paws_drop, tcp_ooo, tcp_icmp_ignored;
};
/* [any] */
void ns_counters_get(const struct ns_instance *ns, struct ns_counters *out);

#endif
