/* SPDX-License-Identifier: BSD-3-Clause */
/* The connections of an HTTP server: one request after another. */
#include "server.h"

#include "conn.h"

#include <seastar/loop.h>

#define FREE_EX_MAX 64
#define LINGER_NS (2 * SS_SEC)

/* Exchanges */

static struct ex *ex_get(ss_http_server *s)
{
	struct ex *e = s->free_ex;

	if (ss_likely(e != NULL)) {
		s->free_ex = e->next_free;
		s->n_free_ex--;
		return e;
	}
	e = ss_alloc(sizeof(*e) + s->o.max_fields * sizeof(e->field[0]));
	if (e) {
		memset(e, 0, offsetof(struct ex, scratch));
		e->q.head.fields = e->field;
		e->q.head.max_fields = s->o.max_fields;
		e->q.server = s;
	}
	return e;
}

static void ex_put(ss_http_server *s, struct ex *e)
{
	if (s->n_free_ex >= FREE_EX_MAX) {
		ss_free(e);
		return;
	}
	e->next_free = s->free_ex;
	s->free_ex = e;
	s->n_free_ex++;
}

/* What a request left behind. */
static void ex_clear(struct ex *e)
{
	ss_buf_release(&e->head);
	while (ss_unlikely(e->blocks != NULL)) {
		struct scratch *b = e->blocks;

		e->blocks = b->next;
		ss_free(b);
	}
	if (ss_unlikely(e->text != NULL)) {
		ss_free(e->text);
		e->text = NULL;
	}
}

static void ex_begin(struct ex *e, struct hconn *c)
{
	ss_http_req *q = &e->q;

	e->c = c;
	q->conn = c->conn;
	q->params = q->queries = q->forms = NULL;
	q->n_params = q->n_queries = q->n_forms = 0;
	q->user = NULL;
	e->written = 0;
	e->head_only = ss_str_is(q->head.method, "HEAD");
	e->state = REPLY_NONE;
	e->chunked = e->keep = false;
	e->to_write = -1;
	e->status = 0;
	e->wanted_status = 200;
	e->fields = NULL;
	e->n_fields = e->fields_room = 0;
	e->stage = 0;
	e->route = NULL;
	e->used = 0;
	http_entity_begin(&e->body, ss_conn_input(c->conn), &q->head, c->s->o.max_body);
	e->expect = q->head.expect && !e->body.end;
	c->ex = e;
}

static void ex_end(struct hconn *c)
{
	struct ex *e = c->ex;

	if (!e)
		return;
	c->ex = NULL;
	if (c->s->o.done)
		c->s->o.done(&e->q, e->status, e->written, c->s->o.done_arg);
	ex_clear(e);
	ex_put(c->s, e);
}

void http_ex_pool_free(ss_http_server *s)
{
	while (s->free_ex) {
		struct ex *e = s->free_ex;

		s->free_ex = e->next_free;
		ss_free(e);
	}
}

/* From a head to its handler */

static ss_future no_route(struct ex *e, const struct http_match *m)
{
	if (!m->path_known)
		return ss_http_reply_error(&e->q, 404, "no such path");
	if (ss_http_add_field(&e->q, "Allow", m->allow))
		return ss_fail(-ENOMEM);
	if (ss_str_is(e->q.head.method, "OPTIONS"))
		return ss_http_reply(&e->q, 204, NULL, NULL, 0);
	return ss_http_reply_error(&e->q, 405, "the path does not have this method");
}

static ss_future call_handler(struct ex *e)
{
	struct http_match m;

	if (ss_likely(e->route != NULL))
		return e->route->handler(&e->q, e->route->arg);
	http_node_find(e->c->s->root, e->q.head.method, e->q.head.path, &m);
	return no_route(e, &m);
}

static ss_future run_stages(struct ex *e);

SS_CONT(stage_done, struct ex *e;)
{
	return r.i ? ss_ready(r) : run_stages(self->e);
}

/* Middleware, one after another, then the handler. */
static ss_future run_stages(struct ex *e)
{
	const ss_http_server *s = e->c->s;

	while (e->stage < s->n_mw) {
		const struct middleware *m = &s->mw[e->stage++];
		ss_future f = m->fn(&e->q, m->arg);
		ss_result r;

		if (!ss_take_inline(f, &r))
			return ss_then(f, stage_done, e);
		if (r.err || r.i)
			return ss_ready(r);
	}
	return call_handler(e);
}

static int decode_params(struct ex *e, const struct http_match *m)
{
	unsigned n = m->route->n_names;
	ss_http_pair *v = ss_http_alloc(&e->q, n * sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		char *mem = ss_http_alloc(&e->q, m->values[i].n + 1);
		int64_t k;

		if (!mem)
			return -ENOMEM;
		k = ss_http_decode(mem, m->values[i], false);
		if (k < 0)
			return -EINVAL;
		v[i] = (ss_http_pair){.name = m->route->names[i],
		    .name_len = strlen(m->route->names[i]),
		    .value = mem,
		    .value_len = (size_t)k};
	}
	e->q.params = v;
	e->q.n_params = n;
	return 0;
}

static ss_future handle(struct ex *e)
{
	struct http_match m;
	ss_http_req *q = &e->q;
	int err = 0;

	http_node_find(e->c->s->root, q->head.method, q->head.path, &m);
	e->route = m.route;
	if (m.route && m.route->n_names)
		err = decode_params(e, &m);
	if (err == -EINVAL)
		return ss_fail_msg(err, "bad encoding in the path");
	if (!err && q->head.query.n) {
		err = http_pairs(e, q->head.query, &q->queries);
		if (err < 0 && err != -ENOMEM)
			return ss_fail_msg(-EINVAL, "bad encoding in the query");
		if (err > 0) {
			q->n_queries = (unsigned)err;
			err = 0;
		}
	}
	return err ? ss_fail(err) : run_stages(e);
}

/* After the handler */

SS_CONT(body_dropped, struct hconn *c;)
{
	struct hconn *c = self->c;

	ex_end(c);
	if (!r.i) {
		c->linger = true;
		return SS_STOP;
	}
	c->phase = PHASE_IDLE;
	return SS_AGAIN;
}

SS_CONT(room_made)
{
	return SS_AGAIN;
}

/* Complete the reply; SS_AGAIN for the next request, SS_STOP to end the connection. */
static ss_future finish(struct hconn *c, ss_result r)
{
	struct ex *e = c->ex;
	ss_output *out = ss_conn_output(c->conn);
	int err;

	if (ss_unlikely(r.err)) {
		ss_ignore(http_reply_failure(e, r));
		if (r.err == -ETIMEDOUT && e->body.bad)
			c->s->stats.timeouts++;
	}
	err = http_reply_end(e);
	if (ss_unlikely(err)) {
		/* A body that ends with the connection would look complete if that ended well. */
		bool plain = !e->chunked && e->to_write < 0;

		ex_end(c);
		return plain ? ss_fail(err) : SS_STOP;
	}
	if (ss_unlikely(!e->keep)) {
		c->linger = !e->body.end && e->state != REPLY_RAW;
		ex_end(c);
		return SS_STOP;
	}
	if (ss_unlikely(!e->body.end)) {
		if (!out->putting)
			ss_ignore(ss_output_flush(out));
		return ss_then_wrapped(http_body_drop(e), body_dropped, c);
	}
	ex_end(c);
	c->phase = PHASE_IDLE;
	if (ss_unlikely(ss_output_pending(out) >= OUT_HIGH))
		return ss_then(http_room(c), room_made);
	return SS_AGAIN;
}

SS_CONT(handled, struct hconn *c;)
{
	return finish(self->c, r);
}

/* A head of n bytes was parsed into e. */
static ss_future begin(struct hconn *c, struct ex *e, size_t n)
{
	ss_input *in = ss_conn_input(c->conn);
	ss_output *out = ss_conn_output(c->conn);
	ss_future f;
	ss_result r;

	c->seen = 0;
	c->phase = PHASE_BUSY;
	c->deadline = 0;
	c->requests++;
	c->s->stats.requests++;
	e->head = ss_buf_share(&in->buf, 0, n);
	ss_input_consume(in, n);
	ex_begin(e, c);
	f = handle(e);
	if (ss_likely(ss_take_inline(f, &r)))
		return finish(c, r);
	/* Replies to requests before this one need not wait for it. */
	if (ss_output_pending(out) && !out->putting)
		ss_ignore(ss_output_flush(out));
	return ss_then_wrapped(f, handled, c);
}

/* Reading heads */

static ss_future refuse(struct hconn *c, int status, const char *why)
{
	c->s->stats.bad++;
	http_reply_bad(c, status, why);
	return SS_STOP;
}

static ss_future step(struct hconn *c);
static ss_future wait_head(struct hconn *c);

/* One request and the wait for the next, without a turn of the loop in between. */
static ss_future serve_one(struct hconn *c)
{
	ss_future f = step(c);

	if (f.r.err || f.r.i || ss_input_len(ss_conn_input(c->conn)))
		return f;
	return wait_head(c);
}

SS_CONT(came, struct hconn *c;)
{
	struct hconn *c = self->c;

	if (ss_likely(!r.err && r.i))
		return serve_one(c);
	if (r.err == -ETIMEDOUT && c->phase == PHASE_HEAD)
		return refuse(c, 408, "the request did not come in time");
	return SS_STOP;
}

static ss_future wait_head(struct hconn *c)
{
	ss_output *out = ss_conn_output(c->conn);
	ss_http_server *s = c->s;

	if (ss_unlikely(s->stopping && !c->seen))
		return SS_STOP;
	/* The limit for a head counts from its first byte. */
	if (!c->seen)
		set_phase(c, PHASE_IDLE, s->o.idle_ns);
	else if (c->phase != PHASE_HEAD)
		set_phase(c, PHASE_HEAD, s->o.head_ns);
	if (ss_output_pending(out) && !out->putting && !out->queued)
		ss_ignore(ss_output_flush(out));
	return ss_then_wrapped(ss_input_more(ss_conn_input(c->conn)), came, c);
}

static ss_future step(struct hconn *c)
{
	ss_input *in = ss_conn_input(c->conn);
	size_t have = ss_input_len(in);
	const char *why;
	struct ex *e;
	int64_t n;
	int status;

	if (!have)
		return wait_head(c);
	e = ex_get(c->s);
	if (!e)
		return ss_fail(-ENOMEM);
	n = ss_http_parse_request(&e->q.head, ss_input_data(in), have, c->seen);
	if (ss_likely(n > 0 && (size_t)n <= c->s->o.max_head))
		return begin(c, e, (size_t)n);
	status = e->q.head.status;
	why = e->q.head.error;
	ex_put(c->s, e);
	if (n < 0)
		return refuse(c, status, why);
	if (n || have >= c->s->o.max_head)
		return refuse(c, 431, "the head of the request is too large");
	c->seen = have;
	return wait_head(c);
}

SS_CONT(conn_step, struct hconn *c;)
{
	return step(self->c);
}

/* The end of a connection */

SS_CONT(linger_took, struct hconn *c;)
{
	struct hconn *c = self->c;

	c->drained += (uint64_t)r.i;
	ss_input_consume(ss_conn_input(c->conn), (size_t)r.i);
	return r.i && c->drained < DRAIN_MAX ? SS_AGAIN : SS_STOP;
}

SS_CONT(linger_step, struct hconn *c;)
{
	return ss_then(ss_input_fill(ss_conn_input(self->c->conn)), linger_took, self->c);
}

/*
 * The reply to a request that was not read to its end: a close now would make the system reset the
 * connection, and the client might lose the reply.
 */
SS_CONT(out_closed, struct hconn *c;)
{
	struct hconn *c = self->c;

	if (r.err || !c->linger)
		return ss_ready(r);
	ss_conn_set_timeouts(c->conn, 0, 0);
	set_phase(c, PHASE_WRITE, LINGER_NS);
	c->drained = 0;
	return ss_repeat(linger_step, c);
}

static void unlink_conn(struct hconn *c)
{
	ss_http_server *s = c->s;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (!--s->n_conns)
		ss_timer_cancel(&s->sweep);
}

SS_CONT(conn_gone, struct hconn *c;)
{
	struct hconn *c = self->c;
	ss_http_server *s = c->s;

	unlink_conn(c);
	ss_conn_close(c->conn);
	ss_free(c);
	ss_gate_leave(&s->gate);
	return ss_ok(0);
}

SS_CONT(loop_ended, struct hconn *c;)
{
	struct hconn *c = self->c;

	ex_end(c);
	if (r.err)
		return ss_ready(r);
	set_phase(c, PHASE_WRITE, c->s->o.write_ns);
	return ss_then_wrapped(ss_output_close(ss_conn_output(c->conn)), out_closed, c);
}

static struct hconn *conn_new(ss_http_server *s, ss_conn *conn)
{
	struct hconn *c = ss_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	if (ss_gate_enter(&s->gate)) {
		ss_free(c);
		return NULL;
	}
	c->s = s;
	c->conn = conn;
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->stats.connections++;
	if (!s->n_conns++)
		ss_timer_arm_periodic(&s->sweep, s->sweep_ns);
	return c;
}

ss_future ss_http_server_serve(ss_http_server *s, ss_conn *conn)
{
	struct hconn *c = conn_new(s, conn);
	ss_future f;

	if (!c) {
		ss_conn_close(conn);
		return ss_ok(0);
	}
	f = ss_then_wrapped(ss_repeat(conn_step, c), loop_ended, c);
	return ss_then_wrapped(f, conn_gone, c);
}

/* Time limits */

static void late(struct hconn *c)
{
	c->deadline = 0;
	switch (c->phase) {
	case PHASE_HEAD:
	case PHASE_BODY:
		/* The read fails, and a reply can still be sent. */
		if (c->phase == PHASE_HEAD)
			c->s->stats.timeouts++;
		ss_conn_set_timeouts(c->conn, 1, 0);
		return;
	case PHASE_BUSY:
		return;
	default:
		c->s->stats.timeouts++;
		ss_conn_abort(c->conn);
	}
}

void http_conns_sweep(ss_timer *t)
{
	ss_http_server *s = ss_container_of(t, ss_http_server, sweep);
	uint64_t now = ss_now_coarse();

	for (struct hconn *c = s->conns; c; c = c->next) {
		if (s->stop_deadline && now >= s->stop_deadline)
			ss_conn_abort(c->conn);
		else if (c->deadline && now >= c->deadline)
			late(c);
	}
}

void http_conns_stop_idle(ss_http_server *s)
{
	for (struct hconn *c = s->conns; c; c = c->next)
		if (c->phase == PHASE_IDLE && !ss_output_pending(ss_conn_output(c->conn)))
			ss_conn_abort(c->conn);
}
