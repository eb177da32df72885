/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V IPC: what shared memory, semaphores and message queues have in common. Each kind has a
 * table of objects; an identifier is a slot number and a sequence number, so that an old identifier
 * never means a new object.
 */
#pragma once

#include <linux/ipc.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <stdatomic.h>
#include "lib/list.h"
#include "sched/sync.h"

#define IPC_SLOTS 4096
#define IPC_SLOT_BITS 15

struct program;
struct seqbuf;

struct ipc_object {
	int id, key;
	uint32_t uid, gid, cuid, cgid, mode;
	unsigned seq;
	bool removed;
	atomic_int refs; /* the table has one */
	void (*free)(struct ipc_object *o);
};

struct ipc_table {
	struct mutex lock; /* slots, and the permissions of their objects */
	struct ipc_object *slot[IPC_SLOTS];
	unsigned used, limit, next_seq;
};

/* Finds or makes the object of a key as xxxget() does: its id or -errno. make(arg) returns a new
 * one (err_ptr() on failure); fits(o, arg) says 0 or why an existing one is not what was asked for.
 */
long ipc_get(struct ipc_table *t, int key, int flags, struct ipc_object *(*make)(void *arg),
    int (*fits)(struct ipc_object *o, void *arg), void *arg);
/* The object with that id, referenced, or err_ptr(-EINVAL), -EIDRM. */
struct ipc_object *ipc_find(struct ipc_table *t, int id);
/* The object in slot i, referenced, or NULL. */
struct ipc_object *ipc_at(struct ipc_table *t, unsigned i);
void ipc_put(struct ipc_object *o);
/* May the current program read (4) or write (2) it? 0 or -EACCES. */
int ipc_may(const struct ipc_object *o, unsigned want);
/* May it change or remove it? 0 or -EPERM. */
int ipc_may_control(const struct ipc_object *o);
/* Takes it out of the table (its id is invalid from now on). */
void ipc_remove(struct ipc_table *t, struct ipc_object *o);
void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *out);
/* IPC_SET: owner and permission bits. */
void ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in);

/* The current program ends: its semaphore adjustments are undone. */
void sysv_program_exit(struct program *p);
/* /proc/sysvipc */
int shm_show(struct seqbuf *s);
int sem_show(struct seqbuf *s);
int msg_show(struct seqbuf *s);
