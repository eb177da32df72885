/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timerfd: expirations as readable events. Expirations are not counted by the timer, which only
 * wakes people; whoever looks computes how many have passed from the time of the first and the
 * interval.
 */
#include <asm/fcntl.h>
#include <linux/eventpoll.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/timer.h"
#include "sched/work.h"
#include "sys/syscall.h"

struct timerfd {
	atomic_int refs; /* the file, and the work while it is queued */
	struct mutex lock;
	int clock;
	int64_t next; /* monotonic ns of the first expiration not counted; NO_DEADLINE: disarmed */
	int64_t interval;
	uint64_t expirations;
	struct timer timer;
	struct work work;
	struct waitq wait;
	struct poll_head head;
};

static void timerfd_put(struct timerfd *t)
{
	if (atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	poll_head_destroy(&t->head);
	kfree(t);
}

static void expired(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	atomic_fetch_add(&t->refs, 1);
	if (!work_queue(&t->work))
		atomic_fetch_sub(&t->refs, 1); /* queued already, with its own reference */
}

/* Counts what has expired by now. lock held. */
static void count(struct timerfd *t)
{
	int64_t now = time_now();
	if (now < t->next)
		return;
	if (!t->interval) {
		t->expirations++;
		t->next = NO_DEADLINE;
		return;
	}
	int64_t n = (now - t->next) / t->interval + 1;
	t->expirations += n;
	t->next += n * t->interval;
}

static void announce(struct work *w)
{
	struct timerfd *t = container_of(w, struct timerfd, work);
	mutex_lock(&t->lock);
	count(t);
	if (t->next != NO_DEADLINE)
		timer_arm(&t->timer, t->next);
	bool ready = t->expirations;
	waitq_wake_all(&t->wait);
	mutex_unlock(&t->lock);
	if (ready)
		poll_notify(&t->head, EPOLLIN | EPOLLRDNORM);
	timerfd_put(t);
}

static long timerfd_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct timerfd *t = f->private;
	uint64_t n;
	int err = 0;
	if (to->count < sizeof n)
		return -EINVAL;
	mutex_lock(&t->lock);
	for (count(t); !t->expirations && !err; count(t))
		err = f->flags & O_NONBLOCK
			  ? -EAGAIN
			  : waitq_wait(&t->wait, &t->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	n = t->expirations;
	if (n)
		t->expirations = 0;
	mutex_unlock(&t->lock);
	if (!n)
		return err == -EINTR ? -ERESTARTSYS : err;
	return iter_to(to, &n, sizeof n) == sizeof n ? (long)sizeof n : -EFAULT;
}

static unsigned timerfd_poll(struct file *f)
{
	struct timerfd *t = f->private;
	mutex_lock(&t->lock);
	count(t);
	unsigned r = t->expirations ? EPOLLIN | EPOLLRDNORM : 0;
	mutex_unlock(&t->lock);
	return r;
}

static struct poll_head *timerfd_poll_head(struct file *f)
{
	return &((struct timerfd *)f->private)->head;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;
	mutex_lock(&t->lock);
	t->next = NO_DEADLINE; /* work that is still to run must not arm it again */
	mutex_unlock(&t->lock);
	timer_cancel_wait(&t->timer);
	timerfd_put(t);
}

static void timerfd_fdinfo(struct file *f, char *buf, size_t n)
{
	struct timerfd *t = f->private;
	snprintf(buf, n, "clockid: %d\nticks: %lu\n", t->clock, t->expirations);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .poll_head = timerfd_poll_head,
    .release = timerfd_release,
    .show_fdinfo = timerfd_fdinfo,
};

SYSCALL(timerfd_create, int clock, int flags)
{
	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	struct timerfd *t = kzalloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	atomic_init(&t->refs, 1);
	t->clock = clock;
	t->next = NO_DEADLINE;
	timer_init(&t->timer, expired);
	work_init(&t->work, announce);
	waitq_init(&t->wait);
	poll_head_init(&t->head);
	struct file *f =
	    file_anonymous("[timerfd]", &timerfd_ops, t, O_RDWR | (flags & O_NONBLOCK), 0600);
	if (!f)
		kfree(t);
	return fd_install_new(f, flags & TFD_CLOEXEC);
}

static int to_ns(const struct __kernel_timespec *ts, int64_t *ns)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	/* Far enough in the future is for ever; a quarter of the range leaves room for sums. */
	int64_t sec = MIN((int64_t)ts->tv_sec, INT64_MAX / 4 / NSEC_PER_SEC);
	*ns = sec * NSEC_PER_SEC + ts->tv_nsec;
	return 0;
}

/* The time left and the interval. lock held. */
static struct __kernel_itimerspec state(const struct timerfd *t)
{
	int64_t left = t->next == NO_DEADLINE ? 0 : MAX(t->next - time_now(), (int64_t)1);
	return (struct __kernel_itimerspec){
	    .it_interval = {t->interval / NSEC_PER_SEC, t->interval % NSEC_PER_SEC},
	    .it_value = {left / NSEC_PER_SEC, left % NSEC_PER_SEC},
	};
}

static struct file *timer_file(int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f) || f->ops == &timerfd_ops)
		return f;
	file_put(f);
	return err_ptr(-EINVAL);
}

SYSCALL(timerfd_settime, int fd, int flags, const struct __kernel_itimerspec __user *unew,
    struct __kernel_itimerspec __user *uold)
{
	struct __kernel_itimerspec spec, old;
	int64_t value, interval;
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	if (copy_from_user(&spec, unew, sizeof spec))
		return -EFAULT;
	if (to_ns(&spec.it_value, &value) || to_ns(&spec.it_interval, &interval))
		return -EINVAL;
	struct file *f = timer_file(fd);
	if (is_err(f))
		return ptr_err(f);
	struct timerfd *t = f->private;
	bool wall = t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM;
	mutex_lock(&t->lock);
	count(t);
	old = state(t);
	t->interval = interval;
	t->expirations = 0;
	if (!value)
		t->next = NO_DEADLINE;
	else if (flags & TFD_TIMER_ABSTIME)
		t->next = MAX(value - (wall ? time_wall_offset() : 0), (int64_t)0);
	else
		t->next = time_now() + value;
	if (t->next == NO_DEADLINE)
		timer_cancel(&t->timer);
	else
		timer_arm(&t->timer, t->next);
	mutex_unlock(&t->lock);
	file_put(f);
	return uold ? copy_to_user(uold, &old, sizeof old) : 0;
}

SYSCALL(timerfd_gettime, int fd, struct __kernel_itimerspec __user *uold)
{
	struct file *f = timer_file(fd);
	if (is_err(f))
		return ptr_err(f);
	struct timerfd *t = f->private;
	mutex_lock(&t->lock);
	count(t);
	struct __kernel_itimerspec old = state(t);
	mutex_unlock(&t->lock);
	file_put(f);
	return copy_to_user(uold, &old, sizeof old);
}
