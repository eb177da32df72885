/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the futex code.
 *
 * A futex is a 32-bit word of the application; the kernel knows it only while somebody waits.
 * Waiters stand in hash buckets, each with a mutex. The word is read (and, for priority
 * inheritance, changed) with the bucket locked, so "the word still has the expected value" and "I
 * am in the queue" are one step against a waker, who changes the word first and locks the bucket
 * afterwards.
 *
 * A waiter's record is on its own stack. Whoever takes it out of the queue does so with the bucket
 * locked, notes the thread, sets `woken` and then touches the record no more; threads are freed
 * after an RCU grace period, so waking the noted thread is safe. Requeueing moves the record with
 * both buckets locked (lower address first) and changes `bucket`; a waiter that gives up locks the
 * bucket it reads there and looks again whether it still is that one.
 */
#pragma once

#include "proc/program.h"
#include "sched/sync.h"

struct futex_key {
	uint64_t object, offset;
};

struct futex_bucket {
	struct mutex lock;
	struct list waiters;
} __attribute__((aligned(CACHE_LINE)));

struct futex_waiter {
	struct list link;
	struct futex_key key;
	_Atomic(struct futex_bucket *) bucket;
	struct thread *thread;
	uint32_t bitset;
	_Atomic bool woken;
	/* Priority inheritance. */
	bool pi;
	struct thread *owner; /* referenced; of the futex waited for */
	/* FUTEX_WAIT_REQUEUE_PI: the futex to move to, then pi is set, or the lock taken for it. */
	bool requeue_pi;
	struct futex_key target;
};

#define FUTEX_BUCKETS 256
extern struct futex_bucket futex_buckets[FUTEX_BUCKETS];

/* The key of a word. 0, -EINVAL (misaligned), -EFAULT. */
int futex_key(uint32_t __user *word, bool shared, struct futex_key *k);
struct futex_bucket *futex_bucket(const struct futex_key *k);
static inline bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}
/* Takes w out of its (locked) bucket and lets its thread go on. */
void futex_release(struct futex_waiter *w);
/* Locks the bucket w is in now and returns it. */
struct futex_bucket *futex_lock_waiter(struct futex_waiter *w);
/* Queues w, whose key is set, if the word has the expected value: 0, -EAGAIN, -EFAULT. */
int futex_enqueue(struct futex_waiter *w, uint32_t __user *word, uint32_t expected);
/* Leaves the queue if nobody took w out of it; true if it had been woken. */
bool futex_leave(struct futex_waiter *w);
/* Locks two buckets, which may be one. */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* Sleeps until woken, a signal or the deadline: 0, -EINTR, -ETIMEDOUT. Does not look at the queue.
 */
int futex_sleep(struct futex_waiter *w, int64_t deadline);
/* Waits on one word; see futex.c. */
long futex_wait(
    uint32_t __user *word, bool shared, uint32_t expected, int64_t deadline, uint32_t bitset);
/* Wakes up to n waiters that share a bit with bitset. Number woken or -errno. */
long futex_wake(uint32_t __user *word, bool shared, int n, uint32_t bitset);

/* Wakes `wake` waiters of the first word, moves up to `move` others to the second. expected NULL:
 * no check. */
long futex_requeue(uint32_t __user *word, bool shared, uint32_t __user *word2, bool shared2,
    int wake, int move, const uint32_t *expected);

/* Priority inheritance (futex_pi.c). */
long futex_lock_pi(uint32_t __user *word, bool shared, int64_t deadline, bool try_only);
long futex_unlock_pi(uint32_t __user *word, bool shared);
/* One try to get the lock for w->thread, with its bucket b locked: 0 got it, 1 queued, -EAGAIN look
 * again, other errors final. */
int futex_pi_try(
    struct futex_bucket *b, uint32_t __user *uword, struct futex_waiter *w, bool try_only);
/* FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI (futex_requeue_pi.c). */
long futex_wait_requeue_pi(uint32_t __user *word, bool shared, uint32_t expected, int64_t deadline,
    uint32_t __user *word2);
long futex_cmp_requeue_pi(uint32_t __user *word, bool shared, uint32_t __user *word2, int wake,
    int move, uint32_t expected);
/* t ends: what it still owned passes to the first waiter, with FUTEX_OWNER_DIED. */
void futex_pi_thread_exit(struct thread *t);
