/* SPDX-License-Identifier: BSD-3-Clause */
/* LZ4 blocks (the raw format, without frames): the compressed kernel and EROFS. Pure code: also in
 * the 32-bit boot loader and on the host. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Decompresses the block src[0..n) into dst, which has room for `room` bytes. The buffers do not
 * overlap. With `partial` it stops when dst is full; otherwise a block that holds more than fits is
 * an error. Bytes written, or -1 if the block is damaged.
 */
long lz4_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t room, int partial);
