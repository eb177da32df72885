/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine costs: two instances joined by memory, one thread, no copies on the wire; beside
 * it Linux's TCP over its loopback, also with both ends in one thread. Rounds alternate; medians
 * are printed. The comparison is informative: Linux's figures contain system calls and socket
 * layer, the engine's do not; the engine's contain checksums only where said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hoststack.h"

#define ROUNDS 5

/* ---- two instances ---- */

struct end {
	struct hs_stack s; /* first */
	struct end *peer;
	struct ns_pktq in;
	uint32_t ifindex;
	uint64_t frames;
};

static uint64_t wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t end_clock(struct hs_stack *s)
{
	(void)s;
	return wall();
}

static void end_xmit(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *p)
{
	struct end *e = (struct end *)s;

	(void)ifindex;
	e->frames++;
	ns_pktq_push(&e->peer->in, p);
}

static void pair_init(struct end e[2], uint32_t flags)
{
	for (int i = 0; i < 2; i++) {
		memset(&e[i], 0, sizeof e[i]);
		ns_pktq_init(&e[i].in);
	}
	for (int i = 0; i < 2; i++) {
		uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(i + 1)};
		struct ns_addr a = ns_ip4(10, 0, 0, (uint8_t)(i + 1));

		e[i].peer = &e[!i];
		e[i].s.clock = end_clock;
		e[i].s.xmit = end_xmit;
		if (hs_init(&e[i].s, NULL, (uint64_t)i + 1))
			abort();
		e[i].ifindex = (uint32_t)ns_if_add(
		    e[i].s.ns, "mem0", mac, 1500, flags | NS_IF_UP | NS_IF_NO_V6);
		ns_if_addr_add(e[i].s.ns, e[i].ifindex, &a, 24, NS_ORIGIN_STATIC);
	}
}

/* A driver's poll round on one side: coalesce, deliver, run. */
static void turn(struct end *e, bool gro)
{
	struct ns_gro g = {0};
	struct ns_flow flow;
	struct ns_pkt *p;

	while ((p = ns_pktq_pop(&e->in))) {
		p->ifindex = e->ifindex;
		p->l3_off = p->l4_off = 0;
		if (gro && ns_classify(p, &flow) == NS_CLASS_TCP) {
			p = ns_gro_receive(&g, p, &flow);
			while (p) {
				struct ns_pkt *next = p->next;

				p->next = NULL;
				ns_input(e->s.ns, p);
				p = next;
			}
		} else {
			ns_input(e->s.ns, p);
		}
	}
	while (gro && (p = ns_gro_flush(&g, &flow)))
		ns_input(e->s.ns, p);
	hs_poll(&e->s);
}

static struct hs_conn *server_conn;

static void on_accept(struct hs_listener *l, struct hs_conn *c)
{
	(void)l;
	server_conn = c;
	ns_tcp_setopt(&c->tcp, NS_OPT_NODELAY, 1);
}

static struct hs_conn *open_pair(struct end e[2], struct hs_listener *l)
{
	struct ns_addr to = ns_ip4(10, 0, 0, 2);
	struct hs_conn *c;

	server_conn = NULL;
	if (!l->l.listed) {
		l->on_accept = on_accept;
		if (hs_listen(&e[1].s, l, 80))
			abort();
	}
	c = hs_connect(&e[0].s, &to, 80, NULL, NULL, NULL);
	if (!c)
		abort();
	ns_tcp_setopt(&c->tcp, NS_OPT_NODELAY, 1);
	while (!server_conn || ns_tcp_get_state(&c->tcp) != NS_TCP_ESTABLISHED) {
		turn(&e[1], false);
		turn(&e[0], false);
	}
	return c;
}

static void pair_free(struct end e[2])
{
	for (int i = 0; i < 2; i++) {
		struct ns_pkt *p;

		while ((p = ns_pktq_pop(&e[i].in)))
			ns_pkt_put(p);
	}
	hs_free(&e[0].s);
	hs_free(&e[1].s);
}

/* CPU ns per 1448-byte segment, both ends together, copies into and out of buffers included. */
static double engine_bulk(uint32_t flags, bool gro, uint64_t bytes)
{
	static struct end e[2];
	static uint8_t buf[65536];
	struct hs_listener l = {0};
	uint64_t sent = 0, got = 0, t;
	struct hs_conn *c;

	pair_init(e, flags);
	c = open_pair(e, &l);
	t = cpu();
	while (got < bytes) {
		int64_t n;

		while (sent < bytes && (n = ns_tcp_send(&c->tcp, buf, sizeof buf, 0)) > 0)
			sent += (uint64_t)n;
		turn(&e[1], gro);
		while ((n = ns_tcp_recv(&server_conn->tcp, buf, sizeof buf, 0)) > 0)
			got += (uint64_t)n;
		turn(&e[0], gro);
	}
	t = cpu() - t;
	pair_free(e);
	return (double)t / ((double)bytes / 1448);
}

/* CPU ns per 1-byte request and response, both ends. */
static double engine_rr(uint64_t count)
{
	static struct end e[2];
	struct hs_listener l = {0};
	uint8_t b = 1;
	uint64_t t;
	struct hs_conn *c;

	pair_init(e, NS_IF_CSUM | NS_IF_TSO4);
	c = open_pair(e, &l);
	t = cpu();
	for (uint64_t i = 0; i < count; i++) {
		ns_tcp_send(&c->tcp, &b, 1, 0);
		do
			turn(&e[1], false);
		while (ns_tcp_recv(&server_conn->tcp, &b, 1, 0) != 1);
		ns_tcp_send(&server_conn->tcp, &b, 1, 0);
		do
			turn(&e[0], false);
		while (ns_tcp_recv(&c->tcp, &b, 1, 0) != 1);
	}
	t = cpu() - t;
	pair_free(e);
	return (double)t / (double)count;
}

static double engine_connect(uint64_t count)
{
	static struct end e[2];
	struct hs_listener l = {0};
	uint64_t t;

	pair_init(e, NS_IF_CSUM | NS_IF_TSO4);
	t = cpu();
	for (uint64_t i = 0; i < count; i++) {
		struct hs_conn *c = open_pair(e, &l);

		hs_abort(c);
		hs_poll(&e[0].s);
		turn(&e[1], false);
		hs_abort(server_conn);
		hs_poll(&e[1].s);
		turn(&e[0], false);
	}
	t = cpu() - t;
	pair_free(e);
	return (double)t / (double)count;
}

/* ---- Linux's loopback ---- */

static int tcp_listener(struct sockaddr_in *a)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof *a;

	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (l < 0 || bind(l, (struct sockaddr *)a, sizeof *a) || listen(l, 100) ||
	    getsockname(l, (struct sockaddr *)a, &n)) {
		perror("bench_netstack: loopback listener");
		exit(1);
	}
	return l;
}

static void tcp_pair(int l, const struct sockaddr_in *a, int s[2])
{
	int one = 1;

	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (s[0] < 0 || connect(s[0], (const struct sockaddr *)a, sizeof *a) ||
	    (s[1] = accept(l, NULL, NULL)) < 0) {
		perror("bench_netstack: loopback connection");
		exit(1);
	}
	for (int i = 0; i < 2; i++)
		setsockopt(s[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static double linux_bulk(uint64_t bytes)
{
	static uint8_t buf[65536];
	struct sockaddr_in a;
	int l = tcp_listener(&a), s[2];
	uint64_t sent = 0, got = 0, t;

	tcp_pair(l, &a, s);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	fcntl(s[1], F_SETFL, O_NONBLOCK);
	t = cpu();
	while (got < bytes) {
		ssize_t n;

		while (sent < bytes && (n = write(s[0], buf, sizeof buf)) > 0)
			sent += (uint64_t)n;
		while ((n = read(s[1], buf, sizeof buf)) > 0)
			got += (uint64_t)n;
	}
	t = cpu() - t;
	close(s[0]);
	close(s[1]);
	close(l);
	return (double)t / ((double)bytes / 1448);
}

static double linux_rr(uint64_t count)
{
	struct sockaddr_in a;
	int l = tcp_listener(&a), s[2];
	uint8_t b = 1;
	uint64_t t;

	tcp_pair(l, &a, s);
	t = cpu();
	for (uint64_t i = 0; i < count; i++)
		if (write(s[0], &b, 1) != 1 || read(s[1], &b, 1) != 1 || write(s[1], &b, 1) != 1 ||
		    read(s[0], &b, 1) != 1)
			exit(1);
	t = cpu() - t;
	close(s[0]);
	close(s[1]);
	close(l);
	return (double)t / (double)count;
}

static double linux_connect(uint64_t count)
{
	struct sockaddr_in a;
	int l = tcp_listener(&a), s[2];
	struct linger lin = {1, 0};
	uint64_t t = cpu();

	for (uint64_t i = 0; i < count; i++) {
		tcp_pair(l, &a, s);
		setsockopt(s[0], SOL_SOCKET, SO_LINGER, &lin, sizeof lin);
		close(s[0]);
		close(s[1]);
	}
	t = cpu() - t;
	close(l);
	return (double)t / (double)count;
}

/* ---- report ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof *v, by_value);
	return v[ROUNDS / 2];
}

int main(void)
{
	double plain[ROUNDS], gro[ROUNDS], tso[ROUNDS], rr[ROUNDS], conn[ROUNDS];
	double lbulk[ROUNDS], lrr[ROUNDS], lconn[ROUNDS];
	uint64_t bytes = 200u << 20;

	for (int i = 0; i < ROUNDS; i++) {
		plain[i] = engine_bulk(0, false, bytes / 4);
		gro[i] = engine_bulk(NS_IF_CSUM, true, bytes / 2);
		tso[i] = engine_bulk(NS_IF_CSUM | NS_IF_TSO4, false, bytes);
		lbulk[i] = linux_bulk(bytes);
		rr[i] = engine_rr(50000);
		lrr[i] = linux_rr(50000);
		conn[i] = engine_connect(5000);
		lconn[i] = linux_connect(2000);
	}
	printf("CPU ns, both ends together, median of %d alternating rounds\n", ROUNDS);
	printf("bulk, per 1448 bytes:  engine %6.0f (software checksum, one segment at a time)\n",
	    median(plain));
	printf("                       engine %6.0f (checksum offload, coalesced on receive)\n",
	    median(gro));
	printf("                       engine %6.0f (64 KiB segments by TSO)\n", median(tso));
	printf("                       Linux  %6.0f (loopback, 64 KiB segments, system calls)\n",
	    median(lbulk));
	printf("1-byte request+reply:  engine %6.0f   Linux loopback %6.0f\n", median(rr),
	    median(lrr));
	printf("connect and reset:     engine %6.0f   Linux loopback %6.0f\n", median(conn),
	    median(lconn));
	return 0;
}
