/* SPDX-License-Identifier: BSD-3-Clause */
/* RPC: both sides over loopback, what goes wrong in between, and hostile peers. */
#include "certs.h"

#include "../../../seastar/src/rpc_impl.h"

#include <seastar/fiber.h>
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdio.h>

#define PAIR(F) F(i64, a) F(i64, b) F(text, label)
#define TOTAL(F) F(i64, sum) F(f64, half) F(text, label) F(u8, last)
SS_RPC_MESSAGE(pair, PAIR)
SS_RPC_MESSAGE(total, TOTAL)
SS_RPC_VERB(add, 1, pair, total)

enum { ECHO = 2, FAIL, SLOW, COUNT, STREAM_ECHO, STREAM_SINK, GROUP, FOREVER, BIG };

static const ss_listen_opts one = {.reuse_address = true, .one_shard = true};

struct world {
	ss_rpc *rpc;
	ss_rpc_server *server;
	ss_addr addr;
	ss_rpc_client *client;
	int counted, cancelled, running;
	ss_sched_group seen;
};

/* Handlers */

static ss_future on_add(ss_rpc_call *call, void *arg)
{
	struct pair q;
	struct total t = {0};
	int err = add_decode_request(call, &q);

	(void)arg;
	if (err)
		return ss_fail_msg(err, "not a pair");
	t.sum = q.a + q.b;
	t.half = (double)t.sum / 2;
	t.label = q.label;
	t.last = 7;
	err = add_set_reply(call, &t);
	pair_release(&q);
	return err ? ss_fail(err) : ss_ok(0);
}

static ss_future on_echo(ss_rpc_call *call, void *arg)
{
	(void)arg;
	call->reply = ss_buf_move(&call->request);
	return ss_ok(0);
}

static ss_future on_fail(ss_rpc_call *call, void *arg)
{
	(void)call;
	(void)arg;
	return ss_fail_msg(-EDOM, "as asked for");
}

SS_FIBER(slow_fiber, ss_rpc_call *call; struct world * w;)
{
	ss_result r;

	self->w->running++;
	r = ss_await(ss_sleep_abortable(20 * SS_MSEC, &self->call->abort));
	self->w->running--;
	if (r.err)
		self->w->cancelled++;
	self->call->reply = ss_buf_static("slow", 4);
	return r.err;
}

static ss_future on_slow(ss_rpc_call *call, void *arg)
{
	return ss_async(slow_fiber, call, arg);
}

SS_FIBER(forever_fiber, ss_rpc_call *call; struct world * w;)
{
	ss_result r;

	self->w->running++;
	r = ss_await(ss_sleep_abortable(1000 * SS_SEC, &self->call->abort));
	self->w->running--;
	self->w->cancelled++;
	return r.err;
}

static ss_future on_forever(ss_rpc_call *call, void *arg)
{
	return ss_async(forever_fiber, call, arg);
}

static ss_future on_count(ss_rpc_call *call, void *arg)
{
	struct world *w = arg;

	w->counted += call->one_way ? 1 : 1000000;
	return ss_ok(0);
}

SS_FIBER(stream_echo, ss_rpc_call *call;)
{
	ss_rpc_stream *s = self->call->stream;
	int64_t n = 0;
	ss_buf b;

	if (!s)
		return -EINVAL;
	while (SS_TRY(ss_rpc_stream_read(s, &b)) == 1) {
		SS_TRY(ss_rpc_stream_write(s, &b));
		n++;
	}
	SS_TRY(ss_rpc_stream_end(s));
	if (ss_buf_alloc(&self->call->reply, 8))
		return -ENOMEM;
	memcpy(self->call->reply.data, &n, 8);
	return 0;
}

static ss_future on_stream_echo(ss_rpc_call *call, void *arg)
{
	(void)arg;
	return ss_async(stream_echo, call);
}

/* Reads nothing until it is told to end: for back pressure. */
SS_FIBER(stream_sink, ss_rpc_call *call; struct world * w;)
{
	ss_result r = ss_await(ss_sleep_abortable(1000 * SS_SEC, &self->call->abort));

	self->w->cancelled++;
	return r.err;
}

static ss_future on_stream_sink(ss_rpc_call *call, void *arg)
{
	return ss_async(stream_sink, call, arg);
}

static ss_future on_group(ss_rpc_call *call, void *arg)
{
	(void)call;
	((struct world *)arg)->seen = ss_sched_group_current();
	return ss_ok(0);
}

static ss_future on_big(ss_rpc_call *call, void *arg)
{
	(void)arg;
	return ss_buf_alloc(&call->reply, 2 << 20) ? ss_fail(-ENOMEM) : ss_ok(0);
}

/* Both sides */

static int64_t serve(struct world *w, const ss_rpc_server_opts *so, ss_tls_creds *tls)
{
	ss_addr any = ss_addr_loopback(0);
	ss_listener *l;

	memset(w, 0, sizeof(*w));
	w->rpc = ss_rpc_new();
	ss_rpc_register(w->rpc, add_verb, "add", on_add, w);
	ss_rpc_register(w->rpc, ECHO, "echo", on_echo, w);
	ss_rpc_register(w->rpc, FAIL, "fail", on_fail, w);
	ss_rpc_register(w->rpc, SLOW, "slow", on_slow, w);
	ss_rpc_register(w->rpc, COUNT, "count", on_count, w);
	ss_rpc_register(w->rpc, STREAM_ECHO, "stream_echo", on_stream_echo, w);
	ss_rpc_register(w->rpc, STREAM_SINK, "stream_sink", on_stream_sink, w);
	ss_rpc_register(w->rpc, GROUP, "group", on_group, w);
	ss_rpc_register(w->rpc, FOREVER, "forever", on_forever, w);
	ss_rpc_register(w->rpc, BIG, "big", on_big, w);
	l = SS_TRY_PTR(tls ? ss_tls_listen(tls, &any, &one) : ss_listen(&any, &one));
	ss_listener_addr(l, &w->addr);
	w->server = ss_rpc_server_start(w->rpc, l, so);
	return w->server ? 0 : -ENOMEM;
}

static int64_t start(struct world *w, const ss_rpc_server_opts *so, const ss_rpc_client_opts *co)
{
	int64_t err = serve(w, so, NULL);

	if (err)
		return err;
	w->client = ss_rpc_client_new(&w->addr, co);
	return w->client ? 0 : -ENOMEM;
}

static void stop(struct world *w)
{
	if (w->client)
		ss_await(ss_rpc_client_stop(w->client));
	if (w->server)
		ss_await(ss_rpc_server_stop(w->server));
	ss_rpc_free(w->rpc);
	SS_CHECK(w->running == 0);
}

/* Echo n bytes that compress more or less well. */
static int64_t echo_opts(struct world *w, size_t n, bool random, const ss_rpc_opts *o)
{
	ss_buf q, a, keep;
	ss_result r;
	uint32_t x = 1;

	if (ss_buf_alloc(&q, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		q.data[i] = random ? (char)(x >> 16) : (char)(i / 100);
	}
	keep = ss_buf_share(&q, 0, n);
	r = ss_await(ss_rpc_request(w->client, ECHO, &q, &a, o));
	if (!r.err && (a.len != n || r.i != (int64_t)n || (n && memcmp(a.data, keep.data, n))))
		r.err = -EIO;
	ss_buf_release(&a);
	ss_buf_release(&keep);
	return r.err;
}

static int64_t echo(struct world *w, size_t n, bool random)
{
	return echo_opts(w, n, random, NULL);
}

SS_TEST(rpc_calls)
{
	struct world w;
	struct total t;
	struct pair p = {.a = 20, .b = -62, .label = ss_rpc_text_of("forty-two")};
	ss_rpc_client_stats cs;
	ss_rpc_server_stats ss;
	uint64_t calls, failed;
	ss_buf b, a;
	ss_result r;

	SS_REQUIRE(start(&w, NULL, NULL) == 0);
	SS_TRY(add_request(w.client, &p, &t, NULL));
	SS_CHECK(t.sum == -42 && t.half == -21 && t.last == 7);
	SS_CHECK(t.label.n == 9 && memcmp(t.label.p, "forty-two", 9) == 0);
	total_release(&t);
	for (size_t n = 0; n < 3000000; n = n * 3 + 1)
		SS_CHECK(echo(&w, n, true) == 0);
	r = ss_await(ss_rpc_request(w.client, FAIL, NULL, &a, NULL));
	SS_CHECK(r.err == -EDOM);
	r = ss_await(ss_rpc_request(w.client, 99, NULL, &a, NULL));
	SS_CHECK(r.err == -ENOSYS);
	/* Not what the handler wants. */
	b = ss_buf_static("abc", 3);
	r = ss_await(ss_rpc_request(w.client, add_verb, &b, &a, NULL));
	SS_CHECK(r.err == -EBADMSG);
	b = ss_buf_static("abc", 3);
	r = ss_await(ss_rpc_send(w.client, COUNT, &b, NULL));
	SS_CHECK(r.err == 0);
	SS_CHECK(echo(&w, 1, true) == 0); /* behind it */
	SS_CHECK(w.counted == 1);
	ss_rpc_client_stats_get(w.client, &cs);
	SS_CHECK(cs.connects == 1 && cs.errors == 3 && cs.pending == 0 && cs.connection == 1);
	SS_CHECK(cs.sent == cs.replied + 1 && cs.bytes_plain == cs.bytes_wire);
	ss_rpc_server_stats_get(w.server, &ss);
	SS_CHECK(ss.calls == cs.sent && ss.failed == 3 && ss.connections == 1);
	SS_CHECK(ss.in_progress == 0);
	SS_CHECK(ss_rpc_verb_stats(w.rpc, FAIL, &calls, &failed) == 0);
	SS_CHECK(calls == 1 && failed == 1);
	SS_CHECK(ss_rpc_register(w.rpc, ECHO, "again", on_echo, NULL) == -EEXIST);
	SS_CHECK(ss_rpc_unregister(w.rpc, ECHO) == 0 && ss_rpc_unregister(w.rpc, ECHO) == -ENOENT);
	SS_CHECK(echo(&w, 1, true) == -ENOSYS);
	stop(&w);
	return 0;
}

SS_FIBER(echo_fiber, struct world *w; size_t n;)
{
	return echo(self->w, self->n, self->n & 1);
}

SS_TEST(rpc_concurrent)
{
	struct world w;
	ss_future fs[200];

	SS_REQUIRE(start(&w, NULL, &(ss_rpc_client_opts){.compression = "lz4"}) == 0);
	for (size_t i = 0; i < 200; i++)
		fs[i] = ss_async(echo_fiber, &w, i * 97);
	SS_CHECK(ss_await(ss_when_all(fs, 200, NULL)).err == 0);
	stop(&w);
	return 0;
}

SS_TEST(rpc_compression)
{
	static const char *const offers[] = {"lz4", "zstd", "zstd,lz4", "snappy,lz4", "snappy"};
	static const char *const accepts[] = {"zstd,lz4", "lz4", NULL};

	for (size_t i = 0; i < 5; i++) {
		for (size_t k = 0; k < 3; k++) {
			ss_rpc_server_opts so = {.compression = accepts[k]};
			ss_rpc_client_opts co = {.compression = offers[i]};
			bool expect = accepts[k] && strcmp(offers[i], "snappy") &&
				      !(k == 1 && strcmp(offers[i], "zstd") == 0);
			ss_rpc_client_stats cs;
			struct world w;

			SS_REQUIRE(start(&w, &so, &co) == 0);
			SS_CHECK(echo(&w, 100000, false) == 0);
			SS_CHECK(echo(&w, 100000, true) == 0);
			SS_CHECK(echo(&w, 10, false) == 0);
			ss_rpc_client_stats_get(w.client, &cs);
			SS_CHECK((cs.bytes_wire < cs.bytes_plain * 2 / 3) == expect);
			stop(&w);
		}
	}
	return 0;
}

SS_TEST(rpc_time_and_cancel)
{
	struct world w;
	ss_abort as = {0};
	ss_rpc_opts fast = {.timeout_ns = 5 * SS_MSEC}, ab = {.abort = &as};
	ss_rpc_client_stats cs;
	uint64_t late = 0;
	ss_future f;
	ss_result r;
	ss_buf a;

	SS_REQUIRE(start(&w, NULL, NULL) == 0);
	/* The shorter limits may be over before the call was sent. */
	for (; !w.cancelled; fast.timeout_ns *= 2) {
		r = ss_await(ss_rpc_request(w.client, FOREVER, NULL, &a, &fast));
		SS_CHECK(r.err == -ETIMEDOUT);
		SS_CHECK(echo(&w, 1, true) == 0);
		while (w.running)
			ss_await(ss_sleep(SS_MSEC));
		late++;
	}
	SS_CHECK(w.cancelled == 1);
	f = ss_rpc_request(w.client, FOREVER, NULL, &a, &ab);
	while (!w.running)
		ss_await(ss_sleep(SS_MSEC));
	ss_abort_request(&as, 0);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	while (w.running)
		ss_await(ss_sleep(SS_MSEC));
	SS_CHECK(w.cancelled == 2);
	/* Aborted before it began. */
	r = ss_await(ss_rpc_request(w.client, ECHO, NULL, &a, &ab));
	SS_CHECK(r.err == -ECANCELED);
	/* In time. */
	fast.timeout_ns = 100 * SS_SEC;
	SS_CHECK(ss_await(ss_rpc_request(w.client, SLOW, NULL, &a, &fast)).i == 4);
	SS_CHECK(a.len == 4 && memcmp(a.data, "slow", 4) == 0);
	ss_buf_release(&a);
	ss_rpc_client_stats_get(w.client, &cs);
	SS_CHECK(cs.timeouts == late && cs.cancelled == 1 && cs.pending == 0);
	/* Stopping the client ends what it called; the server sees the end. */
	f = ss_rpc_request(w.client, FOREVER, NULL, &a, NULL);
	while (!w.running)
		ss_await(ss_sleep(SS_MSEC));
	ss_await(ss_rpc_client_stop(w.client));
	SS_CHECK(ss_await(f).err == -ECANCELED);
	w.client = NULL;
	while (w.running)
		ss_await(ss_sleep(SS_MSEC));
	SS_CHECK(w.cancelled == 3);
	stop(&w);
	return 0;
}

SS_FIBER(writer, ss_rpc_stream *s; int64_t n;)
{
	for (int64_t i = 0; i < self->n; i++) {
		size_t len = (size_t)(i * 131 % 5000);
		ss_buf b;

		if (ss_buf_alloc(&b, len))
			return -ENOMEM;
		memset(b.data, (int)i, len);
		SS_TRY(ss_rpc_stream_write(self->s, &b));
	}
	return SS_TRY(ss_rpc_stream_end(self->s));
}

SS_TEST(rpc_streams)
{
	for (int k = 0; k < 3; k++) {
		ss_rpc_server_opts so = {.window = k == 1 ? 16384 : 0, .compression = "lz4"};
		ss_rpc_client_opts co = {
		    .window = k == 2 ? 16384 : 0, .compression = k ? NULL : "lz4"};
		ss_rpc_stream *s;
		struct world w;
		int64_t n = 0, total;
		ss_future f;
		ss_buf b, big;

		SS_REQUIRE(start(&w, &so, &co) == 0);
		s = SS_TRY_PTR(ss_rpc_open(w.client, STREAM_ECHO, NULL, NULL));
		f = ss_async(writer, s, 400);
		while (SS_TRY(ss_rpc_stream_read(s, &b)) == 1) {
			SS_CHECK(b.len == (size_t)(n * 131 % 5000));
			SS_CHECK(!b.len || b.data[b.len - 1] == (char)n);
			ss_buf_release(&b);
			n++;
		}
		SS_CHECK(n == 400);
		SS_TRY(f);
		SS_CHECK(SS_TRY(ss_rpc_stream_result(s, &b)) == 8);
		memcpy(&total, b.data, 8);
		SS_CHECK(total == 400);
		ss_buf_release(&b);
		/* It is over. */
		b = ss_buf_static("x", 1);
		SS_CHECK(ss_await(ss_rpc_stream_write(s, &b)).err == -EPIPE);
		ss_rpc_stream_close(s);
		s = SS_TRY_PTR(ss_rpc_open(w.client, STREAM_ECHO, NULL, NULL));
		ss_buf_alloc(&big, 1 << 20);
		SS_CHECK(ss_await(ss_rpc_stream_write(s, &big)).err == -EMSGSIZE);
		ss_rpc_stream_close(s); /* cancels it */
		/* A verb without a stream, and one that does not exist. */
		s = SS_TRY_PTR(ss_rpc_open(w.client, FAIL, NULL, NULL));
		SS_CHECK(ss_await(ss_rpc_stream_result(s, NULL)).err == -EDOM);
		ss_rpc_stream_close(s);
		s = SS_TRY_PTR(ss_rpc_open(w.client, 99, NULL, NULL));
		SS_CHECK(ss_await(ss_rpc_stream_read(s, &b)).err == -ENOSYS);
		ss_rpc_stream_close(s);
		SS_CHECK(
		    ss_await(ss_rpc_request(w.client, STREAM_ECHO, NULL, &b, NULL)).err == -EINVAL);
		stop(&w);
	}
	return 0;
}

/* A writer whose reader does not read is stopped by the window. */
SS_TEST(rpc_stream_backpressure)
{
	struct world w;
	ss_rpc_stream *s;
	size_t sent = 0;
	ss_result r;

	SS_REQUIRE(start(&w, NULL, NULL) == 0);
	s = SS_TRY_PTR(ss_rpc_open(w.client, STREAM_SINK, NULL, NULL));
	for (;;) {
		ss_buf b;

		if (ss_buf_alloc(&b, 10000))
			return -ENOMEM;
		memset(b.data, 0, b.len);
		r = ss_await(ss_with_timeout(ss_rpc_stream_write(s, &b), 100 * SS_MSEC));
		if (r.err)
			break;
		sent += 10000;
	}
	SS_CHECK(r.err == -ETIMEDOUT && sent > 200000 && sent <= 256 * 1024);
	/* Others are not held up. */
	SS_CHECK(echo(&w, 1000, true) == 0);
	/* The write in progress ends with its stream: by the server here. */
	ss_await(ss_rpc_server_stop(w.server));
	w.server = NULL;
	SS_CHECK(w.cancelled == 1);
	for (int i = 0; i < 1000 && !ss_await(ss_rpc_stream_end(s)).err; i++)
		ss_await(ss_sleep(SS_MSEC));
	ss_rpc_stream_close(s);
	stop(&w);
	return 0;
}

/* A server that is not there, comes, goes, and comes back. */
SS_TEST(rpc_reconnect)
{
	ss_rpc_client_opts co = {.pause_ns = SS_MSEC};
	ss_rpc_client_stats cs;
	struct world w;
	ss_addr at;
	ss_listener *l;
	ss_future f;
	ss_buf a;
	int ok = 0;

	SS_REQUIRE(start(&w, NULL, &co) == 0);
	at = w.addr;
	SS_CHECK(echo(&w, 10, true) == 0);
	f = ss_rpc_request(w.client, FOREVER, NULL, &a, NULL);
	while (!w.running)
		ss_await(ss_sleep(SS_MSEC));
	ss_await(ss_rpc_server_stop(w.server));
	SS_CHECK(ss_await(f).err == -ECONNRESET);
	SS_CHECK(echo(&w, 10, true) == -ECONNREFUSED);
	SS_CHECK(echo(&w, 10, true) == -ECONNREFUSED);
	l = SS_TRY_PTR(ss_listen(&at, &one));
	w.server = ss_rpc_server_start(w.rpc, l, NULL);
	SS_CHECK(echo(&w, 10, true) == 0);
	ss_rpc_client_stats_get(w.client, &cs);
	SS_CHECK(cs.connects == 2 && cs.failures == 2 && cs.lost == 1);
	stop(&w);
	/* One that connects only once. */
	co.once = true;
	SS_REQUIRE(start(&w, NULL, &co) == 0);
	SS_CHECK(echo(&w, 10, true) == 0);
	ss_await(ss_rpc_server_stop(w.server));
	w.server = NULL;
	for (int i = 0; i < 2000 && !ok; i++) {
		int64_t err = echo(&w, 10, true);

		ok = err == -ENOTCONN;
		if (!ok)
			ss_await(ss_sleep(SS_MSEC));
	}
	SS_CHECK(ok);
	stop(&w);
	return 0;
}

SS_TEST(rpc_stop_while_connecting)
{
	/* Nobody answers there: a listener whose connections nobody negotiates with. */
	ss_addr any = ss_addr_loopback(0), at;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &one));
	ss_rpc_client *c;
	ss_future f;
	ss_buf a;

	ss_listener_addr(l, &at);
	c = ss_rpc_client_new(&at, &(ss_rpc_client_opts){.connect_ns = 100 * SS_SEC});
	f = ss_rpc_request(c, ECHO, NULL, &a, NULL);
	ss_await(ss_sleep(5 * SS_MSEC));
	ss_await(ss_rpc_client_stop(c));
	SS_CHECK(ss_await(f).err == -ECANCELED);
	/* And with a limit. */
	c = ss_rpc_client_new(&at, &(ss_rpc_client_opts){.connect_ns = 10 * SS_MSEC});
	SS_CHECK(ss_await(ss_rpc_request(c, ECHO, NULL, &a, NULL)).err == -ETIMEDOUT);
	ss_await(ss_rpc_client_stop(c));
	ss_listener_close(l);
	return 0;
}

static int isolate(const char *name, ss_sched_group *out, void *arg)
{
	if (!name)
		return 0; /* the default group */
	if (strcmp(name, "batch"))
		return -EACCES;
	*out = *(ss_sched_group *)arg;
	return 0;
}

SS_TEST(rpc_isolation)
{
	static const char *const names[] = {NULL, "batch", "root"};
	ss_sched_group batch = (ss_sched_group)SS_TRY(ss_sched_group_create("batch", 100));

	for (int i = 0; i < 3; i++) {
		ss_rpc_server_opts so = {.isolate = isolate, .isolate_arg = &batch};
		struct world w;
		ss_result r;

		SS_REQUIRE(start(&w, &so, &(ss_rpc_client_opts){.isolation = names[i]}) == 0);
		r = ss_await(ss_rpc_request(w.client, GROUP, NULL, NULL, NULL));
		SS_CHECK(i < 2 ? r.err == 0 : r.err < 0);
		if (i < 2)
			SS_CHECK(w.seen == (i == 1 ? batch : 0));
		stop(&w);
	}
	return SS_TRY(ss_sched_group_destroy(batch));
}

SS_FIBER(caller, struct world *w; uint32_t verb; size_t n;)
{
	ss_buf q, a;
	ss_result r;

	if (ss_buf_alloc(&q, self->n))
		return -ENOMEM;
	memset(q.data, 1, self->n);
	r = ss_await(ss_rpc_request(self->w->client, self->verb, &q, &a, NULL));
	ss_buf_release(&a);
	return r.err;
}

/* Requests beyond the server's memory wait; nothing is lost. */
SS_TEST(rpc_memory_limit)
{
	ss_rpc_server_opts so = {.memory = 1, .max_frame = 100000};
	ss_rpc_client_opts co = {.max_calls = 32};
	ss_rpc_server_stats ss;
	struct world w;
	ss_future fs[30];
	ss_buf q;

	SS_REQUIRE(start(&w, &so, &co) == 0);
	for (int i = 0; i < 30; i++)
		fs[i] = ss_async(caller, &w, SLOW, 80000);
	ss_await(ss_sleep(10 * SS_MSEC));
	SS_CHECK(w.running <= 2);
	SS_CHECK(ss_await(ss_when_all(fs, 30, NULL)).err == 0);
	ss_rpc_server_stats_get(w.server, &ss);
	SS_CHECK(ss.memory_waits > 0 && ss.memory_free == 2 * 100000 + RPC_CALL_COST);
	/* Longer than the server takes: known before it is sent. */
	SS_CHECK(echo(&w, 100001, true) == -EMSGSIZE);
	SS_CHECK(ss_await(ss_rpc_request(w.client, BIG, NULL, NULL, NULL)).err == 0);
	SS_CHECK(echo(&w, 100000, true) == 0);
	/* Too many at a time. */
	for (int i = 0; i < 30; i++)
		fs[i] = ss_rpc_request(w.client, SLOW, NULL, NULL, NULL);
	q = ss_buf_static("", 0);
	ss_ignore(ss_rpc_request(w.client, SLOW, &q, NULL, NULL));
	ss_ignore(ss_rpc_request(w.client, SLOW, &q, NULL, NULL));
	SS_CHECK(ss_await(ss_rpc_request(w.client, SLOW, &q, NULL, NULL)).err == -EBUSY);
	SS_CHECK(ss_await(ss_when_all(fs, 30, NULL)).err == 0);
	stop(&w);
	return 0;
}

SS_TEST(rpc_over_tls)
{
	struct cert ca = cert_make("Test CA", NULL, NULL, 30);
	struct cert crt = cert_make("server", "DNS:localhost", &ca, 30);
	ss_tls_creds *sc, *cc;
	char error[200];
	struct world w;

	SS_REQUIRE(
	    ss_tls_creds_new(
		&(ss_tls_config){.server = true, .cert_pem = crt.cert_pem, .key_pem = crt.key_pem},
		&sc, error, sizeof(error)) == 0);
	SS_REQUIRE(ss_tls_creds_new(
		       &(ss_tls_config){.ca_pem = ca.cert_pem}, &cc, error, sizeof(error)) == 0);
	SS_REQUIRE(serve(&w, &(ss_rpc_server_opts){.compression = "zstd"}, sc) == 0);
	w.client = ss_rpc_client_new(&w.addr,
	    &(ss_rpc_client_opts){.tls = cc, .tls_name = "localhost", .compression = "zstd"});
	SS_CHECK(echo(&w, 10, true) == 0);
	SS_CHECK(echo(&w, 500000, true) == 0);
	SS_CHECK(echo(&w, 500000, false) == 0);
	ss_await(ss_rpc_client_stop(w.client));
	w.client =
	    ss_rpc_client_new(&w.addr, &(ss_rpc_client_opts){.tls = cc, .tls_name = "elsewhere"});
	SS_CHECK(echo(&w, 10, true) == -EKEYREJECTED);
	stop(&w);
	ss_tls_creds_free(sc);
	ss_tls_creds_free(cc);
	cert_free(&crt);
	cert_free(&ca);
	return 0;
}

/* Hostile peers */

/* What a server makes of these bytes: reads until it ends the connection. Returns its answer's
 * length. */
static int64_t hostile(struct world *w, const void *hello, size_t hello_len, const void *data,
    size_t n, bool half_close)
{
	ss_auto_conn c = SS_TRY_PTR(ss_connect(&w->addr));
	ss_output *out = ss_conn_output(c);
	char got[512];
	int64_t total = 0;
	ss_result r;

	r = ss_await(ss_output_write(out, hello, hello_len));
	if (!r.err)
		r = ss_await(ss_output_write(out, data, n));
	if (!r.err)
		r = ss_await(half_close ? ss_output_close(out) : ss_output_flush(out));
	while ((r = ss_await(ss_input_read(ss_conn_input(c), got, sizeof(got)))).i > 0 && !r.err)
		total += r.i;
	return total;
}

static void check_alive(struct world *w, uint64_t refused)
{
	ss_rpc_server_stats ss;

	for (int i = 0; i < 2000; i++) {
		ss_rpc_server_stats_get(w->server, &ss);
		if (ss.connections == 1 && ss.refused == refused)
			break;
		ss_await(ss_sleep(SS_MSEC));
	}
	SS_CHECK(ss.refused == refused && ss.in_progress == 0);
	SS_CHECK(echo(w, 100, true) == 0);
}

SS_TEST(rpc_hostile_frames)
{
	struct rpc_header base = {.length = 0, .type = RPC_REQUEST, .code = ECHO, .id = 1};
	struct rpc_hello h = {
	    .timeouts = true, .max_frame = 1 << 20, .compression = "lz4", .window = 65536};
	unsigned char hello[256], f[RPC_HEADER_BYTES + 16] = {0};
	size_t n = rpc_hello_encode(hello, &h);
	ss_rpc_server_opts so = {.compression = "lz4", .max_frame = 1 << 20};
	uint64_t refused = 0;
	struct world w;

	SS_REQUIRE(start(&w, &so, NULL) == 0);
	SS_CHECK(echo(&w, 100, true) == 0);
	/* No hello at all, cut ones, a wrong one. */
	SS_CHECK(hostile(&w, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "", 0, false) == 0);
	check_alive(&w, ++refused);
	for (size_t k = 1; k < n; k++)
		SS_CHECK(hostile(&w, hello, k, "", 0, true) == 0);
	refused += n - 1;
	check_alive(&w, refused);
	SS_CHECK(hostile(&w, hello, n, "", 0, true) > 0); /* a good one */
	check_alive(&w, refused);
	for (int k = 0; k < 11; k++) {
		struct rpc_header b = base;
		size_t len = sizeof(f);

		switch (k) {
		case 0:
			b.type = 0;
			break;
		case 1:
			b.type = 77;
			break;
		case 2:
			b.length = (1 << 20) + 1;
			break;
		case 3:
			b.raw = UINT32_MAX;
			b.length = 16;
			break;
		case 4:
			b.raw = 8;
			b.length = 16; /* longer than its contents */
			break;
		case 5:
			b.raw = 1000;
			b.length = 16; /* damaged */
			break;
		case 6:
			b.type = RPC_REPLY; /* not a client's to send */
			break;
		case 7:
			b.type = RPC_CANCEL;
			b.length = 3;
			break;
		case 8:
			b.type = RPC_DATA;
			b.length = 1 << 20; /* longer than any window */
			break;
		case 9:
			b.length = 0; /* reserved bytes */
			break;
		case 10: {
			/* The same call twice. */
			unsigned char both[2 * RPC_HEADER_BYTES];

			b.code = FOREVER;
			rpc_header_encode(both, &b);
			rpc_header_encode(both + RPC_HEADER_BYTES, &b);
			hostile(&w, hello, n, both, sizeof(both), false);
			check_alive(&w, ++refused);
			continue;
		}
		}
		rpc_header_encode(f, &b);
		if (k == 9)
			f[10] = 1;
		SS_CHECK(hostile(&w, hello, n, f, len, false) > 0);
		check_alive(&w, ++refused);
	}
	/* Data of a stream that does not exist is what is left of one; of a call without: wrong. */
	base.type = RPC_DATA;
	rpc_header_encode(f, &base);
	hostile(&w, hello, n, f, RPC_HEADER_BYTES, true);
	check_alive(&w, refused);
	/* A frame that ends too early. */
	base = (struct rpc_header){.length = 1000, .type = RPC_REQUEST, .code = ECHO, .id = 1};
	rpc_header_encode(f, &base);
	for (size_t k = 1; k < sizeof(f); k += 5)
		hostile(&w, hello, n, f, k, true);
	check_alive(&w, refused);
	stop(&w);
	return 0;
}

/* A sender that ignores the window. */
SS_TEST(rpc_stream_overrun)
{
	struct rpc_hello h = {.max_frame = 1 << 20, .window = 65536};
	struct rpc_header open = {.type = RPC_OPEN, .code = STREAM_SINK, .id = 1};
	struct rpc_header data = {.type = RPC_DATA, .id = 1};
	unsigned char hello[256], *f = calloc(10000, RPC_HEADER_BYTES);
	size_t n = rpc_hello_encode(hello, &h);
	struct world w;

	SS_REQUIRE(start(&w, NULL, NULL) == 0);
	SS_CHECK(echo(&w, 1, true) == 0);
	rpc_header_encode(f, &open);
	for (int i = 1; i < 10000; i++) /* empty messages count, too */
		rpc_header_encode(f + (size_t)i * RPC_HEADER_BYTES, &data);
	SS_CHECK(hostile(&w, hello, n, f, 10000 * RPC_HEADER_BYTES, false) > 0);
	check_alive(&w, 1);
	SS_CHECK(w.cancelled == 1);
	/* Credit from nowhere. */
	data = (struct rpc_header){.type = RPC_CREDIT, .id = 1, .value = UINT64_MAX};
	rpc_header_encode(f + RPC_HEADER_BYTES, &data);
	SS_CHECK(hostile(&w, hello, n, f, 2 * RPC_HEADER_BYTES, false) > 0);
	check_alive(&w, 2);
	free(f);
	stop(&w);
	return 0;
}

/* A server that is not one: answers a client with these bytes. */
struct fake {
	const void *data;
	size_t n;
};

SS_FIBER(fake_fiber, ss_conn *c; struct fake * f;)
{
	ss_auto_conn c = self->c;
	char got[64];

	/* The hellos, a request, the answer. */
	if (SS_TRY(ss_input_read(ss_conn_input(c), got, sizeof(got))) <= 0)
		return 0;
	SS_TRY(ss_output_write(ss_conn_output(c), self->f->data, self->f->n - RPC_HEADER_BYTES));
	SS_TRY(ss_output_flush(ss_conn_output(c)));
	if (SS_TRY(ss_input_read(ss_conn_input(c), got, sizeof(got))) <= 0)
		return 0;
	SS_TRY(ss_output_write(ss_conn_output(c),
	    (const char *)self->f->data + self->f->n - RPC_HEADER_BYTES, RPC_HEADER_BYTES));
	SS_TRY(ss_output_flush(ss_conn_output(c)));
	while (SS_TRY(ss_input_read(ss_conn_input(c), got, sizeof(got))) > 0)
		;
	return 0;
}

static ss_future fake_serve(ss_conn *c, void *arg)
{
	return ss_async(fake_fiber, c, arg);
}

SS_TEST(rpc_hostile_server)
{
	struct rpc_hello h = {.max_frame = 1 << 20};
	unsigned char data[512];
	size_t n;

	for (int k = 0; k < 6; k++) {
		ss_addr any = ss_addr_loopback(0), at;
		struct rpc_header f = {.type = RPC_REPLY, .id = 1};
		struct fake fake = {.data = data};
		ss_server s = {0};
		ss_rpc_client *c;
		ss_listener *l = SS_TRY_PTR(ss_listen(&any, &one));
		ss_result r;
		ss_buf a;

		if (k == 1)
			strcpy(h.compression, "lz4"); /* nobody asked */
		else
			h.compression[0] = '\0';
		n = rpc_hello_encode(data, &h);
		if (k == 0)
			memcpy(data, "HTTP/1.0", 8);
		if (k == 2)
			f.type = RPC_REQUEST;
		if (k == 3)
			f.length = UINT32_MAX;
		if (k == 4)
			f.id = 500; /* a call that was not made: dropped */
		if (k == 5)
			f = (struct rpc_header){.type = RPC_ERROR, .id = 1, .code = 1u << 31};
		rpc_header_encode(data + n, &f);
		fake.n = n + RPC_HEADER_BYTES;
		ss_listener_addr(l, &at);
		ss_server_start(&s, l, fake_serve, &fake);
		c = ss_rpc_client_new(&at, NULL);
		r = ss_await(
		    ss_rpc_request(c, ECHO, NULL, &a, &(ss_rpc_opts){.timeout_ns = 200 * SS_MSEC}));
		if (r.err != (k == 4 ? -ETIMEDOUT : -EPROTO))
			printf("# case %d: %d\n", k, r.err);
		SS_CHECK(r.err == (k == 4 ? -ETIMEDOUT : -EPROTO));
		ss_await(ss_rpc_client_stop(c));
		ss_await(ss_server_stop(&s));
	}
	return 0;
}

static const struct ss_test tests[] = {
    {"rpc_calls", rpc_calls},
    {"rpc_concurrent", rpc_concurrent},
    {"rpc_compression", rpc_compression},
    {"rpc_time_and_cancel", rpc_time_and_cancel},
    {"rpc_streams", rpc_streams},
    {"rpc_stream_backpressure", rpc_stream_backpressure},
    {"rpc_reconnect", rpc_reconnect},
    {"rpc_stop_while_connecting", rpc_stop_while_connecting},
    {"rpc_isolation", rpc_isolation},
    {"rpc_memory_limit", rpc_memory_limit},
    {"rpc_over_tls", rpc_over_tls},
    {"rpc_hostile_frames", rpc_hostile_frames},
    {"rpc_stream_overrun", rpc_stream_overrun},
    {"rpc_hostile_server", rpc_hostile_server},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
