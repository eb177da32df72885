/* SPDX-License-Identifier: BSD-3-Clause */
/* Parser of the meta commands: "mX key [length] flags". */
#include "session.h"

#define OPAQUE_MAX 32
#define FLAGS_MAX 20 /* tokens of a command */

struct flags {
	struct mc_req *rq;
	const char *error;
	char key[MC_KEYBUF]; /* decoded */
	unsigned count;
};

static bool fail(struct flags *f, const char *error)
{
	f->error = error;
	return false;
}

static bool time_token(
    struct mc_session *s, struct flags *f, const char *p, size_t n, uint32_t *out)
{
	int32_t t;

	if (!mc_parse_i32(p, n, &t))
		return fail(f, "CLIENT_ERROR bad token in command line format\r\n");
	*out = mc_exptime(s, t);
	return true;
}

static bool decode_key(struct flags *f)
{
	struct mc_req *rq = f->rq;
	size_t n = mc_base64_decode(rq->key, rq->nkey, f->key, sizeof(f->key));

	if (!n)
		return fail(f, "CLIENT_ERROR error decoding key\r\n");
	rq->key = f->key;
	rq->nkey = (uint8_t)n;
	return true;
}

static bool number_flag(struct flags *f, char letter, const char *p, size_t n)
{
	struct mc_req *rq = f->rq;

	switch (letter) {
	case 'F':
		return mc_parse_u32(p, n, &rq->client) ||
		       fail(f, "CLIENT_ERROR bad command line format\r\n");
	case 'C':
		return mc_parse_u64(p, n, &rq->cas) ||
		       fail(f, "CLIENT_ERROR bad token in command line format\r\n");
	case 'J':
		return mc_parse_u64(p, n, &rq->initial) ||
		       fail(f, "CLIENT_ERROR invalid numeric initial value\r\n");
	default:
		return mc_parse_u64(p, n, &rq->delta) ||
		       fail(f, "CLIENT_ERROR invalid numeric delta value\r\n");
	}
}

static bool one_flag(struct mc_session *s, struct flags *f, const char *p, size_t n)
{
	struct mc_req *rq = f->rq;
	char letter = p[0];

	if (letter < 'A' || letter > 'z')
		return fail(f, "CLIENT_ERROR invalid flag\r\n");
	if (rq->meta.seen & MC_FLAG(letter))
		return fail(f, "CLIENT_ERROR duplicate flag\r\n");
	rq->meta.seen |= MC_FLAG(letter);
	switch (letter) {
	case 'b':
		return decode_key(f);
	case 'N':
		return time_token(s, f, p + 1, n - 1, &rq->meta.vivify);
	case 'T':
		return time_token(s, f, p + 1, n - 1, &rq->exptime);
	case 'R':
		return time_token(s, f, p + 1, n - 1, &rq->meta.recache);
	case 'F':
	case 'C':
	case 'J':
	case 'D':
		return number_flag(f, letter, p + 1, n - 1);
	case 'M':
		if (n != 2)
			return fail(f, "CLIENT_ERROR incorrect length for M token\r\n");
		rq->meta.mode = p[1];
		return true;
	case 'O':
		return n <= OPAQUE_MAX || fail(f, "CLIENT_ERROR opaque token too long\r\n");
	case 'q':
		rq->quiet = true;
		return true;
	case 'c':
	case 'f':
	case 'h':
	case 'k':
	case 'l':
	case 's':
	case 't':
	case 'u':
	case 'v':
	case 'I':
	case 'P':
	case 'L':
	case 'S':
		return true;
	default:
		return fail(f, "CLIENT_ERROR invalid flag\r\n");
	}
}

static bool all_flags(struct mc_session *s, struct flags *f, const char *p, const char *end)
{
	f->rq->meta.flags = p;
	f->rq->meta.n = (uint16_t)(end - p);
	f->rq->delta = 1;
	while (p < end) {
		const char *start;

		while (p < end && *p == ' ')
			p++;
		start = p;
		while (p < end && *p != ' ')
			p++;
		if (p == start)
			break;
		if (++f->count > FLAGS_MAX)
			return fail(f, "CLIENT_ERROR options flags are too long\r\n");
		if (!one_flag(s, f, start, (size_t)(p - start)))
			return false;
	}
	return true;
}

static bool set_mode(struct flags *f)
{
	struct mc_req *rq = f->rq;

	switch (rq->meta.mode) {
	case 0:
	case 'S':
	case 's':
		rq->op = MC_SET;
		break;
	case 'E':
	case 'e':
		rq->op = MC_ADD;
		break;
	case 'A':
	case 'a':
		rq->op = MC_APPEND;
		break;
	case 'P':
	case 'p':
		rq->op = MC_PREPEND;
		break;
	case 'R':
	case 'r':
		rq->op = MC_REPLACE;
		break;
	default:
		return fail(f, "CLIENT_ERROR invalid mode for ms M token\r\n");
	}
	if (rq->meta.seen & MC_FLAG('C') && (rq->op == MC_SET || rq->op == MC_REPLACE))
		rq->op = MC_CAS;
	return true;
}

static bool delta_mode(struct flags *f)
{
	switch (f->rq->meta.mode) {
	case 0:
	case 'I':
	case 'i':
	case '+':
		f->rq->op = MC_INCR;
		return true;
	case 'D':
	case 'd':
	case '-':
		f->rq->op = MC_DECR;
		return true;
	default:
		return fail(f, "CLIENT_ERROR invalid mode for ma M token\r\n");
	}
}

/* The next token of the line; *n 0 if there is none. */
static const char *token(const char **p, const char *end, size_t *n)
{
	const char *start;

	while (*p < end && **p == ' ')
		(*p)++;
	start = *p;
	while (*p < end && **p != ' ')
		(*p)++;
	*n = (size_t)(*p - start);
	return start;
}

static enum mc_next say(struct mc_session *s, const char *text)
{
	mc_say(s, text);
	return MC_NEXT_YIELD;
}

static enum mc_next drop_block(struct mc_session *s, const char *text, int32_t length)
{
	mc_say(s, text);
	mc_swallow(s, (uint64_t)length + 2);
	return MC_NEXT_YIELD;
}

static enum mc_next meta_set(struct mc_session *s, struct flags *f, const char *p, const char *end,
    const char *rest, size_t left, size_t *used)
{
	struct mc_req *rq = f->rq;
	int32_t length;
	size_t n, k = 0;
	const char *t = token(&p, end, &n);

	if (!n)
		return say(s, "CLIENT_ERROR bad command line format\r\n");
	if (!mc_parse_i32(t, n, &length) || length < 0 || length > INT32_MAX - 2)
		return say(s, "CLIENT_ERROR bad command line format\r\n");
	if (!all_flags(s, f, p, end) || !set_mode(f))
		return drop_block(s, f->error, length);
	rq->nval = (uint32_t)length;
	if (!mc_store_size_ok(s->st, rq->nkey, rq->client, rq->nval)) {
		struct mc_req rm = *rq;

		s->st->stats.store_too_large++;
		rm.op = MC_REMOVE;
		mc_emit(s, &rm, rq->key == f->key);
		return drop_block(s, "SERVER_ERROR object too large for cache\r\n", length);
	}
	/* A decoded key is not in the input: the request is not put off with it. */
	if (rq->key == f->key && s->shards > 1 && left >= rq->nval + 2u) {
		rq->val = rest;
		rq->bad_data = memcmp(rest + rq->nval, "\r\n", 2) != 0;
		mc_emit(s, rq, true);
		*used += rq->nval + 2u;
		return MC_NEXT_YIELD;
	}
	if (!mc_take_value(s, rq, 2, rest, left, &k)) {
		*used = 0;
		return MC_NEXT_MORE;
	}
	*used += k;
	return MC_NEXT_YIELD;
}

enum mc_next mc_meta_feed(
    struct mc_session *s, const char *line, size_t len, const char *rest, size_t left, size_t *used)
{
	const char *p = line + 2, *end = line + len, *key;
	struct mc_req rq = {.proto = MC_META};
	struct flags f = {.rq = &rq};
	size_t n;

	switch (line[1]) {
	case 'g':
	case 's':
	case 'd':
	case 'a':
	case 'e':
		break;
	case 'n':
		return say(s, "MN\r\n");
	default:
		return say(s, "ERROR\r\n");
	}
	key = token(&p, end, &n);
	if (!n || n > MC_KEY_MAX)
		return say(s, "CLIENT_ERROR bad command line format\r\n");
	rq.key = key;
	rq.nkey = (uint8_t)n;
	if (line[1] == 's')
		return meta_set(s, &f, p, end, rest, left, used);
	if (!all_flags(s, &f, p, end)) {
		/* These two tell less. */
		if (line[1] == 'd' || line[1] == 'a')
			f.error = "CLIENT_ERROR invalid or duplicate flag\r\n";
		return say(s, f.error);
	}
	switch (line[1]) {
	case 'g':
		rq.op = MC_GET;
		break;
	case 'd':
		rq.op = MC_DELETE;
		break;
	case 'e':
		rq.op = MC_DEBUG;
		break;
	default:
		if (!delta_mode(&f))
			return say(s, f.error);
		break;
	}
	mc_emit(s, &rq, rq.key == f.key);
	return MC_NEXT_YIELD;
}
