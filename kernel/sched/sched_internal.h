/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the scheduler and the trap code. */
#pragma once

#include "lib/util.h"

struct thread;

/* This CPU has just been in the application or idle: a grace period may pass it. */
void rcu_note_quiescent(void);
/* The thread is about to look at its signals: forgets the reminder. */
void sched_clear_signal_work(void);
/* Another CPU asked this one to look at its run queue, signals, RCU. Interrupt context. */
void sched_interrupt(bool from_app);
/* The timer of this CPU fired. Interrupt context. */
void timer_interrupt(bool from_app);
/* Saves the vector state of a thread that must be inspected or copied (signals, fork): the area is
 * valid afterwards. Current thread only. */
void sched_fpu_flush(void);
/* The area was changed: the registers get it before the thread goes on. Current thread only. */
void sched_fpu_reload(void);
