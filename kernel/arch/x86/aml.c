/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads constant names out of ACPI byte code: \_S5 and the resources of virtio-mmio devices. The
 * walk goes into scopes and devices, skips everything else that carries its length, and gives a
 * package up at the first byte it does not understand (the enclosing package's length leads past
 * it).
 */
#include "arch/x86/aml.h"
#include "lib/string.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_ALIAS = 0x06,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_VAR_PACKAGE = 0x13,
	OP_METHOD = 0x14,
	OP_EXTERNAL = 0x15,
	OP_EXT = 0x5b,
	OP_IF = 0xa0,
	OP_ELSE = 0xa1,
	OP_WHILE = 0xa2,
	OP_ONES = 0xff,
	EXT_MUTEX = 0x01,
	EXT_EVENT = 0x02,
	EXT_REGION = 0x80,
	EXT_FIELD = 0x81,
	EXT_DEVICE = 0x82,
	EXT_PROCESSOR = 0x83,
	EXT_POWER = 0x84,
	EXT_THERMAL = 0x85,
	EXT_INDEX_FIELD = 0x86,
	EXT_BANK_FIELD = 0x87,
	MAX_DEPTH = 16,
};

/* A stretch of byte code still to be read. */
struct aml {
	const uint8_t *p, *end;
};

/* One constant: a number, or bytes (string, buffer, package with its count byte). */
struct aml_object {
	enum { AML_NUMBER, AML_BYTES, AML_PACKAGE } kind;
	uint64_t number;
	struct aml body;
};

/* What the names of one device said. */
struct device_names {
	bool is_virtio_mmio;
	struct aml crs;
};

static size_t left(const struct aml *a)
{
	return (size_t)(a->end - a->p);
}

/* PkgLength: takes the package that starts at a->p out of a. */
static bool take_package(struct aml *a, struct aml *pkg)
{
	const uint8_t *start = a->p;
	if (left(a) < 1)
		return false;
	unsigned more = *a->p >> 6;
	size_t len = more ? *a->p & 15 : *a->p & 63;
	if (left(a) < 1 + more)
		return false;
	for (unsigned i = 0; i < more; i++)
		len |= (size_t)a->p[1 + i] << (4 + 8 * i);
	if (len < 1 + more || len > left(a))
		return false;
	pkg->p = start + 1 + more;
	pkg->end = a->p = start + len;
	return true;
}

/* NameString: *seg is its last segment, NULL for the null name. */
static bool take_name(struct aml *a, const uint8_t **seg)
{
	size_t n = 1;
	while (left(a) && (*a->p == '\\' || *a->p == '^'))
		a->p++;
	if (!left(a))
		return false;
	if (*a->p == 0x00) {
		a->p++;
		*seg = NULL;
		return true;
	}
	if (*a->p == 0x2e) {
		n = 2;
		a->p++;
	} else if (*a->p == 0x2f) {
		if (left(a) < 2)
			return false;
		n = a->p[1];
		a->p += 2;
	}
	if (n == 0 || left(a) < 4 * n)
		return false;
	if (*a->p != '_' && (*a->p < 'A' || *a->p > 'Z'))
		return false;
	*seg = a->p + 4 * (n - 1);
	a->p += 4 * n;
	return true;
}

static bool take_number(struct aml *a, size_t bytes, uint64_t *v)
{
	if (left(a) < bytes)
		return false;
	*v = 0;
	for (size_t i = 0; i < bytes; i++)
		*v |= (uint64_t)a->p[i] << (8 * i);
	a->p += bytes;
	return true;
}

static bool take_object(struct aml *a, struct aml_object *o)
{
	if (!left(a))
		return false;
	o->kind = AML_NUMBER;
	switch (*a->p++) {
	case OP_ZERO:
		o->number = 0;
		return true;
	case OP_ONE:
		o->number = 1;
		return true;
	case OP_ONES:
		o->number = UINT64_MAX;
		return true;
	case OP_BYTE:
		return take_number(a, 1, &o->number);
	case OP_WORD:
		return take_number(a, 2, &o->number);
	case OP_DWORD:
		return take_number(a, 4, &o->number);
	case OP_QWORD:
		return take_number(a, 8, &o->number);
	case OP_STRING: {
		const uint8_t *zero = memchr(a->p, 0, left(a));
		if (!zero)
			return false;
		o->kind = AML_BYTES;
		o->body = (struct aml){a->p, zero};
		a->p = zero + 1;
		return true;
	}
	case OP_BUFFER: {
		struct aml_object size;
		o->kind = AML_BYTES;
		/* The size is a term; compilers and QEMU write a constant. */
		return take_package(a, &o->body) && take_object(&o->body, &size);
	}
	case OP_PACKAGE:
	case OP_VAR_PACKAGE:
		o->kind = AML_PACKAGE;
		return take_package(a, &o->body);
	}
	return false;
}

static void note_s5(const struct aml_object *o, struct aml_facts *facts)
{
	struct aml body = o->body;
	struct aml_object first;
	if (o->kind != AML_PACKAGE || !left(&body))
		return;
	body.p++; /* count */
	if (take_object(&body, &first) && first.kind == AML_NUMBER && first.number <= 7) {
		facts->has_s5 = true;
		facts->slp_typ5 = (uint32_t)first.number;
	}
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* _CRS of a virtio-mmio device: the memory window and the interrupt. */
static void note_virtio_mmio(struct aml crs, struct aml_facts *facts)
{
	uint64_t phys = 0;
	uint32_t size = 0, gsi = 0;
	uint8_t mode = 0;
	bool has_irq = false;
	while (left(&crs)) {
		const uint8_t *d = crs.p;
		size_t len =
		    d[0] & 0x80 ? (left(&crs) < 3 ? 0 : 3u + (d[1] | d[2] << 8)) : 1u + (d[0] & 7);
		if (!len || len > left(&crs) || d[0] == 0x79)
			break;
		if (d[0] == 0x86 && len >= 12) { /* Memory32Fixed */
			phys = le32(d + 4);
			size = le32(d + 8);
		} else if (d[0] == 0x89 && len >= 9 && d[4] >= 1) { /* extended interrupt */
			gsi = le32(d + 5);
			mode = d[3];
			has_irq = true;
		}
		crs.p += len;
	}
	if (!phys || !size || !has_irq || facts->nvirtio_mmio == AML_MAX_DEVICES)
		return;
	facts->virtio_mmio[facts->nvirtio_mmio].phys = phys;
	facts->virtio_mmio[facts->nvirtio_mmio].size = size;
	facts->virtio_mmio[facts->nvirtio_mmio].level = !(mode & 2);
	facts->virtio_mmio[facts->nvirtio_mmio].low = mode & 4;
	facts->virtio_mmio[facts->nvirtio_mmio++].gsi = gsi;
}

static void note_name(const uint8_t *seg, const struct aml_object *o, struct device_names *dev,
    struct aml_facts *facts)
{
	if (!memcmp(seg, "_S5_", 4)) {
		note_s5(o, facts);
	} else if (!memcmp(seg, "_HID", 4) && o->kind == AML_BYTES) {
		dev->is_virtio_mmio = left(&o->body) == 8 && !memcmp(o->body.p, "LNRO0005", 8);
	} else if (!memcmp(seg, "_CRS", 4) && o->kind == AML_BYTES) {
		dev->crs = o->body;
	}
}

static void walk(struct aml a, struct aml_facts *facts, struct device_names *dev, unsigned depth);

static void walk_device(struct aml body, struct aml_facts *facts, unsigned depth)
{
	struct device_names dev = {0};
	const uint8_t *seg;
	if (!take_name(&body, &seg))
		return;
	walk(body, facts, &dev, depth + 1);
	if (dev.is_virtio_mmio && dev.crs.p)
		note_virtio_mmio(dev.crs, facts);
}

/* The two-byte operators that declare something. False: unknown. */
static bool step_extended(struct aml *a, struct aml_facts *facts, unsigned depth)
{
	struct aml body;
	struct aml_object o;
	const uint8_t *seg;
	if (!left(a))
		return false;
	switch (*a->p++) {
	case EXT_DEVICE:
		if (!take_package(a, &body))
			return false;
		walk_device(body, facts, depth);
		return true;
	case EXT_FIELD:
	case EXT_PROCESSOR:
	case EXT_POWER:
	case EXT_THERMAL:
	case EXT_INDEX_FIELD:
	case EXT_BANK_FIELD:
		return take_package(a, &body);
	case EXT_MUTEX:
		return take_name(a, &seg) && left(a) && a->p++;
	case EXT_EVENT:
		return take_name(a, &seg);
	case EXT_REGION:
		return take_name(a, &seg) && left(a) && a->p++ && take_object(a, &o) &&
		       take_object(a, &o);
	}
	return false;
}

static bool step(struct aml *a, struct aml_facts *facts, struct device_names *dev, unsigned depth)
{
	struct aml body;
	struct aml_object o;
	const uint8_t *seg;
	switch (*a->p++) {
	case OP_ZERO: /* padding */
		return true;
	case OP_NAME:
		if (!take_name(a, &seg) || !take_object(a, &o))
			return false;
		if (seg)
			note_name(seg, &o, dev, facts);
		return true;
	case OP_ALIAS:
		return take_name(a, &seg) && take_name(a, &seg);
	case OP_SCOPE:
		if (!take_package(a, &body))
			return false;
		if (take_name(&body, &seg))
			walk(body, facts, &(struct device_names){0}, depth + 1);
		return true;
	case OP_METHOD:
	case OP_IF:
	case OP_ELSE:
	case OP_WHILE:
		return take_package(a, &body);
	case OP_EXTERNAL:
		if (!take_name(a, &seg) || left(a) < 2)
			return false;
		a->p += 2;
		return true;
	case OP_EXT:
		return step_extended(a, facts, depth);
	}
	return false;
}

static void walk(struct aml a, struct aml_facts *facts, struct device_names *dev, unsigned depth)
{
	if (depth >= MAX_DEPTH)
		return;
	while (left(&a) && step(&a, facts, dev, depth))
		;
}

void aml_scan(const uint8_t *aml, size_t len, struct aml_facts *facts)
{
	walk((struct aml){aml, aml + len}, facts, &(struct device_names){0}, 0);
}
