/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection: reads, feeds the session, sends. Replies gather in the output stream and leave at
 * the end of the loop's turn. A client that does not read stops being served once its output holds
 * OUT_MAX bytes.
 */
#include "server.h"

#include <stdarg.h>
#include <stdio.h>

#define OUT_MAX (256 * 1024)

_Atomic uint64_t mc_connections;

struct stream_out {
	struct mc_out out;
	ss_output *o;
	uint64_t *sent; /* counter */
	char *start;
	bool full;
};

struct mc_conn {
	ss_conn *c;
	struct mc_shard *sh;
	struct mc_session s;
	struct stream_out out;
	struct mc_conn *next, *prev;
	uint64_t id;
	uint32_t last; /* time of the last input */
	size_t held;   /* input that requests of the batch refer to */
};

void mc_log(int level, const char *fmt, ...)
{
	va_list ap;

	if (mc_settings.verbose < level)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* Output */

static void commit(struct stream_out *so)
{
	size_t n = (size_t)(so->out.p - so->start);

	if (n) {
		ss_output_commit(so->o, n);
		*so->sent += n;
	}
	so->start = so->out.p = so->out.end = NULL;
	if (ss_output_pending(so->o) > OUT_MAX)
		so->full = true;
}

static bool stream_more(struct mc_out *o, size_t n)
{
	struct stream_out *so = (struct stream_out *)o;
	size_t room;

	commit(so);
	so->start = ss_output_room(so->o, n, &room);
	so->out.p = so->start;
	so->out.end = so->start ? so->start + room : NULL;
	return so->start != NULL;
}

/* An item being sent: its memory stays until the last piece has gone. */
struct lent {
	struct mc_store *st;
	struct mc_item *it;
};

static void lent_back(void *arg)
{
	struct lent *l = arg;

	mc_ref_put(l->st, l->it);
	ss_free(l);
}

static bool stream_share(struct mc_out *o, struct mc_store *st, struct mc_item *it)
{
	struct stream_out *so = (struct stream_out *)o;
	struct lent *l = it->refs < 60000 ? ss_alloc(sizeof(*l)) : NULL;
	struct mc_span s;
	ss_buf whole, piece;
	char *p;
	size_t n;

	if (!l)
		return false;
	*l = (struct lent){st, it};
	if (ss_buf_wrap(&whole, NULL, 0, lent_back, l)) {
		ss_free(l);
		return false;
	}
	mc_ref_get(it);
	commit(so);
	mc_span_init(&s, it);
	while ((n = mc_span_next(st, &s, &p))) {
		piece = ss_buf_share(&whole, 0, 0);
		piece.data = p;
		piece.len = n;
		*so->sent += n;
		if (ss_output_put_buf(so->o, &piece))
			o->failed = true;
	}
	ss_buf_release(&whole);
	if (ss_output_pending(so->o) > OUT_MAX)
		so->full = true;
	return true;
}

/* The loop */

static ss_future step(struct mc_conn *c);

SS_CONT(again)
{
	return SS_AGAIN;
}

SS_CONT(stop)
{
	return SS_STOP;
}

SS_CONT(arrived, struct mc_conn *c;)
{
	struct mc_conn *c = self->c;

	if (!r.i)
		return SS_STOP;
	c->sh->conns.bytes_read += (uint64_t)r.i;
	c->last = c->sh->store.now;
	return step(c);
}

SS_CONT(drained, struct mc_conn *c;)
{
	self->c->out.full = false;
	return SS_AGAIN;
}

SS_CONT(batch_done, struct mc_conn *c;)
{
	struct mc_conn *c = self->c;

	commit(&c->out);
	if (!c->s.n_batch && c->held) {
		ss_input_consume(ss_conn_input(c->c), c->held);
		c->held = 0;
	}
	return SS_AGAIN;
}

SS_CONT(special_done, struct mc_conn *c;)
{
	commit(&self->c->out);
	return SS_AGAIN;
}

static ss_future drain_now(void *arg)
{
	struct mc_conn *c = arg;

	commit(&c->out);
	return ss_then(ss_output_drain(c->out.o), drained, c);
}

SS_CONT(wait_input, struct mc_conn *c;)
{
	return ss_then(ss_input_more(ss_conn_input(self->c->c)), arrived, self->c);
}

static ss_future want_input(struct mc_conn *c)
{
	if (ss_output_pending(c->out.o))
		return ss_then(ss_output_flush(c->out.o), wait_input, c);
	return ss_invoke(wait_input, c);
}

/* Take what has arrived; continue when the next thing is possible. */
static ss_future step(struct mc_conn *c)
{
	ss_input *in = ss_conn_input(c->c);
	size_t used = 0;
	enum mc_next next;

	if (c->s.n_batch) /* more than a reply's worth: the rest of it */
		return c->out.full ? drain_now(c) : ss_then(mc_batch_run(&c->s), batch_done, c);
	next = mc_session_feed(&c->s, ss_input_data(in), ss_input_len(in), &used);
	commit(&c->out);
	if (next == MC_NEXT_RUN) {
		c->held = used;
		return ss_then(mc_batch_run(&c->s), batch_done, c);
	}
	if (used)
		ss_input_consume(in, used);
	switch (next) {
	case MC_NEXT_MORE:
		return want_input(c);
	case MC_NEXT_SPECIAL:
		return ss_then(mc_special_run(&c->s, drain_now, c), special_done, c);
	case MC_NEXT_DRAIN:
		return drain_now(c);
	case MC_NEXT_YIELD:
		c->sh->conns.yields++;
		return ss_then(ss_yield(), again);
	default:
		return ss_then(ss_output_drain(c->out.o), stop);
	}
}

SS_CONT(conn_step, struct mc_conn *c;)
{
	return step(self->c);
}

static void conn_free(struct mc_conn *c)
{
	struct mc_shard *sh = c->sh;

	mc_log(1, "<%llu connection closed.", (unsigned long long)c->id);
	if (c->prev)
		c->prev->next = c->next;
	else
		sh->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	sh->conns.current--;
	atomic_fetch_sub(&mc_connections, 1);
	mc_batch_free(&c->s);
	mc_session_fini(&c->s);
	ss_free(c);
}

SS_CONT(gone, struct mc_conn *c;)
{
	ss_conn_close(self->c->c);
	conn_free(self->c);
	return ss_ok(0); /* how a client leaves is nothing to report */
}

SS_CONT(refused, ss_conn *c;)
{
	ss_conn_close(self->c);
	return ss_ok(0);
}

static ss_future refuse(struct mc_shard *sh, ss_conn *c)
{
	static const char text[] = "ERROR Too many open connections\r\n";
	ss_output *o = ss_conn_output(c);

	atomic_fetch_sub(&mc_connections, 1);
	sh->conns.rejected++;
	ss_ignore(ss_output_write_static(o, text, sizeof(text) - 1));
	return ss_then_wrapped(ss_output_drain(o), refused, c);
}

static void enlist(struct mc_conn *c)
{
	struct mc_shard *sh = c->sh;

	c->next = sh->first;
	if (c->next)
		c->next->prev = c;
	sh->first = c;
	sh->conns.current++;
	sh->conns.total++;
	c->id = ++sh->next_id;
	c->last = sh->store.now;
}

ss_future mc_serve(ss_conn *conn, void *arg)
{
	struct mc_shard *sh = arg;
	struct mc_conn *c;

	if (atomic_fetch_add(&mc_connections, 1) >= mc_settings.connections)
		return refuse(sh, conn);
	c = ss_zalloc(sizeof(*c));
	if (!c) {
		atomic_fetch_sub(&mc_connections, 1);
		ss_conn_close(conn);
		return ss_ok(0);
	}
	c->c = conn;
	c->sh = sh;
	c->out.out = (struct mc_out){.more = stream_more, .share = stream_share};
	c->out.o = ss_conn_output(conn);
	c->out.sent = &sh->conns.bytes_written;
	mc_session_init(&c->s, &sh->store, &c->out.out, &c->out.full, &sh->budget, ss_smp_count(),
	    ss_shard_id());
	enlist(c);
	c->s.id = c->id;
	if (mc_settings.idle_timeout)
		ss_conn_set_timeouts(conn, (uint64_t)mc_settings.idle_timeout * SS_SEC, 0);
	mc_log(1, "<%llu new client connection", (unsigned long long)c->id);
	return ss_then_wrapped(ss_repeat(conn_step, c), gone, c);
}

void mc_conns_abort(struct mc_shard *sh)
{
	struct mc_conn *c = sh->first;

	while (c) {
		struct mc_conn *next = c->next;

		ss_conn_abort(c->c);
		c = next;
	}
}

void mc_conns_describe(struct mc_shard *sh, struct mc_out *o)
{
	for (struct mc_conn *c = sh->first; c; c = c->next) {
		unsigned long long id = c->id * ss_smp_count() + ss_shard_id();
		char text[160];
		ss_addr a;

		ss_conn_peer(c->c, &a);
		if (a.sa.sa_family == AF_UNIX)
			snprintf(text, sizeof(text), "unix:%s", mc_settings.socket);
		else
			snprintf(
			    text, sizeof(text), "tcp%s:", a.sa.sa_family == AF_INET6 ? "6" : "");
		mc_printf(o, "STAT %llu:addr %s", id, text);
		if (a.sa.sa_family != AF_UNIX)
			mc_puts(o, ss_addr_format(&a, text, sizeof(text)));
		mc_printf(o, "\r\nSTAT %llu:state %s\r\nSTAT %llu:secs_since_last_cmd %u\r\n", id,
		    mc_session_idle(&c->s) ? "conn_new_cmd" : "conn_nread", id,
		    sh->store.now - c->last);
	}
}
