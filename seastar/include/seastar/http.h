/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What HTTP servers and clients share: slices of text, the parser of message heads, the decoder of
 * chunked bodies, and the encodings of addresses. Nothing here waits or keeps state per shard.
 */
#ifndef SEASTAR_HTTP_H
#define SEASTAR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A piece of text inside something longer; not terminated. */
typedef struct ss_str {
	const char *p; /**< First byte; NULL if there is no such text. */
	size_t n;      /**< Bytes. */
} ss_str;

/** A slice of a string constant. */
#define SS_STR(literal) ((ss_str){(literal), sizeof(literal) - 1})

/** True if @p s is the terminated string @p z. */
bool ss_str_is(ss_str s, const char *z);

/** ss_str_is() without regard to the case of ASCII letters. */
bool ss_str_is_nocase(ss_str s, const char *z);

/** One header field. */
typedef struct ss_http_field {
	ss_str name;  /**< As sent. */
	ss_str value; /**< Without blanks around it. */
} ss_http_field;

/**
 * The head of a request or a response. The caller sets fields and max_fields before parsing; all
 * slices point into the parsed buffer.
 */
typedef struct ss_http_head {
	ss_http_field *fields; /**< Array for the header fields. */
	unsigned max_fields;   /**< Room in it. */
	unsigned n_fields;     /**< How many there are. */
	ss_str method;	       /**< Of a request. */
	ss_str target;	       /**< Of a request, as sent. */
	ss_str path;	       /**< Path of the target, still encoded. */
	ss_str query;	       /**< Query of the target without "?", p NULL if there is none. */
	ss_str host;	       /**< From the target or the Host field. */
	ss_str reason;	       /**< Of a response. */
	int status;	       /**< Of a response; of a failed parse: the status to reply with. */
	int minor;	       /**< Version 1.minor. */
	int64_t length;	       /**< Content-Length; -1 if not given. */
	bool chunked;	       /**< Transfer-Encoding: chunked. */
	bool keep_alive;       /**< The connection may be used again. */
	bool expect;	       /**< Expect: 100-continue. */
	bool upgrade;	       /**< Connection: upgrade with an Upgrade field. */
	const char *error;     /**< Why the parse failed; static text. */
} ss_http_head;

/**
 * Parse the head of a request. Strict: bare line feeds, folded lines, blanks before a colon, two
 * lengths, a length beside a transfer coding, and control characters are refused.
 * @param h     gets the head.
 * @param buf   bytes received so far.
 * @param n     how many.
 * @param seen  bytes of @p buf that an earlier call found to be incomplete; 0 at first.
 * @return length of the head; 0 if it is not complete; -EBADMSG with h->status (400, 431, 501 or
 *         505) and h->error if it is not acceptable.
 */
int64_t ss_http_parse_request(ss_http_head *h, const char *buf, size_t n, size_t seen);

/** Parse the head of a response; as ss_http_parse_request(), h->status is the response's. */
int64_t ss_http_parse_response(ss_http_head *h, const char *buf, size_t n, size_t seen);

/** The first field called @p name; p NULL if there is none. */
ss_str ss_http_head_field(const ss_http_head *h, const char *name);

/** True if @p value, a list separated by commas, has the element @p token (any case). */
bool ss_http_has_token(ss_str value, const char *token);

/** Decoder of a chunked body. Zero-initialise. */
typedef struct ss_http_chunks {
	uint64_t left;	 /**< Data bytes of the current chunk still to come. */
	int state;	 /**< Where it is. */
	unsigned digits; /**< Digits of the size seen. */
	unsigned extra;	 /**< Bytes of extensions and trailers seen. */
} ss_http_chunks;

/**
 * Look at the next bytes of a chunked body.
 * @param c     the decoder.
 * @param buf   the next bytes.
 * @param n     how many.
 * @param skip  gets how many of them are framing: to be dropped.
 * @param data  gets how many bytes after those are data; the decoder counts them as consumed.
 * @return 1 at the end of the body (after @p skip bytes), 0 if it goes on, -EBADMSG if the framing
 *         is not valid.
 */
int ss_http_chunks_next(ss_http_chunks *c, const char *buf, size_t n, size_t *skip, size_t *data);

/**
 * Decode %XX, and with @p plus also "+" as a blank.
 * @param dst   gets at most s.n bytes and a terminating zero, so needs s.n + 1; may be s.p.
 * @param s     encoded text.
 * @param plus  as in forms and queries.
 * @return length, or -EINVAL for a bad sequence or an encoded zero byte.
 */
int64_t ss_http_decode(char *dst, ss_str s, bool plus);

/**
 * Encode @p s so that it may stand in a path segment or a query.
 * @param dst  gets the text, terminated.
 * @param n    bytes at @p dst; nothing is written past them.
 * @param s    any bytes.
 * @return length needed, without the terminator.
 */
size_t ss_http_encode(char *dst, size_t n, ss_str s);

/** Text of a status code, "Unknown" if it has none. */
const char *ss_http_reason(int status);

#define SS_HTTP_DATE_SIZE 30 /**< Bytes of a date with its terminator. */

/** Write a time as HTTP has it ("Sun, 06 Nov 1994 08:49:37 GMT"); SS_HTTP_DATE_SIZE bytes. */
void ss_http_date(char *dst, time_t t);

/** Parse a date as HTTP has it (the preferred form only). Returns 0 or -EINVAL. */
int ss_http_parse_date(ss_str s, time_t *out);

/** Content type for a file name, by its ending. */
const char *ss_http_content_type(const char *name);

/**
 * Write @p s as a JSON string with its quotes; bytes that are not valid UTF-8 become U+FFFD.
 * @param dst  gets the text, terminated.
 * @param n    bytes at @p dst; nothing is written past them.
 * @param s    any bytes.
 * @return length needed, without the terminator.
 */
size_t ss_json_quote(char *dst, size_t n, ss_str s);

#ifdef __cplusplus
}
#endif
#endif
