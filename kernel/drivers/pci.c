/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI: configuration access, enumeration, BARs and MSI-X (PCI Local Bus 3.0, PCI Express 5.0). */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "core/log.h"
#include "drivers/pci.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/sync.h"

enum {
	PORT_ADDRESS = 0xcf8,
	PORT_DATA = 0xcfc,
	CONFIG_VENDOR = 0x00,
	CONFIG_CLASS = 0x08,
	CONFIG_HEADER_TYPE = 0x0e,
	CONFIG_BAR0 = 0x10,
	CONFIG_SECONDARY_BUS = 0x19,
	CONFIG_SUBSYSTEM = 0x2c,
	STATUS_HAS_CAPABILITIES = 0x10,
	HEADER_BRIDGE = 1,
	HEADER_MULTIFUNCTION = 0x80,
	MSIX_CONTROL = 2,
	MSIX_TABLE = 4,
	MSIX_ENABLE = 1 << 15,
	MSIX_MASK_ALL = 1 << 14,
	MAX_DEPTH = 8,
};

struct list pci_devices = LIST_INIT(pci_devices);
static struct mutex port_lock;	    /* the address/data port pair */
static volatile uint8_t *ecam[256]; /* by bus, mapped when first used */

static volatile uint8_t *ecam_address(const struct pci_device *d)
{
	if (!machine.mcfg_phys || d->bus < machine.mcfg_first_bus || d->bus > machine.mcfg_last_bus)
		return NULL;
	if (!ecam[d->bus])
		ecam[d->bus] = mmio_map(machine.mcfg_phys + ((uint64_t)d->bus << 20), 1u << 20);
	return ecam[d->bus] + (d->slot << 15 | d->function << 12);
}

static uint16_t select_port(const struct pci_device *d, unsigned offset)
{
	outl(PORT_ADDRESS, 1u << 31 | (uint32_t)d->bus << 16 | (uint32_t)d->slot << 11 |
			       (uint32_t)d->function << 8 | (offset & 0xfc));
	return (uint16_t)(PORT_DATA + (offset & 3));
}

uint32_t pci_read(const struct pci_device *d, unsigned offset, unsigned size)
{
	volatile uint8_t *e = ecam_address(d);
	uint32_t v;
	if (e) {
		e += offset;
		return size == 1   ? *e
		       : size == 2 ? *(volatile uint16_t *)e
				   : *(volatile uint32_t *)e;
	}
	mutex_lock(&port_lock);
	uint16_t port = select_port(d, offset);
	v = size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
	mutex_unlock(&port_lock);
	return v;
}

void pci_write(const struct pci_device *d, unsigned offset, unsigned size, uint32_t v)
{
	volatile uint8_t *e = ecam_address(d);
	if (e) {
		e += offset;
		if (size == 1)
			*e = (uint8_t)v;
		else if (size == 2)
			*(volatile uint16_t *)e = (uint16_t)v;
		else
			*(volatile uint32_t *)e = v;
		return;
	}
	mutex_lock(&port_lock);
	uint16_t port = select_port(d, offset);
	if (size == 1)
		outb(port, (uint8_t)v);
	else if (size == 2)
		outw(port, (uint16_t)v);
	else
		outl(port, v);
	mutex_unlock(&port_lock);
}

unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after)
{
	unsigned at;
	if (!(pci_read(d, PCI_STATUS, 2) & STATUS_HAS_CAPABILITIES))
		return 0;
	at = pci_read(d, after ? after + 1 : PCI_CAPABILITIES, 1) & 0xfc;
	/* A list longer than fits in 256 bytes goes in circles. */
	for (int i = 0; i < 48 && at >= 0x40; i++, at = pci_read(d, at + 1, 1) & 0xfc)
		if (pci_read(d, at, 1) == id)
			return at;
	return 0;
}

/* The size of the BAR at offset: what stays zero when all ones are written. */
static uint32_t probe_bar(struct pci_device *d, unsigned offset, uint32_t value)
{
	pci_write(d, offset, 4, 0xffffffff);
	uint32_t mask = pci_read(d, offset, 4);
	pci_write(d, offset, 4, value);
	return mask;
}

static void size_bars(struct pci_device *d, unsigned count)
{
	uint32_t command = pci_read(d, PCI_COMMAND, 2);
	/* The function must not answer at the addresses that probing writes. */
	pci_write(d, PCI_COMMAND, 2, command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (unsigned i = 0; i < count; i++) {
		unsigned offset = CONFIG_BAR0 + 4 * i;
		struct pci_bar *b = &d->bar[i];
		uint32_t value = pci_read(d, offset, 4), mask = probe_bar(d, offset, value);
		if (!mask || mask == 0xffffffff)
			continue;
		if (value & 1) {
			b->io = true;
			b->phys = value & ~3u;
			b->size = (~(mask & ~3u) + 1) & 0xffff;
			continue;
		}
		uint64_t wide = 0xffffffff00000000 | (mask & ~15u);
		b->phys = value & ~15u;
		if ((value & 6) == 4 &&
		    i + 1 < count) { /* 64 bits: the next BAR is the upper half */
			uint32_t high = pci_read(d, offset + 4, 4);
			b->phys |= (uint64_t)high << 32;
			wide = (uint64_t)probe_bar(d, offset + 4, high) << 32 | (mask & ~15u);
			i++;
		}
		b->size = ~wide + 1;
	}
	pci_write(d, PCI_COMMAND, 2, command);
}

/*
 * Small firmware (qboot) leaves 64-bit BARs to the system: they go above all RAM and above 4 GiB,
 * each at a multiple of its size. Returns whether the BAR has an address now.
 */
static bool assign_bar(struct pci_device *d, unsigned bar)
{
	static uint64_t next;
	struct pci_bar *b = &d->bar[bar];
	unsigned offset = CONFIG_BAR0 + 4 * bar;

	if ((pci_read(d, offset, 4) & 6) != 4) {
		pr_err("pci %02x:%02x.%u: the firmware assigned no address to BAR %u", d->bus,
		    d->slot, d->function, bar);
		return false;
	}
	if (!next)
		next = ALIGN_UP(MAX(page_count << PAGE_SHIFT, 4ull << 30), 1ull << 30);
	b->phys = ALIGN_UP(next, b->size);
	next = b->phys + b->size;
	pci_write(d, offset, 4, (uint32_t)b->phys | (pci_read(d, offset, 4) & 15));
	pci_write(d, offset + 4, 4, (uint32_t)(b->phys >> 32));
	return true;
}

volatile uint8_t *pci_map_bar(struct pci_device *d, unsigned bar)
{
	struct pci_bar *b = bar < ARRAY_SIZE(d->bar) ? &d->bar[bar] : NULL;
	if (!b || !b->size || b->io)
		return NULL;
	if (!b->phys && !assign_bar(d, bar))
		return NULL;
	if (!b->virt)
		b->virt = mmio_map(b->phys, b->size);
	return b->virt;
}

void pci_enable(struct pci_device *d)
{
	uint32_t command = pci_read(d, PCI_COMMAND, 2);
	pci_write(
	    d, PCI_COMMAND, 2, command | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

int pci_msix_enable(struct pci_device *d)
{
	volatile uint8_t *bar;
	if (!d->msix_cap)
		return -EOPNOTSUPP;
	uint32_t table = pci_read(d, d->msix_cap + MSIX_TABLE, 4);
	uint64_t offset = table & ~7u;
	bar = pci_map_bar(d, table & 7);
	if (!bar || offset + 16ull * d->msix_vectors > d->bar[table & 7].size)
		return -EIO;
	d->msix_table = (volatile uint32_t *)(bar + offset);
	uint32_t control = pci_read(d, d->msix_cap + MSIX_CONTROL, 2);
	pci_write(d, d->msix_cap + MSIX_CONTROL, 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
	for (unsigned i = 0; i < d->msix_vectors; i++)
		d->msix_table[4 * i + 3] = 1;
	pci_write(
	    d, d->msix_cap + MSIX_CONTROL, 2, (control | MSIX_ENABLE) & ~(uint32_t)MSIX_MASK_ALL);
	return 0;
}

int pci_msix_set(struct pci_device *d, unsigned entry, unsigned cpu, irq_handler handler, void *arg,
    const char *name)
{
	uint64_t address;
	uint32_t data;
	if (!d->msix_table || entry >= d->msix_vectors)
		return -EINVAL;
	int vector = irq_alloc_vector(handler, arg, cpu, name);
	if (vector < 0)
		return vector;
	irq_msi_message(cpu, vector, &address, &data);
	d->msix_table[4 * entry] = (uint32_t)address;
	d->msix_table[4 * entry + 1] = (uint32_t)(address >> 32);
	d->msix_table[4 * entry + 2] = data;
	d->msix_table[4 * entry + 3] = 0;
	return 0;
}

int pci_intx_set(struct pci_device *d, irq_handler handler, void *arg, const char *name)
{
	unsigned line = pci_read(d, PCI_INTERRUPT_LINE, 1);
	bool low = true;
	unsigned gsi = line;
	if (line == 0 || line == 0xff)
		return -ENXIO;
	if (line < ARRAY_SIZE(machine.isa_irq) && machine.isa_irq[line].set) {
		gsi = machine.isa_irq[line].gsi;
		low = machine.isa_irq[line].low;
	}
	return irq_route_gsi(gsi, true, low, handler, arg, name);
}

static void scan_bus(uint8_t bus, unsigned depth);

static void scan_function(uint8_t bus, uint8_t slot, uint8_t function, uint8_t type, unsigned depth)
{
	struct pci_device at = {.bus = bus, .slot = slot, .function = function};
	struct pci_device *d = kzalloc(sizeof *d);
	if (!d) {
		pr_err("pci: no memory for device %02x:%02x.%u", bus, slot, function);
		return;
	}
	*d = at;
	uint32_t id = pci_read(d, CONFIG_VENDOR, 4);
	d->vendor = (uint16_t)id;
	d->device = (uint16_t)(id >> 16);
	d->class = pci_read(d, CONFIG_CLASS, 4);
	bool bridge = (type & 0x7f) == HEADER_BRIDGE;
	if (!bridge) {
		id = pci_read(d, CONFIG_SUBSYSTEM, 4);
		d->subvendor = (uint16_t)id;
		d->subdevice = (uint16_t)(id >> 16);
	}
	size_bars(d, bridge ? 2 : 6);
	d->msix_cap = (uint8_t)pci_capability(d, PCI_CAP_MSIX, 0);
	if (d->msix_cap)
		d->msix_vectors =
		    (uint16_t)((pci_read(d, d->msix_cap + MSIX_CONTROL, 2) & 0x7ff) + 1);
	list_append(&pci_devices, &d->link);
	pr_debug("pci %02x:%02x.%u: %04x:%04x class %06x", bus, slot, function, d->vendor,
	    d->device, d->class >> 8);
	uint8_t secondary = bridge ? (uint8_t)pci_read(d, CONFIG_SECONDARY_BUS, 1) : 0;
	if (secondary > bus && depth < MAX_DEPTH)
		scan_bus(secondary, depth + 1);
}

static void scan_bus(uint8_t bus, unsigned depth)
{
	for (uint8_t slot = 0; slot < 32; slot++) {
		uint8_t functions = 1;
		for (uint8_t f = 0; f < functions; f++) {
			struct pci_device at = {.bus = bus, .slot = slot, .function = f};
			if ((pci_read(&at, CONFIG_VENDOR, 4) & 0xffff) == 0xffff)
				continue;
			uint8_t type = (uint8_t)pci_read(&at, CONFIG_HEADER_TYPE, 1);
			if (f == 0 && type & HEADER_MULTIFUNCTION)
				functions = 8;
			scan_function(bus, slot, f, type, depth);
		}
	}
}

void pci_init(void)
{
	/* Without ECAM the address port tells whether there is PCI at all (microvm has none). */
	if (!machine.mcfg_phys) {
		outl(PORT_ADDRESS, 1u << 31);
		if (inl(PORT_ADDRESS) != 1u << 31)
			return;
	}
	scan_bus(machine.mcfg_phys ? machine.mcfg_first_bus : 0, 0);
}
