/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/seastar/http.md: a client that stores a note and reads it back, on one connection. */
#include <seastar/http_client.h>
#include <seastar/seastar.h>

#include <stdio.h>
#include <string.h>

static const struct ss_option options[] = {
    {"port", 'p', SS_OPT_INT, "8080", "port of the server on the loopback address", 1, 65535},
    {NULL},
};

static int64_t show(ss_http_client *cl, const ss_http_call *call)
{
	ss_http_response *r = SS_TRY_PTR(ss_http_send(cl, call));
	ss_str body;
	ss_result got = ss_await(ss_http_response_read(r, 65536, &body));

	if (!got.err)
		printf("%d %.*s\n", r->head.status, (int)body.n, body.p);
	ss_http_response_end(r);
	return got.err;
}

SS_FIBER(talk, ss_http_client *cl;)
{
	static const ss_http_line token[] = {{"Authorization", "Bearer secret"}, {NULL}};
	ss_http_call put = {.method = "PUT",
	    .target = "/notes/milk",
	    .fields = token,
	    .body = "two bottles",
	    .length = 11};
	int64_t err = show(self->cl, &put);

	if (!err)
		err = show(self->cl, &(ss_http_call){.target = "/notes/milk"});
	if (!err)
		err = show(self->cl, &(ss_http_call){.target = "/notes/bread"});
	return err;
}

SS_CONT(close_client, ss_http_client *cl;)
{
	struct ss_http_client_stats st;

	ss_http_client_stats(self->cl, &st);
	printf("%d requests, %d connection\n", (int)st.requests, (int)st.connections);
	return ss_http_client_close(self->cl);
}

static ss_future run(const ss_config *config, void *arg)
{
	ss_addr at = ss_addr_loopback((uint16_t)ss_config_int(config, "port"));
	ss_http_client *cl = ss_http_client_new(&at, NULL);

	(void)arg;
	if (!cl)
		return ss_fail(-ENOMEM);
	return ss_finally(ss_async(talk, cl), close_client, cl);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "http_get", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
