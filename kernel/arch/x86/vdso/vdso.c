/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping the vDSO. Its pages are part of the kernel's image: shared by all programs, never
 * counted. */
#include "arch/x86/vdso/vdso.h"

#include <asm/errno.h>
#include <linux/mman.h>
#include "arch/x86/clock.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "arch/x86/vdso/slots.h"
#include "core/log.h"
#include "mm/mm.h"

extern char vdso_image[], vdso_image_end[];
extern const char syscall_jump_entry[];

void vdso_init(void)
{
	for (uint64_t *p = (uint64_t *)vdso_image; p < (uint64_t *)vdso_image_end; p++) {
		if (*p != VDSO_SLOTS_MAGIC)
			continue;
		struct vdso_slots *s = (struct vdso_slots *)p;
		s->timekeeper = &timekeeper;
		s->syscall_entry = syscall_jump_entry;
		s->cpu_node = machine.cpu_node;
		s->cpu_id_offset = offsetof(struct cpu, id);
		return;
	}
	panic("the vDSO has no slots");
}

static struct page *vdso_fault(struct vma *v, uint64_t pgoff, bool write)
{
	(void)v;
	(void)write;
	uint64_t at = (uint64_t)vdso_image + (pgoff << PAGE_SHIFT);
	return at < (uint64_t)vdso_image_end ? phys_page(at - KERNEL_BASE) : err_ptr(-EFAULT);
}

static const char *vdso_name(struct vma *v)
{
	(void)v;
	return "[vdso]";
}

static const struct vma_ops vdso_ops = {.fault = vdso_fault, .name = vdso_name};

int vdso_map(struct mm *m)
{
	uint64_t size = ALIGN_UP((uint64_t)(vdso_image_end - vdso_image), PAGE_SIZE);
	long at = mm_map_ops(
	    m, 0, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | VMA_SPECIAL, &vdso_ops, NULL, 0);
	if (at < 0)
		return (int)at;
	m->vdso = (uint64_t)at;
	return 0;
}
