/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing text buffer. */
#include "lib/seqbuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define FIRST_SIZE 512

void seqbuf_init(struct seqbuf *s)
{
	*s = (struct seqbuf){0};
}

void seqbuf_free(struct seqbuf *s)
{
	kfree(s->data);
	seqbuf_init(s);
}

/* Makes room for n more bytes and one after them. */
static bool reserve(struct seqbuf *s, size_t n)
{
	if (s->failed)
		return false;
	if (s->size - s->len > n)
		return true;
	size_t size = s->size ? s->size : FIRST_SIZE;
	while (size - s->len <= n && size <= SEQBUF_MAX)
		size *= 2;
	char *p = size <= SEQBUF_MAX ? krealloc(s->data, size) : NULL;
	if (!p) {
		s->failed = true;
		return false;
	}
	s->data = p;
	s->size = size;
	return true;
}

void seq_write(struct seqbuf *s, const void *p, size_t n)
{
	if (!reserve(s, n))
		return;
	memcpy(s->data + s->len, p, n);
	s->len += n;
}

void seq_puts(struct seqbuf *s, const char *text)
{
	seq_write(s, text, strlen(text));
}

void seq_putc(struct seqbuf *s, char c)
{
	seq_write(s, &c, 1);
}

void seq_printf(struct seqbuf *s, const char *fmt, ...)
{
	va_list ap;
	if (!reserve(s, 80))
		return;
	va_start(ap, fmt);
	int n = vsnprintf(s->data + s->len, s->size - s->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= s->size - s->len) {
		if (!reserve(s, n))
			return;
		va_start(ap, fmt);
		vsnprintf(s->data + s->len, s->size - s->len, fmt, ap);
		va_end(ap);
	}
	s->len += n;
}

void seq_path(struct seqbuf *s, const char *path)
{
	for (; *path; path++) {
		if (*path == ' ' || *path == '\t' || *path == '\n' || *path == '\\')
			seq_printf(s, "\\%03o", *path);
		else
			seq_putc(s, *path);
	}
}

void seq_cpulist(struct seqbuf *s, uint64_t mask)
{
	bool first = true;
	for (unsigned i = 0; i < 64; i++) {
		if (!(mask >> i & 1))
			continue;
		unsigned end = i;
		while (end < 63 && mask >> (end + 1) & 1)
			end++;
		seq_printf(s, "%s%u", first ? "" : ",", i);
		if (end > i)
			seq_printf(s, "-%u", end);
		first = false;
		i = end;
	}
}

void seq_cpumask(struct seqbuf *s, uint64_t mask, unsigned bits)
{
	if (bits > 32)
		seq_printf(s, "%0*x,", (int)(bits - 32 + 3) / 4, (unsigned)(mask >> 32));
	seq_printf(s, "%0*x", (int)(MIN(bits, 32u) + 3) / 4, (unsigned)mask);
}
