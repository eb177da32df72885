/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pseudo-terminals: /dev/ptmx makes a pair; the slave is /dev/pts/N, a terminal whose output waits
 * in the pair's buffer for the master to read. A pair lives until master and slaves are all closed.
 */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/stat.h>
#include "drivers/tty.h"
#include "fs/pseudo.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/signal.h"
#include "sys/syscall.h"

#define MAX_PAIRS 4096
#define OUTPUT_SIZE 8192
#define SLAVE_MAJOR 136

struct pty {
	struct tty tty;	      /* the slave */
	unsigned index, refs; /* refs: master and slave files; under pairs_lock */
	unsigned slaves;
	bool slave_opened, master_gone, locked;
	struct mutex lock; /* the output buffer */
	char out[OUTPUT_SIZE];
	unsigned head, count;
	struct waitq master_wait; /* for output */
	struct waitq room_wait;	  /* slave writers */
	struct waitq input_wait;  /* master writers, under lock */
	struct poll_head master_poll;
};

static struct mutex pairs_lock = MUTEX_INIT;
static struct pty *pairs[MAX_PAIRS];

static struct pty *pty_of(struct tty *t)
{
	return container_of(t, struct pty, tty);
}

/* ---- the slave's driver ---- */

static size_t pty_output(struct tty *t, const char *s, size_t n)
{
	struct pty *p = pty_of(t);
	size_t done = 0;
	mutex_lock(&p->lock);
	while (done < n && p->count < OUTPUT_SIZE && !p->master_gone)
		p->out[(p->head + p->count++) % OUTPUT_SIZE] = s[done++];
	if (p->master_gone)
		done = n;
	waitq_wake_all(&p->master_wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->master_poll, EPOLLIN | EPOLLRDNORM);
	return done;
}

static int pty_wait_room(struct tty *t)
{
	struct pty *p = pty_of(t);
	int err = 0;
	mutex_lock(&p->lock);
	while (p->count == OUTPUT_SIZE && !p->master_gone && !err)
		err = waitq_wait(&p->room_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	if (p->master_gone)
		err = -EIO;
	mutex_unlock(&p->lock);
	return err;
}

static bool pty_has_room(struct tty *t)
{
	struct pty *p = pty_of(t);
	mutex_lock(&p->lock);
	bool room = OUTPUT_SIZE - p->count >= 1024 || p->master_gone;
	mutex_unlock(&p->lock);
	return room;
}

static void pty_input_drained(struct tty *t)
{
	struct pty *p = pty_of(t);
	mutex_lock(&p->lock);
	waitq_wake_all(&p->input_wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->master_poll, EPOLLOUT | EPOLLWRNORM);
}

static void put_pair(struct pty *p)
{
	mutex_lock(&pairs_lock);
	bool last = --p->refs == 0;
	if (last)
		pairs[p->index] = NULL;
	mutex_unlock(&pairs_lock);
	if (!last)
		return;
	tty_forget(&p->tty);
	poll_head_destroy(&p->tty.head_poll);
	poll_head_destroy(&p->master_poll);
	kfree(p);
}

static void slave_opened(struct tty *t)
{
	struct pty *p = pty_of(t);
	mutex_lock(&pairs_lock);
	p->refs++;
	p->slaves++;
	p->slave_opened = true;
	mutex_unlock(&pairs_lock);
}

static void slave_closed(struct tty *t)
{
	struct pty *p = pty_of(t);
	mutex_lock(&pairs_lock);
	p->slaves--;
	mutex_unlock(&pairs_lock);
	mutex_lock(&p->lock);
	waitq_wake_all(&p->master_wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->master_poll, EPOLLHUP | EPOLLIN);
	put_pair(p);
}

static const struct tty_driver slave_driver = {
    .output = pty_output,
    .wait_room = pty_wait_room,
    .has_room = pty_has_room,
    .input_drained = pty_input_drained,
    .opened = slave_opened,
    .closed = slave_closed,
};

/* ---- the master ---- */

static bool slaves_gone(const struct pty *p)
{
	return p->slave_opened && !p->slaves;
}

static long master_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct pty *p = f->private;
	long done = 0;
	int err = 0;
	if (!to->count)
		return 0;
	mutex_lock(&p->lock);
	while (!p->count && !err) {
		if (slaves_gone(p))
			err = -EIO;
		else if (f->flags & O_NONBLOCK)
			err = -EAGAIN;
		else
			err =
			    waitq_wait(&p->master_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	}
	while (p->count && to->count) {
		size_t n = MIN((size_t)MIN(p->count, OUTPUT_SIZE - p->head), to->count);
		size_t moved = iter_to(to, p->out + p->head, n);
		p->head = (p->head + moved) % OUTPUT_SIZE;
		p->count -= moved;
		done += moved;
		if (moved < n) {
			done = done ? done : -EFAULT;
			break;
		}
	}
	waitq_wake_all(&p->room_wait);
	mutex_unlock(&p->lock);
	if (done > 0)
		tty_notify(&p->tty, EPOLLOUT | EPOLLWRNORM);
	return done ? done : err == -EINTR ? -ERESTARTSYS : err;
}

static int wait_input_room(struct pty *p, struct file *f)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	int err = 0;
	mutex_lock(&p->lock);
	if (p->tty.count >= TTY_BUFFER - 1)
		err = waitq_wait(&p->input_wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	mutex_unlock(&p->lock);
	return err == -EINTR ? -ERESTARTSYS : err;
}

static long master_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)pos;
	struct pty *p = f->private;
	char buf[256];
	long done = 0;
	while (from->count) {
		size_t n = iter_from(from, buf, MIN(from->count, sizeof buf)), sent = 0;
		if (!n)
			return done ? done : -EFAULT;
		while (sent < n) {
			size_t k = tty_input(&p->tty, buf + sent, n - sent);
			sent += k;
			done += k;
			int err = sent < n ? wait_input_room(p, f) : 0;
			if (err)
				return done ? done : err;
		}
	}
	return done;
}

static unsigned master_events(struct file *f)
{
	struct pty *p = f->private;
	mutex_lock(&p->lock);
	unsigned r = p->count ? EPOLLIN | EPOLLRDNORM : 0;
	if (slaves_gone(p))
		r |= EPOLLHUP;
	mutex_unlock(&p->lock);
	if (p->tty.count < TTY_BUFFER - 1)
		r |= EPOLLOUT | EPOLLWRNORM;
	return r;
}

static struct poll_head *master_poll_head(struct file *f)
{
	return &((struct pty *)f->private)->master_poll;
}

/* A new file of the slave, as open("/dev/pts/N") gives. */
static long open_peer(struct pty *p, int flags)
{
	char path[32];
	snprintf(path, sizeof path, "/dev/pts/%u", p->index);
	struct file *f = vfs_open(-100, path, flags & ~O_CREAT, 0);
	return is_err(f) ? ptr_err(f) : fd_install_new(f, flags & O_CLOEXEC);
}

static long master_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct pty *p = f->private;
	int n;
	switch (cmd) {
	case TIOCGPTN:
		n = (int)p->index;
		return put_user(n, (int __user *)arg);
	case TIOCSPTLCK:
		if (get_user(n, (int __user *)arg))
			return -EFAULT;
		p->locked = n;
		return 0;
	case TIOCGPTLCK:
		n = p->locked;
		return put_user(n, (int __user *)arg);
	case TIOCGPTPEER:
		return open_peer(p, (int)arg);
	case FIONREAD:
		n = (int)p->count;
		return put_user(n, (int __user *)arg);
	}
	return tty_ioctl(&p->tty, f, cmd, arg);
}

static void master_release(struct file *f)
{
	struct pty *p = f->private;
	mutex_lock(&p->lock);
	p->master_gone = true;
	waitq_wake_all(&p->room_wait);
	mutex_unlock(&p->lock);
	tty_hangup(&p->tty);
	put_pair(p);
}

static const struct file_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_events,
    .poll_head = master_poll_head,
    .ioctl = master_ioctl,
    .release = master_release,
};

static int open_master(struct inode *i, struct file *f)
{
	(void)i;
	struct pty *p = kzalloc(sizeof *p);
	if (!p)
		return -ENOMEM;
	tty_init(&p->tty, &slave_driver, p);
	waitq_init(&p->master_wait);
	waitq_init(&p->room_wait);
	waitq_init(&p->input_wait);
	poll_head_init(&p->master_poll);
	p->refs = 1;
	p->locked = true;
	mutex_lock(&pairs_lock);
	unsigned n = 0;
	while (n < MAX_PAIRS && pairs[n])
		n++;
	if (n < MAX_PAIRS) {
		p->index = n;
		pairs[n] = p;
	}
	mutex_unlock(&pairs_lock);
	if (n == MAX_PAIRS) {
		kfree(p);
		return -ENOSPC;
	}
	f->private = p;
	f->mode |= FMODE_STREAM;
	return 0;
}

/* ---- /dev/pts ---- */

static int open_slave_file(struct file *f, unsigned index)
{
	mutex_lock(&pairs_lock);
	struct pty *p = index < MAX_PAIRS ? pairs[index] : NULL;
	bool ok = p && !p->master_gone && !p->locked;
	if (ok) {
		p->refs++;
		p->slaves++;
		p->slave_opened = true;
	}
	mutex_unlock(&pairs_lock);
	if (!ok)
		return p ? -EIO : -ENXIO;
	tty_attach_file(&p->tty, f);
	return 0;
}

static int open_slave(struct inode *i, struct file *f)
{
	return open_slave_file(f, (unsigned)(i->rdev - DEVICE(SLAVE_MAJOR, 0)));
}

static int next_pair(const struct pseudo_key *k, int from)
{
	(void)k;
	int found = -1;
	mutex_lock(&pairs_lock);
	for (int i = from; i < MAX_PAIRS && found < 0; i++)
		if (pairs[i] && !pairs[i]->master_gone)
			found = i;
	mutex_unlock(&pairs_lock);
	return found;
}

static void own_slave(const struct pseudo_key *k, struct inode *i)
{
	i->rdev = DEVICE(SLAVE_MAJOR, 0) + (unsigned)k->n[0];
}

static void own_ptmx(const struct pseudo_key *k, struct inode *i)
{
	(void)k;
	i->rdev = DEVICE(5, 2);
}

static const struct pseudo_entry entries[] = {
    {.name = "", .mode = S_IFCHR | 0620, .next = next_pair, .slot = 0, .own = own_slave},
    {.name = "ptmx", .mode = S_IFCHR | 0666, .own = own_ptmx},
    {},
};
static const struct pseudo_entry root = {.name = "/", .children = entries};

static struct super *devpts_mount(const char *source, unsigned flags, const char *options);
static struct fs_type devpts_type = {.name = "devpts", .nodev = true, .mount = devpts_mount};

static struct super *devpts_mount(const char *source, unsigned flags, const char *options)
{
	(void)source;
	(void)options;
	return pseudo_mount(&devpts_type, &root, flags);
}

static struct char_device ptmx = {
    .name = "ptmx", .rdev = DEVICE(5, 2), .mode = 0666, .ops = &master_ops, .open = open_master};
static struct char_device slaves = {
    .rdev = DEVICE(SLAVE_MAJOR, 0), .count = MAX_PAIRS, .ops = &master_ops, .open = open_slave};

void pty_init(void)
{
	fs_register(&devpts_type);
	char_device_register(&ptmx);
	char_device_register(&slaves);
}
