/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI functions: found once at boot, by ECAM where ACPI announces it, else by configuration ports.
 */
#pragma once

#include "arch/x86/irq.h"
#include "lib/list.h"

enum {
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_COMMAND_IO = 1,
	PCI_COMMAND_MEMORY = 2,
	PCI_COMMAND_MASTER = 4,
	PCI_COMMAND_INTX_OFF = 1 << 10,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
};

struct pci_bar {
	uint64_t phys; /* or port number */
	uint64_t size; /* 0: none */
	bool io;
	volatile uint8_t *virt; /* see pci_map_bar() */
};

struct pci_device {
	uint8_t bus, slot, function;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* base class, subclass, interface, revision */
	struct pci_bar bar[6];
	uint8_t msix_cap;      /* offset, 0 without */
	uint16_t msix_vectors; /* in the device's table */
	volatile uint32_t *msix_table;
	const char *driver; /* who uses it, or NULL */
	struct list link;
};

extern struct list pci_devices;

/* Configuration space. Thread context. */
uint32_t pci_read(const struct pci_device *d, unsigned offset, unsigned size);
void pci_write(const struct pci_device *d, unsigned offset, unsigned size, uint32_t v);
/* The next capability with that id after offset `after` (0: the first); 0 if there is none. */
unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after);
/* Maps a memory BAR; NULL if it is absent, a port range or not assigned by the firmware. */
volatile uint8_t *pci_map_bar(struct pci_device *d, unsigned bar);
/* Lets the function answer and be a bus master. */
void pci_enable(struct pci_device *d);
/* Switches MSI-X on, all entries masked. 0, -EOPNOTSUPP without MSI-X, -EIO if its table cannot be
 * mapped. */
int pci_msix_enable(struct pci_device *d);
/* Points MSI-X entry `entry` at handler(arg) on a CPU. 0 or -errno. */
int pci_msix_set(struct pci_device *d, unsigned entry, unsigned cpu, irq_handler handler, void *arg,
    const char *name);
/* Routes the function's INTx line to handler (shared, level). 0 or -errno. */
int pci_intx_set(struct pci_device *d, irq_handler handler, void *arg, const char *name);

/* Finds all functions. Kernel thread, once. */
void pci_init(void);
