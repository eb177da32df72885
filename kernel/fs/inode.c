/* SPDX-License-Identifier: BSD-3-Clause */
/* Inodes: birth, sharing by number, attributes, permissions, end. */
#include <linux/capability.h>
#include "fs/internal.h"

#define ICACHE_BUCKETS 4096u

static struct inode *icache[ICACHE_BUCKETS];
static struct mutex icache_lock;

struct inode *inode_new(struct super *s, uint32_t mode)
{
	struct inode *i = kzalloc(sizeof(*i));
	if (!i)
		return NULL;
	atomic_init(&i->refs, 1);
	i->mode = mode;
	atomic_init(&i->nlink, 1);
	i->super = s;
	i->blkbits = PAGE_SHIFT;
	i->ino = atomic_fetch_add(&s->next_ino, 1);
	mapping_init(&i->map, i, NULL);
	inode_touch(i, ATTR_ATIME | ATTR_MTIME | ATTR_CTIME);
	i->btime = i->mtime;
	return i;
}

void inode_get(struct inode *i)
{
	atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
}

static void inode_free_rcu(struct rcu_head *h)
{
	struct inode *i = container_of(h, struct inode, rcu);
	kfree((void *)i->link);
	kfree(i);
}

static uint32_t icache_slot(const struct super *s, uint64_t ino)
{
	uint64_t h = ((uintptr_t)s >> 4 ^ ino) * 0x9e3779b97f4a7c15ull;
	return h >> 40 & (ICACHE_BUCKETS - 1);
}

/* Drops the last reference of a shared inode under the lock, so that nobody finds it any more. */
static bool icache_last(struct inode *i)
{
	mutex_lock(&icache_lock);
	bool last = atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1;
	if (last) {
		struct inode **p = &icache[icache_slot(i->super, i->ino)];
		while (*p != i)
			p = &(*p)->icache_next;
		*p = i->icache_next;
	}
	mutex_unlock(&icache_lock);
	return last;
}

void inode_put(struct inode *i)
{
	int n = atomic_load_explicit(&i->refs, memory_order_relaxed);
	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(
			&i->refs, &n, n - 1, memory_order_release, memory_order_relaxed))
			return;
	if (i->icached) {
		if (!icache_last(i))
			return;
	} else if (atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (i->map.ndirty && i->nlink)
		mapping_sync(&i->map, 0, UINT64_MAX);
	mapping_destroy(&i->map);
	if (i->locks)
		locks_inode_free(i);
	if (i->ops && i->ops->evict)
		i->ops->evict(i);
	rcu_defer(&i->rcu, inode_free_rcu);
}

struct inode *inode_cache_find(struct super *s, uint64_t ino)
{
	mutex_lock(&icache_lock);
	struct inode *i = icache[icache_slot(s, ino)];
	while (i && (i->super != s || i->ino != ino))
		i = i->icache_next;
	if (i)
		inode_get(i);
	mutex_unlock(&icache_lock);
	return i;
}

struct inode *inode_cache_insert(struct inode *i)
{
	struct inode **head = &icache[icache_slot(i->super, i->ino)];
	mutex_lock(&icache_lock);
	struct inode *o = *head;
	while (o && (o->super != i->super || o->ino != i->ino))
		o = o->icache_next;
	if (o)
		inode_get(o);
	else {
		i->icache_next = *head;
		*head = i;
		i->icached = true;
	}
	mutex_unlock(&icache_lock);
	if (!o)
		return i;
	inode_put(i);
	return o;
}

static struct ktime ktime_now(void)
{
	int64_t t = time_wall();
	return (struct ktime){t / NSEC_PER_SEC, (uint32_t)(t % NSEC_PER_SEC)};
}

void inode_touch(struct inode *i, unsigned which)
{
	struct ktime now = ktime_now();
	if (which & ATTR_ATIME)
		i->atime = now;
	if (which & ATTR_MTIME)
		i->mtime = now;
	if (which & ATTR_CTIME)
		i->ctime = now;
}

void inode_own(struct inode *i, const struct inode *dir)
{
	const struct program *p = current_program();
	i->uid = p ? p->cred.fsuid : 0;
	i->gid = p ? p->cred.fsgid : 0;
	if (dir && (dir->mode & S_ISGID)) {
		i->gid = dir->gid;
		if (IS_TYPE(i, S_IFDIR))
			i->mode |= S_ISGID;
	}
}

void inode_stat(struct inode *i, struct kstat *st)
{
	*st = (struct kstat){
	    .dev = i->super ? i->super->dev : 0,
	    .ino = i->ino,
	    .nlink = i->nlink,
	    .size = i->size,
	    .blocks = i->blocks,
	    .blksize = 1ul << i->blkbits,
	    .rdev = i->rdev,
	    .mode = i->mode,
	    .uid = i->uid,
	    .gid = i->gid,
	    .atime = i->atime,
	    .mtime = i->mtime,
	    .ctime = i->ctime,
	    .btime = i->btime,
	};
	if (IS_TYPE(i, S_IFREG) && mapping_in_memory(&i->map) &&
	    !i->map.backing) /* memory: what it really holds */
		st->blocks = i->map.npages * (PAGE_SIZE / 512);
	if (i->ops && i->ops->getattr)
		i->ops->getattr(i, st);
}

static bool in_group(const struct credentials *c, uint32_t gid)
{
	if (c->fsgid == gid)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

int vfs_may(struct inode *i, unsigned rwx)
{
	const struct program *p = current_program();
	if (!p)
		return 0;
	if ((rwx & 2) && inode_read_only(i) &&
	    (IS_TYPE(i, S_IFREG) || IS_TYPE(i, S_IFDIR) || IS_TYPE(i, S_IFLNK)))
		return -EROFS;
	const struct credentials *c = &p->cred;
	unsigned bits = i->mode;
	if (c->fsuid == i->uid)
		bits >>= 6;
	else if ((((bits >> 3) ^ bits) & 7) && in_group(c, i->gid))
		bits >>= 3;
	if ((rwx & ~bits & 7) == 0)
		return 0;
	/* Privileges: anything, except to execute what nobody may. */
	uint64_t caps = c->cap_effective;
	bool dir = IS_TYPE(i, S_IFDIR);
	if ((caps & 1ull << CAP_DAC_OVERRIDE) && (!(rwx & 1) || dir || (i->mode & 0111)))
		return 0;
	if ((caps & 1ull << CAP_DAC_READ_SEARCH) && (dir ? !(rwx & 2) : rwx == 4))
		return 0;
	return -EACCES;
}

void inode_drop_suid(struct inode *i)
{
	uint32_t drop = 0;
	if (likely(!(i->mode & (S_ISUID | S_ISGID))) || !IS_TYPE(i, S_IFREG))
		return;
	const struct program *p = current_program();
	if (!p || (p->cred.cap_effective & 1ull << CAP_FSETID))
		return;
	if (i->mode & S_ISUID)
		drop |= S_ISUID;
	if ((i->mode & (S_ISGID | 0010)) == (S_ISGID | 0010))
		drop |= S_ISGID;
	i->mode &= ~drop;
}
