/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * HTTP/1.1 server. One server object belongs to one shard; programs make one per shard with
 * ss_sharded. Routes are added first, then the server is given listeners.
 *
 *     static ss_future hello(ss_http_req *q, void *arg)
 *     {
 *         return ss_http_reply_text(q, 200, "hello\n");
 *     }
 *     ...
 *     ss_http_server *s = ss_http_server_new(NULL);
 *     ss_http_route(s, "GET", "/hello/{name}", hello, NULL);
 *     SS_TRY(ss_http_server_listen(s, &address, NULL));
 *
 * A handler gets a request and returns a future; the reply ends when that future is ready. It may
 * answer at once, wait for other futures, or run as a fiber (ss_async()). The request object, all
 * its strings, and what the functions below return live until then. Handlers of one connection run
 * one after another, so replies to pipelined requests keep their order.
 */
#ifndef SEASTAR_HTTP_SERVER_H
#define SEASTAR_HTTP_SERVER_H

#include <seastar/http.h>
#include <seastar/net.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_http_server ss_http_server; /**< A server of one shard. */

/** A decoded name and value, both terminated and without zero bytes inside. */
typedef struct ss_http_pair {
	const char *name;  /**< Decoded. */
	const char *value; /**< Decoded; "" if there was none. */
	size_t name_len;   /**< Bytes of the name. */
	size_t value_len;  /**< Bytes of the value. */
} ss_http_pair;

/** A request, as handlers see it. Read only. */
typedef struct ss_http_req {
	ss_http_head head;	     /**< Method, target and header fields as sent. */
	const ss_http_pair *params;  /**< Parameters of the route's path. */
	unsigned n_params;	     /**< How many. */
	const ss_http_pair *queries; /**< Pairs of the query. */
	unsigned n_queries;	     /**< How many. */
	const ss_http_pair *forms;   /**< Pairs of the form, after ss_http_read_form(). */
	unsigned n_forms;	     /**< How many. */
	ss_conn *conn;		     /**< The connection, for addresses. */
	ss_http_server *server;	     /**< The server. */
	void *user;		     /**< For middleware and handlers; NULL at first. */
} ss_http_req;

/** A handler, or middleware. @p arg is what was given with it. */
typedef ss_future (*ss_http_handler)(ss_http_req *q, void *arg);

/** How a server behaves. Zero in a field means its default. */
typedef struct ss_http_server_opts {
	size_t max_head;	  /**< Bytes of a request's head: 16 KiB; larger ones get 431. */
	unsigned max_fields;	  /**< Header fields: 100; more get 431. */
	uint64_t max_body;	  /**< Bytes of a request's body: 16 MiB; larger ones get 413. */
	uint64_t max_connections; /**< At a time: no limit; more are closed at once. */
	uint64_t max_requests;	  /**< On one connection: no limit. */
	uint64_t idle_ns;	  /**< Silence between requests: 60 s. */
	uint64_t head_ns;	  /**< Time for a whole head: 20 s; then 408. */
	uint64_t body_ns;	  /**< Silence within a body: 30 s; reads fail with -ETIMEDOUT. */
	uint64_t write_ns;	  /**< Wait for a client that does not read: 60 s; then closed. */
	uint64_t stop_ns;	  /**< Time ss_http_server_stop() gives to requests: 10 s. */
	bool json_errors;	  /**< Errors as {"message": ..., "code": ...}, not as text. */
	const char *name;	  /**< Server field: "seastar"; "" for no such field. */
	/** Called at the end of every request, for logs; @p status is 0 if no reply was begun. */
	void (*done)(const ss_http_req *q, int status, uint64_t body_bytes, void *arg);
	void *done_arg; /**< For done. */
} ss_http_server_opts;

/** What a server did. */
struct ss_http_stats {
	uint64_t connections; /**< Accepted. */
	uint64_t open;	      /**< Of these, open now. */
	uint64_t rejected;    /**< Closed for max_connections. */
	uint64_t requests;    /**< Heads that were understood. */
	uint64_t bad;	      /**< Heads that were not. */
	uint64_t timeouts;    /**< Connections ended for a time limit. */
	uint64_t status[6];   /**< Replies by the first digit of their status. */
};

/** A server without routes. @p opts is copied and may be NULL. NULL if there is no memory. */
ss_http_server *ss_http_server_new(const ss_http_server_opts *opts);

/**
 * Add a route.
 * @param s        the server, before it gets connections.
 * @param method   such as "GET", which serves HEAD too; NULL for any.
 * @param pattern  path whose segments are text, "{name}" (one segment, not empty), or last
 *                 "{name...}" (the rest, may be empty). Text is preferred to a parameter and that
 *                 to a rest. A slash at the end makes no difference. Copied.
 * @param handler  called for matching requests.
 * @param arg      for @p handler.
 * @return 0, -ENOMEM, -EINVAL for a bad pattern, -EEXIST for a route there already is.
 */
int ss_http_route(
    ss_http_server *s, const char *method, const char *pattern, ss_http_handler handler, void *arg);

/**
 * Have @p fn called before the handler of every request, also of those without a route, in order
 * of registration. It resolves with 0 to go on, or with 1 when it has replied (authentication).
 * Returns 0 or -ENOMEM.
 */
int ss_http_use(ss_http_server *s, ss_http_handler fn, void *arg);

/** Serve the connections of @p l (plain or TLS), which is taken over. Returns 0 or -ENOMEM (then it
 * is closed). */
int ss_http_server_add(ss_http_server *s, ss_listener *l);

/** Listen on @p a and serve; resolves with the port. */
SS_MUST_USE ss_future ss_http_server_listen(
    ss_http_server *s, const ss_addr *a, const ss_listen_opts *opts);

/** Serve one connection, which is taken over, until it ends. The future does not fail. */
SS_MUST_USE ss_future ss_http_server_serve(ss_http_server *s, ss_conn *c);

/**
 * Stop: no new connections, idle ones are closed, requests in progress are served to their end or
 * until the time limit. The server is freed when the future is ready.
 */
SS_MUST_USE ss_future ss_http_server_stop(ss_http_server *s);

/** Statistics. */
void ss_http_server_stats(const ss_http_server *s, struct ss_http_stats *out);

/* Requests */

/** The first header field called @p name; p NULL if there is none. */
static inline ss_str ss_http_field_of(const ss_http_req *q, const char *name)
{
	return ss_http_head_field(&q->head, name);
}

/** The path parameter @p name, decoded; NULL if the route has none. */
const char *ss_http_param(const ss_http_req *q, const char *name);

/** The query's value of @p name, decoded; NULL if it is missing. */
const char *ss_http_query(const ss_http_req *q, const char *name);

/** The value of @p name in the query or else in the form; NULL if it is missing. */
const char *ss_http_arg(const ss_http_req *q, const char *name);

/** True for "1", "true", "on", "yes" in ss_http_arg(); @p def if it is missing. */
bool ss_http_arg_flag(const ss_http_req *q, const char *name, bool def);

/**
 * The number @p name of query or form.
 * @return 0; -ENOENT if it is missing; -EINVAL if it is no decimal number from @p min to @p max.
 */
int ss_http_arg_int(const ss_http_req *q, const char *name, int64_t min, int64_t max, int64_t *out);

/** Memory that lives as long as the request; NULL if there is none. */
void *ss_http_alloc(ss_http_req *q, size_t n);

/* Bodies of requests */

/** Allow this body another size than the server's max_body, before it is read. */
void ss_http_body_limit(ss_http_req *q, uint64_t max);

/** Bytes of the body still to come; -1 if that is not known. */
int64_t ss_http_body_left(const ss_http_req *q);

/**
 * The next piece of the body, without copying: resolves with out->len, 0 at the end. A client that
 * asked for it is told to go on. Fails with -EMSGSIZE past the size limit, -EBADMSG for bad
 * framing, -ETIMEDOUT, -ECONNRESET; a handler may just return the failure.
 */
SS_MUST_USE ss_future ss_http_body_take(ss_http_req *q, ss_buf *out);

/**
 * The whole body in one piece, terminated by a zero byte that is not counted.
 * @param q    the request.
 * @param max  most bytes; more fail with -EMSGSIZE.
 * @param out  gets a slice that lives as long as the request; must live until the future is ready.
 * @return length.
 */
SS_MUST_USE ss_future ss_http_body_read(ss_http_req *q, size_t max, ss_str *out);

/**
 * Read a body of type application/x-www-form-urlencoded and decode it to q->forms. A body of
 * another type is left alone.
 * @return number of pairs; -EMSGSIZE, -EINVAL for a bad encoding.
 */
SS_MUST_USE ss_future ss_http_read_form(ss_http_req *q, size_t max);

/* Replies. The first of these that is called decides the status. */

/** Choose another status than 200 for ss_http_stream() and an empty reply. */
void ss_http_status(ss_http_req *q, int status);

/** Add a header field. Returns 0, -ENOMEM, -EINVAL for bad characters, -EALREADY once sent. */
int ss_http_add_field(ss_http_req *q, const char *name, const char *value);

/** Reply with a copy of @p n bytes. @p type may be NULL. */
SS_MUST_USE ss_future ss_http_reply(
    ss_http_req *q, int status, const char *type, const void *data, size_t n);

/** Reply with a string as text/plain. */
SS_MUST_USE ss_future ss_http_reply_text(ss_http_req *q, int status, const char *text);

/** Reply with a string as application/json. */
SS_MUST_USE ss_future ss_http_reply_json(ss_http_req *q, int status, const char *json);

/** Reply with a buffer without copying; it is taken over, whatever the result. */
SS_MUST_USE ss_future ss_http_reply_buf(ss_http_req *q, int status, const char *type, ss_buf *b);

/** Reply with an error message in the server's format, in printf style. */
SS_MUST_USE ss_future ss_http_reply_error(ss_http_req *q, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Reply with a redirection (status 301, 302, 303, 307 or 308) to @p location. */
SS_MUST_USE ss_future ss_http_redirect(ss_http_req *q, int status, const char *location);

/**
 * Begin a reply that is written piece by piece; it ends with the handler's future.
 * @param q       the request.
 * @param type    content type or NULL.
 * @param length  bytes that will come, or -1 to send chunks (or up to the end of the connection
 *                to clients of HTTP/1.0).
 */
SS_MUST_USE ss_future ss_http_stream(ss_http_req *q, const char *type, int64_t length);

/** Write a copy of @p n bytes of the body; waits while the client does not read. */
SS_MUST_USE ss_future ss_http_write(ss_http_req *q, const void *data, size_t n);

/** Write a buffer without copying; it is taken over, whatever the result. */
SS_MUST_USE ss_future ss_http_write_buf(ss_http_req *q, ss_buf *b);

/** Write text in printf style; at most 64 KiB at a time. */
SS_MUST_USE ss_future ss_http_printf(ss_http_req *q, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Wait until the system has taken all that was written. (It is sent soon also without this.) */
SS_MUST_USE ss_future ss_http_flush(ss_http_req *q);

/** True once the head of the reply was sent. */
bool ss_http_started(const ss_http_req *q);

/* Files */

/** How to serve a directory. */
typedef struct ss_http_files_opts {
	const char *index;	   /**< File shown for a directory: "index.html"; "" for none. */
	const char *cache_control; /**< Value of Cache-Control; NULL for no such field. */
	bool follow_out;	   /**< Follow symbolic links that lead out of the directory. */
} ss_http_files_opts;

/**
 * Serve the files below a directory: with content types, Last-Modified, ETag and the conditions on
 * them, ranges. Nothing outside of the directory is reachable, neither by ".." nor (where the
 * system has openat2(2)) by symbolic links.
 * @param s       the server.
 * @param prefix  path under which they appear, such as "/" or "/static".
 * @param root    the directory.
 * @param opts    NULL for the defaults. Copied.
 * @return 0, -ENOMEM, -EEXIST, or why the directory cannot be opened.
 */
int ss_http_files(
    ss_http_server *s, const char *prefix, const char *root, const ss_http_files_opts *opts);

/**
 * Reply with one file, as ss_http_files() does.
 * @param q     the request.
 * @param path  of the file; must live until the future is ready.
 * @param type  content type, or NULL to derive it from the name.
 * @return fails with the error of open(2), -EISDIR, or -EACCES for what is not a plain file.
 */
SS_MUST_USE ss_future ss_http_send_file(ss_http_req *q, const char *path, const char *type);

/**
 * Leave HTTP: send "101 Switching Protocols" with the fields added and Upgrade: @p protocol. The
 * handler then uses q->conn as it likes, and the connection ends with its future.
 */
SS_MUST_USE ss_future ss_http_upgrade(ss_http_req *q, const char *protocol);

#ifdef __cplusplus
}
#endif
#endif
