/* SPDX-License-Identifier: BSD-3-Clause */
/* Restartable sequences: the CPU number in the application's memory, and aborts of interrupted
 * sequences. */
#pragma once

struct trapframe;

/* On the way back to the application after a switch of threads, and before a signal handler runs.
 * Both abort a sequence *f stands in; a bad structure raises SIGSEGV. Thread context. */
void rseq_resume(struct trapframe *f);
void rseq_signal(struct trapframe *f);
