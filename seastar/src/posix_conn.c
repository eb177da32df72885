/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections over the system's sockets. Every operation is tried at once; only after EAGAIN does
 * it wait for an event, and the event's handler then does the system call itself and resolves the
 * future with its result. A read shorter than its buffer means the socket is empty, so the next one
 * waits for an event without asking the system again (unless the other side has finished).
 */
#include "posix.h"

#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_MIN 8192
#define READ_MAX 131072
#define IOVS 64

struct posix_conn {
	ss_conn base;
	struct ss_fd fd;
	ss_source source;
	ss_sink sink;
	int family;
	bool can_read, can_write, peer_done, aborted;
	uint32_t read_size;
	ss_state *rd, *wr; /* operations that wait */
	ss_buf *rd_out;
	ss_buf *wr_bufs;
	size_t wr_n, wr_at, wr_off;
	uint64_t rd_timeout, wr_timeout;
	ss_timer rd_timer, wr_timer;
};

static struct posix_conn *from_conn(ss_conn *c)
{
	return ss_container_of(c, struct posix_conn, base);
}

static void note_size(struct posix_conn *c, size_t got)
{
	if (got == c->read_size && c->read_size < READ_MAX)
		c->read_size *= 2;
	else if (got < c->read_size / 4 && c->read_size > READ_MIN)
		c->read_size /= 2;
}

/* Try to read: true with *r set, or false if it would block. */
static bool try_read(struct posix_conn *c, ss_buf *out, ss_result *r)
{
	ss_buf b;
	ssize_t k;

	if (!c->can_read)
		return false;
	if (ss_buf_alloc(&b, c->read_size)) {
		*r = (ss_result){.msg = NULL, .err = -ENOMEM};
		return true;
	}
	do
		k = recv(c->fd.fd, b.data, b.len, 0);
	while (k < 0 && errno == EINTR);
	if (k > 0) {
		if ((size_t)k < b.len && !c->peer_done)
			c->can_read = false;
		note_size(c, (size_t)k);
		ss_self->net_rx += (uint64_t)k;
		b.len = (size_t)k;
		*out = b;
		*r = (ss_result){.i = k, .err = 0};
		return true;
	}
	ss_buf_release(&b);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		c->can_read = false;
		return false;
	}
	*r = (ss_result){.i = 0, .err = k < 0 ? -errno : 0};
	return true;
}

static unsigned fill_iov(struct posix_conn *c, struct iovec *iov)
{
	unsigned n = 0;
	size_t off = c->wr_off;

	for (size_t i = c->wr_at; i < c->wr_n && n < IOVS; i++) {
		iov[n].iov_base = c->wr_bufs[i].data + off;
		iov[n].iov_len = c->wr_bufs[i].len - off;
		n++;
		off = 0;
	}
	return n;
}

static void advance(struct posix_conn *c, size_t k)
{
	while (k) {
		size_t left = c->wr_bufs[c->wr_at].len - c->wr_off;

		if (k < left) {
			c->wr_off += k;
			return;
		}
		k -= left;
		c->wr_at++;
		c->wr_off = 0;
	}
}

/* Try to write all: true with *r set, or false if the rest would block. */
static bool try_write(struct posix_conn *c, ss_result *r)
{
	struct iovec iov[IOVS];

	*r = (ss_result){.i = 0, .err = 0};
	while (c->wr_at < c->wr_n) {
		struct msghdr m = {.msg_iov = iov};
		ssize_t k;

		if (!c->can_write)
			return false;
		m.msg_iovlen = fill_iov(c, iov);
		if (m.msg_iovlen == 1)
			k = send(c->fd.fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
		else
			k = sendmsg(c->fd.fd, &m, MSG_NOSIGNAL);
		if (k >= 0) {
			ss_self->net_tx += (uint64_t)k;
			advance(c, (size_t)k);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			c->can_write = false;
			return false;
		}
		*r = (ss_result){.msg = NULL, .err = -errno};
		return true;
	}
	return true;
}

static void end_read(struct posix_conn *c, ss_result r)
{
	ss_state *s = c->rd;

	c->rd = NULL;
	ss_timer_cancel(&c->rd_timer);
	ss_state_set(s, r);
}

static void end_write(struct posix_conn *c, ss_result r)
{
	ss_state *s = c->wr;

	c->wr = NULL;
	ss_timer_cancel(&c->wr_timer);
	ss_state_set(s, r);
}

static void conn_event(struct ss_fd *f, uint32_t ev)
{
	struct posix_conn *c = ss_container_of(f, struct posix_conn, fd);
	ss_result r;

	if (ev & (SS_EV_RDHUP | SS_EV_HUP | SS_EV_ERR))
		c->peer_done = true;
	if (ev & (SS_EV_IN | SS_EV_RDHUP | SS_EV_HUP | SS_EV_ERR)) {
		c->can_read = true;
		if (c->rd && try_read(c, c->rd_out, &r))
			end_read(c, r);
	}
	if (ev & (SS_EV_OUT | SS_EV_HUP | SS_EV_ERR)) {
		c->can_write = true;
		if (c->wr && try_write(c, &r))
			end_write(c, r);
	}
}

static void read_late(ss_timer *t)
{
	end_read(ss_container_of(t, struct posix_conn, rd_timer),
	    (ss_result){.msg = NULL, .err = -ETIMEDOUT});
}

static void write_late(ss_timer *t)
{
	end_write(ss_container_of(t, struct posix_conn, wr_timer),
	    (ss_result){.msg = NULL, .err = -ETIMEDOUT});
}

static ss_future conn_get(ss_source *s, ss_buf *out)
{
	struct posix_conn *c = ss_container_of(s, struct posix_conn, source);
	ss_result r;
	ss_future f;

	if (c->aborted)
		return ss_fail(-ECANCELED);
	if (try_read(c, out, &r))
		return ss_ready(r);
	f = ss_pending(&c->rd);
	if (!c->rd)
		return f;
	c->rd_out = out;
	if (c->rd_timeout)
		ss_timer_arm(&c->rd_timer, c->rd_timeout);
	return f;
}

static ss_future conn_put(ss_sink *s, ss_buf *bufs, size_t n)
{
	struct posix_conn *c = ss_container_of(s, struct posix_conn, sink);
	ss_result r;
	ss_future f;

	if (c->aborted)
		return ss_fail(-ECANCELED);
	c->wr_bufs = bufs;
	c->wr_n = n;
	c->wr_at = c->wr_off = 0;
	if (try_write(c, &r))
		return ss_ready(r);
	f = ss_pending(&c->wr);
	if (!c->wr)
		return f;
	if (c->wr_timeout)
		ss_timer_arm(&c->wr_timer, c->wr_timeout);
	return f;
}

static ss_future conn_half_close(ss_sink *s)
{
	struct posix_conn *c = ss_container_of(s, struct posix_conn, sink);

	if (c->aborted)
		return ss_fail(-ECANCELED);
	/* A peer that is gone already has nothing to be told. */
	if (shutdown(c->fd.fd, SHUT_WR) && errno != ENOTCONN)
		return ss_fail(-errno);
	return ss_ok(0);
}

static const struct ss_source_ops source_ops = {.get = conn_get};
static const struct ss_sink_ops sink_ops = {.put = conn_put, .close = conn_half_close};

static void conn_abort(ss_conn *base)
{
	struct posix_conn *c = from_conn(base);
	ss_result r = {.msg = NULL, .err = -ECANCELED};

	if (c->aborted)
		return;
	c->aborted = true;
	if (c->rd)
		end_read(c, r);
	if (c->wr)
		end_write(c, r);
	ss_unwatch(&c->fd);
	shutdown(c->fd.fd, SHUT_RDWR);
}

static void conn_free(ss_conn *base)
{
	struct posix_conn *c = from_conn(base);

	close(c->fd.fd);
	ss_self->net_conns--;
	ss_free(c);
}

static void conn_peer(ss_conn *base, ss_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->len = sizeof(out->un);
	getpeername(from_conn(base)->fd.fd, &out->sa, &out->len);
}

static void conn_local(ss_conn *base, ss_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->len = sizeof(out->un);
	getsockname(from_conn(base)->fd.fd, &out->sa, &out->len);
}

static int conn_nodelay(ss_conn *base, bool on)
{
	struct posix_conn *c = from_conn(base);
	int v = on;

	if (c->family == AF_UNIX)
		return 0;
	return setsockopt(c->fd.fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)) ? -errno : 0;
}

static void conn_timeouts(ss_conn *base, uint64_t rd, uint64_t wr)
{
	struct posix_conn *c = from_conn(base);

	c->rd_timeout = rd;
	c->wr_timeout = wr;
	if (c->rd)
		rd ? ss_timer_arm(&c->rd_timer, rd) : (void)ss_timer_cancel(&c->rd_timer);
	if (c->wr)
		wr ? ss_timer_arm(&c->wr_timer, wr) : (void)ss_timer_cancel(&c->wr_timer);
}

static const struct ss_conn_ops conn_ops = {
    .abort = conn_abort,
    .free = conn_free,
    .peer = conn_peer,
    .local = conn_local,
    .nodelay = conn_nodelay,
    .timeouts = conn_timeouts,
};

ss_conn *ss_posix_conn_new(int fd, int family)
{
	struct posix_conn *c = ss_zalloc(sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->source.ops = &source_ops;
	c->sink.ops = &sink_ops;
	c->family = family;
	c->can_read = c->can_write = true;
	c->read_size = READ_MIN;
	ss_timer_init(&c->rd_timer, read_late);
	ss_timer_init(&c->wr_timer, write_late);
	ss_conn_init(&c->base, &conn_ops, &c->source, &c->sink);
	if (ss_watch(&c->fd, fd, conn_event)) {
		close(fd);
		ss_free(c);
		return NULL;
	}
	conn_nodelay(&c->base, true);
	ss_self->net_conns++;
	return &c->base;
}
