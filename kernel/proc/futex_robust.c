/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Robust futexes: a list in the application's memory of the locks a thread holds. When the thread
 * ends, each is marked FUTEX_OWNER_DIED and one waiter is woken. The list may be damaged: it is
 * walked with a limit.
 */
#include <linux/capability.h>
#include <linux/futex.h>

#include "arch/x86/percpu.h"
#include "mm/uaccess.h"
#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "sys/syscall.h"

#define LIST_LIMIT 2048
#define PI_BIT 1ull

/* The thread died while it held (or, pending, was about to take or release) this lock. */
static void owner_died(struct thread *t, uint64_t addr, bool pi, bool pending)
{
	uint32_t __user *uword = (uint32_t __user *)addr;
	uint32_t word, seen;
	if (addr & 3 || get_user(word, uword))
		return;
	for (;;) {
		if ((word & FUTEX_TID_MASK) != (uint32_t)t->tid) {
			/* Released already, but a waiter may not have been woken yet. */
			if (pending && !pi && !(word & FUTEX_TID_MASK))
				futex_wake_user(uword, 1);
			return;
		}
		uint32_t died = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
		if (cmpxchg_user_u32(uword, word, died, &seen))
			return;
		if (seen == word)
			break;
		word = seen;
	}
	/* The waiters of a PI futex get it in futex_pi_thread_exit(). */
	if (!pi && (word & FUTEX_WAITERS))
		futex_wake_user(uword, 1);
}

static void walk(struct thread *t)
{
	uint64_t head = (uint64_t)t->robust_list, entry, next, pending;
	struct robust_list_head h;
	if (copy_from_user(&h, (void __user *)head, sizeof h))
		return;
	entry = (uint64_t)h.list.next;
	pending = (uint64_t)h.list_op_pending;
	for (unsigned i = 0; i < LIST_LIMIT && (entry & ~PI_BIT) != head; i++) {
		bool last = get_user(next, (uint64_t __user *)(entry & ~PI_BIT));
		if ((entry & ~PI_BIT) != (pending & ~PI_BIT))
			owner_died(
			    t, (entry & ~PI_BIT) + (uint64_t)h.futex_offset, entry & PI_BIT, false);
		if (last)
			break;
		entry = next;
	}
	if (pending)
		owner_died(
		    t, (pending & ~PI_BIT) + (uint64_t)h.futex_offset, pending & PI_BIT, true);
}

void futex_thread_exit(struct thread *t)
{
	if (t->robust_list) {
		walk(t);
		t->robust_list = NULL;
	}
	futex_pi_thread_exit(t);
}

SYSCALL(set_robust_list, void __user *head, size_t len)
{
	if (len != sizeof(struct robust_list_head))
		return -EINVAL;
	current_thread()->robust_list = head;
	current_thread()->robust_list_size = len;
	return 0;
}

SYSCALL(get_robust_list, int tid, void __user *head, size_t __user *len)
{
	struct thread *t = current_thread();
	if (tid) {
		t = thread_find(tid);
		if (!t)
			return -ESRCH;
		bool own = t->program == current_program() || capable(CAP_SYS_PTRACE);
		uint64_t list = (uint64_t)t->robust_list;
		thread_put(t);
		if (!own)
			return -EPERM;
		if (put_user(sizeof(struct robust_list_head), len))
			return -EFAULT;
		return put_user(list, (uint64_t __user *)head);
	}
	if (put_user(sizeof(struct robust_list_head), len))
		return -EFAULT;
	return put_user((uint64_t)t->robust_list, (uint64_t __user *)head);
}
