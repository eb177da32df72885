/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes: behind the inode, or shared in a common area. */
#include "fs/erofs/internal.h"

static const char *prefix_of(unsigned index)
{
	static const char *const prefix[] = {"", "user.", "system.posix_acl_access",
	    "system.posix_acl_default", "trusted.", "", "security."};
	return index && index < sizeof prefix / sizeof *prefix && *prefix[index] ? prefix[index]
										 : NULL;
}

struct attribute {
	char name[300]; /* with prefix, terminated */
	size_t name_len;
	uint64_t value;
	uint32_t value_size;
	uint64_t next; /* offset of the following entry */
};

static int load(const struct erofs *fs, uint64_t at, struct attribute *a)
{
	uint8_t b[4];
	int err = erofs_bytes(fs, at, b, 4);
	if (err)
		return err;
	const char *prefix = prefix_of(b[1]);
	size_t n = prefix ? strlen(prefix) : 0;
	if (prefix)
		memcpy(a->name, prefix, n);
	err = erofs_bytes(fs, at + 4, a->name + n, b[0]);
	if (err)
		return err;
	a->name_len = prefix ? n + b[0] : 0; /* of an unknown kind: not shown */
	a->name[n + b[0]] = 0;
	if (strlen(a->name) != n + b[0])
		return -EIO;
	a->value = at + 4 + b[0];
	a->value_size = le16(b + 2);
	a->next = (a->value + a->value_size + 3) & ~3ull;
	return 0;
}

/* Calls fn for each attribute until it returns non-zero, which is passed on. */
static long each(const struct erofs *fs, const struct erofs_inode *i,
    long (*fn)(void *ctx, const struct attribute *a), void *ctx)
{
	uint8_t h[12];
	struct attribute a;
	if (!i->xattr_size)
		return 0;
	long r = erofs_bytes(fs, i->xattr, h, 12);
	if (r)
		return r;
	unsigned shared = h[4];
	uint64_t at = i->xattr + 12, end = i->xattr + i->xattr_size;
	if (shared * 4 > end - at)
		return -EIO;
	for (unsigned k = 0; k < shared; k++, at += 4) {
		uint8_t id[4];
		if ((r = erofs_bytes(fs, at, id, 4)) ||
		    (r = load(fs, fs->xattrs + le32(id) * 4ull, &a)) || (r = fn(ctx, &a)))
			return r;
	}
	while (at + 4 <= end) {
		if ((r = load(fs, at, &a)))
			return r;
		if (a.next > end)
			return -EIO;
		if ((r = fn(ctx, &a)))
			return r;
		at = a.next;
	}
	return 0;
}

struct get {
	const struct erofs *fs;
	const char *name;
	void *buf;
	size_t n;
	long size;
};

static long get_one(void *ctx, const struct attribute *a)
{
	struct get *g = ctx;
	if (!a->name_len || strcmp(a->name, g->name))
		return 0;
	g->size = a->value_size;
	if (!g->n)
		return 1;
	if (g->n < a->value_size)
		return -ERANGE;
	int err = erofs_bytes(g->fs, a->value, g->buf, a->value_size);
	return err ? err : 1;
}

long erofs_getxattr(
    const struct erofs *fs, const struct erofs_inode *i, const char *name, void *buf, size_t n)
{
	struct get g = {fs, name, buf, n, 0};
	long r = each(fs, i, get_one, &g);
	return r == 1 ? g.size : r ? r : -ENODATA;
}

struct names {
	char *buf;
	size_t n, used;
};

static long add_name(void *ctx, const struct attribute *a)
{
	struct names *l = ctx;
	if (!a->name_len)
		return 0;
	if (l->n) {
		if (a->name_len + 1 > l->n - l->used)
			return -ERANGE;
		memcpy(l->buf + l->used, a->name, a->name_len + 1);
	}
	l->used += a->name_len + 1;
	return 0;
}

long erofs_listxattr(const struct erofs *fs, const struct erofs_inode *i, char *buf, size_t n)
{
	struct names l = {buf, n, 0};
	long r = each(fs, i, add_name, &l);
	return r ? r : (long)l.used;
}
