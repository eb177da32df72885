/* SPDX-License-Identifier: BSD-3-Clause */
/* Options and ioctls of stream sockets. */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include "lib/string.h"
#include "mm/uaccess.h"
#include "net/inet/options.h"
#include "net/inet/tcp_socket.h"

/* Integer options that the engine keeps. */
static const struct {
	int level, name;
	enum ns_tcp_opt opt;
} engine_options[] = {
    {SOL_TCP, TCP_NODELAY, NS_OPT_NODELAY},
    {SOL_TCP, TCP_CORK, NS_OPT_CORK},
    {SOL_TCP, TCP_QUICKACK, NS_OPT_QUICKACK},
    {SOL_TCP, TCP_KEEPIDLE, NS_OPT_KEEPIDLE},
    {SOL_TCP, TCP_KEEPINTVL, NS_OPT_KEEPINTVL},
    {SOL_TCP, TCP_KEEPCNT, NS_OPT_KEEPCNT},
    {SOL_TCP, TCP_USER_TIMEOUT, NS_OPT_USER_TIMEOUT},
    {SOL_TCP, TCP_SYNCNT, NS_OPT_SYNCNT},
    {SOL_TCP, TCP_MAXSEG, NS_OPT_MAXSEG},
    {SOL_TCP, TCP_LINGER2, NS_OPT_LINGER2},
    {SOL_TCP, TCP_NOTSENT_LOWAT, NS_OPT_NOTSENT_LOWAT},
    {SOL_TCP, TCP_WINDOW_CLAMP, NS_OPT_WINDOW_CLAMP},
    {SOL_IP, IP_TOS, NS_OPT_TOS},
    {SOL_IP, IP_TTL, NS_OPT_TTL},
    {SOL_IPV6, IPV6_TCLASS, NS_OPT_TOS},
    {SOL_IPV6, IPV6_UNICAST_HOPS, NS_OPT_TTL},
    {SOL_SOCKET, SO_KEEPALIVE, NS_OPT_KEEPALIVE},
    {SOL_SOCKET, SO_OOBINLINE, NS_OPT_OOBINLINE},
    {SOL_SOCKET, SO_RCVLOWAT, NS_OPT_RCVLOWAT},
};

static int find_engine_option(int level, int name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(engine_options); i++)
		if (engine_options[i].level == level && engine_options[i].name == name)
			return (int)i;
	return -1;
}

static int set_engine_option(struct conn *c, enum ns_tcp_opt opt, int v)
{
	conn_lock(c);
	int err = ns_tcp_setopt(&c->tcp, opt, v);
	conn_unlock(c);
	receive_loopback();
	return err;
}

/* The generic code keeps the value that getsockopt() shows; the engine gets it too. */
static int set_buffer(struct socket *s, int name, const void *value, unsigned len)
{
	struct tcp_socket *ts = s->private;
	bool rcv = name == SO_RCVBUF || name == SO_RCVBUFFORCE;
	int err = socket_set_generic(s, name, value, len);

	if (err)
		return err;
	if (rcv)
		ts->fixed_rcvbuf = true;
	else
		ts->fixed_sndbuf = true;
	return set_engine_option(
	    ts->c, rcv ? NS_OPT_RCVBUF : NS_OPT_SNDBUF, rcv ? s->receive_buffer : s->send_buffer);
}

static int set_common(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct tcp_socket *ts = s->private;
	int err = inet_set_option(s, &ts->o, level, name, value, len);

	/* The receive path looks at these. */
	ts->c->min_ttl = ts->o.min_ttl;
	ts->c->min_hops = ts->o.min_hops;
	return err;
}

int tcp_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct tcp_socket *ts = s->private;
	int v = 0;

	if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF ||
				       name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE))
		return set_buffer(s, name, value, len);
	if (level == SOL_TCP && name == TCP_CONGESTION) {
		char algorithm[17] = "";
		memcpy(algorithm, value, MIN(len, 16u));
		conn_lock(ts->c);
		int err = ns_tcp_set_congestion(&ts->c->tcp, algorithm);
		conn_unlock(ts->c);
		return err ? -ENOENT : 0;
	}
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		return set_common(s, level, name, value, len);
	int i = find_engine_option(level, name);
	int bad = level == SOL_IP  ? option_in(value, len, &v)
		  : len < sizeof v ? -EINVAL
				   : option_in(value, len, &v);
	if (bad)
		return bad;
	if (i >= 0 && level == SOL_IPV6 && s->family != AF_INET6)
		return -ENOPROTOOPT;
	if (i >= 0) {
		int err = set_engine_option(ts->c, engine_options[i].opt, v);
		if (name == TCP_MAXSEG && level == SOL_TCP)
			ts->max_segment = v;
		/* SOL_SOCKET ones: the generic code remembers them as well */
		return err ? err : level == SOL_SOCKET ? -ENOPROTOOPT : 0;
	}
	if (level == SOL_TCP) {
		switch (name) {
		case TCP_DEFER_ACCEPT:
			ts->defer_accept = v < 0 ? 0 : (uint32_t)v;
			if (ts->listener) {
				inet_lock();
				ts->listener->l.defer_accept_s = ts->defer_accept;
				inet_unlock();
			}
			return 0;
		case TCP_FASTOPEN: /* a hint: connections are accepted without it */
			return v < 0 ? -EINVAL : 0;
		}
		return -ENOPROTOOPT;
	}
	if (level == SOL_SOCKET && name == SO_ZEROCOPY) {
		if (v < 0 || v > 1)
			return -EINVAL;
		ts->zerocopy = v;
		return 0;
	}
	if (level == SOL_IPV6 && name == IPV6_V6ONLY) {
		if (s->family != AF_INET6)
			return -ENOPROTOOPT;
		if (ts->c->tcp.bind.bound || ts->listener)
			return -EINVAL;
		ts->v6only = v;
		return 0;
	}
	return set_common(s, level, name, value, len);
}

void tcp_fill_info(const struct ns_tcp *tcp, struct tcp_info *i)
{
	struct ns_tcp_info n;

	ns_tcp_get_info(tcp, &n);
	memset(i, 0, sizeof *i);
	i->tcpi_state = n.state;
	i->tcpi_ca_state = n.ca_state;
	i->tcpi_retransmits = n.retransmits;
	i->tcpi_probes = n.probes;
	i->tcpi_backoff = n.backoff;
	i->tcpi_options =
	    (uint8_t)((n.opt_timestamps ? TCPI_OPT_TIMESTAMPS : 0) |
		      (n.opt_sack ? TCPI_OPT_SACK : 0) | (n.opt_wscale ? TCPI_OPT_WSCALE : 0) |
		      (n.opt_ecn ? TCPI_OPT_ECN : 0));
	i->tcpi_snd_wscale = n.snd_wscale & 15;
	i->tcpi_rcv_wscale = n.rcv_wscale & 15;
	i->tcpi_rto = n.rto_us;
	i->tcpi_ato = n.ato_us;
	i->tcpi_snd_mss = n.snd_mss;
	i->tcpi_rcv_mss = n.rcv_mss;
	i->tcpi_unacked = n.unacked;
	i->tcpi_sacked = n.sacked;
	i->tcpi_lost = n.lost;
	i->tcpi_retrans = n.retrans;
	i->tcpi_last_data_sent = n.last_data_sent_ms;
	i->tcpi_last_data_recv = n.last_data_recv_ms;
	i->tcpi_last_ack_recv = n.last_ack_recv_ms;
	i->tcpi_pmtu = n.pmtu;
	i->tcpi_rcv_ssthresh = n.rcv_ssthresh;
	i->tcpi_rtt = n.rtt_us;
	i->tcpi_rttvar = n.rttvar_us;
	i->tcpi_snd_ssthresh = n.snd_ssthresh;
	i->tcpi_snd_cwnd = n.snd_cwnd;
	i->tcpi_advmss = n.advmss;
	i->tcpi_reordering = n.reordering;
	i->tcpi_rcv_space = n.rcv_space;
	i->tcpi_total_retrans = n.total_retrans;
	i->tcpi_bytes_acked = n.bytes_acked;
	i->tcpi_bytes_received = n.bytes_received;
	i->tcpi_segs_out = n.segs_out;
	i->tcpi_segs_in = n.segs_in;
	i->tcpi_notsent_bytes = n.notsent;
	i->tcpi_min_rtt = n.min_rtt_us;
	i->tcpi_data_segs_in = n.data_segs_in;
	i->tcpi_data_segs_out = n.data_segs_out;
	i->tcpi_delivery_rate = n.delivery_rate;
	i->tcpi_delivered = n.delivered;
	i->tcpi_delivered_ce = n.delivered_ce;
	i->tcpi_bytes_sent = n.bytes_sent;
	i->tcpi_bytes_retrans = n.bytes_retrans;
	i->tcpi_dsack_dups = n.dsack_dups;
	i->tcpi_reord_seen = n.reord_seen;
	i->tcpi_rcv_ooopack = n.rcv_ooopack;
	i->tcpi_snd_wnd = n.snd_wnd;
}

static int get_info(struct tcp_socket *ts, void *value, unsigned *len)
{
	struct tcp_info i;

	conn_lock(ts->c);
	tcp_fill_info(&ts->c->tcp, &i);
	conn_unlock(ts->c);
	if (ts->listener) {
		i.tcpi_state = NS_TCP_LISTEN;
		i.tcpi_unacked = ts->listener->queued;
		i.tcpi_sacked = ts->listener->limit;
	}
	*len = MIN(*len, (unsigned)sizeof i);
	memcpy(value, &i, *len);
	return 0;
}

int tcp_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct tcp_socket *ts = s->private;
	int v;

	if (level == SOL_TCP && name == TCP_INFO)
		return get_info(ts, value, len);
	if (level == SOL_TCP && name == TCP_CONGESTION) {
		char algorithm[16] = "";
		strlcpy(algorithm, ts->c->tcp.cc->name, sizeof algorithm);
		*len = MIN(*len, (unsigned)sizeof algorithm);
		memcpy(value, algorithm, *len);
		return 0;
	}
	if (level == SOL_SOCKET && name == SO_ERROR) {
		conn_lock(ts->c);
		v = ns_tcp_take_error(&ts->c->tcp);
		conn_unlock(ts->c);
		return option_out(value, len, v);
	}
	int i = find_engine_option(level, name);
	if (i >= 0 && level == SOL_IPV6 && s->family != AF_INET6)
		return -ENOPROTOOPT;
	if (i >= 0 && level != SOL_SOCKET) {
		conn_lock(ts->c);
		v = (int)ns_tcp_getopt(&ts->c->tcp, engine_options[i].opt);
		conn_unlock(ts->c);
		return option_out(value, len, v);
	}
	if (level == SOL_SOCKET && name == SO_ZEROCOPY)
		return option_out(value, len, ts->zerocopy);
	if (level == SOL_SOCKET && name == SO_INCOMING_CPU)
		return option_out(value, len, ts->c->cpu);
	if ((level == SOL_IP && name == IP_MTU) || (level == SOL_IPV6 && name == IPV6_MTU)) {
		if (!ts->c->tcp.dst.mtu)
			return -ENOTCONN;
		return option_out(value, len, (int)ts->c->tcp.dst.mtu);
	}
	if (level == SOL_TCP) {
		if (name == TCP_DEFER_ACCEPT)
			return option_out(value, len, (int)ts->defer_accept);
		if (name == TCP_FASTOPEN)
			return option_out(value, len, 0);
		return -ENOPROTOOPT;
	}
	if (level == SOL_IPV6 && name == IPV6_V6ONLY)
		return option_out(value, len, ts->v6only);
	return inet_get_option(s, &ts->o, level, name, value, len);
}

void tcp_inherit(const struct ns_tcp *from, struct ns_tcp *to)
{
	static const enum ns_tcp_opt inherited[] = {NS_OPT_NODELAY, NS_OPT_CORK, NS_OPT_KEEPALIVE,
	    NS_OPT_KEEPIDLE, NS_OPT_KEEPINTVL, NS_OPT_KEEPCNT, NS_OPT_USER_TIMEOUT,
	    NS_OPT_OOBINLINE, NS_OPT_TOS, NS_OPT_NOTSENT_LOWAT, NS_OPT_LINGER2};

	for (unsigned i = 0; i < ARRAY_SIZE(inherited); i++) {
		int64_t v = ns_tcp_getopt(from, inherited[i]);
		if (v != ns_tcp_getopt(to, inherited[i]))
			ns_tcp_setopt(to, inherited[i], v);
	}
	to->cc = from->cc;
}

long tcp_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	struct tcp_socket *ts = s->private;
	int v;

	switch (cmd) {
	case SIOCINQ:
	case SIOCOUTQ:
	case SIOCATMARK:
	case SIOCOUTQNSD:
		if (ts->listener)
			return -EINVAL;
		conn_lock(ts->c);
		v = cmd == SIOCINQ	 ? (int)ns_tcp_readable(&ts->c->tcp)
		    : cmd == SIOCOUTQ	 ? (int)ns_tcp_unacked(&ts->c->tcp)
		    : cmd == SIOCOUTQNSD ? (int)ns_tcp_unsent(&ts->c->tcp)
					 : ns_tcp_at_mark(&ts->c->tcp);
		conn_unlock(ts->c);
		return put_user(v, (int __user *)arg);
	}
	return -ENOTTY;
}
