/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP sockets. Sending needs no lock but the socket's own where data is corked; received datagrams
 * come from the slow path (inet.lock held) and wait in the queue of struct dgram.
 */
#include <asm/errno.h>
#include <linux/eventpoll.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/udp.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet/dgram.h"
#include "net/inet/sockets.h"
#include "proc/program.h"

#define UDP_MAX4 65507
#define UDP_MAX6 65527
#define SEGMENTS_MAX 128 /* of one UDP_SEGMENT send */

struct udp_socket {
	struct ns_udp udp; /* inet.lock for what receives */
	struct dgram d;
	bool v6only, no_check, no_check6_tx, gro, zerocopy;
	uint16_t segment;
	uint32_t zerocopies; /* sends with MSG_ZEROCOPY so far */
	/* Corked data; send_lock. */
	struct mutex send_lock;
	bool cork;
	char *corked;
	size_t ncorked;
	struct ns_addr cork_to;
	uint16_t cork_port; /* 0: the connected peer */
};

static void on_recv(struct ns_udp *udp, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	dgram_push(&container_of(udp, struct udp_socket, udp)->d, flow, pkt);
}

static void on_error(struct ns_udp *udp, const struct ns_flow *flow, const struct ns_icmp_error *e)
{
	dgram_error(&container_of(udp, struct udp_socket, udp)->d, flow, e, 8, udp->rport != 0);
}

/* --- names --- */

static void prepare_bind(struct udp_socket *u)
{
	const struct socket *s = u->d.s;
	struct ns_bind *b = &u->udp.bind;

	b->flags = (s->reuse_address ? NS_BIND_REUSEADDR : 0) |
		   (s->reuse_port ? NS_BIND_REUSEPORT : 0) | (u->v6only ? NS_BIND_V6ONLY : 0) |
		   (options_foreign(&u->d.o) ? NS_BIND_FOREIGN : 0);
	b->v6 = s->family == AF_INET6;
	b->owner = current_program() ? current_program()->cred.euid : 0;
	b->ifindex = u->d.o.bound_if;
}

static int udp_bind(struct socket *s, const struct address *a, unsigned len)
{
	struct udp_socket *u = s->private;
	struct ns_addr addr;
	uint16_t port;
	uint32_t ifindex;
	int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);

	if (err)
		return err;
	if (s->family == AF_INET6 && u->v6only && ns_addr_is_v4(&addr))
		return -EINVAL;
	inet_lock();
	if (u->udp.bind.bound) {
		err = -EINVAL;
	} else {
		prepare_bind(u);
		u->udp.bind.addr = addr;
		if (ns_addr_is_linklocal(&addr) && ifindex)
			u->udp.bind.ifindex = ifindex;
		err = ns_udp_bind(inet.ns, &u->udp, port);
	}
	inet_unlock();
	return err;
}

static int bind_any(struct udp_socket *u)
{
	int err = 0;

	inet_lock();
	if (!u->udp.bind.bound) {
		prepare_bind(u);
		err = ns_udp_bind(inet.ns, &u->udp, 0);
	}
	inet_unlock();
	return err == -EADDRINUSE ? -EAGAIN : err;
}

static int udp_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct udp_socket *u = s->private;
	struct ns_addr addr = {0};
	uint16_t port = 0;
	uint32_t ifindex;
	bool dissolve = len >= sizeof(uint16_t) && a->family == AF_UNSPEC;

	(void)nonblock;
	if (!dissolve) {
		int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);
		if (err)
			return err;
		if (u->v6only && ns_addr_is_v4(&addr))
			return -ENETUNREACH;
		if (ns_addr_is_any(&addr))
			addr = ns_addr_is_v4(&addr) ? ns_ip4(127, 0, 0, 1)
						    : (struct ns_addr){.b[15] = 1};
	}
	inet_lock();
	if (!u->udp.bind.bound)
		prepare_bind(u);
	u->udp.broadcast = s->broadcast;
	int err = ns_udp_connect(inet.ns, &u->udp, dissolve ? NULL : &addr, port);
	inet_unlock();
	return err;
}

static int udp_name(struct socket *s, struct address *a, bool peer)
{
	struct udp_socket *u = s->private;

	if (peer)
		return u->udp.rport ? sockaddr_fill(a, s->family, &u->udp.remote, u->udp.rport, 0)
				    : -ENOTCONN;
	return sockaddr_fill(
	    a, s->family, &u->udp.bind.addr, u->udp.bind.port, u->udp.bind.ifindex);
}

/* --- sending --- */

struct target {
	struct ns_addr addr;
	uint16_t port; /* 0: the connected peer */
	struct dgram_send how;
};

/* One datagram of n bytes from the iterator, or of `data`. */
static int send_one(
    struct udp_socket *u, const struct target *t, struct iter *from, const char *data, size_t n)
{
	const struct dgram *d = &u->d;
	const struct ns_addr *to = t->port ? &t->addr : &u->udp.remote;
	bool v4 = ns_addr_is_v4(to);
	struct ns_udp as = u->udp; /* the engine only reads it */
	struct ns_pkt *p = inet_pkt_alloc(NULL, NS_HEADROOM + (uint32_t)n, 0);

	if (!p)
		return -ENOBUFS;
	p->data += NS_HEADROOM;
	char *room = (char *)ns_pkt_append(p, (uint32_t)n);
	if (data)
		memcpy(room, data, n);
	else if (iter_from(from, room, n) != n) {
		ns_pkt_put(p);
		return -EFAULT;
	}
	as.ttl = t->how.ttl;
	as.tos = t->how.tos;
	as.mcast_ttl = d->mcast_ttl;
	as.mcast_if = d->mcast_if;
	as.mcast_noloop = d->mcast_noloop;
	as.broadcast = d->s->broadcast;
	as.no_check = v4 && u->no_check;
	as.dont_fragment = dgram_dont_fragment(d, !v4);
	int err = ns_udp_send(inet.ns, &as, t->port ? &t->addr : NULL, t->port,
	    t->how.have_src ? &t->how.src : NULL, t->how.ifindex, p);
	if (err == -EMSGSIZE) {
		struct ns_dst dst;
		uint32_t mtu =
		    ns_route_lookup(inet.ns, to, NULL, t->how.ifindex, &dst) ? 0 : dst.mtu;
		dgram_local_error(&u->d, err, to, t->port ? t->port : u->udp.rport, mtu);
	}
	return err;
}

/* UDP_SEGMENT: many datagrams of the same size from one call. */
static long send_segments(struct udp_socket *u, const struct target *t, struct message *m)
{
	size_t total = m->data.count, segment = t->how.segment;

	if (total > segment * SEGMENTS_MAX)
		return -EINVAL;
	for (size_t done = 0; done < total;) {
		size_t n = MIN(segment, total - done);
		int err = send_one(u, t, &m->data, NULL, n);
		if (err)
			return done ? (long)done : err;
		done += n;
	}
	return (long)total;
}

/* With send_lock: what was corked goes out as one datagram. */
static int uncork(struct udp_socket *u, const struct dgram_send *how)
{
	struct target t = {.addr = u->cork_to, .port = u->cork_port, .how = *how};
	int err = u->corked ? send_one(u, &t, NULL, u->corked, u->ncorked) : 0;

	kfree(u->corked);
	u->corked = NULL;
	u->ncorked = 0;
	return err;
}

static long send_corked(struct udp_socket *u, const struct target *t, struct message *m, bool more)
{
	size_t n = m->data.count;
	long r;

	mutex_lock(&u->send_lock);
	char *bigger = u->ncorked + n > UDP_MAX4 ? NULL : krealloc(u->corked, u->ncorked + n + 1);
	if (!bigger) {
		r = u->ncorked + n > UDP_MAX4 ? -EMSGSIZE : -ENOBUFS;
	} else {
		if (!u->corked) { /* the first part says where to */
			u->cork_to = t->addr;
			u->cork_port = t->port;
		}
		u->corked = bigger;
		if (iter_from(&m->data, bigger + u->ncorked, n) != n) {
			r = -EFAULT;
		} else {
			u->ncorked += n;
			r = more ? 0 : uncork(u, &t->how);
			r = r ? r : (long)n;
		}
	}
	mutex_unlock(&u->send_lock);
	return r;
}

static int choose_target(struct udp_socket *u, struct message *m, struct target *t)
{
	struct socket *s = u->d.s;
	uint32_t ifindex = 0;
	int err;

	*t = (struct target){.port = 0};
	if (m->name) {
		err = sockaddr_parse(m->name, m->name_len, s->family, &t->addr, &t->port, &ifindex);
		if (err)
			return err;
		if (!t->port)
			return -EINVAL;
		if (u->v6only && ns_addr_is_v4(&t->addr))
			return -ENETUNREACH;
		if (ns_addr_is_any(&t->addr)) /* as Linux: this host */
			t->addr = ns_addr_is_v4(&t->addr) ? ns_ip4(127, 0, 0, 1)
							  : (struct ns_addr){.b[15] = 1};
	} else if (!u->udp.rport) {
		return -EDESTADDRREQ;
	}
	err = dgram_control(&u->d, m, &t->how);
	if (ifindex)
		t->how.ifindex = ifindex;
	if (!t->how.segment)
		t->how.segment = u->segment;
	return err;
}

static long udp_send(struct socket *s, struct message *m)
{
	struct udp_socket *u = s->private;
	size_t n = m->data.count;
	struct target t;
	int err = atomic_exchange(&s->error, 0);

	if (err)
		return -err;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (u->d.shut_write)
		return -EPIPE;
	if (n > (s->family == AF_INET ? UDP_MAX4 : UDP_MAX6))
		return -EMSGSIZE;
	if ((err = choose_target(u, m, &t)))
		return err;
	if (!u->udp.bind.bound && (err = bind_any(u)))
		return err;
	long r;
	bool more = m->flags & MSG_MORE || u->cork;
	if (more || u->corked)
		r = send_corked(u, &t, m, more);
	else if (t.how.segment && n > t.how.segment)
		r = send_segments(u, &t, m);
	else
		r = (err = send_one(u, &t, &m->data, NULL, n)) ? err : (long)n;
	if (r >= 0 && m->flags & MSG_ZEROCOPY && u->zerocopy) /* copied: done already */
		error_queue_zerocopy(
		    &u->d.errors, __atomic_fetch_add(&u->zerocopies, 1, __ATOMIC_RELAXED), true);
	receive_loopback();
	return r;
}

static long udp_receive(struct socket *s, struct message *m)
{
	return dgram_receive(&((struct udp_socket *)s->private)->d, m);
}

static int udp_shutdown(struct socket *s, int how)
{
	struct udp_socket *u = s->private;

	return dgram_shutdown(&u->d, how, u->udp.rport != 0);
}

static unsigned udp_poll(struct socket *s)
{
	return dgram_poll(&((struct udp_socket *)s->private)->d);
}

static struct poll_head *udp_poll_head(struct socket *s)
{
	return &((struct udp_socket *)s->private)->d.poll;
}

/* --- options --- */

static int set_udp(struct udp_socket *u, int name, int v)
{
	int err = 0;

	switch (name) {
	case UDP_CORK:
		mutex_lock(&u->send_lock);
		u->cork = v;
		if (!v) {
			struct dgram_send how = {.ttl = u->d.ttl,
			    .tos = u->d.tos,
			    .ifindex = options_interface(&u->d.o)};
			err = uncork(u, &how);
		}
		mutex_unlock(&u->send_lock);
		receive_loopback();
		return err;
	case UDP_SEGMENT:
		if (v < 0 || v > UINT16_MAX)
			return -EINVAL;
		u->segment = (uint16_t)v;
		return 0;
	case UDP_GRO: /* permission to join datagrams; none are joined so far */
		u->gro = v;
		return 0;
	case UDP_NO_CHECK6_TX: /* a wish; checksums are always sent over IPv6 */
	case UDP_NO_CHECK6_RX:
		return v ? -ENOPROTOOPT : 0;
	}
	return -ENOPROTOOPT;
}

static int udp_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct udp_socket *u = s->private;
	int v, err;

	if (level == SOL_UDP)
		return (err = option_in(value, len, &v)) ? err : set_udp(u, name, v);
	if (level == SOL_SOCKET && (name == SO_NO_CHECK || name == SO_ZEROCOPY)) {
		if (len < sizeof v)
			return -EINVAL;
		memcpy(&v, value, sizeof v);
		if (name == SO_ZEROCOPY && (v < 0 || v > 1))
			return -EINVAL;
		*(name == SO_NO_CHECK ? &u->no_check : &u->zerocopy) = v;
		return 0;
	}
	if (level == SOL_IPV6 && name == IPV6_V6ONLY && s->family == AF_INET6) {
		if ((err = option_in(value, len, &v)))
			return err;
		if (u->udp.bind.bound)
			return -EINVAL;
		u->v6only = v;
		return 0;
	}
	err = dgram_set_option(&u->d, level, name, value, len);
	if (!err && level == SOL_SOCKET && (name == SO_BINDTODEVICE || name == SO_BINDTOIFINDEX)) {
		inet_lock();
		u->udp.bind.ifindex = u->d.o.bound_if;
		inet_unlock();
	}
	return err;
}

/* IP_MTU and IPV6_MTU of a connected socket. */
static int path_mtu(struct udp_socket *u, void *value, unsigned *len)
{
	struct ns_dst dst;

	if (!u->udp.rport || ns_route_lookup(inet.ns, &u->udp.remote, NULL, 0, &dst))
		return -ENOTCONN;
	return option_out(value, len, (int)dst.mtu);
}

static int udp_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct udp_socket *u = s->private;

	if (level == SOL_UDP) {
		switch (name) {
		case UDP_CORK:
			return option_out(value, len, u->cork);
		case UDP_SEGMENT:
			return option_out(value, len, u->segment);
		case UDP_GRO:
			return option_out(value, len, u->gro);
		case UDP_NO_CHECK6_TX:
		case UDP_NO_CHECK6_RX:
			return option_out(value, len, 0);
		}
		return -ENOPROTOOPT;
	}
	if (level == SOL_SOCKET && name == SO_NO_CHECK)
		return option_out(value, len, u->no_check);
	if (level == SOL_SOCKET && name == SO_ZEROCOPY)
		return option_out(value, len, u->zerocopy);
	if (level == SOL_IPV6 && name == IPV6_V6ONLY && s->family == AF_INET6)
		return option_out(value, len, u->v6only);
	if ((level == SOL_IP && name == IP_MTU) || (level == SOL_IPV6 && name == IPV6_MTU))
		return path_mtu(u, value, len);
	return dgram_get_option(&u->d, level, name, value, len);
}

static long udp_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	return dgram_ioctl(&((struct udp_socket *)s->private)->d, cmd, arg);
}

static void udp_release(struct socket *s)
{
	struct udp_socket *u = s->private;

	inet_lock();
	ns_udp_close(inet.ns, &u->udp);
	inet_unlock();
	dgram_destroy(&u->d);
	kfree(u->corked);
	kfree(u);
}

static const struct socket_ops udp_socket_ops = {
    .bind = udp_bind,
    .connect = udp_connect,
    .name = udp_name,
    .send = udp_send,
    .receive = udp_receive,
    .shutdown = udp_shutdown,
    .poll = udp_poll,
    .poll_head = udp_poll_head,
    .set_option = udp_set_option,
    .get_option = udp_get_option,
    .ioctl = udp_ioctl,
    .release = udp_release,
};

bool udp_view(struct ns_udp *udp, struct socket_view *v)
{
	if (udp->on_recv != on_recv)
		return false;
	struct udp_socket *u = container_of(udp, struct udp_socket, udp);
	const struct file *f = u->d.s->file;
	v->family = u->d.s->family;
	v->rqueue = (uint32_t)u->d.queued;
	v->uid = f ? f->inode->uid : 0;
	v->ino = f ? f->inode->ino : 0;
	v->drops = (uint32_t)u->d.dropped;
	return true;
}

int udp_socket_create(struct socket *s)
{
	struct udp_socket *u = kzalloc(sizeof *u);

	if (!u)
		return -ENOMEM;
	dgram_init(&u->d, s);
	u->udp.on_recv = on_recv;
	u->udp.on_error = on_error;
	s->ops = &udp_socket_ops;
	s->private = u;
	return 0;
}
