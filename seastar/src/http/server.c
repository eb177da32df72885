/* SPDX-License-Identifier: BSD-3-Clause */
/* The HTTP server as an object: options, routes, listeners, stop. */
#include "conn.h"

#include <stdio.h>

#define SWEEP_MIN (10 * SS_MSEC)
#define SWEEP_MAX SS_SEC

static uint64_t or_else(uint64_t v, uint64_t def)
{
	return v ? v : def;
}

static void set_options(ss_http_server *s, const ss_http_server_opts *o)
{
	uint64_t least;

	if (o)
		s->o = *o;
	s->o.max_head = or_else(s->o.max_head, 16384);
	s->o.max_fields = s->o.max_fields ? s->o.max_fields : 100;
	s->o.max_body = or_else(s->o.max_body, 16 << 20);
	s->o.idle_ns = or_else(s->o.idle_ns, 60 * SS_SEC);
	s->o.head_ns = or_else(s->o.head_ns, 20 * SS_SEC);
	s->o.body_ns = or_else(s->o.body_ns, 30 * SS_SEC);
	s->o.write_ns = or_else(s->o.write_ns, 60 * SS_SEC);
	s->o.stop_ns = or_else(s->o.stop_ns, 10 * SS_SEC);
	least = s->o.idle_ns;
	least = s->o.head_ns < least ? s->o.head_ns : least;
	least = s->o.body_ns < least ? s->o.body_ns : least;
	least = s->o.write_ns < least ? s->o.write_ns : least;
	least = s->o.stop_ns < least ? s->o.stop_ns : least;
	s->sweep_ns = least / 8;
	if (s->sweep_ns < SWEEP_MIN)
		s->sweep_ns = SWEEP_MIN;
	if (s->sweep_ns > SWEEP_MAX)
		s->sweep_ns = SWEEP_MAX;
	if (!s->o.name)
		s->o.name = "seastar";
	if (*s->o.name)
		s->n_server_field = (size_t)snprintf(
		    s->server_field, sizeof(s->server_field), "Server: %.48s\r\n", s->o.name);
}

ss_http_server *ss_http_server_new(const ss_http_server_opts *opts)
{
	ss_http_server *s = ss_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->root = http_node_new();
	if (!s->root) {
		ss_free(s);
		return NULL;
	}
	set_options(s, opts);
	ss_timer_init(&s->sweep, http_conns_sweep);
	return s;
}

int ss_http_route(
    ss_http_server *s, const char *method, const char *pattern, ss_http_handler handler, void *arg)
{
	return http_node_add(s->root, method, pattern, handler, arg);
}

int ss_http_use(ss_http_server *s, ss_http_handler fn, void *arg)
{
	struct middleware *v = ss_realloc(s->mw, (s->n_mw + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	s->mw = v;
	v[s->n_mw++] = (struct middleware){fn, arg};
	return 0;
}

/* Listeners */

static ss_future serve(ss_conn *c, void *arg)
{
	return ss_http_server_serve(arg, c);
}

int ss_http_server_add(ss_http_server *s, ss_listener *l)
{
	struct hlistener *h = ss_zalloc(sizeof(*h));

	if (!h) {
		ss_listener_close(l);
		return -ENOMEM;
	}
	h->server.max_connections = s->o.max_connections;
	ss_server_start(&h->server, l, serve, s);
	h->next = s->listeners;
	s->listeners = h;
	return 0;
}

SS_CONT(listening, ss_http_server *s;)
{
	ss_addr a;
	int err;

	ss_listener_addr(r.p, &a);
	err = ss_http_server_add(self->s, r.p);
	return err ? ss_fail(err) : ss_ok(ss_addr_port(&a));
}

ss_future ss_http_server_listen(ss_http_server *s, const ss_addr *a, const ss_listen_opts *opts)
{
	ss_listen_opts lo = {.reuse_address = true};

	return ss_then(ss_listen(a, opts ? opts : &lo), listening, s);
}

/* Stopping */

static void server_free(ss_http_server *s)
{
	http_ex_pool_free(s);
	http_node_free(s->root);
	http_files_free(s->files);
	ss_free(s->mw);
	ss_free(s);
}

SS_CONT(all_gone, ss_http_server *s;)
{
	server_free(self->s);
	return ss_ok(0);
}

static ss_future stop_next(ss_http_server *s);

SS_CONT(listener_stopped, ss_http_server *s; struct hlistener * h;)
{
	ss_free(self->h);
	return stop_next(self->s);
}

/* Wait for one listener's connections after another, then for those that came another way. */
static ss_future stop_next(ss_http_server *s)
{
	struct hlistener *h = s->listeners;

	if (!h)
		return ss_then_wrapped(ss_gate_close(&s->gate), all_gone, s);
	s->listeners = h->next;
	return ss_then_wrapped(h->stopped, listener_stopped, s, h);
}

ss_future ss_http_server_stop(ss_http_server *s)
{
	s->stopping = true;
	s->stop_deadline = ss_now() + s->o.stop_ns;
	for (struct hlistener *h = s->listeners; h; h = h->next)
		h->stopped = ss_server_stop(&h->server);
	http_conns_stop_idle(s);
	return stop_next(s);
}

void ss_http_server_stats(const ss_http_server *s, struct ss_http_stats *out)
{
	*out = s->stats;
	out->open = s->n_conns;
	out->rejected = 0;
	for (const struct hlistener *h = s->listeners; h; h = h->next)
		out->rejected += h->server.rejected;
}
