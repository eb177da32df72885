/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling the application's time from the kernel's: see cputime.c. */
#pragma once

#include "lib/util.h"

struct cpu;

/* This CPU begins to run threads of programs. Interrupts off. */
void cputime_start(struct cpu *c);
/* Whether its idle thread has the CPU. */
bool cpu_is_idle(const struct cpu *c);
