/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams: each has a frame header of 8 bytes (request, sequence, count, 0, big-endian) and holds
 * whole requests; replies are cut into datagrams of at most DATAGRAM bytes. A request that spans
 * datagrams is not taken, as with stock. One datagram is answered at a time per socket.
 */
#include "server.h"

#define FRAME 8
#define DATAGRAM 1400
#define REPLY_MAX (2 << 20)

struct mc_udp {
	struct mc_shard *sh;
	ss_udp *u;
	ss_datagram in;
	struct mc_session s;
	struct mc_outbuf out;
	bool full;
	ss_future loop;
	size_t at;   /* of the request */
	size_t sent; /* of the reply */
	uint16_t seq, count;
	size_t held;
};

static void put16(char *p, unsigned v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

SS_CONT(again)
{
	return SS_AGAIN;
}

static void session_new(struct mc_udp *u)
{
	mc_session_init(&u->s, &u->sh->store, &u->out.out, &u->full, &u->sh->budget, ss_smp_count(),
	    ss_shard_id());
	u->s.datagram = true;
}

SS_CONT(sent_one, struct mc_udp *u;)
{
	/* A reply that can't be sent is lost, as datagrams are. */
	return SS_AGAIN;
}

SS_CONT(send_step, struct mc_udp *u;)
{
	struct mc_udp *u = self->u;
	char frame[FRAME + DATAGRAM];
	size_t left = mc_outbuf_len(&u->out) - u->sent;
	size_t n = left < DATAGRAM - FRAME ? left : DATAGRAM - FRAME;

	if (!n)
		return SS_STOP;
	memcpy(frame, u->in.buf.data, 2);
	put16(frame + 2, u->seq++);
	put16(frame + 4, u->count);
	put16(frame + 6, 0);
	memcpy(frame + FRAME, u->out.start + u->sent, n);
	u->sent += n;
	u->sh->conns.bytes_written += n;
	return ss_then_wrapped(ss_udp_send(u->u, &u->in.from, frame, FRAME + n), sent_one, u);
}

SS_CONT(answered, struct mc_udp *u;)
{
	struct mc_udp *u = self->u;

	ss_buf_release(&u->in.buf);
	mc_outbuf_free(&u->out);
	mc_batch_free(&u->s);
	mc_session_fini(&u->s);
	return SS_AGAIN;
}

static ss_future answer(struct mc_udp *u)
{
	size_t n = mc_outbuf_len(&u->out);

	u->sent = 0;
	u->seq = 0;
	u->count = (uint16_t)((n + DATAGRAM - FRAME - 1) / (DATAGRAM - FRAME));
	if (u->out.out.failed)
		u->out.out.p = u->out.start;
	return ss_then_wrapped(ss_repeat(send_step, u), answered, u);
}

static ss_future no_drain(void *arg)
{
	(void)arg;
	return ss_ok(0);
}

/* Take requests from the datagram; true when it is done with, else *f is to be waited for. */
static bool take(struct mc_udp *u, ss_future *f)
{
	while (true) {
		size_t used = 0;
		enum mc_next next;

		if (u->s.n_batch) {
			*f = mc_batch_run(&u->s);
			return false;
		}
		next = mc_session_feed(&u->s, u->in.buf.data + u->at, u->in.buf.len - u->at, &used);
		u->at += used;
		if (next == MC_NEXT_SPECIAL) {
			*f = mc_special_run(&u->s, no_drain, NULL);
			return false;
		}
		if (next == MC_NEXT_MORE || next == MC_NEXT_CLOSE || next == MC_NEXT_DRAIN)
			return true;
	}
}

SS_CONT(take_step, struct mc_udp *u;)
{
	ss_future f;

	if (take(self->u, &f))
		return SS_STOP;
	return ss_then(f, again);
}

SS_CONT(taken, struct mc_udp *u;)
{
	return answer(self->u);
}

SS_CONT(received, struct mc_udp *u;)
{
	struct mc_udp *u = self->u;

	if (r.err == -ECANCELED)
		return SS_STOP;
	if (r.err || u->in.buf.len <= FRAME || u->in.buf.data[4] || u->in.buf.data[5] != 1) {
		if (!r.err)
			ss_buf_release(&u->in.buf);
		return ss_then(ss_yield(), again);
	}
	u->sh->conns.bytes_read += u->in.buf.len;
	mc_outbuf_init(&u->out, REPLY_MAX);
	session_new(u);
	u->at = FRAME;
	return ss_then_wrapped(ss_repeat(take_step, u), taken, u);
}

SS_CONT(receive, struct mc_udp *u;)
{
	return ss_then_wrapped(ss_udp_recv(self->u->u, &self->u->in), received, self->u);
}

SS_CONT(opened, struct mc_shard *sh;)
{
	struct mc_udp *u = ss_zalloc(sizeof(*u));

	if (!u) {
		ss_udp_close(r.p);
		return ss_fail(-ENOMEM);
	}
	u->sh = self->sh;
	u->u = r.p;
	u->sh->udp[u->sh->n_udp++] = u;
	u->loop = ss_repeat(receive, u);
	return ss_ok(0);
}

ss_future mc_udp_start(struct mc_shard *sh, const ss_addr *a)
{
	ss_listen_opts lo = {.reuse_address = true};

	return ss_then(ss_udp_open(a, &lo), opened, sh);
}

SS_CONT(stopped, struct mc_udp *u;)
{
	ss_free(self->u);
	return ss_ok(0);
}

ss_future mc_udp_stop(struct mc_shard *sh)
{
	ss_future fs[MC_LISTEN_MAX];
	unsigned n = 0;

	while (sh->n_udp) {
		struct mc_udp *u = sh->udp[--sh->n_udp];

		ss_udp_close(u->u);
		fs[n++] = ss_then_wrapped(u->loop, stopped, u);
	}
	return ss_when_all(fs, n, NULL);
}
