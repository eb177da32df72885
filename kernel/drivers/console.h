/* SPDX-License-Identifier: BSD-3-Clause */
/* The console: where klog() and /dev/console go. Drivers register output; input is pushed to the
 * tty. */
#pragma once

#include "lib/list.h"

struct file;

struct console {
	const char *name;
	/* Writes bytes; any context, also after a panic. */
	void (*write)(struct console *c, const char *s, size_t n);
	struct list link;
};
void console_register(struct console *c);
void console_write(const char *s, size_t n);
/* Copies what was written from position *pos on (0: the oldest byte kept) and moves *pos behind it;
 * returns the bytes, 0 at the end. */
size_t console_history(uint64_t *pos, char *buf, size_t n);
/* Input bytes from a driver: interrupt context allowed (buffered, the line discipline runs in a
 * thread). */
void console_input(const char *s, size_t n);
/* Who gets the input: fn runs in a kernel thread (never two at once). Bytes that came before are
 * kept (up to 4 KiB). */
void console_set_input(void (*fn)(const char *s, size_t n));
/* A file that writes whole lines to an open console (which it references), each behind "NAME: ", and
 * has nothing to read. err_ptr(-ENOMEM). */
struct file *console_marked(struct file *console, const char *name);
/* Waits until everything written is out, before power-off. Any context. */
void console_flush(void);
/* After a panic: output goes straight to the devices from now on, whatever other CPUs hold. */
void console_panic(void);
/* The host's report channel (debug port 0xe9): one line such as "exit 3". Any context. */
void host_report(const char *fmt, ...) PRINTF_LIKE(1, 2);
