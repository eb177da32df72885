/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls behind Seastar's HTTP server. */
#ifndef HTTPSERVER_SERVER_H
#define HTTPSERVER_SERVER_H

#include <seastar/http_server.h>

/* Adds the routes of all calls and pages; token (kept) is what requests must bear, NULL for none. 0
 * or a negative errno. */
int server_routes(ss_http_server *s, const char *token);

#endif
