/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading page tables and making CPUs forget translations.
 *
 * mm->cpu_mask holds the CPUs that may have translations of m cached. A CPU sets its bit before it
 * loads CR3 (a locked operation, so it is visible before any translation is read), and clears it
 * after another table is loaded. Whoever changes an entry does so atomically first and reads the
 * mask second: a CPU that is not in the mask by then will read the new entry.
 */
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
	uint64_t mask = atomic_load(&m->cpu_mask);
	uint64_t self = 1ull << this_cpu()->id;
	if (mask & self)
		flush_here(&f);
	mask &= ~self;
	while (mask) {
		cpu_call((unsigned)__builtin_ctzll(mask), flush_here, &f);
		mask &= mask - 1;
	}
}

static void unload_here(void *arg)
{
	if (this_cpu()->mm == arg)
		mm_activate(&kernel_mm);
}

void mm_unload(struct mm *m)
{
	uint64_t mask;
	while ((mask = atomic_load(&m->cpu_mask)) != 0) {
		unsigned cpu = (unsigned)__builtin_ctzll(mask);
		if (cpu == this_cpu()->id)
			unload_here(m);
		else
			cpu_call(cpu, unload_here, m);
	}
}
