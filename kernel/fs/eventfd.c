/* SPDX-License-Identifier: BSD-3-Clause */
/* eventfd: a 64-bit counter that reads drain and writes add to. */
#include <asm/fcntl.h>
#include <linux/eventpoll.h>
#include "fs/special.h"
#include "mm/kmalloc.h"
#include "sys/syscall.h"

#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK
#define COUNTER_MAX (UINT64_MAX - 1)

struct eventfd {
	struct mutex lock;
	uint64_t count;
	bool semaphore;
	struct waitq wait; /* readers and writers: each looks again */
	struct poll_head head;
};

static long eventfd_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct eventfd *e = f->private;
	if (to->count < sizeof e->count)
		return -EINVAL;
	mutex_lock(&e->lock);
	while (!e->count) {
		int err = f->flags & O_NONBLOCK
			      ? -EAGAIN
			      : waitq_wait(&e->wait, &e->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (err) {
			mutex_unlock(&e->lock);
			return err == -EINTR ? -ERESTARTSYS : err;
		}
	}
	uint64_t v = e->semaphore ? 1 : e->count;
	e->count -= v;
	waitq_wake_all(&e->wait);
	mutex_unlock(&e->lock);
	poll_notify(&e->head, EPOLLOUT | EPOLLWRNORM);
	return iter_to(to, &v, sizeof v) == sizeof v ? (long)sizeof v : -EFAULT;
}

static long eventfd_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)pos;
	struct eventfd *e = f->private;
	uint64_t v;
	if (from->count < sizeof v)
		return -EINVAL;
	if (iter_from(from, &v, sizeof v) != sizeof v)
		return -EFAULT;
	if (v == UINT64_MAX)
		return -EINVAL;
	mutex_lock(&e->lock);
	while (COUNTER_MAX - e->count < v) {
		int err = f->flags & O_NONBLOCK
			      ? -EAGAIN
			      : waitq_wait(&e->wait, &e->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (err) {
			mutex_unlock(&e->lock);
			return err == -EINTR ? -ERESTARTSYS : err;
		}
	}
	e->count += v;
	waitq_wake_all(&e->wait);
	mutex_unlock(&e->lock);
	poll_notify(&e->head, EPOLLIN | EPOLLRDNORM);
	return sizeof v;
}

static unsigned eventfd_poll(struct file *f)
{
	struct eventfd *e = f->private;
	mutex_lock(&e->lock);
	unsigned r = (e->count ? EPOLLIN | EPOLLRDNORM : 0) |
		     (e->count < COUNTER_MAX ? EPOLLOUT | EPOLLWRNORM : 0);
	mutex_unlock(&e->lock);
	return r;
}

static struct poll_head *eventfd_poll_head(struct file *f)
{
	return &((struct eventfd *)f->private)->head;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->private;
	poll_head_destroy(&e->head);
	kfree(e);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .poll_head = eventfd_poll_head,
    .release = eventfd_release,
};

static long create(unsigned initial, int flags)
{
	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	struct eventfd *e = kzalloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	e->count = initial;
	e->semaphore = flags & EFD_SEMAPHORE;
	waitq_init(&e->wait);
	poll_head_init(&e->head);
	struct file *f =
	    file_anonymous("[eventfd]", &eventfd_ops, e, O_RDWR | (flags & O_NONBLOCK), 0600);
	if (!f)
		kfree(e);
	return fd_install_new(f, flags & EFD_CLOEXEC);
}

SYSCALL(eventfd2, unsigned initial, int flags)
{
	return create(initial, flags);
}

SYSCALL(eventfd, unsigned initial)
{
	return create(initial, 0);
}
