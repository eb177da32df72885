/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeps with a relative time that a signal without handler interrupted go on until their original
 * end. */
#pragma once

#include "lib/util.h"

struct restart_block {
	long (*fn)(struct restart_block *b);
	int64_t deadline; /* monotonic */
	uint64_t arg[4];
};

/* The current thread's block for the caller to fill; the caller then returns
 * -ERESTART_RESTARTBLOCK. NULL without memory (return -EINTR then). */
struct restart_block *restart_block(void);
