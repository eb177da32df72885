/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pipes and FIFOs: a ring of page-sized slots. A write of at most PIPE_BUF bytes is atomic: it
 * either fits (into the last slot's rest or a free slot) or waits. The capacity counts slots, as on
 * Linux.
 */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/stat.h>
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define DEFAULT_SLOTS 16
#define MAX_SLOTS_UNPRIVILEGED 256 /* 1 MiB, as fs.pipe-max-size */
#define MAX_SLOTS 65536
#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#endif

struct slot {
	struct page *page;
	uint16_t start, end;
	bool packet; /* O_DIRECT: a read takes at most one and drops its rest */
	bool shared; /* with another pipe, by tee(): nothing may be appended */
};

struct pipe {
	struct mutex lock;
	unsigned refs; /* open ends and the inode of a FIFO; under lock */
	unsigned readers, writers;
	unsigned reader_opens, writer_opens; /* ever: FIFO opens wait for a change */
	unsigned first, used, nslots;
	struct slot *slots;
	struct page *spare;
	bool anonymous; /* pipe(), not a FIFO: opening an end again waits for nobody */
	struct waitq read_wait, write_wait, open_wait;
	struct poll_head head;
};

static struct mutex fifo_create_mutex = MUTEX_INIT;

static struct pipe *pipe_new(void)
{
	struct pipe *p = kzalloc(sizeof *p);
	struct slot *slots = kzalloc(DEFAULT_SLOTS * sizeof *slots);
	if (!p || !slots) {
		kfree(p);
		kfree(slots);
		return NULL;
	}
	p->slots = slots;
	p->nslots = DEFAULT_SLOTS;
	waitq_init(&p->read_wait);
	waitq_init(&p->write_wait);
	waitq_init(&p->open_wait);
	poll_head_init(&p->head);
	return p;
}

static void drop_contents(struct pipe *p)
{
	for (; p->used; p->used--) {
		page_put(p->slots[p->first].page);
		p->first = (p->first + 1) % p->nslots;
	}
	if (p->spare)
		page_put(p->spare);
	p->spare = NULL;
}

static void pipe_free(struct pipe *p)
{
	drop_contents(p);
	poll_head_destroy(&p->head);
	kfree(p->slots);
	kfree(p);
}

/* Called with p->lock held, releases it. */
static void unref_unlock(struct pipe *p)
{
	bool last = --p->refs == 0;
	mutex_unlock(&p->lock);
	if (last)
		pipe_free(p);
}

static void release_first(struct pipe *p)
{
	struct slot *s = &p->slots[p->first];
	if (p->spare || atomic_load(&s->page->refs) > 1)
		page_put(s->page);
	else
		p->spare = s->page;
	s->page = NULL;
	p->first = (p->first + 1) % p->nslots;
	p->used--;
}

/* Moves what is there; bytes, or -EFAULT if nothing could be moved. lock held. */
static long take_bytes(struct pipe *p, struct iter *to)
{
	long done = 0;
	while (p->used && to->count) {
		struct slot *s = &p->slots[p->first];
		size_t n = MIN((size_t)(s->end - s->start), to->count);
		size_t moved = iter_to(to, (char *)page_virt(s->page) + s->start, n);
		s->start += moved;
		done += moved;
		if (moved < n)
			return done ? done : -EFAULT;
		bool packet = s->packet;
		if (s->start == s->end || packet)
			release_first(p);
		if (packet)
			break;
	}
	return done;
}

static long pipe_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct pipe *p = f->private;
	if (!to->count)
		return 0;
	long r = 0;
	mutex_lock(&p->lock);
	while (!p->used) {
		if (!p->writers)
			goto out;
		r = f->flags & O_NONBLOCK
			? -EAGAIN
			: waitq_wait(&p->read_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (r) {
			r = r == -EINTR ? -ERESTARTSYS : r;
			goto out;
		}
	}
	bool was_full = p->used == p->nslots;
	r = take_bytes(p, to);
	if (r > 0)
		waitq_wake_all(&p->write_wait);
	/* More is there: the next reader need not wait for another write. */
	if (p->used)
		waitq_wake(&p->read_wait, 1);
	bool notify = was_full && p->used < p->nslots;
	mutex_unlock(&p->lock);
	if (notify)
		poll_notify(&p->head, EPOLLOUT | EPOLLWRNORM);
	return r;
out:
	mutex_unlock(&p->lock);
	return r;
}

static struct page *new_page(struct pipe *p)
{
	struct page *page = p->spare;
	p->spare = NULL;
	return page ? page : page_alloc(0, 0);
}

/* Fills one free slot or the rest of the last one; bytes or -errno. lock held, room for it is
 * there. */
static long put_some(struct pipe *p, struct iter *from, bool packet)
{
	if (p->used && !packet) {
		struct slot *last = &p->slots[(p->first + p->used - 1) % p->nslots];
		size_t room = PAGE_SIZE - last->end;
		/* Merging must not split an atomic write over two slots it might not get. */
		if (!last->packet && !last->shared && room &&
		    (from->count <= room || from->count > PAGE_SIZE)) {
			size_t n = MIN(room, from->count);
			size_t moved =
			    iter_from(from, (char *)page_virt(last->page) + last->end, n);
			last->end += moved;
			return moved ? (long)moved : -EFAULT;
		}
	}
	if (p->used == p->nslots)
		return 0;
	struct page *page = new_page(p);
	if (!page)
		return -ENOMEM;
	size_t moved = iter_from(from, page_virt(page), MIN(PAGE_SIZE, from->count));
	if (!moved) {
		page_put(page);
		return -EFAULT;
	}
	p->slots[(p->first + p->used++) % p->nslots] = (struct slot){page, 0, moved, packet, false};
	return moved;
}

static long no_reader(void)
{
	signal_send_thread(current_thread(), SIGPIPE, NULL);
	return -EPIPE;
}

static long pipe_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)pos;
	struct pipe *p = f->private;
	if (!from->count)
		return 0;
	long done = 0, r = 0;
	bool packet = f->flags & O_DIRECT, notify = false;
	mutex_lock(&p->lock);
	while (from->count) {
		if (!p->readers) {
			r = -EPIPE;
			break;
		}
		r = put_some(p, from, packet);
		if (r < 0)
			break;
		if (r > 0) {
			done += r;
			notify = true;
			continue;
		}
		if (f->flags & O_NONBLOCK) {
			r = -EAGAIN;
			break;
		}
		waitq_wake_all(&p->read_wait);
		if (notify) {
			mutex_unlock(&p->lock);
			poll_notify(&p->head, EPOLLIN | EPOLLRDNORM);
			mutex_lock(&p->lock);
			notify = false;
			if (p->used < p->nslots)
				continue;
		}
		r = waitq_wait(&p->write_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (r) {
			r = r == -EINTR ? -ERESTARTSYS : r;
			break;
		}
	}
	if (notify)
		waitq_wake_all(&p->read_wait);
	mutex_unlock(&p->lock);
	if (notify)
		poll_notify(&p->head, EPOLLIN | EPOLLRDNORM);
	if (done)
		return done;
	return r == -EPIPE ? no_reader() : r;
}

static unsigned pipe_poll(struct file *f)
{
	struct pipe *p = f->private;
	unsigned r = 0;
	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ) {
		if (p->used)
			r |= EPOLLIN | EPOLLRDNORM;
		/* A FIFO nobody has written to yet is not at its end. */
		if (!p->writers && p->writer_opens != (unsigned)f->pos)
			r |= EPOLLHUP;
	}
	if (f->mode & FMODE_WRITE) {
		if (p->used < p->nslots)
			r |= EPOLLOUT | EPOLLWRNORM;
		if (!p->readers)
			r |= EPOLLERR;
	}
	mutex_unlock(&p->lock);
	return r;
}

static void lock_both(struct pipe *a, struct pipe *b)
{
	mutex_lock(a < b ? &a->lock : &b->lock);
	mutex_lock(a < b ? &b->lock : &a->lock);
}

/* Waits until `in` has data and `out` has room: 1 with both locked; 0 (nothing will come) or an
 * error with neither. */
static int tee_wait(struct pipe *in, struct pipe *out, bool nonblock)
{
	int r = 0;
	for (;;) {
		lock_both(in, out);
		bool full = out->used == out->nslots;
		if (!out->readers) {
			r = -EPIPE;
			break;
		}
		if (in->used && !full)
			return 1;
		if (!in->used && !in->writers)
			break;
		if (nonblock) {
			r = -EAGAIN;
			break;
		}
		struct pipe *p = in->used ? out : in;
		mutex_unlock(p == in ? &out->lock : &in->lock);
		r = waitq_wait(p == in ? &in->read_wait : &out->write_wait, &p->lock, NO_DEADLINE,
		    WAIT_INTERRUPTIBLE);
		mutex_unlock(&p->lock);
		if (r)
			return r == -EINTR ? -ERESTARTSYS : r;
	}
	mutex_unlock(&in->lock);
	mutex_unlock(&out->lock);
	return r;
}

long pipe_tee(struct file *from, struct file *to, size_t n, bool nonblock)
{
	struct pipe *in = from->private, *out = to->private;
	long done = 0;
	if (in == out)
		return -EINVAL;
	int r = tee_wait(in, out, nonblock);
	if (r <= 0)
		return r == -EPIPE ? no_reader() : r;
	for (unsigned i = 0; i < in->used && out->used < out->nslots && n; i++) {
		struct slot *s = &in->slots[(in->first + i) % in->nslots], copy = *s;
		copy.end = MIN((size_t)copy.end, copy.start + n);
		copy.shared = s->shared = true;
		page_get(copy.page);
		out->slots[(out->first + out->used++) % out->nslots] = copy;
		n -= copy.end - copy.start;
		done += copy.end - copy.start;
	}
	waitq_wake_all(&out->read_wait);
	waitq_wake(&in->read_wait, 1); /* data stays for who reads it */
	mutex_unlock(&in->lock);
	mutex_unlock(&out->lock);
	poll_notify(&out->head, EPOLLIN | EPOLLRDNORM);
	return done;
}

static struct poll_head *pipe_poll_head(struct file *f)
{
	return &((struct pipe *)f->private)->head;
}

static long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct pipe *p = f->private;
	if (cmd != FIONREAD)
		return -ENOTTY;
	int n = 0;
	mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->used; i++) {
		struct slot *s = &p->slots[(p->first + i) % p->nslots];
		n += s->end - s->start;
	}
	mutex_unlock(&p->lock);
	return put_user(n, (int __user *)arg);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;
	mutex_lock(&p->lock);
	p->readers -= !!(f->mode & FMODE_READ);
	p->writers -= !!(f->mode & FMODE_WRITE);
	if (!p->readers && !p->writers)
		drop_contents(p);
	waitq_wake_all(&p->read_wait);
	waitq_wake_all(&p->write_wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->head, EPOLLHUP | EPOLLERR | EPOLLIN | EPOLLOUT);
	mutex_lock(&p->lock);
	unref_unlock(p);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .poll_head = pipe_poll_head,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops;
}

static void attach_end(struct pipe *p, struct file *f)
{
	f->ops = &pipe_ops;
	f->private = p;
	f->mode |= FMODE_STREAM;
	p->refs++;
	p->readers += !!(f->mode & FMODE_READ);
	p->writers += !!(f->mode & FMODE_WRITE);
}

/* The pipe behind a FIFO's inode lives as long as an end is open or the inode exists; locked. */
static struct pipe *fifo_pipe(struct inode *i)
{
	mutex_lock(&fifo_create_mutex);
	struct pipe *p = i->object;
	if (!p && (p = pipe_new())) {
		p->refs = 1;
		i->object = p;
	}
	mutex_unlock(&fifo_create_mutex);
	if (p)
		mutex_lock(&p->lock);
	return p;
}

void fifo_evict(struct inode *i)
{
	struct pipe *p = i->object;
	if (!p)
		return;
	i->object = NULL;
	mutex_lock(&p->lock);
	unref_unlock(p);
}

/* Waits until *opens moved from its value; the other end came (and may be gone again). */
static int wait_for_opens(struct pipe *p, unsigned *opens)
{
	unsigned seen = *opens;
	while (*opens == seen) {
		int err = waitq_wait(&p->open_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -EINTR ? -ERESTARTSYS : err;
	}
	return 0;
}

int fifo_open(struct inode *i, struct file *f)
{
	bool rd = f->mode & FMODE_READ, wr = f->mode & FMODE_WRITE,
	     nonblock = f->flags & O_NONBLOCK;
	struct pipe *p = fifo_pipe(i);
	if (!p)
		return -ENOMEM;
	int err = 0;
	if (wr && !rd && nonblock && !p->readers && !p->anonymous) {
		mutex_unlock(&p->lock);
		return -ENXIO;
	}
	f->pos = p->writers || p->anonymous ? -1 : (int64_t)p->writer_opens;
	attach_end(p, f);
	p->reader_opens += rd;
	p->writer_opens += wr;
	waitq_wake_all(&p->open_wait);
	if (p->anonymous)
		err = 0;
	else if (rd && !wr && !nonblock && !p->writers)
		err = wait_for_opens(p, &p->writer_opens);
	else if (wr && !rd && !nonblock && !p->readers)
		err = wait_for_opens(p, &p->reader_opens);
	if (err) {
		p->readers -= rd;
		p->writers -= wr;
		waitq_wake_all(&p->read_wait);
		waitq_wake_all(&p->write_wait);
		f->ops = NULL;
		f->private = NULL;
		unref_unlock(p);
		return err;
	}
	mutex_unlock(&p->lock);
	poll_notify(&p->head, EPOLLIN | EPOLLOUT);
	return 0;
}

static int resize(struct pipe *p, unsigned long bytes)
{
	unsigned long n = 1;
	while (n * PAGE_SIZE < bytes && n < MAX_SLOTS)
		n *= 2;
	if (n * PAGE_SIZE < bytes)
		return -EINVAL;
	if (n > MAX_SLOTS_UNPRIVILEGED && n > p->nslots && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (n < p->used)
		return -EBUSY;
	struct slot *slots = kzalloc(n * sizeof *slots);
	if (!slots)
		return -ENOMEM;
	for (unsigned k = 0; k < p->used; k++)
		slots[k] = p->slots[(p->first + k) % p->nslots];
	kfree(p->slots);
	p->slots = slots;
	p->first = 0;
	p->nslots = n;
	return n * PAGE_SIZE;
}

long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg)
{
	if (!file_is_pipe(f))
		return -EBADF;
	struct pipe *p = f->private;
	mutex_lock(&p->lock);
	long r = cmd == F_SETPIPE_SZ ? resize(p, arg) : (long)(p->nslots * PAGE_SIZE);
	if (cmd == F_SETPIPE_SZ && r > 0)
		waitq_wake_all(&p->write_wait);
	mutex_unlock(&p->lock);
	if (cmd == F_SETPIPE_SZ && r > 0)
		poll_notify(&p->head, EPOLLOUT);
	return r;
}

/* Both ends of a new pipe; O_NONBLOCK and O_DIRECT in flags. */
static int make_ends(struct file *end[2], int flags)
{
	struct pipe *p = pipe_new();
	if (!p)
		return -ENOMEM;
	end[0] = file_anonymous("pipe", &pipe_ops, p, O_RDONLY | flags, S_IFIFO | 0600);
	if (!end[0]) {
		pipe_free(p);
		return -ENOMEM;
	}
	p->writer_opens = 1;
	p->anonymous = true;
	attach_end(p, end[0]);
	/* Opening /proc/self/fd/N finds the pipe through the inode, as a FIFO's. */
	p->refs++;
	end[0]->inode->object = p;
	end[1] = file_new(end[0]->inode, end[0]->dentry, &pipe_ops, O_WRONLY | flags);
	if (!end[1]) {
		file_put(end[0]);
		return -ENOMEM;
	}
	attach_end(p, end[1]);
	return 0;
}

static long create(int __user *fds, int flags)
{
	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	struct file *end[2];
	int err = make_ends(end, flags & (O_NONBLOCK | O_DIRECT));
	if (err)
		return err;
	int fd[2];
	fd[0] = fd_install(end[0], 0, flags & O_CLOEXEC);
	if (fd[0] < 0) {
		file_put(end[0]);
		file_put(end[1]);
		return fd[0];
	}
	fd[1] = fd_install(end[1], 0, flags & O_CLOEXEC);
	if (fd[1] < 0) {
		fd_close(fd[0]);
		file_put(end[1]);
		return fd[1];
	}
	if (copy_to_user(fds, fd, sizeof fd)) {
		fd_close(fd[0]);
		fd_close(fd[1]);
		return -EFAULT;
	}
	return 0;
}

SYSCALL(pipe2, int __user *fds, int flags)
{
	return create(fds, flags);
}

SYSCALL(pipe, int __user *fds)
{
	return create(fds, 0);
}
