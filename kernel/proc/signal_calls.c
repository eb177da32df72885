/* SPDX-License-Identifier: BSD-3-Clause */
/* The system calls about signals. */
#include <linux/signal.h>
#include <linux/capability.h>

#include "arch/x86/percpu.h"
#include "arch/x86/sigframe.h"
#include "arch/x86/trapframe.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/signal_send.h"
#include "proc/timespec.h"
#include "sys/syscall.h"

#define NEVER_BLOCKED (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

static bool valid(int sig)
{
	return sig >= 1 && sig <= NSIG_MAX;
}

SYSCALL(rt_sigaction, int sig, const void __user *new, void __user *old, size_t size)
{
	struct program *p = current_program();
	struct ksigaction a, before;
	if (size != sizeof(sigset64) || !valid(sig))
		return -EINVAL;
	if (new && (sig == SIGKILL || sig == SIGSTOP))
		return -EINVAL;
	if (new &&copy_from_user(&a, new, sizeof a))
		return -EFAULT;
	mutex_lock(&p->signals.lock);
	before = p->signals.action[sig];
	if (new) {
		a.mask &= ~NEVER_BLOCKED;
		p->signals.action[sig] = a;
		signal_discard_ignored(p, sig);
	}
	mutex_unlock(&p->signals.lock);
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}

SYSCALL(rt_sigprocmask, int how, const uint64_t __user *set, uint64_t __user *old, size_t size)
{
	sigset64 before = current_thread()->signals->blocked, mask;
	if (size != sizeof mask)
		return -EINVAL;
	if (set) {
		if (get_user(mask, set))
			return -EFAULT;
		if (how == SIG_BLOCK)
			mask = before | mask;
		else if (how == SIG_UNBLOCK)
			mask = before & ~mask;
		else if (how != SIG_SETMASK)
			return -EINVAL;
		signal_set_mask(mask);
	}
	return old ? put_user(before, old) : 0;
}

SYSCALL(rt_sigpending, uint64_t __user *set, size_t size)
{
	sigset64 pending = signal_pending_set() & current_thread()->signals->blocked;
	if (size > sizeof pending)
		return -EINVAL;
	return copy_to_user(set, &pending, size);
}

SYSCALL(rt_sigsuspend, const uint64_t __user *set, size_t size)
{
	int err = signal_set_temporary_mask(set, size);
	if (err)
		return err;
	for (;;) {
		thread_prepare_wait();
		if (signal_pending())
			break;
		schedule();
	}
	thread_end_wait();
	return -ERESTARTNOHAND;
}

SYSCALL(pause, void)
{
	for (;;) {
		thread_prepare_wait();
		if (signal_pending())
			break;
		schedule();
	}
	thread_end_wait();
	return -ERESTARTNOHAND;
}

SYSCALL(sigaltstack, const void __user *new, void __user *old)
{
	struct {
		uint64_t sp;
		int flags, pad;
		uint64_t size;
	} st, before = {0};
	struct thread_signals *s = current_thread()->signals;
	uint64_t rsp = syscall_frame()->rsp;
	bool disabled = s->altstack_flags & SS_DISABLE;
	bool on = !disabled && rsp > s->altstack_sp && rsp - s->altstack_sp <= s->altstack_size;
	before.sp = s->altstack_sp;
	before.size = s->altstack_size;
	before.flags = on ? (s->altstack_flags | SS_ONSTACK) : s->altstack_flags;
	if (new) {
		if (copy_from_user(&st, new, sizeof st))
			return -EFAULT;
		unsigned mode = (unsigned)st.flags & ~SS_AUTODISARM;
		if (on && !(s->altstack_flags & (int)SS_AUTODISARM))
			return -EPERM;
		if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
			return -EINVAL;
		if (mode == SS_DISABLE)
			st.sp = st.size = 0;
		else if (st.size < 2048)
			return -ENOMEM;
		s->altstack_sp = st.sp;
		s->altstack_size = st.size;
		s->altstack_flags = st.flags & (int)(SS_DISABLE | SS_AUTODISARM);
	}
	return old ? copy_to_user(old, &before, sizeof before) : 0;
}

SYSCALL(rt_sigtimedwait, const uint64_t __user *uset, void __user *uinfo,
    const void __user *timeout, size_t size)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	struct ksiginfo info;
	int64_t deadline = NO_DEADLINE;
	sigset64 set;
	int sig, err = 0;
	if (size != sizeof set)
		return -EINVAL;
	if (get_user(set, uset))
		return -EFAULT;
	if (timeout && (err = timespec_deadline(timeout, &deadline)) != 0)
		return err;
	set &= ~NEVER_BLOCKED;
	mutex_lock(&p->signals.lock);
	t->signals->waiting = set;
	while (!(sig = signal_dequeue(t, set, &info)) && !err)
		err = waitq_wait(&p->signals.wait, &p->signals.lock, deadline, WAIT_INTERRUPTIBLE);
	t->signals->waiting = 0;
	mutex_unlock(&p->signals.lock);
	if (!sig)
		return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
	return uinfo && copy_to_user(uinfo, &info, sizeof info) ? -EFAULT : sig;
}

/* ---- sending ---- */

int signal_may_send(const struct program *p, int sig)
{
	const struct program *me = current_program();
	const struct credentials *c = &me->cred, *d = &p->cred;
	if (p == me || capable(CAP_KILL))
		return 0;
	if (c->euid == d->suid || c->euid == d->uid || c->uid == d->suid || c->uid == d->uid)
		return 0;
	return sig == SIGCONT && p->sid == me->sid ? 0 : -EPERM;
}

static struct ksiginfo from_user(int sig, int code)
{
	struct ksiginfo info = {.signo = sig, .code = code};
	info.pid = current_program()->pid;
	info.uid = current_program()->cred.uid;
	return info;
}

static int send_to_program(struct program *p, int sig, const struct ksiginfo *info)
{
	int err = signal_may_send(p, sig);
	return err || !sig ? err : signal_send_program(p, sig, info);
}

/* kill() with 0, -1 or -group. */
static int kill_many(int pid, int sig, const struct ksiginfo *info)
{
	struct program *me = current_program(), *p;
	int group = pid == 0 ? me->pgid : -pid, sent = 0, err = -ESRCH;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		bool match = pid == -1 ? p != me && p->pid > 1 : p->pgid == group;
		if (!match || p->dead)
			continue;
		err = send_to_program(p, sig, info);
		sent += err == 0;
	}
	mutex_unlock(&programs_lock);
	return sent ? 0 : err;
}

static struct program *program_of_id(int id)
{
	struct program *p = program_find(id);
	if (p)
		return p;
	struct thread *t = thread_find(id);
	if (!t)
		return NULL;
	int pid = t->program ? t->program->pid : -1;
	thread_put(t);
	return program_find(pid);
}

SYSCALL(kill, int pid, int sig)
{
	struct ksiginfo info = from_user(sig, SI_USER);
	if (sig && !valid(sig))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid <= 0)
		return kill_many(pid, sig, &info);
	struct program *p = program_of_id(pid);
	if (!p)
		return -ESRCH;
	int err = send_to_program(p, sig, &info);
	program_put(p);
	return err;
}

static int send_to_thread(int tgid, int tid, int sig, const struct ksiginfo *info)
{
	if (tid <= 0 || (sig && !valid(sig)))
		return -EINVAL;
	struct thread *t = thread_find(tid);
	if (!t)
		return -ESRCH;
	/* The program stays while its thread list does not change. */
	mutex_lock(&programs_lock);
	struct program *p = t->program;
	int err =
	    p && t->signals && (tgid < 0 || p->pid == tgid) ? signal_may_send(p, sig) : -ESRCH;
	if (!err && sig)
		err = signal_send_thread(t, sig, info);
	mutex_unlock(&programs_lock);
	thread_put(t);
	return err;
}

SYSCALL(tkill, int tid, int sig)
{
	struct ksiginfo info = from_user(sig, SI_TKILL);
	return send_to_thread(-1, tid, sig, &info);
}

SYSCALL(tgkill, int tgid, int tid, int sig)
{
	struct ksiginfo info = from_user(sig, SI_TKILL);
	return tgid <= 0 ? -EINVAL : send_to_thread(tgid, tid, sig, &info);
}

/* A siginfo the application made up: it must not look as if it came from the kernel, except to
 * itself. */
static int read_info(struct ksiginfo *info, const void __user *u, int sig, int target)
{
	if (copy_from_user(info, u, sizeof *info))
		return -EFAULT;
	info->signo = sig;
	if ((info->code >= 0 || info->code == SI_TKILL) && target != current_program()->pid)
		return -EPERM;
	return 0;
}

SYSCALL(rt_sigqueueinfo, int pid, int sig, const void __user *uinfo)
{
	struct ksiginfo info;
	int err = read_info(&info, uinfo, sig, pid);
	if (err)
		return err;
	if (sig && !valid(sig))
		return -EINVAL;
	struct program *p = pid > 0 ? program_of_id(pid) : NULL;
	if (!p)
		return -ESRCH;
	err = send_to_program(p, sig, &info);
	program_put(p);
	return err;
}

SYSCALL(rt_tgsigqueueinfo, int tgid, int tid, int sig, const void __user *uinfo)
{
	struct ksiginfo info;
	int err = tgid <= 0 ? -EINVAL : read_info(&info, uinfo, sig, tgid);
	return err ? err : send_to_thread(tgid, tid, sig, &info);
}
