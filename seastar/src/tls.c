/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS connections: a ss_conn over another one. OpenSSL reads its records straight from the input
 * stream below and writes them straight to the output stream below, by the BIO here; it never
 * blocks, it asks to be called again when there is more to read.
 *
 * The handshake runs once, as a loop of its own on the reactor's stack (fibers have small ones),
 * started by the first operation; operations that come meanwhile wait in `waiting`. Afterwards
 * reading and writing are independent of each other. The object goes when the base says so and the
 * loop and a closing that may be in progress have ended (`busy`).
 */
#include "shard.h"
#include "tls_impl.h"

#include <seastar/loop.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>

#define RECORD 16384		/* most bytes of data in one record */
#define PENDING_MAX (64 * 1024) /* of records that wait for the connection below */
#define SMALL 4096		/* buffers below this size share a record */

enum handshake { HS_NEW, HS_RUNNING, HS_DONE, HS_FAILED };

struct tls_conn {
	ss_conn base;
	ss_source source;
	ss_sink sink;
	ss_conn *lower;
	SSL *ssl;
	ss_tls_creds *creds;
	enum handshake hs;
	ss_waitq waiting; /* for the end of the handshake */
	ss_timer timer;	  /* its limit */
	int err;	  /* first failure */
	const char *msg;  /* its text */
	unsigned busy;
	bool lower_eof, peer_done, freed, closed;
	ss_buf *bufs; /* being written: buffers, and where in them */
	size_t n_bufs, at, off;
};

static const struct ss_conn_ops conn_ops;
static __thread char scratch[RECORD]; /* small buffers are gathered here */

static struct tls_conn *from_conn(ss_conn *c)
{
	return ss_container_of(c, struct tls_conn, base);
}

/* The BIO: the streams of the connection below. */

static int bio_read(BIO *b, char *out, int n)
{
	struct tls_conn *c = BIO_get_data(b);
	ss_input *in = &c->lower->in;
	size_t k = (size_t)n;

	BIO_clear_retry_flags(b);
	if (n <= 0)
		return 0;
	if (!in->buf.len) {
		if (c->lower_eof)
			return 0;
		BIO_set_retry_read(b);
		return -1;
	}
	if (k > in->buf.len)
		k = in->buf.len;
	memcpy(out, in->buf.data, k);
	ss_input_consume(in, k);
	return (int)k;
}

static int bio_write(BIO *b, const char *data, int n)
{
	struct tls_conn *c = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (n <= 0 || ss_output_put(&c->lower->out, data, (size_t)n))
		return -1;
	return n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	struct tls_conn *c = BIO_get_data(b);

	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_FLUSH)
		return 1;
	return cmd == BIO_CTRL_EOF && c->lower_eof && !c->lower->in.buf.len;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	if (!method)
		return;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

/* Errors */

static ss_result failure(const struct tls_conn *c)
{
	return (ss_result){.msg = c->msg, .err = c->err};
}

static void note(struct tls_conn *c, int err, const char *msg)
{
	if (c->err)
		return;
	c->err = err;
	c->msg = msg;
}

/* Remember why OpenSSL failed. */
static void note_ssl(struct tls_conn *c)
{
	unsigned long e = ERR_peek_last_error();
	long verify = SSL_get_verify_result(c->ssl);
	const char *text = ERR_reason_error_string(e);

	if (c->lower->out.err)
		note(c, c->lower->out.err, NULL);
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		 ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		note(c, -ECONNRESET, "TLS connection ended without close_notify");
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		 ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
		note(c, -EKEYREJECTED, X509_verify_cert_error_string(verify));
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		 ERR_GET_REASON(e) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		note(c, -EKEYREJECTED, text);
	else
		note(c, -EPROTO, text ? text : "TLS failed");
	ERR_clear_error();
}

/* What the connection below answered; a failure noted before is the better reason. */
static ss_future with_reason(struct tls_conn *c, ss_result r)
{
	/* A read that took too long is not the end: a reply can still be sent. */
	if (r.err == -ETIMEDOUT && !c->lower->out.err)
		return ss_ready(r);
	if (!r.err)
		return ss_ready(r);
	note(c, r.err, r.msg);
	return ss_ready(failure(c));
}

/* Have records sent that were made on the way, without waiting. */
static void send_soon(struct tls_conn *c)
{
	if (ss_output_pending(&c->lower->out))
		ss_ignore(ss_output_flush(&c->lower->out));
}

/* The same, at once: the alert that tells the other side about a failure. */
static void send_now(struct tls_conn *c)
{
	if (ss_output_pending(&c->lower->out))
		ss_ignore(ss_output_drain(&c->lower->out));
}

static void release(struct tls_conn *c)
{
	ss_timer_cancel(&c->timer);
	SSL_free(c->ssl);
	ss_conn_close(c->lower);
	ss_tls_creds_free(c->creds);
	ss_free(c);
}

static void unbusy(struct tls_conn *c)
{
	if (!--c->busy && c->freed)
		release(c);
}

/* The handshake */

SS_CONT(hs_filled, struct tls_conn *c;)
{
	if (!r.i)
		self->c->lower_eof = true;
	return SS_AGAIN;
}

SS_CONT(hs_step, struct tls_conn *c;)
{
	struct tls_conn *c = self->c;
	int k;

	if (c->err)
		return ss_ready(failure(c));
	ERR_clear_error();
	k = SSL_do_handshake(c->ssl);
	if (k == 1) {
		send_soon(c);
		return SS_STOP;
	}
	if (SSL_get_error(c->ssl, k) != SSL_ERROR_WANT_READ) {
		note_ssl(c);
		send_now(c);
		return ss_ready(failure(c));
	}
	send_soon(c);
	return ss_then(ss_input_fill(&c->lower->in), hs_filled, c);
}

SS_CONT(hs_end, struct tls_conn *c;)
{
	struct tls_conn *c = self->c;

	ss_timer_cancel(&c->timer);
	if (r.err)
		note(c, r.err, r.msg);
	c->hs = r.err ? HS_FAILED : HS_DONE;
	ss_waitq_wake_all(&c->waiting, r.err ? failure(c) : (ss_result){.i = 0, .err = 0});
	unbusy(c);
	return ss_ok(0);
}

SS_CONT(hs_start, struct tls_conn *c;)
{
	/* A yield that found no memory only means another stack. */
	return ss_repeat(hs_step, self->c);
}

/* Ready when the handshake has ended. */
static ss_future handshake(struct tls_conn *c)
{
	if (c->err)
		return ss_ready(failure(c));
	if (c->hs == HS_DONE)
		return ss_ok(0);
	if (c->hs == HS_NEW) {
		c->hs = HS_RUNNING;
		c->busy++;
		ss_detach(ss_then_wrapped(ss_then_wrapped(ss_yield(), hs_start, c), hs_end, c));
		if (c->hs != HS_RUNNING)
			return c->err ? ss_ready(failure(c)) : ss_ok(0);
	}
	return ss_waitq_wait(&c->waiting, 0, NULL, NULL, NULL);
}

static void hs_late(ss_timer *t)
{
	struct tls_conn *c = ss_container_of(t, struct tls_conn, timer);

	note(c, -ETIMEDOUT, "TLS handshake took too long");
	ss_conn_abort(c->lower);
}

/* Reading */

static ss_future get_now(struct tls_conn *c, ss_buf *out);

SS_CONT(get_filled, struct tls_conn *c; ss_buf * out;)
{
	if (r.err)
		return with_reason(self->c, r);
	if (!r.i)
		self->c->lower_eof = true;
	return get_now(self->c, self->out);
}

SS_CONT(get_drained, struct tls_conn *c; ss_buf * out;)
{
	return r.err ? with_reason(self->c, r) : get_now(self->c, self->out);
}

/* How much room a read needs: what is decrypted already, or what the records below may hold. */
static size_t read_room(struct tls_conn *c)
{
	size_t n = (size_t)SSL_pending(c->ssl);

	if (!n)
		n = c->lower->in.buf.len > 2048 ? c->lower->in.buf.len : 2048;
	return n < RECORD ? n : RECORD;
}

/* Decrypt what is there: true with *r set, false if more is needed. */
static bool decrypt(struct tls_conn *c, ss_buf *out, ss_result *r)
{
	size_t got;
	ss_buf b;

	if (ss_buf_alloc(&b, read_room(c))) {
		*r = (ss_result){.msg = NULL, .err = -ENOMEM};
		return true;
	}
	ERR_clear_error();
	if (SSL_read_ex(c->ssl, b.data, b.len, &got)) {
		b.len = got;
		*out = b;
		*r = (ss_result){.i = (int64_t)got, .err = 0};
		return true;
	}
	ss_buf_release(&b);
	switch (SSL_get_error(c->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		return false;
	case SSL_ERROR_ZERO_RETURN:
		c->peer_done = true;
		*r = (ss_result){.i = 0, .err = 0};
		return true;
	default:
		note_ssl(c);
		send_now(c);
		*r = failure(c);
		return true;
	}
}

static ss_future get_now(struct tls_conn *c, ss_buf *out)
{
	ss_result r;

	if (c->err)
		return ss_ready(failure(c));
	if (c->peer_done)
		return ss_ok(0);
	if (SSL_has_pending(c->ssl) || c->lower->in.buf.len || c->lower_eof) {
		bool done = decrypt(c, out, &r);

		if (!c->err)
			send_soon(c);
		if (done)
			return ss_ready(r);
	}
	/*
	 * Answers to key updates gather: one who sends those and never reads has to wait. Data alone
	 * never makes that many bytes: were reads to wait for data to be sent, two sides that both
	 * write more than the system holds would wait for each other.
	 */
	if (ss_output_pending(&c->lower->out) > 4 * PENDING_MAX)
		return ss_then_wrapped(ss_output_drain(&c->lower->out), get_drained, c, out);
	return ss_then_wrapped(ss_input_fill(&c->lower->in), get_filled, c, out);
}

SS_CONT(get_shaken, struct tls_conn *c; ss_buf * out;)
{
	return get_now(self->c, self->out);
}

static ss_future tls_get(ss_source *s, ss_buf *out)
{
	struct tls_conn *c = ss_container_of(s, struct tls_conn, source);

	if (ss_likely(c->hs == HS_DONE))
		return get_now(c, out);
	return ss_then(handshake(c), get_shaken, c, out);
}

/* Writing */

/* The next piece for one call: a buffer's rest, or small buffers gathered. */
static size_t next_piece(struct tls_conn *c, const char **p)
{
	size_t left = c->bufs[c->at].len - c->off, n = 0;

	if (left >= SMALL || c->at + 1 == c->n_bufs) {
		*p = c->bufs[c->at].data + c->off;
		n = left < PENDING_MAX ? left : PENDING_MAX;
		c->off += n;
	} else {
		*p = scratch;
		while (c->at < c->n_bufs && n < RECORD) {
			left = c->bufs[c->at].len - c->off;
			if (left > RECORD - n)
				left = RECORD - n;
			memcpy(scratch + n, c->bufs[c->at].data + c->off, left);
			n += left;
			c->off += left;
			if (c->off < c->bufs[c->at].len)
				break;
			c->at++;
			c->off = 0;
		}
	}
	if (c->at < c->n_bufs && c->off == c->bufs[c->at].len) {
		c->at++;
		c->off = 0;
	}
	return n;
}

static ss_future put_now(struct tls_conn *c);

SS_CONT(put_drained, struct tls_conn *c;)
{
	if (r.err || self->c->at == self->c->n_bufs)
		return with_reason(self->c, r);
	return put_now(self->c);
}

static ss_future put_now(struct tls_conn *c)
{
	if (c->err)
		return ss_ready(failure(c));
	while (c->at < c->n_bufs && ss_output_pending(&c->lower->out) < PENDING_MAX) {
		const char *p;
		size_t n = next_piece(c, &p), done;

		if (!n)
			continue;
		ERR_clear_error();
		if (!SSL_write_ex(c->ssl, p, n, &done)) {
			note_ssl(c);
			send_now(c);
			return ss_ready(failure(c));
		}
	}
	return ss_then_wrapped(ss_output_drain(&c->lower->out), put_drained, c);
}

SS_CONT(put_shaken, struct tls_conn *c;)
{
	return put_now(self->c);
}

static ss_future tls_put(ss_sink *s, ss_buf *bufs, size_t n)
{
	struct tls_conn *c = ss_container_of(s, struct tls_conn, sink);

	c->bufs = bufs;
	c->n_bufs = n;
	c->at = c->off = 0;
	if (ss_likely(c->hs == HS_DONE))
		return put_now(c);
	return ss_then(handshake(c), put_shaken, c);
}

/* Closing */

SS_CONT(closed_lower, struct tls_conn *c;)
{
	unbusy(self->c);
	return ss_ready(r);
}

/* Say close_notify, if the connection got that far, then end the stream below. */
SS_CONT(close_shaken, struct tls_conn *c;)
{
	struct tls_conn *c = self->c;

	if (c->hs == HS_DONE && !c->err) {
		ERR_clear_error();
		if (SSL_shutdown(c->ssl) < 0)
			note_ssl(c);
	}
	if (c->err)
		return ss_ready(failure(c));
	return ss_output_close(&c->lower->out);
}

static ss_future tls_half_close(ss_sink *s)
{
	struct tls_conn *c = ss_container_of(s, struct tls_conn, sink);
	ss_future f = c->hs == HS_RUNNING ? handshake(c) : ss_ok(0);

	c->busy++;
	return ss_then_wrapped(ss_then(f, close_shaken, c), closed_lower, c);
}

static void tls_abort(ss_conn *base)
{
	struct tls_conn *c = from_conn(base);

	note(c, -ECANCELED, NULL);
	ss_timer_cancel(&c->timer);
	ss_conn_abort(c->lower);
}

static void tls_free(ss_conn *base)
{
	struct tls_conn *c = from_conn(base);

	c->freed = true;
	if (!c->busy)
		release(c);
}

static void tls_peer(ss_conn *base, ss_addr *out)
{
	ss_conn_peer(from_conn(base)->lower, out);
}

static void tls_local(ss_conn *base, ss_addr *out)
{
	ss_conn_local(from_conn(base)->lower, out);
}

static int tls_nodelay(ss_conn *base, bool on)
{
	return ss_conn_set_nodelay(from_conn(base)->lower, on);
}

static void tls_timeouts(ss_conn *base, uint64_t rd, uint64_t wr)
{
	ss_conn_set_timeouts(from_conn(base)->lower, rd, wr);
}

static const struct ss_source_ops source_ops = {.get = tls_get};
static const struct ss_sink_ops sink_ops = {.put = tls_put, .close = tls_half_close};
static const struct ss_conn_ops conn_ops = {
    .abort = tls_abort,
    .free = tls_free,
    .peer = tls_peer,
    .local = tls_local,
    .nodelay = tls_nodelay,
    .timeouts = tls_timeouts,
};

/* Making connections */

static ss_future conn_new(ss_tls_creds *creds, ss_conn *lower)
{
	struct tls_conn *c = ss_zalloc(sizeof(*c));
	BIO *b;

	pthread_once(&once, make_method);
	if (c)
		c->ssl = SSL_new(creds->ctx);
	b = c && c->ssl && method ? BIO_new(method) : NULL;
	if (!b) {
		if (c)
			SSL_free(c->ssl);
		ss_free(c);
		ss_conn_close(lower);
		ERR_clear_error();
		return ss_fail(-ENOMEM);
	}
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	SSL_set_bio(c->ssl, b, b);
	c->lower = lower;
	c->creds = ss_tls_creds_ref(creds);
	c->source.ops = &source_ops;
	c->sink.ops = &sink_ops;
	ss_conn_init(&c->base, &conn_ops, &c->source, &c->sink);
	ss_timer_init(&c->timer, hs_late);
	ss_timer_arm(&c->timer, creds->handshake_timeout_ns);
	return ss_okp(&c->base);
}

ss_future ss_tls_server(ss_tls_creds *creds, ss_conn *lower)
{
	ss_future f;

	if (!creds->server) {
		ss_conn_close(lower);
		return ss_fail_msg(-EINVAL, "TLS credentials are not a server's");
	}
	f = conn_new(creds, lower);
	if (!f.r.err)
		SSL_set_accept_state(from_conn(f.r.p)->ssl);
	return f;
}

static int set_name(SSL *ssl, const char *name)
{
	unsigned char ip[16];

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name);
}

ss_future ss_tls_client(ss_tls_creds *creds, ss_conn *lower, const ss_tls_connect_opts *opts)
{
	const char *name = opts ? opts->name : NULL;
	const char *bad = NULL;
	struct tls_conn *c;
	ss_future f;

	if (creds->server)
		bad = "TLS credentials are a server's";
	else if (!name && !creds->insecure)
		bad = "TLS needs the name of the server to check its certificate";
	if (bad) {
		ss_conn_close(lower);
		return ss_fail_msg(-EINVAL, bad);
	}
	f = conn_new(creds, lower);
	if (f.r.err)
		return f;
	c = from_conn(f.r.p);
	SSL_set_connect_state(c->ssl);
	if ((name && !set_name(c->ssl, name)) ||
	    (opts && opts->session && !SSL_set_session(c->ssl, (SSL_SESSION *)opts->session))) {
		ERR_clear_error();
		ss_conn_close(&c->base);
		return ss_fail_msg(-EINVAL, "TLS cannot use this server name or session");
	}
	return f;
}

/* What is known about a connection */

bool ss_conn_is_tls(const ss_conn *c)
{
	return c->ops == &conn_ops;
}

ss_future ss_tls_handshake(ss_conn *base)
{
	return handshake(from_conn(base));
}

static void certificate_info(SSL *ssl, ss_tls_info *out)
{
	X509 *x = SSL_get1_peer_certificate(ssl);
	BIO *b;
	int n;

	if (!x)
		return;
	out->peer_verified =
	    SSL_get_verify_result(ssl) == X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(x), NID_commonName, out->peer_name, (int)sizeof(out->peer_name));
	b = BIO_new(BIO_s_mem());
	if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
		n = BIO_read(b, out->peer_subject, (int)sizeof(out->peer_subject) - 1);
		out->peer_subject[n > 0 ? n : 0] = '\0';
	}
	BIO_free(b);
	X509_free(x);
	ERR_clear_error();
}

void ss_tls_info_get(ss_conn *base, ss_tls_info *out)
{
	struct tls_conn *c = from_conn(base);
	const unsigned char *alpn;
	unsigned n;

	memset(out, 0, sizeof(*out));
	out->error = c->msg;
	if (c->hs != HS_DONE)
		return;
	out->version = SSL_get_version(c->ssl);
	out->cipher = SSL_get_cipher_name(c->ssl);
	out->server_name = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
	out->resumed = SSL_session_reused(c->ssl) == 1;
	SSL_get0_alpn_selected(c->ssl, &alpn, &n);
	if (n && n < sizeof(out->alpn))
		memcpy(out->alpn, alpn, n);
	certificate_info(c->ssl, out);
}

ss_tls_session *ss_tls_session_get(ss_conn *base)
{
	struct tls_conn *c = from_conn(base);
	SSL_SESSION *s = c->hs == HS_DONE ? SSL_get1_session(c->ssl) : NULL;

	if (s && !SSL_SESSION_is_resumable(s)) {
		SSL_SESSION_free(s);
		s = NULL;
	}
	return (ss_tls_session *)s;
}

void ss_tls_session_free(ss_tls_session *s)
{
	SSL_SESSION_free((SSL_SESSION *)s);
}
