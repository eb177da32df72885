/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Per-CPU rings of trace records; the newest overwrite the oldest.
 *
 * A ring is an array of chunks of one page. Its CPU alone writes, with interrupts off: a record is
 * copied behind the last one and then published by raising `used`; a record that does not fit
 * begins the next chunk, which first gets its new number and an empty `used`. A reader anywhere
 * copies the used part of a chunk and looks at the number again afterwards: if it changed, what was
 * copied may be torn and is dropped as lost. Nobody waits for anybody.
 */
#include "core/tracebuf.h"
#include <asm/errno.h>
#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/rcu.h"
#include "sched/sync.h"

#define MIN_KIB 64u
#define MAX_KIB 65536u

struct chunk {
	_Atomic uint64_t number; /* from 1; 0: never used */
	_Atomic uint32_t used;
	uint32_t records;
	uint8_t data[TRACEBUF_CHUNK - 16];
};

struct ring {
	_Atomic uint64_t number;       /* of the chunk being written */
	_Atomic uint64_t first;	       /* older chunks are forgotten */
	uint64_t written, overwritten; /* records; this CPU's only */
	unsigned nchunks;
	struct chunk *chunk;
};

static struct ring *rings[MAX_CPUS];
static unsigned ring_kib; /* 0: not decided */
static struct mutex lock; /* making and replacing rings */

/* A 256th of the memory, within bounds that suit small and large machines. */
static unsigned default_kib(void)
{
	uint64_t kib = memstats.total * 4 / 256;

	return (unsigned)MIN(MAX(kib, (uint64_t)MIN_KIB), 1024ul);
}

static struct ring *new_ring(unsigned kib)
{
	struct ring *r = kzalloc(sizeof *r);

	if (!r)
		return NULL;
	r->nchunks = kib * 1024 / TRACEBUF_CHUNK;
	r->chunk = kzalloc((size_t)r->nchunks * sizeof *r->chunk);
	if (!r->chunk) {
		kfree(r);
		return NULL;
	}
	atomic_store(&r->number, 1);
	atomic_store(&r->first, 1);
	atomic_store(&r->chunk[1 % r->nchunks].number, 1);
	return r;
}

int tracebuf_prepare(void)
{
	int err = 0;

	mutex_lock(&lock);
	if (!ring_kib)
		ring_kib = default_kib();
	for (unsigned i = 0; i < ncpus && !err; i++) {
		if (rings[i])
			continue;
		struct ring *r = new_ring(ring_kib);
		rcu_assign(rings[i], r);
		err = r ? 0 : -ENOMEM;
	}
	mutex_unlock(&lock);
	return err;
}

unsigned tracebuf_size(void)
{
	return ring_kib ? ring_kib : default_kib();
}

int tracebuf_resize(unsigned kib)
{
	struct ring *old[MAX_CPUS];

	if (kib < MIN_KIB || kib > MAX_KIB)
		return -EINVAL;
	if (trace_any(TRACE_RECORD))
		return -EBUSY;
	mutex_lock(&lock);
	ring_kib = kib;
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		old[i] = rings[i];
		rcu_assign(rings[i], NULL);
	}
	mutex_unlock(&lock);
	rcu_synchronize();
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		if (old[i])
			kfree(old[i]->chunk);
		kfree(old[i]);
	}
	return 0;
}

/* The chunk that has room for n bytes: the current one, or the next one made empty. */
static struct chunk *chunk_for(struct ring *ring, size_t n)
{
	uint64_t number = atomic_load_explicit(&ring->number, memory_order_relaxed);
	struct chunk *c = &ring->chunk[number % ring->nchunks];

	if (atomic_load_explicit(&c->used, memory_order_relaxed) + n <= sizeof c->data)
		return c;
	c = &ring->chunk[++number % ring->nchunks];
	ring->overwritten += c->records;
	c->records = 0;
	atomic_store(&c->number, number);
	atomic_store(&c->used, 0);
	atomic_store_explicit(&ring->number, number, memory_order_release);
	return c;
}

/* Copies the strings behind the record, as far as there is room, and puts their offsets in the
 * place of the arguments. Returns the bytes. */
static unsigned add_strings(unsigned strings, unsigned n, uint64_t *args, char *text)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!(strings >> i & 1))
			continue;
		const char *s = args[i] ? (const char *)args[i] : "(null)";
		unsigned len = (unsigned)strnlen(s, TRACE_MAX_TEXT - 2 - used);
		memcpy(text + used, s, len);
		text[used + len] = 0;
		args[i] = used;
		used = MIN(used + len + 1, TRACE_MAX_TEXT - 2u);
	}
	text[used++] = 0;
	return used;
}

void tracebuf_add(const struct tracepoint *tp, unsigned n, const uint64_t *args,
    const uint64_t *frames, unsigned nframes)
{
	unsigned cpu = this_cpu()->id, ntext = 0;
	struct ring *ring = rcu_dereference(rings[cpu]);

	if (!ring)
		return;
	n = MIN(n, (unsigned)TRACE_MAX_ARGS);
	size_t size = sizeof(struct trace_record) + 8 * (n + nframes);
	struct chunk *c = chunk_for(ring, size + (tp->strings ? ALIGN_UP(TRACE_MAX_TEXT, 8) : 0));
	uint32_t used = atomic_load_explicit(&c->used, memory_order_relaxed);
	struct trace_record *r = (struct trace_record *)(c->data + used);
	uint64_t *words = (uint64_t *)(r + 1);
	for (unsigned i = 0; i < n; i++)
		words[i] = args[i];
	for (unsigned i = 0; i < nframes; i++)
		words[n + i] = frames[i];
	if (unlikely(tp->strings)) {
		ntext = add_strings(tp->strings, n, words, (char *)(words + n + nframes));
		size += ALIGN_UP(ntext, 8u);
	}
	r->size = (uint16_t)size;
	r->id = tp->id;
	r->cpu = (uint8_t)cpu;
	r->nargs = (uint8_t)n;
	r->nframes = (uint8_t)nframes;
	r->ntext = (uint8_t)ntext;
	r->tid = current_thread() ? current_thread()->tid : 0;
	r->reserved = 0;
	r->time = time_now();
	c->records++;
	ring->written++;
	atomic_store_explicit(&c->used, used + (uint32_t)size, memory_order_release);
}

/* Copies what is new in the chunk the reader stands at. Bytes, or -1 if it was overwritten. */
static long copy_chunk(const struct chunk *c, struct tracebuf_reader *r, void *buf)
{
	if (atomic_load_explicit(&c->number, memory_order_acquire) != r->chunk)
		return -1;
	uint32_t used = atomic_load_explicit(&c->used, memory_order_acquire);
	if (used <= r->offset)
		return 0;
	memcpy(buf, c->data + r->offset, used - r->offset);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&c->number, memory_order_relaxed) != r->chunk)
		return -1;
	long n = used - r->offset;
	r->offset = used;
	return n;
}

size_t tracebuf_read(unsigned cpu, struct tracebuf_reader *r, void *buf)
{
	size_t done = 0;

	rcu_read_lock();
	struct ring *ring = cpu < MAX_CPUS ? rcu_dereference(rings[cpu]) : NULL;
	while (ring && !done) {
		uint64_t now = atomic_load_explicit(&ring->number, memory_order_acquire);
		uint64_t oldest = now > ring->nchunks ? now - ring->nchunks + 1 : 1;
		oldest = MAX(oldest, atomic_load(&ring->first));
		if (r->chunk < oldest) {
			r->lost += r->chunk ? (uint32_t)(oldest - r->chunk) : 0;
			r->chunk = oldest;
			r->offset = 0;
		}
		long n = copy_chunk(&ring->chunk[r->chunk % ring->nchunks], r, buf);
		if (n > 0) {
			done = (size_t)n;
		} else if (n < 0 || r->chunk < now) {
			r->lost += n < 0;
			r->chunk++;
			r->offset = 0;
			if (r->chunk > now)
				break;
		} else {
			break;
		}
	}
	rcu_read_unlock();
	return done;
}

static void forget(void *arg)
{
	struct ring *ring = rings[this_cpu()->id];

	(void)arg;
	if (!ring)
		return;
	uint64_t next = atomic_load(&ring->number) + 1;
	struct chunk *c = &ring->chunk[next % ring->nchunks];
	ring->written = ring->overwritten = 0;
	for (unsigned i = 0; i < ring->nchunks; i++)
		ring->chunk[i].records = 0;
	atomic_store(&c->number, next);
	atomic_store(&c->used, 0);
	atomic_store(&ring->first, next);
	atomic_store(&ring->number, next);
}

void tracebuf_clear(void)
{
	mutex_lock(&lock);
	cpu_call_all(forget, NULL);
	mutex_unlock(&lock);
}

void tracebuf_stats(unsigned cpu, uint64_t *written, uint64_t *overwritten)
{
	rcu_read_lock();
	const struct ring *ring = cpu < MAX_CPUS ? rcu_dereference(rings[cpu]) : NULL;
	*written = ring ? ring->written : 0;
	*overwritten = ring ? ring->overwritten : 0;
	rcu_read_unlock();
}

void trace_format(char *buf, size_t size, const struct trace_record *r)
{
	const struct tracepoint *tp = trace_by_id(r->id);
	uint64_t v[TRACE_MAX_ARGS] = {0};

	*buf = 0;
	if (!tp)
		return;
	unsigned strings = tp->strings;
	for (unsigned i = 0; i < r->nargs; i++) {
		v[i] = trace_record_args(r)[i];
		if (strings >> i & 1)
			v[i] = (uint64_t)(trace_record_text(r) + MIN(v[i], TRACE_MAX_TEXT - 1ul));
	}
	for (unsigned i = r->nargs; i < TRACE_MAX_ARGS; i++)
		if (strings >> i & 1)
			return; /* a string that is not there */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, size, tp->format, v[0], v[1], v[2], v[3], v[4], v[5]);
#pragma GCC diagnostic pop
}
