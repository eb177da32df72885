/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the HTTP server share.
 *
 * A connection runs a loop: read and parse a head, find the route, run middleware and handler,
 * finish the reply, drop what is left of the body. An exchange (struct ex) holds one request and
 * its reply; it comes from a pool of the server when the first byte of a head is there and goes
 * back when the reply is finished, so idle connections hold none.
 *
 * Time limits: each connection has a deadline and a timer of the server looks at all of them
 * several times within the shortest limit. Arming a timer for each request would cost more than the
 * requests that need one are worth.
 */
#ifndef SS_HTTP_SERVER_INTERNAL_H
#define SS_HTTP_SERVER_INTERNAL_H

#include "entity.h"

#include <seastar/http_server.h>

#define SCRATCH 960	 /* bytes of an exchange for what must live as long */
#define MAX_PARAMS 8	 /* of a route */
#define MAX_PAIRS 128	 /* of a query or a form */
#define OUT_HIGH 65536	 /* bytes of replies that may wait to be sent */
#define COPY_MAX 4096	 /* bodies up to this are copied behind their head */
#define DRAIN_MAX 262144 /* bytes of an unread body that are dropped to keep a connection */

/* route.c */
struct http_route {
	const char *method; /* NULL: any */
	size_t method_len;
	ss_http_handler handler;
	void *arg;
	struct http_route *next;
	const char *names[MAX_PARAMS];
	unsigned n_names;
	bool rest; /* the last name takes the rest */
};

struct http_match {
	const struct http_route *route; /* NULL: none */
	bool path_known;		/* the path has routes, of other methods */
	ss_str values[MAX_PARAMS];	/* encoded */
	char allow[160];		/* methods of the path */
};

struct http_node;
struct http_node *http_node_new(void);
void http_node_free(struct http_node *n);
int http_node_add(struct http_node *root, const char *method, const char *pattern,
    ss_http_handler handler, void *arg);
void http_node_find(const struct http_node *root, ss_str method, ss_str path, struct http_match *m);

/* Bytes that live as long as an exchange. */
struct scratch {
	struct scratch *next;
	char bytes[];
};

enum reply_state {
	REPLY_NONE,   /* nothing sent */
	REPLY_BODY,   /* head sent, body in progress */
	REPLY_WHOLE,  /* head and all of the body sent */
	REPLY_BROKEN, /* cannot be completed */
	REPLY_RAW,    /* no HTTP any more */
};

struct ex {
	ss_http_req q;
	struct hconn *c;
	struct ex *next_free;
	ss_buf head; /* keeps the head's bytes */
	/* body of the request */
	struct http_entity body;
	bool expect;	/* the client waits for 100 Continue */
	bool head_only; /* HEAD: no body in the reply */
	/* reply */
	enum reply_state state;
	bool chunked, keep;
	int status, wanted_status;
	int64_t to_write; /* -1: not known */
	uint64_t written;
	char *fields; /* added header fields */
	size_t n_fields, fields_room;
	unsigned stage; /* middleware to run next */
	const struct http_route *route;
	/* memory */
	struct scratch *blocks;
	char *text; /* of ss_http_body_read() */
	size_t used;
	_Alignas(16) char scratch[SCRATCH];
	ss_http_field field[];
};

enum phase {
	PHASE_IDLE,  /* between requests */
	PHASE_HEAD,  /* part of a head is there */
	PHASE_BODY,  /* waits for more of a body */
	PHASE_WRITE, /* waits for the client to read */
	PHASE_BUSY,  /* the handler is at work: no limit */
};

struct hconn {
	ss_conn *conn;
	ss_http_server *s;
	struct hconn *next, *prev;
	uint64_t deadline; /* 0: none */
	uint64_t requests;
	struct ex *ex;
	size_t seen; /* bytes of an incomplete head */
	uint64_t drained;
	uint8_t phase;
	bool late;   /* a limit was exceeded */
	bool linger; /* only waits for the client to finish */
	bool closed;
};

struct hlistener {
	ss_server server;
	ss_future stopped; /* once stopping */
	struct hlistener *next;
};

struct middleware {
	ss_http_handler fn;
	void *arg;
};

/* files.c: a directory that is served */
struct http_files {
	struct http_files *next;
	int fd;
	bool follow_out;
	char *index, *cache_control; /* NULL: none */
};

void http_files_free(struct http_files *f);

struct ss_http_server {
	ss_http_server_opts o;
	struct http_node *root;
	struct middleware *mw;
	unsigned n_mw;
	struct hlistener *listeners;
	struct http_files *files;
	struct hconn *conns;
	uint64_t n_conns;
	struct ex *free_ex;
	unsigned n_free_ex;
	ss_timer sweep;
	uint64_t sweep_ns;
	bool stopping;
	uint64_t stop_deadline;
	ss_gate gate;
	struct ss_http_stats stats;
	/* lines of every head */
	char server_field[64];
	size_t n_server_field;
	char date[48];
	size_t n_date;
	uint64_t date_until;
};

static inline struct ex *ex_of(const ss_http_req *q)
{
	return ss_container_of((ss_http_req *)(uintptr_t)q, struct ex, q);
}

static inline void set_phase(struct hconn *c, enum phase p, uint64_t limit_ns)
{
	c->phase = (uint8_t)p;
	c->deadline = limit_ns ? ss_now_coarse() + limit_ns : 0;
}

/* body.c: drop the rest of the body: resolves with 1 if all of it was dropped. */
ss_future http_body_drop(struct ex *e);
/* Decode text into pairs in the exchange's memory: count, -EINVAL, -E2BIG or -ENOMEM. */
int http_pairs(struct ex *e, ss_str text, const ss_http_pair **out);

/* reply.c */
ss_future http_reply_failure(struct ex *e, ss_result r);
/* After the handler: complete the reply. 0, or negative if the connection cannot go on. */
int http_reply_end(struct ex *e);
/* Wait until fewer than OUT_HIGH bytes wait to be sent. */
ss_future http_room(struct hconn *c);
/* A reply to something that is no request; the connection ends after it. */
void http_reply_bad(struct hconn *c, int status, const char *why);

#endif
