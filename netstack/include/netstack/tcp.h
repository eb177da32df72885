/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP connections and listeners.
 *
 * A struct ns_tcp lives in the embedder's socket; all protocol state is inside. Every function here
 * that takes one is [conn] (see netstack.h): one caller at a time per connection, no lock, nothing
 * shared touched except the lock-free tables.
 *
 * Usual life in an embedder:
 *
 *	active:	 ns_tcp_init; instance lock { ns_port_ephemeral or a bound port; insert conn->flow
 *		 into the table }; ns_tcp_connect; event NS_EV_WRITABLE or NS_EV_ERROR.
 *	passive: ns_tcp_listen; l->alloc gives memory, l->accepted a finished connection [inst].
 *	input:	 ns_tcp_input for each queued packet, then one ns_tcp_flush: acknowledgements and
 *data of the whole batch go out together. close:	 ns_tcp_close (or ns_tcp_abort); input and
 *timers continue until NS_EV_CLOSED, after which the connection is removed from the table, and
 *ns_tcp_destroy frees what is left in it.
 *
 * Events are reported through conn->on_event at the end of the function that caused them. The
 * handler runs with the connection owned; it must not call ns_tcp_* on that connection nor free it
 * (set a flag, wake a waiter, queue a task).
 */
#ifndef NETSTACK_TCP_H
#define NETSTACK_TCP_H

#include <netstack/netstack.h>

/* Values as Linux's TCP_INFO and /proc/net/tcp show them. */
enum ns_tcp_state {
	NS_TCP_ESTABLISHED = 1,
	NS_TCP_SYN_SENT,
	NS_TCP_SYN_RECV,
	NS_TCP_FIN_WAIT1,
	NS_TCP_FIN_WAIT2,
	NS_TCP_TIME_WAIT,
	NS_TCP_CLOSED,
	NS_TCP_CLOSE_WAIT,
	NS_TCP_LAST_ACK,
	NS_TCP_LISTEN,
	NS_TCP_CLOSING,
};

/* Events and readiness bits. */
enum ns_tcp_event {
	NS_EV_READABLE = 1 << 0, /* data, end of stream or an error to pick up */
	NS_EV_WRITABLE = 1 << 1, /* connected and room in the send buffer */
	NS_EV_RDHUP = 1 << 2,	 /* peer sent FIN */
	NS_EV_HUP = 1 << 3,	 /* both directions are shut */
	NS_EV_ERROR = 1 << 4,	 /* see ns_tcp_take_error */
	NS_EV_URGENT = 1 << 5,	 /* out-of-band byte or mark arrived */
	NS_EV_STATE = 1 << 6,	 /* (event only) state changed */
	NS_EV_CLOSED = 1 << 7,	 /* (event only) nothing more to do: remove and destroy */
	NS_EV_ACKED = 1 << 8,	 /* (event only) send buffer became empty */
};

enum { NS_MSG_OOB = 1, NS_MSG_PEEK = 2, NS_MSG_TRUNC = 0x20, NS_MSG_MORE = 0x8000 };
enum { NS_SHUT_RD = 1, NS_SHUT_WR = 2 };

/* Part of the sequence space that has been sent and not acknowledged. */
struct ns_txrec {
	struct ns_txrec *next, *prev;	/* by sequence number */
	struct ns_txrec *tnext, *tprev; /* by time of last transmission (not SACKed ones) */
	uint32_t seq, end;
	uint64_t sent_ns;  /* last transmission */
	uint64_t first_ns; /* first transmission */
	uint8_t sacked, lost, retrans, fin;
	uint8_t on_time_list;
	uint16_t tries;
};

/* Congestion control: bytes, not segments; all hooks [conn]. */
struct ns_cc_ops {
	const char *name;
	void (*init)(struct ns_tcp *c);
	/* In-order progress outside recovery. rtt_ns 0: no sample. */
	void (*on_ack)(struct ns_tcp *c, uint32_t acked, uint64_t rtt_ns, uint64_t now);
	/* Loss or ECN mark: returns the new slow-start threshold in bytes. */
	uint32_t (*ssthresh)(struct ns_tcp *c, uint64_t now);
	void (*on_timeout)(struct ns_tcp *c, uint64_t now);
	/* The last reduction was a mistake. */
	void (*undo)(struct ns_tcp *c);
};

extern const struct ns_cc_ops ns_cc_cubic, ns_cc_newreno;
/* "cubic" or "reno"; NULL if unknown. [any] */
const struct ns_cc_ops *ns_cc_find(const char *name);

struct ns_sack_block {
	uint32_t start, end;
};

/* One connection. Fields below "private" belong to the engine. */
struct ns_tcp {
	/* For the embedder: set after ns_tcp_init, before connect or in l->accepted. */
	void (*on_event)(struct ns_tcp *c, uint32_t events);
	void *user;
	struct ns_tcp *hash_next;	  /* the embedder's table (ns_flowtable uses it) */
	struct ns_tcp_listener *listener; /* passive: where it came from, else NULL. Not followed */
	struct ns_flow flow;		  /* local, remote, ports; constant once connected */
	struct ns_bind bind;		  /* for ns_port_bind by the embedder */

	/* ---- private ---- */
	struct ns_instance *ns;
	struct ns_dst dst;
	uint8_t state;
	uint8_t shut; /* NS_SHUT_* by the local side */
	bool orphan;  /* ns_tcp_close was called */
	bool connected_once, in_entry, dead;
	int error;	/* pending error, positive errno */
	int soft_error; /* reported if the connection times out */
	uint32_t pending_events;

	/* send side */
	uint32_t iss, snd_una, snd_nxt, snd_end; /* snd_end: behind the last queued byte */
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_window;
	uint32_t snd_sml; /* end of the last small segment (Minshall's Nagle) */
	uint32_t snd_up;
	bool urg_out, fin_queued, fin_sent, push_all;
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss; /* payload bytes of a full segment, options already deducted */
	uint16_t peer_mss, user_mss;
	uint32_t pmtu;
	struct ns_pkt *sq_head, *sq_tail, *sq_cursor;
	uint32_t sq_bytes, sndbuf, sndbuf_max;
	bool sndbuf_locked, rcvbuf_locked, nospace, more, pingpong;
	struct ns_txrec *tx_head, *tx_tail, *tt_head, *tt_tail, *tx_free;
	uint32_t tx_free_count;

	/* congestion, loss detection */
	const struct ns_cc_ops *cc;
	uint32_t cwnd, ssthresh, cwnd_clamp;
	uint32_t prior_cwnd, prior_ssthresh;
	uint32_t sacked_bytes, lost_bytes, retrans_bytes; /* within the records */
	uint32_t recover;				  /* snd_nxt when recovery started */
	uint8_t ca_state;				  /* open, recovery, loss, cwr */
	uint32_t prr_delivered, prr_out, prr_recover_fs;
	uint32_t dupacks;
	bool cwnd_limited, undo_possible;
	uint32_t undo_retrans;
	uint64_t retrans_stamp; /* first retransmission of this episode */
	uint64_t delivered, delivered_ce;
	struct {
		uint64_t xmit_ns, rtt_ns, min_rtt_ns;
		uint32_t end_seq;
		uint32_t fack;
		uint8_t reo_mult, reo_persist;
		bool reordering, dsack_seen;
		uint32_t dsack_round;
	} rack;
	struct {
		bool active, is_retrans;
		uint32_t end_seq;
	} tlp;
	struct {
		uint32_t w_max, w_last_max, origin, w_est, cwnd_epoch;
		uint64_t epoch_ns, k_ms;
		uint32_t acked_frac;
		uint64_t delay_min_ns;
		uint32_t round_end;
		uint64_t round_min_rtt, last_round_min_rtt;
		uint32_t rtt_samples;
	} cubic;
	uint32_t ca_acked; /* byte counter for additive increase */

	/* round trip time, timers (ns; 0 is off) */
	uint64_t srtt_ns, rttvar_ns, rto_ns;
	uint8_t backoff;
	uint64_t t_rexmit, t_delack, t_persist, t_keep, t_wait, t_rack;
	uint8_t rexmit_kind; /* retransmission or loss probe */
	uint64_t armed;
	uint64_t last_rx_ns, last_tx_ns;
	uint32_t probes_out, keep_probes_out;
	uint64_t stalled_since; /* first unanswered transmission, for the user timeout */

	/* receive side */
	uint32_t irs, rcv_nxt, rcv_wup, rcv_adv, copied_seq;
	uint32_t rcvbuf, rcvbuf_max, rcv_mss, rcv_ssthresh;
	struct ns_pkt *rq_head, *rq_tail; /* in order, not yet read */
	struct ns_pkt *ooo_head, *ooo_tail;
	uint32_t rq_bytes, rq_mem, ooo_mem, ooo_count;
	bool fin_rcvd, ack_now, ecn_ok, ecn_request, ecn_cwr_due, ecn_ece_out;
	uint32_t unacked_bytes, quick_acks;
	uint32_t rcv_up;
	bool urg_in, urg_valid, urg_read;
	uint8_t urg_byte;
	struct ns_sack_block sacks[4], sack_seen[4], dsack;
	uint8_t nsacks, nsack_seen;
	uint32_t ecn_cwr_seq;
	uint64_t drs_ns;
	uint32_t drs_seq, drs_copied;
	uint64_t last_oow_ack;

	/* options */
	bool ts_ok, sack_ok, wscale_ok;
	uint32_t ts_recent, ts_offset, ts_last_ack_sent;
	uint64_t ts_recent_ns;
	bool nodelay, cork, keepalive, quickack, oobinline;
	uint8_t ttl, tos;
	uint32_t keep_idle_s, keep_intvl_s, keep_cnt, user_timeout_ms, syn_retries, rcv_lowat;
	int32_t linger2_s;
	uint32_t notsent_lowat;
	uint32_t challenge_count;
	uint64_t challenge_epoch;

	/* statistics */
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint32_t segs_out, segs_in, data_segs_out, data_segs_in, total_retrans, rcv_ooopack,
	    dsack_dups, reord_seen;
	uint64_t last_data_sent_ns, last_data_recv_ns, last_ack_recv_ns, created_ns;
};

/* A listening socket. Everything with a listener is [inst]. */
struct ns_tcp_listener {
	struct ns_bind bind; /* fill addr, flags, v6, ifindex, owner before ns_tcp_listen */
	/* Memory for a new connection (engine calls ns_tcp_init on it); NULL: accept queue full or
	 * no memory, the handshake's last packet is dropped and will be retried. */
	struct ns_tcp *(*alloc)(struct ns_tcp_listener *l, const struct ns_flow *flow);
	/* The connection is established. The embedder enters it into its table, sets on_event and
	 * then gives `first` (the packet that finished the handshake; may carry data) to
	 * ns_tcp_input like any other packet of the connection. */
	void (*accepted)(struct ns_tcp_listener *l, struct ns_tcp *c, struct ns_pkt *first);
	void *user;
	uint32_t backlog;	 /* half-open connections before cookies are used */
	uint32_t defer_accept_s; /* 0: off; wait this long for data before accepting */
	uint32_t sndbuf, rcvbuf; /* 0: default; inherited */
	uint16_t user_mss;
	uint8_t syn_retries; /* 0: 5 */
	uint8_t tos, ttl;
	bool force_cookies; /* every handshake by cookie (tests) */
	/* engine */
	uint32_t half_open;
	struct ns_tcp_listener *next, **pprev;
	bool listed;
};

/* [inst] Binds (port 0: ephemeral) and starts listening. If l->bind is already bound it is used as
 * it is. 0, -EADDRINUSE, -EADDRNOTAVAIL. */
int ns_tcp_listen(struct ns_instance *ns, struct ns_tcp_listener *l, uint16_t port);
/* [inst] Stops listening and forgets half-open connections. Keeps the port if keep_bound. */
void ns_tcp_unlisten(struct ns_instance *ns, struct ns_tcp_listener *l, bool keep_bound);

/* [inst] Calls fn for each listener until it returns false. */
void ns_tcp_listener_walk(
    struct ns_instance *ns, bool (*fn)(struct ns_tcp_listener *l, void *arg), void *arg);
/* [inst] Half-open connections, over all listeners. */
uint32_t ns_tcp_half_open(const struct ns_instance *ns);

/* ---- connection ---- */

/* Puts the memory into the closed state with default options. */
void ns_tcp_init(struct ns_tcp *c, struct ns_instance *ns);
/* Starts an active open; c->flow is complete and already in the embedder's table. -ENETUNREACH,
 * -EADDRNOTAVAIL, -EISCONN, -EALREADY, or 0: in progress. */
int ns_tcp_connect(struct ns_tcp *c);
/* Processes one packet of this connection (classified; takes it). Out-of-order data, challenge
 * ACKs and resets answer at once; the rest waits for ns_tcp_flush. */
enum ns_tcp_verdict {
	NS_TCP_OK,
	NS_TCP_REUSE, /* TIME_WAIT and an acceptable new SYN: the connection is closed now; remove
		       * it and give the packet, which stays the caller's and has its headers back,
		       * to ns_input_slow (or classify it again) */
};
enum ns_tcp_verdict ns_tcp_input(struct ns_tcp *c, struct ns_pkt *pkt);
/* Sends what is due: data the windows allow, pending acknowledgements. */
void ns_tcp_flush(struct ns_tcp *c);
/* Does all timers that are due at `now` (ns). */
void ns_tcp_timer(struct ns_tcp *c, uint64_t now);
/* ICMP error about this connection (sequence number is validated here). */
void ns_tcp_icmp(struct ns_tcp *c, const struct ns_icmp_error *err);

/* Mover of bytes between a packet and the application's memory: n bytes at `p` (to be read when
 * receiving, to be filled when sending). 0 or a negative errno, which ends the call. */
typedef int ns_copy_fn(void *arg, void *p, size_t n);

/* Queues up to n bytes and sends what may go. Bytes queued (maybe fewer than n), -EAGAIN (buffer
 * full), -EPIPE, -ENOTCONN, or the pending error. flags: NS_MSG_MORE, NS_MSG_OOB. */
int64_t ns_tcp_send(struct ns_tcp *c, const void *data, size_t n, int flags);
int64_t ns_tcp_send_iter(struct ns_tcp *c, ns_copy_fn *copy, void *arg, size_t n, int flags);
/* Zero copy: queues the packet's bytes (linear and fragments, all by reference; at most 64 KiB).
 * Takes the packet unless an error is returned; accepts it whole even when that overfills the send
 * buffer (-EAGAIN only if there is no room at all). Bytes queued. */
int64_t ns_tcp_send_pkt(struct ns_tcp *c, struct ns_pkt *pkt, int flags);
/* Bytes the send buffer can still take. */
uint32_t ns_tcp_send_room(const struct ns_tcp *c);

/* Bytes read, 0 at end of stream, -EAGAIN, -ENOTCONN or the pending error. flags: NS_MSG_PEEK,
 * NS_MSG_OOB (-EINVAL without urgent data), NS_MSG_TRUNC (discard instead of copying). Updates the
 * window. */
int64_t ns_tcp_recv(struct ns_tcp *c, void *buf, size_t n, int flags);
int64_t ns_tcp_recv_iter(struct ns_tcp *c, ns_copy_fn *copy, void *arg, size_t n, int flags);
/* Zero copy: hands out the next packet of in-order data (data/frags trimmed to the payload, chain
 * NULL) with *len bytes; NULL with *len = 0 at end of stream, negative errno in *len otherwise. The
 * caller puts the packet. */
struct ns_pkt *ns_tcp_recv_pkt(struct ns_tcp *c, int64_t *len);
/* Bytes that can be read now (SIOCINQ), queued and not acknowledged (SIOCOUTQ), not yet sent. */
uint32_t ns_tcp_readable(const struct ns_tcp *c);
uint32_t ns_tcp_unacked(const struct ns_tcp *c);
uint32_t ns_tcp_unsent(const struct ns_tcp *c);
/* Is the read position at the urgent mark (SIOCATMARK)? */
bool ns_tcp_at_mark(const struct ns_tcp *c);

/* Readiness now: enum ns_tcp_event bits. */
uint32_t ns_tcp_ready(const struct ns_tcp *c);
/* Pending error as a positive errno, cleared (SO_ERROR). */
int ns_tcp_take_error(struct ns_tcp *c);
enum ns_tcp_state ns_tcp_get_state(const struct ns_tcp *c);

/* 0 or -ENOTCONN. how: NS_SHUT_* bits. */
int ns_tcp_shutdown(struct ns_tcp *c, int how);
/* The application is gone: FIN after queued data, or RST if unread data is discarded. Events other
 * than NS_EV_CLOSED stop. */
void ns_tcp_close(struct ns_tcp *c);
/* RST now; state becomes closed, NS_EV_CLOSED (linger 0). */
void ns_tcp_abort(struct ns_tcp *c);
/* Drops every buffer and record. The memory may be reused afterwards. No packet is sent. */
void ns_tcp_destroy(struct ns_tcp *c);

enum ns_tcp_opt {
	NS_OPT_NODELAY,	      /* 0/1 */
	NS_OPT_CORK,	      /* 0/1; clearing sends */
	NS_OPT_QUICKACK,      /* 0/1 */
	NS_OPT_KEEPALIVE,     /* 0/1 */
	NS_OPT_KEEPIDLE,      /* s */
	NS_OPT_KEEPINTVL,     /* s */
	NS_OPT_KEEPCNT,	      /* probes */
	NS_OPT_USER_TIMEOUT,  /* ms, 0: default */
	NS_OPT_SYNCNT,	      /* retransmissions of SYN */
	NS_OPT_MAXSEG,	      /* bytes; get: current MSS */
	NS_OPT_SNDBUF,	      /* bytes; fixes it */
	NS_OPT_RCVBUF,	      /* bytes; fixes it */
	NS_OPT_LINGER2,	      /* s in FIN_WAIT2, -1: none */
	NS_OPT_OOBINLINE,     /* 0/1 */
	NS_OPT_TOS,	      /* IPv4 TOS / IPv6 traffic class */
	NS_OPT_TTL,	      /* hop limit, 0: default */
	NS_OPT_NOTSENT_LOWAT, /* bytes, 0: off */
	NS_OPT_RCVLOWAT,      /* bytes */
	NS_OPT_WINDOW_CLAMP,  /* bytes of cwnd, 0: off */
	NS_OPT_ECN,	      /* 0/1: ask for ECN when connecting */
};
/* 0, -EINVAL, -ENOPROTOOPT. */
int ns_tcp_setopt(struct ns_tcp *c, enum ns_tcp_opt opt, int64_t value);
int64_t ns_tcp_getopt(const struct ns_tcp *c, enum ns_tcp_opt opt);
int ns_tcp_set_congestion(struct ns_tcp *c, const char *name);

/* What TCP_INFO reports; times in microseconds, sizes in bytes unless said. */
struct ns_tcp_info {
	uint8_t state, ca_state, retransmits, probes, backoff;
	bool opt_timestamps, opt_sack, opt_wscale, opt_ecn;
	uint8_t snd_wscale, rcv_wscale;
	uint32_t rto_us, ato_us, snd_mss, rcv_mss;
	uint32_t unacked, sacked, lost, retrans; /* segments */
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms;
	uint32_t pmtu, rcv_ssthresh, rtt_us, rttvar_us, min_rtt_us, snd_ssthresh, snd_cwnd;
	uint32_t advmss, reordering, rcv_space, total_retrans;
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint32_t segs_out, segs_in, data_segs_out, data_segs_in, notsent, snd_wnd, rcv_wnd;
	uint32_t delivered, delivered_ce, dsack_dups, reord_seen, rcv_ooopack;
	uint64_t delivery_rate;
	const char *congestion;
};
void ns_tcp_get_info(const struct ns_tcp *c, struct ns_tcp_info *out);

/* ---- compact TIME_WAIT ---- */

/* What is left of a connection in TIME_WAIT: enough to answer. Lets the embedder free the socket
 * and its struct ns_tcp as soon as nobody uses it. [conn] rules apply to this object. */
struct ns_tcp_tw {
	struct ns_tcp_tw *hash_next;
	void *user;
	struct ns_instance *ns;
	struct ns_flow flow;
	struct ns_dst dst;
	uint32_t snd_nxt, rcv_nxt, rcv_wnd, ts_recent, ts_offset;
	bool ts_ok;
	uint64_t expires_ns;
};
/* c must be in TIME_WAIT; afterwards c may be destroyed. */
void ns_tcp_tw_from(struct ns_tcp_tw *tw, const struct ns_tcp *c);
/* Processes a packet for it; takes it unless NS_TCP_REUSE is returned. Remove the object when
 * ns->now reaches expires_ns (which this function extends). */
enum ns_tcp_verdict ns_tcp_tw_input(struct ns_tcp_tw *tw, struct ns_pkt *pkt);

#endif
