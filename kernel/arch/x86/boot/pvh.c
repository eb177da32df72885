/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills bootinfo from Xen's hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h, versions
 * 0 and 1). */
#include "core/bootinfo.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
	uint64_t memmap_paddr; /* from version 1 on */
	uint32_t memmap_entries, reserved;
};

struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved; /* types as in E820 */
};

#define HVM_MAGIC 0x336ec578
#define BOOT_MAPPED (1ul << 30) /* what the first page tables cover */

struct bootinfo bootinfo;
extern uint64_t boot_tsc;
void pvh_fill_bootinfo(uint64_t start_info_phys);

void pvh_fill_bootinfo(uint64_t phys)
{
	const struct hvm_start_info *si = phys_virt(phys);

	bootinfo.entry = "pvh";
	bootinfo.start_tsc = boot_tsc;
	bootinfo.cmdline = "";
	if (phys + sizeof *si > BOOT_MAPPED || si->magic != HVM_MAGIC || si->version < 1)
		panic("pvh: start info at 0x%lx is not usable (needs version 1 with a memory map)",
		    phys);
	bootinfo.rsdp = si->rsdp_paddr;
	if (si->cmdline_paddr && si->cmdline_paddr < BOOT_MAPPED) {
		bootinfo.cmdline = phys_virt(si->cmdline_paddr);
		bootinfo.cmdline_size = strnlen(bootinfo.cmdline, BOOT_MAX_CMDLINE);
	}
	const struct hvm_memmap_entry *e = phys_virt(si->memmap_paddr);
	for (uint32_t i = 0; i < si->memmap_entries && bootinfo.nranges < BOOT_MAX_RANGES; i++)
		bootinfo.range[bootinfo.nranges++] = (struct boot_range){e[i].addr, e[i].size,
		    e[i].type == 1   ? BOOT_RAM
		    : e[i].type == 3 ? BOOT_ACPI
				     : BOOT_RESERVED};
}
