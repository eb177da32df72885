/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads and the scheduler.
 *
 * A thread sleeps in three steps, so that no wake-up is ever lost:
 *
 *	thread_prepare_wait();			state becomes WAITING
 *	if (condition still false)
 *		schedule();			gives up the CPU unless woken in between
 *	thread_end_wait();			state is RUNNING again
 *
 * thread_wake() may be called from any context, interrupts included, at any time between. It moves
 * WAITING to READY exactly once; a wake-up of a thread that does not wait is remembered for nobody
 *(the condition is what counts). Most code wants sched/sync.h, which is built on this.
 */
#pragma once

#include <stdatomic.h>
#include "arch/x86/percpu.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "sched/rcu.h"
#include "sched/timer.h"

struct program;
struct trapframe;
struct thread_signals;
struct mm;
struct mutex;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_DEAD };

enum thread_queued { NOT_QUEUED, QUEUED_FAIR, QUEUED_REALTIME };

#define KSTACK_SIZE (16 * 1024)
#define NO_DEADLINE INT64_MAX

struct thread {
	/* Scheduling: owned by the CPU `cpu` with interrupts off, except the atomics. */
	_Atomic uint32_t state; /* enum thread_state */
	uint32_t cpu;
	uint64_t kernel_rsp;	  /* saved stack pointer while not running */
	struct thread *wake_next; /* link in a CPU's incoming wake-up stack */
	struct rb_node run_node;  /* in the run queue, ordered by virtual run time */
	struct list run_link;	  /* real-time queue */
	_Atomic bool on_cpu;	  /* its registers are on a CPU, not in the structure */
	_Atomic uint8_t queued;	  /* in which part of the run queue of `cpu`: NOT_QUEUED … */
	bool timed_out;		  /* set by the sleep timer */
	bool yielded;		  /* goes behind the others of its kind */
	bool in_yield;		  /* by sched_yield(): no restartable sequence to abort */
	struct timer sleep_timer;
	uint64_t affinity;	       /* bit per CPU */
	int policy, rt_priority, nice; /* SCHED_*, 1…99, -20…19 */
	uint16_t io_priority;	       /* ioprio_set() */
	int64_t vruntime;
	int64_t run_start;	     /* ns, when it last got the CPU */
	int64_t run_ns;		     /* consumed */
	int64_t kernel_ns, cpu_mark; /* in the kernel, counted when run_ns was cpu_mark */
	bool in_kernel;		     /* where it has been since */
	uint64_t switches, migrations, preemptions, voluntary;

	/* The execution context. */
	void *kstack; /* lowest byte */
	uint64_t kstack_top;
	void *fpu; /* XSAVE area, valid while the thread does not run; NULL for kernel threads */
	void *fpu_block;	/* allocation that holds the area */
	uint64_t switches_seen; /* value of migrations when a CPU last loaded the area */
	uint64_t fs_base;

	/* The program's side. */
	int tid;
	char name[16];
	struct program *program;  /* NULL for kernel threads */
	struct list program_link; /* in program->threads */
	struct thread_signals *signals;
	void __user *clear_child_tid; /* set_tid_address(), CLONE_CHILD_CLEARTID */
	void __user *robust_list;
	size_t robust_list_size;
	void __user *rseq;
	uint32_t rseq_len, rseq_sig;
	bool rseq_event; /* preempted or migrated: rseq_resume() has something to do */
	struct futex_waiter *pi_blocked_on;
	bool pi_boosted; /* policy and priority are another thread's; its own: */
	int base_policy, base_priority;
	void *syscall_state; /* restart block of restartable sleeps */
	long syscall_nr;     /* the call it is in, -1 outside: for reports */
	atomic_int refs;
	struct list all_link; /* in the list of all threads */
	struct rcu_head rcu;
};

/* Creates a kernel thread, ready to run fn(arg) on any CPU. NULL without memory. */
struct thread *kthread_create(const char *name, void (*fn)(void *), void *arg);
/* The same, bound to one CPU. */
struct thread *kthread_create_on(unsigned cpu, const char *name, void (*fn)(void *), void *arg);
/* Makes a thread for the application with kernel stack and FPU area but not yet runnable; its first
 * act will be to return to the application with *frame. Takes over nothing; NULL without memory. */
struct thread *thread_create_user(struct program *p, const struct trapframe *frame);
/* The registers its application had when it entered the kernel; all valid on slow paths
 * (syscall_full_frame, signals, faults). */
#define thread_frame(t) ((struct trapframe *)(t)->kstack_top - 1)
/* Lets a thread made by thread_create_user() run. */
void thread_start(struct thread *t);
/* Ends the calling thread. Its memory goes when the last reference does. */
NORETURN void thread_exit(void);
void thread_get(struct thread *t);
void thread_put(struct thread *t);

void thread_prepare_wait(void);
void thread_end_wait(void);
/* Makes t look at its signals soon: ends an interruptible wait, interrupts the application. Thread
 * context. */
void thread_kick(struct thread *t);
/* Sets the FS base (TLS) of a thread that is current or not started yet. */
void thread_set_fs_base(struct thread *t, uint64_t base);
/* Wakes t if it waits. Any context. Returns whether this call woke it. */
bool thread_wake(struct thread *t);
/* Gives up the CPU: until woken if the state is WAITING, else to whoever is due. Thread context. */
void schedule(void);
/* Like schedule() but returns by itself at the deadline (ns, monotonic); returns true if it did. */
bool schedule_until(int64_t deadline);
/* sched_yield(): lets every other thread of the same priority run first. */
void thread_yield(void);
/* Long kernel loops call this: schedules if another thread is due. Thread context, no RCU section.
 */
void preempt_point(void);
/* Applies policy, priority and nice, or affinity, to a live thread; migrates it if it must. */
void thread_set_policy(struct thread *t, int policy, int rt_priority, int nice);
int thread_set_affinity(struct thread *t, uint64_t mask);
/* Sleeps ns nanoseconds, uninterruptibly. */
void thread_sleep(int64_t ns);

/* All threads, by all_link; hold threads_lock to walk. */
extern struct list all_threads;
extern struct mutex threads_lock;
struct thread *thread_find(int tid); /* referenced, or NULL */

void sched_init(void);
