/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams over the system's sockets. */
#include "posix.h"

#include <unistd.h>

#define DATAGRAM 65536

/* A datagram that has to wait for room. */
struct pending_send {
	struct pending_send *next;
	ss_state *s;
	ss_addr to;
	ss_buf buf;
};

struct posix_udp {
	struct ss_fd fd;
	bool can_read, can_write;
	ss_state *rd;
	ss_datagram *rd_out;
	struct pending_send *head, **tail;
	ss_addr addr;
	char *scratch; /* of DATAGRAM bytes: what arrives is copied out in its real size */
};

static bool try_recv(struct posix_udp *u, ss_datagram *out, ss_result *r)
{
	struct iovec iov = {.iov_base = u->scratch, .iov_len = DATAGRAM};
	struct msghdr m = {.msg_name = &out->from.sa,
	    .msg_namelen = sizeof(out->from.un),
	    .msg_iov = &iov,
	    .msg_iovlen = 1};
	ssize_t k;

	do
		k = recvmsg(u->fd.fd, &m, 0);
	while (k < 0 && errno == EINTR);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (k < 0) {
		*r = (ss_result){.msg = NULL, .err = -errno};
		return true;
	}
	out->from.len = m.msg_namelen;
	out->truncated = m.msg_flags & MSG_TRUNC;
	if (ss_buf_copy(&out->buf, u->scratch, (size_t)k))
		*r = (ss_result){.msg = NULL, .err = -ENOMEM};
	else
		*r = (ss_result){.i = k, .err = 0};
	return true;
}

static bool try_send(
    struct posix_udp *u, const ss_addr *to, const void *data, size_t n, ss_result *r)
{
	ssize_t k;

	do
		k = sendto(u->fd.fd, data, n, MSG_NOSIGNAL, &to->sa, to->len);
	while (k < 0 && errno == EINTR);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	*r = (ss_result){.i = k < 0 ? 0 : k, .err = k < 0 ? -errno : 0};
	return true;
}

static void drop_first(struct posix_udp *u, ss_result r)
{
	struct pending_send *p = u->head;
	ss_state *s = p->s;

	u->head = p->next;
	if (!u->head)
		u->tail = &u->head;
	ss_buf_release(&p->buf);
	ss_cell_free(p, sizeof(*p));
	ss_state_set(s, r);
}

static void udp_event(struct ss_fd *f, uint32_t ev)
{
	struct posix_udp *u = ss_container_of(f, struct posix_udp, fd);
	ss_result r;

	if (ev & (SS_EV_IN | SS_EV_ERR)) {
		u->can_read = true;
		if (u->rd) {
			ss_state *s = u->rd;

			if (try_recv(u, u->rd_out, &r)) {
				u->rd = NULL;
				ss_state_set(s, r);
			}
		}
	}
	if (ev & (SS_EV_OUT | SS_EV_ERR)) {
		u->can_write = true;
		while (
		    u->head && try_send(u, &u->head->to, u->head->buf.data, u->head->buf.len, &r))
			drop_first(u, r);
	}
}

static int udp_setup(
    struct posix_udp *u, int fd, const ss_addr *a, const ss_listen_opts *opts, ss_result *r)
{
	ss_addr any = ss_addr_any(0);

	u->tail = &u->head;
	u->can_read = u->can_write = true;
	u->scratch = ss_alloc(DATAGRAM);
	if (!u->scratch)
		return -ENOMEM;
	*r = ss_posix_bind(fd, a ? a : &any, opts);
	if (r->err)
		return r->err;
	u->addr.len = sizeof(u->addr.un);
	if (getsockname(fd, &u->addr.sa, &u->addr.len))
		return -errno;
	return ss_watch(&u->fd, fd, udp_event);
}

ss_future ss_posix_udp_open(const ss_addr *a, const ss_listen_opts *opts)
{
	int family = a ? a->sa.sa_family : AF_INET;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	struct posix_udp *u;
	ss_result r = {.msg = NULL, .err = 0};

	if (fd < 0)
		return ss_fail(-errno);
	u = ss_zalloc(sizeof(*u));
	err = u ? udp_setup(u, fd, a, opts, &r) : -ENOMEM;
	if (!err)
		return ss_okp(u);
	close(fd);
	if (u)
		ss_free(u->scratch);
	ss_free(u);
	return ss_fail_msg(err, r.err ? r.msg : NULL);
}

ss_future ss_posix_udp_recv(ss_udp *base, ss_datagram *out)
{
	struct posix_udp *u = (struct posix_udp *)base;
	ss_result r;
	ss_future f;

	if (u->can_read) {
		if (try_recv(u, out, &r))
			return ss_ready(r);
		u->can_read = false;
	}
	f = ss_pending(&u->rd);
	u->rd_out = out;
	return f;
}

ss_future ss_posix_udp_send(ss_udp *base, const ss_addr *to, const void *data, size_t n)
{
	struct posix_udp *u = (struct posix_udp *)base;
	struct pending_send *p;
	ss_result r;
	ss_future f;

	if (!u->head && u->can_write) {
		if (try_send(u, to, data, n, &r))
			return ss_ready(r);
		u->can_write = false;
	}
	p = ss_cell_alloc(sizeof(*p));
	if (!p)
		return ss_fail(-ENOMEM);
	f = ss_pending(&p->s);
	if (!p->s || ss_buf_copy(&p->buf, data, n)) {
		if (p->s)
			ss_state_free(p->s);
		ss_cell_free(p, sizeof(*p));
		return ss_fail(-ENOMEM);
	}
	p->to = *to;
	p->next = NULL;
	*u->tail = p;
	u->tail = &p->next;
	return f;
}

void ss_posix_udp_addr(ss_udp *base, ss_addr *out)
{
	*out = ((struct posix_udp *)base)->addr;
}

void ss_posix_udp_close(ss_udp *base)
{
	struct posix_udp *u = (struct posix_udp *)base;
	ss_result r = {.msg = NULL, .err = -ECANCELED};

	ss_unwatch(&u->fd);
	close(u->fd.fd);
	while (u->head)
		drop_first(u, r);
	if (u->rd)
		ss_state_set(u->rd, r);
	ss_free(u->scratch);
	ss_free(u);
}
