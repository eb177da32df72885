/* SPDX-License-Identifier: BSD-3-Clause */
/* Exceptions and interrupts, and the work done on the way back to the application. */
#include <asm/signal.h>
#include <asm-generic/siginfo.h>
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/irq.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trap.h"
#include "arch/x86/trapframe.h"
#include "core/crash.h"
#include "core/log.h"
#include "core/trace.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "sched/sched_internal.h"
#include "sys/dispatch.h"

enum {
	VEC_DIVIDE = 0,
	VEC_DEBUG = 1,
	VEC_BREAKPOINT = 3,
	VEC_OVERFLOW = 4,
	VEC_INVALID_OPCODE = 6,
	VEC_DOUBLE_FAULT = 8,
	VEC_STACK = 12,
	VEC_PROTECTION = 13,
	VEC_PAGE_FAULT = 14,
	VEC_X87 = 16,
	VEC_ALIGNMENT = 17,
	VEC_SIMD = 19,
};

struct extable_entry {
	uint64_t fault, resume;
};
extern const struct extable_entry extable_start[], extable_end[];
extern const char syscall_exit_check[], syscall_exit_end[], syscall_exit_jump[];
extern const char syscall_jump_entry[], syscall_jump_switched[];

void trap_dispatch(struct trapframe *f, bool from_app);
void trap_nmi(struct trapframe *f);
void syscall_slow_entry(struct trapframe *f);

/* A fault in kernel code that touches application memory goes on at its fix-up. */
static bool fixup(struct trapframe *f)
{
	for (const struct extable_entry *e = extable_start; e < extable_end; e++) {
		if (e->fault == f->rip) {
			f->rip = e->resume;
			return true;
		}
	}
	return false;
}

static void page_fault(struct trapframe *f, bool from_app)
{
	uint64_t addr = read_cr2();
	int code = SEGV_MAPERR, sig = SIGSEGV;

	/* An interrupt handler only peeks at the application's memory (backtraces): no paging, and
	 * no tracing, which would follow the same chain into the same fault again. */
	if (!in_interrupt())
		TRACE(mmu_vm_fault, "addr=%#lx error=%#lx rip=%#lx", addr, f->error, f->rip);
	if (addr < USER_END && current_thread()->program && !in_interrupt()) {
		irq_enable();
		sig = mm_fault(current_program()->mm, addr, f->error, &code);
		TRACE(mmu_vm_fault_ret, "addr=%#lx signal=%d", addr, sig);
		if (!sig)
			return;
	}
	if (!from_app) {
		if (fixup(f))
			return;
		crash_kernel(f, "page fault at address 0x%lx (error 0x%lx)", addr, f->error);
	}
	irq_enable();
	TRACE(mmu_vm_fault_sigsegv, "addr=%#lx error=%#lx signal=%d rip=%#lx", addr, f->error, sig, f->rip);
	signal_fault(sig, code, addr, VEC_PAGE_FAULT);
}

static void exception(struct trapframe *f, bool from_app)
{
	static const struct {
		uint8_t sig, code;
		bool address; /* si_addr is the instruction */
	} map[32] = {
	    [VEC_DIVIDE] = {SIGFPE, FPE_INTDIV, true},
	    [VEC_DEBUG] = {SIGTRAP, TRAP_TRACE, true},
	    [VEC_BREAKPOINT] = {SIGTRAP, 0, false},
	    [VEC_OVERFLOW] = {SIGSEGV, 0, false},
	    [VEC_INVALID_OPCODE] = {SIGILL, ILL_ILLOPN, true},
	    [VEC_STACK] = {SIGBUS, 0, false},
	    [VEC_PROTECTION] = {SIGSEGV, 0, false},
	    [VEC_X87] = {SIGFPE, FPE_FLTINV, true},
	    [VEC_ALIGNMENT] = {SIGBUS, BUS_ADRALN, false},
	    [VEC_SIMD] = {SIGFPE, FPE_FLTINV, true},
	};

	if (f->vector == VEC_PAGE_FAULT) {
		page_fault(f, from_app);
		return;
	}
	if (!from_app) {
		if (f->vector != VEC_DOUBLE_FAULT && fixup(f))
			return;
		crash_kernel(f, "exception %lu (error 0x%lx)", f->vector, f->error);
	}
	int sig = map[f->vector].sig ? map[f->vector].sig : SIGSEGV;
	int code = map[f->vector].code ? map[f->vector].code : SI_KERNEL;
	irq_enable();
	signal_fault(sig, code, map[f->vector].address ? f->rip : 0, (int)f->vector);
}

static void interrupt(struct trapframe *f, bool from_app)
{
	struct cpu *c = this_cpu();
	struct trapframe *outer = c->irq_frame;

	c->irq_frame = f;
	if (unlikely(atomic_load_explicit(&c->rcu_idle, memory_order_relaxed)))
		atomic_store(&c->rcu_idle, false);
	c->irq_depth++;
	c->interrupts++;
	apic_or_device_interrupt((unsigned)f->vector, from_app);
	c->irq_depth--;
	c->irq_frame = outer;
}

void trap_dispatch(struct trapframe *f, bool from_app)
{
	if (from_app) {
		if (f->rip == (uint64_t)syscall_exit_jump) /* one step short of the application */
			f->rip = f->rcx;
		else if (f->rip - (uint64_t)syscall_jump_entry <
			 (uint64_t)(syscall_jump_switched - syscall_jump_entry))
			f->rip =
			    (uint64_t)syscall_jump_entry; /* not in the kernel yet: begin again */
	} else if (f->rip - (uint64_t)syscall_exit_check <
		   (uint64_t)(syscall_exit_end - syscall_exit_check)) {
		f->rip = (uint64_t)syscall_exit_check; /* look at cpu->work again */
	}
	if (f->vector < 32)
		exception(f, from_app);
	else
		interrupt(f, from_app);
	if (from_app)
		trap_exit_to_application(f);
	else
		irq_disable();
}

void trap_exit_to_application(struct trapframe *f)
{
	for (;;) {
		irq_disable();
		uint32_t work = this_cpu()->work & ~(uint32_t)CPU_TRACE_SYSCALLS;
		if (likely(!work))
			return;
		if (work & CPU_RCU)
			rcu_note_quiescent();
		irq_enable();
		if (work & CPU_RESCHED)
			schedule();
		if (work & CPU_SIGNAL) {
			sched_clear_signal_work();
			signal_deliver(f);
		}
	}
}

void syscall_slow_entry(struct trapframe *f)
{
	syscall_slow(f);
	trap_exit_to_application(f);
}

void trap_nmi(struct trapframe *f)
{
	if (f->vector == 2 && crash_in_progress())
		for (;;)
			asm volatile("cli; hlt");
	crash_kernel(f, "non-maskable interrupt or machine check");
}
