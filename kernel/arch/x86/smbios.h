/* SPDX-License-Identifier: BSD-3-Clause */
/* The firmware's description of itself (DMTF DSP0134). */
#pragma once

#include "lib/util.h"

/* Copies the BIOS vendor's name; empty where the firmware does not say it. Thread context. */
void smbios_vendor(char *buf, size_t size);
