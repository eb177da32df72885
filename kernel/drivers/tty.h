/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Terminals: line discipline, termios and job control, shared by the console and pseudo-terminals.
 * The side that transports bytes supplies struct tty_driver and feeds input to tty_input().
 */
#pragma once

#include <asm/termbits.h>
#include <asm/termios.h>
#include "fs/poll.h"
#include "lib/iter.h"
#include "sched/sync.h"

#define TTY_BUFFER 4096

struct file;
struct tty;

struct tty_driver {
	/* Takes up to n processed bytes; how many it took. Must not sleep; t->lock may be held. */
	size_t (*output)(struct tty *t, const char *s, size_t n);
	/* Sleeps until output() has room again: 0, -EINTR, or -EIO when nobody reads any more. */
	int (*wait_room)(struct tty *t);
	bool (*has_room)(struct tty *t);
	/* Input was consumed. May be NULL. */
	void (*input_drained)(struct tty *t);
	/* A file of the terminal was opened, or its last reference went. May be NULL. */
	void (*opened)(struct tty *t);
	void (*closed)(struct tty *t);
};

struct tty {
	struct mutex lock; /* all below */
	const struct tty_driver *driver;
	void *private;
	struct termios termios;
	struct winsize size;
	/* Input ring; a set bit in `ends` marks a character that ends a line, `eof` one that only
	 * ends it. */
	char buffer[TTY_BUFFER];
	uint8_t marks[TTY_BUFFER];
	unsigned head, count, lines;
	unsigned column;
	bool stopped; /* ^S */
	bool literal; /* after VLNEXT */
	bool hung_up;
	bool claim_on_use; /* the console: nobody opens it for the first program */
	int session, foreground;
	struct waitq read_wait;
	struct poll_head head_poll;
	struct mutex write_lock; /* keeps the output of one write together */
};

void tty_init(struct tty *t, const struct tty_driver *driver, void *private);
/* Input from the line or the pty's master. Bytes taken: fewer if the buffer is full. Thread
 * context. */
size_t tty_input(struct tty *t, const char *s, size_t n);
/* The other side went away: readers see the end, writers -EIO, the session gets SIGHUP. */
void tty_hangup(struct tty *t);
/* The output side has room again, or input arrived. */
void tty_notify(struct tty *t, unsigned events);

/* What the file_ops of a terminal do; f is for its flags. */
long tty_read(struct tty *t, struct file *f, struct iter *to);
long tty_write(struct tty *t, struct file *f, struct iter *from);
unsigned tty_poll(struct tty *t);
long tty_ioctl(struct tty *t, struct file *f, unsigned cmd, unsigned long arg);
/* Sets the size; a change is told to the foreground by SIGWINCH. */
void tty_resize(struct tty *t, const struct winsize *size);
/* An open by a session leader without a terminal makes this one its own unless O_NOCTTY. */
void tty_opened(struct tty *t, struct file *f);
/* Makes f (just opened) a file of terminal t; driver->opened has been called for it. */
void tty_attach_file(struct tty *t, struct file *f);

/* The terminal of the current program's session (driver->opened called for it), or NULL. */
struct tty *tty_controlling(void);
/* Before a terminal's memory goes: no session has it any more. */
void tty_forget(struct tty *t);

/* Registers /dev/console, /dev/tty, /dev/tty0, /dev/ttyS0, /dev/hvc0 and takes the console's input.
 */
void console_tty_init(void);
/* The size of the host's terminal is known, or changed. Thread context. */
void console_tty_resize(uint16_t rows, uint16_t columns);
/* Registers /dev/ptmx and the devpts file system. */
void pty_init(void);
