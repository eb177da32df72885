/* SPDX-License-Identifier: BSD-3-Clause */
/* Job control of terminals: sessions, foreground groups, signals to them. */
#pragma once

#include "drivers/tty.h"

/* Sends sig to the programs of a process group; group 0 (no session has taken the terminal) means
 * the first program of the machine. Thread context. */
void tty_signal_foreground(int group, int sig);
/* A background program's read or write: sends it sig and returns -ERESTARTSYS, or -EIO if it
 * ignores the signal; 0 for everybody else. */
int tty_check_background(struct tty *t, int sig);
/* Makes t the terminal of the current program's session if it leads one and neither has another. */
void tty_acquire(struct tty *t);
/* The ioctls TIOCGPGRP, TIOCSPGRP, TIOCSCTTY, TIOCNOTTY, TIOCGSID; -ENOTTY for others. */
long tty_job_ioctl(struct tty *t, unsigned cmd, unsigned long arg);
