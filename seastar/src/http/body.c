/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of requests: pieces of the connection's buffers, whole bodies, forms, what nobody read. */
#include "server.h"

#include <seastar/loop.h>

#include <stdlib.h>

void *ss_http_alloc(ss_http_req *q, size_t n)
{
	struct ex *e = ex_of(q);
	struct scratch *b;

	n = (n + 15) & ~(size_t)15;
	if (n <= SCRATCH - e->used) {
		void *p = e->scratch + e->used;

		e->used += n;
		return p;
	}
	b = ss_alloc(sizeof(*b) + 16 + n);
	if (!b)
		return NULL;
	b->next = e->blocks;
	e->blocks = b;
	return (void *)(((uintptr_t)b->bytes + 15) & ~(uintptr_t)15);
}

void ss_http_body_limit(ss_http_req *q, uint64_t max)
{
	ex_of(q)->body.max = max;
}

int64_t ss_http_body_left(const ss_http_req *q)
{
	const struct ex *e = ex_of(q);

	if (e->body.end)
		return 0;
	return e->body.chunked ? -1 : (int64_t)e->body.left;
}

static ss_future take(struct ex *e, ss_buf *out);

SS_CONT(more_came, struct ex *e; ss_buf * out;)
{
	struct ex *e = self->e;

	set_phase(e->c, PHASE_BUSY, 0);
	if (r.err)
		return http_entity_fail(&e->body, r.err,
		    r.err == -ETIMEDOUT ? "the request's body did not come in time" : r.msg);
	return r.i ? take(e, self->out) : http_entity_eof(&e->body);
}

static ss_future take(struct ex *e, ss_buf *out)
{
	ss_input *in = e->body.in;
	ss_future f;

	if (ss_input_len(in) && http_entity_now(&e->body, out, &f))
		return f;
	set_phase(e->c, PHASE_BODY, e->c->s->o.body_ns);
	return ss_then_wrapped(ss_input_more(in), more_came, e, out);
}

SS_CONT(told_to_go_on, struct ex *e; ss_buf * out;)
{
	return take(self->e, self->out);
}

ss_future ss_http_body_take(ss_http_req *q, ss_buf *out)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct ex *e = ex_of(q);
	ss_output *o = ss_conn_output(e->c->conn);
	int err;

	*out = (ss_buf){NULL, 0, NULL};
	if (e->body.bad)
		return ss_fail_msg(-EBADMSG, "the request's body failed before");
	if (e->body.end)
		return ss_ok(0);
	/* Too much is refused before it is sent. */
	if (e->body.left > e->body.max - e->body.taken)
		return http_entity_fail(&e->body, -EMSGSIZE, "the request's body is too large");
	if (!e->expect)
		return take(e, out);
	e->expect = false;
	if (e->state != REPLY_NONE)
		return take(e, out);
	err = ss_output_put(o, go_on, sizeof(go_on) - 1);
	if (err)
		return http_entity_fail(&e->body, err, NULL);
	return ss_then(ss_output_flush(o), told_to_go_on, e, out);
}

static ss_future take_for(void *q, ss_buf *out)
{
	return ss_http_body_take(q, out);
}

ss_future ss_http_body_read(ss_http_req *q, size_t max, ss_str *out)
{
	struct ex *e = ex_of(q);
	struct http_whole *w = ss_http_alloc(q, sizeof(*w));

	if (!w)
		return ss_fail(-ENOMEM);
	*w = (struct http_whole){
	    .body = &e->body, .take = take_for, .arg = q, .mem = &e->text, .out = out, .max = max};
	return http_whole_read(w);
}

/* Names and values */

static int decode_pair(struct ex *e, ss_str item, ss_http_pair *p)
{
	const char *eq = memchr(item.p, '=', item.n);
	ss_str name = {item.p, eq ? (size_t)(eq - item.p) : item.n};
	ss_str value = eq ? (ss_str){eq + 1, item.n - name.n - 1} : SS_STR("");
	char *mem = ss_http_alloc(&e->q, item.n + 2);
	int64_t n;

	if (!mem)
		return -ENOMEM;
	n = ss_http_decode(mem, name, true);
	if (n < 0)
		return -EINVAL;
	p->name = mem;
	p->name_len = (size_t)n;
	p->value = mem + n + 1;
	n = ss_http_decode(mem + n + 1, value, true);
	p->value_len = (size_t)n;
	return n < 0 ? -EINVAL : 0;
}

int http_pairs(struct ex *e, ss_str text, const ss_http_pair **out)
{
	unsigned max = 1, n = 0;
	ss_http_pair *v;

	*out = NULL;
	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '&';
	if (max > MAX_PAIRS)
		return -E2BIG;
	v = ss_http_alloc(&e->q, max * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (const char *p = text.p, *end = text.p + text.n; p < end;) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		ss_str item = {p, (size_t)((amp ? amp : end) - p)};
		int err = item.n ? decode_pair(e, item, &v[n++]) : 0;

		if (err)
			return err;
		p += item.n + 1;
	}
	*out = v;
	return (int)n;
}

static const ss_http_pair *find_pair(const ss_http_pair *v, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static const char *value_of(const ss_http_pair *p)
{
	return p ? p->value : NULL;
}

const char *ss_http_param(const ss_http_req *q, const char *name)
{
	return value_of(find_pair(q->params, q->n_params, name));
}

const char *ss_http_query(const ss_http_req *q, const char *name)
{
	return value_of(find_pair(q->queries, q->n_queries, name));
}

const char *ss_http_arg(const ss_http_req *q, const char *name)
{
	const char *v = ss_http_query(q, name);

	return v ? v : value_of(find_pair(q->forms, q->n_forms, name));
}

bool ss_http_arg_flag(const ss_http_req *q, const char *name, bool def)
{
	const char *v = ss_http_arg(q, name);

	if (!v)
		return def;
	return strcmp(v, "1") == 0 || strcmp(v, "true") == 0 || strcmp(v, "on") == 0 ||
	       strcmp(v, "yes") == 0;
}

int ss_http_arg_int(const ss_http_req *q, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const char *v = ss_http_arg(q, name);
	char *end;
	long long n;

	if (!v)
		return -ENOENT;
	errno = 0;
	n = strtoll(v, &end, 10);
	if (errno || end == v || *end || *v == ' ' || *v == '+' || n < min || n > max)
		return -EINVAL;
	*out = n;
	return 0;
}

SS_CONT(form_came, struct ex *e; ss_str * text;)
{
	const ss_http_pair *v;
	int n = http_pairs(self->e, *self->text, &v);

	if (n < 0)
		return n == -ENOMEM ? ss_fail(n) : ss_fail_msg(-EINVAL, "bad form");
	self->e->q.forms = v;
	self->e->q.n_forms = (unsigned)n;
	return ss_ok(n);
}

static bool is_form(ss_str type)
{
	const char *semi = type.p ? memchr(type.p, ';', type.n) : NULL;

	if (semi)
		type.n = (size_t)(semi - type.p);
	while (type.n && type.p[type.n - 1] == ' ')
		type.n--;
	return ss_str_is_nocase(type, "application/x-www-form-urlencoded");
}

ss_future ss_http_read_form(ss_http_req *q, size_t max)
{
	struct ex *e = ex_of(q);
	ss_str *text;

	if (e->body.end || !is_form(ss_http_field_of(q, "Content-Type")))
		return ss_ok(0);
	text = ss_http_alloc(q, sizeof(*text));
	if (!text)
		return ss_fail(-ENOMEM);
	return ss_then(ss_http_body_read(q, max, text), form_came, e, text);
}

/* What nobody read */

struct drop {
	struct ex *e;
	ss_buf piece;
};

SS_CONT(dropped, struct drop *d;)
{
	struct drop *d = self->d;

	d->e->c->drained += d->piece.len;
	ss_buf_release(&d->piece);
	if (d->e->body.end)
		return SS_STOP;
	return d->e->c->drained > DRAIN_MAX ? ss_fail(-EMSGSIZE) : SS_AGAIN;
}

SS_CONT(drop_step, struct drop *d;)
{
	struct ex *e = self->d->e;

	return ss_then(ss_http_body_take(&e->q, &self->d->piece), dropped, self->d);
}

SS_CONT(drop_done)
{
	return ss_ok(!r.err);
}

ss_future http_body_drop(struct ex *e)
{
	struct drop *d;

	if (e->body.end)
		return ss_ok(1);
	if (e->body.bad || e->expect || !e->keep || e->body.left > DRAIN_MAX)
		return ss_ok(0);
	d = ss_http_alloc(&e->q, sizeof(*d));
	if (!d)
		return ss_ok(0);
	*d = (struct drop){.e = e};
	e->c->drained = 0;
	return ss_then_wrapped(ss_repeat(drop_step, d), drop_done);
}
