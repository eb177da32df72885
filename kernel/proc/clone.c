/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New threads and programs: clone, clone3, fork, vfork.
 *
 * A new thread's first act is to return from the very call that made it, with a copy of the
 * caller's frame in which rax is 0. A new program may share its parent's address space until execve
 * (CLONE_VM | CLONE_VFORK, what posix_spawn does) or get a copy of it.
 */
#include <linux/sched.h>

#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/lifecycle.h"
#include "proc/pidfd.h"
#include "sched/sched_internal.h"
#include "sys/syscall.h"

#define SIGNAL_LAST 64

#define UNSUPPORTED                                                                   \
	(CLONE_PTRACE | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static int check_flags(const struct clone_args *a)
{
	uint64_t f = a->flags;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && (f & CLONE_PIDFD))
		return -EINVAL;
	if ((f & (CLONE_PIDFD | CLONE_PARENT_SETTID)) == (CLONE_PIDFD | CLONE_PARENT_SETTID) &&
	    a->pidfd == a->parent_tid)
		return -EINVAL;
	if (f & UNSUPPORTED)
		return -EPERM;
	/* Sharing handlers or files between programs has no user outside threads. */
	if (!(f & CLONE_THREAD) && (f & (CLONE_SIGHAND)))
		return -EINVAL;
	return a->exit_signal > SIGNAL_LAST ? -EINVAL : 0;
}

static void inherit(struct thread *t, const struct thread *from, const struct clone_args *a)
{
	t->policy = from->policy;
	t->rt_priority = from->rt_priority;
	t->nice = from->nice;
	t->affinity = from->affinity;
	strlcpy(t->name, from->name, sizeof t->name);
	thread_set_fs_base(t, (a->flags & CLONE_SETTLS) ? a->tls : rdmsr(MSR_FS_BASE));
	sched_fpu_flush();
	memcpy(t->fpu, from->fpu, fpu_area_size);
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = (void __user *)a->child_tid;
	if (!(a->flags & CLONE_VM)) {
		t->rseq = from->rseq;
		t->rseq_len = from->rseq_len;
		t->rseq_sig = from->rseq_sig;
	}
}

static struct thread *make_thread(struct program *p, const struct clone_args *a, int tid, int *err)
{
	struct trapframe frame = *syscall_frame();
	frame.rax = 0;
	if (a->stack)
		frame.rsp = a->stack + a->stack_size;
	*err = -ENOMEM;
	struct thread *t = thread_create_user(p, &frame);
	if (!t)
		return NULL;
	t->tid = tid;
	inherit(t, current_thread(), a);
	*err = signal_thread_init(t, current_thread());
	if (*err == 0 && (a->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		t->signals->altstack_flags = 2; /* SS_DISABLE */
	if (*err) {
		thread_put(t);
		return NULL;
	}
	return t;
}

/* The parent's word, and the child's if it is in the same address space. */
static int store_tids(const struct clone_args *a, int tid, struct mm *child_mm)
{
	if ((a->flags & CLONE_PARENT_SETTID) && put_user(tid, (int __user *)a->parent_tid))
		return -EFAULT;
	if (!(a->flags & CLONE_CHILD_SETTID))
		return 0;
	if (a->flags & CLONE_VM)
		return put_user(tid, (int __user *)a->child_tid);
	return mm_access(child_mm, a->child_tid, &tid, sizeof tid, true) < 0 ? -EFAULT : 0;
}

static long clone_thread(const struct clone_args *a)
{
	struct program *p = current_program();
	int err, tid = tid_alloc();
	struct thread *t = make_thread(p, a, tid, &err);
	if (!t)
		return err;
	err = store_tids(a, tid, p->mm);
	if (!err)
		err = program_add_thread(p, t);
	if (err) {
		signal_thread_free(t);
		thread_put(t);
		return err;
	}
	TRACE(thread_clone, "tid %d", tid);
	thread_start(t);
	return tid;
}

static int share_or_copy(struct program *p, const struct clone_args *a)
{
	struct program *me = current_program();
	struct mm *mm = me->mm;
	if (a->flags & CLONE_VM)
		mm_get(mm);
	else
		mm = mm_copy(mm);
	if (!mm)
		return -ENOMEM;
	mm_put(p->mm); /* the kernel's, that every program starts with */
	p->mm = mm;
	if (a->flags & CLONE_FILES) {
		fd_table_get(me->fds);
		p->fds = me->fds;
	} else {
		p->fds = fd_table_copy(me->fds);
	}
	if (!p->fds)
		return -ENOMEM;
	if (a->flags & CLONE_CLEAR_SIGHAND)
		signal_exec_reset(p);
	return 0;
}

static int give_pidfd(struct program *p, const struct clone_args *a)
{
	int fd = pidfd_create(p, 0);
	if (fd < 0)
		return fd;
	if (put_user(fd, (int __user *)a->pidfd) == 0)
		return 0;
	fd_close(fd);
	return -EFAULT;
}

static long clone_program(const struct clone_args *a)
{
	struct program *p = program_copy(current_program());
	struct completion done;
	if (!p)
		return -ENOMEM;
	p->exit_signal = (int)a->exit_signal;
	if (a->flags & CLONE_PARENT)
		p->ppid = current_program()->ppid;
	int pid = p->pid, err = share_or_copy(p, a);
	struct thread *t = err ? NULL : make_thread(p, a, pid, &err);
	if (t) {
		err = store_tids(a, pid, p->mm);
		if (!err && (a->flags & CLONE_PIDFD))
			err = give_pidfd(p, a);
		if (!err)
			err = program_add_thread(p, t);
		if (err) {
			signal_thread_free(t);
			thread_put(t);
		}
	}
	if (err) {
		program_discard(p);
		return err;
	}
	if (a->flags & CLONE_VFORK) {
		completion_init(&done);
		p->vfork = &done;
	}
	TRACE(program_clone, "pid %d", pid);
	thread_start(t);
	if (a->flags & CLONE_VFORK)
		completion_wait(&done);
	return pid;
}

static long do_clone(const struct clone_args *a)
{
	int err = check_flags(a);
	if (err)
		return err;
	return a->flags & CLONE_THREAD ? clone_thread(a) : clone_program(a);
}

SYSCALL(
    clone, uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
	struct clone_args a = {.flags = (uint32_t)flags & ~(uint64_t)CSIGNAL,
	    .pidfd = parent_tid,
	    .parent_tid = parent_tid,
	    .child_tid = child_tid,
	    .exit_signal = flags & CSIGNAL,
	    .stack = stack,
	    .tls = tls};
	if ((a.flags & CLONE_PIDFD) && (a.flags & CLONE_PARENT_SETTID))
		return -EINVAL;
	return do_clone(&a);
}

static bool all_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Copies a structure whose size the application says: unknown fields must be zero. */
static int copy_args(struct clone_args *a, const void __user *u, size_t size)
{
	unsigned char more[64];
	memset(a, 0, sizeof *a);
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > sizeof *a + sizeof more)
		return -E2BIG;
	if (copy_from_user(a, u, MIN(size, sizeof *a)))
		return -EFAULT;
	if (size <= sizeof *a)
		return 0;
	size_t extra = size - sizeof *a;
	if (copy_from_user(more, (const char __user *)u + sizeof *a, extra))
		return -EFAULT;
	return all_zero(more, extra) ? 0 : -E2BIG;
}

SYSCALL(clone3, const void __user *args, size_t size)
{
	struct clone_args a;
	int err = copy_args(&a, args, size);
	if (err)
		return err;
	if (a.flags & (CLONE_DETACHED | CSIGNAL) || a.set_tid_size || (a.flags & CLONE_INTO_CGROUP))
		return -EINVAL;
	if (!a.stack != !a.stack_size)
		return -EINVAL;
	if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
		return -EINVAL;
	if (a.stack && !user_range_ok((const void __user *)a.stack, a.stack_size))
		return -EINVAL;
	return do_clone(&a);
}

SYSCALL(fork, void)
{
	struct clone_args a = {.exit_signal = SIGNAL_CHILD};
	return do_clone(&a);
}

SYSCALL(vfork, void)
{
	struct clone_args a = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGNAL_CHILD};
	return do_clone(&a);
}

SYSCALL(set_tid_address, void __user *word)
{
	current_thread()->clear_child_tid = word;
	return current_thread()->tid;
}
