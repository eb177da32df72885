/* SPDX-License-Identifier: BSD-3-Clause */
/* The mounted file systems that have a size. */
#ifndef HTTPSERVER_MACHINE_H
#define HTTPSERVER_MACHINE_H

#include <stdint.h>

struct mount_info {
	const char *filesystem, *mount, *type;
	uint64_t blocks, free_blocks, files, free_files, block_size;
};

/* Calls fn for each. 0 or a negative errno. */
int mounts_walk(void (*fn)(void *arg, const struct mount_info *m), void *arg);

#endif
