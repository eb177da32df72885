/* SPDX-License-Identifier: BSD-3-Clause */
/* Input streams. */
#include "shard.h"

#include <seastar/loop.h>
#include <seastar/stream.h>

void ss_input_init(ss_input *in, ss_source *source)
{
	*in = (ss_input){.source = source};
}

void ss_input_consume(ss_input *in, size_t n)
{
	in->buf.data += n;
	in->buf.len -= n;
	if (!in->buf.len)
		ss_buf_release(&in->buf);
}

/* Put the buffer that came behind what is there. */
static int join(ss_input *in)
{
	ss_buf both;

	if (!in->buf.len) {
		ss_buf_release(&in->buf);
		in->buf = ss_buf_move(&in->next);
		return 0;
	}
	if (ss_buf_alloc(&both, in->buf.len + in->next.len)) {
		ss_buf_release(&in->next);
		return -ENOMEM;
	}
	memcpy(both.data, in->buf.data, in->buf.len);
	memcpy(both.data + in->buf.len, in->next.data, in->next.len);
	ss_buf_release(&in->buf);
	ss_buf_release(&in->next);
	in->buf = both;
	return 0;
}

static ss_future got(ss_input *in, ss_result r)
{
	int err;

	if (r.err)
		return ss_ready(r);
	if (!r.i) {
		in->eof = true;
		ss_buf_release(&in->next);
		return ss_ok(0);
	}
	err = join(in);
	return err ? ss_fail(err) : ss_ready(r);
}

SS_CONT(got_later, ss_input *in;)
{
	ss_input *in = self->in;
	void (*idle)(ss_input *) = in->idle;

	in->pending = false;
	if (idle) {
		if (!r.err)
			ss_buf_release(&in->next);
		idle(in);
		return ss_fail(-ECANCELED);
	}
	return got(in, r);
}

ss_future ss_input_more(ss_input *in)
{
	ss_future f;
	ss_result r;

	if (in->eof)
		return ss_ok(0);
	in->next = (ss_buf){NULL, 0, NULL};
	f = in->source->ops->get(in->source, &in->next);
	if (ss_take_inline(f, &r))
		return got(in, r);
	in->pending = true;
	return ss_then_wrapped(f, got_later, in);
}

ss_future ss_input_fill(ss_input *in)
{
	return in->buf.len ? ss_ok((int64_t)in->buf.len) : ss_input_more(in);
}

static size_t copy_out(ss_input *in, void *dst, size_t n)
{
	if (n > in->buf.len)
		n = in->buf.len;
	memcpy(dst, in->buf.data, n);
	ss_input_consume(in, n);
	return n;
}

SS_CONT(read_filled, ss_input *in; void *dst; size_t n;)
{
	return ss_ok(r.i ? (int64_t)copy_out(self->in, self->dst, self->n) : 0);
}

ss_future ss_input_read(ss_input *in, void *dst, size_t n)
{
	if (in->buf.len)
		return ss_ok((int64_t)copy_out(in, dst, n));
	return ss_then(ss_input_more(in), read_filled, in, dst, n);
}

/* A loop over fill: `done` counts, kept in an object of the loop's own. */
struct exact {
	ss_input *in;
	char *dst; /* NULL: drop */
	uint64_t n, done;
};

static void exact_eat(struct exact *e)
{
	uint64_t k = e->n - e->done;

	if (k > e->in->buf.len)
		k = e->in->buf.len;
	if (e->dst && k)
		memcpy(e->dst + e->done, e->in->buf.data, k);
	if (k)
		ss_input_consume(e->in, k);
	e->done += k;
}

SS_CONT(exact_filled, struct exact *e;)
{
	exact_eat(self->e);
	return self->e->done == self->e->n || !r.i ? SS_STOP : SS_AGAIN;
}

SS_CONT(exact_step, struct exact *e;)
{
	return ss_then(ss_input_fill(self->e->in), exact_filled, self->e);
}

SS_CONT(exact_end, struct exact *e;)
{
	int64_t done = (int64_t)self->e->done;

	ss_cell_free(self->e, sizeof(*self->e));
	return r.err ? ss_ready(r) : ss_ok(done);
}

static ss_future exactly(ss_input *in, char *dst, uint64_t n)
{
	struct exact now = {.in = in, .dst = dst, .n = n}, *e;

	exact_eat(&now);
	if (now.done == n || in->eof)
		return ss_ok((int64_t)now.done);
	e = ss_cell_alloc(sizeof(*e));
	if (!e)
		return ss_fail(-ENOMEM);
	*e = now;
	return ss_then_wrapped(ss_repeat(exact_step, e), exact_end, e);
}

ss_future ss_input_read_exactly(ss_input *in, void *dst, size_t n)
{
	return exactly(in, dst, n);
}

ss_future ss_input_skip(ss_input *in, uint64_t n)
{
	return exactly(in, NULL, n);
}

SS_CONT(take_filled, ss_input *in; ss_buf * out;)
{
	*self->out = ss_buf_move(&self->in->buf);
	return ss_ok((int64_t)self->out->len);
}

ss_future ss_input_take(ss_input *in, ss_buf *out)
{
	*out = (ss_buf){NULL, 0, NULL};
	return ss_then(ss_input_fill(in), take_filled, in, out);
}

ss_future ss_input_close(ss_input *in)
{
	ss_buf_release(&in->buf);
	in->eof = true;
	return in->source->ops->close ? in->source->ops->close(in->source) : ss_ok(0);
}

/* Copying a stream: the buffers are handed over, not copied. */
struct copy {
	ss_input *in;
	ss_output *out;
	ss_buf buf;
	int64_t total;
};

SS_CONT(copy_written)
{
	return SS_AGAIN;
}

SS_CONT(copy_read, struct copy *c;)
{
	if (!r.i)
		return SS_STOP;
	self->c->total += r.i;
	return ss_then(ss_output_write_buf(self->c->out, &self->c->buf), copy_written);
}

SS_CONT(copy_step, struct copy *c;)
{
	return ss_then(ss_input_take(self->c->in, &self->c->buf), copy_read, self->c);
}

SS_CONT(copy_end, struct copy *c;)
{
	int64_t total = self->c->total;

	ss_buf_release(&self->c->buf);
	ss_cell_free(self->c, sizeof(*self->c));
	return r.err ? ss_ready(r) : ss_ok(total);
}

ss_future ss_stream_copy(ss_input *in, ss_output *out)
{
	struct copy *c = ss_cell_alloc(sizeof(*c));

	if (!c)
		return ss_fail(-ENOMEM);
	*c = (struct copy){.in = in, .out = out};
	return ss_then_wrapped(ss_repeat(copy_step, c), copy_end, c);
}
