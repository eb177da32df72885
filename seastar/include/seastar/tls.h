/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * TLS 1.2 and 1.3 over any connection. A TLS connection is a ss_conn and a TLS listener a
 * ss_listener: whatever uses those (HTTP, RPC, ss_server) works over TLS unchanged.
 *
 * Failures are errors of futures: -EKEYREJECTED when a certificate was not accepted, -EPROTO for
 * everything else the protocol does not allow, -ECONNRESET when the other side ended the connection
 * without saying so (close_notify), -ETIMEDOUT when the handshake took too long. The reason is the
 * text of the future and, later, in ss_tls_info.
 */
#ifndef SEASTAR_TLS_H
#define SEASTAR_TLS_H

#include <seastar/net.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a server asks of its clients. */
enum ss_tls_client_auth {
	SS_TLS_CLIENT_NONE,    /**< No certificate. */
	SS_TLS_CLIENT_REQUEST, /**< A certificate is asked for, and checked if there is one. */
	SS_TLS_CLIENT_REQUIRE, /**< Only clients with an accepted certificate. */
};

/** How to make credentials. Texts and files are PEM; each thing may come from either. */
typedef struct ss_tls_config {
	bool server;	       /**< For the accepting side. */
	const char *cert_file; /**< Certificate, then its chain. */
	const char *cert_pem;  /**< The same as text. */
	const char *key_file;  /**< Private key of the certificate. */
	const char *key_pem;   /**< The same as text. */
	const char *password;  /**< Of an encrypted key; NULL for none. */
	const char *ca_file;   /**< Certificates of those who are trusted to sign the other's. */
	const char *ca_pem;    /**< The same as text. */
	const char *crl_file;  /**< Certificates taken back by the signers above. */
	bool system_trust;     /**< Trust the signers the system trusts, too. */
	enum ss_tls_client_auth client_auth; /**< Server: see there. */
	bool insecure;			     /**< Client: accept any certificate. For tests. */
	const char *alpn;    /**< Protocols in order of preference: "h2,http/1.1". */
	const char *ciphers; /**< Cipher list of TLS 1.2, in OpenSSL's notation; NULL: default. */
	const char *ciphersuites;      /**< The same of TLS 1.3. */
	unsigned min_version;	       /**< 12 or 13; 0 for 12. */
	unsigned max_version;	       /**< 12 or 13; 0 for 13. */
	bool no_resumption;	       /**< Server: every connection has a full handshake. */
	uint64_t handshake_timeout_ns; /**< Limit of a handshake; 0 for 10 seconds. */
} ss_tls_config;

/** Certificates, keys and rules; any number of connections on any shard use it. */
typedef struct ss_tls_creds ss_tls_creds;

/**
 * Make credentials. Reads files, so it belongs into the start of a program.
 * @param cfg    what to make; not kept.
 * @param out    gets the credentials, to be freed with ss_tls_creds_free().
 * @param error  gets a message on failure that names what was wrong.
 * @param n      bytes at @p error.
 * @return 0, -EINVAL for contents that are not usable, -ENOMEM, or the error of a file.
 */
int ss_tls_creds_new(const ss_tls_config *cfg, ss_tls_creds **out, char *error, size_t n);

/** Give up a reference; connections and listeners keep their own. NULL is allowed. */
void ss_tls_creds_free(ss_tls_creds *creds);

/**
 * Server: use the certificate and key of @p other (referenced) for clients that ask for @p name
 * (SNI): a host name, or "*.domain" for one label more. Before the first connection. Returns 0,
 * -EINVAL or -ENOMEM.
 */
int ss_tls_creds_add_name(ss_tls_creds *creds, const char *name, ss_tls_creds *other);

/** A session to resume later (client). May be used for many connections, by one at a time. */
typedef struct ss_tls_session ss_tls_session;

/** How to connect. */
typedef struct ss_tls_connect_opts {
	const char *name;	 /**< Host name or address the certificate must be for; also sent as
				  * SNI. Needed unless the credentials are insecure. */
	ss_tls_session *session; /**< To resume; NULL for a full handshake. */
	uint64_t timeout_ns;	 /**< Limit of the TCP connection; 0 for the system's. */
} ss_tls_connect_opts;

/**
 * Listen with TLS: ss_accept() yields TLS connections. It does not wait for their handshake, which
 * happens with the first read or write, so that a slow client holds up nobody.
 */
SS_MUST_USE ss_future ss_tls_listen(
    ss_tls_creds *creds, const ss_addr *a, const ss_listen_opts *opts);

/** A TLS listener over another listener (taken over if the result is not NULL): a ss_listener, or
 * NULL if there is no memory. */
ss_listener *ss_tls_listener_new(ss_tls_creds *creds, ss_listener *lower);

/** Use @p creds for connections accepted by @p l (a TLS listener) from now on. */
void ss_tls_listener_set_creds(ss_listener *l, ss_tls_creds *creds);

/** Open a TLS connection: resolves with a ss_conn after the handshake. */
SS_MUST_USE ss_future ss_tls_connect(
    ss_tls_creds *creds, const ss_addr *a, const ss_tls_connect_opts *opts);

/** The server's side of TLS over @p lower, which is taken over whatever the result: a ss_conn. */
SS_MUST_USE ss_future ss_tls_server(ss_tls_creds *creds, ss_conn *lower);

/** The client's side of TLS over @p lower, which is taken over whatever the result: a ss_conn.
 * Does not wait for the handshake. */
SS_MUST_USE ss_future ss_tls_client(
    ss_tls_creds *creds, ss_conn *lower, const ss_tls_connect_opts *opts);

/** True if @p c is a TLS connection; the functions below need one. */
bool ss_conn_is_tls(const ss_conn *c);

/** Wait for the end of the handshake; it is started if it was not yet. */
SS_MUST_USE ss_future ss_tls_handshake(ss_conn *c);

/** What is known about a TLS connection. Texts live as long as the connection. */
typedef struct ss_tls_info {
	const char *version;	 /**< "TLSv1.3"; NULL before the end of the handshake. */
	const char *cipher;	 /**< Name of the cipher suite. */
	const char *server_name; /**< SNI of the client; NULL if there was none. */
	char alpn[32];		 /**< Protocol agreed on; empty for none. */
	char peer_name[128];	 /**< Common name in the other side's certificate; may be empty. */
	char peer_subject[256];	 /**< Its whole subject (RFC 2253); empty without certificate. */
	bool peer_verified;	 /**< It was signed by one of the trusted. */
	bool resumed;		 /**< The handshake resumed a session. */
	const char *error;	 /**< Text of the first failure, or NULL. */
} ss_tls_info;

/** Fill @p out. */
void ss_tls_info_get(ss_conn *c, ss_tls_info *out);

/**
 * Client: the session of @p c, to be resumed by another connection; NULL if there is none yet (with
 * TLS 1.3 it comes with the first data of the server). Freed with ss_tls_session_free().
 */
ss_tls_session *ss_tls_session_get(ss_conn *c);

/** Free a session; NULL is allowed. */
void ss_tls_session_free(ss_tls_session *s);

#ifdef __cplusplus
}
#endif
#endif
