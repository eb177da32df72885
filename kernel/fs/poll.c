/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poll heads: the lists that connect pollable objects with those who wait for them.
 *
 * Why a notification cannot be lost although an empty list is seen without the lock: the object
 * changes its state, then (full barrier) looks at the list; the poller links its entry under the
 * mutex (an atomic read-modify-write, a full barrier on x86), then looks at the state. One of the
 * two sees the other.
 */
#include <linux/eventpoll.h>
#include "core/trace.h"
#include "fs/poll.h"
#include "fs/vfs.h"

void poll_head_init(struct poll_head *h)
{
	*h = (struct poll_head){.lock = MUTEX_INIT};
	list_init(&h->entries);
}

void poll_attach(struct poll_head *h, struct poll_entry *e)
{
	mutex_lock(&h->lock);
	e->head = h;
	/* Exclusive entries stand behind the others, so one walk tells all of them before choosing
	 * one. */
	if (e->exclusive)
		list_append(&h->entries, &e->link);
	else
		list_push(&h->entries, &e->link);
	mutex_unlock(&h->lock);
}

void poll_detach(struct poll_entry *e)
{
	struct poll_head *h = __atomic_load_n(&e->head, __ATOMIC_ACQUIRE);
	if (!h)
		return;
	mutex_lock(&h->lock);
	if (e->head) {
		list_remove(&e->link);
		e->head = NULL;
	}
	mutex_unlock(&h->lock);
}

void poll_notify(struct poll_head *h, unsigned events)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (__atomic_load_n(&h->entries.next, __ATOMIC_RELAXED) == &h->entries)
		return;
	mutex_lock(&h->lock);
	TRACE(poll_wake, "%p events=%#x", h, events);
	struct poll_entry *e, *next;
	list_for_each_entry_safe (e, next, &h->entries, link) {
		bool taken = e->fn(e, events);
		if (taken && e->exclusive) {
			/* The next event goes to another one. */
			list_remove(&e->link);
			list_append(&h->entries, &e->link);
			break;
		}
	}
	mutex_unlock(&h->lock);
}

void poll_head_destroy(struct poll_head *h)
{
	mutex_lock(&h->lock);
	struct poll_entry *e, *next;
	list_for_each_entry_safe (e, next, &h->entries, link) {
		list_remove(&e->link);
		e->fn(e, EPOLLERR | EPOLLHUP);
		__atomic_store_n(&e->head, NULL, __ATOMIC_RELEASE);
	}
	mutex_unlock(&h->lock);
}

unsigned file_poll(struct file *f)
{
	if (!f->ops->poll)
		return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
	return f->ops->poll(f);
}
