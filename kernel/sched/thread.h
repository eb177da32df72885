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
 * WAITING to READY exactly once; a wake-up of a thread that does not wait is remembered for nobody (the
 * condition is what counts). Most code wants sched/sync.h, which is built on this.
 */
#pragma once

#include <stdatomic.h>
#include "arch/x86/percpu.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "sched/timer.h"

struct program;
struct trapframe;
struct thread_signals;
struct mm;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_DEAD };

#define KSTACK_SIZE (16 * 1024)
#define NO_DEADLINE INT64_MAX

struct thread {
	/* Scheduling: owned by the CPU `cpu` with interrupts off, except the atomics. */
	_Atomic uint32_t state; /* enum thread_state */
	uint32_t cpu;
	uint64_t kernel_rsp; /* saved stack pointer while not running */
	struct thread *wake_next; /* link in a CPU's incoming wake-up stack */
	struct rb_node run_node;  /* in the run queue, ordered by virtual run time */
	struct list run_link;	  /* real-time queue */
	bool queued;
	bool in_kernel_wait_timed_out; /* set by the sleep timer */
	struct timer sleep_timer;
	uint64_t affinity;		       /* bit per CPU */
	int policy, rt_priority, nice;	       /* SCHED_*, 1…99, -20…19 */
	int64_t vruntime;
	int64_t run_start;		       /* ns, when it last got the CPU */
	int64_t user_ns, kernel_ns, run_ns;    /* consumed */
	uint64_t switches, migrations, preemptions, voluntary;

	/* The execution context. */
	void *kstack;		      /* lowest byte */
	uint64_t kstack_top;
	void *fpu;		      /* XSAVE area; NULL for kernel threads */
	bool fpu_saved;		      /* the area, not the registers, holds the state */
	uint64_t fs_base;
	struct trapframe *frame;      /* of the innermost entry from the application; NULL in kernel threads */
	uint64_t fault_resume;	      /* uaccess: see mm/uaccess.h */

	/* The program's side. */
	int tid;
	char name[16];
	struct program *program;      /* NULL for kernel threads */
	struct list program_link;     /* in program->threads */
	struct thread_signals *signals;
	void __user *clear_child_tid; /* set_tid_address(), CLONE_CHILD_CLEARTID */
	void __user *robust_list;
	size_t robust_list_size;
	void __user *rseq;
	uint32_t rseq_len, rseq_sig;
	struct futex_waiter *pi_blocked_on;
	void *syscall_state;	      /* restart block of restartable sleeps */
	long syscall_nr;	      /* the call it is in, -1 outside: for reports */
	atomic_int refs;
	struct list all_link;	      /* in the list of all threads */
};

/* Creates a kernel thread, ready to run fn(arg) on any CPU. NULL without memory. */
struct thread *kthread_create(const char *name, void (*fn)(void *), void *arg);
/* The same, bound to one CPU. */
struct thread *kthread_create_on(unsigned cpu, const char *name, void (*fn)(void *), void *arg);
/* Makes a thread for the application with kernel stack and FPU area but not yet runnable; its first act will
 * be to return to the application with *frame. Takes over nothing; NULL without memory. */
struct thread *thread_create_user(struct program *p, const struct trapframe *frame);
/* Lets a thread made by thread_create_user() run. */
void thread_start(struct thread *t);
/* Ends the calling thread. Its memory goes when the last reference does. */
NORETURN void thread_exit(void);
void thread_get(struct thread *t);
void thread_put(struct thread *t);

void thread_prepare_wait(void);
void thread_end_wait(void);
/* Wakes t if it waits. Any context. Returns whether this call woke it. */
bool thread_wake(struct thread *t);
/* Gives up the CPU: until woken if the state is WAITING, else to whoever is due. Thread context. */
void schedule(void);
/* Like schedule() but returns by itself at the deadline (ns, monotonic); returns true if it did. */
bool schedule_until(int64_t deadline);
/* sched_yield(): lets every other thread of the same priority run first. */
void thread_yield(void);
/* Long kernel loops call this: schedules if another thread is due. Thread context, no RCU section. */
void preempt_point(void);
/* Applies policy, priority and nice, or affinity, to a live thread; migrates it if it must. */
void thread_set_policy(struct thread *t, int policy, int rt_priority, int nice);
int thread_set_affinity(struct thread *t, uint64_t mask);
/* Sleeps ns nanoseconds, uninterruptibly. */
void thread_sleep(int64_t ns);

/* Walks all threads under RCU: for_each_thread(t) { … } between rcu_read_lock() and rcu_read_unlock(). */
extern struct list all_threads;
struct thread *thread_find(int tid); /* referenced, or NULL */

void sched_init(void);
void sched_init_cpu(void);
