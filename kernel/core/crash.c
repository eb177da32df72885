/* SPDX-License-Identifier: BSD-3-Clause */
/* Panics: what happened, registers, call chain with names, threads, memory; then power off with status 70. */
#include "core/crash.h"
#include <stdatomic.h>
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/log.h"
#include "drivers/console.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/sync.h"

static _Atomic int crashing; /* 1 + id of the CPU that crashes */

bool crash_in_progress(void)
{
	return atomic_load(&crashing) != 0;
}

void report(const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\r';
	line[n++] = '\n';
	console_write(line, (size_t)n);
}

static void report_address(uint64_t addr)
{
	uint64_t off;
	const char *name = symbol_find(addr, &off);

	if (name)
		report("  %016lx %s+0x%lx", addr, name, off);
	else
		report("  %016lx", addr);
}

/* Is [p, p+16) inside the kernel stack of the current thread, or the boot stack? */
static bool on_kernel_stack(uint64_t p)
{
	extern char kernel_start[], kernel_end[];
	struct thread *t = current_thread();

	if (p & 7)
		return false;
	if (t && p >= t->kstack_top - KSTACK_SIZE && p + 16 <= t->kstack_top)
		return true;
	return p >= (uint64_t)kernel_start && p + 16 <= (uint64_t)kernel_end;
}

void backtrace_kernel(uint64_t rip, uint64_t rbp)
{
	report("call chain:");
	report_address(rip);
	for (int i = 0; i < 40 && on_kernel_stack(rbp); i++) {
		uint64_t *frame = (uint64_t *)rbp;
		if (!frame[1])
			break;
		report_address(frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}

static void report_registers(const struct trapframe *f)
{
	report("rip %016lx rsp %016lx rflags %08lx vector %lu error %lx", f->rip, f->rsp, f->rflags, f->vector,
	    f->error);
	report("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	report("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
	report("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
	report("r13 %016lx r14 %016lx r15 %016lx cr2 %016lx cr3 %lx", f->r13, f->r14, f->r15, read_cr2(),
	    read_cr3());
}

void report_threads(void)
{
	static const char *const states[] = {"ready", "running", "waiting", "dead"};
	struct thread *t;
	unsigned n = 0;

	report("threads:");
	list_for_each_entry(t, &all_threads, all_link) {
		if (n++ == 64) {
			report("  … more");
			break;
		}
		report("  %5d cpu %u %-8s %s%s", t->tid, t->cpu, states[atomic_load(&t->state) & 3],
		    t->program ? "" : "kernel ", t->name);
	}
}

void report_memory(void)
{
	if (!page_array)
		return;
	report("memory: %lu KiB in all, %lu free, %ld page cache, %ld anonymous, %ld kernel objects, %ld stacks, "
	       "%ld page tables",
	    memstats.total * 4, pages_free() * 4, memstats.cached * 4, memstats.anon * 4, memstats.slab * 4,
	    memstats.kstack * 4, memstats.pagetables * 4);
}

/* Only one CPU reports; a second crash (or one inside the report) just stops. */
static void crash_begin(void)
{
	int none = 0, me = 1 + (int)this_cpu()->id;

	irq_disable();
	if (!atomic_compare_exchange_strong(&crashing, &none, me)) {
		if (none == me) /* the report itself failed */
			machine_power_off();
		for (;;)
			asm volatile("cli; hlt");
	}
	console_panic();
}

static NORETURN void crash_end(const char *message)
{
	report_threads();
	report_memory();
	console_flush();
	host_report("panic %s", message);
	machine_power_off();
}

void crash_kernel(struct trapframe *f, const char *fmt, ...)
{
	char message[300];
	va_list ap;

	crash_begin();
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	struct thread *t = current_thread();
	report("\r\ncarrara: kernel panic on CPU %u, thread %d (%s): %s", this_cpu()->id, t ? t->tid : 0,
	    t ? t->name : "boot", message);
	report_registers(f);
	backtrace_kernel(f->rip, f->rbp);
	crash_end(message);
}

void panic(const char *fmt, ...)
{
	char message[300];
	va_list ap;

	crash_begin();
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	struct thread *t = current_thread();
	report("\r\ncarrara: kernel panic on CPU %u, thread %d (%s): %s", this_cpu()->id, t ? t->tid : 0,
	    t ? t->name : "boot", message);
	backtrace_kernel((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
	crash_end(message);
}

NORETURN void __stack_chk_fail(void);
NORETURN void __stack_chk_fail(void)
{
	panic("kernel stack smashed");
}
