/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP server on every shard: a directory of files, or one fixed reply for measurements. */
#include <seastar/http_server.h>
#include <seastar/seastar.h>

#include <stdio.h>
#include <string.h>

static const struct ss_option options[] = {
    {"address", 'a', SS_OPT_STRING, "0.0.0.0", "address to listen on, or unix:/path"},
    {"port", 'p', SS_OPT_INT, "8080", "TCP port", 1, 65535},
    {"fixed", 0, SS_OPT_STRING, NULL, "answer every request with this text"},
    {"max-connections", 0, SS_OPT_INT, "0", "most connections of a shard (0: no limit)", 0,
	10000000},
    {"idle-timeout-ms", 0, SS_OPT_INT, "60000", "close connections that are silent", 1, 86400000},
    {NULL},
};

static const char *fixed_text;
static size_t fixed_len;

static ss_future fixed(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_http_reply(q, 200, "text/plain", fixed_text, fixed_len);
}

/* The service: a server per shard. */

static ss_addr address;

SS_CONT(listening, ss_http_server *s;)
{
	return ss_okp(self->s);
}

SS_CONT(server_gone, ss_result why;)
{
	return ss_ready(self->why);
}

SS_CONT(not_started, ss_http_server *s;)
{
	return ss_then_wrapped(ss_http_server_stop(self->s), server_gone, r);
}

static int add_routes(ss_http_server *s)
{
	return ss_http_route(s, NULL, "/{path...}", fixed, NULL);
}

SS_CONT(set_up, ss_http_server *s;)
{
	int err = add_routes(self->s);

	if (err)
		return ss_fail(err);
	return ss_then(ss_http_server_listen(self->s, &address, NULL), listening, self->s);
}

static ss_future server_start(void *arg)
{
	const ss_config *c = ss_app_config();
	ss_http_server_opts o = {
	    .max_connections = (uint64_t)ss_config_int(c, "max-connections"),
	    .idle_ns = (uint64_t)ss_config_int(c, "idle-timeout-ms") * SS_MSEC,
	};
	ss_http_server *s = ss_http_server_new(&o);

	(void)arg;
	if (!s)
		return ss_fail(-ENOMEM);
	return ss_handle_error(ss_invoke(set_up, s), not_started, s);
}

static ss_future server_stop(void *p)
{
	return ss_http_server_stop(p);
}

static const struct ss_service_ops ops = {server_start, server_stop};
static ss_sharded service;

SS_CONT(stop_service)
{
	return ss_sharded_stop(&service);
}

SS_CONT(started)
{
	char text[128];

	printf("httpd: listening on %s\n", ss_addr_format(&address, text, sizeof(text)));
	fflush(stdout);
	return ss_then(ss_app_wait_stop(), stop_service);
}

static ss_future run(const ss_config *config, void *arg)
{
	uint16_t port = (uint16_t)ss_config_int(config, "port");

	(void)arg;
	if (ss_addr_parse(&address, ss_config_string(config, "address"), port))
		return ss_fail_msg(-EINVAL, "--address is not an address");
	fixed_text = ss_config_string(config, "fixed");
	if (!fixed_text)
		return ss_fail_msg(-EINVAL, "--fixed is missing");
	fixed_len = strlen(fixed_text);
	return ss_then(ss_sharded_start(&service, &ops, &address), started);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "httpd", .description = "HTTP/1.1 server", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
