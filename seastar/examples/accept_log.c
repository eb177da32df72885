/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 11 The network stack: accept connections and close them. */
#include <seastar/seastar.h>
#include <stdio.h>

ss_future f(void);

SS_CONT(accepted)
{
	ss_conn *c = r.p;
	char text[64];
	ss_addr peer;

	ss_conn_peer(c, &peer);
	printf("Accepted connection from %s\n", ss_addr_format(&peer, text, sizeof(text)));
	fflush(stdout);
	ss_conn_close(c);
	return ss_ok(0);
}

SS_CONT(accept_one, ss_listener *l;)
{
	return ss_then(ss_accept(self->l), accepted);
}

SS_CONT(close_listener, ss_listener *l;)
{
	ss_listener_close(self->l);
	return ss_ok(0);
}

SS_CONT(serve)
{
	ss_listener *l = r.p;

	return ss_finally(ss_keep_doing(accept_one, l), close_listener, l);
}

ss_future f(void)
{
	ss_addr any = ss_addr_any(1234);

	return ss_then(ss_listen(&any, NULL), serve);
}
