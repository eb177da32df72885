/* SPDX-License-Identifier: BSD-3-Clause */
/* Scheduling policies, priorities and affinity. */
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

#define RR_INTERVAL (100 * NSEC_PER_MSEC)
#define FAIR_INTERVAL (4 * NSEC_PER_MSEC)
#define SCHED_ATTR_VERSION_0 48

/* Thread of an id (0: the caller), referenced. */
static struct thread *target(int tid)
{
	if (tid)
		return tid < 0 ? NULL : thread_find(tid);
	thread_get(current_thread());
	return current_thread();
}

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* What the thread has by itself, without the priority lent by a PI futex. */
static int own_policy(const struct thread *t)
{
	return t->pi_boosted ? t->base_policy : t->policy;
}

static int own_priority(const struct thread *t)
{
	return t->pi_boosted ? t->base_priority : t->rt_priority;
}

static bool may_change(const struct thread *t)
{
	const struct credentials *me = &current_program()->cred;
	const struct program *p = t->program;
	return p && (p == current_program() || me->euid == p->cred.uid ||
			me->euid == p->cred.euid || capable(CAP_SYS_NICE));
}

static int check_policy(const struct thread *t, int policy, int priority)
{
	switch (policy) {
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
		if (priority)
			return -EINVAL;
		break;
	case SCHED_FIFO:
	case SCHED_RR:
		if (priority < 1 || priority > 99)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (!may_change(t))
		return -EPERM;
	bool raise =
	    is_realtime(policy) && (uint64_t)priority > t->program->limits[RLIMIT_RTPRIO].cur;
	return raise && !capable(CAP_SYS_NICE) ? -EPERM : 0;
}

static int set_policy(struct thread *t, int policy, int priority, int nice)
{
	int err = check_policy(t, policy & ~SCHED_RESET_ON_FORK, priority);
	if (err)
		return err;
	policy &= ~SCHED_RESET_ON_FORK;
	if (t->pi_boosted) {
		t->base_policy = policy;
		t->base_priority = priority;
		return 0;
	}
	thread_set_policy(t, policy, priority, nice);
	return 0;
}

SYSCALL(sched_setscheduler, int tid, int policy, const int __user *param)
{
	int priority;
	if (!param || tid < 0 || policy < 0)
		return -EINVAL;
	if (get_user(priority, param))
		return -EFAULT;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int err = set_policy(t, policy, priority, t->nice);
	thread_put(t);
	return err;
}

SYSCALL(sched_setparam, int tid, const int __user *param)
{
	int priority;
	if (!param || tid < 0)
		return -EINVAL;
	if (get_user(priority, param))
		return -EFAULT;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int err = set_policy(t, own_policy(t), priority, t->nice);
	thread_put(t);
	return err;
}

SYSCALL(sched_getscheduler, int tid)
{
	if (tid < 0)
		return -EINVAL;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	long policy = own_policy(t);
	thread_put(t);
	return policy;
}

SYSCALL(sched_getparam, int tid, int __user *param)
{
	if (!param || tid < 0)
		return -EINVAL;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int priority = is_realtime(own_policy(t)) ? own_priority(t) : 0;
	thread_put(t);
	return put_user(priority, param);
}

SYSCALL(sched_get_priority_max, int policy)
{
	if (is_realtime(policy))
		return 99;
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
		       policy == SCHED_DEADLINE
		   ? 0
		   : -EINVAL;
}

SYSCALL(sched_get_priority_min, int policy)
{
	if (is_realtime(policy))
		return 1;
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
		       policy == SCHED_DEADLINE
		   ? 0
		   : -EINVAL;
}

SYSCALL(sched_rr_get_interval, int tid, void __user *out)
{
	if (tid < 0)
		return -EINVAL;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int policy = own_policy(t);
	thread_put(t);
	return timespec_write(out, policy == SCHED_RR	  ? RR_INTERVAL
				   : policy == SCHED_FIFO ? 0
							  : FAIR_INTERVAL);
}

/* Reads a structure whose size its first field tells; unknown fields must be zero. */
static int read_attr(struct sched_attr *a, void __user *u)
{
	uint32_t size;
	uint8_t byte;
	if (get_user(size, (uint32_t __user *)u))
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_VERSION_0;
	if (size < SCHED_ATTR_VERSION_0 || size > PAGE_SIZE) {
		uint32_t known = sizeof *a;
		return put_user(known, (uint32_t __user *)u) ? -EFAULT : -E2BIG;
	}
	memset(a, 0, sizeof *a);
	if (copy_from_user(a, u, MIN((size_t)size, sizeof *a)))
		return -EFAULT;
	for (size_t i = sizeof *a; i < size; i++) {
		if (get_user(byte, (uint8_t __user *)u + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return 0;
}

SYSCALL(sched_setattr, int tid, void __user *u, unsigned flags)
{
	struct sched_attr a;
	if (!u || tid < 0 || flags)
		return -EINVAL;
	int err = read_attr(&a, u);
	if (err)
		return err;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int nice = a.sched_nice < -20 ? -20 : a.sched_nice > 19 ? 19 : a.sched_nice;
	if (is_realtime((int)a.sched_policy))
		nice = t->nice;
	else if (nice < t->nice &&
		 20 - nice > (int)MIN(t->program->limits[RLIMIT_NICE].cur, 40ul) &&
		 !capable(CAP_SYS_NICE))
		err = -EPERM;
	if (!err)
		err = set_policy(t, (int)a.sched_policy, (int)a.sched_priority, nice);
	thread_put(t);
	return err;
}

SYSCALL(sched_getattr, int tid, void __user *u, unsigned size, unsigned flags)
{
	struct sched_attr a = {.size = sizeof a};
	if (!u || tid < 0 || flags || size < SCHED_ATTR_VERSION_0 || size > PAGE_SIZE)
		return -EINVAL;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	a.sched_policy = (uint32_t)own_policy(t);
	if (is_realtime(own_policy(t)))
		a.sched_priority = (uint32_t)own_priority(t);
	else
		a.sched_nice = t->nice;
	thread_put(t);
	a.size = (uint32_t)MIN((size_t)size, sizeof a);
	return copy_to_user(u, &a, a.size);
}

SYSCALL(sched_yield, void)
{
	thread_yield();
	return 0;
}

/* ---- affinity ---- */

static uint64_t online_mask(void)
{
	return ncpus >= 64 ? ~0ull : (1ull << ncpus) - 1;
}

SYSCALL(sched_setaffinity, int tid, unsigned len, const void __user *mask)
{
	uint64_t m = 0;
	if (copy_from_user(&m, mask, MIN((size_t)len, sizeof m)))
		return -EFAULT;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	int err = may_change(t) ? thread_set_affinity(t, m) : -EPERM;
	thread_put(t);
	return err;
}

SYSCALL(sched_getaffinity, int tid, unsigned len, void __user *mask)
{
	if (len % sizeof(uint64_t) || len * 8 < ncpus)
		return -EINVAL;
	struct thread *t = target(tid);
	if (!t)
		return -ESRCH;
	uint64_t m = t->affinity & online_mask();
	thread_put(t);
	return copy_to_user(mask, &m, sizeof m) ? -EFAULT : (long)sizeof m;
}

/* ---- nice ---- */

/* Calls fn for every thread that (which, who) means; how many there were. */
static unsigned for_threads(int which, int who, void (*fn)(struct thread *t, void *arg), void *arg)
{
	struct program *me = current_program(), *p;
	struct thread *t;
	unsigned n = 0;
	if (which == PRIO_PROCESS) {
		t = target(who);
		if (!t)
			return 0;
		fn(t, arg);
		thread_put(t);
		return 1;
	}
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		bool match = which == PRIO_PGRP
				 ? p->pgid == (who ? who : me->pgid)
				 : p->cred.uid == (who ? (uint32_t)who : me->cred.uid);
		if (!match)
			continue;
		mutex_lock(&p->signals.lock);
		list_for_each_entry (t, &p->threads, program_link) {
			fn(t, arg);
			n++;
		}
		mutex_unlock(&p->signals.lock);
	}
	mutex_unlock(&programs_lock);
	return n;
}

struct nice_change {
	int nice, err;
};

static void apply_nice(struct thread *t, void *arg)
{
	struct nice_change *c = arg;
	if (!may_change(t)) {
		c->err = -EPERM;
		return;
	}
	uint64_t limit = MIN(t->program->limits[RLIMIT_NICE].cur, 40ul);
	if (c->nice < t->nice && 20 - c->nice > (int)limit && !capable(CAP_SYS_NICE)) {
		c->err = -EACCES;
		return;
	}
	thread_set_policy(t, t->policy, t->rt_priority, c->nice);
}

static void best_nice(struct thread *t, void *arg)
{
	int *best = arg;
	*best = MIN(*best, t->nice);
}

SYSCALL(setpriority, int which, int who, int nice)
{
	struct nice_change c = {nice < -20 ? -20 : nice > 19 ? 19 : nice, 0};
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	return for_threads(which, who, apply_nice, &c) ? c.err : -ESRCH;
}

SYSCALL(getpriority, int which, int who)
{
	int best = 20;
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	/* 40 … 1, so that errors stay negative. */
	return for_threads(which, who, best_nice, &best) ? 20 - best : -ESRCH;
}

/* ---- I/O priorities: kept and reported; requests are served in their order ---- */

#define IOPRIO_CLASS_SHIFT 13
enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER };

static int check_ioprio(int v)
{
	int class = v >> IOPRIO_CLASS_SHIFT, level = v & ((1 << IOPRIO_CLASS_SHIFT) - 1);
	switch (class) {
	case 0:
		return level ? -EINVAL : 0;
	case 1: /* real time */
		if (!capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
			return -EPERM;
		return level < 8 ? 0 : -EINVAL;
	case 2:
		return level < 8 ? 0 : -EINVAL;
	case 3:
		return 0;
	}
	return -EINVAL;
}

SYSCALL(ioprio_set, int which, int who, int value)
{
	if (which != IOPRIO_WHO_PROCESS)
		return which == IOPRIO_WHO_PGRP || which == IOPRIO_WHO_USER ? -ESRCH : -EINVAL;
	int err = check_ioprio(value);
	if (err)
		return err;
	struct thread *t = target(who);
	if (!t)
		return -ESRCH;
	if (!may_change(t))
		err = -EPERM;
	else
		t->io_priority = (uint16_t)value;
	thread_put(t);
	return err;
}

SYSCALL(ioprio_get, int which, int who)
{
	if (which != IOPRIO_WHO_PROCESS)
		return which == IOPRIO_WHO_PGRP || which == IOPRIO_WHO_USER ? -ESRCH : -EINVAL;
	struct thread *t = target(who);
	if (!t)
		return -ESRCH;
	long v = t->io_priority;
	thread_put(t);
	return v;
}
