/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation fails once: each part of the framework is used the way programs do, cleaning up
 * on every way out, and the runner lets the nth allocation fail for each n. What has to happen: an
 * error comes back, nothing hangs, nothing leaks, and what comes afterwards works.
 */
#include "certs.h"

#include <seastar/dns.h>
#include <seastar/rpc.h>
#include <seastar/seastar.h>
#include <seastar/test.h>
#include <seastar/tls.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const ss_listen_opts one = {.reuse_address = true, .one_shard = true};
static struct cert ca, crt;
static ss_tls_creds *server_creds, *client_creds;

/* Futures, loops, synchronisation */

SS_CONT(add_one)
{
	return ss_ok(r.i + 1);
}

SS_CONT(later)
{
	return ss_then(ss_yield(), add_one);
}

SS_CONT(ignore_result)
{
	return ss_ok(0);
}

SS_CONT(body_of_loop, int *left;)
{
	return --*self->left > 0 ? ss_then(ss_yield(), ignore_result) : SS_STOP;
}

SS_CONT(each, int *sum;)
{
	*self->sum += (int)r.i;
	return ss_then(ss_yield(), ignore_result);
}

SS_CONT(with_object)
{
	return ss_then(ss_yield(), ignore_result);
}

SS_TEST(futures)
{
	int left = 5, sum = 0;
	ss_result rs[3];
	ss_future fs[3];

	SS_TRY(ss_then(ss_then_wrapped(ss_finally(ss_yield(), later), later), add_one));
	for (int i = 0; i < 3; i++)
		fs[i] = ss_then(ss_sleep(SS_USEC), later);
	SS_TRY(ss_when_all(fs, 3, rs));
	SS_TRY(ss_repeat(body_of_loop, &left));
	SS_TRY(ss_do_for_each(0, 5, each, &sum));
	SS_TRY(ss_parallel_for_each(0, 5, each, &sum));
	SS_TRY(ss_max_concurrent_for_each(0, 5, 2, each, &sum));
	SS_TRY(ss_do_with(int, 7, NULL, with_object));
	SS_TRY(ss_with_timeout(ss_sleep(SS_USEC), SS_SEC));
	SS_CHECK(sum == 30);
	return 0;
}

SS_FIBER(take_and_give, ss_sem *s;)
{
	ss_auto_units u = {0};

	SS_TRY(ss_get_units(self->s, 2, &u));
	SS_TRY(ss_yield());
	return 0;
}

SS_TEST(synchronisation)
{
	ss_sem s = SS_SEM_INIT(2);
	ss_gate g = {0};
	ss_abort as = {0};
	ss_rwlock l = {0};
	ss_wait_opts wo = {.timeout_ns = 100 * SS_USEC, .abort = &as};
	ss_future fs[3];
	ss_result r;

	for (int i = 0; i < 3; i++)
		fs[i] = ss_async(take_and_give, &s);
	SS_TRY(ss_when_all(fs, 3, NULL));
	SS_CHECK(s.count == 2);
	ss_sem_consume(&s, 2);
	SS_CHECK(ss_await(ss_sem_wait_opts(&s, 1, &wo)).err);
	ss_sem_signal(&s, 2);
	r = ss_await(ss_with_gate(&g, with_object));
	SS_TRY(ss_gate_close(&g));
	if (r.err)
		return r.err;
	SS_TRY(ss_rwlock_read(&l));
	ss_rwlock_read_unlock(&l);
	SS_TRY(ss_rwlock_write(&l));
	ss_rwlock_write_unlock(&l);
	return 0;
}

SS_TEST(queues)
{
	ss_pipe_reader *rd;
	ss_pipe_writer *wr;
	ss_queue q;
	int x;
	ss_result r;

	if (ss_queue_init(&q, 2))
		return -ENOMEM;
	r = ss_await(ss_queue_push(&q, &x));
	if (!r.err)
		r = ss_await(ss_queue_pop(&q));
	ss_queue_destroy(&q);
	if (r.err)
		return r.err;
	if (ss_pipe(2, NULL, &rd, &wr))
		return -ENOMEM;
	r = ss_await(ss_pipe_write(wr, &x));
	ss_pipe_close_writer(wr);
	if (!r.err)
		r = ss_await(ss_pipe_read(rd));
	ss_pipe_close_reader(rd);
	return r.err;
}

/* Connections */

SS_FIBER(echo_fiber, ss_conn *c;)
{
	ss_auto_conn c = self->c;
	ss_buf b;

	while (SS_TRY(ss_input_take(ss_conn_input(c), &b)) > 0) {
		SS_TRY(ss_output_write_buf(ss_conn_output(c), &b));
		SS_TRY(ss_output_flush(ss_conn_output(c)));
	}
	return SS_TRY(ss_output_close(ss_conn_output(c)));
}

static ss_future echo(ss_conn *c, void *arg)
{
	ss_future f = ss_async(echo_fiber, c);

	(void)arg;
	/* Without memory for the fiber nobody owns the connection. */
	if (f.r.err && f.r.err != SS_PENDING)
		ss_conn_close(c);
	return f;
}

static int64_t talk(ss_conn *conn)
{
	ss_auto_conn c = conn;
	char b[3000] = {1}, got[3000];

	SS_TRY(ss_output_write(ss_conn_output(c), b, sizeof(b)));
	SS_TRY(ss_output_close(ss_conn_output(c)));
	SS_CHECK(SS_TRY(ss_input_read_exactly(ss_conn_input(c), got, sizeof(got))) == 3000);
	return 0;
}

static int64_t connect_and_talk(const ss_addr *a, bool tls)
{
	ss_tls_connect_opts o = {.name = "localhost", .timeout_ns = SS_SEC};

	return talk(
	    SS_TRY_PTR(tls ? ss_tls_connect(client_creds, a, &o) : ss_connect_timeout(a, SS_SEC)));
}

static int64_t echo_once(bool tls)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_server s = {0};
	ss_listener *l =
	    SS_TRY_PTR(tls ? ss_tls_listen(server_creds, &any, &one) : ss_listen(&any, &one));
	ss_result r;
	int64_t err;

	ss_listener_addr(l, &a);
	ss_server_start(&s, l, echo, NULL);
	err = connect_and_talk(&a, tls);
	r = ss_await(ss_server_stop(&s));
	return err ? err : r.err;
}

SS_TEST(tcp)
{
	return echo_once(false);
}

SS_TEST(tls)
{
	return echo_once(true);
}

static int64_t datagram(ss_udp *u)
{
	ss_addr a;
	ss_datagram d;

	ss_udp_addr(u, &a);
	SS_TRY(ss_udp_send(u, &a, "hello", 5));
	SS_TRY(ss_udp_recv(u, &d));
	ss_buf_release(&d.buf);
	return 0;
}

SS_TEST(udp)
{
	ss_addr any = ss_addr_loopback(0);
	ss_udp *u = SS_TRY_PTR(ss_udp_open(&any, NULL));
	int64_t err = datagram(u);

	ss_udp_close(u);
	return err;
}

/* Files */

static int64_t write_and_read(ss_file *f)
{
	char *b = ss_file_buffer(f, 4096);
	ss_result r;

	if (!b)
		return -ENOMEM;
	memset(b, 'x', 4096);
	r = ss_await(ss_file_write(f, 0, b, 4096));
	if (!r.err)
		r = ss_await(ss_file_read(f, 0, b, 4096));
	if (!r.err)
		r = ss_await(ss_file_sync(f));
	ss_free(b);
	return r.err;
}

static int64_t stream(ss_file *f)
{
	ss_file_writer *w = ss_file_writer_new(f, &(ss_file_stream_opts){.buffer = 8192});
	ss_file_reader *rd;
	char b[5000] = {0};
	ss_result r = {.err = 0}, c;

	if (!w)
		return -ENOMEM;
	for (int i = 0; i < 5 && !r.err; i++)
		r = ss_await(ss_output_write(ss_file_writer_output(w), b, sizeof(b)));
	c = ss_await(ss_file_writer_close(w));
	if (r.err || c.err)
		return r.err ? r.err : c.err;
	rd = ss_file_reader_new(f, &(ss_file_stream_opts){.buffer = 8192});
	if (!rd)
		return -ENOMEM;
	do
		r = ss_await(ss_input_read(ss_file_reader_input(rd), b, sizeof(b)));
	while (!r.err && r.i);
	c = ss_await(ss_file_reader_close(rd));
	return r.err ? r.err : c.err;
}

SS_TEST(files)
{
	char path[64];
	int64_t err;

	snprintf(path, sizeof(path), "oom-test-%d", (int)getpid());
	{
		ss_result r = ss_await(ss_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));

		err = r.err;
		if (!err) {
			ss_auto_file f = r.p;

			err = write_and_read(f);
			if (!err)
				err = stream(f);
		}
	}
	unlink(path);
	return err;
}

/* RPC and names */

static ss_future on_call(ss_rpc_call *call, void *arg)
{
	(void)arg;
	call->reply = ss_buf_move(&call->request);
	return ss_ok(0);
}

SS_FIBER(stream_fiber, ss_rpc_call *call;)
{
	ss_buf b;

	if (!self->call->stream)
		return -EINVAL;
	while (SS_TRY(ss_rpc_stream_read(self->call->stream, &b)) == 1)
		SS_TRY(ss_rpc_stream_write(self->call->stream, &b));
	return SS_TRY(ss_rpc_stream_end(self->call->stream));
}

static ss_future on_stream(ss_rpc_call *call, void *arg)
{
	(void)arg;
	return ss_async(stream_fiber, call);
}

static int64_t use_stream(ss_rpc_stream *s)
{
	ss_buf b;

	for (int i = 0; i < 3; i++) {
		if (ss_buf_alloc(&b, 500))
			return -ENOMEM;
		memset(b.data, 0, b.len);
		SS_TRY(ss_rpc_stream_write(s, &b));
		if (SS_TRY(ss_rpc_stream_read(s, &b)) != 1)
			return -EIO;
		ss_buf_release(&b);
	}
	SS_TRY(ss_rpc_stream_end(s));
	return ss_await(ss_rpc_stream_result(s, NULL)).err;
}

static int64_t use_rpc(ss_rpc_client *c)
{
	ss_rpc_opts o = {.timeout_ns = 2 * SS_SEC};
	ss_rpc_stream *s;
	ss_buf q, a;
	int64_t err;

	if (ss_buf_alloc(&q, 2000))
		return -ENOMEM;
	memset(q.data, 0, q.len);
	SS_TRY(ss_rpc_request(c, 1, &q, &a, &o));
	ss_buf_release(&a);
	SS_TRY(ss_rpc_send(c, 1, NULL, &o));
	s = SS_TRY_PTR(ss_rpc_open(c, 2, NULL, &o));
	err = use_stream(s);
	ss_rpc_stream_close(s);
	return err;
}

static int64_t with_server(ss_rpc *rpc)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, &one));
	ss_rpc_server *s;
	ss_rpc_client *c;
	int64_t err;

	ss_listener_addr(l, &a);
	s = ss_rpc_server_start(rpc, l, &(ss_rpc_server_opts){.compression = "lz4"});
	if (!s)
		return -ENOMEM;
	c = ss_rpc_client_new(&a, &(ss_rpc_client_opts){.compression = "lz4"});
	err = c ? use_rpc(c) : -ENOMEM;
	if (c)
		ss_await(ss_rpc_client_stop(c));
	ss_await(ss_rpc_server_stop(s));
	return err;
}

SS_TEST(rpc)
{
	ss_rpc *rpc = ss_rpc_new();
	int64_t err;

	if (!rpc)
		return -ENOMEM;
	err = ss_rpc_register(rpc, 1, "call", on_call, NULL);
	if (!err)
		err = ss_rpc_register(rpc, 2, "stream", on_stream, NULL);
	if (!err)
		err = with_server(rpc);
	ss_rpc_free(rpc);
	return err;
}

SS_TEST(names)
{
	ss_dns_opts o = {.servers = "127.0.0.1:9", .try_ms = 20, .tries = 1};
	ss_dns_limits limits = {.timeout_ns = 50 * SS_MSEC};
	ss_dns_addrs a;
	ss_dns *d;
	ss_result r;
	int err = ss_dns_new(&o, &d);

	if (err)
		return err;
	r = ss_await(ss_dns_lookup(d, "localhost", 80, AF_INET, NULL, &a));
	if (!r.err)
		ss_dns_addrs_free(&a);
	if (!r.err)
		ss_await(ss_dns_lookup(d, "nobody.test", 80, AF_INET, &limits, &a));
	ss_dns_free(d);
	return r.err;
}

static const struct ss_test tests[] = {
    {"futures", futures, .each_allocation = true},
    {"synchronisation", synchronisation, .each_allocation = true},
    {"queues", queues, .each_allocation = true},
    {"tcp", tcp, .each_allocation = true},
    {"udp", udp, .each_allocation = true},
    {"files", files, .each_allocation = true},
    {"tls", tls, .each_allocation = true},
    {"rpc", rpc, .each_allocation = true},
    {"names", names, .each_allocation = true},
    {NULL},
};

int main(int argc, char **argv)
{
	char error[200];
	int status = 1;

	ca = cert_make("Test CA", NULL, NULL, 30);
	crt = cert_make("server", "DNS:localhost", &ca, 30);
	if (!ss_tls_creds_new(
		&(ss_tls_config){.server = true, .cert_pem = crt.cert_pem, .key_pem = crt.key_pem},
		&server_creds, error, sizeof(error)) &&
	    !ss_tls_creds_new(
		&(ss_tls_config){.ca_pem = ca.cert_pem}, &client_creds, error, sizeof(error)))
		status = ss_test_main(argc, argv, tests);
	ss_tls_creds_free(server_creds);
	ss_tls_creds_free(client_creds);
	cert_free(&crt);
	cert_free(&ca);
	return status;
}
