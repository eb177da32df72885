/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports of a virtio console beyond the first (VIRTIO 1.2, section 5.3, multiport): clean byte
 * streams between the host and programs, as the devices /dev/vport0pN of Linux.
 */
#pragma once

#include "drivers/virtio/virtio.h"

#define VIRTIO_CONSOLE_F_MULTIPORT (1ull << 1)

struct ports;

/* Sets up the queues of a device that agreed to VIRTIO_CONSOLE_F_MULTIPORT, before virtio_go().
 * console_there is called (in a kernel thread) when the device has a port 0. NULL without memory
 * or queues. */
struct ports *ports_probe(
    struct virtio_device *d, void (*console_there)(void *arg), void *console_arg);
/* After virtio_go(): tells the device that the driver is ready. */
void ports_start(struct ports *ps);
/* An interrupt of the device's queue q. */
void ports_interrupt(struct ports *ps, const struct virtq *q);
/* Waits until the host has taken all that was written to the ports. Thread context. */
void ports_flush(void);
