/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console for programs in the background: what they write appears in whole lines, each with the
 * name of the program in front, so that it can be told from the output of the program that the
 * machine runs for. To a program it looks like the terminal, so that it does not keep its lines in
 * a buffer; there is nothing to read.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include "drivers/console.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/sync.h"

#define LINE_MAX 512 /* a longer line is cut in two */
#define NAME_MAX_SHOWN 32

struct marked {
	struct file *console;
	struct mutex lock;
	size_t mark, len; /* bytes of the name in front; of the line so far with it */
	char line[NAME_MAX_SHOWN + LINE_MAX + 4];
};

static void show_line(struct marked *m)
{
	int64_t pos = 0;

	m->line[m->len++] = '\n';
	file_write(m->console, m->line, m->len, &pos);
	m->len = m->mark;
}

static void add(struct marked *m, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n') {
			show_line(m);
			continue;
		}
		if (s[i] == '\r')
			continue;
		if (m->len == m->mark + LINE_MAX)
			show_line(m);
		m->line[m->len++] = s[i];
	}
}

static long marked_write(struct file *f, struct iter *from, int64_t *pos)
{
	struct marked *m = f->private;
	long done = 0;
	char part[256];

	(void)pos;
	mutex_lock(&m->lock);
	while (from->count) {
		size_t want = MIN(from->count, sizeof part), n = iter_from(from, part, want);
		add(m, part, n);
		done += (long)n;
		if (n < want)
			break;
	}
	mutex_unlock(&m->lock);
	return done || !from->count ? done : -EFAULT;
}

static long marked_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)f;
	(void)to;
	(void)pos;
	return 0;
}

/* Questions are answered by the console; it is not to be changed from here. */
static long marked_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct marked *m = f->private;

	if (cmd == TCGETS || cmd == TIOCGWINSZ)
		return m->console->ops->ioctl(m->console, cmd, arg);
	return cmd == TCSETS || cmd == TCSETSW || cmd == TCSETSF ? 0 : -ENOTTY;
}

static unsigned marked_poll(struct file *f)
{
	(void)f;
	return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
}

static void marked_release(struct file *f)
{
	struct marked *m = f->private;

	if (m->len > m->mark)
		show_line(m);
	file_put(m->console);
	kfree(m);
}

static const struct file_ops marked_ops = {
    .read = marked_read,
    .write = marked_write,
    .ioctl = marked_ioctl,
    .poll = marked_poll,
    .release = marked_release,
};

struct file *console_marked(struct file *console, const char *name)
{
	struct marked *m = kzalloc(sizeof *m);

	if (!m)
		return err_ptr(-ENOMEM);
	int n = snprintf(m->line, NAME_MAX_SHOWN + 3, "%.*s: ", NAME_MAX_SHOWN, name);
	m->mark = m->len = (size_t)n;
	m->console = console;
	struct file *f = file_anonymous("[console]", &marked_ops, m, O_RDWR, S_IFCHR | 0600);
	if (!f) {
		kfree(m);
		return err_ptr(-ENOMEM);
	}
	f->mode |= FMODE_STREAM;
	file_get(console);
	return f;
}
