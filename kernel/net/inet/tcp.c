/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream sockets over connections. A socket is a connection from the start; listen() adds a
 * listener, and the connection then only holds the port and the options that accepted ones inherit.
 */
#include <asm/errno.h>
#include <linux/eventpoll.h>
#include <linux/in.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "net/inet/inet.h"
#include "net/inet/tcp_socket.h"
#include "net/inet/time_wait.h"
#include "proc/program.h"
#include "sys/syscall.h"

/* --- listeners --- */

static struct ns_tcp *new_connection(struct ns_tcp_listener *l, const struct ns_flow *flow)
{
	struct tcp_listener *tl = l->user;

	(void)flow;
	if (tl->queued >= tl->limit)
		return NULL;
	struct conn *c = conn_new();
	return c ? &c->tcp : NULL;
}

/* Under inet.lock: the connection enters the table and the queue; its first packet waits on its
 * channel. */
static void connection_accepted(struct ns_tcp_listener *l, struct ns_tcp *tcp, struct ns_pkt *first)
{
	struct tcp_listener *tl = l->user;
	struct conn *c = container_of(tcp, struct conn, tcp);

	conn_attach(c);
	if (conn_publish(c)) {
		ns_pkt_put(first);
		conn_put(c);
		return;
	}
	conn_push(c, first);
	mutex_lock(&tl->lock);
	list_append(&tl->queue, &c->accept_link);
	tl->queued++;
	waitq_wake(&tl->wait, 1);
	mutex_unlock(&tl->lock);
	poll_notify(&tl->poll, EPOLLIN | EPOLLRDNORM);
}

static int tcp_listen(struct socket *s, int backlog)
{
	struct tcp_socket *ts = s->private;
	struct tcp_listener *tl = ts->listener;
	int limit =
	    backlog < 0 || backlog > SOMAXCONN_DEFAULT ? SOMAXCONN_DEFAULT : MAX(backlog, 1);

	if (tl) {
		tl->limit = (unsigned)limit;
		return 0;
	}
	if (ns_tcp_get_state(&ts->c->tcp) != NS_TCP_CLOSED)
		return -EINVAL;
	tl = kzalloc(sizeof *tl);
	if (!tl)
		return -ENOMEM;
	waitq_init(&tl->wait);
	poll_head_init(&tl->poll);
	list_init(&tl->queue);
	tl->limit = (unsigned)limit;
	tl->l.alloc = new_connection;
	tl->l.accepted = connection_accepted;
	tl->l.user = tl;
	tl->s = s;
	tl->l.backlog = (unsigned)limit;
	tl->l.defer_accept_s = ts->defer_accept;
	tl->l.user_mss = (uint16_t)ts->max_segment;
	if (ts->fixed_rcvbuf)
		tl->l.rcvbuf = (uint32_t)s->receive_buffer;
	if (ts->fixed_sndbuf)
		tl->l.sndbuf = (uint32_t)s->send_buffer;
	inet_lock();
	struct ns_bind *b = &ts->c->tcp.bind;
	uint16_t port = b->bound ? b->port : 0;
	if (b->bound)
		ns_port_unbind(inet.ns, b);
	else
		tcp_prepare_bind(s, b);
	tl->l.bind = *b;
	tl->l.bind.next = NULL;
	tl->l.bind.pprev = NULL;
	tl->l.bind.bound = false;
	int err = ns_tcp_listen(inet.ns, &tl->l, port);
	inet_unlock();
	if (err) {
		kfree(tl);
		return err;
	}
	ts->listener = tl;
	s->listening = true;
	return 0;
}

static int tcp_accept(struct socket *s, struct socket *fresh, bool nonblock)
{
	struct tcp_socket *ts = s->private;
	struct tcp_listener *tl = ts->listener;
	int64_t deadline = socket_deadline(s->receive_timeout, nonblock);
	int err = 0;

	if (!tl)
		return -EINVAL;
	struct tcp_socket *fs = kzalloc(sizeof *fs);
	if (!fs)
		return -ENOMEM;
	mutex_lock(&tl->lock);
	while (list_empty(&tl->queue) && !err) {
		if (tl->closed)
			err = -EINVAL;
		else if (!deadline)
			err = -EAGAIN;
		else
			err = waitq_wait(&tl->wait, &tl->lock, deadline, WAIT_INTERRUPTIBLE);
	}
	if (!list_empty(&tl->queue)) {
		fs->c = list_first(&tl->queue, struct conn, accept_link);
		list_remove(&fs->c->accept_link);
		tl->queued--;
		err = 0;
	}
	mutex_unlock(&tl->lock);
	if (err) {
		kfree(fs);
		return err == -ETIMEDOUT ? -EAGAIN : err == -EINTR ? -ERESTARTSYS : err;
	}
	fresh->private = fs;
	fs->o = ts->o;
	fs->zerocopy = ts->zerocopy;
	error_queue_init(&fs->errors);
	fs->c->min_ttl = ts->o.min_ttl;
	fs->c->min_hops = ts->o.min_hops;
	fresh->linger = s->linger;
	fresh->linger_seconds = s->linger_seconds;
	fresh->keep_alive = s->keep_alive;
	conn_lock(fs->c);
	tcp_inherit(&ts->c->tcp, &fs->c->tcp);
	conn_unlock(fs->c);
	return 0;
}

static void close_listener(struct tcp_listener *tl)
{
	struct list left;

	list_init(&left);
	inet_lock();
	ns_tcp_unlisten(inet.ns, &tl->l, false);
	inet_unlock();
	mutex_lock(&tl->lock);
	tl->closed = true;
	list_splice(&left, &tl->queue);
	waitq_wake_all(&tl->wait);
	mutex_unlock(&tl->lock);
	while (!list_empty(&left)) {
		struct conn *c = list_first(&left, struct conn, accept_link);
		list_remove(&c->accept_link);
		conn_lock(c);
		conn_release(c, true);
	}
}

/* --- connecting --- */

void tcp_prepare_bind(struct socket *s, struct ns_bind *b)
{
	struct tcp_socket *ts = s->private;

	b->flags = (s->reuse_address ? NS_BIND_REUSEADDR : 0) |
		   (s->reuse_port ? NS_BIND_REUSEPORT : 0) | (ts->v6only ? NS_BIND_V6ONLY : 0) |
		   (options_foreign(&ts->o) ? NS_BIND_FOREIGN : 0);
	b->v6 = s->family == AF_INET6;
	b->owner = current_program() ? current_program()->cred.euid : 0;
	b->ifindex = ts->o.bound_if;
}

static int tcp_bind(struct socket *s, const struct address *a, unsigned len)
{
	struct tcp_socket *ts = s->private;
	struct ns_bind *b = &ts->c->tcp.bind;
	struct ns_addr addr;
	uint16_t port;
	uint32_t ifindex;
	int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);

	if (err)
		return err;
	if (s->family == AF_INET6 && ts->v6only && ns_addr_is_v4(&addr))
		return -EINVAL;
	if (b->bound || ts->address_only || ts->listener ||
	    ns_tcp_get_state(&ts->c->tcp) != NS_TCP_CLOSED)
		return -EINVAL;
	inet_lock();
	tcp_prepare_bind(s, b);
	b->addr = addr;
	if (!b->ifindex && ns_addr_is_linklocal(&addr))
		b->ifindex = ifindex;
	ts->address_only = !port && ts->o.bind_no_port;
	if (!ts->address_only)
		err = ns_port_bind(inet.ns, b, NS_PROTO_TCP, port);
	else if (!ns_addr_is_any(&addr) && !options_foreign(&ts->o) &&
		 !ns_addr_is_local(inet.ns, &addr, 0))
		err = -EADDRNOTAVAIL;
	inet_unlock();
	return err;
}

/* Fills in the flow and publishes it; by the owner. */
static int choose_flow(
    struct tcp_socket *ts, const struct ns_addr *addr, uint16_t port, uint32_t ifindex)
{
	struct ns_tcp *tcp = &ts->c->tcp;
	struct ns_dst dst;
	bool bound_addr = (tcp->bind.bound || ts->address_only) && !ns_addr_is_any(&tcp->bind.addr);
	int err = ns_route_lookup(inet.ns, addr, bound_addr ? &tcp->bind.addr : NULL,
	    options_interface(&ts->o) ? options_interface(&ts->o) : ifindex, &dst);

	if (err)
		return err;
	tcp->flow = (struct ns_flow){.local = bound_addr ? tcp->bind.addr : dst.src,
	    .remote = *addr,
	    .rport = port,
	    .proto = NS_PROTO_TCP,
	    .v6 = !ns_addr_is_v4(addr),
	    .ifindex = dst.ifindex};
	inet_lock();
	if (tcp->bind.bound)
		tcp->flow.lport = tcp->bind.port;
	else
		err = ns_port_ephemeral(inet.ns, &tcp->flow);
	if (!err) {
		time_wait_displace(&tcp->flow);
		err = conn_publish(ts->c);
	}
	inet_unlock();
	return err == -EADDRINUSE ? -EADDRNOTAVAIL : err;
}

static int finish_connect(struct socket *s, struct conn *c, bool nonblock)
{
	int64_t deadline = socket_deadline(s->send_timeout, nonblock);

	for (;;) {
		int e = ns_tcp_take_error(&c->tcp);
		if (e)
			return -e;
		enum ns_tcp_state state = ns_tcp_get_state(&c->tcp);
		if (state == NS_TCP_CLOSED)
			return -ECONNABORTED;
		if (state != NS_TCP_SYN_SENT && state != NS_TCP_SYN_RECV)
			return 0;
		if (!deadline)
			return -EINPROGRESS;
		int err = conn_wait(c, deadline);
		if (err == -EINTR)
			return -EINTR;
		if (err == -ETIMEDOUT)
			return -EINPROGRESS;
	}
}

/* connect() to AF_UNSPEC. */
static int tcp_disconnect(struct tcp_socket *ts)
{
	conn_lock(ts->c);
	conn_renew(ts->c);
	conn_unlock(ts->c);
	receive_loopback();
	poll_notify(&ts->c->poll, EPOLLHUP | EPOLLOUT);
	return 0;
}

static int tcp_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct tcp_socket *ts = s->private;
	struct conn *c = ts->c;
	struct ns_addr addr;
	uint16_t port;
	uint32_t ifindex;

	if (len >= sizeof(uint16_t) && a->family == AF_UNSPEC && !ts->listener)
		return tcp_disconnect(ts);
	int err = sockaddr_parse(a, len, s->family, &addr, &port, &ifindex);
	if (err)
		return err;
	if (ts->listener)
		return -EISCONN;
	if (s->family == AF_INET6 && ts->v6only && ns_addr_is_v4(&addr))
		return -ENETUNREACH;
	if (ns_addr_is_any(&addr)) /* as Linux: this host */
		addr = ns_addr_is_v4(&addr) ? ns_ip4(127, 0, 0, 1) : (struct ns_addr){.b[15] = 1};
	conn_lock(c);
	switch (ns_tcp_get_state(&c->tcp)) {
	case NS_TCP_CLOSED:
		break;
	case NS_TCP_SYN_SENT:
	case NS_TCP_SYN_RECV:
		err = nonblock ? -EALREADY : finish_connect(s, c, false);
		conn_unlock(c);
		return err == -EINPROGRESS ? -EALREADY : err;
	default:
		conn_unlock(c);
		return -EISCONN;
	}
	if (c->tcp.connected_once || c->in_table) {
		err = -ns_tcp_take_error(&c->tcp);
		if (err) { /* how the last attempt ended, not told yet */
			conn_unlock(c);
			return err;
		}
		conn_renew(c);
	}
	err = choose_flow(ts, &addr, port, ifindex);
	if (!err)
		err = ns_tcp_connect(&c->tcp);
	if (!err) {
		conn_unlock(c);
		receive_loopback();
		conn_lock(c);
		err = finish_connect(s, c, nonblock);
	}
	conn_unlock(c);
	receive_loopback();
	return err;
}

static int tcp_name(struct socket *s, struct address *a, bool peer)
{
	struct tcp_socket *ts = s->private;
	const struct ns_tcp *tcp = &ts->c->tcp;
	const struct ns_bind *b = ts->listener ? &ts->listener->l.bind : &tcp->bind;
	enum ns_tcp_state state = ns_tcp_get_state(tcp);

	if (peer) {
		if (state == NS_TCP_CLOSED || state == NS_TCP_SYN_SENT)
			return -ENOTCONN;
		return sockaddr_fill(
		    a, s->family, &tcp->flow.remote, tcp->flow.rport, tcp->flow.ifindex);
	}
	if (tcp->flow.lport)
		return sockaddr_fill(
		    a, s->family, &tcp->flow.local, tcp->flow.lport, tcp->flow.ifindex);
	return sockaddr_fill(a, s->family, &b->addr, b->port, b->ifindex);
}

/* --- data --- */

static int copy_in(void *arg, void *p, size_t n)
{
	return iter_from(arg, p, n) == n ? 0 : -EFAULT;
}

static int copy_out(void *arg, void *p, size_t n)
{
	return iter_to(arg, p, n) == n ? 0 : -EFAULT;
}

static long interrupted(const struct socket *s, int err, int64_t timeout)
{
	(void)s;
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	return timeout ? -EINTR : -ERESTARTSYS;
}

static long tcp_send(struct socket *s, struct message *m)
{
	struct tcp_socket *ts = s->private;
	struct conn *c = ts->c;
	int64_t deadline = socket_deadline(s->send_timeout, m->flags & MSG_DONTWAIT);
	int flags = (m->flags & MSG_OOB ? NS_MSG_OOB : 0) | (m->flags & MSG_MORE ? NS_MSG_MORE : 0);
	long done = 0, r = 0;

	if (ts->listener)
		return -EPIPE;
	conn_lock(c);
	do {
		r = ns_tcp_send_iter(&c->tcp, copy_in, &m->data, m->data.count, flags);
		if (r >= 0) {
			done += r;
			continue;
		}
		if (r == -ENOTCONN && (ns_tcp_get_state(&c->tcp) == NS_TCP_SYN_SENT))
			r = -EAGAIN;
		if (r != -EAGAIN || !deadline)
			break;
		int err = conn_wait(c, deadline);
		if (err) {
			r = interrupted(s, err, s->send_timeout);
			break;
		}
	} while (m->data.count);
	conn_unlock(c);
	receive_loopback();
	/* The data was copied, so the program has its memory back already. */
	if (done && m->flags & MSG_ZEROCOPY && ts->zerocopy) {
		error_queue_zerocopy(
		    &ts->errors, __atomic_fetch_add(&ts->zerocopies, 1, __ATOMIC_RELAXED), true);
		poll_notify(&c->poll, EPOLLERR);
	}
	return done ? done : r == -ENOTCONN ? -EPIPE : r;
}

/* Pages that a packet in the send queue refers to. */
struct page_hold {
	struct ns_ref ref;
	unsigned n;
	struct page *pages[NS_MAX_FRAGS];
};

static void release_pages(struct ns_ref *ref)
{
	struct page_hold *h = container_of(ref, struct page_hold, ref);

	for (unsigned i = 0; i < h->n; i++)
		page_put(h->pages[i]);
	kfree(h);
}

/* A packet whose bytes are these pages'. */
static struct ns_pkt *packet_of_pages(struct page **pages, unsigned n, size_t off, size_t len)
{
	struct page_hold *h = n <= NS_MAX_FRAGS ? kmalloc(sizeof *h) : NULL;
	struct ns_pkt *p = h ? inet_pkt_alloc(NULL, 0, n) : NULL;

	if (!p) {
		kfree(h);
		return NULL;
	}
	h->ref = (struct ns_ref){.count = 1, .release = release_pages};
	h->n = n;
	for (unsigned i = 0; i < n; i++) {
		uint32_t part = (uint32_t)MIN(PAGE_SIZE - off, len);
		h->pages[i] = pages[i];
		page_get(pages[i]);
		ns_ref_get(&h->ref);
		ns_pkt_add_frag(p, &h->ref, (uint8_t *)page_virt(pages[i]) + off, part);
		len -= part;
		off = 0;
	}
	ns_ref_put(&h->ref); /* the fragments hold it now */
	return p;
}

static long tcp_send_pages(
    struct socket *s, struct page **pages, unsigned n, size_t off, size_t len, unsigned flags)
{
	struct tcp_socket *ts = s->private;
	struct conn *c = ts->c;
	int64_t deadline = socket_deadline(s->send_timeout, flags & MSG_DONTWAIT);
	struct ns_pkt *p = ts->listener ? NULL : packet_of_pages(pages, n, off, len);
	long r;

	if (!p)
		return ts->listener ? -EPIPE : -ENOBUFS;
	conn_lock(c);
	for (;;) {
		r = ns_tcp_send_pkt(&c->tcp, p, flags & MSG_MORE ? NS_MSG_MORE : 0);
		if (r != -EAGAIN || !deadline)
			break;
		int err = conn_wait(c, deadline);
		if (err) {
			r = interrupted(s, err, s->send_timeout);
			break;
		}
	}
	conn_unlock(c);
	receive_loopback();
	if (r < 0)
		ns_pkt_put(p);
	return r == -ENOTCONN ? -EPIPE : r;
}

static long tcp_receive(struct socket *s, struct message *m)
{
	struct tcp_socket *ts = s->private;
	struct conn *c = ts->c;
	int64_t deadline = socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT);
	int flags = (m->flags & MSG_PEEK ? NS_MSG_PEEK : 0) |
		    (m->flags & MSG_OOB ? NS_MSG_OOB : 0) |
		    (m->flags & MSG_TRUNC ? NS_MSG_TRUNC : 0);
	size_t want = m->data.count;
	long done = 0, r = 0;

	if (m->flags & MSG_ERRQUEUE)
		return error_queue_receive(&ts->errors, s, m);
	if (ts->listener)
		return -ENOTCONN;
	conn_lock(c);
	if (!want) { /* waits for something to read, as Linux does */
		while (!(conn_ready(c) & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !r)
			r = !deadline ? -EAGAIN : conn_wait(c, deadline);
		conn_unlock(c);
		return r == -EAGAIN || !r ? r : interrupted(s, (int)r, s->receive_timeout);
	}
	while ((size_t)done < want) {
		r = ns_tcp_recv_iter(&c->tcp, copy_out, &m->data, want - (size_t)done, flags);
		if (r > 0) {
			done += r;
			if (!(m->flags & MSG_WAITALL) || m->flags & (MSG_PEEK | MSG_OOB))
				break;
			continue;
		}
		if (r != -EAGAIN || !deadline || (done && !(m->flags & MSG_WAITALL)) ||
		    m->flags & MSG_OOB)
			break;
		int err = conn_wait(c, deadline);
		if (err) {
			r = interrupted(s, err, s->receive_timeout);
			break;
		}
	}
	conn_unlock(c);
	receive_loopback();
	return done ? done : r;
}

static int tcp_shutdown(struct socket *s, int how)
{
	struct tcp_socket *ts = s->private;
	int err = 0;

	if (ts->listener) { /* Linux: wakes accept() with EINVAL */
		close_listener(ts->listener);
		poll_notify(&ts->listener->poll, EPOLLHUP | EPOLLIN);
		return 0;
	}
	conn_lock(ts->c);
	err = ns_tcp_shutdown(&ts->c->tcp, how == SHUT_RD   ? NS_SHUT_RD
					   : how == SHUT_WR ? NS_SHUT_WR
							    : NS_SHUT_RD | NS_SHUT_WR);
	conn_unlock(ts->c);
	poll_notify(&ts->c->poll, conn_ready(ts->c));
	receive_loopback();
	return err;
}

static void tcp_opened(struct socket *s)
{
	struct conn *c = ((struct tcp_socket *)s->private)->c;

	c->uid = s->file->inode->uid;
	c->family6 = s->family == AF_INET6;
	atomic_store(&c->ino, s->file->inode->ino);
}

static unsigned tcp_poll(struct socket *s)
{
	struct tcp_socket *ts = s->private;

	if (ts->listener) {
		if (ts->listener->closed)
			return EPOLLHUP;
		return list_empty(&ts->listener->queue) ? 0 : EPOLLIN | EPOLLRDNORM;
	}
	conn_lock(ts->c);
	unsigned m = conn_ready(ts->c);
	if (ns_tcp_get_state(&ts->c->tcp) == NS_TCP_CLOSED && !ts->c->in_table && !ts->c->tcp.error)
		m = EPOLLOUT | EPOLLHUP; /* never connected: as Linux says it */
	if (!error_queue_empty(&ts->errors))
		m |= EPOLLERR;
	conn_unlock(ts->c);
	return m;
}

static struct poll_head *tcp_poll_head(struct socket *s)
{
	struct tcp_socket *ts = s->private;

	return ts->listener ? &ts->listener->poll : &ts->c->poll;
}

/* SO_LINGER with a time: close() waits until the data is acknowledged. */
static void linger(struct socket *s, struct conn *c)
{
	int64_t deadline = time_now() + s->linger_seconds * NSEC_PER_SEC;

	while (ns_tcp_unacked(&c->tcp) && ns_tcp_get_state(&c->tcp) != NS_TCP_CLOSED)
		if (conn_wait(c, deadline))
			return;
}

static void tcp_release(struct socket *s)
{
	struct tcp_socket *ts = s->private;

	if (ts->listener) {
		if (!ts->listener->closed)
			close_listener(ts->listener);
		poll_head_destroy(&ts->listener->poll);
		kfree(ts->listener);
	}
	if (ts->c) {
		conn_lock(ts->c);
		bool abort = s->linger && s->linger_seconds == 0;
		if (s->linger && !abort)
			linger(s, ts->c);
		conn_release(ts->c, abort);
	}
	error_queue_destroy(&ts->errors);
	kfree(ts);
}

const struct socket_ops tcp_socket_ops = {
    .bind = tcp_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .name = tcp_name,
    .send = tcp_send,
    .send_pages = tcp_send_pages,
    .receive = tcp_receive,
    .shutdown = tcp_shutdown,
    .poll = tcp_poll,
    .poll_head = tcp_poll_head,
    .set_option = tcp_set_option,
    .get_option = tcp_get_option,
    .ioctl = tcp_ioctl,
    .opened = tcp_opened,
    .release = tcp_release,
};

int tcp_socket_create(struct socket *s)
{
	struct tcp_socket *ts = kzalloc(sizeof *ts);

	if (!ts)
		return -ENOMEM;
	ts->c = conn_new();
	if (!ts->c) {
		kfree(ts);
		return -ENOMEM;
	}
	inet_options_init(&ts->o);
	error_queue_init(&ts->errors);
	s->ops = &tcp_socket_ops;
	s->private = ts;
	return 0;
}
