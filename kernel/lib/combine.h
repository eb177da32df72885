/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mutual exclusion without waiting, for work that any context may have to do (a device queue, the
 * console): who finds the work unattended does it, who finds it attended leaves a mark and goes on,
 * and who attends does not leave before all marks are dealt with.
 *
 * `posts` counts the calls since the attendant last looked. The caller that raises it from 0
 * attends: it reads the count, works, and exchanges exactly that count for 0. A call in between
 * makes the exchange fail, so the work function runs again and sees whatever the caller had
 * published before its call. Works between CPUs and between a thread and the interrupts that hit
 * it; nobody ever spins or sleeps.
 */
#pragma once

#include <stdatomic.h>
#include "lib/util.h"

struct combiner {
	_Atomic uint32_t posts; /* zero-initialised is ready */
};

/* Makes fn(arg) run at least once from now on, here or where it runs already; never twice at once.
 * fn must not sleep, and may call combine() on the same combiner (it runs again then). */
static inline void combine(struct combiner *c, void (*fn)(void *arg), void *arg)
{
	if (atomic_fetch_add(&c->posts, 1) != 0)
		return;
	uint32_t seen;
	do {
		seen = atomic_load(&c->posts);
		fn(arg);
	} while (!atomic_compare_exchange_strong(&c->posts, &seen, 0));
}

/* Whether somebody attends at the moment. */
static inline bool combine_busy(struct combiner *c)
{
	return atomic_load(&c->posts) != 0;
}
