/* SPDX-License-Identifier: BSD-3-Clause */
/* Start-up functions that only main.c and the CPU start code call, in the order they run. */
#pragma once

#include "lib/util.h"

struct cpu;
struct thread;

void memory_select(void *a, void *b, size_t n); /* lib/string.c */
void percpu_init_boot(void); /* arch/x86/percpu.c: CPU 0's struct, GS base, GDT, IDT */
struct cpu *percpu_new(unsigned id, uint32_t apic_id);
void cpu_init(
    struct cpu *c); /* on the CPU itself: descriptor tables, control registers, syscall MSRs */
void smp_cpu_main(void) NORETURN; /* an application processor enters the scheduler */
void kernel_protect(void);	  /* W^X for the kernel image, identity map gone */
void apic_init(void);		  /* the boot CPU's; after acpi_init() */
void apic_init_cpu(void);
void clock_init(void); /* calibrates; after apic_init() */
void timer_init_cpu(void);
void rcu_init(void);
void work_init_cpu(unsigned id); /* worker thread of a CPU, which need not be there yet */
/* Run queue and idle thread of a CPU that is about to start; NULL without memory. */
struct thread *sched_prepare_cpu(struct cpu *c);
void fpu_init(void);
void fpu_init_cpu(void);
NORETURN void kernel_main(void);
