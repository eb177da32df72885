/* SPDX-License-Identifier: BSD-3-Clause */
/* POSIX timers: timer_create and its family. */
#include <linux/signal.h>
#include <linux/time.h>

#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/clocks.h"
#include "proc/pidtimers.h"
#include "proc/signal_send.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

#define OVERRUN_MAX INT32_MAX

struct posix_timer {
	struct clock_timer c;
	struct list link; /* in program->posix_timers, under timer_lock */
	int id, notify;
	struct thread *target; /* referenced; SIGEV_THREAD_ID */
	struct queued_signal signal;
	_Atomic int64_t overrun; /* of the signal that is pending */
	_Atomic int last_overrun;
};

struct sigevent_abi {
	uint64_t value;
	int signo, notify;
	int tid;
	int pad[11];
};
_Static_assert(sizeof(struct sigevent_abi) == 64, "struct sigevent");

static void timer_fire(struct clock_timer *c, uint64_t missed)
{
	struct posix_timer *t = container_of(c, struct posix_timer, c);
	if (t->notify == SIGEV_NONE)
		return;
	atomic_fetch_add(&t->overrun, (int64_t)missed);
	if (t->target && !t->target->signals)
		return; /* the thread is gone */
	if (!signal_send_prepared(c->program, t->target, &t->signal))
		atomic_fetch_add(&t->overrun, 1);
}

void posix_timer_delivered(struct queued_signal *q, struct ksiginfo *info)
{
	struct posix_timer *t = container_of(q, struct posix_timer, signal);
	int64_t n = atomic_exchange(&t->overrun, 0);
	info->overrun = (int)MIN(n, (int64_t)OVERRUN_MAX);
	atomic_store(&t->last_overrun, info->overrun);
}

static void timer_free(struct clock_timer *c)
{
	struct posix_timer *t = container_of(c, struct posix_timer, c);
	if (t->target)
		thread_put(t->target);
	kfree(t);
}

static void delete (struct posix_timer *t)
{
	struct program *p = t->c.program;
	program_get(p);
	mutex_lock(&p->timer_lock);
	t->c.armed = false;
	mutex_unlock(&p->timer_lock);
	signal_withdraw(p, &t->signal);
	clock_timer_delete(&t->c);
	program_put(p);
}

/* timer_lock held. */
static struct posix_timer *find(struct program *p, int id)
{
	struct posix_timer *t;
	list_for_each_entry (t, &p->posix_timers, link)
		if (t->id == id)
			return t;
	return NULL;
}

/* How expiry is told; e NULL: SIGALRM with the timer's id. */
static int set_notification(struct posix_timer *t, const struct sigevent_abi *e)
{
	struct ksiginfo *info = &t->signal.info;
	t->notify = e ? e->notify : SIGEV_SIGNAL;
	*info = (struct ksiginfo){.signo = e ? e->signo : SIGALRM, .code = SI_TIMER};
	info->timerid = t->id;
	info->timer_value = e ? e->value : (uint64_t)t->id;
	if (t->notify == SIGEV_NONE)
		return 0;
	if (t->notify != SIGEV_SIGNAL && t->notify != SIGEV_THREAD && t->notify != SIGEV_THREAD_ID)
		return -EINVAL;
	if (info->signo < 1 || info->signo > NSIG_MAX)
		return -EINVAL;
	if (t->notify != SIGEV_THREAD_ID)
		return 0;
	t->target = thread_find(e->tid);
	return t->target && t->target->program == current_program() ? 0 : -EINVAL;
}

SYSCALL(timer_create, int clock, const void __user *event, int __user *out)
{
	struct program *p = current_program(), *of;
	struct sigevent_abi e;
	enum clock_kind kind;
	struct thread *thread;
	if (event && copy_from_user(&e, event, sizeof e))
		return -EFAULT;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
	    clock == CLOCK_REALTIME_COARSE)
		return -EOPNOTSUPP;
	int err = clock_resolve(clock, &kind, &of, &thread);
	if (err)
		return err;
	struct posix_timer *t = kzalloc(sizeof *t);
	if (of != p || !t) {
		err = of != p ? -EINVAL : -ENOMEM;
	} else {
		mutex_lock(&p->timer_lock);
		t->id = p->next_timer++;
		mutex_unlock(&p->timer_lock);
		err = set_notification(t, event ? &e : NULL);
		if (!err && put_user(t->id, out))
			err = -EFAULT;
	}
	if (err) {
		if (t && t->target)
			thread_put(t->target);
		kfree(t);
	} else {
		clock_timer_init(&t->c, kind, p, thread);
		t->c.fire = timer_fire;
		t->c.free = timer_free;
		list_init(&t->signal.link);
		mutex_lock(&p->timer_lock);
		list_append(&p->posix_timers, &t->link);
		mutex_unlock(&p->timer_lock);
	}
	if (thread)
		thread_put(thread);
	program_put(of);
	return err;
}

static int write_setting(void __user *out, int64_t interval, int64_t left)
{
	if (timespec_write(out, interval))
		return -EFAULT;
	return timespec_write((char __user *)out + 16, left);
}

SYSCALL(timer_settime, int id, int flags, const void __user *new, void __user *old)
{
	struct program *p = current_program();
	int64_t value, interval, left = 0, period = 0;
	if (!new)
		return -EINVAL;
	int err = timespec_read(new, &interval);
	if (!err)
		err = timespec_read((const char __user *)new + 16, &value);
	if (err)
		return err;
	mutex_lock(&p->timer_lock);
	struct posix_timer *t = find(p, id);
	if (t) {
		left = clock_timer_left(&t->c);
		period = t->c.interval;
		clock_timer_set(&t->c, value, flags & TIMER_ABSTIME, interval);
		atomic_store(&t->overrun, 0);
		atomic_store(&t->last_overrun, 0);
	}
	mutex_unlock(&p->timer_lock);
	if (!t)
		return -EINVAL;
	return old ? write_setting(old, period, left) : 0;
}

SYSCALL(timer_gettime, int id, void __user *out)
{
	struct program *p = current_program();
	int64_t left = 0, interval = 0;
	mutex_lock(&p->timer_lock);
	struct posix_timer *t = find(p, id);
	if (t) {
		left = clock_timer_left(&t->c);
		interval = t->c.interval;
	}
	mutex_unlock(&p->timer_lock);
	return t ? write_setting(out, interval, left) : -EINVAL;
}

SYSCALL(timer_getoverrun, int id)
{
	struct program *p = current_program();
	mutex_lock(&p->timer_lock);
	struct posix_timer *t = find(p, id);
	long n = t ? atomic_load(&t->last_overrun) : -EINVAL;
	mutex_unlock(&p->timer_lock);
	return n;
}

SYSCALL(timer_delete, int id)
{
	struct program *p = current_program();
	mutex_lock(&p->timer_lock);
	struct posix_timer *t = find(p, id);
	if (t)
		list_remove(&t->link);
	mutex_unlock(&p->timer_lock);
	if (!t)
		return -EINVAL;
	delete (t);
	return 0;
}

void program_timers_exec(struct program *p)
{
	for (;;) {
		mutex_lock(&p->timer_lock);
		bool none = list_empty(&p->posix_timers);
		struct posix_timer *t =
		    none ? NULL : list_first(&p->posix_timers, struct posix_timer, link);
		if (t)
			list_remove(&t->link);
		mutex_unlock(&p->timer_lock);
		if (!t)
			return;
		delete (t);
	}
}

void program_timers_free(struct program *p)
{
	program_timers_exec(p);
	itimers_free(p);
}
