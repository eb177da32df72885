/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console: output of every CPU and context to the registered devices, input of the devices to
 *the tty.
 *
 * Output is a bounded queue of pieces (one sequence number per slot, as in D. Vyukov's bounded MPMC
 *queue). A producer takes the slot at `tail` by compare-and-exchange if its sequence says free,
 *copies, publishes the sequence, and then combine()s: whoever finds the queue unattended writes out
 *what is published, in order. Nobody waits for another CPU, so an interrupt or a panic in the
 *middle of a write cannot deadlock. When the queue is full (a slow device), the piece goes out
 *directly, possibly in the middle of another's line, but never lost.
 */
#include <stdatomic.h>
#include "arch/x86/cpu.h"
#include "drivers/console.h"
#include "lib/combine.h"
#include "lib/string.h"
#include "sched/work.h"

enum { PIECES = 64, PIECE_SIZE = 248, INPUT_SIZE = 4096, HISTORY_SIZE = 32768, REPORT_PORT = 0xe9 };

struct piece {
	_Atomic uint64_t seq; /* see free_seq() */
	uint32_t len;
	char text[PIECE_SIZE];
};

static struct {
	struct piece piece[PIECES];
	_Atomic uint64_t tail;
	uint64_t head; /* the attendant's */
	struct combiner attend;
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

static void drain(void *unused)
{
	(void)unused;
	while (published(out.head)) {
		struct piece *p = slot(out.head);
		write_devices(p->text, p->len);
		atomic_store_explicit(&p->seq, free_seq(out.head) + 2, memory_order_release);
		out.head++;
	}
}

/* What was written last, for who looks at the machine from outside; kept as the kernel log is. */
static char history[HISTORY_SIZE];
static _Atomic uint64_t history_end;

static void remember(const char *s, size_t n)
{
	uint64_t at = atomic_fetch_add_explicit(&history_end, n, memory_order_relaxed);

	for (size_t i = 0; i < n; i++)
		history[(at + i) % HISTORY_SIZE] = s[i];
}

size_t console_history(uint64_t *pos, char *buf, size_t n)
{
	uint64_t end = atomic_load(&history_end);
	size_t done = 0;

	if (end > HISTORY_SIZE && *pos < end - HISTORY_SIZE)
		*pos = end - HISTORY_SIZE;
	while (done < n && *pos < end)
		buf[done++] = history[(*pos)++ % HISTORY_SIZE];
	return done;
}

void console_write(const char *s, size_t n)
{
	remember(s, n);
	while (n) {
		size_t part = MIN(n, (size_t)PIECE_SIZE);
		if (atomic_load_explicit(&out.direct, memory_order_relaxed) || !enqueue(s, part))
			write_devices(s, part);
		else
			combine(&out.attend, drain, NULL);
		s += part;
		n -= part;
	}
}

void console_flush(void)
{
	/* Bounded: the CPU that attends may be halted by now. */
	for (int i = 0; i < 1000000 && combine_busy(&out.attend); i++)
		cpu_relax();
}

void console_panic(void)
{
	console_flush();
	atomic_store(&out.direct, true);
}

/*
 * Input: interrupt handlers of any CPU claim a place in a ring by compare-and-exchange on `tail`
 * and mark it full; a work item hands the bytes on.
 */
static struct {
	char byte[INPUT_SIZE];
	_Atomic bool full[INPUT_SIZE];
	_Atomic uint64_t tail, head;
	_Atomic bool busy;
	void (*_Atomic fn)(const char *s, size_t n);
} in;

static size_t take_input(char *buf, size_t size)
{
	uint64_t head = atomic_load(&in.head);
	size_t n = 0;
	while (n < size && atomic_load(&in.full[(head + n) % INPUT_SIZE])) {
		buf[n] = in.byte[(head + n) % INPUT_SIZE];
		atomic_store(&in.full[(head + n) % INPUT_SIZE], false);
		n++;
	}
	atomic_store(&in.head, head + n);
	return n;
}

static void input_work(struct work *w)
{
	void (*fn)(const char *, size_t) = atomic_load(&in.fn);
	char buf[64];
	(void)w;
	/* fn may sleep, so the work may run on a second CPU meanwhile: one of them hands on. */
	while (fn && atomic_load(&in.full[atomic_load(&in.head) % INPUT_SIZE])) {
		if (atomic_exchange(&in.busy, true))
			return;
		for (size_t n; (n = take_input(buf, sizeof buf)) > 0;)
			fn(buf, n);
		atomic_store(&in.busy, false);
	}
}

static struct work input = {.fn = input_work};

/* False: no room. */
static bool put_input(char c)
{
	uint64_t pos = atomic_load(&in.tail);
	do {
		if (pos - atomic_load(&in.head) >= INPUT_SIZE)
			return false;
	} while (!atomic_compare_exchange_weak(&in.tail, &pos, pos + 1));
	in.byte[pos % INPUT_SIZE] = c;
	atomic_store(&in.full[pos % INPUT_SIZE], true);
	return true;
}

void console_input(const char *s, size_t n)
{
	/* As on a serial line, what comes while nobody reads is lost when the buffer is full. */
	for (size_t i = 0; i < n && put_input(s[i]); i++)
		;
	if (atomic_load(&in.fn))
		work_queue(&input);
}

void console_set_input(void (*fn)(const char *s, size_t n))
{
	atomic_store(&in.fn, fn);
	work_queue(&input);
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
