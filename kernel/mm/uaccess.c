/* SPDX-License-Identifier: BSD-3-Clause */
/* The C side of application memory access: range checks around the copies of uaccess.S. */
#include "mm/uaccess.h"
#include "sys/syscall.h"

size_t uaccess_copy(void *dst, const void *src, size_t n);
size_t uaccess_zero(void *dst, size_t n);
int uaccess_cmpxchg32(uint32_t *p, uint32_t expect, uint32_t desired, uint32_t *seen);

size_t copy_to_user_partial(void __user *dst, const void *src, size_t n)
{
	return user_range_ok(dst, n) ? uaccess_copy(dst, src, n) : n;
}

size_t copy_from_user_partial(void *dst, const void __user *src, size_t n)
{
	return user_range_ok(src, n) ? uaccess_copy(dst, src, n) : n;
}

size_t clear_user_partial(void __user *dst, size_t n)
{
	return user_range_ok(dst, n) ? uaccess_zero(dst, n) : n;
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

/* Copies up to the end of each page in turn: a string may end just before memory that is not there.
 */
long strncpy_from_user(char *dst, const char __user *src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t to_page_end = PAGE_SIZE - ((uint64_t)(src + done) & (PAGE_SIZE - 1));
		size_t n = MIN(MIN(to_page_end, size - done), 128ul);
		if (copy_from_user(dst + done, src + done, n))
			return -EFAULT;
		for (size_t i = done; i < done + n; i++)
			if (!dst[i])
				return (long)i;
		done += n;
	}
	return -ENAMETOOLONG;
}

int cmpxchg_user_u32(uint32_t __user *p, uint32_t expect, uint32_t desired, uint32_t *seen)
{
	if (!user_range_ok(p, 4) || uaccess_cmpxchg32(p, expect, desired, seen))
		return -EFAULT;
	return 0;
}
