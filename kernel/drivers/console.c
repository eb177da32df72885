/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console: output of every CPU and context to the registered devices, input of the devices to
 *the tty.
 *
 * Output is a bounded queue of pieces (one sequence number per slot, as in D. Vyukov's bounded MPMC
 *queue) that one CPU at a time drains:
 *
 *   producer: takes slot `tail` by compare-and-exchange if its sequence says free, copies,
 *publishes the sequence; then tries to become the drainer. drainer:  whoever exchanges `draining`
 *from false to true; writes out slots in order as long as they are published; sets `draining` to
 *false; looks once more, for a piece published in between.
 *
 * Nobody waits for another CPU: a producer that finds a drainer leaves its piece to it. So an
 *interrupt or a panic in the middle of a write cannot deadlock. A full queue is drained by the
 *producer itself if nobody does, else the piece goes out directly (possibly in the middle of
 *another's line, never lost).
 */
#include <stdatomic.h>
#include "arch/x86/cpu.h"
#include "drivers/console.h"
#include "lib/string.h"
#include "sched/work.h"

enum { PIECES = 64, PIECE_SIZE = 248, INPUT_SIZE = 4096, REPORT_PORT = 0xe9 };

struct piece {
	_Atomic uint64_t seq; /* see free_seq() */
	uint32_t len;
	char text[PIECE_SIZE];
};

static struct {
	struct piece piece[PIECES];
	_Atomic uint64_t tail;
	uint64_t head; /* drainer's */
	_Atomic bool draining;
	_Atomic bool direct; /* after a panic */
} out;

static struct list consoles = LIST_INIT(consoles);

void console_register(struct console *c)
{
	list_append(&consoles, &c->link);
}

static void write_devices(const char *s, size_t n)
{
	struct console *c;
	list_for_each_entry (c, &consoles, link)
		c->write(c, s, n);
}

/* Sequences count by two a lap, so that zeroed slots are free for the first lap; the odd number
 * after means published. */
static uint64_t free_seq(uint64_t pos)
{
	return pos / PIECES * 2;
}

static struct piece *slot(uint64_t pos)
{
	return &out.piece[pos % PIECES];
}

static bool enqueue(const char *s, size_t n)
{
	uint64_t pos = atomic_load_explicit(&out.tail, memory_order_relaxed);
	do {
		if (atomic_load_explicit(&slot(pos)->seq, memory_order_acquire) != free_seq(pos)) {
			/* Full, or another producer took this position meanwhile. */
			uint64_t now = atomic_load_explicit(&out.tail, memory_order_relaxed);
			if (now == pos)
				return false;
			pos = now;
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(
			&out.tail, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed))
			break;
	} while (true);
	memcpy(slot(pos)->text, s, n);
	slot(pos)->len = (uint32_t)n;
	atomic_store_explicit(&slot(pos)->seq, free_seq(pos) + 1, memory_order_release);
	return true;
}

static bool published(uint64_t pos)
{
	return atomic_load_explicit(&slot(pos)->seq, memory_order_acquire) == free_seq(pos) + 1;
}

/* Returns whether anything was written. */
static bool drain(void)
{
	bool any = false;
	do {
		if (atomic_exchange(&out.draining, true))
			return any;
		while (published(out.head)) {
			struct piece *p = slot(out.head);
			write_devices(p->text, p->len);
			atomic_store_explicit(
			    &p->seq, free_seq(out.head) + 2, memory_order_release);
			out.head++;
			any = true;
		}
		uint64_t head = out.head;
		atomic_store(&out.draining, false);
		if (!published(head))
			return any;
	} while (true);
}

void console_write(const char *s, size_t n)
{
	while (n) {
		size_t part = MIN(n, (size_t)PIECE_SIZE);
		if (atomic_load_explicit(&out.direct, memory_order_relaxed))
			write_devices(s, part);
		else if (!enqueue(s, part) && (!drain() || !enqueue(s, part)))
			write_devices(s, part);
		s += part;
		n -= part;
	}
	drain();
}

void console_flush(void)
{
	/* Bounded: the CPU that drains may be halted by now. */
	for (int i = 0; i < 1000000; i++) {
		drain();
		if (!atomic_load(&out.draining))
			return;
		cpu_relax();
	}
}

void console_panic(void)
{
	console_flush();
	atomic_store(&out.direct, true);
}

/*
 * Input: interrupt handlers of any CPU append to a ring (a position is claimed with interrupts off
 * on this CPU by compare-and-exchange on `tail`, and a byte is valid once its `full` flag is set);
 * a work item hands it on.
 */
static struct {
	char byte[INPUT_SIZE];
	_Atomic bool full[INPUT_SIZE];
	_Atomic uint64_t tail;
	_Atomic uint64_t head;
	_Atomic bool busy;
	void (*_Atomic fn)(const char *s, size_t n);
} in;

static void input_work(struct work *w);
static struct work in_work = {.fn = input_work};

static void input_work(struct work *w)
{
	void (*fn)(const char *, size_t) = atomic_load(&in.fn);
	char buf[64];
	(void)w;
	if (!fn)
		return;
	/* The work may be queued on two CPUs in turn: one of them hands on. */
	do {
		if (atomic_exchange(&in.busy, true))
			return;
		for (;;) {
			uint64_t head = atomic_load(&in.head);
			size_t n = 0;
			while (n < sizeof buf && atomic_load(&in.full[(head + n) % INPUT_SIZE])) {
				buf[n] = in.byte[(head + n) % INPUT_SIZE];
				atomic_store(&in.full[(head + n) % INPUT_SIZE], false);
				n++;
			}
			if (!n)
				break;
			atomic_store(&in.head, head + n);
			fn(buf, n);
		}
		atomic_store(&in.busy, false);
	} while (atomic_load(&in.full[atomic_load(&in.head) % INPUT_SIZE]));
}

void console_input(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t pos = atomic_load(&in.tail);
		do {
			if (pos - atomic_load(&in.head) >= INPUT_SIZE)
				goto full; /* as a serial line does when nobody reads: the rest is
					      lost */
		} while (!atomic_compare_exchange_weak(&in.tail, &pos, pos + 1));
		in.byte[pos % INPUT_SIZE] = s[i];
		atomic_store(&in.full[pos % INPUT_SIZE], true);
	}
full:
	if (atomic_load(&in.fn))
		work_queue(&in_work);
}

void console_set_input(void (*fn)(const char *s, size_t n))
{
	atomic_store(&in.fn, fn);
	work_queue(&in_work);
}

void host_report(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	/* The debug port reads back its own number where it exists. */
	if (inb(REPORT_PORT) != REPORT_PORT)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (const char *p = line; *p; p++)
		outb(REPORT_PORT, (uint8_t)*p);
	outb(REPORT_PORT, '\n');
}
