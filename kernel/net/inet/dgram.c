/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of received datagrams and their errors. */
#include "net/inet/dgram.h"
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include "lib/string.h"
#include "mm/uaccess.h"
#include "sys/syscall.h"

#ifndef IPV6_PMTUDISC_DO
#define IPV6_PMTUDISC_DO 2
#endif

void dgram_init(struct dgram *d, struct socket *s)
{
	d->s = s;
	inet_options_init(&d->o);
	ns_pktq_init(&d->queue);
	waitq_init(&d->wait);
	poll_head_init(&d->poll);
	error_queue_init(&d->errors);
}

void dgram_destroy(struct dgram *d)
{
	struct ns_pkt *p;

	inet_lock();
	for (unsigned i = 0; i < DGRAM_GROUPS; i++)
		if (d->groups[i].ifindex)
			ns_mcast_leave(inet.ns, d->groups[i].ifindex, &d->groups[i].group);
	inet_unlock();
	while ((p = ns_pktq_pop(&d->queue)))
		ns_pkt_put(p);
	error_queue_destroy(&d->errors);
	poll_head_destroy(&d->poll);
}

/* --- arrival --- */

/* What a queued packet must remember besides its bytes, in fields it has no other use for. */
static void remember(struct ns_pkt *p, const struct ns_flow *f)
{
	p->next_hop = f->remote;
	memcpy(p->user, &f->local, sizeof f->local);
	p->seq = f->rport;
	p->end_seq = f->lport;
	p->ifindex = f->ifindex;
}

static bool wants_group(const struct dgram *d, const struct ns_flow *f)
{
	if (!ns_addr_is_multicast(&f->local) ||
	    (ns_addr_is_v4(&f->local) ? d->o.mcast_all : d->o.mcast_all6))
		return true;
	for (unsigned i = 0; i < DGRAM_GROUPS; i++)
		if (d->groups[i].ifindex && ns_addr_eq(&d->groups[i].group, &f->local) &&
		    (d->groups[i].ifindex == f->ifindex || f->ifindex == NS_LOOPBACK_IF))
			return true;
	return false;
}

void dgram_push(struct dgram *d, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	if (d->s->timestamp)
		pkt->stamp_ns = (uint64_t)time_wall();
	mutex_lock(&d->lock);
	if (!wants_group(d, flow) || d->shut_read ||
	    d->queued + pkt->block > (size_t)d->s->receive_buffer ||
	    (d->queued > NS_LOW_BUFFER && inet_memory_low())) {
		d->dropped++;
		mutex_unlock(&d->lock);
		ns_pkt_put(pkt);
		return;
	}
	remember(pkt, flow);
	d->queued += pkt->block;
	ns_pktq_push(&d->queue, pkt);
	waitq_wake(&d->wait, 1);
	mutex_unlock(&d->lock);
	poll_notify(&d->poll, EPOLLIN | EPOLLRDNORM);
}

static void report(struct dgram *d, int error)
{
	mutex_lock(&d->lock);
	if (error)
		atomic_store(&d->s->error, error);
	waitq_wake_all(&d->wait);
	mutex_unlock(&d->lock);
	poll_notify(&d->poll, EPOLLERR | EPOLLIN);
}

/* Without IP_RECVERR only connected sockets hear of hard errors, as on Linux. */
void dgram_error(struct dgram *d, const struct ns_flow *flow, const struct ns_icmp_error *err,
    uint32_t header, bool connected)
{
	bool wanted = flow->v6 ? d->o.recverr6 : d->o.recverr;
	bool hard = err->kind == NS_ICMP_PORT_UNREACH || err->kind == NS_ICMP_PROTO_UNREACH;
	struct error_report r;

	if (wanted) {
		error_report_icmp(&r, flow, err, header);
		error_queue_put(&d->errors, &r);
		report(d, err->err);
	} else if (connected && hard) {
		report(d, err->err);
	}
}

void dgram_local_error(
    struct dgram *d, int err, const struct ns_addr *dest, uint16_t port, uint32_t info)
{
	struct error_report r = {
	    .e = {.ee_errno = (uint32_t)-err, .ee_origin = SO_EE_ORIGIN_LOCAL, .ee_info = info},
	    .dest = *dest,
	    .port = port};

	if (ns_addr_is_v4(dest) ? d->o.recverr : d->o.recverr6) {
		error_queue_put(&d->errors, &r);
		poll_notify(&d->poll, EPOLLERR);
	}
}

/* --- receiving --- */

static void put_int(struct message *m, int level, int type, int v)
{
	message_put_control(m, level, type, &v, sizeof v);
}

static void put_info4(struct dgram *d, struct message *m, const struct ns_pkt *p)
{
	struct ns_addr local;

	memcpy(&local, p->user, sizeof local);
	if (d->o.pktinfo) {
		struct in_pktinfo i = {.ipi_ifindex = (int)p->ifindex};
		struct ns_dst dst;
		memcpy(&i.ipi_addr, &local.b[12], 4);
		i.ipi_spec_dst = i.ipi_addr;
		if ((ns_addr_is_multicast(&local) || !ns_addr_is_local(inet.ns, &local, 0)) &&
		    !ns_route_lookup(inet.ns, &p->next_hop, NULL, 0, &dst))
			memcpy(&i.ipi_spec_dst, &dst.src.b[12], 4);
		message_put_control(m, SOL_IP, IP_PKTINFO, &i, sizeof i);
	}
	const uint8_t *h = p->head + p->l3_off;
	if ((d->o.recv_opts || d->o.ret_opts) && p->l3_off && h < p->data && (*h & 15) > 5)
		message_put_control(m, SOL_IP, d->o.recv_opts ? IP_RECVOPTS : IP_RETOPTS, h + 20,
		    ((*h & 15u) - 5) * 4);
	if (d->o.recv_ttl)
		put_int(m, SOL_IP, IP_TTL, p->ttl);
	if (d->o.recv_tos)
		message_put_control(m, SOL_IP, IP_TOS, &p->tos, 1);
	if (d->o.recv_origdst) {
		struct address a = {0};
		int n = sockaddr_fill(&a, AF_INET, &local, (uint16_t)p->end_seq, 0);
		message_put_control(m, SOL_IP, IP_ORIGDSTADDR, &a, (size_t)n);
	}
}

static void put_info6(struct dgram *d, struct message *m, const struct ns_pkt *p)
{
	struct ns_addr local;

	memcpy(&local, p->user, sizeof local);
	if (d->o.pktinfo6) {
		struct in6_pktinfo i = {.ipi6_ifindex = (int)p->ifindex};
		memcpy(&i.ipi6_addr, &local, 16);
		message_put_control(m, SOL_IPV6, IPV6_PKTINFO, &i, sizeof i);
	}
	if (d->o.recv_hops)
		put_int(m, SOL_IPV6, IPV6_HOPLIMIT, p->ttl);
	if (d->o.recv_tclass)
		put_int(m, SOL_IPV6, IPV6_TCLASS, p->tos);
	if (d->o.recv_origdst6) {
		struct address a = {0};
		int n = sockaddr_fill(&a, AF_INET6, &local, (uint16_t)p->end_seq, p->ifindex);
		message_put_control(m, SOL_IPV6, IPV6_ORIGDSTADDR, &a, (size_t)n);
	}
}

static void put_control(struct dgram *d, struct message *m, const struct ns_pkt *p)
{
	bool v4 = ns_addr_is_v4(&p->next_hop);

	if (p->stamp_ns)
		socket_put_stamp(d->s, m, (int64_t)p->stamp_ns);
	if (d->count_drops && d->dropped)
		put_int(m, SOL_SOCKET, SO_RXQ_OVFL, (int)d->dropped);
	if (d->s->family == AF_INET6)
		put_info6(d, m, p);
	if (v4)
		put_info4(d, m, p);
}

/* Waits for a datagram; d->lock held. 0, -errno, or 1: nothing will come. */
static long wait_datagram(struct dgram *d, int64_t deadline)
{
	while (!d->queue.head) {
		int e = atomic_exchange(&d->s->error, 0);
		if (e)
			return -e;
		if (d->shut_read)
			return 1;
		if (!deadline)
			return -EAGAIN;
		int err = waitq_wait(&d->wait, &d->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -ETIMEDOUT       ? -EAGAIN
			       : d->s->receive_timeout ? -EINTR
						       : -ERESTARTSYS;
	}
	return 0;
}

/* Linear part and fragments alike. */
static bool copy_out(struct message *m, const struct ns_pkt *p, size_t n)
{
	size_t part = MIN(n, (size_t)p->len);

	if (iter_to(&m->data, p->data, part) != part)
		return false;
	n -= part;
	for (unsigned i = 0; n && i < p->nfrags; i++) {
		part = MIN(n, (size_t)p->frags[i].len);
		if (iter_to(&m->data, p->frags[i].data, part) != part)
			return false;
		n -= part;
	}
	return !n;
}

long dgram_receive(struct dgram *d, struct message *m)
{
	int64_t deadline = socket_deadline(d->s->receive_timeout, m->flags & MSG_DONTWAIT);
	struct ns_pkt *p;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->flags & MSG_ERRQUEUE)
		return error_queue_receive(&d->errors, d->s, m);
	mutex_lock(&d->lock);
	long r = wait_datagram(d, deadline);
	if (r) {
		mutex_unlock(&d->lock);
		return r == 1 ? 0 : r;
	}
	if (m->flags & MSG_PEEK) {
		p = ns_pkt_get(d->queue.head);
	} else {
		p = ns_pktq_pop(&d->queue);
		d->queued -= p->block;
	}
	mutex_unlock(&d->lock);
	size_t n = MIN(m->data.count, (size_t)p->tot_len);
	if (!copy_out(m, p, n)) {
		ns_pkt_put(p);
		return -EFAULT;
	}
	if (m->name)
		m->name_len = (unsigned)sockaddr_fill(
		    m->name, d->s->family, &p->next_hop, (uint16_t)p->seq, p->ifindex);
	put_control(d, m, p);
	if (p->tot_len > n)
		m->out_flags |= MSG_TRUNC;
	r = m->flags & MSG_TRUNC ? (long)p->tot_len : (long)n;
	ns_pkt_put(p);
	return r;
}

unsigned dgram_poll(const struct dgram *d)
{
	unsigned m = EPOLLOUT | EPOLLWRNORM;

	if (d->queue.head || d->shut_read)
		m |= EPOLLIN | EPOLLRDNORM;
	if (d->shut_read)
		m |= EPOLLRDHUP;
	if (atomic_load(&d->s->error) || !error_queue_empty(&d->errors))
		m |= EPOLLERR;
	if (d->shut_read && d->shut_write)
		m |= EPOLLHUP;
	return m;
}

int dgram_shutdown(struct dgram *d, int how, bool connected)
{
	mutex_lock(&d->lock);
	if (how != SHUT_WR)
		d->shut_read = true;
	if (how != SHUT_RD)
		d->shut_write = true;
	waitq_wake_all(&d->wait);
	mutex_unlock(&d->lock);
	poll_notify(&d->poll, EPOLLIN | EPOLLHUP);
	return connected ? 0 : -ENOTCONN; /* Linux shuts it and says so nevertheless */
}

long dgram_ioctl(struct dgram *d, unsigned cmd, unsigned long arg)
{
	int v = 0;

	switch (cmd) {
	case SIOCINQ:
		mutex_lock(&d->lock);
		v = d->queue.head ? (int)d->queue.head->tot_len : 0;
		mutex_unlock(&d->lock);
		return put_user(v, (int __user *)arg);
	case SIOCOUTQ: /* sent as soon as send() returns */
		return put_user(v, (int __user *)arg);
	}
	return -ENOTTY;
}

/* --- control messages of what is sent --- */

static bool control_int(const struct cmsg_header *h, int *v)
{
	if (h->len < sizeof *h + sizeof *v)
		return false;
	memcpy(v, control_data(h), sizeof *v);
	return true;
}

static int control_pktinfo(const struct cmsg_header *h, struct dgram_send *o)
{
	struct in_pktinfo i;

	if (h->len < sizeof *h + sizeof i)
		return -EINVAL;
	memcpy(&i, control_data(h), sizeof i);
	if (i.ipi_ifindex)
		o->ifindex = (uint32_t)i.ipi_ifindex;
	o->src = ns_addr_v4(&i.ipi_spec_dst);
	o->have_src = i.ipi_spec_dst.s_addr != 0;
	return 0;
}

static int control_pktinfo6(const struct cmsg_header *h, struct dgram_send *o)
{
	struct in6_pktinfo i;

	if (h->len < sizeof *h + sizeof i)
		return -EINVAL;
	memcpy(&i, control_data(h), sizeof i);
	if (i.ipi6_ifindex)
		o->ifindex = (uint32_t)i.ipi6_ifindex;
	o->src = ns_addr_v6(&i.ipi6_addr);
	o->have_src = !ns_addr_is_any(&o->src);
	return 0;
}

static int one_control(const struct cmsg_header *h, struct dgram_send *o)
{
	int v;

	if (h->level == SOL_IP && h->type == IP_PKTINFO)
		return control_pktinfo(h, o);
	if (h->level == SOL_IPV6 && h->type == IPV6_PKTINFO)
		return control_pktinfo6(h, o);
	if (h->level == SOL_UDP && h->type == UDP_SEGMENT) {
		if (h->len < sizeof *h + sizeof o->segment)
			return -EINVAL;
		memcpy(&o->segment, control_data(h), sizeof o->segment);
		return 0;
	}
	if (h->level == SOL_IP && h->type == IP_TOS && h->len == sizeof *h + 1) {
		o->tos = *(const uint8_t *)control_data(h);
		return 0;
	}
	if (!control_int(h, &v))
		return -EINVAL;
	if ((h->level == SOL_IP && h->type == IP_TTL) ||
	    (h->level == SOL_IPV6 && h->type == IPV6_HOPLIMIT)) {
		if (v < (h->level == SOL_IP ? 1 : -1) || v > 255)
			return -EINVAL;
		o->ttl = v < 0 ? 0 : (uint8_t)v;
		return 0;
	}
	if ((h->level == SOL_IP && h->type == IP_TOS) ||
	    (h->level == SOL_IPV6 && h->type == IPV6_TCLASS)) {
		if (v < -1 || v > 255)
			return -EINVAL;
		o->tos = v < 0 ? 0 : (uint8_t)v;
		return 0;
	}
	return -EINVAL;
}

int dgram_control(const struct dgram *d, const struct message *m, struct dgram_send *out)
{
	const struct cmsg_header *h = NULL;

	*out =
	    (struct dgram_send){.ttl = d->ttl, .tos = d->tos, .ifindex = options_interface(&d->o)};
	while ((h = message_next_control(m, h))) {
		if (h->level == SOL_SOCKET) /* credentials and descriptors mean nothing here */
			continue;
		int err = one_control(h, out);
		if (err)
			return err;
	}
	return 0;
}

bool dgram_dont_fragment(const struct dgram *d, bool v6)
{
	uint8_t v = v6 ? d->o.mtu_discover6 : d->o.mtu_discover;

	return v == IP_PMTUDISC_DO || v == IP_PMTUDISC_PROBE || (v6 && d->o.dontfrag6);
}
