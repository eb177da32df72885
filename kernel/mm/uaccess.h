/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Touching the application's memory. The addresses are checked to be in the lower half; a fault
 * that cannot be resolved ends the copy with -EFAULT instead of a crash. May sleep (demand paging):
 * never with interrupts off or inside an RCU section. For short accesses under RCU there is none of
 * this.
 */
#pragma once

#include "lib/util.h"
#include "mm/page.h"

static inline bool user_range_ok(const void __user *p, size_t n)
{
	uint64_t a = (uint64_t)p;
	return a <= USER_END && n <= USER_END - a;
}
/* All three: bytes NOT copied (0 is success). */
size_t copy_to_user_partial(void __user *dst, const void *src, size_t n);
size_t copy_from_user_partial(void *dst, const void __user *src, size_t n);
size_t clear_user_partial(void __user *dst, size_t n);

/* 0 or -EFAULT. */
int copy_to_user(void __user *dst, const void *src, size_t n);
int copy_from_user(void *dst, const void __user *src, size_t n);
int clear_user(void __user *dst, size_t n);
/* Length of the string copied (without its zero), -ENAMETOOLONG if it does not end within size,
 * -EFAULT. */
long strncpy_from_user(char *dst, const char __user *src, size_t size);

#define put_user(v, p)                                     \
	({                                                 \
		__typeof__(*(p)) put_v_ = (v);             \
		copy_to_user((p), &put_v_, sizeof put_v_); \
	})
#define get_user(v, p) copy_from_user(&(v), (p), sizeof(v))

/* Atomic compare-and-exchange on a 32-bit user word: 0 and *seen, or -EFAULT. */
int cmpxchg_user_u32(uint32_t __user *p, uint32_t expect, uint32_t desired, uint32_t *seen);
