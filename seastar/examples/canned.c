/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 11 The network stack: a fixed response to each connection. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

static const char canned_response[] = "Seastar is the future!\n";

SS_CONT(finish, ss_conn *c;)
{
	return ss_conn_finish(self->c);
}

SS_CONT(accepted)
{
	ss_conn *c = r.p;

	return ss_then_wrapped(
	    ss_output_write_static(ss_conn_output(c), canned_response, sizeof(canned_response) - 1),
	    finish, c);
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
