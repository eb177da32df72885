/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of the interface, free of the way requests come in: a request is a method, a path and
 * arguments; the reply a status and a text. One table (table.c) holds every call with its
 * parameters; routing, the OpenAPI document and the page to try calls are made from it. Everything
 * runs on one thread, except calls marked `slow`.
 */
#ifndef HTTPSERVER_API_H
#define HTTPSERVER_API_H

#include "text.h"

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_BINARY "application/octet-stream"

struct api_arg {
	const char *name, *value; /* decoded */
};

struct api_request {
	const char *method;
	const char *path; /* decoded, from the first slash on */
	const struct api_arg *args;
	unsigned nargs;
	const char *body; /* not form data: the raw body; NULL for none */
	size_t body_len;
	bool in_batch;
	/* Set by api_find(). */
	const struct api_call *call;
	const char *rest; /* what stands at the place of the path's parameter */
};

struct api_reply {
	int status; /* 200 unless set */
	const char *type;
	const char *allow; /* methods, of a 405 */
	struct text body;
	/* A file to be sent instead of the body: the descriptor is the receiver's to close. */
	int fd;
	int64_t offset, length; /* length -1: to the end, which may not be known */
	/* Called once the reply was sent; ends the service or the machine. */
	void (*after)(void);
};

enum api_flags {
	API_SLOW =
	    1, /* may wait for a disk: runs on a thread of its own and touches nothing shared */
	API_BODY = 2,	/* takes the raw body */
	API_UPLOAD = 4, /* a multipart or raw body of any size that goes into a file as it comes */
};

struct api_param {
	const char *name, *type, *help; /* type as in OpenAPI: string, integer, boolean */
	bool required;
	const char *choices; /* separated by '|', or NULL */
};

struct api_call {
	const char *method, *path; /* the last segment may be {name} or {name...} */
	void (*fn)(struct api_request *q, struct api_reply *r);
	const char *summary, *returns;	/* returns: a JSON type or a content type */
	const struct api_param *params; /* ended by an empty name; may be NULL */
	unsigned flags;
};

extern const struct api_call api_calls[];
extern const unsigned api_ncalls;

/* Finds the call of q->method and q->path. False: the reply says why (404, 405). */
bool api_find(struct api_request *q, struct api_reply *r);
/* Checks the arguments against the call's parameters and runs it; the reply is complete then. */
void api_run(struct api_request *q, struct api_reply *r);
/* Both. */
void api_handle(struct api_request *q, struct api_reply *r);
void api_reply_init(struct api_reply *r);
void api_reply_free(struct api_reply *r);

/* An argument's value, or NULL. */
const char *api_arg(const struct api_request *q, const char *name);
/* A flag: 1, true, yes, on or 0, false, no, off in any case (checked before a call runs). */
bool api_arg_flag(const struct api_request *q, const char *name, bool otherwise);
int64_t api_arg_int(const struct api_request *q, const char *name, int64_t otherwise);

/* Replies. */
void api_fail(struct api_reply *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The status for a negative errno: 404, 403, 409, 507, … with its text. */
void api_fail_errno(struct api_reply *r, int err, const char *what);
void api_string(struct api_reply *r, const char *value);
void api_int(struct api_reply *r, int64_t value);

/* Milliseconds since 1970. */
int64_t api_time_ms(void);

/* What the service was told; set before the first request. */
struct api_config {
	const char *file_root; /* what /file shows; "/" for everything */
	bool read_only;	       /* refuse everything that changes something */
};
extern struct api_config api_config;

#endif
