/* SPDX-License-Identifier: BSD-3-Clause */
/* Clock ids of the ABI. */
#pragma once

#include "proc/clock_timer.h"

/* What a clock id means for the current program: the kind, and the program and thread (both
 * referenced, to be put; thread NULL unless a thread's clock). 0, or -EINVAL for ids that do not
 * exist. */
int clock_resolve(int id, enum clock_kind *kind, struct program **p, struct thread **t);
