/* SPDX-License-Identifier: BSD-3-Clause */
/* Local APIC (Intel SDM volume 3, chapter 11). */
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/irq.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "arch/x86/tlb.h"
#include "core/init.h"
#include "core/trace.h"
#include "mm/page.h"
#include "sched/sched_internal.h"
#include "sched/sync.h"

enum {
	REG_ID = 0x20,
	REG_TPR = 0x80,
	REG_EOI = 0xb0,
	REG_SPURIOUS = 0xf0,
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

static volatile uint32_t *xapic;
static bool x2apic, tsc_deadline;
static uint64_t timer_rate; /* APIC timer ticks per TSC tick, 32.32 */

static uint32_t apic_read(unsigned reg)
{
	return x2apic ? (uint32_t)rdmsr(0x800 + reg / 16) : xapic[reg / 4];
}

static void apic_write(unsigned reg, uint32_t v)
{
	if (x2apic)
		wrmsr(0x800 + reg / 16, v);
	else
		xapic[reg / 4] = v;
}

void apic_init(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	x2apic = r[2] & 1 << 21;
	tsc_deadline = r[2] & 1 << 24;
	if (!x2apic)
		xapic = mmio_map(rdmsr(MSR_APIC_BASE) & 0xffffff000, PAGE_SIZE);
	apic_init_cpu();
	this_cpu()->apic_id = apic_id();
}

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | 1 << 11;

	wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | 1 << 10);
	apic_write(REG_TPR, 0);
	apic_write(REG_LVT_LINT0, 1 << 16);
	apic_write(REG_LVT_LINT1, 1 << 16);
	apic_write(REG_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_write(REG_LVT_TIMER, VEC_TIMER | (tsc_deadline ? 2u << 17 : 0));
	apic_write(REG_SPURIOUS, 0x100 | VEC_SPURIOUS);
}

uint32_t apic_id(void)
{
	return x2apic ? apic_read(REG_ID) : apic_read(REG_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(REG_EOI, 0);
}

static void send(uint32_t id, uint32_t command)
{
	if (x2apic) {
		asm volatile("mfence" ::
				 : "memory"); /* the MSR write does not order earlier stores */
		wrmsr(0x830, (uint64_t)id << 32 | command);
		return;
	}
	uint64_t flags = irq_save();
	while (xapic[REG_ICR / 4] & 1 << 12) /* the last one is still on its way */
		cpu_relax();
	xapic[REG_ICR_HIGH / 4] = id << 24;
	xapic[REG_ICR / 4] = command;
	irq_restore(flags);
}

void apic_ipi(uint32_t id, unsigned vector)
{
	send(id, vector | 1 << 14);
}

void apic_send_init(uint32_t id)
{
	send(id, 5 << 8 | 1 << 14);
}

void apic_send_startup(uint32_t id, unsigned page)
{
	send(id, 6 << 8 | 1 << 14 | page);
}

void apic_set_timer_rate(uint64_t rate)
{
	timer_rate = rate;
}

void apic_timer_set(uint64_t deadline)
{
	if (tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, deadline);
		return;
	}
	if (!deadline) {
		apic_write(REG_TIMER_INITIAL, 0);
		return;
	}
	uint64_t now = rdtsc();
	uint64_t ticks = 1;
	if (deadline > now)
		ticks = (uint64_t)(((unsigned __int128)(deadline - now) * timer_rate) >> 32) + 1;
	apic_write(REG_TIMER_INITIAL, ticks > 0xffffffff ? 0xffffffff : (uint32_t)ticks);
}

void apic_timer_start_max(void)
{
	apic_write(REG_LVT_TIMER, VEC_TIMER | 1 << 16);
	apic_write(REG_TIMER_INITIAL, 0xffffffff);
}

uint32_t apic_timer_count(void)
{
	return apic_read(REG_TIMER_CURRENT);
}

void apic_timer_stop(void)
{
	apic_write(REG_TIMER_INITIAL, 0);
	apic_write(REG_LVT_TIMER, VEC_TIMER | (tsc_deadline ? 2u << 17 : 0));
}

/* Calls on other CPUs: each has a stack of requests that its own interrupt handler empties. */
struct cpu_call {
	struct cpu_call *next;
	void (*fn)(void *);
	void *arg;
	_Atomic int *left;
	struct completion *done;
};

static void push_call(struct cpu *c, struct cpu_call *call)
{
	struct cpu_call *head = atomic_load_explicit(&c->calls, memory_order_relaxed);

	do
		call->next = head;
	while (!atomic_compare_exchange_weak(&c->calls, &head, call));
	TRACE(pcpu_worker_item_signal, "%p cpu=%u", call, c->id);
	apic_ipi(c->apic_id, VEC_CALL);
}

static void run_calls(void)
{
	struct cpu_call *call = atomic_exchange(&this_cpu()->calls, NULL);

	while (call) {
		struct cpu_call *next = call->next; /* call may vanish with the last decrement */
		struct completion *done = call->done;
		TRACE(pcpu_worker_item_invoke, "%p fn=%#lx", call, call->fn);
		call->fn(call->arg);
		TRACE(pcpu_worker_item_set_finished, "%p", call);
		if (atomic_fetch_sub(call->left, 1) == 1)
			completion_signal(done);
		call = next;
	}
}

void cpu_call_mask(uint64_t mask, void (*fn)(void *), void *arg)
{
	struct cpu_call call[MAX_CPUS];
	struct completion done;
	unsigned self = this_cpu()->id;
	uint64_t others = mask & ~(1ull << self);
	_Atomic int left = (int)popcount64(others);

	completion_init(&done);
	for (uint64_t m = others; m; m &= m - 1) {
		unsigned id = (unsigned)__builtin_ctzll(m);
		call[id] = (struct cpu_call){NULL, fn, arg, &left, &done};
		push_call(cpus[id], &call[id]);
	}
	if (mask & 1ull << self) {
		uint64_t flags = irq_save();
		fn(arg);
		irq_restore(flags);
	}
	if (others) {
		TRACE(pcpu_worker_item_wait, "cpus=%#lx", others);
		completion_wait(&done);
		TRACE(pcpu_worker_item_end_wait, "cpus=%#lx", others);
	}
}

void cpu_call(unsigned cpu, void (*fn)(void *), void *arg)
{
	cpu_call_mask(1ull << cpu, fn, arg);
}

static uint64_t online_mask(void)
{
	return ncpus == 64 ? ~0ull : (1ull << ncpus) - 1;
}

void cpu_call_all(void (*fn)(void *), void *arg)
{
	cpu_call_mask(online_mask(), fn, arg);
}

/* Stopping the others: they count themselves in, wait for the word to go on, and count themselves
 * out. */
static struct mutex stop_lock;
static _Atomic unsigned stopped;
static _Atomic bool stop_release;

static void stop_here(void)
{
	atomic_fetch_add(&stopped, 1);
	while (!atomic_load(&stop_release))
		cpu_relax();
	uint32_t r[4];
	cpuid(0, 0, r); /* serialises: code patched meanwhile is fetched anew */
	write_cr3(read_cr3());
	atomic_fetch_sub(&stopped, 1);
}

static void stop_all_but(uint64_t spared, void (*fn)(void *), void *arg)
{
	unsigned n = 0, self = this_cpu()->id;

	atomic_store(&stop_release, false);
	for (unsigned i = 0; i < ncpus; i++) {
		if (i == self || spared >> i & 1)
			continue;
		apic_ipi(cpus[i]->apic_id, VEC_STOP);
		n++;
	}
	while (atomic_load(&stopped) < n)
		cpu_relax();
	fn(arg);
	atomic_store(&stop_release, true);
	while (atomic_load(&stopped))
		cpu_relax();
}

void cpu_stop_others(void (*fn)(void *), void *arg)
{
	mutex_lock(&stop_lock);
	uint64_t flags = irq_save();
	stop_all_but(0, fn, arg);
	irq_restore(flags);
	mutex_unlock(&stop_lock);
}

void cpu_stop_applications(void (*fn)(void *), void *arg)
{
	mutex_lock(&stop_lock);
	uint64_t flags = irq_save(), held = tlb_hold_lazy(online_mask());
	stop_all_but(held, fn, arg);
	tlb_release_lazy(held);
	irq_restore(flags);
	mutex_unlock(&stop_lock);
}

void apic_or_device_interrupt(unsigned vector, bool from_app)
{
	switch (vector) {
	case VEC_TIMER:
		apic_eoi();
		timer_interrupt(from_app);
		return;
	case VEC_RESCHED:
		apic_eoi();
		sched_interrupt(from_app);
		return;
	case VEC_CALL:
		apic_eoi();
		run_calls();
		return;
	case VEC_STOP:
		apic_eoi();
		stop_here();
		return;
	case VEC_SPURIOUS:
		return;
	}
	irq_dispatch(vector);
	apic_eoi();
}
