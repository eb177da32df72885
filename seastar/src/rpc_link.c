/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection of RPC after its negotiation, of either side: frames in, frames out. Sending is
 * done in one go into the output stream, so frames never mix; a link on which a frame could not be
 * put as a whole is of no use any more and dies.
 */
#include "rpc_impl.h"
#include "shard.h"

#include <seastar/fiber.h>

static int64_t read_all(ss_conn *c, void *out, size_t n)
{
	return SS_TRY(ss_input_read_exactly(ss_conn_input(c), out, n));
}

int64_t rpc_hello_send(ss_conn *c, const struct rpc_hello *h)
{
	unsigned char out[1024]; /* texts are at most 64 bytes each */
	size_t n = rpc_hello_encode(out, h);

	SS_TRY(ss_output_write(ss_conn_output(c), out, n));
	return SS_TRY(ss_output_drain(ss_conn_output(c)));
}

int64_t rpc_hello_recv(ss_conn *c, struct rpc_hello *h, const char **why)
{
	unsigned char in[RPC_HELLO_BYTES];
	unsigned char *rest;
	int64_t n;
	int len;

	*why = NULL;
	n = read_all(c, in, sizeof(in));
	if (n < 0)
		return n;
	if (n < (int64_t)sizeof(in)) {
		*why = n ? "connection ended before the hello did" : NULL;
		return n ? -EPROTO : -ECONNRESET;
	}
	len = rpc_hello_length(in, why);
	if (len < 0)
		return len;
	rest = ss_alloc((size_t)len + 1);
	if (!rest)
		return -ENOMEM;
	n = read_all(c, rest, (size_t)len);
	if (n == len) {
		n = rpc_hello_decode(rest, (size_t)len, h, why);
	} else if (n >= 0) {
		*why = "connection ended before the hello did";
		n = -EPROTO;
	}
	ss_free(rest);
	return n;
}

void rpc_link_kill(struct rpc_link *l)
{
	if (l->dead)
		return;
	l->dead = true;
	ss_abort_request(&l->abort, -ECONNRESET);
	ss_conn_abort(l->conn);
}

/* Whether the other side may send this at all; looked at before anything is allocated. */
static int check(struct rpc_link *l, const struct rpc_header *h, const char **why)
{
	bool stream = h->type == RPC_DATA || h->type == RPC_END || h->type == RPC_CREDIT;
	bool reply = h->type == RPC_REPLY || h->type == RPC_ERROR;

	if (!stream && reply == l->server)
		*why = "frame of this type is the other side's to send";
	else if (h->type == RPC_DATA && (h->length > l->window_in || h->raw > l->window_in))
		*why = "message is longer than the stream's window";
	return *why ? -EPROTO : 0;
}

/* The payload of a frame, decompressed. */
static int64_t read_payload(struct rpc_link *l, const struct rpc_header *h, ss_buf *out)
{
	ss_buf b = {NULL, 0, NULL};
	int64_t n;

	*out = b;
	if (!h->length)
		return 0;
	if (ss_buf_alloc(&b, h->length))
		return -ENOMEM;
	n = read_all(l->conn, b.data, b.len);
	if (n >= 0 && n < (int64_t)h->length)
		n = -ECONNRESET;
	if (n >= 0 && h->raw) {
		n = rpc_decompress(&l->codec, b.data, b.len, h->raw, out);
		ss_buf_release(&b);
	} else if (n >= 0) {
		*out = b;
	} else {
		ss_buf_release(&b);
	}
	return n < 0 ? n : 0;
}

/* Memory of a request: waits, with nothing read, until others have ended. */
static int64_t get_memory(struct rpc_link *l, const struct rpc_header *h, int64_t *units)
{
	ss_wait_opts wo = {.abort = &l->abort};
	int64_t n = (int64_t)h->length + h->raw + RPC_CALL_COST;

	*units = 0;
	if (!l->memory || h->type > RPC_OPEN)
		return 0;
	if (!ss_sem_try_wait(l->memory, n)) {
		l->memory_waits++;
		SS_TRY(ss_sem_wait_opts(l->memory, n, &wo));
	}
	*units = n;
	return 0;
}

int64_t rpc_link_run(struct rpc_link *l, const char **why)
{
	for (;;) {
		unsigned char in[RPC_HEADER_BYTES];
		struct rpc_header h;
		ss_buf payload;
		int64_t n, units;

		*why = NULL;
		n = read_all(l->conn, in, sizeof(in));
		if (n < 0)
			return n;
		if (n < (int64_t)sizeof(in))
			return n ? -ECONNRESET : 0;
		n = rpc_header_decode(in, l->max_in, l->codec.kind, &h, why);
		if (n >= 0)
			n = check(l, &h, why);
		if (n < 0)
			return n;
		n = get_memory(l, &h, &units);
		if (n < 0)
			return n;
		n = read_payload(l, &h, &payload);
		if (n == -EPROTO)
			*why = "compressed frame is damaged";
		if (n < 0) {
			if (units)
				ss_sem_signal(l->memory, units);
			return n;
		}
		n = l->frame(l, &h, &payload, units);
		if (n < 0) {
			*why = n == -EPROTO ? "frame makes no sense here" : NULL;
			return n;
		}
		if (l->dead)
			return -ECONNRESET;
		if (ss_need_preempt())
			SS_TRY(ss_yield());
	}
}

/* Compress the payload if that helps. */
static int pack(struct rpc_link *l, struct rpc_header *h, ss_buf *payload)
{
	ss_buf packed;
	int err;

	h->length = (uint32_t)payload->len;
	h->raw = 0;
	l->bytes_plain += payload->len + RPC_HEADER_BYTES;
	if (l->codec.kind != RPC_PLAIN && payload->len >= l->compress_min) {
		err = rpc_compress(&l->codec, payload->data, payload->len, &packed);
		if (err)
			return err;
		if (packed.len) {
			h->raw = (uint32_t)payload->len;
			h->length = (uint32_t)packed.len;
			ss_buf_release(payload);
			*payload = packed;
		}
	}
	l->bytes_wire += h->length + RPC_HEADER_BYTES;
	return 0;
}

ss_future rpc_link_send(struct rpc_link *l, struct rpc_header h, ss_buf *payload)
{
	ss_buf mine = payload ? ss_buf_move(payload) : (ss_buf){NULL, 0, NULL};
	ss_output *out = ss_conn_output(l->conn);
	unsigned char head[RPC_HEADER_BYTES];
	ss_future f = ss_ok(0);
	int err = l->dead ? -ECONNRESET : 0;

	if (!err && mine.len > l->max_out)
		err = -EMSGSIZE;
	if (!err)
		err = pack(l, &h, &mine);
	if (err) {
		ss_buf_release(&mine);
		return ss_fail(err);
	}
	rpc_header_encode(head, &h);
	err = ss_output_put(out, head, sizeof(head));
	if (!err && mine.len && mine.len <= 1024) {
		err = ss_output_put(out, mine.data, mine.len);
		ss_buf_release(&mine);
	} else if (!err && mine.len) {
		f = ss_output_write_buf(out, &mine);
		if (f.r.err && f.r.err != SS_PENDING)
			err = f.r.err;
	}
	ss_buf_release(&mine);
	if (err) {
		rpc_link_kill(l);
		return ss_fail(err);
	}
	/* Small frames leave together at the end of the turn; a lot of them has to wait. */
	if (f.r.err != SS_PENDING)
		f = ss_output_pending(out) < 128 * 1024 && out->putting ? ss_ok(0)
									: ss_output_flush(out);
	return f;
}
