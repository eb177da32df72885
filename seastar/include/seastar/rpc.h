/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Remote procedure calls: numbered verbs with handlers, calls with time limits and cancellation,
 * one-way calls, streams in both directions, over any connection (TCP, UNIX, TLS).
 *
 * A request and a reply are buffers of bytes; SS_RPC_MESSAGE() and SS_RPC_VERB() at the end make
 * typed functions over them. Everything belongs to the shard that made it.
 */
#ifndef SEASTAR_RPC_H
#define SEASTAR_RPC_H

#include <seastar/abort.h>
#include <seastar/net.h>
#include <seastar/sched.h>
#include <seastar/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_rpc ss_rpc;		    /**< The verbs a server of this shard knows. */
typedef struct ss_rpc_server ss_rpc_server; /**< A server. */
typedef struct ss_rpc_client ss_rpc_client; /**< A client: a connection that is made again. */
typedef struct ss_rpc_stream ss_rpc_stream; /**< Messages in both directions inside one call. */

/** A call as its handler sees it. Valid until the handler's future is ready. */
typedef struct ss_rpc_call {
	uint32_t verb;	       /**< What was called. */
	bool one_way;	       /**< Nobody waits for the reply. */
	ss_buf request;	       /**< What was sent. */
	ss_buf reply;	       /**< For the handler to fill; taken over. Empty at first. */
	ss_abort abort;	       /**< Requested when the caller cancels, its time is over, the
				* connection is lost or the server stops. */
	uint64_t deadline;     /**< When the caller gives up (ss_now() scale); 0 for never. */
	ss_rpc_stream *stream; /**< For calls made with ss_rpc_open(); else NULL. */
	uint64_t connection;   /**< Number of the connection, unique in this server. */
	ss_conn *conn;	       /**< The connection, to ask who the caller is. */
} ss_rpc_call;

/**
 * A handler: fills call->reply; its failure is the caller's error, with its text. Many calls of one
 * connection are handled at a time.
 */
typedef ss_future (*ss_rpc_handler)(ss_rpc_call *call, void *arg);

/** A set of verbs; NULL if there is no memory. */
ss_rpc *ss_rpc_new(void);

/** Free it, after all servers that use it have stopped. NULL is allowed. */
void ss_rpc_free(ss_rpc *rpc);

/** Let @p fn(call, @p arg) handle @p verb. Returns 0, -EEXIST or -ENOMEM. @p name must last. */
int ss_rpc_register(ss_rpc *rpc, uint32_t verb, const char *name, ss_rpc_handler fn, void *arg);

/** Take a verb back: later calls fail with -ENOSYS. Returns 0 or -ENOENT. */
int ss_rpc_unregister(ss_rpc *rpc, uint32_t verb);

/** What a verb did: calls handled and how many of them failed. Returns 0 or -ENOENT. */
int ss_rpc_verb_stats(ss_rpc *rpc, uint32_t verb, uint64_t *calls, uint64_t *failed);

/** How a server works. Zero in any member means its default. */
typedef struct ss_rpc_server_opts {
	const char *compression;  /**< Accepted, best first: "zstd,lz4"; NULL: none. */
	uint64_t memory;	  /**< Bytes of requests in progress, of all connections; when they
				   * are used up nothing is read until some end. 64 MiB. */
	uint32_t max_frame;	  /**< Longest request or reply in bytes. 16 MiB. */
	uint32_t window;	  /**< Bytes a stream's sender may be ahead. 256 KiB. */
	uint32_t max_connections; /**< More are closed at once; no limit. */
	uint64_t negotiation_ns;  /**< Time for the first exchange. 5 s. */
	/** Scheduling group of a client's calls by the name it sent (NULL: it sent none); an error
	 * refuses the connection. NULL: all in the group of the server. */
	int (*isolate)(const char *name, ss_sched_group *out, void *arg);
	void *isolate_arg; /**< For isolate(). */
} ss_rpc_server_opts;

/** What a server did. */
typedef struct ss_rpc_server_stats {
	uint64_t connections; /**< Open now. */
	uint64_t accepted;    /**< Ever. */
	uint64_t refused;     /**< Ended by the server: bad frames, bad negotiation. */
	uint64_t calls;	      /**< Handled, one-way calls included. */
	uint64_t failed;      /**< Of these, answered with an error. */
	uint64_t cancelled;   /**< Ended early: by the caller, its time limit, a lost connection. */
	uint64_t in_progress; /**< Being handled. */
	uint64_t memory_free; /**< Bytes of ss_rpc_server_opts.memory not in use. */
	uint64_t memory_waits; /**< Requests that had to wait for memory. */
} ss_rpc_server_stats;

/**
 * Serve @p rpc on the connections of @p l (taken over, TLS or not).
 * @return the server, or NULL if there is no memory (then @p l is closed).
 */
ss_rpc_server *ss_rpc_server_start(ss_rpc *rpc, ss_listener *l, const ss_rpc_server_opts *opts);

/** End all connections, wait for the handlers, free the server. */
SS_MUST_USE ss_future ss_rpc_server_stop(ss_rpc_server *s);

/** Fill @p out. */
void ss_rpc_server_stats_get(ss_rpc_server *s, ss_rpc_server_stats *out);

/** How a client works. Zero in any member means its default. */
typedef struct ss_rpc_client_opts {
	const char *compression; /**< Offered, best first: "lz4,zstd"; NULL: none. */
	uint32_t compress_min;	 /**< Shorter messages are not compressed. 128 bytes. */
	const char *isolation;	 /**< Name for the server's isolate(); NULL: none. */
	uint32_t max_frame;	 /**< Longest message in bytes. 16 MiB. */
	uint32_t window;	 /**< Bytes a stream's sender may be ahead. 256 KiB. */
	uint32_t max_calls;	 /**< Calls at a time; more fail with -EBUSY. 65536. */
	uint64_t connect_ns;	 /**< Time for connecting and negotiating. 5 s. */
	uint64_t pause_ns;	 /**< After a failed connection, doubled up to 32 times. 10 ms. */
	bool once;		 /**< Do not connect again after a connection was lost. */
	ss_tls_creds *tls;	 /**< Speak TLS with these credentials (referenced). */
	const char *tls_name;	 /**< Name the server's certificate must have. */
} ss_rpc_client_opts;

/** What a client did. */
typedef struct ss_rpc_client_stats {
	uint64_t connects;    /**< Connections made. */
	uint64_t failures;    /**< Attempts that failed. */
	uint64_t lost;	      /**< Connections that broke. */
	uint64_t sent;	      /**< Calls sent, one-way calls included. */
	uint64_t replied;     /**< Calls answered. */
	uint64_t errors;      /**< Of these, with an error. */
	uint64_t timeouts;    /**< Calls whose time was over. */
	uint64_t cancelled;   /**< Calls aborted by the caller. */
	uint64_t pending;     /**< Waiting for an answer or a connection. */
	uint64_t bytes_plain; /**< Of messages sent, before compression. */
	uint64_t bytes_wire;  /**< Of messages sent, after compression. */
	uint64_t connection;  /**< Number the server gave the connection. */
} ss_rpc_client_stats;

/** A client of the server at @p a. It connects with the first call. NULL if there is no memory. */
ss_rpc_client *ss_rpc_client_new(const ss_addr *a, const ss_rpc_client_opts *opts);

/** End the connection, fail all calls with -ECANCELED, free the client. Streams must be closed. */
SS_MUST_USE ss_future ss_rpc_client_stop(ss_rpc_client *c);

/** Fill @p out. */
void ss_rpc_client_stats_get(ss_rpc_client *c, ss_rpc_client_stats *out);

/** Limits of one call; NULL in place of a pointer to it means none. */
typedef struct ss_rpc_opts {
	uint64_t timeout_ns; /**< Give up with -ETIMEDOUT, and tell the server; 0 for never. */
	ss_abort *abort;     /**< Give up when this is requested, and tell the server; or NULL. */
} ss_rpc_opts;

/**
 * Call @p verb.
 * @param c        the client.
 * @param verb     what to call.
 * @param request  taken over whatever the result; may be NULL for an empty one.
 * @param reply    gets the reply (to be released) on success, must live until then; NULL: dropped.
 * @param opts     limits, or NULL.
 * @return the length of the reply. -ENOSYS: the server does not know the verb. -ECONNRESET and
 *         others of the connection: the call may or may not have been handled. Errors of the
 * handler as it gave them; their text is not kept here (it is logged at debug level).
 */
SS_MUST_USE ss_future ss_rpc_request(
    ss_rpc_client *c, uint32_t verb, ss_buf *request, ss_buf *reply, const ss_rpc_opts *opts);

/** Call @p verb without wanting an answer: ready when the request is on its way. */
SS_MUST_USE ss_future ss_rpc_send(
    ss_rpc_client *c, uint32_t verb, ss_buf *request, const ss_rpc_opts *opts);

/** Call @p verb with a stream: resolves with a ss_rpc_stream once the request was sent. The limits
 * are those of the whole call. */
SS_MUST_USE ss_future ss_rpc_open(
    ss_rpc_client *c, uint32_t verb, ss_buf *request, const ss_rpc_opts *opts);

/** Send a message (taken over whatever the result), waiting while the other side is behind. One
 * write at a time (-EBUSY). Fails with -EPIPE when the call has ended, -EMSGSIZE if it is longer
 * than half the window. */
SS_MUST_USE ss_future ss_rpc_stream_write(ss_rpc_stream *s, ss_buf *message);

/** Receive a message into @p out (to be released): 1, or 0 when the other side sends no more. One
 * read at a time. */
SS_MUST_USE ss_future ss_rpc_stream_read(ss_rpc_stream *s, ss_buf *out);

/** Say that no more messages will come; reading goes on. */
SS_MUST_USE ss_future ss_rpc_stream_end(ss_rpc_stream *s);

/** Client: wait for the handler's answer; as ss_rpc_request(). At most once. */
SS_MUST_USE ss_future ss_rpc_stream_result(ss_rpc_stream *s, ss_buf *reply);

/** Client: free the stream, cancelling the call if it has not ended. No operation on it may be in
 * progress. NULL is allowed. */
void ss_rpc_stream_close(ss_rpc_stream *s);

/* Messages of fields */

/** Writes fields into a buffer. Zero-initialise. */
typedef struct ss_rpc_writer {
	ss_buf buf;  /**< What was written; taken by ss_rpc_writer_take(). */
	size_t room; /**< Bytes allocated behind it. */
	int err;     /**< First error. */
} ss_rpc_writer;

/** Reads fields of a buffer. */
typedef struct ss_rpc_reader {
	const char *p;	 /**< Next byte. */
	const char *end; /**< Behind the last. */
	int err;	 /**< -EBADMSG once a field was not there; reads then yield zeros. */
} ss_rpc_reader;

/** Text of a message: not terminated, inside the message's buffer. */
typedef struct ss_rpc_text {
	const char *p; /**< First byte. */
	size_t n;      /**< Bytes. */
} ss_rpc_text;

/** A text from a C string. */
ss_rpc_text ss_rpc_text_of(const char *s);

/** Add @p n bytes as they are. */
void ss_rpc_put(ss_rpc_writer *w, const void *p, size_t n);
/** Add an integer of 8 bits. */
void ss_rpc_put_u8(ss_rpc_writer *w, uint8_t v);
/** Add an integer of 32 bits, little-endian. */
void ss_rpc_put_u32(ss_rpc_writer *w, uint32_t v);
/** Add an integer of 64 bits, little-endian. */
void ss_rpc_put_u64(ss_rpc_writer *w, uint64_t v);
/** Add a signed integer of 64 bits. */
void ss_rpc_put_i64(ss_rpc_writer *w, int64_t v);
/** Add a number with a fraction. */
void ss_rpc_put_f64(ss_rpc_writer *w, double v);
/** Add a text with its length. */
void ss_rpc_put_text(ss_rpc_writer *w, ss_rpc_text t);
/** The finished message: 0, or -ENOMEM (then @p out is empty). */
int ss_rpc_writer_take(ss_rpc_writer *w, ss_buf *out);

/** Read the fields of @p b, which must stay as it is. */
ss_rpc_reader ss_rpc_reader_of(const ss_buf *b);
/** Take an integer of 8 bits. */
uint8_t ss_rpc_get_u8(ss_rpc_reader *r);
/** Take an integer of 32 bits. */
uint32_t ss_rpc_get_u32(ss_rpc_reader *r);
/** Take an integer of 64 bits. */
uint64_t ss_rpc_get_u64(ss_rpc_reader *r);
/** Take a signed integer of 64 bits. */
int64_t ss_rpc_get_i64(ss_rpc_reader *r);
/** Take a number with a fraction. */
double ss_rpc_get_f64(ss_rpc_reader *r);
/** Take a text, which points into the buffer. */
ss_rpc_text ss_rpc_get_text(ss_rpc_reader *r);

/** @cond the types behind the field names of SS_RPC_MESSAGE() */
typedef uint8_t ss_rpc_type_u8;
typedef uint32_t ss_rpc_type_u32;
typedef uint64_t ss_rpc_type_u64;
typedef int64_t ss_rpc_type_i64;
typedef double ss_rpc_type_f64;
typedef ss_rpc_text ss_rpc_type_text;
#define SS_RPC_MEMBER_(type, name) ss_rpc_type_##type name;
#define SS_RPC_PUT_(type, name) ss_rpc_put_##type(w_, m_->name);
#define SS_RPC_GET_(type, name) m_->name = ss_rpc_get_##type(&r_);
/** @endcond */

/**
 * Define a message: `#define POINT(F) F(u32, x) F(text, label)`, then `SS_RPC_MESSAGE(point,
 * POINT)` makes `struct point` with these members, and functions point_encode(), point_decode() and
 * point_release(). Types: u8, u32, u64, i64, f64, text. A decoded message holds the buffer its
 * texts are in until it is released. Bytes behind the known fields are ignored, so that a newer
 * sender may add some.
 */
#define SS_RPC_MESSAGE(name, FIELDS)                                                          \
	struct name {                                                                         \
		FIELDS(SS_RPC_MEMBER_)                                                        \
		ss_buf held_;                                                                 \
	};                                                                                    \
	__attribute__((unused)) static int name##_encode(const struct name *m_, ss_buf *out_) \
	{                                                                                     \
		ss_rpc_writer writer_ = {0}, *w_ = &writer_;                                  \
                                                                                              \
		FIELDS(SS_RPC_PUT_)                                                           \
		(void)m_;                                                                     \
		return ss_rpc_writer_take(w_, out_);                                          \
	}                                                                                     \
	__attribute__((unused)) static int name##_decode(struct name *m_, ss_buf *b_)         \
	{                                                                                     \
		ss_rpc_reader r_ = ss_rpc_reader_of(b_);                                      \
                                                                                              \
		FIELDS(SS_RPC_GET_)                                                           \
		m_->held_ = ss_buf_move(b_);                                                  \
		if (r_.err)                                                                   \
			ss_buf_release(&m_->held_);                                           \
		return r_.err;                                                                \
	}                                                                                     \
	__attribute__((unused)) static void name##_release(struct name *m_)                   \
	{                                                                                     \
		ss_buf_release(&m_->held_);                                                   \
	}

/** The function behind typed calls. */
SS_MUST_USE ss_future ss_rpc_request_typed(ss_rpc_client *c, uint32_t verb, int encode_error,
    ss_buf *request, ss_buf *raw, int (*decode)(void *m, ss_buf *b), void *reply,
    const ss_rpc_opts *opts);

/**
 * Define a typed verb over two messages of SS_RPC_MESSAGE(). With NAME for the verb's name,
 * `NAME_request(client, &request, &reply, opts)` calls it, and resolves when `reply` is filled (to
 * be released by its own release function); `NAME_decode_request(call, &request)` and
 * `NAME_set_reply(call, &reply)` are for the handler: both return 0 or a negative errno; a decoded
 * request keeps call->request's buffer.
 */
#define SS_RPC_VERB(name, number, request_type, reply_type)                              \
	enum { name##_verb = (number) };                                                 \
	static int name##_decode_reply_(void *m_, ss_buf *b_)                            \
	{                                                                                \
		return reply_type##_decode(m_, b_);                                      \
	}                                                                                \
	__attribute__((unused)) static ss_future name##_request(ss_rpc_client *c_,       \
	    const struct request_type *q_, struct reply_type *p_, const ss_rpc_opts *o_) \
	{                                                                                \
		ss_buf b_ = {0};                                                         \
		int e_ = request_type##_encode(q_, &b_);                                 \
                                                                                         \
		p_->held_ = (ss_buf){0};                                                 \
		return ss_rpc_request_typed(                                             \
		    c_, (number), e_, &b_, &p_->held_, name##_decode_reply_, p_, o_);    \
	}                                                                                \
	__attribute__((unused)) static int name##_decode_request(                        \
	    ss_rpc_call *call_, struct request_type *q_)                                 \
	{                                                                                \
		return request_type##_decode(q_, &call_->request);                       \
	}                                                                                \
	__attribute__((unused)) static int name##_set_reply(                             \
	    ss_rpc_call *call_, const struct reply_type *p_)                             \
	{                                                                                \
		return reply_type##_encode(p_, &call_->reply);                           \
	}

#ifdef __cplusplus
}
#endif
#endif
