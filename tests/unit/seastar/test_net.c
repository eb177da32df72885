/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections, listeners, datagrams and streams over loopback. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const ss_listen_opts reuse = {.reuse_address = true};

SS_FIBER(echo_fiber, ss_conn *c;)
{
	ss_auto_conn c = self->c;
	ss_input *in = ss_conn_input(c);
	ss_output *out = ss_conn_output(c);
	ss_buf b;

	while (SS_TRY(ss_input_take(in, &b)) > 0) {
		SS_TRY(ss_output_write_buf(out, &b));
		SS_TRY(ss_output_flush(out));
	}
	return SS_TRY(ss_output_close(out));
}

static ss_future echo(ss_conn *c, void *arg)
{
	(void)arg;
	return ss_async(echo_fiber, c);
}

static int64_t start_echo(ss_server *s, const ss_addr *at, ss_addr *real)
{
	ss_listener *l = SS_TRY_PTR(ss_listen(at, &reuse));

	ss_listener_addr(l, real);
	ss_server_start(s, l, echo, NULL);
	return 0;
}

static int64_t talk(const ss_addr *a, size_t total)
{
	ss_auto_conn c = SS_TRY_PTR(ss_connect(a));
	char *sent = malloc(total), *got = malloc(total + 1);
	ss_result r;

	for (size_t i = 0; i < total; i++)
		sent[i] = (char)(i * 7 + (i >> 9));
	/* Small pieces and big ones. */
	r = ss_await(ss_output_write(ss_conn_output(c), sent, total / 3));
	for (size_t at = total / 3; at < total && !r.err; at += 100)
		r = ss_await(ss_output_write(
		    ss_conn_output(c), sent + at, at + 100 < total ? 100 : total - at));
	if (!r.err)
		r = ss_await(ss_output_close(ss_conn_output(c)));
	if (!r.err)
		r = ss_await(ss_input_read_exactly(ss_conn_input(c), got, total + 1));
	SS_CHECK(!r.err && r.i == (int64_t)total && memcmp(sent, got, total) == 0);
	free(sent);
	free(got);
	return r.err;
}

SS_FIBER(talk_fiber, ss_addr a; size_t total;)
{
	return talk(&self->a, self->total);
}

SS_TEST(tcp_echo)
{
	ss_server s = {0};
	ss_addr any = ss_addr_loopback(0), a;
	ss_future fs[20];

	SS_REQUIRE(start_echo(&s, &any, &a) == 0);
	SS_CHECK(talk(&a, 10) == 0);
	SS_CHECK(talk(&a, 100000) == 0);
	for (size_t i = 0; i < 20; i++)
		fs[i] = ss_async(talk_fiber, a, 1000 * (i + 1));
	SS_TRY(ss_when_all(fs, 20, NULL));
	SS_TRY(ss_server_stop(&s));
	SS_CHECK(s.accepted == 22);
	SS_CHECK(ss_await(ss_connect(&a)).err == -ECONNREFUSED);
	return 0;
}

SS_TEST(unix_echo)
{
	ss_server s = {0};
	ss_addr at, a;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/ss-test-%d.sock", getpid());
	unlink(path);
	SS_REQUIRE(ss_addr_unix(&at, path) == 0);
	SS_REQUIRE(start_echo(&s, &at, &a) == 0);
	SS_CHECK(talk(&at, 300000) == 0);
	SS_TRY(ss_server_stop(&s));
	unlink(path);
	return 0;
}

/* The other side does not read: writes stop being ready, memory stays bounded, and all arrives. */
SS_FIBER(flood, ss_conn *c; size_t total; size_t * done;)
{
	static char block[4096];

	while (*self->done < self->total) {
		SS_TRY(ss_output_write(ss_conn_output(self->c), block, sizeof(block)));
		*self->done += sizeof(block);
	}
	return SS_TRY(ss_output_close(ss_conn_output(self->c)));
}

SS_TEST(backpressure)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &reuse));
	ss_future acc = ss_accept(l), f;
	size_t done = 0, before = 0, total = 64 << 20;
	ss_conn *c, *d;

	ss_listener_addr(l, &a);
	c = SS_TRY_PTR(ss_connect(&a));
	d = SS_TRY_PTR(acc);
	f = ss_async(flood, c, total, &done);
	/* It comes to a stop, sooner or later on a busy machine. */
	for (int i = 0; i < 200; i++) {
		before = done;
		SS_TRY(ss_sleep(20 * SS_MSEC));
		if (done && before == done)
			break;
	}
	SS_CHECK(before == done && done < total);
	SS_CHECK(ss_output_pending(ss_conn_output(c)) < (1 << 20));
	SS_CHECK(SS_TRY(ss_input_skip(ss_conn_input(d), total + 1)) == (int64_t)total);
	SS_TRY(f);
	ss_conn_close(c);
	ss_conn_close(d);
	ss_listener_close(l);
	return 0;
}

SS_TEST(closing)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &reuse));
	ss_future acc = ss_accept(l), f;
	ss_conn *c, *d;
	char buf[16];

	ss_listener_addr(l, &a);
	c = SS_TRY_PTR(ss_connect(&a));
	d = SS_TRY_PTR(acc);
	/* A read in progress ends when its connection is closed. */
	f = ss_input_fill(ss_conn_input(c));
	SS_CHECK(!ss_available(f));
	ss_conn_close(c);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	SS_CHECK(SS_TRY(ss_input_read(ss_conn_input(d), buf, sizeof(buf))) == 0);
	ss_conn_close(d);
	/* So does an accept. */
	f = ss_accept(l);
	ss_listener_close(l);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	return 0;
}

SS_TEST(conn_timeouts)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &reuse));
	ss_future acc = ss_accept(l);
	ss_conn *c, *d;
	static char block[4096];
	ss_result r = {.err = 0};

	ss_listener_addr(l, &a);
	c = SS_TRY_PTR(ss_connect_timeout(&a, SS_SEC));
	d = SS_TRY_PTR(acc);
	ss_conn_set_timeouts(c, 2 * SS_MSEC, 2 * SS_MSEC);
	SS_CHECK(ss_await(ss_input_fill(ss_conn_input(c))).err == -ETIMEDOUT);
	/* It is not the end: what comes later is read. */
	SS_TRY(ss_output_write_static(ss_conn_output(d), "later", 5));
	SS_TRY(ss_output_flush(ss_conn_output(d)));
	SS_CHECK(SS_TRY(ss_input_fill(ss_conn_input(c))) == 5);
	for (int i = 0; i < 100000 && !r.err; i++)
		r = ss_await(ss_output_write(ss_conn_output(c), block, sizeof(block)));
	SS_CHECK(r.err == -ETIMEDOUT);
	ss_conn_close(c);
	ss_conn_close(d);
	ss_listener_close(l);
	return 0;
}

/* Descriptors run out: the server pauses and serves on when there are some again. */
SS_TEST(descriptors_exhausted)
{
	ss_server s = {0};
	ss_addr any = ss_addr_loopback(0), a;
	struct rlimit old, low;
	int held[64], n = 0, one;
	ss_future f;

	SS_REQUIRE(start_echo(&s, &any, &a) == 0);
	SS_CHECK(talk(&a, 100) == 0);
	getrlimit(RLIMIT_NOFILE, &old);
	one = dup(0);
	low = (struct rlimit){.rlim_cur = (rlim_t)one + 2, .rlim_max = old.rlim_max};
	close(one);
	setrlimit(RLIMIT_NOFILE, &low);
	f = ss_async(talk_fiber, a, 100);
	SS_TRY(ss_yield());
	while (n < 64 && (held[n] = dup(0)) >= 0)
		n++;
	SS_TRY(ss_sleep(15 * SS_MSEC));
	/* Should that conversation have ended meanwhile, it gave some back. */
	while (n < 64 && (held[n] = dup(0)) >= 0)
		n++;
	SS_CHECK(ss_await(ss_connect(&a)).err == -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	while (n)
		close(held[--n]);
	SS_CHECK(ss_await(f).err == 0);
	SS_CHECK(talk(&a, 100) == 0);
	SS_TRY(ss_server_stop(&s));
	return 0;
}

SS_TEST(datagrams)
{
	ss_addr any = ss_addr_loopback(0), at;
	ss_udp *a = SS_TRY_PTR(ss_udp_open(&any, NULL)), *b = SS_TRY_PTR(ss_udp_open(&any, NULL));
	ss_datagram d;
	ss_future f;

	ss_udp_addr(a, &at);
	for (int i = 0; i < 50; i++) {
		f = ss_udp_recv(a, &d);
		SS_TRY(ss_udp_send(b, &at, "hello", 5));
		SS_CHECK(SS_TRY(f) == 5 && memcmp(d.buf.data, "hello", 5) == 0);
		ss_buf_release(&d.buf);
	}
	SS_CHECK(SS_TRY(ss_udp_send(a, &d.from, "back", 4)) == 4);
	SS_CHECK(SS_TRY(ss_udp_recv(b, &d)) == 4 && !d.truncated);
	ss_buf_release(&d.buf);
	f = ss_udp_recv(a, &d);
	ss_udp_close(a);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	ss_udp_close(b);
	return 0;
}

SS_TEST(listen_errors)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, NULL));
	ss_result r;

	ss_listener_addr(l, &a);
	r = ss_await(ss_listen(&a, NULL));
	SS_CHECK(r.err == -EADDRINUSE && strcmp(r.msg, "bind: Address already in use") == 0);
	ss_listener_close(l);
	return 0;
}

SS_TEST(addresses)
{
	ss_addr a;
	char t[128];

	SS_CHECK(ss_addr_parse(&a, "127.0.0.1:80", 1) == 0 && ss_addr_port(&a) == 80);
	SS_CHECK(strcmp(ss_addr_format(&a, t, sizeof(t)), "127.0.0.1:80") == 0);
	SS_CHECK(ss_addr_parse(&a, "10.0.0.1", 7) == 0 && ss_addr_port(&a) == 7);
	SS_CHECK(ss_addr_parse(&a, "::1", 7) == 0 && a.sa.sa_family == AF_INET6);
	SS_CHECK(ss_addr_parse(&a, "[::1]:99", 7) == 0 && ss_addr_port(&a) == 99);
	SS_CHECK(ss_addr_parse(&a, "unix:/tmp/x", 7) == 0);
	SS_CHECK(strcmp(ss_addr_format(&a, t, sizeof(t)), "unix:/tmp/x") == 0);
	SS_CHECK(ss_addr_parse(&a, "[::1", 7) == -EINVAL);
	SS_CHECK(ss_addr_parse(&a, "1.2.3.4:x", 7) == -EINVAL);
	SS_CHECK(ss_addr_parse(&a, "1.2.3.4:99999", 7) == -EINVAL);
	SS_CHECK(ss_addr_parse(&a, "example", 7) == -EINVAL);
	return 0;
}

/* More data is put behind what is there, in one piece. */
SS_TEST(input_more)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, NULL));
	ss_future acc = ss_accept(l);
	ss_conn *c, *d;
	ss_input *in;

	ss_listener_addr(l, &a);
	c = SS_TRY_PTR(ss_connect(&a));
	d = SS_TRY_PTR(acc);
	in = ss_conn_input(d);
	SS_TRY(ss_output_write(ss_conn_output(c), "abc", 3));
	SS_TRY(ss_output_drain(ss_conn_output(c)));
	SS_CHECK(SS_TRY(ss_input_fill(in)) == 3);
	SS_TRY(ss_output_write(ss_conn_output(c), "def", 3));
	SS_TRY(ss_output_close(ss_conn_output(c)));
	SS_CHECK(SS_TRY(ss_input_more(in)) == 3);
	SS_CHECK(ss_input_len(in) == 6 && memcmp(ss_input_data(in), "abcdef", 6) == 0);
	ss_input_consume(in, 2);
	SS_CHECK(SS_TRY(ss_input_more(in)) == 0);
	SS_CHECK(SS_TRY(ss_input_skip(in, 100)) == 4);
	ss_conn_close(c);
	ss_conn_close(d);
	ss_listener_close(l);
	return 0;
}

/* Writing in place: room that is not used leaves no trace, buffers keep their order. */
SS_TEST(output_room)
{
	ss_addr a = ss_addr_loopback(0);
	ss_listener *l = SS_TRY_PTR(ss_listen(&a, NULL));
	ss_conn *c, *d;
	ss_output *out;
	ss_buf b = ss_buf_static("middle", 6), none = {NULL, 0, NULL};
	char *p, got[5000];
	size_t room;

	ss_listener_addr(l, &a);
	c = SS_TRY_PTR(ss_connect(&a));
	d = SS_TRY_PTR(ss_accept(l));
	out = ss_conn_output(c);
	p = ss_output_room(out, 10, &room);
	SS_REQUIRE(p && room >= 10);
	memcpy(p, "first,", 6);
	ss_output_commit(out, 6);
	SS_CHECK(ss_output_pending(out) == 6);
	SS_CHECK(ss_output_put_buf(out, &b) == 0 && !b.data);
	SS_CHECK(ss_output_put_buf(out, &none) == 0);
	p = ss_output_room(out, 4096, &room);
	SS_REQUIRE(p && room >= 4096);
	memset(p, 'z', 4096);
	ss_output_commit(out, 4096);
	SS_REQUIRE(ss_output_room(out, 4096, &room));
	ss_output_commit(out, 0);
	SS_CHECK(ss_output_pending(out) == 6 + 6 + 4096);
	SS_TRY(ss_output_drain(out));
	SS_CHECK(SS_TRY(ss_input_read_exactly(ss_conn_input(d), got, 4108)) == 4108);
	SS_CHECK(memcmp(got, "first,middlez", 13) == 0 && got[4107] == 'z');
	/* Nothing but unused room: nothing is sent, nothing hangs. */
	SS_REQUIRE(ss_output_room(out, 100, &room));
	SS_TRY(ss_output_drain(out));
	SS_CHECK(ss_output_put(out, "end", 3) == 0);
	SS_TRY(ss_output_close(out));
	SS_CHECK(SS_TRY(ss_input_read_exactly(ss_conn_input(d), got, 100)) == 3);
	SS_CHECK(memcmp(got, "end", 3) == 0);
	ss_conn_close(c);
	SS_CHECK(SS_TRY(ss_input_fill(ss_conn_input(d))) == 0);
	ss_conn_close(d);
	ss_listener_close(l);
	return 0;
}

static const struct ss_test tests[] = {
    {"tcp_echo", tcp_echo},
    {"unix_echo", unix_echo},
    {"backpressure", backpressure},
    {"closing", closing},
    {"conn_timeouts", conn_timeouts},
    {"descriptors_exhausted", descriptors_exhausted, .once = true},
    {"datagrams", datagrams},
    {"listen_errors", listen_errors},
    {"addresses", addresses, .once = true},
    {"input_more", input_more},
    {"output_room", output_room},
#ifdef SS_HAVE_LIBURING
    {"tcp_echo_uring", tcp_echo, "-c1 --reactor-backend io_uring"},
    {"unix_echo_uring", unix_echo, "-c1 --reactor-backend io_uring"},
    {"backpressure_uring", backpressure, "-c1 --reactor-backend io_uring"},
    {"closing_uring", closing, "-c1 --reactor-backend io_uring"},
    {"conn_timeouts_uring", conn_timeouts, "-c1 --reactor-backend io_uring"},
    {"datagrams_uring", datagrams, "-c1 --reactor-backend io_uring"},
#endif
    {"tcp_echo_epoll", tcp_echo, "-c1 --reactor-backend epoll"},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
