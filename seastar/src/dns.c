/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names by c-ares on the reactor. The library opens its own sockets and says which it wants watched
 * for what; it is called when something happens there, and by a timer for its retries. It does not
 * read until the socket is empty, while the reactor tells only once: so poll(2) is asked whether
 * there is more after each call.
 *
 * A look-up that was given up stays with the library until that is through with it; the answer is
 * then dropped.
 */
#include "posix.h"

#include <seastar/dns.h>

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/time.h>

#define NAME_LIMIT 1024

struct dns_fd {
	struct ss_fd fd;
	struct dns_fd *next;
	ss_dns *dns;
	bool readable, writable, busy, dead;
};

struct ss_dns {
	ares_channel channel;
	struct dns_fd *fds;
	ss_timer timer;
	size_t pending;
};

struct query {
	ss_dns *dns;
	ss_state *s; /* NULL once given up */
	uint16_t port;
	void *out;
	ss_timer timer;
	ss_abort_sub sub;
	bool listens;
};

/* Sockets */

static void arm(ss_dns *d)
{
	struct timeval tv, *t = ares_timeout(d->channel, NULL, &tv);

	if (t)
		ss_timer_arm(&d->timer,
		    (uint64_t)t->tv_sec * SS_SEC + (uint64_t)t->tv_usec * SS_USEC + SS_MSEC);
	else
		ss_timer_cancel(&d->timer);
}

/* Let the library work on f as long as there is something to do. */
static void work(struct dns_fd *f)
{
	ss_dns *d = f->dns;

	f->busy = true;
	while (!f->dead) {
		struct pollfd p = {.fd = f->fd.fd,
		    .events = (short)((f->readable ? POLLIN : 0) | (f->writable ? POLLOUT : 0))};

		if (!p.events || poll(&p, 1, 0) <= 0)
			break;
		ares_process_fd(d->channel,
		    p.revents & (POLLIN | POLLERR | POLLHUP) ? f->fd.fd : ARES_SOCKET_BAD,
		    p.revents & (POLLOUT | POLLERR | POLLHUP) ? f->fd.fd : ARES_SOCKET_BAD);
	}
	f->busy = false;
	if (f->dead)
		ss_free(f);
}

static void fd_event(struct ss_fd *fd, uint32_t ev)
{
	struct dns_fd *f = ss_container_of(fd, struct dns_fd, fd);
	ss_dns *d = f->dns;

	(void)ev;
	work(f);
	arm(d);
}

static void fd_gone(ss_dns *d, struct dns_fd *f)
{
	struct dns_fd **at = &d->fds;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	ss_unwatch(&f->fd);
	f->dead = true;
	if (!f->busy)
		ss_free(f);
}

/* The library opens, changes or is about to close a socket. */
static void sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	ss_dns *d = arg;
	struct dns_fd *f = d->fds;

	while (f && f->fd.fd != fd)
		f = f->next;
	if (!readable && !writable) {
		if (f)
			fd_gone(d, f);
		return;
	}
	if (!f) {
		f = ss_zalloc(sizeof(*f));
		/* Not watched for lack of memory: the retry comes by the timer. */
		if (!f)
			return;
		f->dns = d;
		if (ss_watch(&f->fd, fd, fd_event)) {
			ss_free(f);
			return;
		}
		f->next = d->fds;
		d->fds = f;
	}
	f->readable = readable;
	f->writable = writable;
}

static void on_timer(ss_timer *t)
{
	ss_dns *d = ss_container_of(t, ss_dns, timer);

	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(d);
}

/* The life of a resolver */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int library_status;

static void init_library(void)
{
	library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

static int to_errno(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
		return -ENODATA;
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_EBADNAME:
	case ARES_EBADSTR:
		return -EINVAL;
	case ARES_EBADFAMILY:
	case ARES_ENOTIMP:
		return -EAFNOSUPPORT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	case ARES_EFORMERR:
	case ARES_EBADRESP:
		return -EBADMSG;
	default:
		return -EREMOTEIO;
	}
}

static int set_servers(ss_dns *d, const char *servers)
{
	switch (ares_set_servers_ports_csv(d->channel, servers)) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

/* "a,b" as the list the library wants; *n gets the length. NULL if there is no memory. */
static char **split(char *text, int *n)
{
	char **v = malloc((strlen(text) / 2 + 1) * sizeof(*v)), *save = NULL;

	*n = 0;
	for (char *p = strtok_r(text, ",", &save); v && p; p = strtok_r(NULL, ",", &save))
		v[(*n)++] = p;
	return v;
}

static int init_channel(ss_dns *d, const ss_dns_opts *o)
{
	struct ares_options ao = {.sock_state_cb = sock_state, .sock_state_cb_data = d};
	int mask = ARES_OPT_SOCK_STATE_CB, status;
	const char *domains = o->domains ? o->domains : o->servers ? "" : NULL;
	char files_then_dns[] = "fb", dns[] = "b", *text = NULL;

	ao.lookups = o->no_hosts ? dns : files_then_dns;
	mask |= ARES_OPT_LOOKUPS;
	if (o->try_ms) {
		/* c-ares forgets a deadline in the first second of the clock, which machines
		 * that have just started live in. */
		ao.timeout = (int)(ss_now() < SS_SEC && o->try_ms < 1000 ? 1000 : o->try_ms);
		mask |= ARES_OPT_TIMEOUTMS;
	}
	if (o->tries) {
		ao.tries = (int)o->tries;
		mask |= ARES_OPT_TRIES;
	}
	ao.flags = ARES_FLAG_EDNS | (o->tcp ? ARES_FLAG_USEVC : 0);
	mask |= ARES_OPT_FLAGS;
	if (domains) {
		text = strdup(domains);
		ao.domains = text ? split(text, &ao.ndomains) : NULL;
		if (!ao.domains) {
			free(text);
			return -ENOMEM;
		}
		mask |= ARES_OPT_DOMAINS;
	}
	status = ares_init_options(&d->channel, &ao, mask);
	free(ao.domains);
	free(text);
	return to_errno(status);
}

int ss_dns_new(const ss_dns_opts *opts, ss_dns **out)
{
	static const ss_dns_opts none;
	const ss_dns_opts *o = opts ? opts : &none;
	ss_dns *d;
	int err;

	pthread_once(&once, init_library);
	if (library_status)
		return to_errno(library_status);
	d = ss_zalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	ss_timer_init(&d->timer, on_timer);
	err = init_channel(d, o);
	if (err) {
		ss_free(d);
		return err;
	}
	if (o->servers)
		err = set_servers(d, o->servers);
	if (err) {
		ss_dns_free(d);
		return err;
	}
	*out = d;
	return 0;
}

void ss_dns_free(ss_dns *d)
{
	if (!d)
		return;
	ss_timer_cancel(&d->timer);
	/* Ends all look-ups and closes all sockets, by the functions here. */
	ares_destroy(d->channel);
	ss_timer_cancel(&d->timer);
	ss_free(d);
}

size_t ss_dns_pending(const ss_dns *d)
{
	return d->pending;
}

/* Look-ups */

/* The caller gets the result, if it still waits. */
static void resolve(struct query *q, ss_result r)
{
	ss_state *s = q->s;

	if (!s)
		return;
	q->s = NULL;
	q->dns->pending--;
	ss_timer_cancel(&q->timer);
	if (q->listens)
		ss_abort_unsubscribe(&q->sub);
	ss_state_set(s, r);
}

static void too_late(ss_timer *t)
{
	resolve(ss_container_of(t, struct query, timer),
	    (ss_result){.msg = "look-up took too long", .err = -ETIMEDOUT});
}

static void aborted(ss_abort_sub *sub)
{
	resolve(ss_container_of(sub, struct query, sub),
	    (ss_result){.msg = NULL, .err = ss_abort_check(sub->source)});
}

static ss_future query_new(ss_dns *d, const ss_dns_limits *limits, void *out, struct query **res)
{
	struct query *q = NULL;
	ss_future f = ss_ok(0);
	int err = limits && limits->abort ? ss_abort_check(limits->abort) : 0;

	*res = NULL;
	if (!err) {
		q = ss_zalloc(sizeof(*q));
		err = q ? 0 : -ENOMEM;
	}
	if (err)
		return ss_fail(err);
	f = ss_pending(&q->s);
	if (!q->s) {
		ss_free(q);
		return f;
	}
	q->dns = d;
	q->out = out;
	d->pending++;
	ss_timer_init(&q->timer, too_late);
	if (limits && limits->timeout_ns)
		ss_timer_arm(&q->timer, limits->timeout_ns);
	if (limits && limits->abort) {
		ss_abort_subscribe(limits->abort, &q->sub, aborted);
		q->listens = true;
	}
	*res = q;
	return f;
}

static ss_result failed(int status)
{
	int err = to_errno(status);

	return (ss_result){.msg = err == -ECANCELED ? NULL : ares_strerror(status), .err = err};
}

static bool add_addr(ss_dns_addrs *a, const struct ares_addrinfo_node *n, uint16_t port)
{
	ss_addr *v = &a->v[a->n];

	memset(v, 0, sizeof(*v));
	if (n->ai_family == AF_INET && n->ai_addrlen >= sizeof(v->in)) {
		memcpy(&v->in, n->ai_addr, sizeof(v->in));
		v->in.sin_port = htons(port);
		v->len = sizeof(v->in);
	} else if (n->ai_family == AF_INET6 && n->ai_addrlen >= sizeof(v->in6)) {
		memcpy(&v->in6, n->ai_addr, sizeof(v->in6));
		v->in6.sin6_port = htons(port);
		v->len = sizeof(v->in6);
	} else {
		return false;
	}
	a->n++;
	return true;
}

static ss_result take_addrs(struct query *q, const struct ares_addrinfo *ai)
{
	ss_dns_addrs a = {NULL, 0};
	size_t n = 0;

	for (const struct ares_addrinfo_node *k = ai->nodes; k; k = k->ai_next)
		n++;
	if (!n)
		return (ss_result){.msg = "no addresses", .err = -ENODATA};
	a.v = ss_alloc(n * sizeof(*a.v));
	if (!a.v)
		return (ss_result){.msg = NULL, .err = -ENOMEM};
	for (const struct ares_addrinfo_node *k = ai->nodes; k; k = k->ai_next)
		add_addr(&a, k, q->port);
	*(ss_dns_addrs *)q->out = a;
	return (ss_result){.i = (int64_t)a.n, .err = 0};
}

static void on_addrs(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct query *q = arg;

	(void)timeouts;
	if (q->s)
		resolve(q, status == ARES_SUCCESS ? take_addrs(q, ai) : failed(status));
	if (ai)
		ares_freeaddrinfo(ai);
	ss_free(q);
}

/* A name that is a number already: true with the answer in *f. */
static bool numeric(const char *name, uint16_t port, int family, ss_dns_addrs *out, ss_future *f)
{
	ss_addr a = {.len = 0};

	if (inet_pton(AF_INET, name, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(port);
		a.len = sizeof(a.in);
	} else if (inet_pton(AF_INET6, name, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		a.len = sizeof(a.in6);
	} else {
		return false;
	}
	*f = ss_fail_msg(-ENODATA, "numeric address of the other family");
	if (family != AF_UNSPEC && family != a.sa.sa_family)
		return true;
	*f = ss_fail(-ENOMEM);
	out->v = ss_alloc(sizeof(*out->v));
	if (!out->v)
		return true;
	out->v[0] = a;
	out->n = 1;
	*f = ss_ok(1);
	return true;
}

static bool name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < NAME_LIMIT;
}

ss_future ss_dns_lookup(ss_dns *d, const char *name, uint16_t port, int family,
    const ss_dns_limits *limits, ss_dns_addrs *out)
{
	struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
	struct query *q;
	ss_future f;

	*out = (ss_dns_addrs){NULL, 0};
	if (!name_ok(name))
		return ss_fail_msg(-EINVAL, "not a host name");
	if (family != AF_INET && family != AF_INET6 && family != AF_UNSPEC)
		return ss_fail(-EAFNOSUPPORT);
	if (numeric(name, port, family, out, &f))
		return f;
	f = query_new(d, limits, out, &q);
	if (!q)
		return f;
	q->port = port;
	ares_getaddrinfo(d->channel, name, NULL, &hints, on_addrs, q);
	arm(d);
	return f;
}

void ss_dns_addrs_free(ss_dns_addrs *a)
{
	ss_free(a->v);
	*a = (ss_dns_addrs){NULL, 0};
}

static void on_name(void *arg, int status, int timeouts, struct hostent *h)
{
	struct query *q = arg;
	ss_result r = failed(status);

	(void)timeouts;
	if (q->s && status == ARES_SUCCESS) {
		char *name = ss_strdup(h->h_name);

		r = name ? (ss_result){.p = name, .err = 0}
			 : (ss_result){.msg = NULL, .err = -ENOMEM};
	}
	resolve(q, r);
	ss_free(q);
}

ss_future ss_dns_reverse(ss_dns *d, const ss_addr *a, const ss_dns_limits *limits)
{
	int family = a->sa.sa_family;
	struct query *q;
	ss_future f;

	if (family != AF_INET && family != AF_INET6)
		return ss_fail(-EAFNOSUPPORT);
	f = query_new(d, limits, NULL, &q);
	if (!q)
		return f;
	if (family == AF_INET)
		ares_gethostbyaddr(d->channel, &a->in.sin_addr, 4, family, on_name, q);
	else
		ares_gethostbyaddr(d->channel, &a->in6.sin6_addr, 16, family, on_name, q);
	arm(d);
	return f;
}

static int by_priority(const void *pa, const void *pb)
{
	const ss_dns_service *a = pa, *b = pb;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return (int)b->weight - (int)a->weight;
}

static ss_result take_services(struct query *q, const struct ares_srv_reply *list)
{
	ss_dns_services s = {NULL, 0};
	size_t n = 0;

	for (const struct ares_srv_reply *k = list; k; k = k->next)
		n++;
	if (!n)
		return (ss_result){.msg = "no such service", .err = -ENODATA};
	s.v = ss_zalloc(n * sizeof(*s.v));
	for (const struct ares_srv_reply *k = list; k && s.v; k = k->next) {
		ss_dns_service *v = &s.v[s.n++];

		*v = (ss_dns_service){ss_strdup(k->host), k->port, k->priority, k->weight};
		if (!v->host)
			ss_dns_services_free(&s);
	}
	if (!s.v)
		return (ss_result){.msg = NULL, .err = -ENOMEM};
	qsort(s.v, s.n, sizeof(*s.v), by_priority);
	*(ss_dns_services *)q->out = s;
	return (ss_result){.i = (int64_t)s.n, .err = 0};
}

static void on_services(void *arg, int status, int timeouts, unsigned char *buf, int len)
{
	struct query *q = arg;
	struct ares_srv_reply *list = NULL;

	(void)timeouts;
	if (q->s && status == ARES_SUCCESS)
		status = ares_parse_srv_reply(buf, len, &list);
	if (q->s)
		resolve(q, status == ARES_SUCCESS ? take_services(q, list) : failed(status));
	if (list)
		ares_free_data(list);
	ss_free(q);
}

ss_future ss_dns_srv(ss_dns *d, const char *name, const ss_dns_limits *limits, ss_dns_services *out)
{
	struct query *q;
	ss_future f;

	*out = (ss_dns_services){NULL, 0};
	if (!name_ok(name))
		return ss_fail_msg(-EINVAL, "not a service name");
	f = query_new(d, limits, out, &q);
	if (!q)
		return f;
	ares_search(d->channel, name, 1 /* IN */, 33 /* SRV */, on_services, q);
	arm(d);
	return f;
}

void ss_dns_services_free(ss_dns_services *s)
{
	for (size_t i = 0; i < s->n; i++)
		ss_free(s->v[i].host);
	ss_free(s->v);
	*s = (ss_dns_services){NULL, 0};
}
