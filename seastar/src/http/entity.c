/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies as they come in: pieces of the connection's buffers, or all in one piece. */
#include "entity.h"

#include <seastar/loop.h>

static const char too_large[] = "the body is too large";

void http_entity_begin(struct http_entity *b, ss_input *in, const ss_http_head *h, uint64_t max)
{
	*b = (struct http_entity){.in = in,
	    .chunked = h->chunked,
	    .left = h->length > 0 ? (uint64_t)h->length : 0,
	    .max = max};
	b->end = !h->chunked && !b->left;
}

bool http_entity_now(struct http_entity *b, ss_buf *out, ss_future *f)
{
	size_t skip = 0, n = ss_input_len(b->in);

	if (b->chunked) {
		int end = ss_http_chunks_next(&b->chunks, ss_input_data(b->in), n, &skip, &n);

		if (end < 0) {
			*f = http_entity_fail(b, -EBADMSG, "bad framing of the body");
			return true;
		}
		if (skip)
			ss_input_consume(b->in, skip);
		b->end = end;
	} else if (!b->to_eof) {
		n = n < b->left ? n : (size_t)b->left;
		b->left -= n;
		b->end = !b->left;
	}
	if (!n && !b->end)
		return false;
	if (n > b->max - b->taken) {
		*f = http_entity_fail(b, -EMSGSIZE, too_large);
		return true;
	}
	b->taken += n;
	if (n) {
		*out = ss_buf_share(&b->in->buf, 0, n);
		ss_input_consume(b->in, n);
	}
	*f = ss_ok((int64_t)n);
	return true;
}

ss_future http_entity_eof(struct http_entity *b)
{
	if (!b->to_eof)
		return http_entity_fail(b, -ECONNRESET, "the connection ended within the body");
	b->end = true;
	return ss_ok(0);
}

static int append(struct http_whole *w)
{
	if (w->piece.len > w->max - w->n)
		return -EMSGSIZE;
	if (w->n + w->piece.len + 1 > w->room) {
		size_t room = (w->n + w->piece.len) * 2 + 64;
		char *p;

		if (room > w->max + 1)
			room = w->max + 1;
		p = ss_realloc(*w->mem, room);
		if (!p)
			return -ENOMEM;
		*w->mem = p;
		w->room = room;
	}
	if (w->piece.len)
		memcpy(*w->mem + w->n, w->piece.data, w->piece.len);
	w->n += w->piece.len;
	(*w->mem)[w->n] = '\0';
	return 0;
}

SS_CONT(whole_took, struct http_whole *w;)
{
	struct http_whole *w = self->w;
	int err = append(w);

	ss_buf_release(&w->piece);
	if (err)
		return err == -EMSGSIZE ? http_entity_fail(w->body, err, too_large) : ss_fail(err);
	if (r.i)
		return SS_AGAIN;
	*w->out = (ss_str){*w->mem, w->n};
	return SS_STOP;
}

SS_CONT(whole_step, struct http_whole *w;)
{
	return ss_then(self->w->take(self->w->arg, &self->w->piece), whole_took, self->w);
}

SS_CONT(whole_done, struct http_whole *w;)
{
	return ss_ok((int64_t)self->w->n);
}

ss_future http_whole_read(struct http_whole *w)
{
	if (w->max >= SIZE_MAX / 4)
		w->max = SIZE_MAX / 4;
	*w->out = SS_STR("");
	if (w->body->end)
		return ss_ok(0);
	if (!w->body->chunked && w->body->left > w->max)
		return ss_fail_msg(-EMSGSIZE, too_large);
	if (*w->mem)
		return ss_fail_msg(-EALREADY, "the body was read before");
	return ss_then(ss_repeat(whole_step, w), whole_done, w);
}
