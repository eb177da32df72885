/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of /proc and /sys that everything here is taken from. */
#ifndef HTTPSERVER_SOURCE_H
#define HTTPSERVER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands before every path; "" except in tests. */
extern const char *source_root;

/* The whole file, terminated, to be freed; NULL with errno set. *n may be NULL. At most 16 MiB. */
char *source_read(const char *path, size_t *n);
/* Writes text in one piece. 0 or a negative errno. */
int source_write(const char *path, const char *text);
bool source_exists(const char *path);
/* The number behind "KEY:" or "KEY " at the beginning of a line of text; false without it. */
bool source_number(const char *text, const char *key, uint64_t *out);
/* Cuts the next line off *text (changed); NULL at the end. */
char *source_line(char **text);
/* Cuts the next word off *text; NULL at the end. */
char *source_word(char **text);

#endif
