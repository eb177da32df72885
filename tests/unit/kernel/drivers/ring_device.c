/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's side of split and packed rings (VIRTIO 1.2, sections 2.7.7 and 2.8.21). */
#include <assert.h>
#include <string.h>
#include "ring_device.h"

enum { AVAIL_BIT = 1 << 7, USED_BIT = 1 << 15 };

void ring_device_init(struct ring_device *d, const struct virtq *q)
{
	memset(d, 0, sizeof *d);
	d->size = q->size;
	d->packed = q->packed;
	d->event_idx = q->event_idx;
	d->desc = (void *)q->desc_phys;
	d->avail = (void *)q->driver_phys;
	d->used = (void *)q->device_phys;
	d->driver_event = (void *)q->driver_phys;
	d->device_event = (void *)q->device_phys;
	d->avail_wrap = d->used_wrap = true;
}

static void add_piece(struct ring_buffer *b, uint64_t addr, uint32_t len, bool write)
{
	assert(b->npieces < MAX_PIECES);
	assert(
	    !b->npieces || write || !b->piece[b->npieces - 1].write); /* readable ones come first */
	b->piece[b->npieces].p = (uint8_t *)addr;
	b->piece[b->npieces].len = len;
	b->piece[b->npieces++].write = write;
}

static bool pop_split(struct ring_device *d, struct ring_buffer *b)
{
	if (__atomic_load_n(&d->avail[1], __ATOMIC_ACQUIRE) == d->last_avail)
		return false;
	uint16_t head = d->avail[2 + d->last_avail % d->size];
	d->last_avail++;
	assert(head < d->size);
	*b = (struct ring_buffer){.id = head};
	struct vring_desc *table = d->desc;
	uint16_t at = head, limit = d->size;
	if (table[head].flags & VRING_INDIRECT) {
		assert(!(table[head].flags & VRING_NEXT) && table[head].len % 16 == 0);
		limit = (uint16_t)(table[head].len / 16);
		table = (struct vring_desc *)table[head].addr;
		at = 0;
	}
	for (;;) {
		struct vring_desc *e = &table[at];
		add_piece(b, e->addr, e->len, e->flags & VRING_WRITE);
		if (!(e->flags & VRING_NEXT))
			return true;
		at = e->next;
		assert(at < limit);
	}
}

static bool is_available(struct ring_device *d)
{
	uint16_t f = __atomic_load_n(&d->desc[d->last_avail].next, __ATOMIC_SEQ_CST);
	return !!(f & AVAIL_BIT) == d->avail_wrap && !!(f & USED_BIT) != d->avail_wrap;
}

static bool pop_packed(struct ring_device *d, struct ring_buffer *b)
{
	if (!is_available(d))
		return false;
	*b = (struct ring_buffer){0};
	for (;;) {
		struct vring_desc *e = &d->desc[d->last_avail];
		uint16_t flags = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
		assert(!!(flags & AVAIL_BIT) == d->avail_wrap &&
		       !!(flags & USED_BIT) != d->avail_wrap);
		b->id = e->flags;
		b->count++;
		if (flags & VRING_INDIRECT) {
			struct vring_desc *t = (struct vring_desc *)e->addr;
			for (unsigned i = 0; i < e->len / 16; i++)
				add_piece(b, t[i].addr, t[i].len, t[i].next & VRING_WRITE);
		} else {
			add_piece(b, e->addr, e->len, flags & VRING_WRITE);
		}
		if (++d->last_avail == d->size) {
			d->last_avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
		if (!(flags & VRING_NEXT))
			return true;
	}
}

bool ring_pop(struct ring_device *d, struct ring_buffer *b)
{
	return d->packed ? pop_packed(d, b) : pop_split(d, b);
}

static bool push_packed(struct ring_device *d, const struct ring_buffer *b, uint32_t written)
{
	struct vring_desc *e = &d->desc[d->used_idx];
	uint16_t old = d->used_idx;
	e->flags = b->id;
	e->len = written;
	__atomic_store_n(&e->next, d->used_wrap ? AVAIL_BIT | USED_BIT : 0, __ATOMIC_SEQ_CST);
	d->used_idx += b->count;
	if (d->used_idx >= d->size) {
		d->used_idx -= d->size;
		d->used_wrap = !d->used_wrap;
	}
	uint16_t mode = __atomic_load_n(&d->driver_event->flags, __ATOMIC_SEQ_CST);
	if (mode != 2)
		return mode == 0;
	uint16_t off = __atomic_load_n(&d->driver_event->off_wrap, __ATOMIC_SEQ_CST);
	uint16_t event = off & 0x7fff, now = d->used_idx;
	if (d->used_wrap != off >> 15)
		event -= d->size;
	(void)old;
	return (uint16_t)(now - event - 1) < b->count;
}

bool ring_push(struct ring_device *d, const struct ring_buffer *b, uint32_t written)
{
	if (d->packed)
		return push_packed(d, b, written);
	uint32_t entry[2] = {b->id, written};
	memcpy(&d->used[2 + 4 * (d->used_idx % d->size)], entry, sizeof entry);
	d->used_idx++;
	__atomic_store_n(&d->used[1], d->used_idx, __ATOMIC_SEQ_CST);
	if (!d->event_idx)
		return !(__atomic_load_n(&d->avail[0], __ATOMIC_SEQ_CST) & 1);
	uint16_t event = __atomic_load_n(&d->avail[2 + d->size], __ATOMIC_SEQ_CST);
	return (uint16_t)(d->used_idx - event - 1) < 1;
}

bool ring_want_notify(struct ring_device *d)
{
	if (d->packed) {
		uint16_t off = d->last_avail | (d->avail_wrap ? 0x8000 : 0);
		__atomic_store_n(&d->device_event->off_wrap, off, __ATOMIC_SEQ_CST);
		__atomic_store_n(&d->device_event->flags, d->event_idx ? 2 : 0, __ATOMIC_SEQ_CST);
		return is_available(d);
	}
	if (d->event_idx)
		__atomic_store_n(&d->used[2 + 4 * d->size], d->last_avail, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&d->used[0], 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&d->avail[1], __ATOMIC_SEQ_CST) != d->last_avail;
}

void ring_no_notify(struct ring_device *d)
{
	if (d->packed)
		__atomic_store_n(&d->device_event->flags, 1, __ATOMIC_SEQ_CST);
	else if (!d->event_idx)
		__atomic_store_n(&d->used[0], 1, __ATOMIC_SEQ_CST);
}
