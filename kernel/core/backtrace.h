/* SPDX-License-Identifier: BSD-3-Clause */
/* Call chains by frame pointers, for trace records: cheap, from any context. */
#pragma once

#include "lib/util.h"

struct trapframe;

/* Writes up to max return addresses, innermost first: those of the kernel, then those of the
 * application the current thread belongs to, as far as its code keeps frame pointers. With a frame
 * the chain begins at the place it interrupted, otherwise at the caller's caller. Never faults
 * pages in. Interrupts off. Returns how many. */
unsigned backtrace_collect(const struct trapframe *from, uint64_t *out, unsigned max);
