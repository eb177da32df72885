/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Echo server (RFC 862) on every shard: what comes in goes out, by buffers, without copying. With
 * a certificate the same over TLS.
 */
#include <seastar/seastar.h>
#include <seastar/tls.h>

#include <stdio.h>

static const struct ss_option options[] = {
    {"address", 'a', SS_OPT_STRING, "0.0.0.0", "address to listen on, or unix:/path"},
    {"port", 'p', SS_OPT_INT, "7", "TCP port", 1, 65535},
    {"max-connections", 0, SS_OPT_INT, "0", "most connections of a shard (0: no limit)", 0,
	10000000},
    {"idle-timeout-ms", 0, SS_OPT_INT, "0", "close connections that are silent (0: never)", 0,
	86400000},
    {"tls-cert", 0, SS_OPT_STRING, NULL, "speak TLS with this certificate and chain (PEM file)"},
    {"tls-key", 0, SS_OPT_STRING, NULL, "private key of the certificate (PEM file)"},
    {"tls-client-ca", 0, SS_OPT_STRING, NULL,
	"accept only clients with a certificate signed by one of these (PEM file)"},
    {"tls-alpn", 0, SS_OPT_STRING, NULL, "protocols to agree on, separated by commas"},
    {NULL},
};

struct session {
	ss_conn *c;
	ss_buf buf;
};

SS_CONT(flushed)
{
	return SS_AGAIN;
}

SS_CONT(flush, struct session *s;)
{
	return ss_then(ss_output_flush(ss_conn_output(self->s->c)), flushed);
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

/* However the session ended, what can still be sent is sent. */
SS_CONT(finish, struct session *s;)
{
	return ss_conn_finish(self->s->c);
}

SS_CONT(session)
{
	struct session *s = r.p;

	return ss_then_wrapped(ss_repeat(read_some, s), finish, s);
}

SS_CONT(ended)
{
	return ss_ok(0); /* a client that went away is nothing to report */
}

static ss_future serve(ss_conn *c, void *arg)
{
	int64_t idle = ss_config_int(ss_app_config(), "idle-timeout-ms");
	ss_future f;

	(void)arg;
	if (idle)
		ss_conn_set_timeouts(c, (uint64_t)idle * SS_MSEC, (uint64_t)idle * SS_MSEC);
	f = ss_do_with(struct session, {.c = c}, NULL, session);
	if (ss_available(f)) {
		ss_result r;

		if (ss_take(f, &r) && r.err == -ENOMEM)
			ss_conn_close(c);
		return ss_ok(0);
	}
	return ss_then_wrapped(f, ended);
}

/* The service: a server per shard. */

static ss_tls_creds *creds; /* NULL without TLS */

SS_CONT(listening, ss_server *s;)
{
	ss_server_start(self->s, r.p, serve, NULL);
	return ss_okp(self->s);
}

SS_CONT(not_listening, ss_server *s;)
{
	ss_free(self->s);
	return ss_ready(r);
}

static ss_future server_start(void *arg)
{
	ss_server *s = ss_zalloc(sizeof(*s));
	ss_listen_opts lo = {.reuse_address = true};
	ss_future f;

	if (!s)
		return ss_fail(-ENOMEM);
	s->max_connections = (uint64_t)ss_config_int(ss_app_config(), "max-connections");
	f = creds ? ss_tls_listen(creds, arg, &lo) : ss_listen(arg, &lo);
	f = ss_handle_error(f, not_listening, s);
	return ss_then(f, listening, s);
}

SS_CONT(stopped, ss_server *s;)
{
	ss_free(self->s);
	return ss_ok(0);
}

static ss_future server_stop(void *p)
{
	return ss_then_wrapped(ss_server_stop(p), stopped, p);
}

static const struct ss_service_ops ops = {server_start, server_stop};
static ss_sharded service;
static ss_addr address;

SS_CONT(stop_service)
{
	return ss_sharded_stop(&service);
}

SS_CONT(started)
{
	char text[128];

	printf("echo: listening on %s\n", ss_addr_format(&address, text, sizeof(text)));
	fflush(stdout);
	return ss_then(ss_app_wait_stop(), stop_service);
}

static int make_creds(const ss_config *config)
{
	const char *ca = ss_config_string(config, "tls-client-ca");
	ss_tls_config tc = {
	    .server = true,
	    .cert_file = ss_config_string(config, "tls-cert"),
	    .key_file = ss_config_string(config, "tls-key"),
	    .ca_file = ca,
	    .client_auth = ca ? SS_TLS_CLIENT_REQUIRE : SS_TLS_CLIENT_NONE,
	    .alpn = ss_config_string(config, "tls-alpn"),
	};
	char error[256];
	int err;

	if (!tc.cert_file && !tc.key_file && !ca && !tc.alpn)
		return 0;
	err = ss_tls_creds_new(&tc, &creds, error, sizeof(error));
	if (err)
		ss_log(SS_LOG_ERROR, "TLS: %s", error);
	return err;
}

static ss_future run(const ss_config *config, void *arg)
{
	uint16_t port = (uint16_t)ss_config_int(config, "port");

	(void)arg;
	if (ss_addr_parse(&address, ss_config_string(config, "address"), port))
		return ss_fail_msg(-EINVAL, "--address is not an address");
	if (make_creds(config))
		return ss_fail_msg(-EINVAL, "TLS credentials are not usable");
	return ss_then(ss_sharded_start(&service, &ops, &address), started);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "echo", .description = "Echo server", .options = options};

	int status = ss_app_run(argc, argv, &app, run, NULL);

	ss_tls_creds_free(creds);
	return status;
}
