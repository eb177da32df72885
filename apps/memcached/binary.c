/* SPDX-License-Identifier: BSD-3-Clause */
/* Parser of the binary protocol: a header of 24 bytes, then extras, key and value. */
#include "session.h"

enum {
	OP_GET = 0x00,
	OP_SET,
	OP_ADD,
	OP_REPLACE,
	OP_DELETE,
	OP_INCR,
	OP_DECR,
	OP_QUIT,
	OP_FLUSH,
	OP_GETQ,
	OP_NOOP,
	OP_VERSION,
	OP_GETK,
	OP_GETKQ,
	OP_APPEND,
	OP_PREPEND,
	OP_STAT,
	OP_SETQ,
	OP_ADDQ,
	OP_REPLACEQ,
	OP_DELETEQ,
	OP_INCRQ,
	OP_DECRQ,
	OP_QUITQ,
	OP_FLUSHQ,
	OP_APPENDQ,
	OP_PREPENDQ,
	OP_TOUCH = 0x1c,
	OP_GAT,
	OP_GATQ,
	OP_GATK = 0x23,
	OP_GATKQ,
};

#define HEADER 24
#define EINVAL_STATUS 4
#define E2BIG_STATUS 3
#define UNKNOWN_STATUS 0x81

struct head {
	uint8_t opcode, extras;
	uint16_t nkey;
	uint32_t body, opaque;
	uint64_t cas;
};

static uint32_t get32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t get64(const char *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static void parse_head(struct head *h, const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	h->opcode = b[1];
	h->nkey = (uint16_t)(b[2] << 8 | b[3]);
	h->extras = b[4];
	h->body = get32(p + 8);
	h->opaque = get32(p + 12);
	h->cas = get64(p + 16);
}

/* A reply that is no item's; the caller made sure that nothing is in the batch. */
static void reply(struct mc_session *s, const struct head *h, unsigned status, const char *text)
{
	size_t n = strlen(text);
	char *p = mc_room(s->out, HEADER + n);

	if (!p)
		return;
	memset(p, 0, HEADER);
	p[0] = (char)0x81;
	p[1] = (char)h->opcode;
	p[6] = (char)(status >> 8);
	p[7] = (char)status;
	p[10] = (char)(n >> 8);
	p[11] = (char)n;
	for (int i = 0; i < 4; i++)
		p[12 + i] = (char)(h->opaque >> (24 - 8 * i));
	s->out->p = mc_copy(p + HEADER, text, n);
}

/* What each command looks like. */
struct shape {
	uint8_t op;
	bool known, quiet, want_key;
	uint8_t extras, extras2; /* bytes allowed */
	int8_t key;		 /* 1: needed, 0: none, -1: may be */
	bool value;
};

#define S(o, q, k, e, e2, key, v)            \
	{                                    \
		o, true, q, k, e, e2, key, v \
	}
static const struct shape shapes[OP_GATKQ + 1] = {
    [OP_GET] = S(MC_GET, 0, 0, 0, 0, 1, 0),
    [OP_GETQ] = S(MC_GET, 1, 0, 0, 0, 1, 0),
    [OP_GETK] = S(MC_GET, 0, 1, 0, 0, 1, 0),
    [OP_GETKQ] = S(MC_GET, 1, 1, 0, 0, 1, 0),
    [OP_SET] = S(MC_SET, 0, 0, 8, 8, 1, 1),
    [OP_SETQ] = S(MC_SET, 1, 0, 8, 8, 1, 1),
    [OP_ADD] = S(MC_ADD, 0, 0, 8, 8, 1, 1),
    [OP_ADDQ] = S(MC_ADD, 1, 0, 8, 8, 1, 1),
    [OP_REPLACE] = S(MC_REPLACE, 0, 0, 8, 8, 1, 1),
    [OP_REPLACEQ] = S(MC_REPLACE, 1, 0, 8, 8, 1, 1),
    [OP_APPEND] = S(MC_APPEND, 0, 0, 0, 0, 1, 1),
    [OP_APPENDQ] = S(MC_APPEND, 1, 0, 0, 0, 1, 1),
    [OP_PREPEND] = S(MC_PREPEND, 0, 0, 0, 0, 1, 1),
    [OP_PREPENDQ] = S(MC_PREPEND, 1, 0, 0, 0, 1, 1),
    [OP_DELETE] = S(MC_DELETE, 0, 0, 0, 0, 1, 0),
    [OP_DELETEQ] = S(MC_DELETE, 1, 0, 0, 0, 1, 0),
    [OP_INCR] = S(MC_INCR, 0, 0, 20, 20, 1, 0),
    [OP_INCRQ] = S(MC_INCR, 1, 0, 20, 20, 1, 0),
    [OP_DECR] = S(MC_DECR, 0, 0, 20, 20, 1, 0),
    [OP_DECRQ] = S(MC_DECR, 1, 0, 20, 20, 1, 0),
    [OP_TOUCH] = S(MC_TOUCH, 0, 0, 4, 4, 1, 0),
    [OP_GAT] = S(MC_GAT, 0, 0, 4, 4, 1, 0),
    [OP_GATQ] = S(MC_GAT, 1, 0, 4, 4, 1, 0),
    [OP_GATK] = S(MC_GAT, 0, 1, 4, 4, 1, 0),
    [OP_GATKQ] = S(MC_GAT, 1, 1, 4, 4, 1, 0),
    [OP_QUIT] = S(0, 0, 0, 0, 0, 0, 0),
    [OP_QUITQ] = S(0, 1, 0, 0, 0, 0, 0),
    [OP_FLUSH] = S(0, 0, 0, 0, 4, 0, 0),
    [OP_FLUSHQ] = S(0, 1, 0, 0, 4, 0, 0),
    [OP_NOOP] = S(0, 0, 0, 0, 0, 0, 0),
    [OP_VERSION] = S(0, 0, 0, 0, 0, 0, 0),
    [OP_STAT] = S(0, 0, 0, 0, 0, -1, 0),
};

static bool fits(const struct shape *sh, const struct head *h)
{
	if (h->extras != sh->extras && h->extras != sh->extras2)
		return false;
	if ((sh->key == 1 && !h->nkey) || (!sh->key && h->nkey) || h->nkey > MC_KEY_MAX)
		return false;
	return sh->value || h->body == (uint32_t)h->extras + h->nkey;
}

static enum mc_next bad_request(struct mc_session *s, const struct head *h)
{
	reply(s, h, EINVAL_STATUS, "Invalid arguments");
	return MC_NEXT_CLOSE;
}

static enum mc_next flush(
    struct mc_session *s, const struct shape *sh, const struct head *h, const char *extras)
{
	uint32_t t = h->extras ? get32(extras) : 0;

	if (!mc_settings.flush) {
		reply(s, h, 0x20, "Auth failure.");
		return MC_NEXT_YIELD;
	}
	s->special = (struct mc_special){.kind = MC_SP_FLUSH,
	    .proto = MC_BINARY,
	    .quiet = sh->quiet,
	    .opcode = h->opcode,
	    .opaque = h->opaque,
	    .when = t ? mc_exptime(s, t) : 0};
	return MC_NEXT_SPECIAL;
}

static enum mc_next server_command(
    struct mc_session *s, const struct shape *sh, const struct head *h, const char *p)
{
	switch (h->opcode) {
	case OP_QUIT:
		reply(s, h, 0, "");
		return MC_NEXT_CLOSE;
	case OP_QUITQ:
		return MC_NEXT_CLOSE;
	case OP_FLUSH:
	case OP_FLUSHQ:
		return flush(s, sh, h, p + HEADER);
	case OP_NOOP:
		reply(s, h, 0, "");
		return MC_NEXT_YIELD;
	case OP_VERSION:
		reply(s, h, 0, MC_VERSION);
		return MC_NEXT_YIELD;
	default:
		break;
	}
	s->special = (struct mc_special){
	    .kind = MC_SP_STATS, .proto = MC_BINARY, .opcode = h->opcode, .opaque = h->opaque};
	if (h->nkey < sizeof(s->special.arg))
		memcpy(s->special.arg, p + HEADER, h->nkey);
	return MC_NEXT_SPECIAL;
}

static enum mc_next too_large(struct mc_session *s, const struct head *h, struct mc_req *rq)
{
	s->st->stats.store_too_large++;
	reply(s, h, E2BIG_STATUS, "Too large.");
	rq->op = MC_REMOVE;
	mc_emit(s, rq, false);
	mc_swallow(s, rq->nval);
	return MC_NEXT_YIELD;
}

static void fill_extras(
    struct mc_session *s, struct mc_req *rq, const struct head *h, const char *e)
{
	switch (rq->op) {
	case MC_SET:
	case MC_ADD:
	case MC_REPLACE:
		rq->client = get32(e);
		rq->exptime = mc_exptime(s, get32(e + 4));
		if (h->cas)
			rq->op = MC_CAS;
		break;
	case MC_INCR:
	case MC_DECR:
		rq->delta = get64(e);
		rq->initial = get64(e + 8);
		rq->want_key = get32(e + 16) == UINT32_MAX; /* do not make it */
		rq->exptime = rq->want_key ? 0 : mc_exptime(s, get32(e + 16));
		break;
	case MC_TOUCH:
	case MC_GAT:
		rq->exptime = mc_exptime(s, get32(e));
		break;
	default:
		break;
	}
}

static enum mc_next key_command(struct mc_session *s, const struct shape *sh, const struct head *h,
    const char *p, size_t n, size_t *used)
{
	size_t fixed = HEADER + h->extras + h->nkey, k = 0;
	struct mc_req rq = {.op = sh->op,
	    .proto = MC_BINARY,
	    .quiet = sh->quiet,
	    .want_key = sh->want_key,
	    .opcode = h->opcode,
	    .opaque = h->opaque,
	    .cas = h->cas,
	    .key = p + HEADER + h->extras,
	    .nkey = (uint8_t)h->nkey,
	    .nval = h->body - h->extras - h->nkey};

	fill_extras(s, &rq, h, p + HEADER);
	*used = fixed;
	if (!sh->value) {
		mc_emit(s, &rq, false);
		return MC_NEXT_YIELD;
	}
	if (!mc_store_size_ok(s->st, rq.nkey, rq.client, rq.nval)) {
		if (s->n_batch) {
			*used = 0;
			return MC_NEXT_RUN;
		}
		return too_large(s, h, &rq);
	}
	if (!mc_take_value(s, &rq, 0, p + fixed, n - fixed, &k)) {
		*used = 0;
		return MC_NEXT_MORE;
	}
	*used += k;
	return MC_NEXT_YIELD;
}

enum mc_next mc_binary_feed(struct mc_session *s, const char *p, size_t n, size_t *used)
{
	const struct shape *sh;
	struct head h;

	if (n < HEADER)
		return MC_NEXT_MORE;
	if ((uint8_t)p[0] != 0x80)
		return MC_NEXT_CLOSE;
	parse_head(&h, p);
	sh = h.opcode <= OP_GATKQ ? &shapes[h.opcode] : NULL;
	/* Replies that are made here come after those of the batch. */
	if (s->n_batch && (!sh || !sh->known || sh->key != 1 || !fits(sh, &h)))
		return MC_NEXT_RUN;
	if (h.body < (uint32_t)h.extras + h.nkey) {
		reply(s, &h, UNKNOWN_STATUS, "Unknown command");
		return MC_NEXT_CLOSE;
	}
	if (!sh || !sh->known) {
		reply(s, &h, UNKNOWN_STATUS, "Unknown command");
		*used = HEADER;
		mc_swallow(s, h.body);
		return MC_NEXT_YIELD;
	}
	if (!fits(sh, &h))
		return bad_request(s, &h);
	if (n < HEADER + (size_t)h.extras + h.nkey)
		return MC_NEXT_MORE;
	if (sh->key == 1)
		return key_command(s, sh, &h, p, n, used);
	*used = HEADER + (size_t)h.extras + h.nkey;
	return server_command(s, sh, &h, p);
}
