/* SPDX-License-Identifier: BSD-3-Clause */
/* What CPUID says about the processors: names, features, caches, cores and threads. For /proc and
 * /sys. */
#pragma once

#include "lib/util.h"

struct seqbuf;

struct cache_info {
	unsigned level, type; /* 1 data, 2 instruction, 3 unified, as CPUID counts */
	unsigned line, partitions, ways, sets;
	uint64_t size;	 /* bytes */
	uint64_t shared; /* CPUs that share it, a bit each */
	unsigned id;
};

struct cpu_place {
	unsigned package, core;
	uint64_t core_siblings;	  /* CPUs of the package */
	uint64_t thread_siblings; /* CPUs of the core */
};

uint64_t topology_online(void); /* a bit per CPU */
struct cpu_place topology_place(unsigned cpu);
/* Describes cache `index` of a CPU; false behind the last one. */
bool topology_cache(unsigned cpu, unsigned index, struct cache_info *out);
unsigned topology_node(unsigned cpu);
/* The text of /proc/cpuinfo for one CPU. */
void topology_cpuinfo(struct seqbuf *s, unsigned cpu);
