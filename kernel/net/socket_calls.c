/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket system calls: check and copy what comes from the application, then ask the family. */
#include <asm/fcntl.h>
#include <linux/time_types.h>
#include "fs/proc/sysctl.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/socket_file.h"
#include "sys/syscall.h"

#define CONTROL_MAX 20480 /* net.core.optmem_max */
#define OPTION_MAX 1024
#define MMSG_MAX 1024

/* A descriptor's socket for one call. */
struct use {
	struct file *file;
	bool counted;
	struct socket *s;
};

static int begin(struct use *u, int fd)
{
	u->file = fd_borrow(fd, &u->counted);
	if (is_err(u->file))
		return ptr_err(u->file);
	u->s = file_socket(u->file);
	if (u->s)
		return 0;
	fd_unborrow(u->file, u->counted);
	return -ENOTSOCK;
}

static long end(struct use *u, long r)
{
	fd_unborrow(u->file, u->counted);
	return r;
}

static bool nonblock(const struct use *u)
{
	return u->file->flags & O_NONBLOCK;
}

static int get_address(struct address *a, const void __user *ua, int len)
{
	if (len < 0 || (size_t)len > sizeof *a)
		return -EINVAL;
	memset(a, 0, sizeof *a);
	return copy_from_user(a, ua, len);
}

static int put_address(const struct address *a, int len, void __user *ua, int __user *ulen)
{
	int room;
	if (get_user(room, ulen))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(ua, a, MIN(room, len)))
		return -EFAULT;
	return put_user(len, ulen);
}

static bool type_ok(int *type, int *flags)
{
	*flags = *type & ~SOCK_TYPE_MASK;
	*type &= SOCK_TYPE_MASK;
	return !(*flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) && *type >= 1 && *type <= 10;
}

SYSCALL(socket, int family, int type, int protocol)
{
	int flags;
	if (!type_ok(&type, &flags))
		return -EINVAL;
	struct file *f = socket_file_new(family, type, protocol, flags);
	if (is_err(f))
		return ptr_err(f);
	return fd_install_new(f, flags & SOCK_CLOEXEC);
}

SYSCALL(socketpair, int family, int type, int protocol, int __user *ufds)
{
	int flags, fd[2];
	if (!type_ok(&type, &flags))
		return -EINVAL;
	struct file *a = socket_file_new(family, type, protocol, flags);
	if (is_err(a))
		return ptr_err(a);
	struct file *b = socket_file_new(family, type, protocol, flags);
	if (is_err(b)) {
		file_put(a);
		return ptr_err(b);
	}
	struct socket *s = file_socket(a);
	int err = s->ops->pair ? s->ops->pair(s, file_socket(b)) : -EOPNOTSUPP;
	if (err) {
		file_put(a);
		file_put(b);
		return err;
	}
	fd[0] = fd_install_new(a, flags & SOCK_CLOEXEC);
	if (fd[0] < 0) {
		file_put(b);
		return fd[0];
	}
	fd[1] = fd_install_new(b, flags & SOCK_CLOEXEC);
	err = fd[1] < 0 ? fd[1] : copy_to_user(ufds, fd, sizeof fd);
	if (err) {
		fd_close(fd[0]);
		if (fd[1] >= 0)
			fd_close(fd[1]);
	}
	return err;
}

SYSCALL(bind, int fd, const void __user *ua, int len)
{
	struct use u;
	struct address a;
	int err = begin(&u, fd);
	if (err)
		return err;
	err = get_address(&a, ua, len);
	if (!err)
		err = u.s->ops->bind ? u.s->ops->bind(u.s, &a, len) : -EOPNOTSUPP;
	return end(&u, err);
}

SYSCALL(connect, int fd, const void __user *ua, int len)
{
	struct use u;
	struct address a;
	int err = begin(&u, fd);
	if (err)
		return err;
	err = get_address(&a, ua, len);
	if (!err)
		err =
		    u.s->ops->connect ? u.s->ops->connect(u.s, &a, len, nonblock(&u)) : -EOPNOTSUPP;
	return end(&u, err);
}

SYSCALL(listen, int fd, int backlog)
{
	struct use u;
	int err = begin(&u, fd), most = (int)atomic_load(&sysctl_somaxconn);
	if (err)
		return err;
	if ((unsigned)backlog > (unsigned)most)
		backlog = most;
	err = u.s->ops->listen ? u.s->ops->listen(u.s, backlog) : -EOPNOTSUPP;
	if (!err)
		u.s->listening = true;
	return end(&u, err);
}

/* A new connection as a file, its peer's address written out; err_ptr(). */
static struct file *accept_file(struct use *u, void __user *ua, int __user *ulen, int flags)
{
	struct socket *l = u->s;
	if (!l->ops->accept)
		return err_ptr(-EOPNOTSUPP);
	struct socket *s = socket_alloc(l->family, l->type, l->protocol);
	if (!s)
		return err_ptr(-ENOMEM);
	s->ops = l->ops;
	s->send_buffer = l->send_buffer;
	s->receive_buffer = l->receive_buffer;
	s->pass_credentials = l->pass_credentials;
	s->keep_alive = l->keep_alive;
	s->priority = l->priority;
	s->mark = l->mark;
	int err = l->ops->accept(l, s, nonblock(u));
	if (err) {
		kfree(s);
		return err_ptr(err);
	}
	struct address a = {0};
	int len = ua ? s->ops->name(s, &a, true) : 0;
	struct file *f = socket_wrap(s, flags);
	if (!f) {
		s->ops->release(s);
		kfree(s);
		return err_ptr(-ENOMEM);
	}
	/* The peer may be gone already: then it has no address to report. */
	if (ua && (err = put_address(&a, MAX(len, 0), ua, ulen))) {
		file_put(f);
		return err_ptr(err);
	}
	return f;
}

/* The descriptor comes first: without one the connection stays in the queue. */
static long accept_one(struct use *u, void __user *ua, int __user *ulen, int flags)
{
	int fd = fd_reserve(flags & SOCK_CLOEXEC);
	if (fd < 0)
		return fd;
	struct file *f = accept_file(u, ua, ulen, flags);
	fd_fill(fd, is_err(f) ? NULL : f);
	return is_err(f) ? ptr_err(f) : fd;
}

static long do_accept(int fd, void __user *ua, int __user *ulen, int flags)
{
	struct use u;
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	int err = begin(&u, fd);
	return err ? err : end(&u, accept_one(&u, ua, ulen, flags));
}

SYSCALL(accept, int fd, void __user *ua, int __user *ulen)
{
	return do_accept(fd, ua, ulen, 0);
}

SYSCALL(accept4, int fd, void __user *ua, int __user *ulen, int flags)
{
	return do_accept(fd, ua, ulen, flags);
}

static long get_name(int fd, void __user *ua, int __user *ulen, bool peer)
{
	struct use u;
	struct address a = {0};
	int err = begin(&u, fd);
	if (err)
		return err;
	int len = u.s->ops->name(u.s, &a, peer);
	return end(&u, len < 0 ? len : put_address(&a, len, ua, ulen));
}

SYSCALL(getsockname, int fd, void __user *ua, int __user *ulen)
{
	return get_name(fd, ua, ulen, false);
}

SYSCALL(getpeername, int fd, void __user *ua, int __user *ulen)
{
	return get_name(fd, ua, ulen, true);
}

SYSCALL(shutdown, int fd, int how)
{
	struct use u;
	int err = begin(&u, fd);
	if (err)
		return err;
	if (how < SHUT_RD || how > SHUT_RDWR)
		err = -EINVAL;
	else
		err = u.s->ops->shutdown ? u.s->ops->shutdown(u.s, how) : -EOPNOTSUPP;
	return end(&u, err);
}

SYSCALL(sendto, int fd, const void __user *buf, size_t n, unsigned flags, const void __user *ua,
    int len)
{
	struct use u;
	struct address a;
	int err = begin(&u, fd);
	if (err)
		return err;
	struct message m = {.flags = flags | (nonblock(&u) ? MSG_DONTWAIT : 0)};
	if (ua) {
		err = get_address(&a, ua, len);
		if (err)
			return end(&u, err);
		m.name = &a;
		m.name_len = len;
	}
	if (!user_range_ok(buf, n))
		return end(&u, -EFAULT);
	iter_user(&m.data, (void __user *)buf, n);
	return end(&u, socket_send(u.s, &m));
}

SYSCALL(
    recvfrom, int fd, void __user *buf, size_t n, unsigned flags, void __user *ua, int __user *ulen)
{
	struct use u;
	struct address a = {0};
	int err = begin(&u, fd);
	if (err)
		return err;
	if (!user_range_ok(buf, n))
		return end(&u, -EFAULT);
	struct message m = {
	    .flags = flags | (nonblock(&u) ? MSG_DONTWAIT : 0), .name = ua ? &a : NULL};
	iter_user(&m.data, buf, n);
	long r = socket_receive(u.s, &m);
	if (r >= 0 && ua && (err = put_address(&a, m.name_len, ua, ulen)))
		r = err;
	return end(&u, r);
}

/* A message header with everything it points to, in kernel memory. */
struct header {
	struct user_msghdr h;
	struct message m;
	struct address name;
	struct kvec fast[8], *vec;
	char *control;
};

static int header_begin(
    struct header *x, const struct user_msghdr __user *uh, unsigned flags, bool sending)
{
	memset(&x->m, 0, sizeof x->m);
	x->vec = x->fast;
	x->control = NULL;
	if (copy_from_user(&x->h, uh, sizeof x->h))
		return -EFAULT;
	long n = iter_import_user(&x->m.data, x->h.iov, x->h.iovlen, x->fast, &x->vec);
	if (n < 0)
		return n == -EINVAL && x->h.iovlen > 1024 ? -EMSGSIZE : (int)n;
	x->m.flags = flags;
	if (!sending) {
		x->m.name = x->h.name ? &x->name : NULL;
		x->m.control_out = x->h.control;
		x->m.control_room = x->h.control ? x->h.controllen : 0;
		return 0;
	}
	if (x->h.name && x->h.namelen) {
		int err = get_address(&x->name, x->h.name, MIN(x->h.namelen, (int)sizeof x->name));
		if (err)
			return err;
		x->m.name = &x->name;
		x->m.name_len = MIN((unsigned)x->h.namelen, (unsigned)sizeof x->name);
	}
	if (!x->h.control || !x->h.controllen)
		return 0;
	if (x->h.controllen > CONTROL_MAX)
		return -ENOBUFS;
	x->control = kmalloc(x->h.controllen);
	if (!x->control)
		return -ENOMEM;
	if (copy_from_user(x->control, x->h.control, x->h.controllen))
		return -EFAULT;
	x->m.control = x->control;
	x->m.control_len = x->h.controllen;
	return message_check_control(x->control, x->h.controllen);
}

static void header_end(struct header *x)
{
	if (x->vec != x->fast)
		kfree(x->vec);
	kfree(x->control);
}

static long send_header(struct use *u, const struct user_msghdr __user *uh, unsigned flags)
{
	struct header x;
	long r = header_begin(&x, uh, flags | (nonblock(u) ? MSG_DONTWAIT : 0), true);
	if (!r)
		r = socket_send(u->s, &x.m);
	header_end(&x);
	return r;
}

static long receive_header(struct use *u, struct user_msghdr __user *uh, unsigned flags)
{
	struct header x;
	long r = header_begin(&x, uh, flags | (nonblock(u) ? MSG_DONTWAIT : 0), false);
	if (!r)
		r = socket_receive(u->s, &x.m);
	if (r >= 0) {
		size_t used = (size_t)(x.m.control_out - (char __user *)x.h.control);
		unsigned out = x.m.out_flags | (flags & MSG_CMSG_CLOEXEC);
		if ((x.h.name && put_address(&x.name, x.m.name_len, x.h.name, &uh->namelen)) ||
		    put_user(out, &uh->flags) || put_user(x.h.control ? used : 0, &uh->controllen))
			r = -EFAULT;
	}
	header_end(&x);
	return r;
}

SYSCALL(sendmsg, int fd, const struct user_msghdr __user *uh, unsigned flags)
{
	struct use u;
	int err = begin(&u, fd);
	return err ? err : end(&u, send_header(&u, uh, flags));
}

SYSCALL(recvmsg, int fd, struct user_msghdr __user *uh, unsigned flags)
{
	struct use u;
	int err = begin(&u, fd);
	return err ? err : end(&u, receive_header(&u, uh, flags));
}

SYSCALL(sendmmsg, int fd, struct user_mmsghdr __user *um, unsigned n, unsigned flags)
{
	struct use u;
	long r = begin(&u, fd);
	if (r)
		return r;
	unsigned i = 0;
	for (; i < MIN(n, (unsigned)MMSG_MAX); i++) {
		r = send_header(&u, &um[i].hdr, flags);
		if (r < 0)
			break;
		unsigned len = (unsigned)r;
		r = put_user(len, &um[i].len);
		if (r)
			break;
	}
	return end(&u, i ? (long)i : r);
}

SYSCALL(recvmmsg, int fd, struct user_mmsghdr __user *um, unsigned n, unsigned flags,
    const struct __kernel_timespec __user *uts)
{
	struct use u;
	int64_t deadline = NO_DEADLINE;
	struct __kernel_timespec ts;
	if (uts) {
		if (copy_from_user(&ts, uts, sizeof ts))
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		deadline = time_now() + MIN(ts.tv_sec, 1000000000ll) * NSEC_PER_SEC + ts.tv_nsec;
	}
	long r = begin(&u, fd);
	if (r)
		return r;
	unsigned i = 0;
	for (; i < MIN(n, (unsigned)MMSG_MAX); i++) {
		r = receive_header(&u, &um[i].hdr, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		unsigned len = (unsigned)r;
		r = put_user(len, &um[i].len);
		if (r)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (time_now() >= deadline) {
			i++;
			break;
		}
	}
	return end(&u, i ? (long)i : r);
}

SYSCALL(setsockopt, int fd, int level, int name, const void __user *uvalue, int len)
{
	struct use u;
	char value[OPTION_MAX] __attribute__((aligned(8)));
	int err = begin(&u, fd);
	if (err)
		return err;
	if (len < 0)
		return end(&u, -EINVAL);
	unsigned n = MIN((unsigned)len, (unsigned)sizeof value);
	err = copy_from_user(value, uvalue, n);
	if (!err)
		err = socket_set_option(u.s, level, name, value, n);
	return end(&u, err);
}

SYSCALL(getsockopt, int fd, int level, int name, void __user *uvalue, int __user *ulen)
{
	struct use u;
	char value[OPTION_MAX] __attribute__((aligned(8)));
	int len, err = begin(&u, fd);
	if (err)
		return err;
	if (get_user(len, ulen))
		return end(&u, -EFAULT);
	if (len < 0)
		return end(&u, -EINVAL);
	unsigned n = MIN((unsigned)len, (unsigned)sizeof value);
	memset(value, 0, n);
	/* Some options take a question in the room for the answer. */
	if (copy_from_user(value, uvalue, MIN(n, 8u)))
		return end(&u, -EFAULT);
	err = socket_get_option(u.s, level, name, value, &n);
	len = (int)n;
	if (!err && (copy_to_user(uvalue, value, n) || put_user(len, ulen)))
		err = -EFAULT;
	return end(&u, err);
}
