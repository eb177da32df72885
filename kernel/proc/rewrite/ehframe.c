/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding a function's bounds in the unwind tables. */
#include "proc/rewrite/ehframe.h"

#include "lib/string.h"

enum { ENC_UDATA4 = 0x03, ENC_DATAREL_SDATA4 = 0x3b, ENC_PCREL_SDATA4 = 0x1b, ENC_OMIT = 0xff };

#define MAX_CIE 64

struct table_entry {
	int32_t start, fde; /* relative to the header */
};

/* Bytes of a value in an encoding, 0 if unknown. */
static unsigned encoded_size(uint8_t enc)
{
	switch (enc & 0x0f) {
	case 0x02:
	case 0x0a:
		return 2;
	case 0x03:
	case 0x0b:
		return 4;
	case 0x00:
	case 0x04:
	case 0x0c:
		return 8;
	default:
		return 0;
	}
}

static const uint8_t *skip_leb(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (*p & 0x80))
		p++;
	return p < end ? p + 1 : NULL;
}

/* Whether the CIE's FDEs hold 32-bit PC-relative addresses, and whether they have landing pads. */
static bool parse_cie(const struct eh_reader *r, uint64_t cie, bool *lsda)
{
	uint8_t buf[MAX_CIE];
	uint32_t length;
	if (!r->read(r, cie, &length, 4) || length < 10 || length == 0xffffffff)
		return false;
	size_t n = MIN((size_t)length, sizeof buf);
	if (!r->read(r, cie + 4, buf, n))
		return false;
	const uint8_t *end = buf + n, *aug = buf + 5, *p;
	uint32_t id;
	memcpy(&id, buf, 4);
	p = memchr(aug, 0, (size_t)(end - aug));
	if (id != 0 || !p || aug[0] != 'z')
		return false;
	/* Signal return code claims to start one byte early, so it cannot be decoded from there
	 * (and debuggers know it by its bytes). */
	if (memchr(aug, 'S', (size_t)(p - aug)))
		return false;
	p++;
	for (int i = 0; i < 2 && p; i++) /* code and data alignment */
		p = skip_leb(p, end);
	if (!p || p >= end)
		return false;
	p = buf[4] == 1 ? p + 1 : skip_leb(p, end); /* return address register */
	if (p)
		p = skip_leb(p, end); /* length of the augmentation data */
	*lsda = false;
	for (const uint8_t *a = aug + 1; p && *a; a++) {
		if (*a == 'B')
			continue;
		if (p >= end)
			return false;
		uint8_t enc = *p++;
		if (*a == 'R')
			return enc == ENC_PCREL_SDATA4;
		if (*a == 'L')
			*lsda = true;
		else if (*a == 'P')
			p += encoded_size(enc) && (size_t)(end - p) >= encoded_size(enc)
				 ? encoded_size(enc)
				 : 64;
		else
			return false;
	}
	return false;
}

static bool parse_fde(const struct eh_reader *r, uint64_t fde, struct eh_function *out)
{
	struct {
		uint32_t length, cie;
		int32_t start;
		uint32_t range;
	} f;
	if (!r->read(r, fde, &f, sizeof f) || f.length < 12 || f.length == 0xffffffff || !f.cie)
		return false;
	if (!parse_cie(r, fde + 4 - f.cie, &out->has_landing_pads))
		return false;
	out->start = fde + 8 + (uint64_t)(int64_t)f.start;
	out->end = out->start + f.range;
	return true;
}

bool eh_find_function(
    const struct eh_reader *r, uint64_t hdr, uint64_t size, uint64_t pc, struct eh_function *out)
{
	uint8_t head[12];
	uint32_t count;
	if (size < sizeof head || !r->read(r, hdr, head, sizeof head))
		return false;
	if (head[0] != 1 || encoded_size(head[1]) != 4 || head[2] != ENC_UDATA4 ||
	    head[3] != ENC_DATAREL_SDATA4)
		return false;
	memcpy(&count, head + 8, 4);
	if (count == 0 || count > (size - sizeof head) / sizeof(struct table_entry))
		return false;
	int64_t want = (int64_t)(pc - hdr);
	if (want < INT32_MIN || want > INT32_MAX)
		return false;
	uint32_t low = 0,
		 high = count; /* the last entry that starts at or before pc is in [low, high) */
	struct table_entry e;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		if (!r->read(r, hdr + sizeof head + mid * sizeof e, &e, sizeof e))
			return false;
		if (e.start <= want)
			low = mid;
		else
			high = mid;
	}
	if (!r->read(r, hdr + sizeof head + low * sizeof e, &e, sizeof e) || e.start > want)
		return false;
	if (!parse_fde(r, hdr + (uint64_t)(int64_t)e.fde, out))
		return false;
	return out->start <= pc && pc < out->end;
}
