/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 11 The network stack: an echo server (RFC 862) with continuations. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

struct session {
	ss_conn *c;
	ss_buf buf;
};

SS_CONT(written)
{
	return SS_AGAIN;
}

SS_CONT(flush, struct session *s;)
{
	return ss_then(ss_output_flush(ss_conn_output(self->s->c)), written);
}

SS_CONT(got, struct session *s;)
{
	if (!r.i)
		return SS_STOP;
	return ss_then(
	    ss_output_write_buf(ss_conn_output(self->s->c), &self->s->buf), flush, self->s);
}

SS_CONT(read_some, struct session *s;)
{
	return ss_then(ss_input_take(ss_conn_input(self->s->c), &self->s->buf), got, self->s);
}

SS_CONT(finish, struct session *s;)
{
	return ss_conn_finish(self->s->c);
}

SS_CONT(session)
{
	return ss_finally(ss_repeat(read_some, (struct session *)r.p), finish, r.p);
}

static ss_future handle_connection(ss_conn *c)
{
	return ss_do_with(struct session, {.c = c}, NULL, session);
}

SS_CONT(accepted)
{
	/* Ignored, not returned: the next connection need not wait for this one. */
	ss_ignore(handle_connection(r.p));
	return ss_ok(0);
}

SS_CONT(accept_one, ss_listener *l;)
{
	return ss_then(ss_accept(self->l), accepted);
}

SS_CONT(serve)
{
	return ss_keep_doing(accept_one, (ss_listener *)r.p);
}

ss_future f(void)
{
	ss_listen_opts lo = {.reuse_address = true};
	ss_addr any = ss_addr_any(1234);

	return ss_then(ss_listen(&any, &lo), serve);
}
