/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams of RPC. Each side may send as much as the other's window allows; what the reader has
 * taken is given back as credit, when it is half a window. A message costs at most half a window:
 * once all was read there is credit for it, even if what was read last is still owed. Every message
 * costs some bytes besides its own, so that empty ones are limited, too.
 */
#include "rpc_impl.h"
#include "shard.h"

int rpc_stream_init(ss_rpc_stream *s, struct rpc_link *l, uint64_t id, uint64_t credit)
{
	memset(s, 0, sizeof(*s));
	s->link = l;
	s->id = id;
	s->last = &s->first;
	s->credit = (int64_t)credit;
	return 0;
}

static uint64_t cost(const ss_buf *b)
{
	return b->len + RPC_MESSAGE_COST;
}

static int add_message(ss_rpc_stream *s, ss_buf *b)
{
	struct rpc_message *m;

	if (s->in_end || s->held + s->owed + cost(b) > s->link->window_in)
		return -EPROTO;
	if (s->err) {
		ss_buf_release(b);
		return 0;
	}
	m = ss_alloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->next = NULL;
	m->buf = ss_buf_move(b);
	*s->last = m;
	s->last = &m->next;
	s->held += cost(&m->buf);
	ss_waitq_wake_all(&s->readers, (ss_result){.i = 0, .err = 0});
	return 0;
}

int rpc_stream_frame(ss_rpc_stream *s, const struct rpc_header *h, ss_buf *payload)
{
	int err = 0;

	switch (h->type) {
	case RPC_DATA:
		err = add_message(s, payload);
		break;
	case RPC_END:
		s->in_end = true;
		ss_waitq_wake_all(&s->readers, (ss_result){.i = 0, .err = 0});
		break;
	default: /* RPC_CREDIT */
		if (h->value > UINT32_MAX || s->credit + (int64_t)h->value > UINT32_MAX)
			return -EPROTO;
		s->credit += (int64_t)h->value;
		ss_waitq_wake_all(&s->writers, (ss_result){.i = 0, .err = 0});
		break;
	}
	ss_buf_release(payload);
	return err;
}

void rpc_stream_finish(ss_rpc_stream *s, int err)
{
	if (!s->err)
		s->err = err ? err : -EPIPE;
	if (!err)
		s->in_end = true;
	s->link = NULL;
	ss_waitq_wake_all(&s->readers, (ss_result){.i = 0, .err = 0});
	/* With the error: a writer that was given up may run after the stream has been closed. */
	ss_waitq_wake_all(&s->writers, (ss_result){.i = 0, .err = s->err});
}

void rpc_stream_fini(ss_rpc_stream *s)
{
	struct rpc_message *m;

	while ((m = s->first)) {
		s->first = m->next;
		ss_buf_release(&m->buf);
		ss_free(m);
	}
}

/* Reading */

static ss_future read_now(ss_rpc_stream *s, ss_buf *out);

SS_CONT(read_woken, ss_rpc_stream *s; ss_buf * out;)
{
	return read_now(self->s, self->out);
}

SS_CONT(credit_sent)
{
	return ss_ok(1);
}

static ss_future give_credit(ss_rpc_stream *s)
{
	struct rpc_header h = {.type = RPC_CREDIT, .id = s->id, .value = s->owed};

	s->owed = 0;
	return ss_then_wrapped(rpc_link_send(s->link, h, NULL), credit_sent);
}

static ss_future read_now(ss_rpc_stream *s, ss_buf *out)
{
	struct rpc_message *m = s->first;

	if (m) {
		s->first = m->next;
		if (!s->first)
			s->last = &s->first;
		s->held -= cost(&m->buf);
		s->owed += cost(&m->buf);
		*out = m->buf;
		ss_free(m);
		if (s->link && !s->in_end && s->owed >= s->link->window_in / 2)
			return give_credit(s);
		return ss_ok(1);
	}
	if (s->in_end)
		return ss_ok(0);
	if (s->err)
		return ss_fail(s->err);
	return ss_then(ss_waitq_wait(&s->readers, 0, NULL, NULL, NULL), read_woken, s, out);
}

ss_future ss_rpc_stream_read(ss_rpc_stream *s, ss_buf *out)
{
	*out = (ss_buf){NULL, 0, NULL};
	return read_now(s, out);
}

/* Writing */

struct write {
	ss_rpc_stream *s;
	ss_buf b;
};

static ss_future write_now(ss_rpc_stream *s, ss_buf *b)
{
	struct rpc_header h = {.type = RPC_DATA, .id = s->id};

	s->credit -= (int64_t)cost(b);
	return rpc_link_send(s->link, h, b);
}

SS_CONT(write_woken, struct write *w;)
{
	struct write *w = self->w;

	if (r.err)
		return ss_ready(r);
	if (w->s->err)
		return ss_fail(w->s->err);
	if (w->s->credit >= (int64_t)cost(&w->b))
		return write_now(w->s, &w->b);
	return ss_then_wrapped(ss_waitq_wait(&w->s->writers, 0, NULL, NULL, NULL), write_woken, w);
}

SS_CONT(write_end, struct write *w;)
{
	ss_buf_release(&self->w->b);
	ss_free(self->w);
	return ss_ready(r);
}

ss_future ss_rpc_stream_write(ss_rpc_stream *s, ss_buf *message)
{
	ss_buf mine = ss_buf_move(message);
	struct write *w;
	int err = s->err ? s->err : s->out_end ? -EPIPE : 0;

	if (!err && cost(&mine) > s->link->window_out / 2)
		err = -EMSGSIZE;
	if (!err && s->writers.head)
		err = -EBUSY;
	if (!err && s->credit >= (int64_t)cost(&mine))
		return write_now(s, &mine);
	w = err ? NULL : ss_alloc(sizeof(*w));
	if (!w) {
		ss_buf_release(&mine);
		return ss_fail(err ? err : -ENOMEM);
	}
	*w = (struct write){.s = s, .b = mine};
	return ss_then_wrapped(
	    ss_then_wrapped(ss_waitq_wait(&s->writers, 0, NULL, NULL, NULL), write_woken, w),
	    write_end, w);
}

ss_future ss_rpc_stream_end(ss_rpc_stream *s)
{
	if (s->out_end)
		return ss_ok(0);
	if (s->err)
		return s->err == -EPIPE ? ss_ok(0) : ss_fail(s->err);
	s->out_end = true;
	return rpc_link_send(s->link, (struct rpc_header){.type = RPC_END, .id = s->id}, NULL);
}
