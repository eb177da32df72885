/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending signals: pending sets, who gets what, waking.
 *
 * signals.lock of the program protects handlers, both kinds of pending sets, masks as others see
 * them, and the flags `wake` and `interrupt` in the direction of setting. Only the thread itself
 * clears these flags (in signal_deliver()), so a sleep that ended because of `interrupt` always
 * passes signal_deliver(), which turns the internal restart errors into what the application may
 * see.
 */
#include "proc/signal.h"

#include <linux/signal.h>
#include <asm/errno.h>
#include <linux/resource.h>

#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "proc/signal_send.h"

#define SYNCHRONOUS                                                                             \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | \
	    SIGBIT(SIGSYS))
#define STOPS (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

enum signal_default signal_default_action(int sig)
{
	switch (sig) {
	case SIGCHLD:
	case SIGURG:
	case SIGWINCH:
		return SIGNAL_IGNORE;
	case SIGCONT:
		return SIGNAL_CONT;
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return SIGNAL_STOP;
	case SIGQUIT:
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGSYS:
	case SIGXCPU:
	case SIGXFSZ:
		return SIGNAL_CORE;
	}
	return SIGNAL_TERM;
}

/* ---- pending sets ---- */

static void queue_init(struct signal_queue *q)
{
	q->set = 0;
	list_init(&q->infos);
}

static void free_entry(struct program *p, struct queued_signal *e)
{
	list_remove(&e->link);
	e->pending = false;
	if (e->owned)
		return;
	p->signals.queued--;
	kfree(e);
}

static void queue_flush(struct program *p, struct signal_queue *q, sigset64 set)
{
	struct queued_signal *e, *n;
	list_for_each_entry_safe (e, n, &q->infos, link)
		if (set & SIGBIT(e->info.signo))
			free_entry(p, e);
	q->set &= ~set;
}

/* Every pending set of a program loses these signals. signals.lock held. */
static void flush_all(struct program *p, sigset64 set)
{
	struct thread *t;
	queue_flush(p, &p->signals.pending, set);
	list_for_each_entry (t, &p->threads, program_link)
		queue_flush(p, &t->signals->pending, set);
}

static int lowest(sigset64 set)
{
	sigset64 first = set & SYNCHRONOUS ? set & SYNCHRONOUS : set;
	return __builtin_ctzll(first) + 1;
}

static int queue_take(
    struct program *p, struct signal_queue *q, sigset64 set, struct ksiginfo *info)
{
	struct queued_signal *e, *n;
	bool found = false, more = false;
	if (!(q->set & set))
		return 0;
	int sig = lowest(q->set & set);
	memset(info, 0, sizeof *info);
	info->signo = sig;
	info->code = SI_USER;
	list_for_each_entry_safe (e, n, &q->infos, link) {
		if (e->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		*info = e->info;
		found = true;
		if (e->owned)
			posix_timer_delivered(e, info);
		free_entry(p, e);
	}
	if (!more)
		q->set &= ~SIGBIT(sig);
	return sig;
}

int signal_dequeue(struct thread *t, sigset64 set, struct ksiginfo *info)
{
	struct program *p = t->program;
	int sig = queue_take(p, &t->signals->pending, set, info);
	return sig ? sig : queue_take(p, &p->signals.pending, set, info);
}

/* ---- telling threads ---- */

void signal_kick(struct thread *t)
{
	atomic_store(&t->signals->interrupt, true);
	atomic_store(&t->signals->wake, true);
	thread_kick(t);
}

static bool deliverable(const struct thread *t)
{
	const struct program *p = t->program;
	return program_ends_thread(p, t) || p->stopped ||
	       ((t->signals->pending.set | p->signals.pending.set) & ~t->signals->blocked);
}

void signal_recalc(struct thread *t)
{
	if (deliverable(t) && !atomic_load(&t->signals->interrupt))
		signal_kick(t);
}

void signal_recalc_program(struct program *p)
{
	struct thread *t;
	list_for_each_entry (t, &p->threads, program_link)
		signal_recalc(t);
}

/* One thread that does not block sig; the one that is here already saves an interrupt. */
static struct thread *pick(struct program *p, int sig)
{
	struct thread *t, *me = current_thread();
	if (me->program == p && !(me->signals->blocked & SIGBIT(sig)))
		return me;
	list_for_each_entry (t, &p->threads, program_link)
		if (!(t->signals->blocked & SIGBIT(sig)))
			return t;
	return NULL;
}

static void announce(struct program *p, struct thread *to, int sig)
{
	struct signal_watch *w;
	struct thread *t = to ? to : pick(p, sig);
	if (sig == SIGKILL) {
		list_for_each_entry (t, &p->threads, program_link)
			signal_kick(t);
		waitq_wake_all(&p->stop_wait);
	} else if (t && !(t->signals->blocked & SIGBIT(sig))) {
		signal_kick(t);
	}
	if (!waitq_empty(&p->signals.wait))
		waitq_wake_all(&p->signals.wait);
	list_for_each_entry (w, &p->signals.watches, link)
		w->fn(w, sig);
}

/* ---- sending ---- */

static bool wanted_by_waiter(struct program *p, struct thread *to, int sig)
{
	struct thread *t;
	if (to)
		return (to->signals->waiting | to->signals->blocked) & SIGBIT(sig);
	list_for_each_entry (t, &p->threads, program_link)
		if ((t->signals->waiting | t->signals->blocked) & SIGBIT(sig))
			return true;
	return false;
}

/* Nobody would notice it. */
static bool ignored(struct program *p, struct thread *to, int sig)
{
	uint64_t h = (uint64_t)p->signals.action[sig].handler;
	bool ignore = h == (uint64_t)SIG_IGN ||
		      (h == (uint64_t)SIG_DFL && (signal_default_action(sig) == SIGNAL_IGNORE ||
						     signal_default_action(sig) == SIGNAL_CONT));
	return ignore && sig != SIGKILL && sig != SIGSTOP && !wanted_by_waiter(p, to, sig);
}

static void parent_child_event(struct program *p)
{
	struct program *q;
	mutex_lock(&programs_lock);
	list_for_each_entry (q, &all_programs, link) {
		if (q->pid != p->ppid || q->dead)
			continue;
		if (!(q->signals.action[SIGCHLD].flags & SA_NOCLDSTOP)) {
			struct ksiginfo info = {
			    .signo = SIGCHLD, .code = p->stopped ? CLD_STOPPED : CLD_CONTINUED};
			info.cpid = p->pid;
			info.cuid = p->cred.uid;
			info.status = p->stopped ? p->stop_signal : SIGCONT;
			signal_send_program(q, SIGCHLD, &info);
		}
		waitq_wake_all(&q->child_wait);
		break;
	}
	mutex_unlock(&programs_lock);
}

/* Stop signals and SIGCONT cancel each other. Returns whether a stopped program goes on. */
static bool job_control(struct program *p, int sig)
{
	if (SIGBIT(sig) & STOPS)
		flush_all(p, SIGBIT(SIGCONT));
	if (sig != SIGCONT)
		return false;
	flush_all(p, STOPS);
	if (!p->stopped)
		return false;
	p->stopped = false;
	p->continued = true;
	waitq_wake_all(&p->stop_wait);
	return true;
}

static int enqueue(struct program *p, struct signal_queue *q, int sig, const struct ksiginfo *info)
{
	bool realtime = sig >= SIGRTMIN, exact = realtime && info && info->code != SI_USER;
	if (!realtime && (q->set & SIGBIT(sig)))
		return 0;
	struct queued_signal *e = NULL;
	if (p->signals.queued < p->limits[RLIMIT_SIGPENDING].cur)
		e = kmalloc(sizeof *e);
	if (!e && exact)
		return -EAGAIN;
	if (e) {
		*e = (struct queued_signal){.pending = true};
		if (info)
			e->info = *info;
		else
			e->info.code = SI_KERNEL;
		e->info.signo = sig;
		list_append(&q->infos, &e->link);
		p->signals.queued++;
	}
	q->set |= SIGBIT(sig);
	return 0;
}

static int send(struct program *p, struct thread *t, int sig, const struct ksiginfo *info)
{
	int err = 0;
	TRACE(signal_send, "sig %d pid %d tid %d", sig, p->pid, t ? t->tid : 0);
	mutex_lock(&p->signals.lock);
	bool resumed = job_control(p, sig);
	if (t && !t->signals) {
		err = -ESRCH;
	} else if (!ignored(p, t, sig)) {
		err = enqueue(p, t ? &t->signals->pending : &p->signals.pending, sig, info);
		if (!err)
			announce(p, t, sig);
	}
	mutex_unlock(&p->signals.lock);
	if (resumed)
		parent_child_event(p);
	return err;
}

int signal_send_thread(struct thread *t, int sig, const struct ksiginfo *info)
{
	struct program *p = t->program;
	return p ? send(p, t, sig, info) : -ESRCH;
}

int signal_send_program(struct program *p, int sig, const struct ksiginfo *info)
{
	return p->dead ? -ESRCH : send(p, NULL, sig, info);
}

bool signal_send_prepared(struct program *p, struct thread *t, struct queued_signal *e)
{
	int sig = e->info.signo;
	bool queued = false;
	mutex_lock(&p->signals.lock);
	if (!e->pending && (!t || t->signals) && !ignored(p, t, sig)) {
		struct signal_queue *q = t ? &t->signals->pending : &p->signals.pending;
		e->owned = e->pending = queued = true;
		list_append(&q->infos, &e->link);
		q->set |= SIGBIT(sig);
		announce(p, t, sig);
	}
	mutex_unlock(&p->signals.lock);
	return queued;
}

static bool has_entry(const struct signal_queue *q, int sig)
{
	struct queued_signal *e;
	list_for_each_entry (e, &q->infos, link)
		if (e->info.signo == sig)
			return true;
	return false;
}

void signal_withdraw(struct program *p, struct queued_signal *e)
{
	struct thread *t;
	int sig = e->info.signo;
	mutex_lock(&p->signals.lock);
	if (e->pending) {
		list_remove(&e->link);
		e->pending = false;
		if (!has_entry(&p->signals.pending, sig))
			p->signals.pending.set &= ~SIGBIT(sig);
		list_for_each_entry (t, &p->threads, program_link)
			if (!has_entry(&t->signals->pending, sig))
				t->signals->pending.set &= ~SIGBIT(sig);
	}
	mutex_unlock(&p->signals.lock);
}

void signal_fault(int sig, int code, uint64_t addr, int trapno)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	struct ksiginfo info = {.signo = sig, .code = code};
	info.addr = addr;
	TRACE(signal_fault, "sig %d code %d addr %lx trap %d", sig, code, addr, trapno);
	mutex_lock(&p->signals.lock);
	struct ksigaction *a = &p->signals.action[sig];
	bool blocked = t->signals->blocked & SIGBIT(sig);
	if (blocked || a->handler == (void *)SIG_IGN) {
		a->handler = (void *)SIG_DFL;
		t->signals->blocked &= ~SIGBIT(sig);
	}
	t->signals->fault_trap = trapno;
	queue_flush(p, &t->signals->pending, SIGBIT(sig));
	enqueue(p, &t->signals->pending, sig, &info);
	signal_kick(t);
	mutex_unlock(&p->signals.lock);
}

/* ---- stopping ---- */

void signal_stop_program(int sig)
{
	struct program *p = current_program();
	struct thread *t;
	mutex_lock(&p->signals.lock);
	p->stopped = true;
	p->stop_reported = p->continued = false;
	p->stop_signal = sig;
	list_for_each_entry (t, &p->threads, program_link)
		signal_kick(t);
	mutex_unlock(&p->signals.lock);
	parent_child_event(p);
}

/* ---- life cycle ---- */

void signal_program_init(struct program *p)
{
	queue_init(&p->signals.pending);
	list_init(&p->signals.watches);
	waitq_init(&p->signals.wait);
	waitq_init(&p->stop_wait);
}

void signal_program_free(struct program *p)
{
	queue_flush(p, &p->signals.pending, ~0ull);
}

int signal_thread_init(struct thread *t, struct thread *from)
{
	struct thread_signals *s = kzalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	queue_init(&s->pending);
	s->altstack_flags = SS_DISABLE;
	if (from) {
		s->blocked = from->signals->blocked;
		s->altstack_sp = from->signals->altstack_sp;
		s->altstack_size = from->signals->altstack_size;
		s->altstack_flags = from->signals->altstack_flags;
	}
	t->signals = s;
	return 0;
}

static void free_state(struct rcu_head *h)
{
	kfree(container_of(h, struct thread_signals, rcu));
}

void signal_thread_free(struct thread *t)
{
	struct thread_signals *s = t->signals;
	if (!s)
		return;
	if (t->program)
		mutex_lock(&t->program->signals.lock);
	if (t->program)
		queue_flush(t->program, &s->pending, ~0ull);
	t->signals = NULL;
	if (t->program)
		mutex_unlock(&t->program->signals.lock);
	/* Interrupt handlers and senders may still look at it. */
	rcu_defer(&s->rcu, free_state);
}

void signal_exec_reset(struct program *p)
{
	mutex_lock(&p->signals.lock);
	for (int sig = 1; sig <= NSIG_MAX; sig++) {
		struct ksigaction *a = &p->signals.action[sig];
		bool ignore = a->handler == (void *)SIG_IGN;
		*a = (struct ksigaction){.handler = ignore ? (void *)SIG_IGN : (void *)SIG_DFL};
	}
	struct thread *t = current_thread();
	if (t->program == p && t->signals) {
		t->signals->altstack_flags = SS_DISABLE;
		t->signals->altstack_sp = t->signals->altstack_size = 0;
	}
	mutex_unlock(&p->signals.lock);
}

bool signal_child_ignored(struct program *p)
{
	const struct ksigaction *a = &p->signals.action[SIGCHLD];
	return a->handler == (void *)SIG_IGN || (a->flags & SA_NOCLDWAIT);
}

/* ---- signalfd and sigtimedwait ---- */

int signal_take(sigset64 set, struct ksiginfo *info)
{
	struct program *p = current_program();
	mutex_lock(&p->signals.lock);
	int sig = signal_dequeue(current_thread(), set, info);
	mutex_unlock(&p->signals.lock);
	return sig;
}

sigset64 signal_pending_set(void)
{
	return current_thread()->signals->pending.set | current_program()->signals.pending.set;
}

void signal_watch_add(struct signal_watch *w)
{
	struct program *p = current_program();
	mutex_lock(&p->signals.lock);
	list_append(&p->signals.watches, &w->link);
	mutex_unlock(&p->signals.lock);
}

void signal_watch_remove(struct program *p, struct signal_watch *w)
{
	mutex_lock(&p->signals.lock);
	list_remove(&w->link);
	mutex_unlock(&p->signals.lock);
}

void signal_discard_ignored(struct program *p, int sig)
{
	uint64_t h = (uint64_t)p->signals.action[sig].handler;
	enum signal_default d = signal_default_action(sig);
	if (h == (uint64_t)SIG_IGN ||
	    (h == (uint64_t)SIG_DFL && (d == SIGNAL_IGNORE || d == SIGNAL_CONT)))
		flush_all(p, SIGBIT(sig));
}
