/* SPDX-License-Identifier: BSD-3-Clause */
/* /sys/kernel/tracing: the files that switch tracepoints and show what they found. */
#include "fs/tracing.h"
#include <asm/errno.h>
#include <linux/stat.h>
#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "core/tracebuf.h"
#include "drivers/console.h"
#include "lib/string.h"
#include "proc/lifecycle.h"
#include "proc/program.h"
#include "sched/sync.h"

static int show_available(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0; i < trace_names(); i++)
		seq_printf(s, "%s\n", trace_by_id(i)->name);
	return 0;
}

static void put_modes(struct seqbuf *s, uint32_t modes, char separator)
{
	static const char *const names[] = {"count", "record", "print", "backtrace"};
	bool first = true;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(modes >> i & 1))
			continue;
		if (!first)
			seq_putc(s, separator);
		seq_puts(s, names[i]);
		first = false;
	}
}

static int show_set(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0; i < trace_names(); i++) {
		struct tracepoint *t = trace_by_id(i);
		if (!t->modes)
			continue;
		seq_printf(s, "%s ", t->name);
		put_modes(s, t->modes, ' ');
		seq_putc(s, '\n');
	}
	return 0;
}

/* One command a line; the first that fails ends it. */
static int store_set(const struct pseudo_key *k, char *text, size_t n)
{
	int err = 0;

	(void)k;
	(void)n;
	while (text && !err) {
		char *end = strchr(text, '\n');
		if (end)
			*end++ = 0;
		err = *text ? trace_command(text) : 0;
		text = end;
	}
	return err;
}

/* "ID NAME MODES COUNT FORMAT" for every tracepoint; MODES "-" when it is off. */
static int show_events(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0; i < trace_names(); i++) {
		struct tracepoint *t = trace_by_id(i);
		seq_printf(s, "%u %s ", i, t->name);
		if (t->modes)
			put_modes(s, t->modes, ',');
		else
			seq_putc(s, '-');
		seq_printf(s, " %lu %s\n", trace_count(t), t->format);
	}
	return 0;
}

static int show_counts(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0; i < trace_names(); i++) {
		struct tracepoint *t = trace_by_id(i);
		uint64_t n = trace_count(t);
		if (n || t->modes & TRACE_COUNT)
			seq_printf(s, "%s %lu\n", t->name, n);
	}
	return 0;
}

static int store_counts(const struct pseudo_key *k, char *text, size_t n)
{
	(void)k;
	(void)text;
	(void)n;
	trace_reset_counts();
	return 0;
}

static int show_trace(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return trace_dump_text(s);
}

static int show_raw(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return trace_dump_raw(s);
}

static int store_trace(const struct pseudo_key *k, char *text, size_t n)
{
	(void)k;
	(void)text;
	(void)n;
	tracebuf_clear();
	return 0;
}

static int number(const char *text, unsigned *out)
{
	uint64_t v;
	const char *end = *text >= '0' && *text <= '9' ? parse_u64(text, 10, &v) : text;

	if (end == text || *end || v > UINT32_MAX)
		return -EINVAL;
	*out = (unsigned)v;
	return 0;
}

static int show_sampler(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%u\n", sampler_frequency());
	return 0;
}

static int store_sampler(const struct pseudo_key *k, char *text, size_t n)
{
	unsigned hz = 0;
	int err = number(text, &hz);

	(void)k;
	(void)n;
	return err ? err : sampler_set(hz);
}

static int show_size(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%u\n", tracebuf_size());
	return 0;
}

static int store_size(const struct pseudo_key *k, char *text, size_t n)
{
	unsigned kib = 0;
	int err = number(text, &kib);

	(void)k;
	(void)n;
	return err ? err : tracebuf_resize(kib);
}

static int show_stats(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned cpu = 0; cpu < ncpus; cpu++) {
		uint64_t written, overwritten;
		tracebuf_stats(cpu, &written, &overwritten);
		seq_printf(s, "cpu%u recorded %lu overwritten %lu\n", cpu, written, overwritten);
	}
	return 0;
}

const struct pseudo_entry tracing_dir[] = {
    {.name = "available_events", .show = show_available},
    {.name = "set_event", .show = show_set, .store = store_set},
    {.name = "events", .show = show_events},
    {.name = "counts", .show = show_counts, .store = store_counts},
    {.name = "trace", .show = show_trace, .store = store_trace},
    {.name = "trace_raw", .show = show_raw},
    {.name = "sampler", .show = show_sampler, .store = store_sampler},
    {.name = "buffer_size_kb", .show = show_size, .store = store_size},
    {.name = "stats", .show = show_stats},
    {},
};

/* The end of the console's output, behind a line with the position of its first byte. */
int tracing_show_console(struct seqbuf *s, const struct pseudo_key *k)
{
	uint64_t pos = 0, first;
	char buf[256];
	size_t n = console_history(&pos, buf, sizeof buf);

	(void)k;
	first = pos - n;
	seq_printf(s, "%lu\n", first);
	for (; n; n = console_history(&pos, buf, sizeof buf))
		seq_write(s, buf, n);
	return 0;
}

static char state_letter(struct thread *t)
{
	switch (atomic_load(&t->state)) {
	case THREAD_READY:
		return 'q';
	case THREAD_RUNNING:
		return 'R';
	case THREAD_DEAD:
		return 'X';
	default:
		return 'S';
	}
}

int tracing_show_threads(struct seqbuf *s, const struct pseudo_key *k)
{
	struct thread *t;

	(void)k;
	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link) {
		int64_t run = t->run_ns, user = 0, kernel = run;
		if (t->program)
			thread_cpu_split(t, &user, &kernel);
		seq_printf(s, "%d %d %u %ld %ld %ld %lu %lu %lu %d %u %c %s\n", t->tid,
		    t->program ? t->program->pid : 0, t->cpu, run, user, kernel, t->switches,
		    t->migrations, t->preemptions, t->rt_priority ? -t->rt_priority : t->nice,
		    KSTACK_SIZE, state_letter(t), t->name);
	}
	mutex_unlock(&threads_lock);
	return 0;
}
