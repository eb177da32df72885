/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio over MMIO (VIRTIO 1.2, section 4.2): version 2, and version 1, which is what QEMU's
 * microvm has unless told otherwise. Devices come from the DSDT and from the command line.
 */
#include <asm/errno.h>
#include "arch/x86/irq.h"
#include "arch/x86/machine.h"
#include "core/log.h"
#include "drivers/drivers.h"
#include "drivers/virtio/virtio.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

enum {
	MAGIC = 0x000,
	VERSION = 0x004,
	DEVICE_ID = 0x008,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SELECT = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SELECT = 0x024,
	GUEST_PAGE_SIZE = 0x028, /* version 1 */
	QUEUE_SELECT = 0x030,
	QUEUE_SIZE_MAX = 0x034,
	QUEUE_SIZE = 0x038,
	QUEUE_ALIGN = 0x03c, /* version 1 */
	QUEUE_PFN = 0x040,   /* version 1 */
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = 0x050,
	INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACK = 0x064,
	STATUS = 0x070,
	QUEUE_DESC = 0x080,
	QUEUE_DRIVER = 0x090,
	QUEUE_DEVICE = 0x0a0,
	CONFIG_GENERATION = 0x0fc,
	CONFIG = 0x100,
	MAGIC_VALUE = 0x74726976,
	MAX_SIZE = 1 << 20,
};

static uint32_t get(struct virtio_device *d, unsigned reg)
{
	return *(volatile uint32_t *)((volatile uint8_t *)d->transport + reg);
}

static void set(struct virtio_device *d, unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)((volatile uint8_t *)d->transport + reg) = v;
}

static void set_address(struct virtio_device *d, unsigned reg, uint64_t phys)
{
	set(d, reg, (uint32_t)phys);
	set(d, reg + 4, (uint32_t)(phys >> 32));
}

static uint64_t mmio_features(struct virtio_device *d)
{
	set(d, DEVICE_FEATURES_SELECT, 0);
	uint64_t low = get(d, DEVICE_FEATURES);
	if (d->legacy)
		return low;
	set(d, DEVICE_FEATURES_SELECT, 1);
	return low | (uint64_t)get(d, DEVICE_FEATURES) << 32;
}

static void mmio_accept(struct virtio_device *d, uint64_t features)
{
	set(d, DRIVER_FEATURES_SELECT, 0);
	set(d, DRIVER_FEATURES, (uint32_t)features);
	if (d->legacy) {
		set(d, GUEST_PAGE_SIZE, PAGE_SIZE);
		return;
	}
	set(d, DRIVER_FEATURES_SELECT, 1);
	set(d, DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint8_t mmio_status(struct virtio_device *d)
{
	return (uint8_t)get(d, STATUS);
}

static void mmio_set_status(struct virtio_device *d, uint8_t status)
{
	set(d, STATUS, status);
}

static uint32_t mmio_config(struct virtio_device *d, unsigned offset, unsigned size)
{
	volatile uint8_t *p = (volatile uint8_t *)d->transport + CONFIG + offset;
	return size == 4 ? *(volatile uint32_t *)p : size == 2 ? *(volatile uint16_t *)p : *p;
}

static uint32_t mmio_generation(struct virtio_device *d)
{
	return d->legacy ? 0 : get(d, CONFIG_GENERATION);
}

static uint16_t mmio_queue_size(struct virtio_device *d, unsigned index)
{
	set(d, QUEUE_SELECT, index);
	uint32_t n = get(d, QUEUE_SIZE_MAX);
	return n > 32768 ? 0 : (uint16_t)n;
}

static int mmio_activate(struct virtio_device *d, struct virtq *q, unsigned cpu)
{
	(void)cpu; /* one interrupt for the device, on the boot CPU */
	set(d, QUEUE_SELECT, q->index);
	set(d, QUEUE_SIZE, q->size);
	q->notify = (volatile uint8_t *)d->transport + QUEUE_NOTIFY;
	q->notify_wide = true;
	if (d->legacy) {
		if (q->desc_phys >> PAGE_SHIFT > 0xffffffff)
			return -EIO;
		set(d, QUEUE_ALIGN, PAGE_SIZE);
		set(d, QUEUE_PFN, (uint32_t)(q->desc_phys >> PAGE_SHIFT));
		return 0;
	}
	set_address(d, QUEUE_DESC, q->desc_phys);
	set_address(d, QUEUE_DRIVER, q->driver_phys);
	set_address(d, QUEUE_DEVICE, q->device_phys);
	set(d, QUEUE_READY, 1);
	return get(d, QUEUE_READY) ? 0 : -EIO;
}

static void mmio_interrupt(void *arg)
{
	struct virtio_device *d = arg;
	uint32_t status = get(d, INTERRUPT_STATUS);
	if (!status)
		return;
	set(d, INTERRUPT_ACK, status);
	if (status & 2)
		virtio_config_interrupt(d);
	if (status & 1)
		virtio_interrupt_all(d);
}

static const struct virtio_transport transport = {
    .features = mmio_features,
    .accept = mmio_accept,
    .status = mmio_status,
    .set_status = mmio_set_status,
    .config = mmio_config,
    .generation = mmio_generation,
    .queue_size = mmio_queue_size,
    .activate = mmio_activate,
};

static void start(uint64_t phys, uint32_t size, unsigned gsi, bool level, bool low)
{
	struct virtio_device *d = kzalloc(sizeof *d);
	volatile uint8_t *page;
	if (!d)
		return;
	page = mmio_map(ALIGN_DOWN(phys, PAGE_SIZE), size + (phys & ~PAGE_MASK));
	d->transport = (void *)(page + (phys & ~PAGE_MASK));
	d->ops = &transport;
	d->config_size = size - CONFIG;
	uint32_t version = get(d, VERSION);
	d->type = (uint16_t)get(d, DEVICE_ID);
	d->legacy = version == 1;
	snprintf(d->name, sizeof d->name, "virtio%u mmio %llx", d->type, (unsigned long long)phys);
	if (get(d, MAGIC) != MAGIC_VALUE || !d->type) { /* an empty slot */
		kfree(d);
		return;
	}
	if (version != 1 && version != 2) {
		pr_err("%s: unknown interface version %u", d->name, version);
		kfree(d);
		return;
	}
	int err = irq_route_gsi(gsi, level, low, mmio_interrupt, d, d->name);
	if (err) {
		pr_err("%s: interrupt %u cannot be routed (error %d)", d->name, gsi, -err);
		kfree(d);
		return;
	}
	virtio_register(d);
}

int virtio_mmio_add(const char *value)
{
	uint64_t size, phys, gsi;
	const char *p = parse_u64(value, 0, &size);
	if (*p == 'K' || *p == 'k') {
		size <<= 10;
		p++;
	} else if (*p == 'M' || *p == 'm') {
		size <<= 20;
		p++;
	}
	if (*p != '@')
		return -EINVAL;
	p = parse_u64(p + 1, 0, &phys);
	if (*p != ':')
		return -EINVAL;
	p = parse_u64(p + 1, 0, &gsi);
	if (*p && *p != ':') /* a further ":ID" names the platform device */
		return -EINVAL;
	if (size <= CONFIG || size > MAX_SIZE || !phys || phys & 3 || gsi > 1023)
		return -EINVAL;
	for (unsigned i = 0; i < machine.nvirtio_mmio; i++)
		if (machine.virtio_mmio[i].phys == phys)
			return 0;
	if (machine.nvirtio_mmio == ARRAY_SIZE(machine.virtio_mmio))
		return -ENOSPC;
	/* The command line's interrupts are edges, as for an ISA device: level and low stay false.
	 */
	machine.virtio_mmio[machine.nvirtio_mmio].phys = phys;
	machine.virtio_mmio[machine.nvirtio_mmio].size = (uint32_t)size;
	machine.virtio_mmio[machine.nvirtio_mmio++].gsi = (uint32_t)gsi;
	return 0;
}

void virtio_mmio_init(void)
{
	for (unsigned i = 0; i < machine.nvirtio_mmio; i++)
		start(machine.virtio_mmio[i].phys, machine.virtio_mmio[i].size,
		    machine.virtio_mmio[i].gsi, machine.virtio_mmio[i].level,
		    machine.virtio_mmio[i].low);
}
