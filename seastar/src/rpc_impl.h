/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of RPC share.
 *
 * A connection begins with a hello of each side (the client's first): 8 bytes of magic, version,
 * length, and features as (number, length, value). Then come frames: a header of 32 bytes and a
 * payload. All integers are little-endian.
 */
#ifndef SS_RPC_IMPL_H
#define SS_RPC_IMPL_H

#include <seastar/rpc.h>

#define RPC_VERSION 1
#define RPC_HELLO_BYTES 16
#define RPC_HELLO_MAX 4096 /* of features */
#define RPC_HEADER_BYTES 32
#define RPC_MESSAGE_COST 64 /* what a message of a stream costs besides its bytes */
#define RPC_CALL_COST 1024  /* what a request costs besides its bytes */
#define RPC_TEXT_MAX 200    /* of an error's text */

enum rpc_compression { RPC_PLAIN, RPC_LZ4, RPC_ZSTD };

enum rpc_type {
	RPC_REQUEST = 1, /* verb, timeout */
	RPC_ONE_WAY,	 /* verb, timeout */
	RPC_OPEN,	 /* as RPC_REQUEST, with a stream */
	RPC_REPLY,	 /* payload: the reply */
	RPC_ERROR,	 /* code: errno; payload: text */
	RPC_CANCEL,	 /* of a request, by the client */
	RPC_DATA,	 /* of a stream */
	RPC_END,	 /* no more data of a stream */
	RPC_CREDIT,	 /* value: bytes more the other side may send */
	RPC_TYPES,
};

struct rpc_header {
	uint32_t length; /* of the payload on the wire */
	uint32_t raw;	 /* of the payload decompressed; 0: it is not compressed */
	uint8_t type;
	uint32_t code; /* verb or errno */
	uint64_t id;   /* of the call */
	uint64_t value;
};

struct rpc_hello {
	char compression[64]; /* offered, or the one chosen */
	bool timeouts;
	uint64_t connection;
	uint32_t window; /* the other side takes streams with this window; 0: none */
	bool has_isolation;
	char isolation[64];
	uint32_t max_frame;
};

/* rpc_frame.c: everything here works on memory only. */
void rpc_header_encode(unsigned char out[RPC_HEADER_BYTES], const struct rpc_header *h);
/* 0 or -EPROTO with the reason. */
int rpc_header_decode(const unsigned char in[RPC_HEADER_BYTES], uint32_t max_frame,
    enum rpc_compression compression, struct rpc_header *h, const char **why);
/* Bytes written; out has room for RPC_HELLO_BYTES + RPC_HELLO_MAX. */
size_t rpc_hello_encode(unsigned char *out, const struct rpc_hello *h);
/* Bytes of features that follow the fixed part, or -EPROTO. */
int rpc_hello_length(const unsigned char in[RPC_HELLO_BYTES], const char **why);
int rpc_hello_decode(
    const unsigned char *features, size_t n, struct rpc_hello *h, const char **why);
/* The first of `offer` that `accept` has, too. */
enum rpc_compression rpc_choose(const char *accept, const char *offer);
const char *rpc_compression_name(enum rpc_compression c);

/* Contexts of zstd, made when needed. */
struct rpc_codec {
	enum rpc_compression kind;
	void *zc, *zd;
};
void rpc_codec_free(struct rpc_codec *k);
/* *out is a shorter form of the n bytes, or empty if there is none. 0 or -ENOMEM. */
int rpc_compress(struct rpc_codec *k, const void *in, size_t n, ss_buf *out);
/* Exactly `raw` bytes: 0, -ENOMEM or -EPROTO. */
int rpc_decompress(struct rpc_codec *k, const void *in, size_t n, uint32_t raw, ss_buf *out);

/* rpc_link.c: a negotiated connection, of either side. */
struct rpc_link {
	ss_conn *conn;
	struct rpc_codec codec;
	uint32_t compress_min;
	uint32_t max_in, max_out; /* longest frames */
	uint32_t window_in, window_out;
	bool server, timeouts, dead;
	uint64_t connection;
	ss_sem *memory; /* of requests, or NULL */
	ss_abort abort; /* requested when the link dies */
	uint64_t memory_waits, bytes_plain, bytes_wire;
	/* A frame; takes the payload and `units` of memory. */
	int (*frame)(
	    struct rpc_link *l, const struct rpc_header *h, ss_buf *payload, int64_t units);
};

/* In a fiber: handle frames until the end of the connection (0) or an error. */
int64_t rpc_link_run(struct rpc_link *l, const char **why);
/* Send a frame; the payload (may be NULL) is taken. The future is about back pressure. */
ss_future rpc_link_send(struct rpc_link *l, struct rpc_header h, ss_buf *payload);
/* End both directions, at once. */
void rpc_link_kill(struct rpc_link *l);
/* In a fiber: send our hello, or get the other's. */
int64_t rpc_hello_send(ss_conn *c, const struct rpc_hello *h);
int64_t rpc_hello_recv(ss_conn *c, struct rpc_hello *h, const char **why);

/* rpc_stream.c */
struct rpc_message {
	struct rpc_message *next;
	ss_buf buf;
};

struct ss_rpc_stream {
	struct rpc_link *link; /* NULL once it is gone */
	uint64_t id;
	struct rpc_message *first, **last;
	uint64_t held;	/* cost of the messages received and not read */
	uint64_t owed;	/* cost of those read, not yet given back as credit */
	int64_t credit; /* what we may send */
	ss_waitq readers, writers;
	bool in_end, out_end;
	int err;    /* of operations from now on */
	void *wait; /* client: the call */
};

int rpc_stream_init(ss_rpc_stream *s, struct rpc_link *l, uint64_t id, uint64_t credit);
/* A frame for it came: 0 or -EPROTO. */
int rpc_stream_frame(ss_rpc_stream *s, const struct rpc_header *h, ss_buf *payload);
/* The call is over: reads yield what came and then the error (0: the end), writes fail. */
void rpc_stream_finish(ss_rpc_stream *s, int err);
void rpc_stream_fini(ss_rpc_stream *s);

#endif
