/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks as files and as the ground of file systems. */
#pragma once

#include "drivers/block.h"
#include "fs/vfs.h"

/* The inode of a disk, whose mapping is its page cache; the disk owns it. NULL without memory. */
struct inode *disk_inode(struct block_device *d);
/* Fills n locked pages from consecutive sectors, as mapping_ops.read_pages does: marks each up to
 * date and unlocks it, when done. 0 or -errno. Thread context; does not wait. */
int disk_read_pages(struct block_device *d, uint64_t sector, struct page **pages, unsigned n);
