/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vDSO itself: compiled as a shared object of its own, run by applications. As they run in ring
 * 0 it reads the kernel's clock parameters in place, which never change after boot except for the
 * one word that setting the wall clock stores.
 */
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include "arch/x86/clock.h"
#include "arch/x86/vdso/slots.h"

#define NS_PER_SEC 1000000000ull
#define CLOCK_IDS                                                                               \
	(1u << CLOCK_REALTIME | 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW |             \
	    1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME | \
	    1u << CLOCK_TAI)
#define WALL_IDS (1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_TAI)

int __vdso_clock_gettime(int id, struct __kernel_timespec *ts);
int __vdso_clock_getres(int id, struct __kernel_timespec *ts);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
long __vdso_time(long *t);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);
long __vdso_getrandom(void *buf, unsigned long n, unsigned flags, void *state, unsigned long size);

__attribute__((section(".vdso_slots"), used, visibility("hidden")))
const volatile struct vdso_slots vdso_slots = {.magic = VDSO_SLOTS_MAGIC};

/* The way a rewritten site enters the kernel: rcx holds the return address. */
static inline long kernel_call(long nr, long a, long b, long c)
{
	register long r11 asm("r11") = (long)vdso_slots.syscall_entry;
	long rcx, ret;
	asm volatile("leaq 1f(%%rip), %%rcx; jmp *%%r11; 1:"
		     : "=a"(ret), "=&c"(rcx), "+r"(r11)
		     : "0"(nr), "D"(a), "S"(b), "d"(c)
		     : "memory", "cc");
	return ret;
}

static inline uint64_t monotonic(const struct timekeeper *k)
{
	uint32_t lo, hi;
	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	uint64_t ticks = ((uint64_t)hi << 32 | lo) - k->tsc_base;
	return (uint64_t)(((unsigned __int128)ticks * k->mult) >> 32);
}

static inline uint64_t wall(const struct timekeeper *k)
{
	return monotonic(k) + (uint64_t)atomic_load_explicit(&k->wall_offset, memory_order_relaxed);
}

int __vdso_clock_gettime(int id, struct __kernel_timespec *ts)
{
	const struct timekeeper *k = vdso_slots.timekeeper;
	if ((unsigned)id >= 32 || !(CLOCK_IDS >> id & 1))
		return (int)kernel_call(__NR_clock_gettime, id, (long)ts, 0);
	uint64_t ns = WALL_IDS >> id & 1 ? wall(k) : monotonic(k);
	ts->tv_sec = (long long)(ns / NS_PER_SEC);
	ts->tv_nsec = (long long)(ns % NS_PER_SEC);
	return 0;
}

int __vdso_clock_getres(int id, struct __kernel_timespec *ts)
{
	if ((unsigned)id >= 32 || !(CLOCK_IDS >> id & 1))
		return (int)kernel_call(__NR_clock_getres, id, (long)ts, 0);
	if (ts) {
		ts->tv_sec = 0;
		ts->tv_nsec = 1;
	}
	return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
	if (tv) {
		uint64_t ns = wall(vdso_slots.timekeeper);
		tv->tv_sec = (long)(ns / NS_PER_SEC);
		tv->tv_usec = (long)(ns % NS_PER_SEC / 1000);
	}
	if (tz)
		tz->tz_minuteswest = tz->tz_dsttime = 0;
	return 0;
}

long __vdso_time(long *t)
{
	long now = (long)(wall(vdso_slots.timekeeper) / NS_PER_SEC);
	if (t)
		*t = now;
	return now;
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	uint32_t id;
	(void)unused;
	asm volatile("movl %%gs:(%1), %0" : "=r"(id) : "r"(vdso_slots.cpu_id_offset));
	if (cpu)
		*cpu = id;
	if (node)
		*node = vdso_slots.cpu_node[id];
	return 0;
}

struct getrandom_params { /* vgetrandom_opaque_params */
	uint32_t state_size, mmap_prot, mmap_flags, reserved[13];
};

/* The caller's state stays unused: the kernel's generator is a function call away. */
long __vdso_getrandom(void *buf, unsigned long n, unsigned flags, void *state, unsigned long size)
{
	if (size == ~0ul && !buf && !n && !flags) {
		struct getrandom_params *p = state;
		*p =
		    (struct getrandom_params){.state_size = 64, .mmap_prot = 3, .mmap_flags = 0x22};
		return 0;
	}
	return kernel_call(__NR_getrandom, (long)buf, (long)n, flags);
}

#define ALIAS(name) __typeof__(__vdso_##name) name __attribute__((weak, alias("__vdso_" #name)))
ALIAS(clock_gettime);
ALIAS(clock_getres);
ALIAS(gettimeofday);
ALIAS(time);
ALIAS(getcpu);
ALIAS(getrandom);
