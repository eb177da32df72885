/* SPDX-License-Identifier: BSD-3-Clause */
/* fcntl, and the part of ioctl that is the same for every file. */
#include <asm/ioctls.h>
#include <linux/fs.h>
#include "fs/internal.h"

#define SETTABLE (O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME)

static long dup_above(struct file *f, unsigned long min, bool cloexec)
{
	if (min >= (unsigned long)fd_limit())
		return -EINVAL;
	file_get(f);
	int fd = fd_install(f, (int)min, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long set_flags(struct file *f, unsigned long arg)
{
	unsigned old = f->flags, new;
	if (((unsigned)arg & O_NOATIME) && !(old & O_NOATIME)) {
		const struct program *p = current_program();
		if (p->cred.fsuid && p->cred.fsuid != f->inode->uid)
			return -EPERM;
	}
	do
		new = (old & ~(unsigned)SETTABLE) | ((unsigned)arg & SETTABLE);
	while (!atomic_compare_exchange_weak(&f->flags, &old, new));
	return 0;
}

static long owner_ex(struct file *f, void __user *arg, bool set)
{
	struct f_owner_ex o = {.type = f->owner_pid < 0 ? F_OWNER_PGRP : F_OWNER_PID,
	    .pid = f->owner_pid < 0 ? -f->owner_pid : f->owner_pid};
	if (!set)
		return copy_to_user(arg, &o, sizeof o);
	if (copy_from_user(&o, arg, sizeof o))
		return -EFAULT;
	if (o.type != F_OWNER_TID && o.type != F_OWNER_PID && o.type != F_OWNER_PGRP)
		return -EINVAL;
	f->owner_pid = o.type == F_OWNER_PGRP ? -o.pid : o.pid;
	return 0;
}

static long do_fcntl(struct file *f, int fd, unsigned cmd, unsigned long arg)
{
	switch (cmd) {
	case F_DUPFD:
		return dup_above(f, arg, false);
	case F_DUPFD_CLOEXEC:
		return dup_above(f, arg, true);
	case F_GETFD: {
		int r = fd_get_cloexec(fd);
		return r < 0 ? r : r ? FD_CLOEXEC : 0;
	}
	case F_SETFD:
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return (long)(f->flags & ~(unsigned)O_CLOEXEC);
	}
	if (f->mode & FMODE_PATH)
		return -EBADF;
	switch (cmd) {
	case F_SETFL:
		return set_flags(f, arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(f, cmd, (void __user *)arg);
	case F_GETOWN:
		return f->owner_pid;
	case F_SETOWN:
		f->owner_pid = (int)arg;
		return 0;
	case F_GETOWN_EX:
	case F_SETOWN_EX:
		return owner_ex(f, (void __user *)arg, cmd == F_SETOWN_EX);
	case F_GETSIG:
		return f->owner_sig;
	case F_SETSIG:
		if (arg > NSIG_MAX)
			return -EINVAL;
		f->owner_sig = (int)arg;
		return 0;
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_fcntl(f, cmd, arg);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return memfd_fcntl(f, cmd, arg);
	}
	return -EINVAL;
}

SYSCALL(fcntl, int fd, unsigned cmd, unsigned long arg)
{
	struct file *f = fd_get_any(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = do_fcntl(f, fd, cmd, arg);
	file_put(f);
	return r;
}

static long set_flag(struct file *f, unsigned flag, int __user *arg)
{
	int on;
	if (get_user(on, arg))
		return -EFAULT;
	if (on)
		atomic_fetch_or(&f->flags, flag);
	else
		atomic_fetch_and(&f->flags, ~flag);
	return 0;
}

SYSCALL(ioctl, int fd, unsigned cmd, unsigned long arg)
{
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	long r = 0;
	switch (cmd) {
	case FIOCLEX:
		r = fd_set_cloexec(fd, true);
		break;
	case FIONCLEX:
		r = fd_set_cloexec(fd, false);
		break;
	case FIONBIO:
		r = set_flag(f, O_NONBLOCK, (int __user *)arg);
		break;
	case FIOASYNC:
		r = set_flag(f, FASYNC, (int __user *)arg);
		break;
	case FIONREAD:
		if (IS_TYPE(f->inode, S_IFREG)) {
			int left = (int)((int64_t)f->inode->size - f->pos);
			r = put_user(left, (int __user *)arg);
			break;
		}
		/* fallthrough */
	default:
		r = f->ops && f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
	}
	file_put(f);
	return r;
}
