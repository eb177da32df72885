/* SPDX-License-Identifier: BSD-3-Clause */
/* Inner functions of signal sending, for kernel/proc only. */
#pragma once

#include "proc/program.h"

/* Makes t look at its signals (or at its program's end) soon: out of an interruptible sleep, or out
 * of the application on whatever CPU it runs. signals.lock of its program held. */
void signal_kick(struct thread *t);
/* Sets or clears the "something to deliver" flag of each thread. signals.lock held. */
void signal_recalc_program(struct program *p);
/* The same for the current thread. signals.lock held. */
void signal_recalc(struct thread *t);
/* Whether p's dead children need no wait(): SIGCHLD ignored or SA_NOCLDWAIT. */
bool signal_child_ignored(struct program *p);

/* Puts a prepared entry (a timer's) into the pending set without allocation, unless it is queued
 * already. Returns whether it was queued. t NULL: to the program. */
struct queued_signal {
	struct list link;
	struct ksiginfo info;
	bool owned;   /* belongs to a timer: not freed on delivery */
	bool pending; /* linked; under signals.lock */
};
bool signal_send_prepared(struct program *p, struct thread *t, struct queued_signal *q);
/* Takes a prepared entry back. */
void signal_withdraw(struct program *p, struct queued_signal *q);
/* Called for an owned entry when it is taken out for delivery (signals.lock held): brings info up
 * to date. */
void posix_timer_delivered(struct queued_signal *q, struct ksiginfo *info);

/* Takes the next signal of `set` out of the thread's or its program's pending signals. 0 if there
 * is none. signals.lock held. */
int signal_dequeue(struct thread *t, sigset64 set, struct ksiginfo *info);

/* What a signal does without a handler. */
enum signal_default { SIGNAL_TERM, SIGNAL_CORE, SIGNAL_IGNORE, SIGNAL_STOP, SIGNAL_CONT };
enum signal_default signal_default_action(int sig);

/* May the current program signal p? 0 or -EPERM. */
int signal_may_send(const struct program *p, int sig);

/* The default action of stop signals: every thread of the current program waits in
 * signal_deliver(). */
void signal_stop_program(int sig);

/* Sets the current thread's mask (SIGKILL and SIGSTOP stay unblocked) and looks what may be
 * delivered now. */
void signal_set_mask(sigset64 mask);
/* A signal the current thread cannot avoid: its handler runs, or if that is impossible the program
 * ends. */
void signal_force(int sig);

/* The action of sig changed: pending ones that are ignored now go away. signals.lock held. */
void signal_discard_ignored(struct program *p, int sig);
