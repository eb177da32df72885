/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * membarrier(): an interrupt on each CPU that has the program loaded orders its memory accesses,
 * and its IRET serialises its instruction stream. RSEQ barriers are not offered.
 */
#include <linux/membarrier.h>
#include "arch/x86/percpu.h"
#include "arch/x86/tlb.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define GLOBAL (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED)
#define REGISTER                                                                                \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
#define PRIVATE (MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)

static void barrier_here(void *arg)
{
	(void)arg;
	atomic_thread_fence(memory_order_seq_cst);
}

static void barrier_on(uint64_t mask)
{
	atomic_thread_fence(memory_order_seq_cst);
	mask &= ~(1ull << this_cpu()->id);
	for (uint64_t m = mask; m; m &= m - 1)
		if (tlb_defer((unsigned)__builtin_ctzll(m))) /* leaving idleness is a barrier */
			mask &= ~(m & -m);
	if (mask)
		cpu_call_mask(mask, barrier_here, NULL);
	atomic_thread_fence(memory_order_seq_cst);
}

SYSCALL(membarrier, int cmd, unsigned flags, int cpu)
{
	struct program *p = current_program();
	uintptr_t registered = (uintptr_t)p->membarrier_state;
	(void)cpu;
	if (flags)
		return -EINVAL;
	if (cmd == MEMBARRIER_CMD_QUERY)
		return GLOBAL | REGISTER | PRIVATE;
	if (cmd & (cmd - 1)) /* one command at a time */
		return -EINVAL;
	if (cmd & REGISTER) {
		p->membarrier_state = (void *)(registered | (unsigned)cmd);
		return 0;
	}
	if (cmd & GLOBAL) {
		cpu_call_all(barrier_here, NULL);
		return 0;
	}
	if (cmd & PRIVATE) {
		if (!(registered & ((unsigned)cmd << 1))) /* each registration is the next bit */
			return -EPERM;
		barrier_on(atomic_load(&p->mm->cpu_mask));
		return 0;
	}
	return -EINVAL;
}
