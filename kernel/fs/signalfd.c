/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signalfd: blocked signals as readable records. The signals are those of whoever reads or polls,
 * so the descriptor watches each program that has used it.
 */
#include <asm/fcntl.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/signalfd.h>
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sys/syscall.h"

struct signalfd;

struct program_watch {
	struct signal_watch watch;
	struct signalfd *owner;
	struct program *program; /* referenced */
	struct program_watch *next;
};

struct signalfd {
	struct mutex lock; /* below signals.lock of any program */
	_Atomic sigset64 mask;
	_Atomic unsigned events; /* changes with every signal: see signalfd_read() */
	struct mutex watch_lock;
	struct program_watch *watches;
	struct waitq wait;
	struct poll_head head;
};

static void signal_came(struct signal_watch *w, int sig)
{
	struct signalfd *s = container_of(w, struct program_watch, watch)->owner;
	if (!(atomic_load(&s->mask) & SIGBIT(sig)))
		return;
	mutex_lock(&s->lock);
	atomic_fetch_add(&s->events, 1);
	waitq_wake_all(&s->wait);
	mutex_unlock(&s->lock);
	poll_notify(&s->head, EPOLLIN | EPOLLRDNORM);
}

static int watch_current(struct signalfd *s)
{
	struct program *p = current_program();
	mutex_lock(&s->watch_lock);
	struct program_watch *w = s->watches;
	while (w && w->program != p)
		w = w->next;
	bool known = w;
	if (!known && (w = kzalloc(sizeof *w))) {
		*w = (struct program_watch){{.fn = signal_came}, s, p, s->watches};
		atomic_fetch_add(&p->refs, 1);
		s->watches = w;
		signal_watch_add(&w->watch);
	}
	mutex_unlock(&s->watch_lock);
	return w ? 0 : -ENOMEM;
}

static void fill(struct signalfd_siginfo *o, int sig, const struct ksiginfo *i)
{
	memset(o, 0, sizeof *o);
	o->ssi_signo = sig;
	o->ssi_errno = i->err;
	o->ssi_code = i->code;
	switch (sig) {
	case SIGCHLD:
		o->ssi_pid = i->cpid;
		o->ssi_uid = i->cuid;
		o->ssi_status = i->status;
		o->ssi_utime = i->utime;
		o->ssi_stime = i->stime;
		break;
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
		if (i->code > 0) {
			o->ssi_addr = i->addr;
			break;
		}
		/* fallthrough */
	default:
		if (i->code == -2) { /* SI_TIMER */
			o->ssi_tid = i->timerid;
			o->ssi_overrun = i->overrun;
			o->ssi_ptr = i->timer_value;
			o->ssi_int = (int32_t)i->timer_value;
			break;
		}
		o->ssi_pid = i->pid;
		o->ssi_uid = i->uid;
		o->ssi_ptr = i->value;
		o->ssi_int = (int32_t)i->value;
	}
}

static int wait_signal(struct signalfd *s, struct file *f, unsigned seen)
{
	int err = 0;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	mutex_lock(&s->lock);
	while (atomic_load(&s->events) == seen && !err)
		err = waitq_wait(&s->wait, &s->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	mutex_unlock(&s->lock);
	return err == -EINTR ? -ERESTARTSYS : err;
}

static long signalfd_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct signalfd *s = f->private;
	struct signalfd_siginfo out;
	struct ksiginfo info;
	long done = 0;
	if (to->count < sizeof out)
		return -EINVAL;
	int err = watch_current(s);
	if (err)
		return err;
	while (to->count >= sizeof out) {
		/* Taking needs signals.lock, which signal_came() holds when it takes s->lock; so
		 * the wait relies on the counter read before the look instead of a lock around
		 * both. */
		unsigned seen = atomic_load(&s->events);
		int sig = signal_take(atomic_load(&s->mask), &info);
		if (sig) {
			fill(&out, sig, &info);
			if (iter_to(to, &out, sizeof out) != sizeof out)
				return done ? done : -EFAULT;
			done += sizeof out;
			continue;
		}
		if (done)
			break;
		err = wait_signal(s, f, seen);
		if (err)
			return err;
	}
	return done;
}

static unsigned signalfd_poll(struct file *f)
{
	struct signalfd *s = f->private;
	watch_current(s);
	return signal_pending_set() & atomic_load(&s->mask) ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct poll_head *signalfd_poll_head(struct file *f)
{
	return &((struct signalfd *)f->private)->head;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->private;
	struct program_watch *w = s->watches;
	while (w) {
		struct program_watch *next = w->next;
		signal_watch_remove(w->program, &w->watch);
		program_put(w->program);
		kfree(w);
		w = next;
	}
	poll_head_destroy(&s->head);
	kfree(s);
}

static void signalfd_fdinfo(struct file *f, char *buf, size_t n)
{
	snprintf(buf, n, "sigmask:\t%016lx\n", atomic_load(&((struct signalfd *)f->private)->mask));
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .poll_head = signalfd_poll_head,
    .release = signalfd_release,
    .show_fdinfo = signalfd_fdinfo,
};

static long create(sigset64 mask, int flags)
{
	struct signalfd *s = kzalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	atomic_init(&s->mask, mask);
	waitq_init(&s->wait);
	poll_head_init(&s->head);
	struct file *f =
	    file_anonymous("[signalfd]", &signalfd_ops, s, O_RDWR | (flags & O_NONBLOCK), 0600);
	if (!f)
		kfree(s);
	else
		watch_current(s);
	return fd_install_new(f, flags & SFD_CLOEXEC);
}

static long change(int fd, sigset64 mask)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	bool ours = f->ops == &signalfd_ops;
	if (ours) {
		struct signalfd *s = f->private;
		atomic_store(&s->mask, mask);
		mutex_lock(&s->lock);
		atomic_fetch_add(&s->events, 1);
		waitq_wake_all(&s->wait);
		mutex_unlock(&s->lock);
		poll_notify(&s->head, EPOLLIN);
	}
	file_put(f);
	return ours ? fd : -EINVAL;
}

static long signalfd(int fd, const void __user *umask, size_t size, int flags)
{
	sigset64 mask;
	if (size != sizeof mask || flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (copy_from_user(&mask, umask, sizeof mask))
		return -EFAULT;
	mask &= ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	return fd == -1 ? create(mask, flags) : change(fd, mask);
}

SYSCALL(signalfd4, int fd, const void __user *mask, size_t size, int flags)
{
	return signalfd(fd, mask, size, flags);
}

SYSCALL(signalfd, int fd, const void __user *mask, size_t size)
{
	return signalfd(fd, mask, size, 0);
}
