/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS: connect, say one line, print what comes back until the server ends the connection. */
#include <seastar/seastar.h>
#include <seastar/tls.h>

#include <stdio.h>
#include <string.h>

static ss_tls_creds *creds;

SS_FIBER(talk, const ss_config *config;)
{
	const ss_config *config = self->config;
	const char *line = ss_config_string(config, "send");
	ss_tls_connect_opts opts = {.name = ss_config_string(config, "name")};
	ss_tls_info info;
	ss_addr addr;
	ss_buf b;

	if (ss_addr_parse(&addr, ss_config_string(config, "address"), 443))
		return -EINVAL;
	ss_auto_conn c = SS_TRY_PTR(ss_tls_connect(creds, &addr, &opts));
	ss_tls_info_get(c, &info);
	printf("%s, certificate of %s\n", info.version, info.peer_subject);
	SS_TRY(ss_output_write(ss_conn_output(c), line, strlen(line)));
	SS_TRY(ss_output_write(ss_conn_output(c), "\n", 1));
	SS_TRY(ss_output_close(ss_conn_output(c)));
	while (SS_TRY(ss_input_take(ss_conn_input(c), &b)) > 0) {
		fwrite(b.data, 1, b.len, stdout);
		ss_buf_release(&b);
	}
	return 0;
}

static ss_future run(const ss_config *config, void *arg)
{
	ss_tls_config tc = {
	    .ca_file = ss_config_string(config, "ca"),
	    .cert_file = ss_config_string(config, "cert"),
	    .key_file = ss_config_string(config, "key"),
	};
	char error[256];

	(void)arg;
	if (ss_tls_creds_new(&tc, &creds, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return ss_fail_msg(-EINVAL, "credentials are not usable");
	}
	return ss_async(talk, config);
}

int main(int argc, char **argv)
{
	static const struct ss_option options[] = {
	    {"address", 'a', SS_OPT_STRING, "127.0.0.1:443", "address and port of the server"},
	    {"name", 'n', SS_OPT_STRING, "localhost", "name its certificate must have"},
	    {"ca", 0, SS_OPT_STRING, NULL, "PEM file with those who may have signed it"},
	    {"cert", 0, SS_OPT_STRING, NULL, "PEM file with a certificate of our own"},
	    {"key", 0, SS_OPT_STRING, NULL, "PEM file with its key"},
	    {"send", 's', SS_OPT_STRING, "hello", "line to send"},
	    {NULL},
	};
	static const struct ss_app app = {.name = "tls-client", .options = options};
	int status = ss_app_run(argc, argv, &app, run, NULL);

	ss_tls_creds_free(creds);
	return status;
}
