/* SPDX-License-Identifier: BSD-3-Clause */
/* Per-CPU structures, descriptor tables and the control registers every CPU runs with. */
#include "arch/x86/percpu.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "core/init.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

_Static_assert(offsetof(struct cpu, current) == 8, "entry.S");
_Static_assert(offsetof(struct cpu, kstack_top) == 16, "entry.S");
_Static_assert(offsetof(struct cpu, scratch) == 24, "entry.S");
_Static_assert(offsetof(struct cpu, work) == 32, "entry.S");
_Static_assert(offsetof(struct cpu, stack_guard) == 40, "gcc -mstack-protector-guard-offset");

/* Functions that change GS, and with it the place of the stack guard. */
#define NO_STACK_GUARD __attribute__((no_stack_protector))

#define IST_SIZE 4096
enum { IST_TRAP = 1, IST_NMI, IST_DOUBLE_FAULT, IST_COUNT };

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));

struct descriptor_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* What a CPU's descriptor tables need; the boot CPU's is static because it comes before memory. */
struct cpu_area {
	struct cpu cpu;
	struct tss tss;
	uint64_t gdt[6];
	uint8_t ist[IST_COUNT - 1][IST_SIZE] __attribute__((aligned(16)));
};

struct cpu *cpus[MAX_CPUS];
unsigned ncpus = 1;
static struct cpu_area boot_area;
static uint64_t idt[256][2] __attribute__((aligned(16)));

extern const char trap_stubs[], nmi_stub[], syscall_trap_entry[];

static void idt_set(unsigned vector, const void *stub, unsigned ist)
{
	uint64_t a = (uint64_t)stub;

	idt[vector][0] = (a & 0xffff) | 0x10ull << 16 | (uint64_t)ist << 32 | 0x8eull << 40 |
			 (a >> 16 & 0xffff) << 48;
	idt[vector][1] = a >> 32;
}

static void idt_fill(void)
{
	for (unsigned v = 0; v < 256; v++)
		idt_set(v, trap_stubs + v * 16, IST_TRAP);
	idt_set(2, nmi_stub, IST_NMI);
	idt_set(8, trap_stubs + 8 * 16, IST_DOUBLE_FAULT);
	idt_set(18, nmi_stub, IST_NMI);
}

NO_STACK_GUARD static void area_init(struct cpu_area *a, unsigned id, uint32_t apic_id)
{
	a->cpu.self = &a->cpu;
	a->cpu.id = id;
	a->cpu.apic_id = apic_id;
	/* One value for all CPUs: a thread may return from a function on another CPU than it called
	 * it on. */
	a->cpu.stack_guard =
	    id ? boot_area.cpu.stack_guard : (rdtsc() * 0x9e3779b97f4a7c15ull & ~0xffull);
	a->cpu.tss = &a->tss;
	for (int i = 1; i < IST_COUNT; i++)
		a->tss.ist[i - 1] = (uint64_t)a->ist[i - 1] + IST_SIZE;
	a->tss.iomap = sizeof a->tss;
	uint64_t base = (uint64_t)&a->tss;
	a->gdt[2] = 0x00af9b000000ffff;
	a->gdt[3] = 0x00cf93000000ffff;
	a->gdt[4] = (sizeof a->tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		    (base >> 24 & 0xff) << 56;
	a->gdt[5] = base >> 32;
	cpus[id] = &a->cpu;
}

NO_STACK_GUARD static void load_tables(struct cpu_area *a)
{
	struct descriptor_pointer gdtr = {sizeof a->gdt - 1, (uint64_t)a->gdt};
	struct descriptor_pointer idtr = {sizeof idt - 1, (uint64_t)idt};

	asm volatile("lgdt %0" : : "m"(gdtr));
	asm volatile("lidt %0" : : "m"(idtr));
	asm volatile("mov %0, %%ss; mov %0, %%ds; mov %0, %%es" : : "r"(0x18));
	asm volatile("mov %0, %%fs; mov %0, %%gs" : : "r"(0));
	asm volatile("pushq $0x10; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
		     :
		     :
		     : "rax", "memory");
	a->gdt[4] &= ~(2ull << 40); /* ltr wants it not busy */
	asm volatile("ltr %w0" : : "r"(0x20));
	wrmsr(MSR_GS_BASE, (uint64_t)a);
}

/* Control registers and MSRs that are the same everywhere. */
static void load_controls(void)
{
	uint32_t r[4];
	uint64_t cr4 = read_cr4() | 1 << 9 | 1 << 10 | 1 << 7; /* OSFXSR, OSXMMEXCPT, PGE */

	cpuid(7, 0, r);
	if (r[1] & 1)
		cr4 |= 1 << 16; /* FSGSBASE */
	cpuid(1, 0, r);
	if (r[2] & 1 << 26)
		cr4 |= 1 << 18; /* OSXSAVE */
	cr4 &= ~(1ull << 20 | 1ull << 21 |
		 1ull << 22); /* SMEP, SMAP, PKE: everything is supervisor here */
	write_cr4(cr4);
	write_cr0((read_cr0() | 1 << 16 | 1 << 5 | 1 << 1) &
		  ~(1ull << 2 | 1ull << 3)); /* WP NE MP, no EM TS */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1 | 1 << 11);
	wrmsr(MSR_STAR, (uint64_t)0x10 << 32 | (uint64_t)0x08 << 48);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_trap_entry);
	wrmsr(MSR_SFMASK, 0x200 | 0x400 | 0x100 | 0x40000); /* IF DF TF AC */
}

NO_STACK_GUARD void percpu_init_boot(void)
{
	idt_fill();
	area_init(&boot_area, 0, 0);
	load_tables(&boot_area);
	load_controls();
	boot_area.cpu.online = true;
}

struct cpu *percpu_new(unsigned id, uint32_t apic_id)
{
	struct cpu_area *a = kzalloc(sizeof *a);

	if (!a)
		return NULL;
	area_init(a, id, apic_id);
	return &a->cpu;
}

NO_STACK_GUARD void cpu_init(struct cpu *c)
{
	load_tables(container_of(c, struct cpu_area, cpu));
	load_controls();
	wrmsr(MSR_TSC_AUX, c->id);
	fpu_init_cpu();
}
