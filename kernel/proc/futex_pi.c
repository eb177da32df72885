/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Futexes with priority inheritance. The word holds the owner's thread id, FUTEX_WAITERS while
 * somebody waits in the kernel, FUTEX_OWNER_DIED. Unlocking hands the word to the waiter of the
 * highest priority in the same step, so nobody can steal it in between. While a real-time thread
 * waits, the owner runs with at least its priority.
 */
#include <linux/futex.h>
#include <linux/sched.h>

#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "mm/uaccess.h"
#include "proc/futex_internal.h"
#include "sys/syscall.h"

/* What counts between waiters: real-time priority above all nice levels. */
static int rank(const struct thread *t)
{
	bool realtime = t->policy == SCHED_FIFO || t->policy == SCHED_RR;
	return realtime ? 100 + t->rt_priority : 20 - t->nice;
}

static struct futex_waiter *top_waiter(struct futex_bucket *b, const struct futex_key *k)
{
	struct futex_waiter *w, *best = NULL;
	list_for_each_entry (w, &b->waiters, link)
		if (w->pi && futex_same(&w->key, k) &&
		    (!best || rank(w->thread) > rank(best->thread)))
			best = w;
	return best;
}

static void boost(struct thread *owner, const struct thread *by)
{
	if (rank(by) <= rank(owner) || rank(by) < 100)
		return;
	if (!owner->pi_boosted) {
		owner->pi_boosted = true;
		owner->base_policy = owner->policy;
		owner->base_priority = owner->rt_priority;
	}
	TRACE(futex_boost, "tid %d to %d", owner->tid, by->rt_priority);
	thread_set_policy(owner, by->policy, by->rt_priority, owner->nice);
}

/* Back to the own priority; waiters of other futexes that t still owns boost it again when they
 * next look. */
static void unboost(struct thread *t)
{
	if (!t->pi_boosted)
		return;
	t->pi_boosted = false;
	thread_set_policy(t, t->base_policy, t->base_priority, t->nice);
}

static void set_owner(struct futex_waiter *w, struct thread *owner)
{
	if (w->owner)
		thread_put(w->owner);
	thread_get(owner);
	w->owner = owner;
}

/*
 * Gives the word, which holds `word`, to the top waiter. extra: bits to keep. -EAGAIN if the word
 * changed under us, -EFAULT. Bucket locked.
 */
static int hand_over(struct futex_bucket *b, uint32_t __user *uword, uint32_t word, uint32_t extra,
    struct futex_waiter *to)
{
	struct futex_waiter *w;
	struct thread *t = to->thread;
	uint32_t seen, new = (uint32_t)t->tid | extra;
	bool more = false;
	list_for_each_entry (w, &b->waiters, link)
		more |= w != to && w->pi && futex_same(&w->key, &to->key);
	if (cmpxchg_user_u32(uword, word, new | (more ? FUTEX_WAITERS : 0), &seen))
		return -EFAULT;
	if (seen != word)
		return -EAGAIN;
	list_for_each_entry (w, &b->waiters, link) {
		if (w == to || !w->pi || !futex_same(&w->key, &to->key))
			continue;
		set_owner(w, t);
		boost(t, w->thread);
	}
	t->pi_blocked_on = NULL;
	futex_release(to);
	return 0;
}

int futex_pi_try(
    struct futex_bucket *b, uint32_t __user *uword, struct futex_waiter *w, bool try_only)
{
	struct thread *me = w->thread;
	uint32_t word, seen;
	if (get_user(word, uword))
		return -EFAULT;
	uint32_t tid = word & FUTEX_TID_MASK;
	if (tid == (uint32_t)me->tid)
		return -EDEADLK;
	if (!tid) {
		uint32_t waiters = top_waiter(b, &w->key) ? FUTEX_WAITERS : 0;
		uint32_t new = (uint32_t)me->tid | waiters | (word & FUTEX_OWNER_DIED);
		if (cmpxchg_user_u32(uword, word, new, &seen))
			return -EFAULT;
		return seen == word ? 0 : -EAGAIN;
	}
	if (try_only)
		return -EWOULDBLOCK;
	struct thread *owner = thread_find((int)tid);
	if (!owner) {
		if (get_user(seen, uword))
			return -EFAULT;
		return seen == word ? -ESRCH : -EAGAIN;
	}
	if (!(word & FUTEX_WAITERS)) {
		int err = cmpxchg_user_u32(uword, word, word | FUTEX_WAITERS, &seen);
		if (err || seen != word) {
			thread_put(owner);
			return err ? -EFAULT : -EAGAIN;
		}
	}
	w->owner = owner;
	w->pi = true;
	me->pi_blocked_on = w;
	atomic_store(&w->bucket, b);
	list_append(&b->waiters, &w->link);
	boost(owner, me);
	return 1;
}

static struct futex_bucket *lock_bucket(const struct futex_key *k)
{
	struct futex_bucket *b = futex_bucket(k);
	mutex_lock(&b->lock);
	if (!b->waiters.next)
		list_init(&b->waiters);
	return b;
}

long futex_lock_pi(uint32_t __user *uword, bool shared, int64_t deadline, bool try_only)
{
	struct thread *me = current_thread();
	struct futex_waiter w = {.thread = me, .pi = true, .bitset = FUTEX_BITSET_MATCH_ANY};
	uint32_t touch;
	int err = futex_key(uword, shared, &w.key);
	if (err)
		return err;
	do {
		if (get_user(touch, uword))
			return -EFAULT;
		struct futex_bucket *b = lock_bucket(&w.key);
		err = futex_pi_try(b, uword, &w, try_only);
		mutex_unlock(&b->lock);
	} while (err == -EAGAIN);
	if (err <= 0)
		return err;
	err = futex_sleep(&w, deadline);
	if (err) {
		struct futex_bucket *b = futex_lock_waiter(&w);
		if (atomic_load(&w.woken))
			err = 0; /* handed over at the last moment */
		else
			list_remove(&w.link);
		me->pi_blocked_on = NULL;
		mutex_unlock(&b->lock);
	}
	thread_put(w.owner);
	return err == -EINTR ? -ERESTARTNOINTR : err;
}

long futex_unlock_pi(uint32_t __user *uword, bool shared)
{
	struct thread *me = current_thread();
	struct futex_key key;
	uint32_t word, seen;
	int err = futex_key(uword, shared, &key);
	if (err)
		return err;
	do {
		if (get_user(word, uword))
			return -EFAULT;
		if ((word & FUTEX_TID_MASK) != (uint32_t)me->tid)
			return -EPERM;
		struct futex_bucket *b = lock_bucket(&key);
		struct futex_waiter *w = top_waiter(b, &key);
		if (w) {
			err = hand_over(b, uword, word, 0, w);
		} else {
			err = cmpxchg_user_u32(uword, word, 0, &seen);
			if (!err && seen != word)
				err = -EAGAIN;
		}
		mutex_unlock(&b->lock);
	} while (err == -EAGAIN);
	if (!err)
		unboost(me);
	return err;
}

/* The word of a waiter in this program; shared futexes of files are found by the robust list only.
 */
static uint32_t __user *word_of(const struct futex_waiter *w)
{
	bool own = w->key.object == (uint64_t)current_program()->mm;
	return own ? (uint32_t __user *)w->key.offset : NULL;
}

static void exit_bucket(struct futex_bucket *b, struct thread *t)
{
	struct futex_waiter *w;
	uint32_t word;
	mutex_lock(&b->lock);
again:
	list_for_each_entry (w, &b->waiters, link) {
		uint32_t __user *uword = w->pi && w->owner == t ? word_of(w) : NULL;
		if (!uword || get_user(word, uword))
			continue;
		uint32_t tid = word & FUTEX_TID_MASK;
		if (tid && tid != (uint32_t)t->tid)
			continue;
		if (hand_over(b, uword, word, FUTEX_OWNER_DIED, top_waiter(b, &w->key)) == 0)
			goto again;
	}
	mutex_unlock(&b->lock);
}

void futex_pi_thread_exit(struct thread *t)
{
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++)
		if (futex_buckets[i].waiters.next && !list_empty(&futex_buckets[i].waiters))
			exit_bucket(&futex_buckets[i], t);
}
