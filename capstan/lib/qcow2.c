/* SPDX-License-Identifier: BSD-3-Clause */
/* The qcow2 container around an image (version 3, 64 KiB clusters, 16-bit reference counts). */
#include "qcow2.h"

#include <endian.h>
#include <string.h>

#define CLUSTER CAP_QCOW2_CLUSTER
#define MAGIC 0x514649fbu
#define HEADER_BYTES 104
#define COPIED (1ull << 63)
#define PER_L2 (CLUSTER / 8)	   /* clusters one level-2 table maps */
#define PER_REFBLOCK (CLUSTER / 2) /* clusters one reference-count block covers */

/* Places of everything, counted in clusters: header, L1, L2 tables, refcount table and blocks. */
struct layout {
	uint64_t l1_entries, l1, l2, l2_count, reftable, reftable_count, refblock, refblock_count;
	uint64_t data, data_count;
};

static uint64_t up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit;
}

static struct layout plan(uint64_t disk_bytes, uint64_t content_bytes)
{
	struct layout l = {.data_count = up(content_bytes, CLUSTER)};
	l.l1_entries = up(up(disk_bytes, CLUSTER), PER_L2);
	l.l1 = 1;
	l.l2 = l.l1 + up(l.l1_entries * 8, CLUSTER);
	l.l2_count = up(l.data_count, PER_L2);
	l.reftable = l.l2 + l.l2_count;
	/* The blocks count themselves and their table too: grow until everything is covered. */
	for (l.refblock_count = 1;; l.refblock_count++) {
		l.reftable_count = up(l.refblock_count * 8, CLUSTER);
		l.refblock = l.reftable + l.reftable_count;
		l.data = l.refblock + l.refblock_count;
		if (l.data + l.data_count <= l.refblock_count * PER_REFBLOCK)
			return l;
	}
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, 4);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, 8);
}

static uint64_t get(const uint8_t *p, int bytes)
{
	uint64_t v = 0;
	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

uint64_t cap_qcow2_header_bytes(uint64_t disk_bytes, uint64_t content_bytes)
{
	return plan(disk_bytes, content_bytes).data * CLUSTER;
}

void cap_qcow2_write_header(uint8_t *dst, uint64_t disk_bytes, uint64_t content_bytes)
{
	struct layout l = plan(disk_bytes, content_bytes);
	put32(dst, MAGIC);
	put32(dst + 4, 3);
	put32(dst + 20, 16); /* cluster bits */
	put64(dst + 24, disk_bytes);
	put32(dst + 36, l.l1_entries);
	put64(dst + 40, l.l1 * CLUSTER);
	put64(dst + 48, l.reftable * CLUSTER);
	put32(dst + 56, l.reftable_count);
	put32(dst + 96, 4); /* reference counts of 1 << 4 bits */
	put32(dst + 100, HEADER_BYTES);
	for (uint64_t i = 0; i < l.l2_count; i++)
		put64(dst + l.l1 * CLUSTER + 8 * i, (l.l2 + i) * CLUSTER | COPIED);
	for (uint64_t i = 0; i < l.data_count; i++)
		put64(dst + l.l2 * CLUSTER + 8 * i, (l.data + i) * CLUSTER | COPIED);
	for (uint64_t i = 0; i < l.refblock_count; i++)
		put64(dst + l.reftable * CLUSTER + 8 * i, (l.refblock + i) * CLUSTER);
	for (uint64_t i = 0; i < l.data + l.data_count; i++)
		dst[l.refblock * CLUSTER + 2 * i + 1] = 1;
}

bool cap_qcow2_read_header(
    const uint8_t *data, size_t len, uint64_t *data_offset, uint64_t *disk_bytes)
{
	if (len < HEADER_BYTES || get(data, 4) != MAGIC || get(data + 4, 4) != 3 ||
	    get(data + 20, 4) != 16 || get(data + 8, 8) != 0)
		return false;
	*disk_bytes = get(data + 24, 8);
	uint64_t l1 = get(data + 40, 8);
	if (l1 != CLUSTER || len < 2 * CLUSTER)
		return false;
	uint64_t l2 = get(data + l1, 8) & ~COPIED;
	if (l2 < 2 * CLUSTER || l2 % CLUSTER || l2 > len - 8)
		return false;
	*data_offset = get(data + l2, 8) & ~COPIED;
	return *data_offset > l2 && *data_offset % CLUSTER == 0;
}
