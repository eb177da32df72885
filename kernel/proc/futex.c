/* SPDX-License-Identifier: BSD-3-Clause */
/* Futexes: waiting, waking, requeueing; the system call. */
#include "proc/futex.h"

#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/time.h>

#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "proc/futex_internal.h"
#include "proc/restart.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

struct futex_bucket futex_buckets[FUTEX_BUCKETS];

int futex_key(uint32_t __user *word, bool shared, struct futex_key *k)
{
	struct mm *m = current_program()->mm;
	uint64_t a = (uint64_t)word;
	if (a & 3)
		return -EINVAL;
	if (!user_range_ok(word, sizeof *word))
		return -EFAULT;
	*k = (struct futex_key){(uint64_t)m, a};
	if (!shared)
		return 0;
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, a);
	if (v && (v->flags & MAP_SHARED) && v->file)
		*k = (struct futex_key){
		    (uint64_t)v->file->inode, (v->pgoff << PAGE_SHIFT) + (a - v->start)};
	else if (v && (v->flags & MAP_SHARED) && v->private)
		*k = (struct futex_key){
		    (uint64_t)v->private, (v->pgoff << PAGE_SHIFT) + (a - v->start)};
	rw_read_unlock(&m->lock);
	return v ? 0 : -EFAULT;
}

struct futex_bucket *futex_bucket(const struct futex_key *k)
{
	uint64_t h = (k->object ^ k->offset * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
	struct futex_bucket *b = &futex_buckets[h >> 56];
	return b;
}

static void lock_bucket(struct futex_bucket *b)
{
	mutex_lock(&b->lock);
	if (unlikely(!b->waiters.next))
		list_init(&b->waiters);
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a == b) {
		lock_bucket(a);
		return;
	}
	lock_bucket(a < b ? a : b);
	lock_bucket(a < b ? b : a);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

void futex_release(struct futex_waiter *w)
{
	struct thread *t = w->thread;
	list_remove(&w->link);
	rcu_read_lock();
	atomic_store_explicit(&w->woken, true, memory_order_release);
	thread_wake(t);
	rcu_read_unlock();
}

struct futex_bucket *futex_lock_waiter(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&w->bucket);
		lock_bucket(b);
		if (b == atomic_load(&w->bucket))
			return b;
		mutex_unlock(&b->lock);
	}
}

int futex_sleep(struct futex_waiter *w, int64_t deadline)
{
	int err = 0;
	for (;;) {
		thread_prepare_wait();
		if (atomic_load_explicit(&w->woken, memory_order_acquire))
			break;
		if (signal_pending()) {
			err = -EINTR;
			break;
		}
		if (schedule_until(deadline) && time_now() >= deadline) {
			err = -ETIMEDOUT;
			break;
		}
	}
	thread_end_wait();
	return err;
}

bool futex_leave(struct futex_waiter *w)
{
	if (atomic_load_explicit(&w->woken, memory_order_acquire))
		return true;
	struct futex_bucket *b = futex_lock_waiter(w);
	bool woken = atomic_load(&w->woken);
	if (!woken)
		list_remove(&w->link);
	mutex_unlock(&b->lock);
	return woken;
}

int futex_enqueue(struct futex_waiter *w, uint32_t __user *word, uint32_t expected)
{
	struct futex_bucket *b = futex_bucket(&w->key);
	uint32_t now;
	/* A first read without the lock brings the page in. */
	if (get_user(now, word))
		return -EFAULT;
	if (now != expected)
		return -EAGAIN;
	lock_bucket(b);
	int err = get_user(now, word) ? -EFAULT : now != expected ? -EAGAIN : 0;
	if (!err) {
		atomic_store(&w->bucket, b);
		list_append(&b->waiters, &w->link);
	}
	mutex_unlock(&b->lock);
	return err;
}

long futex_wait(
    uint32_t __user *word, bool shared, uint32_t expected, int64_t deadline, uint32_t bitset)
{
	struct futex_waiter w = {.thread = current_thread(), .bitset = bitset};
	if (!bitset)
		return -EINVAL;
	int err = futex_key(word, shared, &w.key);
	if (!err)
		err = futex_enqueue(&w, word, expected);
	if (err)
		return err;
	TRACE(futex_wait, "%p", word);
	err = futex_sleep(&w, deadline);
	if (!err || futex_leave(&w))
		return 0;
	return err == -EINTR ? -ERESTARTSYS : err;
}

long futex_wake(uint32_t __user *word, bool shared, int n, uint32_t bitset)
{
	struct futex_waiter *w, *next;
	struct futex_key key;
	long woken = 0;
	if (!bitset)
		return -EINVAL;
	int err = futex_key(word, shared, &key);
	if (err)
		return err;
	struct futex_bucket *b = futex_bucket(&key);
	lock_bucket(b);
	list_for_each_entry_safe (w, next, &b->waiters, link) {
		if (!futex_same(&w->key, &key) || !(w->bitset & bitset))
			continue;
		if (w->pi || w->requeue_pi) {
			woken = -EINVAL;
			break;
		}
		futex_release(w);
		if (++woken >= n)
			break;
	}
	mutex_unlock(&b->lock);
	TRACE(futex_wake, "%p woken %ld", word, woken);
	return woken;
}

int futex_wake_user(uint32_t __user *word, int n)
{
	/* In private memory a shared and a private futex have the same key. */
	return (int)futex_wake(word, true, n, FUTEX_BITSET_MATCH_ANY);
}

long futex_requeue(uint32_t __user *word, bool shared, uint32_t __user *word2, bool shared2,
    int wake, int move, const uint32_t *expected)
{
	struct futex_waiter *w, *next;
	struct futex_key from, to;
	uint32_t now;
	long done = 0;
	if (wake < 0 || move < 0)
		return -EINVAL;
	int err = futex_key(word, shared, &from);
	if (!err)
		err = futex_key(word2, shared2, &to);
	if (!err && expected && get_user(now, word))
		err = -EFAULT;
	if (err)
		return err;
	struct futex_bucket *a = futex_bucket(&from), *b = futex_bucket(&to);
	futex_lock_two(a, b);
	if (expected && (get_user(now, word) || now != *expected)) {
		futex_unlock_two(a, b);
		return -EAGAIN;
	}
	list_for_each_entry_safe (w, next, &a->waiters, link) {
		if (!futex_same(&w->key, &from) || w->pi)
			continue;
		if (w->requeue_pi) {
			done = -EINVAL;
			break;
		}
		if (wake > 0) {
			futex_release(w);
			wake--;
		} else if (move > 0) {
			list_remove(&w->link);
			w->key = to;
			atomic_store(&w->bucket, b);
			list_append(&b->waiters, &w->link);
			move--;
		} else {
			break;
		}
		done++;
		if (a == b && futex_same(&from, &to) && !wake && !move)
			break;
	}
	futex_unlock_two(a, b);
	return done;
}

/* ---- FUTEX_WAKE_OP ---- */

static bool compare(unsigned cmp, int old, int arg, int *err)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	}
	*err = -ENOSYS;
	return false;
}

static int apply(unsigned op, uint32_t old, uint32_t arg, uint32_t *new)
{
	switch (op) {
	case FUTEX_OP_SET:
		*new = arg;
		return 0;
	case FUTEX_OP_ADD:
		*new = old + arg;
		return 0;
	case FUTEX_OP_OR:
		*new = old | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*new = old & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*new = old ^ arg;
		return 0;
	}
	return -ENOSYS;
}

static long wake_op(
    uint32_t __user *word, uint32_t __user *word2, bool shared, int n, int n2, uint32_t code)
{
	unsigned op = code >> 28 & 7, cmp = code >> 24 & 15;
	int arg = (int)(code << 8) >> 20, cmp_arg = (int)(code << 20) >> 20;
	uint32_t old, new, seen;
	if (code >> 31) { /* FUTEX_OP_OPARG_SHIFT */
		if (arg < 0 || arg > 31)
			return -EINVAL;
		arg = (int)(1u << arg);
	}
	struct futex_key k;
	int err = futex_key(word, shared, &k);
	if (!err)
		err = futex_key(word2, shared, &k);
	if (err)
		return err;
	/* The operation is atomic by itself; the wakes follow it, as a waker's would. */
	if (get_user(seen, word2))
		return -EFAULT;
	do {
		old = seen;
		err = apply(op, old, (uint32_t)arg, &new);
		if (err)
			return err;
		if (cmpxchg_user_u32(word2, old, new, &seen))
			return -EFAULT;
	} while (seen != old);
	bool second = compare(cmp, (int)old, cmp_arg, &err);
	if (err)
		return err;
	long woken = futex_wake(word, shared, n, FUTEX_BITSET_MATCH_ANY);
	if (woken < 0 || !second)
		return woken;
	long more = futex_wake(word2, shared, n2, FUTEX_BITSET_MATCH_ANY);
	return more < 0 ? more : woken + more;
}

/* ---- the system call ---- */

static long wait_again(struct restart_block *b)
{
	long r = futex_wait((uint32_t __user *)b->arg[0], b->arg[1], (uint32_t)b->arg[2],
	    b->deadline, (uint32_t)b->arg[3]);
	return r == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : r;
}

/* FUTEX_WAIT: the timeout is relative, so an interrupted wait must remember its end. */
static long wait_relative(uint32_t __user *word, bool shared, uint32_t expected, int64_t deadline)
{
	long r = futex_wait(word, shared, expected, deadline, FUTEX_BITSET_MATCH_ANY);
	if (r != -ERESTARTSYS || deadline == NO_DEADLINE)
		return r;
	struct restart_block *b = restart_block();
	if (!b)
		return -EINTR;
	b->fn = wait_again;
	b->deadline = deadline;
	b->arg[0] = (uint64_t)word;
	b->arg[1] = shared;
	b->arg[2] = expected;
	b->arg[3] = FUTEX_BITSET_MATCH_ANY;
	return -ERESTART_RESTARTBLOCK;
}

/* The deadline in monotonic time; NULL: none. */
static int read_timeout(int cmd, bool realtime, const void __user *ts, int64_t *deadline)
{
	int64_t ns;
	*deadline = NO_DEADLINE;
	if (!ts)
		return 0;
	int err = timespec_read(ts, &ns);
	if (err)
		return err;
	if (cmd == FUTEX_WAIT)
		*deadline = time_add(time_now(), ns);
	else if (realtime || cmd == FUTEX_LOCK_PI)
		*deadline = ns == INT64_MAX ? ns : MAX(ns - time_wall_offset(), (int64_t)0);
	else
		*deadline = ns;
	return 0;
}

static bool takes_timeout(int cmd)
{
	return cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_LOCK_PI ||
	       cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_WAIT_REQUEUE_PI;
}

SYSCALL(futex, uint32_t __user *word, int op, uint32_t val, const void __user *timeout,
    uint32_t __user *word2, uint32_t val3)
{
	int cmd = op & FUTEX_CMD_MASK, val2 = (int)(uintptr_t)timeout;
	bool shared = !(op & FUTEX_PRIVATE_FLAG), realtime = op & FUTEX_CLOCK_REALTIME;
	int64_t deadline = NO_DEADLINE;
	if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_LOCK_PI2 &&
	    cmd != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	int err = takes_timeout(cmd) ? read_timeout(cmd, realtime, timeout, &deadline) : 0;
	if (err)
		return err;
	switch (cmd) {
	case FUTEX_WAIT:
		return wait_relative(word, shared, val, deadline);
	case FUTEX_WAIT_BITSET:
		return futex_wait(word, shared, val, deadline, val3);
	case FUTEX_WAKE:
		return futex_wake(word, shared, (int)val, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(word, shared, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(word, shared, word2, shared, (int)val, val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(word, shared, word2, shared, (int)val, val2, &val3);
	case FUTEX_WAKE_OP:
		return wake_op(word, word2, shared, (int)val, val2, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(word, shared, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(word, shared, NO_DEADLINE, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(word, shared);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(word, shared, val, deadline, word2);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(word, shared, word2, (int)val, val2, val3);
	}
	return -ENOSYS;
}
