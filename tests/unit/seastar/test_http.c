/* SPDX-License-Identifier: BSD-3-Clause */
/* The HTTP server: raw requests over loopback, what is refused, limits, streams, stopping. */
#include <seastar/http_server.h>
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Handlers */

static ss_future hello(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_http_reply_text(q, 200, "hello\n");
}

static ss_future show(ss_http_req *q, void *arg)
{
	char text[512];
	const char *name = ss_http_param(q, "name"), *x = ss_http_query(q, "x");

	snprintf(text, sizeof(text), "%s name=%s rest=%s x=%s", (const char *)arg,
	    name ? name : "-", ss_http_param(q, "rest") ? ss_http_param(q, "rest") : "-",
	    x ? x : "-");
	return ss_http_reply_text(q, 200, text);
}

SS_FIBER(echo_fiber, ss_http_req *q;)
{
	ss_http_req *q = self->q;
	ss_buf b;

	SS_TRY(ss_http_stream(q, "application/octet-stream", -1));
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
	char text[256];
	int64_t k = 0;
	int err;

	SS_TRY(ss_http_read_form(self->q, 1000));
	err = ss_http_arg_int(self->q, "k", 0, 99, &k);
	if (err == -EINVAL)
		return SS_TRY(ss_http_reply_error(self->q, 400, "k is not from 0 to 99"));
	snprintf(text, sizeof(text), "a=%s k=%d", ss_http_arg(self->q, "a"), (int)k);
	return SS_TRY(ss_http_reply_text(self->q, 200, text));
}

static ss_future form(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(form_fiber, q);
}

SS_FIBER(whole_fiber, ss_http_req *q;)
{
	ss_str body;

	SS_TRY(ss_http_body_read(self->q, 100000, &body));
	return SS_TRY(ss_http_reply(self->q, 200, NULL, body.p, body.n));
}

static ss_future whole(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(whole_fiber, q);
}

static ss_future fails(ss_http_req *q, void *arg)
{
	(void)q;
	return ss_fail_msg((int)(intptr_t)arg, "it \"failed\"");
}

static ss_future ignores(ss_http_req *q, void *arg)
{
	(void)q;
	(void)arg;
	return ss_ok(0);
}

SS_FIBER(slow_fiber, ss_http_req *q;)
{
	SS_TRY(ss_sleep(30 * SS_MSEC));
	return SS_TRY(ss_http_reply_text(self->q, 200, "slow"));
}

static ss_future slow(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(slow_fiber, q);
}

SS_FIBER(endless_fiber, ss_http_req *q;)
{
	static const char block[8192];

	SS_TRY(ss_http_stream(self->q, NULL, -1));
	for (;;)
		SS_TRY(ss_http_write(self->q, block, sizeof(block)));
	return 0;
}

static ss_future endless(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(endless_fiber, q);
}

static ss_future fixed(ss_http_req *q, void *arg)
{
	ss_future f = ss_http_stream(q, "text/plain", 5);

	(void)arg;
	if (ss_available(f))
		ss_ignore(f);
	ss_ignore(ss_http_printf(q, "%d", 123));
	/* More than announced is refused, and too little breaks the connection off. */
	if (ss_http_query(q, "over"))
		return ss_http_write(q, "4567", 4);
	return ss_http_query(q, "short") ? ss_ok(0) : ss_http_write(q, "45", 2);
}

static ss_future fields(ss_http_req *q, void *arg)
{
	(void)arg;
	SS_CHECK(ss_http_add_field(q, "X-One", "1") == 0);
	SS_CHECK(ss_http_add_field(q, "X-Two", "a\r\nSet-Cookie: x") == -EINVAL);
	SS_CHECK(ss_http_add_field(q, "X Three", "1") == -EINVAL);
	return ss_http_redirect(q, 303, "/hello");
}

SS_CONT(replied)
{
	return ss_ok(1);
}

static ss_future guard(ss_http_req *q, void *arg)
{
	(void)arg;
	if (!ss_str_is(ss_http_field_of(q, "X-Forbidden"), "yes"))
		return ss_ok(0);
	return ss_then(ss_http_reply_error(q, 403, "not you"), replied);
}

/* The server and a client for raw bytes */

/* For handlers' arguments. */
static void *text(const char *s)
{
	return (void *)(uintptr_t)s;
}

static ss_http_server *start(const ss_http_server_opts *o, ss_addr *at)
{
	ss_addr any = ss_addr_loopback(0);
	ss_http_server *s = ss_http_server_new(o);
	ss_result r;

	ss_http_use(s, guard, NULL);
	ss_http_route(s, "GET", "/hello", hello, NULL);
	ss_http_route(s, "GET", "/env", show, text("list"));
	ss_http_route(s, "GET", "/env/{name}", show, text("get"));
	ss_http_route(s, "POST", "/env/{name}", show, text("set"));
	ss_http_route(s, "GET", "/env/all", show, text("all"));
	ss_http_route(s, "GET", "/file/{rest...}", show, text("file"));
	ss_http_route(s, "GET", "/file/{name}/x/y", show, text("deep"));
	ss_http_route(s, "POST", "/echo", echo, NULL);
	ss_http_route(s, "POST", "/form", form, NULL);
	ss_http_route(s, "POST", "/whole", whole, NULL);
	ss_http_route(s, "POST", "/ignores", ignores, NULL);
	ss_http_route(s, "GET", "/fails", fails, (void *)(intptr_t)-ENOENT);
	ss_http_route(s, "GET", "/slow", slow, NULL);
	ss_http_route(s, "GET", "/endless", endless, NULL);
	ss_http_route(s, "GET", "/fixed", fixed, NULL);
	ss_http_route(s, "GET", "/fields", fields, NULL);
	ss_http_route(s, NULL, "/any", show, text("any"));
	r = ss_await(ss_http_server_listen(s, &any, NULL));
	SS_CHECK(!r.err && r.i > 0);
	*at = ss_addr_loopback((uint16_t)r.i);
	return s;
}

/* Send text (in pieces of `step` bytes if not 0), return all that comes until the end. */
static char *talk_in(const ss_addr *at, const char *text, size_t n, size_t step)
{
	static char got[1 << 20];
	ss_result r = ss_await(ss_connect(at));
	ss_conn *c = r.p;
	size_t have = 0;

	got[0] = '\0';
	if (r.err)
		return got;
	for (size_t i = 0; i < n && !r.err; i += step) {
		if (!step)
			step = n;
		r = ss_await(
		    ss_output_write(ss_conn_output(c), text + i, n - i < step ? n - i : step));
		if (!r.err)
			r = ss_await(ss_output_drain(ss_conn_output(c)));
	}
	do {
		r = ss_await(ss_input_read(ss_conn_input(c), got + have, sizeof(got) - 1 - have));
		if (!r.err)
			have += (size_t)r.i;
	} while (!r.err && r.i);
	got[have] = '\0';
	ss_conn_close(c);
	return got;
}

static char *talk(const ss_addr *at, const char *text)
{
	return talk_in(at, text, strlen(text), 0);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n >= m && strcmp(text + n - m, with) == 0;
}

/* One request that closes the connection after it. */
static char *get(const ss_addr *at, const char *target)
{
	static char text[1024];

	snprintf(
	    text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
	return talk(at, text);
}

#define CLOSE "Host: x\r\nConnection: close\r\n"

SS_TEST(requests)
{
	ss_addr at;
	ss_http_server *s = start(NULL, &at);
	char *a = get(&at, "/hello");

	SS_CHECK(begins(a, "HTTP/1.1 200 OK\r\n") && ends(a, "\r\n\r\nhello\n"));
	SS_CHECK(strstr(a, "Content-Length: 6\r\n") && strstr(a, "Date: "));
	SS_CHECK(strstr(a, "Connection: close\r\n") && strstr(a, "Server: seastar\r\n"));
	SS_CHECK(ends(get(&at, "/env/"), "list name=- rest=- x=-"));
	SS_CHECK(ends(get(&at, "/env"), "list name=- rest=- x=-"));
	SS_CHECK(ends(get(&at, "/env/a%2fb%20c?x=%41+b&y"), "get name=a/b c rest=- x=A b"));
	SS_CHECK(ends(get(&at, "/env/all?x"), "all name=- rest=- x="));
	SS_CHECK(ends(get(&at, "/file/a/b%20/c"), "file name=- rest=a/b /c x=-"));
	SS_CHECK(ends(get(&at, "/file/"), "file name=- rest= x=-"));
	SS_CHECK(ends(get(&at, "/file/q/x/y"), "deep name=q rest=- x=-"));
	SS_CHECK(ends(get(&at, "/file/q/x/z"), "file name=- rest=q/x/z x=-"));
	SS_CHECK(ends(get(&at, "http://other/env/v"), "get name=v rest=- x=-"));
	SS_CHECK(begins(get(&at, "/env/%zz"), "HTTP/1.1 400 "));
	SS_CHECK(begins(get(&at, "/env/a%00"), "HTTP/1.1 400 "));
	SS_CHECK(begins(get(&at, "/hello?x=%"), "HTTP/1.1 400 "));
	SS_CHECK(begins(get(&at, "/nothing"), "HTTP/1.1 404 "));
	a = talk(&at, "DELETE /env/x HTTP/1.1\r\n" CLOSE "\r\n");
	SS_CHECK(begins(a, "HTTP/1.1 405 ") && strstr(a, "Allow: GET, HEAD, POST\r\n"));
	a = talk(&at, "OPTIONS /hello HTTP/1.1\r\n" CLOSE "\r\n");
	SS_CHECK(begins(a, "HTTP/1.1 204 ") && strstr(a, "Allow: GET, HEAD\r\n"));
	SS_CHECK(!strstr(a, "Content-Length"));
	a = talk(&at, "HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n");
	SS_CHECK(strstr(a, "Content-Length: 6\r\n") && ends(a, "\r\n\r\n"));
	SS_CHECK(ends(talk(&at, "BREW /any HTTP/1.1\r\n" CLOSE "\r\n"), "any name=- rest=- x=-"));
	a = get(&at, "/fails");
	SS_CHECK(begins(a, "HTTP/1.1 404 ") && ends(a, "404 Not Found: it \"failed\"\n"));
	a = get(&at, "/fields");
	SS_CHECK(begins(a, "HTTP/1.1 303 See Other\r\n") && strstr(a, "\r\nX-One: 1\r\n"));
	SS_CHECK(strstr(a, "\r\nLocation: /hello\r\n") && !strstr(a, "Set-Cookie"));
	a = talk(&at, "GET /hello HTTP/1.1\r\nX-Forbidden: yes\r\n" CLOSE "\r\n");
	SS_CHECK(begins(a, "HTTP/1.1 403 ") && !strstr(a, "hello\n"));
	SS_CHECK(ends(get(&at, "/fixed"), "Connection: close\r\n\r\n12345"));
	SS_CHECK(ends(get(&at, "/fixed?short"), "\r\n\r\n123"));
	SS_CHECK(ends(get(&at, "/fixed?over"), "\r\n\r\n123"));
	SS_TRY(ss_http_server_stop(s));
	SS_CHECK(ss_await(ss_connect(&at)).err == -ECONNREFUSED);
	return 0;
}

SS_TEST(connections)
{
	ss_addr at;
	ss_http_server *s = start(&(ss_http_server_opts){.json_errors = true, .name = ""}, &at);
	char *a;

	/* Pipelined, one of them slow: in order. */
	a = talk(&at, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
		      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
		      "GET /env HTTP/1.1\r\n" CLOSE "\r\n");
	SS_CHECK(count(a, "HTTP/1.1 200 OK\r\n") == 4 && strstr(a, "slow") < strstr(a, "hello"));
	SS_CHECK(strstr(a, "\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1") && !strstr(a, "Server"));
	/* Byte by byte. */
	a = talk_in(&at,
	    "\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /env HTTP/1.1\r\n" CLOSE "\r\n", 83, 1);
	SS_CHECK(count(a, "HTTP/1.1 200 OK\r\n") == 2);
	/* HTTP/1.0 */
	a = talk(&at, "GET /hello HTTP/1.0\r\n\r\n");
	SS_CHECK(begins(a, "HTTP/1.1 200 ") && strstr(a, "Connection: close\r\n"));
	a = talk(
	    &at, "GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /env HTTP/1.0\r\n\r\n");
	SS_CHECK(count(a, "HTTP/1.1 200 ") == 2 && count(a, "Connection: keep-alive\r\n") == 1);
	a = talk(&at, "POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody");
	SS_CHECK(ends(a, "\r\n\r\nbody") && !strstr(a, "chunked"));
	a = get(&at, "/nothing");
	SS_CHECK(ends(a, "{\"message\": \"no such path\", \"code\": 404}"));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

#define POST(path, rest) "POST " path " HTTP/1.1\r\n" CLOSE rest

SS_TEST(bodies)
{
	ss_addr at;
	ss_http_server *s = start(&(ss_http_server_opts){.max_body = 5000}, &at);
	char *a, big[6000];
	int n;

	a = talk(&at,
	    POST("/whole", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
			   "0\r\nTrailer: 1\r\n\r\n"));
	SS_CHECK(ends(a, "\r\n\r\nabc0123456789"));
	a = talk(&at, POST("/form", "Content-Type: application/x-www-form-urlencoded\r\n"
				    "Content-Length: 12\r\n\r\na=1%2b1+&k=7"));
	SS_CHECK(ends(a, "a=1+1  k=7"));
	a = talk(&at, POST("/form", "Content-Type: application/x-www-form-urlencoded\r\n"
				    "Content-Length: 5\r\n\r\nk=100"));
	SS_CHECK(begins(a, "HTTP/1.1 400 ") && strstr(a, "k is not from 0 to 99"));
	a = talk(&at, POST("/whole", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok"));
	SS_CHECK(
	    begins(a, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") && ends(a, "\r\n\r\nok"));
	/* Nobody reads the body: the next request is still found. */
	a = talk(&at, "POST /ignores HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
		      "POST /ignores HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n2\r\n12\r\n0\r\n\r\n"
		      "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
	SS_CHECK(count(a, "HTTP/1.1 200 OK\r\n") == 3 && ends(a, "hello\n"));
	/* Too large, announced and not. */
	a = talk(&at, POST("/whole", "Content-Length: 5001\r\n\r\n"));
	SS_CHECK(begins(a, "HTTP/1.1 413 "));
	a = talk(&at, POST("/whole", "Expect: 100-continue\r\nContent-Length: 5001\r\n\r\n"));
	SS_CHECK(begins(a, "HTTP/1.1 413 "));
	n = snprintf(big, sizeof(big), "%s1389\r\n%05001d\r\n0\r\n\r\n",
	    POST("/whole", "Transfer-Encoding: chunked\r\n\r\n"), 0);
	a = talk_in(&at, big, (size_t)n, 0);
	SS_CHECK(begins(a, "HTTP/1.1 413 "));
	a = talk(
	    &at, POST("/whole", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefg\r\n0\r\n\r\n"));
	SS_CHECK(begins(a, "HTTP/1.1 400 "));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* What must not get through, with the status it gets. */
SS_TEST(refused)
{
	static const struct {
		const char *text;
		int status;
	} all[] = {
	    {"GET / HTTP/1.1\n" CLOSE "\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\nHost: x\n\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\n Host: x\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	    {"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	    {"GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	    {"GET /hello  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	    {"GET /hello\r\nHost: a\r\n\r\n", 400},
	    {"GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	    {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	    {"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	    {"GET /hello http/1.1\r\nHost: a\r\n\r\n", 400},
	    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	    {"\x16\x03\x01\x02", 400},
	    {"\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n0\r\n\r\n",
		400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
	     "3\r\n\r\n0\r\n\r\n",
		400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n",
		400},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0b"
	     "chunked\r\n\r\n",
		400},
	    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	};
	ss_addr at;
	ss_http_server *s = start(NULL, &at);
	struct ss_http_stats st;
	char want[32];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char *a = talk(&at, all[i].text);

		snprintf(want, sizeof(want), "HTTP/1.1 %d ", all[i].status);
		if (!SS_CHECK(begins(a, want) && count(a, "HTTP/1.1 ") == 1))
			printf("# request %zu: %.60s\n", i, a);
	}
	ss_http_server_stats(s, &st);
	SS_CHECK(st.bad == sizeof(all) / sizeof(all[0]) && st.requests == 0);
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* Chunks that lie about themselves, after a head that is good. */
SS_TEST(refused_chunks)
{
	static const char *const all[] = {
	    "10000000000000000\r\nabc",
	    "00000000000000000000000003\r\nabc\r\n0\r\n\r\n",
	    "-1\r\nabc",
	    "+3\r\nabc\r\n0\r\n\r\n",
	    "0x3\r\nabc\r\n0\r\n\r\n",
	    "3\nabc\r\n0\r\n\r\n",
	    "3\r\nabc0\r\n\r\n",
	    "3\r\nabc\n0\r\n\r\n",
	    "3 \r\nabc\r\n0\r\n\r\n",
	    "\r\n3\r\nabc\r\n",
	    "3;a\nb\r\nabc\r\n0\r\n\r\n",
	    "0\r\n Folded: 1\r\n\r\n",
	    "0\r\nA: 1\n\r\n\r\n",
	};
	ss_addr at;
	ss_http_server *s = start(NULL, &at);
	char text[512];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char *a;

		snprintf(text, sizeof(text),
		    "POST /whole HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s"
		    "GET /hello HTTP/1.1\r\nHost: smuggled\r\n\r\n",
		    all[i]);
		a = talk(&at, text);
		if (!SS_CHECK(begins(a, "HTTP/1.1 400 ") && count(a, "HTTP/1.1 ") == 1))
			printf("# chunks %zu: %.60s\n", i, a);
	}
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

SS_TEST(limits)
{
	ss_http_server_opts o = {.max_head = 1000,
	    .max_fields = 10,
	    .max_requests = 2,
	    .max_connections = 8,
	    .idle_ns = 400 * SS_MSEC,
	    .head_ns = 400 * SS_MSEC,
	    .body_ns = 400 * SS_MSEC,
	    .write_ns = 400 * SS_MSEC};
	ss_addr at;
	ss_http_server *s = start(&o, &at);
	char big[4096], *a;
	struct ss_http_stats st;
	ss_conn *idle[8];
	int n;

	n = snprintf(big, sizeof(big), "GET /%01500d HTTP/1.1\r\n" CLOSE "\r\n", 0);
	SS_CHECK(begins(talk_in(&at, big, (size_t)n, 0), "HTTP/1.1 431 "));
	/* The end never comes, only more of it. */
	SS_CHECK(begins(talk_in(&at, big, 1200, 100), "HTTP/1.1 431 "));
	n = snprintf(big, sizeof(big), "GET /hello HTTP/1.1\r\n" CLOSE);
	for (int i = 0; i < 9; i++)
		n += snprintf(big + n, sizeof(big) - (size_t)n, "F%d: 1\r\n", i);
	n += snprintf(big + n, sizeof(big) - (size_t)n, "\r\n");
	SS_CHECK(begins(talk_in(&at, big, (size_t)n, 0), "HTTP/1.1 431 "));
	a = talk(&at, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
		      "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	SS_CHECK(count(a, "200 OK") == 2 && count(a, "Connection: close\r\n") == 1);
	/* Time: silent from the start, within a head, within a body, and one who never reads. */
	SS_CHECK(strcmp(talk(&at, ""), "") == 0);
	SS_CHECK(begins(talk(&at, "GET /hel"), "HTTP/1.1 408 "));
	a = talk(&at, POST("/whole", "Content-Length: 10\r\n\r\n12345"));
	SS_CHECK(begins(a, "HTTP/1.1 408 "));
	{
		ss_auto_conn c = SS_TRY_PTR(ss_connect(&at));
		static const char request[] = "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";

		SS_TRY(ss_output_write(ss_conn_output(c), request, sizeof(request) - 1));
		SS_TRY(ss_output_drain(ss_conn_output(c)));
		for (int i = 0; i < 1000; i++) {
			ss_http_server_stats(s, &st);
			if (!st.open && i > 10)
				break;
			SS_TRY(ss_sleep(10 * SS_MSEC));
		}
		SS_CHECK(st.open == 0 && st.timeouts == 4);
	}
	for (int i = 0; i < 8; i++)
		idle[i] = SS_TRY_PTR(ss_connect(&at));
	SS_TRY(ss_sleep(20 * SS_MSEC));
	SS_CHECK(strcmp(get(&at, "/hello"), "") == 0);
	for (int i = 0; i < 8; i++)
		ss_conn_close(idle[i]);
	SS_TRY(ss_sleep(50 * SS_MSEC));
	SS_CHECK(ends(get(&at, "/hello"), "hello\n"));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* Requests in progress are served while the server stops. */
SS_FIBER(ask_slowly, ss_addr at; char *got;)
{
	strcpy(self->got, get(&self->at, "/slow"));
	return 0;
}

SS_TEST(stopping)
{
	ss_addr at;
	ss_http_server *s = start(NULL, &at);
	ss_auto_conn idle = SS_TRY_PTR(ss_connect(&at));
	char got[4096];
	ss_future f = ss_async(ask_slowly, at, got);

	SS_TRY(ss_sleep(10 * SS_MSEC));
	SS_TRY(ss_http_server_stop(s));
	SS_TRY(f);
	SS_CHECK(begins(got, "HTTP/1.1 200 OK") && ends(got, "slow"));
	SS_CHECK(ss_await(ss_input_fill(ss_conn_input(idle))).i == 0);
	return 0;
}

SS_TEST(texts)
{
	char out[64], date[SS_HTTP_DATE_SIZE];
	time_t t;

	SS_CHECK(ss_http_encode(out, sizeof(out), SS_STR("a b/\xff~")) == 12);
	SS_CHECK(strcmp(out, "a%20b%2F%FF~") == 0);
	SS_CHECK(ss_http_encode(out, 4, SS_STR("a b")) == 5 && strcmp(out, "a%2") == 0);
	SS_CHECK(ss_json_quote(out, sizeof(out), SS_STR("a\"\\\n\x01\xc3\xa4\xff")) == 20);
	SS_CHECK(strcmp(out, "\"a\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\"") == 0);
	ss_http_date(date, 784111777);
	SS_CHECK(strcmp(date, "Sun, 06 Nov 1994 08:49:37 GMT") == 0);
	SS_CHECK(ss_http_parse_date((ss_str){date, 29}, &t) == 0 && t == 784111777);
	SS_CHECK(ss_http_parse_date(SS_STR("Sun, 06 Nov 1994 08:49:37 CET"), &t) == -EINVAL);
	SS_CHECK(ss_http_parse_date(SS_STR("Sun, 06 Foo 1994 08:49:37 GMT"), &t) == -EINVAL);
	SS_CHECK(strcmp(ss_http_content_type("/a.b/x.HTML"), "text/html; charset=utf-8") == 0);
	SS_CHECK(strcmp(ss_http_content_type("/a.html/x"), "application/octet-stream") == 0);
	SS_CHECK(ss_http_has_token(SS_STR("a, Upgrade ,b"), "upgrade"));
	SS_CHECK(!ss_http_has_token(SS_STR("upgrades"), "upgrade"));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct ss_test tests[] = {
	    {"requests", requests},
	    {"connections", connections},
	    {"bodies", bodies},
	    {"refused", refused},
	    {"refused_chunks", refused_chunks},
	    {"limits", limits, .once = true},
	    {"stopping", stopping},
	    {"texts", texts, .once = true},
	    {NULL},
	};

	return ss_test_main(argc, argv, tests);
}
