/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals: per-program handlers and shared pending set, per-thread mask and pending set. */
#pragma once

#include "lib/list.h"
#include "sched/rcu.h"
#include "sched/sync.h"

struct program;
struct thread;
struct trapframe;

#define NSIG_MAX 64
typedef uint64_t sigset64; /* bit n-1 is signal n */
#define SIGBIT(n) (1ull << ((n)-1))

struct ksigaction { /* the layout of the kernel ABI's struct sigaction on x86-64 */
	void __user *handler;
	uint64_t flags;
	void __user *restorer;
	sigset64 mask;
};

struct ksiginfo { /* fits the ABI's siginfo_t, 128 bytes */
	int signo, err, code, pad;
	union {
		struct {
			int pid;
			uint32_t uid;
			uint64_t value; /* sigval */
		};
		struct {
			int timerid, overrun;
			uint64_t timer_value;
		};
		struct {
			int cpid;
			uint32_t cuid;
			int status;
			int64_t utime, stime;
		};
		struct {
			uint64_t addr;
			int trapno;
		};
		struct {
			int64_t band;
			int fd;
		};
		char bytes[112];
	};
};

struct signal_queue {
	sigset64 set;	   /* pending signal numbers */
	struct list infos; /* of struct queued_signal */
};

/* Wants to hear of signals that become pending (signalfd). fn runs with the program's signals.lock
 * held. */
struct signal_watch {
	struct list link;
	void (*fn)(struct signal_watch *w, int sig);
};

struct program_signals {
	struct mutex lock;
	struct ksigaction action[NSIG_MAX + 1];
	struct signal_queue pending;
	struct list watches; /* of struct signal_watch: signalfd */
	struct waitq wait;   /* sigtimedwait */
	unsigned queued;     /* entries with siginfo, against RLIMIT_SIGPENDING */
};

struct thread_signals {
	sigset64 blocked, saved_blocked;
	bool restore_blocked; /* sigsuspend, ppoll…: put saved_blocked back after delivery */
	struct signal_queue pending;
	/* Both are set by anybody under signals.lock and cleared only by the thread itself. */
	_Atomic bool wake; /* signal_deliver() has something to do on the way out of the kernel */
	_Atomic bool interrupt; /* a signal waits: interruptible sleeps end */
	sigset64 waiting;	/* what sigtimedwait() wants */
	int fault_trap;		/* exception vector of the last fault */
	struct rcu_head rcu;
	uint64_t altstack_sp, altstack_size;
	int altstack_flags;
};

/* Sends to one thread, or to the program (any thread that does not block it). info NULL: from the
 * kernel. Thread context. 0, -EAGAIN (queue full). */
int signal_send_thread(struct thread *t, int sig, const struct ksiginfo *info);
int signal_send_program(struct program *p, int sig, const struct ksiginfo *info);
/* A fault of the current thread (SIGSEGV, SIGFPE…): if blocked or ignored it ends the program. */
void signal_fault(int sig, int code, uint64_t addr, int trapno);
/* On the way back to the application: delivers pending signals by changing *frame (all registers
 * valid). */
void signal_deliver(struct trapframe *frame);
/* Copies or frees the signal state of a thread or program. */
int signal_thread_init(struct thread *t, struct thread *from);
void signal_thread_free(struct thread *t);
void signal_program_init(struct program *p);
void signal_program_free(struct program *p);
/* Temporarily installs a mask (ppoll, pselect, epoll_pwait) until the system call returns to user.
 */
int signal_set_temporary_mask(const void __user *mask, size_t size);
void signal_exec_reset(struct program *p);

/* For signalfd and sigtimedwait: takes the next signal of `set` that is pending for the current
 * thread or its program; its number or 0. */
int signal_take(sigset64 set, struct ksiginfo *info);
/* All that is pending for the current thread and its program. */
sigset64 signal_pending_set(void);
/* Adds and removes a watch of the current program. */
void signal_watch_add(struct signal_watch *w);
void signal_watch_remove(struct program *p, struct signal_watch *w);
