/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies: heads, whole and streamed bodies, errors. */
#include "server.h"

#include <stdarg.h>
#include <stdio.h>

static const char sent_already[] = "the reply was begun before";

static ss_output *output(struct ex *e)
{
	return ss_conn_output(e->c->conn);
}

/* Have the loop send what is there at the end of its turn. */
static void push(ss_output *out)
{
	if (!out->putting && !out->queued)
		ss_ignore(ss_output_flush(out));
}

/* Building heads */

static char *add(char *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}

#define ADD(p, literal) add((p), (literal), sizeof(literal) - 1)

static char *add_number(char *p, uint64_t v)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = digits[--n];
	return p;
}

static void refresh_date(ss_http_server *s, uint64_t now)
{
	struct timespec t;
	char date[SS_HTTP_DATE_SIZE];

	clock_gettime(CLOCK_REALTIME, &t);
	ss_http_date(date, t.tv_sec);
	s->n_date = (size_t)snprintf(s->date, sizeof(s->date), "Date: %s\r\n", date);
	s->date_until = now + SS_SEC - (uint64_t)t.tv_nsec;
}

/* Status line and the fields every reply has; at most 200 bytes. */
static char *begin_head(ss_http_server *s, char *p, int status)
{
	uint64_t now = ss_now_coarse();

	if (ss_likely(status == 200)) {
		p = ADD(p, "HTTP/1.1 200 OK\r\n");
	} else {
		const char *reason = ss_http_reason(status);

		p = ADD(p, "HTTP/1.1 ");
		p = add_number(p, (uint64_t)status);
		*p++ = ' ';
		p = add(p, reason, strlen(reason));
		p = ADD(p, "\r\n");
	}
	if (ss_unlikely(now >= s->date_until))
		refresh_date(s, now);
	p = add(p, s->server_field, s->n_server_field);
	return add(p, s->date, s->n_date);
}

static bool has_no_body(int status)
{
	return status < 200 || status == 204 || status == 304;
}

/* The connection cannot live on if a body is left in it that is too long to drop. A handler that
 * streams its reply may read the body meanwhile. */
static bool may_keep(struct ex *e, bool streams)
{
	struct hconn *c = e->c;
	const ss_http_server_opts *o = &c->s->o;

	if (!e->q.head.keep_alive || c->s->stopping || e->body.bad)
		return false;
	if (o->max_requests && c->requests >= o->max_requests)
		return false;
	return e->body.end || streams || (!e->expect && e->body.left <= DRAIN_MAX);
}

/* What a head needs besides the content type and the fields added. */
#define HEAD_MAX 384
#define ROOM_MAX 4096 /* of ss_output_room() */
#define SMALL_BODY 1024

/* The head at p, which has room for it; returns its end. */
static char *write_head(
    struct ex *e, char *p, int status, const char *type, size_t type_len, int64_t length)
{
	p = begin_head(e->c->s, p, status);
	if (type) {
		p = ADD(p, "Content-Type: ");
		p = add(p, type, type_len);
		p = ADD(p, "\r\n");
	}
	if (e->n_fields)
		p = add(p, e->fields, e->n_fields);
	if (length >= 0 && !has_no_body(status)) {
		p = ADD(p, "Content-Length: ");
		p = add_number(p, (uint64_t)length);
		p = ADD(p, "\r\n");
	} else if (e->chunked && !has_no_body(status)) {
		p = ADD(p, "Transfer-Encoding: chunked\r\n");
	}
	if (!e->keep)
		p = ADD(p, "Connection: close\r\n");
	else if (e->q.head.minor < 1)
		p = ADD(p, "Connection: keep-alive\r\n");
	return ADD(p, "\r\n");
}

/* Put the head and a small body into the output stream. */
static int put_head(
    struct ex *e, int status, const char *type, int64_t length, const void *body, size_t n)
{
	ss_output *out = output(e);
	size_t type_len = type ? strlen(type) : 0, room;
	size_t need = HEAD_MAX + type_len + e->n_fields + n;
	bool direct = need <= ROOM_MAX;
	char *start = direct ? ss_output_room(out, need, &room) : ss_alloc(need), *p;
	int err = 0;

	if (!start)
		return out->err ? out->err : -ENOMEM;
	p = write_head(e, start, status, type, type_len, length);
	if (n)
		p = add(p, body, n);
	if (direct) {
		ss_output_commit(out, (size_t)(p - start));
		return 0;
	}
	err = ss_output_put(out, start, (size_t)(p - start));
	ss_free(start);
	return err;
}

/*
 * Begin a reply; length -1 for chunks. A body that is whole and small goes with the head. On
 * failure the connection is of no use any more.
 */
static int send_head(struct ex *e, int status, const char *type, int64_t length, bool streams,
    const void *body, size_t n)
{
	int err;

	if (e->state != REPLY_NONE)
		return -EALREADY;
	e->state = REPLY_BROKEN;
	e->keep = may_keep(e, streams);
	e->chunked = length < 0 && e->q.head.minor >= 1;
	if (length < 0 && !e->chunked)
		e->keep = false;
	e->head_only |= has_no_body(status);
	err = put_head(e, status, type, length, body, e->head_only ? 0 : n);
	if (err)
		return err;
	e->to_write = length;
	e->status = status;
	e->c->s->stats.status[status / 100 % 6]++;
	e->state = REPLY_BODY;
	return 0;
}

static ss_future head_failed(int err)
{
	return err == -EALREADY ? ss_fail_msg(err, sent_already) : ss_fail(err);
}

/* Whole replies */

ss_future ss_http_reply(ss_http_req *q, int status, const char *type, const void *data, size_t n)
{
	struct ex *e = ex_of(q);
	size_t small = n <= SMALL_BODY ? n : 0;
	int err = send_head(e, status, type, (int64_t)n, false, data, small);

	if (ss_unlikely(err))
		return head_failed(err);
	e->state = REPLY_WHOLE;
	if (e->head_only)
		return ss_ok(0);
	err = n - small ? ss_output_put(output(e), data, n) : 0;
	if (ss_unlikely(err)) {
		e->state = REPLY_BROKEN;
		return ss_fail(err);
	}
	e->written = n;
	return ss_ok(0);
}

ss_future ss_http_reply_text(ss_http_req *q, int status, const char *text)
{
	return ss_http_reply(q, status, "text/plain; charset=utf-8", text, strlen(text));
}

ss_future ss_http_reply_json(ss_http_req *q, int status, const char *json)
{
	return ss_http_reply(q, status, "application/json", json, strlen(json));
}

ss_future ss_http_reply_buf(ss_http_req *q, int status, const char *type, ss_buf *b)
{
	struct ex *e = ex_of(q);
	ss_buf mine = ss_buf_move(b);
	ss_future f;
	int err;

	if (mine.len <= COPY_MAX) {
		f = ss_http_reply(q, status, type, mine.data, mine.len);
		ss_buf_release(&mine);
		return f;
	}
	err = send_head(e, status, type, (int64_t)mine.len, false, NULL, 0);
	if (err || e->head_only) {
		ss_buf_release(&mine);
		if (err)
			return head_failed(err);
		e->state = REPLY_WHOLE;
		return ss_ok(0);
	}
	e->written = mine.len;
	e->state = REPLY_WHOLE;
	/* Whether it is sent yet is for the connection's loop to wait for. */
	ss_ignore(ss_output_write_buf(output(e), &mine));
	return ss_ok(0);
}

ss_future ss_http_redirect(ss_http_req *q, int status, const char *location)
{
	int err = ss_http_add_field(q, "Location", location);

	return err ? ss_fail(err) : ss_http_reply(q, status, NULL, NULL, 0);
}

/* Header fields */

static bool is_token(const char *p)
{
	if (!*p)
		return false;
	for (; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *p))
			return false;
	return true;
}

static bool is_value(const char *p)
{
	for (; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

int ss_http_add_field(ss_http_req *q, const char *name, const char *value)
{
	struct ex *e = ex_of(q);
	size_t nn = strlen(name), nv = strlen(value), n = nn + nv + 4;
	char *p;

	if (e->state != REPLY_NONE)
		return -EALREADY;
	if (!is_token(name) || !is_value(value))
		return -EINVAL;
	if (e->n_fields + n > e->fields_room) {
		size_t room = e->fields_room * 2 + n + 128;

		p = ss_http_alloc(q, room);
		if (!p)
			return -ENOMEM;
		if (e->n_fields)
			memcpy(p, e->fields, e->n_fields);
		e->fields = p;
		e->fields_room = room;
	}
	p = add(e->fields + e->n_fields, name, nn);
	p = ADD(p, ": ");
	p = add(p, value, nv);
	ADD(p, "\r\n");
	e->n_fields += n;
	return 0;
}

void ss_http_status(ss_http_req *q, int status)
{
	ex_of(q)->wanted_status = status;
}

bool ss_http_started(const ss_http_req *q)
{
	return ex_of(q)->state != REPLY_NONE;
}

/* Streamed replies */

ss_future ss_http_stream(ss_http_req *q, const char *type, int64_t length)
{
	struct ex *e = ex_of(q);
	int err = send_head(e, e->wanted_status, type, length, true, NULL, 0);

	return err ? head_failed(err) : ss_ok(0);
}

SS_CONT(room_again, struct hconn *c;)
{
	set_phase(self->c, PHASE_BUSY, 0);
	return ss_ready(r);
}

/* Wait for a future of the output, with the limit for clients that do not read. */
static ss_future wait_output(struct hconn *c, ss_future f)
{
	ss_result r;

	if (ss_take_inline(f, &r))
		return ss_ready(r);
	set_phase(c, PHASE_WRITE, c->s->o.write_ns);
	return ss_then_wrapped(f, room_again, c);
}

ss_future http_room(struct hconn *c)
{
	ss_output *out = ss_conn_output(c->conn);

	if (ss_likely(ss_output_pending(out) < OUT_HIGH))
		return out->err ? ss_fail(out->err) : ss_ok(0);
	return wait_output(c, ss_output_drain(out));
}

/* Before n bytes of the body: 1 if they are not to be sent, or negative. */
static int before_write(struct ex *e, size_t n)
{
	char line[24], *p = line;
	static const char hex[] = "0123456789abcdef";
	int shift = 60;

	if (e->state != REPLY_BODY)
		return e->state == REPLY_BROKEN ? -EPIPE : -EINVAL;
	if (e->to_write >= 0 && n > (uint64_t)e->to_write - e->written)
		return -EOVERFLOW;
	e->written += n;
	if (e->head_only || !n)
		return 1;
	if (!e->chunked)
		return 0;
	while (shift && !(n >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = hex[n >> shift & 15];
	p = ADD(p, "\r\n");
	return ss_output_put(output(e), line, (size_t)(p - line));
}

static ss_future after_write(struct ex *e, ss_future f)
{
	ss_output *out = output(e);
	int err = e->chunked ? ss_output_put(out, "\r\n", 2) : 0;

	if (err)
		e->state = REPLY_BROKEN;
	push(out);
	return wait_output(e->c, f);
}

static ss_future refused(struct ex *e, int err)
{
	if (err == -ENOMEM)
		e->state = REPLY_BROKEN;
	if (err == -EOVERFLOW)
		return ss_fail_msg(err, "more was written than announced");
	return ss_fail_msg(err, err == -EINVAL ? "write outside a streamed reply" : NULL);
}

ss_future ss_http_write(ss_http_req *q, const void *data, size_t n)
{
	struct ex *e = ex_of(q);
	int err = before_write(e, n);

	if (err)
		return err > 0 ? ss_ok(0) : refused(e, err);
	return after_write(e, ss_output_write(output(e), data, n));
}

ss_future ss_http_write_buf(ss_http_req *q, ss_buf *b)
{
	struct ex *e = ex_of(q);
	int err = before_write(e, b->len);

	if (err) {
		ss_buf_release(b);
		return err > 0 ? ss_ok(0) : refused(e, err);
	}
	return after_write(e, ss_output_write_buf(output(e), b));
}

ss_future ss_http_printf(ss_http_req *q, const char *fmt, ...)
{
	char text[512], *big;
	ss_future f;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || n > 65536)
		return ss_fail(-EINVAL);
	if (n < (int)sizeof(text))
		return ss_http_write(q, text, (size_t)n);
	big = ss_alloc((size_t)n + 1);
	if (!big)
		return ss_fail(-ENOMEM);
	va_start(ap, fmt);
	vsnprintf(big, (size_t)n + 1, fmt, ap);
	va_end(ap);
	f = ss_http_write(q, big, (size_t)n);
	ss_free(big);
	return f;
}

ss_future ss_http_flush(ss_http_req *q)
{
	struct ex *e = ex_of(q);

	return wait_output(e->c, ss_output_drain(output(e)));
}

int http_reply_end(struct ex *e)
{
	int err = 0;

	if (e->state == REPLY_NONE) {
		err = send_head(e, e->wanted_status, NULL, 0, false, NULL, 0);
		if (!err)
			e->state = REPLY_WHOLE;
		return err;
	}
	if (e->state == REPLY_WHOLE || e->state == REPLY_RAW)
		return 0;
	if (e->state == REPLY_BROKEN)
		return -EPIPE;
	if (e->chunked && !e->head_only)
		err = ss_output_put(output(e), "0\r\n\r\n", 5);
	else if (e->to_write >= 0 && !e->head_only && e->written != (uint64_t)e->to_write)
		err = -EPIPE;
	e->state = err ? REPLY_BROKEN : REPLY_WHOLE;
	return err;
}

/* Errors */

#define MESSAGE_MAX 400

/* The text of an error in the server's format; out holds 6 * MESSAGE_MAX + 64 bytes or more. */
static size_t format_error(
    const ss_http_server *s, int status, const char *message, char *out, size_t n)
{
	ss_str m = {message, strlen(message)};
	size_t k;

	if (!s->o.json_errors)
		return (size_t)snprintf(
		    out, n, "%d %s: %s\n", status, ss_http_reason(status), message);
	k = (size_t)snprintf(out, n, "{\"message\": ");
	k += ss_json_quote(out + k, n - k, m);
	k += (size_t)snprintf(out + k, n - k, ", \"code\": %d}", status);
	return k;
}

static const char *error_type(const ss_http_server *s)
{
	return s->o.json_errors ? "application/json" : "text/plain; charset=utf-8";
}

static ss_future reply_message(struct ex *e, int status, const char *message)
{
	char out[6 * MESSAGE_MAX + 64];
	size_t n = format_error(e->c->s, status, message, out, sizeof(out));

	return ss_http_reply(&e->q, status, error_type(e->c->s), out, n);
}

ss_future ss_http_reply_error(ss_http_req *q, int status, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return reply_message(ex_of(q), status, message);
}

static int status_of(const struct ex *e, int err)
{
	switch (err) {
	case -EMSGSIZE:
		return 413;
	case -EBADMSG:
	case -EINVAL:
	case -E2BIG:
	case -ENAMETOOLONG:
	case -ENOTDIR:
		return 400;
	case -ENOENT:
		return 404;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return 403;
	case -EEXIST:
	case -EBUSY:
	case -ENOTEMPTY:
		return 409;
	case -ETIMEDOUT:
		return e->body.bad ? 408 : 504;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -ESHUTDOWN:
		return 503;
	case -ENOSPC:
	case -EDQUOT:
		return 507;
	case -ENOSYS:
	case -EOPNOTSUPP:
		return 501;
	default:
		return 500;
	}
}

ss_future http_reply_failure(struct ex *e, ss_result r)
{
	if (e->state != REPLY_NONE) {
		/* Too late to say so, except by breaking off. */
		if (e->state == REPLY_BODY)
			e->state = REPLY_BROKEN;
		return ss_ok(0);
	}
	e->n_fields = 0;
	return reply_message(e, status_of(e, r.err), r.msg ? r.msg : strerror(-r.err));
}

void http_reply_bad(struct hconn *c, int status, const char *why)
{
	ss_output *out = ss_conn_output(c->conn);
	char head[512], body[6 * MESSAGE_MAX + 64], *p;
	size_t n = format_error(c->s, status, why, body, sizeof(body));
	int k;

	p = begin_head(c->s, head, status);
	k = snprintf(p, sizeof(head) - (size_t)(p - head),
	    "Content-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
	    error_type(c->s), n);
	c->s->stats.status[status / 100 % 6]++;
	if (!ss_output_put(out, head, (size_t)(p - head) + (size_t)k) &&
	    !ss_output_put(out, body, n))
		c->linger = true;
}

ss_future ss_http_upgrade(ss_http_req *q, const char *protocol)
{
	static const char status[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
	struct ex *e = ex_of(q);
	ss_output *out = output(e);
	int err;

	if (!q->head.upgrade)
		return ss_fail_msg(-EINVAL, "the client did not ask for an upgrade");
	err = ss_http_add_field(q, "Upgrade", protocol);
	if (err)
		return head_failed(err);
	e->state = REPLY_BROKEN;
	err = ss_output_put(out, status, sizeof(status) - 1);
	if (!err)
		err = ss_output_put(out, e->fields, e->n_fields);
	if (!err)
		err = ss_output_put(out, "\r\n", 2);
	if (err)
		return ss_fail(err);
	e->state = REPLY_RAW;
	e->status = 101;
	e->c->s->stats.status[1]++;
	push(out);
	return ss_ok(0);
}
