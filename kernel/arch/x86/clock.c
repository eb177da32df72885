/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calibration of the TSC and of the APIC timer, and the wall clock. In order of trust: KVM's clock
 * page, CPUID leaf 0x15 and KVM's timing leaf, the APIC timer where its rate is known (QEMU's
 * emulation counts nanoseconds), the ACPI PM timer, the PIT.
 */
#include "arch/x86/clock.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "core/bootinfo.h"
#include "core/init.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/timer.h"

struct timekeeper timekeeper;
static const char *source = "tsc";

enum { MSR_KVM_WALL = 0x4b564d00, MSR_KVM_SYSTEM = 0x4b564d01 };

struct pvclock_page { /* Linux's Documentation/virt/kvm/x86/msr.rst */
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad[2];
} __attribute__((packed));

static struct pvclock_page pvclock __attribute__((aligned(64)));

static uint64_t mul_shift32(uint64_t a, uint64_t b)
{
	return (uint64_t)(((unsigned __int128)a * b) >> 32);
}

int64_t time_now(void)
{
	return (int64_t)mul_shift32(rdtsc() - timekeeper.tsc_base, timekeeper.mult);
}

uint64_t clock_tsc_at(int64_t ns)
{
	/* From now, not from the start: the factor is a little small, and over a day of uptime that
	 * would make each timer fire milliseconds early, again and again until its time has come.
	 * Beyond an hour the timer is set anew on the way, so nothing overflows. */
	uint64_t tsc = rdtsc();
	int64_t left = ns - (int64_t)mul_shift32(tsc - timekeeper.tsc_base, timekeeper.mult);
	if (left <= 0)
		return tsc;
	left = MIN(left, 3600 * NSEC_PER_SEC);
	return tsc + ((uint64_t)left * (unsigned __int128)timekeeper.tsc_per_ns >> 24) + 1;
}

int64_t time_wall_offset(void)
{
	return atomic_load_explicit(&timekeeper.wall_offset, memory_order_relaxed);
}

int64_t time_wall(void)
{
	return time_now() + time_wall_offset();
}

void time_set_wall(int64_t ns)
{
	atomic_store(&timekeeper.wall_offset, ns - time_now());
}

const char *clock_source_name(void)
{
	return source;
}

/* Which hypervisor: fills the signature, returns the highest leaf (0 without one). */
static uint32_t hypervisor(char name[13])
{
	uint32_t r[4];

	memset(name, 0, 13);
	cpuid(1, 0, r);
	if (!(r[2] & 1u << 31))
		return 0;
	cpuid(0x40000000, 0, r);
	memcpy(name, &r[1], 12);
	return r[0];
}

static uint64_t hz_from_kvm(uint32_t max_leaf)
{
	uint32_t r[4];

	cpuid(0x40000001, 0, r);
	if (!(r[0] & 1 << 3)) /* new clock MSRs */
		return 0;
	wrmsr(MSR_KVM_SYSTEM, (uint64_t)&pvclock - KERNEL_BASE + 1);
	if (pvclock.mul &&
	    (pvclock.flags & 1)) { /* stable across CPUs: the factor is all that is needed */
		source = "kvm-clock";
		uint64_t hz = (NSEC_PER_SEC << 32) / pvclock.mul;
		return pvclock.shift < 0 ? hz << -pvclock.shift : hz >> pvclock.shift;
	}
	if (max_leaf >= 0x40000010) {
		cpuid(0x40000010, 0, r);
		return (uint64_t)r[0] * 1000;
	}
	return 0;
}

static uint64_t hz_from_cpuid(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	if (r[0] < 0x15)
		return 0;
	cpuid(0x15, 0, r);
	return r[0] && r[1] && r[2] ? (uint64_t)r[2] * r[1] / r[0] : 0;
}

/* Reads a counter between two TSC reads and keeps the tightest of several pairs. */
static void sample(uint32_t (*counter)(void), uint64_t *tsc, uint32_t *count)
{
	uint64_t best = ~0ull;

	*tsc = *count = 0;
	for (int i = 0; i < 16; i++) {
		uint64_t a = rdtsc();
		uint32_t c = counter();
		uint64_t b = rdtsc();
		if (b - a < best) {
			best = b - a;
			*tsc = a + (b - a) / 2;
			*count = c;
		}
	}
}

/* TSC ticks per 2^32 counter ticks … as a ratio: tsc / ticks over a span of at least `span` counter
 * ticks. */
static void measure(uint32_t (*counter)(void), uint32_t span, bool down, uint32_t mask,
    uint64_t *tsc, uint64_t *ticks)
{
	uint64_t t0, t1;
	uint32_t c0, c1;

	sample(counter, &t0, &c0);
	do {
		c1 = counter();
		cpu_relax();
	} while (((down ? c0 - c1 : c1 - c0) & mask) < span);
	sample(counter, &t1, &c1);
	*tsc = t1 - t0;
	*ticks = (down ? c0 - c1 : c1 - c0) & mask;
}

static uint32_t pm_timer(void)
{
	return inl((uint16_t)machine.pm_timer_port);
}

static uint32_t pit_counter(void)
{
	outb(0x43, 0x80); /* latch channel 2 */
	uint32_t lo = inb(0x42);
	return lo | (uint32_t)inb(0x42) << 8;
}

static uint64_t hz_from_pm_timer(void)
{
	uint64_t tsc, ticks;

	if (!machine.pm_timer_port || pm_timer() == pm_timer() + 0xffffffffu)
		return 0;
	measure(pm_timer, 3579545 / 200, false, 0xffffff, &tsc, &ticks);
	return tsc * 3579545 / ticks;
}

static uint64_t hz_from_pit(void)
{
	uint64_t tsc, ticks;

	outb(0x61, (inb(0x61) & ~2) | 1); /* gate of channel 2 on, speaker off */
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	uint32_t a = pit_counter();
	for (int i = 0; i < 1000 && pit_counter() == a; i++)
		cpu_relax();
	if (pit_counter() == a)
		return 0;
	measure(pit_counter, 1193182 / 100, true, 0xffff, &tsc, &ticks);
	return tsc * 1193182 / ticks;
}

/* The APIC timer against the TSC; its rate in Hz if the TSC's is known, else assumes `apic_hz`. */
static void measure_apic(uint64_t *tsc, uint64_t *ticks)
{
	apic_timer_start_max();
	measure(apic_timer_count, 2000000, true, 0xffffffff, tsc, ticks);
	apic_timer_stop();
}

static int bcd(int v)
{
	return (v & 15) + (v >> 4) * 10;
}

static int cmos(int reg)
{
	outb(0x70, (uint8_t)reg);
	return inb(0x71);
}

/* Days since 1970 of a civil date. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t leap_years = (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400 - 477;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return (y - 1970) * 365 + leap_years + before[(m - 1) % 12] + (leap && m > 2) + d - 1;
}

/* Seconds since 1970 from the real-time clock of the PC, or 0 if there is none. */
static int64_t read_rtc(void)
{
	int t[6], again[6];
	static const uint8_t reg[6] = {0, 2, 4, 7, 8, 9};

	for (int tries = 0; tries < 1000; tries++) {
		while ((cmos(10) & 0x80) && tries++ < 1000)
			cpu_relax();
		for (int i = 0; i < 6; i++)
			t[i] = cmos(reg[i]);
		for (int i = 0; i < 6; i++)
			again[i] = cmos(reg[i]);
		if (!memcmp(t, again, sizeof t))
			break;
	}
	int mode = cmos(11);
	bool pm = t[2] & 0x80;
	t[2] &= 0x7f;
	if (!(mode & 4))
		for (int i = 0; i < 6; i++)
			t[i] = bcd(t[i]);
	if (!(mode & 2))
		t[2] = t[2] % 12 + (pm ? 12 : 0);
	if (t[4] < 1 || t[4] > 12 || t[3] < 1 || t[3] > 31 || t[0] > 60)
		return 0;
	return days_from_civil(2000 + t[5], t[4], t[3]) * 86400 + t[2] * 3600 + t[1] * 60 + t[0];
}

void clock_init(void)
{
	char name[13];
	uint32_t max_leaf = hypervisor(name);
	bool tcg = !strcmp(name, "TCGTCGTCGTCG");
	uint64_t hz = 0, tsc, ticks;

	timekeeper.tsc_base = bootinfo.start_tsc;
	if (!strcmp(name, "KVMKVMKVM"))
		hz = hz_from_kvm(max_leaf);
	if (!hz && !tcg)
		hz = hz_from_cpuid();
	if (!hz && !tcg)
		hz = hz_from_pm_timer();
	if (!hz && !tcg)
		hz = hz_from_pit();
	measure_apic(&tsc, &ticks);
	if (!hz) /* QEMU's APIC timer counts nanoseconds */
		hz = tsc * NSEC_PER_SEC / ticks;
	apic_set_timer_rate((ticks << 32) / tsc);
	timekeeper.tsc_hz = hz;
	timekeeper.tsc_per_ns = (hz << 24) / NSEC_PER_SEC;
	timekeeper.mult = ((uint64_t)NSEC_PER_SEC << 32) / hz;
	atomic_store(&timekeeper.wall_offset, read_rtc() * NSEC_PER_SEC - time_now());
	pr_info("clock: %s, TSC %lu kHz", source, hz / 1000);
}
