/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing dumps of trace records: every length is checked before what it measures is touched. */
#include "tracefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_MAX (512u << 20)
#define MAX_ID 65535

static int bad(struct cap *c, const char *where, const char *what)
{
	return cap_fail(c, EBADMSG, "%s is no trace of a Carrara machine: %s", where, what);
}

/* Is there a terminated string at p? Returns its length with the terminator, 0 if not. */
static size_t string_at(const char *p, size_t left)
{
	size_t n = strnlen(p, left);
	return n < left ? n + 1 : 0;
}

static bool add_event(struct cap_trace *t, const char *p, size_t n)
{
	uint32_t id;
	size_t name, format;
	if (n < 4)
		return false;
	memcpy(&id, p, 4);
	if (id > MAX_ID || !(name = string_at(p + 4, n - 4)) ||
	    !(format = string_at(p + 4 + name, n - 4 - name)))
		return false;
	if (id >= t->nevents) {
		t->events = xrealloc(t->events, (id + 1) * sizeof(*t->events));
		memset(t->events + t->nevents, 0, (id + 1 - t->nevents) * sizeof(*t->events));
		t->nevents = id + 1;
	}
	t->events[id] = (struct cap_trace_event){p + 4, p + 4 + name};
	return true;
}

/* Room for another element of an array that doubles. */
static void *grown(void *array, size_t n, size_t element)
{
	return n & (n - 1) ? array : xrealloc(array, (n ? 2 * n : 1) * element);
}

static bool add_symbol(struct cap_trace *t, const char *p, size_t n)
{
	if (n < 9 || !string_at(p + 8, n - 8))
		return false;
	t->symbols = grown(t->symbols, t->nsymbols, sizeof(*t->symbols));
	struct cap_trace_symbol *s = &t->symbols[t->nsymbols++];
	memcpy(&s->address, p, 8);
	s->name = p + 8;
	return true;
}

static bool add_thread(struct cap_trace *t, const char *p, size_t n)
{
	if (n < 9 || !string_at(p + 8, n - 8))
		return false;
	t->threads = grown(t->threads, t->nthreads, sizeof(*t->threads));
	struct cap_trace_thread *thread = &t->threads[t->nthreads++];
	memcpy(&thread->tid, p, 4);
	memcpy(&thread->pid, p + 4, 4);
	thread->name = p + 8;
	return true;
}

static bool add_records(struct cap_trace *t, const char *p, size_t n)
{
	while (n) {
		const struct trace_record *r = (const struct trace_record *)p;
		if (n < sizeof(*r) || r->size < sizeof(*r) || r->size > n || r->size % 8 ||
		    r->nargs > TRACE_MAX_ARGS || r->nframes > TRACE_MAX_FRAMES ||
		    r->ntext > TRACE_MAX_TEXT ||
		    r->size - sizeof(*r) < 8u * (r->nargs + r->nframes) + r->ntext ||
		    (r->ntext && trace_record_text(r)[r->ntext - 1]))
			return false;
		t->records = grown(t->records, t->nrecords, sizeof(*t->records));
		t->records[t->nrecords++] = r;
		p += r->size;
		n -= r->size;
	}
	return true;
}

static bool add_item(struct cap_trace *t, const struct trace_item *item, const char *p)
{
	uint64_t v;
	switch (item->type) {
	case TRACE_ITEM_EVENT:
		return add_event(t, p, item->size);
	case TRACE_ITEM_RECORDS:
		return add_records(t, p, item->size);
	case TRACE_ITEM_SYMBOL:
		return add_symbol(t, p, item->size);
	case TRACE_ITEM_THREAD:
		return add_thread(t, p, item->size);
	case TRACE_ITEM_LOST:
		if (item->size < 16)
			return false;
		memcpy(&v, p + 8, 8);
		t->lost += v;
		return true;
	}
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct cap_trace_symbol *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

static int by_tid(const void *a, const void *b)
{
	const struct cap_trace_thread *x = a, *y = b;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int by_time(const void *a, const void *b)
{
	const struct trace_record *x = *(const struct trace_record *const *)a,
				  *y = *(const struct trace_record *const *)b;
	return x->time != y->time ? (x->time < y->time ? -1 : 1) : (x < y ? -1 : x > y);
}

int cap_trace_parse(struct cap *c, const char *where, struct buf *data, struct cap_trace *t)
{
	struct trace_dump_header h;
	int result = 0;
	*t = (struct cap_trace){.data = *data};
	*data = (struct buf){0};
	if (t->data.len < sizeof(h) || memcmp(t->data.data, TRACE_DUMP_MAGIC, sizeof(h.magic)))
		result = bad(c, where, "another beginning");
	size_t at = sizeof(h);
	if (!result) {
		memcpy(&h, t->data.data, sizeof(h));
		t->now = h.now;
		t->wall = h.wall;
		t->cpus = h.cpus;
	}
	while (!result && at < t->data.len) {
		struct trace_item item;
		if (t->data.len - at < sizeof(item)) {
			result = bad(c, where, "it is cut off");
			break;
		}
		memcpy(&item, t->data.data + at, sizeof(item));
		at += sizeof(item);
		if (item.size > t->data.len - at)
			result = bad(c, where, "it is cut off");
		else if (!add_item(t, &item, t->data.data + at))
			result = bad(c, where, "an entry is malformed");
		at += cap_min(((size_t)item.size + 7) & ~(size_t)7, t->data.len - at);
	}
	if (result) {
		cap_trace_free(t);
		return result;
	}
	if (t->nsymbols)
		qsort(t->symbols, t->nsymbols, sizeof(*t->symbols), by_address);
	if (t->nthreads)
		qsort(t->threads, t->nthreads, sizeof(*t->threads), by_tid);
	if (t->nrecords)
		qsort(t->records, t->nrecords, sizeof(*t->records), by_time);
	return 0;
}

int cap_trace_read(struct cap *c, const char *path, struct cap_trace *t)
{
	struct buf data = {0};
	int result = file_read(path, DUMP_MAX, &data);
	if (result) {
		buf_free(&data);
		return cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	}
	return cap_trace_parse(c, path, &data, t);
}

void cap_trace_free(struct cap_trace *t)
{
	free(t->events);
	free(t->symbols);
	free(t->threads);
	free(t->records);
	buf_free(&t->data);
	*t = (struct cap_trace){0};
}

const char *cap_trace_event_name(const struct cap_trace *t, const struct trace_record *r)
{
	return r->id < t->nevents && t->events[r->id].name ? t->events[r->id].name : "unknown";
}

const char *cap_trace_symbol_name(const struct cap_trace *t, uint64_t address)
{
	struct cap_trace_symbol key = {.address = address}, *s = NULL;
	if (t->nsymbols)
		s = bsearch(&key, t->symbols, t->nsymbols, sizeof(key), by_address);
	return s ? s->name : NULL;
}

const struct cap_trace_thread *cap_trace_thread_of(const struct cap_trace *t, int32_t tid)
{
	struct cap_trace_thread key = {.tid = tid};
	return t->nthreads ? bsearch(&key, t->threads, t->nthreads, sizeof(key), by_tid) : NULL;
}

/* The string an argument is an offset of. */
static const char *text_argument(const struct trace_record *r, uint64_t offset)
{
	return offset < r->ntext ? trace_record_text(r) + offset : "";
}

/* One conversion of a format, "%#lx" for instance, by a format of our own making. */
static void put_argument(
    struct buf *out, const char *spec, size_t n, const struct trace_record *r, unsigned i)
{
	char flags[8] = "", type = spec[n - 1];
	size_t k = 0;
	uint64_t v = i < r->nargs ? trace_record_args(r)[i] : 0;
	size_t l = 0;
	for (size_t j = 1; j + 1 < n; j++) {
		if (strchr("#0-+ ", spec[j]) && k < sizeof(flags) - 1 && !strchr(flags, spec[j]))
			flags[k++] = spec[j];
		l += spec[j] == 'l';
	}
	bool sharp = strchr(flags, '#');
	switch (type) {
	case 's':
		buf_puts(out, text_argument(r, v));
		break;
	case 'd':
	case 'i':
		buf_printf(out, "%lld", l ? (long long)v : (long long)(int32_t)v);
		break;
	case 'u':
		buf_printf(
		    out, "%llu", l ? (unsigned long long)v : (unsigned long long)(uint32_t)v);
		break;
	case 'o':
		buf_printf(
		    out, "%llo", l ? (unsigned long long)v : (unsigned long long)(uint32_t)v);
		break;
	case 'p':
		buf_printf(out, "0x%llx", (unsigned long long)v);
		break;
	default:
		buf_printf(out, sharp ? "%#llx" : "%llx",
		    l ? (unsigned long long)v : (unsigned long long)(uint32_t)v);
	}
}

void cap_trace_arguments(const struct cap_trace *t, const struct trace_record *r, struct buf *out)
{
	const char *p = r->id < t->nevents ? t->events[r->id].format : NULL;
	unsigned i = 0;
	while (p && *p) {
		if (*p != '%') {
			buf_putc(out, *p++);
			continue;
		}
		size_t n = 1 + strspn(p + 1, "#0-+ 123456789.lhz");
		if (!p[n])
			return;
		if (p[n] == '%')
			buf_putc(out, '%');
		else
			put_argument(out, p, n + 1, r, i++);
		p += n + 1;
	}
}
