/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the SMBIOS tables: an entry point somewhere on a paragraph of the last 64 KiB below 1 MiB
 * says where the structures are; the first of type 0 describes the BIOS, with its strings behind
 * it. The tables are the firmware's, so every length is checked.
 */
#include "arch/x86/smbios.h"
#include "lib/string.h"
#include "mm/page.h"

#define AREA 0xf0000u
#define AREA_SIZE 0x10000u
#define MAX_TABLE 0x10000u

enum { TYPE_BIOS = 0, TYPE_END = 127 };

struct structure {
	uint8_t type, length;
	uint16_t handle;
} __attribute__((packed));

static bool checksum_ok(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum == 0;
}

/* Where the structures are: of a 64-bit entry point ("_SM3_") or a 32-bit one ("_SM_"). */
static const uint8_t *find_table(size_t *size)
{
	const uint8_t *area = phys_virt(AREA);

	for (size_t at = 0; at + 32 <= AREA_SIZE; at += 16) {
		const uint8_t *e = area + at;
		uint64_t where = 0;
		uint32_t low, bytes32;
		uint16_t bytes16;
		if (!memcmp(e, "_SM3_", 5) && e[6] >= 24 && e[6] <= 32 && checksum_ok(e, e[6])) {
			memcpy(&bytes32, e + 12, 4);
			memcpy(&where, e + 16, 8);
			*size = MIN(bytes32, MAX_TABLE);
		} else if (!memcmp(e, "_SM_", 4) && e[5] >= 30 && e[5] <= 32 &&
			   checksum_ok(e, e[5])) {
			memcpy(&bytes16, e + 22, 2);
			memcpy(&low, e + 24, 4);
			where = low;
			*size = bytes16;
		}
		if (where && where < 1ull << 32 && where + *size <= 1ull << 32)
			return phys_virt(where);
	}
	return NULL;
}

/* String `index` (from 1) behind a structure. */
static void copy_string(const char *p, const char *end, unsigned index, char *buf, size_t size)
{
	for (unsigned i = 1; p < end && *p; i++) {
		size_t n = strnlen(p, (size_t)(end - p));
		if (i == index) {
			strlcpy(buf, p, MIN(n + 1, size));
			return;
		}
		p += n + 1;
	}
}

void smbios_vendor(char *buf, size_t size)
{
	size_t left = 0;
	const uint8_t *p = find_table(&left);

	*buf = 0;
	while (p && left >= sizeof(struct structure)) {
		const struct structure *s = (const struct structure *)p;
		if (s->length < sizeof *s || s->length > left || s->type == TYPE_END)
			return;
		const char *strings = (const char *)p + s->length, *end = (const char *)p + left;
		if (s->type == TYPE_BIOS && s->length > 4) {
			copy_string(strings, end, p[4], buf, size);
			return;
		}
		while (end - strings >= 2 && (strings[0] || strings[1]))
			strings++;
		if (end - strings < 2)
			return;
		left = (size_t)(end - strings) - 2;
		p = (const uint8_t *)strings + 2;
	}
}
