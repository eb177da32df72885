/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtqueues: what both ring formats share, and the split ring. packed.c has the other.
 *
 * Split ring, driver's side:
 *   add:      descriptors and avail.ring[avail_idx % size] are written; nobody looks at them yet.
 *   publish:  avail.idx = avail_idx (sequentially consistent store: the descriptors are visible
 *before it, and the suppression word is read after it). The device does the mirror image - it
 *writes its suppression word, then reads avail.idx - so at least one of the two sees the other's
 *write and no notification is lost. take:     used.idx is read with acquire; entries before it are
 *complete. enable:   used_event (or the flag) is stored sequentially consistent, then used.idx is
 *read again, by the same argument.
 */
#include <asm/errno.h>
#include "core/trace.h"
#include "drivers/virtio/virtqueue.h"
#include "lib/string.h"

enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1, LEGACY_ALIGN = 4096 };

static uint16_t load_acquire(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* The ring's parts, as offsets. */
struct parts {
	size_t driver, device, tables, total;
};

static struct parts parts_of(const struct virtq_layout *l)
{
	struct parts p;
	p.driver = 16ul * l->size;
	if (l->packed) {
		p.device = p.driver + 16;
		p.tables = p.device + 16;
	} else {
		p.device =
		    ALIGN_UP(p.driver + 6 + 2ul * l->size, l->legacy ? (size_t)LEGACY_ALIGN : 4);
		p.tables = ALIGN_UP(p.device + 6 + 8ul * l->size, (size_t)16);
	}
	p.total = p.tables + 16ul * l->size * l->max_indirect;
	return p;
}

size_t virtq_memory(const struct virtq_layout *l)
{
	return parts_of(l).total;
}

size_t virtq_record_memory(const struct virtq_layout *l)
{
	return l->size * (sizeof(struct virtq_slot) + sizeof(uint16_t));
}

void virtq_init(
    struct virtq *q, const struct virtq_layout *l, void *mem, uint64_t phys, void *records)
{
	struct parts p = parts_of(l);
	*q = (struct virtq){
	    .size = l->size,
	    .free = l->size,
	    .packed = l->packed,
	    .event_idx = l->event_idx,
	    .indirect = l->max_indirect != 0,
	    .max_indirect = l->max_indirect,
	    .slots = records,
	    .next = (uint16_t *)((struct virtq_slot *)records + l->size),
	    .tables = (struct vring_desc *)((char *)mem + p.tables),
	    .tables_phys = phys + p.tables,
	    .desc = mem,
	    .desc_phys = phys,
	    .driver_phys = phys + p.driver,
	    .device_phys = phys + p.device,
	};
	for (unsigned i = 0; i < q->size; i++) {
		q->slots[i].next = (uint16_t)(i + 1);
		q->next[i] = (uint16_t)(i + 1);
	}
	if (q->packed) {
		q->driver_event = (struct vring_event *)((char *)mem + p.driver);
		q->device_event = (struct vring_event *)((char *)mem + p.device);
		q->avail_wrap = q->used_wrap = true;
	} else {
		q->avail = (uint16_t *)((char *)mem + p.driver);
		q->used = (uint16_t *)((char *)mem + p.device);
	}
}

void virtq_break(struct virtq *q, const char *why)
{
	if (!q->broken)
		q->broken = why;
}

/* Writes the pieces as a chain of descriptors into an indirect table. */
static void fill_table(
    struct virtq *q, unsigned id, const struct virtq_buf *buf, unsigned nout, unsigned nin)
{
	struct vring_desc *t = q->tables + (size_t)id * q->max_indirect;
	for (unsigned i = 0; i < nout + nin; i++) {
		uint16_t flags = i >= nout ? VRING_WRITE : 0;
		t[i] = (struct vring_desc){.addr = buf[i].phys, .len = buf[i].len};
		if (q->packed) { /* id, flags; the order in the table is the chain */
			t[i].next = flags;
		} else {
			t[i].flags = flags | (i + 1 < nout + nin ? VRING_NEXT : 0);
			t[i].next = (uint16_t)(i + 1);
		}
	}
}

/* Descriptors come from the free list; returns the head. */
static uint16_t split_chain(struct virtq *q, unsigned id, const struct virtq_buf *buf,
    unsigned nout, unsigned nin, bool table)
{
	uint16_t head = q->free_head, at = head;
	unsigned n = table ? 1 : nout + nin;
	for (unsigned i = 0; i < n; i++) {
		struct vring_desc d = {.flags = i + 1 < n ? VRING_NEXT : 0, .next = q->next[at]};
		if (table) {
			d.addr = q->tables_phys + 16ull * id * q->max_indirect;
			d.len = 16 * (nout + nin);
			d.flags = VRING_INDIRECT;
		} else {
			d.addr = buf[i].phys;
			d.len = buf[i].len;
			d.flags |= i >= nout ? VRING_WRITE : 0;
		}
		q->desc[at] = d;
		at = q->next[at];
	}
	q->free_head = at;
	return head;
}

/* A split ring names buffers by their head descriptor, a packed ring by an id of our choice. */
static uint16_t take_id(struct virtq *q)
{
	if (!q->packed)
		return q->free_head;
	uint16_t id = q->free_id;
	q->free_id = q->slots[id].next;
	return id;
}

int virtq_add(
    struct virtq *q, const struct virtq_buf *buf, unsigned nout, unsigned nin, void *token)
{
	unsigned n = nout + nin;
	bool table = n > 1 && n <= q->max_indirect;
	unsigned need = table ? 1 : n;
	uint32_t capacity = 0;
	if (q->broken)
		return -EIO;
	if (!n || need > q->size)
		return -EINVAL;
	if (need > q->free) {
		TRACE(virtio_wait_for_queue, "queue=%u needed=%u free=%u", q->index, need, q->free);
		return -ENOSPC;
	}
	TRACE(virtio_add_buf, "queue=%u free=%u", q->index, q->free);
	for (unsigned i = nout; i < n; i++)
		capacity += buf[i].len;
	uint16_t id = take_id(q);
	q->slots[id].token = token;
	q->slots[id].capacity = capacity;
	q->slots[id].count = (uint16_t)need;
	if (table)
		fill_table(q, id, buf, nout, nin);
	if (q->packed) {
		virtq_packed_add(q, id, buf, nout, nin, table);
	} else {
		q->avail[2 + (q->avail_idx & (q->size - 1))] =
		    split_chain(q, id, buf, nout, nin, table);
		q->avail_idx++;
	}
	q->free -= need;
	q->in_flight++;
	return 0;
}

bool virtq_publish(struct virtq *q)
{
	if (q->broken)
		return false;
	if (q->packed)
		return virtq_packed_publish(q);
	uint16_t old = q->published;
	if (q->avail_idx == old)
		return false;
	q->published = q->avail_idx;
	__atomic_store_n(&q->avail[1], q->avail_idx, __ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(__atomic_load_n(&q->used[0], __ATOMIC_SEQ_CST) & USED_NO_NOTIFY);
	uint16_t event = __atomic_load_n(&q->used[2 + 4 * q->size], __ATOMIC_SEQ_CST);
	return (uint16_t)(q->avail_idx - event - 1) < (uint16_t)(q->avail_idx - old);
}

/* A completion the device reported: checks it and frees the id. NULL: the device broke the rules.
 */
void *virtq_finish(struct virtq *q, uint32_t id, uint32_t len, uint32_t *written, uint16_t *count)
{
	if (id >= q->size || !q->slots[id].token) {
		virtq_break(q, "the device completed a buffer it does not have");
		return NULL;
	}
	struct virtq_slot *s = &q->slots[id];
	if (s->capacity == 0)
		len = 0; /* reserved in this case; some devices set it */
	if (len > s->capacity) {
		virtq_break(q, "the device claims to have written more than the buffer holds");
		return NULL;
	}
	void *token = s->token;
	TRACE(vring_get_buf_elem, "queue=%u id=%u len=%u", q->index, id, len);
	s->token = NULL;
	*written = len;
	*count = s->count;
	if (q->packed) {
		s->next = q->free_id;
		q->free_id = (uint16_t)id;
	}
	q->free += s->count;
	q->in_flight--;
	q->completed++;
	TRACE(vring_get_buf_ret, "queue=%u in_flight=%u", q->index, q->in_flight);
	return token;
}

static void *split_take(struct virtq *q, uint32_t *written)
{
	uint16_t idx = load_acquire(&q->used[1]), count;
	uint32_t entry[2];
	if (idx == q->last_used)
		return NULL;
	if ((uint16_t)(idx - q->last_used) > q->in_flight) {
		virtq_break(q, "the device completed more buffers than it has");
		return NULL;
	}
	memcpy(entry, &q->used[2 + 4 * (q->last_used & (q->size - 1))], sizeof entry);
	void *token = virtq_finish(q, entry[0], entry[1], written, &count);
	if (!token)
		return NULL;
	q->last_used++;
	/* The chain goes back to the free list, by the driver's own links. */
	uint16_t head = (uint16_t)entry[0], last = head;
	for (unsigned i = 1; i < count; i++)
		last = q->next[last];
	q->next[last] = q->free_head;
	q->free_head = head;
	return token;
}

void *virtq_take(struct virtq *q, uint32_t *written)
{
	if (q->broken)
		return NULL;
	return q->packed ? virtq_packed_take(q, written) : split_take(q, written);
}

void virtq_disable(struct virtq *q)
{
	TRACE(virtio_disable_interrupts, "queue=%u", q->index);
	if (q->packed)
		virtq_packed_disable(q);
	else if (q->event_idx) /* an event that lies half the index space away */
		__atomic_store_n(
		    &q->avail[2 + q->size], (uint16_t)(q->last_used - 0x8000), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->avail[0], AVAIL_NO_INTERRUPT, __ATOMIC_RELAXED);
}

/* `ahead`: completions (packed: descriptors) from here to the one that interrupts. */
static bool enable(struct virtq *q, uint16_t ahead)
{
	if (q->broken)
		return false;
	TRACE(virtio_enable_interrupts, "queue=%u", q->index);
	if (q->packed)
		return virtq_packed_enable(q, ahead);
	if (!q->event_idx) {
		ahead = 0;
		__atomic_store_n(&q->avail[0], 0, __ATOMIC_SEQ_CST);
	} else {
		TRACE(vring_update_used_event, "queue=%u event=%u", q->index, q->last_used + ahead);
		__atomic_store_n(
		    &q->avail[2 + q->size], (uint16_t)(q->last_used + ahead), __ATOMIC_SEQ_CST);
	}
	uint16_t done = (uint16_t)(__atomic_load_n(&q->used[1], __ATOMIC_SEQ_CST) - q->last_used);
	return done > ahead;
}

bool virtq_enable(struct virtq *q)
{
	return enable(q, 0);
}

bool virtq_enable_late(struct virtq *q)
{
	unsigned n = q->packed ? q->size - q->free : q->in_flight;
	return enable(q, (uint16_t)(n * 3 / 4));
}

void *virtq_abandon(struct virtq *q)
{
	virtq_break(q, "the queue is closed");
	for (unsigned i = 0; i < q->size && q->in_flight; i++) {
		void *token = q->slots[i].token;
		if (token) {
			q->slots[i].token = NULL;
			q->in_flight--;
			return token;
		}
	}
	return NULL;
}
