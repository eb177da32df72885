/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal frames on the application's stack, in the layout of the x86-64 ABI. */
#pragma once

#include "proc/signal.h"

struct trapframe;

/* Saves *f, the vector state, `mask` (to come back by rt_sigreturn) and *info on the application's
 * stack and changes *f so that the handler runs. 0, or -EFAULT when the stack or the action cannot
 * be used. */
int sigframe_push(struct trapframe *f, const struct ksiginfo *info, const struct ksigaction *action,
    sigset64 mask);
/* Bytes of stack a frame needs at most: AT_MINSIGSTKSZ. */
uint64_t sigframe_size(void);
