/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Items, their table and their lists; see store.h.
 *
 * Order of use: an item enters its class's list at the head. Reading it only marks it; when a
 * marked item comes to the tail it goes back to the head once instead of being evicted. So a read
 * touches one cache line, and what is read is kept.
 *
 * Memory moves between classes by pages: a class without memory and without items takes the page of
 * another class's tail, and once in a while a class that evicts young items takes a page from the
 * class whose tail is oldest.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define POWER_MIN 10
#define POWER_MAX 31
#define TAIL_TRIES 512 /* marked items put back before one is evicted anyway */
#define MOVE_BUCKETS 4 /* buckets moved with each operation while the table grows */
#define CRAWL_PAGES 64 /* looked through each second */
#define HUGE_TABLE (2u << 20)
#define REBALANCE 2048 /* evictions between two looks at the ages */
#define PART_ROOM (MC_SLOT_MAX - MC_ITEM_HEAD)

static inline struct mc_item *at(const struct mc_store *st, mc_ref r)
{
	return mc_slab_at(&st->slab, r);
}

static inline mc_ref ref(const struct mc_store *st, const struct mc_item *it)
{
	return mc_slab_ref(&st->slab, it);
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Multiply-and-fold over 8 bytes at a time, seeded so that clients can't choose collisions. */
uint64_t mc_hash(uint64_t seed, const char *key, size_t n)
{
	uint64_t h = seed ^ (n * UINT64_C(0x9e3779b97f4a7c15)), v = 0;

	while (n >= 8) {
		memcpy(&v, key, 8);
		h = mix(h ^ v, UINT64_C(0xd6e8feb86659fd93));
		key += 8;
		n -= 8;
	}
	v = 0;
	memcpy(&v, key, n);
	return mix(h ^ v, UINT64_C(0xa0761d6478bd642f));
}

/* Zeroed; a large one in large pages, as far as the system has them. */
static mc_ref *table_new(unsigned power)
{
	size_t bytes = sizeof(mc_ref) << power;
	mc_ref *t = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_TABLE)
		madvise(t, bytes, MADV_HUGEPAGE);
	return t;
}

static void table_free(mc_ref *t, unsigned power)
{
	if (t)
		munmap(t, sizeof(mc_ref) << power);
}

int mc_store_init(struct mc_store *st, const struct mc_store_config *config)
{
	memset(st, 0, sizeof(*st));
	st->config = *config;
	st->now = MC_TIME_START;
	st->power = config->hash_power ? config->hash_power : 16;
	if (st->power < POWER_MIN)
		st->power = POWER_MIN;
	if (mc_slab_init(&st->slab, config->bytes, config->factor, config->smallest))
		return -ENOMEM;
	st->table = table_new(st->power);
	if (!st->table) {
		mc_slab_fini(&st->slab);
		return -ENOMEM;
	}
	return 0;
}

void mc_store_fini(struct mc_store *st)
{
	mc_slab_fini(&st->slab);
	table_free(st->table, st->power);
	table_free(st->old, st->old_power);
	st->table = st->old = NULL;
}

/* Table */

static inline mc_ref *bucket(struct mc_store *st, uint64_t hash)
{
	if (st->old) {
		size_t i = hash & (((size_t)1 << st->old_power) - 1);

		if (i >= st->move_at)
			return &st->old[i];
	}
	return &st->table[hash & (((size_t)1 << st->power) - 1)];
}

void mc_prefetch_bucket(struct mc_store *st, uint64_t hash)
{
	__builtin_prefetch(bucket(st, hash));
}

void mc_prefetch_item(struct mc_store *st, uint64_t hash)
{
	mc_ref r = *bucket(st, hash);

	if (r)
		__builtin_prefetch(at(st, r));
}

static void move_buckets(struct mc_store *st)
{
	size_t n = (size_t)1 << st->old_power;

	for (int k = 0; k < MOVE_BUCKETS && st->move_at < n; k++) {
		mc_ref r = st->old[st->move_at++];

		while (r) {
			struct mc_item *it = at(st, r);
			mc_ref next = it->hnext, *b;
			uint64_t h = mc_hash(st->config.seed, mc_key(it), it->nkey);

			b = &st->table[h & (((size_t)1 << st->power) - 1)];
			it->hnext = *b;
			*b = r;
			r = next;
		}
	}
	if (st->move_at == n) {
		table_free(st->old, st->old_power);
		st->old = NULL;
	}
}

static void grow(struct mc_store *st)
{
	mc_ref *bigger;

	if (st->old || !st->config.expand || st->power >= POWER_MAX)
		return;
	bigger = table_new(st->power + 1);
	if (!bigger)
		return; /* long chains are slow, not wrong */
	st->old = st->table;
	st->old_power = st->power;
	st->table = bigger;
	st->power++;
	st->move_at = 0;
}

/* Lists */

static void list_push(struct mc_store *st, struct mc_item *it)
{
	struct mc_list *l = &st->lru[it->cls];
	mc_ref r = ref(st, it);

	it->prev = 0;
	it->next = l->head;
	if (l->head)
		at(st, l->head)->prev = r;
	else
		l->tail = r;
	l->head = r;
}

static void list_del(struct mc_store *st, struct mc_item *it)
{
	struct mc_list *l = &st->lru[it->cls];

	if (it->prev)
		at(st, it->prev)->next = it->next;
	else
		l->head = it->next;
	if (it->next)
		at(st, it->next)->prev = it->prev;
	else
		l->tail = it->prev;
}

/* Life of an item */

static void item_free(struct mc_store *st, struct mc_item *it)
{
	mc_ref r = it->flags & MC_IT_CHUNKED ? it->next : 0;

	it->flags = 0;
	mc_slab_free(&st->slab, ref(st, it));
	while (r) {
		struct mc_item *part = at(st, r);
		mc_ref next = part->hnext;

		part->flags = 0;
		mc_slab_free(&st->slab, r);
		r = next;
	}
}

void mc_ref_put(struct mc_store *st, struct mc_item *it)
{
	if (!--it->refs)
		item_free(st, it);
}

/* The parts of an item that is not in the table hang on `next`; in the table, on the last bytes of
 * its first slot. */
static inline mc_ref *parts_of(const struct mc_item *it)
{
	return (mc_ref *)(uintptr_t)((const char *)it + MC_SLOT_MAX - sizeof(mc_ref));
}

static void table_del(struct mc_store *st, struct mc_item *it, uint64_t hash)
{
	mc_ref *b = bucket(st, hash), r = ref(st, it);

	while (*b != r)
		b = &at(st, *b)->hnext;
	*b = it->hnext;
}

static void account(struct mc_store *st, const struct mc_item *it, int sign)
{
	uint64_t n = mc_item_bytes(st, it);

	st->items += (uint64_t)(int64_t)sign;
	st->bytes += sign > 0 ? n : -n;
	st->cls[it->cls].items += (uint64_t)(int64_t)sign;
	st->cls[it->cls].requested += sign > 0 ? n : -n;
}

static void out_of_lists(struct mc_store *st, struct mc_item *it)
{
	list_del(st, it);
	account(st, it, -1);
	it->flags &= (uint16_t)~MC_IT_LINKED;
	if (it->flags & MC_IT_CHUNKED)
		it->next = *parts_of(it);
}

void mc_unlink(struct mc_store *st, struct mc_item *it, uint64_t hash)
{
	table_del(st, it, hash);
	out_of_lists(st, it);
	mc_ref_put(st, it);
}

static void unlink_any(struct mc_store *st, struct mc_item *it)
{
	mc_unlink(st, it, mc_hash(st->config.seed, mc_key(it), it->nkey));
}

static void into_lists(struct mc_store *st, struct mc_item *it)
{
	if (it->flags & MC_IT_CHUNKED)
		*parts_of(it) = it->next;
	it->flags |= MC_IT_LINKED;
	it->time = st->now;
	it->cas = mc_next_cas(st);
	st->stats.total_items++;
	account(st, it, 1);
	list_push(st, it);
}

void mc_link(struct mc_store *st, struct mc_item *it, uint64_t hash)
{
	mc_ref *b;

	if (st->old)
		move_buckets(st);
	else if (st->items > ((uint64_t)3 << st->power) / 2)
		grow(st);
	b = bucket(st, hash);
	into_lists(st, it);
	it->hnext = *b;
	*b = ref(st, it);
}

void mc_replace(struct mc_store *st, struct mc_item *old, struct mc_item *it, uint64_t hash)
{
	mc_unlink(st, old, hash);
	mc_link(st, it, hash);
}

static bool expired(const struct mc_store *st, const struct mc_item *it)
{
	return it->exptime && it->exptime <= st->now;
}

static bool flushed(const struct mc_store *st, const struct mc_item *it)
{
	return it->cas <= st->oldest_cas && st->oldest_cas;
}

struct mc_item *mc_find(struct mc_store *st, const char *key, size_t nkey, uint64_t hash, char *why)
{
	mc_ref r = *bucket(st, hash);

	while (r) {
		struct mc_item *it = at(st, r);

		if (it->nkey == nkey && memcmp(it->data, key, nkey) == 0) {
			bool f = flushed(st, it);

			if (__builtin_expect(!f && !expired(st, it), 1))
				return it;
			if (why)
				*why = f ? 'f' : 'x';
			if (!(it->flags & MC_IT_FETCHED)) {
				st->cls[it->cls].expired_unfetched++;
				st->stats.expired_unfetched++;
			}
			mc_unlink(st, it, hash);
			return NULL;
		}
		r = it->hnext;
	}
	return NULL;
}

/* Memory */

static void note_evicted(struct mc_store *st, struct mc_item *it)
{
	struct mc_class_stats *c = &st->cls[it->cls];

	c->evicted++;
	c->evicted_time = st->now - it->time;
	st->stats.evictions++;
	if (it->exptime)
		c->evicted_nonzero++;
	if (!(it->flags & MC_IT_FETCHED)) {
		c->evicted_unfetched++;
		st->stats.evicted_unfetched++;
	}
	if (it->flags & MC_IT_ACTIVE) {
		c->evicted_active++;
		st->stats.evicted_active++;
	}
	unlink_any(st, it);
}

static void note_reclaimed(struct mc_store *st, struct mc_item *it)
{
	struct mc_class_stats *c = &st->cls[it->cls];

	c->reclaimed++;
	st->stats.reclaimed++;
	if (!(it->flags & MC_IT_FETCHED)) {
		c->expired_unfetched++;
		st->stats.expired_unfetched++;
	}
	unlink_any(st, it);
}

static bool dead(const struct mc_store *st, const struct mc_item *it)
{
	return expired(st, it) || flushed(st, it);
}

/* Remove the item at the tail of a class. False if nothing may go. */
static bool evict_tail(struct mc_store *st, unsigned cls)
{
	struct mc_list *l = &st->lru[cls];

	for (int tries = 0; l->tail; tries++) {
		struct mc_item *it = at(st, l->tail);

		if (dead(st, it)) {
			note_reclaimed(st, it);
			return true;
		}
		if (!st->config.evict)
			return false;
		if (tries < TAIL_TRIES && (it->flags & MC_IT_ACTIVE || it->refs > 1)) {
			it->flags &= (uint16_t)~MC_IT_ACTIVE;
			list_del(st, it);
			list_push(st, it);
			continue;
		}
		note_evicted(st, it);
		return true;
	}
	return false;
}

static bool page_busy(struct mc_store *st, uint32_t p)
{
	const struct mc_page *pg = &st->slab.pages[p];

	for (uint32_t i = 0; i < pg->cut; i++) {
		const struct mc_item *it = at(st, mc_slab_slot(&st->slab, p, i));

		if (it->flags & MC_IT_CHUNK)
			it = at(st, it->prev);
		if (it->flags & MC_IT_USED && (!(it->flags & MC_IT_LINKED) || it->refs > 1))
			return true;
	}
	return false;
}

/* Remove every item with a part in page p, so that the page can serve another class. */
static bool empty_page(struct mc_store *st, uint32_t p)
{
	struct mc_page *pg = &st->slab.pages[p];
	uint8_t cls = pg->cls;

	if (!cls || page_busy(st, p))
		return false;
	st->cls[cls].moved++;
	st->stats.slabs_moved++;
	for (uint32_t i = 0; pg->cls == cls && i < pg->cut && pg->used; i++) {
		struct mc_item *it = at(st, mc_slab_slot(&st->slab, p, i));

		if (it->flags & MC_IT_CHUNK)
			it = at(st, it->prev);
		if (!(it->flags & MC_IT_USED))
			continue;
		if (dead(st, it))
			note_reclaimed(st, it);
		else
			note_evicted(st, it);
	}
	return true;
}

/* The class with the least recently used tail among those with more than one page. */
static unsigned oldest_class(struct mc_store *st, unsigned but)
{
	unsigned best = 0;
	uint32_t time = UINT32_MAX;

	for (unsigned c = 1; c <= st->slab.n_classes; c++) {
		mc_ref tail = st->lru[c].tail;

		if (c == but || !tail || (best && st->slab.classes[c].pages < 2))
			continue;
		if (at(st, tail)->time < time || st->slab.classes[best].pages < 2) {
			best = c;
			time = at(st, tail)->time;
		}
	}
	return best;
}

static bool steal_page(struct mc_store *st, unsigned cls)
{
	unsigned from = oldest_class(st, cls);

	return from && empty_page(st, mc_slab_page(st->lru[from].tail));
}

/* Give a class that evicts young items a page of the class that keeps the oldest ones. */
static void rebalance(struct mc_store *st, unsigned cls)
{
	unsigned from;
	uint32_t mine, theirs;

	if (++st->since_move < REBALANCE || !st->lru[cls].tail)
		return;
	st->since_move = 0;
	from = oldest_class(st, cls);
	if (!from || st->slab.classes[from].pages < 2)
		return;
	mine = st->now - at(st, st->lru[cls].tail)->time;
	theirs = st->now - at(st, st->lru[from].tail)->time;
	if (theirs > 2 * mine + 1)
		empty_page(st, mc_slab_page(st->lru[from].tail));
}

static mc_ref slot(struct mc_store *st, unsigned cls)
{
	for (int tries = 0; tries < 64; tries++) {
		mc_ref r = mc_slab_alloc(&st->slab, cls);

		if (r)
			return r;
		if (evict_tail(st, cls)) {
			st->stats.direct_reclaims++;
			rebalance(st, cls);
		} else if (!st->config.evict || !steal_page(st, cls)) {
			break;
		}
	}
	st->cls[cls].outofmemory++;
	return 0;
}

static struct mc_item *slot_item(struct mc_store *st, size_t n)
{
	unsigned cls = mc_slab_class(&st->slab, n);
	mc_ref r = slot(st, cls);
	struct mc_item *it = r ? at(st, r) : NULL;

	if (it) {
		it->cls = (uint8_t)cls;
		it->flags = MC_IT_USED;
		it->refs = 1;
	}
	return it;
}

/* Value bytes in the first slot of an item that has more. */
static inline uint32_t first_room(const struct mc_item *it)
{
	return (uint32_t)(MC_SLOT_MAX - MC_ITEM_HEAD - it->nkey - sizeof(mc_ref)) & ~7u;
}

/* Add parts until there is room for `left` more bytes. */
static bool add_parts(struct mc_store *st, struct mc_item *it, uint32_t left)
{
	mc_ref *link = &it->next;

	while (left) {
		uint32_t n = left < PART_ROOM ? left : (uint32_t)PART_ROOM;
		struct mc_item *part = slot_item(st, MC_ITEM_HEAD + n);

		if (!part)
			part = slot_item(st, MC_SLOT_MAX);
		if (!part)
			return false;
		part->flags = MC_IT_USED | MC_IT_CHUNK;
		part->prev = ref(st, it);
		part->hnext = 0;
		part->size = n;
		*link = ref(st, part);
		link = &part->hnext;
		left -= n;
	}
	return true;
}

struct mc_item *mc_item_new(
    struct mc_store *st, const char *key, size_t nkey, uint32_t client, uint32_t nval)
{
	size_t n = MC_ITEM_HEAD + nkey + nval;
	bool parts = n > MC_SLOT_MAX;
	struct mc_item *it = slot_item(st, parts ? MC_SLOT_MAX : n);

	if (!it)
		return NULL;
	it->hnext = it->next = it->prev = 0;
	it->exptime = 0;
	it->time = st->now;
	it->size = nval;
	it->cas = 0;
	it->client = client;
	it->nkey = (uint8_t)nkey;
	memcpy(it->data, key, nkey);
	if (!parts)
		return it;
	it->flags |= MC_IT_CHUNKED;
	if (nval > first_room(it) && !add_parts(st, it, nval - first_room(it))) {
		item_free(st, it);
		return NULL;
	}
	return it;
}

bool mc_store_size_ok(const struct mc_store *st, size_t nkey, uint32_t client, uint64_t nval)
{
	uint64_t n = 48u + (st->config.cas ? 8u : 0u) + nkey + 1 + nval + 2 + (client ? 4u : 0u);

	return n <= st->config.item_max && nval <= UINT32_MAX;
}

/* Values */

void mc_span_init(struct mc_span *s, const struct mc_item *it)
{
	*s = (struct mc_span){.it = it, .left = it->size};
}

size_t mc_span_next(const struct mc_store *st, struct mc_span *s, char **p)
{
	const struct mc_item *it = s->it;
	size_t n = s->left;

	if (!n)
		return 0;
	if (!s->part) {
		*p = (char *)(uintptr_t)it->data + it->nkey;
		if (it->flags & MC_IT_CHUNKED) {
			mc_ref r = it->flags & MC_IT_LINKED ? *parts_of(it) : it->next;

			if (n > first_room(it))
				n = first_room(it);
			s->part = r ? at(st, r) : NULL;
		}
	} else {
		*p = (char *)(uintptr_t)s->part->data;
		if (n > s->part->size)
			n = s->part->size;
		s->part = s->part->hnext ? at(st, s->part->hnext) : s->part;
	}
	s->left -= (uint32_t)n;
	return n;
}

void mc_value_write(
    struct mc_store *st, struct mc_item *it, uint32_t offset, const char *data, size_t n)
{
	struct mc_span s;
	char *p;
	size_t k;

	mc_span_init(&s, it);
	while (n && (k = mc_span_next(st, &s, &p))) {
		if (offset >= k) {
			offset -= (uint32_t)k;
			continue;
		}
		p += offset;
		k -= offset;
		offset = 0;
		if (k > n)
			k = n;
		memcpy(p, data, k);
		data += k;
		n -= k;
	}
}

void mc_value_copy(
    struct mc_store *st, struct mc_item *to, uint32_t offset, const struct mc_item *from)
{
	struct mc_span s;
	char *p;
	size_t k;

	mc_span_init(&s, from);
	while ((k = mc_span_next(st, &s, &p))) {
		mc_value_write(st, to, offset, p, k);
		offset += (uint32_t)k;
	}
}

/* Time */

void mc_store_flush(struct mc_store *st, uint32_t when)
{
	if (when > st->now) {
		st->flush_at = when;
		return;
	}
	st->flush_at = 0;
	/* Without CAS values every item has 0: they go one by one. */
	if (st->config.cas)
		st->oldest_cas = mc_next_cas(st);
	else
		for (unsigned c = 1; c <= st->slab.n_classes; c++)
			while (st->lru[c].tail)
				unlink_any(st, at(st, st->lru[c].tail));
}

static void crawl_page(struct mc_store *st, uint32_t p)
{
	const struct mc_page *pg = &st->slab.pages[p];
	uint8_t cls = pg->cls;

	for (uint32_t i = 0; cls && pg->cls == cls && i < pg->cut; i++) {
		struct mc_item *it = at(st, mc_slab_slot(&st->slab, p, i));

		if (!(it->flags & MC_IT_LINKED) || it->flags & MC_IT_CHUNK)
			continue;
		st->stats.crawler_checked++;
		if (dead(st, it)) {
			st->stats.crawler_reclaimed++;
			note_reclaimed(st, it);
		}
	}
}

void mc_store_tick(struct mc_store *st, uint32_t now)
{
	st->now = now;
	if (st->flush_at && now >= st->flush_at)
		mc_store_flush(st, now);
	for (int k = 0; k < CRAWL_PAGES && st->slab.fresh; k++) {
		if (st->crawl_at >= st->slab.fresh)
			st->crawl_at = 0;
		crawl_page(st, st->crawl_at++);
		if (k + 1 >= (int)st->slab.fresh)
			break;
	}
	if (st->old)
		for (int k = 0; st->old && k < 4096; k++)
			move_buckets(st);
}
