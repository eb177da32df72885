/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams over files. The reader keeps a few requests ahead of who reads, in a ring; the writer
 * gathers blocks of one request's size and lets a few of them be written behind. The last block is
 * padded to the alignment and the file's length set right afterwards.
 */
#include "pool.h"

#include <seastar/loop.h>

#define BLOCK (128 * 1024)
#define AHEAD_MAX 16
#define ALIGN 4096

struct ahead {
	ss_future f;
	char *buf;
};

struct ss_file_reader {
	ss_source source;
	ss_input in;
	ss_file *file;
	size_t block;
	unsigned n, first, count;
	uint64_t offset; /* of the next request */
	size_t skip;	 /* bytes of the first block before the wanted offset */
	bool eof;
	struct ahead ring[AHEAD_MAX];
};

static void start_ahead(ss_file_reader *r)
{
	while (r->count < r->n && !r->eof) {
		struct ahead *a = &r->ring[(r->first + r->count) % AHEAD_MAX];

		a->buf = ss_alloc_aligned(ALIGN, r->block);
		if (!a->buf)
			return;
		a->f = ss_file_read(r->file, r->offset, a->buf, r->block);
		r->offset += r->block;
		r->count++;
	}
}

static void free_block(void *p)
{
	ss_free(p);
}

SS_CONT(block_read, ss_file_reader *r; char *buf; ss_buf * out;)
{
	ss_file_reader *rd = self->r;
	size_t skip = rd->skip, n = (size_t)r.i;

	if (!r.err && n < rd->block)
		rd->eof = true;
	if (r.err || n <= skip) {
		ss_free(self->buf);
		return r.err ? ss_ready(r) : ss_ok(0);
	}
	if (ss_buf_wrap(self->out, self->buf, n, free_block, self->buf)) {
		ss_free(self->buf);
		return ss_fail(-ENOMEM);
	}
	self->out->data += skip;
	self->out->len -= skip;
	rd->skip = 0;
	start_ahead(rd);
	return ss_ok((int64_t)self->out->len);
}

static ss_future reader_get(ss_source *s, ss_buf *out)
{
	ss_file_reader *r = ss_container_of(s, ss_file_reader, source);
	struct ahead a;

	start_ahead(r);
	if (!r->count)
		return r->eof ? ss_ok(0) : ss_fail(-ENOMEM);
	a = r->ring[r->first];
	r->first = (r->first + 1) % AHEAD_MAX;
	r->count--;
	return ss_then_wrapped(a.f, block_read, r, a.buf, out);
}

static const struct ss_source_ops reader_ops = {.get = reader_get};

static size_t block_size(const ss_file_stream_opts *o)
{
	size_t n = o && o->buffer ? o->buffer : BLOCK;

	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static unsigned ahead_count(const ss_file_stream_opts *o)
{
	unsigned n = o && o->ahead ? o->ahead : 2;

	return n > AHEAD_MAX ? AHEAD_MAX : n;
}

ss_file_reader *ss_file_reader_new(ss_file *f, const ss_file_stream_opts *o)
{
	ss_file_reader *r = ss_zalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->source.ops = &reader_ops;
	ss_input_init(&r->in, &r->source);
	r->file = f;
	r->block = block_size(o);
	r->n = ahead_count(o);
	r->offset = o ? o->offset / ALIGN * ALIGN : 0;
	r->skip = o ? o->offset % ALIGN : 0;
	return r;
}

ss_input *ss_file_reader_input(ss_file_reader *r)
{
	return &r->in;
}

SS_CONT(drop_block, char *buf;)
{
	ss_free(self->buf);
	return ss_ok(0);
}

SS_CONT(reader_free, ss_file_reader *r;)
{
	ss_buf_release(&self->r->in.buf);
	ss_free(self->r);
	return ss_ok(0);
}

ss_future ss_file_reader_close(ss_file_reader *r)
{
	ss_future fs[AHEAD_MAX];

	for (unsigned i = 0; i < r->count; i++) {
		struct ahead *a = &r->ring[(r->first + i) % AHEAD_MAX];

		fs[i] = ss_then_wrapped(a->f, drop_block, a->buf);
	}
	return ss_then_wrapped(ss_when_all(fs, r->count, NULL), reader_free, r);
}

struct ss_file_writer {
	ss_sink sink;
	ss_output out;
	ss_file *file;
	size_t block, fill;
	char *buf; /* being filled */
	uint64_t offset, start;
	ss_sem behind; /* a unit for each request that may be in progress */
	unsigned n;
	int err;
	bool closing;
	ss_promise idle;       /* nothing is in progress any more, asked for by closing */
	ss_future idle_future; /* made at the start: closing must not fail for lack of memory */
};

static void check_idle(ss_file_writer *w)
{
	if (w->closing && !w->out.putting && w->behind.count == (int64_t)w->n)
		ss_promise_set(&w->idle, 0);
}

SS_CONT(block_written, ss_file_writer *w; char *buf; size_t n;)
{
	if (r.err && !self->w->err)
		self->w->err = r.err;
	else if (!r.err && (size_t)r.i < self->n && !self->w->err)
		self->w->err = -ENOSPC;
	ss_free(self->buf);
	ss_sem_signal(&self->w->behind, 1);
	check_idle(self->w);
	return ss_ok(0);
}

/* The block is full: write it behind the writer's back. */
static void write_block(ss_file_writer *w)
{
	size_t n = (w->fill + ALIGN - 1) / ALIGN * ALIGN;
	char *buf = w->buf;

	memset(buf + w->fill, 0, n - w->fill);
	w->buf = NULL;
	ss_detach(
	    ss_then_wrapped(ss_file_write(w->file, w->offset, buf, n), block_written, w, buf, n));
	w->offset += w->fill;
	w->fill = 0;
}

struct put_loop {
	ss_file_writer *w;
	ss_buf *bufs;
	size_t n, at, off;
};

/* Copy what fits in the block; true if everything was taken. */
static bool put_copy(struct put_loop *p)
{
	ss_file_writer *w = p->w;

	while (p->at < p->n && w->fill < w->block) {
		size_t k = p->bufs[p->at].len - p->off;

		if (k > w->block - w->fill)
			k = w->block - w->fill;
		memcpy(w->buf + w->fill, p->bufs[p->at].data + p->off, k);
		w->fill += k;
		p->off += k;
		if (p->off == p->bufs[p->at].len) {
			p->at++;
			p->off = 0;
		}
	}
	return p->at == p->n;
}

/* A unit came: the full block can go. */
SS_CONT(put_go_on, ss_file_writer *w;)
{
	if (r.err)
		return ss_ready(r);
	write_block(self->w);
	return SS_AGAIN;
}

SS_CONT(put_step, struct put_loop p;)
{
	ss_file_writer *w = self->p.w;

	if (w->err)
		return ss_fail(w->err);
	if (!w->buf) {
		w->buf = ss_alloc_aligned(ALIGN, w->block);
		if (!w->buf)
			return ss_fail(-ENOMEM);
	}
	if (put_copy(&self->p) && w->fill < w->block)
		return SS_STOP;
	/* Wrapped: a unit that came must not get lost for lack of memory. */
	return ss_then_wrapped(ss_sem_wait(&w->behind, 1), put_go_on, w);
}

static ss_future writer_put(ss_sink *s, ss_buf *bufs, size_t n)
{
	ss_file_writer *w = ss_container_of(s, ss_file_writer, sink);

	return ss_repeat(put_step, {w, bufs, n, 0, 0});
}

static const struct ss_sink_ops writer_ops = {.put = writer_put};

ss_file_writer *ss_file_writer_new(ss_file *f, const ss_file_stream_opts *o)
{
	ss_file_writer *w;

	if (o && o->offset % ALIGN)
		return NULL;
	w = ss_zalloc(sizeof(*w));
	if (!w)
		return NULL;
	w->idle_future = ss_promise_get_future(&w->idle);
	if (w->idle_future.r.err != SS_PENDING) {
		ss_free(w);
		return NULL;
	}
	w->sink.ops = &writer_ops;
	ss_output_init(&w->out, &w->sink);
	w->file = f;
	w->block = block_size(o);
	w->n = ahead_count(o);
	w->behind.count = w->n;
	w->offset = w->start = o ? o->offset : 0;
	return w;
}

ss_output *ss_file_writer_output(ss_file_writer *w)
{
	return &w->out;
}

SS_CONT(writer_end, ss_file_writer *w;)
{
	ss_file_writer *w = self->w;
	int err = w->err;

	ss_output_destroy(&w->out);
	ss_free(w->buf);
	ss_free(w);
	return r.err || !err ? ss_ready(r) : ss_fail(err);
}

SS_CONT(writer_sync, ss_file_writer *w;)
{
	return ss_file_sync(self->w->file);
}

SS_CONT(writer_length, ss_file_writer *w;)
{
	if (self->w->err)
		return ss_fail(self->w->err);
	return ss_file_truncate(self->w->file, self->w->offset);
}

static void put_idle(ss_output *out)
{
	check_idle(ss_container_of(out, ss_file_writer, out));
}

/* Whatever went wrong before, nothing may be in progress when the writer goes. */
SS_CONT(writer_last, ss_file_writer *w;)
{
	ss_file_writer *w = self->w;

	if (!r.err && !w->err && w->fill) {
		w->behind.count--;
		write_block(w);
	}
	if (r.err && !w->err)
		w->err = r.err;
	w->out.idle = put_idle; /* where waiting for it has failed */
	w->closing = true;
	check_idle(w);
	return w->idle_future;
}

ss_future ss_file_writer_close(ss_file_writer *w)
{
	ss_future f = ss_then_wrapped(ss_output_drain(&w->out), writer_last, w);

	f = ss_then(ss_then(f, writer_length, w), writer_sync, w);
	return ss_then_wrapped(f, writer_end, w);
}
