/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way back to the application with signals: handlers, default actions, and interrupted system
 * calls.
 *
 * An interrupted call returned one of the internal errors ERESTART*. It is started again by going
 * back two bytes, onto the SYSCALL instruction: rewriting a call site leaves that instruction in
 * place behind the jump, so this is right for both ways into the kernel.
 */
#include <linux/signal.h>

#include "arch/x86/percpu.h"
#include "arch/x86/sigframe.h"
#include "arch/x86/trapframe.h"
#include "core/trace.h"
#include "mm/uaccess.h"
#include "proc/crash_program.h"
#include "proc/lifecycle.h"
#include "proc/rseq.h"
#include "proc/signal_send.h"
#include "sys/syscall.h"

#define NEVER_BLOCKED (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
#define NR_RESTART_SYSCALL 219
#define SYSCALL_INSTRUCTION 2

void signal_set_mask(sigset64 mask)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	mutex_lock(&p->signals.lock);
	sigset64 newly = mask & ~t->signals->blocked;
	t->signals->blocked = mask & ~NEVER_BLOCKED;
	signal_recalc(t);
	/* What this thread blocks from now on may be for others. */
	if (newly & p->signals.pending.set)
		signal_recalc_program(p);
	mutex_unlock(&p->signals.lock);
}

int signal_set_temporary_mask(const void __user *mask, size_t size)
{
	struct thread *t = current_thread();
	sigset64 set;
	if (size != sizeof set)
		return -EINVAL;
	if (copy_from_user(&set, mask, sizeof set))
		return -EFAULT;
	t->signals->saved_blocked = t->signals->blocked;
	t->signals->restore_blocked = true;
	signal_set_mask(set);
	/* The way out passes signal_deliver() even without a signal; the sleep to come is not
	 * disturbed. */
	atomic_store(&t->signals->wake, true);
	thread_kick(t);
	return 0;
}

void signal_force(int sig)
{
	struct program *p = current_program();
	mutex_lock(&p->signals.lock);
	/* A handler for SIGSEGV cannot run when its frame is the problem. */
	if (sig == SIGSEGV)
		p->signals.action[sig].handler = (void *)SIG_DFL;
	mutex_unlock(&p->signals.lock);
	signal_fault(sig, SI_KERNEL, 0, 0);
}

static bool is_restart(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

static void restart(struct trapframe *f)
{
	bool block = (long)f->rax == -ERESTART_RESTARTBLOCK;
	f->rax = block ? NR_RESTART_SYSCALL : f->error;
	f->rip -= SYSCALL_INSTRUCTION;
	f->vector = 0;
}

/* A handler is about to run: does the interrupted call end or start again? */
static void settle_for_handler(struct trapframe *f, const struct ksigaction *a)
{
	long result = (long)f->rax;
	if (f->vector != TF_SYSCALL || !is_restart(result))
		return;
	if (result == -ERESTARTNOINTR || (result == -ERESTARTSYS && (a->flags & SA_RESTART))) {
		restart(f);
		return;
	}
	f->rax = (uint64_t)-EINTR;
	f->vector = 0;
}

static void run_handler(
    struct trapframe *f, int sig, const struct ksiginfo *info, const struct ksigaction *a)
{
	struct thread_signals *s = current_thread()->signals;
	sigset64 after = s->restore_blocked ? s->saved_blocked : s->blocked;
	settle_for_handler(f, a);
	rseq_signal(f);
	TRACE(signal_handler, "sig %d handler %p rip %lx", sig, a->handler, f->rip);
	if (sigframe_push(f, info, a, after)) {
		signal_force(SIGSEGV);
		return;
	}
	s->restore_blocked = false;
	sigset64 mask = s->blocked | a->mask;
	if (!(a->flags & SA_NODEFER))
		mask |= SIGBIT(sig);
	f->vector = 0;
	signal_set_mask(mask);
}

static bool orphaned(const struct program *p)
{
	return p->ppid == 1;
}

static void default_action(struct trapframe *f, int sig, const struct ksiginfo *info)
{
	struct program *p = current_program();
	switch (signal_default_action(sig)) {
	case SIGNAL_IGNORE:
	case SIGNAL_CONT:
		return;
	case SIGNAL_STOP:
		if (sig == SIGSTOP || !orphaned(p))
			signal_stop_program(sig);
		return;
	case SIGNAL_CORE:
		if (!p->exiting)
			crash_report_program(f, sig, info);
		program_exit(sig);
	case SIGNAL_TERM:
		program_exit(sig);
	}
}

/* Takes the next signal to act on and its action; 0 if there is none, and then the flags are
 * cleared. */
static int next_signal(struct ksiginfo *info, struct ksigaction *a)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	mutex_lock(&p->signals.lock);
	while (
	    p->stopped && !program_ends_thread(p, t) && !(p->signals.pending.set & SIGBIT(SIGKILL)))
		waitq_wait(&p->stop_wait, &p->signals.lock, NO_DEADLINE, WAIT_KILLABLE);
	int sig =
	    program_ends_thread(p, t) ? SIGKILL : signal_dequeue(t, ~t->signals->blocked, info);
	if (sig) {
		*a = p->signals.action[sig];
		if (a->flags & SA_RESETHAND && a->handler != (void *)SIG_IGN)
			p->signals.action[sig].handler = (void *)SIG_DFL;
	} else {
		atomic_store(&t->signals->interrupt, false);
		atomic_store(&t->signals->wake, false);
	}
	mutex_unlock(&p->signals.lock);
	return sig;
}

static void put_mask_back(void)
{
	struct thread_signals *s = current_thread()->signals;
	s->restore_blocked = false;
	signal_set_mask(s->saved_blocked);
}

void signal_deliver(struct trapframe *f)
{
	struct thread_signals *s = current_thread()->signals;
	struct ksiginfo info;
	struct ksigaction a;
	int sig;
	if (program_ends_thread(current_program(), current_thread()))
		thread_leave(current_program()->exit_code);
	rseq_resume(f);
	/* ppoll() and the like that ended without being interrupted: their mask does not count any
	 * more. */
	if (s->restore_blocked &&
	    !(f->vector == TF_SYSCALL && (is_restart((long)f->rax) || (long)f->rax == -EINTR)))
		put_mask_back();
	/* Senders set these before they make this thread pass here. */
	bool nothing =
	    !atomic_load(&s->wake) && !atomic_load(&s->interrupt) && !current_program()->stopped;
	while (!nothing && (sig = next_signal(&info, &a)) != 0) {
		if (program_ends_thread(current_program(), current_thread()))
			thread_leave(current_program()->exit_code);
		if (a.handler == (void *)SIG_DFL)
			default_action(f, sig, &info);
		else if (a.handler != (void *)SIG_IGN)
			run_handler(f, sig, &info, &a);
	}
	if (f->vector == TF_SYSCALL && is_restart((long)f->rax))
		restart(f);
	if (s->restore_blocked)
		put_mask_back();
}
