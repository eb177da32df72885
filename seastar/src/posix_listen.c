/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening and connecting over the system's sockets. */
#include "posix.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024

struct posix_listener {
	ss_listener base;
	struct ss_fd fd;
	int family;
	bool can_accept;
	ss_state *waiting;
	ss_addr addr;
};

ss_result ss_posix_bind(int fd, const ss_addr *a, const ss_listen_opts *opts)
{
	int one = 1, err;
	bool ip = a->sa.sa_family != AF_UNIX;

	if (ip && opts && opts->reuse_address)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ip && ss_smp_count() > 1 && !(opts && opts->one_shard))
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, &a->sa, a->len) == 0)
		return (ss_result){.i = 0, .err = 0};
	err = -errno;
	return (ss_result){.msg = err == -EADDRINUSE	  ? "bind: Address already in use"
				  : err == -EACCES	  ? "bind: Permission denied"
				  : err == -EADDRNOTAVAIL ? "bind: Cannot assign requested address"
							  : NULL,
	    .err = err};
}

static ss_conn *accept_one(struct posix_listener *l, int *err)
{
	ss_conn *c;
	int fd;

	do
		fd = accept4(l->fd.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0) {
		*err = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		return NULL;
	}
	c = ss_posix_conn_new(fd, l->family);
	*err = c ? 0 : -ENOMEM;
	return c;
}

static bool try_accept(struct posix_listener *l, ss_result *r)
{
	int err;
	ss_conn *c = accept_one(l, &err);

	if (c)
		*r = (ss_result){.p = c, .err = 0};
	else if (err == -EAGAIN)
		return false;
	else
		*r = (ss_result){.msg = NULL, .err = err};
	return true;
}

static void listener_event(struct ss_fd *f, uint32_t ev)
{
	struct posix_listener *l = ss_container_of(f, struct posix_listener, fd);
	ss_state *s = l->waiting;
	ss_result r;

	(void)ev;
	l->can_accept = true;
	if (!s || !try_accept(l, &r))
		return;
	l->waiting = NULL;
	ss_state_set(s, r);
}

static ss_future posix_accept(ss_listener *base)
{
	struct posix_listener *l = ss_container_of(base, struct posix_listener, base);
	ss_result r;

	if (l->can_accept) {
		if (try_accept(l, &r))
			return ss_ready(r);
		l->can_accept = false;
	}
	return ss_pending(&l->waiting);
}

static int set_mode(const ss_addr *a, const ss_listen_opts *opts)
{
	if (a->sa.sa_family != AF_UNIX || !opts || !opts->unix_mode)
		return 0;
	return chmod(a->un.sun_path, (mode_t)opts->unix_mode) ? -errno : 0;
}

static int start_listening(struct posix_listener *l, int fd, const ss_listen_opts *opts)
{
	if (listen(fd, opts && opts->backlog ? opts->backlog : BACKLOG))
		return -errno;
	l->addr.len = sizeof(l->addr.un);
	if (getsockname(fd, &l->addr.sa, &l->addr.len))
		return -errno;
	return ss_watch(&l->fd, fd, listener_event);
}

static const struct ss_listener_ops listener_ops;

static ss_future posix_listen(const ss_addr *a, const ss_listen_opts *opts)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	struct posix_listener *l;
	ss_result r;

	if (fd < 0)
		return ss_fail(-errno);
	r = ss_posix_bind(fd, a, opts);
	l = r.err ? NULL : ss_zalloc(sizeof(*l));
	if (!l) {
		close(fd);
		return r.err ? ss_ready(r) : ss_fail(-ENOMEM);
	}
	l->base.ops = &listener_ops;
	l->family = a->sa.sa_family;
	l->can_accept = true;
	err = set_mode(a, opts);
	if (!err)
		err = start_listening(l, fd, opts);
	if (err) {
		close(fd);
		ss_free(l);
		return ss_fail(err);
	}
	return ss_okp(&l->base);
}

static void posix_listener_addr(ss_listener *base, ss_addr *out)
{
	*out = (ss_container_of(base, struct posix_listener, base))->addr;
}

static void posix_listener_close(ss_listener *base)
{
	struct posix_listener *l = ss_container_of(base, struct posix_listener, base);
	ss_state *s = l->waiting;

	/* A poll of io_uring may keep the file for a moment: refuse connections now. */
	shutdown(l->fd.fd, SHUT_RDWR);
	ss_unwatch(&l->fd);
	close(l->fd.fd);
	ss_free(l);
	if (s)
		ss_state_set(s, (ss_result){.msg = NULL, .err = -ECANCELED});
}

static const struct ss_listener_ops listener_ops = {
    .accept = posix_accept,
    .addr = posix_listener_addr,
    .close = posix_listener_close,
};

/* A connection being opened. */
struct opening {
	struct ss_fd fd;
	ss_state *s;
	int family;
	ss_timer timer;
};

static void opening_end(struct opening *o, int err)
{
	ss_state *s = o->s;
	int fd = o->fd.fd;
	ss_conn *c = NULL;

	ss_timer_cancel(&o->timer);
	ss_unwatch(&o->fd);
	if (err)
		close(fd);
	else
		c = ss_posix_conn_new(fd, o->family);
	if (!err && !c)
		err = -ENOMEM;
	ss_free(o);
	ss_state_set(s, err ? (ss_result){.msg = NULL, .err = err} : (ss_result){.p = c, .err = 0});
}

static void opening_event(struct ss_fd *f, uint32_t ev)
{
	struct opening *o = ss_container_of(f, struct opening, fd);
	int err = 0;
	socklen_t n = sizeof(err);
	ss_addr peer = {.len = sizeof(peer.un)};

	if (!(ev & (SS_EV_OUT | SS_EV_ERR | SS_EV_HUP)))
		return;
	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &err, &n))
		err = errno;
	/* The first event of a fresh socket may come before the connection is there. */
	if (!err && getpeername(f->fd, &peer.sa, &peer.len)) {
		if (errno == ENOTCONN && !(ev & SS_EV_ERR))
			return;
		err = errno;
	}
	opening_end(o, -err);
}

static void opening_late(ss_timer *t)
{
	opening_end(ss_container_of(t, struct opening, timer), -ETIMEDOUT);
}

static ss_future open_later(int fd, int family, uint64_t timeout_ns)
{
	struct opening *o = ss_zalloc(sizeof(*o));
	ss_future f;
	int err;

	if (!o) {
		close(fd);
		return ss_fail(-ENOMEM);
	}
	o->family = family;
	ss_timer_init(&o->timer, opening_late);
	f = ss_pending(&o->s);
	err = o->s ? ss_watch(&o->fd, fd, opening_event) : -ENOMEM;
	if (err) {
		close(fd);
		if (o->s)
			ss_state_free(o->s);
		ss_free(o);
		return ss_fail(err);
	}
	if (timeout_ns)
		ss_timer_arm(&o->timer, timeout_ns);
	return f;
}

static ss_future posix_connect(const ss_addr *a, uint64_t timeout_ns)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	ss_conn *c;

	if (fd < 0)
		return ss_fail(-errno);
	if (connect(fd, &a->sa, a->len) == 0) {
		c = ss_posix_conn_new(fd, a->sa.sa_family);
		return c ? ss_okp(c) : ss_fail(-ENOMEM);
	}
	if (errno == EINPROGRESS)
		return open_later(fd, a->sa.sa_family, timeout_ns);
	err = -errno;
	close(fd);
	return ss_fail(err);
}

const struct ss_net_stack ss_posix_stack = {
    .name = "posix",
    .listen = posix_listen,
    .connect = posix_connect,
    .udp_open = ss_posix_udp_open,
    .udp_recv = ss_posix_udp_recv,
    .udp_send = ss_posix_udp_send,
    .udp_addr = ss_posix_udp_addr,
    .udp_close = ss_posix_udp_close,
};
