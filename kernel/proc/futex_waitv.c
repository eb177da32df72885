/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting on several futexes at once. */
#include <linux/futex.h>
#include <linux/time.h>

#include "arch/x86/percpu.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/futex_internal.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

struct wait_set {
	unsigned n;
	struct futex_waiter w[];
};

/* Leaves the first n queues; the index of one that had been woken, or -1. */
static long leave_all(struct wait_set *s, unsigned n)
{
	long woken = -1;
	for (unsigned i = 0; i < n; i++)
		if (futex_leave(&s->w[i]) && woken < 0)
			woken = i;
	return woken;
}

static bool any_woken(const struct wait_set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (atomic_load_explicit(&s->w[i].woken, memory_order_acquire))
			return true;
	return false;
}

/* Queues for each word; 0, an error, or (at a wake-up on the way) index + 1. */
static long enter_all(struct wait_set *s, const struct futex_waitv *v)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct futex_waiter *w = &s->w[i];
		*w = (struct futex_waiter){
		    .thread = current_thread(), .bitset = FUTEX_BITSET_MATCH_ANY};
		uint32_t __user *word = (uint32_t __user *)v[i].uaddr;
		int err = futex_key(word, !(v[i].flags & FUTEX_PRIVATE_FLAG), &w->key);
		if (!err)
			err = futex_enqueue(w, word, (uint32_t)v[i].val);
		if (!err)
			continue;
		long woken = leave_all(s, i);
		return woken >= 0 ? woken + 1 : err;
	}
	return 0;
}

static long wait(struct wait_set *s, int64_t deadline)
{
	long err = 0;
	for (;;) {
		thread_prepare_wait();
		if (any_woken(s))
			break;
		if (signal_pending()) {
			err = -ERESTARTSYS;
			break;
		}
		if (schedule_until(deadline) && time_now() >= deadline) {
			err = -ETIMEDOUT;
			break;
		}
	}
	thread_end_wait();
	long woken = leave_all(s, s->n);
	return woken >= 0 ? woken : err;
}

static int check(const struct futex_waitv *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if ((v[i].flags & ~(uint32_t)FUTEX_PRIVATE_FLAG) != FUTEX_32 || v[i].__reserved ||
		    v[i].val > UINT32_MAX)
			return -EINVAL;
	return 0;
}

SYSCALL(futex_waitv, const struct futex_waitv __user *list, unsigned n, unsigned flags,
    const void __user *timeout, int clock)
{
	int64_t deadline = NO_DEADLINE;
	if (flags || !n || n > FUTEX_WAITV_MAX || !list)
		return -EINVAL;
	if (timeout) {
		if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
			return -EINVAL;
		int err = timespec_read(timeout, &deadline);
		if (err)
			return err;
		if (clock == CLOCK_REALTIME && deadline != INT64_MAX)
			deadline = MAX(deadline - time_wall_offset(), (int64_t)0);
	}
	struct futex_waitv *v = kmalloc(n * sizeof *v);
	struct wait_set *s = kmalloc(sizeof *s + n * sizeof s->w[0]);
	long r = v && s ? copy_from_user(v, list, n * sizeof *v) ? -EFAULT : check(v, n) : -ENOMEM;
	if (!r) {
		s->n = n;
		r = enter_all(s, v);
		r = r > 0 ? r - 1 : r < 0 ? r : wait(s, deadline);
	}
	kfree(v);
	kfree(s);
	return r;
}
