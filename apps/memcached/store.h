/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The items of one shard: a hash table, one list per size class in order of use, expiry, eviction.
 * Nothing here waits and nothing is shared between shards.
 */
#ifndef MC_STORE_H
#define MC_STORE_H

#include "slab.h"

#include <string.h>

#define MC_KEY_MAX 250
#define MC_TIME_START 2 /* the clock starts here, so that no item's time is 0 */

enum {
	MC_IT_USED = 1,		/* handed out */
	MC_IT_LINKED = 2,	/* in the table */
	MC_IT_FETCHED = 4,	/* was read */
	MC_IT_ACTIVE = 8,	/* was read again since it came to its place in the list */
	MC_IT_CHUNKED = 16,	/* the value goes on in other slots */
	MC_IT_CHUNK = 32,	/* such a slot */
	MC_IT_STALE = 64,	/* invalidated: served, but somebody should make it anew */
	MC_IT_WON = 128,	/* somebody was told to */
	MC_IT_BINARY_KEY = 256, /* the key came in base64 */
};

/* An item, or a further part of one (then hnext is the next part and prev the item). */
struct mc_item {
	mc_ref hnext;
	mc_ref next, prev;
	uint32_t exptime; /* seconds of the store's clock; 0: never */
	uint32_t time;	  /* when it was stored, or read more than once */
	uint32_t size;	  /* bytes of the value; of a part: bytes in it */
	uint64_t cas;
	uint32_t client; /* the client's flags */
	uint16_t refs;	 /* the table and those who send it */
	uint16_t flags;
	uint8_t cls;
	uint8_t nkey;
	char data[]; /* key, value */
};
#define MC_ITEM_HEAD offsetof(struct mc_item, data)

/* Counters, all uint64_t: added over the shards by treating the struct as an array. */
struct mc_class_stats {
	uint64_t get_hits, touch_hits, delete_hits, incr_hits, decr_hits, cas_hits, cas_badval,
	    cmd_set;
	uint64_t evicted, evicted_nonzero, evicted_time, outofmemory, reclaimed, expired_unfetched,
	    evicted_unfetched, evicted_active;
	uint64_t items, requested, moved;
};

struct mc_stats {
	uint64_t cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
	uint64_t get_hits, get_misses, get_expired, get_flushed;
	uint64_t delete_misses, delete_hits, incr_misses, incr_hits, decr_misses, decr_hits;
	uint64_t cas_misses, cas_hits, cas_badval, touch_hits, touch_misses;
	uint64_t store_too_large, store_no_memory;
	uint64_t total_items, evictions, reclaimed, expired_unfetched, evicted_unfetched,
	    evicted_active, slabs_moved, crawler_reclaimed, crawler_checked, direct_reclaims;
};

struct mc_list {
	mc_ref head, tail;
};

struct mc_store_config {
	uint64_t bytes;
	double factor;
	uint32_t smallest; /* least slot */
	uint64_t item_max; /* -I */
	bool evict, cas;
	unsigned hash_power;
	uint64_t seed;
	bool expand;
};

struct mc_store {
	struct mc_store_config config;
	struct mc_slab slab;
	uint32_t now; /* seconds since MC_TIME_START before the start */
	uint64_t cas; /* the last given out */

	mc_ref *table, *old; /* old: being emptied into table */
	unsigned power, old_power;
	size_t move_at; /* next bucket of old */

	struct mc_list lru[MC_CLASSES + 1];
	struct mc_class_stats cls[MC_CLASSES + 1];
	struct mc_stats stats;
	uint64_t items, bytes; /* bytes: of items as stock counts them */

	uint64_t oldest_cas; /* items up to this one were flushed */
	uint32_t flush_at;   /* a flush to come, or 0 */
	uint32_t crawl_at;   /* next page to look for expired items */
	uint32_t since_move; /* evictions since the ages were compared */
};

int mc_store_init(struct mc_store *st, const struct mc_store_config *config);
void mc_store_fini(struct mc_store *st);

uint64_t mc_hash(uint64_t seed, const char *key, size_t n);

/* Once a second: set the clock, do a flush that is due, look for expired items. */
void mc_store_tick(struct mc_store *st, uint32_t now);

/* Everything stored so far is gone: now, or when the clock reaches `at`. */
void mc_store_flush(struct mc_store *st, uint32_t at);

/* True if an item of such a size may be stored (the limit as stock counts it). */
bool mc_store_size_ok(const struct mc_store *st, size_t nkey, uint32_t client, uint64_t nval);

/* The item, or NULL. Expired and flushed ones are removed; *why (may be NULL) gets 'x' or 'f'. */
struct mc_item *mc_find(
    struct mc_store *st, const char *key, size_t nkey, uint64_t hash, char *why);

/* Start loading what mc_find() will look at: first the bucket, later its first item. */
void mc_prefetch_bucket(struct mc_store *st, uint64_t hash);
void mc_prefetch_item(struct mc_store *st, uint64_t hash);

/* Note that an item was read. */
static inline void mc_bump(struct mc_store *st, struct mc_item *it)
{
	if (!(it->flags & MC_IT_FETCHED)) {
		it->flags |= MC_IT_FETCHED;
	} else {
		it->flags |= MC_IT_ACTIVE;
		it->time = st->now;
	}
}

/*
 * A new item with a key and room for a value, not in the table, with one reference; other items may
 * be evicted for it. NULL if there is no memory.
 */
struct mc_item *mc_item_new(
    struct mc_store *st, const char *key, size_t nkey, uint32_t client, uint32_t nval);

/* Put it in the table (which takes the reference over) and give it a CAS value. */
void mc_link(struct mc_store *st, struct mc_item *it, uint64_t hash);
void mc_unlink(struct mc_store *st, struct mc_item *it, uint64_t hash);
/* Let the new item take the place of the old. */
void mc_replace(struct mc_store *st, struct mc_item *old, struct mc_item *it, uint64_t hash);

static inline void mc_ref_get(struct mc_item *it)
{
	it->refs++;
}
void mc_ref_put(struct mc_store *st, struct mc_item *it);

static inline const char *mc_key(const struct mc_item *it)
{
	return it->data;
}

static inline uint64_t mc_next_cas(struct mc_store *st)
{
	return st->config.cas ? ++st->cas : 0;
}

/* Part of a value: *at 0 at first; returns the bytes at *p, 0 at the end. */
struct mc_span {
	const struct mc_item *it, *part;
	uint32_t left;
};
void mc_span_init(struct mc_span *s, const struct mc_item *it);
size_t mc_span_next(const struct mc_store *st, struct mc_span *s, char **p);

/* Copy n bytes into a value at an offset. */
void mc_value_write(
    struct mc_store *st, struct mc_item *it, uint32_t offset, const char *data, size_t n);
/* Copy a whole value into another's at an offset. */
void mc_value_copy(
    struct mc_store *st, struct mc_item *to, uint32_t offset, const struct mc_item *from);

/* Bytes of an item as stock counts them (STAT bytes, mem_requested, meta's size). */
static inline uint64_t mc_item_bytes(const struct mc_store *st, const struct mc_item *it)
{
	return 48u + (st->config.cas ? 8u : 0u) + it->nkey + 1u + (it->client ? 4u : 0u) +
	       it->size + 2u;
}

#endif
