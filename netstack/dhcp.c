/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCPv4 client state machine (RFC 2131): discover, request, bind, renew, rebind, release, decline.
 * Everything received is bounds-checked here; text options are reduced to harmless characters.
 */
#include <netstack/dhcp.h>

#include "internal.h"

enum {
	BOOTREQUEST = 1,
	BOOTREPLY = 2,
	FIXED_LEN = 236,
	MSG_MAX = 576 - IP4_HLEN - UDP_HLEN,
	DHCP_COOKIE = 0x63825363,

	DISCOVER = 1,
	OFFER = 2,
	REQUEST = 3,
	DECLINE = 4,
	ACK = 5,
	NAK = 6,
	RELEASE = 7,

	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOSTNAME = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_BROADCAST = 28,
	OPT_NTP = 42,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_WANTED = 55,
	OPT_MAXSIZE = 57,
	OPT_RENEW = 58,
	OPT_REBIND = 59,
	OPT_CLIENT_ID = 61,
	OPT_ROUTES = 121,
	OPT_END = 255,
};

#define FIRST_WAIT (2 * NS_SEC)
#define MAX_WAIT (64 * NS_SEC)
#define REQUEST_TRIES 4
#define MIN_RENEW_WAIT (60 * NS_SEC)
#define MIN_LEASE_S 30u
#define INFINITE 0xffffffffu

/* ---- sending ---- */

static uint8_t *opt(uint8_t *o, uint8_t code, const void *data, uint8_t n)
{
	o[0] = code;
	o[1] = n;
	memcpy(o + 2, data, n);
	return o + 2 + n;
}

static uint8_t *identity(const struct ns_dhcp *d, uint8_t *o)
{
	uint8_t id[7] = {1};

	memcpy(id + 1, d->mac, 6);
	return opt(o, OPT_CLIENT_ID, id, 7);
}

/* What is asked of the server, in every discover and request. */
static uint8_t *wishes(const struct ns_dhcp *d, uint8_t *o)
{
	static const uint8_t wanted[] = {OPT_MASK, OPT_ROUTES, OPT_ROUTER, OPT_DNS, OPT_HOSTNAME,
	    OPT_DOMAIN, OPT_MTU, OPT_BROADCAST, OPT_NTP, OPT_LEASE, OPT_RENEW, OPT_REBIND};
	uint8_t max[2];
	size_t n = strlen(d->hostname);

	put16(max, 1500);
	o = opt(o, OPT_MAXSIZE, max, 2);
	o = opt(o, OPT_WANTED, wanted, sizeof wanted);
	if (n)
		o = opt(o, OPT_HOSTNAME, d->hostname, (uint8_t)n);
	return o;
}

static void send_msg(struct ns_dhcp *d, uint8_t type, uint64_t now)
{
	uint8_t m[MSG_MAX], *o = m + FIXED_LEN;
	bool bound =
	    d->state == NS_DHCP_RENEWING || d->state == NS_DHCP_REBINDING || type == RELEASE;
	uint32_t src = bound ? d->lease.addr : 0, dst = 0xffffffffu;

	memset(m, 0, sizeof m);
	m[0] = BOOTREQUEST;
	m[1] = 1;
	m[2] = 6;
	put32(m + 4, d->xid);
	put16(m + 8, (uint32_t)NS_MIN((now - d->started_ns) / NS_SEC, 65535ull));
	if (src)
		memcpy(m + 12, &src, 4);
	memcpy(m + 28, d->mac, 6);
	put32(o, DHCP_COOKIE);
	o = opt(o + 4, OPT_TYPE, &type, 1);
	o = identity(d, o);
	if (type == REQUEST && d->state == NS_DHCP_REQUESTING) {
		o = opt(o, OPT_REQUESTED, &d->offer.addr, 4);
		o = opt(o, OPT_SERVER, &d->offer.server, 4);
	} else if (type == DECLINE) {
		o = opt(o, OPT_REQUESTED, &d->lease.addr, 4);
		o = opt(o, OPT_SERVER, &d->lease.server, 4);
	} else if (type == RELEASE) {
		o = opt(o, OPT_SERVER, &d->lease.server, 4);
	}
	if (type == DISCOVER || type == REQUEST)
		o = wishes(d, o);
	*o++ = OPT_END;
	if ((d->state == NS_DHCP_RENEWING || type == RELEASE) && d->lease.server)
		dst = d->lease.server;
	/* Some relays drop what is shorter than BOOTP's 300 bytes. */
	d->send(d->arg, src, dst, m, NS_MAX((size_t)(o - m), (size_t)300));
}

static uint64_t jitter(struct ns_dhcp *d)
{
	return (d->random(d->arg) % 2000) * NS_MS;
}

/* ---- parsing ---- */

struct parsed {
	uint8_t type;
	bool bad;
	const uint8_t *routes;
	uint32_t routes_len;
	uint32_t router;
	struct ns_dhcp_lease l;
};

static void copy_name(char *to, size_t max, const uint8_t *p, uint32_t n)
{
	size_t k = 0;

	for (uint32_t i = 0; i < n && k + 1 < max; i++) {
		uint8_t ch = p[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || (k && (ch == '-' || ch == '.'));

		if (!ok) {
			if (ch)
				k = 0; /* nothing of a name with strange characters */
			break;
		}
		to[k++] = (char)ch;
	}
	to[k] = '\0';
}

static uint8_t copy_addrs(uint32_t *to, uint8_t max, const uint8_t *p, uint32_t n)
{
	uint8_t k = 0;

	for (; n >= 4 && k < max; n -= 4, p += 4)
		memcpy(&to[k++], p, 4);
	return k;
}

static void one_option(struct parsed *q, uint8_t code, const uint8_t *p, uint32_t n)
{
	struct ns_dhcp_lease *l = &q->l;

	switch (code) {
	case OPT_TYPE:
		if (n == 1)
			q->type = *p;
		break;
	case OPT_MASK:
		if (n == 4)
			memcpy(&l->netmask, p, 4);
		break;
	case OPT_BROADCAST:
		if (n == 4)
			memcpy(&l->broadcast, p, 4);
		break;
	case OPT_ROUTER:
		if (n >= 4)
			memcpy(&q->router, p, 4);
		break;
	case OPT_SERVER:
		if (n == 4)
			memcpy(&l->server, p, 4);
		break;
	case OPT_DNS:
		l->ndns = copy_addrs(l->dns, NS_DHCP_MAX_DNS, p, n);
		break;
	case OPT_NTP:
		l->nntp = copy_addrs(l->ntp, NS_DHCP_MAX_NTP, p, n);
		break;
	case OPT_HOSTNAME:
		copy_name(l->hostname, sizeof l->hostname, p, n);
		break;
	case OPT_DOMAIN:
		copy_name(l->domain, sizeof l->domain, p, n);
		break;
	case OPT_MTU:
		if (n == 2 && get16(p) >= IP4_MIN_MTU)
			l->mtu = get16(p);
		break;
	case OPT_LEASE:
		if (n == 4)
			l->lease_s = get32(p);
		break;
	case OPT_RENEW:
		if (n == 4)
			l->renew_s = get32(p);
		break;
	case OPT_REBIND:
		if (n == 4)
			l->rebind_s = get32(p);
		break;
	case OPT_ROUTES:
		q->routes = p;
		q->routes_len = n;
		break;
	default:
		break;
	}
}

static uint8_t walk(struct parsed *q, const uint8_t *p, uint32_t n)
{
	uint8_t overload = 0;

	while (n && *p != OPT_END) {
		if (*p == OPT_PAD) {
			p++;
			n--;
			continue;
		}
		if (n < 2 || (uint32_t)p[1] + 2 > n) {
			q->bad = true;
			break;
		}
		if (*p == OPT_OVERLOAD && p[1] == 1)
			overload = p[2] & 3;
		one_option(q, p[0], p + 2, p[1]);
		n -= 2u + p[1];
		p += 2u + p[1];
	}
	return overload;
}

/* Option 121 (RFC 3442): width, significant octets of the destination, router. Replaces option 3.
 */
static void classless_routes(struct parsed *q)
{
	const uint8_t *p = q->routes;
	uint32_t n = q->routes_len;

	while (n && q->l.nroutes < NS_DHCP_MAX_ROUTES) {
		struct ns_dhcp_route *r = &q->l.routes[q->l.nroutes];
		uint32_t octets = (p[0] + 7u) / 8;

		if (p[0] > 32 || n < 5 + octets) {
			q->bad = true;
			return;
		}
		memset(r, 0, sizeof *r);
		r->plen = p[0];
		memcpy(&r->dst, p + 1, octets);
		memcpy(&r->gateway, p + 1 + octets, 4);
		q->l.nroutes++;
		p += 5 + octets;
		n -= 5 + octets;
	}
}

static bool host_address(uint32_t a)
{
	uint8_t b[4];

	memcpy(b, &a, 4);
	return b[0] && b[0] != 127 && b[0] < 224;
}

static bool parse(struct ns_dhcp *d, const uint8_t *m, size_t n, struct parsed *q)
{
	struct ns_dhcp_lease *l = &q->l;
	uint8_t overload;

	memset(q, 0, sizeof *q);
	if (n < FIXED_LEN + 4 || m[0] != BOOTREPLY || m[1] != 1 || m[2] != 6 ||
	    get32(m + 4) != d->xid || memcmp(m + 28, d->mac, 6) != 0 ||
	    get32(m + FIXED_LEN) != DHCP_COOKIE)
		return false;
	memcpy(&l->addr, m + 16, 4);
	overload = walk(q, m + FIXED_LEN + 4, (uint32_t)n - FIXED_LEN - 4);
	if (overload & 1)
		walk(q, m + 108, 128);
	if (overload & 2)
		walk(q, m + 44, 64);
	if (q->routes)
		classless_routes(q);
	else if (q->router)
		l->routes[l->nroutes++] = (struct ns_dhcp_route){.gateway = q->router};
	if (q->bad || q->type < OFFER || q->type > NAK)
		return false;
	if (q->type == NAK)
		return true;
	if (!host_address(l->addr) || !host_address(l->server))
		return false;
	if (q->type == ACK && !l->lease_s)
		return false;
	if (!l->netmask) /* class A, B, C as of old */
		put32(&l->netmask, (m[16] & 0x80) == 0	    ? 0xff000000u
				   : (m[16] & 0xc0) == 0x80 ? 0xffff0000u
							    : 0xffffff00u);
	l->lease_s = NS_MAX(l->lease_s, MIN_LEASE_S);
	if (l->lease_s == INFINITE)
		return true;
	if (!l->renew_s || l->renew_s >= l->lease_s)
		l->renew_s = l->lease_s / 2;
	if (!l->rebind_s || l->rebind_s >= l->lease_s || l->rebind_s < l->renew_s)
		l->rebind_s = NS_MAX(l->lease_s / 8 * 7, l->renew_s);
	return true;
}

/* ---- the state machine ---- */

void ns_dhcp_init(struct ns_dhcp *d, const uint8_t mac[6], const char *hostname,
    void (*send)(void *, uint32_t, uint32_t, const uint8_t *, size_t), uint32_t (*random)(void *),
    void *arg)
{
	memset(d, 0, sizeof *d);
	memcpy(d->mac, mac, 6);
	if (hostname)
		copy_name(d->hostname, sizeof d->hostname, (const uint8_t *)hostname,
		    (uint32_t)strlen(hostname));
	d->send = send;
	d->random = random;
	d->arg = arg;
	d->state = NS_DHCP_STOPPED;
}

static void transmit_discover(struct ns_dhcp *d, uint64_t now)
{
	uint64_t wait = NS_MIN(FIRST_WAIT << NS_MIN(d->tries, 5u), MAX_WAIT);

	d->tries++;
	send_msg(d, DISCOVER, now);
	d->deadline = now + wait - NS_SEC + jitter(d);
}

void ns_dhcp_start(struct ns_dhcp *d, uint64_t now)
{
	memset(&d->lease, 0, sizeof d->lease);
	memset(&d->offer, 0, sizeof d->offer);
	d->state = NS_DHCP_SELECTING;
	d->xid = d->random(d->arg);
	d->started_ns = now;
	d->tries = 0;
	transmit_discover(d, now);
}

static void transmit_request(struct ns_dhcp *d, uint64_t now)
{
	if (!d->tries)
		d->request_ns = now;
	d->tries++;
	send_msg(d, REQUEST, now);
	d->deadline = now + (FIRST_WAIT << NS_MIN(d->tries - 1, 4u)) - NS_SEC + jitter(d);
}

static uint64_t at(const struct ns_dhcp *d, uint32_t s)
{
	return d->lease.bound_ns + s * NS_SEC;
}

static enum ns_dhcp_event bind(struct ns_dhcp *d, const struct ns_dhcp_lease *l)
{
	bool same = d->lease.addr == l->addr && d->lease.netmask == l->netmask;

	d->lease = *l;
	d->lease.bound_ns = d->request_ns;
	d->state = NS_DHCP_BOUND;
	d->tries = 0;
	d->deadline = l->lease_s == INFINITE ? 0 : at(d, l->renew_s);
	return same ? NS_DHCP_RENEWED : NS_DHCP_LEASE;
}

enum ns_dhcp_event ns_dhcp_input(struct ns_dhcp *d, const uint8_t *m, size_t n, uint64_t now)
{
	struct parsed q;
	bool waiting = d->state == NS_DHCP_REQUESTING || d->state == NS_DHCP_RENEWING ||
		       d->state == NS_DHCP_REBINDING;

	if (!parse(d, m, n, &q)) {
		d->discards++;
		return NS_DHCP_NOTHING;
	}
	if (q.type == OFFER && d->state == NS_DHCP_SELECTING) {
		d->offer = q.l;
		d->state = NS_DHCP_REQUESTING;
		d->tries = 0;
		transmit_request(d, now);
		return NS_DHCP_NOTHING;
	}
	/* Another server's answer to our broadcast request is not for us to take. */
	if (d->state == NS_DHCP_REQUESTING && q.l.server && q.l.server != d->offer.server) {
		d->discards++;
		return NS_DHCP_NOTHING;
	}
	if (q.type == ACK && waiting)
		return bind(d, &q.l);
	if (q.type == NAK && waiting) {
		bool had = d->lease.addr != 0;

		ns_dhcp_start(d, now);
		return had ? NS_DHCP_LOST : NS_DHCP_NOTHING;
	}
	return NS_DHCP_NOTHING;
}

/* Renewal and rebinding ask again at half of the time that is left, at least a minute apart. */
static void ask_again(struct ns_dhcp *d, uint64_t now, uint64_t until)
{
	uint64_t wait = until > now ? (until - now) / 2 : 0;

	send_msg(d, REQUEST, now);
	if (!d->tries++)
		d->request_ns = now;
	d->deadline = NS_MIN(now + NS_MAX(wait, MIN_RENEW_WAIT), NS_MAX(until, now + NS_SEC));
}

enum ns_dhcp_event ns_dhcp_timer(struct ns_dhcp *d, uint64_t now)
{
	if (!d->deadline || now < d->deadline)
		return NS_DHCP_NOTHING;
	switch (d->state) {
	case NS_DHCP_SELECTING:
		transmit_discover(d, now);
		return NS_DHCP_NOTHING;
	case NS_DHCP_REQUESTING:
		if (d->tries >= REQUEST_TRIES)
			ns_dhcp_start(d, now);
		else
			transmit_request(d, now);
		return NS_DHCP_NOTHING;
	case NS_DHCP_BOUND:
		d->state = NS_DHCP_RENEWING;
		d->xid = d->random(d->arg);
		d->started_ns = now;
		d->tries = 0;
		d->request_ns = now;
		break;
	default:
		break;
	}
	if (d->state != NS_DHCP_RENEWING && d->state != NS_DHCP_REBINDING)
		return NS_DHCP_NOTHING;
	if (now >= at(d, d->lease.lease_s)) {
		ns_dhcp_start(d, now);
		return NS_DHCP_LOST;
	}
	if (now >= at(d, d->lease.rebind_s))
		d->state = NS_DHCP_REBINDING;
	d->request_ns = now;
	ask_again(
	    d, now, at(d, d->state == NS_DHCP_RENEWING ? d->lease.rebind_s : d->lease.lease_s));
	return NS_DHCP_NOTHING;
}

void ns_dhcp_decline(struct ns_dhcp *d, uint64_t now)
{
	if (d->state != NS_DHCP_BOUND)
		return;
	send_msg(d, DECLINE, now);
	/* RFC 2131 3.1: not at once, or a confused server would be flooded. */
	memset(&d->lease, 0, sizeof d->lease);
	d->state = NS_DHCP_SELECTING;
	d->xid = d->random(d->arg);
	d->started_ns = now;
	d->tries = 0;
	d->deadline = now + 10 * NS_SEC;
}

void ns_dhcp_release(struct ns_dhcp *d)
{
	if (d->state == NS_DHCP_BOUND || d->state == NS_DHCP_RENEWING ||
	    d->state == NS_DHCP_REBINDING) {
		d->xid = d->random(d->arg);
		send_msg(d, RELEASE, d->started_ns);
	}
	d->state = NS_DHCP_STOPPED;
	d->deadline = 0;
}
