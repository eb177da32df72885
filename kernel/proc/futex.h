/* SPDX-License-Identifier: BSD-3-Clause */
/* Futexes, as far as other parts of the kernel need them. */
#pragma once

#include "lib/util.h"

struct thread;

/* Wakes up to n waiters on a word of the current program. Thread context. */
int futex_wake_user(uint32_t __user *word, int n);
/* The current thread ends (or calls execve): marks its robust futexes as owner-died and passes its
 * priority-inheritance futexes on. */
void futex_thread_exit(struct thread *t);
