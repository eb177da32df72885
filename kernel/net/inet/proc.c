/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of /proc/net show of the internet families. */
#include <asm/errno.h>
#include <linux/tcp.h>
#include "fs/proc/net.h"
#include "lib/string.h"
#include "net/inet/links.h"
#include "net/inet/proc.h"
#include "net/inet/sockets.h"
#include "net/inet/time_wait.h"

/* --- sockets --- */

struct lines {
	struct seqbuf *s;
	int family;
	unsigned n;
};

static void put_end(struct seqbuf *s, const struct ns_addr *a, uint16_t port, bool v6)
{
	if (v6)
		seq_printf(s, " %08X%08X%08X%08X:%04X", a->w[0], a->w[1], a->w[2], a->w[3], port);
	else
		seq_printf(s, " %08X:%04X", a->w[3], port);
}

static bool put_socket(const struct socket_view *v, void *arg)
{
	struct lines *l = arg;
	bool v6 = v->family == AF_INET6;
	long ticks = (long)(v->timer_left / 10000000);

	if (v->family != l->family)
		return true;
	seq_printf(l->s, "%4u:", l->n++);
	put_end(l->s, &v->local, v->lport, v6);
	put_end(l->s, &v->remote, v->rport, v6);
	seq_printf(l->s, " %02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %d %016lx", v->state,
	    v->listener ? 0 : v->wqueue, v->rqueue, v->timer, ticks, v->retrans, v->uid, 0, v->ino,
	    v->ino ? 2 : 1, v->cookie);
	if (v->proto == NS_PROTO_TCP && v->conn)
		seq_printf(l->s, " %lu %lu %u %u %d\n",
		    (unsigned long)(v->conn->tcp.rto_ns / 10000000), 4l, 0,
		    v->conn->tcp.mss ? v->conn->tcp.cwnd / v->conn->tcp.mss : 0, -1);
	else if (v->proto == NS_PROTO_TCP)
		seq_puts(l->s, " 100 0 0 10 0\n");
	else
		seq_printf(l->s, " %u\n", v->drops);
	return !l->s->failed;
}

#define SHOW_SOCKETS(name, walk, fam)                       \
	static int show_##name(struct seqbuf *s)            \
	{                                                   \
		struct lines l = {.s = s, .family = (fam)}; \
		walk(put_socket, &l);                       \
		return 0;                                   \
	}
SHOW_SOCKETS(tcp, tcp_sockets, AF_INET)
SHOW_SOCKETS(tcp6, tcp_sockets, AF_INET6)
SHOW_SOCKETS(udp, udp_sockets, AF_INET)
SHOW_SOCKETS(udp6, udp_sockets, AF_INET6)

#define SHOW_RAW(name, fam, ping)                           \
	static int show_##name(struct seqbuf *s)            \
	{                                                   \
		struct lines l = {.s = s, .family = (fam)}; \
		raw_sockets(put_socket, &l, ping);          \
		return 0;                                   \
	}
SHOW_RAW(raw, AF_INET, false)
SHOW_RAW(raw6, AF_INET6, false)
SHOW_RAW(icmp, AF_INET, true)
SHOW_RAW(icmp6, AF_INET6, true)

struct usage {
	unsigned tcp, tcp6, orphans, established, udp, udp6;
	uint64_t memory;
};

static bool count_raw(const struct socket_view *v, void *arg)
{
	unsigned *n = arg;

	n[v->family == AF_INET6]++;
	return true;
}

static bool count_socket(const struct socket_view *v, void *arg)
{
	struct usage *u = arg;
	bool v6 = v->family == AF_INET6;

	if (v->proto == NS_PROTO_UDP) {
		u->udp += !v6;
		u->udp6 += v6;
	} else if (v->state != NS_TCP_TIME_WAIT) {
		u->tcp += !v6;
		u->tcp6 += v6;
		u->orphans += !v->ino;
		u->established += v->state == NS_TCP_ESTABLISHED || v->state == NS_TCP_CLOSE_WAIT;
	}
	if (v->conn)
		u->memory += v->rqueue + v->wqueue;
	return true;
}

static int show_sockstat(struct seqbuf *s)
{
	struct usage u = {0};

	tcp_sockets(count_socket, &u);
	unsigned pages = (unsigned)((u.memory + 4095) / 4096);
	udp_sockets(count_socket, &u);
	seq_printf(s, "sockets: used %d\n", socket_count());
	seq_printf(s, "TCP: inuse %u orphan %u tw %u alloc %u mem %u\n", u.tcp, u.orphans,
	    time_wait_count(), u.tcp + u.tcp6, pages);
	unsigned raw[2] = {0};
	raw_sockets(count_raw, raw, false);
	seq_printf(s, "UDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse %u\n", u.udp, raw[0]);
	seq_puts(s, "FRAG: inuse 0 memory 0\n");
	return 0;
}

static int show_sockstat6(struct seqbuf *s)
{
	struct usage u = {0};

	tcp_sockets(count_socket, &u);
	udp_sockets(count_socket, &u);
	unsigned raw[2] = {0};
	raw_sockets(count_raw, raw, false);
	seq_printf(s, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\n", u.tcp6,
	    u.udp6, raw[1]);
	seq_puts(s, "FRAG6: inuse 0 memory 0\n");
	return 0;
}

/* --- interfaces --- */

static int show_dev(struct seqbuf *s)
{
	struct ns_if_info info;
	struct netdev_stats n;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		if (ns_if_get(inet.ns, i, &info))
			continue;
		link_stats(i, &info, &n);
		seq_printf(s,
		    "%6s: %7lu %7lu %4lu %4lu %4lu %5lu %10lu %9lu %8lu %7lu %4lu %4lu %4lu %5lu "
		    "%7lu %10lu\n",
		    info.name, n.rx_bytes, n.rx_packets, n.rx_errors, n.rx_dropped + n.rx_no_memory,
		    0ul, 0ul, 0ul, 0ul, n.tx_bytes, n.tx_packets, n.tx_errors, n.tx_dropped, 0ul,
		    0ul, 0ul, 0ul);
	}
	return 0;
}

static void put_hex(struct seqbuf *s, const struct ns_addr *a)
{
	for (int i = 0; i < 16; i++)
		seq_printf(s, "%02x", a->b[i]);
}

static int show_if_inet6(struct seqbuf *s)
{
	struct ns_if_info info;

	for (uint32_t i = 1; i <= NS_MAX_IFS; i++) {
		if (ns_if_get(inet.ns, i, &info))
			continue;
		for (int k = 0; k < NS_IF_MAX_ADDRS; k++) {
			const struct ns_ifaddr *a = &info.addrs[k];
			if (!a->state || ns_addr_is_v4(&a->addr))
				continue;
			put_hex(s, &a->addr);
			seq_printf(s, " %02x %02x %02x %02x %8s\n", i, a->plen,
			    ns_addr_is_loopback(&a->addr)    ? 0x10
			    : ns_addr_is_linklocal(&a->addr) ? 0x20
							     : 0,
			    (a->valid_until ? 0 : 0x80) |
				(a->state == NS_ADDR_TENTATIVE	     ? 0x40
				    : a->state == NS_ADDR_DEPRECATED ? 0x20
								     : 0),
			    info.name);
		}
	}
	return 0;
}

/* --- routes and neighbours --- */

enum { RTF_UP = 1, RTF_GATEWAY = 2, RTF_HOST = 4, RTF_REJECT = 0x200 };

static const char *if_name(uint32_t i, struct ns_if_info *info)
{
	return ns_if_get(inet.ns, i, info) ? "*" : info->name;
}

static int show_route(struct seqbuf *s)
{
	struct ns_if_info info;
	struct ns_route r;

	for (unsigned i = 0; ns_route_get(inet.ns, i, &r); i++) {
		if (r.v6 || (r.ifindex == NS_LOOPBACK_IF && r.origin == NS_ORIGIN_KERNEL))
			continue; /* the loopback's is in the table of local addresses */
		bool gw = !ns_addr_is_any(&r.gateway);
		uint32_t mask = r.plen ? __builtin_bswap32(~0u << (32 - r.plen)) : 0;
		seq_printf(s, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%u\t%u\t%u\n",
		    if_name(r.ifindex, &info), r.plen ? r.dst.w[3] : 0, gw ? r.gateway.w[3] : 0,
		    RTF_UP | (gw ? RTF_GATEWAY : 0) | (r.plen == 32 ? RTF_HOST : 0) |
			(r.reject ? RTF_REJECT : 0),
		    0, 0, r.metric, mask, r.mtu, 0, 0);
	}
	return 0;
}

static int show_ipv6_route(struct seqbuf *s)
{
	struct ns_if_info info;
	struct ns_addr none = {0};
	struct ns_route r;

	for (unsigned i = 0; ns_route_get(inet.ns, i, &r); i++) {
		if (!r.v6)
			continue;
		bool gw = !ns_addr_is_any(&r.gateway);
		put_hex(s, &r.dst);
		seq_printf(s, " %02x ", r.plen);
		put_hex(s, &none);
		seq_puts(s, " 00 ");
		put_hex(s, gw ? &r.gateway : &none);
		seq_printf(s, " %08x %08x %08x %08x %8s\n",
		    r.metric			   ? r.metric
		    : r.origin == NS_ORIGIN_KERNEL ? 256
						   : 1024,
		    1, 0,
		    RTF_UP | (gw ? RTF_GATEWAY : 0) | (r.plen == 128 ? RTF_HOST : 0) |
			(r.reject ? RTF_REJECT : 0),
		    if_name(r.ifindex, &info));
	}
	return 0;
}

static int show_arp(struct seqbuf *s)
{
	struct ns_if_info info;
	struct ns_neigh_info n;
	bool more = true;
	char text[46];

	for (unsigned i = 0; more; i++) {
		if (!ns_neigh_get(inet.ns, i, &n, &more) || !ns_addr_is_v4(&n.addr))
			continue;
		bool known = n.state != NS_NEIGH_INCOMPLETE && n.state != NS_NEIGH_FAILED;
		seq_printf(s,
		    "%-16s 0x1         0x%x         %02x:%02x:%02x:%02x:%02x:%02x     *        "
		    "%s\n",
		    ns_addr_format(&n.addr, text),
		    n.state == NS_NEIGH_PERMANENT ? 6
		    : known			  ? 2
						  : 0,
		    n.mac[0], n.mac[1], n.mac[2], n.mac[3], n.mac[4], n.mac[5],
		    if_name(n.ifindex, &info));
	}
	return 0;
}

/* --- counters: a heading and a line of numbers for each protocol --- */

struct counter {
	const char *name;
	int64_t value;
};

static void put_counters(struct seqbuf *s, const char *what, const struct counter *c, unsigned n)
{
	seq_printf(s, "%s:", what);
	for (unsigned i = 0; i < n; i++)
		seq_printf(s, " %s", c[i].name);
	seq_printf(s, "\n%s:", what);
	for (unsigned i = 0; i < n; i++)
		seq_printf(s, " %ld", c[i].value);
	seq_putc(s, '\n');
}
#define PUT_COUNTERS(s, what, table) put_counters(s, what, table, ARRAY_SIZE(table))

static int show_snmp(struct seqbuf *s)
{
	struct ns_counters c;
	struct usage u = {0};

	ns_counters_get(inet.ns, &c);
	tcp_sockets(count_socket, &u);
	const struct counter ip[] = {{"Forwarding", 2}, {"DefaultTTL", 64},
	    {"InReceives", (int64_t)(c.ip_in + c.tcp_in)},
	    {"InHdrErrors", (int64_t)c.ip_in_hdr_err}, {"InAddrErrors", (int64_t)c.ip_in_addr_err},
	    {"ForwDatagrams", 0}, {"InUnknownProtos", (int64_t)c.ip_in_unknown_proto},
	    {"InDiscards", 0}, {"InDelivers", (int64_t)(c.ip_in + c.tcp_in)},
	    {"OutRequests", (int64_t)c.ip_out}, {"OutDiscards", 0},
	    {"OutNoRoutes", (int64_t)c.ip_out_no_route}, {"ReasmTimeout", 0},
	    {"ReasmReqds", (int64_t)c.ip_reasm_in}, {"ReasmOKs", (int64_t)c.ip_reasm_ok},
	    {"ReasmFails", (int64_t)c.ip_reasm_fail}, {"FragOKs", 0}, {"FragFails", 0},
	    {"FragCreates", (int64_t)c.ip_frag_created}};
	const struct counter icmp[] = {{"InMsgs", (int64_t)c.icmp_in},
	    {"InErrors", (int64_t)c.icmp_in_err}, {"InCsumErrors", 0},
	    {"OutMsgs", (int64_t)c.icmp_out}, {"OutErrors", 0},
	    {"OutRateLimitHost", (int64_t)c.icmp_ratelimited}};
	const struct counter tcp[] = {{"RtoAlgorithm", 1}, {"RtoMin", 200}, {"RtoMax", 120000},
	    {"MaxConn", -1}, {"ActiveOpens", (int64_t)c.tcp_active},
	    {"PassiveOpens", (int64_t)c.tcp_passive}, {"AttemptFails", 0}, {"EstabResets", 0},
	    {"CurrEstab", u.established}, {"InSegs", (int64_t)c.tcp_in},
	    {"OutSegs", (int64_t)c.tcp_out}, {"RetransSegs", (int64_t)c.tcp_retrans},
	    {"InErrs", (int64_t)c.tcp_in_err}, {"OutRsts", (int64_t)c.tcp_rst_out},
	    {"InCsumErrors", 0}};
	const struct counter udp[] = {{"InDatagrams", (int64_t)c.udp_in},
	    {"NoPorts", (int64_t)c.udp_no_port}, {"InErrors", (int64_t)c.udp_in_err},
	    {"OutDatagrams", (int64_t)c.udp_out}, {"RcvbufErrors", 0}, {"SndbufErrors", 0},
	    {"InCsumErrors", 0}, {"IgnoredMulti", 0}, {"MemErrors", 0}};
	PUT_COUNTERS(s, "Ip", ip);
	PUT_COUNTERS(s, "Icmp", icmp);
	PUT_COUNTERS(s, "Tcp", tcp);
	PUT_COUNTERS(s, "Udp", udp);
	return 0;
}

static int show_netstat(struct seqbuf *s)
{
	struct ns_counters c;

	ns_counters_get(inet.ns, &c);
	const struct counter ext[] = {{"SyncookiesSent", (int64_t)c.syn_cookies_sent},
	    {"SyncookiesRecv", (int64_t)c.syn_cookies_ok},
	    {"SyncookiesFailed", (int64_t)c.syn_cookies_bad},
	    {"ListenOverflows", (int64_t)c.syn_queue_full}, {"ListenDrops", (int64_t)c.syn_dropped},
	    {"PAWSEstab", (int64_t)c.tcp_paws_drop}, {"TCPOFOQueue", (int64_t)c.tcp_ooo},
	    {"TCPChallengeACK", (int64_t)c.tcp_challenge_ack},
	    {"OutOfWindowIcmps", (int64_t)c.tcp_icmp_ignored}};
	const struct counter ip[] = {{"InNoRoutes", 0}, {"InTruncatedPkts", 0}};
	PUT_COUNTERS(s, "TcpExt", ext);
	PUT_COUNTERS(s, "IpExt", ip);
	return 0;
}

void inet_proc_init(void)
{
	static const struct {
		enum proc_net_file which;
		int (*show)(struct seqbuf *s);
	} files[] = {{PROC_NET_TCP, show_tcp}, {PROC_NET_TCP6, show_tcp6}, {PROC_NET_UDP, show_udp},
	    {PROC_NET_UDP6, show_udp6}, {PROC_NET_SOCKSTAT, show_sockstat},
	    {PROC_NET_SOCKSTAT6, show_sockstat6}, {PROC_NET_DEV, show_dev},
	    {PROC_NET_IF_INET6, show_if_inet6}, {PROC_NET_ROUTE, show_route},
	    {PROC_NET_IPV6_ROUTE, show_ipv6_route}, {PROC_NET_ARP, show_arp},
	    {PROC_NET_RAW, show_raw}, {PROC_NET_RAW6, show_raw6}, {PROC_NET_ICMP, show_icmp},
	    {PROC_NET_ICMP6, show_icmp6}, {PROC_NET_SNMP, show_snmp},
	    {PROC_NET_NETSTAT, show_netstat}};

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		proc_net_register(files[i].which, files[i].show);
}
