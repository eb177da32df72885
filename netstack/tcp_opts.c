/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP socket options and the numbers of TCP_INFO. */
#include "tcp_internal.h"

static int set_range(uint32_t *field, int64_t v, int64_t min, int64_t max)
{
	if (v < min || v > max)
		return -NS_EINVAL;
	*field = (uint32_t)v;
	return 0;
}

static uint32_t clamp_buf(int64_t v)
{
	return (uint32_t)NS_MIN(NS_MAX(v, (int64_t)MIN_BUF), (int64_t)MAX_BUF);
}

/* Options that may let waiting data go. */
static void set_and_send(struct ns_tcp *c, bool *field, bool on, bool send)
{
	*field = on;
	if (!send)
		return;
	tcp_enter(c);
	c->more = false;
	tcp_output(c, ns_now(c->ns));
	tcp_leave(c);
}

static int set_keepalive(struct ns_tcp *c, enum ns_tcp_opt opt, int64_t v)
{
	int r = 0;

	if (opt == NS_OPT_KEEPALIVE)
		c->keepalive = v != 0;
	else
		r = set_range(
		    opt == NS_OPT_KEEPIDLE ? &c->keep_idle_s : &c->keep_intvl_s, v, 1, 32767);
	if (!r && opt != NS_OPT_KEEPINTVL) {
		tcp_enter(c);
		tcp_keep_restart(c, ns_now(c->ns));
		tcp_leave(c);
	}
	return r;
}

int ns_tcp_setopt(struct ns_tcp *c, enum ns_tcp_opt opt, int64_t v)
{
	switch (opt) {
	case NS_OPT_NODELAY:
		set_and_send(c, &c->nodelay, v != 0, v != 0);
		return 0;
	case NS_OPT_CORK:
		set_and_send(c, &c->cork, v != 0, v == 0);
		return 0;
	case NS_OPT_QUICKACK:
		c->quickack = v != 0;
		if (v && c->unacked_bytes) {
			tcp_enter(c);
			tcp_send_ack(c);
			tcp_leave(c);
		}
		return 0;
	case NS_OPT_KEEPALIVE:
	case NS_OPT_KEEPIDLE:
	case NS_OPT_KEEPINTVL:
		return set_keepalive(c, opt, v);
	case NS_OPT_KEEPCNT:
		return set_range(&c->keep_cnt, v, 1, 127);
	case NS_OPT_USER_TIMEOUT:
		return set_range(&c->user_timeout_ms, v, 0, INT32_MAX);
	case NS_OPT_SYNCNT:
		return set_range(&c->syn_retries, v, 1, 127);
	case NS_OPT_MAXSEG:
		if (v && (v < 88 || v > 32767))
			return -NS_EINVAL;
		c->user_mss = (uint16_t)v;
		return 0;
	case NS_OPT_SNDBUF:
		c->sndbuf = c->sndbuf_max = clamp_buf(v);
		c->sndbuf_locked = true;
		return 0;
	case NS_OPT_RCVBUF:
		c->rcvbuf = c->rcvbuf_max = clamp_buf(v);
		c->rcvbuf_locked = true;
		return 0;
	case NS_OPT_LINGER2:
		if (v > 3600)
			return -NS_EINVAL;
		c->linger2_s = v < 0 ? -1 : (int32_t)v;
		return 0;
	case NS_OPT_OOBINLINE:
		c->oobinline = v != 0;
		return 0;
	case NS_OPT_TOS:
		if (v < 0 || v > 255)
			return -NS_EINVAL;
		c->tos = (uint8_t)v;
		return 0;
	case NS_OPT_TTL:
		if (v < 0 || v > 255)
			return -NS_EINVAL;
		c->ttl = (uint8_t)v;
		return 0;
	case NS_OPT_NOTSENT_LOWAT:
		return set_range(&c->notsent_lowat, v, 0, UINT32_MAX);
	case NS_OPT_RCVLOWAT:
		return set_range(&c->rcv_lowat, v ? v : 1, 1, INT32_MAX);
	case NS_OPT_WINDOW_CLAMP:
		return set_range(&c->cwnd_clamp, v, 0, UINT32_MAX);
	case NS_OPT_ECN:
		c->ecn_request = v != 0;
		return 0;
	}
	return -NS_ENOPROTOOPT;
}

int64_t ns_tcp_getopt(const struct ns_tcp *c, enum ns_tcp_opt opt)
{
	switch (opt) {
	case NS_OPT_NODELAY:
		return c->nodelay;
	case NS_OPT_CORK:
		return c->cork;
	case NS_OPT_QUICKACK:
		return c->quickack || !c->pingpong;
	case NS_OPT_KEEPALIVE:
		return c->keepalive;
	case NS_OPT_KEEPIDLE:
		return c->keep_idle_s;
	case NS_OPT_KEEPINTVL:
		return c->keep_intvl_s;
	case NS_OPT_KEEPCNT:
		return c->keep_cnt;
	case NS_OPT_USER_TIMEOUT:
		return c->user_timeout_ms;
	case NS_OPT_SYNCNT:
		return c->syn_retries;
	case NS_OPT_MAXSEG:
		return c->state == NS_TCP_CLOSED && c->user_mss ? c->user_mss : c->mss;
	case NS_OPT_SNDBUF:
		return c->sndbuf;
	case NS_OPT_RCVBUF:
		return c->rcvbuf;
	case NS_OPT_LINGER2:
		return c->linger2_s;
	case NS_OPT_OOBINLINE:
		return c->oobinline;
	case NS_OPT_TOS:
		return c->tos;
	case NS_OPT_TTL:
		return c->ttl ? c->ttl : DEFAULT_TTL;
	case NS_OPT_NOTSENT_LOWAT:
		return c->notsent_lowat;
	case NS_OPT_RCVLOWAT:
		return c->rcv_lowat;
	case NS_OPT_WINDOW_CLAMP:
		return c->cwnd_clamp;
	case NS_OPT_ECN:
		return c->ecn_request;
	}
	return -NS_ENOPROTOOPT;
}

int ns_tcp_set_congestion(struct ns_tcp *c, const char *name)
{
	const struct ns_cc_ops *cc = ns_cc_find(name);

	if (!cc)
		return -2; /* ENOENT, as Linux */
	c->cc = cc;
	cc->init(c);
	return 0;
}

static uint32_t ms_since(uint64_t now, uint64_t t)
{
	return t ? (uint32_t)((now - t) / NS_MS) : 0;
}

static uint32_t segs(const struct ns_tcp *c, uint32_t bytes)
{
	return (bytes + c->mss - 1) / c->mss;
}

void ns_tcp_get_info(const struct ns_tcp *c, struct ns_tcp_info *o)
{
	uint64_t now = ns_now(c->ns);

	memset(o, 0, sizeof *o);
	o->state = c->state;
	o->ca_state = c->ca_state;
	o->retransmits = c->backoff;
	o->probes = (uint8_t)NS_MIN(c->probes_out + c->keep_probes_out, 255u);
	o->backoff = c->backoff;
	o->opt_timestamps = c->ts_ok;
	o->opt_sack = c->sack_ok;
	o->opt_wscale = c->wscale_ok;
	o->opt_ecn = c->ecn_ok;
	o->snd_wscale = c->snd_wscale;
	o->rcv_wscale = c->rcv_wscale;
	o->rto_us = (uint32_t)(tcp_rto(c) / 1000);
	o->ato_us = DELACK_NS / 1000;
	o->snd_mss = c->mss;
	o->rcv_mss = c->rcv_mss;
	o->unacked = segs(c, c->snd_nxt - c->snd_una);
	o->sacked = segs(c, c->sacked_bytes);
	o->lost = segs(c, c->lost_bytes);
	o->retrans = segs(c, c->retrans_bytes);
	o->last_data_sent_ms = ms_since(now, c->last_data_sent_ns);
	o->last_data_recv_ms = ms_since(now, c->last_data_recv_ns);
	o->last_ack_recv_ms = ms_since(now, c->last_ack_recv_ns);
	o->pmtu = c->pmtu ? NS_MIN(c->pmtu, c->dst.mtu) : c->dst.mtu;
	o->rcv_ssthresh = c->rcvbuf;
	o->rtt_us = (uint32_t)(c->srtt_ns / 1000);
	o->rttvar_us = (uint32_t)(c->rttvar_ns / 1000);
	o->min_rtt_us = (uint32_t)(c->rack.min_rtt_ns / 1000);
	o->snd_ssthresh = c->ssthresh == UINT32_MAX ? INT32_MAX : c->ssthresh / c->mss;
	o->snd_cwnd = c->cwnd / c->mss;
	o->advmss = c->dst.mtu ? tcp_mtu_to_mss(c->dst.mtu, c->flow.v6) : c->mss;
	o->reordering = c->rack.reordering ? 300 : 3;
	o->rcv_space = c->rcvbuf;
	o->total_retrans = c->total_retrans;
	o->bytes_acked = c->bytes_acked;
	o->bytes_received = c->bytes_received;
	o->bytes_sent = c->bytes_sent;
	o->bytes_retrans = c->bytes_retrans;
	o->segs_out = c->segs_out;
	o->segs_in = c->segs_in;
	o->data_segs_out = c->data_segs_out;
	o->data_segs_in = c->data_segs_in;
	o->notsent = ns_tcp_unsent(c);
	o->snd_wnd = c->snd_wnd;
	o->rcv_wnd = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
	o->delivered = segs(c, (uint32_t)NS_MIN(c->delivered, (uint64_t)UINT32_MAX - c->mss));
	o->delivered_ce = (uint32_t)c->delivered_ce;
	o->dsack_dups = c->dsack_dups;
	o->reord_seen = c->reord_seen;
	o->rcv_ooopack = c->rcv_ooopack;
	o->delivery_rate =
	    c->srtt_ns ? (uint64_t)NS_MIN(c->cwnd, c->snd_wnd) * 1000000 / (c->srtt_ns / 1000 + 1)
		       : 0;
	o->congestion = c->cc->name;
}
