/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of AF_UNIX sockets: paths (the socket hangs on the inode) and abstract names (a list). Both
 * are protected by unix_names_lock, as is the way from an inode to its socket.
 */
#include <asm/errno.h>
#include <linux/stat.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/unix.h"
#include "proc/program.h"

struct mutex unix_names_lock = MUTEX_INIT;
static struct list bound = LIST_INIT(bound); /* sockets with abstract names */

#define FAMILY_SIZE sizeof(uint16_t)

/* The name part of an address: its length, or -errno. A path is cut at its zero byte. */
static int name_length(const struct address *a, unsigned len)
{
	if (len < FAMILY_SIZE || len > sizeof(struct sockaddr_un) || a->family != AF_UNIX)
		return -EINVAL;
	unsigned n = len - FAMILY_SIZE;
	const char *name = a->bytes + FAMILY_SIZE;
	return n && name[0] ? (int)strnlen(name, n) : (int)n;
}

static struct unix_address *address_new(const char *name, unsigned len)
{
	struct unix_address *n = kzalloc(sizeof *n);
	if (!n)
		return NULL;
	atomic_init(&n->refs, 1);
	n->len = len;
	memcpy(n->name, name, len);
	return n;
}

void unix_address_put(struct unix_address *a)
{
	if (atomic_fetch_sub(&a->refs, 1) != 1)
		return;
	if (a->dentry)
		dentry_put(a->dentry);
	kfree(a);
}

/* unix_names_lock held. */
static struct unix_sock *find_abstract(const char *name, unsigned len, int type)
{
	struct unix_sock *u;
	list_for_each_entry (u, &bound, bound_link)
		if (u->address->len == len && !memcmp(u->address->name, name, len) &&
		    (!type || u->type == type))
			return u;
	return NULL;
}

static int bind_path(struct unix_sock *u, struct unix_address *a)
{
	struct program *p = current_program();
	int err = vfs_mknod(-100, a->name, S_IFSOCK | (0777 & ~(p ? p->umask : 022)), 0);
	if (err)
		return err == -EEXIST ? -EADDRINUSE : err;
	struct dentry *d = path_lookup(-100, a->name, WALK_NOFOLLOW);
	if (is_err(d))
		return ptr_err(d);
	if (!S_ISSOCK(d->inode->mode)) {
		dentry_put(d);
		return -EADDRINUSE;
	}
	a->dentry = d;
	mutex_lock(&unix_names_lock);
	d->inode->object = u;
	u->address = a;
	mutex_unlock(&unix_names_lock);
	return 0;
}

static int bind_abstract(struct unix_sock *u, struct unix_address *a)
{
	mutex_lock(&unix_names_lock);
	bool taken = find_abstract(a->name, a->len, u->type);
	if (!taken) {
		u->address = a;
		list_append(&bound, &u->bound_link);
	}
	mutex_unlock(&unix_names_lock);
	return taken ? -EADDRINUSE : 0;
}

int unix_autobind(struct unix_sock *u)
{
	static _Atomic unsigned next;
	char name[7];
	if (u->address)
		return 0;
	for (unsigned tries = 0; tries < 1u << 20; tries++) {
		snprintf(name, sizeof name, "%c%05x", 0, atomic_fetch_add(&next, 1) & 0xfffff);
		struct unix_address *a = address_new(name, 6);
		if (!a)
			return -ENOMEM;
		int err = bind_abstract(u, a);
		if (!err)
			return 0;
		unix_address_put(a);
		if (err != -EADDRINUSE)
			return err;
	}
	return -ENOSPC;
}

int unix_bind(struct socket *s, const struct address *addr, unsigned len)
{
	struct unix_sock *u = s->private;
	int n = name_length(addr, len);
	if (n < 0)
		return n;
	if (u->address)
		return -EINVAL;
	if (!n)
		return unix_autobind(u);
	struct unix_address *a = address_new(addr->bytes + FAMILY_SIZE, n);
	if (!a)
		return -ENOMEM;
	int err = a->name[0] ? bind_path(u, a) : bind_abstract(u, a);
	if (err)
		unix_address_put(a);
	return err;
}

void unix_unbind(struct unix_sock *u)
{
	mutex_lock(&unix_names_lock);
	struct unix_address *a = u->address;
	if (a && a->dentry) {
		if (a->dentry->inode->object == u)
			a->dentry->inode->object = NULL;
	} else if (a) {
		list_remove(&u->bound_link);
	}
	mutex_unlock(&unix_names_lock);
}

static struct unix_sock *find_path(const char *name, int type)
{
	struct dentry *d = path_lookup(-100, name, 0);
	if (is_err(d))
		return (struct unix_sock *)d;
	int err = vfs_may(d->inode, 2);
	struct unix_sock *u = NULL;
	if (!err && S_ISSOCK(d->inode->mode)) {
		mutex_lock(&unix_names_lock);
		u = d->inode->object;
		if (u)
			unix_get(u);
		mutex_unlock(&unix_names_lock);
	}
	dentry_put(d);
	if (err)
		return err_ptr(err);
	if (!u)
		return err_ptr(-ECONNREFUSED);
	if (type && u->type != type) {
		unix_put(u);
		return err_ptr(-EPROTOTYPE);
	}
	return u;
}

struct unix_sock *unix_find(const struct address *a, unsigned len, int type)
{
	int n = name_length(a, len);
	if (n <= 0)
		return err_ptr(n ? n : -EINVAL);
	const char *name = a->bytes + FAMILY_SIZE;
	if (name[0]) {
		char path[UNIX_PATH_MAX + 1];
		memcpy(path, name, n);
		path[n] = '\0';
		return find_path(path, type);
	}
	mutex_lock(&unix_names_lock);
	struct unix_sock *u = find_abstract(name, n, type);
	if (u)
		unix_get(u);
	mutex_unlock(&unix_names_lock);
	return u ? u : err_ptr(-ECONNREFUSED);
}

int unix_fill_address(const struct unix_address *from, struct address *a)
{
	memset(a, 0, sizeof *a);
	a->family = AF_UNIX;
	if (!from)
		return FAMILY_SIZE;
	memcpy(a->bytes + FAMILY_SIZE, from->name, from->len);
	/* A path is reported with its terminating zero. */
	return FAMILY_SIZE + from->len + (from->name[0] != 0);
}

int unix_name(struct socket *s, struct address *a, bool peer)
{
	struct unix_sock *u = s->private, *of = u;
	if (peer) {
		mutex_lock(&u->lock);
		of = u->peer;
		if (of)
			unix_get(of);
		mutex_unlock(&u->lock);
		if (!of)
			return -ENOTCONN;
	}
	mutex_lock(&unix_names_lock);
	int len = unix_fill_address(of->address, a);
	mutex_unlock(&unix_names_lock);
	if (peer)
		unix_put(of);
	return len;
}
