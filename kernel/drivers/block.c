/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of disks, and synchronous requests for those who need only a few sectors. */
#include <asm/errno.h>
#include "core/log.h"
#include "drivers/block.h"
#include "lib/string.h"
#include "sched/sync.h"

static struct list disks = LIST_INIT(disks);
static struct list observers = LIST_INIT(observers);
static struct mutex lock; /* both lists; disks are never removed */

void block_register(struct block_device *d)
{
	struct block_observer *o;
	mutex_lock(&lock);
	list_append(&disks, &d->link);
	list_for_each_entry (o, &observers, link)
		o->fn(d);
	mutex_unlock(&lock);
	pr_info("%s: %llu sectors of 512 bytes%s", d->name, (unsigned long long)d->sectors,
	    d->read_only ? ", read-only" : "");
}

void block_observe(struct block_observer *o)
{
	struct block_device *d;
	mutex_lock(&lock);
	list_append(&observers, &o->link);
	list_for_each_entry (d, &disks, link)
		o->fn(d);
	mutex_unlock(&lock);
}

void block_for_each(void (*fn)(void *ctx, struct block_device *d), void *ctx)
{
	struct block_device *d;
	mutex_lock(&lock);
	list_for_each_entry (d, &disks, link)
		fn(ctx, d);
	mutex_unlock(&lock);
}

struct block_device *block_find(const char *name)
{
	struct block_device *d, *found = NULL;
	mutex_lock(&lock);
	list_for_each_entry (d, &disks, link)
		if (!strcmp(d->name, name))
			found = d;
	mutex_unlock(&lock);
	return found;
}

struct block_device *block_nth(unsigned i)
{
	struct block_device *d, *found = NULL;
	mutex_lock(&lock);
	list_for_each_entry (d, &disks, link) {
		if (i-- == 0) {
			found = d;
			break;
		}
	}
	mutex_unlock(&lock);
	return found;
}

struct waiter {
	struct completion done;
	int err;
};

static void wake_waiter(struct block_request *r, int err)
{
	struct waiter *w = r->private;
	w->err = err;
	completion_signal(&w->done);
}

static int submit_and_wait(struct block_device *d, struct block_request *r)
{
	struct list one = LIST_INIT(one);
	struct waiter w;
	completion_init(&w.done);
	r->dev = d;
	r->done = wake_waiter;
	r->private = &w;
	list_append(&one, &r->link);
	d->submit(d, &one);
	completion_wait(&w.done);
	return w.err;
}

static int transfer(
    struct block_device *d, enum block_op op, uint64_t sector, uint64_t phys, unsigned n)
{
	unsigned most = MAX(d->max_segment_size / SECTOR_SIZE, 1u);
	while (n) {
		unsigned part = MIN(n, most);
		struct block_segment seg = {.phys = phys, .len = part * SECTOR_SIZE};
		struct block_request r = {.op = op, .sector = sector, .seg = &seg, .nseg = 1};
		int err = submit_and_wait(d, &r);
		if (err)
			return err;
		n -= part;
		sector += part;
		phys += seg.len;
	}
	return 0;
}

int block_read(struct block_device *d, uint64_t sector, void *buf, unsigned n)
{
	return transfer(d, BLOCK_READ, sector, virt_phys(buf), n);
}

int block_write(struct block_device *d, uint64_t sector, const void *buf, unsigned n)
{
	return transfer(d, BLOCK_WRITE, sector, virt_phys(buf), n);
}

int block_flush(struct block_device *d)
{
	struct block_request r = {.op = BLOCK_FLUSH};
	return d->has_flush ? submit_and_wait(d, &r) : 0;
}
