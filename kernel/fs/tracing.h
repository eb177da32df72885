/* SPDX-License-Identifier: BSD-3-Clause */
/* What of tracing and of the scheduler's accounts can be seen below /sys/kernel. */
#pragma once

#include "fs/pseudo.h"

extern const struct pseudo_entry tracing_dir[];

/* All threads, the kernel's included, one a line: tid, pid (0: kernel), cpu, run time, user time,
 * kernel time (ns), switches, migrations, preemptions, priority, stack size, state letter, name. */
int tracing_show_threads(struct seqbuf *s, const struct pseudo_key *k);

int tracing_show_console(struct seqbuf *s, const struct pseudo_key *k);

/* The recorded tracepoints of all CPUs in order of time, as text. */
int trace_dump_text(struct seqbuf *s);
/* The same as carrara/trace.h describes it. */
int trace_dump_raw(struct seqbuf *s);
