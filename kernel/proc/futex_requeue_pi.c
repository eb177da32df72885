/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Condition variables over priority-inheriting mutexes. A waiter on the condition's word names the
 * mutex it wants afterwards; who signals moves it there in one step: the first one gets the mutex
 * at once if it is free, all others become waiters for it. Such a waiter is woken only as its
 * owner.
 */
#include <linux/futex.h>

#include "arch/x86/percpu.h"
#include "mm/uaccess.h"
#include "proc/futex_internal.h"
#include "sys/syscall.h"

long futex_wait_requeue_pi(
    uint32_t __user *word, bool shared, uint32_t expected, int64_t deadline, uint32_t __user *word2)
{
	struct thread *me = current_thread();
	struct futex_waiter w = {
	    .thread = me, .bitset = FUTEX_BITSET_MATCH_ANY, .requeue_pi = true};
	int err = word == word2 ? -EINVAL : futex_key(word, shared, &w.key);
	if (!err)
		err = futex_key(word2, shared, &w.target);
	if (!err)
		err = futex_enqueue(&w, word, expected);
	if (err)
		return err;
	err = futex_sleep(&w, deadline);
	if (err) {
		struct futex_bucket *b = futex_lock_waiter(&w);
		if (atomic_load(&w.woken))
			err = 0;
		else
			list_remove(&w.link);
		me->pi_blocked_on = NULL;
		mutex_unlock(&b->lock);
	}
	bool moved = w.owner != NULL;
	if (moved)
		thread_put(w.owner);
	if (err == -EINTR) /* a new start would find the condition's word changed */
		return moved ? -EWOULDBLOCK : -ERESTARTNOINTR;
	return err;
}

/* Moves w, which waits in bucket a, to its mutex in bucket b, or gives it the mutex. 0 got it, 1
 * waits there, or an error with w where it was. Both locked. */
static int move(
    struct futex_bucket *a, struct futex_bucket *b, uint32_t __user *word2, struct futex_waiter *w)
{
	struct futex_key from = w->key;
	list_remove(&w->link);
	w->key = w->target;
	int r = futex_pi_try(b, word2, w, false);
	if (r == 1)
		return 1;
	list_append(&a->waiters, &w->link);
	w->key = from;
	if (r == 0)
		futex_release(w);
	return r;
}

long futex_cmp_requeue_pi(uint32_t __user *word, bool shared, uint32_t __user *word2, int wake,
    int moves, uint32_t expected)
{
	struct futex_waiter *w, *next;
	struct futex_key from, to;
	uint32_t now;
	if (wake != 1 || moves < 0 || word == word2)
		return -EINVAL;
	int err = futex_key(word, shared, &from);
	if (!err)
		err = futex_key(word2, shared, &to);
	struct futex_bucket *a = futex_bucket(&from), *b = futex_bucket(&to);
	long done = 0;
	while (!err) {
		/* Without locks first: brings the pages in. */
		if (get_user(now, word) || get_user(now, word2))
			return -EFAULT;
		futex_lock_two(a, b);
		if (get_user(now, word))
			err = -EFAULT;
		else if (now != expected)
			err = -EAGAIN;
		bool again = false;
		list_for_each_entry_safe (w, next, &a->waiters, link) {
			if (err || done > moves || !futex_same(&w->key, &from))
				continue;
			if (!w->requeue_pi || !futex_same(&w->target, &to)) {
				err = -EINVAL;
				break;
			}
			int r = move(a, b, word2, w);
			again = r == -EAGAIN;
			if (r < 0) {
				err = again ? 0 : r;
				break;
			}
			done++;
		}
		futex_unlock_two(a, b);
		if (!again)
			break;
	}
	return done ? done : err;
}
