/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the EROFS library: reading little-endian fields, and the parts' entry points. */
#pragma once

#include <asm/errno.h>
#include "fs/erofs/erofs.h"
#include "lib/string.h"

#define INCOMPAT_ZERO_PADDING 0x01u
#define INCOMPAT_KNOWN \
	0x37u /* 0-padding, compression configs/big pclusters, chunks, tails, fragments/dedupe */

static inline uint16_t le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t le32(const void *p)
{
	return le16(p) | (uint32_t)le16((const uint8_t *)p + 2) << 16;
}
static inline uint64_t le64(const void *p)
{
	return le32(p) | (uint64_t)le32((const uint8_t *)p + 4) << 32;
}

/* The only way to the image: refuses what is outside. */
static inline int erofs_bytes(const struct erofs *fs, uint64_t off, void *buf, size_t n)
{
	if (off > fs->io.size || n > fs->io.size - off)
		return -EIO;
	return fs->io.read(fs->io.ctx, off, buf, n);
}

/* Fills i->z from the header of a compressed file. */
int erofs_z_init(const struct erofs *fs, struct erofs_inode *i);
int erofs_z_map(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e);
