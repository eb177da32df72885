/* SPDX-License-Identifier: BSD-3-Clause */
/* The common part of all virtio devices: negotiation, queues, life cycle (VIRTIO 1.2, section 3).
 */
#include <asm/errno.h>
#include "core/log.h"
#include "core/trace.h"
#include "drivers/virtio/virtio.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };
enum { STATUS_FAILED = 128 };

struct list virtio_devices = LIST_INIT(virtio_devices);

static const struct virtio_driver *const drivers[] = {
    &virtio_blk_driver,
    &virtio_rng_driver,
    &virtio_console_driver,
    &virtio_net_driver,
};

static void add_status(struct virtio_device *d, uint8_t bits)
{
	d->ops->set_status(d, d->ops->status(d) | bits);
}

static void reset(struct virtio_device *d)
{
	d->ops->set_status(d, 0);
	/* The device has finished when the status reads zero. */
	for (int i = 0; i < 1000000 && d->ops->status(d); i++)
		;
}

void virtio_fail(struct virtio_device *d, const char *why)
{
	pr_err("%s: %s; the device is switched off", d->name, why);
	reset(d);
	add_status(d, STATUS_FAILED);
}

int virtio_negotiate(struct virtio_device *d, uint64_t wanted)
{
	uint64_t common = VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX;
	if (!d->legacy)
		common |= VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED;
	d->features = d->ops->features(d) & (wanted | common);
	if (!d->legacy && !virtio_has(d, VIRTIO_F_VERSION_1)) {
		pr_err("%s: the device does not offer VIRTIO 1", d->name);
		return -EIO;
	}
	d->ops->accept(d, d->features);
	if (d->legacy)
		return 0;
	add_status(d, STATUS_FEATURES_OK);
	if (!(d->ops->status(d) & STATUS_FEATURES_OK)) {
		pr_err("%s: the device refuses the features 0x%llx", d->name,
		    (unsigned long long)d->features);
		return -EIO;
	}
	return 0;
}

void virtio_config(struct virtio_device *d, unsigned offset, void *buf, size_t n)
{
	uint32_t before;
	do {
		uint8_t *p = buf;
		unsigned at = offset, end = offset + (unsigned)n;
		before = d->ops->generation(d);
		while (at < end) {
			unsigned size = !(at & 3) && end - at >= 4   ? 4
					: !(at & 1) && end - at >= 2 ? 2
								     : 1;
			uint32_t v = at + size <= d->config_size ? d->ops->config(d, at, size) : 0;
			memcpy(p, &v, size);
			p += size;
			at += size;
		}
	} while (d->ops->generation(d) != before);
}

struct virtq *virtio_queue(
    struct virtio_device *d, unsigned index, uint16_t max_size, uint16_t max_indirect, unsigned cpu)
{
	uint16_t device_size = index < VIRTIO_MAX_QUEUES ? d->ops->queue_size(d, index) : 0;
	struct virtq_layout l = {
	    .size = MIN(device_size, max_size),
	    .legacy = d->legacy,
	    .packed = virtio_has(d, VIRTIO_F_RING_PACKED),
	    .event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX),
	    .max_indirect = virtio_has(d, VIRTIO_F_INDIRECT) ? max_indirect : 0,
	};
	if (!device_size || device_size > 32768 || (!l.packed && l.size & (l.size - 1))) {
		pr_err("%s: queue %u has the impossible size %u", d->name, index, device_size);
		return NULL;
	}
	struct virtq *q = kzalloc(sizeof *q);
	void *mem = kzalloc(ALIGN_UP(virtq_memory(&l), PAGE_SIZE));
	void *records = kzalloc(virtq_record_memory(&l));
	if (!q || !mem || !records) {
		pr_err("%s: no memory for queue %u of %u entries", d->name, index, l.size);
		goto fail;
	}
	virtq_init(q, &l, mem, virt_phys(mem), records);
	q->index = index;
	q->owner = d;
	d->queue[index] = q;
	d->nqueues = MAX(d->nqueues, index + 1);
	int err = d->ops->activate(d, q, cpu);
	if (!err)
		return q;
	pr_err("%s: queue %u cannot be set up (error %d)", d->name, index, -err);
	d->queue[index] = NULL;
fail:
	kfree(q);
	kfree(mem);
	kfree(records);
	return NULL;
}

void virtio_go(struct virtio_device *d)
{
	add_status(d, STATUS_DRIVER_OK);
}

void virtio_kick(struct virtq *q)
{
	if (!virtq_publish(q)) {
		TRACE(virtio_kicked_event_idx, "queue=%lu", q->index);
		return;
	}
	q->notifies++;
	TRACE(virtio_notify, "queue=%lu in_flight=%lu", q->index, q->in_flight);
	if (q->notify_wide)
		*(volatile uint32_t *)q->notify = q->index;
	else
		*(volatile uint16_t *)q->notify = (uint16_t)q->index;
}

void virtio_queue_interrupt(void *arg)
{
	struct virtq *q = arg;
	struct virtio_device *d = q->owner;
	q->interrupts++;
	if (d->driver && d->driver->interrupt)
		d->driver->interrupt(d, q);
}

void virtio_interrupt_all(struct virtio_device *d)
{
	for (unsigned i = 0; i < d->nqueues; i++)
		if (d->queue[i])
			virtio_queue_interrupt(d->queue[i]);
}

void virtio_config_interrupt(void *arg)
{
	struct virtio_device *d = arg;
	if (d->driver && d->driver->config_changed)
		d->driver->config_changed(d);
}

void virtio_register(struct virtio_device *d)
{
	list_append(&virtio_devices, &d->link);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (drivers[i]->type != d->type)
			continue;
		reset(d);
		add_status(d, STATUS_ACKNOWLEDGE);
		add_status(d, STATUS_DRIVER);
		d->driver = drivers[i];
		int err = d->driver->probe(d);
		if (err) {
			pr_err("%s: not usable (error %d)", d->name, -err);
			reset(d);
			add_status(d, STATUS_FAILED);
			d->driver = NULL;
		}
		return;
	}
	pr_debug("%s: no driver for virtio type %u", d->name, d->type);
}
