/* SPDX-License-Identifier: BSD-3-Clause */
/* Execution and replies of the meta commands. */
#include "req.h"

/* A reply line is at most this long: each flag at most once, key and opaque included. */
#define LINE 1024

static bool has(const struct mc_req *rq, char letter)
{
	return rq->meta.seen & MC_FLAG(letter);
}

/* The next flag of the request: its text at *p, *n bytes. */
static bool next_flag(const struct mc_req *rq, size_t *at, const char **p, size_t *n)
{
	const char *f = rq->meta.flags;
	size_t i = *at, end = rq->meta.n;

	while (i < end && f[i] == ' ')
		i++;
	*p = f + i;
	while (i < end && f[i] != ' ')
		i++;
	*n = (size_t)(f + i - *p);
	*at = i;
	return *n > 0;
}

static char *number(char *p, char letter, uint64_t v)
{
	*p++ = ' ';
	*p++ = letter;
	return mc_digits(p, v);
}

static char *put_key(char *p, const char *key, size_t n, bool binary)
{
	p = mc_copy(p, " k", 2);
	if (!binary)
		return mc_copy(p, key, n);
	p += mc_base64_encode(key, n, p, 4 * ((MC_KEY_MAX + 2) / 3));
	return mc_copy(p, " b", 2);
}

/* The flags every reply gives back: the opaque token and the key. */
static char *put_common(const struct mc_req *rq, char *p, const char *flag, size_t n)
{
	if (flag[0] == 'O') {
		*p++ = ' ';
		p = mc_copy(p, flag, n);
	} else if (flag[0] == 'k') {
		p = put_key(p, rq->key, rq->nkey, has(rq, 'b'));
	}
	return p;
}

static void status_line(const struct mc_req *rq, struct mc_out *o, const char *status)
{
	char *p = mc_room(o, LINE);
	const char *f;
	size_t at = 0, n;

	if (!p)
		return;
	p = mc_copy(p, status, 2);
	while (next_flag(rq, &at, &f, &n))
		p = put_common(rq, p, f, n);
	o->p = mc_copy(p, "\r\n", 2);
}

static char *put_ttl(const struct mc_store *st, const struct mc_item *it, char *p)
{
	if (it->exptime)
		return number(p, 't', it->exptime - st->now);
	return mc_copy(p, " t-1", 4);
}

/* mg */

struct outcome {
	bool created, won, ttl_set;
};

/* Flags that change the item; the others are written to p in the order given. */
static char *get_flags(
    struct mc_store *st, const struct mc_req *rq, struct mc_item *it, struct outcome *oc, char *p)
{
	const char *f;
	size_t at = 0, n;

	while (next_flag(rq, &at, &f, &n)) {
		switch (f[0]) {
		case 'T':
			oc->ttl_set = true;
			it->exptime = rq->exptime;
			break;
		case 'N':
			if (oc->created) {
				it->exptime = rq->meta.vivify;
				oc->won = true;
			}
			break;
		case 'R':
			if (!(it->flags & MC_IT_WON) && !oc->created && it->exptime &&
			    it->exptime < rq->meta.recache)
				oc->won = true;
			break;
		case 's':
			p = number(p, 's', it->size);
			break;
		case 't':
			p = put_ttl(st, it, p);
			break;
		case 'c':
			p = number(p, 'c', it->cas);
			break;
		case 'f':
			p = number(p, 'f', it->client);
			break;
		case 'l':
			p = number(p, 'l', st->now - it->time);
			break;
		case 'h':
			p = number(p, 'h', it->flags & MC_IT_FETCHED ? 1 : 0);
			break;
		case 'k':
			p = put_key(p, it->data, it->nkey, it->flags & MC_IT_BINARY_KEY);
			break;
		default:
			p = put_common(rq, p, f, n);
			break;
		}
	}
	return p;
}

static char *get_marks(struct mc_item *it, struct outcome *oc, char *p)
{
	bool sent = it->flags & MC_IT_WON;

	if (sent)
		p = mc_copy(p, " Z", 2);
	if (it->flags & MC_IT_STALE)
		p = mc_copy(p, " X", 2);
	/* What is stale is won by whoever sees it first. */
	if (it->flags & MC_IT_STALE && !sent)
		oc->won = true;
	if (oc->won) {
		p = mc_copy(p, " W", 2);
		it->flags |= MC_IT_WON;
	}
	return p;
}

static void get_miss(struct mc_store *st, struct mc_req *rq, struct mc_out *o, char why)
{
	st->stats.get_misses++;
	if (has(rq, 'T'))
		st->stats.touch_misses++;
	if (why == 'x')
		st->stats.get_expired++;
	else if (why == 'f')
		st->stats.get_flushed++;
	if (!rq->quiet)
		status_line(rq, o, "EN");
}

static void meta_get(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	char why = 0, *p;
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, &why);
	struct outcome oc = {false, false, false};

	st->stats.cmd_get++;
	if (has(rq, 'T'))
		st->stats.cmd_touch++;
	if (!it && has(rq, 'N')) {
		it = mc_item_new(st, rq->key, rq->nkey, 0, 0);
		if (it) {
			mc_link(st, it, rq->hash);
			oc.created = true;
			st->stats.get_misses++;
		}
	}
	if (!it) {
		get_miss(st, rq, o, why);
		return;
	}
	p = mc_room(o, LINE);
	if (!p)
		return;
	if (has(rq, 'v'))
		p = mc_digits(mc_copy(p, "VA ", 3), it->size);
	else
		p = mc_copy(p, "HD", 2);
	p = get_flags(st, rq, it, &oc, p);
	p = get_marks(it, &oc, p);
	o->p = mc_copy(p, "\r\n", 2);
	if (has(rq, 'v')) {
		mc_put_value(st, it, o);
		mc_put(o, "\r\n", 2);
	}
	if (!oc.created) {
		st->stats.get_hits++;
		if (oc.ttl_set) {
			st->stats.touch_hits++;
			st->cls[it->cls].touch_hits++;
		} else {
			st->cls[it->cls].get_hits++;
		}
		if (!has(rq, 'u'))
			mc_bump(st, it);
	}
}

/* ms */

static void set_line(const struct mc_req *rq, struct mc_out *o, const char *status, uint64_t cas)
{
	char *p = mc_room(o, LINE);
	const char *f;
	size_t at = 0, n;

	if (!p)
		return;
	p = mc_copy(p, status, 2);
	while (next_flag(rq, &at, &f, &n))
		p = f[0] == 'c' ? number(p, 'c', cas) : put_common(rq, p, f, n);
	o->p = mc_copy(p, "\r\n", 2);
}

static void meta_set(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;

	if (rq->bad_data) {
		mc_line(o, "CLIENT_ERROR bad data chunk");
		return;
	}
	switch (mc_do_store(st, rq, &it)) {
	case MC_OK:
		st->cls[it->cls].cmd_set++;
		if (!rq->quiet)
			set_line(rq, o, "HD", it->cas);
		break;
	case MC_EXISTS:
		set_line(rq, o, "EX", 0);
		break;
	case MC_NOT_FOUND:
		set_line(rq, o, "NF", 0);
		break;
	case MC_NOT_STORED:
		set_line(rq, o, "NS", 0);
		break;
	case MC_TOO_LARGE:
		mc_line(o, "SERVER_ERROR object too large for cache");
		break;
	default:
		mc_line(o, "SERVER_ERROR out of memory storing object");
		break;
	}
}

/* md */

static void meta_delete(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);

	if (!it) {
		st->stats.delete_misses++;
		status_line(rq, o, "NF");
		return;
	}
	if (has(rq, 'C') && it->cas != rq->cas) {
		st->stats.delete_misses++;
		status_line(rq, o, "EX");
		return;
	}
	if (has(rq, 'I')) {
		if (has(rq, 'T'))
			it->exptime = rq->exptime;
		it->flags |= MC_IT_STALE;
		it->flags &= (uint16_t)~MC_IT_WON;
		it->cas = mc_next_cas(st);
	} else {
		st->stats.delete_hits++;
		st->cls[it->cls].delete_hits++;
		mc_unlink(st, it, rq->hash);
	}
	if (!rq->quiet)
		status_line(rq, o, "HD");
}

/* ma */

static char *delta_flags(
    struct mc_store *st, const struct mc_req *rq, struct mc_item *it, bool created, char *p)
{
	const char *f;
	size_t at = 0, n;

	while (next_flag(rq, &at, &f, &n)) {
		switch (f[0]) {
		case 'c':
			p = number(p, 'c', it->cas);
			break;
		case 't':
			p = put_ttl(st, it, p);
			break;
		case 'T':
			it->exptime = rq->exptime;
			break;
		case 'N':
			if (created)
				it->exptime = rq->meta.vivify;
			break;
		default:
			p = put_common(rq, p, f, n);
			break;
		}
	}
	return p;
}

static bool make_number(
    struct mc_store *st, const struct mc_req *rq, struct mc_item **out, uint64_t *v)
{
	char text[24];
	uint32_t n = (uint32_t)(mc_digits(text, rq->initial) - text);
	struct mc_item *it = mc_item_new(st, rq->key, rq->nkey, 0, n);

	if (!it)
		return false;
	memcpy(it->data + it->nkey, text, n);
	mc_link(st, it, rq->hash);
	*v = rq->initial;
	*out = it;
	return true;
}

static void delta_reply(struct mc_store *st, struct mc_req *rq, struct mc_out *o,
    struct mc_item *it, bool created, uint64_t v)
{
	char text[24], *p = mc_room(o, LINE);
	size_t n = (size_t)(mc_digits(text, v) - text);
	char scratch[LINE];
	char *start = p;

	if (!p)
		return;
	if (rq->quiet)
		start = p = scratch;
	if (has(rq, 'v'))
		p = mc_digits(mc_copy(p, "VA ", 3), n);
	else
		p = mc_copy(p, "HD", 2);
	p = delta_flags(st, rq, it, created, p);
	p = mc_copy(p, "\r\n", 2);
	if (has(rq, 'v'))
		p = mc_copy(mc_copy(p, text, n), "\r\n", 2);
	if (!rq->quiet)
		o->p += p - start;
}

static void meta_delta(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;
	uint64_t v = 0;
	enum mc_status s = mc_do_delta(st, rq, &it, &v);
	bool created = false;

	if (s == MC_NOT_FOUND && has(rq, 'N')) {
		created = make_number(st, rq, &it, &v);
		s = created ? MC_OK : MC_NO_MEMORY;
	}
	switch (s) {
	case MC_OK:
		delta_reply(st, rq, o, it, created, v);
		break;
	case MC_NON_NUMERIC:
		mc_line(o, "CLIENT_ERROR cannot increment or decrement non-numeric value");
		break;
	case MC_EXISTS:
		status_line(rq, o, "EX");
		break;
	case MC_NOT_FOUND:
		if (rq->op == MC_INCR)
			st->stats.incr_misses++;
		else
			st->stats.decr_misses++;
		status_line(rq, o, "NF");
		break;
	default:
		mc_line(o, "SERVER_ERROR out of memory");
		break;
	}
}

/* me */

static void meta_debug(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);
	char key[400];
	size_t n;

	if (!it) {
		mc_line(o, "EN");
		return;
	}
	n = has(rq, 'b') ? mc_base64_encode(it->data, it->nkey, key, sizeof(key)) : it->nkey;
	if (!has(rq, 'b'))
		memcpy(key, it->data, n);
	mc_printf(o, "ME %.*s exp=%lld la=%llu cas=%llu fetch=%s cls=%u size=%llu\r\n", (int)n, key,
	    it->exptime ? (long long)it->exptime - (long long)st->now : -1LL,
	    (unsigned long long)(st->now - it->time), (unsigned long long)it->cas,
	    it->flags & MC_IT_FETCHED ? "yes" : "no", it->cls,
	    (unsigned long long)mc_item_bytes(st, it));
}

void mc_exec_meta(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	st->stats.cmd_meta++;
	switch (rq->op) {
	case MC_GET:
		meta_get(st, rq, o);
		break;
	case MC_DELETE:
		meta_delete(st, rq, o);
		break;
	case MC_INCR:
	case MC_DECR:
		meta_delta(st, rq, o);
		break;
	case MC_DEBUG:
		meta_debug(st, rq, o);
		break;
	default:
		meta_set(st, rq, o);
		break;
	}
}
