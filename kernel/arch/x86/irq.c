/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device interrupts: a table of handlers per CPU. A handler's record is published and withdrawn
 * with RCU; interrupt handlers are readers, as they never sleep.
 */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/irq.h"
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/trace.h"
#include "mm/kmalloc.h"
#include "sched/rcu.h"
#include "sched/sync.h"

enum { VECTORS = IRQ_LAST_VECTOR - IRQ_FIRST_VECTOR + 1 };

struct irq_action {
	irq_handler handler;
	void *arg;
	const char *name;
	struct rcu_head rcu;
};

struct irq_table {
	struct irq_action *action[VECTORS]; /* RCU */
	uint64_t count[VECTORS];	    /* this CPU's only */
};

static struct irq_table boot_table;
static struct irq_table *table[MAX_CPUS] = {&boot_table};
static struct mutex lock; /* allocation */
static uint64_t spurious;

void irq_dispatch(unsigned vector)
{
	unsigned i = vector - IRQ_FIRST_VECTOR;
	struct irq_table *t = table[this_cpu()->id];
	struct irq_action *a = t && i < VECTORS ? rcu_dereference(t->action[i]) : NULL;
	if (!a) {
		__atomic_fetch_add(&spurious, 1, __ATOMIC_RELAXED);
		return;
	}
	t->count[i]++;
	TRACE(msix_interrupt, "vector=%u name=%s", vector, a->name);
	a->handler(a->arg);
}

static struct irq_table *table_of(unsigned cpu)
{
	if (!table[cpu]) {
		struct irq_table *t = kzalloc(sizeof *t);
		__atomic_store_n(&table[cpu], t, __ATOMIC_RELEASE);
	}
	return table[cpu];
}

int irq_alloc_vector(irq_handler handler, void *arg, unsigned cpu, const char *name)
{
	struct irq_action *a = kzalloc(sizeof *a);
	int vector = -ENOSPC;
	if (!a || cpu >= MAX_CPUS) {
		kfree(a);
		return a ? -EINVAL : -ENOMEM;
	}
	*a = (struct irq_action){.handler = handler, .arg = arg, .name = name};
	mutex_lock(&lock);
	struct irq_table *t = table_of(cpu);
	for (unsigned i = 0; t && i < VECTORS; i++) {
		if (t->action[i])
			continue;
		t->count[i] = 0;
		rcu_assign(t->action[i], a);
		vector = IRQ_FIRST_VECTOR + (int)i;
		break;
	}
	mutex_unlock(&lock);
	if (vector < 0)
		kfree(a);
	return t ? vector : -ENOMEM;
}

static void free_action(struct rcu_head *h)
{
	kfree(container_of(h, struct irq_action, rcu));
}

void irq_free_vector(int vector, unsigned cpu)
{
	struct irq_action *a;
	unsigned i = (unsigned)vector - IRQ_FIRST_VECTOR;
	if (i >= VECTORS || cpu >= MAX_CPUS || !table[cpu])
		return;
	mutex_lock(&lock);
	a = table[cpu]->action[i];
	rcu_assign(table[cpu]->action[i], NULL);
	mutex_unlock(&lock);
	if (a)
		rcu_defer(&a->rcu, free_action);
}

void irq_msi_message(unsigned cpu, int vector, uint64_t *addr, uint32_t *data)
{
	/* The message's destination has 8 bits; CPUs beyond need interrupt remapping, which
	 * machines with at most 64 CPUs do without. Physical mode, no redirection hint; edge, fixed
	 * delivery. */
	*addr = 0xfee00000ull | (uint64_t)(cpus[cpu]->apic_id & 0xff) << 12;
	*data = (uint32_t)vector;
}

void irq_for_each(
    void (*show)(void *ctx, const char *name, int vector, const uint64_t *counts), void *ctx)
{
	mutex_lock(&lock);
	for (unsigned cpu = 0; cpu < ncpus; cpu++) {
		for (unsigned i = 0; table[cpu] && i < VECTORS; i++) {
			uint64_t counts[MAX_CPUS] = {0};
			if (!table[cpu]->action[i])
				continue;
			counts[cpu] = table[cpu]->count[i];
			show(ctx, table[cpu]->action[i]->name, IRQ_FIRST_VECTOR + (int)i, counts);
		}
	}
	mutex_unlock(&lock);
}

void irq_init(void)
{
	/* The legacy controllers: moved away from the exceptions, then masked. Harmless where there
	 * are none. */
	static const struct {
		uint16_t port;
		uint8_t value;
	} program[] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 4}, {0xa1, 2},
	    {0x21, 1}, {0xa1, 1}, {0x21, 0xff}, {0xa1, 0xff}};
	for (size_t i = 0; i < ARRAY_SIZE(program); i++)
		outb(program[i].port, program[i].value);
	ioapic_init();
}
