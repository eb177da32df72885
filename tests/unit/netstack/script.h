/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripted peer: the test is the other host. It injects segments and looks at every segment the
 * engine sends, with a virtual clock. Sequence numbers in scripts are relative to the initial ones:
 * ours (engine) and theirs (script) both start at 0 with the SYN.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "hoststack.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

#define MS 1000000ul
#define SEC 1000000000ul

struct segment {
	uint32_t seq, ack, wnd; /* relative */
	uint8_t flags;
	uint32_t len;
	uint8_t data[2000];
	uint16_t mss, urg;
	int wscale; /* -1: none */
	bool sack_ok, ts;
	uint32_t tsval, tsecr;
	int nsack;
	struct ns_sack_block sack[4];
	uint8_t tos;
	uint64_t at; /* virtual time of transmission, from the script's start */
};

struct script {
	struct hs_stack s; /* first */
	uint64_t now, start;
	uint32_t ifindex, mtu;
	struct ns_addr us, them;
	uint16_t lport, rport; /* engine's and script's port */
	uint32_t iss, irs;     /* engine's, script's initial number */
	bool iss_known;
	struct segment out[4096];
	unsigned nout, seen;
	/* the connection under test */
	struct hs_conn *c;
	struct hs_listener l;
	uint32_t events; /* accumulated */
	bool use_ts;
	uint32_t
	    ts_peer; /* our (script) timestamp clock: ms since start + 1000 unless overridden */
	uint32_t ts_last; /* last tsval of the engine */
	bool ts_override;
	uint32_t foreign; /* packets sent that are not TCP of this connection */
	uint8_t last_foreign[2000];
	size_t last_foreign_len;
};

void script_init(struct script *t, uint64_t seed);
void script_free(struct script *t);
/* Advances the clock, running timers on the way. */
void pass(struct script *t, uint64_t ns);
/* Injects a segment; opts may be NULL. */
struct inject {
	uint32_t seq, ack, wnd;
	uint8_t flags;
	const void *data;
	uint32_t len;
	uint16_t mss, urg;
	int wscale; /* 0: none; n: n */
	bool sack_ok, no_ts, bad_csum;
	int nsack;
	struct ns_sack_block sack[4];
	uint8_t tos;
};
void inject(struct script *t, struct inject i);
/* The packet only, not delivered. */
struct ns_pkt *make_segment(struct script *t, struct inject i);
/* Raw IPv4 packet. */
void inject_raw(struct script *t, const void *ip, size_t n);
/* ICMP error about a segment the engine sent with this (relative) number. */
void inject_icmp(struct script *t, uint8_t type, uint8_t code, uint16_t mtu, uint32_t seq);

/* The next segment the engine sent, checked; fails the test if there is none. len -1: any. */
struct segment *expect(struct script *t, uint8_t flags, uint32_t seq, int len);
/* Nothing (more) was sent. */
void expect_none(struct script *t);
/* The next segment whatever it is, or NULL. */
struct segment *next_out(struct script *t);
void skip_out(struct script *t);

/* Handshakes. Options: what the script offers. */
struct handshake {
	uint16_t mss;
	int wscale; /* 0: none */
	bool sack, ts;
	uint32_t wnd; /* 0: 65535 */
};
void open_active(struct script *t, struct handshake h);
void open_passive(struct script *t, struct handshake h);
#define STATE(t) ns_tcp_get_state(&(t)->c->tcp)

#endif
