/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocols: an incremental parser that turns a connection's bytes into requests. Requests for
 * keys of this shard are executed at once; with several shards the others gather in a batch, which
 * the owner of the session runs, and replies keep their order. Knows nothing of sockets.
 *
 * What a client can make a session hold is bounded: a line of at most MC_LINE_MAX bytes in the
 * caller's buffer, one value of at most the item size that grows only as its bytes arrive, and
 * MC_BATCH requests.
 */
#ifndef MC_SESSION_H
#define MC_SESSION_H

#include "req.h"
#include "settings.h"

#define MC_LINE_MAX 2048
#define MC_BATCH 64
#define MC_KEYBUF 192 /* a decoded binary key */

enum mc_next {
	MC_NEXT_MORE,	 /* wait for more input */
	MC_NEXT_RUN,	 /* run the batch, then feed again */
	MC_NEXT_SPECIAL, /* do `special`, then feed again */
	MC_NEXT_DRAIN,	 /* the output is full: send it, then feed again */
	MC_NEXT_YIELD,	 /* enough for now: let others have their turn */
	MC_NEXT_CLOSE,	 /* send what there is and end */
};

/* Commands that concern more than one key's shard. */
enum mc_special_kind {
	MC_SP_STATS,
	MC_SP_FLUSH,
	MC_SP_METADUMP,
	MC_SP_CACHEDUMP,
	MC_SP_LIMIT,
	MC_SP_SHUTDOWN,
};

struct mc_special {
	uint8_t kind, proto, opcode;
	bool quiet;
	uint32_t opaque;
	uint32_t when; /* flush: on the clock of the stores, 0: now */
	uint64_t number;
	unsigned cls;
	char arg[64]; /* stats: which */
};

/* What the sessions of a shard may hold together in values that are still arriving. */
struct mc_budget {
	uint64_t used, limit;
};

struct mc_session {
	struct mc_store *st;
	struct mc_out *out;
	struct mc_budget *budget;
	unsigned shards, self;
	bool *full;	  /* the output holds too much */
	unsigned served;  /* requests since the last yield */
	uint8_t protocol; /* enum mc_protocol; auto until the first byte */
	uint8_t state;
	bool datagram;
	bool closing;
	/* keys of a get that are still to come */
	bool want_cas, touch;
	uint32_t exptime;
	/* a request whose value is arriving, and what it needs of the line */
	struct mc_req req;
	char *hold; /* key and flags */
	char *val;  /* value */
	uint32_t got, cap;
	uint64_t swallow; /* bytes to drop */
	struct mc_special special;
	struct mc_req *batch;
	unsigned n_batch;
	char (*keys)[MC_KEYBUF]; /* decoded keys of the batch */
	struct mc_run *run;	 /* batch.c's */
	uint64_t requests;
	uint64_t id; /* for -vv */
	/* text: the request behind the current one, if it is a get; its key is NULL otherwise */
	const char *ahead, *ahead_end;
	uint64_t ahead_hash;
};

void mc_session_init(struct mc_session *s, struct mc_store *st, struct mc_out *out, bool *full,
    struct mc_budget *budget, unsigned shards, unsigned self);
void mc_session_fini(struct mc_session *s);

/*
 * Take requests from n bytes at data. *used gets the bytes that are done with; after MC_NEXT_RUN
 * they must stay where they are until the batch was run.
 */
enum mc_next mc_session_feed(struct mc_session *s, const char *data, size_t n, size_t *used);

/* True while it waits for nothing but the next command. */
bool mc_session_idle(const struct mc_session *s);

/* For the parsers */

enum {
	MC_ST_COMMAND,
	MC_ST_KEYS,	 /* of a get */
	MC_ST_SKIP_LINE, /* up to the next newline */
	MC_ST_VALUE,	 /* s->req's value arrives in s->val */
	MC_ST_SWALLOW,	 /* s->swallow bytes are dropped */
};

enum mc_next mc_text_feed(struct mc_session *s, const char *p, size_t n, size_t *used);
enum mc_next mc_text_keys(struct mc_session *s, const char *p, size_t n, size_t *used);
enum mc_next mc_binary_feed(struct mc_session *s, const char *p, size_t n, size_t *used);
/* A command of two letters that starts with m; 0 if there is no such command. */
enum mc_next mc_meta_feed(
    struct mc_session *s, const char *line, size_t n, const char *rest, size_t left, size_t *used);

/* Execute, or add to the batch. The key is copied if it is in temporary memory. */
void mc_emit(struct mc_session *s, struct mc_req *rq, bool temporary_key);
/* A reply that is no request's, in its order. The text is static and has its CR LF. */
void mc_say(struct mc_session *s, const char *text);

/*
 * The value of rq, which has rq->nval bytes and `tail` more, starts at p, where n bytes are. Emits
 * the request if all of it is there. Returns false with *used untouched if the caller shall wait
 * for more bytes; else *used is what was taken of p.
 */
bool mc_take_value(
    struct mc_session *s, struct mc_req *rq, unsigned tail, const char *p, size_t n, size_t *used);
/* Drop n bytes of input. */
void mc_swallow(struct mc_session *s, uint64_t n);

/* An expiry time as clients give it, on the clock of the stores. */
uint32_t mc_exptime(const struct mc_session *s, int64_t t);

#endif
