/* SPDX-License-Identifier: BSD-3-Clause */
/* Work queues: a lock-free stack and a worker thread on each CPU. */
#include "sched/work.h"
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/init.h"
#include "core/log.h"
#include "core/trace.h"
#include "lib/string.h"
#include "sched/sync.h"

struct worker {
	_Atomic(struct work *) queue;
	struct thread *thread;
} __attribute__((aligned(CACHE_LINE)));

static struct worker workers[MAX_CPUS];

bool work_queue(struct work *w)
{
	if (atomic_exchange(&w->queued, true))
		return false;
	uint64_t flags = irq_save();
	struct worker *me = &workers[this_cpu()->id];
	if (!me->thread)
		me = &workers[0]; /* early in a CPU's life */
	struct work *head = atomic_load_explicit(&me->queue, memory_order_relaxed);
	do
		w->next = head;
	while (!atomic_compare_exchange_weak(&me->queue, &head, w));
	if (!head && me->thread)
		thread_wake(me->thread);
	irq_restore(flags);
	return true;
}

static void run_all(struct work *list)
{
	struct work *in_order = NULL;

	while (list) {
		struct work *next = list->next;
		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (in_order) {
		struct work *w = in_order;
		in_order = w->next;
		atomic_store(&w->queued, false);
		TRACE(async_worker_fire, "%p fn=%#lx", w, w->fn);
		w->fn(w);
		TRACE(async_worker_fire_ret, "");
		preempt_point();
	}
}

static void worker_main(void *arg)
{
	struct worker *me = arg;

	TRACE(async_worker_started, "%p", me);
	for (;;) {
		thread_prepare_wait();
		struct work *list = atomic_exchange(&me->queue, NULL);
		if (list) {
			thread_end_wait();
			run_all(list);
			continue;
		}
		schedule();
		thread_end_wait();
	}
}

void work_init_cpu(unsigned id)
{
	char name[16];

	snprintf(name, sizeof name, "work/%u", id);
	workers[id].thread = kthread_create_on(id, name, worker_main, &workers[id]);
	if (!workers[id].thread)
		panic("no memory for worker %u", id);
}
