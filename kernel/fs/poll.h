/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readiness. An object that can be polled has a poll_head and calls poll_notify() after every
 * change that makes it ready. poll(), select() and epoll hang poll_entries on it. The callback runs
 * with the head's mutex held, in thread context, and only notes the event and wakes somebody.
 */
#pragma once

#include "lib/list.h"
#include "sched/sync.h"

struct poll_entry;
struct poll_head {
	struct mutex lock;
	struct list entries; /* lazily initialised by poll_head_init() */
};
struct poll_entry {
	struct list link;
	struct poll_head *head; /* where it hangs, NULL if nowhere */
	/* EPOLL* bits that may have become true. Returns whether somebody was woken or noted it. */
	bool (*fn)(struct poll_entry *e, unsigned events);
	bool exclusive; /* of these only the first that answers true is called per notification */
};
void poll_head_init(struct poll_head *h);
/* Hangs e on h (e->fn set). */
void poll_attach(struct poll_head *h, struct poll_entry *e);
void poll_detach(struct poll_entry *e);
/* Tells everybody on h; call it after the change is visible. Nearly free while nobody polls. */
void poll_notify(struct poll_head *h, unsigned events);
/* The object goes away: tells and detaches everybody. */
void poll_head_destroy(struct poll_head *h);

struct file;
/* What is ready now; an object without a poll function always is. */
unsigned file_poll(struct file *f);
