/* SPDX-License-Identifier: BSD-3-Clause */
/* What the TCP source files share. */
#ifndef NETSTACK_TCP_INTERNAL_H
#define NETSTACK_TCP_INTERNAL_H

#include "internal.h"

enum {
	TH_FIN = 0x01,
	TH_SYN = 0x02,
	TH_RST = 0x04,
	TH_PSH = 0x08,
	TH_ACK = 0x10,
	TH_URG = 0x20,
	TH_ECE = 0x40,
	TH_CWR = 0x80,
};

enum { CA_OPEN, CA_DISORDER, CA_CWR, CA_RECOVERY, CA_LOSS };
enum { REXMIT_RTO, REXMIT_TLP };

#define RTO_MIN (200 * NS_MS)
#define RTO_MAX (120 * NS_SEC)
#define RTO_INIT NS_SEC
#define DELACK_NS (40 * NS_MS)
#define TIME_WAIT_NS (60 * NS_SEC)
#define FIN_WAIT2_S 60
#define MAX_RETRIES 15
#define ORPHAN_RETRIES 8
#define INIT_CWND_SEGS 10
#define DEFAULT_SNDBUF (128u << 10)
#define DEFAULT_SNDBUF_MAX (4u << 20)
#define DEFAULT_RCVBUF (128u << 10)
#define DEFAULT_RCVBUF_MAX (6u << 20)
#define MIN_BUF 4096u
#define MAX_BUF (256u << 20)
#define MIN_MSS 48u
#define DEFAULT_MSS4 536u
#define DEFAULT_MSS6 1220u
#define SEND_CHUNK 16384u
#define SMALL_COPY 256u
#define PAWS_IDLE_NS (24ull * 86400 * NS_SEC)
#define OOW_ACK_INTERVAL (500 * NS_MS)
#define CHALLENGE_PER_SECOND 100

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

/* A received segment after parsing. */
struct seg {
	uint32_t seq, end; /* end includes SYN and FIN */
	uint32_t ack, wnd; /* wnd as in the header, not scaled */
	uint32_t len;
	uint16_t urg;
	uint8_t flags;
	bool has_ts, has_wscale, sack_perm, ce;
	uint8_t wscale;
	uint16_t mss; /* 0: no option */
	uint32_t tsval, tsecr;
	uint8_t nsack;
	struct ns_sack_block sack[4];
	uint32_t segs; /* wire segments: more than 1 after coalescing */
};

/* Parses and verifies header, options and checksum; pulls pkt to the payload. */
bool tcp_parse(struct ns_pkt *pkt, struct seg *s);
/* Gives a parsed packet its headers back: data at the frame's start, as before ns_classify. */
void tcp_unparse(struct ns_pkt *pkt);

/* A segment to send without or outside a connection. */
struct tcp_out {
	uint32_t seq, ack;
	uint32_t wnd; /* as in the header */
	uint16_t urg;
	uint8_t flags, tos, ttl, optlen;
	uint8_t opts[40];
};

/* Prepends TCP and IP headers to pkt (the payload, or an empty packet) and sends it. gso: payload
 * bytes of a wire segment if the packet is larger, else 0. */
void tcp_emit(struct ns_instance *ns, const struct ns_dst *dst, const struct ns_flow *f,
    const struct tcp_out *o, uint32_t gso, struct ns_pkt *pkt);
/* Answers a segment that belongs to nothing with RST (RFC 9293 3.10.7.1). */
void tcp_reset_reply(struct ns_instance *ns, const struct ns_flow *f, const struct seg *s);

/* SYN and SYN-ACK options; bytes written. */
struct syn_opts {
	uint16_t mss;
	bool wscale_ok, sack_ok, ts_ok;
	uint8_t wscale;
	uint32_t tsval, tsecr;
};
uint8_t tcp_syn_options(uint8_t *o, const struct syn_opts *s);

uint32_t tcp_isn(const struct ns_instance *ns, const struct ns_flow *f, uint64_t now);
uint32_t tcp_ts_offset(const struct ns_instance *ns, const struct ns_flow *f);
static inline uint32_t tcp_clock_ms(uint64_t now)
{
	return (uint32_t)(now / NS_MS);
}
/* Payload bytes of a segment without options over a path of this MTU. */
static inline uint32_t tcp_mtu_to_mss(uint32_t mtu, bool v6)
{
	uint32_t h = (v6 ? IP6_HLEN : IP4_HLEN) + TCP_HLEN;

	mtu = NS_MIN(mtu, (uint32_t)NS_GSO_MAX);
	return mtu > h + MIN_MSS ? mtu - h : MIN_MSS;
}
/* Scale factor that can express this window. */
static inline uint8_t tcp_pick_wscale(uint32_t rcvbuf)
{
	uint8_t s = 0;

	while (s < 14 && (rcvbuf >> s) > 65535)
		s++;
	return s;
}

/* ---- connection core (tcp_conn.c) ---- */
void tcp_enter(struct ns_tcp *c);
void tcp_leave(struct ns_tcp *c);
void tcp_event(struct ns_tcp *c, uint32_t ev);
void tcp_set_state(struct ns_tcp *c, enum ns_tcp_state s);
/* Connection ends now with this error (0: quietly). */
void tcp_done(struct ns_tcp *c, int error);
void tcp_time_wait(struct ns_tcp *c, uint64_t now);
/* Takes over what the handshake agreed on. peer_mss 0: not told. */
void tcp_handshake_done(struct ns_tcp *c, uint32_t peer_mss, uint64_t now);
void tcp_sync_mss(struct ns_tcp *c);
bool tcp_route(struct ns_tcp *c);

/* ---- records of what is in flight (tcp_records.c) ---- */
struct ns_txrec *tcp_rec_add(struct ns_tcp *c, uint32_t seq, uint32_t end, uint64_t now);
struct ns_txrec *tcp_rec_split(struct ns_tcp *c, struct ns_txrec *r, uint32_t at);
void tcp_rec_free(struct ns_tcp *c, struct ns_txrec *r);
void tcp_rec_free_all(struct ns_tcp *c);
void tcp_rec_sent(struct ns_tcp *c, struct ns_txrec *r, uint64_t now);
void tcp_rec_untime(struct ns_tcp *c, struct ns_txrec *r);
void tcp_rec_lost(struct ns_tcp *c, struct ns_txrec *r);
void tcp_rec_sacked(struct ns_tcp *c, struct ns_txrec *r);
/* Bytes believed to be in the network (RFC 6675 pipe). */
static inline uint32_t tcp_pipe(const struct ns_tcp *c)
{
	return c->snd_nxt - c->snd_una - c->sacked_bytes - c->lost_bytes + c->retrans_bytes;
}

/* ---- output (tcp_output.c) ---- */
/* Sends all that windows, Nagle and congestion control allow. */
void tcp_output(struct ns_tcp *c, uint64_t now);
void tcp_send_ack(struct ns_tcp *c);
void tcp_send_probe(struct ns_tcp *c);
void tcp_send_syn(struct ns_tcp *c, uint64_t now);
void tcp_send_rst(struct ns_tcp *c);
bool tcp_retransmit(struct ns_tcp *c, struct ns_txrec *r, uint32_t max, uint64_t now);
/* Sends one segment of new data regardless of congestion window; false if there is none. */
bool tcp_send_one(struct ns_tcp *c, uint32_t max, uint64_t now);
uint32_t tcp_receive_window(struct ns_tcp *c);
/* An ACK that could be part of an attack or a loop: limited in rate. */
void tcp_challenge_ack(struct ns_tcp *c, uint64_t now);
void tcp_oow_ack(struct ns_tcp *c, uint64_t now);

/* ---- acknowledgements, loss recovery (tcp_ack.c, tcp_rack.c) ---- */
/* Returns false if the segment must be dropped. */
bool tcp_ack(struct ns_tcp *c, const struct seg *s, uint64_t now);
void tcp_rtt_sample(struct ns_tcp *c, uint64_t rtt);
void tcp_rack_advance(
    struct ns_tcp *c, const struct ns_txrec *r, uint64_t now, const struct seg *s);
void tcp_rack_detect(struct ns_tcp *c, uint64_t now);
void tcp_enter_recovery(struct ns_tcp *c, uint64_t now);
void tcp_enter_loss(struct ns_tcp *c, uint64_t now);
void tcp_enter_cwr(struct ns_tcp *c, uint64_t now);
void tcp_clear_lost(struct ns_tcp *c);
void tcp_mark_all_lost(struct ns_tcp *c, bool reneged);

/* ---- timers (tcp_timer.c) ---- */
void tcp_arm_rexmit(struct ns_tcp *c, uint64_t now);
uint64_t tcp_rto(const struct ns_tcp *c);
void tcp_keep_restart(struct ns_tcp *c, uint64_t now);

/* ---- receive side (tcp_rcv.c) ---- */
/* Queues payload (takes pkt); FIN included. */
void tcp_data(struct ns_tcp *c, struct ns_pkt *pkt, const struct seg *s, uint64_t now);
void tcp_urgent(struct ns_tcp *c, const struct seg *s);
void tcp_free_rcv(struct ns_tcp *c);
void tcp_free_ooo(struct ns_tcp *c);
void tcp_fin(struct ns_tcp *c, uint64_t now);

/* ---- send queue (tcp_snd.c) ---- */
void tcp_free_snd(struct ns_tcp *c);
void tcp_sndq_acked(struct ns_tcp *c);
bool tcp_writable(const struct ns_tcp *c);

#endif
