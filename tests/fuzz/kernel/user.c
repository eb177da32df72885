/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's access to an application's memory, and other services, for fuzz targets of one
 * thread. */
#include "user.h"

#include <errno.h>
#include <stdarg.h>
#include "core/log.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "sched/sync.h"
#include "sched/thread.h"

__thread struct cpu *host_cpu;
__thread struct thread *host_thread;

static char *memory;
static size_t size;

void user_window(void *m, size_t n)
{
	memory = m;
	size = n;
}

/* Bytes from the address on that exist. */
static size_t reachable(const void *p, size_t n)
{
	uint64_t a = (uint64_t)p;
	if (a < USER_WINDOW || a >= USER_WINDOW + size)
		return 0;
	size_t left = size - (a - USER_WINDOW);
	return n < left ? n : left;
}

size_t copy_to_user_partial(void __user *dst, const void *src, size_t n)
{
	size_t ok = reachable(dst, n);
	if (ok)
		memcpy(memory + ((uint64_t)dst - USER_WINDOW), src, ok);
	return n - ok;
}

size_t copy_from_user_partial(void *dst, const void __user *src, size_t n)
{
	size_t ok = reachable(src, n);
	if (ok)
		memcpy(dst, memory + ((uint64_t)src - USER_WINDOW), ok);
	return n - ok;
}

size_t clear_user_partial(void __user *dst, size_t n)
{
	size_t ok = reachable(dst, n);
	if (ok)
		memset(memory + ((uint64_t)dst - USER_WINDOW), 0, ok);
	return n - ok;
}

int copy_to_user(void __user *dst, const void *src, size_t n)
{
	return copy_to_user_partial(dst, src, n) ? -EFAULT : 0;
}

int copy_from_user(void *dst, const void __user *src, size_t n)
{
	return copy_from_user_partial(dst, src, n) ? -EFAULT : 0;
}

int clear_user(void __user *dst, size_t n)
{
	return clear_user_partial(dst, n) ? -EFAULT : 0;
}

long strncpy_from_user(char *dst, const char __user *src, size_t n)
{
	size_t ok = reachable(src, n);
	for (size_t i = 0; i < ok; i++)
		if (!(dst[i] = memory[(uint64_t)src - USER_WINDOW + i]))
			return (long)i;
	return ok < n ? -EFAULT : -ENAMETOOLONG;
}
