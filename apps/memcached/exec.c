/* SPDX-License-Identifier: BSD-3-Clause */
/* Execution of requests on the shard that owns the key, and the replies of the text protocol. */
#include "req.h"

#include <stdlib.h>

#define SHARE_MIN 16384 /* values from this size on are not copied into the output */

/* A number is digits, perhaps after blanks, up to a blank or the end. */
static bool digits(const char *p, size_t n, bool *negative, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0, first;

	while (i < n && (p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r')))
		i++;
	*negative = i < n && p[i] == '-';
	if (i < n && (p[i] == '-' || p[i] == '+'))
		i++;
	first = i;
	for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
		unsigned d = (unsigned)(p[i] - '0');

		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (i == first || (i < n && p[i] != ' ' && !(p[i] >= '\t' && p[i] <= '\r') && p[i]))
		return false;
	*out = v;
	return true;
}

bool mc_parse_u64(const char *p, size_t n, uint64_t *out)
{
	bool negative;

	if (!digits(p, n, &negative, out))
		return false;
	/* Stock takes what strtoull() takes, but no negative number. */
	return !negative || !*out;
}

bool mc_parse_u32(const char *p, size_t n, uint32_t *out)
{
	uint64_t v;

	if (!mc_parse_u64(p, n, &v) || v > INT64_MAX)
		return false;
	*out = (uint32_t)v; /* stock takes the low bits of what a long holds */
	return true;
}

bool mc_parse_i32(const char *p, size_t n, int32_t *out)
{
	bool negative;
	uint64_t v;

	if (!digits(p, n, &negative, &v) || v > INT64_MAX)
		return false;
	*out = (int32_t)(negative ? -(int64_t)v : (int64_t)v); /* the low bits, as stock */
	return true;
}

void mc_put_value(struct mc_store *st, struct mc_item *it, struct mc_out *o)
{
	struct mc_span s;
	char *p;
	size_t n;

	if (it->size >= SHARE_MIN && o->share && o->share(o, st, it))
		return;
	mc_span_init(&s, it);
	while ((n = mc_span_next(st, &s, &p)))
		mc_put(o, p, n);
}

/* Storing */

static struct mc_item *item_with(
    struct mc_store *st, const struct mc_req *rq, uint32_t client, uint32_t exptime)
{
	struct mc_item *it = mc_item_new(st, rq->key, rq->nkey, client, rq->nval);

	if (!it)
		return NULL;
	it->exptime = exptime;
	if (rq->meta.seen & MC_FLAG('b'))
		it->flags |= MC_IT_BINARY_KEY;
	if (!(it->flags & MC_IT_CHUNKED))
		memcpy(it->data + it->nkey, rq->val, rq->nval);
	else
		mc_value_write(st, it, 0, rq->val, rq->nval);
	return it;
}

static enum mc_status no_memory(struct mc_store *st)
{
	st->stats.store_no_memory++;
	return MC_NO_MEMORY;
}

static enum mc_status extend(
    struct mc_store *st, const struct mc_req *rq, struct mc_item *old, struct mc_item **out)
{
	uint64_t n = (uint64_t)old->size + rq->nval;
	struct mc_item *it;
	bool append = rq->op == MC_APPEND;

	if (!mc_store_size_ok(st, rq->nkey, old->client, n)) {
		st->stats.store_too_large++;
		return MC_TOO_LARGE;
	}
	mc_ref_get(old); /* making room must not take it away */
	it = mc_item_new(st, rq->key, rq->nkey, old->client, (uint32_t)n);
	if (!it) {
		mc_ref_put(st, old);
		return no_memory(st);
	}
	it->exptime = old->exptime;
	it->flags |= old->flags & MC_IT_BINARY_KEY;
	mc_value_copy(st, it, append ? 0 : rq->nval, old);
	mc_value_write(st, it, append ? old->size : 0, rq->val, rq->nval);
	if (old->flags & MC_IT_LINKED)
		mc_unlink(st, old, rq->hash);
	mc_ref_put(st, old);
	mc_link(st, it, rq->hash);
	*out = it;
	return MC_OK;
}

static enum mc_status put_new(
    struct mc_store *st, const struct mc_req *rq, struct mc_item *it, struct mc_item **out)
{
	struct mc_item *old;

	if (!it)
		return no_memory(st);
	/* Making room may have evicted what was found before. */
	old = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);
	if (old)
		mc_replace(st, old, it, rq->hash);
	else
		mc_link(st, it, rq->hash);
	*out = it;
	return MC_OK;
}

/* The CAS value does not match; a meta set may still replace a newer value and mark it stale. */
static enum mc_status cas_mismatch(
    struct mc_store *st, const struct mc_req *rq, struct mc_item *old, struct mc_item **out)
{
	struct mc_item *it;
	uint16_t won = old->flags & MC_IT_WON;
	enum mc_status s;

	if (!(rq->meta.seen & MC_FLAG('I')) || rq->cas >= old->cas) {
		st->cls[old->cls].cas_badval++;
		st->stats.cas_badval++;
		return MC_EXISTS;
	}
	it = item_with(st, rq, rq->client, old->exptime);
	s = put_new(st, rq, it, out);
	if (s == MC_OK)
		it->flags |= MC_IT_STALE | won;
	return s;
}

enum mc_status mc_do_store(struct mc_store *st, const struct mc_req *rq, struct mc_item **out)
{
	struct mc_item *old;
	bool extends = rq->op == MC_APPEND || rq->op == MC_PREPEND;

	*out = NULL;
	st->stats.cmd_set++;
	if (!mc_store_size_ok(st, rq->nkey, rq->client, rq->nval)) {
		st->stats.store_too_large++;
		return MC_TOO_LARGE;
	}
	old = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);
	if (rq->op == MC_CAS) {
		if (!old) {
			st->stats.cas_misses++;
			return MC_NOT_FOUND;
		}
		if (rq->cas != old->cas)
			return cas_mismatch(st, rq, old, out);
		st->cls[old->cls].cas_hits++;
		st->stats.cas_hits++;
	} else if (rq->op == MC_ADD) {
		if (old) {
			mc_bump(st, old);
			return MC_NOT_STORED;
		}
	} else if (rq->op != MC_SET && !old) {
		return MC_NOT_STORED;
	}
	if (extends && rq->cas && rq->cas != old->cas)
		return MC_EXISTS;
	if (extends)
		return extend(st, rq, old, out);
	return put_new(st, rq, item_with(st, rq, rq->client, rq->exptime), out);
}

/* Arithmetic */

static bool numeric(struct mc_store *st, const struct mc_item *it, uint64_t *value)
{
	struct mc_span s;
	char *p;

	if (!it->size || it->flags & MC_IT_CHUNKED)
		return false;
	mc_span_init(&s, it);
	mc_span_next(st, &s, &p);
	return mc_parse_u64(p, it->size, value);
}

static enum mc_status new_number(
    struct mc_store *st, const struct mc_req *rq, uint64_t v, struct mc_item **out)
{
	char text[24];
	struct mc_req put = {.key = rq->key,
	    .nkey = rq->nkey,
	    .hash = rq->hash,
	    .val = text,
	    .nval = (uint32_t)(mc_digits(text, v) - text)};

	return put_new(st, rq, item_with(st, &put, 0, rq->exptime), out);
}

static void note_delta(struct mc_store *st, const struct mc_req *rq, struct mc_item *it)
{
	if (rq->op == MC_INCR) {
		st->stats.incr_hits++;
		st->cls[it->cls].incr_hits++;
	} else {
		st->stats.decr_hits++;
		st->cls[it->cls].decr_hits++;
	}
}

/* A value of the same or a smaller length is written in place and padded, as stock does. */
static enum mc_status set_number(struct mc_store *st, const struct mc_req *rq, struct mc_item *it,
    uint64_t v, struct mc_item **out)
{
	char text[24];
	size_t n = (size_t)(mc_digits(text, v) - text);
	struct mc_req put = *rq;
	struct mc_item *fresh;
	uint32_t client = it->client, exptime = it->exptime;

	if (n <= it->size && it->refs == 1) {
		it->cas = mc_next_cas(st);
		memcpy(it->data + it->nkey, text, n);
		memset(it->data + it->nkey + n, ' ', it->size - n);
		*out = it;
		return MC_OK;
	}
	put.val = text;
	put.nval = (uint32_t)n;
	fresh = item_with(st, &put, client, exptime);
	return put_new(st, rq, fresh, out);
}

enum mc_status mc_do_delta(
    struct mc_store *st, const struct mc_req *rq, struct mc_item **out, uint64_t *value)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);
	uint64_t v;

	*out = NULL;
	if (!it)
		return MC_NOT_FOUND;
	if (!it->size || it->flags & MC_IT_CHUNKED)
		return MC_NON_NUMERIC;
	if (rq->cas && rq->cas != it->cas)
		return MC_EXISTS;
	if (!numeric(st, it, &v))
		return MC_NON_NUMERIC;
	if (rq->op == MC_INCR)
		v += rq->delta;
	else
		v = v > rq->delta ? v - rq->delta : 0;
	*value = v;
	note_delta(st, rq, it);
	mc_bump(st, it);
	return set_number(st, rq, it, v, out);
}

/* The text protocol */

static struct mc_item *get(struct mc_store *st, struct mc_req *rq)
{
	char why = 0;
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, &why);

	st->stats.cmd_get++;
	if (rq->op == MC_GAT) {
		st->stats.cmd_touch++;
		if (it)
			it->exptime = rq->exptime;
	}
	if (__builtin_expect(it != NULL, 1)) {
		st->stats.get_hits++;
		if (rq->op == MC_GAT) {
			st->stats.touch_hits++;
			st->cls[it->cls].touch_hits++;
		} else {
			st->cls[it->cls].get_hits++;
		}
		mc_bump(st, it);
		return it;
	}
	st->stats.get_misses++;
	if (rq->op == MC_GAT)
		st->stats.touch_misses++;
	if (why == 'x')
		st->stats.get_expired++;
	else if (why == 'f')
		st->stats.get_flushed++;
	return NULL;
}

static void text_get(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = get(st, rq);
	bool small;
	char *p;

	if (!it) {
		if (rq->end)
			mc_put(o, "END\r\n", 5);
		return;
	}
	small = it->size < 1024;
	p = mc_room(o, small ? MC_KEY_MAX + 80 + 1024 : MC_KEY_MAX + 80);
	if (!p)
		return;
	p = mc_copy(p, "VALUE ", 6);
	p = mc_copy(p, it->data, it->nkey);
	*p++ = ' ';
	if (it->client < 10)
		*p++ = (char)('0' + it->client);
	else
		p = mc_digits(p, it->client);
	*p++ = ' ';
	p = mc_digits(p, it->size);
	if (rq->want_cas) {
		*p++ = ' ';
		p = mc_digits(p, it->cas);
	}
	p = mc_copy(p, "\r\n", 2);
	if (small) {
		p = mc_copy(p, it->data + it->nkey, it->size);
		o->p = mc_copy(p, "\r\nEND\r\n", rq->end ? 7 : 2);
		return;
	}
	o->p = p;
	mc_put_value(st, it, o);
	mc_put(o, "\r\nEND\r\n", rq->end ? 7 : 2);
}

static void say(const struct mc_req *rq, struct mc_out *o, const char *text)
{
	if (!rq->quiet)
		mc_line(o, text);
}

static void text_store(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;

	switch (mc_do_store(st, rq, &it)) {
	case MC_OK:
		st->cls[it->cls].cmd_set++;
		say(rq, o, "STORED");
		break;
	case MC_EXISTS:
		say(rq, o, "EXISTS");
		break;
	case MC_NOT_FOUND:
		say(rq, o, "NOT_FOUND");
		break;
	case MC_NOT_STORED:
		say(rq, o, "NOT_STORED");
		break;
	case MC_TOO_LARGE:
		say(rq, o, "SERVER_ERROR object too large for cache");
		break;
	default:
		mc_line(o, "SERVER_ERROR out of memory storing object");
		break;
	}
}

static enum mc_status do_delete(struct mc_store *st, struct mc_req *rq)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);

	if (!it) {
		st->stats.delete_misses++;
		return MC_NOT_FOUND;
	}
	st->stats.delete_hits++;
	st->cls[it->cls].delete_hits++;
	mc_unlink(st, it, rq->hash);
	return MC_OK;
}

static void text_delta(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;
	uint64_t v;
	char text[24];

	switch (mc_do_delta(st, rq, &it, &v)) {
	case MC_OK:
		*mc_digits(text, v) = '\0';
		say(rq, o, text);
		break;
	case MC_NON_NUMERIC:
		say(rq, o, "CLIENT_ERROR cannot increment or decrement non-numeric value");
		break;
	case MC_NOT_FOUND:
		if (rq->op == MC_INCR)
			st->stats.incr_misses++;
		else
			st->stats.decr_misses++;
		say(rq, o, "NOT_FOUND");
		break;
	default:
		mc_line(o, "SERVER_ERROR out of memory");
		break;
	}
}

static void text_touch(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);

	st->stats.cmd_touch++;
	if (!it) {
		st->stats.touch_misses++;
		say(rq, o, "NOT_FOUND");
		return;
	}
	st->stats.touch_hits++;
	st->cls[it->cls].touch_hits++;
	it->exptime = rq->exptime;
	mc_bump(st, it);
	say(rq, o, "TOUCHED");
}

static void exec_text(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	switch (rq->op) {
	case MC_GET:
	case MC_GAT:
		text_get(st, rq, o);
		break;
	case MC_DELETE:
		say(rq, o, do_delete(st, rq) == MC_OK ? "DELETED" : "NOT_FOUND");
		break;
	case MC_INCR:
	case MC_DECR:
		text_delta(st, rq, o);
		break;
	case MC_TOUCH:
		text_touch(st, rq, o);
		break;
	default:
		if (rq->bad_data)
			say(rq, o, "CLIENT_ERROR bad data chunk");
		else
			text_store(st, rq, o);
		break;
	}
}

static void remove_old(struct mc_store *st, struct mc_req *rq)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);

	if (it)
		mc_unlink(st, it, rq->hash);
}

/* Binary replies: a header of 24 bytes, extras, key, value. */

enum {
	BIN_OK = 0,
	BIN_ENOENT = 1,
	BIN_EEXIST = 2,
	BIN_E2BIG = 3,
	BIN_EINVAL = 4,
	BIN_NOT_STORED = 5,
	BIN_BADVAL = 6,
	BIN_ENOMEM = 0x82,
};

static void put16(char *p, unsigned v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static void put32(char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put64(char *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

static char *bin_head(const struct mc_req *rq, struct mc_out *o, unsigned status, unsigned extras,
    unsigned nkey, uint32_t body, uint64_t cas)
{
	char *p = mc_room(o, 24 + 8 + MC_KEY_MAX);

	if (!p)
		return NULL;
	p[0] = (char)0x81;
	p[1] = (char)rq->opcode;
	put16(p + 2, nkey);
	p[4] = (char)extras;
	p[5] = 0;
	put16(p + 6, status);
	put32(p + 8, body);
	put32(p + 12, rq->opaque);
	put64(p + 16, cas);
	o->p += 24;
	return p + 24;
}

static void bin_ok(const struct mc_req *rq, struct mc_out *o, uint64_t cas)
{
	if (!rq->quiet)
		bin_head(rq, o, BIN_OK, 0, 0, 0, cas);
}

static void bin_error(const struct mc_req *rq, struct mc_out *o, enum mc_status s)
{
	static const struct {
		unsigned status;
		const char *text;
	} of[] = {
	    [MC_NOT_FOUND] = {BIN_ENOENT, "Not found"},
	    [MC_EXISTS] = {BIN_EEXIST, "Data exists for key."},
	    [MC_NOT_STORED] = {BIN_NOT_STORED, "Not stored."},
	    [MC_TOO_LARGE] = {BIN_E2BIG, "Too large."},
	    [MC_NO_MEMORY] = {BIN_ENOMEM, "Out of memory"},
	    [MC_NON_NUMERIC] = {BIN_BADVAL, "Non-numeric server-side value for incr or decr"},
	};
	size_t n = strlen(of[s].text);

	if (bin_head(rq, o, of[s].status, 0, 0, (uint32_t)n, 0))
		mc_put(o, of[s].text, n);
}

static void bin_get(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = get(st, rq);
	unsigned nkey = rq->want_key ? rq->nkey : 0;
	bool value = rq->op != MC_TOUCH;
	char *p;

	if (!it) {
		if (rq->quiet)
			return;
		if (!nkey) {
			bin_error(rq, o, MC_NOT_FOUND);
			return;
		}
		if (bin_head(rq, o, BIN_ENOENT, 0, nkey, nkey, 0))
			mc_put(o, rq->key, nkey);
		return;
	}
	p = bin_head(rq, o, BIN_OK, 4, nkey, 4 + nkey + (value ? it->size : 0), it->cas);
	if (!p)
		return;
	put32(p, it->client);
	memcpy(p + 4, it->data, nkey);
	o->p += 4 + nkey;
	if (value)
		mc_put_value(st, it, o);
}

static void bin_touch(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);
	char *p;

	st->stats.cmd_touch++;
	if (!it) {
		st->stats.touch_misses++;
		bin_error(rq, o, MC_NOT_FOUND);
		return;
	}
	st->stats.touch_hits++;
	st->cls[it->cls].touch_hits++;
	it->exptime = rq->exptime;
	mc_bump(st, it);
	p = bin_head(rq, o, BIN_OK, 4, 0, 4, it->cas);
	if (p) {
		put32(p, it->client);
		o->p += 4;
	}
}

static void bin_store(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;
	enum mc_status s;

	if (rq->bad_data) { /* there was no memory for the value */
		remove_old(st, rq);
		bin_error(rq, o, MC_NO_MEMORY);
		return;
	}
	s = mc_do_store(st, rq, &it);
	if (s == MC_OK) {
		st->cls[it->cls].cmd_set++;
		bin_ok(rq, o, it->cas);
		return;
	}
	/* The reply tells more than "not stored" where the command implies the reason. */
	if (s == MC_NOT_STORED && rq->op == MC_ADD)
		s = MC_EXISTS;
	else if (s == MC_NOT_STORED && rq->op == MC_REPLACE)
		s = MC_NOT_FOUND;
	bin_error(rq, o, s);
}

static void bin_delta(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it;
	uint64_t v = 0;
	enum mc_status s = mc_do_delta(st, rq, &it, &v);
	char *p;

	if (s == MC_NOT_FOUND) {
		if (rq->op == MC_INCR)
			st->stats.incr_misses++;
		else
			st->stats.decr_misses++;
		if (!rq->want_key) { /* it may be made */
			v = rq->initial;
			s = new_number(st, rq, v, &it);
		}
	}
	if (s != MC_OK) {
		bin_error(rq, o, s);
		return;
	}
	if (rq->quiet)
		return;
	p = bin_head(rq, o, BIN_OK, 0, 0, 8, it->cas);
	if (p) {
		put64(p, v);
		o->p += 8;
	}
}

static void bin_delete(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	struct mc_item *it = mc_find(st, rq->key, rq->nkey, rq->hash, NULL);

	if (it && rq->cas && rq->cas != it->cas)
		bin_error(rq, o, MC_EXISTS);
	else if (do_delete(st, rq) == MC_OK)
		bin_ok(rq, o, 0);
	else
		bin_error(rq, o, MC_NOT_FOUND);
}

void mc_exec_binary(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	switch (rq->op) {
	case MC_GET:
	case MC_GAT:
		bin_get(st, rq, o);
		break;
	case MC_TOUCH:
		bin_touch(st, rq, o);
		break;
	case MC_INCR:
	case MC_DECR:
		bin_delta(st, rq, o);
		break;
	case MC_DELETE:
		bin_delete(st, rq, o);
		break;
	default:
		bin_store(st, rq, o);
		break;
	}
}

void mc_exec(struct mc_store *st, struct mc_req *rq, struct mc_out *o)
{
	if (rq->op == MC_REMOVE)
		remove_old(st, rq);
	else if (rq->proto == MC_TEXT)
		exec_text(st, rq, o);
	else if (rq->proto == MC_META)
		mc_exec_meta(st, rq, o);
	else
		mc_exec_binary(st, rq, o);
}
