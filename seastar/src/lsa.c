/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log-structured allocator. Objects are appended to the open segment. Freeing only marks them dead
 * and lowers the segment's live count. When there is no free segment, the segment with the fewest
 * live bytes is compacted: its objects are appended elsewhere, their owner pointers updated, and
 * the segment is free. One segment is always held back to have where to move to. If even the
 * emptiest segment is nearly full, objects are evicted first.
 */
#include <seastar/lsa.h>
#include <seastar/mem.h>

#include <string.h>

#define ALIGN 8u
#define BUCKETS 64
/* Below this part of live bytes compaction pays; above it, objects are evicted first. */
#define WORTH (SS_LSA_SEGMENT / 8 * 7)

struct object {
	uint32_t size; /* asked for */
	uint16_t pins;
	uint16_t alive;
	void **owner;
	char bytes[];
};

struct segment {
	char *base;
	uint32_t top;	    /* bytes appended */
	uint32_t live;	    /* bytes of live objects */
	uint32_t pins;	    /* pinned objects */
	int32_t next, prev; /* in its bucket */
	int32_t bucket;	    /* by live bytes; -1: free or open */
};

struct ss_lsa {
	const struct ss_lsa_ops *ops;
	void *arg;
	struct segment *segs;
	int32_t n, used; /* segments with memory */
	int32_t open;	 /* being appended to, or -1 */
	int32_t *spare;	 /* free ones that have memory */
	int32_t n_spare;
	int32_t buckets[BUCKETS];
	bool busy; /* compacting or evicting */
	struct ss_lsa_stats stats;
};

static inline struct object *header(const void *obj)
{
	return (struct object *)((char *)(uintptr_t)obj - offsetof(struct object, bytes));
}

static inline uint32_t whole(size_t n)
{
	return (uint32_t)((sizeof(struct object) + n + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

ss_lsa *ss_lsa_new(uint64_t bytes, const struct ss_lsa_ops *ops, void *arg)
{
	uint64_t n = bytes / SS_LSA_SEGMENT;
	ss_lsa *l;

	if (n < 3 || n > INT32_MAX)
		return NULL;
	l = ss_zalloc(sizeof(*l));
	if (!l)
		return NULL;
	l->segs = ss_zalloc(n * sizeof(*l->segs));
	l->spare = ss_alloc(n * sizeof(*l->spare));
	if (!l->segs || !l->spare) {
		ss_free(l->segs);
		ss_free(l->spare);
		ss_free(l);
		return NULL;
	}
	l->ops = ops;
	l->arg = arg;
	l->n = (int32_t)n;
	l->open = -1;
	l->stats.limit = n;
	for (int i = 0; i < BUCKETS; i++)
		l->buckets[i] = -1;
	return l;
}

void ss_lsa_destroy(ss_lsa *l)
{
	for (int32_t i = 0; i < l->used; i++)
		ss_free(l->segs[i].base);
	ss_free(l->segs);
	ss_free(l->spare);
	ss_free(l);
}

/* Closed segments, in buckets by live bytes */

static void bucket_del(ss_lsa *l, int32_t i)
{
	struct segment *s = &l->segs[i];

	if (s->bucket < 0)
		return;
	if (s->prev < 0)
		l->buckets[s->bucket] = s->next;
	else
		l->segs[s->prev].next = s->next;
	if (s->next >= 0)
		l->segs[s->next].prev = s->prev;
	s->bucket = -1;
}

static void bucket_add(ss_lsa *l, int32_t i)
{
	struct segment *s = &l->segs[i];
	int32_t b = (int32_t)((uint64_t)s->live * (BUCKETS - 1) / SS_LSA_SEGMENT);

	s->bucket = b;
	s->prev = -1;
	s->next = l->buckets[b];
	if (s->next >= 0)
		l->segs[s->next].prev = i;
	l->buckets[b] = i;
}

/* The live bytes of a closed segment changed. */
static void rebucket(ss_lsa *l, int32_t i)
{
	struct segment *s = &l->segs[i];
	int32_t b = (int32_t)((uint64_t)s->live * (BUCKETS - 1) / SS_LSA_SEGMENT);

	if (s->bucket < 0 || s->bucket == b)
		return;
	bucket_del(l, i);
	bucket_add(l, i);
}

static int32_t emptiest(const ss_lsa *l)
{
	for (int b = 0; b < BUCKETS; b++)
		for (int32_t i = l->buckets[b]; i >= 0; i = l->segs[i].next)
			if (!l->segs[i].pins)
				return i;
	return -1;
}

static int32_t segment_of(const ss_lsa *l, const void *obj)
{
	/* The number is stored at the start of the segment, which is aligned to its size. */
	uintptr_t base = (uintptr_t)obj & ~(uintptr_t)(SS_LSA_SEGMENT - 1);

	(void)l;
	return *(int32_t *)base;
}

static void release(ss_lsa *l, int32_t i)
{
	struct segment *s = &l->segs[i];

	bucket_del(l, i);
	s->top = s->live = s->pins = 0;
	l->spare[l->n_spare++] = i;
}

/* A segment with memory and nothing in it, or -1. */
static int32_t take_segment(ss_lsa *l)
{
	struct segment *s;

	if (l->n_spare)
		return l->spare[--l->n_spare];
	if (l->used == l->n)
		return -1;
	s = &l->segs[l->used];
	s->base = ss_alloc_aligned(SS_LSA_SEGMENT, SS_LSA_SEGMENT);
	if (!s->base) {
		/* The shard has no more: this is the limit. */
		l->n = l->used;
		return -1;
	}
	*(int32_t *)s->base = l->used;
	s->bucket = -1;
	l->stats.segments++;
	return l->used++;
}

static bool open_segment(ss_lsa *l)
{
	int32_t i = take_segment(l);

	if (i < 0)
		return false;
	if (l->open >= 0)
		bucket_add(l, l->open);
	l->segs[i].top = ALIGN; /* after the segment's number */
	l->segs[i].live = l->segs[i].pins = 0;
	l->open = i;
	return true;
}

static struct object *append(ss_lsa *l, uint32_t bytes)
{
	struct segment *s = l->open >= 0 ? &l->segs[l->open] : NULL;
	struct object *o;

	if (!s || s->top + bytes > SS_LSA_SEGMENT)
		return NULL;
	o = (struct object *)(s->base + s->top);
	s->top += bytes;
	s->live += bytes;
	l->stats.live += bytes;
	return o;
}

static void move_object(ss_lsa *l, struct object *from)
{
	uint32_t bytes = whole(from->size);
	struct object *to = append(l, bytes);

	if (!to && open_segment(l))
		to = append(l, bytes);
	/* A segment is held back for this, so there is always room. */
	if (!to)
		__builtin_trap();
	memcpy(to, from, bytes);
	l->stats.live -= bytes;
	l->stats.moved += bytes;
	*to->owner = to->bytes;
	if (l->ops && l->ops->moved)
		l->ops->moved(from->bytes, to->bytes, from->size, l->arg);
}

static void compact_one(ss_lsa *l, int32_t i)
{
	struct segment *s = &l->segs[i];
	uint32_t at = ALIGN;

	bucket_del(l, i);
	while (at < s->top) {
		struct object *o = (struct object *)(s->base + at);

		at += whole(o->size);
		if (o->alive)
			move_object(l, o);
	}
	release(l, i);
	l->stats.compacted++;
}

/* Segments that could be opened, the one held back included. */
static int32_t available(const ss_lsa *l)
{
	return l->n_spare + (l->n - l->used);
}

unsigned ss_lsa_compact(ss_lsa *l, unsigned segments)
{
	int32_t before = available(l);

	for (unsigned k = 0; k < segments && available(l) > 0; k++) {
		int32_t i = emptiest(l);

		if (i < 0 || l->segs[i].live >= WORTH)
			break;
		compact_one(l, i);
	}
	return available(l) > before ? (unsigned)(available(l) - before) : 0;
}

static bool fits(const ss_lsa *l, uint32_t bytes)
{
	return l->open >= 0 && l->segs[l->open].top + bytes <= SS_LSA_SEGMENT;
}

/* Make room for an object: in the open segment, or in one beyond the one held back. */
static bool make_room(ss_lsa *l, uint32_t bytes)
{
	/* Enough is evicted for the emptiest segment to be worth moving. */
	for (int tries = 0; tries < 1000000; tries++) {
		int32_t i = emptiest(l);

		if (i >= 0 && available(l) > 0 && l->segs[i].live < WORTH) {
			compact_one(l, i);
			if (available(l) > 1 || fits(l, bytes))
				return true;
			continue;
		}
		if (!l->ops || !l->ops->evict || !l->ops->evict(l->arg))
			return false;
		l->stats.evictions++;
		if (available(l) > 1)
			return true;
	}
	return false;
}

void *ss_lsa_alloc(ss_lsa *l, size_t n, void **owner)
{
	uint32_t bytes = whole(n);
	struct object *o;

	if (!n || n > SS_LSA_MAX || l->busy)
		return NULL;
	o = append(l, bytes);
	while (!o) {
		bool room;

		if (available(l) > 1) {
			if (!open_segment(l))
				continue; /* the limit has come down */
			o = append(l, bytes);
			continue;
		}
		l->busy = true;
		room = make_room(l, bytes);
		l->busy = false;
		if (!room)
			return NULL;
		/* Moving left room in the open segment, perhaps. */
		o = append(l, bytes);
	}
	o->size = (uint32_t)n;
	o->pins = 0;
	o->alive = 1;
	o->owner = owner;
	l->stats.objects++;
	*owner = o->bytes;
	return o->bytes;
}

void ss_lsa_free(ss_lsa *l, void *obj)
{
	struct object *o = header(obj);
	int32_t i = segment_of(l, obj);
	struct segment *s = &l->segs[i];
	uint32_t bytes = whole(o->size);

	if (o->pins)
		s->pins--;
	o->alive = 0;
	o->pins = 0;
	s->live -= bytes;
	l->stats.live -= bytes;
	l->stats.objects--;
	if (s->bucket >= 0 && !s->live)
		release(l, i);
	else
		rebucket(l, i);
}

void ss_lsa_set_owner(void *obj, void **owner)
{
	header(obj)->owner = owner;
}

size_t ss_lsa_size(const void *obj)
{
	return header(obj)->size;
}

void ss_lsa_pin(ss_lsa *l, void *obj)
{
	if (!header(obj)->pins++)
		l->segs[segment_of(l, obj)].pins++;
}

void ss_lsa_unpin(ss_lsa *l, void *obj)
{
	if (!--header(obj)->pins)
		l->segs[segment_of(l, obj)].pins--;
}

void ss_lsa_stats(const ss_lsa *l, struct ss_lsa_stats *out)
{
	*out = l->stats;
}
