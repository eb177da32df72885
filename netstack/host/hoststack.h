/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small single-threaded embedder of the engine for the host: memory from malloc, a clock and a
 * wire given by the user. The unit tests (virtual clock, simulated wire), the fuzzers, the
 * benchmark and the tap program all drive the engine through it.
 *
 * Everything runs in hs_poll(): looped-back packets, timers, flushing, then the callbacks of
 * connections that something happened to. Callbacks may use any ns_tcp_* function on any
 * connection.
 */
#ifndef HOSTSTACK_H
#define HOSTSTACK_H

#include <netstack/flowtable.h>
#include <netstack/tcp.h>
#include <netstack/udp.h>

struct hs_conn;

struct hs_stack {
	struct ns_instance *ns;
	void *mem;
	struct ns_flowtable table;
	uint64_t (*clock)(struct hs_stack *s);
	void (*xmit)(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt); /* takes pkt */
	void *user;
	uint64_t rng;
	struct ns_pktq loopback;
	uint64_t deadline; /* of the instance, 0: none */
	struct hs_conn *conns;
	long live_pkts, live_mem;  /* for leak checks */
	uint64_t alloc_fail_every; /* fail every n-th allocation (tests); 0: never */
	uint64_t allocs;
	uint32_t nconns;
	bool verbose;
};

struct hs_conn {
	struct ns_tcp tcp; /* first */
	struct hs_stack *stack;
	struct hs_conn *next, **pprev;
	uint64_t deadline;
	uint32_t events; /* not yet delivered to cb */
	bool dirty, in_table, closed, released;
	/* Called from hs_poll with what happened since the last call (enum ns_tcp_event). */
	void (*cb)(struct hs_conn *c, uint32_t events);
	void *user;
};

struct hs_listener {
	struct ns_tcp_listener l; /* first */
	struct hs_stack *stack;
	/* New connection; set c->cb and c->user here. */
	void (*on_accept)(struct hs_listener *l, struct hs_conn *c);
	void *user;
	uint32_t max_conns; /* 0: unlimited */
};

/* The user fills clock, xmit, user; seed makes the random numbers repeatable. 0 or -ENOMEM. */
int hs_init(struct hs_stack *s, const struct ns_config *cfg, uint64_t seed);
/* Aborts nothing, frees everything. */
void hs_free(struct hs_stack *s);
/* A packet from the wire (frame start at pkt->data). */
void hs_input(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *pkt);
/* New packet with the given bytes. NULL: out of memory. */
struct ns_pkt *hs_pkt_from(struct hs_stack *s, const void *data, size_t n);
/* Runs what is due; returns the time of the next deadline (0: none). */
uint64_t hs_poll(struct hs_stack *s);

/* Active open; NULL with *err set on failure. */
struct hs_conn *hs_connect(struct hs_stack *s, const struct ns_addr *remote, uint16_t port,
    void (*cb)(struct hs_conn *, uint32_t), void *user, int *err);
/* As hs_connect in two steps: options may be set on c->tcp in between. */
struct hs_conn *hs_conn_new(struct hs_stack *s);
int hs_conn_open(struct hs_conn *c, const struct ns_addr *remote, uint16_t port, uint16_t lport);
int hs_listen(struct hs_stack *s, struct hs_listener *l, uint16_t port);
/* Orderly close; memory goes when the connection has ended. c must not be used afterwards. */
void hs_close(struct hs_conn *c);
void hs_abort(struct hs_conn *c);

#endif
