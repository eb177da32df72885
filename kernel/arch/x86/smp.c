/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting the other processors (MultiProcessor Specification, appendix B.4). All are woken at
 * once; each draws a number as it arrives and becomes the CPU of that number. Who does not arrive
 * in time is closed out: the counter jumps beyond the table.
 */
#include <stdatomic.h>
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "core/init.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/thread.h"

#define AP_PAGE 0x8000
#define ARRIVAL_LIMIT (10 * NSEC_PER_SEC) /* a loaded host may take seconds to run 64 CPUs */

extern const char ap_trampoline[], ap_trampoline_end[];
extern uint64_t kernel_pml4[512];
_Atomic uint32_t ap_next_id = 1;
uint64_t ap_stacks[MAX_CPUS];
extern _Atomic uint32_t ap_next_id;
extern uint64_t ap_stacks[MAX_CPUS];
static _Atomic unsigned arrived = 1;

NORETURN void ap_main(unsigned id);

/* Runs as the idle thread, which must not sleep: nothing here may take a mutex, so prepare() has
 * allocated everything. */
__attribute__((no_stack_protector)) NORETURN void ap_main(unsigned id)
{
	struct cpu *c = cpus[id];

	cpu_init(c);
	apic_init_cpu();
	c->apic_id = apic_id();
	timer_init_cpu();
	c->online = true;
	atomic_fetch_add(&arrived, 1);
	smp_cpu_main();
}

static void pause_for(int64_t ns)
{
	for (int64_t end = time_now() + ns; time_now() < end;)
		cpu_relax();
}

/*
 * Makes the structures and the worker threads of CPUs 1 … n-1; returns how many CPUs there can be.
 * Nothing is left to allocate for the CPUs themselves: all of them at once would wait for the
 * allocator's locks in the one thread that must not sleep (put_previous() says why). The workers
 * wait among the incoming threads of their CPU. Its interrupts come to this one until it is there:
 * it looks by itself.
 */
static unsigned prepare(unsigned n)
{
	for (unsigned id = 1; id < n; id++) {
		struct cpu *c = percpu_new(id, apic_id());
		struct thread *idle = c ? sched_prepare_cpu(c) : NULL;
		if (!idle) {
			pr_warn("memory for %u of %u CPUs only", id, n);
			return id;
		}
		ap_stacks[id] = idle->kstack_top;
		work_init_cpu(id);
	}
	return n;
}

static void wake_all(unsigned self)
{
	for (unsigned i = 0; i < machine.cpu_count; i++)
		if (machine.apic_ids[i] != self)
			apic_send_init(machine.apic_ids[i]);
	pause_for(200000);
	for (int round = 0; round < 2 && atomic_load(&arrived) < machine.cpu_count; round++) {
		for (unsigned i = 0; i < machine.cpu_count; i++)
			if (machine.apic_ids[i] != self)
				apic_send_startup(machine.apic_ids[i], AP_PAGE >> 12);
		pause_for(200000);
	}
}

/* ACPI lists processors and their nodes in its own order; ours is that of arrival. */
static void order_tables(void)
{
	uint32_t node[MAX_CPUS] = {0};

	for (unsigned id = 0; id < ncpus; id++)
		for (unsigned i = 0; i < machine.cpu_count; i++)
			if (machine.apic_ids[i] == cpus[id]->apic_id)
				node[id] = machine.cpu_node[i];
	for (unsigned id = 0; id < ncpus; id++) {
		machine.apic_ids[id] = cpus[id]->apic_id;
		machine.cpu_node[id] = node[id];
	}
}

void smp_start(void)
{
	unsigned want = MIN(machine.cpu_count, (unsigned)MAX_CPUS);

	if (want > 1) {
		memcpy(
		    phys_virt(AP_PAGE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
		want = prepare(want);
		wake_all(apic_id());
		int64_t end = time_now() + ARRIVAL_LIMIT;
		while (atomic_load(&arrived) < want && time_now() < end)
			cpu_relax();
		uint32_t drawn = atomic_exchange(&ap_next_id, 1u << 30);
		while (atomic_load(&arrived) <
		       MIN(drawn, want)) /* these drew a number and are coming */
			cpu_relax();
		ncpus = atomic_load(&arrived);
		if (ncpus < want)
			pr_warn("%u of %u CPUs started", ncpus, want);
		order_tables();
	}
	kernel_pml4[0] = 0; /* the identity map has served */
	write_cr3(read_cr3());
}
