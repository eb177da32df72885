/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system-call table and the slow path. All calls are weak references: whoever defines one
 * anywhere in the kernel has it in the table, the others answer ENOSYS and are named in the log
 * once.
 */
#include "sys/dispatch.h"

#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/log.h"
#include "core/trace.h"
#include "core/tracebuf.h"
#include "sched/sync.h"
#include "sched/thread.h"
#include "sys/strace.h"
#include "sys/syscall.h"
#include "sys/trace_calls.h"

typedef long (*syscall_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

long syscall_undefined(void);

/* What a call is that nobody defines: the slow path knows the number and answers. */
__attribute__((naked)) long syscall_undefined(void)
{
	asm("jmp syscall_full_frame");
}

#define CALL(nr, name, arguments) \
	long sys_##name(void) __attribute__((weak, alias("syscall_undefined")));
#define SLOW CALL
#include "sys/table.def"
#undef CALL
#undef SLOW

/* The holes come first and the calls override them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const void *syscall_table[SYSCALL_COUNT] = {
    [0 ... SYSCALL_COUNT - 1] = (const void *)syscall_undefined,
#define CALL(nr, name, arguments) [nr] = (const void *)sys_##name,
#define SLOW(nr, name, arguments) [nr] = syscall_full_frame,
#include "sys/table.def"
#undef CALL
#undef SLOW
};
#pragma GCC diagnostic pop

static const struct call {
	const void *fn;
	const char *name, *arguments;
} calls[SYSCALL_COUNT] = {
#define CALL(nr, name, arguments) [nr] = {(const void *)sys_##name, #name, arguments},
#define SLOW CALL
#include "sys/table.def"
#undef CALL
#undef SLOW
};

static _Atomic uint64_t counts[SYSCALL_COUNT];
static bool printing, counting;

const char *syscall_name(long nr)
{
	return (uint64_t)nr < SYSCALL_COUNT ? calls[nr].name : NULL;
}

const char *syscall_arguments(long nr)
{
	const char *a = (uint64_t)nr < SYSCALL_COUNT ? calls[nr].arguments : NULL;
	return a ? a : "xxxxxx";
}

uint64_t syscall_count(long nr)
{
	return (uint64_t)nr < SYSCALL_COUNT ? atomic_load(&counts[nr]) : 0;
}

struct trapframe *syscall_frame(void)
{
	return thread_frame(current_thread());
}

/* One bit for each number that was reported as unknown; numbers beyond the table share the last. */
static void report_unknown(long nr)
{
	static _Atomic uint64_t said[SYSCALL_COUNT / 64 + 1];
	unsigned bit = (uint64_t)nr < SYSCALL_COUNT ? (unsigned)nr : SYSCALL_COUNT;
	uint64_t mask = 1ull << (bit % 64);
	if (atomic_fetch_or(&said[bit / 64], mask) & mask)
		return;
	const char *name = syscall_name(nr);
	pr_warn("system call %s (%ld) is not implemented: ENOSYS", name ? name : "unknown", nr);
}

static long call(const struct trapframe *f, long nr)
{
	const void *fn = (uint64_t)nr < SYSCALL_COUNT ? calls[nr].fn : NULL;
	/* A traced call's wrapper stands in the fast path's table. */
	if (fn && trace_call((unsigned)nr) && syscall_table[nr] == trace_call((unsigned)nr))
		fn = syscall_table[nr];
	if (!fn || fn == (const void *)syscall_undefined) {
		report_unknown(nr);
		return -ENOSYS;
	}
	return ((syscall_fn)(uintptr_t)fn)(f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9);
}

void syscall_slow(struct trapframe *f)
{
	long nr = (long)f->error, result;
	struct thread *t = current_thread();
	t->syscall_nr = nr;
	TRACE(syscall_enter, "%ld(%lx, %lx, %lx)", nr, f->rdi, f->rsi, f->rdx);
	if (counting && (uint64_t)nr < SYSCALL_COUNT)
		atomic_fetch_add_explicit(&counts[nr], 1, memory_order_relaxed);
	if (unlikely(printing)) {
		struct strace s;
		strace_enter(&s, f);
		result = call(f, nr);
		strace_exit(&s, result);
	} else {
		result = call(f, nr);
	}
	TRACE(syscall_exit, "%ld = %ld", nr, result);
	t->syscall_nr = -1;
	f->rax = (uint64_t)result;
}

static void set_work(void *on)
{
	struct cpu *c = this_cpu();
	if (on)
		__atomic_fetch_or(&c->work, CPU_TRACE_SYSCALLS, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&c->work, ~(uint32_t)CPU_TRACE_SYSCALLS, __ATOMIC_RELAXED);
}

static void update_work(void)
{
	bool on = printing || counting || trace_on("syscall_enter") || trace_on("syscall_exit");
	cpu_call_all(set_work, on ? &printing : NULL);
}

void syscall_trace_set(bool print, bool count)
{
	printing = print;
	counting = count;
	update_work();
}

void syscall_trace_update(void)
{
	static struct mutex lock;
	mutex_lock(&lock);
	update_work();
	for (unsigned nr = 0; nr < SYSCALL_COUNT; nr++) {
		const void *fn = trace_call_on(nr) ? trace_call(nr) : calls[nr].fn;
		if (!trace_call(nr) || syscall_table[nr] == (const void *)syscall_full_frame ||
		    calls[nr].fn == (const void *)syscall_undefined)
			continue;
		__atomic_store_n(&syscall_table[nr], fn, __ATOMIC_RELEASE);
	}
	mutex_unlock(&lock);
}
