/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine's source files share: instance layout, wire helpers, error numbers. */
#ifndef NETSTACK_INTERNAL_H
#define NETSTACK_INTERNAL_H

#include <netstack/netstack.h>
#include <netstack/tcp.h>
#include <netstack/udp.h>

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *restrict d, const void *restrict s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
#endif

/* Linux's error numbers; an enum of our own because <errno.h> may not exist where this is built. */
enum {
	NS_EPERM = 1,
	NS_ESRCH = 3,
	NS_EAGAIN = 11,
	NS_ENOMEM = 12,
	NS_EACCES = 13,
	NS_EEXIST = 17,
	NS_ENODEV = 19,
	NS_EINVAL = 22,
	NS_ENOSPC = 28,
	NS_EPIPE = 32,
	NS_EPROTO = 71,
	NS_EDESTADDRREQ = 89,
	NS_EMSGSIZE = 90,
	NS_ENOPROTOOPT = 92,
	NS_EAFNOSUPPORT = 97,
	NS_EADDRINUSE = 98,
	NS_EADDRNOTAVAIL = 99,
	NS_ENETUNREACH = 101,
	NS_ECONNRESET = 104,
	NS_ENOBUFS = 105,
	NS_EISCONN = 106,
	NS_ENOTCONN = 107,
	NS_ETIMEDOUT = 110,
	NS_ECONNREFUSED = 111,
	NS_EHOSTUNREACH = 113,
	NS_EALREADY = 114,
};

#define NS_MS 1000000ull
#define NS_SEC 1000000000ull
#define NS_MIN(a, b) ((a) < (b) ? (a) : (b))
#define NS_MAX(a, b) ((a) > (b) ? (a) : (b))

static inline uint16_t get16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void put16(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put32(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

/* A checksum as ns_csum_fold returns it is in memory order already. */
static inline void put_csum(void *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

/* ---- wire sizes ---- */
enum {
	ETH_HLEN = 14,
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_IPV6 = 0x86dd,
	IP4_HLEN = 20,
	IP6_HLEN = 40,
	UDP_HLEN = 8,
	TCP_HLEN = 20,
	IP6_MIN_MTU = 1280,
	IP4_MIN_MTU = 68,
	DEFAULT_TTL = 64,
};

/* IPv6 extension headers */
enum { IPX_HOPOPT = 0, IPX_ROUTING = 43, IPX_FRAGMENT = 44, IPX_NONE = 59, IPX_DSTOPT = 60 };

uint64_t ns_siphash(const uint64_t key[2], const void *data, size_t n, int c_rounds, int d_rounds);

/*
 * Latched data: readers never wait for a writer.
 *
 * There are two copies and a sequence number. The writer (one at a time, instance lock) makes the
 * number odd, changes copy 0, makes it even, changes copy 1. A reader uses copy (seq & 1) and
 * retries when the number has changed meanwhile: with an odd number copy 0 is being written and
 * copy 1 is whole, with an even one copy 0 is whole. So even a reader that interrupts a writer
 * finds a complete copy.
 */
struct ns_latch {
	uint32_t seq;
};

static inline uint32_t latch_read(const struct ns_latch *l)
{
	return __atomic_load_n(&l->seq, __ATOMIC_ACQUIRE);
}

static inline bool latch_changed(const struct ns_latch *l, uint32_t s)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&l->seq, __ATOMIC_RELAXED) != s;
}

static inline void latch_step(struct ns_latch *l)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&l->seq, l->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- instance ---- */

#define MAX_PREFIXES 16
#define MAX_DEFAULT_DNS 4
#define MAX_GROUPS 32
#define PMTU_ENTRIES 64
#define PMTU_LIFETIME (600 * NS_SEC)
#define SYN_HASH 1024
#define PORT_HASH 256
#define NEIGH_QUEUE 16
#define LOG_RATE 10

struct ns_if {
	bool used;
	char name[16];
	uint8_t mac[6];
	uint32_t mtu, flags; /* atomic */
	struct ns_if_stats stats;
	/* router solicitation */
	uint8_t rs_left;
	uint64_t rs_at;
	struct ns_addr ra_dns[MAX_DEFAULT_DNS];
	uint8_t ra_ndns;
	uint8_t hop_limit;
	uint64_t reach_ns, retrans_ns;
	struct {
		struct ns_addr addr;
		uint32_t users;
		uint8_t reports_left;
		uint64_t report_at;
	} groups[MAX_GROUPS];
};

/* The latched part: addresses and routes. */
struct ns_tables {
	struct ns_ifaddr addrs[NS_MAX_IFS + 1][NS_IF_MAX_ADDRS];
	uint32_t nroutes;
	struct ns_route routes[];
};

struct ns_neigh_val {
	struct ns_addr addr;
	uint32_t ifindex;
	uint8_t mac[6];
	uint8_t state, router;
};

struct ns_neigh {
	struct ns_latch latch;
	uint32_t used; /* atomic: sent to since the last timer */
	struct ns_neigh_val v[2];
	uint64_t confirmed; /* atomic, ns */
	/* instance lock */
	uint64_t expires;
	uint32_t probes;
	struct ns_pktq queue;
};

struct ns_pmtu {
	struct ns_latch latch;
	struct {
		struct ns_addr dst;
		uint64_t expires;
		uint32_t mtu;
	} v[2];
};

/* A half-open passive connection. */
struct ns_synreq {
	struct ns_synreq *next, **pprev;   /* hash chain */
	struct ns_synreq *tnext, **tpprev; /* all of them */
	struct ns_tcp_listener *l;
	struct ns_flow flow;
	struct ns_dst dst;
	uint32_t irs, iss, peer_wnd, ts_recent, ts_offset;
	uint16_t peer_mss;
	uint8_t snd_wscale, rcv_wscale;
	bool ts_ok, sack_ok, wscale_ok, ecn_ok, acked;
	uint8_t tries;
	uint64_t created, retry_at;
};

struct ns_reasm_piece {
	struct ns_reasm_piece *next;
	uint32_t start, end;
	struct ns_pkt *pkt; /* data at the fragment's payload */
};

struct ns_reasm {
	struct ns_reasm *next, **pprev;
	struct ns_addr src, dst;
	uint32_t id, ifindex;
	uint8_t proto, v6;
	uint8_t ecn_ce, tos, ttl;
	bool have_last, have_first;
	uint32_t total, bytes, mem;
	uint64_t expires;
	struct ns_reasm_piece *pieces;
	uint8_t first_hdr[60 + 8];
	uint16_t first_len;
	uint16_t pieces_count;
};

struct ns_bucket { /* token bucket */
	uint64_t last;
	uint64_t tokens; /* in ns worth */
};

struct ns_instance {
	const struct ns_ops *ops;
	void *ctx;
	struct ns_config cfg;
	uint64_t hash_key[2], isn_key[2], cookie_key[2][2], port_key[2];
	uint32_t ip_id, port_counter;
	uint64_t armed;

	struct ns_latch tables_latch;
	uint32_t gen; /* atomic: route generation */
	struct ns_tables *tables[2];
	struct ns_if ifs[NS_MAX_IFS + 1]; /* index 0 unused */

	struct ns_neigh *neighs;
	uint32_t neigh_mask;
	struct ns_pmtu pmtu[PMTU_ENTRIES];

	struct ns_bind *binds[PORT_HASH];
	struct ns_tcp_listener *listeners[PORT_HASH];
	struct ns_udp *udps[PORT_HASH];

	struct ns_synreq *syn_hash[SYN_HASH];
	struct ns_synreq *syn_all;
	uint32_t syn_count;
	uint64_t syn_next; /* earliest retry */
	uint64_t last_overflow;

	struct ns_reasm *reasm;
	uint32_t reasm_count, reasm_mem;

	struct ns_bucket rst_bucket, icmp_bucket, log_bucket;
	struct ns_counters cnt;
};

#define NS_COUNT(ns, field) __atomic_fetch_add(&(ns)->cnt.field, 1, __ATOMIC_RELAXED)
#define NS_COUNT_ADD(ns, field, n) __atomic_fetch_add(&(ns)->cnt.field, (n), __ATOMIC_RELAXED)

static inline uint64_t ns_now(const struct ns_instance *ns)
{
	return ns->ops->now(ns->ctx);
}

static inline uint32_t ns_random32(const struct ns_instance *ns)
{
	uint32_t v;

	ns->ops->random(ns->ctx, &v, sizeof v);
	return v;
}

static inline bool ns_memory_low(const struct ns_instance *ns)
{
	return ns->ops->memory_low && ns->ops->memory_low(ns->ctx);
}

static inline uint32_t if_flags(const struct ns_instance *ns, uint32_t i)
{
	return __atomic_load_n(&ns->ifs[i].flags, __ATOMIC_RELAXED);
}

static inline uint32_t if_mtu(const struct ns_instance *ns, uint32_t i)
{
	return __atomic_load_n(&ns->ifs[i].mtu, __ATOMIC_RELAXED);
}

static inline bool if_valid(const struct ns_instance *ns, uint32_t i)
{
	return i >= 1 && i <= NS_MAX_IFS && ns->ifs[i].used;
}

void ns_log(const struct ns_instance *ns, enum ns_log_level level, const char *text,
    const struct ns_addr *addr, uint64_t value);
void ns_notify(struct ns_instance *ns, enum ns_change what, uint32_t ifindex);
bool ns_bucket_take(struct ns_bucket *b, uint64_t now, uint32_t per_second);
/* Asks the embedder for ns_timer at `at`. */
void ns_arm(struct ns_instance *ns, uint64_t at);

/* ---- tables (route.c) ---- */
void ns_tables_begin(struct ns_instance *ns);
void ns_tables_end(struct ns_instance *ns);
bool ns_route_onlink(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *a);
void ns_routes_drop(struct ns_instance *ns, uint32_t ifindex, int origin, const struct ns_addr *gw);
uint64_t ns_tables_timer(struct ns_instance *ns, uint64_t now);
void ns_pmtu_set(struct ns_instance *ns, const struct ns_addr *dst, uint32_t mtu);
/* Source address for dst on an interface; false if there is none. */
bool ns_source_address(
    const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *dst, struct ns_addr *out);
struct ns_ifaddr *ns_ifaddr_find(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *a);
/* Is this a broadcast address (limited or of a subnet of the interface)? */
bool ns_is_broadcast(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *a);

/* ---- neighbours (neigh.c) ---- */
void ns_neigh_init(struct ns_instance *ns);
void ns_neigh_flush(struct ns_instance *ns, uint32_t ifindex);
bool ns_neigh_lookup(
    const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr, uint8_t mac[6]);
void ns_neigh_output(struct ns_instance *ns, struct ns_pkt *pkt);
/* Learns from ARP/ND. solicited: an answer to our question. create: make an entry if missing. */
void ns_neigh_learn(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr,
    const uint8_t mac[6], bool solicited, bool override, bool create, int router);
uint64_t ns_neigh_timer(struct ns_instance *ns, uint64_t now);

/* ---- link layer (output.c, arp.c) ---- */
struct ns_pkt *ns_pkt_new(struct ns_instance *ns, uint32_t payload, uint32_t nfrags);
void ns_link_output(struct ns_instance *ns, uint32_t ifindex, const uint8_t mac[6], uint16_t type,
    struct ns_pkt *pkt);
void ns_arp_input(struct ns_instance *ns, struct ns_pkt *pkt);
void ns_arp_request(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *target, const uint8_t *mac);
void ns_arp_announce(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr);

/* ---- IP (ip.c, reasm.c) ---- */
void ns_ip_header(uint8_t *h, const struct ns_addr *src, const struct ns_addr *dst, uint8_t proto,
    uint8_t ttl, uint8_t tos, uint32_t payload, bool df, uint16_t id);
uint32_t ns_pseudo_sum(
    const struct ns_addr *src, const struct ns_addr *dst, uint8_t proto, uint32_t len);
/* Verifies the transport checksum of a classified packet (TCP, UDP, ICMPv6). */
bool ns_l4_csum_ok(struct ns_pkt *pkt, uint32_t len);
/* Transport input after reassembly; pkt l4_off set, addresses in flow. Takes the packet. */
void ns_transport_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow);
/* Walks IPv6 extension headers from offset `off` behind l3 (bytes present in the linear area).
 * Returns the transport protocol with *off at its header, or -1 if malformed. Stops at a fragment
 * header (returns IPX_FRAGMENT) and reports it. */
int ns_ip6_walk(const struct ns_pkt *pkt, uint32_t *off, int *next);
/* Returns the complete datagram (l3/l4 offsets set, proto set) or NULL (fragment taken). */
struct ns_pkt *ns_reasm_input(struct ns_instance *ns, struct ns_pkt *pkt);
uint64_t ns_reasm_timer(struct ns_instance *ns, uint64_t now);
void ns_reasm_flush(struct ns_instance *ns);

/* ---- ICMP (icmp.c, nd.c, mcast.c) ---- */
void ns_icmp4_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow);
void ns_icmp6_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow);
/* Sends an error about pkt (not taken). */
void ns_icmp_send_error(struct ns_instance *ns, const struct ns_pkt *pkt,
    const struct ns_flow *flow, enum ns_icmp_kind kind, uint32_t arg);
/* Sends an ICMPv6 message (checksum filled in) with hop limit 255. Takes the packet. */
void ns_icmp6_output(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *src,
    const struct ns_addr *dst, uint8_t hops, bool router_alert, struct ns_pkt *pkt);
void ns_nd_input(
    struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow, uint8_t type);
void ns_nd_solicit(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *target,
    const uint8_t *mac, bool dad);
void ns_nd_if_up(struct ns_instance *ns, uint32_t ifindex);
void ns_nd_dad_start(struct ns_instance *ns, uint32_t ifindex, struct ns_ifaddr *a);
uint64_t ns_nd_timer(struct ns_instance *ns, uint64_t now);
bool ns_mcast_member(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *a);
void ns_igmp_input(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow);
void ns_mld_query(struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow);
uint64_t ns_mcast_timer(struct ns_instance *ns, uint64_t now);
/* The solicited-node group of an IPv6 address. */
struct ns_addr ns_solicited_node(const struct ns_addr *a);

/* ---- UDP, TCP instance parts ---- */
void ns_udp_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow);
void ns_udp_icmp(
    struct ns_instance *ns, const struct ns_flow *flow, const struct ns_icmp_error *err);
void ns_tcp_slow_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow);
uint64_t ns_syn_timer(struct ns_instance *ns, uint64_t now);
void ns_syn_flush(struct ns_instance *ns, struct ns_tcp_listener *l);
bool ns_bind_conflict(const struct ns_bind *a, const struct ns_bind *b);
/* How well a bound local side fits a flow: -1 no, larger is better. */
int ns_bind_score(const struct ns_bind *b, const struct ns_flow *flow);

static inline unsigned port_hash(uint16_t port)
{
	return (port ^ port >> 8) % PORT_HASH;
}

#endif
