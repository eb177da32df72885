/* SPDX-License-Identifier: BSD-3-Clause */
/* Block devices: asynchronous requests in batches; the page cache and raw /dev nodes stand on this.
 */
#pragma once

#include "lib/list.h"
#include "mm/page.h"

#define SECTOR_SIZE 512

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

struct block_segment {
	uint64_t phys; /* physical address; any alignment of 512 */
	uint32_t len;
};

struct block_request {
	struct block_device *dev;
	enum block_op op;
	bool fua;
	uint64_t sector;
	struct block_segment *seg;
	unsigned nseg;
	uint32_t sectors; /* of DISCARD and WRITE_ZEROES */
	/* Called once, in interrupt or thread context, when done; err 0 or -EIO, -ENOSPC,
	 * -EOPNOTSUPP. */
	void (*done)(struct block_request *r, int err);
	void *private;
	struct list link; /* driver's */
};

struct block_device {
	char name[16]; /* "vda" */
	uint64_t rdev;
	uint64_t sectors;
	uint32_t logical_size, physical_size; /* bytes */
	uint32_t max_segments, max_segment_size;
	bool read_only, rotational, has_flush, has_discard, has_write_zeroes;
	char serial[21];
	/* Starts the requests of a list, which is empty afterwards; thread context. Requests wait
	 * inside the driver when the ring is full. `op` and `fua` of a request are the driver's to
	 * change. */
	void (*submit)(struct block_device *d, struct list *requests);
	void *private;
	struct inode *inode; /* of the device: its mapping is the device's page cache */
	_Atomic uint64_t reads, writes, read_sectors, write_sectors, in_flight;
	struct list link;
};

/* Registers a disk and tells the observers. Thread context. */
void block_register(struct block_device *d);
/* Has fn called (thread context) for each disk, registered already or later: who makes /dev/NAME
 * and the page cache. The record is kept. */
struct block_observer {
	struct list link;
	void (*fn)(struct block_device *d);
};
void block_observe(struct block_observer *o);
/* Calls fn for each disk, in order of registration. Thread context. */
void block_for_each(void (*fn)(void *ctx, struct block_device *d), void *ctx);
struct block_device *block_find(const char *name);
/* The i-th disk in order of registration, NULL behind the last. Disks are never unregistered. */
struct block_device *block_nth(unsigned i);
/* Synchronous helpers. n sectors to or from kernel memory in the direct map. 0 or -errno. */
int block_read(struct block_device *d, uint64_t sector, void *buf, unsigned n);
int block_write(struct block_device *d, uint64_t sector, const void *buf, unsigned n);
int block_flush(struct block_device *d);
