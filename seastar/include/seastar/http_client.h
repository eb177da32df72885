/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * HTTP/1.1 client for one server, of one shard: keeps connections and uses them again.
 *
 *     ss_http_client *cl = ss_http_client_new(&address, &(ss_http_client_opts){.host = "example"});
 *     ss_http_response *r = SS_TRY_PTR(ss_http_get(cl, "/hello"));
 *     ss_str body;
 *     SS_TRY(ss_http_response_read(r, 1 << 20, &body));
 *     printf("%d %.*s", r->head.status, (int)body.n, body.p);
 *     ss_http_response_end(r);
 *     SS_TRY(ss_http_client_close(cl));
 */
#ifndef SEASTAR_HTTP_CLIENT_H
#define SEASTAR_HTTP_CLIENT_H

#include <seastar/http.h>
#include <seastar/net.h>
#include <seastar/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_http_client ss_http_client; /**< A client of one shard. */
typedef struct ss_http_upload ss_http_upload; /**< A request's body being sent. */

/** How a client behaves. Zero in a field means its default. */
typedef struct ss_http_client_opts {
	const char *host;     /**< Host field; NULL for the address. Copied. */
	ss_tls_creds *tls;    /**< Speak HTTPS with these; must outlive the client. NULL: not. */
	const char *tls_name; /**< Name in the server's certificate; NULL for host. Copied. */
	unsigned max_connections; /**< At a time: 32; further requests wait. */
	unsigned max_idle;	  /**< Connections kept: 8. */
	size_t max_head;	  /**< Bytes of a response's head: 64 KiB. */
	uint64_t max_body;	  /**< Bytes of a response's body: no limit. */
	uint64_t connect_ns;	  /**< Time to connect: 10 s. */
	uint64_t read_ns;	  /**< Silence of the server: 30 s. */
	uint64_t write_ns;	  /**< Wait for a server that does not read: 30 s. */
	uint64_t idle_ns;	  /**< Kept connections older than this are not used: 30 s. */
} ss_http_client_opts;

/** A header field to send. */
typedef struct ss_http_line {
	const char *name;  /**< NULL ends a list. */
	const char *value; /**< Text. */
} ss_http_line;

/** A request to send. Only read during the call, except for the body. */
typedef struct ss_http_call {
	const char *method;	    /**< NULL for "GET". */
	const char *target;	    /**< Path and query, encoded. */
	const ss_http_line *fields; /**< Ended by a NULL name; or NULL. */
	const void *body; /**< Body, which must live until the response is there; or NULL. */
	int64_t length;	  /**< Its bytes; with upload -1 to send chunks. */
	/** Sends the body piece by piece; called once. NULL: body is sent. */
	ss_future (*upload)(ss_http_upload *u, void *arg);
	void *arg; /**< For upload. */
} ss_http_call;

/** A response whose head has come. */
typedef struct ss_http_response {
	ss_http_head head; /**< Status and header fields. */
	ss_conn *conn;	   /**< The connection. */
} ss_http_response;

/** A client for the server at @p a. @p opts is copied and may be NULL. NULL if there is no memory.
 */
ss_http_client *ss_http_client_new(const ss_addr *a, const ss_http_client_opts *opts);

/** Close the connections; ready when all responses were ended. The client is freed. */
SS_MUST_USE ss_future ss_http_client_close(ss_http_client *cl);

/**
 * Send a request. If a kept connection turns out to be closed by the server before anything of the
 * response came, a request that may be repeated (GET, HEAD, PUT, DELETE, OPTIONS without upload) is
 * sent again on a new one.
 * @return a ss_http_response, to be ended with ss_http_response_end(), whatever its status; -EINVAL
 *         for a bad method, target or field, -EBADMSG or -EMSGSIZE for a bad response, -ETIMEDOUT,
 *         -ESHUTDOWN once the client is closing, and the errors of the connection.
 */
SS_MUST_USE ss_future ss_http_send(ss_http_client *cl, const ss_http_call *call);

/** ss_http_send() of a GET. */
SS_MUST_USE ss_future ss_http_get(ss_http_client *cl, const char *target);

/** In upload: write a copy of @p n bytes; waits while the server does not read. */
SS_MUST_USE ss_future ss_http_upload_write(ss_http_upload *u, const void *data, size_t n);

/** The first field of the response called @p name; p NULL if there is none. */
static inline ss_str ss_http_response_field(const ss_http_response *r, const char *name)
{
	return ss_http_head_field(&r->head, name);
}

/** The next piece of the body, without copying: resolves with out->len, 0 at the end. */
SS_MUST_USE ss_future ss_http_response_take(ss_http_response *r, ss_buf *out);

/**
 * The whole body in one piece, terminated by a zero byte that is not counted.
 * @param r    the response.
 * @param max  most bytes; more fail with -EMSGSIZE.
 * @param out  gets a slice that lives until ss_http_response_end().
 * @return length.
 */
SS_MUST_USE ss_future ss_http_response_read(ss_http_response *r, size_t max, ss_str *out);

/** Free a response; its connection is kept if the body was read to its end. NULL is allowed. */
void ss_http_response_end(ss_http_response *r);

/** Free a response but not its connection, which becomes the caller's (after 101). */
ss_conn *ss_http_response_detach(ss_http_response *r);

/** What a client did. */
struct ss_http_client_stats {
	uint64_t requests;    /**< Sent. */
	uint64_t connections; /**< Opened. */
	uint64_t retries;     /**< Requests sent again. */
	uint64_t idle;	      /**< Connections kept now. */
};

/** Statistics. */
void ss_http_client_stats(const ss_http_client *cl, struct ss_http_client_stats *out);

#ifdef __cplusplus
}
#endif
#endif
