/* SPDX-License-Identifier: BSD-3-Clause */
/* restart_syscall(): what an interrupted relative sleep is turned into. */
#include "proc/restart.h"

#include "arch/x86/percpu.h"
#include "mm/kmalloc.h"
#include "sched/thread.h"
#include "sys/syscall.h"

struct restart_block *restart_block(void)
{
	struct thread *t = current_thread();
	if (!t->syscall_state)
		t->syscall_state = kzalloc(sizeof(struct restart_block));
	return t->syscall_state;
}

SYSCALL(restart_syscall, void)
{
	struct restart_block *b = current_thread()->syscall_state;
	return b && b->fn ? b->fn(b) : -EINTR;
}
