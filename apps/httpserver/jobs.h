/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs started through the interface. What a program writes is kept, the newest 256 KiB of it;
 * one thread collects the output and the ends of all of them.
 */
#ifndef HTTPSERVER_JOBS_H
#define HTTPSERVER_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define JOBS_MAX 64 /* running or ended; the oldest ended one makes room */

struct job_status {
	int pid;
	const char *command; /* valid until the next jobs_start() */
	bool finished;
	int exit_code, signal; /* of a finished one: one of them, the other is -1 and 0 */
	uint64_t output;       /* bytes written so far */
	int64_t start_ms, end_ms;
};

/* Starts a program; argv is copied. With `input` its standard input is job_input()'s, else it is
 * empty. Returns its pid or a negative errno. */
int jobs_start(char *const argv[], const char *cwd, bool input);
bool jobs_status(int pid, struct job_status *out);
/* Calls fn for each, oldest first. */
void jobs_walk(void (*fn)(void *arg, const struct job_status *s), void *arg);
/* Adds output from position *from on to t, at most `most` bytes; *from becomes the position of the
 * first byte added (later than asked where the output was dropped). */
bool jobs_output(int pid, uint64_t *from, size_t most, struct text *t);
/* Writes to the program's input; end: and closes it. Bytes taken (0: not now) or a negative errno.
 */
long jobs_input(int pid, const void *p, size_t n, bool end);

#endif
