/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the vDSO needs to know of the kernel: addresses the kernel fills in before the first program
 * starts. It finds the structure in the object by its magic.
 */
#pragma once

#include <stdint.h>

#define VDSO_SLOTS_MAGIC 0x53544f4c53524143ull

struct timekeeper;

struct vdso_slots {
	uint64_t magic;
	const struct timekeeper *timekeeper;
	const void *syscall_entry; /* where rewritten system calls jump to */
	const uint32_t *cpu_node;  /* NUMA node by CPU */
	uint64_t cpu_id_offset;	   /* of the CPU's number in the per-CPU data at GS base */
};
