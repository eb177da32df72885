/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and setting clocks, and sleeping on them. */
#include "proc/clocks.h"

#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timex.h>

#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/lifecycle.h"
#include "proc/restart.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

/* A negative id is made of a program or thread id and what to count. */
#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_WHICH 3
enum { CPU_CLOCK_PROF, CPU_CLOCK_VIRT, CPU_CLOCK_SCHED };

static int resolve_cpu_clock(int id, enum clock_kind *kind, struct program **p, struct thread **t)
{
	int pid = ~(id >> 3), which = id & CPU_CLOCK_WHICH;
	struct thread *me = current_thread();
	if (which > CPU_CLOCK_SCHED)
		return -EINVAL;
	*t = NULL;
	if (id & CPU_CLOCK_THREAD) {
		*t = pid ? thread_find(pid) : me;
		if (!*t || (*t)->program != me->program) {
			if (*t)
				thread_put(*t);
			return -EINVAL;
		}
		if (!pid)
			thread_get(*t);
		*p = me->program;
		program_get(*p);
		*kind = CLOCK_KIND_THREAD_CPU;
		return 0;
	}
	*p = program_find(pid ? pid : me->program->pid);
	*kind = which == CPU_CLOCK_VIRT ? CLOCK_KIND_PROGRAM_USER : CLOCK_KIND_PROGRAM_CPU;
	return *p ? 0 : -EINVAL;
}

int clock_resolve(int id, enum clock_kind *kind, struct program **p, struct thread **t)
{
	*t = NULL;
	if (id < 0)
		return resolve_cpu_clock(id, kind, p, t);
	*p = current_program();
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*kind = CLOCK_KIND_REALTIME;
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*kind = CLOCK_KIND_MONOTONIC;
		break;
	case CLOCK_PROCESS_CPUTIME_ID:
		*kind = CLOCK_KIND_PROGRAM_CPU;
		break;
	case CLOCK_THREAD_CPUTIME_ID:
		*kind = CLOCK_KIND_THREAD_CPU;
		*t = current_thread();
		thread_get(*t);
		break;
	default:
		return -EINVAL;
	}
	program_get(*p);
	return 0;
}

static void release(struct program *p, struct thread *t)
{
	if (t)
		thread_put(t);
	program_put(p);
}

static int read_clock(int id, int64_t *ns)
{
	enum clock_kind kind;
	struct program *p;
	struct thread *t;
	/* The common ones without references. */
	if (id == CLOCK_MONOTONIC) {
		*ns = time_now();
		return 0;
	}
	int err = clock_resolve(id, &kind, &p, &t);
	if (err)
		return err;
	*ns = kind == CLOCK_KIND_REALTIME ? time_wall() : clock_kind_now(kind, p, t);
	release(p, t);
	return 0;
}

SYSCALL(clock_gettime, int id, void __user *out)
{
	int64_t ns;
	int err = read_clock(id, &ns);
	return err ? err : timespec_write(out, ns);
}

SYSCALL(clock_getres, int id, void __user *out)
{
	int64_t ns;
	int err = read_clock(id, &ns);
	return err || !out ? err : timespec_write(out, 1);
}

static long set_wall(int64_t ns)
{
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	time_set_wall(ns);
	return 0;
}

SYSCALL(clock_settime, int id, const void __user *in)
{
	int64_t ns, now;
	if (id != CLOCK_REALTIME) {
		int err = read_clock(id, &now);
		return err ? err : -EINVAL;
	}
	int err = timespec_read(in, &ns);
	return err ? err : set_wall(ns);
}

SYSCALL(gettimeofday, void __user *tv, void __user *tz)
{
	const int32_t zone[2] = {0, 0};
	if (tv && timeval_write(tv, time_wall()))
		return -EFAULT;
	return tz ? copy_to_user(tz, zone, sizeof zone) : 0;
}

SYSCALL(settimeofday, const void __user *tv, const void __user *tz)
{
	int64_t ns;
	(void)tz; /* obsolete: local time is the application's matter */
	if (!tv)
		return capable(CAP_SYS_TIME) ? 0 : -EPERM;
	int err = timeval_read(tv, &ns);
	return err ? err : set_wall(ns);
}

SYSCALL(time, int64_t __user *out)
{
	int64_t s = time_wall() / NSEC_PER_SEC;
	return out && put_user(s, out) ? -EFAULT : s;
}

/* Clock discipline: the state can be read and the time stepped; the rate is the hypervisor's. */
static long adjust(void __user *u)
{
	struct __kernel_timex t;
	if (copy_from_user(&t, u, sizeof t))
		return -EFAULT;
	if (t.modes & ~(unsigned)(ADJ_SETOFFSET | ADJ_NANO))
		return capable(CAP_SYS_TIME) ? -EOPNOTSUPP : -EPERM;
	if (t.modes & ADJ_SETOFFSET) {
		int64_t unit = t.modes & ADJ_NANO ? 1 : 1000;
		if (t.time.tv_usec < 0 || t.time.tv_usec * unit >= NSEC_PER_SEC)
			return -EINVAL;
		long err =
		    set_wall(time_wall() + t.time.tv_sec * NSEC_PER_SEC + t.time.tv_usec * unit);
		if (err)
			return err;
	}
	int64_t now = time_wall();
	memset(&t, 0, sizeof t);
	t.status = STA_UNSYNC | STA_NANO;
	t.maxerror = t.esterror = 16000000;
	t.tick = 10000;
	t.constant = 2;
	t.precision = 1;
	t.tolerance = 32768000;
	t.time.tv_sec = now / NSEC_PER_SEC;
	t.time.tv_usec = now % NSEC_PER_SEC;
	return copy_to_user(u, &t, sizeof t) ? -EFAULT : TIME_ERROR;
}

SYSCALL(adjtimex, void __user *u)
{
	return adjust(u);
}

SYSCALL(clock_adjtime, int id, void __user *u)
{
	return id == CLOCK_REALTIME ? adjust(u) : -EINVAL;
}

/* ---- sleeping ---- */

static int sleep_until(int64_t deadline)
{
	int err = 0;
	for (;;) {
		thread_prepare_wait();
		if (time_now() >= deadline)
			break;
		if (signal_pending()) {
			err = -EINTR;
			break;
		}
		schedule_until(deadline);
	}
	thread_end_wait();
	return err;
}

/* A relative sleep; the rest is told when a signal ends it. */
static long sleep_relative(struct restart_block *b)
{
	void __user *rest = (void __user *)b->arg[0];
	if (!sleep_until(b->deadline))
		return 0;
	int64_t left = b->deadline - time_now();
	if (left <= 0)
		return 0;
	if (rest && timespec_write(rest, left))
		return -EFAULT;
	return -ERESTART_RESTARTBLOCK;
}

static long begin_relative(int64_t ns, void __user *rest)
{
	struct restart_block *b = restart_block();
	if (!b)
		return -ENOMEM;
	b->fn = sleep_relative;
	b->deadline = time_add(time_now(), ns);
	b->arg[0] = (uint64_t)rest;
	return sleep_relative(b);
}

SYSCALL(nanosleep, const void __user *request, void __user *rest)
{
	int64_t ns;
	int err = timespec_read(request, &ns);
	return err ? err : begin_relative(ns, rest);
}

/* Sleeps until the program has used CPU time up to `end`. */
static long sleep_cpu(enum clock_kind kind, struct program *p, int64_t end)
{
	for (;;) {
		int64_t left = end - clock_kind_now(kind, p, NULL);
		if (left <= 0)
			return 0;
		if (sleep_until(time_add(time_now(), MAX(left / ncpus, NSEC_PER_MSEC))))
			return -ERESTARTNOHAND;
	}
}

SYSCALL(clock_nanosleep, int id, int flags, const void __user *request, void __user *rest)
{
	enum clock_kind kind;
	struct program *p;
	struct thread *t;
	int64_t ns;
	bool absolute = flags & TIMER_ABSTIME;
	if (id == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE ||
	    id == CLOCK_REALTIME_COARSE)
		return -EOPNOTSUPP;
	int err = clock_resolve(id, &kind, &p, &t);
	if (err)
		return err;
	err = timespec_read(request, &ns);
	long r = err;
	if (!err && t)
		r = -EINVAL;
	else if (!err && (kind == CLOCK_KIND_PROGRAM_CPU || kind == CLOCK_KIND_PROGRAM_USER))
		r = sleep_cpu(kind, p, absolute ? ns : time_add(clock_kind_now(kind, p, NULL), ns));
	else if (!err && absolute)
		r = sleep_until(kind == CLOCK_KIND_REALTIME && ns != INT64_MAX
				    ? ns - time_wall_offset()
				    : ns)
			? -ERESTARTNOHAND
			: 0;
	else if (!err)
		r = begin_relative(ns, rest);
	release(p, t);
	return r;
}
