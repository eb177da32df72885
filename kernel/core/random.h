/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's random numbers: for getrandom(), /dev/urandom, address layout, hash keys. */
#pragma once

#include "lib/util.h"

/* Gathers the first entropy (CPU instructions, timing jitter). Once, early at boot. */
void random_init(void);
/* Fills buf with n unpredictable bytes. Thread context; at boot also before threads exist. */
void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);
/* Mixes n bytes from a source (virtio-rng, writes to /dev/urandom) into the pool. Bad or known
 * bytes do no harm. Thread context. */
void random_add(const void *buf, size_t n);
/* read() of /dev/urandom and getrandom(): bytes or -EFAULT. */
struct iter;
long random_read(struct iter *to);
