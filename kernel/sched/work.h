/* SPDX-License-Identifier: BSD-3-Clause */
/* Work that interrupt handlers and timers leave to thread context: run by a kernel thread of this
 * CPU. */
#pragma once

#include <stdatomic.h>
#include "lib/util.h"

struct work {
	struct work *next;
	void (*fn)(struct work *w);
	_Atomic bool queued;
};

static inline void work_init(struct work *w, void (*fn)(struct work *w))
{
	w->fn = fn;
	atomic_init(&w->queued, false);
}
/* Queues w on this CPU unless it is queued already (it may be queued again once fn has started).
 * Any context. Returns whether it queued. fn may sleep, and may free w. */
bool work_queue(struct work *w);
