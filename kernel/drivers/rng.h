/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's random numbers (virtio-rng). */
#pragma once

#include "lib/util.h"

/* Up to n bytes from the host. Bytes filled; 0 if there is no such device or it failed. Thread
 * context, may sleep for as long as the host takes. */
size_t hwrng_read(void *buf, size_t n);
