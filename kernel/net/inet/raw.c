/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw sockets (any IP protocol but TCP and UDP is received; ICMP and unknown ones) and ping sockets
 * (SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6: echo requests under an identifier of their own).
 * The list of them belongs to inet.lock.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "core/random.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet/dgram.h"
#include "net/inet/sockets.h"
#include "net/packet/packet.h"
#include "proc/program.h"

#define SOL_RAW 255
enum { ICMP_FILTER = 1, ICMPV6_FILTER = 1 };
enum { ECHO_REPLY4 = 0, ECHO4 = 8, ECHO6 = 128, ECHO_REPLY6 = 129 };

struct raw_socket {
	struct dgram d;
	struct list link;
	bool ping, v6, hdrincl;
	struct ns_addr local, remote; /* unspecified: any */
	bool connected;
	uint16_t ident;		  /* ping: network byte order; 0 none yet */
	uint32_t icmp_filter;	  /* bit set: type not wanted (types 0 to 31) */
	uint32_t icmp6_filter[8]; /* bit set: type not wanted */
	int checksum_at;	  /* IPV6_CHECKSUM, -1: none */
	struct bpf_filter *filter;
};

static struct list sockets = LIST_INIT(sockets);

/* --- arrival; under inet.lock --- */

static bool type_wanted(const struct raw_socket *r, uint8_t type)
{
	if (r->v6)
		return r->d.s->protocol != IPPROTO_ICMPV6 ||
		       !(r->icmp6_filter[type >> 5] & 1u << (type & 31));
	return r->d.s->protocol != IPPROTO_ICMP || type >= 32 || !(r->icmp_filter & 1u << type);
}

static bool matches(const struct raw_socket *r, const struct ns_flow *f, const uint8_t *l4)
{
	if (r->v6 != f->v6 || r->d.s->protocol != f->proto ||
	    (r->d.o.bound_if && r->d.o.bound_if != f->ifindex) ||
	    (!ns_addr_is_any(&r->local) && !ns_addr_eq(&r->local, &f->local)) ||
	    (r->connected && !ns_addr_eq(&r->remote, &f->remote)))
		return false;
	if (r->ping)
		return l4[0] == (r->v6 ? ECHO_REPLY6 : ECHO_REPLY4) && r->ident &&
		       !memcmp(l4 + 4, &r->ident, 2);
	return type_wanted(r, l4[0]);
}

static bool read_linear(const struct bpf_packet *p, uint32_t off, void *to, uint32_t n)
{
	const struct ns_pkt *pkt = p->data;

	return off <= pkt->tot_len && n <= pkt->tot_len - off &&
	       ns_pkt_copy_out(pkt, off, to, n) == n;
}

static bool filter_passes(const struct raw_socket *r, struct ns_pkt *p)
{
	struct bpf_packet b = {.read = read_linear, .data = p, .len = p->tot_len};

	if (!r->filter)
		return true;
	uint32_t keep = bpf_run(r->filter->prog, &b);
	if (keep && keep < p->tot_len)
		ns_pkt_trim(p, keep);
	return keep;
}

static void deliver(struct raw_socket *r, const struct ns_flow *f, const struct ns_pkt *pkt)
{
	/* IPv4's raw sockets see the IP header. */
	uint32_t from =
	    (uint32_t)(pkt->head - pkt->data) + (r->v6 || r->ping ? pkt->l4_off : pkt->l3_off);
	uint32_t n = pkt->tot_len - from;
	struct ns_pkt *copy = inet_pkt_alloc(NULL, n, 0);

	if (!copy)
		return;
	ns_pkt_copy_out(pkt, from, ns_pkt_append(copy, n), n);
	copy->ttl = pkt->ttl;
	copy->tos = pkt->tos;
	if (filter_passes(r, copy))
		dgram_push(&r->d, f, copy);
	else
		ns_pkt_put(copy);
}

bool raw_input(void *ctx, const struct ns_flow *f, struct ns_pkt *pkt)
{
	const uint8_t *l4 = pkt->head + pkt->l4_off;
	uint32_t off = (uint32_t)(l4 - pkt->data);
	uint8_t head[8] = {0};
	struct raw_socket *r;
	bool wanted = false;

	(void)ctx;
	if (list_empty(&sockets) || off > pkt->tot_len)
		return false;
	ns_pkt_copy_out(pkt, off, head, MIN(pkt->tot_len - off, 8u));
	list_for_each_entry (r, &sockets, link)
		if (matches(r, f, head)) {
			wanted = true;
			deliver(r, f, pkt);
		}
	return wanted;
}

void raw_error(void *ctx, const struct ns_flow *f, const struct ns_icmp_error *err)
{
	struct raw_socket *r;
	struct ns_flow of = *f;

	(void)ctx;
	of.rport = 0;
	list_for_each_entry (r, &sockets, link) {
		if (r->v6 != f->v6 || r->d.s->protocol != f->proto ||
		    (!ns_addr_is_any(&r->local) && !ns_addr_eq(&r->local, &f->local)) ||
		    (r->connected && !ns_addr_eq(&r->remote, &f->remote)) ||
		    (r->ping &&
			(err->quote_len < 8 || !r->ident || memcmp(err->quote + 4, &r->ident, 2))))
			continue;
		dgram_error(&r->d, &of, err, 0, r->connected);
	}
}

/* --- names --- */

/* Under inet.lock: a free identifier, or this one. */
static int take_ident(struct raw_socket *r, uint16_t ident)
{
	for (unsigned tries = 0; tries < 65536; tries++) {
		uint16_t want = ident ? ident : (uint16_t)(random_u64() | 1);
		struct raw_socket *o;
		bool used = false;
		list_for_each_entry (o, &sockets, link)
			used |= o != r && o->ping && o->v6 == r->v6 && o->ident == want;
		if (!used) {
			r->ident = want;
			return 0;
		}
		if (ident)
			break;
	}
	return -EADDRINUSE;
}

static int raw_bind(struct socket *s, const struct address *a, unsigned len)
{
	struct raw_socket *r = s->private;
	struct ns_addr addr;
	uint16_t port;
	uint32_t ifindex;
	int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);

	if (err)
		return err;
	if (!ns_addr_is_any(&addr) && !options_foreign(&r->d.o) && !ns_addr_is_multicast(&addr) &&
	    !ns_addr_is_local(inet.ns, &addr, 0))
		return -EADDRNOTAVAIL;
	inet_lock();
	if (r->ping)
		err = r->ident ? -EINVAL : take_ident(r, __builtin_bswap16(port));
	if (!err)
		r->local = ns_addr_is_any(&addr) ? (struct ns_addr){0} : addr;
	inet_unlock();
	return err;
}

static int raw_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct raw_socket *r = s->private;
	struct ns_addr addr;
	struct ns_dst dst;
	uint16_t port;
	uint32_t ifindex;

	(void)nonblock;
	if (len >= sizeof(uint16_t) && a->family == AF_UNSPEC) {
		inet_lock();
		r->connected = false;
		memset(&r->local, 0, sizeof r->local);
		inet_unlock();
		return 0;
	}
	int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);
	if (err)
		return err;
	err = ns_route_lookup(inet.ns, &addr, ns_addr_is_any(&r->local) ? NULL : &r->local,
	    options_interface(&r->d.o) ? options_interface(&r->d.o) : ifindex, &dst);
	if (err)
		return err;
	inet_lock();
	if (r->ping && !r->ident)
		err = take_ident(r, 0);
	if (!err) {
		r->remote = addr;
		r->connected = true;
		if (ns_addr_is_any(&r->local) && !ns_addr_is_multicast(&addr))
			r->local = dst.src;
	}
	inet_unlock();
	return err;
}

static int raw_name(struct socket *s, struct address *a, bool peer)
{
	struct raw_socket *r = s->private;

	if (peer)
		return r->connected ? sockaddr_fill(a, s->family, &r->remote, 0, 0) : -ENOTCONN;
	return sockaddr_fill(a, s->family, &r->local,
	    r->ping ? __builtin_bswap16(r->ident) : (uint16_t)s->protocol, 0);
}

/* --- sending --- */

static void put_checksum(struct ns_pkt *p, uint32_t at, uint32_t sum)
{
	uint16_t v = 0;

	memcpy(p->data + at, &v, 2);
	v = ns_csum_fold(ns_csum_add(sum, p->data, p->tot_len));
	memcpy(p->data + at, &v, 2);
}

static uint32_t pseudo_sum(
    const struct ns_dst *dst, const struct ns_addr *to, int proto, uint32_t n)
{
	uint8_t tail[8] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0,
	    0, 0, (uint8_t)proto};
	uint32_t sum = ns_csum_add(0, tail, sizeof tail);

	sum = ns_csum_add(sum, dst->src.b, 16);
	return ns_csum_add(sum, to->b, 16);
}

/* The program wrote the IP header; what it left out is filled in. */
static int send_with_header(struct ns_pkt *p, const struct ns_dst *dst)
{
	uint8_t *h = p->data;
	uint32_t n = p->tot_len, hlen = n ? (h[0] & 15u) * 4 : 0;
	int err = n < 20 || h[0] >> 4 != 4 || hlen < 20 || hlen > n ? -EINVAL
		  : n > dst->mtu				    ? -EMSGSIZE
								    : 0;

	if (err) {
		ns_pkt_put(p);
		return err;
	}
	h[2] = (uint8_t)(n >> 8);
	h[3] = (uint8_t)n;
	if (!h[4] && !h[5])
		random_bytes(h + 4, 2);
	if (!(h[12] | h[13] | h[14] | h[15]))
		memcpy(h + 12, &dst->src.b[12], 4);
	h[10] = h[11] = 0;
	uint16_t sum = ns_csum_fold(ns_csum_add(0, h, hlen));
	memcpy(h + 10, &sum, 2);
	ns_output(inet.ns, dst, p);
	return 0;
}

/* A ping socket sends echo requests, with its own identifier. */
static int finish_echo(struct raw_socket *r, struct ns_pkt *p)
{
	if (p->tot_len < 8 || p->data[0] != (r->v6 ? ECHO6 : ECHO4) || p->data[1])
		return -EINVAL;
	memcpy(p->data + 4, &r->ident, 2);
	if (!r->v6)
		put_checksum(p, 2, 0);
	return 0;
}

static int route_to(struct raw_socket *r, const struct ns_addr *to, const struct dgram_send *how,
    struct ns_dst *dst)
{
	const struct ns_addr *src = how->have_src		 ? &how->src
				    : !ns_addr_is_any(&r->local) ? &r->local
								 : NULL;
	uint32_t ifindex = how->ifindex;

	if (!ifindex && ns_addr_is_multicast(to))
		ifindex = r->d.mcast_if;
	int err = ns_route_lookup(inet.ns, to, src, ifindex, dst);
	return !err && dst->broadcast && !r->d.s->broadcast ? -EACCES : err;
}

static int send_packet(
    struct raw_socket *r, struct ns_pkt *p, const struct ns_addr *to, const struct dgram_send *how)
{
	int proto = r->d.s->protocol, err;
	struct ns_dst dst;

	err = route_to(r, to, how, &dst);
	if (!err && r->ping)
		err = finish_echo(r, p);
	int at = proto == IPPROTO_ICMPV6 && r->v6 ? 2 : r->checksum_at;
	if (!err && at >= 0) {
		if ((uint32_t)at + 2 > p->tot_len)
			err = -EINVAL;
		else
			put_checksum(p, (uint32_t)at, pseudo_sum(&dst, to, proto, p->tot_len));
	}
	if (err) {
		ns_pkt_put(p);
		return err;
	}
	if (r->hdrincl)
		return send_with_header(p, &dst);
	uint8_t ttl = ns_addr_is_multicast(to) ? (r->d.mcast_ttl ? r->d.mcast_ttl : 1) : how->ttl;
	return ns_ip_send(inet.ns, &dst, &dst.src, to, (uint8_t)proto, ttl, how->tos,
	    dgram_dont_fragment(&r->d, r->v6), p);
}

static long raw_send(struct socket *s, struct message *m)
{
	struct raw_socket *r = s->private;
	size_t n = m->data.count;
	struct dgram_send how;
	struct ns_addr to = r->remote;
	uint16_t port;
	uint32_t ifindex = 0;
	int err = atomic_exchange(&s->error, 0);

	if (err)
		return -err;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (n > 65535)
		return -EMSGSIZE;
	if (m->name)
		err = sockaddr_parse(m->name, m->name_len, s->family, &to, &port, &ifindex);
	else if (!r->connected)
		err = -EDESTADDRREQ;
	if (!err)
		err = dgram_control(&r->d, m, &how);
	if (err)
		return err;
	if (ns_addr_is_v4(&to) == r->v6)
		return -ENETUNREACH; /* no IPv4 under IPv6 raw sockets */
	if (ifindex)
		how.ifindex = ifindex;
	if (r->ping && !r->ident) {
		inet_lock();
		err = take_ident(r, 0);
		inet_unlock();
		if (err)
			return err;
	}
	struct ns_pkt *p = inet_pkt_alloc(NULL, NS_HEADROOM + (uint32_t)n, 0);
	if (!p)
		return -ENOBUFS;
	p->data += NS_HEADROOM;
	if (iter_from(&m->data, ns_pkt_append(p, (uint32_t)n), n) != n) {
		ns_pkt_put(p);
		return -EFAULT;
	}
	err = send_packet(r, p, &to, &how);
	receive_loopback();
	return err ? err : (long)n;
}

static long raw_receive(struct socket *s, struct message *m)
{
	struct raw_socket *r = s->private;
	long n = dgram_receive(&r->d, m);

	if (n >= 0 && m->name && m->name_len && !(m->flags & MSG_ERRQUEUE)) /* no ports here */
		memset((char *)m->name + 2, 0, 2);
	return n;
}

static int raw_shutdown(struct socket *s, int how)
{
	struct raw_socket *r = s->private;

	return dgram_shutdown(&r->d, how, r->connected);
}

static unsigned raw_poll(struct socket *s)
{
	return dgram_poll(&((struct raw_socket *)s->private)->d);
}

static struct poll_head *raw_poll_head(struct socket *s)
{
	return &((struct raw_socket *)s->private)->d.poll;
}

/* --- options --- */

static int set_filter(struct raw_socket *r, int name, const void *value, unsigned len)
{
	struct bpf_filter *f = NULL, *old;

	if (name == SO_DETACH_FILTER && !r->filter)
		return -ENOENT;
	if (name == SO_ATTACH_FILTER) {
		f = bpf_filter_new(value, len);
		if (is_err(f))
			return (int)ptr_err(f);
	}
	inet_lock();
	old = r->filter;
	r->filter = f;
	inet_unlock();
	kfree(old);
	return 0;
}

static int raw_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct raw_socket *r = s->private;
	int v;

	if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER))
		return set_filter(r, name, value, len);
	if (level == SOL_IP && name == IP_HDRINCL && !r->ping && !r->v6) {
		if (option_in(value, len, &v))
			return -EINVAL;
		r->hdrincl = v;
		return 0;
	}
	if (level == SOL_RAW && name == ICMP_FILTER && s->protocol == IPPROTO_ICMP && !r->ping) {
		if (len < sizeof r->icmp_filter)
			return -EINVAL;
		memcpy(&r->icmp_filter, value, sizeof r->icmp_filter);
		return 0;
	}
	if (level == IPPROTO_ICMPV6 && name == ICMPV6_FILTER && s->protocol == IPPROTO_ICMPV6) {
		memcpy(r->icmp6_filter, value, MIN(len, (unsigned)sizeof r->icmp6_filter));
		return 0;
	}
	if ((level == SOL_RAW || level == SOL_IPV6) && name == IPV6_CHECKSUM && r->v6 && !r->ping) {
		if (option_in(value, len, &v) || (v > 0 && v & 1))
			return -EINVAL;
		if (s->protocol == IPPROTO_ICMPV6 && v != 2)
			return -EINVAL;
		r->checksum_at = v < 0 ? -1 : v;
		return 0;
	}
	return dgram_set_option(&r->d, level, name, value, len);
}

static int raw_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct raw_socket *r = s->private;

	if (level == SOL_IP && name == IP_HDRINCL && !r->v6)
		return option_out(value, len, r->hdrincl);
	if (level == SOL_RAW && name == ICMP_FILTER && s->protocol == IPPROTO_ICMP) {
		*len = MIN(*len, (unsigned)sizeof r->icmp_filter);
		memcpy(value, &r->icmp_filter, *len);
		return 0;
	}
	if ((level == SOL_RAW || level == SOL_IPV6) && name == IPV6_CHECKSUM && r->v6)
		return option_out(value, len, r->checksum_at);
	return dgram_get_option(&r->d, level, name, value, len);
}

static long raw_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	return dgram_ioctl(&((struct raw_socket *)s->private)->d, cmd, arg);
}

static void raw_release(struct socket *s)
{
	struct raw_socket *r = s->private;

	inet_lock();
	list_remove(&r->link);
	inet_unlock();
	dgram_destroy(&r->d);
	kfree(r->filter);
	kfree(r);
}

static const struct socket_ops raw_socket_ops = {
    .bind = raw_bind,
    .connect = raw_connect,
    .name = raw_name,
    .send = raw_send,
    .receive = raw_receive,
    .shutdown = raw_shutdown,
    .poll = raw_poll,
    .poll_head = raw_poll_head,
    .set_option = raw_set_option,
    .get_option = raw_get_option,
    .ioctl = raw_ioctl,
    .release = raw_release,
};

void raw_sockets(socket_view_fn *fn, void *arg, bool ping)
{
	struct raw_socket *r;

	inet_lock();
	list_for_each_entry (r, &sockets, link) {
		const struct file *f = r->d.s->file;
		struct socket_view v = {.family = r->d.s->family,
		    .proto = (uint8_t)r->d.s->protocol,
		    .state = r->connected ? NS_TCP_ESTABLISHED : NS_TCP_CLOSED,
		    .local = r->local,
		    .remote = r->remote,
		    .lport = ping ? __builtin_bswap16(r->ident) : (uint16_t)r->d.s->protocol,
		    .rqueue = (uint32_t)r->d.queued,
		    .uid = f ? f->inode->uid : 0,
		    .ino = f ? f->inode->ino : 0,
		    .drops = (uint32_t)r->d.dropped,
		    .cookie = (uint64_t)r};
		if (r->ping == ping && !fn(&v, arg))
			break;
	}
	inet_unlock();
}

int raw_socket_create(struct socket *s)
{
	if (s->type == SOCK_RAW && !capable(CAP_NET_RAW))
		return -EPERM;
	struct raw_socket *r = kzalloc(sizeof *r);
	if (!r)
		return -ENOMEM;
	dgram_init(&r->d, s);
	r->ping = s->type == SOCK_DGRAM;
	r->v6 = s->family == AF_INET6;
	r->hdrincl = !r->v6 && s->protocol == IPPROTO_RAW;
	r->checksum_at = -1;
	s->ops = &raw_socket_ops;
	s->private = r;
	inet_lock();
	list_append(&sockets, &r->link);
	inet_unlock();
	return 0;
}
