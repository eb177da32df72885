/* SPDX-License-Identifier: BSD-3-Clause */
/* wait4() and waitid(): the parent's view of its children's ends, stops and continuations. */
#include <linux/resource.h>
#include <linux/wait.h>

#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/lifecycle.h"
#include "proc/pidfd.h"
#include "proc/signal_send.h"
#include "proc/usage.h"
#include "sys/syscall.h"

/* Which children: wait4()'s and waitid()'s ways of saying it, brought to one form. */
struct wait_for {
	int which, id; /* P_ALL, P_PID, P_PGID */
	int options;
};

/* What was found, copied while the child was still there. */
struct wait_result {
	int pid;
	int status; /* wait()'s encoding */
	struct ksiginfo info;
	struct rusage usage;
};

static bool eligible(const struct program *c, const struct wait_for *w)
{
	if (c->ppid != current_program()->pid || c->reaped)
		return false;
	if (w->which == P_PID && c->pid != w->id)
		return false;
	if (w->which == P_PGID && c->pgid != w->id)
		return false;
	if (w->options & __WALL)
		return true;
	bool clone_child = c->exit_signal != SIGNAL_CHILD;
	return clone_child == !!(w->options & __WCLONE);
}

static void take_end(struct program *c, const struct wait_for *w, struct wait_result *r)
{
	struct program *me = current_program();
	int64_t user, kernel;
	r->pid = c->pid;
	r->status = c->exit_code;
	program_end_info(c, &r->info);
	usage_of_program(c, &r->usage, true);
	if (w->options & WNOWAIT)
		return;
	program_cpu_split(c, &user, &kernel);
	me->children_user_ns += user + c->children_user_ns;
	me->children_kernel_ns += kernel + c->children_kernel_ns;
	program_forget(c);
}

enum { CODE_STOPPED = 5, CODE_CONTINUED = 6 };

static void stop_info(struct program *c, struct wait_result *r, int code, int status)
{
	r->pid = c->pid;
	r->info = (struct ksiginfo){.signo = SIGNAL_CHILD, .code = code};
	r->info.cpid = c->pid;
	r->info.cuid = c->cred.uid;
	r->info.status = status;
	usage_of_program(c, &r->usage, true);
}

/* Reports a stop or continuation that was not reported yet. */
static bool take_stop(struct program *c, const struct wait_for *w, struct wait_result *r)
{
	bool found = false, keep = w->options & WNOWAIT;
	mutex_lock(&c->signals.lock);
	int sig = c->stop_signal;
	if ((w->options & WUNTRACED) && c->stopped && !c->stop_reported) {
		c->stop_reported = !keep;
		r->status = sig << 8 | 0x7f;
		found = true;
	}
	bool continued = !found && (w->options & WCONTINUED) && c->continued;
	if (continued)
		c->continued = keep;
	mutex_unlock(&c->signals.lock);
	if (found)
		stop_info(c, r, CODE_STOPPED, sig);
	if (continued) {
		r->status = 0xffff;
		stop_info(c, r, CODE_CONTINUED, 18 /* SIGCONT */);
	}
	return found || continued;
}

/* 1 found, 0 there are children but nothing to report, -ECHILD. programs_lock held. */
static int scan(const struct wait_for *w, struct wait_result *r)
{
	struct program *c, *n;
	bool any = false;
	list_for_each_entry_safe (c, n, &all_programs, link) {
		if (!eligible(c, w))
			continue;
		any = true;
		if (c->dead && (w->options & WEXITED)) {
			take_end(c, w, r);
			return 1;
		}
		if (!c->dead && take_stop(c, w, r))
			return 1;
	}
	return any ? 0 : -ECHILD;
}

static int do_wait(const struct wait_for *w, struct wait_result *r)
{
	struct program *me = current_program();
	int found;
	mutex_lock(&programs_lock);
	for (;;) {
		found = scan(w, r);
		if (found || (w->options & WNOHANG))
			break;
		if (waitq_wait(&me->child_wait, &programs_lock, NO_DEADLINE, WAIT_INTERRUPTIBLE)) {
			found = -ERESTARTSYS;
			break;
		}
	}
	mutex_unlock(&programs_lock);
	return found;
}

SYSCALL(wait4, int pid, int __user *status, int options, void __user *usage)
{
	struct wait_for w = {.options = options | WEXITED};
	struct wait_result r = {0};
	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	w.which = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	w.id = pid > 0 ? pid : pid == 0 ? current_program()->pgid : -pid;
	int found = do_wait(&w, &r);
	if (found <= 0)
		return found;
	if (status && put_user(r.status, status))
		return -EFAULT;
	if (usage && copy_to_user(usage, &r.usage, sizeof r.usage))
		return -EFAULT;
	return r.pid;
}

static int waitid_target(struct wait_for *w, int which, int id)
{
	w->which = which;
	w->id = id;
	switch (which) {
	case P_ALL:
		return 0;
	case P_PID:
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		w->id = id ? id : current_program()->pgid;
		return id >= 0 ? 0 : -EINVAL;
	case P_PIDFD:
		w->which = P_PID;
		w->id = pidfd_pid(id);
		return w->id < 0 ? w->id : 0;
	}
	return -EINVAL;
}

SYSCALL(waitid, int which, int id, void __user *info, int options, void __user *usage)
{
	struct wait_for w = {.options = options};
	struct wait_result r = {0};
	int known =
	    WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
	if (options & ~known || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	int err = waitid_target(&w, which, id);
	if (err)
		return err;
	int found = do_wait(&w, &r);
	if (found < 0)
		return found;
	if (info && copy_to_user(info, &r.info, sizeof r.info))
		return -EFAULT;
	if (found && usage && copy_to_user(usage, &r.usage, sizeof r.usage))
		return -EFAULT;
	return 0;
}
