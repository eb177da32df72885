/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The HTTP client. A request gets a connection (a kept one or a new one). It is written while the
 * response is already being read, since a server may answer before it has read everything, and may
 * read no more until its answer is taken. The response owns the connection until it is ended; the
 * exchange lives until the writing has ended, too.
 */
#include "entity.h"

#include <seastar/http_client.h>
#include <seastar/loop.h>

#include <stdio.h>

#define FIELDS 100
#define MAX_INTERIM 16 /* 1xx responses before the real one */

struct idle {
	struct idle *next;
	ss_conn *conn;
	uint64_t since;
};

struct ss_http_client {
	ss_addr addr;
	ss_http_client_opts o;
	char *host, *tls_name;
	ss_sem slots; /* connections that may still be used */
	ss_gate gate; /* responses not ended */
	struct idle *idle;
	struct ss_http_client_stats stats;
};

/* A request and its response. */
struct exchange {
	ss_http_response r;
	ss_http_client *cl;
	ss_buf request; /* head */
	const void *body;
	int64_t length;
	ss_future (*upload)(ss_http_upload *, void *);
	void *arg;
	uint64_t uploaded;
	struct http_entity entity;
	struct http_whole whole;
	char *text;
	ss_buf head;
	size_t seen;
	unsigned interim;
	ss_future writing; /* of the request, if has_writing */
	ss_result write_result;
	bool has_writing, has_slot;
	bool given;    /* all of the body is in the output stream */
	bool keepable; /* the response left the connection in good order */
	bool head_only, repeatable, reused, answered;
	ss_http_field field[FIELDS];
};

static struct exchange *of(ss_http_response *r)
{
	return ss_container_of(r, struct exchange, r);
}

/* The client */

static void set_options(ss_http_client_opts *o)
{
	o->max_connections = o->max_connections ? o->max_connections : 32;
	o->max_idle = o->max_idle ? o->max_idle : 8;
	o->max_head = o->max_head ? o->max_head : 65536;
	o->max_body = o->max_body ? o->max_body : UINT64_MAX;
	o->connect_ns = o->connect_ns ? o->connect_ns : 10 * SS_SEC;
	o->read_ns = o->read_ns ? o->read_ns : 30 * SS_SEC;
	o->write_ns = o->write_ns ? o->write_ns : 30 * SS_SEC;
	o->idle_ns = o->idle_ns ? o->idle_ns : 30 * SS_SEC;
}

static void client_free(ss_http_client *cl)
{
	ss_free(cl->host);
	ss_free(cl->tls_name);
	ss_free(cl);
}

ss_http_client *ss_http_client_new(const ss_addr *a, const ss_http_client_opts *opts)
{
	ss_http_client *cl = ss_zalloc(sizeof(*cl));
	char text[160];
	const char *host;

	if (!cl)
		return NULL;
	cl->addr = *a;
	if (opts)
		cl->o = *opts;
	set_options(&cl->o);
	cl->slots = (ss_sem)SS_SEM_INIT(cl->o.max_connections);
	host = cl->o.host;
	if (!host)
		host = a->sa.sa_family == AF_UNIX ? "localhost"
						  : ss_addr_format(a, text, sizeof(text));
	cl->host = ss_strdup(host);
	cl->tls_name = ss_strdup(cl->o.tls_name ? cl->o.tls_name : host);
	if (!cl->host || !cl->tls_name) {
		client_free(cl);
		return NULL;
	}
	return cl;
}

static ss_conn *take_idle(ss_http_client *cl)
{
	while (cl->idle) {
		struct idle *i = cl->idle;
		ss_conn *c = i->conn;
		bool fresh = ss_now() - i->since < cl->o.idle_ns;

		cl->idle = i->next;
		cl->stats.idle--;
		ss_free(i);
		if (fresh)
			return c;
		ss_conn_close(c);
	}
	return NULL;
}

static void keep(ss_http_client *cl, ss_conn *c)
{
	struct idle *i = NULL;

	if (!cl->gate.closed && cl->stats.idle < cl->o.max_idle)
		i = ss_alloc(sizeof(*i));
	if (!i) {
		ss_conn_close(c);
		return;
	}
	*i = (struct idle){.next = cl->idle, .conn = c, .since = ss_now()};
	cl->idle = i;
	cl->stats.idle++;
}

static void close_idle(ss_http_client *cl)
{
	while (cl->idle) {
		struct idle *i = cl->idle;

		cl->idle = i->next;
		ss_conn_close(i->conn);
		ss_free(i);
	}
	cl->stats.idle = 0;
}

SS_CONT(client_closed, ss_http_client *cl;)
{
	client_free(self->cl);
	return ss_ready(r);
}

ss_future ss_http_client_close(ss_http_client *cl)
{
	ss_future f = ss_gate_close(&cl->gate);

	close_idle(cl);
	ss_sem_break(&cl->slots, -ESHUTDOWN);
	return ss_then_wrapped(f, client_closed, cl);
}

void ss_http_client_stats(const ss_http_client *cl, struct ss_http_client_stats *out)
{
	*out = cl->stats;
}

/* Requests */

static bool clean(const char *s, bool blanks)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 + !blanks || *s == 0x7f)
			return false;
	return true;
}

static bool field_ok(const ss_http_line *f)
{
	for (const char *p = f->name; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == ':')
			return false;
	return *f->name && f->value && clean(f->value, true);
}

/* Bytes of the head, or -EINVAL. */
static int64_t measure(const ss_http_client *cl, const ss_http_call *c)
{
	size_t n = strlen(cl->host) + 128;

	if (!c->target || !*c->target || !clean(c->target, false))
		return -EINVAL;
	if (c->method && (!*c->method || !clean(c->method, false)))
		return -EINVAL;
	n += strlen(c->target) + (c->method ? strlen(c->method) : 3);
	for (const ss_http_line *f = c->fields; f && f->name; f++) {
		if (!field_ok(f))
			return -EINVAL;
		n += strlen(f->name) + strlen(f->value) + 4;
	}
	return (int64_t)n;
}

static int build_head(struct exchange *x, const ss_http_call *c)
{
	int64_t room = measure(x->cl, c), n;
	char *p;

	if (room < 0)
		return -EINVAL;
	if (ss_buf_alloc(&x->request, (size_t)room))
		return -ENOMEM;
	p = x->request.data;
	n = sprintf(p, "%s %s HTTP/1.1\r\nHost: %s\r\n", c->method ? c->method : "GET", c->target,
	    x->cl->host);
	for (const ss_http_line *f = c->fields; f && f->name; f++)
		n += sprintf(p + n, "%s: %s\r\n", f->name, f->value);
	if (c->upload && c->length < 0)
		n += sprintf(p + n, "Transfer-Encoding: chunked\r\n");
	else if (c->upload || c->body)
		n += sprintf(p + n, "Content-Length: %lld\r\n", (long long)c->length);
	n += sprintf(p + n, "\r\n");
	x->request.len = (size_t)n;
	return 0;
}

static bool repeatable(const ss_http_call *c)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};

	if (c->upload)
		return false;
	for (size_t i = 0; c->method && i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(c->method, methods[i]) == 0)
			return true;
	return !c->method;
}

/* The connection is at hand no more; the request may yet go on with another. */
static void drop_conn(struct exchange *x)
{
	ss_buf_release(&x->head);
	ss_conn_close(x->r.conn);
	x->r.conn = NULL;
}

static void really_free(struct exchange *x)
{
	ss_http_client *cl = x->cl;
	bool has_slot = x->has_slot;
	ss_conn *c = x->r.conn;

	ss_buf_release(&x->head);
	if (c && x->keepable && !x->write_result.err)
		keep(cl, c);
	else
		ss_conn_close(c);
	ss_buf_release(&x->request);
	ss_free(x->text);
	ss_free(x);
	if (has_slot)
		ss_sem_signal(&cl->slots, 1);
	ss_gate_leave(&cl->gate);
}

SS_CONT(written_at_last, struct exchange *x;)
{
	really_free(self->x);
	return ss_ok(0);
}

static bool is_writing(struct exchange *x)
{
	return x->has_writing && !ss_available(x->writing);
}

static void exchange_free(struct exchange *x)
{
	ss_result r;

	if (!x->has_writing) {
		really_free(x);
		return;
	}
	/* What is left of a request nobody waits for is not sent. */
	if (!x->given)
		x->keepable = false;
	if (is_writing(x) && x->r.conn && !x->keepable)
		ss_conn_abort(x->r.conn);
	x->has_writing = false;
	if (ss_take(x->writing, &r)) {
		really_free(x);
		return;
	}
	ss_detach(ss_then_wrapped(x->writing, written_at_last, x));
}

/* Sending */

struct ss_http_upload {
	struct exchange x;
};

static ss_output *output(struct exchange *x)
{
	return ss_conn_output(x->r.conn);
}

ss_future ss_http_upload_write(ss_http_upload *u, const void *data, size_t n)
{
	struct exchange *x = &u->x;
	char line[24];
	ss_future f;
	int err, k;

	if (!n)
		return ss_ok(0);
	if (x->length >= 0 && n > (uint64_t)x->length - x->uploaded)
		return ss_fail_msg(-EOVERFLOW, "more was written than announced");
	x->uploaded += n;
	if (x->length >= 0) {
		x->given = x->uploaded == (uint64_t)x->length;
		return ss_output_write(output(x), data, n);
	}
	k = snprintf(line, sizeof(line), "%zx\r\n", n);
	err = ss_output_put(output(x), line, (size_t)k);
	if (err)
		return ss_fail(err);
	f = ss_output_write(output(x), data, n);
	err = ss_output_put(output(x), "\r\n", 2);
	if (!err)
		return f;
	ss_ignore(f);
	return ss_fail(err);
}

SS_CONT(uploaded, struct exchange *x;)
{
	struct exchange *x = self->x;

	if (x->length >= 0)
		return x->uploaded == (uint64_t)x->length
			   ? ss_ok(0)
			   : ss_fail_msg(-EINVAL, "less was written than announced");
	x->given = true;
	return ss_output_write_static(output(x), "0\r\n\r\n", 5);
}

SS_CONT(written, struct exchange *x;)
{
	return ss_output_drain(output(self->x));
}

static ss_future write_request(struct exchange *x)
{
	ss_buf head = ss_buf_share(&x->request, 0, x->request.len);
	ss_future f = ss_output_write_buf(output(x), &head);

	x->given = !x->upload || !x->length;
	if (x->upload) {
		ss_ignore(f);
		/* The server may answer while the body is still being made. */
		ss_ignore(ss_output_flush(output(x)));
		f = ss_then(x->upload((ss_http_upload *)x, x->arg), uploaded, x);
	} else if (x->body && x->length) {
		ss_ignore(f);
		f = ss_output_write(output(x), x->body, (size_t)x->length);
	}
	return ss_then(f, written, x);
}

/* Receiving */

static ss_future read_head(struct exchange *x);

static void begin_body(struct exchange *x)
{
	const ss_http_head *h = &x->r.head;
	struct http_entity *b = &x->entity;

	http_entity_begin(b, ss_conn_input(x->r.conn), h, x->cl->o.max_body);
	if (x->head_only || h->status == 204 || h->status == 304 || h->status == 101) {
		b->end = true;
	} else if (!h->chunked && h->length < 0) {
		b->end = false;
		b->to_eof = true;
	}
}

SS_CONT(head_came, struct exchange *x;)
{
	if (!r.i)
		return ss_fail_msg(-ECONNRESET, "the server closed the connection");
	return read_head(self->x);
}

static ss_future read_head(struct exchange *x)
{
	ss_input *in = ss_conn_input(x->r.conn);
	ss_http_head *h = &x->r.head;
	size_t have = ss_input_len(in);
	int64_t n = 0;

	h->fields = x->field;
	h->max_fields = FIELDS;
	while (have && (n = ss_http_parse_response(h, ss_input_data(in), have, x->seen)) > 0) {
		x->answered = true;
		x->seen = 0;
		if ((size_t)n > x->cl->o.max_head)
			break;
		if (h->status >= 200 || h->status == 101) {
			x->head = ss_buf_share(&in->buf, 0, (size_t)n);
			ss_input_consume(in, (size_t)n);
			begin_body(x);
			return ss_ok(0);
		}
		ss_input_consume(in, (size_t)n);
		have = ss_input_len(in);
		if (++x->interim > MAX_INTERIM)
			return ss_fail_msg(-EBADMSG, "too many interim responses");
	}
	if (n < 0)
		return ss_fail_msg(-EBADMSG, h->error);
	if (n || have >= x->cl->o.max_head)
		return ss_fail_msg(-EMSGSIZE, "the head of the response is too large");
	x->answered |= have > 0;
	x->seen = have;
	return ss_then(ss_input_more(in), head_came, x);
}

/* Connecting */

static ss_future attempt(struct exchange *x);

SS_CONT(request_written, struct exchange *x;)
{
	struct exchange *x = self->x;

	x->write_result = r;
	/* A server may answer and close without reading all; any other failure ends the wait. */
	if (r.err && r.err != -EPIPE && r.err != -ECONNRESET && !x->answered && x->r.conn)
		ss_conn_abort(x->r.conn);
	return ss_ok(0);
}

SS_CONT(again, struct exchange *x;)
{
	drop_conn(self->x);
	return attempt(self->x);
}

/* The server closed a kept connection just when it was to be used. */
static ss_future retry(struct exchange *x)
{
	ss_conn_abort(x->r.conn);
	x->cl->stats.retries++;
	x->seen = 0;
	x->repeatable = false;
	close_idle(x->cl);
	x->has_writing = false;
	return ss_then_wrapped(x->writing, again, x);
}

SS_CONT(upgraded, struct exchange *x;)
{
	return ss_okp(&self->x->r);
}

SS_CONT(attempted, struct exchange *x;)
{
	struct exchange *x = self->x;
	ss_result why = r;

	if (!r.err && x->r.head.status == 101) {
		x->has_writing = false;
		return ss_then_wrapped(x->writing, upgraded, x);
	}
	if (!r.err)
		return ss_okp(&x->r);
	if (x->reused && x->repeatable && !x->answered && (r.err == -ECONNRESET || r.err == -EPIPE))
		return retry(x);
	if (r.err == -ECANCELED && x->write_result.err)
		why = x->write_result;
	exchange_free(x);
	return ss_ready(why);
}

static ss_future converse(struct exchange *x, ss_conn *c)
{
	x->r.conn = c;
	ss_conn_set_timeouts(c, x->cl->o.read_ns, x->cl->o.write_ns);
	x->writing = ss_then_wrapped(write_request(x), request_written, x);
	x->has_writing = true;
	return ss_then_wrapped(read_head(x), attempted, x);
}

SS_CONT(connected, struct exchange *x;)
{
	struct exchange *x = self->x;

	if (r.err) {
		exchange_free(x);
		return ss_ready(r);
	}
	x->cl->stats.connections++;
	return converse(x, r.p);
}

static ss_future attempt(struct exchange *x)
{
	ss_http_client *cl = x->cl;
	ss_conn *c = take_idle(cl);
	ss_tls_connect_opts to = {.name = cl->tls_name, .timeout_ns = cl->o.connect_ns};

	x->reused = c != NULL;
	if (c)
		return converse(x, c);
	return ss_then_wrapped(cl->o.tls ? ss_tls_connect(cl->o.tls, &cl->addr, &to)
					 : ss_connect_timeout(&cl->addr, cl->o.connect_ns),
	    connected, x);
}

SS_CONT(got_slot, struct exchange *x;)
{
	struct exchange *x = self->x;

	x->has_slot = !r.err;
	if (!r.err)
		return attempt(x);
	exchange_free(x);
	return ss_ready(r);
}

ss_future ss_http_send(ss_http_client *cl, const ss_http_call *call)
{
	struct exchange *x;
	int err;

	if (ss_gate_enter(&cl->gate))
		return ss_gate_closed();
	x = ss_zalloc(sizeof(*x));
	if (!x) {
		ss_gate_leave(&cl->gate);
		return ss_fail(-ENOMEM);
	}
	x->cl = cl;
	x->body = call->body;
	x->length = call->length;
	x->upload = call->upload;
	x->arg = call->arg;
	x->head_only = call->method && strcmp(call->method, "HEAD") == 0;
	x->repeatable = repeatable(call);
	err = build_head(x, call);
	if (err) {
		exchange_free(x);
		return err == -EINVAL ? ss_fail_msg(err, "bad method, target or header field")
				      : ss_fail(err);
	}
	cl->stats.requests++;
	return ss_then_wrapped(ss_sem_wait(&cl->slots, 1), got_slot, x);
}

ss_future ss_http_get(ss_http_client *cl, const char *target)
{
	return ss_http_send(cl, &(ss_http_call){.target = target});
}

/* Bodies of responses */

SS_CONT(more_came, struct exchange *x; ss_buf * out;)
{
	struct exchange *x = self->x;

	if (r.err)
		return http_entity_fail(&x->entity, r.err, r.msg);
	return r.i ? ss_http_response_take(&x->r, self->out) : http_entity_eof(&x->entity);
}

ss_future ss_http_response_take(ss_http_response *r, ss_buf *out)
{
	struct exchange *x = of(r);
	struct http_entity *b = &x->entity;
	ss_future f;

	*out = (ss_buf){NULL, 0, NULL};
	if (b->bad)
		return ss_fail_msg(-EBADMSG, "the response's body failed before");
	if (b->end)
		return ss_ok(0);
	if (ss_input_len(b->in) && http_entity_now(b, out, &f))
		return f;
	return ss_then_wrapped(ss_input_more(b->in), more_came, x, out);
}

static ss_future take_for(void *r, ss_buf *out)
{
	return ss_http_response_take(r, out);
}

ss_future ss_http_response_read(ss_http_response *r, size_t max, ss_str *out)
{
	struct exchange *x = of(r);

	x->whole = (struct http_whole){.body = &x->entity,
	    .take = take_for,
	    .arg = r,
	    .mem = &x->text,
	    .out = out,
	    .max = max};
	return http_whole_read(&x->whole);
}

void ss_http_response_end(ss_http_response *r)
{
	struct exchange *x;

	if (!r)
		return;
	x = of(r);
	/* Bytes after the body belong to no request: such a connection is not to be trusted. */
	x->keepable = r->conn && x->entity.end && !x->entity.to_eof && !x->entity.bad &&
		      r->head.keep_alive && r->head.status != 101 &&
		      !ss_input_len(ss_conn_input(r->conn));
	exchange_free(x);
}

ss_conn *ss_http_response_detach(ss_http_response *r)
{
	struct exchange *x = of(r);
	ss_conn *c = r->conn;

	ss_conn_set_timeouts(c, 0, 0);
	r->conn = NULL;
	exchange_free(x);
	return c;
}
