/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets as files, the table of address families, and control messages. */
#include "net/socket.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include "fs/proc/sysctl.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "net/inet/inet.h"
#include "net/socket_file.h"
#include "proc/signal.h"
#include "sys/syscall.h"

static const struct socket_family *families[AF_COUNT];
static atomic_int count; /* of sockets with a file */

int socket_count(void)
{
	return atomic_load(&count);
}

void socket_family_register(const struct socket_family *f)
{
	families[f->family] = f;
}

int64_t socket_deadline(int64_t timeout, bool nonblock)
{
	if (nonblock)
		return 0;
	return timeout ? time_now() + timeout : NO_DEADLINE;
}

long socket_send(struct socket *s, struct message *m)
{
	if (!s->ops->send)
		return -EOPNOTSUPP;
	long r = s->ops->send(s, m);
	if (r == -EPIPE && !(m->flags & MSG_NOSIGNAL) && s->type != SOCK_DGRAM)
		signal_send_thread(current_thread(), SIGPIPE, NULL);
	return r;
}

long socket_receive(struct socket *s, struct message *m)
{
	return s->ops->receive ? s->ops->receive(s, m) : -EOPNOTSUPP;
}

static unsigned file_flags(const struct file *f)
{
	return f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0;
}

static long socket_file_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct socket *s = f->private;
	struct message m = {.data = *to, .flags = file_flags(f)};
	if (to->vec == &to->one)
		m.data.vec = &m.data.one;
	size_t before = m.data.count;
	/* A read of nothing from a stream is nothing, without waiting. */
	if (!before && s->type == SOCK_STREAM)
		return 0;
	long r = socket_receive(s, &m);
	iter_advance(to, before - m.data.count);
	return r;
}

static long socket_file_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)pos;
	struct message m = {.data = *from, .flags = file_flags(f)};
	if (from->vec == &from->one)
		m.data.vec = &m.data.one;
	size_t before = m.data.count;
	long r = socket_send(f->private, &m);
	iter_advance(from, before - m.data.count);
	return r;
}

static long socket_file_send_pages(
    struct file *f, struct page **pages, unsigned n, size_t off, size_t len, bool more)
{
	struct socket *s = f->private;
	if (!s->ops->send_pages)
		return -EOPNOTSUPP;
	long r = s->ops->send_pages(s, pages, n, off, len, file_flags(f) | (more ? MSG_MORE : 0));
	if (r == -EPIPE)
		signal_send_thread(current_thread(), SIGPIPE, NULL);
	return r;
}

static unsigned socket_file_poll(struct file *f)
{
	struct socket *s = f->private;
	return s->ops->poll(s);
}

static struct poll_head *socket_file_poll_head(struct file *f)
{
	struct socket *s = f->private;
	return s->ops->poll_head(s);
}

/* When the packet came that was received last. */
static long last_stamp(const struct socket *s, unsigned cmd, unsigned long arg)
{
	int64_t t[2] = {s->last_stamp / NSEC_PER_SEC, s->last_stamp % NSEC_PER_SEC};

	if (!s->last_stamp)
		return -ENOENT;
	if (cmd == SIOCGSTAMP_OLD)
		t[1] /= 1000;
	return copy_to_user((void __user *)arg, t, sizeof t);
}

static int socket_file_mmap(struct file *f, struct vma *v)
{
	struct socket *s = f->private;
	return s->ops->mmap ? s->ops->mmap(s, v) : -ENODEV;
}

static long socket_file_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct socket *s = f->private;
	if (cmd == SIOCGSTAMP_OLD || cmd == SIOCGSTAMPNS_OLD)
		return last_stamp(s, cmd, arg);
	long r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
	/* Whatever socket is at hand is used to ask about interfaces. */
	return r == -ENOTTY ? inet_ioctl(s, cmd, arg) : r;
}

static void socket_file_release(struct file *f)
{
	struct socket *s = f->private;
	if (s->ops && s->ops->release)
		s->ops->release(s);
	kfree(s);
	atomic_fetch_sub(&count, 1);
}

static const struct file_ops socket_file_ops = {
    .read = socket_file_read,
    .write = socket_file_write,
    .send_pages = socket_file_send_pages,
    .poll = socket_file_poll,
    .poll_head = socket_file_poll_head,
    .ioctl = socket_file_ioctl,
    .mmap = socket_file_mmap,
    .release = socket_file_release,
};

struct socket *file_socket(const struct file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

struct socket *socket_alloc(int family, int type, int protocol)
{
	struct socket *s = kzalloc(sizeof *s);
	if (!s)
		return NULL;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->send_buffer = (int)atomic_load(&sysctl_wmem_default);
	s->receive_buffer = (int)atomic_load(&sysctl_rmem_default);
	s->receive_lowat = 1;
	s->incoming_cpu = -1;
	return s;
}

struct file *socket_wrap(struct socket *s, int flags)
{
	struct file *f = file_anonymous(
	    "socket", &socket_file_ops, s, O_RDWR | (flags & O_NONBLOCK), S_IFSOCK | 0777);
	if (!f)
		return NULL;
	s->file = f;
	atomic_fetch_add(&count, 1);
	if (s->ops && s->ops->opened)
		s->ops->opened(s);
	return f;
}

struct file *socket_file_new(int family, int type, int protocol, int flags)
{
	if (family < 0 || family >= AF_COUNT || !families[family])
		return err_ptr(-EAFNOSUPPORT);
	struct socket *s = socket_alloc(family, type, protocol);
	if (!s)
		return err_ptr(-ENOMEM);
	int err = families[family]->create(s);
	if (err) {
		kfree(s);
		return err_ptr(err);
	}
	struct file *f = socket_wrap(s, flags);
	if (!f) {
		s->ops->release(s);
		kfree(s);
		return err_ptr(-ENOMEM);
	}
	return f;
}
