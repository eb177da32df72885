/* SPDX-License-Identifier: BSD-3-Clause */
/* Parser of the text protocol: a line is split into tokens, then the command looks at them. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>

#define TOKENS 24

struct token {
	const char *p;
	size_t n;
};

struct line {
	struct token t[TOKENS];
	unsigned n;
	const char *rest; /* what follows the line */
	size_t left;
};

/* Tokens are separated by blanks; the last one takes what is too much. */
static void split(struct line *l, const char *p, const char *end)
{
	l->n = 0;
	while (p < end && l->n < TOKENS) {
		const char *start;

		while (p < end && *p == ' ')
			p++;
		if (p == end)
			break;
		start = p;
		while (p < end && *p != ' ')
			p++;
		if (l->n == TOKENS - 1)
			p = end;
		l->t[l->n++] = (struct token){start, (size_t)(p - start)};
	}
}

static bool is(const struct token *t, const char *word)
{
	return t->n == strlen(word) && memcmp(t->p, word, t->n) == 0;
}

static bool is_noreply(const struct line *l)
{
	return is(&l->t[l->n - 1], "noreply");
}

static void error_line(struct mc_session *s, bool quiet, const char *text)
{
	if (!quiet)
		mc_say(s, text);
}

static const char bad_format[] = "CLIENT_ERROR bad command line format\r\n";

static enum mc_next plain_error(struct mc_session *s)
{
	mc_say(s, "ERROR\r\n");
	return MC_NEXT_YIELD;
}

static void req_init(struct mc_req *rq, unsigned op, const struct token *key, bool quiet)
{
	memset(rq, 0, sizeof(*rq));
	rq->op = (uint8_t)op;
	rq->proto = MC_TEXT;
	rq->key = key->p;
	rq->nkey = (uint8_t)key->n;
	rq->quiet = quiet;
}

/* get, gets, gat, gats: the keys are taken from the line one by one. */

static enum mc_next start_keys(
    struct mc_session *s, const struct line *l, unsigned first, const char *base, size_t *used)
{
	const char *end = l->rest;

	/* A key that is too long spoils the whole request. */
	for (const char *p = l->t[first].p; p < end;) {
		const char *start = p;

		while (p < end && *p != ' ' && *p != '\r' && *p != '\n')
			p++;
		if (p - start > MC_KEY_MAX) {
			mc_say(s, bad_format);
			return MC_NEXT_YIELD;
		}
		p++;
	}
	s->state = MC_ST_KEYS;
	*used = (size_t)(l->t[first].p - base);
	return MC_NEXT_YIELD;
}

static void end_keys(struct mc_session *s)
{
	mc_say(s, "END\r\n");
	s->state = MC_ST_COMMAND;
}

static void emit_key(struct mc_session *s, const char *key, size_t n)
{
	struct token t = {key, n};
	struct mc_req rq;

	req_init(&rq, s->touch ? MC_GAT : MC_GET, &t, false);
	rq.want_cas = s->want_cas;
	rq.exptime = s->exptime;
	mc_emit(s, &rq, false);
}

enum mc_next mc_text_keys(struct mc_session *s, const char *p, size_t n, size_t *used)
{
	size_t i = 0, start;

	while (i < n && p[i] == ' ')
		i++;
	start = i;
	while (i < n && p[i] != ' ' && p[i] != '\n')
		i++;
	*used = start;
	if (i == n) {
		if (i - start <= MC_KEY_MAX + 1)
			return MC_NEXT_MORE;
	} else if (p[i] == '\n') {
		size_t k = i - start;

		if (k && p[i - 1] == '\r')
			k--;
		if (k <= MC_KEY_MAX) {
			*used = i + 1;
			if (k)
				emit_key(s, p + start, k);
			end_keys(s);
			return MC_NEXT_YIELD;
		}
	} else if (i - start <= MC_KEY_MAX) {
		*used = i;
		emit_key(s, p + start, i - start);
		return MC_NEXT_YIELD;
	}
	mc_say(s, bad_format);
	s->state = MC_ST_SKIP_LINE;
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_get(
    struct mc_session *s, const struct line *l, bool cas, const char *base, size_t *used)
{
	if (l->n < 2)
		return plain_error(s);
	s->want_cas = cas;
	s->touch = false;
	s->exptime = 0;
	return start_keys(s, l, 1, base, used);
}

static enum mc_next cmd_gat(
    struct mc_session *s, const struct line *l, bool cas, const char *base, size_t *used)
{
	int32_t t;

	if (l->n < 2)
		return plain_error(s);
	if (!mc_parse_i32(l->t[1].p, l->t[1].n, &t)) {
		mc_say(s, "CLIENT_ERROR invalid exptime argument\r\n");
		return MC_NEXT_YIELD;
	}
	if (l->n < 3) {
		mc_say(s, "END\r\n");
		return MC_NEXT_YIELD;
	}
	s->want_cas = cas;
	s->touch = true;
	s->exptime = mc_exptime(s, t);
	return start_keys(s, l, 2, base, used);
}

/* set and its kin */

static bool store_args(struct mc_session *s, const struct line *l, struct mc_req *rq)
{
	int32_t exptime;
	uint64_t length;

	if (l->t[1].n > MC_KEY_MAX || !mc_parse_u32(l->t[2].p, l->t[2].n, &rq->client) ||
	    !mc_parse_i32(l->t[3].p, l->t[3].n, &exptime) ||
	    !mc_parse_u64(l->t[4].p, l->t[4].n, &length))
		return false;
	if (rq->op == MC_CAS && !mc_parse_u64(l->t[5].p, l->t[5].n, &rq->cas))
		return false;
	if (length > INT32_MAX - 2)
		return false;
	rq->exptime = mc_exptime(s, exptime);
	rq->nval = (uint32_t)length;
	return true;
}

static enum mc_next too_large(struct mc_session *s, struct mc_req *rq)
{
	s->st->stats.store_too_large++;
	error_line(s, rq->quiet, "SERVER_ERROR object too large for cache\r\n");
	if (rq->op == MC_SET) {
		struct mc_req rm = *rq;

		rm.op = MC_REMOVE;
		mc_emit(s, &rm, false);
	}
	mc_swallow(s, (uint64_t)rq->nval + 2);
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_store(struct mc_session *s, const struct line *l, unsigned op, size_t *used)
{
	unsigned least = op == MC_CAS ? 6 : 5;
	struct mc_req rq;
	size_t k = 0;

	if (l->n != least && l->n != least + 1)
		return plain_error(s);
	req_init(&rq, op, &l->t[1], is_noreply(l));
	if (!store_args(s, l, &rq)) {
		error_line(s, rq.quiet, bad_format);
		return MC_NEXT_YIELD;
	}
	if (!mc_store_size_ok(s->st, rq.nkey, rq.client, rq.nval))
		return too_large(s, &rq);
	if (!mc_take_value(s, &rq, 2, l->rest, l->left, &k)) {
		*used = 0;
		return MC_NEXT_MORE;
	}
	*used += k;
	return MC_NEXT_YIELD;
}

/* delete, incr, decr, touch */

static enum mc_next cmd_delete(struct mc_session *s, const struct line *l)
{
	struct mc_req rq;
	bool quiet = l->n > 2 && is_noreply(l);

	if (l->n < 2 || l->n > 4)
		return plain_error(s);
	if (l->n > 2) {
		bool zero = is(&l->t[2], "0");

		if (!((l->n == 3 && (zero || quiet)) || (l->n == 4 && zero && quiet))) {
			error_line(s, quiet,
			    "CLIENT_ERROR bad command line format.  Usage: delete <key> "
			    "[noreply]\r\n");
			return MC_NEXT_YIELD;
		}
	}
	if (l->t[1].n > MC_KEY_MAX) {
		error_line(s, quiet, bad_format);
		return MC_NEXT_YIELD;
	}
	req_init(&rq, MC_DELETE, &l->t[1], quiet);
	mc_emit(s, &rq, false);
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_delta(struct mc_session *s, const struct line *l, unsigned op)
{
	struct mc_req rq;

	if (l->n != 3 && l->n != 4)
		return plain_error(s);
	req_init(&rq, op, &l->t[1], is_noreply(l));
	if (l->t[1].n > MC_KEY_MAX)
		error_line(s, rq.quiet, bad_format);
	else if (!mc_parse_u64(l->t[2].p, l->t[2].n, &rq.delta))
		error_line(s, rq.quiet, "CLIENT_ERROR invalid numeric delta argument\r\n");
	else
		mc_emit(s, &rq, false);
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_touch(struct mc_session *s, const struct line *l)
{
	struct mc_req rq;
	int32_t t;

	if (l->n != 3 && l->n != 4)
		return plain_error(s);
	req_init(&rq, MC_TOUCH, &l->t[1], is_noreply(l));
	if (l->t[1].n > MC_KEY_MAX) {
		error_line(s, rq.quiet, bad_format);
	} else if (!mc_parse_i32(l->t[2].p, l->t[2].n, &t)) {
		error_line(s, rq.quiet, "CLIENT_ERROR invalid exptime argument\r\n");
	} else {
		rq.exptime = mc_exptime(s, t);
		mc_emit(s, &rq, false);
	}
	return MC_NEXT_YIELD;
}

/* Commands about the whole server */

static struct mc_special *special(struct mc_session *s, unsigned kind)
{
	s->special = (struct mc_special){.kind = (uint8_t)kind, .proto = MC_TEXT};
	return &s->special;
}

static enum mc_next cmd_flush(struct mc_session *s, const struct line *l)
{
	bool quiet = l->n > 1 && is_noreply(l);
	struct mc_special *sp;
	int32_t t = 0;

	if (l->n > 3)
		return plain_error(s);
	if (!mc_settings.flush) {
		error_line(s, quiet, "CLIENT_ERROR flush_all not allowed\r\n");
		return MC_NEXT_YIELD;
	}
	if (l->n > (quiet ? 2u : 1u) && !mc_parse_i32(l->t[1].p, l->t[1].n, &t)) {
		error_line(s, quiet, "CLIENT_ERROR invalid exptime argument\r\n");
		return MC_NEXT_YIELD;
	}
	sp = special(s, MC_SP_FLUSH);
	sp->quiet = quiet;
	sp->when = t > 0 ? mc_exptime(s, t) : 0;
	return MC_NEXT_SPECIAL;
}

static void join_tokens(const struct line *l, unsigned first, char *out, size_t room)
{
	size_t at = 0;

	for (unsigned i = first; i < l->n; i++) {
		size_t n = l->t[i].n;

		if (at + n + 2 > room)
			n = room - at - 2;
		if (at)
			out[at++] = ' ';
		memcpy(out + at, l->t[i].p, n);
		at += n;
		if (at + 2 >= room)
			break;
	}
	out[at] = '\0';
}

static enum mc_next cmd_stats(struct mc_session *s, const struct line *l)
{
	struct mc_special *sp = special(s, MC_SP_STATS);

	join_tokens(l, 1, sp->arg, sizeof(sp->arg));
	return MC_NEXT_SPECIAL;
}

static enum mc_next cmd_verbosity(struct mc_session *s, const struct line *l)
{
	bool quiet = l->n > 1 && is_noreply(l);
	uint32_t v;

	if (l->n < 2)
		return plain_error(s);
	if (!mc_parse_u32(l->t[1].p, l->t[1].n, &v)) {
		error_line(s, quiet, bad_format);
		return MC_NEXT_YIELD;
	}
	mc_settings.verbose = v > 3 ? 3 : (int)v;
	error_line(s, quiet, "OK\r\n");
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_limit(struct mc_session *s, const struct line *l)
{
	bool quiet = l->n > 1 && is_noreply(l);
	struct mc_special *sp;
	uint32_t v;

	if (l->n != 2 && l->n != 3)
		return plain_error(s);
	if (!mc_parse_u32(l->t[1].p, l->t[1].n, &v)) {
		error_line(s, quiet, "ERROR\r\n");
		return MC_NEXT_YIELD;
	}
	if (v < 8) {
		error_line(s, quiet, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
		return MC_NEXT_YIELD;
	}
	sp = special(s, MC_SP_LIMIT);
	sp->quiet = quiet;
	sp->number = (uint64_t)v << 20;
	return MC_NEXT_SPECIAL;
}

static enum mc_next cmd_lru_crawler(struct mc_session *s, const struct line *l)
{
	if (l->n < 2)
		return plain_error(s);
	if (is(&l->t[1], "enable") || is(&l->t[1], "disable")) {
		mc_settings.crawler = is(&l->t[1], "enable");
		mc_say(s, "OK\r\n");
		return MC_NEXT_YIELD;
	}
	if (l->n < 3)
		return plain_error(s);
	if (is(&l->t[1], "crawl") || is(&l->t[1], "sleep") || is(&l->t[1], "tocrawl")) {
		/* Expired items are looked for every second anyway. */
		mc_say(s, "OK\r\n");
		return MC_NEXT_YIELD;
	}
	if (!is(&l->t[1], "metadump"))
		return plain_error(s);
	if (!mc_settings.dump) {
		mc_say(s, "ERROR metadump not allowed\r\n");
		return MC_NEXT_YIELD;
	}
	special(s, MC_SP_METADUMP);
	return MC_NEXT_SPECIAL;
}

/* Both lists and classes look after themselves; what could be set has no effect. */
static enum mc_next cmd_lru(struct mc_session *s, const struct line *l)
{
	if (l->n < 3 || !(is(&l->t[1], "mode") || is(&l->t[1], "tune") || is(&l->t[1], "temp_ttl")))
		return plain_error(s);
	if (is(&l->t[1], "mode") && !is(&l->t[2], "flat") && !is(&l->t[2], "segmented"))
		return plain_error(s);
	mc_say(s, "OK\r\n");
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_slabs(struct mc_session *s, const struct line *l)
{
	if (l->n == 4 && is(&l->t[1], "reassign"))
		mc_say(s, "NOSPARE source class has no spare pages\r\n");
	else if (l->n == 3 && is(&l->t[1], "automove"))
		mc_say(s, "OK\r\n");
	else
		return plain_error(s);
	return MC_NEXT_YIELD;
}

static enum mc_next cmd_shutdown(struct mc_session *s, const struct line *l)
{
	if (!mc_settings.shutdown) {
		mc_say(s, "ERROR: shutdown not enabled\r\n");
		return MC_NEXT_YIELD;
	}
	if (l->n > 1 && !(l->n == 2 && is(&l->t[1], "graceful"))) {
		mc_say(s, "CLIENT_ERROR invalid shutdown mode\r\n");
		return MC_NEXT_YIELD;
	}
	special(s, MC_SP_SHUTDOWN);
	return MC_NEXT_SPECIAL;
}

static bool http(const struct line *l)
{
	const struct token *t = &l->t[l->n - 1];

	return l->n >= 2 && t->n >= 5 && memcmp(t->p, "HTTP/", 5) == 0;
}

/* Commands that are not about keys, and those for keys that are rare. */
static enum mc_next other_command(
    struct mc_session *s, const struct line *l, const char *base, size_t *used)
{
	const struct token *c = &l->t[0];

	if (is(c, "gets"))
		return cmd_get(s, l, true, base, used);
	if (is(c, "bget"))
		return cmd_get(s, l, false, base, used);
	if (is(c, "gat") || is(c, "gats"))
		return cmd_gat(s, l, c->n == 4, base, used);
	if (is(c, "touch"))
		return cmd_touch(s, l);
	if (is(c, "flush_all"))
		return cmd_flush(s, l);
	if (is(c, "stats"))
		return cmd_stats(s, l);
	if (is(c, "version")) {
		mc_say(s, "VERSION " MC_VERSION "\r\n");
		return MC_NEXT_YIELD;
	}
	if (is(c, "verbosity"))
		return cmd_verbosity(s, l);
	if (is(c, "cache_memlimit"))
		return cmd_limit(s, l);
	if (is(c, "lru_crawler"))
		return cmd_lru_crawler(s, l);
	if (is(c, "lru"))
		return cmd_lru(s, l);
	if (is(c, "slabs"))
		return cmd_slabs(s, l);
	if (is(c, "shutdown"))
		return cmd_shutdown(s, l);
	if (is(c, "quit") || http(l))
		return MC_NEXT_CLOSE;
	return plain_error(s);
}

static enum mc_next command(
    struct mc_session *s, const struct line *l, const char *base, size_t *used)
{
	const struct token *c = &l->t[0];

	if (is(c, "get"))
		return cmd_get(s, l, false, base, used);
	if (is(c, "set"))
		return cmd_store(s, l, MC_SET, used);
	if (is(c, "add"))
		return cmd_store(s, l, MC_ADD, used);
	if (is(c, "replace"))
		return cmd_store(s, l, MC_REPLACE, used);
	if (is(c, "append"))
		return cmd_store(s, l, MC_APPEND, used);
	if (is(c, "prepend"))
		return cmd_store(s, l, MC_PREPEND, used);
	if (is(c, "cas"))
		return cmd_store(s, l, MC_CAS, used);
	if (is(c, "delete"))
		return cmd_delete(s, l);
	if (is(c, "incr"))
		return cmd_delta(s, l, MC_INCR);
	if (is(c, "decr"))
		return cmd_delta(s, l, MC_DECR);
	return other_command(s, l, base, used);
}

/* No newline in sight: only a get with many keys may be so long. */
static enum mc_next long_line(struct mc_session *s, const char *p, size_t n, size_t *used)
{
	size_t i = 0;

	if (n <= MC_LINE_MAX)
		return MC_NEXT_MORE;
	while (i < 100 && p[i] == ' ')
		i++;
	if (memcmp(p + i, "get ", 4) && memcmp(p + i, "gets ", 5))
		return MC_NEXT_CLOSE;
	s->want_cas = p[i + 3] == 's';
	s->touch = false;
	s->exptime = 0;
	s->state = MC_ST_KEYS;
	*used = i + (s->want_cas ? 5 : 4);
	return MC_NEXT_YIELD;
}

/* A get with one key, the commonest request: it needs no list of tokens. */
static bool lone_get(const char *p, const char *end)
{
	return end - p > 4 && memcmp(p, "get ", 4) == 0 && end - p - 4 <= MC_KEY_MAX &&
	       p[4] != ' ' && !memchr(p + 4, ' ', (size_t)(end - p - 4));
}

/* If the next request in the buffer is such a get too, start loading its bucket. */
static void look_ahead(struct mc_session *s, const char *p, size_t n)
{
	const char *nl = n ? memchr(p, '\n', n) : NULL, *end = nl;

	s->ahead = NULL;
	if (!nl)
		return;
	if (end - p > 1 && end[-1] == '\r')
		end--;
	if (!lone_get(p, end))
		return;
	s->ahead = p;
	s->ahead_end = nl;
	s->ahead_hash = mc_hash(s->st->config.seed, p + 4, (size_t)(end - p - 4));
	mc_prefetch_bucket(s->st, s->ahead_hash);
}

/*
 * While the bucket's first item is loaded into the cache the next request is looked at, so that in
 * a pipeline the two cache misses of a request overlap with the work on others.
 */
static void quick_get(
    struct mc_session *s, const char *p, const char *end, const char *rest, size_t left)
{
	struct token key = {p + 4, (size_t)(end - p - 4)};
	struct mc_req rq;

	req_init(&rq, MC_GET, &key, false);
	rq.end = true;
	rq.hash = p == s->ahead ? s->ahead_hash : mc_hash(s->st->config.seed, key.p, key.n);
	if (s->shards == 1) {
		mc_prefetch_item(s->st, rq.hash);
		look_ahead(s, rest, left);
	}
	mc_emit(s, &rq, false);
}

enum mc_next mc_text_feed(struct mc_session *s, const char *p, size_t n, size_t *used)
{
	const char *nl = p == s->ahead ? s->ahead_end : memchr(p, '\n', n), *end = nl;
	struct line l;
	enum mc_next next;

	if (!nl)
		return long_line(s, p, n, used);
	if (end - p > 1 && end[-1] == '\r')
		end--;
	*used = (size_t)(nl + 1 - p);
	if (__builtin_expect(mc_settings.verbose > 1, 0))
		fprintf(stderr, "<%llu %.*s\n", (unsigned long long)s->id, (int)(end - p), p);
	l.rest = nl + 1;
	l.left = n - *used;
	if (lone_get(p, end)) {
		quick_get(s, p, end, l.rest, l.left);
		return MC_NEXT_YIELD;
	}
	if (end - p > 2 && p[0] == 'm' && p[1] >= 'a' && p[1] <= 'z' && p[2] == ' ')
		return mc_meta_feed(s, p, (size_t)(end - p), l.rest, l.left, used);
	if (end - p == 2 && memcmp(p, "mn", 2) == 0) {
		mc_say(s, "MN\r\n");
		return MC_NEXT_YIELD;
	}
	if (end - p == 2 && memcmp(p, "me", 2) == 0) {
		mc_say(s, bad_format);
		return MC_NEXT_YIELD;
	}
	split(&l, p, end);
	if (!l.n || l.t[0].n < 2)
		return plain_error(s);
	next = command(s, &l, p, used);
	/* What comes before a special command is answered before it. */
	if (next == MC_NEXT_SPECIAL && s->n_batch) {
		*used = 0;
		return MC_NEXT_RUN;
	}
	return next;
}
