/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers with shared ownership. The count and the bytes are one allocation where possible. */
#include "shard.h"

#include <seastar/stream.h>

struct ss_bufref {
	uint32_t users;
	void (*release)(void *arg);
	void *arg;
	_Alignas(16) char bytes[];
};

int ss_buf_alloc(ss_buf *b, size_t len)
{
	struct ss_bufref *r = ss_alloc(sizeof(*r) + len);

	if (!r)
		return -ENOMEM;
	r->users = 1;
	r->release = NULL;
	*b = (ss_buf){.data = r->bytes, .len = len, .ref = r};
	return 0;
}

int ss_buf_copy(ss_buf *b, const void *data, size_t n)
{
	int err = ss_buf_alloc(b, n);

	if (!err && n)
		memcpy(b->data, data, n);
	return err;
}

int ss_buf_wrap(ss_buf *b, void *data, size_t n, void (*release)(void *), void *arg)
{
	struct ss_bufref *r = ss_alloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct ss_bufref){.users = 1, .release = release, .arg = arg};
	*b = (ss_buf){.data = data, .len = n, .ref = r};
	return 0;
}

ss_buf ss_buf_share(const ss_buf *b, size_t off, size_t len)
{
	if (b->ref)
		b->ref->users++;
	return (ss_buf){.data = b->data + off, .len = len, .ref = b->ref};
}

void ss_buf_release(ss_buf *b)
{
	struct ss_bufref *r = b->ref;

	*b = (ss_buf){NULL, 0, NULL};
	if (!r || --r->users)
		return;
	if (r->release)
		r->release(r->arg);
	ss_free(r);
}
