/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of TLS share. */
#ifndef SS_TLS_IMPL_H
#define SS_TLS_IMPL_H

#include <seastar/tls.h>

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_name {
	struct tls_name *next;
	ss_tls_creds *creds;
	char name[];
};

/* Shared between shards: nothing but the count changes after the first connection. */
struct ss_tls_creds {
	_Atomic unsigned refs;
	SSL_CTX *ctx;
	bool server, insecure;
	uint64_t handshake_timeout_ns;
	struct tls_name *names;
	unsigned char *alpn; /* as on the wire: each name behind its length */
	unsigned alpn_len;
};

ss_tls_creds *ss_tls_creds_ref(ss_tls_creds *creds);

#endif
