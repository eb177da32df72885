/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parsers of the protocols share; see session.h. */
#include "session.h"

#include <seastar/mem.h>

#define MONTH (60 * 60 * 24 * 30)
#define WAIT_MAX 4096 /* smaller values are waited for in the input buffer */
#define VALUE_FIRST 16384

void mc_session_init(struct mc_session *s, struct mc_store *st, struct mc_out *out, bool *full,
    struct mc_budget *budget, unsigned shards, unsigned self)
{
	memset(s, 0, sizeof(*s));
	s->st = st;
	s->out = out;
	s->full = full;
	s->budget = budget;
	s->shards = shards;
	s->self = self;
	s->protocol = mc_settings.protocol;
}

static void drop_value(struct mc_session *s)
{
	s->budget->used -= s->cap;
	ss_free(s->val);
	ss_free(s->hold);
	s->val = s->hold = NULL;
	s->got = s->cap = 0;
}

void mc_session_fini(struct mc_session *s)
{
	drop_value(s);
	ss_free(s->batch);
	ss_free(s->keys);
	s->batch = NULL;
	s->keys = NULL;
}

bool mc_session_idle(const struct mc_session *s)
{
	return s->state == MC_ST_COMMAND && !s->n_batch;
}

uint32_t mc_exptime(const struct mc_session *s, int64_t t)
{
	if (!t)
		return 0;
	if (t < 0)
		t = MONTH + 1;
	if (t <= MONTH)
		return (uint32_t)t + s->st->now;
	return t <= mc_settings.started ? 1 : (uint32_t)(t - mc_settings.started);
}

/* Requests */

static struct mc_req *batch_add(struct mc_session *s)
{
	if (!s->batch)
		s->batch = ss_alloc(MC_BATCH * sizeof(*s->batch));
	if (!s->batch || s->n_batch == MC_BATCH) {
		s->out->failed = true;
		return NULL;
	}
	return &s->batch[s->n_batch++];
}

static void keep_key(struct mc_session *s, struct mc_req *rq)
{
	if (!s->keys)
		s->keys = ss_alloc(MC_BATCH * MC_KEYBUF);
	if (!s->keys) {
		s->out->failed = true;
		return;
	}
	memcpy(s->keys[s->n_batch - 1], rq->key, rq->nkey);
	rq->key = s->keys[s->n_batch - 1];
}

void mc_emit(struct mc_session *s, struct mc_req *rq, bool temporary_key)
{
	struct mc_req *b;

	s->requests++;
	s->served++;
	if (!rq->hash)
		rq->hash = mc_hash(s->st->config.seed, rq->key, rq->nkey);
	if (s->shards == 1) {
		mc_exec(s->st, rq, s->out);
		return;
	}
	/* The table uses the low bits of the hash, so the shard comes from the high ones. */
	rq->shard = (uint16_t)((rq->hash >> 32) * s->shards >> 32);
	if (rq->shard == s->self && !s->n_batch) {
		mc_exec(s->st, rq, s->out);
		return;
	}
	b = batch_add(s);
	if (!b)
		return;
	*b = *rq;
	b->done = false;
	b->offset = b->length = 0;
	if (temporary_key)
		keep_key(s, b);
}

void mc_say(struct mc_session *s, const char *text)
{
	struct mc_req *b;

	if (!s->n_batch) {
		mc_puts(s->out, text);
		return;
	}
	b = batch_add(s);
	if (b)
		*b = (struct mc_req){.val = text, .nval = (uint32_t)strlen(text), .done = true};
}

void mc_swallow(struct mc_session *s, uint64_t n)
{
	s->swallow = n;
	if (n)
		s->state = MC_ST_SWALLOW;
}

/* Values */

static bool grow_value(struct mc_session *s, uint32_t want)
{
	uint32_t need = s->req.nval + 2, cap = s->cap ? s->cap : VALUE_FIRST;
	char *p;

	while (cap < want)
		cap *= 2;
	if (cap > need)
		cap = need;
	if (s->budget->used + (cap - s->cap) > s->budget->limit)
		return false;
	p = ss_realloc(s->val, cap);
	if (!p)
		return false;
	s->budget->used += cap - s->cap;
	s->val = p;
	s->cap = cap;
	return true;
}

/* The request outlives its line: keep what it points to. */
static bool hold_line(struct mc_session *s, const struct mc_req *rq)
{
	s->req = *rq;
	s->hold = ss_alloc((size_t)rq->nkey + rq->meta.n + 1);
	if (!s->hold)
		return false;
	memcpy(s->hold, rq->key, rq->nkey);
	if (rq->meta.n)
		memcpy(s->hold + rq->nkey, rq->meta.flags, rq->meta.n);
	s->req.key = s->hold;
	s->req.meta.flags = s->hold + rq->nkey;
	s->got = 0;
	return true;
}

static void value_complete(struct mc_session *s)
{
	if (s->req.proto != MC_BINARY)
		s->req.bad_data = memcmp(s->val + s->req.nval, "\r\n", 2) != 0;
	s->req.val = s->val;
	s->state = MC_ST_COMMAND;
	mc_emit(s, &s->req, false);
	if (!s->n_batch)
		drop_value(s);
}

static void no_memory(struct mc_session *s, uint64_t left)
{
	struct mc_req rq = s->req;

	s->st->stats.store_no_memory++;
	/* A stale value must not stay where a new one was meant to be. */
	if (rq.proto == MC_BINARY)
		rq.bad_data = true;
	else
		rq.op = MC_REMOVE;
	mc_emit(s, &rq, false);
	if (rq.proto != MC_BINARY)
		mc_say(s, "SERVER_ERROR out of memory storing object\r\n");
	mc_swallow(s, left);
	if (!s->n_batch)
		drop_value(s);
}

static unsigned tail_of(const struct mc_req *rq)
{
	return rq->proto == MC_BINARY ? 0 : 2;
}

static size_t feed_value(struct mc_session *s, const char *p, size_t n)
{
	uint32_t need = s->req.nval + tail_of(&s->req);
	size_t k = n < need - s->got ? n : need - s->got;

	if (s->got + k > s->cap && !grow_value(s, s->got + (uint32_t)k)) {
		no_memory(s, need - s->got);
		return 0;
	}
	if (!k)
		return 0;
	memcpy(s->val + s->got, p, k);
	s->got += (uint32_t)k;
	if (s->got == need)
		value_complete(s);
	return k;
}

bool mc_take_value(
    struct mc_session *s, struct mc_req *rq, unsigned tail, const char *p, size_t n, size_t *used)
{
	uint64_t need = (uint64_t)rq->nval + tail;

	if (n >= need) {
		rq->val = p;
		rq->bad_data = tail && memcmp(p + rq->nval, "\r\n", 2) != 0;
		*used = need;
		mc_emit(s, rq, false);
		return true;
	}
	if (need <= WAIT_MAX)
		return false;
	if (!hold_line(s, rq)) {
		s->out->failed = true;
		*used = 0;
		return true;
	}
	s->state = MC_ST_VALUE;
	*used = feed_value(s, p, n);
	return true;
}

/* The loop */

static size_t skip_line(struct mc_session *s, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);

	if (!nl)
		return n;
	s->state = MC_ST_COMMAND;
	return (size_t)(nl - p) + 1;
}

static size_t swallow(struct mc_session *s, size_t n)
{
	size_t k = n < s->swallow ? n : (size_t)s->swallow;

	s->swallow -= k;
	if (!s->swallow)
		s->state = MC_ST_COMMAND;
	return k;
}

/* One step; *used is advanced. MC_NEXT_YIELD stands for "go on". */
static enum mc_next step(struct mc_session *s, const char *p, size_t n, size_t *used)
{
	switch (s->state) {
	case MC_ST_KEYS:
		return mc_text_keys(s, p, n, used);
	case MC_ST_SKIP_LINE:
		*used = skip_line(s, p, n);
		return MC_NEXT_YIELD;
	case MC_ST_SWALLOW:
		*used = swallow(s, n);
		return MC_NEXT_YIELD;
	case MC_ST_VALUE:
		*used = feed_value(s, p, n);
		return MC_NEXT_YIELD;
	default:
		break;
	}
	if (s->protocol == MC_PROTO_AUTO)
		s->protocol = (uint8_t)p[0] == 0x80 ? MC_PROTO_BINARY : MC_PROTO_ASCII;
	return s->protocol == MC_PROTO_BINARY ? mc_binary_feed(s, p, n, used)
					      : mc_text_feed(s, p, n, used);
}

enum mc_next mc_session_feed(struct mc_session *s, const char *data, size_t n, size_t *used)
{
	enum mc_next next = MC_NEXT_MORE;
	size_t at = 0;

	/* A value that was waited for belongs to a request of the batch that was run. */
	if (!s->n_batch && s->val && s->state != MC_ST_VALUE)
		drop_value(s);
	*used = 0;
	s->ahead = NULL;
	if (s->closing)
		return s->n_batch ? MC_NEXT_RUN : MC_NEXT_CLOSE;
	while (at < n) {
		size_t k = 0;

		if (*s->full) {
			next = MC_NEXT_DRAIN;
			break;
		}
		if (s->out->failed) {
			next = MC_NEXT_CLOSE;
			break;
		}
		/* A request may add itself and a line to the batch. */
		if (s->n_batch >= MC_BATCH - 2 || (s->n_batch && s->val)) {
			next = MC_NEXT_RUN;
			break;
		}
		if (s->served >= mc_settings.requests_per_event && !s->n_batch) {
			s->served = 0;
			next = MC_NEXT_YIELD;
			break;
		}
		next = step(s, data + at, n - at, &k);
		at += k;
		if (next != MC_NEXT_YIELD)
			break;
		next = MC_NEXT_MORE;
	}
	*used = at;
	if (next == MC_NEXT_MORE && s->out->failed)
		next = MC_NEXT_CLOSE;
	s->closing |= next == MC_NEXT_CLOSE;
	return s->n_batch ? MC_NEXT_RUN : next;
}
