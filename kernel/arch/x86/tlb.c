/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading page tables and making CPUs forget translations.
 *
 * mm->cpu_mask holds the CPUs that may have translations of m cached. A CPU sets its bit before it
 * loads CR3 (a locked operation, so it is visible before any translation is read), and clears it
 * after another table is loaded. Whoever changes an entry does so atomically first and reads the
 * mask second: a CPU that is not in the mask by then will read the new entry.
 *
 * An idle CPU keeps the tables loaded but touches no application memory, so it is spared the
 * interrupt. Its `lazy` goes
 *
 *	ACTIVE -> IDLE		itself, when its idle thread gets the CPU
 *	IDLE -> STALE		who changed an entry, after the change: "forget everything when you
 *leave" IDLE, STALE -> HELD	who stops all applications (one at a time) HELD -> STALE
 *the same, when it is done IDLE, STALE -> ACTIVE	itself, when it leaves the idle thread: by
 *compare-and-exchange, waiting while it is HELD; if it was STALE it reloads CR3
 *
 * All steps are locked operations. If the change's IDLE -> STALE comes before the CPU's step to
 * ACTIVE, the CPU flushes; if it comes after, it fails and the CPU gets its interrupt. Tables that
 * are freed are different: a CPU may look into them by speculation, so every CPU is interrupted.
 */
#include "arch/x86/tlb.h"

#include "arch/x86/cpu.h"
#include "arch/x86/pagetable.h"
#include "arch/x86/percpu.h"

#define FLUSH_SINGLY 32 /* pages; above that reloading CR3 is cheaper */

void mm_activate(struct mm *m)
{
	struct cpu *c = this_cpu();
	uint64_t bit = 1ull << c->id;
	if (c->mm == m || (!c->mm && m == &kernel_mm))
		return;
	uint64_t flags = irq_save(); /* mm_unload() comes as an interrupt */
	struct mm *old = c->mm;
	atomic_fetch_or(&m->cpu_mask, bit);
	write_cr3(m->pml4_phys);
	c->mm = m;
	if (old && old != m)
		atomic_fetch_and(&old->cpu_mask, ~bit);
	irq_restore(flags);
}

enum cpu_lazy { CPU_ACTIVE, CPU_IDLE, CPU_STALE, CPU_HELD };

void tlb_enter_lazy(struct cpu *c)
{
	atomic_store(&c->lazy, CPU_IDLE);
}

void tlb_leave_lazy(struct cpu *c)
{
	uint32_t was = CPU_IDLE;

	while (!atomic_compare_exchange_strong(&c->lazy, &was, CPU_ACTIVE)) {
		if (was == CPU_ACTIVE)
			return;
		if (was == CPU_HELD) {
			cpu_relax();
			was = CPU_IDLE;
		}
	}
	if (was == CPU_STALE)
		write_cr3(read_cr3());
}

bool tlb_defer(unsigned cpu)
{
	uint32_t was = CPU_IDLE;

	atomic_compare_exchange_strong(&cpus[cpu]->lazy, &was, CPU_STALE);
	return was != CPU_ACTIVE;
}

uint64_t tlb_hold_lazy(uint64_t mask)
{
	uint64_t held = 0;

	mask &= ~(1ull << this_cpu()->id);
	for (; mask; mask &= mask - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(mask);
		uint32_t was = CPU_IDLE;
		while (was != CPU_ACTIVE)
			if (atomic_compare_exchange_strong(&cpus[cpu]->lazy, &was, CPU_HELD)) {
				held |= 1ull << cpu;
				break;
			}
	}
	return held;
}

void tlb_release_lazy(uint64_t held)
{
	for (; held; held &= held - 1)
		atomic_store(&cpus[__builtin_ctzll(held)]->lazy, CPU_STALE);
}

struct flush {
	uint64_t start, end;
};

static void flush_here(void *arg)
{
	const struct flush *f = arg;
	if ((f->end - f->start) >> PAGE_SHIFT > FLUSH_SINGLY) {
		write_cr3(read_cr3());
		return;
	}
	for (uint64_t a = f->start; a < f->end; a += PAGE_SIZE)
		invlpg(a);
}

void tlb_flush_range(struct mm *m, uint64_t start, uint64_t end)
{
	struct flush f = {start, end};
	uint64_t mask = atomic_load(&m->cpu_mask), now = mask, self = 1ull << this_cpu()->id;

	for (uint64_t others = mask & ~self; others; others &= others - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(others);
		if (tlb_defer(cpu))
			now &= ~(1ull << cpu);
	}
	if (now)
		cpu_call_mask(now, flush_here, &f);
}

void tlb_flush_tables(struct mm *m)
{
	struct flush f = {0, USER_END};
	uint64_t mask = atomic_load(&m->cpu_mask);

	if (mask)
		cpu_call_mask(mask, flush_here, &f);
}

static void unload_here(void *arg)
{
	if (this_cpu()->mm == arg)
		mm_activate(&kernel_mm);
}

void mm_unload(struct mm *m)
{
	uint64_t mask;
	while ((mask = atomic_load(&m->cpu_mask)) != 0)
		cpu_call_mask(mask, unload_here, m);
}
