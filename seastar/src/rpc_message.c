/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of RPC messages. */
#include "shard.h"

#include <seastar/rpc.h>

#include <endian.h>

ss_rpc_text ss_rpc_text_of(const char *s)
{
	return (ss_rpc_text){.p = s, .n = strlen(s)};
}

static bool grow(ss_rpc_writer *w, size_t n)
{
	size_t size = w->buf.len + n;
	ss_buf b;

	if (w->err)
		return false;
	if (n <= w->room)
		return true;
	size = size < 128 ? 128 : size * 2;
	if (ss_buf_alloc(&b, size)) {
		w->err = -ENOMEM;
		return false;
	}
	if (w->buf.len)
		memcpy(b.data, w->buf.data, w->buf.len);
	w->room = size - w->buf.len;
	b.len = w->buf.len;
	ss_buf_release(&w->buf);
	w->buf = b;
	return true;
}

void ss_rpc_put(ss_rpc_writer *w, const void *p, size_t n)
{
	if (!n || !grow(w, n))
		return;
	memcpy(w->buf.data + w->buf.len, p, n);
	w->buf.len += n;
	w->room -= n;
}

void ss_rpc_put_u8(ss_rpc_writer *w, uint8_t v)
{
	ss_rpc_put(w, &v, 1);
}

void ss_rpc_put_u32(ss_rpc_writer *w, uint32_t v)
{
	v = htole32(v);
	ss_rpc_put(w, &v, 4);
}

void ss_rpc_put_u64(ss_rpc_writer *w, uint64_t v)
{
	v = htole64(v);
	ss_rpc_put(w, &v, 8);
}

void ss_rpc_put_i64(ss_rpc_writer *w, int64_t v)
{
	ss_rpc_put_u64(w, (uint64_t)v);
}

void ss_rpc_put_f64(ss_rpc_writer *w, double v)
{
	uint64_t u;

	memcpy(&u, &v, 8);
	ss_rpc_put_u64(w, u);
}

void ss_rpc_put_text(ss_rpc_writer *w, ss_rpc_text t)
{
	if (t.n > UINT32_MAX) {
		w->err = w->err ? w->err : -EMSGSIZE;
		return;
	}
	ss_rpc_put_u32(w, (uint32_t)t.n);
	ss_rpc_put(w, t.p, t.n);
}

int ss_rpc_writer_take(ss_rpc_writer *w, ss_buf *out)
{
	if (w->err) {
		ss_buf_release(&w->buf);
		*out = (ss_buf){NULL, 0, NULL};
		return w->err;
	}
	*out = ss_buf_move(&w->buf);
	w->room = 0;
	return 0;
}

ss_rpc_reader ss_rpc_reader_of(const ss_buf *b)
{
	return (ss_rpc_reader){.p = b->data, .end = b->len ? b->data + b->len : b->data};
}

static bool take(ss_rpc_reader *r, void *out, size_t n)
{
	if (r->err || (size_t)(r->end - r->p) < n) {
		r->err = -EBADMSG;
		memset(out, 0, n);
		return false;
	}
	memcpy(out, r->p, n);
	r->p += n;
	return true;
}

uint8_t ss_rpc_get_u8(ss_rpc_reader *r)
{
	uint8_t v;

	take(r, &v, 1);
	return v;
}

uint32_t ss_rpc_get_u32(ss_rpc_reader *r)
{
	uint32_t v;

	take(r, &v, 4);
	return le32toh(v);
}

uint64_t ss_rpc_get_u64(ss_rpc_reader *r)
{
	uint64_t v;

	take(r, &v, 8);
	return le64toh(v);
}

int64_t ss_rpc_get_i64(ss_rpc_reader *r)
{
	return (int64_t)ss_rpc_get_u64(r);
}

double ss_rpc_get_f64(ss_rpc_reader *r)
{
	uint64_t u = ss_rpc_get_u64(r);
	double v;

	memcpy(&v, &u, 8);
	return v;
}

ss_rpc_text ss_rpc_get_text(ss_rpc_reader *r)
{
	uint32_t n = ss_rpc_get_u32(r);
	ss_rpc_text t = {.p = r->p, .n = n};

	if (r->err || (size_t)(r->end - r->p) < n) {
		r->err = -EBADMSG;
		return (ss_rpc_text){.p = "", .n = 0};
	}
	r->p += n;
	return t;
}
