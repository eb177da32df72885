/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel mappings beyond the direct map: device memory, kernel stacks, and the kernel image's own
 * protection. */
#include "mm/kmap.h"
#include "arch/x86/cpu.h"
#include "core/init.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/kstack.h"
#include "sched/thread.h"
#include "mm/page.h"
#include "sched/sync.h"

#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_PWT 8ull
#define PTE_PCD 16ull
#define PTE_GLOBAL 0x100ull
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
#define VMAP_SIZE (1ul << 39)

void *kmap_table_page(void); /* page.c */

static struct mutex kmap_lock;
static uint64_t vmap_next = VMAP_BASE;

static uint64_t *next_table(uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT)) {
		void *table = kmap_table_page();
		if (!table)
			return NULL;
		*entry = virt_phys(table) | PTE_PRESENT | PTE_WRITE;
	}
	return phys_virt(*entry & PTE_ADDR);
}

bool kmap_page(uint64_t va, uint64_t phys, unsigned flags)
{
	uint64_t *table = kernel_pml4;

	mutex_lock(&kmap_lock);
	for (int shift = 39; shift > 12 && table; shift -= 9)
		table = next_table(&table[va >> shift & 511]);
	if (table)
		table[va >> 12 & 511] = phys | PTE_PRESENT | PTE_GLOBAL |
					(flags & KMAP_WRITE ? PTE_WRITE : 0) |
					(flags & KMAP_EXEC ? 0 : PTE_NX) |
					(flags & KMAP_UNCACHED ? PTE_PCD | PTE_PWT : 0);
	mutex_unlock(&kmap_lock);
	return table != NULL;
}

uint64_t kmap_reserve(size_t n)
{
	uint64_t at = __atomic_fetch_add(&vmap_next, ALIGN_UP(n, PAGE_SIZE), __ATOMIC_RELAXED);

	if (at + n > VMAP_BASE + VMAP_SIZE)
		panic("kernel address space exhausted");
	return at;
}

volatile void *mmio_map(uint64_t phys, size_t size)
{
	uint64_t first = phys & PAGE_MASK, end = ALIGN_UP(phys + size, PAGE_SIZE);
	uint64_t va = kmap_reserve(end - first);

	for (uint64_t a = first; a < end; a += PAGE_SIZE)
		if (!kmap_page(va + (a - first), a, KMAP_WRITE | KMAP_UNCACHED))
			panic("no memory to map device memory at 0x%lx", phys);
	return (volatile void *)(va + (phys - first));
}

/*
 * The kernel image gets 4 KiB pages: code readable and executable, constants readable, data
 * writable. The boot mapping's entry in the top-level table of the upper half stays, only what is
 * below changes.
 */
void kernel_protect(void)
{
	extern uint64_t boot_pdpt_kernel[512];
	extern char kernel_start[], rodata_start[], data_start[], kernel_end[];
	uint64_t *pd = kmap_table_page();

	for (uint64_t va = (uint64_t)kernel_start; va < (uint64_t)kernel_end; va += PAGE_SIZE) {
		uint64_t *pt = next_table(&pd[va >> 21 & 511]);
		uint64_t flags = va < (uint64_t)rodata_start ? 0
				 : va < (uint64_t)data_start ? PTE_NX
							     : PTE_NX | PTE_WRITE;
		pt[va >> 12 & 511] = (va - KERNEL_BASE) | PTE_PRESENT | PTE_GLOBAL | flags;
	}
	/* The VMAP area's top-level entry must exist before address spaces copy the upper half. */
	next_table(&kernel_pml4[VMAP_BASE >> 39 & 511]);
	boot_pdpt_kernel[510] = ((uint64_t)pd - DIRECT_MAP) | PTE_PRESENT | PTE_WRITE;
	uint64_t cr4 = read_cr4(); /* toggling PGE throws out global entries too */
	write_cr4(cr4 & ~(1ull << 7));
	write_cr4(cr4);
}

/* --- kernel stacks: mapped once, kept on a list when free --- */

struct free_stack {
	struct free_stack *next;
};
static struct free_stack *free_stacks;
static struct mutex stacks_lock;

static void *stack_new(void)
{
	uint64_t va = kmap_reserve(KSTACK_SIZE + PAGE_SIZE) + PAGE_SIZE;

	for (uint64_t off = 0; off < KSTACK_SIZE; off += PAGE_SIZE) {
		struct page *p = page_alloc(0, 0);
		if (!p || !kmap_page(va + off, page_phys(p), KMAP_WRITE))
			return NULL; /* a part of a stack is lost where memory is exhausted anyway
				      */
		atomic_fetch_add(&memstats.kstack, 1);
	}
	return (void *)va;
}

void *kstack_alloc(void)
{
	mutex_lock(&stacks_lock);
	struct free_stack *s = free_stacks;
	if (s)
		free_stacks = s->next;
	mutex_unlock(&stacks_lock);
	return s ? s : stack_new();
}

void kstack_free(void *stack)
{
	struct free_stack *s = stack;

	mutex_lock(&stacks_lock);
	s->next = free_stacks;
	free_stacks = s;
	mutex_unlock(&stacks_lock);
}
