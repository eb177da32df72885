/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ns-tap: the engine on a tap device, as server (echo, sink, source) or client, with loss,
 * reordering, duplication, corruption and delay injected between it and the device. Used by the
 * interoperability tests against Linux's TCP and by hand.
 *
 * Stream contents are checked: byte i of a stream is pattern(i), in both directions.
 */
#include "tap.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mode { MODE_NONE, MODE_ECHO, MODE_SINK, MODE_SOURCE };

struct peer {
	uint64_t sent, received, to_send, to_receive;
	struct peer *next;
	bool echo, bad, shut, eof, connected;
	uint8_t hold[65536];
	size_t held;
	int *result; /* client: set when finished */
};

struct server {
	struct hs_listener l;
	enum mode mode;
	uint64_t bytes;
};

static volatile sig_atomic_t stop;

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)((i * 131 + (i >> 8) * 17 + (i >> 16)) & 0xff);
}

/* ---- connection callbacks ---- */

static void finish(struct hs_conn *c, struct peer *p, int err)
{
	if (p->result) {
		struct ns_tcp_info i;

		ns_tcp_get_info(&c->tcp, &i);
		fprintf(stderr,
		    "ns-tap: sent %llu received %llu%s, %u retransmitted, rtt %u us, cwnd %u%s%s\n",
		    (unsigned long long)p->sent, (unsigned long long)p->received,
		    p->bad ? " (BAD)" : "", i.total_retrans, i.rtt_us, i.snd_cwnd,
		    err ? ", error " : "", err ? strerror(err) : "");
		*p->result =
		    err || p->bad || p->received != p->to_receive || p->sent != p->to_send ? 1 : 0;
	}
	c->user = NULL;
	free(p);
	hs_close(c);
}

static void do_echo(struct hs_conn *c, struct peer *p)
{
	for (;;) {
		int64_t n;

		if (p->held) {
			n = ns_tcp_send(&c->tcp, p->hold, p->held, 0);
			if (n <= 0)
				return;
			memmove(p->hold, p->hold + n, p->held - (size_t)n);
			p->held -= (size_t)n;
			if (p->held)
				return;
		}
		n = ns_tcp_recv(&c->tcp, p->hold, sizeof p->hold, 0);
		if (n == 0 && !p->shut) {
			p->shut = p->eof = true;
			ns_tcp_shutdown(&c->tcp, NS_SHUT_WR);
		}
		if (n <= 0)
			return;
		p->held = (size_t)n;
	}
}

static void do_receive(struct hs_conn *c, struct peer *p)
{
	uint8_t buf[65536];
	int64_t n;

	while ((n = ns_tcp_recv(&c->tcp, buf, sizeof buf, 0)) > 0) {
		for (int64_t i = 0; i < n; i++)
			p->bad |= buf[i] != pattern(p->received + (uint64_t)i);
		p->received += (uint64_t)n;
	}
	if (n == 0)
		p->eof = true;
}

static void do_send(struct hs_conn *c, struct peer *p)
{
	uint8_t buf[32768];

	while (p->sent < p->to_send) {
		size_t n = sizeof buf;
		int64_t r;

		if (n > p->to_send - p->sent)
			n = (size_t)(p->to_send - p->sent);
		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(p->sent + i);
		r = ns_tcp_send(&c->tcp, buf, n, 0);
		if (r <= 0)
			return;
		p->sent += (uint64_t)r;
	}
	if (!p->shut) {
		p->shut = true;
		ns_tcp_shutdown(&c->tcp, NS_SHUT_WR);
	}
}

static void on_events(struct hs_conn *c, uint32_t events)
{
	struct peer *p = c->user;

	if (!p)
		return;
	if (events & NS_EV_ERROR) {
		finish(c, p, ns_tcp_take_error(&c->tcp));
		return;
	}
	if (events & NS_EV_WRITABLE)
		p->connected = true;
	if (p->echo) {
		do_echo(c, p);
	} else {
		do_receive(c, p);
		if (p->connected)
			do_send(c, p);
	}
	if ((events & NS_EV_CLOSED) || (p->eof && p->shut && !p->result) ||
	    ns_tcp_get_state(&c->tcp) == NS_TCP_TIME_WAIT)
		finish(c, p, 0);
}

static void on_accept(struct hs_listener *l, struct hs_conn *c)
{
	struct server *s = (struct server *)l;
	struct peer *p = calloc(1, sizeof *p);

	if (!p)
		return;
	p->echo = s->mode == MODE_ECHO;
	p->to_send = s->mode == MODE_SOURCE ? s->bytes : 0;
	c->cb = on_events;
	c->user = p;
}

/* ---- command line ---- */

static void usage(void)
{
	fprintf(stderr,
	    "usage: ns-tap --dev NAME --addr A/PLEN [--addr A/PLEN] [options]\n"
	    "  --mac XX:..:XX  --mtu N  --offload  --gateway A\n"
	    "  --loss PPM --dup PPM --reorder PPM --corrupt PPM --delay-ms N --seed N\n"
	    "  --echo PORT  --sink PORT  --source PORT:BYTES\n"
	    "  --connect ADDR,PORT,SEND,RECEIVE   client: exit status 0 when all bytes were right\n"
	    "  --congestion NAME  --timeout S\n");
	exit(2);
}

static unsigned long number(const char *what, const char *text, unsigned long max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > max) {
		fprintf(stderr, "ns-tap: %s: '%s' is not a number up to %lu\n", what, text, max);
		exit(2);
	}
	return v;
}

static struct ns_addr address(const char *text)
{
	struct ns_addr a;

	if (ns_addr_parse(text, &a)) {
		fprintf(stderr, "ns-tap: '%s' is not an IP address\n", text);
		exit(2);
	}
	return a;
}

struct config {
	const char *dev, *addrs[4], *gateway, *connect, *congestion;
	int naddrs;
	uint8_t mac[6];
	uint32_t mtu;
	bool offload;
	unsigned timeout;
	struct server servers[8];
	int nservers;
};

static void add_server(struct config *c, enum mode mode, char *arg)
{
	struct server *s = &c->servers[c->nservers++];
	char *colon = strchr(arg, ':');

	if (c->nservers > 8)
		usage();
	s->mode = mode;
	if (colon) {
		*colon = '\0';
		s->bytes = number("bytes", colon + 1, ~0ul);
	}
	s->l.l.bind.port = 0;
	s->l.user = (void *)number("port", arg, 65535);
}

static void add_address(struct tap *t, const char *arg)
{
	char text[64];
	char *slash;
	int r;
	struct ns_addr a;

	snprintf(text, sizeof text, "%s", arg);
	slash = strchr(text, '/');
	if (!slash)
		usage();
	*slash = '\0';
	a = address(text);
	r = ns_if_addr_add(t->s.ns, t->ifindex, &a,
	    (uint8_t)number("prefix length", slash + 1, 128), NS_ORIGIN_STATIC);
	if (r) {
		fprintf(stderr, "ns-tap: address %s: %s\n", arg, strerror(-r));
		exit(2);
	}
}

static void parse(int argc, char **argv, struct config *c, struct tap *t)
{
	static const struct option opts[] = {{"dev", 1, 0, 'd'}, {"addr", 1, 0, 'a'},
	    {"mac", 1, 0, 'm'}, {"mtu", 1, 0, 'u'}, {"offload", 0, 0, 'o'}, {"gateway", 1, 0, 'g'},
	    {"loss", 1, 0, 'l'}, {"dup", 1, 0, 'D'}, {"reorder", 1, 0, 'r'}, {"corrupt", 1, 0, 'c'},
	    {"delay-ms", 1, 0, 'y'}, {"seed", 1, 0, 's'}, {"echo", 1, 0, 'E'}, {"sink", 1, 0, 'S'},
	    {"source", 1, 0, 'O'}, {"connect", 1, 0, 'C'}, {"congestion", 1, 0, 'G'},
	    {"timeout", 1, 0, 't'}, {0}};
	int o;

	while ((o = getopt_long(argc, argv, "", opts, NULL)) >= 0) {
		switch (o) {
		case 'd':
			c->dev = optarg;
			break;
		case 'a':
			if (c->naddrs == 4)
				usage();
			c->addrs[c->naddrs++] = optarg;
			break;
		case 'm':
			if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &c->mac[0], &c->mac[1],
				&c->mac[2], &c->mac[3], &c->mac[4], &c->mac[5]) != 6)
				usage();
			break;
		case 'u':
			c->mtu = (uint32_t)number("mtu", optarg, 65535);
			break;
		case 'o':
			c->offload = true;
			break;
		case 'g':
			c->gateway = optarg;
			break;
		case 'l':
			t->imp.loss = (uint32_t)number("loss", optarg, 1000000);
			break;
		case 'D':
			t->imp.duplicate = (uint32_t)number("dup", optarg, 1000000);
			break;
		case 'r':
			t->imp.reorder = (uint32_t)number("reorder", optarg, 1000000);
			break;
		case 'c':
			t->imp.corrupt = (uint32_t)number("corrupt", optarg, 1000000);
			break;
		case 'y':
			t->imp.delay_ns = number("delay-ms", optarg, 10000) * 1000000ull;
			break;
		case 's':
			t->rng = number("seed", optarg, ~0ul);
			break;
		case 'E':
			add_server(c, MODE_ECHO, optarg);
			break;
		case 'S':
			add_server(c, MODE_SINK, optarg);
			break;
		case 'O':
			add_server(c, MODE_SOURCE, optarg);
			break;
		case 'C':
			c->connect = optarg;
			break;
		case 'G':
			c->congestion = optarg;
			break;
		case 't':
			c->timeout = (unsigned)number("timeout", optarg, 100000);
			break;
		default:
			usage();
		}
	}
	if (!c->dev || !c->naddrs || optind != argc)
		usage();
}

static struct hs_conn *open_client(struct tap *t, const struct config *c, int *result)
{
	char text[64], *save = NULL;
	struct peer *p = calloc(1, sizeof *p);
	struct hs_conn *conn = hs_conn_new(&t->s);
	struct ns_addr to;
	unsigned long port;
	char *f[4];
	int r;

	snprintf(text, sizeof text, "%s", c->connect);
	for (int i = 0; i < 4; i++)
		if (!(f[i] = strtok_r(i ? NULL : text, ",", &save)))
			usage();
	if (!p || !conn)
		exit(1);
	to = address(f[0]);
	port = number("port", f[1], 65535);
	p->to_send = number("bytes to send", f[2], ~0ul);
	p->to_receive = number("bytes to receive", f[3], ~0ul);
	p->result = result;
	conn->cb = on_events;
	conn->user = p;
	if (c->congestion && ns_tcp_set_congestion(&conn->tcp, c->congestion)) {
		fprintf(stderr, "ns-tap: no congestion control named %s\n", c->congestion);
		exit(2);
	}
	r = hs_conn_open(conn, &to, (uint16_t)port, 0);
	if (r) {
		fprintf(stderr, "ns-tap: connect: %s\n", strerror(-r));
		exit(1);
	}
	return conn;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void settle(struct tap *t, uint64_t ns)
{
	uint64_t end = t->s.clock(&t->s) + ns;

	while (t->s.clock(&t->s) < end && !stop)
		tap_poll(t, 20);
}

int main(int argc, char **argv)
{
	static struct tap t;
	static struct config c = {.mac = {2, 0, 0, 0xca, 0xfe, 1}, .mtu = 1500};
	int r, result = -1;
	uint64_t end;

	t.rng = 1;
	parse(argc, argv, &c, &t);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	r = tap_open(&t, c.dev, c.offload);
	if (r) {
		fprintf(stderr, "ns-tap: %s: %s\n", c.dev, strerror(-r));
		return 1;
	}
	if (tap_attach(&t, c.mac, c.mtu))
		return 1;
	t.s.verbose = true;
	for (int i = 0; i < c.naddrs; i++)
		add_address(&t, c.addrs[i]);
	if (c.gateway) {
		struct ns_route route = {.gateway = address(c.gateway), .ifindex = t.ifindex};

		route.v6 = !ns_addr_is_v4(&route.gateway);
		r = ns_route_add(t.s.ns, &route);
		if (r)
			fprintf(stderr, "ns-tap: gateway: %s\n", strerror(-r));
	}
	for (int i = 0; i < c.nservers; i++) {
		struct server *s = &c.servers[i];

		s->l.l.bind.v6 = 1;
		s->l.on_accept = on_accept;
		r = hs_listen(&t.s, &s->l, (uint16_t)(uintptr_t)s->l.user);
		if (r) {
			fprintf(stderr, "ns-tap: listen: %s\n", strerror(-r));
			return 1;
		}
	}
	settle(&t, 1500000000); /* duplicate address detection */
	printf("ready\n");
	fflush(stdout);
	if (c.connect)
		open_client(&t, &c, &result);
	end = t.s.clock(&t.s) + (c.timeout ? c.timeout * 1000000000ull : ~0ull / 2);
	while (!stop && result < 0 && t.s.clock(&t.s) < end)
		tap_poll(&t, 200);
	if (c.connect && result < 0)
		fprintf(stderr, "ns-tap: not finished in time\n");
	settle(&t, c.connect ? 300000000 : 0); /* let the last acknowledgements out */
	fprintf(stderr, "ns-tap: %llu frames in, %llu out, %llu dropped\n",
	    (unsigned long long)t.frames_in, (unsigned long long)t.frames_out,
	    (unsigned long long)t.dropped);
	return c.connect ? (result ? 1 : 0) : 0;
}
