/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packed ring: one array of descriptors that both sides write in turn. A descriptor is
 * available when its AVAIL bit equals the driver's wrap counter and its USED bit differs, used when
 * both equal the device's.
 *
 * A batch becomes visible at once: the flags of its first descriptor are written last (at publish,
 * with a sequentially consistent store), and the device, which works in ring order, stops there
 * until then.
 */
#include "drivers/virtio/virtqueue.h"
#include "lib/string.h"

enum { PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_AT = 2, EVENT_WRAP = 1 << 15 };

/* In struct vring_desc's terms the packed layout has the id where `flags` is and the flags where
 * `next` is. */
static uint16_t *flags_of(struct virtq *q, unsigned at)
{
	return &q->desc[at].next;
}

void virtq_packed_add(struct virtq *q, unsigned id, const struct virtq_buf *buf, unsigned nout,
    unsigned nin, bool table)
{
	unsigned n = table ? 1 : nout + nin;
	for (unsigned i = 0; i < n; i++) {
		struct vring_desc *d = &q->desc[q->next_avail];
		uint16_t flags = q->avail_wrap ? PACKED_AVAIL : PACKED_USED;
		if (table) {
			d->addr = q->tables_phys + 16ull * id * q->max_indirect;
			d->len = 16 * (nout + nin);
			flags |= VRING_INDIRECT;
		} else {
			d->addr = buf[i].phys;
			d->len = buf[i].len;
			flags |= (i + 1 < n ? VRING_NEXT : 0) | (i >= nout ? VRING_WRITE : 0);
		}
		d->flags = (uint16_t)id;
		if (!q->held) {
			q->held = true;
			q->held_at = q->next_avail;
			q->held_flags = flags;
		} else {
			__atomic_store_n(flags_of(q, q->next_avail), flags, __ATOMIC_RELEASE);
		}
		q->batch++;
		if (++q->next_avail == q->size) {
			q->next_avail = 0;
			q->avail_wrap = !q->avail_wrap;
		}
	}
}

bool virtq_packed_publish(struct virtq *q)
{
	if (!q->held)
		return false;
	__atomic_store_n(flags_of(q, q->held_at), q->held_flags, __ATOMIC_SEQ_CST);
	q->held = false;
	uint16_t batch = q->batch;
	q->batch = 0;
	uint16_t flags = __atomic_load_n(&q->device_event->flags, __ATOMIC_SEQ_CST) & 3;
	if (flags != EVENT_AT)
		return flags == EVENT_ENABLE;
	/* The device names a place in the ring; is it in what was just published? */
	uint16_t off_wrap = __atomic_load_n(&q->device_event->off_wrap, __ATOMIC_RELAXED);
	uint16_t event = off_wrap & ~EVENT_WRAP, new = q->next_avail;
	if (q->avail_wrap != (off_wrap >> 15))
		event -= q->size;
	return (uint16_t)(new - event - 1) < batch;
}

/* Whether the descriptor at a place is used, in the lap that `wrap` tells. */
static bool is_used(struct virtq *q, unsigned at, bool wrap)
{
	uint16_t flags = __atomic_load_n(flags_of(q, at), __ATOMIC_SEQ_CST);
	return !(flags & PACKED_AVAIL) == !(flags & PACKED_USED) && !(flags & PACKED_USED) != wrap;
}

void *virtq_packed_take(struct virtq *q, uint32_t *written)
{
	struct vring_desc *d = &q->desc[q->next_used];
	uint16_t flags = __atomic_load_n(flags_of(q, q->next_used), __ATOMIC_ACQUIRE), count;
	if (!(flags & PACKED_AVAIL) != !(flags & PACKED_USED) ||
	    !(flags & PACKED_USED) == q->used_wrap)
		return NULL;
	if (!q->in_flight) {
		virtq_break(q, "the device completed more buffers than it has");
		return NULL;
	}
	uint32_t len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	uint16_t id = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
	void *token = virtq_finish(q, id, len, written, &count);
	if (!token)
		return NULL;
	q->next_used += count;
	if (q->next_used >= q->size) {
		q->next_used -= q->size;
		q->used_wrap = !q->used_wrap;
	}
	return token;
}

void virtq_packed_disable(struct virtq *q)
{
	__atomic_store_n(&q->driver_event->flags, EVENT_DISABLE, __ATOMIC_RELAXED);
}

bool virtq_packed_enable(struct virtq *q, uint16_t ahead)
{
	uint16_t mode = EVENT_ENABLE;
	if (q->event_idx) {
		uint16_t at = q->next_used + ahead;
		bool wrap = q->used_wrap;
		if (at >= q->size) {
			at -= q->size;
			wrap = !wrap;
		}
		at |= wrap ? EVENT_WRAP : 0;
		__atomic_store_n(&q->driver_event->off_wrap, at, __ATOMIC_RELAXED);
		mode = EVENT_AT;
	}
	__atomic_store_n(&q->driver_event->flags, mode, __ATOMIC_SEQ_CST);
	return is_used(q, q->next_used, q->used_wrap);
}
