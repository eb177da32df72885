/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies gathered in memory. */
#include "out.h"

#include <seastar/mem.h>

#include <stdarg.h>
#include <stdio.h>

static bool buf_more(struct mc_out *o, size_t n)
{
	struct mc_outbuf *b = (struct mc_outbuf *)o;
	size_t len = mc_outbuf_len(b), cap = b->start ? (size_t)(o->end - b->start) : 512;
	char *p;

	while (cap < len + n)
		cap *= 2;
	if (cap > b->most)
		return false;
	p = ss_realloc(b->start, cap);
	if (!p)
		return false;
	b->start = p;
	o->p = p + len;
	o->end = p + cap;
	return true;
}

void mc_outbuf_init(struct mc_outbuf *b, size_t most)
{
	*b = (struct mc_outbuf){.out = {.more = buf_more}, .most = most};
}

void mc_outbuf_free(struct mc_outbuf *b)
{
	ss_free(b->start);
	b->start = b->out.p = b->out.end = NULL;
}

void mc_printf(struct mc_out *o, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		mc_put(o, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
