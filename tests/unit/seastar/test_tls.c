/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS over loopback: both sides ours, all that may go wrong with certificates and records. */
#include "certs.h"

#include <seastar/seastar.h>
#include <seastar/test.h>
#include <seastar/tls.h>

#include <stdio.h>

static struct cert ca, other_ca, server, second, expired, client, stranger;
static const ss_listen_opts one = {.reuse_address = true, .one_shard = true};

static ss_tls_creds *creds(ss_tls_config cfg)
{
	ss_tls_creds *c = NULL;
	char error[200];

	if (ss_tls_creds_new(&cfg, &c, error, sizeof(error)))
		printf("# credentials: %s\n", error);
	return c;
}

static ss_tls_creds *server_creds(const struct cert *c)
{
	return creds(
	    (ss_tls_config){.server = true, .cert_pem = c->cert_pem, .key_pem = c->key_pem});
}

static ss_tls_creds *client_creds(void)
{
	return creds((ss_tls_config){.ca_pem = ca.cert_pem});
}

/* A server that echoes, and remembers how its last connection went. */
struct side {
	ss_tls_creds *creds;
	ss_server s;
	ss_addr addr;
	ss_tls_info info;
	int err, ended;
};

SS_FIBER(echo_fiber, ss_conn *c; struct side * side;)
{
	ss_auto_conn c = self->c;
	struct side *side = self->side;
	ss_buf b;
	ss_result r;

	for (;;) {
		r = ss_await(ss_input_take(ss_conn_input(c), &b));
		if (r.err || !r.i)
			break;
		r = ss_await(ss_output_write_buf(ss_conn_output(c), &b));
		if (!r.err)
			r = ss_await(ss_output_flush(ss_conn_output(c)));
		if (r.err)
			break;
	}
	if (!r.err)
		r = ss_await(ss_output_close(ss_conn_output(c)));
	if (ss_conn_is_tls(c))
		ss_tls_info_get(c, &side->info);
	side->info.error = r.err ? r.msg : NULL;
	side->info.server_name = NULL;
	side->err = r.err;
	side->ended++;
	return 0;
}

static ss_future echo(ss_conn *c, void *arg)
{
	return ss_async(echo_fiber, c, arg);
}

static int64_t start(struct side *side, ss_tls_creds *c)
{
	ss_addr any = ss_addr_loopback(0);
	ss_listener *l;

	memset(side, 0, sizeof(*side));
	side->creds = c;
	l = SS_TRY_PTR(ss_tls_listen(c, &any, &one));
	ss_listener_addr(l, &side->addr);
	ss_server_start(&side->s, l, echo, side);
	return 0;
}

static void stop(struct side *side)
{
	ss_await(ss_server_stop(&side->s));
	ss_tls_creds_free(side->creds);
}

static int talk(ss_conn *c, size_t total)
{
	char *sent = malloc(total), *got = malloc(total + 1);
	ss_result r, w;
	ss_future f;

	for (size_t i = 0; i < total; i++)
		sent[i] = (char)(i * 7 + (i >> 9));
	w = ss_await(ss_output_write(ss_conn_output(c), sent, total));
	f = ss_output_close(ss_conn_output(c));
	r = ss_await(ss_input_read_exactly(ss_conn_input(c), got, total + 1));
	if (!w.err)
		w = ss_await(f);
	else
		ss_ignore(f);
	if (!r.err && (r.i != (int64_t)total || memcmp(sent, got, total) != 0))
		r.err = -EIO;
	free(sent);
	free(got);
	return r.err ? r.err : w.err;
}

SS_TEST(tls_echo)
{
	static const size_t sizes[] = {1, 100, 16384, 16385, 100000, 3000000};
	struct side side;
	ss_tls_creds *cc = client_creds();
	ss_tls_connect_opts o = {.name = "localhost"};

	SS_REQUIRE(cc && start(&side, server_creds(&server)) == 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ss_auto_conn c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
		ss_tls_info info;
		ss_addr peer;

		ss_tls_info_get(c, &info);
		SS_CHECK(ss_conn_is_tls(c));
		SS_CHECK(strcmp(info.version, "TLSv1.3") == 0 && info.peer_verified);
		SS_CHECK(strcmp(info.peer_name, "server") == 0);
		ss_conn_peer(c, &peer);
		SS_CHECK(ss_addr_port(&peer) == ss_addr_port(&side.addr));
		SS_CHECK(ss_conn_set_nodelay(c, true) == 0);
		SS_CHECK(talk(c, sizes[i]) == 0);
	}
	stop(&side);
	SS_CHECK(side.ended == 6 && side.err == 0);
	ss_tls_creds_free(cc);
	return 0;
}

SS_TEST(tls_versions)
{
	struct side side;
	ss_tls_connect_opts o = {.name = "localhost"};
	ss_tls_config cfg = {.ca_pem = ca.cert_pem, .max_version = 12};
	ss_tls_creds *cc = creds(cfg), *bad;
	ss_tls_info info;
	ss_conn *c;
	ss_result r;

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
	ss_tls_info_get(c, &info);
	SS_CHECK(strcmp(info.version, "TLSv1.2") == 0);
	SS_CHECK(talk(c, 50000) == 0);
	ss_conn_close(c);
	stop(&side);
	/* No version in common. */
	SS_REQUIRE(start(&side, creds((ss_tls_config){.server = true,
				    .cert_pem = server.cert_pem,
				    .key_pem = server.key_pem,
				    .min_version = 13})) == 0);
	r = ss_await(ss_tls_connect(cc, &side.addr, &o));
	SS_CHECK(r.err == -EPROTO && r.msg);
	stop(&side);
	ss_tls_creds_free(cc);
	bad = NULL;
	SS_CHECK(ss_tls_creds_new(&(ss_tls_config){.insecure = true, .min_version = 11}, &bad, NULL,
		     0) == -EINVAL);
	return 0;
}

/* Connect, and say what came of it. */
static ss_result attempt(struct side *side, ss_tls_creds *cc, const char *name)
{
	ss_tls_connect_opts o = {.name = name};
	ss_result r = ss_await(ss_tls_connect(cc, &side->addr, &o));

	if (!r.err) {
		ss_conn *c = r.p;
		int err = talk(c, 1000);
		ss_tls_info info;

		ss_tls_info_get(c, &info);
		r = (ss_result){.msg = info.error, .err = err};
		ss_conn_close(c);
	}
	return r;
}

static bool mentions(ss_result r, const char *what)
{
	return r.msg && strstr(r.msg, what);
}

SS_TEST(tls_names)
{
	ss_tls_creds *cc = client_creds();
	struct side side;
	ss_result r;

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	SS_CHECK(attempt(&side, cc, "localhost").err == 0);
	SS_CHECK(attempt(&side, cc, "www.example.org").err == 0); /* by *.example.org */
	SS_CHECK(attempt(&side, cc, "127.0.0.1").err == 0);
	r = attempt(&side, cc, "elsewhere.net");
	SS_CHECK(r.err == -EKEYREJECTED && mentions(r, "hostname mismatch"));
	r = attempt(&side, cc, "127.0.0.2");
	SS_CHECK(r.err == -EKEYREJECTED && mentions(r, "IP address mismatch"));
	r = attempt(&side, cc, "a.b.example.org");
	SS_CHECK(r.err == -EKEYREJECTED);
	r = attempt(&side, cc, NULL);
	SS_CHECK(r.err == -EINVAL && mentions(r, "name"));
	ss_tls_creds_free(cc);
	cc = creds((ss_tls_config){.insecure = true});
	SS_CHECK(attempt(&side, cc, NULL).err == 0);
	SS_CHECK(attempt(&side, cc, "elsewhere.net").err == 0);
	stop(&side);
	ss_tls_creds_free(cc);
	return 0;
}

SS_TEST(tls_bad_certificates)
{
	ss_tls_creds *cc = client_creds();
	struct side side;
	ss_result r;

	SS_REQUIRE(start(&side, server_creds(&expired)) == 0);
	r = attempt(&side, cc, "localhost");
	SS_CHECK(r.err == -EKEYREJECTED && mentions(r, "expired"));
	stop(&side);
	SS_CHECK(side.err != 0 || !side.ended);
	SS_REQUIRE(start(&side, server_creds(&stranger)) == 0);
	r = attempt(&side, cc, "localhost");
	SS_CHECK(r.err == -EKEYREJECTED && mentions(r, "local issuer"));
	stop(&side);
	ss_tls_creds_free(cc);
	return 0;
}

static ss_tls_creds *mutual(enum ss_tls_client_auth auth)
{
	return creds((ss_tls_config){.server = true,
	    .cert_pem = server.cert_pem,
	    .key_pem = server.key_pem,
	    .ca_pem = ca.cert_pem,
	    .client_auth = auth});
}

static ss_tls_creds *with_cert(const struct cert *c, unsigned version)
{
	return creds((ss_tls_config){.ca_pem = ca.cert_pem,
	    .cert_pem = c->cert_pem,
	    .key_pem = c->key_pem,
	    .max_version = version});
}

SS_TEST(tls_mutual)
{
	for (unsigned version = 12; version <= 13; version++) {
		ss_tls_creds *good = with_cert(&client, version), *none = client_creds();
		ss_tls_creds *bad = with_cert(&stranger, version);
		struct side side;
		ss_result r;

		SS_REQUIRE(start(&side, mutual(SS_TLS_CLIENT_REQUIRE)) == 0);
		SS_CHECK(attempt(&side, good, "localhost").err == 0);
		while (!side.ended)
			ss_await(ss_sleep(SS_MSEC));
		SS_CHECK(strcmp(side.info.peer_name, "alice") == 0 && side.info.peer_verified);
		SS_CHECK(strcmp(side.info.peer_subject, "CN=alice") == 0);
		r = attempt(&side, none, "localhost");
		SS_CHECK(r.err);
		while (side.ended < 2)
			ss_await(ss_sleep(SS_MSEC));
		SS_CHECK(side.err == -EKEYREJECTED);
		r = attempt(&side, bad, "localhost");
		SS_CHECK(r.err);
		while (side.ended < 3)
			ss_await(ss_sleep(SS_MSEC));
		SS_CHECK(side.err == -EKEYREJECTED);
		stop(&side);
		/* Asked for, not required. */
		SS_REQUIRE(start(&side, mutual(SS_TLS_CLIENT_REQUEST)) == 0);
		SS_CHECK(attempt(&side, none, "localhost").err == 0);
		stop(&side);
		SS_CHECK(side.err == 0 && !side.info.peer_verified && !side.info.peer_name[0]);
		ss_tls_creds_free(good);
		ss_tls_creds_free(none);
		ss_tls_creds_free(bad);
	}
	return 0;
}

SS_TEST(tls_sni_and_alpn)
{
	ss_tls_creds *sc = creds((ss_tls_config){.server = true,
	    .cert_pem = server.cert_pem,
	    .key_pem = server.key_pem,
	    .alpn = "h2,http/1.1"});
	ss_tls_creds *sc2 = server_creds(&second);
	ss_tls_creds *cc = creds((ss_tls_config){.ca_pem = ca.cert_pem, .alpn = "http/1.1"});
	ss_tls_creds *odd = creds((ss_tls_config){.ca_pem = ca.cert_pem, .alpn = "gopher"});
	ss_tls_connect_opts o = {.name = "second.test"};
	ss_tls_info info;
	struct side side;
	ss_conn *c;
	ss_result r;

	SS_CHECK(ss_tls_creds_add_name(sc, "second.test", sc2) == 0);
	SS_CHECK(ss_tls_creds_add_name(sc, "*.second.test", sc2) == 0);
	SS_CHECK(ss_tls_creds_add_name(sc, "a*b", sc2) == -EINVAL);
	SS_CHECK(ss_tls_creds_add_name(sc, "", sc2) == -EINVAL);
	ss_tls_creds_free(sc2);
	SS_REQUIRE(start(&side, sc) == 0);
	c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
	ss_tls_info_get(c, &info);
	SS_CHECK(strcmp(info.peer_name, "second") == 0 && strcmp(info.alpn, "http/1.1") == 0);
	ss_conn_close(c);
	o.name = "localhost";
	c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
	ss_tls_info_get(c, &info);
	SS_CHECK(strcmp(info.peer_name, "server") == 0);
	ss_conn_close(c);
	r = attempt(&side, odd, "localhost");
	SS_CHECK(r.err == -EPROTO && mentions(r, "alert"));
	stop(&side);
	ss_tls_creds_free(cc);
	ss_tls_creds_free(odd);
	return 0;
}

SS_TEST(tls_resumption)
{
	for (unsigned version = 12; version <= 13; version++) {
		ss_tls_creds *cc = with_cert(&client, version);
		ss_tls_connect_opts o = {.name = "localhost"};
		ss_tls_session *session;
		ss_tls_info info;
		struct side side;
		char b[4];
		ss_conn *c;

		SS_REQUIRE(start(&side, mutual(SS_TLS_CLIENT_REQUIRE)) == 0);
		c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
		SS_TRY(ss_output_write(ss_conn_output(c), "ping", 4));
		SS_TRY(ss_output_flush(ss_conn_output(c)));
		SS_CHECK(SS_TRY(ss_input_read_exactly(ss_conn_input(c), b, 4)) == 4);
		session = ss_tls_session_get(c);
		SS_CHECK(session != NULL);
		SS_TRY(ss_conn_finish(c));
		o.session = session;
		c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
		ss_tls_info_get(c, &info);
		SS_CHECK(info.resumed && info.peer_verified);
		SS_CHECK(talk(c, 1000) == 0);
		ss_conn_close(c);
		stop(&side);
		SS_CHECK(side.info.resumed && strcmp(side.info.peer_name, "alice") == 0);
		/* A server with other keys just makes a full handshake. */
		SS_REQUIRE(start(&side, mutual(SS_TLS_CLIENT_REQUIRE)) == 0);
		c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
		ss_tls_info_get(c, &info);
		SS_CHECK(!info.resumed);
		ss_conn_close(c);
		stop(&side);
		ss_tls_session_free(session);
		ss_tls_creds_free(cc);
	}
	return 0;
}

/* Bytes that are no TLS, from a plain client; what came of the server's connection. */
static int hostile(struct side *side, const void *data, size_t n, bool wait_reply)
{
	int before = side->ended;
	ss_auto_conn c = ss_await(ss_connect(&side->addr)).p;
	char got[256];

	ss_await(ss_output_write(ss_conn_output(c), data, n));
	if (wait_reply) {
		ss_await(ss_output_flush(ss_conn_output(c)));
		while (ss_await(ss_input_read(ss_conn_input(c), got, sizeof(got))).i > 0)
			;
	} else {
		ss_await(ss_output_close(ss_conn_output(c)));
	}
	while (side->ended == before)
		ss_await(ss_sleep(SS_MSEC));
	return side->err;
}

SS_TEST(tls_garbage)
{
	static const char http[] = "GET / HTTP/1.0\r\n\r\n";
	static const unsigned char hello[] = {22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 1, 2, 3, 4};
	static const unsigned char huge[] = {22, 3, 1, 0xff, 0xff, 1, 0, 0, 0};
	static const unsigned char alert[] = {21, 3, 3, 0, 2, 2, 40};
	unsigned char noise[512];
	struct side side;

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	SS_CHECK(hostile(&side, http, sizeof(http) - 1, true) == -EPROTO);
	SS_CHECK(hostile(&side, huge, sizeof(huge), true) == -EPROTO);
	SS_CHECK(hostile(&side, alert, sizeof(alert), true) == -EPROTO);
	SS_CHECK(hostile(&side, hello, sizeof(hello), false) == -ECONNRESET);
	SS_CHECK(hostile(&side, hello, 3, false) == -ECONNRESET);
	SS_CHECK(hostile(&side, "", 0, false) == -ECONNRESET);
	srand(1);
	for (int k = 0; k < 50; k++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)rand();
		SS_CHECK(hostile(&side, noise, sizeof(noise), false) < 0);
	}
	stop(&side);
	return 0;
}

/* Everything between two of our sides, changed on the way: the records are protected. */
struct relay {
	ss_conn *from, *to;
	int64_t flip, cut; /* byte to change, bytes to let through; -1: none */
};

SS_FIBER(relay_one, struct relay r;)
{
	ss_buf b;
	int64_t at = 0;

	while (SS_TRY(ss_input_take(ss_conn_input(self->r.from), &b)) > 0) {
		int64_t n = (int64_t)b.len;

		if (self->r.cut >= 0 && at + n > self->r.cut)
			b.len = (size_t)(self->r.cut - at);
		if (self->r.flip >= at && self->r.flip < at + n)
			b.data[self->r.flip - at] ^= 0x10;
		at += n;
		SS_TRY(ss_output_write_buf(ss_conn_output(self->r.to), &b));
		SS_TRY(ss_output_flush(ss_conn_output(self->r.to)));
		if (self->r.cut >= 0 && at >= self->r.cut)
			break;
	}
	return SS_TRY(ss_output_close(ss_conn_output(self->r.to)));
}

/* A handler that stands between: flips or cuts what the client sends. */
struct between {
	ss_addr to;
	int64_t flip, cut;
};

SS_FIBER(between_fiber, ss_conn *c; struct between * b;)
{
	ss_auto_conn c = self->c;
	ss_auto_conn up = SS_TRY_PTR(ss_connect(&self->b->to));
	struct relay out = {c, up, self->b->flip, self->b->cut}, back = {up, c, -1, -1};
	ss_future f = ss_async(relay_one, out);
	ss_result r;

	ss_await(ss_async(relay_one, back));
	ss_conn_abort(c);
	r = ss_await(f);
	return r.err ? 0 : 0;
}

static ss_future between(ss_conn *c, void *arg)
{
	return ss_async(between_fiber, c, arg);
}

SS_TEST(tls_tampered)
{
	ss_tls_creds *cc = client_creds();
	struct between b = {.flip = -1, .cut = -1};
	struct side side, via = {.creds = NULL};
	ss_addr any = ss_addr_loopback(0);
	ss_tls_connect_opts o = {.name = "localhost"};
	ss_listener *l;
	ss_conn *c;

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	l = SS_TRY_PTR(ss_listen(&any, &one));
	ss_listener_addr(l, &via.addr);
	b.to = side.addr;
	ss_server_start(&via.s, l, between, &b);
	SS_CHECK(attempt(&via, cc, "localhost").err == 0);
	SS_CHECK(side.err == 0);
	stop(&side);
	/* Where a length grew, the server waits for the rest. */
	SS_REQUIRE(start(&side, creds((ss_tls_config){.server = true,
				    .cert_pem = server.cert_pem,
				    .key_pem = server.key_pem,
				    .handshake_timeout_ns = 300 * SS_MSEC})) == 0);
	b.to = side.addr;
	/* A flipped bit, in the handshake and in the data. */
	for (b.flip = 0; b.flip < 2000; b.flip += b.flip < 20 ? 3 : 149) {
		int before = side.ended;
		ss_result r = ss_await(ss_tls_connect(cc, &via.addr, &o));

		if (!r.err) {
			SS_CHECK(talk(r.p, 4000) < 0);
			ss_conn_close(r.p);
		}
		while (side.ended == before)
			ss_await(ss_sleep(SS_MSEC));
		SS_CHECK(side.err < 0);
	}
	/* The end without close_notify is not taken for the end of the data. */
	b.flip = -1;
	for (b.cut = 100; b.cut < 3000; b.cut += 500) {
		int before = side.ended;
		ss_result r = ss_await(ss_tls_connect(cc, &via.addr, &o));

		if (!r.err) {
			c = r.p;
			SS_CHECK(talk(c, 4000) < 0);
			ss_conn_close(c);
		}
		while (side.ended == before)
			ss_await(ss_sleep(SS_MSEC));
		SS_CHECK(side.err < 0);
	}
	ss_await(ss_server_stop(&via.s));
	stop(&side);
	ss_tls_creds_free(cc);
	return 0;
}

SS_TEST(tls_handshake_limit)
{
	ss_tls_creds *sc = creds((ss_tls_config){.server = true,
	    .cert_pem = server.cert_pem,
	    .key_pem = server.key_pem,
	    .handshake_timeout_ns = 30 * SS_MSEC});
	ss_tls_creds *cc =
	    creds((ss_tls_config){.ca_pem = ca.cert_pem, .handshake_timeout_ns = 30 * SS_MSEC});
	ss_addr any = ss_addr_loopback(0), at;
	ss_tls_connect_opts o = {.name = "localhost"};
	struct side side;
	ss_listener *silent;
	ss_conn *c;
	ss_result r;

	SS_REQUIRE(start(&side, sc) == 0);
	c = SS_TRY_PTR(ss_connect(&side.addr));
	while (!side.ended)
		ss_await(ss_sleep(SS_MSEC));
	SS_CHECK(side.err == -ETIMEDOUT);
	ss_conn_close(c);
	stop(&side);
	/* The client has the same limit. */
	silent = SS_TRY_PTR(ss_listen(&any, &one));
	ss_listener_addr(silent, &at);
	r = ss_await(ss_tls_connect(cc, &at, &o));
	SS_CHECK(r.err == -ETIMEDOUT && mentions(r, "handshake"));
	ss_listener_close(silent);
	ss_tls_creds_free(cc);
	return 0;
}

/* Closing at any time, with operations in progress. */
SS_TEST(tls_close_early)
{
	ss_tls_creds *cc = client_creds();
	ss_tls_connect_opts o = {.name = "localhost"};
	struct side side;
	char b[10];

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	for (int turns = 0; turns < 60; turns++) {
		ss_conn *lower = SS_TRY_PTR(ss_connect(&side.addr));
		ss_conn *c = SS_TRY_PTR(ss_tls_client(cc, lower, &o));
		ss_future f = ss_input_read(ss_conn_input(c), b, sizeof(b));
		ss_future w = ss_tls_handshake(c);

		for (int i = 0; i < turns; i++)
			ss_await(ss_yield());
		if (turns % 3 == 0) {
			ss_ignore(ss_conn_finish(c));
		} else if (turns % 3 == 1) {
			ss_conn_close(c);
		} else {
			ss_conn_abort(c);
			ss_conn_close(c);
		}
		ss_ignore(w);
		SS_CHECK(ss_await(f).err != -EINVAL);
	}
	stop(&side);
	ss_tls_creds_free(cc);
	return 0;
}

/* A client that writes and never reads is stopped by back pressure. */
SS_TEST(tls_backpressure)
{
	ss_tls_creds *cc = client_creds();
	ss_tls_connect_opts o = {.name = "localhost"};
	struct side side;
	char *block = calloc(1, 65536);
	size_t sent = 0;
	ss_conn *c;
	ss_result r = {.err = 0};

	SS_REQUIRE(start(&side, server_creds(&server)) == 0);
	c = SS_TRY_PTR(ss_tls_connect(cc, &side.addr, &o));
	while (sent < (200u << 20)) {
		r = ss_await(ss_with_timeout(
		    ss_output_write(ss_conn_output(c), block, 65536), 500 * SS_MSEC));
		if (r.err)
			break;
		sent += 65536;
	}
	SS_CHECK(r.err == -ETIMEDOUT && sent < (100u << 20));
	ss_conn_close(c);
	stop(&side);
	SS_CHECK(side.err < 0);
	free(block);
	ss_tls_creds_free(cc);
	return 0;
}

static int refused(ss_tls_config cfg, const char *what)
{
	ss_tls_creds *c = NULL;
	char error[300] = "";
	int err = ss_tls_creds_new(&cfg, &c, error, sizeof(error));

	if (!strstr(error, what))
		printf("# message: %s\n", error);
	SS_CHECK(strstr(error, what) != NULL);
	SS_CHECK(c == NULL);
	return err;
}

SS_TEST(tls_bad_configuration)
{
	const char *key = server.key_pem, *cert = server.cert_pem;

	SS_CHECK(refused((ss_tls_config){.server = true}, "certificate is needed") == -EINVAL);
	SS_CHECK(
	    refused((ss_tls_config){.server = true, .cert_pem = cert}, "private key") == -EINVAL);
	SS_CHECK(refused((ss_tls_config){.server = true, .cert_pem = "hello", .key_pem = key},
		     "certificate: no certificate in PEM") == -EINVAL);
	SS_CHECK(refused((ss_tls_config){.server = true, .cert_pem = cert, .key_pem = cert},
		     "no private key") == -EINVAL);
	SS_CHECK(
	    refused((ss_tls_config){.server = true, .cert_pem = cert, .key_pem = client.key_pem},
		"private key: ") == -EINVAL);
	SS_CHECK(refused(
		     (ss_tls_config){
			 .server = true, .cert_file = "/nonexistent/cert.pem", .key_pem = key},
		     "/nonexistent/cert.pem: No such file") == -ENOENT);
	SS_CHECK(refused((ss_tls_config){0}, "trusted certificates: needed") == -EINVAL);
	SS_CHECK(refused((ss_tls_config){.ca_file = "/dev/null"}, "/dev/null: no cert") == -EINVAL);
	SS_CHECK(refused((ss_tls_config){.insecure = true, .ciphers = "NOSUCH"}, "ciphers: ") ==
		 -EINVAL);
	SS_CHECK(refused((ss_tls_config){.insecure = true, .alpn = "a,,b"}, "alpn: ") == -EINVAL);
	SS_CHECK(refused((ss_tls_config){.insecure = true, .crl_file = "/dev/null"},
		     "no revocation list") == -EINVAL);
	return 0;
}

static const struct ss_test tests[] = {
    {"tls_echo", tls_echo},
    {"tls_versions", tls_versions},
    {"tls_names", tls_names},
    {"tls_bad_certificates", tls_bad_certificates},
    {"tls_mutual", tls_mutual},
    {"tls_sni_and_alpn", tls_sni_and_alpn},
    {"tls_resumption", tls_resumption},
    {"tls_garbage", tls_garbage},
    {"tls_tampered", tls_tampered, .once = true},
    {"tls_handshake_limit", tls_handshake_limit},
    {"tls_close_early", tls_close_early},
    {"tls_backpressure", tls_backpressure, .once = true},
    {"tls_bad_configuration", tls_bad_configuration, .once = true},
    {NULL},
};

int main(int argc, char **argv)
{
	static const char names[] = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1";
	struct cert *all[] = {&ca, &other_ca, &server, &second, &expired, &client, &stranger};
	int status;

	ca = cert_make("Test CA", NULL, NULL, 30);
	other_ca = cert_make("Other CA", NULL, NULL, 30);
	server = cert_make("server", names, &ca, 30);
	second = cert_make("second", "DNS:second.test", &ca, 30);
	expired = cert_make("expired", names, &ca, -1);
	client = cert_make("alice", NULL, &ca, 30);
	stranger = cert_make("stranger", names, &other_ca, 30);
	status = ss_test_main(argc, argv, tests);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cert_free(all[i]);
	return status;
}
