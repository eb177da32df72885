/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's side of RPC. A connection is a fiber that negotiates and then reads frames; calls
 * are handled beside it. A request holds units of the server's memory until its reply was taken by
 * the connection, so a client that does not read its replies stops being read itself. The
 * connection's object goes when its fiber and all its calls have ended.
 */
#include "rpc_impl.h"
#include "shard.h"

#include <seastar/fiber.h>

#define VERBS 64 /* buckets */
#define CALLS 64 /* buckets of a connection */
#define MEMORY (64u << 20)
#define MAX_FRAME (16u << 20)
#define WINDOW (256u << 10)
#define WINDOW_MIN 4096
#define SAY_MAX 5 /* messages in a second */
#define NEGOTIATION (5 * SS_SEC)

struct verb {
	struct verb *next;
	uint32_t number;
	const char *name;
	ss_rpc_handler fn;
	void *arg;
	uint64_t calls, failed;
};

struct ss_rpc {
	struct verb *verbs[VERBS];
};

struct peer;

/* A call being handled. */
struct call {
	ss_rpc_call pub;
	struct peer *peer;
	struct call *next; /* of its bucket */
	uint64_t id;
	int64_t units;
	ss_timer timer;
	bool told; /* to stop */
	ss_rpc_stream stream;
};

/* A connection. */
struct peer {
	struct rpc_link link;
	ss_rpc_server *server;
	struct peer *next, *prev;
	struct call *calls[CALLS];
	uint64_t n_calls;
	ss_sched_group group;
	bool has_group;
	ss_promise idle; /* resolved when the last call has ended, once asked for */
	bool waiting;
	ss_timer limit; /* of the negotiation */
};

struct ss_rpc_server {
	ss_server server;
	ss_rpc *rpc;
	ss_rpc_server_opts opts;
	char compression[64];
	ss_sem memory;
	struct peer *peers;
	uint64_t next_connection;
	bool stopping;
	uint64_t said_since, said, unsaid; /* messages to the log */
	ss_rpc_server_stats stats;
};

/* Verbs */

ss_rpc *ss_rpc_new(void)
{
	return ss_zalloc(sizeof(ss_rpc));
}

static struct verb **find_verb(ss_rpc *rpc, uint32_t number)
{
	struct verb **at = &rpc->verbs[number % VERBS];

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

int ss_rpc_register(ss_rpc *rpc, uint32_t number, const char *name, ss_rpc_handler fn, void *arg)
{
	struct verb **at = find_verb(rpc, number), *v;

	if (*at)
		return -EEXIST;
	v = ss_zalloc(sizeof(*v));
	if (!v)
		return -ENOMEM;
	*v = (struct verb){.number = number, .name = name, .fn = fn, .arg = arg};
	*at = v;
	return 0;
}

int ss_rpc_unregister(ss_rpc *rpc, uint32_t number)
{
	struct verb **at = find_verb(rpc, number), *v = *at;

	if (!v)
		return -ENOENT;
	*at = v->next;
	ss_free(v);
	return 0;
}

int ss_rpc_verb_stats(ss_rpc *rpc, uint32_t number, uint64_t *calls, uint64_t *failed)
{
	struct verb *v = *find_verb(rpc, number);

	if (!v)
		return -ENOENT;
	*calls = v->calls;
	*failed = v->failed;
	return 0;
}

void ss_rpc_free(ss_rpc *rpc)
{
	if (!rpc)
		return;
	for (unsigned i = 0; i < VERBS; i++)
		while (rpc->verbs[i])
			ss_rpc_unregister(rpc, rpc->verbs[i]->number);
	ss_free(rpc);
}

/* Calls */

static struct call **find_call(struct peer *p, uint64_t id)
{
	struct call **at = &p->calls[id % CALLS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void say(struct peer *p, enum ss_log_level level, const char *what, const char *why)
{
	char text[128];
	ss_addr a;

	ss_rpc_server *s = p->server;
	uint64_t now = ss_now_coarse();

	if (level > ss_log_level())
		return;
	/* Whoever connects can cause these: some a second are enough. */
	if (now - s->said_since > SS_SEC) {
		if (s->unsaid)
			ss_log(level, "rpc: %llu more messages", (unsigned long long)s->unsaid);
		s->said_since = now;
		s->said = s->unsaid = 0;
	}
	if (s->said++ >= SAY_MAX) {
		s->unsaid++;
		return;
	}
	ss_conn_peer(p->link.conn, &a);
	ss_log(level, "rpc: connection %llu of %s: %s%s%s", (unsigned long long)p->link.connection,
	    ss_addr_format(&a, text, sizeof(text)), what, why ? ": " : "", why ? why : "");
}

/* Everything of a call is over. */
static void call_free(struct call *c)
{
	struct peer *p = c->peer;

	if (c->units)
		ss_sem_signal(&p->server->memory, c->units);
	p->server->stats.in_progress--;
	p->n_calls--;
	ss_free(c);
	if (p->waiting && !p->n_calls)
		ss_promise_set(&p->idle, 0);
}

SS_CONT(reply_sent, struct call *c;)
{
	call_free(self->c);
	return ss_ok(0);
}

/* What the caller gets: the reply, or the error with its text. */
static ss_future answer(struct call *c, ss_result r)
{
	struct rpc_header h = {.type = RPC_REPLY, .id = c->id};
	ss_buf text = {NULL, 0, NULL};

	if (c->pub.one_way || c->peer->link.dead) {
		ss_buf_release(&c->pub.reply);
		return ss_ok(0);
	}
	if (!r.err) {
		if (c->pub.reply.len <= c->peer->link.max_out)
			return rpc_link_send(&c->peer->link, h, &c->pub.reply);
		r = (ss_result){.msg = "reply is too long", .err = -EMSGSIZE};
	}
	ss_buf_release(&c->pub.reply);
	h.type = RPC_ERROR;
	h.code = (uint32_t)-r.err;
	if (r.msg)
		text = ss_buf_static(r.msg, strnlen(r.msg, RPC_TEXT_MAX));
	return rpc_link_send(&c->peer->link, h, &text);
}

/* The handler is done. */
static ss_future call_end(struct call *c, struct verb *v, ss_result r)
{
	struct peer *p = c->peer;
	struct call **at = find_call(p, c->id);

	if (v) {
		v->calls++;
		v->failed += r.err != 0;
	}
	p->server->stats.calls++;
	p->server->stats.failed += r.err != 0;
	if (c->pub.abort.err)
		p->server->stats.cancelled++;
	ss_timer_cancel(&c->timer);
	if (*at == c)
		*at = c->next;
	if (c->pub.stream) {
		rpc_stream_finish(c->pub.stream, 0);
		rpc_stream_fini(c->pub.stream);
	}
	ss_buf_release(&c->pub.request);
	return ss_then_wrapped(answer(c, r), reply_sent, c);
}

SS_CONT(handled, struct call *c; uint32_t number;)
{
	/* The verb may have been taken back meanwhile. */
	return call_end(self->c, *find_verb(self->c->peer->server->rpc, self->number), r);
}

SS_CONT(run_in_group, struct call *c; ss_rpc_handler fn; void *arg;)
{
	return self->fn(&self->c->pub, self->arg);
}

static void too_late(ss_timer *t)
{
	ss_abort_request(&ss_container_of(t, struct call, timer)->pub.abort, -ETIMEDOUT);
}

static void run(struct call *c)
{
	struct peer *p = c->peer;
	struct verb *v = *find_verb(p->server->rpc, c->pub.verb);
	ss_future f;

	if (!v)
		f = ss_fail_msg(-ENOSYS, "unknown verb");
	else if (p->has_group)
		f = ss_with_sched_group(p->group, run_in_group, c, v->fn, v->arg);
	else
		f = v->fn(&c->pub, v->arg);
	ss_detach(ss_then_wrapped(f, handled, c, c->pub.verb));
}

/* A stream's window is memory, too; not waited for, since its user could be who must give way. */
static int open_stream(struct call *c)
{
	struct peer *p = c->peer;
	int64_t n = p->link.window_in;

	if (ss_sem_available(&p->server->memory) < (int64_t)p->server->opts.memory / 4 ||
	    !ss_sem_try_wait(&p->server->memory, n))
		return -ENOBUFS;
	c->units += n;
	c->pub.stream = &c->stream;
	return rpc_stream_init(&c->stream, &p->link, c->id, p->link.window_out);
}

static int start_call(struct peer *p, const struct rpc_header *h, ss_buf *payload, int64_t units)
{
	struct call *c = *find_call(p, h->id) ? NULL : ss_zalloc(sizeof(*c)), **at;
	int err = 0;

	if (!c) {
		ss_sem_signal(&p->server->memory, units);
		return *find_call(p, h->id) ? -EPROTO : -ENOMEM;
	}
	c->peer = p;
	c->id = h->id;
	c->units = units;
	c->pub.verb = h->code;
	c->pub.one_way = h->type == RPC_ONE_WAY;
	c->pub.request = ss_buf_move(payload);
	c->pub.connection = p->link.connection;
	c->pub.conn = p->link.conn;
	ss_timer_init(&c->timer, too_late);
	at = find_call(p, c->id);
	*at = c;
	p->n_calls++;
	p->server->stats.in_progress++;
	if (p->link.timeouts && h->value && h->value < UINT64_MAX / 2) {
		c->pub.deadline = ss_now() + h->value;
		ss_timer_arm_at(&c->timer, c->pub.deadline);
	}
	if (h->type == RPC_OPEN)
		err = p->link.window_out ? open_stream(c) : -EPROTO;
	if (err)
		ss_detach(call_end(
		    c, NULL, (ss_result){.msg = "no room for another stream", .err = err}));
	else
		run(c);
	return 0;
}

static int server_frame(
    struct rpc_link *l, const struct rpc_header *h, ss_buf *payload, int64_t units)
{
	struct peer *p = ss_container_of(l, struct peer, link);
	struct call *c;
	int err = 0;

	switch (h->type) {
	case RPC_REQUEST:
	case RPC_ONE_WAY:
	case RPC_OPEN:
		err = start_call(p, h, payload, units);
		break;
	case RPC_CANCEL:
		c = *find_call(p, h->id);
		if (c)
			ss_abort_request(&c->pub.abort, -ECANCELED);
		break;
	case RPC_DATA:
	case RPC_END:
	case RPC_CREDIT:
		c = *find_call(p, h->id);
		/* What was on its way when the call ended is of no interest. */
		if (c)
			err = c->pub.stream ? rpc_stream_frame(c->pub.stream, h, payload) : -EPROTO;
		break;
	default:
		err = -EPROTO;
		break;
	}
	ss_buf_release(payload);
	return err;
}

/* Connections */

static int64_t negotiate(struct peer *p, const char **why)
{
	ss_rpc_server *s = p->server;
	struct rpc_hello h, mine;
	int err;

	err = (int)rpc_hello_recv(p->link.conn, &h, why);
	if (err < 0)
		return err;
	if (s->opts.isolate) {
		err = s->opts.isolate(
		    h.has_isolation ? h.isolation : NULL, &p->group, s->opts.isolate_arg);
		*why = "isolation was refused";
		if (err)
			return err;
		*why = NULL;
		p->has_group = true;
	}
	p->link.codec.kind = rpc_choose(s->compression, h.compression);
	p->link.timeouts = h.timeouts;
	p->link.max_out = h.max_frame;
	p->link.window_out = h.window >= WINDOW_MIN ? h.window : 0;
	mine = (struct rpc_hello){
	    .timeouts = h.timeouts,
	    .connection = p->link.connection,
	    .window = p->link.window_in,
	    .max_frame = s->opts.max_frame,
	};
	strcpy(mine.compression, rpc_compression_name(p->link.codec.kind));
	return rpc_hello_send(p->link.conn, &mine);
}

static void abort_calls(struct peer *p, int err)
{
	for (unsigned i = 0; i < CALLS; i++) {
		/* A request may end the call, and any other: start again after each. */
		for (struct call *c = p->calls[i]; c;) {
			if (c->told) {
				c = c->next;
				continue;
			}
			c->told = true;
			if (c->pub.stream)
				rpc_stream_finish(c->pub.stream, err);
			ss_abort_request(&c->pub.abort, err);
			c = p->calls[i];
		}
	}
}

static void peer_end(struct peer *p, int64_t err, const char *why)
{
	ss_rpc_server *s = p->server;

	if (err == -EPROTO || why) {
		s->stats.refused++;
		say(p, SS_LOG_WARN, "ended", why ? why : "protocol error");
	} else {
		say(p, SS_LOG_DEBUG, "ended", err ? strerror((int)-err) : NULL);
	}
	rpc_link_kill(&p->link);
	abort_calls(p, -ECONNRESET);
	while (p->n_calls) {
		p->idle = SS_PROMISE_INIT;
		p->waiting = true;
		ss_await(ss_promise_get_future(&p->idle));
	}
	if (p->next)
		p->next->prev = p->prev;
	if (p->prev)
		p->prev->next = p->next;
	else
		s->peers = p->next;
	s->stats.connections--;
	s->stats.memory_waits += p->link.memory_waits;
	ss_conn_close(p->link.conn);
	rpc_codec_free(&p->link.codec);
	ss_free(p);
}

static void negotiation_late(ss_timer *t)
{
	rpc_link_kill(&ss_container_of(t, struct peer, limit)->link);
}

SS_FIBER(peer_fiber, struct peer *p;)
{
	struct peer *p = self->p;
	const char *why = NULL;
	int64_t err;

	ss_timer_init(&p->limit, negotiation_late);
	ss_timer_arm(&p->limit, p->server->opts.negotiation_ns);
	err = negotiate(p, &why);
	ss_timer_cancel(&p->limit);
	if (err >= 0) {
		say(p, SS_LOG_DEBUG, "negotiated", rpc_compression_name(p->link.codec.kind));
		err = rpc_link_run(&p->link, &why);
	}
	peer_end(p, err, why);
	return 0;
}

static ss_future serve(ss_conn *conn, void *arg)
{
	ss_rpc_server *s = arg;
	struct peer *p = s->stopping ? NULL : ss_zalloc(sizeof(*p));
	ss_future f;
	ss_result r;

	if (!p) {
		ss_conn_close(conn);
		return ss_fail(-ENOMEM);
	}
	p->server = s;
	p->link.conn = conn;
	p->link.server = true;
	p->link.frame = server_frame;
	p->link.memory = &s->memory;
	p->link.max_in = s->opts.max_frame;
	p->link.window_in = s->opts.window;
	p->link.compress_min = 128;
	p->link.connection = ++s->next_connection;
	s->stats.accepted++;
	f = ss_async(peer_fiber, p);
	if (f.r.err != SS_PENDING && ss_take(f, &r)) {
		ss_conn_close(conn);
		ss_free(p);
		return ss_ready(r);
	}
	s->stats.connections++;
	p->next = s->peers;
	if (p->next)
		p->next->prev = p;
	s->peers = p;
	return f;
}

ss_rpc_server *ss_rpc_server_start(ss_rpc *rpc, ss_listener *l, const ss_rpc_server_opts *opts)
{
	ss_rpc_server *s = ss_zalloc(sizeof(*s));
	uint64_t least;

	if (!s) {
		ss_listener_close(l);
		return NULL;
	}
	s->rpc = rpc;
	if (opts)
		s->opts = *opts;
	if (!s->opts.max_frame)
		s->opts.max_frame = MAX_FRAME;
	if (!s->opts.memory)
		s->opts.memory = MEMORY;
	if (!s->opts.window)
		s->opts.window = WINDOW;
	if (s->opts.window < WINDOW_MIN)
		s->opts.window = WINDOW_MIN;
	if (!s->opts.negotiation_ns)
		s->opts.negotiation_ns = NEGOTIATION;
	/* The longest request, compressed, has to fit. */
	least = 2 * (uint64_t)s->opts.max_frame + RPC_CALL_COST;
	if (s->opts.memory < least)
		s->opts.memory = least;
	if (s->opts.compression)
		strncpy(s->compression, s->opts.compression, sizeof(s->compression) - 1);
	s->memory.count = (int64_t)s->opts.memory;
	s->server.max_connections = s->opts.max_connections;
	ss_server_start(&s->server, l, serve, s);
	return s;
}

SS_CONT(stopped, ss_rpc_server *s;)
{
	ss_free(self->s);
	return ss_ok(0);
}

ss_future ss_rpc_server_stop(ss_rpc_server *s)
{
	ss_future f = ss_server_stop(&s->server);

	s->stopping = true;
	for (struct peer *p = s->peers; p; p = p->next)
		rpc_link_kill(&p->link);
	return ss_then_wrapped(f, stopped, s);
}

void ss_rpc_server_stats_get(ss_rpc_server *s, ss_rpc_server_stats *out)
{
	*out = s->stats;
	out->memory_free = s->memory.count > 0 ? (uint64_t)s->memory.count : 0;
	for (struct peer *p = s->peers; p; p = p->next)
		out->memory_waits += p->link.memory_waits;
}
