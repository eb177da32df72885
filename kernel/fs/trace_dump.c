/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the trace rings hold, as text and as a dump for the host. The rings are copied first, since
 * they go on turning; the names of return addresses are looked up once for each address.
 */
#include <asm/errno.h>
#include "arch/x86/percpu.h"
#include "core/crash.h"
#include "core/tracebuf.h"
#include "fs/proc/proc.h"
#include "fs/tracing.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "proc/symbolise.h"

#define MAX_SYMBOLS 2048 /* a power of two: slots of the hash table */

struct symbol {
	uint64_t addr; /* 0: free */
	int tid;       /* whose address space, for an address of the application */
	char *name;
};

struct dump {
	struct seqbuf records[MAX_CPUS];
	uint32_t lost[MAX_CPUS];
	struct symbol *symbols;
	unsigned nsymbols;
};

static void dump_free(struct dump *d)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		seqbuf_free(&d->records[i]);
	for (unsigned i = 0; d->symbols && i < MAX_SYMBOLS; i++)
		kfree(d->symbols[i].name);
	kfree(d->symbols);
	kfree(d);
}

static struct dump *dump_new(void)
{
	struct dump *d = kzalloc(sizeof *d);
	void *buf = kmalloc(TRACEBUF_CHUNK);
	size_t n;

	if (d)
		d->symbols = kzalloc(MAX_SYMBOLS * sizeof *d->symbols);
	if (!d || !buf || !d->symbols) {
		kfree(buf);
		if (d)
			dump_free(d);
		return NULL;
	}
	for (unsigned cpu = 0; cpu < ncpus; cpu++) {
		struct tracebuf_reader reader = {0};
		uint64_t most = 2ull * tracebuf_size() * 1024; /* a busy ring would never end */
		seqbuf_init(&d->records[cpu]);
		while (d->records[cpu].len < most && (n = tracebuf_read(cpu, &reader, buf)))
			seq_write(&d->records[cpu], buf, n);
		d->lost[cpu] = reader.lost;
	}
	kfree(buf);
	return d;
}

static char *name_address(uint64_t addr, int tid)
{
	char text[160] = "";
	uint64_t offset;

	if (addr >= USER_END) {
		const char *name = symbol_find(addr, &offset);
		if (name)
			snprintf(text, sizeof text, "%s+0x%lx", name, offset);
	} else {
		struct thread *t = thread_find(tid);
		struct mm *m = t && t->program ? proc_mm(t->program) : NULL;
		if (m) {
			symbolise(m, addr, text, sizeof text);
			mm_put(m);
		}
		if (t)
			thread_put(t);
	}
	if (!*text)
		snprintf(text, sizeof text, "0x%lx", addr);
	char *copy = kmalloc(strlen(text) + 1);
	if (copy)
		memcpy(copy, text, strlen(text) + 1);
	return copy;
}

/* The name of an address, remembered; NULL when the table is full or memory short. */
static const char *symbol_of(struct dump *d, uint64_t addr, int tid)
{
	int space = addr >= USER_END ? 0 : tid;
	unsigned slot = (unsigned)(addr * 0x9e3779b97f4a7c15ull >> 40) & (MAX_SYMBOLS - 1);

	for (;; slot = (slot + 1) & (MAX_SYMBOLS - 1)) {
		struct symbol *s = &d->symbols[slot];
		if (s->addr == addr && s->tid == space)
			return s->name;
		if (s->addr)
			continue;
		if (d->nsymbols >= MAX_SYMBOLS / 4 * 3)
			return NULL;
		d->nsymbols++;
		*s = (struct symbol){addr, space, name_address(addr, tid)};
		return s->name;
	}
}

static const struct trace_record *record_at(const struct dump *d, unsigned cpu, size_t at)
{
	const struct seqbuf *b = &d->records[cpu];

	if (at + sizeof(struct trace_record) > b->len)
		return NULL;
	const struct trace_record *r = (const struct trace_record *)(b->data + at);
	return at + r->size <= b->len ? r : NULL;
}

static void put_text(struct seqbuf *s, struct dump *d, const struct trace_record *r)
{
	const struct tracepoint *tp = trace_by_id(r->id);
	char text[240];

	trace_format(text, sizeof text, r);
	seq_printf(s, "[%03u] %5d %5ld.%09ld: %s: %s\n", r->cpu, r->tid,
	    (long)(r->time / NSEC_PER_SEC), (long)(r->time % NSEC_PER_SEC), tp ? tp->name : "?",
	    text);
	for (unsigned i = 0; i < r->nframes; i++) {
		uint64_t addr = trace_record_frames(r)[i];
		const char *name = symbol_of(d, addr, r->tid);
		if (name)
			seq_printf(s, "\t=> %s\n", name);
		else
			seq_printf(s, "\t=> 0x%lx\n", addr);
	}
}

int trace_dump_text(struct seqbuf *s)
{
	struct dump *d = dump_new();
	size_t at[MAX_CPUS] = {0};

	if (!d)
		return -ENOMEM;
	for (;;) {
		const struct trace_record *first = NULL;
		for (unsigned cpu = 0; cpu < ncpus; cpu++) {
			const struct trace_record *r = record_at(d, cpu, at[cpu]);
			if (r && (!first || r->time < first->time))
				first = r;
		}
		if (!first)
			break;
		at[first->cpu] += first->size;
		put_text(s, d, first);
	}
	dump_free(d);
	return 0;
}

static void item_begin(struct seqbuf *s, uint32_t type, size_t size)
{
	struct trace_item item = {type, (uint32_t)size};
	seq_write(s, &item, sizeof item);
}

static void item_end(struct seqbuf *s, size_t size)
{
	static const char zeros[8];
	seq_write(s, zeros, ALIGN_UP(size, 8ul) - size);
}

static void put_events(struct seqbuf *s)
{
	for (uint32_t id = 0; id < trace_names(); id++) {
		const struct tracepoint *t = trace_by_id(id);
		size_t name = strlen(t->name) + 1, format = strlen(t->format) + 1;
		item_begin(s, TRACE_ITEM_EVENT, 4 + name + format);
		seq_write(s, &id, 4);
		seq_write(s, t->name, name);
		seq_write(s, t->format, format);
		item_end(s, 4 + name + format);
	}
}

static void put_threads(struct seqbuf *s)
{
	struct thread *t;

	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link) {
		int32_t ids[2] = {t->tid, t->program ? t->program->pid : 0};
		size_t n = strlen(t->name) + 1;
		item_begin(s, TRACE_ITEM_THREAD, 8 + n);
		seq_write(s, ids, 8);
		seq_write(s, t->name, n);
		item_end(s, 8 + n);
	}
	mutex_unlock(&threads_lock);
}

static void put_records(struct seqbuf *s, struct dump *d, unsigned cpu)
{
	const struct trace_record *r;
	uint64_t lost[2] = {cpu, 0}, written;

	tracebuf_stats(cpu, &written, &lost[1]);
	item_begin(s, TRACE_ITEM_LOST, sizeof lost);
	seq_write(s, lost, sizeof lost);
	if (!d->records[cpu].len)
		return;
	item_begin(s, TRACE_ITEM_RECORDS, d->records[cpu].len);
	seq_write(s, d->records[cpu].data, d->records[cpu].len);
	for (size_t at = 0; (r = record_at(d, cpu, at)); at += r->size)
		for (unsigned i = 0; i < r->nframes; i++)
			symbol_of(d, trace_record_frames(r)[i], r->tid);
}

int trace_dump_raw(struct seqbuf *s)
{
	struct dump *d = dump_new();
	struct trace_dump_header h = {.magic = TRACE_DUMP_MAGIC,
	    .now = time_now(),
	    .wall = time_wall_offset(),
	    .cpus = ncpus};

	if (!d)
		return -ENOMEM;
	seq_write(s, &h, sizeof h);
	put_events(s);
	put_threads(s);
	for (unsigned cpu = 0; cpu < ncpus; cpu++)
		put_records(s, d, cpu);
	for (unsigned i = 0; i < MAX_SYMBOLS; i++) {
		const struct symbol *symbol = &d->symbols[i];
		if (!symbol->name)
			continue;
		size_t n = strlen(symbol->name) + 1;
		item_begin(s, TRACE_ITEM_SYMBOL, 8 + n);
		seq_write(s, &symbol->addr, 8);
		seq_write(s, symbol->name, n);
		item_end(s, 8 + n);
	}
	dump_free(d);
	return 0;
}
