/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files. Opening, looking and reading are done by threads of the pool, in one visit for files that
 * fit into the first buffer; larger ones follow piece by piece as the client reads.
 */
#include "server.h"

#include <seastar/file.h>
#include <seastar/loop.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST 16384  /* bytes read with the open */
#define PIECE 131072 /* bytes of each further read */

struct sending {
	struct ex *e;
	const struct http_files *dir; /* NULL: any path */
	const char *path, *type;
	char *index_path; /* path of the index, if path is a directory */
	int fd;
	struct stat st;
	bool is_index;
	ss_buf buf;
	uint64_t at, end; /* what is still to be read */
	size_t got;
};

void http_files_free(struct http_files *f)
{
	while (f) {
		struct http_files *next = f->next;

		close(f->fd);
		ss_free(f->index);
		ss_free(f->cache_control);
		ss_free(f);
		f = next;
	}
}

/* On a thread of the pool */

static int open_beneath(const struct http_files *dir, const char *path)
{
	/* A FIFO must not keep the thread waiting for its other end. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct open_how how = {
	    .flags = (uint64_t)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd;

	if (!dir)
		fd = open(path, flags);
	else if (dir->follow_out)
		fd = openat(dir->fd, path, flags);
	else
		fd = (int)syscall(SYS_openat2, dir->fd, path, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS && dir && !dir->follow_out)
		fd = openat(dir->fd, path, flags);
	if (fd < 0)
		return errno == EXDEV || errno == ELOOP ? -EACCES : -errno;
	return fd;
}

static int64_t read_piece(void *arg)
{
	struct sending *s = arg;
	uint64_t want = s->end - s->at;
	ssize_t n;

	if (want > s->buf.len)
		want = s->buf.len;
	for (s->got = 0; s->got < want; s->got += (size_t)n) {
		n = pread(s->fd, s->buf.data + s->got, want - s->got, (off_t)(s->at + s->got));
		if (n < 0)
			return -errno;
		/* It became shorter while it was sent. */
		if (!n)
			return -EIO;
	}
	return 0;
}

static int64_t open_and_look(void *arg)
{
	struct sending *s = arg;
	int err = 0;

	s->fd = open_beneath(s->dir, s->path);
	if (s->fd < 0)
		return s->fd;
	if (fstat(s->fd, &s->st))
		return -errno;
	if (S_ISDIR(s->st.st_mode) && s->index_path) {
		close(s->fd);
		s->is_index = true;
		s->fd = open_beneath(s->dir, s->index_path);
		if (s->fd < 0)
			return s->fd == -ENOENT ? -EISDIR : s->fd;
		err = fstat(s->fd, &s->st) ? -errno : 0;
	}
	if (err)
		return err;
	if (!S_ISREG(s->st.st_mode))
		return S_ISDIR(s->st.st_mode) ? -EISDIR : -EACCES;
	s->end = (uint64_t)s->st.st_size;
	return s->end <= s->buf.len ? read_piece(s) : 0;
}

/* Conditions and ranges */

static void make_etag(const struct stat *st, char *out, size_t n)
{
	snprintf(out, n, "\"%llx-%llx\"",
	    (unsigned long long)st->st_mtim.tv_sec * 1000000000ull +
		(unsigned long long)st->st_mtim.tv_nsec,
	    (unsigned long long)st->st_size);
}

/* If-None-Match: "*" or a list; a weak tag is as good as a strong one here. */
static bool etag_listed(ss_str list, const char *etag)
{
	size_t n = strlen(etag);

	if (ss_str_is(list, "*"))
		return true;
	return memmem(list.p, list.n, etag, n) != NULL;
}

static bool not_modified(const struct ex *e, const struct stat *st, const char *etag)
{
	ss_str none = ss_http_field_of(&e->q, "If-None-Match");
	ss_str since = ss_http_field_of(&e->q, "If-Modified-Since");
	time_t t;

	if (none.p)
		return etag_listed(none, etag);
	return since.p && !ss_http_parse_date(since, &t) && st->st_mtim.tv_sec <= t;
}

static bool range_applies(const struct ex *e, const struct stat *st, const char *etag)
{
	ss_str cond = ss_http_field_of(&e->q, "If-Range");
	time_t t;

	if (!cond.p)
		return true;
	if (cond.n && *cond.p == '"')
		return ss_str_is(cond, etag);
	return !ss_http_parse_date(cond, &t) && st->st_mtim.tv_sec == t;
}

static bool take_number(const char **p, const char *end, uint64_t *out)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9' && *p - start < 18; ++*p)
		v = v * 10 + (uint64_t)(**p - '0');
	*out = v;
	return *p > start;
}

/* One range of bytes: 1 and [*at, *end); 0 if it is to be ignored; -ERANGE if it is not there. */
static int parse_range(ss_str r, uint64_t size, uint64_t *at, uint64_t *end)
{
	const char *p = r.p + 6, *stop = r.p + r.n;
	uint64_t a, b;
	bool has_a, has_b;

	if (r.n < 7 || memcmp(r.p, "bytes=", 6) != 0)
		return 0;
	has_a = take_number(&p, stop, &a);
	if (p == stop || *p++ != '-')
		return 0;
	has_b = take_number(&p, stop, &b);
	/* Several ranges: all of the file is a valid answer. */
	if (p != stop || (!has_a && !has_b) || (has_a && has_b && b < a))
		return 0;
	if (!has_a) {
		if (!b || !size)
			return -ERANGE;
		*at = b < size ? size - b : 0;
		*end = size;
		return 1;
	}
	if (a >= size)
		return -ERANGE;
	*at = a;
	*end = has_b && b < size - 1 ? b + 1 : size;
	return 1;
}

/* Sending */

static void close_it(struct sending *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	ss_buf_release(&s->buf);
}

SS_CONT(sent_all, struct sending *s;)
{
	close_it(self->s);
	return ss_ready(r);
}

SS_CONT(piece_written, struct sending *s;)
{
	return self->s->at < self->s->end ? SS_AGAIN : SS_STOP;
}

SS_CONT(piece_read, struct sending *s;)
{
	struct sending *s = self->s;

	s->buf.len = s->got;
	s->at += s->got;
	return ss_then(ss_http_write_buf(&s->e->q, &s->buf), piece_written, s);
}

SS_CONT(send_piece, struct sending *s;)
{
	struct sending *s = self->s;
	uint64_t left = s->end - s->at;

	if (ss_buf_alloc(&s->buf, left < PIECE ? (size_t)left : PIECE))
		return ss_fail(-ENOMEM);
	return ss_then(ss_blocking(read_piece, s), piece_read, s);
}

/* [at, end) of the file, of which the first buffer may hold all. */
static ss_future send_range(struct sending *s, bool loaded)
{
	ss_http_req *q = &s->e->q;
	ss_buf part;

	if (s->at == s->end || s->e->head_only)
		return ss_ok(0);
	if (loaded) {
		part = ss_buf_share(&s->buf, s->at, s->end - s->at);
		/* Small ones leave with their head in one piece. */
		if (part.len > COPY_MAX)
			return ss_http_write_buf(q, &part);
		ss_buf_release(&part);
		return ss_http_write(q, s->buf.data + s->at, s->end - s->at);
	}
	ss_buf_release(&s->buf);
	return ss_repeat(send_piece, s);
}

SS_CONT(head_sent, struct sending *s; bool loaded;)
{
	return send_range(self->s, self->loaded);
}

static int add_fields(struct sending *s, const char *etag)
{
	ss_http_req *q = &s->e->q;
	char date[SS_HTTP_DATE_SIZE];
	int err;

	ss_http_date(date, s->st.st_mtim.tv_sec);
	err = ss_http_add_field(q, "Last-Modified", date);
	if (!err)
		err = ss_http_add_field(q, "ETag", etag);
	if (!err)
		err = ss_http_add_field(q, "Accept-Ranges", "bytes");
	if (!err && s->dir && s->dir->cache_control)
		err = ss_http_add_field(q, "Cache-Control", s->dir->cache_control);
	return err;
}

static ss_future reply_range(struct sending *s, bool loaded, const char *etag)
{
	ss_http_req *q = &s->e->q;
	ss_str range = ss_http_field_of(q, "Range");
	uint64_t size = s->end;
	int k = 0, err = 0;
	char text[80];

	if (range.p && range_applies(s->e, &s->st, etag))
		k = parse_range(range, size, &s->at, &s->end);
	if (k < 0) {
		snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
		err = ss_http_add_field(q, "Content-Range", text);
		return err ? ss_fail(err)
			   : ss_http_reply_error(q, 416, "the file has no such bytes");
	}
	if (k > 0) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)s->at,
		    (unsigned long long)s->end - 1, (unsigned long long)size);
		err = ss_http_add_field(q, "Content-Range", text);
		ss_http_status(q, 206);
	}
	if (err)
		return ss_fail(err);
	return ss_then(ss_http_stream(q, s->type, (int64_t)(s->end - s->at)), head_sent, s, loaded);
}

/* "/dir" instead of "/dir/": relative links of the page would miss. */
static ss_future add_slash(struct ex *e)
{
	ss_str path = e->q.head.path, query = e->q.head.query;
	char *to = ss_http_alloc(&e->q, path.n + query.n + 3);

	if (!to)
		return ss_fail(-ENOMEM);
	/* Two slashes at the start would be the name of another host. */
	while (path.n > 1 && path.p[1] == '/') {
		path.p++;
		path.n--;
	}
	sprintf(to, "%.*s/%s%.*s", (int)path.n, path.p, query.p ? "?" : "", (int)query.n,
	    query.p ? query.p : "");
	return ss_http_redirect(&e->q, 301, to);
}

SS_CONT(looked, struct sending *s;)
{
	struct sending *s = self->s;
	bool loaded = s->end <= s->buf.len;
	const ss_http_head *h = &s->e->q.head;
	char etag[48];
	int err;

	if (s->is_index && h->path.p[h->path.n - 1] != '/')
		return add_slash(s->e);
	make_etag(&s->st, etag, sizeof(etag));
	if (!s->type)
		s->type = ss_http_content_type(s->is_index ? s->index_path : s->path);
	err = add_fields(s, etag);
	if (err)
		return ss_fail(err);
	if (not_modified(s->e, &s->st, etag))
		return ss_http_reply(&s->e->q, 304, NULL, NULL, 0);
	return reply_range(s, loaded, etag);
}

static ss_future begin_sending(struct sending *s)
{
	if (ss_buf_alloc(&s->buf, FIRST))
		return ss_fail(-ENOMEM);
	return ss_then_wrapped(ss_then(ss_blocking(open_and_look, s), looked, s), sent_all, s);
}

ss_future ss_http_send_file(ss_http_req *q, const char *path, const char *type)
{
	struct sending *s = ss_http_alloc(q, sizeof(*s));

	if (!s)
		return ss_fail(-ENOMEM);
	*s = (struct sending){.e = ex_of(q), .path = path, .type = type, .fd = -1};
	return begin_sending(s);
}

/* Directories */

/* Parts of a path must be names: "..", and what systems elsewhere take for a separator, are not. */
static bool acceptable(const char *path)
{
	if (*path == '/')
		return false;
	for (const char *p = path; p; p = strchr(p, '/')) {
		while (*p == '/')
			p++;
		if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
			return false;
	}
	return !strchr(path, '\\');
}

SS_CONT(file_failed, ss_http_req *q;)
{
	ss_http_req *q = self->q;

	if (ss_http_started(q))
		return ss_ready(r);
	switch (r.err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
		return ss_http_reply_error(q, 404, "no such file");
	case -EISDIR:
		return ss_http_reply_error(q, 403, "the directory has no index");
	case -EACCES:
	case -EPERM:
		return ss_http_reply_error(q, 403, "the file may not be read");
	default:
		return ss_ready(r);
	}
}

static ss_future serve_file(ss_http_req *q, void *arg)
{
	const struct http_files *dir = arg;
	const char *path = ss_http_param(q, "path");
	struct sending *s;

	if (!acceptable(path))
		return ss_http_reply_error(q, 403, "the path leaves the directory");
	s = ss_http_alloc(q, sizeof(*s));
	if (!s)
		return ss_fail(-ENOMEM);
	*s = (struct sending){.e = ex_of(q), .dir = dir, .path = *path ? path : ".", .fd = -1};
	if (dir->index) {
		size_t n = strlen(s->path) + strlen(dir->index) + 2;

		s->index_path = ss_http_alloc(q, n);
		if (!s->index_path)
			return ss_fail(-ENOMEM);
		snprintf(s->index_path, n, "%s/%s", s->path, dir->index);
	}
	return ss_handle_error(begin_sending(s), file_failed, q);
}

static struct http_files *files_new(const char *root, const ss_http_files_opts *o, int *err)
{
	struct http_files *f = ss_zalloc(sizeof(*f));

	*err = -ENOMEM;
	if (!f)
		return NULL;
	f->fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0) {
		*err = -errno;
		ss_free(f);
		return NULL;
	}
	f->follow_out = o->follow_out;
	if (!o->index || *o->index)
		f->index = ss_strdup(o->index ? o->index : "index.html");
	if (o->cache_control)
		f->cache_control = ss_strdup(o->cache_control);
	if ((!f->index && (!o->index || *o->index)) || (o->cache_control && !f->cache_control)) {
		http_files_free(f);
		return NULL;
	}
	*err = 0;
	return f;
}

int ss_http_files(
    ss_http_server *s, const char *prefix, const char *root, const ss_http_files_opts *opts)
{
	static const ss_http_files_opts defaults;
	char pattern[256];
	int err, n;
	struct http_files *f = files_new(root, opts ? opts : &defaults, &err);

	if (!f)
		return err;
	n = snprintf(pattern, sizeof(pattern), "%s%s{path...}", prefix,
	    *prefix && prefix[strlen(prefix) - 1] == '/' ? "" : "/");
	err = n < (int)sizeof(pattern) ? ss_http_route(s, "GET", pattern, serve_file, f) : -EINVAL;
	if (err) {
		http_files_free(f);
		return err;
	}
	f->next = s->files;
	s->files = f;
	return 0;
}
