/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio devices, whatever they hang on. A driver for a kind of device is a struct virtio_driver;
 *its probe runs in a kernel thread and does
 *
 *	virtio_negotiate(d, features the driver understands);
 *	read the configuration;
 *	virtio_queue(…) for each queue;
 *	virtio_go(d);
 *
 * and returns 0, or -errno after which the device is reset and reported as unusable.
 */
#pragma once

#include "drivers/virtio/virtqueue.h"
#include "lib/list.h"

enum virtio_type {
	VIRTIO_NET = 1,
	VIRTIO_BLOCK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_RNG = 4,
};

/* Feature bits common to all devices. */
#define VIRTIO_F_INDIRECT (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_PACKED (1ull << 34)

enum { VIRTIO_MAX_QUEUES = 2 * 64 + 1 };

struct virtio_device;
struct virtio_driver;

/* What a transport (PCI, MMIO) does for the core. All in thread context. */
struct virtio_transport {
	uint64_t (*features)(struct virtio_device *d);
	void (*accept)(struct virtio_device *d, uint64_t features);
	uint8_t (*status)(struct virtio_device *d);
	void (*set_status)(struct virtio_device *d, uint8_t status);
	/* One register of the device's configuration: size 1, 2 or 4, naturally aligned. */
	uint32_t (*config)(struct virtio_device *d, unsigned offset, unsigned size);
	uint32_t (*generation)(struct virtio_device *d);
	uint16_t (*queue_size)(struct virtio_device *d, unsigned index); /* 0: no such queue */
	/* Tells the device where q is, and has its interrupts call virtio_queue_interrupt(q) on
	 * `cpu`. */
	int (*activate)(struct virtio_device *d, struct virtq *q, unsigned cpu);
};

struct virtio_device {
	uint16_t type;
	bool legacy;	   /* a device of before VIRTIO 1.0 */
	char name[24];	   /* "virtio-blk pci 00:03.0": for messages and /proc/interrupts */
	uint64_t features; /* agreed on */
	const struct virtio_transport *ops;
	const struct virtio_driver *driver;
	void *private; /* the driver's */
	struct virtq *queue[VIRTIO_MAX_QUEUES];
	unsigned nqueues;
	uint64_t config_size; /* bytes of configuration that exist */
	void *transport;
	struct list link;
};

struct virtio_driver {
	uint16_t type;
	const char *name;
	int (*probe)(struct virtio_device *d);
	/* Interrupt context: q may have completions. */
	void (*interrupt)(struct virtio_device *d, struct virtq *q);
	/* Interrupt context, or NULL: the configuration changed. */
	void (*config_changed)(struct virtio_device *d);
};

/* Agrees on the features both sides know (wanted, and the common ones). 0 or -EIO. */
int virtio_negotiate(struct virtio_device *d, uint64_t wanted);
static inline bool virtio_has(const struct virtio_device *d, uint64_t feature)
{
	return (d->features & feature) != 0;
}
/* Reads n bytes of configuration, consistently; what lies beyond its end reads as zero. */
void virtio_config(struct virtio_device *d, unsigned offset, void *buf, size_t n);
/* Makes queue `index` with at most max_size entries and (if the device can) indirect tables of
 * max_indirect entries; its interrupts go to `cpu`. NULL if there is no such queue or no memory
 * (message printed). */
struct virtq *virtio_queue(struct virtio_device *d, unsigned index, uint16_t max_size,
    uint16_t max_indirect, unsigned cpu);
/* The driver is ready: the device may use the queues. */
void virtio_go(struct virtio_device *d);
/* Rings the queue's doorbell if the device wants it, after virtq_add() calls. */
void virtio_kick(struct virtq *q);
/* Stops the device after it broke the rules: message, reset. Any context. */
void virtio_fail(struct virtio_device *d, const char *why);

/* For transports. */
void virtio_register(struct virtio_device *d);
void virtio_queue_interrupt(void *q);
void virtio_config_interrupt(void *d);
void virtio_interrupt_all(struct virtio_device *d);
extern struct list virtio_devices;

/* Start of the transports; from drivers_init(). */
void virtio_pci_init(void);
void virtio_mmio_init(void);

extern const struct virtio_driver virtio_blk_driver, virtio_rng_driver, virtio_console_driver,
    virtio_net_driver;
