/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Per-CPU data, at GS base on every CPU from the first instruction of C to the last.
 *
 * The kernel is not preempted: a thread inside the kernel keeps its CPU until it sleeps, returns to
 * the application or calls preempt_point(). So this_cpu() stays valid between such points without
 * any protection; only data that interrupt handlers also touch needs irq_save().
 */
#pragma once

#include <stdatomic.h>
#include "lib/util.h"

#define MAX_CPUS 64

struct cpu_call;
struct mm;
struct thread;
struct trapframe;
struct runqueue;

enum cpu_work { CPU_RESCHED = 1, CPU_SIGNAL = 2, CPU_TRACE_SYSCALLS = 4, CPU_RCU = 8 };

/* entry.S knows the offsets of the first fields (checked in percpu.c). */
struct cpu {
	struct cpu *self;	/*  0 */
	struct thread *current; /*  8 */
	uint64_t kstack_top;	/* 16: of current */
	uint64_t scratch;	/* 24: for the SYSCALL entry, interrupts off */
	uint32_t work;	    /* 32: enum cpu_work bits that make a system call take the slow path */
	uint32_t irq_depth; /* 36: >0 inside an interrupt handler */
	uint64_t stack_guard; /* 40: gcc's stack protector reads %gs:40 */
	uint32_t id;	      /* 0 … ncpus-1 */
	uint32_t apic_id;
	bool online;
	struct runqueue *rq;
	void *tss;
	uint64_t user_ns, kernel_ns, idle_ns; /* for /proc/stat */
	uint64_t interrupts, switches;
	struct mm *mm;			  /* whose page tables are loaded; see mm_activate() */
	struct thread *fpu_owner;	  /* whose vector state the registers hold */
	_Atomic uint64_t quiescent;	  /* passes through a point without RCU readers */
	_Atomic bool rcu_idle;		  /* halted: no RCU reader until an interrupt comes */
	_Atomic uint32_t lazy;		  /* enum cpu_lazy: owned by arch/x86/tlb.c */
	_Atomic(struct cpu_call *) calls; /* for cpu_call() */
	uint64_t *trace_counts;		  /* hits of tracepoints by id; NULL until one is on */
	struct trapframe *irq_frame;	  /* what the innermost interrupt handler interrupted */
	const struct trapframe *sampled;  /* the frame a sample's call chain starts at */
} __attribute__((aligned(CACHE_LINE)));

extern struct cpu *cpus[MAX_CPUS];
extern unsigned ncpus; /* CPUs that are online; ids are dense */

#ifdef CARRARA_HOST /* unit tests: a thread of the host stands for a thread on a CPU of its own */
extern __thread struct cpu *host_cpu;
extern __thread struct thread *host_thread;
static inline struct cpu *this_cpu(void)
{
	return host_cpu;
}
static inline struct thread *current_thread(void)
{
	return host_thread;
}
#else
static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	asm volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}
static inline struct thread *current_thread(void)
{
	struct thread *t;
	asm volatile("mov %%gs:8, %0" : "=r"(t));
	return t;
}
#endif
static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth != 0;
}

/* Runs fn(arg) on the CPU with interrupts off and waits for it. Thread context only; fn must not
 * sleep. */
void cpu_call(unsigned cpu, void (*fn)(void *), void *arg);
/* The same on every online CPU, this one included. */
void cpu_call_all(void (*fn)(void *), void *arg);
/* The same on the CPUs of a bit mask, in parallel. */
void cpu_call_mask(uint64_t mask, void (*fn)(void *), void *arg);
/* Parks all other CPUs in an interrupt handler with interrupts off, runs fn(arg), lets them go on:
 * for patching code of the kernel. Thread context only. */
void cpu_stop_others(void (*fn)(void *), void *arg);
/* The same for code of applications: CPUs that run their idle thread are not interrupted, only kept
 * from leaving it. All others forget their translations before they go on. */
void cpu_stop_applications(void (*fn)(void *), void *arg);
