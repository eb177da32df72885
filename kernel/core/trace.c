/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracepoints at run time. The linker gathers one record for each place; places of one name share an id.
 * Switching patches the NOP of every place of the name into a jump (or back) with all other CPUs stopped.
 * Counting adds to this CPU's own counter; recording writes to this CPU's own ring; both run with
 * interrupts off for the few instructions they take, so interrupt handlers may trace too.
 */
#include "core/trace.h"
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/crash.h"
#include "core/log.h"
#include "core/tracebuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/sync.h"

struct trace_site {
	uint64_t nop, target, tp;
};
extern struct tracepoint tracepoints_start[], tracepoints_end[];
extern const struct trace_site trace_sites_start[], trace_sites_end[];

static unsigned nnames;
static struct tracepoint **by_id; /* one tracepoint of each name, sorted by name */
static uint64_t *counts[MAX_CPUS]; /* per CPU, by id */
static struct mutex trace_lock;

static void sort(struct tracepoint **v, size_t n)
{
	for (size_t i = 1; i < n; i++) { /* a few hundred, once, nearly in order per file */
		struct tracepoint *t = v[i];
		size_t j = i;
		for (; j && strcmp(v[j - 1]->name, t->name) > 0; j--)
			v[j] = v[j - 1];
		v[j] = t;
	}
}

void trace_init(void)
{
	size_t n = (size_t)(tracepoints_end - tracepoints_start);
	struct tracepoint **v = kmalloc((n + 1) * sizeof *v);

	if (!v)
		return;
	for (size_t i = 0; i < n; i++)
		v[i] = &tracepoints_start[i];
	sort(v, n);
	for (size_t i = 0; i < n; i++) {
		if (nnames && !strcmp(v[nnames - 1]->name, v[i]->name)) {
			v[i]->id = nnames - 1;
			continue;
		}
		v[i]->id = nnames;
		v[nnames++] = v[i];
	}
	by_id = v;
}

unsigned trace_names(void)
{
	return nnames;
}

struct tracepoint *trace_by_id(unsigned id)
{
	return id < nnames ? by_id[id] : NULL;
}

uint64_t trace_count(const struct tracepoint *tp)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (counts[i])
			sum += __atomic_load_n(&counts[i][tp->id], __ATOMIC_RELAXED);
	return sum;
}

static void print(const struct tracepoint *tp, unsigned n, const uint64_t *a)
{
	char text[160];
	uint64_t v[6] = {0};

	for (unsigned i = 0; i < n && i < 6; i++)
		v[i] = a[i];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, tp->format, v[0], v[1], v[2], v[3], v[4], v[5]);
#pragma GCC diagnostic pop
	klog(LOG_NOTICE, "trace: %s %s", tp->name, text);
}

void trace_hit(struct tracepoint *tp, unsigned n, const uint64_t *args)
{
	static _Atomic bool printing[MAX_CPUS];
	uint64_t flags = irq_save();
	unsigned cpu = this_cpu()->id;

	if (tp->modes & TRACE_COUNT && counts[cpu])
		counts[cpu][tp->id]++;
	if (tp->modes & TRACE_RECORD)
		tracebuf_add(tp, n, args);
	if (tp->modes & TRACE_PRINT && !atomic_exchange(&printing[cpu], true)) {
		print(tp, n, args);
		atomic_store(&printing[cpu], false);
	}
	irq_restore(flags);
}

static bool matches(const char *pattern, const char *s)
{
	for (; *pattern; pattern++, s++) {
		if (*pattern == '*') {
			while (*pattern == '*')
				pattern++;
			if (!*pattern)
				return true;
			for (; *s; s++)
				if (matches(pattern, s))
					return true;
			return false;
		}
		if (!*s || (*pattern != '?' && *pattern != *s))
			return false;
	}
	return !*s;
}

static void patch_sites(void *arg)
{
	(void)arg;
	for (const struct trace_site *s = trace_sites_start; s < trace_sites_end; s++) {
		const struct tracepoint *tp = (const struct tracepoint *)s->tp;
		uint8_t *code = phys_virt(s->nop - KERNEL_BASE); /* the writable alias */
		int32_t rel = (int32_t)(s->target - (s->nop + 5));
		static const uint8_t nop5[5] = {0x0f, 0x1f, 0x44, 0, 0};
		if (tp->modes) {
			code[0] = 0xe9;
			__builtin_memcpy(code + 1, &rel, 4);
		} else {
			__builtin_memcpy(code, nop5, 5);
		}
	}
}

int trace_set(const char *pattern, uint32_t modes)
{
	int n = 0;

	mutex_lock(&trace_lock);
	for (unsigned i = 0; i < MAX_CPUS && cpus[i]; i++)
		if (!counts[i])
			counts[i] = kzalloc(nnames * sizeof counts[i][0]);
	if (modes & TRACE_RECORD)
		tracebuf_prepare();
	for (unsigned id = 0; id < nnames; id++)
		n += matches(pattern, by_id[id]->name);
	for (struct tracepoint *t = tracepoints_start; t < tracepoints_end; t++)
		if (matches(pattern, t->name))
			t->modes = modes;
	cpu_stop_others(patch_sites, NULL);
	mutex_unlock(&trace_lock);
	return n;
}

void trace_reset_counts(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (counts[i])
			memset(counts[i], 0, nnames * sizeof counts[i][0]);
}
