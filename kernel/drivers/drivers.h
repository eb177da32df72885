/* SPDX-License-Identifier: BSD-3-Clause */
/* What the start of the kernel calls to bring the devices up, in this order. */
#pragma once

#include "lib/util.h"

/* Registers the serial port as console, output only. Needs nothing; the first thing at boot. */
void serial_init(void);
/* Switches on the serial port's input interrupt. After irq_init(), thread context or boot CPU. */
void serial_init_input(void);
/* Remembers a virtio-mmio transport from a `virtio_mmio.device=SIZE@ADDR:IRQ` word of the command
 * line (value: what follows the '='). Before drivers_init(). 0 or -EINVAL. */
int virtio_mmio_add(const char *value);
/* Finds and starts all PCI and virtio-mmio devices; disks are registered when it returns. Kernel
 * thread. */
void drivers_init(void);
