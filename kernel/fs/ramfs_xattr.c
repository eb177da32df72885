/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes of inodes in memory, on top of those of a layer below. The inode is locked.
 */
#include <linux/limits.h>
#include <linux/xattr.h>
#include "fs/ramfs.h"

static struct ram_xattr *find(const struct inode *i, const char *name)
{
	struct ram_xattr *x;
	list_for_each_entry (x, &ram_node(i)->xattrs, link)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static const struct inode *below(const struct inode *i)
{
	return ram_node(i)->lower;
}

long ram_getxattr(struct inode *i, const char *name, void *buf, size_t n)
{
	struct ram_xattr *x = find(i, name);
	if (!x) {
		const struct inode *l = below(i);
		return l && l->ops->getxattr ? l->ops->getxattr((struct inode *)l, name, buf, n)
					     : -ENODATA;
	}
	if (x->removed)
		return -ENODATA;
	if (!n)
		return (long)x->size;
	if (n < x->size)
		return -ERANGE;
	memcpy(buf, x->value, x->size);
	return (long)x->size;
}

static struct ram_xattr *xattr_new(const char *name, const void *value, size_t n)
{
	struct ram_xattr *x = kzalloc(sizeof(*x) + n);
	if (!x)
		return NULL;
	x->name = kstrdup(name);
	if (!x->name) {
		kfree(x);
		return NULL;
	}
	x->size = n;
	if (n)
		memcpy(x->value, value, n);
	return x;
}

static void xattr_free(struct ram_xattr *x)
{
	list_remove(&x->link);
	kfree(x->name);
	kfree(x);
}

int ram_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags)
{
	bool there = ram_getxattr(i, name, NULL, 0) >= 0;
	if (there && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!there && (flags & XATTR_REPLACE))
		return -ENODATA;
	struct ram_xattr *x = xattr_new(name, buf, n), *old = find(i, name);
	if (!x)
		return -ENOSPC;
	if (old)
		xattr_free(old);
	list_append(&ram_node(i)->xattrs, &x->link);
	ram_pin(i);
	return 0;
}

int ram_removexattr(struct inode *i, const char *name)
{
	struct ram_xattr *x = find(i, name);
	const struct inode *l = below(i);
	bool shows =
	    l && l->ops->getxattr && l->ops->getxattr((struct inode *)l, name, NULL, 0) >= 0;
	if (x ? x->removed : !shows)
		return -ENODATA;
	if (shows) {
		struct ram_xattr *hide = xattr_new(name, NULL, 0);
		if (!hide)
			return -ENOSPC;
		hide->removed = true;
		list_append(&ram_node(i)->xattrs, &hide->link);
		ram_pin(i);
	}
	if (x)
		xattr_free(x);
	return 0;
}

/* Appends a name; counts only when n is 0. */
static bool add_name(char *buf, size_t n, size_t *at, const char *name)
{
	size_t len = strlen(name) + 1;
	if (n) {
		if (len > n - *at)
			return false;
		memcpy(buf + *at, name, len);
	}
	*at += len;
	return true;
}

long ram_listxattr(struct inode *i, char *buf, size_t n)
{
	struct ram_xattr *x;
	size_t at = 0;
	list_for_each_entry (x, &ram_node(i)->xattrs, link)
		if (!x->removed && !add_name(buf, n, &at, x->name))
			return -ERANGE;
	const struct inode *l = below(i);
	if (!l || !l->ops->listxattr)
		return (long)at;
	char *names = kmalloc(XATTR_LIST_MAX);
	if (!names)
		return -ENOMEM;
	long m = l->ops->listxattr((struct inode *)l, names, XATTR_LIST_MAX);
	for (long p = 0; p < m; p += (long)strlen(names + p) + 1) {
		if (!find(i, names + p) && !add_name(buf, n, &at, names + p)) {
			kfree(names);
			return -ERANGE;
		}
	}
	kfree(names);
	return m < 0 ? m : (long)at;
}

void ram_free_xattrs(struct ram_node *n)
{
	while (!list_empty(&n->xattrs))
		xattr_free(list_first(&n->xattrs, struct ram_xattr, link));
}
