/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates for the tests of TLS, made on the spot. */
#ifndef TEST_CERTS_H
#define TEST_CERTS_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct cert {
	X509 *x;
	EVP_PKEY *key;
	char *cert_pem, *key_pem;
};

static inline char *cert_text(BIO *b)
{
	char *data, *text;
	long n = BIO_get_mem_data(b, &data);

	text = calloc(1, (size_t)n + 1);
	memcpy(text, data, (size_t)n);
	BIO_free(b);
	return text;
}

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/*
 * A certificate for `name` signed by `ca` (NULL: by itself, a signer). san is the extension's
 * value, days its validity from yesterday on (negative: over already).
 */
static inline struct cert cert_make(
    const char *name, const char *san, const struct cert *ca, int days)
{
	static long serial = 1;
	struct cert c = {.x = X509_new(), .key = EVP_EC_gen("P-256")};
	X509 *issuer = ca ? ca->x : c.x;
	X509_NAME *n = X509_get_subject_name(c.x);
	BIO *b;

	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x), (days < 0 ? 2L * days : -1L) * 86400);
	X509_gmtime_adj(X509_getm_notAfter(c.x), days * 86400L);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer));
	X509_set_pubkey(c.x, c.key);
	if (!ca)
		cert_extension(c.x, issuer, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		cert_extension(c.x, issuer, NID_subject_alt_name, san);
	X509_sign(c.x, ca ? ca->key : c.key, EVP_sha256());
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, c.x);
	c.cert_pem = cert_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, c.key, NULL, NULL, 0, NULL, NULL);
	c.key_pem = cert_text(b);
	return c;
}

static inline void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	free(c->cert_pem);
	free(c->key_pem);
}

#endif
