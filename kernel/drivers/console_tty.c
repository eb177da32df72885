/* SPDX-License-Identifier: BSD-3-Clause */
/* The console as a terminal: /dev/console and its other names, and /dev/tty, the controlling
 * terminal. */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include "drivers/console.h"
#include "drivers/tty.h"
#include "drivers/tty_job.h"
#include "fs/special.h"

static struct tty console_tty;

static size_t console_output(struct tty *t, const char *s, size_t n)
{
	(void)t;
	console_write(s, n);
	return n;
}

static bool always_room(struct tty *t)
{
	(void)t;
	return true;
}

static int no_wait(struct tty *t)
{
	(void)t;
	return 0;
}

static const struct tty_driver console_driver = {
    .output = console_output, .has_room = always_room, .wait_room = no_wait};

static long file_tty_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	return tty_read(f->private, f, to);
}

static long file_tty_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)pos;
	return tty_write(f->private, f, from);
}

static unsigned file_tty_poll(struct file *f)
{
	return tty_poll(f->private);
}

static struct poll_head *file_tty_poll_head(struct file *f)
{
	return &((struct tty *)f->private)->head_poll;
}

static long file_tty_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	return tty_ioctl(f->private, f, cmd, arg);
}

static void file_tty_release(struct file *f)
{
	struct tty *t = f->private;
	if (t->driver->closed)
		t->driver->closed(t);
}

static const struct file_ops tty_file_ops = {
    .read = file_tty_read,
    .write = file_tty_write,
    .poll = file_tty_poll,
    .poll_head = file_tty_poll_head,
    .ioctl = file_tty_ioctl,
    .release = file_tty_release,
};

void tty_attach_file(struct tty *t, struct file *f)
{
	f->ops = &tty_file_ops;
	f->private = t;
	f->mode |= FMODE_STREAM;
	tty_opened(t, f);
}

static int open_console(struct inode *i, struct file *f)
{
	(void)i;
	tty_attach_file(&console_tty, f);
	return 0;
}

static int open_current(struct inode *i, struct file *f)
{
	(void)i;
	struct tty *t = tty_controlling();
	if (!t)
		return -ENXIO;
	tty_attach_file(t, f);
	return 0;
}

static struct char_device devices[] = {
    {.name = "console",
	.rdev = DEVICE(5, 1),
	.mode = 0600,
	.ops = &tty_file_ops,
	.open = open_console},
    {.name = "tty", .rdev = DEVICE(5, 0), .mode = 0666, .ops = &tty_file_ops, .open = open_current},
    {.name = "tty0",
	.rdev = DEVICE(4, 0),
	.mode = 0620,
	.ops = &tty_file_ops,
	.open = open_console},
    {.name = "ttyS0",
	.rdev = DEVICE(4, 64),
	.mode = 0660,
	.ops = &tty_file_ops,
	.open = open_console},
    {.name = "hvc0",
	.rdev = DEVICE(229, 0),
	.mode = 0660,
	.ops = &tty_file_ops,
	.open = open_console},
};

static void input(const char *s, size_t n)
{
	tty_input(&console_tty, s, n);
}

void console_tty_resize(uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};
	tty_resize(&console_tty, &size);
}

void console_tty_init(void)
{
	tty_init(&console_tty, &console_driver, NULL);
	console_tty.claim_on_use = true;
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		char_device_register(&devices[i]);
	console_set_input(input);
}
