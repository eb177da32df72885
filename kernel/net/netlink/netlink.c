/* SPDX-License-Identifier: BSD-3-Clause */
/* Netlink sockets: names, queues, groups, options. What messages mean is in the protocols' files.
 */
#include "net/netlink/netlink.h"
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include "core/random.h"
#include "fs/proc/net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sys/syscall.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#define GROUPS_MAX 64
#define DUMP_MAX (32u << 20) /* bytes of answers that wait, however large the listing */
#define DATAGRAM_MAX 8192    /* of joined answers: programs read with at least this */

struct nl_datagram {
	struct list link;
	uint32_t len;
	unsigned group;
	_Alignas(8) char data[];
};

static struct mutex nl_lock;
static struct list sockets = LIST_INIT(sockets);

/* --- queues --- */

static struct nl_datagram *datagram_new(size_t room)
{
	struct nl_datagram *d = kmalloc(sizeof *d + room);

	if (d) {
		d->len = 0;
		d->group = 0;
	}
	return d;
}

/* Takes d. */
static int enqueue(struct nl_socket *k, struct nl_datagram *d, size_t limit)
{
	mutex_lock(&k->lock);
	if (k->queued + d->len > limit) {
		k->overrun = !k->no_enobufs;
		mutex_unlock(&k->lock);
		kfree(d);
		poll_notify(&k->poll, EPOLLERR | EPOLLIN);
		return -ENOBUFS;
	}
	list_append(&k->queue, &d->link);
	k->queued += d->len;
	waitq_wake(&k->wait, 1);
	mutex_unlock(&k->lock);
	poll_notify(&k->poll, EPOLLIN | EPOLLRDNORM);
	return 0;
}

static int flush_batch(struct nl_request *r)
{
	struct nl_datagram *d = r->batch;

	r->batch = NULL;
	if (!d)
		return 0;
	return enqueue(r->from, d, DUMP_MAX);
}

void *nl_answer(struct nl_request *r, uint16_t type, size_t extra)
{
	return nl_start(
	    r->m, type, r->dumping ? NLM_F_MULTI : 0, r->h->nlmsg_seq, r->from->port, extra);
}

bool nl_answer_done(struct nl_request *r)
{
	if (r->err)
		return false;
	if (!nl_finish(r->m)) {
		r->err = -EMSGSIZE;
		return false;
	}
	if (r->batch && r->batch->len + r->m->len > DATAGRAM_MAX)
		r->err = flush_batch(r);
	if (!r->batch && !r->err) {
		r->batch = datagram_new(DATAGRAM_MAX);
		if (!r->batch)
			r->err = -ENOBUFS;
	}
	if (r->err)
		return false;
	memcpy(r->batch->data + r->batch->len, r->m->data, r->m->len);
	r->batch->len += (uint32_t)r->m->len;
	return true;
}

void nl_multicast(int protocol, unsigned group, struct nl_message *m)
{
	struct nl_socket *k;

	if (!nl_finish(m))
		return;
	mutex_lock(&nl_lock);
	list_for_each_entry (k, &sockets, link) {
		if (k->s->protocol != protocol || !(k->groups & 1ull << (group - 1)))
			continue;
		struct nl_datagram *d = datagram_new(m->len);
		if (!d)
			break;
		memcpy(d->data, m->data, m->len);
		d->len = (uint32_t)m->len;
		d->group = group;
		enqueue(k, d, (size_t)k->s->receive_buffer);
	}
	mutex_unlock(&nl_lock);
}

bool nl_has_members(int protocol, unsigned group)
{
	struct nl_socket *k;
	bool found = false;

	mutex_lock(&nl_lock);
	list_for_each_entry (k, &sockets, link)
		if (k->s->protocol == protocol && k->groups & 1ull << (group - 1))
			found = true;
	mutex_unlock(&nl_lock);
	return found;
}

void nl_walk(bool (*fn)(const struct nl_socket *k, void *arg), void *arg)
{
	struct nl_socket *k;

	mutex_lock(&nl_lock);
	list_for_each_entry (k, &sockets, link)
		if (!fn(k, arg))
			break;
	mutex_unlock(&nl_lock);
}

/* --- names --- */

static bool port_taken(int protocol, uint32_t port)
{
	struct nl_socket *k;

	list_for_each_entry (k, &sockets, link)
		if (k->port == port && k->s->protocol == protocol)
			return true;
	return false;
}

/* port 0: the program's number, or a random one if another socket has that. */
static int take_port(struct nl_socket *k, uint32_t port)
{
	int err = 0;

	mutex_lock(&nl_lock);
	if (port) {
		if (port_taken(k->s->protocol, port))
			err = -EADDRINUSE;
	} else {
		const struct program *p = current_program();
		port = p ? (uint32_t)p->pid : 0;
		while (!port || port_taken(k->s->protocol, port))
			port = (uint32_t)random_u64() | 1u << 31;
	}
	if (!err)
		k->port = port;
	mutex_unlock(&nl_lock);
	return err;
}

static int parse_name(const struct address *a, unsigned len, struct sockaddr_nl *out)
{
	if (len < sizeof *out)
		return -EINVAL;
	memcpy(out, a, sizeof *out);
	return out->nl_family == AF_NETLINK ? 0 : -EINVAL;
}

static int nl_bind(struct socket *s, const struct address *a, unsigned len)
{
	struct nl_socket *k = s->private;
	struct sockaddr_nl n;
	int err = parse_name(a, len, &n);

	if (err)
		return err;
	if (k->port && n.nl_pid && n.nl_pid != k->port)
		return -EINVAL;
	if (!k->port)
		err = take_port(k, n.nl_pid);
	if (err)
		return err;
	mutex_lock(&nl_lock);
	k->groups = (k->groups & ~0xffffffffull) | n.nl_groups;
	mutex_unlock(&nl_lock);
	return 0;
}

static int nl_connect(struct socket *s, const struct address *a, unsigned len, bool nonblock)
{
	struct nl_socket *k = s->private;
	struct sockaddr_nl n;

	(void)nonblock;
	if (len >= sizeof(uint16_t) && a->family == AF_UNSPEC) {
		k->peer_port = k->peer_groups = 0;
		return 0;
	}
	int err = parse_name(a, len, &n);
	if (!err && !k->port)
		err = take_port(k, 0);
	if (err)
		return err;
	k->peer_port = n.nl_pid;
	k->peer_groups = n.nl_groups;
	return 0;
}

static int nl_name_of(struct socket *s, struct address *a, bool peer)
{
	struct nl_socket *k = s->private;
	struct sockaddr_nl n = {.nl_family = AF_NETLINK,
	    .nl_pid = peer ? k->peer_port : k->port,
	    .nl_groups = peer ? k->peer_groups : (uint32_t)k->groups};

	memcpy(a, &n, sizeof n);
	return sizeof n;
}

/* --- requests --- */

static void acknowledge(struct nl_request *r, int err)
{
	bool capped = err && r->from->cap_ack;
	size_t whole = err && !capped ? r->h->nlmsg_len : sizeof *r->h;
	struct nlmsgerr *e;

	if (whole > NL_MESSAGE_MAX / 2) {
		whole = sizeof *r->h;
		capped = true;
	}
	e = nl_start(r->m, NLMSG_ERROR, capped ? NLM_F_CAPPED : 0, r->h->nlmsg_seq, r->from->port,
	    sizeof e->error + whole);
	e->error = err;
	memcpy(&e->msg, r->h, whole);
	r->err = 0;
	nl_answer_done(r);
}

static void end_dump(struct nl_request *r)
{
	int *status = nl_answer(r, NLMSG_DONE, sizeof *status);

	*status = 0;
	r->err = 0;
	nl_answer_done(r);
}

static int handle(struct nl_socket *k, const struct nlmsghdr *h, struct nl_message *m)
{
	struct nl_request r = {
	    .from = k, .h = h, .body = h + 1, .len = h->nlmsg_len - sizeof *h, .m = m};
	int err;

	if (!(h->nlmsg_flags & NLM_F_REQUEST) || h->nlmsg_type < NLMSG_MIN_TYPE)
		err = 0;
	else
		err = k->s->protocol == NETLINK_SOCK_DIAG ? diag_request(&r) : rtnl_request(&r);
	if (r.dumping && !err && !r.err)
		end_dump(&r);
	else if (err || r.err || h->nlmsg_flags & NLM_F_ACK)
		acknowledge(&r, err ? err : r.err);
	return flush_batch(&r);
}

/* A buffer of the application's holds one message after the other. */
static void handle_all(struct nl_socket *k, const char *p, size_t n, struct nl_message *m)
{
	while (n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		if (h->nlmsg_len < sizeof *h || h->nlmsg_len > n)
			return;
		if (handle(k, h, m))
			return;
		size_t step = NLMSG_ALIGN((size_t)h->nlmsg_len);
		if (step >= n)
			return;
		p += step;
		n -= step;
	}
}

static long nl_send(struct socket *s, struct message *m)
{
	struct nl_socket *k = s->private;
	uint32_t to = k->peer_port, groups = k->peer_groups;
	size_t n = m->data.count;
	int err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->name) {
		struct sockaddr_nl name;
		if ((err = parse_name(m->name, m->name_len, &name)))
			return err;
		to = name.nl_pid;
		groups = name.nl_groups;
	}
	if (!k->port && (err = take_port(k, 0)))
		return err;
	if (groups && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if (to || groups) /* only the kernel listens */
		return -ECONNREFUSED;
	if (n > (size_t)s->send_buffer)
		return -EMSGSIZE;
	char *copy = kmalloc(n + 1);
	struct nl_message *answer = kmalloc(sizeof *answer);
	if (!copy || !answer)
		err = -ENOBUFS;
	else if (iter_from(&m->data, copy, n) != n)
		err = -EFAULT;
	else
		err = 0;
	if (!err && s->protocol != NETLINK_KOBJECT_UEVENT)
		handle_all(k, copy, n, answer);
	else if (!err)
		err = -ECONNREFUSED;
	kfree(copy);
	kfree(answer);
	return err ? err : (long)n;
}

static long wait_message(struct nl_socket *k, int64_t deadline)
{
	while (list_empty(&k->queue)) {
		int err = 0;
		if (k->overrun) {
			k->overrun = false;
			return -ENOBUFS;
		}
		if (!deadline)
			return -EAGAIN;
		err = waitq_wait(&k->wait, &k->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -ETIMEDOUT       ? -EAGAIN
			       : k->s->receive_timeout ? -EINTR
						       : -ERESTARTSYS;
	}
	return 0;
}

static long nl_receive(struct socket *s, struct message *m)
{
	struct nl_socket *k = s->private;
	struct nl_datagram *d, *copy = NULL;

	if (m->flags & (MSG_OOB | MSG_ERRQUEUE))
		return m->flags & MSG_OOB ? -EOPNOTSUPP : -EAGAIN;
	mutex_lock(&k->lock);
	long r = wait_message(k, socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT));
	if (r) {
		mutex_unlock(&k->lock);
		return r;
	}
	d = list_first(&k->queue, struct nl_datagram, link);
	if (m->flags & MSG_PEEK) {
		copy = datagram_new(d->len);
		if (copy) {
			memcpy(copy->data, d->data, d->len);
			copy->len = d->len;
			copy->group = d->group;
		}
		d = copy;
	} else {
		list_remove(&d->link);
		k->queued -= d->len;
	}
	mutex_unlock(&k->lock);
	if (!d)
		return -ENOBUFS;
	size_t n = MIN(m->data.count, (size_t)d->len);
	r = iter_to(&m->data, d->data, n) == n ? (long)n : -EFAULT;
	if (m->name) {
		struct sockaddr_nl from = {.nl_family = AF_NETLINK,
		    .nl_groups = d->group ? 1u << ((d->group - 1) & 31) : 0};
		memcpy(m->name, &from, sizeof from);
		m->name_len = sizeof from;
	}
	if (k->pktinfo) {
		struct nl_pktinfo i = {.group = d->group};
		message_put_control(m, SOL_NETLINK, NETLINK_PKTINFO, &i, sizeof i);
	}
	if (d->len > n) {
		m->out_flags |= MSG_TRUNC;
		if (r >= 0 && m->flags & MSG_TRUNC)
			r = (long)d->len;
	}
	kfree(d);
	return r;
}

static unsigned nl_poll(struct socket *s)
{
	struct nl_socket *k = s->private;

	return EPOLLOUT | EPOLLWRNORM | (list_empty(&k->queue) ? 0 : EPOLLIN | EPOLLRDNORM) |
	       (k->overrun ? EPOLLERR | EPOLLIN : 0);
}

static struct poll_head *nl_poll_head(struct socket *s)
{
	return &((struct nl_socket *)s->private)->poll;
}

/* --- options --- */

static bool *flag_of(struct nl_socket *k, int name)
{
	switch (name) {
	case NETLINK_PKTINFO:
		return &k->pktinfo;
	case NETLINK_NO_ENOBUFS:
		return &k->no_enobufs;
	case NETLINK_CAP_ACK:
		return &k->cap_ack;
	case NETLINK_EXT_ACK: /* the error number says it all: no texts follow */
		return &k->ext_ack;
	case NETLINK_GET_STRICT_CHK:
		return &k->strict;
	}
	return NULL;
}

static int nl_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct nl_socket *k = s->private;
	uint32_t v;

	if (level == SOL_SOCKET || level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len < sizeof v)
		return -EINVAL;
	memcpy(&v, value, sizeof v);
	if (name == NETLINK_ADD_MEMBERSHIP || name == NETLINK_DROP_MEMBERSHIP) {
		if (!v || v > GROUPS_MAX)
			return -EINVAL;
		mutex_lock(&nl_lock);
		if (name == NETLINK_ADD_MEMBERSHIP)
			k->groups |= 1ull << (v - 1);
		else
			k->groups &= ~(1ull << (v - 1));
		mutex_unlock(&nl_lock);
		return 0;
	}
	bool *flag = flag_of(k, name);
	if (!flag)
		return -ENOPROTOOPT;
	*flag = v != 0;
	return 0;
}

static int nl_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct nl_socket *k = s->private;
	int v;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (name == NETLINK_LIST_MEMBERSHIPS) {
		unsigned n = MIN(*len, (unsigned)sizeof k->groups);
		memcpy(value, &k->groups, n);
		*len = sizeof k->groups;
		return 0;
	}
	bool *flag = flag_of(k, name);
	if (!flag)
		return -ENOPROTOOPT;
	if (*len < sizeof v)
		return -EINVAL;
	v = *flag;
	memcpy(value, &v, sizeof v);
	*len = sizeof v;
	return 0;
}

static void nl_release(struct socket *s)
{
	struct nl_socket *k = s->private;

	mutex_lock(&nl_lock);
	list_remove(&k->link);
	mutex_unlock(&nl_lock);
	while (!list_empty(&k->queue)) {
		struct nl_datagram *d = list_first(&k->queue, struct nl_datagram, link);
		list_remove(&d->link);
		kfree(d);
	}
	poll_head_destroy(&k->poll);
	kfree(k);
}

static const struct socket_ops nl_ops = {
    .bind = nl_bind,
    .connect = nl_connect,
    .name = nl_name_of,
    .send = nl_send,
    .receive = nl_receive,
    .poll = nl_poll,
    .poll_head = nl_poll_head,
    .set_option = nl_set_option,
    .get_option = nl_get_option,
    .release = nl_release,
};

static int nl_create(struct socket *s)
{
	if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	/* Device events: programs open it to hear of new devices; there are none after boot. */
	if (s->protocol != NETLINK_ROUTE && s->protocol != NETLINK_SOCK_DIAG &&
	    s->protocol != NETLINK_KOBJECT_UEVENT)
		return -EPROTONOSUPPORT;
	struct nl_socket *k = kzalloc(sizeof *k);
	if (!k)
		return -ENOMEM;
	k->s = s;
	list_init(&k->queue);
	waitq_init(&k->wait);
	poll_head_init(&k->poll);
	s->ops = &nl_ops;
	s->private = k;
	mutex_lock(&nl_lock);
	list_append(&sockets, &k->link);
	mutex_unlock(&nl_lock);
	return 0;
}

static int show_sockets(struct seqbuf *s)
{
	struct nl_socket *k;

	mutex_lock(&nl_lock);
	list_for_each_entry (k, &sockets, link)
		seq_printf(s, "%016lx %-3d %-10u %08lx %-8lu %-8d %-5d %-8d %-8d %-8lu\n",
		    (unsigned long)k, k->s->protocol, k->port,
		    (unsigned long)k->groups & 0xffffffff, (unsigned long)k->queued, 0, 0, 2, 0,
		    k->s->file ? (unsigned long)k->s->file->inode->ino : 0);
	mutex_unlock(&nl_lock);
	return 0;
}

static const struct socket_family family = {AF_NETLINK, nl_create};

void netlink_init(void)
{
	socket_family_register(&family);
	proc_net_register(PROC_NET_NETLINK, show_sockets);
	rtnl_monitor_init();
}
