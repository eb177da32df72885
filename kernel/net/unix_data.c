/* SPDX-License-Identifier: BSD-3-Clause */
/* AF_UNIX: moving data. Locking: see unix.c. */
#include <asm/errno.h>
#include <linux/eventpoll.h>
#include "fs/proc/sysctl.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/unix.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define STREAM_CHUNK 32768
#define PACKET_ROOM 1024 /* smallest data area: later small writes go into it too */

/* ---- sending ---- */

static struct unix_packet *packet_new(size_t len, size_t room)
{
	struct unix_packet *p = kmalloc(sizeof *p + room);
	if (!p)
		return NULL;
	memset(p, 0, sizeof *p);
	p->len = len;
	p->room = room;
	return p;
}

/* Waits until receiver r has room for n bytes; r->lock held. 0, or -errno. */
static int wait_space(struct unix_sock *r, size_t n, size_t limit, bool counted, int64_t deadline)
{
	for (;;) {
		if (r->state == UNIX_CLOSED || r->read_shut)
			return -EPIPE;
		bool full = r->bytes && r->bytes + n > limit;
		if (counted && r->packets > (unsigned)atomic_load(&sysctl_unix_max_dgram_qlen))
			full = true;
		if (!full)
			return 0;
		if (!deadline)
			return -EAGAIN;
		int err = waitq_wait(&r->space_wait, &r->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -EINTR ? -ERESTARTSYS : -EAGAIN;
	}
}

static bool same_cred(const struct ucred *a, const struct ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Appends to the receiver's last packet what fits there, for streams of small writes. r->lock held.
 */
static bool merge(struct unix_sock *r, struct unix_packet *p)
{
	if (list_empty(&r->queue) || p->nfiles)
		return false;
	struct unix_packet *last = list_last(&r->queue, struct unix_packet, link);
	if (last->nfiles || last->room - last->len < p->len || !same_cred(&last->cred, &p->cred))
		return false;
	memcpy(last->data + last->len, p->data, p->len);
	last->len += p->len;
	r->bytes += p->len;
	return true;
}

/* Hands p over to r (or frees it on failure). */
static int deliver(struct unix_sock *r, struct unix_packet *p, size_t limit, int64_t deadline)
{
	bool stream = r->type == SOCK_STREAM, merged = false;
	mutex_lock(&r->lock);
	int err = wait_space(r, p->len, limit, r->type == SOCK_DGRAM, deadline);
	if (!err) {
		merged = stream && merge(r, p);
		if (!merged) {
			list_append(&r->queue, &p->link);
			r->bytes += p->len;
			r->packets++;
		}
		waitq_wake(&r->read_wait, 1);
	}
	mutex_unlock(&r->lock);
	if (!err)
		poll_notify(&r->head, EPOLLIN | EPOLLRDNORM);
	if (err || merged)
		unix_packet_free(p);
	return err;
}

static long send_stream(struct socket *s, struct message *m)
{
	struct unix_sock *u = s->private;
	if (m->name)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (u->write_shut)
		return -EPIPE;
	struct unix_sock *r = unix_peer(u);
	if (!r)
		return u->state == UNIX_CLOSED ? -EPIPE : -ENOTCONN;
	int64_t deadline = socket_deadline(s->send_timeout, m->flags & MSG_DONTWAIT);
	long done = 0;
	int err = 0;
	bool first = true;
	while (m->data.count) {
		size_t n = MIN(m->data.count, (size_t)STREAM_CHUNK);
		struct unix_packet *p = packet_new(n, MAX(n, (size_t)PACKET_ROOM));
		if (!p) {
			err = -ENOMEM;
			break;
		}
		err = first ? unix_read_control(m, p) : 0;
		if (!first)
			unix_own_cred(&p->cred);
		if (!err && iter_from(&m->data, p->data, n) != n)
			err = -EFAULT;
		if (err) {
			unix_packet_free(p);
			break;
		}
		err = deliver(r, p, (size_t)s->send_buffer, deadline);
		if (err)
			break;
		done += n;
		first = false;
	}
	unix_put(r);
	return done ? done : err;
}

/* The receiver of a datagram, referenced: the named one or the peer. */
static struct unix_sock *receiver(struct unix_sock *u, const struct message *m)
{
	if (m->name && u->type == SOCK_DGRAM) {
		struct unix_sock *r = unix_find(m->name, m->name_len, u->type);
		if (is_err(r))
			return r;
		struct unix_sock *theirs = unix_peer(r);
		bool refused = theirs && theirs != u;
		if (theirs)
			unix_put(theirs);
		if (refused) {
			unix_put(r);
			return err_ptr(-EPERM);
		}
		return r;
	}
	if (m->name && u->state == UNIX_CONNECTED)
		return err_ptr(-EISCONN);
	struct unix_sock *r = unix_peer(u);
	return r ? r : err_ptr(u->eof ? -EPIPE : -ENOTCONN);
}

static long send_packet(struct socket *s, struct message *m)
{
	struct unix_sock *u = s->private;
	size_t n = m->data.count, limit = (size_t)s->send_buffer;
	if (u->write_shut)
		return -EPIPE;
	if (n > limit - 32)
		return -EMSGSIZE;
	struct unix_sock *r = receiver(u, m);
	if (is_err(r))
		return ptr_err(r);
	struct unix_packet *p = packet_new(n, n);
	int err = p ? unix_read_control(m, p) : -ENOMEM;
	if (!err && iter_from(&m->data, p->data, n) != n)
		err = -EFAULT;
	if (!err) {
		if (u->address) {
			atomic_fetch_add(&u->address->refs, 1);
			p->from = u->address;
		}
		err =
		    deliver(r, p, limit, socket_deadline(s->send_timeout, m->flags & MSG_DONTWAIT));
		if (err == -EPIPE && u->type == SOCK_DGRAM)
			err = r->state == UNIX_CLOSED ? -ECONNREFUSED : -EPIPE;
	} else if (p) {
		unix_packet_free(p);
	}
	unix_put(r);
	return err ? err : (long)n;
}

long unix_send(struct socket *s, struct message *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	return s->type == SOCK_STREAM ? send_stream(s, m) : send_packet(s, m);
}

/* ---- receiving ---- */

/* Tells those who wait to write to us. */
static void announce_space(struct unix_sock *u, struct unix_sock *peer)
{
	if (u->type == SOCK_DGRAM) {
		struct unix_sock *c;
		mutex_lock(&u->lock);
		list_for_each_entry (c, &u->clients, client_link)
			poll_notify(&c->head, EPOLLOUT | EPOLLWRNORM);
		mutex_unlock(&u->lock);
	}
	if (peer)
		poll_notify(&peer->head, EPOLLOUT | EPOLLWRNORM);
}

static void remove_packet(struct unix_sock *u, struct unix_packet *p)
{
	list_remove(&p->link);
	u->packets--;
	waitq_wake_all(&u->space_wait);
}

/* Waits for a packet; u->lock held. 0: there is one; 1: the end; -errno. */
static int wait_packet(struct socket *s, struct unix_sock *u, int64_t deadline)
{
	for (;;) {
		if (!list_empty(&u->queue))
			return 0;
		int err = atomic_exchange(&s->error, 0);
		if (err)
			return -err;
		if (u->type != SOCK_DGRAM && u->state != UNIX_CONNECTED && !u->eof)
			return u->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
		if (u->read_shut || u->eof)
			return 1;
		if (!deadline)
			return -EAGAIN;
		err = waitq_wait(&u->read_wait, &u->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -EINTR ? -ERESTARTSYS : -EAGAIN;
	}
}

/* Takes bytes from the queue without waiting; lock held. Stops where descriptors or credentials
 * change. */
static long take_stream(struct unix_sock *u, struct message *m, bool peek, bool *had_control,
    struct ucred *cred, bool *stop)
{
	long done = 0;
	size_t skip = 0;
	struct list *at = u->queue.next;
	bool creds = u->socket && u->socket->pass_credentials;
	while (m->data.count && at != &u->queue) {
		struct unix_packet *p = list_entry(at, struct unix_packet, link);
		if (*had_control && (p->nfiles || (creds && !same_cred(cred, &p->cred)))) {
			*stop = true;
			break;
		}
		size_t n = MIN(p->len - p->start, m->data.count);
		size_t moved = iter_to(&m->data, p->data + p->start, n);
		if (moved < n) {
			*stop = true;
			return done ? done : -EFAULT;
		}
		if (!*had_control || p->nfiles) {
			*cred = p->cred;
			*had_control = true;
			bool files = p->nfiles;
			unix_deliver_control(u, m, p, peek);
			*stop |= files;
		}
		done += n;
		at = at->next;
		skip += n;
		if (peek)
			continue;
		p->start += n;
		u->bytes -= n;
		if (p->start == p->len) {
			remove_packet(u, p);
			unix_packet_free(p);
		}
		if (*stop)
			break;
	}
	return done;
}

static long receive_stream(struct socket *s, struct message *m)
{
	struct unix_sock *u = s->private;
	int64_t deadline = socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT);
	size_t want =
	    m->flags & MSG_WAITALL ? m->data.count : MIN((size_t)s->receive_lowat, m->data.count);
	bool peek = m->flags & MSG_PEEK, control = false, stop = false;
	struct ucred cred = {0};
	long done = 0, r = 0;
	if (!m->data.count)
		return 0;
	mutex_lock(&u->lock);
	do {
		r = wait_packet(s, u, deadline);
		if (r)
			break;
		r = take_stream(u, m, peek, &control, &cred, &stop);
		if (r < 0)
			break;
		done += r;
		/* Another reader may wait for what is left. */
		if (!list_empty(&u->queue))
			waitq_wake(&u->read_wait, 1);
	} while ((size_t)done < want && m->data.count && !peek && !stop);
	struct unix_sock *peer = u->peer;
	if (peer)
		unix_get(peer);
	mutex_unlock(&u->lock);
	if (done && !peek)
		announce_space(u, peer);
	if (peer)
		unix_put(peer);
	m->name_len = 0;
	return done ? done : r == 1 ? 0 : r;
}

static long receive_packet(struct socket *s, struct message *m)
{
	struct unix_sock *u = s->private;
	bool peek = m->flags & MSG_PEEK;
	mutex_lock(&u->lock);
	long r = wait_packet(s, u, socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT));
	if (r) {
		mutex_unlock(&u->lock);
		m->name_len = 0;
		return r == 1 ? 0 : r;
	}
	struct unix_packet *p = list_first(&u->queue, struct unix_packet, link);
	size_t n = MIN(p->len, m->data.count);
	size_t full = p->len;
	r = iter_to(&m->data, p->data, n) == n ? (long)n : -EFAULT;
	if (n < full)
		m->out_flags |= MSG_TRUNC;
	if (u->type == SOCK_SEQPACKET)
		m->out_flags |= MSG_EOR;
	if (m->name)
		m->name_len = p->from ? (unsigned)unix_fill_address(p->from, m->name) : 0;
	unix_deliver_control(u, m, p, peek);
	if (!peek) {
		u->bytes -= p->len;
		remove_packet(u, p);
	}
	struct unix_sock *peer = u->peer;
	if (peer)
		unix_get(peer);
	mutex_unlock(&u->lock);
	if (!peek) {
		unix_packet_free(p);
		announce_space(u, peer);
	}
	if (peer)
		unix_put(peer);
	if (r >= 0 && m->flags & MSG_TRUNC)
		r = full;
	return r;
}

long unix_receive(struct socket *s, struct message *m)
{
	if (m->flags & (MSG_OOB | MSG_ERRQUEUE))
		return m->flags & MSG_OOB ? -EOPNOTSUPP : -EAGAIN;
	return s->type == SOCK_STREAM ? receive_stream(s, m) : receive_packet(s, m);
}
