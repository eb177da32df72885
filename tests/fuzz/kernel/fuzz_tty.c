/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the line discipline. Any input, settings, reads and writes in any order keep its
 * ring's counts consistent, and every read ends. */
#include <asm/fcntl.h>
#include <errno.h>
#include <stdlib.h>
#include "drivers/tty.h"
#include "drivers/tty_job.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "sched/timer.h"

static size_t room;

static size_t take_output(struct tty *t, const char *s, size_t n)
{
	(void)t;
	volatile char seen = 0;
	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++)
		seen ^= s[i];
	room -= n;
	return n;
}

static int wait_room(struct tty *t)
{
	(void)t;
	return -EINTR;
}

static bool has_room(struct tty *t)
{
	(void)t;
	return room > 0;
}

static const struct tty_driver driver = {take_output, wait_room, has_room, NULL, NULL, NULL};

int waitq_wait(struct waitq *w, struct mutex *m, int64_t deadline, unsigned flags)
{
	(void)w, (void)m, (void)deadline, (void)flags;
	return -EINTR;
}

unsigned waitq_wake(struct waitq *w, unsigned n)
{
	(void)w, (void)n;
	return 0;
}

void poll_head_init(struct poll_head *h)
{
	(void)h;
}

void poll_notify(struct poll_head *h, unsigned events)
{
	(void)h, (void)events;
}

void tty_signal_foreground(int group, int sig)
{
	(void)group, (void)sig;
}

int tty_check_background(struct tty *t, int sig)
{
	(void)t, (void)sig;
	return 0;
}

int64_t time_now(void)
{
	return 0;
}

static void check(const struct tty *t)
{
	unsigned ends = 0;
	if (t->count > TTY_BUFFER || t->head >= TTY_BUFFER)
		abort();
	for (unsigned i = 0; i < t->count; i++)
		ends += t->marks[(t->head + i) % TTY_BUFFER] != 0;
	if (ends != t->lines)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tty t;
	struct file f = {.flags = O_NONBLOCK};
	char buf[300];
	tty_init(&t, &driver, NULL);
	for (size_t at = 0; at + 2 < n;) {
		unsigned op = data[at], size = data[at + 1];
		size_t left = n - at - 2;
		const char *bytes = (const char *)data + at + 2;
		struct iter it;
		room = op & 0x80 ? size : 4096;
		size = size < left ? size : (unsigned)left;
		switch (op % 8) {
		case 0:
		case 1:
		case 2:
			if (tty_input(&t, bytes, size) > size)
				abort();
			at += size;
			break;
		case 3:
		case 4:
			iter_kernel(&it, buf, size);
			if (tty_read(&t, &f, &it) > (long)size)
				abort();
			break;
		case 5:
			memcpy(buf, bytes, size);
			iter_kernel(&it, buf, size);
			if (tty_write(&t, &f, &it) > (long)size)
				abort();
			at += size;
			break;
		case 6:
			/* Any settings: termios is the application's. */
			memcpy(&t.termios, bytes, MIN(size, sizeof t.termios));
			at += size;
			break;
		case 7:
			if (size == 77)
				tty_hangup(&t);
			tty_poll(&t);
			break;
		}
		at += 2;
		check(&t);
	}
	return 0;
}
