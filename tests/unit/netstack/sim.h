/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two engine instances on a simulated link with a virtual clock. Everything follows from the seed:
 * loss, duplication, reordering, corruption, delay. Frames are copied between the sides.
 */
#ifndef SIM_H
#define SIM_H

#include "hoststack.h"

struct sim_link {
	/* probabilities in parts per million */
	uint32_t loss, duplicate, reorder, corrupt;
	uint64_t delay_ns, jitter_ns;
	uint64_t bytes_per_s;	/* 0: infinite */
	uint32_t queue_packets; /* drop-tail in front of the rate limit; 0: 1000 */
	uint32_t mark_above;	/* set CE on ECT packets when the queue is longer; 0: never */
};

struct sim;

struct sim_host {
	struct hs_stack s; /* first */
	struct sim *sim;
	int side;
	struct ns_addr v4, v6;
	uint32_t ifindex;
};

struct sim_event {
	uint64_t at, order;
	int to;
	size_t len;
	uint8_t *data;
	uint16_t gso_size;
	uint8_t gso_type;
	bool trusted; /* partial checksum passed on, as between virtual machines */
};

struct sim {
	uint64_t now;
	uint64_t rng;
	struct sim_host h[2];
	struct sim_link link[2]; /* from side i */
	uint64_t busy_until[2];
	struct sim_event *ev;
	size_t nev, cap;
	uint64_t order;
	uint64_t sent[2], lost[2], delivered[2];
	/* Sees (and may change or swallow: return true) every frame on the wire. */
	bool (*filter)(struct sim *sim, int from, uint8_t *frame, size_t len);
	void *user;
	bool scatter; /* deliver frames in random pieces */
};

/* if_flags: enum ns_if_flags for both; addresses 10.0.0.1/2 and 2001:db8::1/2. */
void sim_init(
    struct sim *sim, uint64_t seed, const struct sim_link *link, uint32_t if_flags, uint32_t mtu);
/* Checks that nothing leaked. */
void sim_free(struct sim *sim);
uint64_t sim_random(struct sim *sim);
/* Runs until done() says so or the virtual time is over; true: done. */
bool sim_run(struct sim *sim, uint64_t max_ns, bool (*done)(struct sim *, void *), void *arg);
/* Runs for a span of virtual time. */
void sim_for(struct sim *sim, uint64_t ns);

/* One direction of a checked byte stream. */
struct sim_stream {
	uint64_t total, sent, received;
	uint64_t tx_seed, rx_seed;
	bool eof, bad;
};

/* A connection endpoint that sends `out` and checks `in`; closes its side when all is sent. */
struct sim_peer {
	struct hs_conn *c;
	struct sim_stream out, in;
	bool shut, closed, connected;
	int error;
	uint32_t max_read; /* bytes per wake-up; 0: all */
	bool zero_copy;
};
void sim_peer_init(
    struct sim_peer *p, uint64_t out_bytes, uint64_t out_seed, uint64_t in_bytes, uint64_t in_seed);
void sim_peer_cb(struct hs_conn *c, uint32_t events); /* c->user is the sim_peer */

#endif
