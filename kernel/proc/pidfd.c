/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors for programs: pidfd_open, pidfd_send_signal, pidfd_getfd. */
#include "proc/pidfd.h"

#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <linux/stat.h>

#include "arch/x86/percpu.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/signal_send.h"
#include "sys/syscall.h"

#define PIDFD_NONBLOCK O_NONBLOCK

static unsigned pidfd_poll(struct file *f)
{
	struct program *p = f->private;
	return p->dead ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct poll_head *pidfd_poll_head(struct file *f)
{
	return &((struct program *)f->private)->exit_poll;
}

static void pidfd_release(struct file *f)
{
	program_put(f->private);
}

static void pidfd_show(struct file *f, char *buf, size_t n)
{
	const struct program *p = f->private;
	snprintf(buf, n, "Pid:\t%d\nNSpid:\t%d\n", p->pid, p->pid);
}

static const struct file_ops pidfd_ops = {.poll = pidfd_poll,
    .poll_head = pidfd_poll_head,
    .release = pidfd_release,
    .show_fdinfo = pidfd_show};

int pidfd_create(struct program *p, int flags)
{
	program_get(p);
	struct file *f = file_anonymous("[pidfd]", &pidfd_ops, p, O_RDWR | flags, S_IFREG | 0600);
	if (!f || is_err(f)) {
		program_put(p);
		return f ? (int)ptr_err(f) : -ENOMEM;
	}
	int fd = fd_install(f, 0, true);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* The program of a descriptor, referenced, or err_ptr(). */
static struct program *pidfd_program(int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return err_ptr(ptr_err(f));
	struct program *p = f->ops == &pidfd_ops ? f->private : err_ptr(-EBADF);
	if (!is_err(p))
		program_get(p);
	file_put(f);
	return p;
}

int pidfd_pid(int fd)
{
	struct program *p = pidfd_program(fd);
	if (is_err(p))
		return (int)ptr_err(p);
	int pid = p->pid;
	program_put(p);
	return pid;
}

SYSCALL(pidfd_open, int pid, unsigned flags)
{
	if (pid <= 0 || flags & ~(unsigned)PIDFD_NONBLOCK)
		return -EINVAL;
	struct program *p = program_find(pid);
	if (!p) {
		struct thread *t = thread_find(pid); /* a thread that is no program's first */
		if (t)
			thread_put(t);
		return t ? -EINVAL : -ESRCH;
	}
	int fd = pidfd_create(p, (int)flags);
	program_put(p);
	return fd;
}

SYSCALL(pidfd_send_signal, int fd, int sig, const void __user *uinfo, unsigned flags)
{
	struct ksiginfo info = {.signo = sig, .code = SI_USER};
	struct program *me = current_program();
	if (flags || sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	struct program *p = pidfd_program(fd);
	if (is_err(p))
		return ptr_err(p);
	int err = 0;
	info.pid = me->pid;
	info.uid = me->cred.uid;
	if (uinfo) {
		err = copy_from_user(&info, uinfo, sizeof info);
		if (!err && info.signo != sig)
			err = -EINVAL;
		if (!err && p != me && (info.code >= 0 || info.code == SI_TKILL))
			err = -EPERM;
	}
	if (!err)
		err = p->dead ? -ESRCH : signal_may_send(p, sig);
	if (!err && sig)
		err = signal_send_program(p, sig, &info);
	program_put(p);
	return err;
}

SYSCALL(pidfd_getfd, int fd, int target, unsigned flags)
{
	struct program *me = current_program();
	struct file *f = NULL;
	if (flags)
		return -EINVAL;
	struct program *p = pidfd_program(fd);
	if (is_err(p))
		return ptr_err(p);
	int err = p->cred.uid == me->cred.euid || capable(CAP_SYS_PTRACE) ? 0 : -EPERM;
	mutex_lock(&p->lock);
	if (!err && (!p->fds || target < 0 || fd_next(p->fds, target, &f) != target))
		err = p->fds ? -EBADF : -ESRCH;
	mutex_unlock(&p->lock);
	program_put(p);
	if (!err)
		err = fd_install(f, 0, true);
	if (err < 0 && f)
		file_put(f);
	return err;
}
