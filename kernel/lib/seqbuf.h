/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing text buffer: what the files of /proc and /sys are written into. */
#pragma once

#include <stdarg.h>
#include "lib/util.h"

#define SEQBUF_MAX (16u << 20)

struct seqbuf {
	char *data; /* not terminated; NULL while empty */
	size_t len, size;
	bool failed; /* out of memory or beyond SEQBUF_MAX: later output is dropped */
};

void seqbuf_init(struct seqbuf *s);
void seqbuf_free(struct seqbuf *s);
void seq_write(struct seqbuf *s, const void *p, size_t n);
void seq_puts(struct seqbuf *s, const char *text);
void seq_putc(struct seqbuf *s, char c);
void seq_printf(struct seqbuf *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A path with blanks, tabs, newlines and backslashes as \ooo, the way /proc/mounts and maps write
 * it. */
void seq_path(struct seqbuf *s, const char *path);
/* "0-3,5": the set bits of mask. */
void seq_cpulist(struct seqbuf *s, uint64_t mask);
/* Hexadecimal mask in groups of 32 bits, as cpumap files have it, for ncpus bits. */
void seq_cpumask(struct seqbuf *s, uint64_t mask, unsigned bits);
