/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AF_UNIX stream, datagram and sequenced-packet sockets.
 *
 * Each socket has one mutex. It protects the socket's receive queue (senders take the receiver's),
 * its state and its peer pointer. Two sockets' mutexes are never held together: a sender first
 * references its peer under its own mutex, drops it, then takes the peer's. What changes for the
 * other side is told it as flags (eof) under its mutex. Poll heads are notified with no socket's
 * mutex held, except that a datagram receiver walks its list of clients under its own.
 */
#include "net/unix.h"
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/sockios.h>
#include "fs/proc/sysctl.h"
#include "lib/seqbuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "sys/syscall.h"

static const struct socket_ops unix_ops;
static struct mutex all_lock = MUTEX_INIT;
static struct list all = LIST_INIT(all);

void unix_get(struct unix_sock *u)
{
	atomic_fetch_add(&u->refs, 1);
}

void unix_put(struct unix_sock *u)
{
	if (atomic_fetch_sub(&u->refs, 1) != 1)
		return;
	mutex_lock(&all_lock);
	list_remove(&u->all_link);
	mutex_unlock(&all_lock);
	if (u->address)
		unix_address_put(u->address);
	poll_head_destroy(&u->head);
	kfree(u);
}

static struct unix_sock *sock_new(int type)
{
	struct unix_sock *u = kzalloc(sizeof *u);
	if (!u)
		return NULL;
	atomic_init(&u->refs, 1);
	u->type = type;
	list_init(&u->queue);
	list_init(&u->pending);
	list_init(&u->accept_link);
	list_init(&u->clients);
	list_init(&u->client_link);
	list_init(&u->bound_link);
	waitq_init(&u->read_wait);
	waitq_init(&u->space_wait);
	waitq_init(&u->backlog_wait);
	poll_head_init(&u->head);
	unix_own_cred(&u->cred);
	mutex_lock(&all_lock);
	list_append(&all, &u->all_link);
	mutex_unlock(&all_lock);
	return u;
}

struct unix_sock *unix_peer(struct unix_sock *u)
{
	mutex_lock(&u->lock);
	struct unix_sock *p = u->peer;
	if (p)
		unix_get(p);
	mutex_unlock(&u->lock);
	return p;
}

/* ---- connecting ---- */

static int unix_create(struct socket *s)
{
	if (s->protocol && s->protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (s->type == SOCK_RAW)
		s->type = SOCK_DGRAM; /* as Linux does */
	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	struct unix_sock *u = sock_new(s->type);
	if (!u)
		return -ENOMEM;
	u->socket = s;
	s->private = u;
	s->ops = &unix_ops;
	return 0;
}

static int unix_pair(struct socket *a, struct socket *b)
{
	struct unix_sock *x = a->private, *y = b->private;
	unix_get(x);
	unix_get(y);
	x->peer = y;
	y->peer = x;
	x->peer_cred = y->cred;
	y->peer_cred = x->cred;
	x->peer_cred_known = y->peer_cred_known = true;
	x->state = y->state = UNIX_CONNECTED;
	return 0;
}

static int unix_listen(struct socket *s, int backlog)
{
	struct unix_sock *u = s->private;
	if (u->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (!u->address)
		return -EINVAL;
	mutex_lock(&u->lock);
	int err = u->state == UNIX_FRESH || u->state == UNIX_LISTENING ? 0 : -EINVAL;
	if (!err) {
		u->state = UNIX_LISTENING;
		u->backlog = (unsigned)backlog;
		unix_own_cred(&u->cred);
		waitq_wake_all(&u->backlog_wait);
	}
	mutex_unlock(&u->lock);
	return err;
}

/* Puts the server's end of a new connection into the listener's queue. Listener's lock is taken
 * here. */
static int queue_connection(struct unix_sock *l, struct unix_sock *server, int64_t deadline)
{
	int err = 0;
	mutex_lock(&l->lock);
	for (;;) {
		if (l->state != UNIX_LISTENING || l->read_shut) {
			err = -ECONNREFUSED;
			break;
		}
		if (l->npending <= l->backlog)
			break;
		err = deadline
			  ? waitq_wait(&l->backlog_wait, &l->lock, deadline, WAIT_INTERRUPTIBLE)
			  : -EAGAIN;
		if (err)
			break;
	}
	if (!err) {
		unix_get(server);
		list_append(&l->pending, &server->accept_link);
		l->npending++;
		/* Name and credentials of the accepted socket are the listener's. */
		if (l->address) {
			atomic_fetch_add(&l->address->refs, 1);
			server->address = l->address;
		}
		server->cred = l->cred;
		waitq_wake(&l->read_wait, 1);
	}
	mutex_unlock(&l->lock);
	if (!err)
		poll_notify(&l->head, EPOLLIN | EPOLLRDNORM);
	return err == -EINTR ? -ERESTARTSYS : err == -ETIMEDOUT ? -EAGAIN : err;
}

static int connect_stream(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct unix_sock *u = s->private;
	if (u->state == UNIX_CONNECTED)
		return -EISCONN;
	if (u->state != UNIX_FRESH)
		return -EINVAL;
	struct unix_sock *l = unix_find(a, len, u->type);
	if (is_err(l))
		return ptr_err(l);
	struct unix_sock *server = sock_new(u->type);
	if (!server) {
		unix_put(l);
		return -ENOMEM;
	}
	/* The server's end is complete before anybody can accept it. */
	unix_own_cred(&u->cred);
	unix_get(u);
	server->peer = u;
	server->peer_cred = u->cred;
	server->peer_cred_known = true;
	server->state = UNIX_CONNECTED;
	server->send_limit = s->send_buffer;
	mutex_lock(&u->lock);
	int err = u->state == UNIX_FRESH ? 0 : -EISCONN;
	if (!err) {
		unix_get(server);
		u->peer = server;
		u->state = UNIX_CONNECTED;
		u->peer_cred = l->cred;
		u->peer_cred_known = true;
	}
	mutex_unlock(&u->lock);
	if (!err) {
		err = queue_connection(l, server, socket_deadline(s->send_timeout, nonblock));
		if (err) {
			mutex_lock(&u->lock);
			u->state = UNIX_FRESH;
			u->peer = NULL;
			u->peer_cred_known = false;
			mutex_unlock(&u->lock);
			unix_put(server);
		}
	}
	if (err) {
		server->peer = NULL;
		unix_put(u);
	}
	unix_put(server);
	unix_put(l);
	if (!err)
		poll_notify(&u->head, EPOLLOUT);
	return err;
}

/* Leaves the old peer's list of clients and enters the new one's; either may be NULL. */
static void change_client(struct unix_sock *u, struct unix_sock *to)
{
	mutex_lock(&unix_names_lock);
	struct unix_sock *from = u->client_of;
	if (from) {
		mutex_lock(&from->lock);
		list_remove(&u->client_link);
		mutex_unlock(&from->lock);
	}
	if (to) {
		mutex_lock(&to->lock);
		list_append(&to->clients, &u->client_link);
		mutex_unlock(&to->lock);
	}
	u->client_of = to;
	mutex_unlock(&unix_names_lock);
}

static void set_datagram_peer(struct unix_sock *u, struct unix_sock *p)
{
	change_client(u, p);
	mutex_lock(&u->lock);
	struct unix_sock *old = u->peer;
	u->peer = p;
	u->state = p ? UNIX_CONNECTED : UNIX_FRESH;
	mutex_unlock(&u->lock);
	if (old)
		unix_put(old);
}

static int connect_datagram(struct unix_sock *u, const struct address *a, unsigned len)
{
	if (len >= sizeof a->family && a->family == AF_UNSPEC) {
		set_datagram_peer(u, NULL);
		return 0;
	}
	struct unix_sock *p = unix_find(a, len, u->type);
	if (is_err(p))
		return ptr_err(p);
	/* One that is itself connected takes messages only from its own peer. */
	struct unix_sock *theirs = unix_peer(p);
	bool refused = theirs && theirs != u;
	if (theirs)
		unix_put(theirs);
	if (refused) {
		unix_put(p);
		return -EPERM;
	}
	set_datagram_peer(u, p);
	return 0;
}

static int unix_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct unix_sock *u = s->private;
	if (u->type == SOCK_DGRAM)
		return connect_datagram(u, a, len);
	return connect_stream(s, a, len, nonblock);
}

static int unix_accept(struct socket *s, struct socket *fresh, bool nonblock)
{
	struct unix_sock *l = s->private, *u = NULL;
	int err = 0;
	int64_t deadline = socket_deadline(s->receive_timeout, nonblock);
	if (l->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	mutex_lock(&l->lock);
	while (!err) {
		if (l->state != UNIX_LISTENING || (l->read_shut && list_empty(&l->pending))) {
			err = -EINVAL;
		} else if (!list_empty(&l->pending)) {
			u = list_first(&l->pending, struct unix_sock, accept_link);
			list_remove(&u->accept_link);
			l->npending--;
			waitq_wake(&l->backlog_wait, 1);
			break;
		} else {
			err = deadline ? waitq_wait(
					     &l->read_wait, &l->lock, deadline, WAIT_INTERRUPTIBLE)
				       : -EAGAIN;
		}
	}
	mutex_unlock(&l->lock);
	if (err)
		return err == -EINTR ? -ERESTARTSYS : err == -ETIMEDOUT ? -EAGAIN : err;
	mutex_lock(&u->lock);
	u->socket = fresh;
	mutex_unlock(&u->lock);
	fresh->private = u;
	return 0;
}

/* ---- ending ---- */

/* The other side will not write any more (and, when closed, not read). */
static void tell_eof(struct unix_sock *p, bool reset)
{
	mutex_lock(&p->lock);
	p->eof = true;
	if (reset && p->socket)
		atomic_store(&p->socket->error, ECONNRESET);
	waitq_wake_all(&p->read_wait);
	waitq_wake_all(&p->space_wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->head, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLOUT);
}

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = s->private;
	mutex_lock(&u->lock);
	if (u->type != SOCK_DGRAM && u->state == UNIX_FRESH) {
		mutex_unlock(&u->lock);
		return -ENOTCONN;
	}
	if (how != SHUT_WR)
		u->read_shut = true;
	if (how != SHUT_RD)
		u->write_shut = true;
	struct unix_sock *p = u->type != SOCK_DGRAM ? u->peer : NULL;
	if (p)
		unix_get(p);
	waitq_wake_all(&u->read_wait);
	waitq_wake_all(&u->space_wait);
	mutex_unlock(&u->lock);
	poll_notify(&u->head, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLOUT);
	if (p) {
		if (how != SHUT_RD)
			tell_eof(p, false);
		else
			poll_notify(&p->head, EPOLLOUT);
		unix_put(p);
	}
	return 0;
}

static void free_queue(struct list *q)
{
	struct unix_packet *p, *next;
	list_for_each_entry_safe (p, next, q, link) {
		list_remove(&p->link);
		unix_packet_free(p);
	}
}

/* Everything that ends with the last descriptor. The caller's reference stays. */
static void abandon(struct unix_sock *u)
{
	struct list queue, pending;
	list_init(&queue);
	list_init(&pending);
	change_client(u, NULL);
	mutex_lock(&u->lock);
	bool unread = !list_empty(&u->queue);
	struct unix_sock *p = u->peer;
	u->peer = NULL;
	u->state = UNIX_CLOSED;
	u->socket = NULL;
	list_splice(&queue, &u->queue);
	list_splice(&pending, &u->pending);
	u->bytes = u->packets = 0;
	waitq_wake_all(&u->space_wait);
	waitq_wake_all(&u->backlog_wait);
	/* Clients' next write finds the socket closed. */
	struct unix_sock *c;
	list_for_each_entry (c, &u->clients, client_link)
		poll_notify(&c->head, EPOLLOUT);
	mutex_unlock(&u->lock);
	if (p) {
		if (u->type != SOCK_DGRAM)
			tell_eof(p, unread);
		unix_put(p);
	}
	free_queue(&queue);
	while (!list_empty(&pending)) {
		struct unix_sock *server = list_first(&pending, struct unix_sock, accept_link);
		list_remove(&server->accept_link);
		struct unix_sock *client = unix_peer(server);
		if (client) {
			if (client->socket)
				atomic_store(&client->socket->error, ECONNRESET);
			unix_put(client);
		}
		abandon(server);
		unix_put(server);
	}
}

static void unix_release(struct socket *s)
{
	struct unix_sock *u = s->private;
	unix_unbind(u);
	abandon(u);
	unix_put(u);
}

/* ---- poll, options ---- */

static bool has_space(struct unix_sock *u, size_t limit)
{
	struct unix_sock *r = unix_peer(u);
	if (!r)
		return true;
	mutex_lock(&r->lock);
	bool full = r->bytes * 4 > limit;
	if (r->type == SOCK_DGRAM)
		full |= r->packets > (unsigned)atomic_load(&sysctl_unix_max_dgram_qlen);
	bool space = !full || r->state == UNIX_CLOSED || r->read_shut;
	mutex_unlock(&r->lock);
	unix_put(r);
	return space;
}

static unsigned unix_poll(struct socket *s)
{
	struct unix_sock *u = s->private;
	unsigned r = 0;
	bool space = has_space(u, (size_t)s->send_buffer);
	mutex_lock(&u->lock);
	if (atomic_load(&s->error))
		r |= EPOLLERR;
	if (!list_empty(&u->queue) || !list_empty(&u->pending) || u->eof || u->read_shut)
		r |= EPOLLIN | EPOLLRDNORM;
	if (u->eof || u->read_shut)
		r |= EPOLLRDHUP;
	bool peer_gone = u->eof && u->peer && u->peer->state == UNIX_CLOSED;
	if (peer_gone || (u->read_shut && u->write_shut) || (u->eof && u->write_shut) ||
	    (u->type != SOCK_DGRAM && u->state == UNIX_FRESH))
		r |= EPOLLHUP;
	if (space && u->state != UNIX_LISTENING)
		r |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	mutex_unlock(&u->lock);
	return r;
}

static struct poll_head *unix_poll_head(struct socket *s)
{
	return &((struct unix_sock *)s->private)->head;
}

static int unix_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct unix_sock *u = s->private;
	if (level != SOL_SOCKET || name != SO_PEERCRED)
		return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
	struct ucred c = u->peer_cred_known ? u->peer_cred : (struct ucred){0, ~0u, ~0u};
	*len = MIN(*len, (unsigned)sizeof c);
	memcpy(value, &c, *len);
	return 0;
}

static int unix_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	(void)s;
	(void)name;
	(void)value;
	(void)len;
	return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
}

static long unix_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	struct unix_sock *u = s->private;
	int n = 0;
	if (cmd == FIONREAD) { /* SIOCINQ */
		mutex_lock(&u->lock);
		if (u->type == SOCK_STREAM)
			n = (int)u->bytes;
		else if (!list_empty(&u->queue))
			n = (int)list_first(&u->queue, struct unix_packet, link)->len;
		mutex_unlock(&u->lock);
		return u->state == UNIX_LISTENING ? -EINVAL : put_user(n, (int __user *)arg);
	}
	if (cmd == TIOCOUTQ) { /* SIOCOUTQ */
		struct unix_sock *p = unix_peer(u);
		if (p) {
			mutex_lock(&p->lock);
			n = (int)p->bytes;
			mutex_unlock(&p->lock);
			unix_put(p);
		}
		return put_user(n, (int __user *)arg);
	}
	return -ENOTTY;
}

static const struct socket_ops unix_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .pair = unix_pair,
    .name = unix_name,
    .send = unix_send,
    .receive = unix_receive,
    .shutdown = unix_shutdown,
    .poll = unix_poll,
    .poll_head = unix_poll_head,
    .set_option = unix_set_option,
    .get_option = unix_get_option,
    .ioctl = unix_ioctl,
    .release = unix_release,
};

static const struct socket_family unix_family = {AF_UNIX, unix_create};

void unix_init(void)
{
	socket_family_register(&unix_family);
}

int unix_show(struct seqbuf *s)
{
	struct unix_sock *u;
	seq_puts(s, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	mutex_lock(&all_lock);
	mutex_lock(&unix_names_lock);
	list_for_each_entry (u, &all, all_link) {
		mutex_lock(&u->lock); /* the socket goes only after it was taken off here */
		const struct file *f = u->socket ? u->socket->file : NULL;
		uint64_t ino = f ? f->inode->ino : 0;
		mutex_unlock(&u->lock);
		seq_printf(s, "%016lx: %08X 00000000 %08X %04X %02X %5lu", (unsigned long)u,
		    atomic_load(&u->refs), u->state == UNIX_LISTENING ? 0x10000u : 0u,
		    (unsigned)u->type, u->state == UNIX_CONNECTED ? 3u : 1u, ino);
		if (u->address) {
			seq_putc(s, ' ');
			for (unsigned i = 0; i < u->address->len; i++)
				seq_putc(s, u->address->name[i] ? u->address->name[i] : '@');
		}
		seq_putc(s, '\n');
	}
	mutex_unlock(&unix_names_lock);
	mutex_unlock(&all_lock);
	return 0;
}
