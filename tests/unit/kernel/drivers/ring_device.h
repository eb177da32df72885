/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's side of a virtqueue, written from the specification for the tests; memory addresses
 * are pointers. Asserts that the driver keeps the rules. */
#pragma once

#include "drivers/virtio/virtqueue.h"

enum { MAX_PIECES = 64 };

struct ring_buffer {
	uint16_t id;
	uint16_t count; /* ring descriptors it takes */
	unsigned npieces;
	struct {
		uint8_t *p;
		uint32_t len;
		bool write;
	} piece[MAX_PIECES];
};

struct ring_device {
	uint16_t size;
	bool packed, event_idx;
	struct vring_desc *desc;
	uint16_t *avail, *used;
	struct vring_event *driver_event, *device_event;
	uint16_t last_avail, used_idx; /* packed: places in the ring */
	bool avail_wrap, used_wrap;
};

void ring_device_init(struct ring_device *d, const struct virtq *q);
/* The next buffer the driver made available; false if there is none. */
bool ring_pop(struct ring_device *d, struct ring_buffer *b);
/* Completes a buffer; returns whether the driver is to be interrupted. */
bool ring_push(struct ring_device *d, const struct ring_buffer *b, uint32_t written);
/* Asks for a notification at the next buffer; true if there is one already. */
bool ring_want_notify(struct ring_device *d);
void ring_no_notify(struct ring_device *d);
