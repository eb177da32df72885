/* SPDX-License-Identifier: BSD-3-Clause */
/* The front of networking: the chosen stack, the life of connections, servers, pollables. */
#include "posix.h"

#include <seastar/loop.h>

#define STACKS 8
#define ACCEPT_PAUSE (10 * SS_MSEC)

static const struct ss_net_stack *stacks[STACKS] = {&ss_posix_stack};
static const struct ss_net_stack *stack = &ss_posix_stack;

void ss_net_stack_register(const struct ss_net_stack *s)
{
	for (int i = 0; i < STACKS; i++) {
		if (!stacks[i] || stacks[i] == s) {
			stacks[i] = s;
			return;
		}
	}
}

int ss_net_stack_choose(const char *name)
{
	for (int i = 0; i < STACKS && stacks[i]; i++) {
		if (strcmp(stacks[i]->name, name) == 0) {
			stack = stacks[i];
			return 0;
		}
	}
	return -EINVAL;
}

ss_future ss_listen(const ss_addr *a, const ss_listen_opts *opts)
{
	return stack->listen(a, opts);
}

ss_future ss_accept(ss_listener *l)
{
	return l->ops->accept(l);
}

void ss_listener_addr(ss_listener *l, ss_addr *out)
{
	l->ops->addr(l, out);
}

void ss_listener_close(ss_listener *l)
{
	if (l)
		l->ops->close(l);
}

ss_future ss_connect(const ss_addr *a)
{
	return stack->connect(a, 0);
}

ss_future ss_connect_timeout(const ss_addr *a, uint64_t ns)
{
	return stack->connect(a, ns);
}

ss_future ss_udp_open(const ss_addr *a, const ss_listen_opts *opts)
{
	return stack->udp_open(a, opts);
}

ss_future ss_udp_recv(ss_udp *u, ss_datagram *out)
{
	return stack->udp_recv(u, out);
}

ss_future ss_udp_send(ss_udp *u, const ss_addr *to, const void *data, size_t n)
{
	return stack->udp_send(u, to, data, n);
}

void ss_udp_addr(ss_udp *u, ss_addr *out)
{
	stack->udp_addr(u, out);
}

void ss_udp_close(ss_udp *u)
{
	if (u)
		stack->udp_close(u);
}

/* Connections */

void ss_conn_init(ss_conn *c, const struct ss_conn_ops *ops, ss_source *source, ss_sink *sink)
{
	c->ops = ops;
	c->closing = false;
	ss_input_init(&c->in, source);
	ss_output_init(&c->out, sink);
}

static void conn_maybe_free(ss_conn *c)
{
	if (c->in.pending || c->out.putting)
		return;
	ss_output_destroy(&c->out);
	ss_buf_release(&c->in.buf);
	c->ops->free(c);
}

static void input_idle(ss_input *in)
{
	conn_maybe_free(ss_container_of(in, ss_conn, in));
}

static void output_idle(ss_output *out)
{
	conn_maybe_free(ss_container_of(out, ss_conn, out));
}

void ss_conn_close(ss_conn *c)
{
	if (!c || c->closing)
		return;
	c->closing = true;
	/* Operations in progress end soon, and the last of them frees the connection. */
	c->in.idle = input_idle;
	c->out.idle = output_idle;
	c->ops->abort(c);
	conn_maybe_free(c);
}

SS_CONT(finish_close, ss_conn *c;)
{
	ss_conn_close(self->c);
	return ss_ok(0);
}

ss_future ss_conn_finish(ss_conn *c)
{
	return ss_finally(ss_output_close(&c->out), finish_close, c);
}

void ss_conn_abort(ss_conn *c)
{
	c->ops->abort(c);
}

void ss_conn_peer(ss_conn *c, ss_addr *out)
{
	c->ops->peer(c, out);
}

void ss_conn_local(ss_conn *c, ss_addr *out)
{
	c->ops->local(c, out);
}

int ss_conn_set_nodelay(ss_conn *c, bool on)
{
	return c->ops->nodelay(c, on);
}

void ss_conn_set_timeouts(ss_conn *c, uint64_t read_ns, uint64_t write_ns)
{
	c->ops->timeouts(c, read_ns, write_ns);
}

/* Servers */

SS_CONT(handler_done, ss_server *s;)
{
	/* How a connection ends is the handler's affair. */
	ss_gate_leave(&self->s->gate);
	return ss_ok(0);
}

SS_CONT(pause_over)
{
	return SS_AGAIN;
}

static ss_future accept_failed(ss_server *s, ss_result r)
{
	if (s->stopping)
		return SS_STOP;
	switch (r.err) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		/* Without memory even for the pause there is none. */
		return ss_then_wrapped(ss_sleep(ACCEPT_PAUSE), pause_over);
	default:
		return ss_ready(r);
	}
}

SS_CONT(accepted, ss_server *s;)
{
	ss_server *s = self->s;

	if (r.err)
		return accept_failed(s, r);
	s->accepted++;
	if ((s->max_connections && s->gate.count >= s->max_connections) ||
	    ss_gate_enter(&s->gate)) {
		s->rejected++;
		ss_conn_close(r.p);
		return SS_AGAIN;
	}
	ss_detach(ss_then_wrapped(s->handler(r.p, s->arg), handler_done, s));
	return SS_AGAIN;
}

SS_CONT(accept_step, ss_server *s;)
{
	if (self->s->stopping)
		return SS_STOP;
	return ss_then_wrapped(ss_accept(self->s->listener), accepted, self->s);
}

/* A server that accepts no more must not look as if it did. */
SS_CONT(accept_ended, ss_server *s;)
{
	ss_server *s = self->s;

	if (r.err && !s->stopping) {
		ss_log(SS_LOG_ERROR, "server stops accepting: %s", strerror(-r.err));
		ss_listener_close(s->listener);
		s->listener = NULL;
	}
	return ss_ready(r);
}

void ss_server_start(
    ss_server *s, ss_listener *l, ss_future (*handler)(ss_conn *, void *), void *arg)
{
	uint64_t max = s->max_connections;

	*s = (ss_server){.listener = l, .handler = handler, .arg = arg, .max_connections = max};
	s->gone = ss_promise_get_future(&s->gate.closing);
	s->loop = ss_then_wrapped(ss_repeat(accept_step, s), accept_ended, s);
}

SS_CONT(server_loop_ended, ss_server *s;)
{
	ss_server *s = self->s;

	/* The end must not come early for lack of memory: handlers use what is freed then. */
	if (s->gone.r.err != SS_PENDING)
		return ss_gate_close(&s->gate);
	s->gate.closed = true;
	if (!s->gate.count)
		ss_promise_set(&s->gate.closing, 0);
	return s->gone;
}

ss_future ss_server_stop(ss_server *s)
{
	ss_listener *l = s->listener;

	if (s->stopping)
		return ss_ok(0);
	s->stopping = true;
	s->listener = NULL;
	ss_listener_close(l);
	return ss_then_wrapped(s->loop, server_loop_ended, s);
}

/* Pollables */

struct ss_pollable {
	struct ss_fd fd;
	bool readable, writable;
	ss_state *rd, *wr;
};

static void fire(ss_state **at, ss_result r)
{
	ss_state *s = *at;

	*at = NULL;
	ss_state_set(s, r);
}

static void pollable_event(struct ss_fd *f, uint32_t ev)
{
	ss_pollable *p = ss_container_of(f, ss_pollable, fd);
	ss_result done = {.i = ev, .err = 0};

	if (ev & ~SS_EV_OUT) {
		if (p->rd)
			fire(&p->rd, done);
		else
			p->readable = true;
	}
	if (ev & (SS_EV_OUT | SS_EV_ERR | SS_EV_HUP)) {
		if (p->wr)
			fire(&p->wr, done);
		else
			p->writable = true;
	}
}

ss_pollable *ss_pollable_new(int fd)
{
	ss_pollable *p = ss_zalloc(sizeof(*p));

	if (p && ss_watch(&p->fd, fd, pollable_event)) {
		ss_free(p);
		return NULL;
	}
	return p;
}

ss_future ss_pollable_readable(ss_pollable *p)
{
	if (p->readable) {
		p->readable = false;
		return ss_ok(0);
	}
	return ss_pending(&p->rd);
}

ss_future ss_pollable_writable(ss_pollable *p)
{
	if (p->writable) {
		p->writable = false;
		return ss_ok(0);
	}
	return ss_pending(&p->wr);
}

void ss_pollable_free(ss_pollable *p)
{
	ss_result r = {.msg = NULL, .err = -ECANCELED};

	if (!p)
		return;
	ss_unwatch(&p->fd);
	if (p->rd)
		fire(&p->rd, r);
	if (p->wr)
		fire(&p->wr, r);
	ss_free(p);
}
