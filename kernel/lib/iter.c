/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving data to and from scatter lists of kernel or application memory. */
#include "lib/iter.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "sys/syscall.h"

#define IOV_LIMIT 1024
#define IO_LIMIT 0x7ffff000ul /* the most one call moves, as on Linux */

void iter_user(struct iter *it, void __user *p, size_t n)
{
	it->one = (struct kvec){p, n};
	it->vec = &it->one;
	it->nvec = 1;
	it->skip = 0;
	it->count = n;
	it->user = true;
}

void iter_kernel(struct iter *it, void *p, size_t n)
{
	iter_user(it, p, n);
	it->user = false;
}

void iter_vec(struct iter *it, const struct kvec *vec, size_t nvec, bool user)
{
	size_t n = 0;
	for (size_t i = 0; i < nvec; i++)
		n += vec[i].len;
	it->vec = vec;
	it->nvec = nvec;
	it->skip = 0;
	it->count = n;
	it->user = user;
}

long iter_import_user(
    struct iter *it, const void __user *uvec, unsigned long n, struct kvec *fast, struct kvec **vec)
{
	*vec = fast;
	if (n > IOV_LIMIT)
		return -EINVAL;
	if (n > 8) {
		*vec = kmalloc(n * sizeof(struct kvec));
		if (!*vec) {
			*vec = fast;
			return -ENOMEM;
		}
	}
	long r = 0;
	if (n && copy_from_user(*vec, uvec, n * sizeof(struct kvec)))
		r = -EFAULT;
	size_t total = 0;
	for (size_t i = 0; i < n && !r; i++) {
		struct kvec *v = *vec + i;
		if ((long)v->len < 0)
			r = -EINVAL;
		else if (!user_range_ok(v->base, v->len))
			r = -EFAULT;
		else {
			if (v->len > IO_LIMIT - total)
				v->len = IO_LIMIT - total;
			total += v->len;
		}
	}
	if (r) {
		if (*vec != fast)
			kfree(*vec);
		*vec = fast;
		return r;
	}
	iter_vec(it, *vec, n, true);
	return (long)total;
}

void iter_advance(struct iter *it, size_t n)
{
	if (n > it->count)
		n = it->count;
	it->count -= n;
	n += it->skip;
	while (it->nvec && n >= it->vec->len) {
		n -= it->vec->len;
		it->vec++;
		it->nvec--;
	}
	it->skip = n;
}

enum move { TO, FROM, ZERO };

/* One piece; returns the bytes that could not be moved. */
static size_t move_piece(const struct iter *it, char *at, char *buf, size_t n, enum move what)
{
	if (it->user) {
		if (what == TO)
			return copy_to_user_partial(at, buf, n);
		if (what == FROM)
			return copy_from_user_partial(buf, at, n);
		return clear_user_partial(at, n);
	}
	if (what == TO)
		memcpy(at, buf, n);
	else if (what == FROM)
		memcpy(buf, at, n);
	else
		memset(at, 0, n);
	return 0;
}

static inline size_t iter_move(struct iter *it, char *buf, size_t n, enum move what)
{
	size_t done = 0;
	if (n > it->count)
		n = it->count;
	while (done < n) {
		size_t here = it->vec->len - it->skip;
		if (here > n - done)
			here = n - done;
		size_t left = 0;
		if (here)
			left = move_piece(it, (char *)it->vec->base + it->skip,
			    what == ZERO ? NULL : buf + done, here, what);
		done += here - left;
		it->skip += here - left;
		it->count -= here - left;
		if (left)
			break;
		if (it->skip == it->vec->len && it->nvec) {
			it->vec++;
			it->nvec--;
			it->skip = 0;
		}
	}
	return done;
}

size_t iter_to(struct iter *it, const void *src, size_t n)
{
	return iter_move(it, (char *)src, n, TO);
}

size_t iter_from(struct iter *it, void *dst, size_t n)
{
	return iter_move(it, dst, n, FROM);
}

size_t iter_zero(struct iter *it, size_t n)
{
	return iter_move(it, NULL, n, ZERO);
}
