/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every entry (PVH, our BIOS loader, later Xen, UEFI, Firecracker) hands to the kernel: one
 * structure, filled before kernel_main() runs, in terms no entry is special in.
 */
#pragma once

#include "lib/util.h"

#define BOOT_MAX_RANGES 64
#define BOOT_MAX_CMDLINE 65536

enum boot_range_type { BOOT_RAM = 1, BOOT_RESERVED = 2, BOOT_ACPI = 3 };

struct boot_range {
	uint64_t start, size; /* physical bytes */
	uint32_t type;	      /* enum boot_range_type */
};

struct bootinfo {
	const char *entry; /* "pvh", "bios": for messages */
	uint64_t rsdp;	   /* physical address of the ACPI root pointer, 0 if to be searched for */
	uint32_t nranges;
	struct boot_range range[BOOT_MAX_RANGES];
	const char *cmdline; /* terminated; may be empty */
	uint64_t cmdline_size;
	uint64_t start_tsc; /* TSC at the kernel's first instruction */
};

extern struct bootinfo bootinfo;
