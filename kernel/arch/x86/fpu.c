/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving and restoring vector state (Intel SDM volume 1, chapter 13). */
#include "arch/x86/fpu.h"
#include "arch/x86/cpu.h"
#include "core/init.h"
#include "lib/string.h"

uint32_t fpu_area_size = 512;
uint64_t fpu_features;
static bool has_xsaveopt;

/* x87, SSE, AVX, AVX-512. Not MPX, PKRU, AMX: they would need more than saving. */
#define WANTED_FEATURES 0xe7ull

struct xsave_header {
	uint64_t xstate_bv, xcomp_bv, reserved[6];
};

static void xsetbv(uint64_t v)
{
	asm volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

void fpu_init(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] & 1 << 26))
		return;
	cpuid(0xd, 0, r);
	fpu_features = (r[0] | (uint64_t)r[3] << 32) & WANTED_FEATURES;
	if ((fpu_features & 0xe0) != 0xe0)
		fpu_features &= 7; /* AVX-512 only whole */
	cpuid(0xd, 1, r);
	has_xsaveopt = r[0] & 1;
	fpu_init_cpu();
	cpuid(0xd, 0, r);
	fpu_area_size = r[1]; /* for what XCR0 enables */
}

void fpu_init_cpu(void)
{
	if (fpu_features)
		xsetbv(fpu_features);
}

void fpu_save(void *area)
{
	uint32_t lo = (uint32_t)fpu_features, hi = (uint32_t)(fpu_features >> 32);

	if (!fpu_features)
		asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	else if (has_xsaveopt)
		asm volatile("xsaveopt64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
	else
		asm volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
}

void fpu_restore(const void *area)
{
	if (fpu_features)
		asm volatile(
		    "xrstor64 (%0)"
		    :
		    : "r"(area), "a"((uint32_t)fpu_features), "d"((uint32_t)(fpu_features >> 32))
		    : "memory");
	else
		asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void fpu_init_area(void *area)
{
	memset(area, 0, fpu_area_size);
	*(uint16_t *)area = 0x37f;		   /* FCW */
	*(uint32_t *)((char *)area + 24) = 0x1f80; /* MXCSR */
}

bool fpu_sanitise(void *area)
{
	uint32_t *mxcsr = (uint32_t *)((char *)area + 24);

	*mxcsr &= 0xffff;
	if (!fpu_features)
		return true;
	struct xsave_header *h = (struct xsave_header *)((char *)area + 512);
	if (h->xcomp_bv)
		return false;
	h->xstate_bv &= fpu_features;
	memset(h->reserved, 0, sizeof h->reserved);
	return true;
}
