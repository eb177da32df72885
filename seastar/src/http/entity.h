/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies as they come in, for server and client. */
#ifndef SS_HTTP_ENTITY_H
#define SS_HTTP_ENTITY_H

#include "../shard.h"

#include <seastar/http.h>
#include <seastar/stream.h>

/* A body that is being received. */
struct http_entity {
	ss_input *in;
	ss_http_chunks chunks;
	uint64_t left;	     /* bytes to come, if the length is known */
	uint64_t taken, max; /* bytes received, and the most that are accepted */
	bool chunked, to_eof;
	bool end; /* all of it was received */
	bool bad; /* what follows in the stream is of no use */
};

void http_entity_begin(struct http_entity *b, ss_input *in, const ss_http_head *h, uint64_t max);

/* Take what is there without waiting: true with the result for the caller (see ss_http_body_take())
 * in *f, false if more has to come. */
bool http_entity_now(struct http_entity *b, ss_buf *out, ss_future *f);

/* The input has ended: the result for the caller. */
ss_future http_entity_eof(struct http_entity *b);

/* The body failed for good. */
static inline ss_future http_entity_fail(struct http_entity *b, int err, const char *why)
{
	b->bad = true;
	return ss_fail_msg(err, why);
}

/* Collects a body in one piece. The text grows with what comes, not with what was announced. */
struct http_whole {
	struct http_entity *body;
	ss_future (*take)(void *arg, ss_buf *out);
	void *arg;
	char **mem; /* the text, for its owner to free; NULL in it at first */
	ss_str *out;
	size_t max, n, room;
	ss_buf piece;
};

/* Resolves with the length. w must live until then. */
ss_future http_whole_read(struct http_whole *w);

#endif
