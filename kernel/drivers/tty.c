/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line discipline (termios "N_TTY"): input editing, echo, signals from the keyboard, output
 * processing; and reading and writing a terminal.
 */
#include "drivers/tty.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include "drivers/tty_job.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "sys/syscall.h"

enum { MARK_END = 1, MARK_EOF = 2 };

#define DISABLED_CHAR 0 /* _POSIX_VDISABLE */

void tty_init(struct tty *t, const struct tty_driver *driver, void *private)
{
	memset(t, 0, sizeof *t);
	t->driver = driver;
	t->private = private;
	t->termios = (struct termios){
	    .c_iflag = ICRNL | IXON,
	    .c_oflag = OPOST | ONLCR,
	    .c_cflag = B38400 | CS8 | CREAD | HUPCL,
	    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	    .c_cc = {[VINTR] = 3,
		[VQUIT] = 28,
		[VERASE] = 127,
		[VKILL] = 21,
		[VEOF] = 4,
		[VMIN] = 1,
		[VSTART] = 17,
		[VSTOP] = 19,
		[VSUSP] = 26,
		[VREPRINT] = 18,
		[VDISCARD] = 15,
		[VWERASE] = 23,
		[VLNEXT] = 22},
	};
	waitq_init(&t->read_wait);
	poll_head_init(&t->head_poll);
}

void tty_notify(struct tty *t, unsigned events)
{
	poll_notify(&t->head_poll, events);
}

/* Output processing of one character into out[8]; its length. */
static size_t process_output(struct tty *t, char c, char *out)
{
	unsigned o = t->termios.c_oflag;
	if (!(o & OPOST)) {
		out[0] = c;
		return 1;
	}
	size_t n = 0;
	switch (c) {
	case '\n':
		if (o & ONLCR) {
			out[n++] = '\r';
			t->column = 0;
		} else if (o & ONLRET) {
			t->column = 0;
		}
		break;
	case '\r':
		if (o & ONOCR && !t->column)
			return 0;
		if (o & OCRNL)
			c = '\n';
		t->column = 0;
		break;
	case '\t': {
		unsigned spaces = 8 - (t->column & 7);
		t->column += spaces;
		if ((o & TABDLY) == XTABS) {
			memset(out, ' ', spaces);
			return spaces;
		}
		break;
	}
	case '\b':
		t->column -= t->column > 0;
		break;
	default:
		if (o & OLCUC && c >= 'a' && c <= 'z')
			c -= 32;
		/* Continuation bytes of UTF-8 take no column. */
		if ((uint8_t)c >= 32 && (c & 0xc0) != 0x80)
			t->column++;
	}
	out[n++] = c;
	return n;
}

static void echo_raw(struct tty *t, char c)
{
	char out[8];
	size_t n = process_output(t, c, out);
	t->driver->output(t, out, n);
}

static void echo(struct tty *t, char c)
{
	if (!(t->termios.c_lflag & ECHO) && !(c == '\n' && t->termios.c_lflag & ECHONL))
		return;
	if (t->termios.c_lflag & ECHOCTL && ((uint8_t)c < 32 || c == 127) && c != '\n' &&
	    c != '\t') {
		echo_raw(t, '^');
		echo_raw(t, c == 127 ? '?' : c + 64);
	} else {
		echo_raw(t, c);
	}
}

static bool is_cc(const struct tty *t, int which, char c)
{
	return t->termios.c_cc[which] != DISABLED_CHAR && t->termios.c_cc[which] == (cc_t)c;
}

static char at(const struct tty *t, unsigned i)
{
	return t->buffer[(t->head + i) % TTY_BUFFER];
}

static bool append(struct tty *t, char c, uint8_t mark)
{
	/* One place is kept for the end of the line. */
	if (t->count >= TTY_BUFFER - (mark ? 0 : 1))
		return false;
	unsigned i = (t->head + t->count++) % TTY_BUFFER;
	t->buffer[i] = c;
	t->marks[i] = mark;
	t->lines += mark != 0;
	return true;
}

/* Length of the line being edited. */
static unsigned open_line(const struct tty *t)
{
	unsigned n = 0;
	while (n < t->count && !t->marks[(t->head + t->count - 1 - n) % TTY_BUFFER])
		n++;
	return n;
}

static void erase_one(struct tty *t)
{
	char c = at(t, t->count - 1);
	/* All bytes of a UTF-8 character go together. */
	while ((c & 0xc0) == 0x80 && t->termios.c_iflag & IUTF8 && open_line(t) > 1) {
		t->count--;
		c = at(t, t->count - 1);
	}
	t->count--;
	if ((t->termios.c_lflag & (ECHO | ECHOE)) != (ECHO | ECHOE))
		return;
	int width = ((uint8_t)c < 32 || c == 127) && t->termios.c_lflag & ECHOCTL ? 2 : 1;
	while (width--) {
		echo_raw(t, '\b');
		echo_raw(t, ' ');
		echo_raw(t, '\b');
	}
}

static void erase_line(struct tty *t)
{
	bool visible = t->termios.c_lflag & ECHOKE;
	while (open_line(t)) {
		if (visible)
			erase_one(t);
		else
			t->count--;
	}
	if (!visible && t->termios.c_lflag & ECHOK) {
		echo(t, t->termios.c_cc[VKILL]);
		echo_raw(t, '\n');
	}
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (uint8_t)c >= 128;
}

static void erase_word(struct tty *t)
{
	while (open_line(t) && !is_word(at(t, t->count - 1)))
		erase_one(t);
	while (open_line(t) && is_word(at(t, t->count - 1)))
		erase_one(t);
}

static void discard_input(struct tty *t)
{
	t->count = t->lines = 0;
	t->literal = false;
}

/* Keyboard signals; true if c was one. The signal is sent with the lock dropped. */
static bool input_signal(struct tty *t, char c)
{
	if (!(t->termios.c_lflag & ISIG))
		return false;
	int sig = is_cc(t, VINTR, c)   ? SIGINT
		  : is_cc(t, VQUIT, c) ? SIGQUIT
		  : is_cc(t, VSUSP, c) ? SIGTSTP
				       : 0;
	if (!sig)
		return false;
	if (!(t->termios.c_lflag & NOFLSH))
		discard_input(t);
	echo(t, c);
	int group = t->foreground;
	mutex_unlock(&t->lock);
	tty_signal_foreground(group, sig);
	mutex_lock(&t->lock);
	return true;
}

/* Characters that edit the line; true if c was one. */
static bool input_edit(struct tty *t, char c)
{
	bool ext = t->termios.c_lflag & IEXTEN;
	if (is_cc(t, VERASE, c)) {
		if (open_line(t))
			erase_one(t);
	} else if (is_cc(t, VKILL, c)) {
		erase_line(t);
	} else if (ext && is_cc(t, VWERASE, c)) {
		erase_word(t);
	} else if (ext && is_cc(t, VREPRINT, c)) {
		unsigned n = open_line(t);
		echo_raw(t, '\n');
		for (unsigned i = t->count - n; i < t->count; i++)
			echo(t, at(t, i));
	} else if (is_cc(t, VEOF, c)) {
		append(t, c, MARK_END | MARK_EOF);
	} else {
		return false;
	}
	return true;
}

static void input_char(struct tty *t, char c)
{
	unsigned i = t->termios.c_iflag;
	if (t->literal) {
		t->literal = false;
		if (append(t, c, 0))
			echo(t, c);
		return;
	}
	if (i & ISTRIP)
		c &= 0x7f;
	if (i & IXON) {
		if (is_cc(t, VSTOP, c) || is_cc(t, VSTART, c)) {
			t->stopped = is_cc(t, VSTOP, c);
			waitq_wake_all(&t->read_wait);
			return;
		}
		if (i & IXANY)
			t->stopped = false;
	}
	if (input_signal(t, c))
		return;
	if (c == '\r') {
		if (i & IGNCR)
			return;
		c = i & ICRNL ? '\n' : c;
	} else if (c == '\n' && i & INLCR) {
		c = '\r';
	}
	if (t->termios.c_lflag & ICANON) {
		if (t->termios.c_lflag & IEXTEN && is_cc(t, VLNEXT, c)) {
			t->literal = true;
			return;
		}
		if (input_edit(t, c))
			return;
		bool end = c == '\n' || is_cc(t, VEOL, c) || is_cc(t, VEOL2, c);
		if (append(t, c, end ? MARK_END : 0))
			echo(t, c);
		else
			echo_raw(t, '\a');
		return;
	}
	append(t, c, 0);
	echo(t, c);
}

static bool readable(const struct tty *t)
{
	if (t->termios.c_lflag & ICANON)
		return t->lines || t->hung_up;
	return t->count || t->hung_up;
}

size_t tty_input(struct tty *t, const char *s, size_t n)
{
	size_t i = 0;
	mutex_lock(&t->lock);
	for (; i < n; i++) {
		/* Raw input waits for room; an overlong line loses its excess (with a bell)
		 * instead. */
		if (!(t->termios.c_lflag & ICANON) && t->count >= TTY_BUFFER - 1)
			break;
		if (t->lines && t->count >= TTY_BUFFER - 1)
			break;
		input_char(t, s[i]);
	}
	bool ready = readable(t);
	if (ready)
		waitq_wake_all(&t->read_wait);
	mutex_unlock(&t->lock);
	if (ready)
		tty_notify(t, EPOLLIN | EPOLLRDNORM);
	return i;
}

void tty_hangup(struct tty *t)
{
	mutex_lock(&t->lock);
	t->hung_up = true;
	int group = t->foreground, session = t->session;
	waitq_wake_all(&t->read_wait);
	mutex_unlock(&t->lock);
	if (session) {
		tty_signal_foreground(group, SIGHUP);
		tty_signal_foreground(group, SIGCONT);
	}
	tty_notify(t, EPOLLHUP | EPOLLIN | EPOLLOUT | EPOLLERR);
}

/* Takes a line, or its beginning; the mark of an EOF character is consumed without a byte. */
static long take_line(struct tty *t, struct iter *to)
{
	long done = 0;
	while (t->count && to->count) {
		uint8_t mark = t->marks[t->head];
		char c = t->buffer[t->head];
		if (!(mark & MARK_EOF) && iter_to(to, &c, 1) != 1)
			return done ? done : -EFAULT;
		t->head = (t->head + 1) % TTY_BUFFER;
		t->count--;
		done += !(mark & MARK_EOF);
		if (mark) {
			t->lines--;
			return done;
		}
	}
	/* The buffer of the reader ended just before an EOF character: it belongs to this read. */
	if (done && t->count && t->marks[t->head] & MARK_EOF) {
		t->head = (t->head + 1) % TTY_BUFFER;
		t->count--;
		t->lines--;
	}
	return done;
}

static long take_raw(struct tty *t, struct iter *to)
{
	long done = 0;
	while (t->count && to->count) {
		size_t n = MIN((size_t)MIN(t->count, TTY_BUFFER - t->head), to->count);
		size_t moved = iter_to(to, t->buffer + t->head, n);
		for (size_t i = 0; i < moved; i++)
			t->lines -= t->marks[t->head + i] != 0;
		t->head = (t->head + moved) % TTY_BUFFER;
		t->count -= moved;
		done += moved;
		if (moved < n)
			return done ? done : -EFAULT;
	}
	return done;
}

static int wait_input(struct tty *t, struct file *f, int64_t deadline)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	int err = waitq_wait(&t->read_wait, &t->lock, deadline, WAIT_INTERRUPTIBLE);
	return err == -EINTR ? -ERESTARTSYS : err;
}

static long read_line(struct tty *t, struct file *f, struct iter *to)
{
	while (!t->lines) {
		if (t->hung_up)
			return 0;
		int err = wait_input(t, f, NO_DEADLINE);
		if (err)
			return err;
		if (!(t->termios.c_lflag & ICANON))
			return -ERESTARTNOINTR;
	}
	return take_line(t, to);
}

static long read_raw(struct tty *t, struct file *f, struct iter *to)
{
	size_t min = t->termios.c_cc[VMIN];
	int64_t tenths = t->termios.c_cc[VTIME] * (NSEC_PER_SEC / 10);
	int64_t deadline = NO_DEADLINE;
	long done = 0;
	if (!min)
		deadline = time_now() + tenths;
	for (;;) {
		long n = take_raw(t, to);
		if (n < 0)
			return done ? done : n;
		done += n;
		if (!to->count || (size_t)done >= MAX(min, (size_t)1) || t->hung_up)
			return done;
		/* With VMIN the clock starts, and starts again, with each byte. */
		if (min && n && tenths)
			deadline = time_now() + tenths;
		if (!min && time_now() >= deadline)
			return done;
		int err = wait_input(t, f, deadline);
		if (err == -ETIMEDOUT)
			return done + MAX(take_raw(t, to), 0l);
		if (err)
			return done ? done : err;
	}
}

long tty_read(struct tty *t, struct file *f, struct iter *to)
{
	if (!to->count)
		return 0;
	long r;
	do {
		r = tty_check_background(t, SIGTTIN);
		if (r)
			return r;
		mutex_lock(&t->lock);
		r = t->termios.c_lflag & ICANON ? read_line(t, f, to) : read_raw(t, f, to);
		mutex_unlock(&t->lock);
	} while (r == -ERESTARTNOINTR);
	if (r > 0 && t->driver->input_drained)
		t->driver->input_drained(t);
	return r;
}

/* Sends processed bytes, waiting for room. Bytes of s sent, or -errno if none. */
static long send(struct tty *t, struct file *f, const char *s, size_t n)
{
	size_t done = 0;
	while (done < n) {
		if (t->hung_up)
			return -EIO;
		done += t->stopped ? 0 : t->driver->output(t, s + done, n - done);
		if (done == n)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		int err = 0;
		if (t->stopped) {
			mutex_lock(&t->lock);
			if (t->stopped)
				err = waitq_wait(
				    &t->read_wait, &t->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
			mutex_unlock(&t->lock);
		} else {
			err = t->driver->wait_room(t);
		}
		if (err)
			return err == -EINTR ? -ERESTARTSYS : err;
	}
	return done;
}

long tty_write(struct tty *t, struct file *f, struct iter *from)
{
	char in[128], out[ARRAY_SIZE(in) * 8];
	long done = 0, r = 0;
	if (t->termios.c_lflag & TOSTOP && (r = tty_check_background(t, SIGTTOU)))
		return r;
	mutex_lock(&t->write_lock);
	while (from->count) {
		/* Without waiting, only as much as surely finds room is taken. */
		if (f->flags & O_NONBLOCK && !t->driver->has_room(t)) {
			r = -EAGAIN;
			break;
		}
		size_t n = MIN(from->count, sizeof in), len = 0;
		size_t got = iter_from(from, in, n);
		for (size_t i = 0; i < got; i++)
			len += process_output(t, in[i], out + len);
		r = got ? send(t, f, out, len) : -EFAULT;
		if (r < 0)
			break;
		done += got;
	}
	mutex_unlock(&t->write_lock);
	return done ? done : r;
}

unsigned tty_poll(struct tty *t)
{
	mutex_lock(&t->lock);
	unsigned r = readable(t) ? EPOLLIN | EPOLLRDNORM : 0;
	if (t->hung_up)
		r |= EPOLLHUP | EPOLLOUT | EPOLLWRNORM;
	bool stopped = t->stopped;
	mutex_unlock(&t->lock);
	if (!stopped && t->driver->has_room(t))
		r |= EPOLLOUT | EPOLLWRNORM;
	return r;
}
