/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output streams. Data gathers in `fill`; a put moves it to `fly` and hands that to the sink. One
 * put at a time: what is written meanwhile leaves with the next. Flushing marks the stream and the
 * loop sends all marked streams at the end of its turn, so that replies to several requests leave
 * in one system call.
 */
#include "reactor.h"

#include <seastar/stream.h>

#define CHUNK 8000 /* small writes are copied into buffers of this size */
#define LIMIT (128 * 1024)

static void put_more(ss_output *out);

void ss_output_init(ss_output *out, ss_sink *sink)
{
	*out = (ss_output){.sink = sink, .limit = LIMIT};
}

static void vec_clear(struct ss_outvec *v)
{
	for (size_t i = 0; i < v->n; i++)
		ss_buf_release(&v->v[i]);
	v->n = 0;
	v->bytes = 0;
}

static int vec_push(struct ss_outvec *v, ss_buf b)
{
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 4;
		ss_buf *n = ss_realloc(v->v, cap * sizeof(*n));

		if (!n)
			return -ENOMEM;
		v->v = n;
		v->cap = cap;
	}
	v->v[v->n++] = b;
	v->bytes += b.len;
	return 0;
}

void ss_output_destroy(ss_output *out)
{
	struct ss_shard *sh = ss_self;

	if (out->queued) {
		struct ss_output **at = &sh->flush_head;

		while (*at != out)
			at = &(*at)->next;
		*at = out->next;
		if (!*at)
			sh->flush_tail = at;
		out->queued = false;
	}
	vec_clear(&out->fill);
	vec_clear(&out->fly);
	ss_free(out->fill.v);
	ss_free(out->fly.v);
	out->fill.v = out->fly.v = NULL;
	out->fill.cap = out->fly.cap = 0;
	ss_waitq_wake_all(&out->waiters, (ss_result){.msg = NULL, .err = -ECANCELED});
}

/* The sink has taken (or refused) the batch. */
static void put_done(ss_output *out, ss_result r)
{
	out->putting = false;
	vec_clear(&out->fly);
	if (r.err && !out->err)
		out->err = r.err;
	if (out->err) {
		vec_clear(&out->fill);
		out->room = 0;
	}
}

/* Let those go on whose condition holds: arg 0 waits for room, 1 for everything to be sent. */
static void serve_waiters(ss_output *out)
{
	ss_result r = {.msg = NULL, .err = out->err};

	while (out->waiters.head) {
		struct ss_waitn *n = out->waiters.head;

		if (!out->err && (out->putting || (n->arg && out->fill.bytes))) {
			/* Those behind it wait for no less. */
			break;
		}
		ss_waitq_wake(&out->waiters, r);
	}
}

SS_CONT(put_later, ss_output *out;)
{
	ss_output *out = self->out;

	put_done(out, r);
	if (out->idle) {
		out->idle(out);
		return ss_ok(0);
	}
	if (out->fill.bytes && out->waiters.head)
		put_more(out);
	else if (out->fill.bytes && !out->queued)
		ss_detach(ss_output_flush(out));
	serve_waiters(out);
	return ss_ok(0);
}

/* Hand what has gathered to the sink. */
static void put_more(ss_output *out)
{
	struct ss_outvec v = out->fly;
	ss_future f;
	ss_result r;

	if (out->putting || !out->fill.bytes)
		return;
	/* Room that was asked for and not used. */
	while (!out->fill.v[out->fill.n - 1].len)
		ss_buf_release(&out->fill.v[--out->fill.n]);
	out->fly = out->fill;
	out->fill = v;
	out->room = 0;
	out->putting = true;
	f = out->sink->ops->put(out->sink, out->fly.v, out->fly.n);
	if (ss_take_inline(f, &r))
		put_done(out, r);
	else
		ss_detach(ss_then_wrapped(f, put_later, out));
}

bool ss_outputs_flush(struct ss_shard *sh)
{
	struct ss_output *out = sh->flush_head;

	if (!out)
		return false;
	sh->flush_head = NULL;
	sh->flush_tail = &sh->flush_head;
	while (out) {
		struct ss_output *next = out->next;

		out->queued = false;
		put_more(out);
		if (out->waiters.head)
			serve_waiters(out);
		out = next;
	}
	return true;
}

static void queue_flush(ss_output *out)
{
	struct ss_shard *sh = ss_self;

	if (out->queued)
		return;
	out->queued = true;
	out->next = NULL;
	*sh->flush_tail = out;
	sh->flush_tail = &out->next;
}

/* A fresh buffer for at least n bytes of small writes. */
static int add_chunk(ss_output *out, size_t n)
{
	size_t size = n > CHUNK ? n : CHUNK;
	ss_buf b;

	if (ss_buf_alloc(&b, size))
		return -ENOMEM;
	b.len = 0;
	if (vec_push(&out->fill, b)) {
		ss_buf_release(&b);
		return -ENOMEM;
	}
	out->room = size;
	return 0;
}

char *ss_output_room(ss_output *out, size_t n, size_t *room)
{
	ss_buf *last;

	if (ss_unlikely(out->err))
		return NULL;
	if (n > out->room && add_chunk(out, n))
		return NULL;
	last = &out->fill.v[out->fill.n - 1];
	*room = out->room;
	return last->data + last->len;
}

void ss_output_commit(ss_output *out, size_t n)
{
	if (!n)
		return;
	out->fill.v[out->fill.n - 1].len += n;
	out->fill.bytes += n;
	out->room -= n;
}

int ss_output_put(ss_output *out, const void *data, size_t n)
{
	const char *p = data;

	if (ss_unlikely(out->err))
		return out->err;
	if (ss_likely(n - 1 < out->room)) { /* some, and there is room for all */
		ss_buf *last = &out->fill.v[out->fill.n - 1];

		memcpy(last->data + last->len, p, n);
		last->len += n;
		out->fill.bytes += n;
		out->room -= n;
		return 0;
	}
	while (n) {
		size_t k = n < out->room ? n : out->room;
		ss_buf *last;

		if (!k) {
			if (add_chunk(out, n))
				return -ENOMEM;
			continue;
		}
		last = &out->fill.v[out->fill.n - 1];
		memcpy(last->data + last->len, p, k);
		last->len += k;
		out->fill.bytes += k;
		out->room -= k;
		p += k;
		n -= k;
	}
	return 0;
}

/* After something was added: send if a lot has gathered, wait if that does not help. */
static ss_future after_write(ss_output *out)
{
	if (ss_likely(out->fill.bytes < out->limit))
		return ss_ok(0);
	put_more(out);
	if (out->err)
		return ss_fail(out->err);
	if (!out->putting || out->fill.bytes < out->limit)
		return ss_ok(0);
	return ss_waitq_wait(&out->waiters, 0, NULL, NULL, NULL);
}

ss_future ss_output_write(ss_output *out, const void *data, size_t n)
{
	int err = ss_output_put(out, data, n);

	return err ? ss_fail(err) : after_write(out);
}

int ss_output_put_buf(ss_output *out, ss_buf *b)
{
	ss_buf mine = ss_buf_move(b);
	int err = out->err;

	if (!err && mine.len)
		err = vec_push(&out->fill, mine);
	if (err || !mine.len)
		ss_buf_release(&mine);
	else
		out->room = 0;
	return err;
}

ss_future ss_output_write_buf(ss_output *out, ss_buf *b)
{
	int err = ss_output_put_buf(out, b);

	return err ? ss_fail(err) : after_write(out);
}

ss_future ss_output_write_static(ss_output *out, const void *data, size_t n)
{
	ss_buf b = ss_buf_static(data, n);

	return ss_output_write_buf(out, &b);
}

ss_future ss_output_flush(ss_output *out)
{
	if (out->err)
		return ss_fail(out->err);
	if (out->putting)
		return ss_waitq_wait(&out->waiters, 0, NULL, NULL, NULL);
	if (out->fill.bytes)
		queue_flush(out);
	return ss_ok(0);
}

ss_future ss_output_drain(ss_output *out)
{
	if (!out->err)
		put_more(out);
	if (out->err)
		return ss_fail(out->err);
	if (!out->putting && !out->fill.bytes)
		return ss_ok(0);
	return ss_waitq_wait(&out->waiters, 1, NULL, NULL, NULL);
}

SS_CONT(close_sink, ss_output *out;)
{
	ss_sink *s = self->out->sink;

	return s->ops->close ? s->ops->close(s) : ss_ok(0);
}

ss_future ss_output_close(ss_output *out)
{
	if (out->closed)
		return ss_ok(0);
	out->closed = true;
	return ss_then(ss_output_drain(out), close_sink, out);
}
