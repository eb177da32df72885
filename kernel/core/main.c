/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's start, in order. */
#include "arch/x86/cpu.h"
#include "arch/x86/irq.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "arch/x86/vdso/vdso.h"
#include "core/bootinfo.h"
#include "core/init.h"
#include "core/log.h"
#include "core/random.h"
#include "core/start.h"
#include "core/trace.h"
#include "drivers/drivers.h"
#include "fs/special.h"
#include "fs/vfs.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/page.h"
#include "sched/thread.h"

extern bool log_clock_ready;

/* Memory first: nothing below works without it. */
static void start_memory(void)
{
	page_init();
	kmalloc_init();
	struct page *a = page_alloc(2, 0), *b = page_alloc(2, 0);
	if (!a || !b)
		panic("too little memory: %lu KiB free after start", pages_free() * 4);
	memory_select(page_virt(a), page_virt(b), PAGE_SIZE * 4);
	page_free(a, 2);
	page_free(b, 2);
	kernel_protect();
}

static void start_processor(void)
{
	acpi_init(bootinfo.rsdp);
	irq_init();
	apic_init();
	clock_init();
	log_clock_ready = true;
	fpu_init();
	timer_init_cpu();
	sched_init();
	irq_enable();
}

void kernel_main(void)
{
	serial_init();
	start_memory();
	start_processor();
	trace_init();
	rcu_init();
	work_init_cpu(0);
	smp_start();
	vdso_init();
	start_system();
}
