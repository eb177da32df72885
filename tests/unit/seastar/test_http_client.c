/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The HTTP client against our server and against servers that misbehave; and both while every
 * allocation fails in turn.
 */
#include "certs.h"

#include <seastar/http_client.h>
#include <seastar/http_server.h>
#include <seastar/metrics.h>
#include <seastar/seastar.h>
#include <seastar/test.h>
#include <seastar/websocket.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Our server */

static ss_future hello(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_http_reply_text(q, 200, ss_http_query(q, "x") ? ss_http_query(q, "x") : "hello");
}

SS_FIBER(echo_fiber, ss_http_req *q;)
{
	ss_http_req *q = self->q;
	ss_buf b;

	SS_TRY(ss_http_stream(q, NULL, q->head.length));
	while (SS_TRY(ss_http_body_take(q, &b)) > 0)
		SS_TRY(ss_http_write_buf(q, &b));
	return 0;
}

static ss_future echo(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(echo_fiber, q);
}

SS_FIBER(form_fiber, ss_http_req *q;)
{
	const char *a;

	SS_TRY(ss_http_read_form(self->q, 1000));
	a = ss_http_arg(self->q, "a");
	return SS_TRY(ss_http_reply_json(self->q, 201, a ? a : "null"));
}

static ss_future form(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(form_fiber, q);
}

static ss_future nothing(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_http_reply(q, 204, NULL, NULL, 0);
}

SS_FIBER(slow_fiber, ss_http_req *q;)
{
	SS_TRY(ss_sleep(20 * SS_MSEC));
	return SS_TRY(ss_http_reply_text(self->q, 200, "slow"));
}

static ss_future slow(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(slow_fiber, q);
}

static ss_http_server *start(ss_addr *at)
{
	ss_addr any = ss_addr_loopback(0);
	ss_http_server *s = ss_http_server_new(&(ss_http_server_opts){.max_body = 1 << 30});
	ss_result r;

	ss_http_route(s, "GET", "/hello/{name}", hello, NULL);
	ss_http_route(s, "GET", "/hello", hello, NULL);
	ss_http_route(s, "POST", "/echo", echo, NULL);
	ss_http_route(s, "POST", "/form", form, NULL);
	ss_http_route(s, "GET", "/nothing", nothing, NULL);
	ss_http_route(s, "GET", "/slow", slow, NULL);
	r = ss_await(ss_http_server_listen(s, &any, NULL));
	*at = ss_addr_loopback(r.err ? 0 : (uint16_t)r.i);
	return s;
}

/* Status of a request, or a negative errno; the body goes to out. */
static int64_t fetch(ss_http_client *cl, const ss_http_call *call, char *out, size_t n)
{
	ss_http_response *r = SS_TRY_PTR(ss_http_send(cl, call));
	int64_t status = r->head.status;
	ss_result got;
	ss_str body;

	got = ss_await(ss_http_response_read(r, n, &body));
	if (got.err)
		status = got.err;
	else
		snprintf(out, n, "%.*s", (int)body.n, body.p);
	ss_http_response_end(r);
	return status;
}

static int64_t get(ss_http_client *cl, const char *target, char *out, size_t n)
{
	return fetch(cl, &(ss_http_call){.target = target}, out, n);
}

SS_TEST(requests)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, NULL);
	static const ss_http_line lines[] = {
	    {"Content-Type", "application/x-www-form-urlencoded"}, {"X-Other", "1"}, {NULL}};
	struct ss_http_client_stats st;
	char text[256];

	SS_CHECK(get(cl, "/hello", text, sizeof(text)) == 200 && strcmp(text, "hello") == 0);
	SS_CHECK(get(cl, "/hello?x=a%20b", text, sizeof(text)) == 200 && !strcmp(text, "a b"));
	SS_CHECK(get(cl, "/nothing", text, sizeof(text)) == 204 && !*text);
	SS_CHECK(get(cl, "/missing", text, sizeof(text)) == 404);
	SS_CHECK(fetch(cl, &(ss_http_call){.method = "HEAD", .target = "/hello"}, text,
		     sizeof(text)) == 200 &&
		 !*text);
	SS_CHECK(fetch(cl,
		     &(ss_http_call){.method = "POST",
			 .target = "/form",
			 .fields = lines,
			 .body = "a=%7b%7d",
			 .length = 8},
		     text, sizeof(text)) == 201 &&
		 strcmp(text, "{}") == 0);
	/* One connection was enough for all. */
	ss_http_client_stats(cl, &st);
	SS_CHECK(st.requests == 6 && st.connections == 1 && st.idle == 1 && st.retries == 0);
	SS_CHECK(get(cl, "/a b", text, sizeof(text)) == -EINVAL);
	SS_CHECK(get(cl, "/a\r\nX: y", text, sizeof(text)) == -EINVAL);
	SS_CHECK(get(cl, "", text, sizeof(text)) == -EINVAL);
	SS_CHECK(fetch(cl,
		     &(ss_http_call){
			 .target = "/", .fields = (ss_http_line[]){{"A", "b\r\nC: d"}, {NULL}}},
		     text, sizeof(text)) == -EINVAL);
	SS_CHECK(get(cl, "/hello?x=0123456789", text, 5) == -EMSGSIZE);
	SS_CHECK(get(cl, "/hello", text, sizeof(text)) == 200);
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* More than any buffer holds goes both ways at once. */
#define BIG (8 << 20)

SS_FIBER(upload_fiber, ss_http_upload *u;)
{
	static char block[10000];

	for (size_t n = 0; n < BIG;) {
		size_t k = BIG - n < sizeof(block) ? BIG - n : sizeof(block);

		memset(block, (int)(n / sizeof(block)), k);
		SS_TRY(ss_http_upload_write(self->u, block, k));
		n += k;
	}
	return 0;
}

static ss_future upload(ss_http_upload *u, void *arg)
{
	(void)arg;
	return ss_async(upload_fiber, u);
}

static int64_t big_echo(ss_http_client *cl, int64_t length)
{
	ss_http_response *r = SS_TRY_PTR(ss_http_send(
	    cl, &(ss_http_call){
		    .method = "POST", .target = "/echo", .upload = upload, .length = length}));
	size_t n = 0, wrong = 0;
	ss_buf b;

	SS_CHECK(r->head.status == 200 && r->head.chunked == (length < 0));
	for (;;) {
		ss_result t = ss_await(ss_http_response_take(r, &b));

		if (t.err)
			printf("# after %zu: %d %s\n", n, t.err, t.msg ? t.msg : "");
		if (t.err || !t.i)
			break;
		for (size_t i = 0; i < b.len; i++, n++)
			wrong += (unsigned char)b.data[i] != (unsigned char)(n / 10000);
		ss_buf_release(&b);
	}
	SS_CHECK(n == BIG && !wrong);
	ss_http_response_end(r);
	return 0;
}

static ss_future fails(ss_http_upload *u, void *arg)
{
	ss_ignore(ss_http_upload_write(u, "abc", 3));
	return ss_fail((int)(intptr_t)arg);
}

SS_TEST(uploads)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, NULL);
	ss_http_call c = {.method = "POST", .target = "/echo", .upload = fails, .length = -1};
	struct ss_http_client_stats st;
	ss_http_response *r;
	uint64_t before;
	char text[64];

	SS_CHECK(big_echo(cl, -1) == 0);
	SS_CHECK(big_echo(cl, BIG) == 0);
	/* The writing side needs a moment to see that it has ended. */
	SS_TRY(ss_sleep(10 * SS_MSEC));
	ss_http_client_stats(cl, &st);
	SS_CHECK(st.connections <= 2 && st.idle == st.connections);
	before = st.connections;
	/* A response that is ended early costs the connection. */
	r = SS_TRY_PTR(ss_http_send(cl,
	    &(ss_http_call){.method = "POST", .target = "/echo", .upload = upload, .length = -1}));
	ss_http_response_end(r);
	SS_CHECK(get(cl, "/hello", text, sizeof(text)) == 200);
	ss_http_client_stats(cl, &st);
	SS_CHECK(st.connections >= before && st.connections <= before + 1);
	/* The source of the body fails, or has another length. */
	c.target = "/form";
	c.arg = (void *)(intptr_t)-EIO;
	SS_CHECK(
	    fetch(cl, &c, text, sizeof(text)) == -EIO || fetch(cl, &c, text, sizeof(text)) == 201);
	c.length = 2;
	SS_CHECK(fetch(cl, &c, text, sizeof(text)) < 300);
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

SS_FIBER(one_get, ss_http_client *cl; int *done;)
{
	char text[64];

	SS_CHECK(get(self->cl, "/slow", text, sizeof(text)) == 200);
	++*self->done;
	return 0;
}

SS_TEST(pool)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, &(ss_http_client_opts){.max_connections = 2});
	struct ss_http_client_stats st;
	ss_future fs[7];
	int done = 0;

	for (int i = 0; i < 7; i++)
		fs[i] = ss_async(one_get, cl, &done);
	SS_TRY(ss_when_all(fs, 7, NULL));
	ss_http_client_stats(cl, &st);
	SS_CHECK(done == 7 && st.connections == 2 && st.idle == 2);
	/* The server closes both while they are kept. */
	SS_TRY(ss_http_server_stop(s));
	SS_TRY(ss_sleep(5 * SS_MSEC));
	SS_CHECK(ss_await(ss_http_get(cl, "/hello")).err == -ECONNREFUSED);
	ss_http_client_stats(cl, &st);
	SS_CHECK(st.retries == 1);
	SS_TRY(ss_http_client_close(cl));
	return 0;
}

/* Servers that misbehave: each connection gets a text and is closed, or is left open. */
struct script {
	const char *text;
	bool stay;
	int connections;
};

SS_FIBER(script_fiber, ss_conn *c; struct script * s;)
{
	ss_auto_conn c = self->c;

	self->s->connections++;
	ss_await(ss_input_fill(ss_conn_input(c)));
	ss_input_consume(ss_conn_input(c), ss_input_len(ss_conn_input(c)));
	SS_TRY(ss_output_write(ss_conn_output(c), self->s->text, strlen(self->s->text)));
	SS_TRY(ss_output_drain(ss_conn_output(c)));
	if (self->s->stay)
		ss_await(ss_input_fill(ss_conn_input(c)));
	return 0;
}

static ss_future run_script(ss_conn *c, void *arg)
{
	return ss_async(script_fiber, c, arg);
}

SS_TEST(bad_servers)
{
	static const struct {
		const char *text;
		bool stay;
		int64_t want;
	} all[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
	     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		false, 200},
	    {"HTTP/1.0 200 OK\r\n\r\nok", false, 200},
	    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, -ECONNRESET},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false,
		-ECONNRESET},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokok\r\n", false, -EBADMSG},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", false,
		-EBADMSG},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false,
		-EBADMSG},
	    {"HTTP/1.1 99 OK\r\n\r\n", false, -EBADMSG},
	    {"ICY 200 OK\r\n\r\n", false, -EBADMSG},
	    {"HTTP/2.0 200 OK\r\n\r\n", false, -EBADMSG},
	    {"HTTP/1.1 200 OK\r\nA: b", false, -ECONNRESET},
	    {"", false, -ECONNRESET},
	    {"HTTP/1.1 200 OK\r\nA: b", true, -ETIMEDOUT},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true, -ETIMEDOUT},
	    {"", true, -ETIMEDOUT},
	};
	ss_addr any = ss_addr_loopback(0), at;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, NULL));
	struct script script;
	ss_server server = {0};
	ss_http_client *cl;
	char text[64], *big = calloc(1, 100000);

	ss_listener_addr(l, &at);
	ss_server_start(&server, l, run_script, &script);
	cl = ss_http_client_new(&at, &(ss_http_client_opts){.read_ns = 50 * SS_MSEC});
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int64_t got;

		script = (struct script){.text = all[i].text, .stay = all[i].stay};
		got = get(cl, "/", text, sizeof(text));
		if (!SS_CHECK(got == all[i].want))
			printf("# response %zu: %lld\n", i, (long long)got);
		/* Its connection is closed by now, so the next one has to be made anew. */
		SS_TRY(ss_sleep(SS_MSEC));
	}
	memset(big, 'a', 99999);
	memcpy(big, "HTTP/1.1 200 OK\r\nA: ", 20);
	script = (struct script){.text = big};
	SS_CHECK(get(cl, "/", text, sizeof(text)) == -EMSGSIZE);
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_server_stop(&server));
	free(big);
	return 0;
}

SS_TEST(closing)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, &(ss_http_client_opts){.max_connections = 1});
	ss_future first = ss_http_get(cl, "/slow"), waits = ss_http_get(cl, "/hello"), closed;
	ss_http_response *r;

	closed = ss_http_client_close(cl);
	SS_CHECK(ss_await(waits).err == -ESHUTDOWN && !ss_available(closed));
	r = SS_TRY_PTR(first);
	SS_CHECK(r->head.status == 200 && !ss_available(closed));
	ss_http_response_end(r);
	SS_TRY(closed);
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* The same over TLS: the server takes another listener, the client has credentials. */
SS_FIBER(ws_echo_fiber, ss_http_req *q;)
{
	ss_auto_ws ws = SS_TRY_PTR(ss_ws_accept(self->q, NULL));
	ss_ws_message m;

	while (SS_TRY(ss_ws_receive(ws, &m)))
		SS_TRY(ss_ws_send(ws, m.text, m.data.p, m.data.n));
	return SS_TRY(ss_ws_close(ws, SS_WS_NORMAL, NULL));
}

static ss_future ws_echo(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(ws_echo_fiber, q);
}

static int64_t ws_talk(ss_http_client *cl)
{
	ss_auto_ws ws = SS_TRY_PTR(ss_ws_connect(cl, "/ws", NULL));
	ss_ws_message m;

	SS_TRY(ss_ws_send(ws, true, "secret", 6));
	if (SS_TRY(ss_ws_receive(ws, &m)) != 1)
		return -ECONNRESET;
	SS_CHECK(ss_str_is(m.data, "secret"));
	return SS_TRY(ss_ws_close(ws, SS_WS_NORMAL, NULL));
}

SS_TEST(tls)
{
	struct cert ca = cert_make("signer", NULL, NULL, 10);
	struct cert mine = cert_make("server", "DNS:here.example", &ca, 10);
	ss_tls_config sc = {.server = true, .cert_pem = mine.cert_pem, .key_pem = mine.key_pem};
	ss_tls_config cc = {.ca_pem = ca.cert_pem};
	ss_tls_creds *server_creds, *client_creds;
	ss_addr any = ss_addr_loopback(0), at;
	ss_http_server *s = start(&at);
	ss_http_client *cl, *wrong;
	ss_listener *l;
	char text[256];

	SS_REQUIRE(!ss_tls_creds_new(&sc, &server_creds, text, sizeof(text)));
	SS_REQUIRE(!ss_tls_creds_new(&cc, &client_creds, text, sizeof(text)));
	l = SS_TRY_PTR(ss_tls_listen(server_creds, &any, NULL));
	ss_listener_addr(l, &at);
	ss_http_route(s, "GET", "/ws", ws_echo, NULL);
	SS_CHECK(ss_http_server_add(s, l) == 0);
	cl = ss_http_client_new(
	    &at, &(ss_http_client_opts){.host = "here.example", .tls = client_creds});
	wrong = ss_http_client_new(
	    &at, &(ss_http_client_opts){.host = "there.example", .tls = client_creds});
	SS_CHECK(get(cl, "/hello", text, sizeof(text)) == 200 && strcmp(text, "hello") == 0);
	SS_CHECK(get(cl, "/missing", text, sizeof(text)) == 404);
	SS_CHECK(big_echo(cl, -1) == 0);
	SS_CHECK(ws_talk(cl) == 0);
	SS_CHECK(get(wrong, "/hello", text, sizeof(text)) == -EKEYREJECTED);
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_http_client_close(wrong));
	SS_TRY(ss_http_server_stop(s));
	ss_tls_creds_free(server_creds);
	ss_tls_creds_free(client_creds);
	cert_free(&mine);
	cert_free(&ca);
	return 0;
}

/* A server per shard on one port, clients on every shard. */
static ss_addr shared_addr;
static _Atomic int served[2];

static ss_future count_here(ss_http_req *q, void *arg)
{
	(void)arg;
	served[ss_shard_id()]++;
	return ss_http_reply_text(q, 200, "here");
}

SS_CONT(is_listening, ss_http_server *s;)
{
	return ss_okp(self->s);
}

static ss_future shard_start(void *arg)
{
	ss_http_server *s = ss_http_server_new(NULL);

	(void)arg;
	ss_http_route(s, "GET", "/here", count_here, NULL);
	return ss_then(ss_http_server_listen(s, &shared_addr, NULL), is_listening, s);
}

static ss_future shard_stop(void *s)
{
	return ss_http_server_stop(s);
}

SS_FIBER(many_gets, int unused;)
{
	char text[64];

	for (int i = 0; i < 40; i++) {
		/* A connection each, so that the system spreads them. */
		ss_http_client *cl = ss_http_client_new(&shared_addr, NULL);

		SS_CHECK(get(cl, "/here", text, sizeof(text)) == 200);
		SS_TRY(ss_http_client_close(cl));
	}
	return 0;
}

SS_CONT(get_on_shard)
{
	return ss_async(many_gets, 0);
}

SS_TEST(shards)
{
	static const struct ss_service_ops ops = {shard_start, shard_stop};
	static ss_sharded service;
	ss_addr any = ss_addr_loopback(0);
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &(ss_listen_opts){.one_shard = true}));

	/* A port that is free now. */
	ss_listener_addr(l, &shared_addr);
	ss_listener_close(l);
	service = (ss_sharded){0};
	served[0] = served[1] = 0;
	SS_TRY(ss_sharded_start(&service, &ops, NULL));
	SS_TRY(ss_smp_invoke_on_all(get_on_shard));
	SS_TRY(ss_sharded_stop(&service));
	SS_CHECK(served[0] + served[1] == 80 && served[0] && served[1]);
	return 0;
}

/* Each allocation of a whole conversation fails in turn, on both sides. */
static int64_t conversation(const ss_addr *at)
{
	static const ss_http_line lines[] = {
	    {"Content-Type", "application/x-www-form-urlencoded"}, {NULL}};
	ss_http_client *cl = ss_http_client_new(
	    at, &(ss_http_client_opts){.read_ns = 200 * SS_MSEC, .connect_ns = 200 * SS_MSEC});
	char text[6000];
	int64_t bad = 0;
	static char block[5000], big[65536];

	if (!cl)
		return 1;
	memset(block, 'x', sizeof(block));
	bad |= get(cl, "/hello/name?x=y&z", text, sizeof(text)) != 200;
	bad |= fetch(cl,
		   &(ss_http_call){.method = "POST",
		       .target = "/form",
		       .fields = lines,
		       .body = "a=b",
		       .length = 3},
		   text, sizeof(text)) != 201;
	bad |= fetch(cl,
		   &(ss_http_call){
		       .method = "POST", .target = "/echo", .body = block, .length = sizeof(block)},
		   text, sizeof(text)) != 200;
	bad |= get(cl, "/files/small", text, sizeof(text)) != 200;
	bad |= get(cl, "/metrics?format=json", big, sizeof(big)) != 200;
	bad |= ws_talk(cl) != 0;
	ss_await(ss_http_client_close(cl));
	return bad;
}

SS_TEST(memory_fails)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	uint64_t n = 0, failed = 0, bad = 0;
	char dir[] = "/tmp/ss-http-XXXXXX", path[64];
	int fd;

	SS_REQUIRE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/small", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	SS_CHECK(fd >= 0 && write(fd, path, 30) == 30 && close(fd) == 0);
	SS_CHECK(ss_http_files(s, "/files", dir, NULL) == 0);
	SS_CHECK(ss_http_route(s, "GET", "/ws", ws_echo, NULL) == 0);
	SS_CHECK(ss_http_route(s, "GET", "/metrics", ss_metrics_handler, NULL) == 0);
	SS_CHECK(conversation(&at) == 0);
	for (uint64_t i = 0;; i++) {
		int64_t r;

		ss_alloc_inject(i, true);
		r = conversation(&at);
		n = ss_alloc_inject_seen();
		failed += ss_alloc_inject_stop();
		bad += r != 0;
		if (n <= i)
			break;
		/* Whatever happened, the next conversation works. */
		if (i % 8 == 0)
			SS_CHECK(conversation(&at) == 0);
	}
	printf("# %d allocations failed, %d conversations felt it\n", (int)failed, (int)bad);
	SS_CHECK(failed > 60 && bad > 40);
	SS_CHECK(conversation(&at) == 0);
	unlink(path);
	rmdir(dir);
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct ss_test tests[] = {
	    {"requests", requests},
	    {"uploads", uploads},
	    {"pool", pool},
	    {"bad_servers", bad_servers},
	    {"closing", closing},
	    {"tls", tls},
	    {"shards", shards, "-c2"},
	    {"memory_fails", memory_fails, .once = true},
	    {NULL},
	};

	return ss_test_main(argc, argv, tests);
}
