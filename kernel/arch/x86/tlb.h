/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CPUs that run their idle thread need not be told of every change of page tables: the protocol is
 * in tlb.c.
 */
#pragma once

#include "lib/util.h"

struct cpu;

/* The scheduler: this CPU goes to its idle thread, or leaves it for another one. Interrupts off. */
void tlb_enter_lazy(struct cpu *c);
void tlb_leave_lazy(struct cpu *c);

/* Whether the CPU is idle and will forget all translations before it does anything else. */
bool tlb_defer(unsigned cpu);
/* Keeps those of the CPUs that are idle from leaving their idle thread; returns which. Interrupts
 * off; for a short time, one holder at a time. */
uint64_t tlb_hold_lazy(uint64_t mask);
/* Lets them go; they forget their translations first. */
void tlb_release_lazy(uint64_t held);
