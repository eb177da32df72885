/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * httpserver: watching and steering a Carrara machine by HTTP. A small program beside the
 * application; with no options it takes one CPU's share when asked and a few MiB of memory. What
 * stands in /etc/httpserver of the image decides who may ask: token (a bearer token), cert.pem and
 * key.pem (TLS), ca.pem (clients need a certificate signed by one of these).
 */
#include "api.h"
#include "calls.h"
#include "server.h"

#include <errno.h>
#include <seastar/seastar.h>
#include <seastar/tls.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY "/etc/httpserver"

static const struct ss_option options[] = {
    {"address", 'a', SS_OPT_STRING, "0.0.0.0", "address to listen on"},
    {"port", 'p', SS_OPT_INT, "8000", "TCP port", 1, 65535},
    {"config", 0, SS_OPT_STRING, DIRECTORY, "directory with token, cert.pem, key.pem, ca.pem"},
    {"file-root", 0, SS_OPT_STRING, "/", "directory that /file shows"},
    {"read-only", 0, SS_OPT_FLAG, NULL, "refuse calls that change something"},
    {"max-connections", 0, SS_OPT_INT, "64", "connections at a time", 1, 100000},
    {NULL},
};

static ss_http_server *server;
static ss_tls_creds *creds;
static char *token;
static ss_addr address;

/* A file of the configuration, if it is there. */
static char *config_path(const ss_config *c, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", ss_config_string(c, "config"), name);
	return access(path, F_OK) ? NULL : strdup(path);
}

/* Its first line. 0, or a negative errno if it is there but not usable. */
static int read_token(const ss_config *c)
{
	char line[512] = "", *path = config_path(c, "token");
	FILE *f = path ? fopen(path, "r") : NULL;
	int err = path && (!f || !fgets(line, sizeof line, f)) ? -EINVAL : 0;

	line[strcspn(line, "\r\n")] = 0;
	if (path && !err && !*line)
		err = -EINVAL;
	if (err)
		fprintf(stderr, "httpserver: %s is empty or cannot be read\n", path);
	token = path && !err ? strdup(line) : NULL;
	if (f)
		fclose(f);
	free(path);
	return err;
}

static int make_creds(const ss_config *c)
{
	char *cert = config_path(c, "cert.pem"), *key = config_path(c, "key.pem"),
	     *ca = config_path(c, "ca.pem"), error[256];
	ss_tls_config tc = {
	    .server = true,
	    .cert_file = cert,
	    .key_file = key,
	    .ca_file = ca,
	    .client_auth = ca ? SS_TLS_CLIENT_REQUIRE : SS_TLS_CLIENT_NONE,
	};
	int err = 0;

	if (cert || key || ca)
		err = ss_tls_creds_new(&tc, &creds, error, sizeof error);
	if (err)
		fprintf(stderr, "httpserver: TLS: %s\n", error);
	free(cert);
	free(key);
	free(ca);
	return err;
}

SS_CONT(listening)
{
	int err = ss_http_server_add(server, r.p);

	return err ? ss_fail(err) : ss_ok(0);
}

SS_CONT(stopped)
{
	server = NULL;
	return ss_ok(0);
}

SS_CONT(stop)
{
	return ss_then_wrapped(ss_http_server_stop(server), stopped);
}

SS_CONT(started)
{
	char text[128];

	printf("listening on %s%s%s\n", ss_addr_format(&address, text, sizeof text),
	    creds ? " with TLS" : "", token ? ", token required" : "");
	fflush(stdout);
	return ss_then_wrapped(ss_app_wait_stop(), stop);
}

SS_CONT(failed, ss_result why;)
{
	return ss_ready(self->why);
}

SS_CONT(not_started)
{
	return ss_then_wrapped(ss_http_server_stop(server), failed, r);
}

static ss_future run(const ss_config *c, void *arg)
{
	uint16_t port = (uint16_t)ss_config_int(c, "port");

	(void)arg;
	if (ss_addr_parse(&address, ss_config_string(c, "address"), port))
		return ss_fail_msg(-EINVAL, "--address is not an address");
	api_config.file_root = ss_config_string(c, "file-root");
	api_config.read_only = ss_config_flag(c, "read-only");
	if (read_token(c) || make_creds(c))
		return ss_fail_msg(-EINVAL, "the configuration is not usable");
	ss_http_server_opts o = {
	    .max_head = 8192,
	    .max_fields = 64,
	    .max_body = 1 << 20,
	    .max_connections = (uint64_t)ss_config_int(c, "max-connections"),
	    .idle_ns = 60 * SS_SEC,
	    .head_ns = 10 * SS_SEC,
	    .body_ns = 20 * SS_SEC,
	    .write_ns = 30 * SS_SEC,
	    .stop_ns = SS_SEC,
	    .json_errors = true,
	    .name = "carrara",
	};
	server = ss_http_server_new(&o);
	if (!server)
		return ss_fail(-ENOMEM);
	int err = server_routes(server, token);
	if (err)
		return ss_then_wrapped(
		    ss_http_server_stop(server), failed, (ss_result){.err = err});
	ss_listen_opts lo = {.reuse_address = true, .one_shard = true};
	ss_future l = creds ? ss_tls_listen(creds, &address, &lo) : ss_listen(&address, &lo);
	return ss_handle_error(ss_then(ss_then(l, listening), started), not_started);
}

/* The framework would take the whole machine: here it gets one shard and little memory unless told.
 */
static char **with_defaults(int argc, char **argv, int *n)
{
	static const char *const defaults[] = {
	    "--smp=1", "--memory=4M", "--overprovisioned", "--default-log-level=warn"};
	size_t count = sizeof defaults / sizeof defaults[0];
	char **v = calloc((size_t)argc + count + 1, sizeof *v);

	if (!v)
		return NULL;
	v[0] = argv[0];
	for (size_t i = 0; i < count; i++)
		v[1 + i] = (char *)defaults[i];
	for (int i = 1; i < argc; i++)
		v[count + (size_t)i] = argv[i];
	*n = argc + (int)count;
	return v;
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "httpserver",
	    .description = "Watching and steering this machine",
	    .options = options};
	int n;
	char **v = with_defaults(argc, argv, &n);

	if (!v)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	service_stop = ss_app_stop;
	int status = ss_app_run(n, v, &app, run, NULL);
	ss_tls_creds_free(creds);
	free(token);
	free(v);
	return status;
}
