/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracepoints at run time. The linker gathers one record for each place; places of one name share
 * an id. Switching patches the NOP of every place of the name into a jump (or back) with all other
 * CPUs stopped. Counting adds to this CPU's own counter with one instruction; recording writes to
 * this CPU's own ring with interrupts off for the few instructions it takes, so interrupt handlers
 * may trace too.
 */
#include "core/trace.h"
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/backtrace.h"
#include "core/log.h"
#include "core/tracebuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/sync.h"
#include "sys/dispatch.h"

struct trace_site {
	uint64_t nop, target, tp;
};
extern struct tracepoint tracepoints_start[], tracepoints_end[];
extern const struct trace_site trace_sites_start[], trace_sites_end[];

static unsigned nnames;
static struct tracepoint **by_id; /* one tracepoint of each name, sorted by name */
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

/* Which arguments are strings, as the format says. */
static unsigned string_arguments(const char *format)
{
	unsigned mask = 0, i = 0;

	for (const char *p = format; *p; p++) {
		if (*p != '%')
			continue;
		for (p++; *p && strchr("-+ #0123456789.lhz", *p); p++)
			;
		if (!*p)
			break;
		if (*p == '%')
			continue;
		if (*p == 's' && i < TRACE_MAX_ARGS)
			mask |= 1u << i;
		i++;
	}
	return mask;
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
			v[i]->id = (uint16_t)(nnames - 1);
			continue;
		}
		v[i]->id = (uint16_t)nnames;
		v[nnames++] = v[i];
	}
	by_id = v;
	for (struct tracepoint *t = tracepoints_start; t < tracepoints_end; t++)
		t->strings = (uint16_t)string_arguments(t->format);
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
		if (cpus[i] && cpus[i]->trace_counts)
			sum += __atomic_load_n(&cpus[i]->trace_counts[tp->id], __ATOMIC_RELAXED);
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

/* The hit is counted already (TRACE). */
void trace_hit(struct tracepoint *tp, unsigned n, const uint64_t *args)
{
	static _Atomic bool printing[MAX_CPUS];
	uint64_t flags = irq_save(), frames[TRACE_MAX_FRAMES];
	struct cpu *c = this_cpu();
	unsigned nframes = 0;

	if (tp->modes & TRACE_RECORD) {
		if (tp->modes & TRACE_BACKTRACE)
			nframes = backtrace_collect(c->sampled, frames, TRACE_MAX_FRAMES);
		tracebuf_add(tp, n, args, frames, nframes);
	}
	if (tp->modes & TRACE_PRINT && !atomic_exchange(&printing[c->id], true)) {
		print(tp, n, args);
		atomic_store(&printing[c->id], false);
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

/* Counters for every CPU that is up. */
static int make_counts(void)
{
	for (unsigned i = 0; i < MAX_CPUS && cpus[i]; i++) {
		if (cpus[i]->trace_counts)
			continue;
		uint64_t *v = kzalloc(nnames * sizeof *v);
		if (!v)
			return -ENOMEM;
		__atomic_store_n(&cpus[i]->trace_counts, v, __ATOMIC_RELEASE);
	}
	return 0;
}

int trace_change(const char *pattern, uint32_t clear, uint32_t set)
{
	int n = 0, err = set & TRACE_RECORD ? tracebuf_prepare() : 0;

	mutex_lock(&trace_lock);
	if (!err && set)
		err = make_counts();
	for (unsigned id = 0; id < nnames && !err; id++)
		n += matches(pattern, by_id[id]->name);
	if (!n) {
		mutex_unlock(&trace_lock);
		return err;
	}
	for (struct tracepoint *t = tracepoints_start; t < tracepoints_end; t++)
		if (matches(pattern, t->name))
			t->modes = (t->modes & ~clear) | set;
	cpu_stop_others(patch_sites, NULL);
	mutex_unlock(&trace_lock);
	syscall_trace_update();
	return n;
}

bool trace_any(uint32_t modes)
{
	for (unsigned id = 0; id < nnames; id++)
		if (by_id[id]->modes & modes)
			return true;
	return false;
}

bool trace_on(const char *pattern)
{
	for (unsigned id = 0; id < nnames; id++)
		if (by_id[id]->modes && matches(pattern, by_id[id]->name))
			return true;
	return false;
}

void trace_reset_counts(void)
{
	for (unsigned i = 0; i < MAX_CPUS && cpus[i]; i++)
		if (cpus[i]->trace_counts)
			memset(cpus[i]->trace_counts, 0, nnames * sizeof(uint64_t));
}
