/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP server on every shard: a directory of files, or one fixed reply for measurements. */
#include <seastar/http_server.h>
#include <seastar/metrics.h>
#include <seastar/seastar.h>
#include <seastar/tls.h>

#include <stdio.h>
#include <string.h>

static const struct ss_option options[] = {
    {"address", 'a', SS_OPT_STRING, "0.0.0.0", "address to listen on, or unix:/path"},
    {"port", 'p', SS_OPT_INT, "8080", "TCP port", 1, 65535},
    {"root", 'r', SS_OPT_STRING, NULL, "serve the files below this directory"},
    {"index", 0, SS_OPT_STRING, "index.html", "file shown for a directory"},
    {"cache-control", 0, SS_OPT_STRING, NULL, "value of the Cache-Control field of files"},
    {"fixed", 0, SS_OPT_STRING, NULL, "answer every request with this text"},
    {"metrics", 0, SS_OPT_STRING, NULL, "path of the metrics, such as /metrics"},
    {"access-log", 0, SS_OPT_FLAG, NULL, "write a line for each request"},
    {"tls-cert", 0, SS_OPT_STRING, NULL, "speak HTTPS with this certificate and chain (PEM file)"},
    {"tls-key", 0, SS_OPT_STRING, NULL, "private key of the certificate (PEM file)"},
    {"max-connections", 0, SS_OPT_INT, "0", "most connections of a shard (0: no limit)", 0,
	10000000},
    {"max-header-bytes", 0, SS_OPT_SIZE, "16k", "largest head of a request", 256, 1 << 24},
    {"idle-timeout-ms", 0, SS_OPT_INT, "60000", "close connections that are silent", 1, 86400000},
    {"header-timeout-ms", 0, SS_OPT_INT, "20000", "longest time a head may take", 1, 86400000},
    {NULL},
};

static const char *fixed_text;
static size_t fixed_len;
static ss_addr address;
static ss_tls_creds *creds; /* NULL without TLS */

/* A shard's instance. */
struct instance {
	ss_http_server *server;
	ss_metrics metrics;
};

static ss_future fixed(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_http_reply(q, 200, "text/plain", fixed_text, fixed_len);
}

static void log_request(const ss_http_req *q, int status, uint64_t bytes, void *arg)
{
	char peer[128];
	ss_addr a;

	(void)arg;
	ss_conn_peer(q->conn, &a);
	printf("%s \"%.*s %.*s\" %d %llu\n", ss_addr_format(&a, peer, sizeof(peer)),
	    (int)q->head.method.n, q->head.method.p, (int)q->head.target.n, q->head.target.p,
	    status, (unsigned long long)bytes);
}

/* The service: a server per shard. */

static int add_routes(struct instance *in)
{
	const ss_config *c = ss_app_config();
	const char *root = ss_config_string(c, "root"), *metrics = ss_config_string(c, "metrics");
	ss_http_files_opts o = {.index = ss_config_string(c, "index"),
	    .cache_control = ss_config_string(c, "cache-control")};
	int err = 0;

	if (metrics)
		err = ss_http_route(in->server, "GET", metrics, ss_metrics_handler, NULL);
	if (!err && fixed_text)
		err = ss_http_route(in->server, NULL, "/{path...}", fixed, NULL);
	if (!err && root)
		err = ss_http_files(in->server, "/", root, &o);
	return err;
}

SS_CONT(listening, struct instance *in;)
{
	int err = ss_http_server_add(self->in->server, r.p);

	return err ? ss_fail(err) : ss_okp(self->in);
}

SS_CONT(stopped, struct instance *in; ss_result why;)
{
	ss_free(self->in);
	return ss_ready(self->why);
}

SS_CONT(not_started, struct instance *in;)
{
	ss_metrics_clear(&self->in->metrics);
	return ss_then_wrapped(ss_http_server_stop(self->in->server), stopped, self->in, r);
}

SS_CONT(set_up, struct instance *in;)
{
	ss_listen_opts lo = {.reuse_address = true};
	int err = add_routes(self->in);

	if (err == -EINVAL || err == -EEXIST)
		return ss_fail_msg(err, "--metrics is not a path");
	if (!err)
		err = ss_http_server_metrics(self->in->server, &self->in->metrics);
	if (err)
		return ss_fail(err);
	return ss_then(creds ? ss_tls_listen(creds, &address, &lo) : ss_listen(&address, &lo),
	    listening, self->in);
}

static ss_future server_start(void *arg)
{
	const ss_config *c = ss_app_config();
	ss_http_server_opts o = {
	    .max_connections = (uint64_t)ss_config_int(c, "max-connections"),
	    .max_head = (size_t)ss_config_int(c, "max-header-bytes"),
	    .idle_ns = (uint64_t)ss_config_int(c, "idle-timeout-ms") * SS_MSEC,
	    .head_ns = (uint64_t)ss_config_int(c, "header-timeout-ms") * SS_MSEC,
	    .done = ss_config_flag(c, "access-log") ? log_request : NULL,
	};
	struct instance *in = ss_zalloc(sizeof(*in));

	(void)arg;
	if (!in)
		return ss_fail(-ENOMEM);
	in->server = ss_http_server_new(&o);
	if (!in->server) {
		ss_free(in);
		return ss_fail(-ENOMEM);
	}
	return ss_handle_error(ss_invoke(set_up, in), not_started, in);
}

static ss_future server_stop(void *p)
{
	struct instance *in = p;

	ss_metrics_clear(&in->metrics);
	return ss_then_wrapped(ss_http_server_stop(in->server), stopped, in);
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

SS_CONT(finished)
{
	ss_tls_creds_free(creds);
	return ss_ready(r);
}

static const char *read_options(const ss_config *c)
{
	static char error[256];
	ss_tls_config tc = {.server = true,
	    .cert_file = ss_config_string(c, "tls-cert"),
	    .key_file = ss_config_string(c, "tls-key"),
	    .alpn = "http/1.1"};

	if (ss_addr_parse(
		&address, ss_config_string(c, "address"), (uint16_t)ss_config_int(c, "port")))
		return "--address is not an address";
	if (ss_config_flag(c, "access-log"))
		setvbuf(stdout, NULL, _IOLBF, 0);
	fixed_text = ss_config_string(c, "fixed");
	fixed_len = fixed_text ? strlen(fixed_text) : 0;
	if (!fixed_text == !ss_config_has(c, "root"))
		return "one of --root and --fixed is needed";
	if (!tc.cert_file != !tc.key_file)
		return "--tls-cert and --tls-key belong together";
	if (tc.cert_file && ss_tls_creds_new(&tc, &creds, error, sizeof(error)))
		return error;
	return NULL;
}

static ss_future run(const ss_config *config, void *arg)
{
	const char *bad = read_options(config);

	(void)arg;
	if (bad)
		return ss_fail_msg(-EINVAL, bad);
	return ss_then_wrapped(ss_then(ss_sharded_start(&service, &ops, NULL), started), finished);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "httpd", .description = "HTTP/1.1 server", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
