/* SPDX-License-Identifier: BSD-3-Clause */
/* The C library's string functions that kernel code uses, and bounded formatting. */
#pragma once

#include <stdarg.h>
#include "lib/util.h"

void *memcpy(void *restrict d, const void *restrict s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);

/* Copies at most size-1 bytes and terminates; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);

/* printf to a bounded buffer: %d %i %u %x %X %o %p %s %c %% with l, ll, z, h, hh, width, precision,
 * - 0 + space #. Always terminates (size > 0); returns the length the whole text would have had. */
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

/* Parses an unsigned number (base 0: 0x… hexadecimal, 0… octal). Returns the first character not
 * used. */
const char *parse_u64(const char *s, unsigned base, uint64_t *out);
