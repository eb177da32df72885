/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POSIX message queues. A queue is found by its name (without the slash) in one list; a descriptor
 * is an anonymous file that references it. Messages are kept by priority, then by age.
 */
#include <asm/fcntl.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/mqueue.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include "fs/proc/sysctl.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sched/timer.h"
#include "sys/syscall.h"

#define MQ_NAME_MAX 255
#define PRIORITY_MAX 32768
#define EVENT_SIGNAL 0
#define EVENT_NONE 1

struct mq_message {
	struct list link;
	unsigned priority;
	size_t len;
	char text[];
};

struct mqueue {
	struct list link; /* in queues, under queues_lock */
	unsigned refs;	  /* files, and the name; under queues_lock */
	bool named;
	uint32_t mode, uid, gid;
	struct mutex lock;
	struct list messages;
	long count, max_messages, max_size;
	struct waitq read_wait, write_wait;
	unsigned readers_waiting;
	struct poll_head head;
	struct program *notify; /* referenced; whom to tell of the first message */
	int notify_signal;
	uint64_t notify_value;
	char name[];
};

static struct mutex queues_lock = MUTEX_INIT;
static struct list queues = LIST_INIT(queues);
static unsigned queue_count;

static void mq_put(struct mqueue *q)
{
	mutex_lock(&queues_lock);
	bool last = --q->refs == 0;
	mutex_unlock(&queues_lock);
	if (!last)
		return;
	struct mq_message *m, *next;
	list_for_each_entry_safe (m, next, &q->messages, link)
		kfree(m);
	if (q->notify)
		program_put(q->notify);
	poll_head_destroy(&q->head);
	kfree(q);
}

/* A program that closes any of its descriptors of the queue is not told any more. */
static int mq_flush(struct file *f)
{
	struct mqueue *q = f->private;
	struct program *gone = NULL;
	mutex_lock(&q->lock);
	if (q->notify && q->notify == current_program()) {
		gone = q->notify;
		q->notify = NULL;
	}
	mutex_unlock(&q->lock);
	if (gone)
		program_put(gone);
	return 0;
}

static void mq_release(struct file *f)
{
	mq_put(f->private);
}

static unsigned mq_poll(struct file *f)
{
	struct mqueue *q = f->private;
	mutex_lock(&q->lock);
	unsigned r = (q->count ? EPOLLIN | EPOLLRDNORM : 0) |
		     (q->count < q->max_messages ? EPOLLOUT | EPOLLWRNORM : 0);
	mutex_unlock(&q->lock);
	return r;
}

static struct poll_head *mq_poll_head(struct file *f)
{
	return &((struct mqueue *)f->private)->head;
}

static const struct file_ops mq_ops = {
    .flush = mq_flush, .release = mq_release, .poll = mq_poll, .poll_head = mq_poll_head};

/* queues_lock held. */
static struct mqueue *find(const char *name)
{
	struct mqueue *q;
	list_for_each_entry (q, &queues, link)
		if (!strcmp(q->name, name))
			return q;
	return NULL;
}

static int check_attr(const struct mq_attr *a)
{
	bool privileged = capable(24); /* CAP_SYS_RESOURCE */
	if (a->mq_maxmsg <= 0 || a->mq_msgsize <= 0)
		return -EINVAL;
	if (!privileged && (a->mq_maxmsg > atomic_load(&sysctl_mq_msg_max) ||
			       a->mq_msgsize > atomic_load(&sysctl_mq_msgsize_max)))
		return -EINVAL;
	return a->mq_maxmsg > 65536 || a->mq_msgsize > 16777216 ? -EINVAL : 0;
}

/* queues_lock held; the name's reference. */
static struct mqueue *new_queue(const char *name, uint32_t mode, const struct mq_attr *a)
{
	struct program *p = current_program();
	if (queue_count >= (uint64_t)atomic_load(&sysctl_mq_queues_max))
		return err_ptr(-ENOSPC);
	struct mqueue *q = kzalloc(sizeof *q + strlen(name) + 1);
	if (!q)
		return err_ptr(-ENOMEM);
	strlcpy(q->name, name, strlen(name) + 1);
	q->refs = 1;
	q->named = true;
	q->mode = mode & 0777 & ~p->umask;
	q->uid = p->cred.fsuid;
	q->gid = p->cred.fsgid;
	q->max_messages = a ? a->mq_maxmsg : 10;
	q->max_size = a ? a->mq_msgsize : 8192;
	list_init(&q->messages);
	waitq_init(&q->read_wait);
	waitq_init(&q->write_wait);
	poll_head_init(&q->head);
	list_append(&queues, &q->link);
	queue_count++;
	return q;
}

static int may_open(const struct mqueue *q, int flags)
{
	const struct credentials *c = &current_program()->cred;
	unsigned shift = c->fsuid == q->uid ? 6 : c->fsgid == q->gid ? 3 : 0;
	unsigned have = q->mode >> shift & 7, want;
	want = (flags & O_ACCMODE) == O_RDONLY ? 4 : (flags & O_ACCMODE) == O_WRONLY ? 2 : 6;
	return (want & ~have) && !capable(1) /* CAP_DAC_OVERRIDE */ ? -EACCES : 0;
}

static int get_name(char *name, const char __user *uname)
{
	long n = strncpy_from_user(name, uname, MQ_NAME_MAX + 1);
	if (n < 0)
		return (int)n;
	if (!n)
		return -EINVAL;
	return strchr(name, '/') ? -EACCES : 0;
}

SYSCALL(
    mq_open, const char __user *uname, int flags, uint32_t mode, const struct mq_attr __user *uattr)
{
	char name[MQ_NAME_MAX + 1];
	struct mq_attr attr;
	int err = get_name(name, uname);
	if (err)
		return err;
	if (flags & O_CREAT && uattr) {
		if (copy_from_user(&attr, uattr, sizeof attr))
			return -EFAULT;
		err = check_attr(&attr);
		if (err)
			return err;
	}
	mutex_lock(&queues_lock);
	struct mqueue *q = find(name);
	if (q)
		err = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? -EEXIST
									 : may_open(q, flags);
	else if (!(flags & O_CREAT))
		err = -ENOENT;
	else if (is_err(q = new_queue(name, mode, uattr ? &attr : NULL)))
		err = (int)ptr_err(q);
	if (!err)
		q->refs++;
	mutex_unlock(&queues_lock);
	if (err)
		return err;
	struct file *f =
	    file_anonymous("mqueue", &mq_ops, q, flags & (O_ACCMODE | O_NONBLOCK), S_IFREG | 0600);
	if (!f)
		mq_put(q);
	return fd_install_new(f, flags & O_CLOEXEC);
}

SYSCALL(mq_unlink, const char __user *uname)
{
	char name[MQ_NAME_MAX + 1];
	int err = get_name(name, uname);
	if (err)
		return err;
	mutex_lock(&queues_lock);
	struct mqueue *q = find(name);
	if (!q)
		err = -ENOENT;
	else if (current_program()->cred.fsuid != q->uid && !capable(3)) /* CAP_FOWNER */
		err = -EACCES;
	if (!err) {
		list_remove(&q->link);
		queue_count--;
	}
	mutex_unlock(&queues_lock);
	if (!err)
		mq_put(q);
	return err;
}

static struct file *mq_file(int fd, unsigned mode)
{
	struct file *f = fd_get(fd);
	if (is_err(f) || (f->ops == &mq_ops && (!mode || f->mode & mode)))
		return f;
	file_put(f);
	return err_ptr(-EBADF);
}

/* Absolute wall-clock time to a monotonic deadline. */
static int get_deadline(const struct __kernel_timespec __user *uts, int64_t *deadline)
{
	struct __kernel_timespec ts;
	*deadline = NO_DEADLINE;
	if (!uts)
		return 0;
	if (copy_from_user(&ts, uts, sizeof ts))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	int64_t wall = MIN(ts.tv_sec, 9000000000ll) * NSEC_PER_SEC + ts.tv_nsec;
	*deadline = MAX(wall - time_wall_offset(), (int64_t)1);
	return 0;
}

/* Somebody registered is told of a message that came into the empty queue while nobody waited. */
static void tell_registered(struct mqueue *q)
{
	struct program *p = q->notify;
	if (!p || q->readers_waiting)
		return;
	q->notify = NULL;
	int sig = q->notify_signal;
	struct ksiginfo info = {.signo = sig, .code = -3 /* SI_MESGQ */};
	struct program *me = current_program();
	info.pid = me->pid;
	info.uid = me->cred.uid;
	info.value = q->notify_value;
	mutex_unlock(&q->lock);
	if (sig)
		signal_send_program(p, sig, &info);
	program_put(p);
	mutex_lock(&q->lock);
}

static void insert(struct mqueue *q, struct mq_message *m)
{
	struct list *at = q->messages.prev;
	while (
	    at != &q->messages && list_entry(at, struct mq_message, link)->priority < m->priority)
		at = at->prev;
	list_push(at, &m->link);
	q->count++;
}

static long wait_mq(struct mqueue *q, struct waitq *wq, struct file *f, int64_t deadline)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	int err = waitq_wait(wq, &q->lock, deadline, WAIT_INTERRUPTIBLE);
	return err == -EINTR ? -ERESTARTSYS : err;
}

SYSCALL(mq_timedsend, int fd, const char __user *buf, size_t n, unsigned priority,
    const struct __kernel_timespec __user *uts)
{
	int64_t deadline;
	long r = get_deadline(uts, &deadline);
	if (r)
		return r;
	if (priority >= PRIORITY_MAX)
		return -EINVAL;
	struct file *f = mq_file(fd, FMODE_WRITE);
	if (is_err(f))
		return ptr_err(f);
	struct mqueue *q = f->private;
	struct mq_message *m = NULL;
	if (n > (size_t)q->max_size)
		r = -EMSGSIZE;
	else if (!(m = kmalloc(sizeof *m + n)))
		r = -ENOMEM;
	else
		r = copy_from_user(m->text, buf, n);
	if (!r) {
		m->priority = priority;
		m->len = n;
		mutex_lock(&q->lock);
		while (q->count >= q->max_messages && !r)
			r = wait_mq(q, &q->write_wait, f, deadline);
		if (!r) {
			bool first = !q->count;
			insert(q, m);
			m = NULL;
			waitq_wake(&q->read_wait, 1);
			if (first)
				tell_registered(q);
		}
		mutex_unlock(&q->lock);
		if (!r)
			poll_notify(&q->head, EPOLLIN | EPOLLRDNORM);
	}
	kfree(m);
	file_put(f);
	return r;
}

SYSCALL(mq_timedreceive, int fd, char __user *buf, size_t n, unsigned __user *upriority,
    const struct __kernel_timespec __user *uts)
{
	int64_t deadline;
	long r = get_deadline(uts, &deadline);
	if (r)
		return r;
	struct file *f = mq_file(fd, FMODE_READ);
	if (is_err(f))
		return ptr_err(f);
	struct mqueue *q = f->private;
	struct mq_message *m = NULL;
	if (n < (size_t)q->max_size) {
		file_put(f);
		return -EMSGSIZE;
	}
	mutex_lock(&q->lock);
	while (!q->count && !r) {
		q->readers_waiting++;
		r = wait_mq(q, &q->read_wait, f, deadline);
		q->readers_waiting--;
	}
	if (!r) {
		m = list_first(&q->messages, struct mq_message, link);
		list_remove(&m->link);
		q->count--;
		waitq_wake(&q->write_wait, 1);
	}
	mutex_unlock(&q->lock);
	if (m) {
		poll_notify(&q->head, EPOLLOUT | EPOLLWRNORM);
		r = (long)m->len;
		if (copy_to_user(buf, m->text, m->len) ||
		    (upriority && put_user(m->priority, upriority)))
			r = -EFAULT;
		kfree(m);
	}
	file_put(f);
	return r;
}

struct user_sigevent { /* the beginning of struct sigevent */
	uint64_t value;
	int signo, notify;
	uint64_t pad[6];
};

SYSCALL(mq_notify, int fd, const struct user_sigevent __user *uev)
{
	struct user_sigevent ev;
	if (uev) {
		if (copy_from_user(&ev, uev, sizeof ev))
			return -EFAULT;
		if (ev.notify != EVENT_SIGNAL && ev.notify != EVENT_NONE)
			return -EINVAL;
		if (ev.notify == EVENT_SIGNAL && (ev.signo < 1 || ev.signo > NSIG_MAX))
			return -EINVAL;
	}
	struct file *f = mq_file(fd, 0);
	if (is_err(f))
		return ptr_err(f);
	struct mqueue *q = f->private;
	struct program *me = current_program(), *gone = NULL;
	long r = 0;
	mutex_lock(&q->lock);
	if (!uev) {
		if (q->notify == me) {
			gone = me;
			q->notify = NULL;
		}
	} else if (q->notify) {
		r = -EBUSY;
	} else {
		atomic_fetch_add(&me->refs, 1);
		q->notify = me;
		q->notify_signal = ev.notify == EVENT_SIGNAL ? ev.signo : 0;
		q->notify_value = ev.value;
	}
	mutex_unlock(&q->lock);
	if (gone)
		program_put(gone);
	file_put(f);
	return r;
}

SYSCALL(mq_getsetattr, int fd, const struct mq_attr __user *unew, struct mq_attr __user *uold)
{
	struct mq_attr a, old = {0};
	if (unew && copy_from_user(&a, unew, sizeof a))
		return -EFAULT;
	if (unew && a.mq_flags & ~(long)O_NONBLOCK)
		return -EINVAL;
	struct file *f = mq_file(fd, 0);
	if (is_err(f))
		return ptr_err(f);
	struct mqueue *q = f->private;
	mutex_lock(&q->lock);
	old.mq_flags = f->flags & O_NONBLOCK;
	old.mq_maxmsg = q->max_messages;
	old.mq_msgsize = q->max_size;
	old.mq_curmsgs = q->count;
	if (unew)
		f->flags = (f->flags & ~(unsigned)O_NONBLOCK) | (unsigned)a.mq_flags;
	mutex_unlock(&q->lock);
	file_put(f);
	return uold ? copy_to_user(uold, &old, sizeof old) : 0;
}
