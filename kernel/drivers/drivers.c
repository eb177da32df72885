/* SPDX-License-Identifier: BSD-3-Clause */
/* Brings the devices up in the order in which they need each other. */
#include "drivers/drivers.h"
#include "drivers/pci.h"
#include "drivers/virtio/virtio.h"

void drivers_init(void)
{
	pci_init();
	virtio_pci_init();
	virtio_mmio_init();
}
