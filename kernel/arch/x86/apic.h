/* SPDX-License-Identifier: BSD-3-Clause */
/* The local APIC, as xAPIC or x2APIC: interprocessor interrupts and the deadline timer. */
#pragma once

#include "lib/util.h"

/* Vectors of the local APIC; devices get 0x30 … 0xef. */
enum { VEC_TIMER = 0xf0, VEC_RESCHED, VEC_CALL, VEC_STOP, VEC_SPURIOUS = 0xff };
enum { VEC_DEVICE_FIRST = 0x30, VEC_DEVICE_LAST = 0xef };

void apic_eoi(void);
/* Sends a vector to one CPU (by APIC id). Any context. */
void apic_ipi(uint32_t apic_id, unsigned vector);
/* INIT and STARTUP for another processor: for smp.c. page: physical page number below 1 MiB. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, unsigned page);
uint32_t apic_id(void);
/* Programs this CPU's timer for a TSC value (0 stops it). Interrupts off. */
void apic_timer_set(uint64_t tsc_deadline);
/* What vector did: local ones here, others by irq_dispatch(). Interrupt context. */
void apic_or_device_interrupt(unsigned vector, bool from_app);
/* Counts down at the timer's own rate, for calibration. */
void apic_timer_start_max(void);
uint32_t apic_timer_count(void);
void apic_timer_stop(void);
/* Timer ticks per TSC tick, 32.32 fixed point; set by clock_init(). */
void apic_set_timer_rate(uint64_t ticks_per_tsc_32);
