/* SPDX-License-Identifier: BSD-3-Clause */
/* Job control of terminals and the terminal ioctls. */
#include "drivers/tty_job.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "sys/syscall.h"

/* Terminals that have become somebody's; protected by tty_list_lock. */
static struct mutex tty_list_lock = MUTEX_INIT;
static struct tty *controlling[64];

#define MAX_GROUP 64

void tty_signal_foreground(int group, int sig)
{
	/* Collected first: sending takes locks that must not nest inside programs_lock. */
	struct program *targets[MAX_GROUP], *p;
	unsigned n = 0;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		if (n < MAX_GROUP && !p->dead && (group ? p->pgid == group : n == 0)) {
			atomic_fetch_add(&p->refs, 1);
			targets[n++] = p;
		}
	}
	mutex_unlock(&programs_lock);
	for (unsigned i = 0; i < n; i++) {
		signal_send_program(targets[i], sig, NULL);
		program_put(targets[i]);
	}
}

/* tty_list_lock held. */
static struct tty *find_session(int sid)
{
	for (size_t i = 0; i < ARRAY_SIZE(controlling); i++)
		if (controlling[i] && controlling[i]->session == sid)
			return controlling[i];
	return NULL;
}

static bool session_has_tty(int sid)
{
	mutex_lock(&tty_list_lock);
	bool found = find_session(sid);
	mutex_unlock(&tty_list_lock);
	return found;
}

struct tty *tty_controlling(void)
{
	mutex_lock(&tty_list_lock);
	struct tty *t = find_session(current_program()->sid);
	if (t && t->driver->opened)
		t->driver->opened(t);
	mutex_unlock(&tty_list_lock);
	return t;
}

static void set_session(struct tty *t, int session, int group)
{
	mutex_lock(&tty_list_lock);
	size_t slot = ARRAY_SIZE(controlling);
	for (size_t i = 0; i < ARRAY_SIZE(controlling); i++) {
		if (controlling[i] == t)
			controlling[i] = NULL;
		if (!controlling[i] && slot == ARRAY_SIZE(controlling))
			slot = i;
	}
	t->session = session;
	t->foreground = group;
	if (session && slot < ARRAY_SIZE(controlling))
		controlling[slot] = t;
	mutex_unlock(&tty_list_lock);
}

void tty_acquire(struct tty *t)
{
	struct program *p = current_program();
	if (p && p->pid == p->sid && !t->session && !session_has_tty(p->sid))
		set_session(t, p->sid, p->pgid);
}

void tty_opened(struct tty *t, struct file *f)
{
	if (!(f->flags & O_NOCTTY) && current_program())
		tty_acquire(t);
}

void tty_forget(struct tty *t)
{
	set_session(t, 0, 0);
}

int tty_check_background(struct tty *t, int sig)
{
	struct program *p = current_program();
	if (!t->session && t->claim_on_use)
		tty_acquire(t);
	if (!p || p->sid != t->session || !t->foreground || p->pgid == t->foreground)
		return 0;
	struct thread_signals *ts = current_thread()->signals;
	bool ignored =
	    p->signals.action[sig].handler == (void *)SIG_IGN || (ts && ts->blocked & SIGBIT(sig));
	if (ignored)
		return sig == SIGTTIN ? -EIO : 0;
	tty_signal_foreground(p->pgid, sig);
	return -ERESTARTSYS;
}

static bool group_in_session(int group, int sid)
{
	bool found = false;
	struct program *p;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link)
		found |= p->pgid == group && p->sid == sid;
	mutex_unlock(&programs_lock);
	return found;
}

static long set_foreground(struct tty *t, int __user *arg)
{
	int group;
	if (get_user(group, arg))
		return -EFAULT;
	struct program *p = current_program();
	if (group < 0)
		return -EINVAL;
	if (p->sid != t->session)
		return -ENOTTY;
	if (!group_in_session(group, t->session))
		return -EPERM;
	long r = tty_check_background(t, SIGTTOU);
	if (!r)
		t->foreground = group;
	return r;
}

long tty_job_ioctl(struct tty *t, unsigned cmd, unsigned long arg)
{
	struct program *p = current_program();
	if (t->claim_on_use && (cmd == TIOCGPGRP || cmd == TIOCSPGRP || cmd == TIOCGSID))
		tty_acquire(t);
	switch (cmd) {
	case TIOCGPGRP:
		return p->sid != t->session ? -ENOTTY : put_user(t->foreground, (int __user *)arg);
	case TIOCSPGRP:
		return set_foreground(t, (int __user *)arg);
	case TIOCGSID:
		return p->sid != t->session ? -ENOTTY : put_user(t->session, (int __user *)arg);
	case TIOCSCTTY:
		if (t->session == p->sid)
			return 0;
		if (p->pid != p->sid || session_has_tty(p->sid) || (t->session && arg != 1))
			return -EPERM;
		set_session(t, p->sid, p->pgid);
		return 0;
	case TIOCNOTTY:
		if (t->session != p->sid)
			return -ENOTTY;
		if (p->pid == p->sid) {
			int group = t->foreground;
			tty_forget(t);
			tty_signal_foreground(group, SIGHUP);
			tty_signal_foreground(group, SIGCONT);
		}
		return 0;
	}
	return -ENOTTY;
}

static long set_termios(struct tty *t, const struct termios *n, bool flush)
{
	mutex_lock(&t->lock);
	bool was_canonical = t->termios.c_lflag & ICANON;
	t->termios = *n;
	if (flush)
		t->count = t->lines = 0;
	/* What was typed raw counts as one line for a canonical reader. */
	if (!was_canonical && n->c_lflag & ICANON && t->count && !t->lines) {
		t->marks[(t->head + t->count - 1) % TTY_BUFFER] = 1;
		t->lines = 1;
	}
	if (!(n->c_iflag & IXON))
		t->stopped = false;
	waitq_wake_all(&t->read_wait);
	mutex_unlock(&t->lock);
	tty_notify(t, EPOLLIN | EPOLLOUT);
	return 0;
}

void tty_resize(struct tty *t, const struct winsize *size)
{
	bool changed = memcmp(size, &t->size, sizeof *size) != 0;
	t->size = *size;
	if (changed && t->foreground)
		tty_signal_foreground(t->foreground, SIGWINCH);
}

static long set_size(struct tty *t, const void __user *arg)
{
	struct winsize size;
	if (copy_from_user(&size, arg, sizeof size))
		return -EFAULT;
	tty_resize(t, &size);
	return 0;
}

static long flow(struct tty *t, unsigned long arg)
{
	if (arg > TCION)
		return -EINVAL;
	if (arg == TCOOFF || arg == TCOON) {
		mutex_lock(&t->lock);
		t->stopped = arg == TCOOFF;
		waitq_wake_all(&t->read_wait);
		mutex_unlock(&t->lock);
	}
	return 0;
}

long tty_ioctl(struct tty *t, struct file *f, unsigned cmd, unsigned long arg)
{
	(void)f;
	void __user *p = (void __user *)arg;
	struct termios termios;
	struct termios2 termios2;
	int n;
	switch (cmd) {
	case TCGETS:
		return copy_to_user(p, &t->termios, sizeof t->termios);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		if (copy_from_user(&termios, p, sizeof termios))
			return -EFAULT;
		return set_termios(t, &termios, cmd == TCSETSF);
	case TCGETS2:
		memset(&termios2, 0, sizeof termios2);
		memcpy(&termios2, &t->termios, sizeof t->termios);
		termios2.c_ispeed = termios2.c_ospeed = 38400;
		return copy_to_user(p, &termios2, sizeof termios2);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		if (copy_from_user(&termios2, p, sizeof termios2))
			return -EFAULT;
		memcpy(&termios, &termios2, sizeof termios);
		return set_termios(t, &termios, cmd == TCSETSF2);
	case TIOCGWINSZ:
		return copy_to_user(p, &t->size, sizeof t->size);
	case TIOCSWINSZ:
		return set_size(t, p);
	case FIONREAD:
		mutex_lock(&t->lock);
		n = t->termios.c_lflag & ICANON && !t->lines ? 0 : (int)t->count;
		mutex_unlock(&t->lock);
		return put_user(n, (int __user *)p);
	case TIOCOUTQ:
		n = 0;
		return put_user(n, (int __user *)p);
	case TCFLSH:
		if (arg > TCIOFLUSH)
			return -EINVAL;
		if (arg != TCOFLUSH) {
			mutex_lock(&t->lock);
			t->count = t->lines = 0;
			mutex_unlock(&t->lock);
			if (t->driver->input_drained)
				t->driver->input_drained(t);
		}
		return 0;
	case TCXONC:
		return flow(t, arg);
	case TCSBRK:
	case TCSBRKP:
		return 0; /* output is never held back here, so draining it is done */
	case TIOCGETD:
		n = 0; /* N_TTY */
		return put_user(n, (int __user *)p);
	}
	return tty_job_ioctl(t, cmd, arg);
}
