/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where replies are written: a piece of memory that grows. Behind it is a connection's output
 * stream, or a buffer for what another shard or a datagram will carry.
 */
#ifndef MC_OUT_H
#define MC_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mc_store;
struct mc_item;

struct mc_out {
	char *p, *end; /* room */
	bool failed;   /* there was no memory: the reply is not complete */
	/* Make room for n more bytes, at most MC_OUT_ROOM, in one piece. */
	bool (*more)(struct mc_out *o, size_t n);
	/* Send an item's value without copying it. NULL where that is not possible. */
	bool (*share)(struct mc_out *o, struct mc_store *st, struct mc_item *it);
};

#define MC_OUT_ROOM 4096

static inline char *mc_room(struct mc_out *o, size_t n)
{
	if (__builtin_expect((size_t)(o->end - o->p) >= n, 1) || o->more(o, n))
		return o->p;
	o->failed = true;
	return NULL;
}

static inline void mc_put(struct mc_out *o, const char *data, size_t n)
{
	while (n) {
		size_t k = n < MC_OUT_ROOM ? n : MC_OUT_ROOM;
		char *p;

		if ((size_t)(o->end - o->p) >= n)
			k = n;
		p = mc_room(o, k);
		if (!p)
			return;
		memcpy(p, data, k);
		o->p += k;
		data += k;
		n -= k;
	}
}

static inline void mc_puts(struct mc_out *o, const char *text)
{
	mc_put(o, text, strlen(text));
}

/* A line with CR LF. */
static inline void mc_line(struct mc_out *o, const char *text)
{
	mc_puts(o, text);
	mc_put(o, "\r\n", 2);
}

/* Decimal digits of v at p; returns the end. At most 20 bytes. */
static inline char *mc_digits(char *p, uint64_t v)
{
	char t[20];
	int n = 0;

	do
		t[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = t[--n];
	return p;
}

static inline char *mc_copy(char *p, const void *data, size_t n)
{
	memcpy(p, data, n);
	return p + n;
}

void mc_printf(struct mc_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Output into memory that starts at `start` and grows up to `most` bytes. */
struct mc_outbuf {
	struct mc_out out;
	char *start;
	size_t most;
};
void mc_outbuf_init(struct mc_outbuf *b, size_t most);
void mc_outbuf_free(struct mc_outbuf *b);
static inline size_t mc_outbuf_len(const struct mc_outbuf *b)
{
	return b->start ? (size_t)(b->out.p - b->start) : 0;
}

#endif
