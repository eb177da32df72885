/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of threads and programs. */
#include <linux/eventpoll.h>

#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "ipc/sysv.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/futex.h"
#include "proc/lifecycle.h"
#include "proc/pidtimers.h"
#include "proc/signal_send.h"
#include "proc/usage.h"
#include "sys/syscall.h"

#define EXIT_STATUS(status) (((status)&0xff) << 8)

/* Tells pthread_join(): the word becomes 0 and its waiter wakes. */
static void clear_tid(struct thread *t)
{
	uint32_t __user *word = t->clear_child_tid;
	if (!word)
		return;
	t->clear_child_tid = NULL;
	if (put_user(0u, word) == 0)
		futex_wake_user(word, 1);
}

static bool unlink_thread(struct program *p, struct thread *t, int code)
{
	int64_t user, kernel;
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	thread_cpu_split(t, &user, &kernel);
	atomic_fetch_add(&p->dead_user_ns, user);
	atomic_fetch_add(&p->dead_kernel_ns, kernel);
	list_remove(&t->program_link);
	bool last = --p->nthreads == 0;
	if (p->exec_thread && p->nthreads == 1)
		waitq_wake_all(&p->exec_wait);
	if (last && !p->exiting) {
		p->exiting = true;
		p->exit_code = code;
	}
	/* What this thread was picked for may be left to others. */
	signal_recalc_program(p);
	mutex_unlock(&p->signals.lock);
	mutex_unlock(&p->lock);
	return last;
}

static void release_resources(struct program *p)
{
	program_timers_free(p);
	sysv_program_exit(p);
	mutex_lock(&p->lock);
	struct fd_table *fds = p->fds;
	struct dentry *cwd = p->cwd, *root = p->root;
	struct mm *mm = p->mm;
	p->fds = NULL; /* before it may be freed: others take references with p->lock held */
	mutex_unlock(&p->lock);
	/* Closing files may need the program's memory, directory and identity. */
	if (fds)
		fd_table_put(fds);
	mutex_lock(&p->lock);
	p->cwd = p->root = NULL;
	p->mm = &kernel_mm; /* never NULL: the scheduler loads it */
	mutex_unlock(&p->lock);
	if (cwd)
		dentry_put(cwd);
	if (root)
		dentry_put(root);
	atomic_store(&p->peak_rss_pages, usage_peak_pages(mm));
	mm_get(&kernel_mm);
	mm_activate(&kernel_mm);
	mm_put(mm);
}

/* programs_lock held. */
static struct program *find_parent(struct program *p)
{
	struct program *q;
	list_for_each_entry (q, &all_programs, link)
		if (q->pid == p->ppid && !q->dead)
			return q;
	return NULL;
}

/* Nobody will ask for the end of p: it leaves the list now. programs_lock held. */
void program_forget(struct program *p)
{
	p->reaped = true;
	list_remove(&p->link);
	if (p->forked)
		program_put(p);
}

/* The nearest living ancestor that wants orphans (PR_SET_CHILD_SUBREAPER). programs_lock held. */
static struct program *find_reaper(struct program *p)
{
	struct program *q = find_parent(p);
	while (q && !q->subreaper)
		q = find_parent(q);
	return q;
}

static void orphan_children(struct program *p)
{
	struct program *c, *n, *reaper = find_reaper(p);
	list_for_each_entry_safe (c, n, &all_programs, link) {
		if (c->ppid != p->pid || c == p)
			continue;
		c->ppid = reaper ? reaper->pid : 1;
		if (!c->dead && c->parent_death_signal)
			signal_send_program(c, c->parent_death_signal, NULL);
		if (c->dead && !reaper)
			program_forget(c);
		else if (c->dead)
			waitq_wake_all(&reaper->child_wait);
	}
}

static void child_info(struct ksiginfo *info, struct program *p, int code, int status)
{
	int64_t user, kernel;
	program_cpu_split(p, &user, &kernel);
	*info = (struct ksiginfo){.signo = SIGNAL_CHILD, .code = code};
	info->cpid = p->pid;
	info->cuid = p->cred.uid;
	info->status = status;
	info->utime = user / (NSEC_PER_SEC / 100);
	info->stime = kernel / (NSEC_PER_SEC / 100);
}

enum { CODE_EXITED = 1, CODE_KILLED = 2, CODE_DUMPED = 3 };

void program_end_info(struct program *p, struct ksiginfo *info)
{
	int sig = p->exit_code & 0x7f;
	int code = !sig ? CODE_EXITED : p->exit_code & 0x80 ? CODE_DUMPED : CODE_KILLED;
	child_info(info, p, code, sig ? sig : p->exit_code >> 8 & 0xff);
}

static void announce_end(struct program *p)
{
	struct ksiginfo info;
	program_end_info(p, &info);
	mutex_lock(&programs_lock);
	orphan_children(p);
	struct program *parent = find_parent(p);
	p->dead = true;
	waitq_wake_all(&p->exit_wait);
	if (parent) {
		bool wanted = !signal_child_ignored(parent);
		info.signo = p->exit_signal;
		if (p->exit_signal)
			signal_send_program(parent, p->exit_signal, &info);
		if (!wanted && p->exit_signal == SIGNAL_CHILD)
			program_forget(p);
		waitq_wake_all(&parent->child_wait);
	} else {
		program_forget(p);
	}
	mutex_unlock(&programs_lock);
	poll_notify(&p->exit_poll, EPOLLIN);
}

void program_vfork_done(struct program *p)
{
	mutex_lock(&p->lock);
	struct completion *c = p->vfork;
	p->vfork = NULL;
	mutex_unlock(&p->lock);
	if (c)
		completion_signal(c);
}

void thread_leave(int code)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	TRACE(thread_leave, "tid %d code %x", t->tid, code);
	futex_thread_exit(t);
	clear_tid(t);
	bool last = unlink_thread(p, t, code);
	if (last) {
		TRACE(app_main_ret, "pid=%d code=%#x", p->pid, p->exit_code);
		release_resources(p);
		program_vfork_done(p);
		announce_end(p);
	}
	signal_thread_free(t);
	kfree(t->syscall_state);
	t->syscall_state = NULL;
	/* Who sees t->program with programs_lock held may use it: the reference goes afterwards. */
	mutex_lock(&programs_lock);
	t->program = NULL;
	mutex_unlock(&programs_lock);
	program_put(p);
	thread_exit();
}

void program_exit(int code)
{
	struct thread *me = current_thread(), *t;
	struct program *p = me->program;
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	if (!p->exiting) {
		TRACE(app_request_termination, "pid=%d code=%#x", p->pid, code);
		p->exiting = true;
		p->exit_code = code;
		list_for_each_entry (t, &p->threads, program_link)
			if (t != me)
				signal_kick(t);
		waitq_wake_all(&p->stop_wait);
	}
	mutex_unlock(&p->signals.lock);
	mutex_unlock(&p->lock);
	thread_leave(code);
}

SYSCALL(exit, int status)
{
	thread_leave(EXIT_STATUS(status));
}

SYSCALL(exit_group, int status)
{
	program_exit(EXIT_STATUS(status));
}
