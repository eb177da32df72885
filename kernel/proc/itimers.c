/* SPDX-License-Identifier: BSD-3-Clause */
/* Interval timers (setitimer, alarm) and the CPU-time limit, which is a timer on the program's CPU
 * clock. */
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/time.h>

#include "arch/x86/percpu.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/clock_timer.h"
#include "proc/pidtimers.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

enum { ITIMERS = 3, CPU_LIMIT = 3, TIMERS = 4 };

struct itimer {
	struct clock_timer c;
	int sig;
};

struct itimer_state {
	struct itimer *timer[TIMERS];
};

static void fire(struct clock_timer *c, uint64_t missed)
{
	(void)missed;
	signal_send_program(c->program, container_of(c, struct itimer, c)->sig, NULL);
}

/* SIGXCPU each second from the soft limit on, SIGKILL at the hard one. */
static void fire_limit(struct clock_timer *c, uint64_t missed)
{
	struct program *p = c->program;
	int64_t used = clock_kind_now(CLOCK_KIND_PROGRAM_CPU, p, NULL);
	uint64_t hard = p->limits[RLIMIT_CPU].max;
	(void)missed;
	if (hard != RLIM64_INFINITY && (uint64_t)used / NSEC_PER_SEC >= hard) {
		signal_send_program(p, SIGKILL, NULL);
		return;
	}
	signal_send_program(p, SIGXCPU, NULL);
	c->armed = true;
	c->expiry += NSEC_PER_SEC;
}

static void free_itimer(struct clock_timer *c)
{
	kfree(container_of(c, struct itimer, c));
}

/* The timer of a kind, made at its first use; NULL without memory. timer_lock held. */
static struct itimer *get(struct program *p, int which)
{
	static const enum clock_kind kinds[TIMERS] = {CLOCK_KIND_MONOTONIC, CLOCK_KIND_PROGRAM_USER,
	    CLOCK_KIND_PROGRAM_CPU, CLOCK_KIND_PROGRAM_CPU};
	static const int signals[TIMERS] = {SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU};
	if (!p->itimers)
		p->itimers = kzalloc(sizeof *p->itimers);
	if (!p->itimers)
		return NULL;
	struct itimer *t = p->itimers->timer[which];
	if (t)
		return t;
	t = kzalloc(sizeof *t);
	if (!t)
		return NULL;
	clock_timer_init(&t->c, kinds[which], p, NULL);
	t->sig = signals[which];
	t->c.fire = which == CPU_LIMIT ? fire_limit : fire;
	t->c.free = free_itimer;
	p->itimers->timer[which] = t;
	return t;
}

/* Sets if value >= 0; gives back what was. */
static int exchange(int which, int64_t value, int64_t interval, int64_t *left, int64_t *period)
{
	struct program *p = current_program();
	int err = 0;
	*left = *period = 0;
	mutex_lock(&p->timer_lock);
	struct itimer *t = value < 0 && !p->itimers ? NULL : get(p, which);
	if (t) {
		*left = clock_timer_left(&t->c);
		*period = t->c.interval;
		if (value >= 0)
			clock_timer_set(&t->c, value, false, interval);
	} else if (value >= 0) {
		err = -ENOMEM;
	}
	mutex_unlock(&p->timer_lock);
	return err;
}

static int write_setting(void __user *out, int64_t interval, int64_t left)
{
	if (timeval_write(out, interval))
		return -EFAULT;
	/* A timer that still runs never reads as zero. */
	return timeval_write((char __user *)out + 16, left && left < 1000 ? 1000 : left);
}

SYSCALL(setitimer, int which, const void __user *new, void __user *old)
{
	int64_t value = 0, interval = 0, left, period;
	if (which < 0 || which >= ITIMERS)
		return -EINVAL;
	int err = new ? timeval_read(new, &interval) : 0;
	if (new && !err)
		err = timeval_read((const char __user *)new + 16, &value);
	if (!err)
		err = exchange(which, value, interval, &left, &period);
	if (err)
		return err;
	return old ? write_setting(old, period, left) : 0;
}

SYSCALL(getitimer, int which, void __user *out)
{
	int64_t left, period;
	if (which < 0 || which >= ITIMERS)
		return -EINVAL;
	int err = exchange(which, -1, 0, &left, &period);
	return err ? err : write_setting(out, period, left);
}

SYSCALL(alarm, unsigned seconds)
{
	int64_t left, period;
	int err = exchange(ITIMER_REAL, (int64_t)seconds * NSEC_PER_SEC, 0, &left, &period);
	if (err)
		return err;
	/* Rounded to the nearest second, but not to 0 while it was running. */
	int64_t rounded = (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return left && !rounded ? 1 : rounded;
}

void cpu_limit_changed(struct program *p)
{
	uint64_t soft = p->limits[RLIMIT_CPU].cur;
	mutex_lock(&p->timer_lock);
	struct itimer *t = soft == RLIM64_INFINITY && !p->itimers ? NULL : get(p, CPU_LIMIT);
	bool none = soft > INT64_MAX / NSEC_PER_SEC;
	if (t)
		clock_timer_set(
		    &t->c, none ? 0 : MAX((int64_t)soft * NSEC_PER_SEC, (int64_t)1), true, 0);
	mutex_unlock(&p->timer_lock);
}

void itimers_free(struct program *p)
{
	mutex_lock(&p->timer_lock);
	struct itimer_state *s = p->itimers;
	p->itimers = NULL;
	mutex_unlock(&p->timer_lock);
	for (int i = 0; s && i < TIMERS; i++)
		if (s->timer[i])
			clock_timer_delete(&s->timer[i]->c);
	kfree(s);
}
