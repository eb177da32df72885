/* SPDX-License-Identifier: BSD-3-Clause */
/* The ChaCha20 block function (RFC 8439), for the random number generator. */
#pragma once

#include "lib/util.h"

#define CHACHA_KEY 32
#define CHACHA_BLOCK 64

/* One block of key stream: out[64] from a key, a 32-bit block counter and a 96-bit nonce. */
void chacha20_block(const uint8_t key[CHACHA_KEY], uint32_t counter, const uint8_t nonce[12],
    uint8_t out[CHACHA_BLOCK]);
