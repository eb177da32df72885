/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine as a whole: what ACPI says, power off, processors. */
#pragma once

#include "lib/util.h"

struct machine {
	unsigned cpu_count; /* enabled in MADT (or 1) */
	uint32_t apic_ids[64];
	uint64_t lapic_phys, hpet_phys;
	struct {
		uint64_t phys;
		uint32_t gsi_base;
	} ioapic[8];
	unsigned nioapic;
	struct {
		uint32_t gsi;
		bool level, low, set;
	} isa_irq[16]; /* overrides of ISA interrupts */
	uint64_t mcfg_phys;
	uint8_t mcfg_first_bus, mcfg_last_bus;
	uint32_t pm_timer_port, pm1a_cnt, pm1b_cnt, slp_typ5;
	bool hw_reduced;
	uint64_t sleep_control, reset_reg;
	uint8_t reset_value;
	bool sleep_is_io, reset_is_io; /* port, else memory */
	bool has_legacy_pic;
	struct {
		uint64_t start, size;
		uint32_t node;
	} node_memory[64];
	unsigned nnode_memory;
	uint32_t cpu_node[64];
	unsigned nnodes;
	/* virtio-mmio transports that the DSDT announces (microvm with ACPI). */
	struct {
		uint64_t phys;
		uint32_t size, gsi;
		bool level, low; /* the interrupt line */
	} virtio_mmio[32];
	unsigned nvirtio_mmio;
};
extern struct machine machine;

/* Reads the ACPI tables at rsdp (0: searches the BIOS area). Missing or broken tables leave
 * defaults. The tables are read through the direct map, so BOOT_ACPI and BOOT_RESERVED ranges of
 * RAM must be in it. */
void acpi_init(uint64_t rsdp);
/* Ends the machine: ACPI, then every other way known. status goes to the host's report channel
 * before. */
NORETURN void machine_power_off(void);
NORETURN void machine_reset(void);
/* Starts the other processors; sets ncpus. */
void smp_start(void);
/* Fills buf with 64-bit words from RDSEED/RDRAND if the CPU has them; returns bytes filled. */
size_t cpu_random(void *buf, size_t n);
