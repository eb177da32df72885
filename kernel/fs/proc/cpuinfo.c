/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/cpuinfo. */
#include "arch/x86/percpu.h"
#include "arch/x86/topology.h"
#include "fs/proc/proc.h"

int proc_show_cpuinfo(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0; i < ncpus; i++)
		topology_cpuinfo(s, i);
	return 0;
}
