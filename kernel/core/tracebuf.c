/* SPDX-License-Identifier: BSD-3-Clause */
/* Per-CPU rings of trace records; the newest overwrite the oldest. */
#include "core/tracebuf.h"
#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/thread.h"

#define RING_RECORDS 8192 /* 640 KiB a CPU, only once recording is used */

struct ring {
	_Atomic uint64_t next;
	struct trace_record record[RING_RECORDS];
};
static struct ring *rings[MAX_CPUS];

void tracebuf_prepare(void)
{
	for (unsigned i = 0; i < MAX_CPUS && cpus[i]; i++)
		if (!rings[i])
			rings[i] = kzalloc(sizeof *rings[i]);
}

void tracebuf_add(const struct tracepoint *tp, unsigned n, const uint64_t *args)
{
	unsigned cpu = this_cpu()->id;
	struct ring *ring = rings[cpu];

	if (!ring)
		return;
	uint64_t at = atomic_load_explicit(&ring->next, memory_order_relaxed);
	struct trace_record *r = &ring->record[at % RING_RECORDS];
	r->time = time_now();
	r->id = tp->id;
	r->cpu = (uint16_t)cpu;
	r->nargs = (uint16_t)n;
	r->tid = current_thread() ? current_thread()->tid : 0;
	for (unsigned i = 0; i < 6; i++)
		r->args[i] = i < n ? args[i] : 0;
	atomic_store_explicit(&ring->next, at + 1, memory_order_release);
}

unsigned tracebuf_read(unsigned cpu, uint64_t *pos, struct trace_record *out, unsigned max)
{
	struct ring *ring = cpu < MAX_CPUS ? rings[cpu] : NULL;
	unsigned n = 0;

	if (!ring)
		return 0;
	uint64_t end = atomic_load_explicit(&ring->next, memory_order_acquire);
	if (end > RING_RECORDS && *pos < end - RING_RECORDS)
		*pos = end - RING_RECORDS;
	while (n < max && *pos < end)
		out[n++] = ring->record[(*pos)++ % RING_RECORDS];
	return n;
}
