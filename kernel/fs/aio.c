/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_setup() and its relatives, what libaio is made of. A context is an area of the application's
 * memory (its address is the context's name), so it goes with the address space; libaio reads there
 * that it has to ask the kernel for events.
 *
 * A request is carried out when it is submitted, as Linux does where a file system cannot do it
 * otherwise: for data in the page cache that is the fastest way.
 */
#include <linux/aio_abi.h>
#include <linux/mman.h>
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

#define MAX_EVENTS 65536 /* fs.aio-max-nr */

struct aio {
	atomic_int refs; /* areas (a split one counts twice) and calls at work */
	struct mutex lock;
	struct waitq wait;
	unsigned capacity, head, count;
	unsigned pending; /* of the free places, taken by calls at work */
	bool destroyed;
	struct io_event event[];
};

long sys_pread64(int fd, void __user *buf, size_t n, int64_t pos);
long sys_pwrite64(int fd, const void __user *buf, size_t n, int64_t pos);
long sys_preadv2(
    int fd, const void __user *vec, unsigned long n, int64_t pos, long high, int flags);
long sys_pwritev2(
    int fd, const void __user *vec, unsigned long n, int64_t pos, long high, int flags);
long sys_fsync(int fd);
long sys_fdatasync(int fd);

static void aio_put(struct aio *a)
{
	if (atomic_fetch_sub(&a->refs, 1) == 1)
		kfree(a);
}

static void area_open(struct vma *v)
{
	atomic_fetch_add(&((struct aio *)v->private)->refs, 1);
}

static void area_close(struct vma *v)
{
	aio_put(v->private);
}

static const char *area_name(struct vma *v)
{
	(void)v;
	return "/[aio]";
}

static const struct vma_ops aio_area_ops = {
    .open = area_open, .close = area_close, .name = area_name};

/* The context of that name, referenced, or NULL. */
static struct aio *aio_get(aio_context_t id)
{
	struct mm *m = current_program()->mm;
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, id);
	struct aio *a = v && v->start == id && v->ops == &aio_area_ops ? v->private : NULL;
	if (a)
		atomic_fetch_add(&a->refs, 1);
	rw_read_unlock(&m->lock);
	return a;
}

/* A forked program does not have its parent's contexts. */
static void keep_from_children(struct mm *m, uint64_t at)
{
	rw_write_lock(&m->lock);
	struct vma *v = mm_find(m, at);
	if (v && v->ops == &aio_area_ops)
		v->flags |= VMA_DONTFORK;
	rw_write_unlock(&m->lock);
}

SYSCALL(io_setup, unsigned nr, aio_context_t __user *id)
{
	struct mm *m = current_program()->mm;
	aio_context_t old;
	if (get_user(old, id))
		return -EFAULT;
	if (old || !nr)
		return -EINVAL;
	if (nr > MAX_EVENTS)
		return -EAGAIN;
	struct aio *a = kzalloc(sizeof *a + nr * sizeof a->event[0]);
	if (!a)
		return -ENOMEM;
	a->capacity = nr;
	waitq_init(&a->wait);
	atomic_init(&a->refs, 1);
	long at = mm_map_ops(m, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    &aio_area_ops, a, 0);
	aio_put(a);
	if (at < 0)
		return at;
	keep_from_children(m, (uint64_t)at);
	if (put_user((aio_context_t)at, id)) {
		mm_unmap(m, (uint64_t)at, PAGE_SIZE);
		return -EFAULT;
	}
	return 0;
}

SYSCALL(io_destroy, aio_context_t id)
{
	struct aio *a = aio_get(id);
	if (!a)
		return -EINVAL;
	mm_unmap(current_program()->mm, id, PAGE_SIZE);
	mutex_lock(&a->lock);
	a->destroyed = true;
	waitq_wake_all(&a->wait);
	mutex_unlock(&a->lock);
	aio_put(a);
	return 0;
}

static long carry_out(const struct iocb *c)
{
	int fd = (int)c->aio_fildes;
	void __user *buf = (void __user *)c->aio_buf;
	switch (c->aio_lio_opcode) {
	case IOCB_CMD_PREAD:
		return c->aio_rw_flags ? -EOPNOTSUPP
				       : sys_pread64(fd, buf, c->aio_nbytes, c->aio_offset);
	case IOCB_CMD_PWRITE:
		return c->aio_rw_flags ? -EOPNOTSUPP
				       : sys_pwrite64(fd, buf, c->aio_nbytes, c->aio_offset);
	case IOCB_CMD_PREADV:
		return sys_preadv2(fd, buf, c->aio_nbytes, c->aio_offset, 0, c->aio_rw_flags);
	case IOCB_CMD_PWRITEV:
		return sys_pwritev2(fd, buf, c->aio_nbytes, c->aio_offset, 0, c->aio_rw_flags);
	case IOCB_CMD_FSYNC:
		return sys_fsync(fd);
	case IOCB_CMD_FDSYNC:
		return sys_fdatasync(fd);
	}
	return -EINVAL;
}

static bool known(unsigned opcode)
{
	return opcode <= IOCB_CMD_FDSYNC || opcode == IOCB_CMD_PREADV || opcode == IOCB_CMD_PWRITEV;
}

/* 0: there will be an event, or the error of the submission itself. */
static int submit(struct aio *a, const struct iocb __user *user)
{
	struct iocb c;
	struct file *notify = NULL;
	if (copy_from_user(&c, user, sizeof c))
		return -EFAULT;
	if (c.aio_reserved2 || (c.aio_flags & ~(IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO)) ||
	    !known(c.aio_lio_opcode) || (int64_t)c.aio_nbytes < 0 || (int64_t)c.aio_offset < 0)
		return -EINVAL;
	struct file *f = fd_get((int)c.aio_fildes);
	if (is_err(f))
		return -EBADF;
	file_put(f);
	if (c.aio_flags & IOCB_FLAG_RESFD) {
		notify = fd_get((int)c.aio_resfd);
		if (is_err(notify))
			return -EBADF;
	}
	long result = carry_out(&c);
	if (result == -ERESTARTSYS || result == -ERESTARTNOINTR)
		result = -EINTR;
	mutex_lock(&a->lock);
	a->event[(a->head + a->count++) % a->capacity] =
	    (struct io_event){.data = c.aio_data, .obj = (uint64_t)(uintptr_t)user, .res = result};
	waitq_wake_all(&a->wait);
	mutex_unlock(&a->lock);
	if (notify) {
		uint64_t one = 1;
		int64_t pos = 0;
		file_write(notify, &one, sizeof one, &pos);
		file_put(notify);
	}
	return 0;
}

/* A place for the event of a request, until it is there. */
static bool reserve(struct aio *a)
{
	mutex_lock(&a->lock);
	bool room = a->count + a->pending < a->capacity;
	a->pending += room;
	mutex_unlock(&a->lock);
	return room;
}

static void unreserve(struct aio *a)
{
	mutex_lock(&a->lock);
	a->pending--;
	mutex_unlock(&a->lock);
}

SYSCALL(io_submit, aio_context_t id, long nr, struct iocb __user *__user *list)
{
	struct aio *a = aio_get(id);
	long done = 0;
	int err = 0;
	if (!a)
		return -EINVAL;
	if (nr < 0)
		err = -EINVAL;
	for (; !err && done < nr; done += !err) {
		struct iocb __user *c;
		if (!reserve(a)) {
			err = -EAGAIN;
			break;
		}
		err = get_user(c, list + done) ? -EFAULT : submit(a, c);
		unreserve(a);
	}
	aio_put(a);
	return done ? done : err;
}

/* Hands events over until there are none or nr; how many or -EFAULT. a->lock held. */
static long take_events(struct aio *a, long nr, struct io_event __user *out)
{
	long n = 0;
	while (n < nr && a->count) {
		if (copy_to_user(out + n, &a->event[a->head], sizeof *out))
			return n ? n : -EFAULT;
		a->head = (a->head + 1) % a->capacity;
		a->count--;
		n++;
	}
	return n;
}

static long get_events(
    aio_context_t id, long min, long nr, struct io_event __user *out, const void __user *timeout)
{
	int64_t deadline = NO_DEADLINE;
	int err = timeout ? timespec_deadline(timeout, &deadline) : 0;
	if (err)
		return err;
	if (min < 0 || nr < min)
		return -EINVAL;
	struct aio *a = aio_get(id);
	if (!a)
		return -EINVAL;
	long done = 0;
	mutex_lock(&a->lock);
	for (;;) {
		long n = take_events(a, nr - done, out + done);
		if (n < 0) {
			err = (int)n;
			break;
		}
		done += n;
		if (done >= min)
			break;
		if (a->destroyed) {
			err = -EINVAL;
			break;
		}
		err = waitq_wait(&a->wait, &a->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err == -ETIMEDOUT) {
			done += MAX(take_events(a, nr - done, out + done), 0l);
			err = 0;
			break;
		}
		if (err)
			break;
	}
	mutex_unlock(&a->lock);
	aio_put(a);
	return done || !err ? done : err;
}

SYSCALL(io_getevents, aio_context_t id, long min, long nr, struct io_event __user *out,
    const void __user *timeout)
{
	return get_events(id, min, nr, out, timeout);
}

struct sigset_arg {
	const void __user *mask;
	size_t size;
};

SYSCALL(io_pgetevents, aio_context_t id, long min, long nr, struct io_event __user *out,
    const void __user *timeout, const struct sigset_arg __user *signals)
{
	struct sigset_arg s = {0};
	if (signals && copy_from_user(&s, signals, sizeof s))
		return -EFAULT;
	int err = s.mask ? signal_set_temporary_mask(s.mask, s.size) : 0;
	return err ? err : get_events(id, min, nr, out, timeout);
}

/* What was submitted is complete. */
SYSCALL(io_cancel, aio_context_t id, struct iocb __user *iocb, struct io_event __user *out)
{
	struct aio *a = aio_get(id);
	(void)iocb;
	(void)out;
	if (!a)
		return -EINVAL;
	aio_put(a);
	return -EAGAIN;
}
