/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, against a small DNS server in this program. */
#include <seastar/dns.h>
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A = 1, CNAME = 5, PTR = 12, AAAA = 28, SRV = 33 };

/* The server */

struct message {
	unsigned char b[4096];
	size_t n;
};

static void put16(struct message *m, unsigned v)
{
	m->b[m->n++] = (unsigned char)(v >> 8);
	m->b[m->n++] = (unsigned char)v;
}

static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t k = strcspn(name, ".");

		m->b[m->n++] = (unsigned char)k;
		memcpy(m->b + m->n, name, k);
		m->n += k;
		name += k + (name[k] == '.');
	}
	m->b[m->n++] = 0;
}

/* A record of the name at `owner`, its data to follow. */
static void record_at(struct message *m, size_t owner, unsigned type, unsigned length)
{
	put16(m, 0xc000 | (unsigned)owner);
	put16(m, type);
	put16(m, 1);
	put16(m, 0);
	put16(m, 60); /* seconds to live */
	put16(m, length);
	m->b[7]++;
}

/* A record of the name asked for. */
static void record(struct message *m, unsigned type, unsigned length)
{
	record_at(m, 12, type, length);
}

static void record_a(struct message *m, const char *addr)
{
	record(m, A, 4);
	inet_pton(AF_INET, addr, m->b + m->n);
	m->n += 4;
}

static void record_aaaa(struct message *m, const char *addr)
{
	record(m, AAAA, 16);
	inet_pton(AF_INET6, addr, m->b + m->n);
	m->n += 16;
}

static void record_name(struct message *m, unsigned type, const char *name)
{
	record(m, type, (unsigned)strlen(name) + 2);
	put_name(m, name);
}

static void record_srv(
    struct message *m, unsigned prio, unsigned weight, unsigned port, const char *name)
{
	record(m, SRV, (unsigned)strlen(name) + 2 + 6);
	put16(m, prio);
	put16(m, weight);
	put16(m, port);
	put_name(m, name);
}

struct server {
	ss_udp *udp;
	ss_server tcp;
	ss_addr addr;
	char text[32];
	int asked, asked_tcp;
	bool silent, garbage, stopping;
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool answer_known(struct message *m, const char *name, unsigned type, bool tcp)
{
	char text[32];

	if (is(name, "a.test")) {
		if (type == A) {
			record_a(m, "10.0.0.1");
			record_a(m, "10.0.0.2");
		}
	} else if (is(name, "six.test")) {
		if (type == AAAA)
			record_aaaa(m, "fd00::6");
	} else if (is(name, "both.test")) {
		if (type == A)
			record_a(m, "10.0.0.3");
		if (type == AAAA)
			record_aaaa(m, "fd00::3");
	} else if (is(name, "alias.test")) {
		size_t target;

		record_name(m, CNAME, "both.test");
		target = m->n - strlen("both.test") - 2;
		if (type == A) {
			record_at(m, target, A, 4);
			inet_pton(AF_INET, "10.0.0.3", m->b + m->n);
			m->n += 4;
		}
	} else if (is(name, "_x._tcp.test")) {
		record_srv(m, 20, 1, 53, "last.test");
		record_srv(m, 10, 1, 80, "second.test");
		record_srv(m, 10, 9, 81, "first.test");
	} else if (is(name, "7.0.0.10.in-addr.arpa")) {
		record_name(m, PTR, "seven.test");
	} else if (is(name, "host.domain.test")) {
		if (type == A)
			record_a(m, "10.0.0.9");
	} else if (is(name, "big.test")) {
		for (int i = 0; type == A && i < (tcp ? 100 : 1); i++) {
			snprintf(text, sizeof(text), "10.1.0.%d", i);
			record_a(m, text);
		}
		if (!tcp)
			m->b[2] |= 2; /* truncated */
	} else {
		return false;
	}
	return true;
}

/* The reply to the query in b; 0 for none. */
static size_t reply(struct server *s, const unsigned char *b, size_t n, bool tcp, struct message *m)
{
	char name[256] = "";
	size_t at = 12, len = 0;
	unsigned type;

	s->asked++;
	s->asked_tcp += tcp;
	if (s->silent || n < 17)
		return 0;
	while (at < n && b[at] && len + b[at] + 2 < sizeof(name)) {
		memcpy(name + len, b + at + 1, b[at]);
		len += b[at];
		name[len++] = '.';
		at += 1 + (size_t)b[at];
	}
	name[len ? len - 1 : 0] = '\0';
	type = (unsigned)b[at + 1] << 8 | b[at + 2];
	m->n = at + 5;
	memcpy(m->b, b, m->n);
	m->b[2] = 0x81;
	m->b[3] = 0x80;
	memset(m->b + 6, 0, 6);
	if (s->garbage) {
		m->b[7] = 200; /* promises much */
		return m->n;
	}
	if (is(name, "fail.test"))
		m->b[3] |= 2;
	else if (is(name, "refused.test"))
		m->b[3] |= 5;
	else if (!answer_known(m, name, type, tcp))
		m->b[3] |= 3;
	return m->n;
}

SS_FIBER(udp_fiber, struct server *s;)
{
	struct message *m = malloc(sizeof(*m));
	ss_datagram d;

	while (!self->s->stopping && !ss_await(ss_udp_recv(self->s->udp, &d)).err) {
		size_t n = reply(self->s, (unsigned char *)d.buf.data, d.buf.len, false, m);

		ss_buf_release(&d.buf);
		if (n && !self->s->stopping)
			ss_await(ss_udp_send(self->s->udp, &d.from, m->b, n));
	}
	free(m);
	return 0;
}

SS_FIBER(tcp_fiber, ss_conn *c; struct server * s;)
{
	ss_auto_conn c = self->c;
	struct message *m = malloc(sizeof(*m));
	unsigned char b[1024], head[2];

	while (ss_await(ss_input_read_exactly(ss_conn_input(c), head, 2)).i == 2) {
		size_t n = (size_t)head[0] << 8 | head[1];

		if (n > sizeof(b) ||
		    ss_await(ss_input_read_exactly(ss_conn_input(c), b, n)).i != (int64_t)n)
			break;
		n = reply(self->s, b, n, true, m);
		head[0] = (unsigned char)(n >> 8);
		head[1] = (unsigned char)n;
		/* In pieces: the resolver has to put them together. */
		ss_await(ss_output_write(ss_conn_output(c), head, 1));
		ss_await(ss_output_drain(ss_conn_output(c)));
		ss_await(ss_sleep(SS_MSEC));
		ss_await(ss_output_write(ss_conn_output(c), head + 1, 1));
		ss_await(ss_output_write(ss_conn_output(c), m->b, n / 2));
		ss_await(ss_output_drain(ss_conn_output(c)));
		ss_await(ss_sleep(SS_MSEC));
		ss_await(ss_output_write(ss_conn_output(c), m->b + n / 2, n - n / 2));
		ss_await(ss_output_drain(ss_conn_output(c)));
	}
	free(m);
	return 0;
}

static ss_future tcp_serve(ss_conn *c, void *arg)
{
	return ss_async(tcp_fiber, c, arg);
}

static int64_t server_start(struct server *s, ss_future *f)
{
	ss_addr any = ss_addr_loopback(0);
	ss_listener *l;

	memset(s, 0, sizeof(*s));
	/* TCP and UDP on one port. */
	l = SS_TRY_PTR(ss_listen(&any, &(ss_listen_opts){.one_shard = true}));
	ss_listener_addr(l, &s->addr);
	ss_server_start(&s->tcp, l, tcp_serve, s);
	s->udp = SS_TRY_PTR(ss_udp_open(&s->addr, &(ss_listen_opts){.one_shard = true}));
	ss_addr_format(&s->addr, s->text, sizeof(s->text));
	*f = ss_async(udp_fiber, s);
	return 0;
}

static void server_stop(struct server *s, ss_future f)
{
	s->stopping = true;
	ss_udp_close(s->udp);
	ss_await(f);
	ss_await(ss_server_stop(&s->tcp));
}

static bool has(const ss_dns_addrs *a, const char *text)
{
	char b[64];

	for (size_t i = 0; i < a->n; i++)
		if (is(ss_addr_format(&a->v[i], b, sizeof(b)), text))
			return true;
	return false;
}

SS_TEST(dns_lookups)
{
	struct server s;
	ss_future f;
	ss_dns *d;
	ss_dns_addrs a;
	ss_dns_services v;
	ss_addr addr;
	ss_result r;
	char *name;

	SS_REQUIRE(server_start(&s, &f) == 0);
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text, .no_hosts = true}, &d) == 0);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "a.test", 80, AF_INET, NULL, &a)) == 2);
	SS_CHECK(has(&a, "10.0.0.1:80") && has(&a, "10.0.0.2:80"));
	ss_dns_addrs_free(&a);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "six.test", 80, AF_INET6, NULL, &a)) == 1);
	SS_CHECK(has(&a, "[fd00::6]:80"));
	ss_dns_addrs_free(&a);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "both.test", 1, AF_UNSPEC, NULL, &a)) == 2);
	SS_CHECK(has(&a, "10.0.0.3:1") && has(&a, "[fd00::3]:1"));
	ss_dns_addrs_free(&a);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "alias.test", 1, AF_INET, NULL, &a)) >= 1);
	SS_CHECK(has(&a, "10.0.0.3:1"));
	ss_dns_addrs_free(&a);
	/* Numbers need no server. */
	s.asked = 0;
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "192.0.2.7", 9, AF_UNSPEC, NULL, &a)) == 1);
	SS_CHECK(has(&a, "192.0.2.7:9") && s.asked == 0);
	ss_dns_addrs_free(&a);
	SS_CHECK(ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET6, NULL, &a)).err == -ENODATA);
	r = ss_await(ss_dns_lookup(d, "none.test", 1, AF_INET, NULL, &a));
	SS_CHECK(r.err == -ENOENT && r.msg && !a.v);
	SS_CHECK(
	    ss_await(ss_dns_lookup(d, "fail.test", 1, AF_INET, NULL, &a)).err == -ECONNREFUSED);
	SS_CHECK(ss_await(ss_dns_lookup(d, "::1", 1, AF_INET, NULL, &a)).err == -ENODATA);
	SS_CHECK(
	    ss_await(ss_dns_lookup(d, "refused.test", 1, AF_INET, NULL, &a)).err == -ECONNREFUSED);
	SS_CHECK(ss_await(ss_dns_lookup(d, "", 1, AF_INET, NULL, &a)).err == -EINVAL);
	SS_CHECK(ss_await(ss_dns_lookup(d, "a..test", 1, AF_INET, NULL, &a)).err == -EINVAL);
	SS_CHECK(ss_await(ss_dns_lookup(d, "a.test", 1, AF_UNIX, NULL, &a)).err == -EAFNOSUPPORT);
	/* SRV, sorted. */
	SS_CHECK(SS_TRY(ss_dns_srv(d, "_x._tcp.test", NULL, &v)) == 3);
	SS_CHECK(is(v.v[0].host, "first.test") && v.v[0].port == 81);
	SS_CHECK(is(v.v[1].host, "second.test") && is(v.v[2].host, "last.test"));
	SS_CHECK(v.v[2].priority == 20 && v.v[0].weight == 9);
	ss_dns_services_free(&v);
	SS_CHECK(ss_await(ss_dns_srv(d, "_y._tcp.test", NULL, &v)).err == -ENOENT);
	/* Backwards. */
	ss_addr_parse(&addr, "10.0.0.7", 0);
	name = SS_TRY_PTR(ss_dns_reverse(d, &addr, NULL));
	SS_CHECK(is(name, "seven.test"));
	ss_free(name);
	ss_addr_parse(&addr, "10.0.0.8", 0);
	SS_CHECK(ss_await(ss_dns_reverse(d, &addr, NULL)).err == -ENOENT);
	SS_CHECK(ss_dns_pending(d) == 0);
	ss_dns_free(d);
	/* A domain to append. */
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text,
				  .no_hosts = true,
				  .domains = "other.test,domain.test"},
		       &d) == 0);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "host", 1, AF_INET, NULL, &a)) == 1);
	SS_CHECK(has(&a, "10.0.0.9:1"));
	ss_dns_addrs_free(&a);
	ss_dns_free(d);
	server_stop(&s, f);
	return 0;
}

SS_TEST(dns_tcp)
{
	struct server s;
	ss_future f;
	ss_dns *d;
	ss_dns_addrs a;

	SS_REQUIRE(server_start(&s, &f) == 0);
	/* Truncated: asked again over TCP. */
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text, .no_hosts = true}, &d) == 0);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "big.test", 1, AF_INET, NULL, &a)) == 100);
	SS_CHECK(has(&a, "10.1.0.99:1") && s.asked_tcp == 1 && s.asked == 2);
	ss_dns_addrs_free(&a);
	ss_dns_free(d);
	SS_REQUIRE(
	    ss_dns_new(&(ss_dns_opts){.servers = s.text, .no_hosts = true, .tcp = true}, &d) == 0);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "both.test", 1, AF_UNSPEC, NULL, &a)) == 2);
	SS_CHECK(s.asked_tcp == 3 && s.asked == 4);
	ss_dns_addrs_free(&a);
	ss_dns_free(d);
	server_stop(&s, f);
	return 0;
}

SS_FIBER(look, ss_dns *d; const char *name;)
{
	ss_dns_addrs a;
	ss_result r = ss_await(ss_dns_lookup(self->d, self->name, 1, AF_INET, NULL, &a));

	ss_dns_addrs_free(&a);
	return r.err;
}

SS_TEST(dns_many)
{
	static const char *const names[] = {"a.test", "both.test", "none.test", "alias.test"};
	struct server s;
	ss_future f, fs[100];
	ss_result rs[100];
	ss_dns *d;

	SS_REQUIRE(server_start(&s, &f) == 0);
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text, .no_hosts = true}, &d) == 0);
	for (int i = 0; i < 100; i++)
		fs[i] = ss_async(look, d, names[i % 4]);
	SS_TRY(ss_when_all(fs, 100, rs));
	for (int i = 0; i < 100; i++)
		SS_CHECK(rs[i].err == (i % 4 == 2 ? -ENOENT : 0));
	ss_dns_free(d);
	server_stop(&s, f);
	return 0;
}

SS_TEST(dns_limits)
{
	ss_dns_limits late = {.timeout_ns = 20 * SS_MSEC}, ab = {0};
	ss_abort as = {0};
	struct server s;
	ss_future f, q;
	ss_dns *d;
	ss_dns_addrs a;
	ss_result r;

	SS_REQUIRE(server_start(&s, &f) == 0);
	s.silent = true;
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text, .no_hosts = true}, &d) == 0);
	r = ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET, &late, &a));
	SS_CHECK(r.err == -ETIMEDOUT && r.msg);
	ab.abort = &as;
	q = ss_dns_lookup(d, "a.test", 1, AF_INET, &ab, &a);
	ss_await(ss_sleep(SS_MSEC));
	ss_abort_request(&as, 0);
	SS_CHECK(ss_await(q).err == -ECANCELED);
	SS_CHECK(ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET, &ab, &a)).err == -ECANCELED);
	SS_CHECK(ss_dns_pending(d) == 0);
	/* The end of the resolver ends what it does. */
	q = ss_dns_lookup(d, "a.test", 1, AF_INET, NULL, &a);
	SS_CHECK(ss_dns_pending(d) == 1);
	ss_dns_free(d);
	SS_CHECK(ss_await(q).err == -ECANCELED);
	/* The resolver's own patience. */
	SS_REQUIRE(
	    ss_dns_new(
		&(ss_dns_opts){.servers = s.text, .no_hosts = true, .try_ms = 10, .tries = 2},
		&d) == 0);
	s.asked = 0;
	SS_CHECK(ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET, NULL, &a)).err == -ETIMEDOUT);
	SS_CHECK(s.asked >= 2);
	s.silent = false;
	s.garbage = true;
	r = ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET, NULL, &a));
	SS_CHECK(r.err && r.err != -ETIMEDOUT && !a.v);
	ss_dns_free(d);
	server_stop(&s, f);
	/* Nobody there. */
	SS_REQUIRE(
	    ss_dns_new(
		&(ss_dns_opts){.servers = s.text, .no_hosts = true, .try_ms = 50, .tries = 2},
		&d) == 0);
	SS_CHECK(ss_await(ss_dns_lookup(d, "a.test", 1, AF_INET, NULL, &a)).err == -ECONNREFUSED);
	ss_dns_free(d);
	SS_CHECK(ss_dns_new(&(ss_dns_opts){.servers = "not an address"}, &d) == -EINVAL);
	return 0;
}

/* /etc/hosts knows localhost; no server is asked. */
SS_TEST(dns_hosts)
{
	struct server s;
	ss_future f;
	ss_dns *d;
	ss_dns_addrs a;

	SS_REQUIRE(server_start(&s, &f) == 0);
	SS_REQUIRE(ss_dns_new(&(ss_dns_opts){.servers = s.text}, &d) == 0);
	SS_CHECK(SS_TRY(ss_dns_lookup(d, "localhost", 80, AF_INET, NULL, &a)) >= 1);
	SS_CHECK(has(&a, "127.0.0.1:80") && s.asked == 0);
	ss_dns_addrs_free(&a);
	ss_dns_free(d);
	server_stop(&s, f);
	return 0;
}

static const struct ss_test tests[] = {
    {"dns_lookups", dns_lookups},
    {"dns_tcp", dns_tcp},
    {"dns_tcp, io_uring", dns_tcp, "-c1 --reactor-backend=io_uring", .once = true},
    {"dns_tcp, epoll", dns_tcp, "-c1 --reactor-backend=epoll", .once = true},
    {"dns_many", dns_many},
    {"dns_limits", dns_limits},
    {"dns_hosts", dns_hosts},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
