/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of Seastar's HTTP server become requests of the interface. Each runs as a fiber, since
 * it may read a body before and send a file after the call itself; calls that may wait for a disk
 * run on the pool's thread.
 */
#include "server.h"
#include "api.h"
#include "calls.h"
#include "files.h"
#include "multipart.h"
#include "pages.h"

#include <errno.h>
#include <seastar/fiber.h>
#include <seastar/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BODY_MAX (1u << 20) /* of everything but uploads */
#define UPLOAD_MAX (1ull << 40)
#define MAX_ARGS 128
#define PIECE 32768

static const char *required_token;

static bool is_type(const ss_http_req *q, const char *type)
{
	ss_str v = ss_http_field_of(q, "content-type");
	size_t n = strlen(type);

	return v.p && v.n >= n && !strncasecmp(v.p, type, n);
}

/* ---- who may ask ---- */

/* Compares without telling by its time how much of it was right. */
static bool same_token(ss_str given)
{
	size_t n = strlen(required_token);
	unsigned differ = given.n != n;

	for (size_t i = 0; i < given.n && i < n; i++)
		differ |= (unsigned char)given.p[i] ^ (unsigned char)required_token[i];
	return !differ;
}

static bool has_token(const ss_http_req *q)
{
	ss_str v = ss_http_field_of(q, "authorization");
	static const char scheme[] = "Bearer ";
	size_t n = sizeof scheme - 1;

	return v.p && v.n > n && !strncasecmp(v.p, scheme, n) &&
	       same_token((ss_str){v.p + n, v.n - n});
}

/* Pages of other sites must not use a browser that can reach this machine. */
static bool foreign_origin(const ss_http_req *q)
{
	ss_str origin = ss_http_field_of(q, "origin"), host = q->head.host;

	if (!origin.p)
		return false;
	const char *slashes = memmem(origin.p, origin.n, "://", 3);
	if (!slashes)
		return true;
	size_t n = origin.n - (size_t)(slashes + 3 - origin.p);
	return n != host.n || strncasecmp(slashes + 3, host.p, n);
}

static bool is_page(const ss_http_req *q)
{
	for (unsigned i = 0; i < npages; i++)
		if (ss_str_is(q->head.path, pages[i].path))
			return ss_str_is(q->head.method, "GET") ||
			       ss_str_is(q->head.method, "HEAD");
	return false;
}

SS_CONT(refused)
{
	return ss_ok(1);
}

static ss_future check_access(ss_http_req *q, void *arg)
{
	(void)arg;
	if (foreign_origin(q))
		return ss_then(
		    ss_http_reply_error(q, 403, "requests from other sites are refused"), refused);
	/* The pages hold nothing secret: they ask for the token and send it with their requests. */
	if (!required_token || has_token(q) || is_page(q))
		return ss_ok(0);
	ss_http_add_field(q, "WWW-Authenticate", "Bearer");
	return ss_then(ss_http_reply_error(q, 401, "a bearer token is required"), refused);
}

/* ---- a request ---- */

struct exchange {
	ss_http_req *http;
	struct api_request q;
	struct api_reply r;
	struct api_arg args[MAX_ARGS];
	char method[16];
};

static bool add_pairs(struct exchange *x, const ss_http_pair *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (x->q.nargs == MAX_ARGS)
			return false;
		x->args[x->q.nargs++] = (struct api_arg){p[i].name, p[i].value};
	}
	return true;
}

static bool find_call(struct exchange *x)
{
	ss_http_req *http = x->http;
	char *path = ss_http_alloc(http, http->head.path.n + 1);

	if (!path || ss_http_decode(path, http->head.path, false) < 0) {
		api_fail(&x->r, 400, "the path has a bad encoding");
		return false;
	}
	snprintf(
	    x->method, sizeof x->method, "%.*s", (int)http->head.method.n, http->head.method.p);
	x->q.method = x->method;
	x->q.path = path;
	x->q.args = x->args;
	if (!add_pairs(x, http->queries, http->n_queries)) {
		api_fail(&x->r, 400, "more than %d parameters", MAX_ARGS);
		return false;
	}
	return api_find(&x->q, &x->r);
}

/* Form fields become arguments; another body is kept if the call takes one. 0 or a negative errno.
 */
static int64_t read_arguments(struct exchange *x)
{
	ss_http_req *http = x->http;
	ss_str body;

	if (is_type(http, "application/x-www-form-urlencoded")) {
		SS_TRY(ss_http_read_form(http, BODY_MAX));
		if (!add_pairs(x, http->forms, http->n_forms))
			return -EMSGSIZE;
	} else if (x->q.call->flags & API_BODY) {
		SS_TRY(ss_http_body_read(http, BODY_MAX, &body));
		x->q.body = body.p;
		x->q.body_len = body.n;
	}
	return 0;
}

/* ---- uploads ---- */

static bool is_upload(const struct exchange *x)
{
	const char *op = api_arg(&x->q, "op");

	if (!(x->q.call->flags & API_UPLOAD) || api_arg(&x->q, "content"))
		return false;
	if (!strcmp(x->method, "POST"))
		return true;
	return op ? !strcasecmp(op, "CREATE")
		  : !is_type(x->http, "application/x-www-form-urlencoded");
}

static int write_upload(void *arg, const void *p, size_t n)
{
	return upload_write(arg, p, n);
}

/* Moves the body into the file. 0 or a negative errno. */
static int64_t receive(struct exchange *x, struct upload *u, struct multipart *m)
{
	ss_buf buf;

	ss_http_body_limit(x->http, UPLOAD_MAX);
	for (;;) {
		int64_t n = SS_TRY(ss_http_body_take(x->http, &buf));
		if (!n)
			break;
		int err =
		    m ? multipart_feed(m, buf.data, buf.len) : upload_write(u, buf.data, buf.len);
		ss_buf_release(&buf);
		if (err)
			return err;
	}
	return !m || m->done ? 0 : -EBADMSG;
}

static bool permission(struct exchange *x, mode_t *mode)
{
	const char *text = api_arg(&x->q, "permission");
	char *end = (char *)"";

	*mode = text ? (mode_t)strtoul(text, &end, 8) : 0644;
	if (!*end && *mode <= 07777)
		return true;
	api_fail(&x->r, 400, "permission %.20s is no octal number up to 7777", text);
	return false;
}

/* Returns a negative errno only if the connection is to blame. */
static int64_t upload(struct exchange *x)
{
	ss_str type = ss_http_field_of(x->http, "content-type");
	struct multipart *m = NULL;
	struct upload u;
	mode_t mode;

	if (api_config.read_only) {
		api_fail(&x->r, 403, "this service only reads");
		return 0;
	}
	if (!permission(x, &mode))
		return 0;
	if (!strcmp(x->method, "POST") && is_type(x->http, "multipart/")) {
		m = malloc(sizeof *m);
		if (!m || multipart_init(m, type.p, type.n)) {
			free(m);
			api_fail(&x->r, 400, "the body is not multipart/form-data with a boundary");
			return 0;
		}
	}
	int64_t err = upload_begin(&u, x->q.rest, api_arg_flag(&x->q, "overwrite", true),
	    api_arg_flag(&x->q, "createParent", false), mode);
	if (!err) {
		if (m) {
			m->data = write_upload;
			m->arg = &u;
		}
		err = upload_end(&u, (int)receive(x, &u, m));
	}
	free(m);
	if (err == -EBADMSG)
		api_fail(&x->r, 400, "the body has no file, or bad framing");
	else if (err == -ETIMEDOUT || err == -ECONNRESET || err == -EPIPE)
		return err;
	else if (err)
		api_fail_errno(&x->r, (int)err, x->q.rest);
	else
		text_puts(&x->r.body, "{\"boolean\":true}");
	return 0;
}

/* ---- replies ---- */

static int64_t send_file(struct exchange *x)
{
	char *buf = malloc(PIECE);
	int64_t left = x->r.length, at = x->r.offset, err = buf ? 0 : -ENOMEM;

	if (!err)
		err = ss_await(ss_http_stream(x->http, x->r.type, left)).err;
	while (!err && left) {
		size_t want = left > 0 && left < PIECE ? (size_t)left : PIECE;
		ssize_t n = pread(x->r.fd, buf, want, at);
		if (n <= 0) {
			err = n < 0 ? -errno : left > 0 ? -EIO : 0; /* it became shorter */
			break;
		}
		at += n;
		left -= left > 0 ? n : 0;
		err = ss_await(ss_http_write(x->http, buf, (size_t)n)).err;
	}
	free(buf);
	return err;
}

static int64_t blocking_run(void *arg)
{
	struct exchange *x = arg;

	api_run(&x->q, &x->r);
	return 0;
}

static int64_t reply(struct exchange *x)
{
	if (x->r.allow)
		ss_http_add_field(x->http, "Allow", x->r.allow);
	ss_http_add_field(x->http, "Cache-Control", "no-store");
	ss_http_add_field(x->http, "X-Content-Type-Options", "nosniff");
	if (x->r.fd >= 0)
		return send_file(x);
	SS_TRY(ss_http_reply(
	    x->http, x->r.status, x->r.type, x->r.body.p ? x->r.body.p : "", x->r.body.n));
	return 0;
}

static int64_t serve(struct exchange *x)
{
	int64_t err = 0;

	if (find_call(x)) {
		if (is_upload(x)) {
			err = upload(x);
		} else {
			err = read_arguments(x);
			if (err == -EMSGSIZE)
				api_fail(&x->r, 413, "the request's body is too large");
			else if (err == -EINVAL || err == -EBADMSG)
				api_fail(&x->r, 400, "the request's body is malformed");
			else if (err)
				return err;
			else if (x->q.call->flags & (API_SLOW | API_UPLOAD))
				err = ss_await(ss_blocking(blocking_run, x)).err;
			else
				api_run(&x->q, &x->r);
		}
	}
	if (err && err != -EMSGSIZE && err != -EINVAL && err != -EBADMSG)
		return err;
	err = reply(x);
	if (!err && x->r.after) {
		ss_ignore(ss_http_flush(x->http));
		x->r.after();
	}
	return err;
}

SS_FIBER(handle_fiber, ss_http_req *http;)
{
	struct exchange *x = calloc(1, sizeof *x);

	if (!x)
		return -ENOMEM;
	x->http = self->http;
	api_reply_init(&x->r);
	int64_t err = serve(x);
	if (x->r.fd >= 0)
		close(x->r.fd);
	api_reply_free(&x->r);
	free(x);
	return err;
}

static ss_future handle(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(handle_fiber, q);
}

static ss_future show_page(ss_http_req *q, void *arg)
{
	const struct page *p = arg;

	ss_http_add_field(q, "Cache-Control", "no-cache");
	ss_http_add_field(q, "X-Content-Type-Options", "nosniff");
	ss_http_add_field(q, "Content-Security-Policy",
	    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");
	return ss_http_reply(q, 200, p->type, p->begin, (size_t)(p->end - p->begin));
}

int server_routes(ss_http_server *s, const char *token)
{
	int err = ss_http_use(s, check_access, NULL);

	required_token = token;
	for (unsigned i = 0; i < npages && !err; i++)
		err = ss_http_route(s, "GET", pages[i].path, show_page, (void *)&pages[i]);
	if (!err)
		err = ss_http_route(s, NULL, "/{path...}", handle, NULL);
	return err;
}
