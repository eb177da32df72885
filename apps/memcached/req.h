/* SPDX-License-Identifier: BSD-3-Clause */
/* One request for one key, in whatever protocol it came, and its execution by the key's shard. */
#ifndef MC_REQ_H
#define MC_REQ_H

#include "out.h"
#include "store.h"

enum mc_proto { MC_TEXT, MC_META, MC_BINARY };

enum mc_op {
	MC_GET,
	MC_GAT,
	MC_SET,
	MC_ADD,
	MC_REPLACE,
	MC_APPEND,
	MC_PREPEND,
	MC_CAS,
	MC_DELETE,
	MC_INCR,
	MC_DECR,
	MC_TOUCH,
	MC_REMOVE, /* drop the old value of a key whose new one could not be taken; no reply */
	MC_DEBUG,  /* me */
};

/* Flags of the meta commands that change what is done, by their letter. */
#define MC_FLAG(letter) (UINT64_C(1) << ((letter) - 'A'))

struct mc_meta {
	uint64_t seen;	   /* MC_FLAG() of each */
	const char *flags; /* their text, for what is returned in order */
	uint16_t n;	   /* bytes of it */
	char mode;	   /* of M */
	uint32_t vivify;   /* exptime of N */
	uint32_t recache;  /* of R, as an exptime */
};

struct mc_req {
	uint8_t op, proto;
	uint8_t nkey;
	bool quiet;    /* noreply; the quiet variants of the other protocols */
	bool want_cas; /* text: gets, gats */
	bool want_key; /* binary: getk */
	bool end;      /* text: the only key of its get: END follows */
	bool bad_data; /* the data block did not end as it must */
	bool done;
	uint16_t shard;
	uint8_t opcode; /* binary, for the reply */
	uint32_t opaque;
	uint32_t client;
	uint32_t exptime;
	uint32_t nval;
	const char *key, *val;
	uint64_t hash, cas, delta, initial;
	struct mc_meta meta;
	uint32_t offset, length; /* of the reply, where it is gathered by shard */
};

/* Run a request against the store that owns its key; the reply goes to o. */
void mc_exec(struct mc_store *st, struct mc_req *rq, struct mc_out *o);

/* The part of it that is the meta protocol's. */
void mc_exec_meta(struct mc_store *st, struct mc_req *rq, struct mc_out *o);

enum mc_status {
	MC_OK,
	MC_NOT_FOUND,
	MC_EXISTS,
	MC_NOT_STORED,
	MC_TOO_LARGE,
	MC_NO_MEMORY,
	MC_NON_NUMERIC,
};

/* What the protocols share: storing and arithmetic. *out gets the item in the table, or NULL. */
enum mc_status mc_do_store(struct mc_store *st, const struct mc_req *rq, struct mc_item **out);
enum mc_status mc_do_delta(
    struct mc_store *st, const struct mc_req *rq, struct mc_item **out, uint64_t *value);
/* Write a value, without copying it if it is large and the output can. */
void mc_put_value(struct mc_store *st, struct mc_item *it, struct mc_out *o);

/* binary.c: replies */
void mc_exec_binary(struct mc_store *st, struct mc_req *rq, struct mc_out *o);

/* Decimal numbers as stock reads them; n bytes at p. Return false if it is not one. */
bool mc_parse_u64(const char *p, size_t n, uint64_t *out);
bool mc_parse_i32(const char *p, size_t n, int32_t *out);
bool mc_parse_u32(const char *p, size_t n, uint32_t *out);

/* base64.c: return the number of bytes, 0 if it is not valid or has no room. */
size_t mc_base64_decode(const char *p, size_t n, char *out, size_t room);
size_t mc_base64_encode(const char *p, size_t n, char *out, size_t room);

#endif
