/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio over PCI, the modern interface (VIRTIO 1.2, section 4.1). One MSI-X vector per queue where
 * the device has enough of them, else one for all queues, else the INTx line.
 */
#include <asm/errno.h>
#include "core/log.h"
#include "drivers/pci.h"
#include "drivers/virtio/virtio.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

enum {
	VENDOR_VIRTIO = 0x1af4,
	TRANSITIONAL_FIRST = 0x1000,
	MODERN_FIRST = 0x1040,
	MODERN_LAST = 0x107f
};
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4 };
enum { MSIX_CONFIG = 0, MSIX_QUEUES = 1, NO_VECTOR = 0xffff };
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

/* The common configuration, field by field as section 4.1.4.3 has it. */
struct common {
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t config_msix_vector, num_queues;
	uint8_t device_status, config_generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint32_t queue_desc_low, queue_desc_high, queue_driver_low, queue_driver_high,
	    queue_device_low, queue_device_high;
};

/* A structure inside a BAR that a vendor capability points to. */
struct window {
	volatile uint8_t *p;
	uint32_t size;
};

struct virtio_pci {
	struct pci_device *pci;
	volatile struct common *common;
	struct window notify, isr, device;
	uint32_t notify_multiplier;
	bool per_queue, shared; /* which MSI-X scheme; neither: INTx */
};

static volatile struct common *common_of(struct virtio_device *d)
{
	return ((struct virtio_pci *)d->transport)->common;
}

static uint64_t pci_features(struct virtio_device *d)
{
	volatile struct common *c = common_of(d);
	c->device_feature_select = 0;
	uint64_t low = c->device_feature;
	c->device_feature_select = 1;
	return low | (uint64_t)c->device_feature << 32;
}

static void pci_accept(struct virtio_device *d, uint64_t features)
{
	volatile struct common *c = common_of(d);
	c->driver_feature_select = 0;
	c->driver_feature = (uint32_t)features;
	c->driver_feature_select = 1;
	c->driver_feature = (uint32_t)(features >> 32);
}

static uint8_t pci_status(struct virtio_device *d)
{
	return common_of(d)->device_status;
}

static void pci_set_status(struct virtio_device *d, uint8_t status)
{
	const struct virtio_pci *v = d->transport;
	v->common->device_status = status;
	/* A reset takes the vectors away: the queues' come with their activation, this one here. */
	if (status && (v->per_queue || v->shared))
		v->common->config_msix_vector = MSIX_CONFIG;
}

static uint32_t pci_config(struct virtio_device *d, unsigned offset, unsigned size)
{
	volatile uint8_t *p = ((struct virtio_pci *)d->transport)->device.p + offset;
	return size == 4 ? *(volatile uint32_t *)p : size == 2 ? *(volatile uint16_t *)p : *p;
}

static uint32_t pci_generation(struct virtio_device *d)
{
	return common_of(d)->config_generation;
}

static uint16_t pci_queue_size(struct virtio_device *d, unsigned index)
{
	volatile struct common *c = common_of(d);
	if (index >= c->num_queues)
		return 0;
	c->queue_select = (uint16_t)index;
	return c->queue_size;
}

static void shared_interrupt(void *d)
{
	virtio_interrupt_all(d);
}

static void intx_interrupt(void *arg)
{
	struct virtio_device *d = arg;
	uint8_t isr = *((struct virtio_pci *)d->transport)->isr.p; /* reading acknowledges */
	if (isr & ISR_CONFIG)
		virtio_config_interrupt(d);
	if (isr & ISR_QUEUE)
		virtio_interrupt_all(d);
}

static int pci_activate(struct virtio_device *d, struct virtq *q, unsigned cpu)
{
	struct virtio_pci *v = d->transport;
	volatile struct common *c = v->common;
	uint16_t vector = v->per_queue ? (uint16_t)(MSIX_QUEUES + q->index)
			  : v->shared  ? MSIX_QUEUES
				       : NO_VECTOR;
	c->queue_select = (uint16_t)q->index;
	c->queue_size = q->size;
	c->queue_desc_low = (uint32_t)q->desc_phys;
	c->queue_desc_high = (uint32_t)(q->desc_phys >> 32);
	c->queue_driver_low = (uint32_t)q->driver_phys;
	c->queue_driver_high = (uint32_t)(q->driver_phys >> 32);
	c->queue_device_low = (uint32_t)q->device_phys;
	c->queue_device_high = (uint32_t)(q->device_phys >> 32);
	uint64_t bell = (uint64_t)c->queue_notify_off * v->notify_multiplier;
	if (bell + 2 > v->notify.size)
		return -EIO;
	q->notify = v->notify.p + bell;
	if (v->per_queue) {
		int err = pci_msix_set(v->pci, vector, cpu, virtio_queue_interrupt, q, d->name);
		if (err)
			return err;
	}
	if (v->per_queue || v->shared) {
		c->queue_msix_vector = vector;
		if (c->queue_msix_vector != vector)
			return -EIO;
	}
	c->queue_enable = 1;
	return 0;
}

static const struct virtio_transport transport = {
    .features = pci_features,
    .accept = pci_accept,
    .status = pci_status,
    .set_status = pci_set_status,
    .config = pci_config,
    .generation = pci_generation,
    .queue_size = pci_queue_size,
    .activate = pci_activate,
};

/* The structure a vendor capability describes, if it is wholly inside its BAR. */
static struct window window_at(struct pci_device *p, unsigned cap)
{
	uint32_t offset = pci_read(p, cap + 8, 4), size = pci_read(p, cap + 12, 4);
	unsigned bar = pci_read(p, cap + 4, 1);
	volatile uint8_t *base = pci_map_bar(p, bar);
	if (!base || offset > p->bar[bar].size || size > p->bar[bar].size - offset)
		return (struct window){0};
	return (struct window){base + offset, size};
}

static bool find_windows(struct virtio_pci *v)
{
	struct pci_device *p = v->pci;
	for (unsigned cap = pci_capability(p, PCI_CAP_VENDOR, 0); cap;
	     cap = pci_capability(p, PCI_CAP_VENDOR, cap)) {
		struct window w;
		switch (pci_read(p, cap + 3, 1)) {
		case CAP_COMMON:
			w = window_at(p, cap);
			if (!v->common && w.size >= sizeof(struct common))
				v->common = (volatile struct common *)w.p;
			break;
		case CAP_NOTIFY:
			if (!v->notify.p) {
				v->notify = window_at(p, cap);
				v->notify_multiplier = pci_read(p, cap + 16, 4);
			}
			break;
		case CAP_ISR:
			if (!v->isr.p)
				v->isr = window_at(p, cap);
			break;
		case CAP_DEVICE:
			if (!v->device.p)
				v->device = window_at(p, cap);
			break;
		}
	}
	return v->common && v->notify.p && v->isr.p;
}

static int set_interrupts(struct virtio_device *d, struct virtio_pci *v)
{
	int err = pci_msix_enable(v->pci);
	if (!err && v->pci->msix_vectors >= 2) {
		v->per_queue = v->pci->msix_vectors >= MSIX_QUEUES + v->common->num_queues;
		v->shared = !v->per_queue;
		err = pci_msix_set(v->pci, MSIX_CONFIG, 0, virtio_config_interrupt, d, d->name);
		if (!err && v->shared)
			err = pci_msix_set(v->pci, MSIX_QUEUES, 0, shared_interrupt, d, d->name);
		if (!err)
			return 0;
	}
	v->per_queue = v->shared = false;
	return pci_intx_set(v->pci, intx_interrupt, d, d->name);
}

static void start(struct pci_device *p, uint16_t type)
{
	struct virtio_pci *v = kzalloc(sizeof *v);
	struct virtio_device *d = kzalloc(sizeof *d);
	if (!v || !d)
		goto fail;
	snprintf(d->name, sizeof d->name, "virtio%u pci %02x:%02x.%u", type, p->bus, p->slot,
	    p->function);
	pci_enable(p);
	v->pci = p;
	d->type = type;
	d->ops = &transport;
	d->transport = v;
	if (!find_windows(v)) {
		pr_err("%s: the device has no modern interface (disable-modern=on?)", d->name);
		goto fail;
	}
	d->config_size = v->device.size;
	if (set_interrupts(d, v)) {
		pr_err("%s: the device can raise neither MSI-X nor line interrupts", d->name);
		goto fail;
	}
	p->driver = "virtio";
	virtio_register(d);
	return;
fail:
	kfree(v);
	kfree(d);
}

void virtio_pci_init(void)
{
	struct pci_device *p;
	list_for_each_entry (p, &pci_devices, link) {
		if (p->vendor != VENDOR_VIRTIO)
			continue;
		if (p->device >= MODERN_FIRST && p->device <= MODERN_LAST)
			start(p, p->device - MODERN_FIRST);
		else if (p->device >= TRANSITIONAL_FIRST && p->device < MODERN_FIRST)
			start(p, p->subdevice);
	}
}
