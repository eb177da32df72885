/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WebSocket connections. Receiving is a loop over frames: payloads are unmasked into the message as
 * they come, control frames are dealt with on the way. A frame is put into the output stream in one
 * go, so that sends of several fibers and the answers to pings do not mix.
 */
#include "../shard.h"

#include <seastar/loop.h>
#include <seastar/websocket.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG };

#define COPY_PIECE 16384

struct ss_ws {
	ss_conn *conn;
	bool client; /* masks, and owns the connection */
	ss_ws_opts o;
	char *protocol;
	/* receiving */
	ss_ws_frame frame;
	uint64_t at;	 /* bytes of the frame's payload that came */
	bool in_frame;	 /* its head was taken */
	bool in_message; /* a first fragment was seen */
	bool text, receiving, dropping;
	char *msg;
	size_t n, room;
	char control[125];
	ss_ws_message *out;
	/* life */
	bool sent_close, got_close, heard, pinged, late;
	int code;
	ss_timer timer;
};

/* Sending */

static ss_output *output(ss_ws *ws)
{
	return ss_conn_output(ws->conn);
}

static void push(ss_ws *ws)
{
	ss_output *out = output(ws);

	if (!out->putting && !out->queued)
		ss_ignore(ss_output_flush(out));
}

static ss_future send_masked(ss_ws *ws, ss_ws_frame *f, const char *data)
{
	char head[14], piece[1024];
	ss_future last = ss_ok(0);
	int err;

	f->masked = true;
	if (RAND_bytes(f->mask, sizeof(f->mask)) != 1)
		return ss_fail_msg(-EIO, "no random numbers");
	err = ss_output_put(output(ws), head, ss_ws_write_frame(f, head));
	for (uint64_t at = 0; at < f->length && !err;) {
		size_t k =
		    f->length - at < sizeof(piece) ? (size_t)(f->length - at) : sizeof(piece);

		memcpy(piece, data + at, k);
		ss_ws_mask(f->mask, at, piece, k);
		at += k;
		/* Only the last piece waits for room: nothing may come in between. */
		if (at == f->length)
			last = ss_output_write(output(ws), piece, k);
		else
			err = ss_output_put(output(ws), piece, k);
	}
	if (err)
		ss_conn_abort(ws->conn);
	return err ? ss_fail(err) : last;
}

static ss_future send_frame(ss_ws *ws, unsigned opcode, bool fin, const void *data, size_t n)
{
	ss_ws_frame f = {.opcode = (uint8_t)opcode, .fin = fin, .length = n};
	char head[14];
	ss_future r;
	int err;

	if (ws->sent_close)
		return ss_fail_msg(-ESHUTDOWN, "the WebSocket connection is closed");
	if (ws->client) {
		r = send_masked(ws, &f, data);
	} else {
		err = ss_output_put(output(ws), head, ss_ws_write_frame(&f, head));
		if (err)
			return ss_fail(err);
		r = ss_output_write(output(ws), data, n);
	}
	push(ws);
	return r;
}

ss_future ss_ws_send(ss_ws *ws, bool text, const void *data, size_t n)
{
	return send_frame(ws, text ? TEXT : BINARY, true, data, n);
}

ss_future ss_ws_send_part(ss_ws *ws, bool text, const void *data, size_t n, bool first, bool last)
{
	return send_frame(ws, !first ? CONTINUATION : text ? TEXT : BINARY, last, data, n);
}

ss_future ss_ws_ping(ss_ws *ws, const void *data, size_t n)
{
	return n <= 125 ? send_frame(ws, PING, true, data, n) : ss_fail(-EMSGSIZE);
}

static ss_future send_close(ss_ws *ws, int code, const char *reason)
{
	char payload[125];
	size_t n = reason ? strlen(reason) : 0;
	ss_future f;

	if (ws->sent_close)
		return ss_ok(0);
	if (n > sizeof(payload) - 2)
		n = sizeof(payload) - 2;
	payload[0] = (char)(code >> 8);
	payload[1] = (char)code;
	if (n)
		memcpy(payload + 2, reason, n);
	f = send_frame(ws, CLOSE, true, payload, code ? n + 2 : 0);
	ws->sent_close = true;
	return f;
}

/* The other side broke the rules: tell it, and fail. */
static ss_future violation(ss_ws *ws, int code, const char *why)
{
	int err = code == SS_WS_TOO_LARGE ? -EMSGSIZE : -EPROTO;

	ss_ignore(send_close(ws, code, why));
	ws->code = code;
	return ss_fail_msg(err, why);
}

/* Receiving. Steps of the loop return SS_AGAIN for the next frame and SS_STOP for a result. */

static bool valid_code(int code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

SS_CONT(stop_receiving)
{
	return SS_STOP;
}

SS_CONT(go_on)
{
	return SS_AGAIN;
}

static ss_future got_close(ss_ws *ws)
{
	const unsigned char *p = (const unsigned char *)ws->control;
	size_t n = (size_t)ws->frame.length;

	ws->got_close = true;
	ws->code = SS_WS_NONE;
	if (n == 1)
		return violation(ws, SS_WS_PROTOCOL, "bad close frame");
	if (n) {
		ws->code = p[0] << 8 | p[1];
		if (!valid_code(ws->code) || !ss_utf8_valid(ws->control + 2, n - 2))
			return violation(ws, SS_WS_PROTOCOL, "bad close frame");
	}
	return ss_then(send_close(ws, n ? ws->code : 0, NULL), stop_receiving);
}

static ss_future got_control(ss_ws *ws)
{
	if (ws->frame.opcode == CLOSE)
		return got_close(ws);
	if (ws->frame.opcode == PING && !ws->sent_close)
		return ss_then(
		    send_frame(ws, PONG, true, ws->control, (size_t)ws->frame.length), go_on);
	return SS_AGAIN;
}

static ss_future frame_done(ss_ws *ws)
{
	ws->in_frame = false;
	if (ws->frame.opcode >= CLOSE)
		return got_control(ws);
	if (!ws->frame.fin)
		return SS_AGAIN;
	ws->in_message = false;
	if (ws->dropping)
		return SS_AGAIN;
	if (ws->text && !ss_utf8_valid(ws->msg, ws->n))
		return violation(ws, SS_WS_DATA, "text that is not UTF-8");
	*ws->out = (ss_ws_message){.text = ws->text, .data = {ws->n ? ws->msg : "", ws->n}};
	return SS_STOP;
}

/* Room for n more bytes of the message. */
static int grow(ss_ws *ws, size_t n)
{
	size_t room = (ws->n + n) * 2 + 64;
	char *p;

	if (ws->n + n <= ws->room)
		return 0;
	if (room > ws->o.max_message)
		room = ws->o.max_message;
	p = ss_realloc(ws->msg, room);
	if (!p)
		return -ENOMEM;
	ws->msg = p;
	ws->room = room;
	return 0;
}

static ss_future take_payload(ss_ws *ws)
{
	ss_input *in = ss_conn_input(ws->conn);
	uint64_t left = ws->frame.length - ws->at;
	size_t n = ss_input_len(in) < left ? ss_input_len(in) : (size_t)left;
	char *to;

	if (ws->frame.opcode >= CLOSE) {
		to = ws->control + ws->at;
	} else if (ws->dropping) {
		to = NULL;
	} else {
		if (grow(ws, n))
			return ss_fail(-ENOMEM);
		to = ws->msg + ws->n;
		ws->n += n;
	}
	if (to && n) {
		memcpy(to, ss_input_data(in), n);
		if (ws->frame.masked)
			ss_ws_mask(ws->frame.mask, ws->at, to, n);
	}
	if (n)
		ss_input_consume(in, n);
	ws->at += n;
	return ws->at == ws->frame.length ? frame_done(ws) : SS_AGAIN;
}

static ss_future begin_frame(ss_ws *ws)
{
	const ss_ws_frame *f = &ws->frame;

	ws->in_frame = true;
	ws->at = 0;
	if (f->masked == ws->client)
		return violation(ws, SS_WS_PROTOCOL, "masking is wrong");
	if (f->opcode >= CLOSE)
		return take_payload(ws);
	if ((f->opcode == CONTINUATION) != ws->in_message)
		return violation(ws, SS_WS_PROTOCOL, "fragments out of order");
	if (f->opcode != CONTINUATION) {
		ws->in_message = true;
		ws->text = f->opcode == TEXT;
		ws->n = 0;
	}
	if (!ws->dropping && f->length > ws->o.max_message - ws->n)
		return violation(ws, SS_WS_TOO_LARGE, "the message is too large");
	return take_payload(ws);
}

SS_CONT(more_came, ss_ws *ws;)
{
	ss_ws *ws = self->ws;

	if (ws->late)
		return ss_fail_msg(-ETIMEDOUT, "the other side is silent");
	if (r.err)
		return ss_ready(r);
	if (!r.i)
		return ss_fail_msg(-ECONNRESET, "the connection ended without a close");
	ws->heard = true;
	return SS_AGAIN;
}

static ss_future receive_some(ss_ws *ws)
{
	ss_input *in = ss_conn_input(ws->conn);
	int n;

	if (ws->in_frame && ss_input_len(in))
		return take_payload(ws);
	if (!ws->in_frame && ss_input_len(in)) {
		n = ss_ws_parse_frame(&ws->frame, ss_input_data(in), ss_input_len(in));
		if (n < 0)
			return violation(ws, SS_WS_PROTOCOL, "bad frame");
		if (n > 0) {
			ss_input_consume(in, (size_t)n);
			return begin_frame(ws);
		}
	}
	return ss_then_wrapped(ss_input_more(in), more_came, ws);
}

SS_CONT(receive_step, ss_ws *ws;)
{
	return receive_some(self->ws);
}

SS_CONT(received, ss_ws *ws;)
{
	ss_ws *ws = self->ws;

	ws->receiving = false;
	return r.err ? ss_ready(r) : ss_ok(!ws->got_close);
}

static ss_future receive(ss_ws *ws)
{
	ws->receiving = true;
	return ss_then_wrapped(ss_repeat(receive_step, ws), received, ws);
}

ss_future ss_ws_receive(ss_ws *ws, ss_ws_message *out)
{
	*out = (ss_ws_message){.data = {"", 0}};
	if (ws->got_close)
		return ss_ok(0);
	if (ws->receiving)
		return ss_fail_msg(-EBUSY, "a receive is in progress");
	ws->out = out;
	return receive(ws);
}

/* Life */

/* Once in ping_ns: whoever said nothing is asked, and whoever does not answer is given up. */
static void look(ss_timer *t)
{
	ss_ws *ws = ss_container_of(t, ss_ws, timer);

	if (!ws->receiving)
		return;
	if (ws->heard) {
		ws->heard = ws->pinged = false;
	} else if (ws->pinged || ws->sent_close) {
		ws->late = true;
		ss_conn_abort(ws->conn);
	} else {
		ws->pinged = true;
		ss_ignore(ss_ws_ping(ws, NULL, 0));
	}
}

static ss_ws *ws_new(ss_conn *conn, bool client, const ss_ws_opts *o)
{
	ss_ws *ws = ss_zalloc(sizeof(*ws));

	if (!ws)
		return NULL;
	ws->conn = conn;
	ws->client = client;
	if (o)
		ws->o = *o;
	ws->o.max_message = ws->o.max_message ? ws->o.max_message : 1 << 20;
	ws->o.ping_ns = ws->o.ping_ns ? ws->o.ping_ns : 30 * SS_SEC;
	ws->o.close_ns = ws->o.close_ns ? ws->o.close_ns : 5 * SS_SEC;
	ws->code = SS_WS_ABNORMAL;
	ws->heard = true;
	ss_timer_init(&ws->timer, look);
	return ws;
}

/* Begin once the connection speaks WebSocket. */
static void ws_begin(ss_ws *ws)
{
	ss_timer_arm_periodic(&ws->timer, ws->o.ping_ns);
}

void ss_ws_free(ss_ws *ws)
{
	if (!ws)
		return;
	ss_timer_cancel(&ws->timer);
	if (ws->client && ws->sent_close) {
		ss_conn_set_timeouts(ws->conn, 0, ws->o.close_ns);
		ss_ignore(ss_conn_finish(ws->conn));
	} else if (ws->client) {
		ss_conn_close(ws->conn);
	}
	ss_free(ws->msg);
	ss_free(ws->protocol);
	ss_free(ws);
}

const char *ss_ws_protocol(const ss_ws *ws)
{
	return ws->protocol;
}

int ss_ws_close_code(const ss_ws *ws)
{
	return ws->code;
}

static void close_late(ss_timer *t)
{
	ss_ws *ws = ss_container_of(t, ss_ws, timer);

	ws->late = true;
	ss_conn_abort(ws->conn);
}

SS_CONT(close_answered, ss_ws *ws;)
{
	ss_timer_cancel(&self->ws->timer);
	/* How the other side ended is in its code. */
	return ss_ok(0);
}

SS_CONT(close_sent, ss_ws *ws;)
{
	ss_ws *ws = self->ws;

	if (r.err || ws->got_close)
		return ss_ready(r);
	ws->dropping = true;
	ss_timer_cancel(&ws->timer);
	ss_timer_init(&ws->timer, close_late);
	ss_timer_arm(&ws->timer, ws->o.close_ns);
	return ss_then_wrapped(receive(ws), close_answered, ws);
}

SS_CONT(close_drain, ss_ws *ws;)
{
	return ss_output_drain(output(self->ws));
}

ss_future ss_ws_close(ss_ws *ws, int code, const char *reason)
{
	ss_future f;

	if (ws->receiving)
		return ss_fail_msg(-EBUSY, "a receive is in progress");
	if (code && !valid_code(code))
		return ss_fail_msg(-EINVAL, "not a code for a close");
	f = ss_then(send_close(ws, code, reason), close_drain, ws);
	return ss_then_wrapped(f, close_sent, ws);
}

/* Handshake */

static void accept_key(ss_str key, char out[32])
{
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[128], hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	memcpy(text, key.p, key.n);
	memcpy(text + key.n, magic, sizeof(magic) - 1);
	EVP_Digest(text, key.n + sizeof(magic) - 1, hash, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)out, hash, (int)n);
}

/* 16 bytes in base64. */
static bool key_ok(ss_str key)
{
	if (key.n != 24 || memcmp(key.p + 22, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < 22; i++)
		if (!((key.p[i] >= '0' && key.p[i] <= '9') ||
			((key.p[i] | 32) >= 'a' && (key.p[i] | 32) <= 'z') || key.p[i] == '+' ||
			key.p[i] == '/'))
			return false;
	return true;
}

/* The first of ours that is in the client's list: 0, 1 with a copy in *out, or -ENOMEM. */
static int choose_protocol(const char *ours, ss_str theirs, char **out)
{
	while (ours && *ours) {
		size_t n = strcspn(ours, ", ");
		char *name = ss_alloc(n + 1);

		if (!name)
			return -ENOMEM;
		memcpy(name, ours, n);
		name[n] = '\0';
		if (n && ss_http_has_token(theirs, name)) {
			*out = name;
			return 1;
		}
		ss_free(name);
		ours += n;
		ours += strspn(ours, ", ");
	}
	return 0;
}

SS_CONT(refused, const char *why;)
{
	return ss_fail_msg(-EPROTO, self->why);
}

static ss_future refuse(ss_http_req *q, int status, const char *why)
{
	int err = status == 426 ? ss_http_add_field(q, "Sec-WebSocket-Version", "13") : 0;

	if (err)
		return ss_fail(err);
	return ss_then(ss_http_reply_error(q, status, "%s", why), refused, why);
}

SS_CONT(accepted, ss_ws *ws;)
{
	if (r.err) {
		ss_ws_free(self->ws);
		return ss_ready(r);
	}
	ws_begin(self->ws);
	return ss_okp(self->ws);
}

ss_future ss_ws_accept(ss_http_req *q, const ss_ws_opts *opts)
{
	ss_str key = ss_http_field_of(q, "Sec-WebSocket-Key");
	char answer[32];
	ss_ws *ws;
	int err;

	if (!ss_str_is(q->head.method, "GET") || !q->head.upgrade ||
	    !ss_http_has_token(ss_http_field_of(q, "Upgrade"), "websocket"))
		return refuse(q, 426, "this path speaks WebSocket only");
	if (!ss_str_is(ss_http_field_of(q, "Sec-WebSocket-Version"), "13"))
		return refuse(q, 426, "version of WebSocket not supported");
	if (!key_ok(key) || ss_http_body_left(q))
		return refuse(q, 400, "bad WebSocket handshake");
	ws = ws_new(q->conn, false, opts);
	if (!ws)
		return ss_fail(-ENOMEM);
	accept_key(key, answer);
	err = ss_http_add_field(q, "Sec-WebSocket-Accept", answer);
	if (!err)
		err = choose_protocol(
		    ws->o.protocols, ss_http_field_of(q, "Sec-WebSocket-Protocol"), &ws->protocol);
	if (err > 0)
		err = ss_http_add_field(q, "Sec-WebSocket-Protocol", ws->protocol);
	if (err) {
		ss_ws_free(ws);
		return ss_fail(err);
	}
	return ss_then_wrapped(ss_http_upgrade(q, "websocket"), accepted, ws);
}

/* The client's side of the handshake. */
struct dial {
	ss_ws_opts o;
	ss_str key;
	char text[32];
};

static const char *check_answer(const ss_http_response *r, const struct dial *d)
{
	char want[32];

	accept_key(d->key, want);
	if (r->head.status != 101 || !r->head.upgrade ||
	    !ss_http_has_token(ss_http_response_field(r, "Upgrade"), "websocket"))
		return "the server does not speak WebSocket here";
	if (!ss_str_is(ss_http_response_field(r, "Sec-WebSocket-Accept"), want))
		return "the server's handshake is wrong";
	return NULL;
}

static ss_future dialled(ss_http_response *r, const struct dial *d)
{
	const char *why = check_answer(r, d);
	ss_str p = ss_http_response_field(r, "Sec-WebSocket-Protocol");
	ss_ws *ws = NULL;

	int chosen = 0;

	if (!why)
		ws = ws_new(r->conn, true, &d->o);
	if (ws && p.p)
		chosen = choose_protocol(d->o.protocols, p, &ws->protocol);
	if (ws && p.p && !chosen)
		why = "the server chose a protocol nobody offered";
	if (!ws || why || chosen < 0) {
		ss_free(ws);
		ss_http_response_end(r);
		return why ? ss_fail_msg(-EPROTO, why) : ss_fail(-ENOMEM);
	}
	ss_http_response_detach(r);
	ws_begin(ws);
	return ss_okp(ws);
}

SS_CONT(dial_done, struct dial *d;)
{
	ss_future f = r.err ? ss_ready(r) : dialled(r.p, self->d);

	ss_free(self->d);
	return f;
}

ss_future ss_ws_connect(ss_http_client *client, const char *target, const ss_ws_opts *opts)
{
	struct dial *d = ss_zalloc(sizeof(*d));
	unsigned char key[16];
	const char *protocols = opts ? opts->protocols : NULL;

	if (!d)
		return ss_fail(-ENOMEM);
	if (RAND_bytes(key, sizeof(key)) != 1) {
		ss_free(d);
		return ss_fail_msg(-EIO, "no random numbers");
	}
	if (opts)
		d->o = *opts;
	EVP_EncodeBlock((unsigned char *)d->text, key, sizeof(key));
	d->key = (ss_str){d->text, 24};
	return ss_then_wrapped(
	    ss_http_send(client,
		&(ss_http_call){.target = target,
		    .fields = (ss_http_line[]){{"Upgrade", "websocket"}, {"Connection", "Upgrade"},
			{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", d->text},
			{protocols ? "Sec-WebSocket-Protocol" : NULL, protocols}, {NULL}}}),
	    dial_done, d);
}
