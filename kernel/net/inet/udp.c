/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagram sockets. Sending takes the socket's own lock only. Received datagrams come from the slow
 * path (inet.lock held) and wait in a bounded queue.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "net/inet/inet.h"
#include "net/inet/options.h"
#include "net/inet/sockets.h"
#include "sys/syscall.h"

#define UDP_MAX 65507

struct udp_socket {
	struct ns_udp udp; /* inet.lock for what receives, lock for sending */
	struct socket *s;
	struct mutex lock; /* the queue */
	struct ns_pktq queue;
	size_t queued; /* bytes of memory */
	struct waitq wait;
	struct poll_head poll;
	struct ns_pkt *corked;
	uint32_t bound_if;
	bool v6only, shut_read, shut_write, pktinfo, pktinfo6, recv_ttl, recv_tos;
	uint64_t dropped;
};

/* What a queued packet must remember besides its bytes, in pkt->user. */
static void remember(struct ns_pkt *p, const struct ns_flow *f)
{
	p->next_hop = f->remote; /* a received packet has no use for it */
	p->user[0] = (uint64_t)f->rport << 32 | f->ifindex;
}

static void on_recv(struct ns_udp *udp, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	struct udp_socket *u = container_of(udp, struct udp_socket, udp);

	mutex_lock(&u->lock);
	if (u->shut_read || u->queued + pkt->block > (size_t)u->s->receive_buffer) {
		u->dropped++;
		mutex_unlock(&u->lock);
		ns_pkt_put(pkt);
		return;
	}
	remember(pkt, flow);
	memcpy(pkt->user + 1, &flow->local.b[8], 8);
	u->queued += pkt->block;
	ns_pktq_push(&u->queue, pkt);
	waitq_wake(&u->wait, 1);
	mutex_unlock(&u->lock);
	poll_notify(&u->poll, EPOLLIN | EPOLLRDNORM);
}

static void on_error(struct ns_udp *udp, const struct ns_flow *flow, const struct ns_icmp_error *e)
{
	struct udp_socket *u = container_of(udp, struct udp_socket, udp);

	(void)flow;
	if (!udp->rport) /* unconnected sockets hear nothing, as on Linux without IP_RECVERR */
		return;
	mutex_lock(&u->lock);
	atomic_store(&u->s->error, e->err);
	waitq_wake_all(&u->wait);
	mutex_unlock(&u->lock);
	poll_notify(&u->poll, EPOLLERR | EPOLLIN);
}

static void prepare_bind(struct udp_socket *u)
{
	struct ns_bind *b = &u->udp.bind;

	b->flags = (u->s->reuse_address ? NS_BIND_REUSEADDR : 0) |
		   (u->s->reuse_port ? NS_BIND_REUSEPORT : 0) | (u->v6only ? NS_BIND_V6ONLY : 0);
	b->v6 = u->s->family == AF_INET6;
	if (u->bound_if)
		b->ifindex = u->bound_if;
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
	return err;
}

static int udp_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct udp_socket *u = s->private;
	struct ns_addr addr = {0};
	uint16_t port = 0;
	uint32_t ifindex;
	int err = 0;

	(void)nonblock;
	bool dissolve = len >= sizeof(uint16_t) && a->family == AF_UNSPEC;
	if (!dissolve) {
		err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);
		if (err)
			return err;
		if (ns_addr_is_any(&addr))
			addr = ns_addr_is_v4(&addr) ? ns_ip4(127, 0, 0, 1)
						    : (struct ns_addr){.b[15] = 1};
	}
	inet_lock();
	if (!u->udp.bind.bound)
		prepare_bind(u);
	err = ns_udp_connect(inet.ns, &u->udp, dissolve ? NULL : &addr, port);
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

static int copy_message(struct message *m, struct ns_pkt *p)
{
	size_t n = m->data.count;

	return iter_from(&m->data, ns_pkt_append(p, (uint32_t)n), n) == n ? 0 : -EFAULT;
}

/* IP_PKTINFO and IPV6_PKTINFO of a message to send. */
static void sender_of(const struct message *m, struct ns_addr *src, uint32_t *ifindex, bool *have)
{
	const struct cmsg_header *h = NULL;

	*have = false;
	while ((h = message_next_control(m, h))) {
		if (h->level == SOL_IP && h->type == IP_PKTINFO) {
			struct in_pktinfo i;
			memcpy(&i, control_data(h), sizeof i);
			*ifindex = (uint32_t)i.ipi_ifindex;
			*src = ns_addr_v4(&i.ipi_spec_dst);
			*have = i.ipi_spec_dst.s_addr != 0;
		} else if (h->level == SOL_IPV6 && h->type == IPV6_PKTINFO) {
			struct in6_pktinfo i;
			memcpy(&i, control_data(h), sizeof i);
			*ifindex = (uint32_t)i.ipi6_ifindex;
			*src = ns_addr_v6(&i.ipi6_addr);
			*have = !ns_addr_is_any(src);
		}
	}
}

static long udp_send(struct socket *s, struct message *m)
{
	struct udp_socket *u = s->private;
	struct ns_addr to, src;
	uint16_t port = 0;
	uint32_t ifindex = 0;
	size_t n = m->data.count;
	bool have_src;
	int err = atomic_exchange(&s->error, 0);

	if (err)
		return -err;
	if (u->shut_write)
		return -EPIPE;
	if (n > UDP_MAX)
		return -EMSGSIZE;
	if (m->name &&
	    (err = sockaddr_parse(m->name, m->name_len, s->family, &to, &port, &ifindex)))
		return err;
	if (!m->name && !u->udp.rport)
		return -EDESTADDRREQ;
	if (!u->udp.bind.bound && (err = bind_any(u)))
		return err;
	struct ns_pkt *p = inet_pkt_alloc(NULL, NS_HEADROOM + (uint32_t)n, 0);
	if (!p)
		return -ENOBUFS;
	p->data += NS_HEADROOM;
	if (copy_message(m, p)) {
		ns_pkt_put(p);
		return -EFAULT;
	}
	u->udp.broadcast = s->broadcast;
	sender_of(m, &src, &ifindex, &have_src);
	err = ns_udp_send(
	    inet.ns, &u->udp, m->name ? &to : NULL, port, have_src ? &src : NULL, ifindex, p);
	receive_loopback();
	return err ? err : (long)n;
}

static void put_packet_info(struct udp_socket *u, struct message *m, const struct ns_pkt *p)
{
	uint32_t ifindex = (uint32_t)p->user[0];

	if (u->pktinfo) {
		struct in_pktinfo i = {.ipi_ifindex = (int)ifindex};
		memcpy(&i.ipi_addr, (const char *)&p->user[1] + 4, 4);
		i.ipi_spec_dst = i.ipi_addr;
		message_put_control(m, SOL_IP, IP_PKTINFO, &i, sizeof i);
	}
	if (u->recv_ttl) {
		int ttl = p->ttl;
		message_put_control(m, SOL_IP, IP_TTL, &ttl, sizeof ttl);
	}
	if (u->recv_tos)
		message_put_control(m, SOL_IP, IP_TOS, &p->tos, 1);
}

/* Waits for a datagram; u->lock held. 0 or -errno. */
static long wait_datagram(struct udp_socket *u, int64_t deadline, int64_t timeout)
{
	while (!u->queue.head) {
		int e = atomic_exchange(&u->s->error, 0);
		if (e)
			return -e;
		if (u->shut_read)
			return 1;
		if (!deadline)
			return -EAGAIN;
		int err = waitq_wait(&u->wait, &u->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -ETIMEDOUT ? -EAGAIN : timeout ? -EINTR : -ERESTARTSYS;
	}
	return 0;
}

static long udp_receive(struct socket *s, struct message *m)
{
	struct udp_socket *u = s->private;
	int64_t deadline = socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT);

	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	mutex_lock(&u->lock);
	long r = wait_datagram(u, deadline, s->receive_timeout);
	if (r) {
		mutex_unlock(&u->lock);
		return r == 1 ? 0 : r;
	}
	struct ns_pkt *p;
	if (m->flags & MSG_PEEK) {
		p = ns_pkt_get(u->queue.head);
	} else {
		p = ns_pktq_pop(&u->queue);
		u->queued -= p->block;
	}
	mutex_unlock(&u->lock);
	size_t n = MIN(m->data.count, (size_t)p->tot_len), done = 0;
	char part[512];
	while (done < n) { /* fragments and linear part alike */
		uint32_t k = p->nfrags ? (uint32_t)MIN(n - done, sizeof part) : (uint32_t)n;
		const void *from = part;
		if (p->nfrags)
			ns_pkt_copy_out(p, (uint32_t)done, part, k);
		else
			from = p->data;
		if (iter_to(&m->data, from, k) != k) {
			ns_pkt_put(p);
			return -EFAULT;
		}
		done += k;
	}
	if (m->name)
		m->name_len = (unsigned)sockaddr_fill(m->name, s->family, &p->next_hop,
		    (uint16_t)(p->user[0] >> 32), (uint32_t)p->user[0]);
	put_packet_info(u, m, p);
	if (p->tot_len > n)
		m->out_flags |= MSG_TRUNC;
	long result = m->flags & MSG_TRUNC ? (long)p->tot_len : (long)n;
	ns_pkt_put(p);
	return result;
}

static int udp_shutdown(struct socket *s, int how)
{
	struct udp_socket *u = s->private;

	if (!u->udp.rport)
		return -ENOTCONN;
	mutex_lock(&u->lock);
	if (how != SHUT_WR)
		u->shut_read = true;
	if (how != SHUT_RD)
		u->shut_write = true;
	waitq_wake_all(&u->wait);
	mutex_unlock(&u->lock);
	poll_notify(&u->poll, EPOLLIN | EPOLLHUP);
	return 0;
}

static unsigned udp_poll(struct socket *s)
{
	struct udp_socket *u = s->private;
	unsigned m = EPOLLOUT | EPOLLWRNORM;

	if (u->queue.head || u->shut_read)
		m |= EPOLLIN | EPOLLRDNORM;
	if (atomic_load(&s->error))
		m |= EPOLLERR | EPOLLIN;
	if (u->shut_read && u->shut_write)
		m |= EPOLLHUP;
	return m;
}

static struct poll_head *udp_poll_head(struct socket *s)
{
	return &((struct udp_socket *)s->private)->poll;
}

static int set_membership(struct udp_socket *u, int name, const void *value, unsigned len)
{
	struct ip_mreqn r = {0};
	struct ns_addr group;
	int err;

	if (len < sizeof(struct ip_mreq))
		return -EINVAL;
	memcpy(&r, value, MIN(len, (unsigned)sizeof r));
	group = ns_addr_v4(&r.imr_multiaddr);
	uint32_t ifindex = len >= sizeof r ? (uint32_t)r.imr_ifindex : 0;
	struct ns_dst dst;
	if (!ifindex && !ns_route_lookup(inet.ns, &group, NULL, 0, &dst))
		ifindex = dst.ifindex;
	if (!ifindex)
		return -ENODEV;
	(void)u;
	inet_lock();
	err = name == IP_ADD_MEMBERSHIP ? ns_mcast_join(inet.ns, ifindex, &group)
					: ns_mcast_leave(inet.ns, ifindex, &group);
	inet_unlock();
	return err;
}

static int udp_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct udp_socket *u = s->private;
	int v = 0;

	if (level == SOL_SOCKET)
		return -ENOPROTOOPT;
	if (level == SOL_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP))
		return set_membership(u, name, value, len);
	if (len >= sizeof v)
		memcpy(&v, value, sizeof v);
	else if (len >= 1)
		v = *(const uint8_t *)value;
	else
		return -EINVAL;
	if (level == SOL_IP) {
		switch (name) {
		case IP_PKTINFO:
			u->pktinfo = v;
			return 0;
		case IP_RECVTTL:
			u->recv_ttl = v;
			return 0;
		case IP_RECVTOS:
			u->recv_tos = v;
			return 0;
		case IP_TTL:
			u->udp.ttl = (uint8_t)MAX(v, 0);
			return 0;
		case IP_TOS:
			u->udp.tos = (uint8_t)v;
			return 0;
		case IP_MULTICAST_TTL:
			u->udp.mcast_ttl = (uint8_t)v;
			return 0;
		case IP_MULTICAST_LOOP:
			u->udp.mcast_noloop = !v;
			return 0;
		case IP_MTU_DISCOVER:
			u->udp.dont_fragment = v == IP_PMTUDISC_DO || v == IP_PMTUDISC_PROBE;
			return 0;
		}
	}
	if (level == SOL_IPV6) {
		switch (name) {
		case IPV6_V6ONLY:
			if (u->udp.bind.bound)
				return -EINVAL;
			u->v6only = v;
			return 0;
		case IPV6_MULTICAST_LOOP:
			u->udp.mcast_noloop = !v;
			return 0;
		case IPV6_MULTICAST_HOPS:
			u->udp.mcast_ttl = (uint8_t)v;
			return 0;
		}
	}
	if (level == SOL_UDP)
		return -ENOPROTOOPT;
	return inet_set_option(s, level, name, v, &u->bound_if);
}

static int udp_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct udp_socket *u = s->private;

	if (level == SOL_IP && name == IP_PKTINFO)
		return option_out(value, len, u->pktinfo);
	if (level == SOL_IP && name == IP_TTL)
		return option_out(value, len, u->udp.ttl ? u->udp.ttl : 64);
	if (level == SOL_IP && name == IP_TOS)
		return option_out(value, len, u->udp.tos);
	if (level == SOL_IPV6 && name == IPV6_V6ONLY)
		return option_out(value, len, u->v6only);
	if (level == SOL_SOCKET)
		return -ENOPROTOOPT;
	return inet_get_option(s, level, name, value, len);
}

static long udp_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	struct udp_socket *u = s->private;
	int v = 0;

	if (cmd == SIOCINQ) {
		mutex_lock(&u->lock);
		v = u->queue.head ? (int)u->queue.head->tot_len : 0;
		mutex_unlock(&u->lock);
		return put_user(v, (int __user *)arg);
	}
	if (cmd == SIOCOUTQ)
		return put_user(v, (int __user *)arg);
	return -ENOTTY;
}

static void udp_release(struct socket *s)
{
	struct udp_socket *u = s->private;
	struct ns_pkt *p;

	inet_lock();
	ns_udp_close(inet.ns, &u->udp);
	inet_unlock();
	while ((p = ns_pktq_pop(&u->queue)))
		ns_pkt_put(p);
	poll_head_destroy(&u->poll);
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
	const struct file *f = u->s->file;
	v->family = u->s->family;
	v->rqueue = (uint32_t)u->queued;
	v->uid = f ? f->inode->uid : 0;
	v->ino = f ? f->inode->ino : 0;
	v->drops = (uint32_t)u->dropped;
	return true;
}

int udp_socket_create(struct socket *s)
{
	struct udp_socket *u = kzalloc(sizeof *u);

	if (!u)
		return -ENOMEM;
	u->s = s;
	u->udp.on_recv = on_recv;
	u->udp.on_error = on_error;
	ns_pktq_init(&u->queue);
	waitq_init(&u->wait);
	poll_head_init(&u->poll);
	s->ops = &udp_socket_ops;
	s->private = u;
	return 0;
}
