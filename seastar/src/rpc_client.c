/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's side of RPC. One fiber connects when there is something to send, negotiates, sends
 * what waits, and reads answers until the connection breaks; then all calls on their way fail, and
 * the next call starts over. A call is in the list `queue` until it was sent and in the table
 * `sent` until it is answered.
 */
#include "rpc_impl.h"
#include "shard.h"
#include "tls_impl.h"

#include <seastar/fiber.h>

#define BUCKETS 1024
#define MAX_FRAME (16u << 20)
#define WINDOW (256u << 10)
#define WINDOW_MIN 4096
#define MAX_CALLS 65536
#define CONNECT (5 * SS_SEC)
#define PAUSE (10 * SS_MSEC)

/* A call that was made and not answered. */
struct wait {
	struct wait *next, *prev; /* of the queue, or next of the bucket */
	ss_rpc_client *c;
	uint64_t id;
	uint32_t verb;
	uint8_t type;
	bool queued, sent;
	uint64_t deadline;
	ss_buf request;
	ss_state *s; /* who waits: for the answer, for having been sent */
	ss_buf *reply;
	ss_timer timer;
	ss_abort_sub sub;
	bool listens;
	ss_rpc_stream *stream; /* RPC_OPEN */
};

/* The stream of a client and the answer to its call. */
struct client_stream {
	ss_rpc_stream s;
	bool answered;
	ss_result result;
	ss_buf reply; /* until somebody asks */
	ss_buf *want; /* who asked */
	ss_state *asker;
};

struct ss_rpc_client {
	struct rpc_link link;
	bool up, stopping, ended;
	ss_addr addr;
	ss_rpc_client_opts opts;
	char compression[64], isolation[64], tls_name[256];
	bool has_isolation;
	struct wait *head, *tail; /* the queue */
	struct wait *sent[BUCKETS];
	uint64_t next_id;
	ss_condvar wake;
	ss_abort abort; /* of the pauses and of connecting */
	ss_future fiber;
	ss_rpc_client_stats stats;
};

/* The table and the queue */

static struct wait **find(ss_rpc_client *c, uint64_t id)
{
	struct wait **at = &c->sent[id % BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void unlink_wait(struct wait *w)
{
	ss_rpc_client *c = w->c;

	if (w->queued) {
		if (w->prev)
			w->prev->next = w->next;
		else
			c->head = w->next;
		if (w->next)
			w->next->prev = w->prev;
		else
			c->tail = w->prev;
	} else if (w->sent) {
		struct wait **at = find(c, w->id);

		if (*at == w)
			*at = w->next;
	}
	w->queued = w->sent = false;
}

static void enqueue(struct wait *w)
{
	ss_rpc_client *c = w->c;

	w->next = NULL;
	w->prev = c->tail;
	if (c->tail)
		c->tail->next = w;
	else
		c->head = w;
	c->tail = w;
	w->queued = true;
}

/* The answer to a call with a stream: kept until somebody asks. */
static void stream_answered(struct client_stream *cs, ss_result r, ss_buf *reply)
{
	cs->answered = true;
	cs->result = r;
	cs->s.wait = NULL;
	if (reply)
		cs->reply = ss_buf_move(reply);
	rpc_stream_finish(&cs->s, r.err);
	if (cs->asker) {
		ss_state *s = cs->asker;

		cs->asker = NULL;
		if (cs->want)
			*cs->want = ss_buf_move(&cs->reply);
		ss_state_set(s, r);
	}
}

static void client_stream_free(struct client_stream *cs)
{
	rpc_stream_fini(&cs->s);
	ss_buf_release(&cs->reply);
	ss_free(cs);
}

/* The end of a call, whatever it is. */
static void end(struct wait *w, ss_result r, ss_buf *reply)
{
	struct client_stream *cs =
	    w->stream ? ss_container_of(w->stream, struct client_stream, s) : NULL;
	ss_state *s = w->s;

	unlink_wait(w);
	ss_timer_cancel(&w->timer);
	if (w->listens)
		ss_abort_unsubscribe(&w->sub);
	ss_buf_release(&w->request);
	w->c->stats.pending--;
	if (!r.err && reply && w->reply)
		*w->reply = ss_buf_move(reply);
	if (cs && s)
		client_stream_free(cs); /* nobody has seen it */
	else if (cs)
		stream_answered(cs, r, reply);
	if (reply)
		ss_buf_release(reply);
	ss_free(w);
	if (s)
		ss_state_set(s, r);
}

static void end_all(ss_rpc_client *c, ss_result r, bool queued)
{
	while (queued && c->head)
		end(c->head, r, NULL);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (c->sent[i])
			end(c->sent[i], r, NULL);
}

/* The caller gives up: the server is told, if it knows of the call. */
static void give_up(struct wait *w, int err)
{
	ss_rpc_client *c = w->c;

	if (w->sent && c->up)
		ss_ignore(rpc_link_send(
		    &c->link, (struct rpc_header){.type = RPC_CANCEL, .id = w->id}, NULL));
	if (err == -ETIMEDOUT)
		c->stats.timeouts++;
	else
		c->stats.cancelled++;
	end(w, (ss_result){.msg = NULL, .err = err}, NULL);
}

static void late(ss_timer *t)
{
	give_up(ss_container_of(t, struct wait, timer), -ETIMEDOUT);
}

static void aborted(ss_abort_sub *sub)
{
	give_up(ss_container_of(sub, struct wait, sub), ss_abort_check(sub->source));
}

/* Sending */

/* Send a call that waited for the connection; it may be gone afterwards. */
static void send_wait(struct wait *w)
{
	ss_rpc_client *c = w->c;
	struct rpc_header h = {.type = w->type, .code = w->verb, .id = w->id};
	ss_future f;

	if (w->deadline && c->link.timeouts) {
		uint64_t now = ss_now();

		h.value = w->deadline > now ? w->deadline - now : 1;
	}
	unlink_wait(w);
	if (w->type == RPC_OPEN && !c->link.window_out) {
		end(w, (ss_result){.msg = "server takes no streams", .err = -EOPNOTSUPP}, NULL);
		return;
	}
	c->stats.sent++;
	if (w->type != RPC_ONE_WAY) {
		struct wait **at = find(c, w->id);

		w->next = *at;
		*at = w;
		w->sent = true;
	}
	if (w->type == RPC_OPEN) {
		rpc_stream_init(w->stream, &c->link, w->id, c->link.window_out);
		w->stream->wait = w;
	}
	f = rpc_link_send(&c->link, h, &w->request);
	if (f.r.err && f.r.err != SS_PENDING) {
		end(w, f.r, NULL);
	} else if (w->type == RPC_ONE_WAY) {
		end(w, (ss_result){.i = 0, .err = 0}, NULL);
		ss_ignore(f);
	} else if (w->type == RPC_OPEN) {
		ss_state *s = w->s;

		w->s = NULL;
		ss_ignore(f);
		ss_state_set(s, (ss_result){.p = w->stream, .err = 0});
	} else {
		ss_ignore(f);
	}
}

/* Make the call; *w stays valid until its end. */
static ss_future start(struct wait *w)
{
	ss_rpc_client *c = w->c;
	ss_future f = ss_pending(&w->s);

	if (!w->s)
		return f;
	w->id = ++c->next_id;
	c->stats.pending++;
	enqueue(w);
	/* A connection that takes no more at the moment is waited for in the queue. */
	if (c->up && c->head == w && ss_output_pending(ss_conn_output(c->link.conn)) < 1024 * 1024)
		send_wait(w);
	else
		ss_condvar_signal(&c->wake);
	return f;
}

static struct wait *wait_new(ss_rpc_client *c, enum rpc_type type, uint32_t verb, ss_buf *request,
    const ss_rpc_opts *opts, int *err)
{
	struct wait *w;

	*err = c->stopping ? -ECANCELED : c->ended ? -ENOTCONN : 0;
	if (!*err && c->stats.pending >= c->opts.max_calls)
		*err = -EBUSY;
	if (!*err && request && request->len > c->opts.max_frame)
		*err = -EMSGSIZE;
	if (!*err && opts && opts->abort)
		*err = ss_abort_check(opts->abort);
	w = *err ? NULL : ss_zalloc(sizeof(*w));
	if (!w) {
		if (!*err)
			*err = -ENOMEM;
		if (request)
			ss_buf_release(request);
		return NULL;
	}
	w->c = c;
	w->type = (uint8_t)type;
	w->verb = verb;
	if (request)
		w->request = ss_buf_move(request);
	ss_timer_init(&w->timer, late);
	if (opts && opts->timeout_ns) {
		w->deadline = ss_now() + opts->timeout_ns;
		ss_timer_arm_at(&w->timer, w->deadline);
	}
	if (opts && opts->abort) {
		ss_abort_subscribe(opts->abort, &w->sub, aborted);
		w->listens = true;
	}
	return w;
}

static void wait_free(struct wait *w)
{
	ss_timer_cancel(&w->timer);
	if (w->listens)
		ss_abort_unsubscribe(&w->sub);
	ss_buf_release(&w->request);
	ss_free(w);
}

static ss_future begin(struct wait *w)
{
	ss_future f = start(w);

	if (f.r.err && f.r.err != SS_PENDING && !w->s)
		wait_free(w);
	return f;
}

ss_future ss_rpc_request(
    ss_rpc_client *c, uint32_t verb, ss_buf *request, ss_buf *reply, const ss_rpc_opts *opts)
{
	struct wait *w;
	int err;

	if (reply)
		*reply = (ss_buf){NULL, 0, NULL};
	w = wait_new(c, RPC_REQUEST, verb, request, opts, &err);
	if (!w)
		return ss_fail(err);
	w->reply = reply;
	return begin(w);
}

ss_future ss_rpc_send(ss_rpc_client *c, uint32_t verb, ss_buf *request, const ss_rpc_opts *opts)
{
	int err;
	struct wait *w = wait_new(c, RPC_ONE_WAY, verb, request, opts, &err);

	return w ? begin(w) : ss_fail(err);
}

ss_future ss_rpc_open(ss_rpc_client *c, uint32_t verb, ss_buf *request, const ss_rpc_opts *opts)
{
	int err;
	struct wait *w = wait_new(c, RPC_OPEN, verb, request, opts, &err);
	struct client_stream *cs = w ? ss_zalloc(sizeof(*cs)) : NULL;
	ss_future f;

	if (!cs) {
		if (w)
			wait_free(w);
		return ss_fail(w ? -ENOMEM : err);
	}
	w->stream = &cs->s;
	cs->s.last = &cs->s.first;
	f = start(w);
	if (f.r.err && f.r.err != SS_PENDING && !w->s) {
		ss_free(cs);
		wait_free(w);
	}
	return f;
}

/* Typed calls */

SS_CONT(typed_end, ss_buf *raw; int (*decode)(void *, ss_buf *); void *reply;)
{
	ss_buf b = ss_buf_move(self->raw);
	int err = self->decode(self->reply, &b);

	ss_buf_release(&b);
	return err ? ss_fail_msg(err, "reply is malformed") : ss_ok(0);
}

ss_future ss_rpc_request_typed(ss_rpc_client *c, uint32_t verb, int encode_error, ss_buf *request,
    ss_buf *raw, int (*decode)(void *, ss_buf *), void *reply, const ss_rpc_opts *opts)
{
	if (encode_error)
		return ss_fail(encode_error);
	return ss_then(ss_rpc_request(c, verb, request, raw, opts), typed_end, raw, decode, reply);
}

/* Streams */

ss_future ss_rpc_stream_result(ss_rpc_stream *s, ss_buf *reply)
{
	struct client_stream *cs = ss_container_of(s, struct client_stream, s);

	if (reply)
		*reply = (ss_buf){NULL, 0, NULL};
	if (cs->answered) {
		if (reply)
			*reply = ss_buf_move(&cs->reply);
		return ss_ready(cs->result);
	}
	cs->want = reply;
	return ss_pending(&cs->asker);
}

void ss_rpc_stream_close(ss_rpc_stream *s)
{
	struct client_stream *cs;
	struct wait *w;

	if (!s)
		return;
	cs = ss_container_of(s, struct client_stream, s);
	w = s->wait;
	if (w)
		give_up(w, -ECANCELED); /* which answers the stream */
	client_stream_free(cs);
}

/* Answers */

static void answered(struct wait *w, const struct rpc_header *h, ss_buf *payload)
{
	ss_result r = {.i = (int64_t)payload->len, .err = 0};

	w->c->stats.replied++;
	if (h->type == RPC_ERROR) {
		w->c->stats.errors++;
		r.msg = NULL;
		r.err = h->code && h->code < 4096 ? -(int)h->code : -EPROTO;
		ss_log(SS_LOG_DEBUG, "rpc: verb %u failed: %s%s%.*s", w->verb, strerror(-r.err),
		    payload->len ? ": " : "", (int)payload->len, payload->len ? payload->data : "");
	}
	end(w, r, payload);
}

static int client_frame(
    struct rpc_link *l, const struct rpc_header *h, ss_buf *payload, int64_t units)
{
	ss_rpc_client *c = ss_container_of(l, ss_rpc_client, link);
	struct wait *w = *find(c, h->id);
	int err = 0;

	(void)units;
	switch (h->type) {
	case RPC_REPLY:
	case RPC_ERROR:
		if (w)
			answered(w, h, payload);
		break;
	case RPC_DATA:
	case RPC_END:
	case RPC_CREDIT:
		/* A call that was given up may still have something on its way. */
		if (w)
			err = w->stream ? rpc_stream_frame(w->stream, h, payload) : -EPROTO;
		break;
	default:
		err = -EPROTO;
		break;
	}
	ss_buf_release(payload);
	return err;
}

/* Connecting: an attempt that is no longer wanted ends by itself. */
struct attempt {
	ss_state *s;
	ss_abort_sub sub;
};

SS_CONT(attempt_done, struct attempt *a;)
{
	struct attempt *a = self->a;

	if (a->s) {
		ss_abort_unsubscribe(&a->sub);
		ss_state_set(a->s, r);
	} else if (!r.err) {
		ss_conn_close(r.p);
	}
	ss_free(a);
	return ss_ok(0);
}

static void attempt_dropped(ss_abort_sub *sub)
{
	struct attempt *a = ss_container_of(sub, struct attempt, sub);
	ss_state *s = a->s;

	a->s = NULL;
	ss_state_set(s, (ss_result){.msg = NULL, .err = -ECANCELED});
}

static ss_future open_connection(ss_rpc_client *c)
{
	ss_tls_connect_opts to = {
	    .name = c->tls_name[0] ? c->tls_name : NULL,
	    .timeout_ns = c->opts.connect_ns,
	};

	if (c->opts.tls)
		return ss_tls_connect(c->opts.tls, &c->addr, &to);
	return ss_connect_timeout(&c->addr, c->opts.connect_ns);
}

static ss_future attempt(ss_rpc_client *c)
{
	struct attempt *a = ss_zalloc(sizeof(*a));
	ss_future f;

	if (!a)
		return ss_fail(-ENOMEM);
	f = ss_pending(&a->s);
	if (!a->s) {
		ss_free(a);
		return f;
	}
	if (ss_abort_subscribe(&c->abort, &a->sub, attempt_dropped)) {
		ss_state_free(a->s);
		ss_free(a);
		return ss_fail(-ECANCELED);
	}
	ss_detach(ss_then_wrapped(open_connection(c), attempt_done, a));
	return f;
}

static int64_t negotiate(ss_rpc_client *c, const char **why)
{
	struct rpc_hello h, mine = {
				.timeouts = true,
				.window = c->opts.window,
				.has_isolation = c->has_isolation,
				.max_frame = c->opts.max_frame,
			    };
	int64_t n;

	strcpy(mine.compression, c->compression);
	strcpy(mine.isolation, c->isolation);
	n = rpc_hello_send(c->link.conn, &mine);
	if (n >= 0)
		n = rpc_hello_recv(c->link.conn, &h, why);
	if (n < 0)
		return n;
	c->link.codec.kind = rpc_choose(h.compression, c->compression);
	if (h.compression[0] && c->link.codec.kind == RPC_PLAIN) {
		*why = "server chose a compression that was not offered";
		return -EPROTO;
	}
	c->link.timeouts = h.timeouts;
	c->link.window_out = h.window >= WINDOW_MIN ? h.window : 0;
	c->link.max_out = h.max_frame < c->opts.max_frame ? h.max_frame : c->opts.max_frame;
	c->link.connection = c->stats.connection = h.connection;
	return 0;
}

/* A new connection, negotiated, in c->link. */
static int64_t connect_now(ss_rpc_client *c, const char **why)
{
	uint64_t plain = c->link.bytes_plain, wire = c->link.bytes_wire;
	ss_result r = ss_await(attempt(c));
	int64_t err;

	*why = r.err ? r.msg : NULL;
	if (r.err)
		return r.err;
	c->link = (struct rpc_link){
	    .conn = r.p,
	    .frame = client_frame,
	    .compress_min = c->opts.compress_min,
	    .max_in = c->opts.max_frame,
	    .window_in = c->opts.window,
	    .bytes_plain = plain,
	    .bytes_wire = wire,
	};
	if (c->stopping)
		rpc_link_kill(&c->link);
	ss_conn_set_timeouts(c->link.conn, c->opts.connect_ns, 0);
	err = negotiate(c, why);
	if (err < 0) {
		rpc_link_kill(&c->link);
		ss_conn_close(c->link.conn);
		c->link.conn = NULL;
		return err;
	}
	ss_conn_set_timeouts(c->link.conn, 0, 0);
	return 0;
}

/* Sends what waits, as the connection takes it. */
SS_FIBER(sender, ss_rpc_client *c;)
{
	ss_rpc_client *c = self->c;

	while (c->up) {
		if (!c->head) {
			ss_await(ss_condvar_wait(&c->wake, NULL));
			continue;
		}
		if (ss_output_pending(ss_conn_output(c->link.conn)) >= 1024 * 1024) {
			ss_await(ss_output_drain(ss_conn_output(c->link.conn)));
			continue;
		}
		send_wait(c->head);
		if (ss_need_preempt())
			ss_await(ss_yield());
	}
	return 0;
}

static void note(
    ss_rpc_client *c, enum ss_log_level level, const char *what, int64_t err, const char *why)
{
	char text[128];

	if (level > ss_log_level())
		return;
	ss_log(level, "rpc: %s %s: %s", what, ss_addr_format(&c->addr, text, sizeof(text)),
	    why	      ? why
	    : err < 0 ? strerror((int)-err)
		      : "the other side ended it");
}

/* From a connection that is up to its end. False if it was of no use to anybody: then those who
 * wait for one fail, too, instead of causing one after another. */
static bool use_connection(ss_rpc_client *c)
{
	uint64_t replied = c->stats.replied;
	const char *why = NULL;
	bool useful;
	ss_future f;
	int64_t err;

	c->up = true;
	c->stats.connects++;
	f = ss_async(sender, c);
	if (f.r.err != SS_PENDING)
		rpc_link_kill(&c->link); /* no memory */
	err = rpc_link_run(&c->link, &why);
	c->up = false;
	rpc_link_kill(&c->link);
	ss_condvar_broadcast(&c->wake);
	useful = c->stats.replied > replied;
	if (!c->stopping) {
		c->stats.lost++;
		note(
		    c, err == -EPROTO ? SS_LOG_WARN : SS_LOG_DEBUG, "connection lost to", err, why);
	}
	end_all(c,
	    (ss_result){.msg = "RPC connection was lost",
		.err = c->stopping		      ? -ECANCELED
		       : err < 0 && err != -ECANCELED ? (int)err
						      : -ECONNRESET},
	    c->opts.once || !useful);
	ss_await(f);
	ss_conn_close(c->link.conn);
	rpc_codec_free(&c->link.codec);
	c->link.conn = NULL;
	return useful;
}

SS_FIBER(client_fiber, ss_rpc_client *c;)
{
	ss_rpc_client *c = self->c;
	uint64_t pause = c->opts.pause_ns;

	while (!c->stopping && !c->ended) {
		const char *why;
		int64_t err;

		if (!c->head) {
			ss_await(ss_condvar_wait(&c->wake, NULL));
			continue;
		}
		err = connect_now(c, &why);
		if (!err) {
			bool useful = use_connection(c);

			c->ended = c->opts.once;
			if (useful) {
				pause = c->opts.pause_ns;
				continue;
			}
		} else {
			c->stats.failures++;
			note(c, SS_LOG_DEBUG, "cannot connect to", err, why);
			end_all(c,
			    (ss_result){.msg = why, .err = c->stopping ? -ECANCELED : (int)err},
			    true);
		}
		if (c->stopping || c->ended)
			break;
		ss_await(ss_sleep_abortable(pause, &c->abort));
		if (pause < 32 * c->opts.pause_ns)
			pause *= 2;
	}
	end_all(c, (ss_result){.msg = NULL, .err = c->stopping ? -ECANCELED : -ENOTCONN}, true);
	return 0;
}

static bool copy_text(char *out, size_t n, const char *s)
{
	if (s && strlen(s) >= n)
		return false;
	strcpy(out, s ? s : "");
	return true;
}

ss_rpc_client *ss_rpc_client_new(const ss_addr *a, const ss_rpc_client_opts *opts)
{
	ss_rpc_client *c = ss_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->addr = *a;
	if (opts)
		c->opts = *opts;
	c->has_isolation = c->opts.isolation != NULL;
	if (!copy_text(c->compression, sizeof(c->compression), c->opts.compression) ||
	    !copy_text(c->isolation, sizeof(c->isolation), c->opts.isolation) ||
	    !copy_text(c->tls_name, sizeof(c->tls_name), c->opts.tls_name)) {
		ss_free(c);
		return NULL;
	}
	if (!c->opts.max_frame)
		c->opts.max_frame = MAX_FRAME;
	if (!c->opts.window)
		c->opts.window = WINDOW;
	if (c->opts.window < WINDOW_MIN)
		c->opts.window = WINDOW_MIN;
	if (!c->opts.max_calls)
		c->opts.max_calls = MAX_CALLS;
	if (!c->opts.connect_ns)
		c->opts.connect_ns = CONNECT;
	if (!c->opts.pause_ns)
		c->opts.pause_ns = PAUSE;
	if (!c->opts.compress_min)
		c->opts.compress_min = 128;
	c->fiber = ss_async(client_fiber, c);
	if (c->fiber.r.err && c->fiber.r.err != SS_PENDING) {
		ss_free(c);
		return NULL;
	}
	if (c->opts.tls)
		ss_tls_creds_ref(c->opts.tls);
	return c;
}

SS_CONT(client_stopped, ss_rpc_client *c;)
{
	ss_tls_creds_free(self->c->opts.tls);
	ss_free(self->c);
	return ss_ok(0);
}

ss_future ss_rpc_client_stop(ss_rpc_client *c)
{
	c->stopping = true;
	ss_abort_request(&c->abort, -ECANCELED);
	if (c->link.conn)
		rpc_link_kill(&c->link);
	ss_condvar_broadcast(&c->wake);
	return ss_then_wrapped(c->fiber, client_stopped, c);
}

void ss_rpc_client_stats_get(ss_rpc_client *c, ss_rpc_client_stats *out)
{
	*out = c->stats;
	out->bytes_plain = c->link.bytes_plain;
	out->bytes_wire = c->link.bytes_wire;
}
