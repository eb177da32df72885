/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Credentials of TLS. The library is OpenSSL 3: the capstan tool and its curl need it anyway, its
 * ciphers are the fastest of what Debian has, and its I/O goes through callbacks (a BIO of our own,
 * in tls.c), so that records are made and read in the buffers of the streams without a copy in
 * between. Credentials live in malloc()ed memory because any shard may drop the last reference.
 */
#include "tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX (4u << 20)
#define HANDSHAKE_TIMEOUT (UINT64_C(10) * 1000 * 1000 * 1000)
#define NAME_MAX_BYTES 253

struct maker {
	const ss_tls_config *cfg;
	ss_tls_creds *creds;
	char *error;
	size_t n;
};

/* The reason OpenSSL gives last, as a text that is never freed. */
static const char *ssl_reason(void)
{
	const char *s = ERR_reason_error_string(ERR_peek_last_error());

	return s ? s : "not usable";
}

static int complain(struct maker *m, const char *what, const char *why)
{
	if (m->n)
		snprintf(m->error, m->n, "%s: %s", what, why);
	return -EINVAL;
}

/* The contents of a file or a text as a BIO; *what gets the name for messages. */
static int open_pem(
    struct maker *m, const char *file, const char *text, BIO **out, const char **what)
{
	FILE *f;
	char *data;
	size_t got;
	int err = 0;

	if (text) {
		*out = BIO_new_mem_buf(text, -1);
		return *out ? 0 : -ENOMEM;
	}
	*what = file;
	f = fopen(file, "re");
	if (!f) {
		err = -errno;
		complain(m, file, strerror(errno));
		return err;
	}
	data = malloc(FILE_MAX);
	got = data ? fread(data, 1, FILE_MAX, f) : 0;
	if (!data)
		err = -ENOMEM;
	else if (ferror(f))
		err = complain(m, file, "cannot be read");
	else if (got == FILE_MAX)
		err = complain(m, file, "too large");
	fclose(f);
	if (!err) {
		*out = BIO_new(BIO_s_mem());
		if (!*out || BIO_write(*out, data, (int)got) != (int)got)
			err = -ENOMEM;
	}
	if (data)
		OPENSSL_cleanse(data, got);
	free(data);
	return err;
}

static int password(char *buf, int size, int writing, void *arg)
{
	const char *p = arg;
	size_t n = p ? strlen(p) : 0;

	(void)writing;
	if (n > (size_t)size)
		return 0;
	if (n)
		memcpy(buf, p, n);
	return (int)n;
}

static int use_chain(struct maker *m, BIO *b, const char *what)
{
	X509 *x = PEM_read_bio_X509_AUX(b, NULL, password, NULL);
	int ok;

	if (!x)
		return complain(m, what, "no certificate in PEM format");
	ok = SSL_CTX_use_certificate(m->creds->ctx, x);
	X509_free(x);
	if (!ok)
		return complain(m, what, ssl_reason());
	while ((x = PEM_read_bio_X509(b, NULL, password, NULL))) {
		if (!SSL_CTX_add0_chain_cert(m->creds->ctx, x)) {
			X509_free(x);
			return complain(m, what, ssl_reason());
		}
	}
	ERR_clear_error();
	return 0;
}

static int load_cert(struct maker *m)
{
	const ss_tls_config *c = m->cfg;
	const char *what = "certificate";
	BIO *b = NULL;
	int err;

	if (!c->cert_file && !c->cert_pem) {
		if (c->server)
			return complain(m, "server", "a certificate is needed");
		return 0;
	}
	err = open_pem(m, c->cert_file, c->cert_pem, &b, &what);
	if (!err)
		err = use_chain(m, b, what);
	BIO_free(b);
	return err;
}

static int use_key(struct maker *m, BIO *b, const char *what)
{
	EVP_PKEY *k =
	    PEM_read_bio_PrivateKey(b, NULL, password, (void *)(uintptr_t)m->cfg->password);
	int ok;

	if (!k)
		return complain(m, what, "no private key in PEM format, or the password is wrong");
	ok = SSL_CTX_use_PrivateKey(m->creds->ctx, k) && SSL_CTX_check_private_key(m->creds->ctx);
	EVP_PKEY_free(k);
	return ok ? 0 : complain(m, what, ssl_reason());
}

static int load_key(struct maker *m)
{
	const ss_tls_config *c = m->cfg;
	const char *what = "private key";
	BIO *b = NULL;
	int err;

	if (!c->key_file && !c->key_pem) {
		if (c->cert_file || c->cert_pem)
			return complain(m, "certificate", "its private key is needed, too");
		return 0;
	}
	err = open_pem(m, c->key_file, c->key_pem, &b, &what);
	if (!err)
		err = use_key(m, b, what);
	BIO_free(b);
	return err;
}

static int trust_all(struct maker *m, BIO *b, const char *what)
{
	X509_STORE *store = SSL_CTX_get_cert_store(m->creds->ctx);
	X509 *x;
	int n = 0;

	while ((x = PEM_read_bio_X509(b, NULL, password, NULL))) {
		int ok = X509_STORE_add_cert(store, x);

		if (ok && m->cfg->server)
			ok = SSL_CTX_add_client_CA(m->creds->ctx, x);
		X509_free(x);
		if (!ok)
			return complain(m, what, ssl_reason());
		n++;
	}
	if (!n)
		return complain(m, what, "no certificate in PEM format");
	ERR_clear_error();
	return 0;
}

static int load_trust(struct maker *m)
{
	const ss_tls_config *c = m->cfg;
	const char *what = "trusted certificates";
	BIO *b = NULL;
	int err = 0;

	if (c->system_trust && !SSL_CTX_set_default_verify_paths(m->creds->ctx))
		return complain(m, "system trust", ssl_reason());
	if (!c->ca_file && !c->ca_pem) {
		if (c->server ? c->client_auth != SS_TLS_CLIENT_NONE && !c->system_trust
			      : !c->insecure && !c->system_trust)
			return complain(m, what, "needed to check the other side's");
		return 0;
	}
	err = open_pem(m, c->ca_file, c->ca_pem, &b, &what);
	if (!err)
		err = trust_all(m, b, what);
	BIO_free(b);
	return err;
}

static int load_crl(struct maker *m)
{
	X509_STORE *store = SSL_CTX_get_cert_store(m->creds->ctx);
	const char *what = "revocation list";
	X509_CRL *crl;
	BIO *b = NULL;
	int err, n = 0;

	if (!m->cfg->crl_file)
		return 0;
	err = open_pem(m, m->cfg->crl_file, NULL, &b, &what);
	while (!err && (crl = PEM_read_bio_X509_CRL(b, NULL, password, NULL))) {
		if (!X509_STORE_add_crl(store, crl))
			err = complain(m, what, ssl_reason());
		X509_CRL_free(crl);
		n++;
	}
	BIO_free(b);
	if (!err && !n)
		err = complain(m, what, "no revocation list in PEM format");
	ERR_clear_error();
	if (!err)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return err;
}

static int set_alpn(struct maker *m)
{
	const char *p = m->cfg->alpn;
	size_t n = p ? strlen(p) : 0;
	unsigned char *w;

	if (!n)
		return 0;
	if (n > 1024)
		return complain(m, "alpn", "too long");
	w = malloc(n + 1);
	if (!w)
		return -ENOMEM;
	m->creds->alpn = w;
	while (*p) {
		size_t k = strcspn(p, ",");

		if (!k || k > 31)
			return complain(m, "alpn", "a protocol's name has 1 to 31 characters");
		*w++ = (unsigned char)k;
		memcpy(w, p, k);
		w += k;
		p += k;
		if (*p == ',' && !*++p)
			return complain(m, "alpn", "a protocol's name has 1 to 31 characters");
	}
	m->creds->alpn_len = (unsigned)(w - m->creds->alpn);
	return 0;
}

static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	ss_tls_creds *c = arg;
	unsigned char *pick;

	(void)ssl;
	if (SSL_select_next_proto(&pick, out_len, c->alpn, c->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = pick;
	return SSL_TLSEXT_ERR_OK;
}

static bool name_matches(const char *pattern, const char *name)
{
	const char *dot;

	if (pattern[0] != '*')
		return strcasecmp(pattern, name) == 0;
	dot = strchr(name, '.');
	return dot && dot != name && strcasecmp(pattern + 1, dot) == 0;
}

static int sni_select(SSL *ssl, int *alert, void *arg)
{
	ss_tls_creds *c = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (struct tls_name *t = c->names; name && t; t = t->next) {
		SSL_CTX *other = t->creds->ctx;
		STACK_OF(X509) *chain = NULL;

		if (!name_matches(t->name, name))
			continue;
		/* The certificate only: the rules stay those of the listener. */
		SSL_CTX_get0_chain_certs(other, &chain);
		if (!SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(other),
			SSL_CTX_get0_privatekey(other), chain, 1))
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		break;
	}
	return SSL_TLSEXT_ERR_OK;
}

static int set_versions(struct maker *m)
{
	unsigned lo = m->cfg->min_version ? m->cfg->min_version : 12;
	unsigned hi = m->cfg->max_version ? m->cfg->max_version : 13;

	if (lo < 12 || hi > 13 || lo > hi)
		return complain(m, "version", "must be 12 or 13, the least not above the most");
	SSL_CTX_set_min_proto_version(m->creds->ctx, lo == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(m->creds->ctx, hi == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	return 0;
}

static int set_ciphers(struct maker *m)
{
	if (m->cfg->ciphers && !SSL_CTX_set_cipher_list(m->creds->ctx, m->cfg->ciphers))
		return complain(m, "ciphers", ssl_reason());
	if (m->cfg->ciphersuites && !SSL_CTX_set_ciphersuites(m->creds->ctx, m->cfg->ciphersuites))
		return complain(m, "ciphersuites", ssl_reason());
	return 0;
}

static void set_verify(struct maker *m)
{
	const ss_tls_config *c = m->cfg;
	int mode = SSL_VERIFY_NONE;

	if (c->server && c->client_auth != SS_TLS_CLIENT_NONE)
		mode = SSL_VERIFY_PEER;
	if (c->server && c->client_auth == SS_TLS_CLIENT_REQUIRE)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	if (!c->server && !c->insecure)
		mode = SSL_VERIFY_PEER;
	SSL_CTX_set_verify(m->creds->ctx, mode, NULL);
}

/* Sessions travel in tickets sealed with keys of the context, so any shard resumes them. */
static void set_sessions(struct maker *m)
{
	static const unsigned char id[] = "seastar";
	SSL_CTX *ctx = m->creds->ctx;

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!m->cfg->server)
		return;
	SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
	if (m->cfg->no_resumption) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
	}
}

static int make(struct maker *m)
{
	ss_tls_creds *c = m->creds;
	int err;

	c->ctx = SSL_CTX_new(m->cfg->server ? TLS_server_method() : TLS_client_method());
	if (!c->ctx)
		return -ENOMEM;
	SSL_CTX_set_options(c->ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	set_verify(m);
	set_sessions(m);
	if ((err = set_versions(m)) || (err = set_ciphers(m)) || (err = load_cert(m)) ||
	    (err = load_key(m)) || (err = load_trust(m)) || (err = load_crl(m)) ||
	    (err = set_alpn(m)))
		return err;
	if (c->alpn_len && c->server)
		SSL_CTX_set_alpn_select_cb(c->ctx, alpn_select, c);
	else if (c->alpn_len && SSL_CTX_set_alpn_protos(c->ctx, c->alpn, c->alpn_len))
		return -ENOMEM;
	if (c->server) {
		SSL_CTX_set_tlsext_servername_callback(c->ctx, sni_select);
		SSL_CTX_set_tlsext_servername_arg(c->ctx, c);
	}
	return 0;
}

int ss_tls_creds_new(const ss_tls_config *cfg, ss_tls_creds **out, char *error, size_t n)
{
	struct maker m = {.cfg = cfg, .error = error, .n = n};
	int err;

	if (n)
		error[0] = '\0';
	ERR_clear_error();
	m.creds = calloc(1, sizeof(*m.creds));
	if (!m.creds)
		return -ENOMEM;
	m.creds->refs = 1;
	m.creds->server = cfg->server;
	m.creds->insecure = cfg->insecure;
	m.creds->handshake_timeout_ns =
	    cfg->handshake_timeout_ns ? cfg->handshake_timeout_ns : HANDSHAKE_TIMEOUT;
	err = make(&m);
	if (err) {
		if (err == -ENOMEM)
			complain(&m, "credentials", "out of memory");
		ss_tls_creds_free(m.creds);
		ERR_clear_error();
		return err;
	}
	*out = m.creds;
	return 0;
}

ss_tls_creds *ss_tls_creds_ref(ss_tls_creds *creds)
{
	atomic_fetch_add_explicit(&creds->refs, 1, memory_order_relaxed);
	return creds;
}

void ss_tls_creds_free(ss_tls_creds *creds)
{
	struct tls_name *t;

	if (!creds || atomic_fetch_sub_explicit(&creds->refs, 1, memory_order_acq_rel) != 1)
		return;
	while ((t = creds->names)) {
		creds->names = t->next;
		ss_tls_creds_free(t->creds);
		free(t);
	}
	SSL_CTX_free(creds->ctx);
	free(creds->alpn);
	free(creds);
}

int ss_tls_creds_add_name(ss_tls_creds *creds, const char *name, ss_tls_creds *other)
{
	size_t n = strlen(name);
	struct tls_name *t, **at = &creds->names;

	if (!n || n > NAME_MAX_BYTES || !creds->server || !other->server || other == creds)
		return -EINVAL;
	if (strchr(name + 1, '*') || (name[0] == '*' && name[1] != '.'))
		return -EINVAL;
	t = malloc(sizeof(*t) + n + 1);
	if (!t)
		return -ENOMEM;
	t->next = NULL;
	t->creds = ss_tls_creds_ref(other);
	memcpy(t->name, name, n + 1);
	while (*at)
		at = &(*at)->next;
	*at = t;
	return 0;
}
