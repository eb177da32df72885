/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's services for its code on the host, in tests of one thread: memory from malloc, locks
 * that only check their use, callbacks after a grace period at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include "core/log.h"
#include "mm/kmalloc.h"
#include "sched/rcu.h"
#include "sched/sync.h"

void *kmalloc(size_t size)
{
	return malloc(size);
}

void *kzalloc(size_t size)
{
	return calloc(1, size);
}

void kfree(void *p)
{
	free(p);
}

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	fn(head);
}

void mutex_lock(struct mutex *m)
{
	if (m->count++)
		panic("mutex locked twice");
}

void mutex_unlock(struct mutex *m)
{
	if (--m->count)
		panic("mutex unlocked twice");
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}
