/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtqueues (VIRTIO 1.2, sections 2.7 split and 2.8 packed): one implementation for all devices
 * and both transports, and for the host's tests. A queue is used by one context at a time (see
 * lib/combine.h).
 *
 * What the device writes is not trusted: completions are checked against the driver's own record of
 * what is in flight. A device that breaks the rules marks the queue broken; nothing is taken from
 * it then.
 */
#pragma once

#include "lib/util.h"

/* One piece of memory the device reads or writes. */
struct virtq_buf {
	uint64_t phys;
	uint32_t len;
};

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next; /* packed: id, flags */
};

struct vring_event {
	uint16_t off_wrap, flags;
};

struct virtq_slot;

struct virtq {
	uint16_t size;
	bool packed, event_idx, indirect;
	uint16_t max_indirect;	   /* entries of each indirect table, 0 without */
	const char *broken;	   /* why nothing works any more, or NULL */
	uint16_t free;		   /* ring descriptors not in use */
	uint16_t in_flight;	   /* buffers the device has */
	struct virtq_slot *slots;  /* by buffer id */
	uint16_t free_id;	   /* first of the list of free ids */
	struct vring_desc *tables; /* indirect tables, by id */
	uint64_t tables_phys;

	/* Where the device finds the ring: physical addresses. */
	uint64_t desc_phys, driver_phys, device_phys;
	struct vring_desc *desc;

	/* Split ring. */
	uint16_t *avail; /* flags, idx, ring[size], used_event */
	uint16_t *used;	 /* flags, idx, {id, len}[size], avail_event */
	uint16_t *next;	 /* the driver's own links of free descriptors */
	uint16_t free_head, avail_idx, published, last_used;

	/* Packed ring. */
	struct vring_event *driver_event, *device_event;
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
	bool held; /* the first descriptor of the batch is not yet visible */
	uint16_t held_at, held_flags,
	    batch; /* where, its flags, descriptors since the last publish */

	/* The user's. */
	unsigned index;	       /* number on the device */
	volatile void *notify; /* doorbell */
	bool notify_wide;      /* it is 32 bits wide */
	void *owner;
	uint64_t notifies, interrupts, completed;
};

struct virtq_layout {
	uint16_t size; /* of the ring: a power of two unless packed; at most 32768 */
	bool packed, event_idx;
	bool legacy;	       /* split ring with the used part on a page of its own, in one area */
	uint16_t max_indirect; /* 0: the device has no indirect descriptors */
};

/* Bytes of zeroed memory the ring and the indirect tables take (physically contiguous; page aligned
 * if legacy, else 16). */
size_t virtq_memory(const struct virtq_layout *l);
/* Bytes of ordinary zeroed memory for the driver's records. */
size_t virtq_record_memory(const struct virtq_layout *l);
/* Sets q up in mem and records (kept by the caller until the device is reset). phys: of mem. */
void virtq_init(
    struct virtq *q, const struct virtq_layout *l, void *mem, uint64_t phys, void *records);

/* Queues one buffer: the first nout pieces are read by the device, the nin after them written.
 * token (not NULL) comes back from virtq_take(). The device does not see it before virtq_publish().
 * 0, -ENOSPC (ring full: take completions first), -EINVAL (more pieces than the ring could ever
 * hold) or -EIO (broken). */
int virtq_add(
    struct virtq *q, const struct virtq_buf *buf, unsigned nout, unsigned nin, void *token);
/* Lets the device see what was added. Returns whether it wants to be notified. */
bool virtq_publish(struct virtq *q);
/* The token of the next completed buffer, and how many bytes the device wrote to it (at most what
 * it holds); NULL if there is none. */
void *virtq_take(struct virtq *q, uint32_t *written);
/* Asks for no interrupts until virtq_enable(): a hint. */
void virtq_disable(struct virtq *q);
/* Asks for an interrupt at the next completion. Returns true if there are completions already, for
 * which no interrupt will come: take them and call again. */
bool virtq_enable(struct virtq *q);
/* The same, but the interrupt may come as late as when most of what is in flight is complete: for
 * queues whose completions only free memory. */
bool virtq_enable_late(struct virtq *q);
/* Gives the tokens in flight back one by one after the device was reset or broke; NULL at the end.
 */
void *virtq_abandon(struct virtq *q);

/* Shared by virtqueue.c and packed.c. */
struct virtq_slot {
	void *token;	   /* NULL: not in flight */
	uint32_t capacity; /* bytes the device may write */
	uint16_t count;	   /* ring descriptors */
	uint16_t next;	   /* free list; split: unused while in flight */
};
enum { VRING_NEXT = 1, VRING_WRITE = 2, VRING_INDIRECT = 4 };
void virtq_break(struct virtq *q, const char *why);
void *virtq_finish(struct virtq *q, uint32_t id, uint32_t len, uint32_t *written, uint16_t *count);
void virtq_packed_add(struct virtq *q, unsigned id, const struct virtq_buf *buf, unsigned nout,
    unsigned nin, bool table);
bool virtq_packed_publish(struct virtq *q);
void *virtq_packed_take(struct virtq *q, uint32_t *written);
void virtq_packed_disable(struct virtq *q);
bool virtq_packed_enable(struct virtq *q, uint16_t ahead);
