/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of network devices. */
#include "core/log.h"
#include "drivers/netdev.h"
#include "lib/string.h"
#include "sched/sync.h"

static struct list devices = LIST_INIT(devices);
static struct list observers = LIST_INIT(observers);
static struct mutex lock; /* both lists; devices are never removed */

void netdev_register(struct net_device *d)
{
	static unsigned count;
	struct netdev_observer *o;
	mutex_lock(&lock);
	snprintf(d->name, sizeof d->name, "eth%u", count++);
	list_append(&devices, &d->link);
	pr_info("%s: %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u queues, features 0x%x", d->name,
	    d->mac[0], d->mac[1], d->mac[2], d->mac[3], d->mac[4], d->mac[5], d->mtu, d->nqueues,
	    d->features);
	list_for_each_entry (o, &observers, link)
		o->fn(d);
	mutex_unlock(&lock);
}

void netdev_observe(struct netdev_observer *o)
{
	struct net_device *d;
	mutex_lock(&lock);
	list_append(&observers, &o->link);
	list_for_each_entry (d, &devices, link)
		o->fn(d);
	mutex_unlock(&lock);
}
