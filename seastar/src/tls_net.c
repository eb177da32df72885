/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening and connecting with TLS: thin objects over the functions of plain connections. */
#include "shard.h"
#include "tls_impl.h"

struct tls_listener {
	ss_listener base;
	ss_listener *lower;
	ss_tls_creds *creds;
};

static struct tls_listener *from_listener(ss_listener *l)
{
	return ss_container_of(l, struct tls_listener, base);
}

/* The listener may be gone by now, so the credentials travel along. */
SS_CONT(accepted, ss_tls_creds *creds;)
{
	ss_future f = r.err ? ss_ready(r) : ss_tls_server(self->creds, r.p);

	ss_tls_creds_free(self->creds);
	return f;
}

static ss_future tls_accept(ss_listener *base)
{
	struct tls_listener *l = from_listener(base);

	return ss_then_wrapped(ss_accept(l->lower), accepted, ss_tls_creds_ref(l->creds));
}

static void tls_listener_addr(ss_listener *base, ss_addr *out)
{
	ss_listener_addr(from_listener(base)->lower, out);
}

static void tls_listener_close(ss_listener *base)
{
	struct tls_listener *l = from_listener(base);

	ss_listener_close(l->lower);
	ss_tls_creds_free(l->creds);
	ss_free(l);
}

static const struct ss_listener_ops listener_ops = {
    .accept = tls_accept,
    .addr = tls_listener_addr,
    .close = tls_listener_close,
};

ss_listener *ss_tls_listener_new(ss_tls_creds *creds, ss_listener *lower)
{
	struct tls_listener *l = ss_zalloc(sizeof(*l));

	if (!l)
		return NULL;
	l->base.ops = &listener_ops;
	l->lower = lower;
	l->creds = ss_tls_creds_ref(creds);
	return &l->base;
}

void ss_tls_listener_set_creds(ss_listener *base, ss_tls_creds *creds)
{
	struct tls_listener *l = from_listener(base);
	ss_tls_creds *old = l->creds;

	l->creds = ss_tls_creds_ref(creds);
	ss_tls_creds_free(old);
}

SS_CONT(listening, ss_tls_creds *creds;)
{
	ss_listener *l;

	if (r.err)
		return ss_ready(r);
	l = ss_tls_listener_new(self->creds, r.p);
	if (!l)
		ss_listener_close(r.p);
	return l ? ss_okp(l) : ss_fail(-ENOMEM);
}

SS_CONT(drop_creds, ss_tls_creds *creds;)
{
	ss_tls_creds_free(self->creds);
	return ss_ready(r);
}

ss_future ss_tls_listen(ss_tls_creds *creds, const ss_addr *a, const ss_listen_opts *opts)
{
	ss_tls_creds *mine = ss_tls_creds_ref(creds);

	return ss_then_wrapped(
	    ss_then_wrapped(ss_listen(a, opts), listening, mine), drop_creds, mine);
}

/* Connecting: TCP, then the handshake. */
struct connecting {
	ss_tls_creds *creds;
	ss_tls_connect_opts opts;
	ss_conn *conn;
	char name[256];
};

SS_CONT(connect_end, struct connecting *k;)
{
	struct connecting *k = self->k;
	ss_conn *c = k->conn;

	ss_tls_creds_free(k->creds);
	ss_tls_session_free(k->opts.session);
	ss_free(k);
	if (!r.err)
		return ss_okp(c);
	ss_conn_close(c);
	return ss_ready(r);
}

SS_CONT(connected, struct connecting *k;)
{
	ss_future f;

	if (r.err)
		return ss_ready(r);
	f = ss_tls_client(self->k->creds, r.p, &self->k->opts);
	if (f.r.err)
		return f;
	self->k->conn = f.r.p;
	return ss_tls_handshake(f.r.p);
}

ss_future ss_tls_connect(ss_tls_creds *creds, const ss_addr *a, const ss_tls_connect_opts *opts)
{
	struct connecting *k;

	if (opts && opts->name && strlen(opts->name) >= sizeof(k->name))
		return ss_fail(-ENAMETOOLONG);
	k = ss_zalloc(sizeof(*k));
	if (!k)
		return ss_fail(-ENOMEM);
	if (opts)
		k->opts = *opts;
	if (k->opts.name)
		k->opts.name = strcpy(k->name, opts->name);
	if (k->opts.session)
		SSL_SESSION_up_ref((SSL_SESSION *)k->opts.session);
	k->creds = ss_tls_creds_ref(creds);
	/* Wrapped: a connection that is there must not get lost for lack of memory. */
	return ss_then_wrapped(
	    ss_then_wrapped(ss_connect_timeout(a, k->opts.timeout_ns), connected, k), connect_end,
	    k);
}
