/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory entry cache.
 *
 * Readers find dentries in the hash table under RCU and take a reference only of the last one.
 * Every change of the table (insert, drop, rename) is done with dcache_lock held; so is the
 * decision that a dentry with no references dies, which happens by changing refs from 0 to DEAD in
 * one step: whoever gets a reference before keeps it alive, whoever comes later sees a negative
 * count and looks again.
 *
 * A cached dentry without references stays, whether it has an inode or not, until memory is wanted:
 * a clock hand walks over the table and takes what was not used since it came by before. A rename
 * may make a reader miss (it then asks under the lock) or take two steps that were never true
 * together (rename_seq tells).
 */
#include "fs/internal.h"

#define DEAD (-0x40000000)
#define MIN_BUCKETS 1024u
#define MAX_BUCKETS 65536u

static struct dentry **buckets;
static uint32_t bucket_mask;
static struct mutex dcache_lock;
static _Atomic int64_t dentry_count;
static uint32_t clock_hand;
_Atomic uint64_t rename_seq;

uint32_t dcache_hash(const struct dentry *dir, const char *name, size_t len)
{
	uint64_t h = (uint64_t)(uintptr_t)dir >> 4;
	while (len >= 8) {
		uint64_t w;
		memcpy(&w, name, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
		name += 8;
		len -= 8;
	}
	uint64_t w = len;
	for (size_t i = 0; i < len; i++)
		w = w << 8 | (uint8_t)name[i];
	h = (h ^ w) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32);
}

struct dentry *dcache_find(struct dentry *dir, const char *name, size_t len, uint32_t hash)
{
	struct dentry *d = rcu_dereference(buckets[hash & bucket_mask]);
	for (; d; d = rcu_dereference(d->hash_next)) {
		if (d->hash == hash && d->parent == dir && d->len == len &&
		    !memcmp(rcu_dereference(d->name), name, len)) {
			if (!d->used)
				d->used = true;
			return d;
		}
	}
	return NULL;
}

bool dentry_try_get(struct dentry *d)
{
	int n = atomic_load_explicit(&d->refs, memory_order_relaxed);
	while (n >= 0)
		if (atomic_compare_exchange_weak_explicit(
			&d->refs, &n, n + 1, memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

void dentry_get(struct dentry *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
}

/* Takes d out of the hash table. dcache_lock held. */
static void unhash(struct dentry *d)
{
	if (!d->hashed)
		return;
	struct dentry **p = &buckets[d->hash & bucket_mask];
	while (*p != d)
		p = &(*p)->hash_next;
	rcu_assign(*p, d->hash_next); /* d's own link stays for readers that stand on it */
	d->hashed = false;
}

static void hash_in(struct dentry *d)
{
	struct dentry **p = &buckets[d->hash & bucket_mask];
	d->hash_next = *p;
	rcu_assign(*p, d);
	d->hashed = true;
}

/* A rename gives a dentry a name of its own allocation. */
struct long_name {
	struct rcu_head rcu;
	char text[];
};

static void name_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct long_name, rcu));
}

static void name_free(struct dentry *d, const char *name)
{
	if (name != d->inline_name)
		rcu_defer(&container_of(name, struct long_name, text[0])->rcu, name_free_rcu);
}

static void dentry_free_rcu(struct rcu_head *h)
{
	struct dentry *d = container_of(h, struct dentry, rcu);
	if (d->name != d->inline_name)
		kfree(container_of(d->name, struct long_name, text[0]));
	kfree(d);
}

/* d is DEAD and not in the table: frees it; returns the parent to put, if any. */
static struct dentry *dentry_bury(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;
	if (d->inode)
		inode_put(d->inode);
	atomic_fetch_sub_explicit(&dentry_count, 1, memory_order_relaxed);
	rcu_defer(&d->rcu, dentry_free_rcu);
	return parent;
}

/* A name of a file system that is not to be cached went out of use. Whether it is DEAD now. */
static bool forget(struct dentry *d)
{
	int zero = 0;
	rcu_read_lock(); /* d may be somebody else's to free as soon as its count was 0 */
	mutex_lock(&dcache_lock);
	bool dead = atomic_compare_exchange_strong(&d->refs, &zero, DEAD);
	if (dead)
		unhash(d);
	mutex_unlock(&dcache_lock);
	rcu_read_unlock();
	return dead;
}

void dentry_put(struct dentry *d)
{
	while (d) {
		if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
			return;
		/* Unused now. Cached ones stay; d itself may be taken by the reclaimer from here
		 * on, so only the step to DEAD gives the right to go on. */
		if (__atomic_load_n(&d->hashed, __ATOMIC_RELAXED)) {
			if (likely(!d->super->volatile_names) || !forget(d))
				return;
		} else {
			int zero = 0;
			if (!atomic_compare_exchange_strong(&d->refs, &zero, DEAD))
				return;
		}
		d = dentry_bury(d);
	}
}

static struct dentry *dentry_alloc(const char *name, size_t len)
{
	struct dentry *d = kmalloc(sizeof(*d) + len + 1);
	if (!d)
		return NULL;
	*d = (struct dentry){.len = (uint16_t)len, .used = true};
	memcpy(d->inline_name, name, len);
	d->inline_name[len] = 0;
	d->name = d->inline_name;
	atomic_init(&d->refs, 1);
	atomic_fetch_add_explicit(&dentry_count, 1, memory_order_relaxed);
	return d;
}

struct dentry *dentry_new_root(struct super *s, struct inode *i)
{
	struct dentry *d = dentry_alloc("/", 1);
	if (!d)
		return NULL;
	d->parent = d;
	d->super = s;
	d->inode = i;
	return d;
}

struct dentry *dentry_anonymous(const char *name, struct inode *i)
{
	struct dentry *d = dentry_alloc(name, strlen(name));
	if (!d) {
		inode_put(i);
		return NULL;
	}
	d->parent = d;
	d->super = i->super;
	d->inode = i;
	d->anonymous = true;
	return d;
}

static struct dentry *find_get(struct dentry *dir, const char *name, size_t len, uint32_t hash)
{
	struct dentry *d = dcache_find(dir, name, len, hash);
	return d && dentry_try_get(d) ? d : NULL;
}

struct dentry *dcache_lookup(struct dentry *dir, const char *name, size_t len)
{
	struct inode *di = dir->inode;
	uint32_t hash = dcache_hash(dir, name, len);
	bool is_volatile = dir->super->volatile_names;

	if (len > NAME_LIMIT)
		return err_ptr(-ENAMETOOLONG);
	if (!is_volatile) {
		mutex_lock(&dcache_lock);
		struct dentry *d = find_get(dir, name, len, hash);
		mutex_unlock(&dcache_lock);
		if (d)
			return d;
	}
	if (!di->ops->lookup)
		return err_ptr(-ENOTDIR);
	struct inode *i = di->ops->lookup(di, name, len);
	if (is_err(i))
		return (void *)i;
	struct dentry *d = dentry_alloc(name, len);
	if (!d) {
		if (i)
			inode_put(i);
		return err_ptr(-ENOMEM);
	}
	d->super = dir->super;
	d->hash = hash;
	d->inode = i;
	d->parent = dir;
	dentry_get(dir);
	mutex_lock(&dcache_lock);
	struct dentry *other = find_get(dir, name, len, hash);
	bool stale = false;
	if (other && is_volatile && other->inode != i) {
		stale = true; /* the name means something else now */
		unhash(other);
	}
	if (!other || stale) {
		/* A name that comes and goes is cached only while it is in use: children then find
		 * one parent, and a mount on it is found again. */
		if (i || !is_volatile)
			hash_in(d);
	}
	mutex_unlock(&dcache_lock);
	if (other && !stale) {
		dentry_put(d);
		return other;
	}
	if (stale)
		dentry_put(other);
	return d;
}

void dcache_instantiate(struct dentry *d, struct inode *i)
{
	ASSERT(!d->inode);
	rcu_assign(d->inode, i);
	mutex_lock(&dcache_lock);
	if (!d->hashed)
		hash_in(d);
	mutex_unlock(&dcache_lock);
}

void dcache_drop(struct dentry *d)
{
	mutex_lock(&dcache_lock);
	unhash(d);
	mutex_unlock(&dcache_lock);
}

/* Names d `name` in dir. dcache_lock held, d not hashed. */
static void rename_locked(struct dentry *d, struct dentry *dir, struct long_name *n, size_t len)
{
	const char *old = d->name;
	rcu_assign(d->name, (const char *)n->text);
	d->len = (uint16_t)len;
	rcu_assign(d->parent, dir);
	d->hash = dcache_hash(dir, n->text, len);
	name_free(d, old);
}

static struct long_name *name_new(const char *name, size_t len)
{
	struct long_name *n = kmalloc(sizeof(*n) + len + 1);
	if (n) {
		memcpy(n->text, name, len);
		n->text[len] = 0;
	}
	return n;
}

int dcache_move(struct dentry *d, struct dentry *dir, const char *name, size_t len)
{
	struct long_name *n = name_new(name, len);
	if (!n)
		return -ENOMEM;
	struct dentry *old = d->parent;
	dentry_get(dir);
	mutex_lock(&dcache_lock);
	unhash(d);
	rename_locked(d, dir, n, len);
	struct dentry *shadow = dcache_find(dir, name, len, d->hash);
	if (shadow) /* what the name meant before, or that it meant nothing */
		unhash(shadow);
	hash_in(d);
	bool unused = shadow && atomic_load(&shadow->refs) == 0 && dentry_try_get(shadow);
	atomic_fetch_add(&rename_seq, 1);
	mutex_unlock(&dcache_lock);
	if (unused)
		dentry_put(shadow);
	dentry_put(old);
	return 0;
}

int dcache_exchange(struct dentry *a, struct dentry *b)
{
	struct long_name *na = name_new(b->name, b->len), *nb = name_new(a->name, a->len);
	if (!na || !nb) {
		kfree(na);
		kfree(nb);
		return -ENOMEM;
	}
	mutex_lock(&dcache_lock);
	struct dentry *pa = a->parent, *pb = b->parent;
	size_t la = b->len, lb = a->len;
	unhash(a);
	unhash(b);
	rename_locked(a, pb, na, la);
	rename_locked(b, pa, nb, lb);
	hash_in(a);
	hash_in(b);
	atomic_fetch_add(&rename_seq, 1);
	mutex_unlock(&dcache_lock);
	return 0;
}

bool dentry_below(struct dentry *d, struct dentry *top)
{
	rcu_read_lock();
	for (;;) {
		if (d == top)
			return true;
		struct dentry *up = d;
		if (d == d->parent)
			up = mount_bottom(d);
		if (up == d)
			up = d->parent;
		if (up == d)
			return false;
		d = up;
	}
}

/* Frees unused dentries of bucket b that want() picks; at most n of them. */
static size_t shrink_bucket(uint32_t b, size_t n, bool (*want)(struct dentry *, void *), void *arg)
{
	struct dentry *dead = NULL;
	size_t freed = 0;

	mutex_lock(&dcache_lock);
	for (struct dentry *d = buckets[b], *next; d && freed < n; d = next) {
		next = d->hash_next;
		int zero = 0;
		if (atomic_load_explicit(&d->refs, memory_order_relaxed) || !want(d, arg) ||
		    !atomic_compare_exchange_strong(&d->refs, &zero, DEAD))
			continue;
		unhash(d);
		/* The hash link must keep leading readers on; the mount pointer of the dead is
		 * free. */
		d->mounted = (struct mount *)dead;
		dead = d;
		freed++;
	}
	mutex_unlock(&dcache_lock);
	while (dead) {
		struct dentry *d = dead;
		dead = (struct dentry *)d->mounted;
		d->mounted = NULL;
		dentry_put(dentry_bury(d));
	}
	return freed;
}

static bool want_unused(struct dentry *d, void *arg)
{
	(void)arg;
	bool idle = !d->used;
	d->used = false;
	return idle;
}

static bool want_super(struct dentry *d, void *arg)
{
	return d->super == arg;
}

static size_t dcache_reclaim(size_t pages)
{
	size_t freed = 0, target = pages * (PAGE_SIZE / 256);
	for (uint32_t i = 0; i <= 2 * bucket_mask && freed < target; i++) {
		freed += shrink_bucket(clock_hand & bucket_mask, ~0ul, want_unused, NULL);
		clock_hand++;
	}
	return freed / (PAGE_SIZE / 256);
}

bool dcache_shrink_super(struct super *s)
{
	size_t freed;
	do {
		freed = 0;
		for (uint32_t b = 0; b <= bucket_mask; b++)
			freed += shrink_bucket(b, ~0ul, want_super, s);
	} while (freed);
	return atomic_load(&s->root->refs) == 1;
}

static struct reclaimer dcache_reclaimer = {.reclaim = dcache_reclaim};

void dcache_init(void)
{
	/* One bucket for each 64 KiB of memory. */
	uint64_t want = memstats.total / 16;
	uint32_t n = MIN_BUCKETS;
	while (n < want && n < MAX_BUCKETS)
		n *= 2;
	buckets = kzalloc(n * sizeof(*buckets));
	if (!buckets)
		panic("no memory for the directory entry cache");
	bucket_mask = n - 1;
	reclaimer_register(&dcache_reclaimer);
}

/* Puts text before what is in buf from *at on. */
static bool prepend(char *buf, size_t *at, const char *s, size_t n)
{
	if (*at < n)
		return false;
	*at -= n;
	memcpy(buf + *at, s, n);
	return true;
}

int dentry_path(struct dentry *d, char *buf, size_t n)
{
	static const char gone[] = " (deleted)";
	struct program *p = current_program();
	struct dentry *top = p && p->root ? p->root : root_dentry;
	size_t at = n;
	bool ok = n > 0 && prepend(buf, &at, "", 1);

	rcu_read_lock();
	bool deleted = d->anonymous ? d->inode && !d->inode->nlink && IS_TYPE(d->inode, S_IFREG)
				    : !d->hashed && d->parent != d;
	if (deleted)
		ok = ok && prepend(buf, &at, gone, sizeof gone - 1);
	if (d->anonymous) {
		ok = ok && prepend(buf, &at, d->name, d->len);
		if (deleted)
			ok = ok && prepend(buf, &at, "/", 1);
	} else {
		bool any = false;
		for (;;) {
			if (d == top)
				break;
			d = mount_bottom(d);
			if (d == top || d == d->parent)
				break;
			ok = ok && prepend(buf, &at, d->name, d->len) && prepend(buf, &at, "/", 1);
			any = true;
			d = d->parent;
		}
		if (!any)
			ok = ok && prepend(buf, &at, "/", 1);
	}
	rcu_read_unlock();
	if (!ok)
		return -ENAMETOOLONG;
	memmove(buf, buf + at, n - at);
	return 0;
}
