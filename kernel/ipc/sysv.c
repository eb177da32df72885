/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of System V IPC objects and their permissions. */
#include "ipc/sysv.h"
#include <asm/errno.h>
#include <linux/capability.h>
#include "lib/string.h"
#include "proc/program.h"

static bool in_group(const struct credentials *c, uint32_t gid)
{
	if (c->egid == gid)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

int ipc_may(const struct ipc_object *o, unsigned want)
{
	const struct credentials *c = &current_program()->cred;
	unsigned have = o->mode;
	if (c->euid == o->uid || c->euid == o->cuid)
		have >>= 6;
	else if (in_group(c, o->gid) || in_group(c, o->cgid))
		have >>= 3;
	return (want & ~have & 7) && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_may_control(const struct ipc_object *o)
{
	const struct credentials *c = &current_program()->cred;
	return c->euid == o->uid || c->euid == o->cuid || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static long insert(struct ipc_table *t, struct ipc_object *o, int key, int flags)
{
	const struct credentials *c = &current_program()->cred;
	unsigned i = 0;
	while (i < IPC_SLOTS && t->slot[i])
		i++;
	if (i == IPC_SLOTS)
		return -ENOSPC;
	o->seq = t->next_seq++ & 0xffff;
	o->id = (int)(o->seq << IPC_SLOT_BITS | i) & INT32_MAX;
	o->key = key;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	o->mode = flags & 0777;
	atomic_init(&o->refs, 1);
	t->slot[i] = o;
	t->used++;
	return o->id;
}

static struct ipc_object *find_key(struct ipc_table *t, int key)
{
	for (unsigned i = 0; key != IPC_PRIVATE && i < IPC_SLOTS; i++)
		if (t->slot[i] && t->slot[i]->key == key)
			return t->slot[i];
	return NULL;
}

long ipc_get(struct ipc_table *t, int key, int flags, struct ipc_object *(*make)(void *arg),
    int (*fits)(struct ipc_object *o, void *arg), void *arg)
{
	long r;
	mutex_lock(&t->lock);
	struct ipc_object *o = find_key(t, key);
	if (o) {
		r = flags & IPC_CREAT && flags & IPC_EXCL ? -EEXIST : fits(o, arg);
		/* The wanted bits stand in all three places; the highest set counts. */
		unsigned want = (flags >> 6 | flags >> 3 | flags) & 7;
		if (!r)
			r = ipc_may(o, want);
		r = r ? r : o->id;
	} else if (key != IPC_PRIVATE && !(flags & IPC_CREAT)) {
		r = -ENOENT;
	} else {
		o = make(arg);
		r = ptr_err(o);
		if (!is_err(o)) {
			r = insert(t, o, key, flags);
			if (r < 0)
				o->free(o);
		}
	}
	mutex_unlock(&t->lock);
	return r;
}

struct ipc_object *ipc_find(struct ipc_table *t, int id)
{
	unsigned i = (unsigned)id & ((1u << IPC_SLOT_BITS) - 1);
	if (id < 0 || i >= IPC_SLOTS)
		return err_ptr(-EINVAL);
	mutex_lock(&t->lock);
	struct ipc_object *o = t->slot[i];
	if (o && o->id == id)
		atomic_fetch_add(&o->refs, 1);
	else
		o = err_ptr(-EINVAL);
	mutex_unlock(&t->lock);
	return o;
}

struct ipc_object *ipc_at(struct ipc_table *t, unsigned i)
{
	mutex_lock(&t->lock);
	struct ipc_object *o = i < IPC_SLOTS ? t->slot[i] : NULL;
	if (o)
		atomic_fetch_add(&o->refs, 1);
	mutex_unlock(&t->lock);
	return o;
}

void ipc_put(struct ipc_object *o)
{
	if (atomic_fetch_sub(&o->refs, 1) == 1)
		o->free(o);
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
	unsigned i = (unsigned)o->id & ((1u << IPC_SLOT_BITS) - 1);
	mutex_lock(&t->lock);
	bool ours = t->slot[i] == o;
	if (ours) {
		t->slot[i] = NULL;
		t->used--;
		o->removed = true;
	}
	mutex_unlock(&t->lock);
	if (ours)
		ipc_put(o);
}

void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *out)
{
	memset(out, 0, sizeof *out);
	out->key = o->key;
	out->uid = o->uid;
	out->gid = o->gid;
	out->cuid = o->cuid;
	out->cgid = o->cgid;
	out->mode = o->mode;
	out->seq = (unsigned short)o->seq;
}

void ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in)
{
	o->uid = in->uid;
	o->gid = in->gid;
	o->mode = (o->mode & ~0777u) | (in->mode & 0777);
}
