/* SPDX-License-Identifier: BSD-3-Clause */
/* WebSocket: our two sides with each other, and our server against raw frames. */
#include <seastar/seastar.h>
#include <seastar/test.h>
#include <seastar/websocket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ss_ws_opts server_opts = {.max_message = 100000,
    .ping_ns = 60 * SS_MSEC,
    .close_ns = 60 * SS_MSEC,
    .protocols = "chat, other"};
static int last_code;
static int64_t last_result;

SS_FIBER(echo_fiber, ss_http_req *q;)
{
	ss_auto_ws ws = SS_TRY_PTR(ss_ws_accept(self->q, &server_opts));
	ss_ws_message m;
	ss_result r;

	while (!(r = ss_await(ss_ws_receive(ws, &m))).err && r.i) {
		if (ss_str_is(m.data, "close"))
			break;
		SS_TRY(ss_ws_send(ws, m.text, m.data.p, m.data.n));
	}
	last_result = r.err;
	if (!r.err)
		SS_TRY(ss_ws_close(ws, SS_WS_NORMAL, "bye"));
	last_code = ss_ws_close_code(ws);
	return 0;
}

static ss_future echo(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(echo_fiber, q);
}

static ss_http_server *start(ss_addr *at)
{
	ss_addr any = ss_addr_loopback(0);
	ss_http_server *s = ss_http_server_new(NULL);
	ss_result r;

	ss_http_route(s, "GET", "/ws", echo, NULL);
	r = ss_await(ss_http_server_listen(s, &any, NULL));
	*at = ss_addr_loopback(r.err ? 0 : (uint16_t)r.i);
	return s;
}

SS_TEST(both_sides)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, NULL);
	char *big = malloc(100000);
	ss_ws_message m;

	memset(big, 'b', 100000);
	last_code = 0;
	{
		ss_auto_ws ws = SS_TRY_PTR(
		    ss_ws_connect(cl, "/ws", &(ss_ws_opts){.protocols = "x, other, chat"}));

		SS_CHECK(ss_ws_protocol(ws) && !strcmp(ss_ws_protocol(ws), "chat"));
		SS_TRY(ss_ws_send(ws, true, "hello \xc3\xa4", 8));
		SS_CHECK(SS_TRY(ss_ws_receive(ws, &m)) == 1 && m.text);
		SS_CHECK(ss_str_is(m.data, "hello \xc3\xa4"));
		SS_TRY(ss_ws_send(ws, false, "", 0));
		SS_CHECK(SS_TRY(ss_ws_receive(ws, &m)) == 1 && !m.text && !m.data.n);
		for (size_t n = 120; n <= 100000; n = n * 7 / 3) {
			SS_TRY(ss_ws_send(ws, false, big, n));
			SS_CHECK(SS_TRY(ss_ws_receive(ws, &m)) == 1 && m.data.n == n);
			SS_CHECK(memcmp(m.data.p, big, n) == 0);
		}
		/* Fragments, with a ping between them. */
		SS_TRY(ss_ws_send_part(ws, true, "one ", 4, true, false));
		SS_TRY(ss_ws_ping(ws, "p", 1));
		SS_TRY(ss_ws_send_part(ws, true, "two ", 4, false, false));
		SS_TRY(ss_ws_send_part(ws, true, "three", 5, false, true));
		SS_CHECK(SS_TRY(ss_ws_receive(ws, &m)) == 1 && ss_str_is(m.data, "one two three"));
		SS_TRY(ss_ws_close(ws, 3000, "enough"));
		SS_CHECK(ss_await(ss_ws_send(ws, true, "x", 1)).err == -ESHUTDOWN);
		SS_CHECK(ss_ws_close_code(ws) == 3000);
	}
	for (int i = 0; i < 500 && !last_code; i++)
		SS_TRY(ss_sleep(SS_MSEC));
	SS_CHECK(last_code == 3000);
	{
		/* The server closes. */
		ss_auto_ws ws = SS_TRY_PTR(ss_ws_connect(cl, "/ws", NULL));

		SS_CHECK(!ss_ws_protocol(ws));
		SS_TRY(ss_ws_send(ws, true, "close", 5));
		SS_CHECK(SS_TRY(ss_ws_receive(ws, &m)) == 0);
		SS_CHECK(ss_ws_close_code(ws) == SS_WS_NORMAL);
	}
	SS_CHECK(ss_await(ss_ws_connect(cl, "/none", NULL)).err == -EPROTO);
	free(big);
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* A silent side is pinged; who answers stays, whoever does not is given up. */
SS_TEST(silence)
{
	ss_addr at;
	ss_http_server *s = start(&at);
	ss_http_client *cl = ss_http_client_new(&at, NULL);
	ss_auto_ws answers = SS_TRY_PTR(ss_ws_connect(cl, "/ws", NULL));
	ss_auto_ws deaf = SS_TRY_PTR(ss_ws_connect(cl, "/ws", NULL));
	ss_ws_message m;
	ss_future f = ss_ws_receive(answers, &m);

	last_result = 0;
	for (int i = 0; i < 400 && !last_result; i++)
		SS_TRY(ss_sleep(5 * SS_MSEC));
	SS_CHECK(last_result == -ETIMEDOUT && !ss_available(f));
	/* The other one has not been touched. */
	SS_TRY(ss_ws_send(answers, true, "still", 5));
	SS_CHECK(SS_TRY(f) == 1 && ss_str_is(m.data, "still"));
	SS_TRY(ss_ws_close(answers, 0, NULL));
	SS_TRY(ss_http_client_close(cl));
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* Raw bytes */

#define HEAD \
	"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
#define GOOD HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static size_t talk(const ss_addr *at, const void *data, size_t n, char *got, size_t room)
{
	ss_auto_conn c = ss_await(ss_connect(at)).p;
	size_t have = 0;
	ss_result r = ss_await(ss_output_write(ss_conn_output(c), data, n));

	if (!r.err)
		r = ss_await(ss_output_drain(ss_conn_output(c)));
	do {
		r = ss_await(ss_input_read(ss_conn_input(c), got + have, room - 1 - have));
		have += r.err ? 0 : (size_t)r.i;
	} while (!r.err && r.i);
	got[have] = '\0';
	return have;
}

SS_TEST(handshakes)
{
	static const char *const bad[] = {
	    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	    HEAD "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Connection: close\r\n\r\n",
	    HEAD "Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n",
	    HEAD "Sec-WebSocket-Version: 13\r\nConnection: close\r\n"
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n\r\n",
	};
	static const int status[] = {426, 426, 400, 400};
	static const char good[] = GOOD "\x88\x80\x01\x02\x03\x04";
	char got[2048], want[32];
	ss_addr at;
	ss_http_server *s = start(&at);
	size_t n;

	for (size_t i = 0; i < 4; i++) {
		talk(&at, bad[i], strlen(bad[i]), got, sizeof(got));
		snprintf(want, sizeof(want), "HTTP/1.1 %d ", status[i]);
		if (!SS_CHECK(strncmp(got, want, strlen(want)) == 0))
			printf("# handshake %zu: %s\n", i, got);
	}
	n = talk(&at, good, sizeof(good) - 1, got, sizeof(got));
	SS_CHECK(strncmp(got, "HTTP/1.1 101 Switching Protocols\r\n", 34) == 0);
	SS_CHECK(strstr(got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	SS_CHECK(n > 2 && memcmp(got + n - 2, "\x88\0", 2) == 0);
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

/* Frames after the handshake, and the close code they get back. */
#define F(bytes) (bytes), sizeof(bytes) - 1

SS_TEST(frames)
{
	static const struct {
		const char *bytes;
		size_t n;
		int code;
	} all[] = {
	    {F("\x81\x05hello"), SS_WS_PROTOCOL},			/* not masked */
	    {F("\xc1\x80\0\0\0\0"), SS_WS_PROTOCOL},			/* reserved bit */
	    {F("\x83\x80\0\0\0\0"), SS_WS_PROTOCOL},			/* unknown kind */
	    {F("\x8b\x80\0\0\0\0"), SS_WS_PROTOCOL},			/* unknown control */
	    {F("\x09\x80\0\0\0\0"), SS_WS_PROTOCOL},			/* fragment of a ping */
	    {F("\x89\xfe\0\x80\0\0\0\0"), SS_WS_PROTOCOL},		/* long ping */
	    {F("\x80\x80\0\0\0\0"), SS_WS_PROTOCOL},			/* continues nothing */
	    {F("\x01\x80\0\0\0\0\x01\x80\0\0\0\0"), SS_WS_PROTOCOL},	/* begins twice */
	    {F("\x82\xfe\0\x05\0\0\0\0hello"), SS_WS_PROTOCOL},		/* too long a length */
	    {F("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"), SS_WS_PROTOCOL},	/* negative */
	    {F("\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0"), SS_WS_TOO_LARGE}, /* 1 MiB */
	    {F("\x81\x82\0\0\0\0\xc3\x28"), SS_WS_DATA},		/* not UTF-8 */
	    {F("\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0("), SS_WS_DATA},	/* ... in two pieces */
	    {F("\x88\x81\0\0\0\0x"), SS_WS_PROTOCOL},			/* half a code */
	    {F("\x88\x82\0\0\0\0\x03\xed"), SS_WS_PROTOCOL},		/* 1005 */
	    {F("\x88\x83\0\0\0\0\x03\xe8\xff"), SS_WS_PROTOCOL},	/* bad reason */
	    {F("\x88\x82\0\0\0\0\x0b\xb8"), 3000},
	};
	char request[512], got[2048];
	ss_addr at;
	ss_http_server *s = start(&at);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t n = sizeof(GOOD) - 1, k;
		const char *close_frame;

		memcpy(request, GOOD, n);
		memcpy(request + n, all[i].bytes, all[i].n);
		k = talk(&at, request, n + all[i].n, got, sizeof(got));
		close_frame = memmem(got, k, "\r\n\r\n\x88", 5);
		if (!SS_CHECK(close_frame && close_frame + 8 <= got + k &&
			      ((unsigned char)close_frame[6] << 8 |
				  (unsigned char)close_frame[7]) == all[i].code))
			printf("# frame %zu\n", i);
	}
	SS_TRY(ss_http_server_stop(s));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct ss_test tests[] = {
	    {"both_sides", both_sides},
	    {"silence", silence, .once = true},
	    {"handshakes", handshakes},
	    {"frames", frames},
	    {NULL},
	};

	return ss_test_main(argc, argv, tests);
}
