/* SPDX-License-Identifier: BSD-3-Clause */
/* A scatter list that data is moved to or from, in kernel or application memory: what read and
 * write take. */
#pragma once

#include "lib/util.h"

struct kvec {
	void *base;
	size_t len;
};

struct iter {
	const struct kvec *vec; /* layout of struct iovec */
	size_t nvec;
	size_t skip;  /* bytes of vec[0] already used */
	size_t count; /* bytes left */
	bool user;    /* application memory: copies can fault */
	struct kvec one;
};

/* One buffer. */
void iter_user(struct iter *it, void __user *p, size_t n);
void iter_kernel(struct iter *it, void *p, size_t n);
/* A vector (kept by the caller while the iterator lives), already checked: see iter_import_user().
 */
void iter_vec(struct iter *it, const struct kvec *vec, size_t nvec, bool user);
/* Copies a user iovec array into *vec (fast[8] or kmalloc'd; kfree(*vec) if != fast) with Linux's
 * checks. Total bytes or -EINVAL, -EFAULT, -ENOMEM. */
long iter_import_user(struct iter *it, const void __user *uvec, unsigned long n, struct kvec *fast,
    struct kvec **vec);
/* Copy n bytes (at most it->count) and advance. Returns the bytes copied; fewer means a fault. */
size_t iter_to(struct iter *it, const void *src, size_t n); /* kernel → iterator */
size_t iter_from(struct iter *it, void *dst, size_t n);	    /* iterator → kernel */
size_t iter_zero(struct iter *it, size_t n);
void iter_advance(struct iter *it, size_t n);
