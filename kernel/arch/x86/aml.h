/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The little that the kernel wants from ACPI's byte code: constant objects. Nothing is executed.
 * Pure code, also built for the host's tests.
 */
#pragma once

#include "lib/util.h"

#define AML_MAX_DEVICES 32

struct aml_facts {
	bool has_s5;
	uint32_t slp_typ5; /* first element of _S5: SLP_TYPa for soft off */
	/* Devices with _HID "LNRO0005": virtio-mmio transports. */
	struct {
		uint64_t phys;
		uint32_t size, gsi;
		bool level, low;
	} virtio_mmio[AML_MAX_DEVICES];
	unsigned nvirtio_mmio;
};

/* Walks the definition block `aml` of len bytes (a DSDT or SSDT without its header) and adds what
 * it finds to *facts. Byte code it does not know ends the walk of the enclosing package only. */
void aml_scan(const uint8_t *aml, size_t len, struct aml_facts *facts);
