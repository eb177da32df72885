/* SPDX-License-Identifier: BSD-3-Clause */
/* The way back to the application, for entry.S and the dispatcher of slow system calls. */
#pragma once

struct trapframe;

/* Does what cpu->work asks for (scheduling, signals) until nothing is left; returns with interrupts
 * off. */
void trap_exit_to_application(struct trapframe *f);
