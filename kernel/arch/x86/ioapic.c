/* SPDX-License-Identifier: BSD-3-Clause */
/* I/O APICs: routes global system interrupts (ISA and virtio-mmio) to vectors of the boot CPU. */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/irq.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/rcu.h"
#include "sched/sync.h"

enum {
	REG_VERSION = 1,
	REG_TABLE = 0x10,
	RTE_LOW = 1 << 13,
	RTE_LEVEL = 1 << 15,
	RTE_MASKED = 1 << 16
};

/* A handler of an input; the list only grows, and interrupts read it without a lock. */
struct gsi_action {
	struct gsi_action *next;
	irq_handler handler;
	void *arg;
};

struct gsi {
	struct gsi *next;
	unsigned number;
	bool level, low;
	struct gsi_action *actions; /* RCU */
};

static struct {
	volatile uint32_t *reg; /* [0] selects, [4] is the window */
	unsigned base, inputs;
} ioapic[ARRAY_SIZE(machine.ioapic)];

static struct gsi *routed;
static struct mutex lock; /* routed, and the select/window pairs after boot */

static uint32_t read_reg(unsigned n, uint32_t reg)
{
	ioapic[n].reg[0] = reg;
	return ioapic[n].reg[4];
}

static void write_reg(unsigned n, uint32_t reg, uint32_t v)
{
	ioapic[n].reg[0] = reg;
	ioapic[n].reg[4] = v;
}

static void gsi_interrupt(void *arg)
{
	struct gsi *g = arg;
	for (struct gsi_action *a = rcu_dereference(g->actions); a; a = rcu_dereference(a->next))
		a->handler(a->arg);
}

static struct gsi *find_gsi(unsigned number)
{
	struct gsi *g = routed;
	while (g && g->number != number)
		g = g->next;
	return g;
}

static int route_new(unsigned number, bool level, bool low, struct gsi_action *a, const char *name)
{
	unsigned n = 0;
	while (n < machine.nioapic &&
	       (number < ioapic[n].base || number - ioapic[n].base >= ioapic[n].inputs))
		n++;
	if (n == machine.nioapic)
		return -ENXIO;
	struct gsi *g = kzalloc(sizeof *g);
	if (!g)
		return -ENOMEM;
	*g = (struct gsi){.number = number, .level = level, .low = low, .actions = a};
	int vector = irq_alloc_vector(gsi_interrupt, g, 0, name);
	if (vector < 0) {
		kfree(g);
		return vector;
	}
	uint32_t input = REG_TABLE + 2 * (number - ioapic[n].base);
	write_reg(n, input + 1, cpus[0]->apic_id << 24);
	write_reg(n, input, (uint32_t)vector | (level ? RTE_LEVEL : 0) | (low ? RTE_LOW : 0));
	g->next = routed;
	routed = g;
	return 0;
}

int irq_route_gsi(
    unsigned number, bool level, bool low, irq_handler handler, void *arg, const char *name)
{
	struct gsi_action *a = kzalloc(sizeof *a);
	int err = 0;
	if (!a)
		return -ENOMEM;
	*a = (struct gsi_action){.handler = handler, .arg = arg};
	mutex_lock(&lock);
	struct gsi *g = find_gsi(number);
	if (!g) {
		err = route_new(number, level, low, a, name);
	} else if (!g->level || !level || g->low != low) {
		err = -EBUSY;
	} else {
		a->next = g->actions;
		rcu_assign(g->actions, a);
	}
	mutex_unlock(&lock);
	if (err)
		kfree(a);
	return err;
}

void ioapic_init(void)
{
	for (unsigned n = 0; n < machine.nioapic; n++) {
		ioapic[n].reg = mmio_map(machine.ioapic[n].phys, PAGE_SIZE);
		ioapic[n].base = machine.ioapic[n].gsi_base;
		uint32_t version = read_reg(n, REG_VERSION);
		if (version == 0xffffffff) /* nothing there */
			continue;
		ioapic[n].inputs = (version >> 16 & 0xff) + 1;
		for (unsigned i = 0; i < ioapic[n].inputs; i++)
			write_reg(n, REG_TABLE + 2 * i, RTE_MASKED);
	}
}
