/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read-copy-update for a kernel that is not preempted: a reader is any stretch of kernel code
 * without a sleep, so the two read functions cost nothing and only mark the place. A grace period
 * has passed when every CPU has switched threads, been idle or been in the application.
 */
#pragma once

#include <stdatomic.h>
#include "lib/util.h"

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *);
};

static inline void rcu_read_lock(void)
{
	asm volatile("" ::: "memory");
}
static inline void rcu_read_unlock(void)
{
	asm volatile("" ::: "memory");
}
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define rcu_assign(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/* Runs fn(head) in a kernel thread after a grace period. Any context. */
void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *));
/* Waits for a grace period. Thread context. */
void rcu_synchronize(void);
