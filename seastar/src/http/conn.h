/* SPDX-License-Identifier: BSD-3-Clause */
/* What the server does with its connections as a whole. */
#ifndef SS_HTTP_CONN_H
#define SS_HTTP_CONN_H

#include "server.h"

/* Timer: end connections that exceeded a limit. */
void http_conns_sweep(ss_timer *t);
/* End those that wait for a request. */
void http_conns_stop_idle(ss_http_server *s);
/* Free the pool of exchanges. */
void http_ex_pool_free(ss_http_server *s);

#endif
