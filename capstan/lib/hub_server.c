/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `capstan hub serve DIR`: the HTTP side, on libmicrohttpd with a thread for each connection.
 *   GET, HEAD /            a page for people
 *   GET, HEAD /FILE        a file of the hub, with ranges
 *   PUT /packages/X.mpm    publishes a package; needs "Authorization: Bearer TOKEN"
 *   PUT /[NS/]X/X.qemu.gz  publishes an image; ?version=, description= and created= describe it
 */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub.h"
#include "hub_store.h"
#include "manifest.h"

#define UPLOAD_MAX (16ull << 30)
#define TIMEOUT_S 60
#define CONNECTIONS_MAX 256

struct server {
	struct hub_store store;
	struct cap *c;
};

/* State of one upload, from its headers to its last byte. */
struct upload {
	int fd;
	char *path;
	uint64_t bytes;
	int error;
};

static enum MHD_Result answer(
    struct MHD_Connection *conn, unsigned status, const char *type, const char *text)
{
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	enum MHD_Result result = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result plain(struct MHD_Connection *conn, unsigned status, const char *text)
{
	return answer(conn, status, "text/plain; charset=utf-8", text);
}

static void html(struct buf *out, const char *text)
{
	for (; text && *text; text++)
		if (strchr("<>&\"", *text))
			buf_printf(out, "&#%d;", *text);
		else
			buf_putc(out, *text);
}

static void list_page(struct buf *out, const char *what, const char *command,
    const struct hub_package *list, size_t count)
{
	buf_printf(out,
	    "<h2>%zu %s</h2><p>Get one with <code>capstan -u URL-OF-THIS-PAGE %s NAME</code>.</p>"
	    "<table><tr><th>Name<th>Version<th>Created<th>Size<th>Description",
	    count, what, command);
	for (size_t i = 0; i < count; i++) {
		const struct hub_package *p = &list[i];
		char size[32];
		buf_puts(out, "<tr><td><a href=\"/");
		html(out, p->file);
		buf_puts(out, "\">");
		html(out, p->name);
		buf_puts(out, "</a><td>");
		html(out, p->version);
		buf_puts(out, "<td>");
		html(out, p->created);
		buf_printf(out, "<td>%s<td>", format_size(p->bytes, size));
		html(out, p->title);
	}
	buf_puts(out, "</table>");
}

static enum MHD_Result front_page(struct server *s, struct MHD_Connection *conn)
{
	struct hub_index index;
	struct cap c = {0};
	if (hub_store_index(&c, &s->store, &index)) {
		free(c.last_error);
		return plain(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "the index cannot be read\n");
	}
	struct buf out = {0};
	buf_printf(&out,
	    "<!doctype html><html lang=en><meta charset=utf-8><title>Carrara hub</title>"
	    "<meta name=viewport content=\"width=device-width\">"
	    "<style>body{font:16px sans-serif;margin:2em auto;max-width:60em}"
	    "td,th{text-align:left;padding:.2em 1em .2em 0}code{font-size:90%%}</style>"
	    "<h1>Carrara hub</h1><p>Public key: <code>%s</code></p>",
	    s->store.public_key);
	list_page(&out, "packages", "package pull", index.list, index.count);
	list_page(&out, "images", "pull", index.images, index.image_count);
	buf_puts(&out, "</html>\n");
	enum MHD_Result result = answer(conn, MHD_HTTP_OK, "text/html; charset=utf-8", out.data);
	hub_index_free(&index);
	buf_free(&out);
	return result;
}

/* "bytes=FIRST-[LAST]" or "bytes=-COUNT" within a file. 1: a range, 0: ignore, -1: outside. */
static int parse_range(const char *header, uint64_t size, uint64_t *first, uint64_t *len)
{
	char a[24] = "", b[24] = "";
	uint64_t last = size ? size - 1 : 0, count;
	if (!header || !has_prefix(header, "bytes=") || strchr(header, ','))
		return 0;
	const char *dash = strchr(header += 6, '-');
	if (!dash || dash - header > 20 || strlen(dash + 1) > 20)
		return 0;
	memcpy(a, header, dash - header);
	strcpy(b, dash + 1);
	if (!*a) {
		if (!parse_uint(b, UINT64_MAX, &count) || !count)
			return *b ? -1 : 0;
		*first = count < size ? size - count : 0;
	} else if (!parse_uint(a, UINT64_MAX, first) || (*b && !parse_uint(b, UINT64_MAX, &last))) {
		return 0;
	}
	if (*first >= size || last < *first)
		return -1;
	*len = cap_min(last, size - 1) - *first + 1;
	return 1;
}

/* Only plain names below the hub's directory; nothing hidden, no links out of it. */
static int open_file(const struct server *s, const char *url, struct stat *st)
{
	if (url[0] != '/' || strstr(url, "/.") || strstr(url, "//"))
		return -1;
	char *path = xasprintf("%s%s", s->store.dir, url);
	char *real = realpath(path, NULL);
	size_t n = strlen(s->store.dir);
	int fd = -1;
	char *base = realpath(s->store.dir, NULL);
	n = base ? strlen(base) : 0;
	if (real && base && !strncmp(real, base, n) && real[n] == '/')
		fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(base);
	free(real);
	free(path);
	if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static enum MHD_Result send_file(struct server *s, struct MHD_Connection *conn, const char *url)
{
	struct stat st;
	int fd = open_file(s, url, &st);
	if (fd < 0)
		return plain(conn, MHD_HTTP_NOT_FOUND, "not here\n");
	const char *header = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Range");
	uint64_t first = 0, len = st.st_size;
	int range = parse_range(header, st.st_size, &first, &len);
	if (range < 0) {
		close(fd);
		return plain(conn, MHD_HTTP_RANGE_NOT_SATISFIABLE, "no such range\n");
	}
	struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(len, fd, first);
	if (range) {
		char *text = xasprintf("bytes %llu-%llu/%llu", (unsigned long long)first,
		    (unsigned long long)(first + len - 1), (unsigned long long)st.st_size);
		MHD_add_response_header(r, "Content-Range", text);
		free(text);
	}
	MHD_add_response_header(r, "Accept-Ranges", "bytes");
	MHD_add_response_header(r, "Content-Type",
	    has_suffix(url, ".json")				  ? "application/json"
	    : has_suffix(url, ".yaml") || has_suffix(url, ".pub") ? "text/plain"
								  : "application/octet-stream");
	enum MHD_Result result =
	    MHD_queue_response(conn, range ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}

static bool authorized(const struct server *s, struct MHD_Connection *conn)
{
	const char *header = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Authorization");
	unsigned char given[32], wanted[32];
	if (!header || !has_prefix(header, "Bearer "))
		return false;
	/* Digests of equal length are compared, so that time tells nothing about the token. */
	crypto_generichash(
	    given, 32, (const unsigned char *)header + 7, strlen(header + 7), NULL, 0);
	crypto_generichash(
	    wanted, 32, (const unsigned char *)s->store.token, strlen(s->store.token), NULL, 0);
	return !sodium_memcmp(given, wanted, 32);
}

/* NAME of "/NAME/LAST.qemu.gz", where LAST is NAME without its namespace; NULL for other paths. */
static char *image_name(const char *url)
{
	const char *last = strrchr(url, '/');
	if (!last || last == url || has_prefix(url, "/packages/") || !has_suffix(url, ".qemu.gz"))
		return NULL;
	char *name = xstrndup(url + 1, last - url - 1);
	char *expected = xasprintf("%s.qemu.gz", path_base(name));
	if (!cap_image_name_valid(name) || strcmp(expected, last + 1)) {
		free(name);
		name = NULL;
	}
	free(expected);
	return name;
}

static int publish(struct server *s, struct MHD_Connection *conn, struct cap *c, const char *url,
    const char *upload, char **message)
{
	char *name = image_name(url);
	if (!name)
		return hub_store_publish(c, &s->store, upload, message);
	struct hub_image_upload image = {.name = name,
	    .version = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "version"),
	    .description = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "description"),
	    .created = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "created")};
	int result = hub_store_publish_image(c, &s->store, upload, &image, message);
	free(name);
	return result;
}

static enum MHD_Result begin_upload(
    struct server *s, struct MHD_Connection *conn, const char *url, void **state)
{
	struct cap c = {0};
	if (!authorized(s, conn))
		return plain(conn, MHD_HTTP_UNAUTHORIZED, "wrong or missing token\n");
	char *image = image_name(url);
	bool package = has_prefix(url, "/packages/") && has_suffix(url, ".mpm");
	bool known = package || image;
	free(image);
	if (!known)
		return plain(conn, MHD_HTTP_BAD_REQUEST,
		    "packages go to /packages/NAME.mpm, images to "
		    "/[NAMESPACE/]NAME/NAME.qemu.gz\n");
	struct upload *u = xcalloc(1, sizeof(*u));
	u->fd = hub_store_upload(&c, &s->store, &u->path);
	free(c.last_error);
	if (u->fd < 0)
		u->error = u->fd;
	*state = u;
	return MHD_YES;
}

static void take_data(struct upload *u, const char *data, size_t len)
{
	if (u->error)
		return;
	u->bytes += len;
	u->error = u->bytes > UPLOAD_MAX ? -EFBIG : write_all(u->fd, data, len);
}

static enum MHD_Result end_upload(
    struct server *s, struct MHD_Connection *conn, const char *url, struct upload *u)
{
	struct cap c = {0};
	char *message = NULL;
	int result = u->error;
	if (!result && fsync(u->fd))
		result = -errno;
	if (result)
		cap_fail(&c, -result, "cannot store the upload: %s", strerror(-result));
	else
		result = publish(s, conn, &c, url, u->path, &message);
	unsigned status =
	    !result		? MHD_HTTP_CREATED
	    : result == -EEXIST ? MHD_HTTP_CONFLICT
	    : result == -EFBIG	? MHD_HTTP_CONTENT_TOO_LARGE
	    : result == -EBADMSG || result == -ENOTDIR || result == -ELOOP || result == -EINVAL
		? MHD_HTTP_UNPROCESSABLE_CONTENT
		: MHD_HTTP_INTERNAL_SERVER_ERROR;
	char *text = xasprintf("%s\n", result ? c.last_error : message);
	enum MHD_Result sent = plain(conn, status, text);
	free(text);
	free(message);
	free(c.last_error);
	return sent;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *conn, const char *url,
    const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct server *s = arg;
	(void)version;
	if (!strcmp(method, "GET") || !strcmp(method, "HEAD"))
		return strcmp(url, "/") ? send_file(s, conn, url) : front_page(s, conn);
	if (strcmp(method, "PUT"))
		return plain(
		    conn, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD and PUT are understood\n");
	if (!*state)
		return begin_upload(s, conn, url, state);
	if (*size) {
		take_data(*state, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return end_upload(s, conn, url, *state);
}

/* A finished or broken request: an upload that was not published leaves nothing. */
static void completed(
    void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode code)
{
	struct upload *u = *state;
	(void)arg, (void)conn, (void)code;
	if (!u)
		return;
	if (u->fd >= 0)
		close(u->fd);
	unlink(u->path);
	free(u->path);
	free(u);
	*state = NULL;
}

static struct MHD_Daemon *start(struct server *s, const struct cap_hub_server *o,
    const struct sockaddr_in *address, char *cert, char *key)
{
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, key}, {MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL | (o->tls_cert ? MHD_USE_TLS : 0);
	return MHD_start_daemon(flags, o->port, NULL, NULL, handle, s, MHD_OPTION_SOCK_ADDR,
	    address, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_ARRAY,
	    o->tls_cert ? tls : none, MHD_OPTION_END);
}

static int read_pem(struct cap *c, const char *path, struct buf *out)
{
	int result = path ? file_read(path, 1 << 20, out) : 0;
	return result ? cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result)) : 0;
}

static int serve(struct cap *c, struct server *s, const struct cap_hub_server *o)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(o->port)};
	const char *host = o->address ? o->address : "127.0.0.1";
	struct buf cert = {0}, key = {0};
	sigset_t wait_for;
	int signal, result = 0;
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return cap_fail(c, EINVAL, "\"%s\" is not an IPv4 address to listen on", host);
	if (!o->tls_cert != !o->tls_key)
		return cap_fail(c, EINVAL, "--tls-cert and --tls-key go together");
	if (!result)
		result = read_pem(c, o->tls_cert, &cert);
	if (!result)
		result = read_pem(c, o->tls_key, &key);
	/* Blocked before the threads start, so that only this one takes them. */
	sigemptyset(&wait_for);
	sigaddset(&wait_for, SIGINT);
	sigaddset(&wait_for, SIGTERM);
	sigprocmask(SIG_BLOCK, &wait_for, NULL);
	struct MHD_Daemon *d = result ? NULL : start(s, o, &address, cert.data, key.data);
	if (!result && !d)
		result =
		    cap_fail(c, EADDRINUSE, "cannot listen on %s port %u (in use?)", host, o->port);
	if (!result) {
		const union MHD_DaemonInfo *info =
		    MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
		cap_info(c, "Serving %s at http%s://%s:%u", s->store.dir, o->tls_cert ? "s" : "",
		    host, info ? info->port : o->port);
		cap_info(c, "Public key: %s", s->store.public_key);
		if (!o->token)
			cap_info(c, "Token for uploads: in %s/.hub/token", s->store.dir);
		sigwait(&wait_for, &signal);
		MHD_stop_daemon(d);
	}
	buf_free(&cert);
	buf_free(&key);
	return result;
}

int cap_hub_serve(struct cap *c, const struct cap_hub_server *o)
{
	struct server s = {.c = c};
	int result = hub_store_open(c, o->dir, o->token, &s.store);
	if (result)
		return result;
	result = serve(c, &s, o);
	hub_store_close(&s.store);
	return result;
}
