/* SPDX-License-Identifier: BSD-3-Clause */
/* Device interrupts. Handlers run with interrupts off on an interrupt's own time: no sleeping. */
#pragma once

#include "lib/util.h"

/* Vectors: 0x00 … 0x1f exceptions, 0x20 … 0x2f the masked legacy controllers (spurious), 0x30 …
 * 0xef devices (this header), 0xf0 … 0xff the local APIC's own: timer, IPIs, spurious (apic.c). */
enum { IRQ_FIRST_VECTOR = 0x30, IRQ_LAST_VECTOR = 0xef };

/* Masks the legacy controllers and all IO-APIC inputs. After acpi_init() and page_init(), on the
 * boot CPU. */
void irq_init(void);
/* Calls the handler of a device vector that arrived on this CPU. The trap code calls it with
 * interrupts off and irq_depth raised, and sends the end of interrupt to the local APIC after it.
 */
void irq_dispatch(unsigned vector);

typedef void (*irq_handler)(void *arg);

/* A free vector that calls handler(arg), delivered to `cpu`; for MSI-X. Vector, or -ENOSPC. */
int irq_alloc_vector(irq_handler handler, void *arg, unsigned cpu, const char *name);
void irq_free_vector(int vector, unsigned cpu);
/* Address and data of an MSI message for a vector on a CPU. */
void irq_msi_message(unsigned cpu, int vector, uint64_t *addr, uint32_t *data);
/* Routes an IO-APIC input (global system interrupt) to handler; level: level-triggered, low: active
 * low. 0 or -errno. Several handlers may share a level-triggered input. */
int irq_route_gsi(
    unsigned gsi, bool level, bool low, irq_handler handler, void *arg, const char *name);
/* Calls show(ctx, name, vector, count on each CPU) for each used vector. For /proc/interrupts. */
void irq_for_each(
    void (*show)(void *ctx, const char *name, int vector, const uint64_t *counts), void *ctx);
