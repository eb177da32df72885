/* SPDX-License-Identifier: BSD-3-Clause */
/* The I/O APICs; irq.h is the interface for drivers. */
#pragma once

/* Finds the inputs of all I/O APICs and masks them. */
void ioapic_init(void);
