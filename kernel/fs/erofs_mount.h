/* SPDX-License-Identifier: BSD-3-Clause */
/* EROFS images on disks as file systems. */
#pragma once

#include "fs/blockdev.h"

extern struct fs_type erofs_type;
/* Mounts the image in bytes [start, start + size) of disk d. err_ptr() on failure. */
struct super *erofs_mount_at(struct block_device *d, uint64_t start, uint64_t size, unsigned flags);
